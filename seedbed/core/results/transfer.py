"""Whether pretraining has helped: fine-tuning, next to fixed features and to training from scratch. Pure."""

from __future__ import annotations

from seedbed.core.data.profile import Finding
from seedbed.core.results.leaderboard import Leaderboard, Row
from seedbed.core.search.history import History
from seedbed.core.task import written

_WAYS = {"tuned": ("head_then_all", "full"), "scratch": ("scratch",), "probe": ("probe",)}


def judge_transfer(board: Leaderboard, history: History) -> Finding | None:
    """Return a finding where the best fine-tuned net lies clearly behind a simpler way; ties are none.

    The winner is chosen by validation in any case; this says why it is not the one that cost most.
    """
    best = {way: _best(board, history, policies) for way, policies in _WAYS.items()}
    tuned = best["tuned"]
    if tuned is None:
        return None
    for way in ("scratch", "probe"):
        other = best[way]
        if other is not None and _is_ahead(other, tuned):
            return _finding(way, other, tuned, board.metric)
    return None


_SAYS = {
    "scratch": (
        "Training {other} from scratch beats fine-tuning {tuned}: what was learnt elsewhere is in the way here",
        "Spend the next budget on training from scratch: --set policy=scratch.",
    ),
    "probe": (
        "The fixed features of {other} beat fine-tuning {tuned}: training took away more than it gave",
        "Give fine-tuning more time or a lower rate (--set optimizer.adamw.lr=…), or keep to --set policy=probe.",
    ),
}


def _finding(way: str, other: Row, tuned: Row, metric: str) -> Finding:
    evidence, remedy = _SAYS[way]
    names = {"other": other.candidate.split(" · ")[0], "tuned": tuned.candidate.split(" · ")[0]}
    scores = f"{metric} {written(other.score or 0.0)} against {written(tuned.score or 0.0)}, and no tie"
    return Finding(
        check="negative_transfer",
        severity="info",
        evidence=f"{evidence.format(**names)} ({scores}).",
        remedy=remedy,
    )


def _is_ahead(one: Row, other: Row) -> bool:
    return (one.tie_group or 0) < (other.tie_group or 0)


def _best(board: Leaderboard, history: History, policies: tuple[str, ...]) -> Row | None:
    """Return the first ranked candidate that was trained in one of these ways."""
    for row in board.rows:
        known = row.rank is not None and row.role == "candidate" and row.trial in history.trials
        if known and history.trials[row.trial].candidate.values.get("policy") in policies:
            return row
    return None
