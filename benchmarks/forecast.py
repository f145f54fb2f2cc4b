"""Whether forecasts hold: on simulated studies whose future is known, and on the second half of real runs.

    python benchmarks/forecast.py [--studies 200] [--seed 0]
    python benchmarks/forecast.py runs/photos runs/reviews

Simulated are four sorts of study, by learners whose errors fall as power laws of their own, judged on rows that are
drawn (so scores are noisy, and the best owes a part to luck): `trials` tries random candidates, a number of them;
`timed` trains candidates one after another by the clock; `one long` trains a single net, whose schedule anneals, for
all of the time; `saturated` is `timed` among candidates about equally good, near the best there is. Each is forecast
after its budget, and then done with 2, 4 and 10 times as much.

A real run is cut at half of what it spent, and its best score forecast by what the journal held by then. That is not
the same as a run with half the budget, whose schedules would have annealed by then.

`covered` is the share of the 80 % bands that hold the truth, `error` the mean distance of the forecast from it in
hundredths of the score, `no change` that of saying that nothing will be gained; `width` is the bands' mean width.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from seedbed.core.data.profile import Profile
from seedbed.core.errors import DataError
from seedbed.core.results.forecast import FACTORS, forecast_budgets
from seedbed.core.results.power_laws import Unknown
from seedbed.core.results.progress import Progress, progress_of
from seedbed.core.runfolder import RunFolder
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import DataDescribed, EpochFinished, Event, RunStarted, TrialFinished, TrialStarted
from seedbed.core.search.history import History
from seedbed.core.search.journal import read
from seedbed.core.task import Task

_LOOKS = 10
_SECONDS = 60.0
_TASK = Task(modality="image", kind="classification", metric="accuracy", classes=("a", "b"))


@dataclass(frozen=True)
class Case:
    """A forecast beside what came."""

    factor: float
    now: float
    truth: float
    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class Learner:
    """Its error after t seconds of training is c + a t^-b; at a share of an annealed training it is `unripe` worse."""

    c: float
    a: float
    b: float
    unripe: float

    def score(self, seconds: float, progress: float, rows: int, rng: np.random.Generator) -> float:
        """Return an accuracy as that many validation rows show it."""
        error = (self.c + self.a * seconds**-self.b) * (1.0 + self.unripe * (1.0 - progress))
        return 1.0 - float(rng.binomial(rows, min(error, 1.0))) / rows


def one_of_many(rng: np.random.Generator, spread: float = 0.5, level: float = 0.15) -> Learner:
    """Return a random candidate."""
    error = level * float(np.exp(spread * rng.standard_normal()))
    return Learner(c=error * 0.5, a=error, b=float(rng.uniform(0.2, 0.8)), unripe=float(rng.uniform(0.0, 0.8)))


def trial_events(
    number: int, learner: Learner, start: float, seconds: float, rows: int, rng: np.random.Generator
) -> Iterator[Event]:
    """Yield what a journal holds of one training."""
    yield TrialStarted(
        at=start, trial=number, candidate=Candidate({"n": number}), fidelity=Fidelity(epochs=1, seconds=seconds)
    )
    best = -1.0
    for look in range(1, _LOOKS + 1):
        progress = look / _LOOKS
        score = learner.score(seconds * progress, progress, rows, rng)
        is_best, best = score > best, max(score, best)
        yield EpochFinished(
            at=start + seconds * progress,
            trial=number,
            epoch=progress,
            progress=progress,
            train_loss=None,
            valid_loss=None,
            score=score,
            seconds=seconds * progress,
            is_best=is_best,
        )
    yield TrialFinished(at=start + seconds, trial=number, score=best, seconds=seconds, epochs=1, steps=1)


def trials(rng: np.random.Generator) -> Iterator[tuple[float, History]]:
    """Yield a study of 8 to 60 random candidates, then the same with multiples of that number."""
    count, rows = int(rng.integers(8, 60)), int(rng.choice([300, 1000, 5000]))
    history = _begun(None, rows)
    number = 0
    for factor in (1.0, *FACTORS):
        while number < round(factor * count):
            for event in trial_events(number, one_of_many(rng), number, 1.0, rows, rng):
                history.apply(event)
            number += 1
        yield factor, history


def timed(rng: np.random.Generator, spread: float = 0.5, level: float = 0.15) -> Iterator[tuple[float, History]]:
    """Yield a study by the clock, then the same with more time: half of it for longer trainings of the best."""
    rows, number, now = int(rng.choice([300, 1000, 5000])), 0, 2.0
    history = _begun(_SECONDS, rows)
    learners: dict[int, Learner] = {}
    share = float(rng.uniform(0.08, 0.3))
    for factor in (1.0, *FACTORS):
        while now < factor * _SECONDS - 0.5:
            is_longer = number > 3 and rng.random() < 0.5
            best = max(history.trials.values(), key=lambda trial: trial.score or 0.0).number if is_longer else number
            learners.setdefault(best, one_of_many(rng, spread, level))
            seconds = min(share * factor * _SECONDS * (1.0 if is_longer else 0.5), factor * _SECONDS - now)
            for event in trial_events(number, learners[best], now, seconds, rows, rng):
                history.apply(event)
            learners[number] = learners[best]
            number, now = number + 1, now + seconds
        yield factor, history


def saturated(rng: np.random.Generator) -> Iterator[tuple[float, History]]:
    """Yield a study with little left to gain."""
    yield from timed(rng, spread=0.05, level=0.02)


def one_long(rng: np.random.Generator) -> Iterator[tuple[float, History]]:
    """Yield a single training, then others of the same net for longer."""
    rows, learner = int(rng.choice([300, 1000, 5000])), one_of_many(rng)
    histories = {}
    for factor in (1.0, *FACTORS):
        histories[factor] = _begun(factor * _SECONDS, rows)
        for event in trial_events(0, learner, 2.0, factor * _SECONDS - 3.0, rows, rng):
            histories[factor].apply(event)
        yield factor, histories[factor]


def _begun(seconds: float | None, rows: int) -> History:
    profile = Profile(task=_TASK, examples=10 * rows, train=9 * rows, valid=rows, test=0)
    started = RunStarted(version="0", source="simulated", seed=0, budget_seconds=seconds)
    return History([started, DataDescribed(profile=profile)])


Study = Callable[[np.random.Generator], Iterator[tuple[float, History]]]
STUDIES: dict[str, Study] = {"trials": trials, "timed": timed, "one long": one_long, "saturated": saturated}


def cases_of(study: Study, rng: np.random.Generator) -> list[Case]:
    """Forecast one study and see what comes; empty where nothing was forecast."""
    steps = study(rng)
    progress = progress_of(next(steps)[1])
    found = forecast_budgets(progress, "max", rng=np.random.default_rng(0))
    if progress is None or isinstance(found, Unknown):
        return []
    now = progress.best[-1]
    cases = []
    for (factor, history), each in zip(steps, found, strict=True):
        reached = progress_of(history)
        truth = now if reached is None else max(reached.best[-1], now)
        cases.append(Case(factor, now, truth, each.expected, each.low, each.high))
    return cases


def case_of_run(path: Path) -> Case | None:
    """Forecast a run's best score from its first half; None where nothing can be said."""
    history = History(read(RunFolder(path).journal))
    whole = progress_of(history)
    if whole is None or history.profile is None:
        return None
    half = [n for n, spent in enumerate(whole.spent) if spent <= whole.spent[-1] / 2]
    if not half:
        return None
    spent, best, to_come = ([values[n] for n in half] for values in (whole.spent, whole.best, whole.to_come))
    if whole.unit == "seconds" and spent[-1] < whole.spent[-1] / 2:
        spent, best, to_come = [*spent, whole.spent[-1] / 2], [*best, best[-1]], [*to_come, to_come[-1]]
    first = Progress(unit=whole.unit, spent=tuple(spent), best=tuple(best), to_come=tuple(to_come), budget=spent[-1])
    direction = history.profile.task.direction
    found = forecast_budgets(first, direction, rng=np.random.default_rng(0), factors=(whole.spent[-1] / spent[-1],))
    if isinstance(found, Unknown):
        return None
    return Case(found[0].factor, best[-1], whole.best[-1], found[0].expected, found[0].low, found[0].high)


def _case_if_readable(path: Path) -> Case | None:
    try:
        return case_of_run(path)
    except DataError as error:
        print(f"{path} is left out: {error}", file=sys.stderr)
        return None


def table(rows: dict[str, list[Case]], asked: int) -> str:
    """Return the figures as Markdown, a row for each sort of study and factor."""
    lines = [
        "| study | budget | forecasts | covered | error | no change | width |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, cases in rows.items():
        for factor in sorted({each.factor for each in cases}):
            of_factor = [each for each in cases if each.factor == factor]
            covered = np.mean([each.low - 1e-9 <= each.truth <= each.high + 1e-9 for each in of_factor])
            error, still, width = (
                100 * np.mean(values)
                for values in (
                    [abs(each.expected - each.truth) for each in of_factor],
                    [abs(each.now - each.truth) for each in of_factor],
                    [each.high - each.low for each in of_factor],
                )
            )
            lines.append(
                f"| {name} | {factor:g}x | {len(of_factor)} of {asked} | {covered:.0%} | {error:.2f} | {still:.2f} "
                f"| {width:.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="*", help="folders of runs; without any, studies are simulated")
    parser.add_argument("--studies", type=int, default=200, help="simulated studies of each sort")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.runs:
        cases = [case for path in options.runs if (case := _case_if_readable(path)) is not None]
        print(table({"real, second half": [replace(case, factor=2.0) for case in cases]}, len(options.runs)))
        return
    found: dict[str, list[Case]] = {}
    for place, (name, study) in enumerate(STUDIES.items()):
        rngs = np.random.default_rng([options.seed, place]).spawn(options.studies)
        found[name] = [case for rng in rngs for case in cases_of(study, rng)]
    print(table(found, options.studies))


if __name__ == "__main__":
    main()
