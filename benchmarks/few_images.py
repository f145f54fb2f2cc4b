"""Draw test accuracy against the number of training images a class, pretrained nets against nets from scratch.

    python benchmarks/few_images.py FOLDER --out few_images.md --plot few_images.svg
    python benchmarks/few_images.py FOLDER --counts 5 10 20 50 --seeds 0 1 2 --seconds 60
    python benchmarks/few_images.py FOLDER --trials 1

In the spirit of Pan & Yang (2010, "A survey on transfer learning", Section 2.3): what a source task brings where
there is little of the target. FOLDER holds class folders, below train/ and test/ or not; then a fifth of each class
is the test part, the same for all points. A seed draws its training images, of which the fewer are among the more;
the engine has no others to validate with. Every point is a run of its own with one fine-tune policy and so many
seconds for everything, in which it tries and averages what it will, as for any user; with --trials N it is so many
candidates instead, which equal seeds repeat exactly and a busy machine does not change. In all of them there is the
linear baseline on pixels as well, and where it was kept in place of a net the table says so. The plot needs
matplotlib: pip install 'seedbed[bench]'.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from components import machine

import seedbed
from seedbed.core.errors import NoCandidateSucceeded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POLICIES: Mapping[str, str] = {
    "scratch": "from scratch",
    "probe": "pretrained, probe",
    "head_then_all": "pretrained, head then all",
}
COUNTS = (5, 10, 20, 50)
TEST_SHARE = 0.2
_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"})


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The files of each class: those to draw training images from, and those to test with."""

    train: Mapping[str, tuple[Path, ...]]
    test: Mapping[str, tuple[Path, ...]]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What each run may spend: seconds for everything, or a number of candidates in full length, whatever it takes."""

    seconds: float | None = None
    trials: int | None = None
    threads: int = 0

    def __str__(self) -> str:
        if self.trials is None:
            return f"{self.seconds:g} s"
        return "1 candidate" if self.trials == 1 else f"{self.trials} candidates"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run: how many images a class, by which policy, and its test accuracy, None where it came to none."""

    count: int
    policy: str
    seed: int
    accuracy: float | None
    is_baseline: bool = False


def files_of(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Return the images below each class folder, in the order of their names."""
    found = {
        each.name: tuple(sorted(path for path in each.rglob("*") if path.suffix.lower() in _SUFFIXES))
        for each in sorted(folder.iterdir())
        if each.is_dir()
    }
    return {name: files for name, files in found.items() if files}


def pool_of(folder: Path) -> Pool:
    """Return what there is to train and to test with."""
    if not folder.is_dir():
        raise SystemExit(f"{folder} is no folder; give one with a folder of images for each class.")
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        return Pool(train=files_of(folder / "train"), test=files_of(folder / "test"))
    return part(files_of(folder))


def part(files: Mapping[str, Sequence[Path]]) -> Pool:
    """Set a fifth of each class apart for the test, and one image at least; always the same."""
    train, test = {}, {}
    for name, paths in files.items():
        shuffled = Random(f"test:{name}").sample(list(paths), len(paths))
        held = max(round(TEST_SHARE * len(paths)), 1)
        test[name], train[name] = tuple(sorted(shuffled[:held])), tuple(sorted(shuffled[held:]))
    return Pool(train=train, test=test)


def draw(files: Mapping[str, Sequence[Path]], count: int, seed: int) -> dict[str, tuple[Path, ...]]:
    """Return so many images of each class; a seed's smaller draws are parts of its larger ones."""
    for name, paths in files.items():
        if len(paths) < count:
            raise SystemExit(f"The class {name} has {len(paths)} training images, fewer than {count}; leave it out.")
    return {name: tuple(Random(f"{seed}:{name}").sample(list(files[name]), len(files[name]))[:count]) for name in files}


def columns(train: Mapping[str, Sequence[Path]], test: Mapping[str, Sequence[Path]]) -> dict[str, list[str]]:
    """Return a table of image files with their class and part."""
    rows = [
        (str(path.absolute()), name, which)
        for which, files in (("train", train), ("test", test))
        for name, paths in files.items()
        for path in paths
    ]
    image, label, parts = zip(*rows, strict=True)
    return {"image": list(image), "label": list(label), "part": list(parts)}


def fit(pool: Pool, count: int, policy: str, seed: int, budget: Budget, out: Path) -> Point:
    """Fit one point."""
    try:
        run = seedbed.fit(
            columns(draw(pool.train, count, seed), pool.test),
            target="label",
            inputs=["image"],
            part="part",
            modality="image",
            metric="accuracy",
            time=budget.seconds,
            trials=budget.trials,
            threads=budget.threads,
            fixed={"policy": policy},
            seed=seed,
            offline=True,
            out=out,
            overwrite=True,
        )
    except NoCandidateSucceeded as error:  # the time was too short: the other points go on
        print(error, file=sys.stderr)
        return Point(count=count, policy=policy, seed=seed, accuracy=None)
    return point_of(run.summary(), count, policy, seed)


def point_of(document: Mapping[str, Any], count: int, policy: str, seed: int) -> Point:
    """Read a point off the summary of its run."""
    roles = {row["trial"]: row["role"] for row in document["leaderboard"]}
    return Point(
        count=count,
        policy=policy,
        seed=seed,
        accuracy=(document["test"] or {}).get("accuracy"),
        is_baseline=all(roles[trial] == "baseline" for trial in document["best"]["trials"]),
    )


def runs_at(points: Sequence[Point], count: int, policy: str) -> list[Point]:
    """Return the runs of all seeds at a point."""
    return [each for each in points if (each.count, each.policy) == (count, policy)]


def accuracies(points: Sequence[Point], count: int, policy: str) -> list[float]:
    """Return the accuracies of the seeds that came to one."""
    return [each.accuracy for each in runs_at(points, count, policy) if each.accuracy is not None]


def table(points: Sequence[Point]) -> str:
    """Return the Markdown table: mean, least and greatest of the seeds, and how often the baseline was kept."""
    counts = sorted({each.count for each in points})
    lines = [f"| images a class | {' | '.join(POLICIES.values())} |", "|" + " --- |" * (1 + len(POLICIES))]
    for count in counts:
        lines.append(f"| {count} | {' | '.join(_cell(points, count, policy) for policy in POLICIES)} |")
    return "\n".join(lines)


def _cell(points: Sequence[Point], count: int, policy: str) -> str:
    runs, found = runs_at(points, count, policy), accuracies(points, count, policy)
    kept = sum(each.is_baseline for each in runs)
    notes = [f"{min(found):.3f} to {max(found):.3f}"] if found else []
    notes += [f"{kept} of {len(runs)} the linear baseline"] if kept else []
    notes += [f"{len(runs) - len(found)} of {len(runs)} without a score"] if len(found) < len(runs) else []
    mean = f"{statistics.fmean(found):.3f}" if found else "-"
    return f"{mean} ({', '.join(notes)})" if notes else mean


def plot(points: Sequence[Point], path: Path) -> None:
    """Draw a line for each policy through the means, with bars from the least to the greatest; SVG or PNG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # The same points give the same file: no date in it, and names of its parts that do not change.
    with mpl.rc_context({"svg.hashsalt": "few_images", "svg.fonttype": "none"}):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        _lines(figure.add_subplot(), points)
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def _lines(axes: Axes, points: Sequence[Point]) -> None:
    counts = sorted({each.count for each in points})
    for policy, name in POLICIES.items():
        there = [count for count in counts if accuracies(points, count, policy)]
        found = [accuracies(points, count, policy) for count in there]
        means = [statistics.fmean(each) for each in found]
        below = [mean - min(each) for mean, each in zip(means, found, strict=True)]
        above = [max(each) - mean for mean, each in zip(means, found, strict=True)]
        axes.errorbar(there, means, yerr=(below, above), marker="o", capsize=3, label=name)
    axes.set_xscale("log")
    axes.set_xticks(counts, labels=[str(count) for count in counts])
    axes.minorticks_off()
    axes.set_xlabel("training images a class")
    axes.set_ylabel("test accuracy")
    axes.grid(alpha=0.3)
    axes.legend()


def points_of(
    pool: Pool, counts: Sequence[int], seeds: Sequence[int], budget: Budget, scratch: Path
) -> Iterator[Point]:
    """Yield all points, a seed at a time: an early look shows whole curves."""
    for seed in seeds:
        for count in counts:
            for policy in POLICIES:
                found = fit(pool, count, policy, seed, budget, scratch / "run")
                print(found, file=sys.stderr, flush=True)
                yield found


def main() -> None:
    """Run all points; write table and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS), help="images a class (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    budgets = parser.add_mutually_exclusive_group()
    budgets.add_argument("--seconds", type=float, default=60.0, help="for everything in a run (%(default)s)")
    budgets.add_argument("--trials", type=int, metavar="N", help="candidates in a run, in place of a time")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of each run; as many as there are cores")
    parser.add_argument("--out", type=Path, metavar="FILE.md")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="or .png")
    options = parser.parse_args()
    if options.plot is not None and find_spec("matplotlib") is None:  # told now, not when all is done
        parser.error("--plot needs matplotlib: pip install 'seedbed[bench]'")
    seconds = None if options.trials else options.seconds
    budget = Budget(seconds=seconds, trials=options.trials, threads=options.threads)
    pool = pool_of(options.folder)
    draw(pool.train, max(options.counts), 0)  # as above
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["SEEDBED_HOME"] = str(Path(scratch) / "home")
        points = list(points_of(pool, options.counts, options.seeds, budget, Path(scratch)))
    tested = sum(map(len, pool.test.values()))
    facts = (
        f"Mean test accuracy (least to greatest) of {len(options.seeds)} draws, {len(pool.train)} classes, {tested:,} "
        f"test images, {budget} for each run. {machine()}."
    )
    text = f"{facts}\n\n{table(points)}\n"
    print(text)
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    if options.plot is not None:
        plot(points, options.plot)


if __name__ == "__main__":
    main()
