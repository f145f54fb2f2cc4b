"""Whether runs end when they should: `seedbed fit` on named data within budgets, the wall time taken from outside.

    python benchmarks/on_time.py 'digits=demo:digits@30' 'emoji=FOLDER@90' 'movies=train.csv,test.csv@60' --seeds 0 1

A set is NAME=TRAIN[,TEST]@BUDGET, as for components.py. After the sets come three runs of digits with a plugin whose
net hangs and one that takes a minute an epoch (`trying_plugins.py`), each alone, and both beside a sound net. A run is
late where its wall time, the interpreter's start included, is more than 2 s and 2 % over. The share of the budget
that was used is told as well.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from components import GRACE_SECONDS, GRACE_SHARE, Figures, Task, machine, parse_task, run

PLUGIN = Path(__file__).with_name("trying_plugins.py")
TRYING = {
    "a net that hangs": ("--use", "architecture:hangs"),
    "a net that takes a minute an epoch": ("--use", "architecture:sluggish"),
    "both beside a sound one": (
        *("--use", "architecture:hangs", "--use", "architecture:sluggish"),
        *("--use", "architecture:small_resnet"),
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything and print the table; 1 where a run was late."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", type=parse_task, metavar="NAME=TRAIN[,TEST]@BUDGET")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--trying", type=float, default=40.0, metavar="SECONDS", help="budget with the trying plugins")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    print(machine())
    print("\n| data | seed | budget s | wall s | over s | used | test score |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    over = []
    for task in options.tasks:
        for seed in options.seeds:
            over.append(_tell(task, run(task, seed, ["--no-experience"], options.keep)))
    for name, use in TRYING.items():
        task = Task(name=name, train="demo:digits", seconds=options.trying)
        over.append(_tell(task, run(task, 0, ["--no-experience", *use], options.keep, plugin=PLUGIN)))
    quantiles = statistics.quantiles(over, n=20) if len(over) > 1 else [over[0]] * 19
    told = {"median": statistics.median(over), "95 %": quantiles[-1], "most": max(over)}
    print("\nseconds over the budget: " + ", ".join(f"{name} {each:.2f}" for name, each in told.items()))
    return int(any(each > GRACE_SECONDS for each in over))


def _tell(task: Task, found: Figures) -> float:
    """Print a run's line; return by how much it was over, beyond what 2 % of a long budget allow."""
    late = found.wall - task.seconds
    score = found.trouble if found.score is None else f"{found.score:.4f}"
    cells = (task.name, found.seed, f"{task.seconds:g}", f"{found.wall:.1f}", f"{late:+.1f}")
    print(f"| {' | '.join(map(str, cells))} | {found.wall / task.seconds:.0%} | {score} |", flush=True)
    return late - max(GRACE_SHARE * task.seconds - GRACE_SECONDS, 0.0)


if __name__ == "__main__":
    sys.exit(main())
