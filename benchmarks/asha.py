"""ASHA against random search at equal work, or Bayesian search at equal trials: plans on named data, several seeds.

    python benchmarks/asha.py 'emoji=FOLDER' 'fashion=FOLDER>=0.90' --seeds 0 1 2 3 4 --trials 20 --epochs 6
    python benchmarks/asha.py 'emoji=FOLDER' --compare bayesian --trials 30 --keep runs --out bayesian.md

A set is NAME=TRAIN[>=TARGET] (`<=` for errors); what TRAIN may be is what `seedbed fit` takes. Each run is a process of
its own, `seedbed fit --trials N` with one worker and no limit of time, offline. What is searched is the space of
one net from random weights, pinned by --set. A full training is --epochs passes, for both sides alike: the strategy
`shortened` (`shortened.py`) asks the built-in one, and scales the lengths of what it proposes. All built-in strategies
try the defaults first, and where these are the best there is nothing to compare: here each seed begins with a draw of
its own, the same for both sides (--defaults: with the defaults).

Random search tries so many trials; ASHA (or hyperband) may then spend as many epochs as those took, in as many trials
as it likes. From the journals: the epochs spent until the best validation score so far, at any look of any
trial, is as good as random search's at its end, and as a target that is common to all seeds, the median of those ends
where none is given. Rows that are learnt from and pixels count: an epoch of a third of the rows is a third of one.
Against Bayesian search both have the same number of trials, and the best score after each is told.

With --keep the runs stay, and one that has ended is not done again.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components import machine
from shortened import cost_of_an_epoch

from seedbed import ExitCode
from seedbed.core.search.events import (
    DataDescribed,
    EpochFinished,
    Event,
    RunFinished,
    TrialFinished,
    TrialStarted,
    TrialStopped,
)
from seedbed.core.search.journal import read
from seedbed.core.task import Task

PLUGIN = Path(__file__).with_name("shortened.py")
PINNED = ("architecture=small_resnet", "policy=scratch")
AFTER = (1, 2, 5, 10, 20, 30, 50, 100)
"""Trials after which the best scores are shown."""

_MOST = 20
"""How many times as many trials as random search another may begin for the same work."""

_SET = re.compile(r"(?P<name>[^=]+)=(?P<train>.+?)(?:[<>]=(?P<target>-?[\d.]+))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """How a run went: `looks` are (epochs spent in all, best score so far), `trials` the best after each candidate.

    `cut` of them were ended by their bars. Scores are the metric's, better by the direction of `task`.
    """

    task: Task
    looks: tuple[tuple[float, float], ...]
    trials: tuple[float, ...]
    cut: int = 0

    def until(self, work: float) -> Course:
        """Return the course without what came after so many epochs."""
        return replace(self, looks=tuple(each for each in self.looks if each[0] <= work + 1e-6))

    @property
    def end(self) -> float | None:
        """The best score in the end."""
        return self.looks[-1][1] if self.looks else None

    def work_to(self, target: float) -> float:
        """Return the epochs spent until a score is reached, infinity if it is not."""
        worth = self.task.worth
        return next((work for work, score in self.looks if worth(score) >= worth(target)), math.inf)

    def trials_to(self, target: float) -> float:
        """Return the trials until a score is reached, infinity if it is not."""
        worth = self.task.worth
        return next((n for n, score in enumerate(self.trials, 1) if worth(score) >= worth(target)), math.inf)


def course_of(events: Iterable[Event]) -> Course:
    """Read off a journal how a run's draws went: baselines and means of weights are none.

    Raises:
        ValueError: the run broke off before its data was described.
    """
    task: Task | None = None
    works: dict[int, float] = {}
    costs: dict[int, float] = {}
    looks: list[tuple[float, float]] = []
    trials: list[float] = []
    best, cut = -math.inf, 0
    for event in events:
        if isinstance(event, DataDescribed):
            task = event.profile.task
        elif isinstance(event, TrialStarted) and event.role == "candidate" and not event.ingredients:
            costs[event.trial] = cost_of_an_epoch(event.fidelity)
        elif isinstance(event, EpochFinished | TrialFinished | TrialStopped) and event.trial in costs and task:
            if not isinstance(event, TrialStopped):
                epochs = event.epoch if isinstance(event, EpochFinished) else event.epochs
                works[event.trial] = max(works.get(event.trial, 0.0), epochs * costs[event.trial])
                best = max(best, task.worth(event.score) if math.isfinite(event.score) else -math.inf)
                looks.append((sum(works.values()), task.worth(best)))
            else:
                cut += event.is_cut
            if not isinstance(event, EpochFinished):
                trials.append(task.worth(best))
    if task is None:
        raise ValueError("no data was described")
    return Course(task=task, looks=tuple(looks), trials=tuple(trials), cut=cut)


@dataclass(frozen=True, kw_only=True, slots=True)
class Set:
    """A data set, and the score that is to be reached."""

    name: str
    train: str
    target: float | None = None


def parse_set(text: str) -> Set:
    """Read NAME=TRAIN[>=TARGET].

    Raises:
        ArgumentTypeError: it is nothing of the kind.
    """
    found = _SET.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=TRAIN[>=TARGET]")
    return Set(name=found["name"], train=found["train"], target=float(found["target"]) if found["target"] else None)


def _number(found: float | None, digits: int = 1) -> str:
    if found is None:
        return "-"
    return "never" if math.isinf(found) else f"{found:.{digits}f}"


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _ratio(other: float, usual: float) -> float:
    return other / usual if math.isfinite(usual) else math.nan


def by_work(wanted: Set, seeds: Sequence[int], usual: Sequence[Course], others: Sequence[Course]) -> list[str]:
    """Return the lines of a set: a line a seed, and the medians; `others` are held to the work of `usual`."""
    others = [other.until(each.looks[-1][0]) for each, other in zip(usual, others, strict=True)]
    ends = [each.looks[-1][1] for each in usual]
    target = statistics.median_low(ends) if wanted.target is None else wanted.target
    lines, columns = [], []
    for seed, end, one, other in zip(seeds, ends, usual, others, strict=True):
        to_end, to_target = ([each.work_to(goal) for each in (one, other)] for goal in (end, target))
        row = [one.looks[-1][0], *to_end, *to_target]
        row = [*row[:3], _ratio(row[2], row[1]), *row[3:], _ratio(row[4], row[3])]
        columns.append(row)
        tried = f"{len(one.trials)}, {len(other.trials)} ({other.cut} cut)"
        lines.append(_line((wanted.name, seed, tried, _number(end, 4), _number(other.end, 4), *_cells(row))))
    middles = [_median(column) for column in zip(*columns, strict=True)]
    found = [statistics.median(each) for each in (ends, [other.end or math.nan for other in others])]
    return [*lines, _line((wanted.name, "median", "", *(f"{each:.4f}" for each in found), *_cells(middles)))]


def _cells(row: Sequence[float]) -> list[str]:
    spent_in_all, *rest = row
    return [_number(spent_in_all), *(_number(each, 2 if place in {2, 5} else 1) for place, each in enumerate(rest))]


def _median(found: Sequence[float]) -> float:
    """Return the median; where random search itself never came so far there is no ratio to count."""
    return statistics.median([each for each in found if not math.isnan(each)] or [math.nan])


def header_by_work(other: str) -> list[str]:
    """Return the head of the table of `by_work`."""
    epochs = [f"{to}: random, {other} | ratio" for to in ("epochs to random's end", "epochs to the target")]
    cells = ["data", "seed", f"trials: random, {other}", "random's end", f"{other}'s end", "epochs of work"]
    for each in epochs:
        name, ratio = each.split(" | ")
        cells += [name.replace(f"random, {other}", "random"), f"{name.partition(':')[0]}: {other}", ratio]
    return [_line(cells), "|" + " --- |" * len(cells)]


def by_trials(wanted: Set, seeds: Sequence[int], usual: Sequence[Course], others: Sequence[Course]) -> list[str]:
    """Return the lines of a set: of either side the median best score after n trials, and of how many seeds ahead."""
    least = min(len(each.trials) for each in (*usual, *others))
    lines = []
    for count in [each for each in AFTER if each < least] + [least]:
        pairs = [(one.trials[count - 1], other.trials[count - 1]) for one, other in zip(usual, others, strict=True)]
        worth = usual[0].task.worth
        ahead = sum(worth(other) > worth(one) for one, other in pairs)
        middles = [f"{statistics.median(side):.4f}" for side in zip(*pairs, strict=True)]
        every = [", ".join(f"{score:.4f}" for score in side) for side in zip(*pairs, strict=True)]
        lines.append(_line((wanted.name, count, *middles, f"{ahead} of {len(seeds)}", *every)))
    needed = [other.trials_to(one.trials[-1]) for one, other in zip(usual, others, strict=True)]
    told = ", ".join(_number(each, 0) for each in needed)
    return [*lines, f"\n{wanted.name}: trials until random search's end is reached: {told}.\n"]


def header_by_trials(other: str) -> list[str]:
    """Return the head of the table of `by_trials`."""
    cells = ["data", "trials", "random", other, f"{other} ahead", "random, every seed", f"{other}, every seed"]
    return [_line(cells), "|" + " --- |" * len(cells)]


def command_of(
    wanted: Set, strategy: Sequence[str], seed: int, trials: int, folder: Path, passed_on: Sequence[str]
) -> list[str]:
    """Return the command that a user would type; `strategy` are options of `shortened`, as NAME=VALUE."""
    command = [sys.executable, "-m", "seedbed", "--plugin", str(PLUGIN), "fit", wanted.train]
    command += ["--trials", str(trials), "--seed", str(seed), "--workers", "1", "--strategy", "shortened"]
    command += [part for each in strategy for part in ("--set", f"strategy.shortened.{each}")]
    return [*command, *passed_on, "--out", str(folder), "--overwrite", "--offline", "--no-experience", "--quiet"]


def run(command: Sequence[str], folder: Path, home: Path) -> Course:
    """Do a run, unless it is there already, and read its journal."""
    journal = folder / "journal.jsonl"
    events = list(read(journal)) if journal.is_file() else []
    if not any(isinstance(event, RunFinished) for event in events):
        environment = {**os.environ, "SEEDBED_HOME": str(home)}
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
        if done.returncode not in (ExitCode.DONE, ExitCode.NOTHING_BEATS_THE_BASELINE):
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        events = list(read(journal))
    return course_of(events)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line names; write the table set by set, so that what is done stays."""
    options = _parsed(arguments)
    ladder = [f"resource={options.resource}", f"rungs={options.rungs}"]
    is_by_work = options.compare != "bayesian"
    passed_on = [part for each in options.set or PINNED for part in ("--set", each)]
    passed_on += [*(part for each in options.without for part in ("--without", each))]
    passed_on += ["--threads", str(options.threads)]
    lines = [
        f"{machine()}. Full trainings of {options.epochs:g} epochs. With {' '.join(passed_on)}, "
        f"beginning with {'the defaults' if options.defaults else 'a draw of each seed'}.",
        "",
    ]
    lines += (header_by_work if is_by_work else header_by_trials)(options.compare)
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        keep = options.keep or Path(scratch)
        for wanted in options.sets:
            usual, others = [], []
            for seed in options.seeds:
                folder = keep / f"{wanted.name}-random-{seed}"
                plan = [f"epochs={options.epochs}", f"first={-1 if options.defaults else seed}"]
                command = command_of(wanted, ["of=random", *plan], seed, options.trials, folder, passed_on)
                usual.append(run(command, folder, keep / "home"))
                print(f"{wanted.name}, seed {seed}, random: {usual[-1].end}", file=sys.stderr, flush=True)
                work, most, asked = usual[-1].looks[-1][0], options.trials, [f"of={options.compare}", *plan]
                if is_by_work:
                    most, asked = _MOST * options.trials, [*asked, *ladder, f"work={work}"]
                folder = keep / f"{wanted.name}-{options.compare}-{seed}"
                others.append(run(command_of(wanted, asked, seed, most, folder, passed_on), folder, keep / "home"))
                print(f"{wanted.name}, seed {seed}, {options.compare}: {others[-1].end}", file=sys.stderr, flush=True)
            found = (by_work if is_by_work else by_trials)(wanted, options.seeds, usual, others)
            print("\n".join(found), flush=True)
            lines += found
            if options.out is not None:
                options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=parse_set, metavar="NAME=TRAIN[>=TARGET]")
    parser.add_argument("--compare", choices=("asha", "hyperband", "bayesian"), default="asha")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--trials", type=int, default=30, help="of random search, and of Bayesian")
    parser.add_argument("--epochs", type=float, default=6.0, help="of a full training")
    parser.add_argument("--resource", choices=("epochs", "subset", "resolution"), default="epochs")
    parser.add_argument("--rungs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--defaults", action="store_true", help="begin with the defaults instead of a draw")
    parser.add_argument("--set", action="append", default=[], help=f"in place of {' '.join(PINNED)}; repeatable")
    parser.add_argument("--without", action="append", default=[], help="handed on to `seedbed fit --without`")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the runs here, and go on with what is there")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="where the table goes, beside the screen")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
