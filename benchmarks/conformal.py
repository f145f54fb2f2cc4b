"""How often the sets of `predict --abstain` hold the truth, on rows that played no part in making the model.

    python benchmarks/conformal.py
    python benchmarks/conformal.py emoji=FOLDER movies=train.csv,test.csv --time 2m --seeds 0 1 2
    python benchmarks/conformal.py photos=runs/photos --levels 0.01 0.05

A set is NAME=TRAIN[,TEST], TEST where TRAIN brings no test part, or NAME=RUN, the folder of a run that has one. Each
training is a process of its own, offline. What is counted are the test predictions that the run itself stored, made by
the code of `predict`; a run that kept no calibration is calibrated here, by its validation predictions.

`covered` is the share of test rows whose set, or interval, holds the truth, where a set may be empty: theory puts it
at 1 - level, up to chance. Beside it stand its binomial standard error, of the test rows alone, and what chance does
to both parts together, the rows of calibration included. `with an answer for each` is the same where an empty set is
given its likeliest class, as `predict` does it; `wrong` is the share among the answered.

Ends with 1 where `covered`, the mean over a set's seeds, is more than two points from 1 - level.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components import machine

from seedbed import ExitCode
from seedbed.core.errors import UsageError
from seedbed.core.results.bundle import read_bundle
from seedbed.core.results.calibration import Calibration, Coverage, calibrate, coverage
from seedbed.core.runfolder import RunFolder
from seedbed.core.training.predictions import Predictions, load_predictions

DEFAULT = "digits=demo:digits"
LEVELS = (0.01, 0.05, 0.1, 0.2)
POINTS = 0.02


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A data set, and where its test part lies if TRAIN has none; or the folder of a run as `train`."""

    name: str
    train: str
    test: str | None = None

    @property
    def is_run(self) -> bool:
        """Whether it is there already."""
        return RunFolder(Path(self.train)).is_run


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A run's calibration, and its predictions of the test part, at the temperature."""

    seed: int
    calibration: Calibration
    test: Predictions


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What the sets of one run came to at one level."""

    seed: int
    level: float
    calibrated: int
    rows: int
    found: Coverage

    @property
    def binomial(self) -> float:
        """The standard error of `covered` by the test rows alone."""
        return math.sqrt(self.found.strict * (1 - self.found.strict) / self.rows)

    @property
    def chance(self) -> float:
        """The standard deviation that theory gives to `covered` over draws of both parts."""
        return math.sqrt(self.level * (1 - self.level) * (1 / self.rows + 1 / (self.calibrated + 2)))


def parse(text: str) -> Asked:
    """Read NAME=TRAIN[,TEST] or NAME=RUN.

    Raises:
        ArgumentTypeError: it is nothing of the kind.
    """
    name, _, source = text.partition("=")
    train, comma, test = source.partition(",")
    if not (name and train) or (comma and not test):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=TRAIN[,TEST] or NAME=RUN")
    return Asked(name=name, train=train, test=test or None)


def fit(asked: Asked, seed: int, time: str, out: Path, passed_on: Sequence[str]) -> str:
    """Train as a user would; return why there is no model, empty where there is one."""
    command = [sys.executable, "-m", "seedbed", "fit", asked.train, "--time", time, "--seed", str(seed)]
    command += ["--test", asked.test] if asked.test else []
    command += [*passed_on, "--out", str(out), "--offline", "--quiet", "--overwrite"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode in (ExitCode.DONE, ExitCode.NOTHING_BEATS_THE_BASELINE):
        return ""
    print(done.stderr, file=sys.stderr)
    return f"`seedbed fit` ended with {done.returncode}"


def judged(folder: Path, seed: int) -> Judged | None:
    """Read what a run says of its test part; None where it has none."""
    run = RunFolder(folder)
    if not run.test_predictions.is_file():
        return None
    calibration, test = read_bundle(run.best).calibration, load_predictions(run.test_predictions)
    if calibration is None:
        calibration = calibrate(load_predictions(run.valid_predictions))
        test = calibration.applied_to(test)
    return Judged(seed=seed, calibration=calibration, test=test)


def counted(run: Judged, level: float) -> Counted | str:
    """Count at one level; where the rows of calibration do not serve it, return why."""
    try:
        threshold = run.calibration.threshold(level)
    except UsageError as error:
        return str(error)
    return Counted(
        seed=run.seed,
        level=level,
        calibrated=run.calibration.rows,
        rows=len(run.test),
        found=coverage(run.test.targets, run.test.outputs, threshold),
    )


HEADER = """| data | seeds | calibrated on | test rows | level | covered | ± test rows | ± both | with an answer for each | answered | wrong | within 2 points |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""  # noqa: E501 - Markdown knows no other way


def is_near(level: float, counts: Sequence[Counted]) -> bool:
    """Whether what is covered is, over all seeds, within two points of what was asked."""
    return abs(statistics.mean(each.found.strict for each in counts) - (1 - level)) <= POINTS


def line(name: str, level: float, counts: Sequence[Counted]) -> str:
    """Return the line of a data set and a level: means over the seeds, with the errors of these means."""
    wrong = [each.found.error for each in counts if each.found.error is not None]

    def error(parts: Sequence[float]) -> str:
        return f"{math.sqrt(sum(each**2 for each in parts)) / len(parts):.1%}"

    cells = (
        name,
        ", ".join(str(each.seed) for each in counts),
        _spread([each.calibrated for each in counts]),
        _spread([each.rows for each in counts]),
        f"{level:g}",
        _mean([each.found.strict for each in counts]),
        error([each.binomial for each in counts]),
        error([each.chance for each in counts]),
        _mean([each.found.coverage for each in counts]),
        _mean([each.found.answered for each in counts]),
        _mean(wrong) if wrong else "-",
        "yes" if is_near(level, counts) else "**no**",
    )
    return f"| {' | '.join(cells)} |"


def _mean(shares: Sequence[float]) -> str:
    return f"{statistics.mean(shares):.1%}"


def _spread(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def runs_of(asked: Asked, options: argparse.Namespace) -> Iterator[Judged]:
    """Train once a seed, or open the run; what comes to no test predictions is said and left out."""
    if asked.is_run:
        found = judged(Path(asked.train), 0)
        if found is None:
            _say(asked, 0, "has no predictions of a test part")
        else:
            yield found
        return
    passed_on = [part for value in options.set for part in ("--set", value)]
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as scratch:
            out = (options.keep or Path(scratch)) / f"{asked.name}-{seed}"
            trouble = fit(asked, seed, options.time, out, passed_on)
            found = None if trouble else judged(out, seed)
        if found is None:
            _say(asked, seed, trouble or "came to no predictions of a test part; give TRAIN,TEST")
            continue
        about = replace(found.calibration, table=())
        _say(asked, seed, f"{about}")
        yield found


def _say(asked: Asked, seed: int, what: str) -> None:
    print(f"{asked.name}, seed {seed}: {what}", file=sys.stderr, flush=True)


def results(asked: Asked, options: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """Yield the lines of a data set, and whether each is near what was asked."""
    runs = list(runs_of(asked, options))
    if not runs:
        yield f"| {asked.name} | no run with a test part |", False
    for level in options.levels if runs else ():
        counts = [counted(each, level) for each in runs]
        served = [each for each in counts if isinstance(each, Counted)]
        for each in counts:
            if isinstance(each, str):
                print(f"{asked.name}: {each}", file=sys.stderr, flush=True)
        if served:
            yield line(asked.name, level, served), is_near(level, served)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line names; the table is written line by line, so that what is done stays."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", type=parse, metavar="NAME=TRAIN[,TEST] or NAME=RUN")
    parser.add_argument("--levels", nargs="+", type=float, default=list(LEVELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--time", default="60s", metavar="DURATION", help="what each training gets")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="where the table goes, beside the screen")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the runs here")
    parser.add_argument("--set", action="append", default=[], help="handed on to `seedbed fit --set`")
    options = parser.parse_args(arguments)
    lines = [f"{machine()}. {options.time} a training.", "", *HEADER.splitlines()]
    print("\n".join(lines), flush=True)
    verdicts = []
    for asked in options.sets or [parse(DEFAULT)]:
        for text, is_met in results(asked, options):
            print(text, flush=True)
            lines.append(text)
            verdicts.append(is_met)
            if options.out is not None:
                options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
