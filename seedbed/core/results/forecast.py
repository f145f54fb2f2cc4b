"""What another budget, or more labels, is expected to bring, from the curves that a run has left.

What it cannot know: a component that was not tried, weights or data of another sort, cleaner labels, rows that differ
from these. It says how this search, on these rows, would go on if it went on as it has begun: with the strategy that it
had and on the machine that it had. Scores are validation scores of single trials, of which the best owes a part to
having been picked; what an average of several may add is not forecast. Pure but for `forecast_run`, which reads
predictions; an edge.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from seedbed.core.errors import DataError
from seedbed.core.protocols import Lookup, Metric
from seedbed.core.results.label_forecast import LabelForecast, forecast_labels
from seedbed.core.results.leaderboard import Direction, Leaderboard
from seedbed.core.results.power_laws import LEAST, ErrorScale, Falls, Unknown, go_on, steady
from seedbed.core.results.progress import Progress, progress_of
from seedbed.core.runfolder import RunFolder
from seedbed.core.search.history import History
from seedbed.core.specs import MetricSpec
from seedbed.core.training.member import PREDICTIONS
from seedbed.core.training.predictions import Predictions, load_predictions

FACTORS = (2.0, 4.0, 10.0)
BAND = (0.1, 0.9)
_DRAWS = 4000
_DOUBLINGS = 5.0
"""How far back a curve is looked at: what was before tells of the first steps."""
_A_DOUBLING = 6  # points of it, at most
_FEWEST = 4  # results; through fewer any curve goes
UNRIPE = (0.0, 0.3, 0.6)
"""By what shares looks may understate a training of their length (see `falls_of`); each counts the same. By judgement:
in six runs of one long training the second half left the error 1.3 to 1.8 times less, and not for its length alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetForecast:
    """The best score expected of `factor` times the budget: the median, and the bounds of an 80 % band.

    That is so many `seconds`, or `trials` where the run had no time limit. `gain_probability` is how likely the best
    gains more than the noise of the validation rows, None where that noise is not known.
    """

    factor: float
    seconds: float | None = None
    trials: int | None = None
    expected: float
    low: float
    high: float
    gain_probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is expected of more budget and of more labels; where one is None, its reason says why.

    `noise` is by how much the best score may be better by the chance of these rows: the reach of its interval on the
    leaderboard.
    """

    metric: str
    direction: Direction
    best: float | None = None
    noise: float | None = None
    progress: Progress | None = None
    budgets: tuple[BudgetForecast, ...] | None = None
    budgets_reason: str = ""
    labels: LabelForecast | None = None
    labels_reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON, without the curve it was made from; floats rounded to six digits."""
        found = asdict(self)
        del found["progress"]
        return cast(dict[str, Any], _rounded(found))


def forecast_run(history: History, board: Leaderboard, folder: RunFolder, lookup: Lookup, *, seed: int = 0) -> Forecast:
    """Forecast what a run would bring with more budget, or with more labels; equal seeds give equal forecasts.

    Raises:
        DataError: the run ended before its data was read.
    """
    if history.profile is None:
        raise DataError("The run ended before its data was read, so there is nothing to forecast; begin it again.")
    spec = cast(MetricSpec, lookup.get("metric", history.profile.task.metric))
    metric = cast(Metric, lookup.load(spec)(spec.options()))
    progress, noise = progress_of(history), noise_of(board)
    budgets = forecast_budgets(progress, spec.direction, noise=noise, rng=np.random.default_rng(seed))
    labels: LabelForecast | Unknown
    try:
        predictions = _of_the_kept(folder, board)
        labels = forecast_labels(history, predictions, metric, spec.direction, rng=np.random.default_rng(seed))
    except DataError as error:
        labels = Unknown(str(error))
    return Forecast(
        metric=spec.name,
        direction=spec.direction,
        best=None if progress is None else progress.best[-1],
        noise=noise,
        progress=progress,
        budgets=None if isinstance(budgets, Unknown) else budgets,
        budgets_reason=budgets.reason if isinstance(budgets, Unknown) else "",
        labels=None if isinstance(labels, Unknown) else labels,
        labels_reason=labels.reason if isinstance(labels, Unknown) else "",
    )


def noise_of(board: Leaderboard) -> float | None:
    """Return how far the interval of the best row reaches beyond its score, None where there is none."""
    best = board.best
    if best is None or best.score is None or best.low is None or best.high is None:
        return None
    return best.high - best.score if board.direction == "max" else best.score - best.low


def forecast_budgets(
    progress: Progress | None,
    direction: Direction,
    *,
    rng: np.random.Generator,
    noise: float | None = None,
    factors: tuple[float, ...] = FACTORS,
) -> tuple[BudgetForecast, ...] | Unknown:
    """Return what multiples of the budget (`factors`, ascending, above 1) are expected to bring; never a drop.

    Where there is too little to go by, the reason is returned instead of a number.
    """
    if progress is None:
        return Unknown("nothing has been scored yet")
    scale = ErrorScale.of(direction, progress.best)
    best = progress.best[-1]
    if float(scale.error(np.array(best))) <= 0.0:
        return tuple(_reached(progress, factor, best, noise) for factor in factors)
    if (reason := _too_little(progress)) is not None:
        return Unknown(reason)
    besides = progress.budget - progress.spent[-1]
    ends = np.array([(factor * progress.budget - besides) / progress.spent[-1] for factor in factors])
    ways = UNRIPE if any(progress.to_come) else (0.0,)
    amounts = [go_on(steady(falls_of(progress, scale, each)), ends, rng, _DRAWS // len(ways)) for each in ways]
    logs = np.concatenate(amounts, axis=1)
    logs[logs < LEAST] = 0.0
    scores = scale.score(scale.error(np.array(best)) * np.exp(-logs))
    found = []
    for factor, row in zip(factors, scores, strict=True):
        low, middle, high = np.quantile(row, (BAND[0], 0.5, BAND[1])).tolist()
        chance = None if noise is None else float((np.abs(row - best) > noise).mean())
        found.append(_budget(progress, factor, expected=middle, low=low, high=high, gain_probability=chance))
    return tuple(found)


def falls_of(progress: Progress, scale: ErrorScale, unripe: float = 0.0) -> Falls:
    """Return how the best score's error fell in the last doublings of what was spent.

    A schedule that anneals makes the error of a training fall faster towards its end than a longer one would: looks on
    its way are taken to be worse than a finished training of that length, by the share `unripe` at its beginning and
    ever less.
    """
    kept = _kept(progress)
    edges = np.array(progress.spent)[kept] / progress.spent[-1]
    errors = scale.error(np.array(progress.best)) / (1.0 + unripe * np.array(progress.to_come))
    errors = np.minimum.accumulate(errors)[kept]
    return Falls(edges, np.log(errors[:-1] / errors[1:]))


def _kept(progress: Progress) -> np.ndarray:
    """Say which points count: of those that lie close together the last, for independent news they are not."""
    back = -np.log2(np.array(progress.spent) / progress.spent[-1])
    is_last = np.diff(np.floor(back * _A_DOUBLING), append=-1.0) != 0
    return np.asarray(is_last & (back <= _DOUBLINGS))


def _too_little(progress: Progress) -> str | None:
    """Say why no curve can be drawn through a progress, None where one can."""
    kept = _kept(progress)
    if kept.sum() < _FEWEST:
        seen = f"{len(kept)} result{'s' if len(kept) != 1 else ''} so far"
        return f"with {seen}, of which {int(kept.sum())} lie apart, any curve would do; it takes {_FEWEST}"
    first = progress.spent[int(np.flatnonzero(kept)[0])]
    if first > 0.5 * progress.spent[-1]:
        return "all results came in the second half of the run, so it is not known how the score rose before"
    return None


def _reached(progress: Progress, factor: float, best: float, noise: float | None) -> BudgetForecast:
    """Return the forecast for a best score that is the best there is."""
    chance = None if noise is None else 0.0
    return _budget(progress, factor, expected=best, low=best, high=best, gain_probability=chance)


def _budget(
    progress: Progress, factor: float, *, expected: float, low: float, high: float, gain_probability: float | None
) -> BudgetForecast:
    is_timed, budget = progress.unit == "seconds", factor * progress.budget
    return BudgetForecast(
        factor=factor,
        seconds=budget if is_timed else None,
        trials=None if is_timed else round(budget),
        expected=expected,
        low=low,
        high=high,
        gain_probability=gain_probability,
    )


def _of_the_kept(folder: RunFolder, board: Leaderboard) -> Predictions:
    """Read what the kept model says of the rows that it was chosen by."""
    if folder.valid_predictions.is_file():
        return load_predictions(folder.valid_predictions)
    if board.best is None:
        raise DataError("no trial has a result, so nothing is known of the classes")
    return load_predictions(folder.trial(board.best.trial) / PREDICTIONS)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 6) if abs(value) >= 1e-3 else float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value
