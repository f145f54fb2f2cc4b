from __future__ import annotations

import json
import os
import random

import datasets
import numpy as np
import pytest
from PIL import Image

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext
from seedbed.core.data.inference.interpret import interpret
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError
from seedbed.plugins.readers import saved

FEATURES = datasets.Features(
    {
        "text": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["bad", "good"]),
        "tags": datasets.List(datasets.ClassLabel(names=["a", "b", "c"])),
        "picture": datasets.Image(),
        "grid": datasets.Array2D((2, 3), "float32"),
        "series": datasets.Sequence(datasets.Value("float32")),
    }
)


@pytest.fixture(autouse=True)
def no_progress():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def _rows(count=4, label=1, features=FEATURES):
    columns = {
        "text": [f"text number {number}" for number in range(count)],
        "label": [label if number else 0 for number in range(count)],
        "tags": [[0, 2], [], [1], [2]][:count],
        "picture": [Image.new("L", (4, 4), number) for number in range(count)],
        "grid": [np.full((2, 3), number) for number in range(count)],
        "series": [[1.0] * (number + 1) for number in range(count)],
    }
    return datasets.Dataset.from_dict({name: columns[name] for name in features}, features=features)


@pytest.fixture
def read(tmp_path):
    """Save a data set and read it back."""

    def run(data, folder="saved set"):
        data.save_to_disk(str(tmp_path / folder))
        return saved.build(NoOptions()).read(str(tmp_path / folder), ReadContext(cache=tmp_path / "cache"))

    return run


def _values(table, name):
    return table.rows.with_format("arrow")[:].column(name).to_pylist()


def test_columns_come_in_types_that_say_what_they_hold(read):
    table = read(_rows())
    assert _values(table, "label") == ["bad", "good", "good", "good"]
    assert _values(table, "tags") == [["a", "c"], [], ["b"], ["c"]]
    assert _values(table, "grid")[1] == [[1.0] * 3] * 2
    assert table.rows.features["picture"] == datasets.Image(decode=False)
    assert _values(table, "picture")[0]["bytes"].startswith(b"\x89PNG")
    assert _values(table, "series")[1] == [1.0, 1.0]
    assert (table.schema, table.name) == (Schema(target="label"), "saved-set")


def test_splits_become_parts(read):
    data = datasets.DatasetDict({"test": _rows(2), "train": _rows(3), "validation": _rows(1)})
    table = read(data)
    assert _values(table, "part") == ["train"] * 3 + ["valid"] + ["test"] * 2
    assert table.schema == Schema(target="label", part="part")


def test_rows_lie_memory_mapped_and_in_their_order(read, tmp_path):
    import pyarrow as pa

    table = read(datasets.Dataset.from_dict({"a": list(range(200_000))}))
    before = pa.total_allocated_bytes()
    again = saved.build(NoOptions()).read(table.source, ReadContext(cache=tmp_path))
    assert again.rows.with_format("arrow")[150_000]["a"].to_pylist() == [150_000]
    assert pa.total_allocated_bytes() - before < 200_000


def test_a_selection_of_rows_keeps_its_order(read):
    assert _values(read(_rows().select([3, 1])), "text") == ["text number 3", "text number 1"]


def test_rows_marked_as_unlabelled_have_no_target(read):
    data = datasets.DatasetDict({"train": _rows(2), "test": _rows(2, label=-1)})
    assert _values(read(data), "label") == ["bad", "good", "bad", None]


def test_a_split_that_is_no_part_is_left_out_and_told(read):
    table = read(datasets.DatasetDict({"train": _rows(2), "unsupervised": _rows(4)}))
    assert len(table) == 2
    assert any("unsupervised are left out" in finding.evidence for finding in table.findings)


def test_splits_by_other_names_are_joined(read):
    table = read(datasets.DatasetDict({"fold1": _rows(2), "fold2": _rows(3)}))
    assert (len(table), table.schema.part) == (5, "")
    assert "joined" in table.findings[0].evidence


def test_without_a_training_split_nothing_is_taken_for_one(read):
    table = read(datasets.DatasetDict({"validation": _rows(2), "test": _rows(1)}))
    assert _values(table, "part") == ["", "", "test"]


def test_columns_that_a_split_lacks_are_empty_there(read):
    table = read(datasets.DatasetDict({"train": _rows(2), "test": _rows(2).remove_columns("label")}))
    assert _values(table, "label") == ["bad", "good", None, None]
    assert any("lacks the columns label" in finding.evidence for finding in table.findings)


def test_splits_of_other_types_are_refused(read):
    one, other = datasets.Dataset.from_dict({"a": [1]}), datasets.Dataset.from_dict({"a": ["x"]})
    with pytest.raises(DataError, match="split test do not fit"):
        read(datasets.DatasetDict({"train": one, "test": other}))


def test_no_rows_are_refused(read):
    with pytest.raises(DataError, match="has no rows"):
        read(datasets.DatasetDict({"train": datasets.Dataset.from_dict({"a": []})}))
    with pytest.raises(DataError, match="has no rows"):
        read(_rows(4).select([]), "not even a file")


def test_equal_folders_have_equal_rows_and_what_changed_has_another_name(read):
    first, second = read(_rows(), "a"), read(_rows(3), "b")
    assert first.rows._fingerprint != second.rows._fingerprint
    reader, context = saved.build(NoOptions()), ReadContext(cache=None)
    assert reader.read(first.source, context).rows._fingerprint == first.rows._fingerprint


def test_only_its_own_folders_are_recognised(tmp_path, read):
    reader = saved.build(NoOptions())
    read(_rows(), "one")
    read(datasets.DatasetDict({"train": _rows()}), "several")
    assert reader.recognises(tmp_path / "one")
    assert reader.recognises(tmp_path / "several")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "state.json").write_text("{}")
    assert not reader.recognises(tmp_path / "other")
    assert not reader.recognises(tmp_path / "none")


def test_what_was_read_can_be_interpreted(read, tmp_path):
    rows = datasets.Dataset.from_dict(
        {"text": [f"a film, number {number}" for number in range(12)], "label": [0, 1] * 6},
        features=datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["n", "y"])}),
    )
    dataset = interpret(read(rows), Schema(), tmp_path)
    assert (dataset.modality, dataset.kind, set(dataset.rows["target"])) == ("text", "classification", {"n", "y"})


@pytest.mark.parametrize("name", ["state.json", "dataset_info.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"features": {"a": {"_type": "Nonsense"}}}', "[" * 100_000])
def test_a_damaged_description_is_refused(read, name, content, tmp_path):
    read(_rows(), "one")
    (tmp_path / "one" / name).write_text(content)
    if name == "dataset_info.json" and content == "{}":  # features are then taken from the rows
        assert len(saved.build(NoOptions()).read(str(tmp_path / "one"), ReadContext(cache=tmp_path))) == 4
        return
    with pytest.raises(DataError, match="write it again with save_to_disk"):
        saved.build(NoOptions()).read(str(tmp_path / "one"), ReadContext(cache=tmp_path))


@pytest.mark.parametrize("content", ["[]", "{}", '{"splits": ["none"]}', '{"splits": [[]]}', '{"splits": 5}'])
def test_a_damaged_list_of_splits_is_refused(tmp_path, content):
    (tmp_path / "dataset_dict.json").write_text(content)
    with pytest.raises(DataError):
        saved.build(NoOptions()).read(str(tmp_path), ReadContext(cache=tmp_path))


def test_rows_cut_or_changed_anywhere_end_in_a_table_or_a_sentence(read, tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "series": FEATURES["series"]})
    read(_rows(features=features), "one")
    state = json.loads((tmp_path / "one" / "state.json").read_text())
    file = tmp_path / "one" / state["_data_files"][0]["filename"]
    whole, rng, refused = file.read_bytes(), random.Random(0), 0
    for attempt in range(200):
        content = bytearray(whole)
        if attempt % 2:
            del content[rng.randrange(len(content)) :]
        else:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        file.unlink()  # what is mapped must not change under it
        file.write_bytes(content)
        try:
            table = saved.build(NoOptions()).read(str(tmp_path / "one"), ReadContext(cache=tmp_path))
            table.rows.with_format("arrow")[:].to_pylist()
        except DataError:
            refused += 1
    assert 100 <= refused < 200


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_in_the_place_of_rows_is_not_waited_for(read, tmp_path):
    read(_rows(features=datasets.Features({"text": FEATURES["text"]})))
    (rows,) = (tmp_path / "saved set").glob("*.arrow")
    rows.unlink()
    os.mkfifo(rows)
    with pytest.raises(DataError, match=r"arrow is no file"):
        saved.build(NoOptions()).read(str(tmp_path / "saved set"), ReadContext(cache=tmp_path / "cache"))
