"""From the entries of a run to its leaderboard: who comes first, by how much, and what is left to chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seedbed.core.protocols import Metric
from seedbed.core.results.front import on_front
from seedbed.core.results.intervals import intervals
from seedbed.core.results.judging import Verdict, judge
from seedbed.core.results.leaderboard import NO_TRIAL, Direction, Entry, Leaderboard, Row
from seedbed.core.results.optimism import corrected
from seedbed.core.results.ties import chances_to_be_best, tie_groups

_EQUAL = 1e-9  # sums in another order differ by less; scores of different models by more


def rank(
    entries: Sequence[Entry],
    metric: Metric,
    direction: Direction,
    *,
    name: str = "",
    seed: int = 0,
    draws: int = 1000,
) -> Leaderboard:
    """Order the entries by their score on the validation rows they share; the input's order plays no part.

    Equal scores are ordered by a proper loss (it tells models apart long after accuracy cannot), of classes at each
    model's best temperature as far as it is one of the first hundred; equals in that too by size, the smaller first,
    then by trial number: no clock has a say. Models are compared by the paired bootstrap (Efron & Tibshirani 1993,
    ch. 16): every draw resamples the rows once for all models, so that rows which are hard for all of them cancel out.
    A row joins the tie group above it while the 95 % interval of its distance to that group's leader reaches zero. What
    a score owes to having been picked is told by the rows that a draw leaves out (`optimism`). What has no rank stands
    at the end.

    A metric that is a mean over rows (`per_row`) gets `draws` draws, of boards with millions of scores at least 200;
    others 200 at most, and where outputs are very many 60.

    Raises:
        DataError: the ranked entries share no validation row, or disagree on its target.
    """
    verdict = judge(entries, metric, direction, seed=seed, draws=draws)
    rows = [_row(entry) for entry in sorted(verdict.others, key=lambda entry: entry.trial)]
    return Leaderboard(
        rows=(*_ranked(verdict, 1.0 if direction == "max" else -1.0), *rows),
        metric=name,
        direction=direction,
        examples=0 if verdict.reference is None else len(verdict.reference),
    )


def _ranked(verdict: Verdict, sign: float) -> list[Row]:
    """Return the rows of what was judged, in its order."""
    judged, reference, resampler = verdict.judged, verdict.reference, verdict.resampler
    if not judged or reference is None or resampler is None:
        return []
    scores = np.array([each.score for each in judged])
    samples = resampler.samples([each.taken for each in judged])
    # Scores of classes and labels are of the order of 1; errors of values have any unit.
    equal = _EQUAL * (abs(scores[0]) if reference.kind == "regression" else 1.0)
    gains = sign * samples.inside
    groups, chances = tie_groups(gains, equal), chances_to_be_best(gains, equal)
    # A loss may be 0 on all rows and is no share of them.
    are_shares = sign > 0 and reference.kind != "regression" and all(each.taken.is_share for each in judged)
    honest = corrected(scores, samples.inside[: len(samples.outside)], samples.outside, sign)
    of_one = sign > 0 and reference.kind != "regression" and bool(((gains >= 0) & (gains <= 1)).all())
    honest = np.maximum(honest, 0.0) if of_one else honest
    low, high = intervals(scores, honest, samples.inside, sign, shares_of=len(reference) if are_shares else 0)
    low, high = (np.clip(each, 0.0, 1.0) if of_one else each for each in (low, high))
    fronts = _fronts(verdict, sign)
    return [
        replace(
            _row(each.entry),
            rank=place + 1,
            corrected=float(honest[place]),
            low=float(low[place]),
            high=float(high[place]),
            tie_group=groups[place],
            best_probability=float(chances[place]),
            on_front=fronts[place],
        )
        for place, each in enumerate(judged)
    ]


def _fronts(verdict: Verdict, sign: float) -> list[bool]:
    """Say who is on the front; what no trial stands behind is no model that one could choose."""
    models = [each for each in verdict.judged if each.entry.trial != NO_TRIAL]
    found = on_front(
        [sign * each.score for each in models],
        [each.entry.latency_p50 for each in models],
        [each.entry.size_bytes for each in models],
    )
    by_trial = dict(zip((each.entry.trial for each in models), found, strict=True))
    return [by_trial.get(each.entry.trial, False) for each in verdict.judged]


def _row(entry: Entry) -> Row:
    return Row(
        trial=entry.trial,
        status=entry.status,
        score=entry.score,
        seconds=entry.seconds,
        candidate=entry.label,
        role=entry.role,
        reason=entry.reason,
        latency_p50=entry.latency_p50 or None,
        latency_p95=entry.latency_p95 or None,
        memory_bytes=entry.memory_bytes or None,
        size_bytes=entry.size_bytes or None,
        billed_seconds=entry.billed_seconds,
    )
