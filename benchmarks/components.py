"""Run `seedbed fit` on named data within a budget each, as a user would, and hold the test scores to what is asked.

    python benchmarks/components.py
    python benchmarks/components.py 'emoji=FOLDER@180>=0.78' 'movies=train.csv,test.csv@120>=0.80' --seeds 0 1 2
    python benchmarks/components.py 'prices=houses.csv@2m<=0.3:rmse' --set optimizer=sgd --use architecture:mlp

A set is NAME=TRAIN[,TEST]@BUDGET[>=TARGET][:METRIC]: BUDGET in seconds or as 90s, 2m; TEST where TRAIN brings no
test part; `<=` for errors; METRIC decides in the run too, and is otherwise the usual one of the task. Each run is a
process of its own, offline, with an empty cache; its wall time is taken from outside, the interpreter's start
included, and it is late where that is more than 2 s and 2 % over the budget. The table names sets, not paths.

Ends with 1 where the median of a set misses its target, or a run failed or was late.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seedbed import ExitCode, SeedbedError
from seedbed.core.settings import parse_duration

DEFAULT = "digits=demo:digits@60>=0.988"
GRACE_SECONDS, GRACE_SHARE = 2.0, 0.02
_ENDED_AFTER = 3.0  # budgets, plus a minute: then a run is ended by force
_ASKED = re.compile(r"(?P<budget>[\w.]+?)(?:(?P<sign>>=|<=)(?P<target>[\d.]+))?(?::(?P<metric>\w+))?")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A data set, the seconds it gets, and what is asked of its test score (`target` None: nothing)."""

    name: str
    train: str
    test: str | None = None
    seconds: float
    target: float | None = None
    is_error: bool = False
    metric: str | None = None

    def meets(self, score: float) -> bool:
        """Whether a score is as good as asked."""
        if self.target is None:
            return True
        return score <= self.target if self.is_error else score >= self.target

    @property
    def asked(self) -> str:
        """What is asked, for the table."""
        sign = "≤" if self.is_error else "≥"
        return "-" if self.target is None else f"{sign} {self.target:g}"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run came to; `trouble` says why it has no score, or that it was late."""

    seed: int
    wall: float
    score: float | None = None
    metric: str = ""
    rows: int = 0
    classes: int = 0
    won: str = ""
    trouble: str = ""


def parse_task(text: str) -> Task:
    """Read NAME=TRAIN[,TEST]@BUDGET[>=TARGET][:METRIC].

    Raises:
        ArgumentTypeError: it is nothing of the kind.
    """
    name, _, rest = text.partition("=")
    source, _, wanted = rest.rpartition("@")
    found = _ASKED.fullmatch(wanted)
    train, comma, test = source.partition(",")
    if not (name and train and found) or (comma and not test):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=TRAIN[,TEST]@BUDGET[>=TARGET][:METRIC]")
    try:
        return Task(
            name=name,
            train=train,
            test=test or None,
            seconds=parse_duration(found["budget"]),
            target=None if found["target"] is None else float(found["target"]),
            is_error=found["sign"] == "<=",
            metric=found["metric"],
        )
    except (SeedbedError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def command_of(task: Task, seed: int, out: Path, passed_on: Sequence[str], plugin: Path | None = None) -> list[str]:
    """Return the command that a user would type."""
    command = [sys.executable, "-m", "seedbed", *(["--plugin", str(plugin)] if plugin else [])]
    command += ["fit", task.train, "--time", f"{task.seconds}s", "--seed", str(seed)]
    command += ["--test", task.test] if task.test else []
    command += ["--metric", task.metric] if task.metric else []
    return [*command, *passed_on, "--out", str(out), "--offline", "--json", "--quiet"]


def run(task: Task, seed: int, passed_on: Sequence[str], keep: Path | None, *, plugin: Path | None = None) -> Figures:
    """Fit once in a process of its own, with an empty cache; `keep` is where its folder and documents stay."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if keep is None else keep / f"{task.name}-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        command = [*command_of(task, seed, folder / "run", passed_on, plugin), "--overwrite"]
        environment = {**os.environ, "SEEDBED_HOME": str(Path(scratch) / "home")}
        began = time.perf_counter()
        try:
            done = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                encoding="utf-8",
                check=False,
                timeout=_ENDED_AFTER * task.seconds + 60,
            )
        except subprocess.TimeoutExpired:
            return Figures(seed=seed, wall=time.perf_counter() - began, trouble="did not end")
        wall = time.perf_counter() - began
        (folder / "fit.json").write_text(done.stdout, encoding="utf-8")
        (folder / "fit.log").write_text(done.stderr, encoding="utf-8")
        if done.returncode not in (ExitCode.DONE, ExitCode.NOTHING_BEATS_THE_BASELINE) or not done.stdout:
            print(done.stderr, file=sys.stderr)
            return Figures(seed=seed, wall=wall, trouble=f"failed ({_exit_name(done.returncode)})")
        profile = json.loads((folder / "run" / "data" / "profile.json").read_text(encoding="utf-8"))
        return figures(task, seed, wall, json.loads(done.stdout), profile)


def figures(task: Task, seed: int, wall: float, document: Mapping[str, Any], profile: Mapping[str, Any]) -> Figures:
    """Read off what counts from the documents of a run that has ended."""
    metric = document["task"]["metric"]
    score = (document["test"] or {}).get(metric)
    late = wall > task.seconds + max(GRACE_SECONDS, GRACE_SHARE * task.seconds)
    trouble = "no test score" if score is None else "late" if late else ""
    labels = {row["trial"]: row["candidate"] for row in document["leaderboard"]}
    best = document["best"]
    return Figures(
        seed=seed,
        wall=wall,
        score=score,
        metric=metric,
        rows=profile["train"] + profile["valid"],
        classes=len(document["task"]["classes"]),
        won="" if best is None else " + ".join(dict.fromkeys(labels[trial] for trial in best["trials"])),
        trouble=trouble,
    )


def _exit_name(code: int) -> str:
    known = [each.name.replace("_", " ").lower() for each in ExitCode if each == code]
    return known[0] if known else f"exit {code}"


HEADER = """| data | rows | classes | budget s | wall s | seeds | test score | median | won | asked | met |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def has_met(task: Task, runs: Sequence[Figures]) -> bool:
    """Whether all runs came to a score in time, and their median is as good as asked."""
    scores = [each.score for each in runs if each.score is not None]
    return not any(each.trouble for each in runs) and bool(scores) and task.meets(statistics.median(scores))


def row(task: Task, runs: Sequence[Figures]) -> str:
    """Return the line of a data set; a run in trouble says so in the place of its score, or beside it."""
    scores = [each.score for each in runs if each.score is not None]
    shown = (" ".join(filter(None, (_number(each.score), each.trouble))) for each in runs)
    metric = next((each.metric for each in runs if each.metric), task.metric or "")
    won = dict.fromkeys(each.won for each in runs if each.won)
    cells = (
        task.name,
        f"{rows:,}" if (rows := max(each.rows for each in runs)) else "-",
        str(max(each.classes for each in runs) or "-"),
        f"{task.seconds:g}",
        ", ".join(f"{each.wall:.1f}" for each in runs),
        ", ".join(str(each.seed) for each in runs),
        ", ".join(shown),
        f"{_number(statistics.median(scores))} {metric}" if scores else "-",
        "; ".join(won) or "-",
        task.asked,
        "yes" if has_met(task, runs) else "**no**",
    )
    return f"| {' | '.join(cells)} |"


def _number(score: float | None) -> str:
    return "" if score is None else f"{score:.4f}"


def machine() -> str:
    """Say what the figures were taken on."""
    packages = ", ".join(f"{each} {version(each)}" for each in ("torch", "timm", "numpy"))
    return f"{cpu()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


def cpu(info: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name, where the system tells it, else its kind."""
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def results(
    tasks: Sequence[Task], seeds: Sequence[int], passed_on: Sequence[str], keep: Path | None
) -> Iterator[tuple[str, bool]]:
    """Run everything; yield the line of each data set as it is done, and whether it met what was asked."""
    for task in tasks:
        runs = []
        for seed in seeds:
            runs.append(run(task, seed, passed_on, keep))
            print(f"{task.name}, seed {seed}: {runs[-1]}", file=sys.stderr, flush=True)
        yield row(task, runs), has_met(task, runs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line names; write the table line by line, so that what is done stays."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", type=parse_task, metavar="NAME=TRAIN[,TEST]@BUDGET[>=TARGET][:METRIC]")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="where the table goes, beside the screen")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the runs, their documents and logs here")
    for name in ("set", "use", "without"):
        parser.add_argument(f"--{name}", action="append", default=[], help=f"handed on to `seedbed fit --{name}`")
    options = parser.parse_args(arguments)
    passed_on = [
        part for name in ("set", "use", "without") for value in getattr(options, name) for part in (f"--{name}", value)
    ]
    lines = [f"{machine()}.{' With ' + ' '.join(passed_on) + '.' if passed_on else ''}", "", *HEADER.splitlines()]
    print("\n".join(lines), flush=True)
    verdicts = []
    for line, is_met in results(options.tasks or [parse_task(DEFAULT)], options.seeds, passed_on, options.keep):
        print(line, flush=True)
        lines.append(line)
        verdicts.append(is_met)
        if options.out is not None:
            options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
