from __future__ import annotations

import hashlib
import string
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
from datasets.features.features import Array2DExtensionType
from prepared_files import prepared_series

from seedbed import Dataset, Finding, NoOptions
from seedbed.core.data.check import input_of
from seedbed.core.data.columns import image_rows
from seedbed.core.data.dataset import Table
from seedbed.core.data.inference.interpret import interpret
from seedbed.core.data.prepared import Prepared, PreparedImages, PreparedSeries, PreparedText
from seedbed.core.data.schema import Schema
from seedbed.plugins.checks.leaks import shortcuts, target_leaks

ROWS = 400
RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 3, ROWS)
NAMES = [("spam", "eggs", "ham")[code] for code in CODES]
VALUES = RNG.normal(size=ROWS)
WORDS = [" ".join(RNG.choice(list(string.ascii_lowercase), 12)) for _ in range(ROWS)]


def told(
    build: Callable,
    prepared: Prepared,
    columns: dict[str, object],
    target: object = NAMES,
    *,
    kind: str = "classification",
    modality: str = "text",
    inputs: tuple[str, ...] = (),
) -> list[Finding]:
    """What a check says of a table; columns beside the input go by their bare names."""
    own = {"text", "series", "image"}
    given = {name if name in own else f"column:{name}": values for name, values in columns.items()}
    table = pa.table({**given, "target": target, "part": [""] * len(target)})
    dataset = Dataset(
        rows=datasets.Dataset(table),
        modality=modality,
        kind=kind,
        source="here",
        name="here",
        schema=Schema(inputs=inputs),
    )
    return list(build(NoOptions())(input_of(dataset, prepared)))


def texts_of(folder: Path, characters: np.ndarray) -> PreparedText:
    """Texts of these lengths; those of length 0 cannot be used."""
    np.save(folder / "characters.npy", characters.astype(np.int32))
    return PreparedText(folder=folder, rows=len(characters), fingerprint="")


@pytest.fixture
def leaks(tmp_path) -> Callable[..., list[Finding]]:
    """Tell the leaks of a table of texts; the first `empty` texts cannot be used."""

    def find(columns: dict[str, object], target: object = NAMES, *, empty: int = 0, **options) -> list[Finding]:
        characters = np.where(np.arange(len(target)) < empty, 0, 20)
        text = {} if "text" in columns else {"text": WORDS[: len(target)]}
        return told(target_leaks, texts_of(tmp_path, characters), {**text, **columns}, target, **options)

    return find


def test_a_copy_of_the_target_is_named_with_its_numbers(leaks) -> None:
    (finding,) = leaks({"label_again": NAMES})
    assert finding.rows == ("label_again",)
    assert finding.count == 1
    assert "'label_again'" in finding.evidence
    assert "100.0% of 200 rows" in finding.evidence
    assert finding.severity == "info"  # nothing is learnt from it
    assert "inputs" in finding.remedy


def test_a_leak_among_the_inputs_is_a_warning(leaks) -> None:
    (finding,) = leaks({"label_again": NAMES}, inputs=("text", "label_again"))
    assert finding.severity == "warning"
    assert "--input" in finding.remedy


def test_a_leak_among_columns_that_are_joined_into_a_text_is_found(tmp_path) -> None:
    columns = {"title": WORDS, "code": [f"k{code}" for code in CODES], "target": NAMES}
    table = Table(rows=datasets.Dataset(pa.table(columns)), source="mails.csv", name="mails")
    wanted = Schema(modality="text", inputs=("title", "code"), target="target")
    dataset = interpret(table, wanted, tmp_path)
    prepared = texts_of(tmp_path, np.full(ROWS, 20))
    (finding,) = target_leaks(NoOptions())(input_of(dataset, prepared))
    assert finding.rows == ("code",)
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    "copy",
    [
        [hashlib.md5(name.encode()).hexdigest() for name in NAMES],
        CODES.tolist(),
        (CODES * 0.5 - 3).tolist(),
        pa.array(NAMES).dictionary_encode(),
        pa.array(NAMES, pa.large_string()),
        [date(2020, 1, 1) + timedelta(days=int(code)) for code in CODES],
        [Decimal(int(code)) for code in CODES],
    ],
    ids=["hashed", "numbers", "fractions", "dictionary", "large strings", "dates", "decimals"],
)
def test_a_copy_is_known_in_any_clothes(leaks, copy) -> None:
    assert [finding.rows for finding in leaks({"copy": copy})] == [("copy",)]


def test_a_near_copy_is_a_leak_too(leaks) -> None:
    near = [name if number % 60 else "ham" for number, name in enumerate(NAMES)]
    assert [finding.rows for finding in leaks({"near": near})] == [("near",)]


def test_a_column_that_helps_is_no_leak(leaks) -> None:
    helps = np.where(RNG.random(ROWS) < 0.3, RNG.integers(0, 3, ROWS), CODES)
    assert leaks({"helps": helps.tolist()}) == []


@pytest.mark.parametrize(
    "ids",
    [list(range(ROWS)), [f"id-{row}" for row in range(ROWS)], [row * 1e-3 for row in range(ROWS)]],
    ids=["numbers", "strings", "fractions"],
)
def test_a_number_of_its_own_in_every_row_is_no_leak(leaks, ids) -> None:
    assert leaks({"id": ids}) == []
    assert leaks({"id": ids}, VALUES.tolist(), kind="regression") == []


def test_a_number_that_rises_through_rows_sorted_by_class_is_no_copy_of_it(leaks) -> None:
    assert leaks({"id": list(range(ROWS))}, sorted(NAMES)) == []


def test_missing_cells_are_left_out_of_the_judgement(leaks) -> None:
    gaps = [None if row % 3 == 0 else name for row, name in enumerate(NAMES)]
    (finding,) = leaks({"gaps": gaps})
    assert finding.rows == ("gaps",)


@pytest.mark.parametrize(
    "values",
    [
        pa.nulls(ROWS),
        [[1, 2]] * ROWS,
        [{"a": 1}] * ROWS,
        np.arange(ROWS, dtype=np.float16),
        pa.array([b"\xff\x00"] * ROWS, pa.large_binary()),
        pa.array([b"\xff\x00"] * ROWS, pa.binary(2)),
        [True, False] * (ROWS // 2),
        [timedelta(days=1)] * ROWS,
        pa.ExtensionArray.from_storage(
            Array2DExtensionType((1, 2), "float32"), pa.array([[[1.0, 2.0]]] * ROWS, pa.list_(pa.list_(pa.float32())))
        ),
        pa.array(["v"] * ROWS, pa.string_view()),
    ],
    ids=["nulls", "lists", "structs", "halves", "large binary", "fixed", "flags", "durations", "matrices", "views"],
)
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_column_of_any_type_hides_no_leak_in_another(leaks, values, kind) -> None:
    target = NAMES if kind == "classification" else VALUES.tolist()
    found = leaks({"odd": values, "copy": target}, target, kind=kind)
    assert [finding.rows for finding in found] == [("copy",)]


def test_a_column_of_numbers_that_equals_a_value_to_be_predicted_is_a_leak(leaks) -> None:
    (finding,) = leaks(
        {"price_again": VALUES.tolist(), "noise": RNG.normal(size=ROWS)}, VALUES.tolist(), kind="regression"
    )
    assert finding.rows == ("price_again",)
    assert "correlation 1.0000" in finding.evidence


def test_other_units_and_rounding_do_not_hide_a_value(leaks) -> None:
    (finding,) = leaks({"cents": np.round(VALUES * -1000).astype(np.int64)}, VALUES.tolist(), kind="regression")
    assert finding.rows == ("cents",)


def test_a_good_predictor_of_a_value_is_no_leak(leaks) -> None:
    assert leaks({"helps": VALUES + 0.1 * RNG.normal(size=ROWS)}, VALUES.tolist(), kind="regression") == []


def test_numbers_beyond_what_floats_hold_exactly_are_read_all_the_same(leaks) -> None:
    hashes = RNG.integers(2**55, 2**62, ROWS)
    (finding,) = leaks({"hash": hashes, "copy": VALUES}, VALUES.tolist(), kind="regression")
    assert finding.rows == ("copy",)


def test_gaps_in_numbers_do_not_hide_a_value(leaks) -> None:
    gaps = [None if row % 4 == 0 else float(value) for row, value in enumerate(VALUES)]
    target = [None if row % 5 == 0 else float(value) for row, value in enumerate(VALUES)]
    (finding,) = leaks({"gaps": gaps}, target, kind="regression")
    assert finding.rows == ("gaps",)


def test_few_rows_are_not_judged(leaks) -> None:
    assert leaks({"copy": NAMES[:30]}, NAMES[:30]) == []


def test_rows_that_cannot_be_used_do_not_count(leaks) -> None:
    assert leaks({"copy": NAMES}, empty=ROWS - 30) == []


def test_of_a_large_table_a_sample_is_looked_at(leaks, monkeypatch) -> None:
    monkeypatch.setattr("seedbed.plugins.checks.leaks._SAMPLE", 100)
    (finding,) = leaks({"copy": NAMES})
    assert "of 50 rows" in finding.evidence


def test_several_labels_are_looked_at_without_complaint(leaks) -> None:
    labels = [["a"] if code else ["a", "b"] for code in CODES]
    assert leaks({"copy": NAMES}, labels, kind="multilabel") == []


def test_texts_that_hold_the_name_of_their_class_are_told_with_shares(leaks) -> None:
    texts = [f"{words} [label: {name.upper()}]" for words, name in zip(WORDS, NAMES, strict=True)]
    (finding,) = leaks({"text": texts})
    assert finding.severity == "warning"
    assert set(finding.rows) == {"spam", "eggs", "ham"}
    assert finding.count == 3
    assert "'spam' in 100% of its own, 0% of the other texts" in finding.evidence


def test_a_class_name_that_stands_in_all_texts_is_no_leak(leaks) -> None:
    assert leaks({"text": [f"{words} spam eggs ham" for words in WORDS]}) == []


def test_a_class_name_in_some_of_its_texts_is_no_leak(leaks) -> None:
    texts = [f"{words} {name if row % 2 else ''}" for row, (words, name) in enumerate(zip(WORDS, NAMES, strict=True))]
    assert leaks({"text": texts}) == []


def test_a_class_name_of_one_letter_is_too_short_to_mean_anything(leaks) -> None:
    target = ["q" if code else "x" for code in CODES]
    assert leaks({"text": [f"{name}{name}{name}" for name in target]}, target) == []


def test_class_names_are_looked_for_as_they_are_written_and_not_as_patterns(leaks) -> None:
    target = ["C++" if code else "F.*" for code in CODES]
    found = leaks({"text": [f"{words} CCC" for words in WORDS]}, target)
    assert found == []
    (finding,) = leaks({"text": [f"{words} in {name}" for words, name in zip(WORDS, target, strict=True)]}, target)
    assert set(finding.rows) == {"C++", "F.*"}


def test_texts_that_are_missing_hold_no_name(leaks) -> None:
    texts = [None if row % 50 == 0 else f"{name} {row}" for row, name in enumerate(NAMES)]
    (finding,) = leaks({"text": texts})
    assert set(finding.rows) == {"spam", "eggs", "ham"}


def test_class_names_are_looked_for_in_texts_alone() -> None:
    prepared = PreparedImages(folder=Path("nowhere"), rows=ROWS, fingerprint="", height=8, width=8, channels=1)
    assert told(target_leaks, prepared, {"image": NAMES}, modality="image") == []


def sized(folder: Path, sizes: np.ndarray, suffixes: list[str], orientations: object = 1) -> list[Finding]:
    """What is said of images with these sizes (N, 2) and file names."""
    originals = np.ones((len(sizes), 3), dtype=np.int32)
    originals[:, :2] = sizes
    originals[:, 2] = orientations
    np.save(folder / "originals.npy", originals)
    prepared = PreparedImages(folder=folder, rows=len(sizes), fingerprint="", height=8, width=8, channels=1)
    files = [f"/photos/{row}{suffix}" for row, suffix in enumerate(suffixes)]
    dataset = Dataset(rows=image_rows(files, NAMES, [""] * len(files)), modality="image", source="here", name="here")
    return list(shortcuts(NoOptions())(input_of(dataset, prepared)))


SAME = np.tile([640, 480], (ROWS, 1))


def test_images_alike_but_for_what_they_show_hold_no_shortcut(tmp_path) -> None:
    assert sized(tmp_path, SAME, [".png"] * ROWS) == []


def test_the_size_of_images_may_tell_the_class(tmp_path) -> None:
    (finding,) = sized(tmp_path, SAME + CODES[:, None], [".png"] * ROWS)
    assert finding.severity == "warning"
    assert "size" in finding.evidence
    assert "100.0%" in finding.evidence


def test_sizes_that_vary_within_the_classes_may_tell_them_apart_all_the_same(tmp_path) -> None:
    sizes = RNG.integers(0, 100, (ROWS, 2)) + 200 * (CODES[:, None] + 1)
    (finding,) = sized(tmp_path, sizes, [".png"] * ROWS)
    assert "size" in finding.evidence


def test_the_kind_of_file_may_tell_the_class(tmp_path) -> None:
    (finding,) = sized(tmp_path, SAME, [(".png", ".JPG", ".gif")[code] for code in CODES])
    assert "suffix" in finding.evidence


def test_a_suffix_is_the_same_in_capitals(tmp_path) -> None:
    assert sized(tmp_path, SAME, [(".jpg", ".JPG", ".Jpg")[code] for code in CODES]) == []


def test_the_way_a_camera_was_held_may_tell_the_class(tmp_path) -> None:
    (finding,) = sized(tmp_path, SAME, [".jpg"] * ROWS, np.array([1, 6, 8])[CODES])
    assert "EXIF orientation" in finding.evidence


def test_images_given_as_bytes_are_looked_at_without_reading_them(tmp_path, monkeypatch) -> None:
    rows = image_rows([b"pixels"] * ROWS, NAMES, [""] * ROWS)
    originals = np.ones((ROWS, 3), dtype=np.int32)
    np.save(tmp_path / "originals.npy", originals)
    prepared = PreparedImages(folder=tmp_path, rows=ROWS, fingerprint="", height=8, width=8, channels=1)
    dataset = Dataset(rows=rows, modality="image", source="here", name="here")
    assert list(shortcuts(NoOptions())(input_of(dataset, prepared))) == []


def series(folder: Path, lengths: np.ndarray) -> PreparedSeries:
    return prepared_series(folder, [np.zeros((length, 1)) for length in lengths])


def test_the_length_of_series_may_tell_the_class(tmp_path) -> None:
    prepared = series(tmp_path, 10 * (CODES + 1) + RNG.integers(0, 5, ROWS))
    (finding,) = told(shortcuts, prepared, {"series": [[[0.0]]] * ROWS}, modality="series")
    assert "length of a series" in finding.evidence


def test_lengths_that_vary_alike_in_all_classes_are_no_shortcut(tmp_path) -> None:
    prepared = series(tmp_path, RNG.integers(10, 500, ROWS))
    assert told(shortcuts, prepared, {"series": [[[0.0]]] * ROWS}, modality="series") == []


def test_the_length_of_texts_may_tell_the_class(tmp_path) -> None:
    prepared = texts_of(tmp_path, 1000 * (CODES + 1) + RNG.integers(0, 900, ROWS))
    (finding,) = told(shortcuts, prepared, {"text": WORDS})
    assert "length of a text" in finding.evidence


def test_values_are_not_asked_for_shortcuts(tmp_path) -> None:
    prepared = series(tmp_path, np.arange(ROWS) + 1)
    columns = {"series": [[[0.0]]] * ROWS}
    assert told(shortcuts, prepared, columns, VALUES.tolist(), kind="regression", modality="series") == []
