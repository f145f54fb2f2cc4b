"""The section of a page that shows a forecast: the best score so far, where it may go, and whose labels are worth most.

HTML with one inline SVG; it needs no script, no network and no other file, and takes its colours from the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from itertools import pairwise

from seedbed.core.results.forecast import BudgetForecast, Forecast
from seedbed.core.results.label_forecast import LabelForecast
from seedbed.core.results.progress import Progress
from seedbed.core.task import written
from seedbed.page import visible

_WIDTH, _HEIGHT = 640.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 16.0, 14.0, 30.0
_APART = 14.0  # between two numbers beside the axis
_EARLIEST = 1 / 32  # of the budget, where the picture begins
_CLASSES = 12

_STYLE = """<style>
  .forecast svg { width: 100%; max-width: 44rem; height: auto; display: block; }
  .forecast svg text { font: 11px system-ui, sans-serif; fill: var(--soft, #5d6673); }
  .forecast .seen, .forecast .ahead { fill: none; stroke: var(--info, #2a62a8); stroke-width: 2; }
  .forecast .ahead { stroke-dasharray: 5 4; }
  .forecast .band { fill: var(--bar, #7aa5d8); opacity: .35; stroke: none; }
  .forecast .axis { stroke: var(--line, #dce0e6); stroke-width: 1; }
  .forecast table { width: auto; table-layout: auto; border-collapse: collapse; }
  .forecast th, .forecast td { text-align: right; padding: .3rem 1.2rem .3rem 0; font-variant-numeric: tabular-nums; }
  .forecast th:first-child, .forecast td:first-child { text-align: left; overflow-wrap: anywhere; max-width: 20rem; }
</style>"""


def section(forecast: Forecast) -> str:
    """Return the section; what could not be forecast says why."""
    parts = ['<section class="forecast">', _STYLE, "<h2>What more would bring</h2>"]
    parts += _budgets(forecast)
    parts += _labels(forecast)
    return "\n".join([*parts, "</section>"])


def _budgets(forecast: Forecast) -> Iterator[str]:
    if forecast.budgets is None or forecast.progress is None:
        yield f"<p>No forecast for another budget: {escape(visible(forecast.budgets_reason))}.</p>"
        return
    yield _picture(forecast.metric, forecast.progress, forecast.budgets)
    yield _table(
        ("budget", forecast.metric, "80 % band", "gains more than noise"),
        (
            (
                f"{each.factor:g}x: {_budget(each)}",
                written(each.expected),
                f"{written(each.low)} to {written(each.high)}",
                "-" if each.gain_probability is None else f"{each.gain_probability:.0%}",
            )
            for each in forecast.budgets
        ),
    )
    noise = "" if forecast.noise is None else f" The noise of the validation rows is {written(forecast.noise)}."
    yield (
        '<p class="soft">From how the best score rose so far, by power laws; what was not tried, and other data, '
        f"it cannot know.{noise}</p>"
    )


def _labels(forecast: Forecast) -> Iterator[str]:
    labels = forecast.labels
    if labels is None:
        yield f"<p>No forecast for more labels: {escape(visible(forecast.labels_reason))}.</p>"
        return
    doubled = labels.doubled
    band = f"{written(doubled.low)} to {written(doubled.high)}"
    yield "<h3>More labels</h3>"
    yield (
        f"<p>Twice the labels of all classes, or rows: {escape(visible(forecast.metric))} {written(doubled.mean)} "
        f"({band}, an 80 % band). Learnt from: {_evidence(labels)}.</p>"
    )
    if not labels.classes:
        return
    yield _table(
        (
            "twice the labels of",
            "labels now",
            "recall now",
            "recall gains",
            f"{forecast.metric} gains",
            "per 100 labels",
        ),
        (
            (
                each.name,
                f"{each.labels:,}",
                f"{each.recall:.3f}",
                f"{each.change.mean:.3f} ({each.change.low:.3f} to {each.change.high:.3f})",
                f"{each.gain.mean:.4f} ({each.gain.low:.4f} to {each.gain.high:.4f})",
                f"{100 * each.gain_per_label:.5f}",
            )
            for each in labels.classes[:_CLASSES]
        ),
    )
    if len(labels.classes) > _CLASSES:
        yield f'<p class="soft">And {len(labels.classes) - _CLASSES:,} classes whose labels are worth less.</p>'


def _evidence(labels: LabelForecast) -> str:
    return escape(", ".join((*labels.evidence, "what is usual of learning curves")))


def _budget(found: BudgetForecast) -> str:
    if found.seconds is None:
        return f"{found.trials:,} trials"
    return f"{found.seconds:,.0f} s"


def _table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(visible(each))}</th>" for each in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(visible(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class _Axes:
    """From shares of the budget, on a logarithmic scale, and scores to places in the picture."""

    def __init__(self, first: float, last: float, scores: list[float]) -> None:
        self.low, self.high = min(scores), max(scores)
        margin = 0.08 * (self.high - self.low) or abs(self.high) * 0.01 or 0.01
        self._bottom, self._top = self.low - margin, self.high + margin
        self._first, self._last = math.log(first), math.log(last)

    def x(self, share: float) -> float:
        along = (math.log(share) - self._first) / (self._last - self._first)
        return _LEFT + along * (_WIDTH - _LEFT - _RIGHT)

    def y(self, score: float) -> float:
        up = (score - self._bottom) / (self._top - self._bottom)
        return _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    def path(self, points: list[tuple[float, float]]) -> str:
        return "M" + " L".join(f"{self.x(share):.1f} {self.y(score):.1f}" for share, score in points)


def _picture(metric: str, progress: Progress, budgets: tuple[BudgetForecast, ...]) -> str:
    besides = progress.budget - progress.spent[-1]
    seen = [
        ((spent + besides) / progress.budget, score)
        for spent, score in zip(progress.spent, progress.best, strict=True)
        if spent + besides >= _EARLIEST * progress.budget
    ]
    best = seen[-1]
    axes = _Axes(
        min(seen[0][0], 0.5),
        budgets[-1].factor,
        [score for _, score in seen] + [bound for each in budgets for bound in (each.low, each.high)],
    )
    above = [best, *((each.factor, each.high) for each in budgets)]
    below = [best, *((each.factor, each.low) for each in budgets)]
    ahead = [best, *((each.factor, each.expected) for each in budgets)]
    floor = _HEIGHT - _BOTTOM
    ticks = [(1.0, "now"), *((each.factor, f"{each.factor:g}x") for each in budgets)]
    parts = [
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        f'aria-label="The best {escape(visible(metric))} so far, and where more budget may bring it">',
        f'<line class="axis" x1="{_LEFT:g}" y1="{floor:g}" x2="{_WIDTH - _RIGHT:g}" y2="{floor:g}"/>',
        f'<path class="band" d="{axes.path([*above, *reversed(below)])}Z"/>',
        f'<path class="seen" d="{axes.path(_stairs(seen))}"/>',
        f'<path class="ahead" d="{axes.path(ahead)}"/>',
    ]
    for share, text in ticks:
        x = axes.x(share)
        parts.append(f'<line class="axis" x1="{x:.1f}" y1="{_TOP:g}" x2="{x:.1f}" y2="{floor:g}"/>')
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 10:g}" text-anchor="middle">{text}</text>')
    shown: list[float] = []
    for score in (best[1], axes.low, axes.high):
        if any(abs(axes.y(score) - axes.y(other)) < _APART for other in shown):
            continue
        shown.append(score)
        parts.append(f'<text x="{_LEFT - 8:g}" y="{axes.y(score) + 4:.1f}" text-anchor="end">{written(score)}</text>')
    return "\n".join([*parts, "</svg>"])


def _stairs(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the corners of a curve that stays where it is until it rises."""
    found = points[:1]
    for (_, before), (share, after) in pairwise(points):
        found += [(share, before), (share, after)] if after != before else [(share, after)]
    return found
