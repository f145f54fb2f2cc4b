"""Compare regularizers as Srivastava et al. (2014, "Dropout", Section 6.5) did, on Fashion-MNIST with our plugins.

    python benchmarks/regularisation.py --out regularisation.md
    python benchmarks/regularisation.py --rows 10000 --epochs 60 --seeds 0 1 2 --source FOLDER

The net is the paper's: 784-1024-1024-2048-10 rectified units, trained from scratch by SGD with momentum, without
augmentation and without the optimizer's own weight decay, for the same number of epochs in every arm: none, L2,
dropout (0.2 of the inputs, 0.5 of the hidden units), dropout with max-norm. What an arm may be tuned by (learning
rate, strength, bound: two settings each, in ARMS) is chosen by validation accuracy on a draw of the data that the
table does not use; with that draw the settings offered were narrowed down before. With max-norm a larger rate is
offered, as in the paper (its section 5.1): dropout alone does worse at it.
Each seed draws its own training and validation rows, the same for all arms, and trains from its own random weights;
all are tested on the original test part. In every arm the checkpoint is kept that validates best, as in any run of
Seedbed. Nets with dropout learn slowly: chosen after a quarter of the epochs, settings are too timid for them.

FOLDER holds the four files of the original, …-idx3-ubyte.gz and …-idx1-ubyte.gz. Ends with 1 where the mean errors
are not in the paper's order.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
from components import machine
from fashion_mnist import CLASSES, SOURCE, load

import seedbed
from seedbed import Candidate, Fidelity, Profile, Proposal, StrategySpec, hookimpl
from seedbed.api import open_registry
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Space, Value

VALID_ROWS = 5_000
TUNING_SEED = 1_000
"""Of the draw on which settings are chosen; none of the seeds reported."""
TUNING_SHARE = 1.0
"""Of the epochs: what settings are chosen by."""

_LR, _STRENGTH, _C = "optimizer.sgd.lr", "regularizer.l2.strength", "regularizer.max_norm.c"
_MLP = "architecture.mlp"
COMMON: Mapping[str, Value] = {
    "architecture": "mlp",
    f"{_MLP}.layers": "1024-1024-2048",
    "policy": "scratch",
    "batch_size": 64,
    "optimizer": "sgd",
    "optimizer.sgd.momentum": 0.9,
    "optimizer.sgd.weight_decay": 0.0,
    "schedule": "cosine",
}
_DROPOUT: Mapping[str, Value] = {f"{_MLP}.input_dropout": 0.2, f"{_MLP}.hidden_dropout": 0.5}


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A way to regularize: what is pinned, the regularizers that are on, and the settings to choose among."""

    name: str
    pinned: Mapping[str, Value] = field(default_factory=dict)
    regularizers: tuple[str, ...] = ()
    settings: tuple[Mapping[str, Value], ...]


ARMS = (
    Arm(name="none", settings=({_LR: 0.03}, {_LR: 0.06})),
    Arm(
        name="L2",
        regularizers=("l2",),
        settings=({_LR: 0.03, _STRENGTH: 3e-4}, {_LR: 0.03, _STRENGTH: 1e-3}),
    ),
    Arm(name="dropout", pinned=_DROPOUT, settings=({_LR: 0.02}, {_LR: 0.03})),
    Arm(
        name="dropout + max-norm",
        pinned=_DROPOUT,
        regularizers=("max_norm",),
        settings=({_LR: 0.04, _C: 1.0}, {_LR: 0.06, _C: 1.0}),
    ),
)
"""From the greatest test error to the least, as the paper has them (its tables 2 and 9)."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The settings chosen for an arm, and its test errors by seed."""

    arm: str
    settings: Mapping[str, Value]
    errors: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Accuracies of a net: validation None where it diverged, test None where a baseline was kept in its place."""

    valid: float | None
    test: float | None


class Once:
    """A strategy that proposes one candidate: what is pinned, and defaults for the rest."""

    def __init__(self, options: OnceOptions, space: Space, profile: Profile) -> None:
        self._epochs, self._space = options.epochs, space

    def propose(self, history: History, rng: Random) -> Proposal | None:
        """Return the candidate, or None where it was tried."""
        values = self._space.default()
        if history.tried(values):
            return None
        return Proposal(candidate=Candidate(values), fidelity=Fidelity(epochs=self._epochs))

    def should_stop(self, trial: Trial, history: History) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class OnceOptions:
    """`epochs` is how long to train."""

    epochs: float = 1.0


def once(epochs: float) -> ModuleType:
    """Return a plugin that offers the strategy `once` for so many epochs: strategies run with their defaults."""
    options = make_dataclass("Options", [("epochs", float, epochs)], bases=(OnceOptions,), frozen=True)
    spec = StrategySpec(name="once", summary="One candidate.", build=f"{__name__}:Once", options=options)
    plugin = ModuleType("once")
    plugin.register_strategies = hookimpl(lambda: [spec])  # type: ignore[attr-defined]
    return plugin


def draw(labels: np.ndarray, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of training and validation rows, drawn at random with equal numbers of each class."""
    rng = np.random.default_rng(seed)
    classes = np.unique(labels)
    each, held = rows // len(classes), VALID_ROWS // len(classes)
    train, valid = [], []
    for number in classes:
        shuffled = rng.permutation(np.flatnonzero(labels == number))
        if len(shuffled) < each + held:
            most = (len(shuffled) - held) * len(classes)
            raise SystemExit(f"--rows {rows} is too much: beside {VALID_ROWS} rows to validate on there are {most}.")
        train.append(shuffled[:each])
        valid.append(shuffled[each : each + held])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(valid))


def arrays(source: Path, rows: int, seed: int) -> dict[str, np.ndarray]:
    """Return the three parts that a seed trains, validates and tests with."""
    images, labels = load("train", source)
    test_images, test_labels = load("test", source)
    train, valid = draw(labels, rows, seed)
    names = np.array(CLASSES)
    return {
        "x_train": images[train],
        "y_train": names[labels[train]],
        "x_valid": images[valid],
        "y_valid": names[labels[valid]],
        "x_test": test_images,
        "y_test": names[test_labels],
    }


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where the data lies, how much of it is trained on and how long, and where runs are left."""

    source: Path
    rows: int
    epochs: float
    folder: Path

    def scores(self, arm: Arm, settings: Mapping[str, Value], seed: int, *, share: float = 1.0) -> Scores:
        """Train once, for a share of the epochs, and say how it went."""
        began = time.perf_counter()
        run = seedbed.fit(
            arrays(self.source, self.rows, seed),
            modality="image",
            out=self.folder / "run",
            overwrite=True,
            strategy="once",
            plugins=[once(share * self.epochs)],
            backend="inline",  # the strategy above exists in this process alone
            use=["architecture:mlp", *(f"regularizer:{each}" for each in arm.regularizers)],
            without=[f"check:{each}" for each in open_registry().names("check")],  # every row as it was drawn
            repair="none",
            fixed={**COMMON, **arm.pinned, **settings},
            seed=seed,
            offline=True,
        )
        found = scores_of(run.summary())
        told = (
            f"{arm.name}, {words(settings)}, seed {seed}: validation {_shown(found.valid)}, test {_shown(found.test)}"
        )
        print(f"{told}, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        return found

    def choose(self, arm: Arm) -> Mapping[str, Value]:
        """Return the arm's settings that validate best on rows which no reported seed has drawn as they are."""
        found = [self.scores(arm, each, TUNING_SEED, share=TUNING_SHARE).valid for each in arm.settings]
        return best_of(arm, list(zip(found, arm.settings, strict=True)))

    def error(self, arm: Arm, settings: Mapping[str, Value], seed: int) -> float:
        """Return the test error of an arm, NaN where the net is worse than a linear model of the pixels."""
        found = self.scores(arm, settings, seed).test
        return math.nan if found is None else 1.0 - found

    def outcomes(self, seeds: Sequence[int]) -> Iterator[Outcome]:
        """Yield what each arm comes to."""
        for arm in ARMS:
            settings = self.choose(arm)
            errors = tuple(self.error(arm, settings, seed) for seed in seeds)
            yield Outcome(arm=arm.name, settings=settings, errors=errors)


def scores_of(document: Mapping[str, Any]) -> Scores:
    """Read the net's scores off the summary of a run, in which there are baselines as well."""
    row = next(each for each in document["leaderboard"] if each["role"] == "candidate")
    is_kept = document["best"]["trials"] == [row["trial"]]
    return Scores(valid=row["score"], test=document["test"]["accuracy"] if is_kept else None)


def best_of(arm: Arm, found: Sequence[tuple[float | None, Mapping[str, Value]]]) -> Mapping[str, Value]:
    """Return the settings with the best validation accuracy; those that diverged have none."""
    usable = [(valid, settings) for valid, settings in found if valid is not None]
    if not usable:
        raise SystemExit(f"No setting of the arm {arm.name} can be trained.")
    return max(usable, key=lambda each: each[0])[1]


def _shown(accuracy: float | None) -> str:
    return "none" if accuracy is None else f"{accuracy:.4f}"


def words(settings: Mapping[str, Value]) -> str:
    """Return settings by their last names, as in `lr 0.1, c 2`."""
    return ", ".join(f"{name.rpartition('.')[2]} {value:g}" for name, value in settings.items())


def falls(errors: Sequence[float]) -> bool:
    """Whether each is less than the one before."""
    return all(one > other for one, other in pairwise(errors))


def means(outcomes: Sequence[Outcome]) -> list[float]:
    """Return the mean test error of each arm."""
    return [statistics.fmean(each.errors) for each in outcomes]


def table(outcomes: Sequence[Outcome], seeds: Sequence[int]) -> str:
    """Return the Markdown table, and below it whether the paper's order holds."""
    columns = ["arm", "settings chosen", *(f"seed {each}" for each in seeds), "mean", "spread"]
    lines = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    for each in outcomes:
        spread = max(each.errors) - min(each.errors)
        numbers = [_percent(error) for error in (*each.errors, statistics.fmean(each.errors), spread)]
        lines.append(f"| {each.arm} | {words(each.settings)} | {' | '.join(numbers)} |")
    order = " > ".join(each.arm for each in outcomes)
    held = [f"seed {seed}: {_yes(falls(column))}" for seed, column in zip(seeds, _by_seed(outcomes), strict=True)]
    return "\n".join([*lines, "", f"{order}? {', '.join(held)}, mean: {_yes(falls(means(outcomes)))}."])


def _percent(error: float) -> str:
    return "worse than linear" if math.isnan(error) else f"{error:.2%}"


def _by_seed(outcomes: Sequence[Outcome]) -> Iterator[tuple[float, ...]]:
    return zip(*(each.errors for each in outcomes), strict=True)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def main() -> int:
    """Run all arms, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=SOURCE, metavar="FOLDER")
    parser.add_argument("--rows", type=int, default=2_000, help="training rows; fewer overfit more (%(default)s)")
    parser.add_argument("--epochs", type=float, default=150.0, help="in every arm (%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, metavar="FILE.md")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["SEEDBED_HOME"] = str(Path(scratch) / "home")
        bench = Bench(source=options.source, rows=options.rows, epochs=options.epochs, folder=Path(scratch))
        outcomes = list(bench.outcomes(options.seeds))
    minutes = (time.perf_counter() - began) / 60
    facts = (
        f"Test errors on the 10,000 test images of Fashion-MNIST; {options.rows:,} training rows, {options.epochs:g} "
        f"epochs, settings chosen of {len(ARMS[0].settings)} in each arm by validation on another draw after "
        f"{TUNING_SHARE * options.epochs:g} epochs; spread is the greatest less the least. {machine()}; "
        f"{minutes:.0f} minutes."
    )
    text = f"{facts}\n\n{table(outcomes, options.seeds)}\n"
    print(text)
    if options.out is not None:
        options.out.write_text(text, encoding="utf-8")
    return 0 if falls(means(outcomes)) else 1


if __name__ == "__main__":
    sys.exit(main())
