"""What a forecast says, in a line or two for a terminal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedbed.core.task import written
from seedbed.page import visible

if TYPE_CHECKING:
    from seedbed.core.results.forecast import BudgetForecast, Forecast
    from seedbed.core.results.label_forecast import ClassForecast, LabelForecast


_LEAST = 0.0005
"""Of a recall; less would be shown as 0.000."""


def lines(forecast: Forecast) -> list[str]:
    """Say what more budget and what more labels are expected to bring, a line each; nothing of what is not known."""
    found = []
    if forecast.budgets:
        found.append(f"Forecast: {_of_budgets(forecast.metric, forecast.budgets)}")
    if forecast.labels is not None:
        found.append(f"Labels:   {_of_labels(forecast.metric, forecast.labels)}")
    return found


def _of_budgets(metric: str, budgets: tuple[BudgetForecast, ...]) -> str:
    """Name the nearest and the farthest."""
    first, last = budgets[0], budgets[-1]
    if all(each.low == each.high == first.expected for each in budgets):
        return f"{metric} {written(first.expected)} is what more of the same would come to again."
    told = f"{metric} {_band(first)} {budget_of(first)}"
    if last is not first:
        told += f", {_band(last)} {budget_of(last)}"
    if first.gain_probability is None:
        return f"{told} (80 % bands)."
    chance = f"{first.gain_probability:.0%}"
    return f"{told} (80 % bands); the chance that {first.factor:g}x gains more than these rows' noise is {chance}."


def _band(found: BudgetForecast) -> str:
    return f"{written(found.expected)} ({written(found.low)} to {written(found.high)})"


def budget_of(found: BudgetForecast) -> str:
    """Say how much that is."""
    return f"after {found.trials:,} trials" if found.seconds is None else f"in {span(found.seconds)}"


def span(seconds: float) -> str:
    """Write a time as one types it: 90s, 10m, 2h."""
    for unit, name in ((3600.0, "h"), (60.0, "m")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g}{name}"
    return f"{seconds:.3g}s" if seconds < 100 else f"{seconds:.0f}s"


def _of_labels(metric: str, labels: LabelForecast) -> str:
    doubled = labels.doubled
    whole = (
        f"twice the labels of all: {metric} {written(doubled.mean)} ({written(doubled.low)} to {written(doubled.high)})"
    )
    worth = next((each for each in labels.classes if each.gain.mean > 0 and each.change.mean >= _LEAST), None)
    return f"{whole}." if worth is None else f"those of {_of_class(worth)}; {whole}."


def _of_class(found: ClassForecast) -> str:
    """Say what twice its labels would do for the class whose labels are worth most."""
    change = found.change
    gains = f"its recall of {found.recall:.3f} gains {change.mean:.3f} ({change.low:.3f} to {change.high:.3f})"
    return f'"{visible(found.name)}" are worth most, with twice its {found.labels:,} {gains}'
