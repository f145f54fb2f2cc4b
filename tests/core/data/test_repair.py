from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.profile import Finding
from seedbed.core.data.repair import Repair, joined, repaired
from seedbed.core.data.targets import Targets

FINDING = Finding(check="fake", severity="warning", evidence="Something is odd.")
USABLE = np.ones(4, dtype=bool)


def targets() -> Targets:
    return Targets(kind="classification", values=np.array([0, 1, 2, 0]), classes=("cat", "dog", "Cat"))


def test_classes_are_merged_and_rows_given_the_merged_name() -> None:
    repair = Repair(
        finding=FINDING,
        action="merge and relabel",
        rename={"Cat": "cat"},
        relabel=np.array([1]),
        labels=("Cat",),
    )
    found = repaired([repair], targets(), USABLE, "all").targets
    assert [found.classes[code] for code in found.values] == ["cat", "cat", "cat", "cat"]


def test_a_relabelling_after_a_merger_finds_the_class_under_its_new_name() -> None:
    merge = Repair(finding=FINDING, action="merge", rename={"Cat": "cat"})
    relabel = Repair(finding=FINDING, action="relabel", relabel=np.array([1]), labels=("Cat",))
    found = repaired([merge, relabel], targets(), USABLE, "all").targets
    assert [found.classes[code] for code in found.values] == ["cat"] * 4


def test_a_class_that_is_renamed_twice_goes_by_its_last_name() -> None:
    first = Repair(finding=FINDING, action="merge", rename={"Cat": "cat"})
    second = Repair(finding=FINDING, action="rename", rename={"cat": "feline"})
    relabel = Repair(finding=FINDING, action="relabel", relabel=np.array([1]), labels=("Cat",))
    found = repaired([first, second, relabel], targets(), USABLE, "all").targets
    assert [found.classes[code] for code in found.values] == ["feline"] * 4


def test_rows_may_be_left_out_of_everything_or_of_training_alone() -> None:
    repair = Repair(finding=FINDING, action="drop", is_safe=True, drop=np.array([0]), drop_from_training=np.array([1]))
    found = repaired([repair], targets(), USABLE, "safe")
    assert found.usable.tolist() == [False, True, True, True]
    assert found.trainable.tolist() == [True, False, True, True]
    assert USABLE.all(), "what was given is not changed"


def test_duplicates_are_known_even_where_nothing_may_be_repaired() -> None:
    together = np.array([5, -1, 5, -1])
    found = repaired([Repair(finding=FINDING, action="keep together", together=together)], targets(), USABLE, "none")
    assert (found.groups == -1).all()
    assert found.duplicates[0] == found.duplicates[2] >= 0
    assert found.duplicates[1] == -1


def test_the_users_groups_hold_under_every_policy() -> None:
    found = repaired([], targets(), USABLE, "none", groups=np.array([7, 7, -1, 8]))
    assert found.groups[0] == found.groups[1] >= 0
    assert found.groups[2] == found.groups[3] == -1, "a row alone in its group is free"


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(-1, 4), min_size=8, max_size=8), min_size=1, max_size=4))
def test_joined_groups_are_the_closure_of_all(groupings: list[list[int]]) -> None:
    found = joined([np.array(each) for each in groupings], 8)
    reached = np.eye(8, dtype=bool)
    for each in groupings:
        values = np.array(each)
        reached |= (values[:, None] == values) & (values >= 0)
    for _ in range(8):
        reached = reached.astype(int) @ reached.astype(int) > 0
    same = (found[:, None] == found) & (found >= 0) | np.eye(8, dtype=bool)
    assert (same == reached).all()
