from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seedbed import NoOptions, Repair
from seedbed.core.data.check import input_of
from seedbed.core.data.columns import image_rows
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.features import Features
from seedbed.core.data.prepared import PreparedImages
from seedbed.plugins.checks.labels import label_errors

ROWS = 600


def given(flipped: int, spread: float, *, seen: int = ROWS):
    """Three classes whose hundred features lie `spread` wide about three points; the first rows have a wrong label."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, ROWS)
    values = (10 * np.eye(100)[true] + spread * rng.normal(size=(ROWS, 100))).astype(np.float32)
    labels = true.copy()
    labels[:flipped] = (true[:flipped] + 1) % 3
    rows = image_rows(["x.png"] * ROWS, ["abc"[code] for code in labels], [""] * ROWS)
    dataset = Dataset(rows=rows, modality="image", source="here", name="here")
    prepared = PreparedImages(
        folder=Path("nowhere"), rows=ROWS, height=8, width=8, channels=1, fingerprint="", unreadable=((5, "is bad"),)
    )
    features = Features(rows=np.arange(seen), values=values[:seen], source="a hundred numbers")
    return replace(input_of(dataset, prepared), features=features), true


def check(found) -> list:
    return list(label_errors(NoOptions())(found))


def test_wrong_labels_are_named_with_the_class_they_look_like() -> None:
    found, true = given(flipped=24, spread=2.0)
    (repair,) = check(found)
    assert isinstance(repair, Repair)
    wrong = set(range(24)) - {5}  # what cannot be read is not judged
    named = set(repair.relabel.tolist())
    assert len(named & wrong) >= 0.8 * len(wrong)
    assert len(named & wrong) >= 0.8 * len(named)
    right = [label == "abc"[true[row]] for row, label in zip(repair.relabel, repair.labels, strict=True)]
    assert np.mean(right) > 0.8
    assert not repair.is_safe
    assert repair.finding.count == len(repair.finding.rows) == len(named)
    assert "a hundred numbers" in repair.finding.evidence


def test_where_a_sample_was_looked_at_this_is_said() -> None:
    found, _ = given(flipped=24, spread=2.0, seen=400)
    (repair,) = check(found)
    assert "of 399 looked at" in repair.finding.evidence
    assert repair.relabel.max() < 400


def test_clean_labels_are_not_worth_a_word() -> None:
    assert check(given(flipped=0, spread=2.0)[0]) == []


@pytest.mark.parametrize("flipped", [0, 24])
def test_a_probe_that_sees_next_to_nothing_names_no_row(flipped: int) -> None:
    (finding,) = check(given(flipped=flipped, spread=60.0)[0])
    assert finding.severity == "info"
    assert "cannot be told" in finding.evidence
    assert finding.rows == ()


def test_without_features_or_with_one_class_there_is_nothing_to_say() -> None:
    found, _ = given(flipped=24, spread=2.0)
    assert check(replace(found, features=None)) == []
    few = replace(found, features=Features(rows=np.arange(20), values=np.zeros((20, 3), np.float32), source="few"))
    assert check(few) == []
