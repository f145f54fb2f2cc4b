"""Whether the forecast of a longer training holds: the strong defaults with 1, 2 and 4 times their passes.

    python benchmarks/doubled.py 'digits=demo:digits' 'emoji=FOLDER' 'vowels=train.jsonl,test.jsonl' [--seeds 0 1] \\
        [--times 1 2 4] [--of scratch head_then_all]

Each default that trains a net is trained to its usual end, and anew with as many times the passes. The forecast that
`auto` makes of the first curve stands beside what came of it. This file is the plugin that does it as well.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import seedbed
from seedbed import StrategySpec, hookimpl
from seedbed.core.data.profile import Profile
from seedbed.core.results.power_laws import ErrorScale
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal
from seedbed.core.search.history import History, Trial
from seedbed.core.space import Space
from seedbed.plugins.strategies.bayesian import observed
from seedbed.plugins.strategies.fidelity import full_epochs
from seedbed.plugins.strategies.outlook import outlook
from seedbed.plugins.strategies.portfolio import portfolio


@dataclass(frozen=True, slots=True)
class DoubledOptions:
    """The passes of each default, as multiples of its usual ones, joined by "+"; and the policies that count."""

    times: str = "1+2+4"
    of: str = "scratch+head_then_all"


@hookimpl
def register_strategies() -> Iterator[StrategySpec]:
    """Offer the strategy that the runs are made with."""
    yield StrategySpec(
        name="doubled",
        summary="Each default with once, twice and four times its passes.",
        build=f"{__name__}:Doubled",
        options=DoubledOptions,
    )


class Doubled:
    """Goes through the defaults that train a net, each at every length; probes come as they do."""

    def __init__(self, options: DoubledOptions, space: Space, profile: Profile) -> None:
        self._times = [float(each) for each in options.times.split("+")]
        self._of, self._space, self._profile = options.of.split("+"), space, profile

    def propose(self, history: History, rng: random.Random) -> Proposal | None:
        """Return the next that has not been begun."""
        for values in portfolio(self._space, self._profile, history):
            begun = [trial.fidelity.epochs for trial in history if trial.candidate.values == values]
            usual = full_epochs(values, self._profile)
            times = [1.0] if values["policy"] == "probe" else self._times if values["policy"] in self._of else []
            for each in times:
                if each * usual not in begun:
                    return Proposal(candidate=Candidate(values), fidelity=Fidelity(epochs=each * usual))
        return None

    def should_stop(self, trial: Trial, history: History) -> bool:
        """Never."""
        return False


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything and print a row for each length of each default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="NAME=TRAIN[,TEST]")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--times", nargs="+", type=float, default=[1.0, 2.0, 4.0])
    parser.add_argument("--of", nargs="+", default=["scratch", "head_then_all"], metavar="POLICY")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args(arguments)
    print("| data | seed | default | passes | seconds | score | error falls by | forecast | draws, forecast |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for each in options.sets:
        name, _, paths = each.partition("=")
        train, _, test = paths.partition(",")
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as folder:
                run = seedbed.fit(
                    train,
                    test=test or None,
                    trials=100,
                    seed=seed,
                    out=Path(folder) / "run",
                    plugins=[__file__],
                    strategy="doubled",
                    experience=False,
                    workers=1,
                    threads=options.threads,
                    fixed={
                        "strategy.doubled.times": "+".join(f"{time:g}" for time in options.times),
                        "strategy.doubled.of": "+".join(options.of),
                    },
                )
                for line in _lines(run.history):
                    print(f"| {name} | {seed} | {line} |", flush=True)


def _lines(history: History) -> Iterator[str]:
    profile = history.profile
    if profile is None:
        return
    nets = [trial for trial in history if trial.role == "candidate" and trial.result and not trial.ingredients]
    nets = [trial for trial in nets if trial.candidate.values["policy"] != "probe"]
    for first in nets:
        usual = full_epochs(first.candidate.values, profile)
        if first.fidelity.epochs != usual or first.score is None:
            continue
        known = [trial for trial in observed(history, profile) if trial in nets and trial.number <= first.number]
        for trial in nets:
            if trial.candidate.values != first.candidate.values or not trial.fidelity.epochs or trial.score is None:
                continue
            times = trial.fidelity.epochs / usual
            scale = ErrorScale.of(profile.task.direction, [trial.score, first.score])
            before, after = scale.error(np.array([first.score, trial.score]))
            fall = f"{np.log(before / after):+.3f}" if min(before, after) > 0 else f"to {after:.3g}"
            found = outlook(first, known, profile, times, random.Random(0)) if times > 1 else None
            told = f"{found.longer:.3f} | {found.search:.3f}" if found else "- | -"
            yield f"{trial.label} | {times:g} | {trial.seconds:.1f} | {trial.score:.4f} | {fall} | {told}"


if __name__ == "__main__":
    main()
