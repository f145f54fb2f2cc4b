from __future__ import annotations

import io

import datasets
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from seedbed import NoOptions
from seedbed.core.data.check import input_of
from seedbed.core.data.columns import image_rows
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.preparing.prepare import prepare
from seedbed.core.data.preparing.prepare_series import prepare_series
from seedbed.core.data.preparing.prepare_text import prepare_text
from seedbed.core.data.repair import repaired
from seedbed.plugins.checks.duplicates import duplicates


def encoded(number: int, form: str = "PNG", **options: object) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC).save(buffer, form, **options)
    return buffer.getvalue()


def images(tmp_path, pictures: list[bytes], targets: list[str], parts: list[str]):
    dataset = Dataset(rows=image_rows(pictures, targets, parts), modality="image", source="here", name="here")
    return input_of(dataset, prepare(dataset, tmp_path / "cache"))


def check(given):
    return list(duplicates(NoOptions())(given))


def test_rows_without_copies_are_not_worth_a_word(tmp_path):
    assert check(images(tmp_path, [encoded(n) for n in range(6)], ["a", "b"] * 3, [""] * 6)) == []


def test_exact_and_near_copies_are_told_apart_and_bound_together(tmp_path):
    pictures = [encoded(0), encoded(1), encoded(2), encoded(0), encoded(1, "JPEG", quality=85)]
    exact, near = check(images(tmp_path, pictures, ["a", "b", "a", "a", "b"], [""] * 5))
    assert exact.finding.rows == ("row 0", "row 3")
    assert exact.finding.evidence == "2 rows are the same as another (1 set): row 0 = row 3."
    assert near.finding.rows == ("row 1", "row 4")
    assert exact.is_safe
    assert near.is_safe
    assert near.together[1] == near.together[4] >= 0
    assert exact.together[1] == -1


def test_copies_across_given_parts_are_warned_of_with_what_may_be_done(tmp_path):
    pictures = [encoded(0), encoded(1), encoded(2), encoded(0), encoded(1)]
    given = images(tmp_path, pictures, ["a", "b", "a", "a", "b"], ["train", "train", "train", "test", "valid"])
    within, valid, test = check(given)
    assert within.finding.severity == "warning"
    assert "(2 sets, 2 of them across the parts that were given)" in within.finding.evidence
    assert (valid.finding.rows, test.finding.rows) == (("row 4",), ("row 3",))
    assert valid.is_safe
    assert not test.is_safe
    usable = given.prepared.usable()
    safe = repaired([within, valid, test], given.targets, usable, "safe")
    assert safe.trainable.tolist() == [True, False, True, True, True]
    assert repaired([within, valid, test], given.targets, usable, "all").trainable.tolist()[:2] == [False, False]
    assert repaired([within, valid, test], given.targets, usable, "none").trainable.all()


def test_one_picture_under_two_labels_is_a_contradiction(tmp_path):
    given = images(tmp_path, [encoded(0), encoded(1), encoded(0)], ["a", "b", "b"], [""] * 3)
    _, contradiction = check(given)
    assert "row 0 (a) = row 2 (b)" in contradiction.finding.evidence
    assert contradiction.drop.tolist() == [0, 2]
    assert not contradiction.is_safe


def of_column(name: str, values: pa.Array, targets: list[str]) -> Dataset:
    table = pa.table({name: values, "target": targets, "part": [""] * len(targets)})
    return Dataset(rows=datasets.Dataset(table), modality=name, source="here", name="here")


def test_texts_are_equal_whatever_their_case_and_spaces(tmp_path):
    texts = ["A good  film", "a bad film", "a good film ", "another film altogether"]
    dataset = of_column("text", pa.array(texts), ["a", "b", "a", "b"])
    (exact,) = check(input_of(dataset, prepare_text(dataset, tmp_path / "cache")))
    assert exact.finding.rows == ("row 0", "row 2")


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_series_are_equal_by_their_values(tmp_path, shift):
    waves = [[[1.0, 2.0, 3.0]], [[1.0, 2.0]], [[1.0 + shift, 2.0, 3.0]]]
    dataset = of_column("series", pa.array(waves, pa.list_(pa.list_(pa.float32()))), ["a", "b", "a"])
    found = check(input_of(dataset, prepare_series(dataset, tmp_path / "cache")))
    assert [each.finding.rows for each in found] == ([] if shift else [("row 0", "row 2")])


def test_rows_that_cannot_be_read_are_no_copies_of_each_other(tmp_path):
    pictures = [b"", b"", b"no image", b"no image", encoded(0), encoded(1)]
    assert check(images(tmp_path, pictures, ["a", "b"] * 3, [""] * 6)) == []
