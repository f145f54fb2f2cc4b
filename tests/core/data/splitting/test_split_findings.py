from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.splitting.split import Splits, split
from seedbed.core.data.splitting.split_findings import half_width, judge
from seedbed.core.data.splitting.splits import SplitInput
from seedbed.core.data.targets import Targets

TRAIN, VALID, TEST = 1, 2, 3


def divide(codes: np.ndarray, parts: np.ndarray, usable: np.ndarray | None = None) -> Splits:
    targets = Targets(kind="classification", values=codes, classes=tuple("abcdefgh")[: int(codes.max()) + 1])
    return split(targets, parts.astype(np.int8), np.ones(len(codes), bool) if usable is None else usable, 0)


def of(splits: Splits, check: str) -> list:
    return [each for each in splits.findings if each.check == check]


def test_a_large_stratified_split_has_nothing_to_say() -> None:
    assert divide(np.arange(3000) % 4, np.zeros(3000)).findings == ()


def test_classes_that_a_part_lacks_are_named() -> None:
    codes = np.arange(900) % 3
    parts = np.where(np.arange(900) < 300, TEST, 0)
    codes[:300] %= 2
    (finding,) = of(divide(codes, parts), "missing_classes")
    assert finding.severity == "warning"
    assert finding.rows == ("c",)
    assert (
        "The test part (300 rows) has no row of 1 of 3 classes; in brackets how many training has: c ("
        in finding.evidence
    )


def test_a_part_unlike_training_is_said_with_the_shares() -> None:
    codes = np.concatenate([np.arange(1000) % 2, np.arange(200) % 10 // 9])
    parts = np.repeat([TRAIN, TEST], [1000, 200])
    (finding,) = of(divide(codes, parts), "class_shift")
    assert "a 90% against 50%" in finding.evidence
    assert "total variation 0.40" in finding.evidence


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), rows=st.sampled_from([5, 30, 300]), classes=st.integers(2, 8))
def test_chance_alone_is_not_called_a_shift(seed: int, rows: int, classes: int) -> None:
    codes = np.random.default_rng(seed).integers(0, classes, 1000 + rows)
    assert not of(divide(codes, np.repeat([TRAIN, TEST], [1000, rows])), "class_shift")


def test_values_unlike_those_of_training_are_said() -> None:
    numbers = np.concatenate([np.arange(1000.0), np.arange(200.0) + 700])
    targets = Targets(kind="regression", values=numbers)
    splits = split(targets, np.repeat([TRAIN, TEST], [1000, 200]).astype(np.int8), np.ones(1200, bool), 0)
    (finding,) = of(splits, "target_shift")
    assert "quartiles 749.8, 799.5, 849.2 against" in finding.evidence


def test_labels_of_another_share_are_said() -> None:
    rows = np.zeros((1200, 3), np.uint8)
    rows[::2, 0] = rows[::5, 1] = rows[1000:, 2] = rows[:100, 2] = 1
    targets = Targets(kind="multilabel", values=rows, classes=("a", "b", "c"))
    splits = split(targets, np.repeat([TRAIN, TEST], [1000, 200]).astype(np.int8), np.ones(1200, bool), 0)
    (finding,) = of(splits, "class_shift")
    assert "c 100% against 10%" in finding.evidence


@pytest.mark.parametrize(("own", "severity"), [(True, "warning"), (False, "info")])
def test_a_validation_part_too_small_to_tell_models_apart_says_how_far_it_can(own: bool, severity: str) -> None:
    parts = np.where(np.arange(200) < 40, VALID, TRAIN) if own else np.zeros(200)
    (finding,) = of(divide(np.arange(200) % 2, parts), "small_validation")
    assert finding.severity == severity
    assert "Validation has 40 rows: an accuracy near 0.8 is known to ±0.124 (95 %)" in finding.evidence
    assert "scores over 10 folds, of all 200 rows, would be known 2.2 times better" in finding.remedy
    assert ("Give 246 rows or more" in finding.remedy) == own


def test_the_rows_asked_for_are_enough() -> None:
    assert half_width(245) > 0.05 >= half_width(246)
    parts = np.where(np.arange(1000) < 246, VALID, TRAIN)
    assert not of(divide(np.arange(1000) % 2, parts), "small_validation")


def test_an_own_part_of_no_use_is_said_with_the_reasons() -> None:
    codes = np.arange(100) % 2
    codes[[1, 2]], codes[3] = 2, -1  # a class that training has not, and no target
    parts = np.zeros(100)
    parts[:4] = VALID
    usable = np.ones(100, bool)
    usable[0] = False
    splits = divide(codes, parts, usable)
    (finding,) = of(splits, "empty_part")
    assert "None of the 4 rows of the validation part can be used" in finding.evidence
    assert (
        "(1 cannot be read or were left out, 1 have no target, 2 are of classes that training has not)"
        in finding.evidence
    )
    assert "another was taken" in finding.evidence
    assert len(splits.valid) == 20 - 1


def test_an_own_test_part_of_no_use_leaves_no_test_score() -> None:
    usable = np.arange(100) >= 10
    splits = divide(np.arange(100) % 2, np.where(usable, 0, TEST), usable)
    (finding,) = of(splits, "empty_part")
    assert "there is no test score" in finding.evidence


def test_of_a_part_that_judges_nothing_it_is_not_said_what_it_lacks() -> None:
    codes = np.array([0] * 40 + [1] * 40 + [2] * 10)
    groups = np.concatenate([np.arange(80) // 4, np.full(10, 99)])
    targets, usable = Targets(kind="classification", values=codes, classes=("a", "b", "c")), np.ones(90, bool)
    splits = split(targets, np.zeros(90, np.int8), usable, 0, groups=groups)
    assert {each.check for each in splits.findings} == {"missing_classes", "small_validation"}
    given = SplitInput(
        targets=targets, strata=targets.strata(), parts=np.zeros(90, np.int8), readable=usable, usable=usable,
        trainable=usable, groups=groups, duplicates=np.full(90, -1), order=None,
    )  # fmt: skip
    assert tuple(judge(given, splits, is_drawn=True)) == splits.findings
    assert not list(judge(given, splits, is_drawn=True, has_folds=True))
    asked = []
    over_folds = split(
        targets, np.zeros(90, np.int8), usable, 0, groups=groups, folds_for=lambda n: asked.append(n) or 5
    )
    assert (over_folds.findings, asked) == ((), [90])


def test_names_of_any_length_leave_a_finding_readable() -> None:
    names = tuple(letter * 100_000 for letter in "abc")
    targets = Targets(kind="classification", values=np.array([0, 1] * 500 + [0, 2] * 100), classes=names)
    splits = split(targets, np.repeat([TRAIN, TEST], [1000, 200]).astype(np.int8), np.ones(1200, bool), 0)
    assert {each.check for each in splits.findings} >= {"unseen_classes", "missing_classes", "class_shift"}
    assert all(len(each.evidence) < 1000 for each in splits.findings)
