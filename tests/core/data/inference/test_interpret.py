from __future__ import annotations

import math
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest

from seedbed.core.data.dataset import Dataset, Table
from seedbed.core.data.inference.interpret import interpret
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError

Settle = Callable[..., Dataset]

TEXTS = [f"a short text that is number {n}" for n in range(12)]
LABELS = ["cat", "dog", "cat"] * 4


@pytest.fixture
def settle(tmp_path) -> Settle:
    """Interpret columns: `settle({"text": [...]}, target="label")`."""

    def made(columns: dict | datasets.Dataset, *, known: Schema | None = None, **wanted: object) -> Dataset:
        need_target = bool(wanted.pop("need_target", True))
        rows = columns if isinstance(columns, datasets.Dataset) else datasets.Dataset(pa.table(columns))
        table = Table(rows=rows, source="data.csv", name="data", folder=tmp_path, schema=known or Schema())
        return interpret(table, Schema(**wanted), tmp_path / "cache", need_target=need_target)

    return made


def target(dataset: Dataset) -> list:
    return list(dataset.rows["target"])


def said(dataset: Dataset) -> str:
    return "\n".join(f"{each.severity}: {each.evidence} {each.remedy}" for each in dataset.findings)


def test_text_and_its_class_are_taken_as_they_lie(settle) -> None:
    rows = datasets.Dataset(pa.table({"text": TEXTS, "label": LABELS, "extra": range(12)}))
    dataset = settle(rows)
    assert (dataset.modality, dataset.kind) == ("text", "classification")
    assert dataset.rows.column_names == ["text", "target", "part", "column:extra"]
    for name, original in (("text", "text"), ("target", "label"), ("column:extra", "extra")):
        ours, theirs = (each.data.table.column(n).chunk(0) for each, n in ((dataset.rows, name), (rows, original)))
        assert [b and b.address for b in ours.buffers()] == [b and b.address for b in theirs.buffers()]
    assert "Column `label`: 2 values over 12 rows → classification; taken for the target by its name." in said(dataset)


def test_what_is_made_is_made_once(settle, tmp_path, monkeypatch) -> None:
    columns = {"text": TEXTS, "label": [1, 2] * 6}
    first = settle(columns)
    with monkeypatch.context() as patch:
        patch.setattr("seedbed.core.data.reading.arrowfile.Sink", None)  # nothing can be written any more
        assert target(settle(columns)) == target(first) == ["1", "2"] * 6
    settle({"text": TEXTS, "label": [1, 3] * 6})
    assert len(list((tmp_path / "cache" / "tables").iterdir())) == 2


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([1.0, 2.0, None, math.nan], ["1", "2", None, None]),
        ([True, False, None, True], ["true", "false", None, "true"]),
        ([3, -4, None, 3], ["3", "-4", None, "3"]),
        (["a", "b", "", None], ["a", "b", "", None]),
    ],
)
def test_classes_are_strings(settle, values: list, names: list) -> None:
    assert target(settle({"text": TEXTS, "label": values * 3})) == names * 3


def test_halves_asked_for_as_classes_keep_their_value(settle) -> None:
    assert target(settle({"text": TEXTS, "label": [0.5, 1.0, math.inf] * 4}, kind="classification"))[:3] == [
        "0.5", "1", None
    ]  # fmt: skip


def test_rows_without_a_target_stay_and_are_told(settle) -> None:
    dataset = settle({"text": TEXTS, "label": [None, "", *LABELS[2:]]})
    (finding,) = [each for each in dataset.findings if each.count]
    assert len(dataset) == 12
    assert finding.evidence.startswith("Column `label`: 2 of 12 rows have no target")
    assert finding.rows == ("row 0", "row 1")


def test_a_target_that_is_empty_throughout_is_a_sentence(settle) -> None:
    with pytest.raises(DataError, match="no target in any row"):
        settle({"text": TEXTS, "label": [math.nan] * 12}, target="label", kind="regression")


def test_numbers_written_as_text_are_values_and_a_slip_is_told(settle) -> None:
    texts = [f"a short text that is number {n}" for n in range(60)]
    dataset = settle({"text": texts, "price": ["n/a", "12 EUR", *(f"{n}.5" for n in range(58))]}, kind="regression")
    assert target(dataset)[:3] == [None, None, 0.5]
    assert "1 of 60 cells are no finite numbers, such as '12 EUR'" in said(dataset)


def test_names_cannot_be_learnt_as_values(settle) -> None:
    with pytest.raises(DataError, match=r"12 of 12 cells are no numbers, such as 'cat', 'dog', 'cat'.*--task"):
        settle({"text": TEXTS, "label": LABELS}, kind="regression")


def test_labels_come_from_lists_cells_and_columns(settle) -> None:
    lists = settle({"text": TEXTS, "tags": [["a", "b"], [], ["b"], None] * 3})
    assert (lists.kind, target(lists)[:4]) == ("multilabel", [["a", "b"], [], ["b"], None])
    cells = settle({"text": TEXTS, "tags": ["a|b", "b", "c|a", ""] * 3})
    assert (cells.kind, target(cells)[:3]) == ("multilabel", [["a", "b"], ["b"], ["c", "a"]])
    flags = {"rude": [1, 0, None] * 4, "loud": [True, False, None] * 4}
    for wish in ({"target": "rude, loud"}, {"kind": "multilabel"}):
        columns = settle({"text": TEXTS, **flags}, **wish)
        assert (columns.kind, target(columns)[:3]) == ("multilabel", [["rude", "loud"], [], None])
        assert columns.schema.target == "rude,loud"


def test_numbers_of_classes_with_names_are_names(settle) -> None:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    rows = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1, -1] * 4}, features=features)
    assert target(settle(rows))[:3] == ["neg", "pos", None]


def test_a_selection_of_rows_is_read_in_its_own_order(settle) -> None:
    rows = datasets.Dataset(pa.table({"text": TEXTS, "label": LABELS})).select([5, 3, 4, 0])
    assert settle(rows).rows["text"][:] == [TEXTS[5], TEXTS[3], TEXTS[4], TEXTS[0]]


def test_parts_groups_and_order_take_their_columns(settle) -> None:
    columns = {
        "text": TEXTS, "label": LABELS, "split": ["Train", "VAL", "testing", ""] * 3,
        "user": [1, 2, None] * 4, "day": [date(2020, 1, 1 + n) for n in range(12)],
    }  # fmt: skip
    dataset = settle(columns, group="user", order="day")
    assert dataset.rows["part"][:4] == ["train", "valid", "test", ""]
    assert dataset.rows["group"][:3] == ["1", "2", None]
    assert np.all(np.diff(dataset.rows["order"][:]) == 86_400e6)
    assert "`split` says to which part" in said(dataset)
    assert "group" not in settle(columns).rows.column_names
    assert '--group "user"' in said(settle(columns))


def test_texts_of_several_columns_are_joined(settle) -> None:
    columns = {"title": [f"the title of {n}" for n in range(12)], "body": [*TEXTS[:11], ""], "label": LABELS}
    dataset = settle(columns)
    assert dataset.rows["text"][0] == f"the title of 0\n{TEXTS[0]}"
    assert dataset.rows["text"][11] == "the title of 11"
    assert "Columns `title`, `body` are joined into one text" in said(dataset)
    one = settle(columns, inputs=("body",))
    assert one.rows["text"][0] == TEXTS[0]
    assert "column:title" in one.rows.column_names


def test_paths_become_whole_paths_of_images(settle, tmp_path) -> None:
    (tmp_path / "im").mkdir()
    (tmp_path / "im" / "a.png").touch()
    (tmp_path / "b.JPG").touch()
    names = ["im/a.png", str(tmp_path / "b.JPG"), "im/../b.JPG", "im\\a.png", "gone.png", None]
    dataset = settle({"file": names * 2, "label": LABELS})
    assert dataset.modality == "image"
    assert [image["path"] for image in dataset.rows["image"][:6]] == [
        *map(str, (tmp_path / "im" / "a.png", tmp_path / "b.JPG", tmp_path / "b.JPG", tmp_path / "im" / "a.png")),
        str(tmp_path / "gone.png"), None,
    ]  # fmt: skip


def test_encoded_images_stay_where_they_are(settle) -> None:
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    images = pa.array([{"bytes": b"\x89PNG...", "path": "a.png"}] * 12, kind)
    dataset = settle({"image": images, "label": LABELS})
    assert dataset.modality == "image"
    assert dataset.rows[0]["image"] == {"bytes": b"\x89PNG...", "path": "a.png"}
    assert (
        settle({"picture": [b"\xff\xd8\xff..."] * 12, "label": LABELS}).rows[0]["image"]["bytes"] == b"\xff\xd8\xff..."
    )


def test_images_of_which_none_is_there_are_a_sentence(settle) -> None:
    with pytest.raises(DataError, match=r"names image files, such as 'a\.png', but none of them is there"):
        settle({"file": ["a.png"] * 12, "label": LABELS})


@pytest.mark.parametrize("cell", [[1.0, 2.0, 3.0], [[1.0, 2.0, 3.0]], "[1, 2, 3]", "1 2 3 4"])
def test_series_come_in_many_forms(settle, cell: object) -> None:
    dataset = settle({"x": [cell] * 12, "label": LABELS})
    assert dataset.modality == "series"
    assert dataset.rows["series"][0][0][:3] == [1.0, 2.0, 3.0]


def test_columns_that_count_up_are_steps(settle) -> None:
    rng = np.random.default_rng(0)
    steps = {f"t{n}": rng.normal(size=12) for n in reversed(range(10))}
    dataset = settle({**steps, "label": LABELS})
    assert np.allclose(dataset.rows["series"][0], [[steps[f"t{n}"][0] for n in range(10)]])
    two = settle({**steps, **{f"u{n}": steps[f"t{n}"] for n in range(10)}, "label": LABELS})
    assert [len(channel) for channel in two.rows["series"][0]] == [10, 10]


def test_a_table_of_numbers_alone_has_its_class_in_front(settle) -> None:
    rng = np.random.default_rng(0)
    columns = {str(n): rng.normal(size=12) if n else np.arange(12) % 3 for n in range(20)}
    dataset = settle(columns)
    assert dataset.schema.target == "0"
    assert len(dataset.rows["series"][0][0]) == 19


def test_cells_that_are_no_series_are_told(settle) -> None:
    cells = ["1 2 3 4", "5 6 7 8", "cat"] * 4
    dataset = settle({"x": cells, "label": LABELS}, modality="series", inputs=("x",))
    assert "4 of 12 cells are no lists of numbers" in said(dataset)
    assert dataset.rows["series"][2] is None
    with pytest.raises(DataError, match="cannot be read as series in any of 12 rows"):
        settle({"x": ["cat"] * 12, "label": LABELS}, modality="series", inputs=("x",))


def test_rows_to_predict_need_neither_target_nor_its_column(settle) -> None:
    schema = settle({"text": TEXTS, "price": np.arange(12) / 7}).schema
    wanted = {"modality": "text", "inputs": schema.inputs, "target": schema.target, "kind": schema.kind}
    dataset = settle({"text": TEXTS[:2]}, need_target=False, **wanted)
    assert dataset.kind == "regression"
    assert dataset.rows["target"][:] == [None, None]
    labelled = settle({"text": TEXTS, "price": np.arange(12)}, need_target=False, **wanted)
    assert labelled.rows["target"][0] is None


def test_what_the_reader_knows_yields_to_the_user(settle) -> None:
    known = Schema(modality="text", inputs=("text",), target="label", kind="classification")
    columns = {"text": TEXTS, "label": LABELS, "other": [f"yet another text here, {n}" for n in range(12)]}
    assert settle(columns, known=known).schema == known
    assert settle(columns, known=known, inputs=("other",)).rows["text"][0] == "yet another text here, 0"


def test_an_empty_table_is_a_sentence(settle) -> None:
    with pytest.raises(DataError, match=r"data\.csv holds no rows"):
        settle({"text": pa.array([], pa.string())})


def test_no_path_of_the_source_is_written_to(settle, tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(b"as it was")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    settle({"file": ["a.png"] * 12, "label": LABELS})
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != "cache"} == before
    assert Path(tmp_path / "a.png").read_bytes() == b"as it was"


def test_dates_that_python_has_no_word_for_are_told_of(settle) -> None:
    columns = {
        "text": TEXTS,
        "label": LABELS,
        "far": pa.array([2**62, 2**61] * 6, pa.timestamp("us")),
        "day": pa.array([2**31 - 1] * 12, pa.date32()),
        "nowhere": pa.array(range(12), pa.timestamp("ns", "Nowhere/Land")),
    }
    dataset = settle(columns, target="label", order="nowhere", group="far")
    assert dataset.rows["order"] == sorted(dataset.rows["order"])
    assert len(set(dataset.rows["group"])) == 2


def test_texts_that_are_not_utf8_are_said_in_a_sentence(settle) -> None:
    cells = pa.array([b"a caf\xe9"] * 12, pa.binary())
    texts = pa.StringArray.from_buffers(12, *cells.buffers()[1:], cells.buffers()[0])
    with pytest.raises(DataError, match=r"Column `text` cannot be read \(Invalid UTF8"):
        settle({"text": texts, "label": LABELS})


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_images_in_a_folder_whose_path_is_no_text_are_refused_in_a_sentence(tmp_path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    (folder / "a.png").touch()
    table = Table(
        rows=datasets.Dataset(pa.table({"image": ["a.png"] * 12, "label": LABELS})),
        source="data.csv",
        name="data",
        folder=folder,
    )
    with pytest.raises(DataError, match=r"\\udcff holds bytes that are not UTF-8"):
        interpret(table, Schema(), tmp_path / "cache")
