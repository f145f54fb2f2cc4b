from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from seedbed import Dataset, Finding, NoOptions
from seedbed.core.data.check import input_of
from seedbed.core.data.columns import image_rows
from seedbed.core.data.prepared import PreparedImages
from seedbed.core.data.repair import Repair
from seedbed.plugins.checks.classes import class_names, imbalance, rare_classes


def found(
    build: Callable, targets: list[str], parts: list[str] | None = None, unreadable: tuple[int, ...] = ()
) -> list[Finding | Repair]:
    rows = image_rows(["x.png"] * len(targets), targets, parts or [""] * len(targets))
    prepared = PreparedImages(
        folder=Path("nowhere"),
        rows=len(targets),
        height=8,
        width=8,
        channels=1,
        fingerprint="",
        unreadable=tuple((row, "is empty") for row in unreadable),
    )
    dataset = Dataset(rows=rows, modality="image", source="here", name="here")
    return list(build(NoOptions())(input_of(dataset, prepared)))


def findings(build: Callable, targets: list[str], **more) -> list[Finding]:
    return [each.finding if isinstance(each, Repair) else each for each in found(build, targets, **more)]


def mergers(targets: list[str]) -> list[tuple[dict[str, str], bool]]:
    """What is proposed to be merged, and whether it is done unasked."""
    repairs = [each for each in found(class_names, targets) if isinstance(each, Repair)]
    return [(dict(each.rename), each.is_safe) for each in repairs]


def test_a_class_of_one_and_a_small_class_are_told_apart() -> None:
    single, few = findings(rare_classes, ["a"] * 20 + ["b"] * 3 + ["c"])
    assert (single.severity, single.rows) == ("warning", ("c",))
    assert (few.severity, few.rows) == ("info", ("b",))
    assert "'b' (3)" in few.evidence
    assert single.evidence == "Class with a single training example: 'c'."


def test_several_classes_of_one_are_named_together() -> None:
    single, few = findings(rare_classes, ["a"] * 20 + ["b", "c"] + ["d"] * 2 + ["e"] * 3)
    assert single.evidence == "Classes with a single training example: 'b', 'c'."
    assert few.evidence == "Classes with fewer than 10 training examples: 'd' (2), 'e' (3)."


def test_rows_that_are_unreadable_or_for_testing_do_not_count() -> None:
    targets = ["a"] * 20 + ["b"] * 3
    (single,) = findings(rare_classes, targets, parts=[""] * 20 + ["", "", "test"], unreadable=(20,))
    assert single.rows == ("b",)


def test_large_classes_are_not_worth_a_word() -> None:
    assert findings(rare_classes, ["a"] * 10 + ["b"] * 10) == []


def test_imbalance_begins_beyond_ten_to_one() -> None:
    assert findings(imbalance, ["a"] * 20 + ["b"] * 2) == []
    (finding,) = findings(imbalance, ["a"] * 21 + ["b"] * 2)
    assert finding.rows == ("a", "b")
    assert findings(imbalance, ["a"], unreadable=(0,)) == []


def test_names_that_may_be_one_class_are_named_together() -> None:
    for pair in (("Cat", "cat"), ("ice cream", "icecream"), ("b", "b ")):
        told = findings(class_names, list(pair))
        assert told[0].severity == "warning"
        assert set(told[0].rows) == set(pair)


def test_names_that_look_alike_are_shown_apart() -> None:
    composed = "Äpfel"
    decomposed = unicodedata.normalize("NFD", composed)
    told = findings(class_names, [composed, decomposed])
    assert "'\\xc4pfel'" in told[0].evidence
    assert "'A\\u0308pfel'" in told[0].evidence


def test_the_most_frequent_spelling_is_kept() -> None:
    assert mergers(["Cat"] * 2 + ["cat"] * 3 + ["CAT"]) == [({"Cat": "cat", "CAT": "cat"}, True)]


@pytest.mark.parametrize(
    "pair",
    [("Cat", "cat"), ("dog ", "dog"), ("ice  cream", "ice cream"), ("Äpfel", "A\u0308pfel"), ("straße", "STRASSE")],
)
def test_names_that_differ_by_spelling_alone_are_merged_unasked(pair) -> None:
    assert [is_safe for _, is_safe in mergers(list(pair))] == [True]


@pytest.mark.parametrize("pair", [("a", "A"), ("ice cream", "icecream"), ("1 12", "11 2"), ("m²", "m2"), ("x", "x ")])
def test_names_that_may_well_be_two_classes_are_merged_on_request_alone(pair) -> None:
    assert [is_safe for _, is_safe in mergers(list(pair))] == [False]


@pytest.mark.parametrize("pair", [("cat", "cats"), ("a_b", "a-b"), ("Äpfel", "Apfel"), ("1", "01")])
def test_names_that_differ_by_more_are_not_merged(pair) -> None:
    assert mergers(list(pair)) == []


def test_a_space_at_the_end_is_a_warning() -> None:
    assert any(f.severity == "warning" and f.rows == ("dog ",) for f in findings(class_names, ["cat", "dog "]))


def test_unusual_names_are_kept_and_said() -> None:
    (finding,) = findings(class_names, ["plain", "two words", "日本"])
    assert finding.severity == "info"
    assert finding.rows == ("two words", "日本")
    assert "kept as they are" in finding.evidence


def test_plain_names_are_not_worth_a_word() -> None:
    assert findings(class_names, ["cat", "dog_2", "T-shirt"]) == []
