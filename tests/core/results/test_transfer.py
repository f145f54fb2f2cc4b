from __future__ import annotations

import pytest

from seedbed.core.results.leaderboard import Leaderboard, Row
from seedbed.core.results.transfer import judge_transfer
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import TrialStarted
from seedbed.core.search.history import History


def judged(*rows):
    """Judge trials given as (policy, score, tie group), in their order on the board."""
    history = History()
    found = []
    for number, (policy, score, tie) in enumerate(rows):
        candidate = Candidate({"architecture": f"net{number}", "policy": policy})
        history.apply(TrialStarted(trial=number, candidate=candidate, fidelity=Fidelity(epochs=1)))
        found.append(
            Row(
                rank=number + 1,
                trial=number,
                status="finished",
                score=score,
                tie_group=tie,
                seconds=1.0,
                candidate=candidate.label,
                role="candidate",
            )
        )
    return judge_transfer(Leaderboard(rows=tuple(found), metric="accuracy", direction="max", examples=100), history)


@pytest.mark.parametrize("policy", ["head_then_all", "full"])
def test_scratch_clearly_ahead_of_fine_tuning_is_said(policy):
    finding = judged(("scratch", 0.93, 1), (policy, 0.9, 2), ("probe", 0.7, 3))
    assert finding.check == "negative_transfer"
    assert finding.evidence == (
        "Training net0 from scratch beats fine-tuning net1: what was learnt elsewhere is in the way here "
        "(accuracy 0.9300 against 0.9000, and no tie)."
    )
    assert "--set policy=scratch" in finding.remedy


def test_fixed_features_clearly_ahead_of_fine_tuning_are_said():
    finding = judged(("probe", 0.8, 1), ("head_then_all", 0.75, 2))
    assert finding.evidence.startswith("The fixed features of net0 beat fine-tuning net1")


@pytest.mark.parametrize(
    "rows",
    [
        [("head_then_all", 0.9, 1), ("scratch", 0.8, 2), ("probe", 0.7, 3)],
        [("scratch", 0.91, 1), ("head_then_all", 0.9, 1)],
        [("scratch", 0.91, 1), ("probe", 0.5, 2)],
        [("head_then_all", 0.9, 1), ("scratch", 0.8, 2), ("full", 0.5, 3)],
        [],
    ],
)
def test_a_tie_a_win_or_nothing_to_compare_is_no_finding(rows):
    assert judged(*rows) is None
