"""Random search against a grid, after Bergstra & Bengio 2012, Fig. 5, with this engine's strategies and trainer.

    python benchmarks/random_against_grid.py run FOLDER --out results.json [--sets rectangles convex rotated_fashion]
    python benchmarks/random_against_grid.py show results.json --plot random_against_grid.svg

FOLDER has Fashion-MNIST as class folders below `train/`; the other sets are made. On each set the strategy `random`
proposes 256 candidates of the paper's one-hidden-layer net (`one_hidden_layer.py`: hidden units, activation, scaling of
the inputs, initial weights, batch size, rate, annealing, L2, seed), and `grid` 100: five numbers of hidden units by
five rates by two annealings by two penalties, the rest at usual values. What `random` proposes before all else, the
defaults, is no draw: it is trained, and counts for nothing. Each is trained by the engine's own `run_trial` for the
same number of passes, and the state kept is that of the best of ten looks at the validation part (early
stopping); its test score is taken afterwards. Every trial is written down at once, and a run that was ended goes on.

`show` draws the test accuracy of the best of s random trials for s = 1, 2, 4, … 128 as the paper does (section 2.3):
all 256 are divided into experiments of s; which of them is best is uncertain, as the validation part is finite, so an
experiment's score is the mean over its trials, each weighted by the chance that it is the best. The grid leaves the
inputs standardised. As draws that have them so are draws from that smaller space, they are also shown alone.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

RANDOM_TRIALS, GRID_TRIALS = 256, 100
DEFAULTS = 1
"""Trials of the strategy `random` that are no draws, the first."""
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
DRAWS = 2_000
ROWS = {  # train, valid, test; passes over the training part
    "rectangles": ((1_000, 200, 10_000), 60),
    "convex": ((6_500, 1_500, 10_000), 15),
    "rotated_fashion": ((10_000, 2_000, 10_000), 12),
}
PLUGIN = Path(__file__).with_name("one_hidden_layer.py")


def weights_of_best(scores: np.ndarray, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Return the chance (s,) that each trial is the best, given validation scores (s,) on so many rows.

    Scores are drawn anew from normal distributions with the variance of a share of rows, as in the paper.
    """
    spread = np.sqrt(scores * (1 - scores) / (rows - 1))
    drawn = scores + spread * rng.standard_normal((DRAWS, len(scores)))
    return np.bincount(drawn.argmax(axis=1), minlength=len(scores)) / DRAWS


def best_of(valid: np.ndarray, test: np.ndarray, valid_rows: int, rng: np.random.Generator) -> float:
    """Return the expected test score of the best of an experiment's trials, (s,) scores each."""
    return float(weights_of_best(valid, valid_rows, rng) @ test)


def efficiency(trials: Sequence[dict[str, Any]], valid_rows: int, seed: int = 0) -> dict[int, list[float]]:
    """Return for each size the scores of the experiments that the trials make, in the order in which they came."""
    rng = np.random.default_rng(seed)
    valid, test = (np.array([trial[name] for trial in trials]) for name in ("valid", "test"))
    found = {}
    for size in SIZES:
        groups = [slice(begin, begin + size) for begin in range(0, len(trials) - size + 1, size)]
        found[size] = [best_of(valid[each], test[each], valid_rows, rng) for each in groups]
    return found


def run(folder: Path, out: Path, names: Sequence[str]) -> None:
    """Train what is missing."""
    results: dict[str, Any] = json.loads(out.read_text()) if out.is_file() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            file = _data(name, folder, Path(scratch))
            for strategy, count in (("random", DEFAULTS + RANDOM_TRIALS), ("grid", GRID_TRIALS)):
                done = results.setdefault(name, {}).setdefault(strategy, [])
                if len(done) < count:
                    for trial in _trials(name, file, strategy, count, Path(scratch), skip=len(done)):
                        done.append(trial)
                        _save(results, out)
                        print(name, strategy, len(done), trial["valid"], trial["test"], trial["seconds"], flush=True)


def _save(results: dict[str, Any], out: Path) -> None:
    """Write the results, whole or not at all: who goes on after a crash must be able to read them."""
    partial = out.with_name(f"{out.name}.partial")
    partial.write_text(json.dumps(results), encoding="utf-8")
    partial.replace(out)


def _data(name: str, folder: Path, scratch: Path) -> Path:
    import rectangles_and_convex as drawing
    from PIL import Image

    rng, (sizes, _) = np.random.default_rng(0), ROWS[name]
    if name == "rotated_fashion":
        files = sorted(path for path in (folder / "train").rglob("*") if path.is_file())
        files = [files[number] for number in rng.permutation(len(files))[: sum(sizes)]]
        pictures = np.stack([np.asarray(Image.open(each).convert("L")) for each in files])
        names = sorted({each.parent.name for each in files})
        labels = np.array([names.index(each.parent.name) for each in files])
        images, labels = drawing.rotated_fashion(pictures, labels, rng)
    else:
        images, labels = getattr(drawing, name)(sum(sizes), rng)
    bounds = np.cumsum([0, *sizes])
    spans = zip(("train", "valid", "test"), bounds, bounds[1:], strict=False)
    return drawing.write(scratch, name, {part: (images[a:b], labels[a:b]) for part, a, b in spans})


def _space(strategy: str) -> Any:  # noqa: ANN401 - a Space
    from one_hidden_layer import AnnealedOptions, NetOptions

    from seedbed.core.space import Choice, Param, Space, children

    net, descent = "architecture.one_hidden_layer", "optimizer.annealed_sgd"
    params = [
        Param("architecture", Choice("one_hidden_layer"), "one_hidden_layer"),
        Param("policy", Choice("scratch"), "scratch"),
        *children(net, NetOptions, ()),
        Param("batch_size", Choice(20, 100), 20),
        Param("optimizer", Choice("annealed_sgd"), "annealed_sgd"),
        *children(descent, AnnealedOptions, ()),
        Param("schedule", Choice("unchanged"), "unchanged"),
        Param("resolution", Choice(28), 28),
    ]
    if strategy == "random":
        return Space(tuple(params))
    searched = {f"{net}.hidden", f"{descent}.lr", f"{descent}.penalised"}
    pinned = []
    for param in params:
        domain = param.domain if param.name in searched else Choice(param.default)
        if param.name == f"{descent}.anneal":
            # Not a trial makes 7,000 updates: annealing from 30,000 on would be none, and two points of the grid one.
            domain = Choice(300.0, 3_000.0)
        pinned.append(Param(param.name, domain, param.default))
    return Space(tuple(pinned))


def _trials(name: str, file: Path, strategy: str, count: int, scratch: Path, *, skip: int) -> Any:  # noqa: ANN401
    """Yield what came of each trial, from number `skip` on; those before are only proposed again."""
    import torch

    from seedbed import NoOptions
    from seedbed.api import open_registry
    from seedbed.core.data.splitting.split import save_splits
    from seedbed.core.intake import Intake
    from seedbed.core.search.candidate import Candidate, Fidelity, TrialJob
    from seedbed.core.search.events import DataDescribed, TrialFailed, TrialFinished, TrialStarted
    from seedbed.core.search.history import History, Remaining
    from seedbed.core.search.study import seed_of
    from seedbed.core.settings import Settings
    from seedbed.core.training.desk import Desk
    from seedbed.core.training.trial import run_trial
    from seedbed.plugins.strategies import GridOptions
    from seedbed.plugins.strategies.grid import Grid
    from seedbed.plugins.strategies.random_search import RandomSearch

    torch.set_num_threads(1)
    registry = open_registry([str(PLUGIN)])
    settings = Settings(source=str(file), without=tuple(f"check:{spec.name}" for spec in registry.all("check")))
    examined = Intake(settings=settings, lookup=registry, cache=scratch / "cache").examine()
    splits_file = scratch / f"{name}.parquet"
    save_splits(examined.splits, splits_file)
    space, profile = _space(strategy), examined.profile
    searcher = (
        RandomSearch(NoOptions(), space, profile)
        if strategy == "random"
        else Grid(GridOptions(points=5), space, profile)
    )
    history, desk = History([DataDescribed(profile=profile)]), Desk(registry)
    if strategy == "grid":  # its first proposal, the defaults, is no point of the grid
        tried = TrialStarted(trial=count, candidate=Candidate(space.default()), fidelity=Fidelity(epochs=1.0))
        history.apply(tried)
        history.apply(TrialFailed(trial=count, error="not of the grid"))
    for number in range(count):
        history.remaining = Remaining(trials=count - number)
        proposal = searcher.propose(history, random.Random(f"0:{number}"))
        if proposal is None:
            raise SystemExit(f"{strategy} has no more than {number} candidates.")
        fidelity = Fidelity(epochs=ROWS[name][1])
        candidate = Candidate(proposal.candidate.values, {"architecture:one_hidden_layer": 1})
        history.apply(TrialStarted(trial=number, candidate=candidate, fidelity=fidelity))
        if number < skip:
            history.apply(TrialFailed(trial=number, error="known"))
            continue
        events: list[Any] = []
        where = scratch / "trial"
        began = time.monotonic()
        job = TrialJob(
            trial=number,
            candidate=candidate,
            fidelity=fidelity,
            profile=profile,
            data=str(examined.prepared.folder),
            splits=str(splits_file),
            folder=str(where),
            seed=seed_of(0, number),
            device="cpu",
            threads=1,
        )
        run_trial(job, events.append, lambda: False, desk)
        history.apply(events[-1])
        is_usable = isinstance(events[-1], TrialFinished)
        chance = 1 / profile.task.outputs  # what has diverged guesses
        yield {
            "values": dict(candidate.values),
            "valid": events[-1].score if is_usable else chance,
            "test": _test_score(job, desk, examined) if is_usable else chance,
            "seconds": round(time.monotonic() - began, 2),
        }


def _test_score(job: Any, desk: Any, examined: Any) -> float:  # noqa: ANN401
    """Score the kept state on the test part."""
    import torch
    from safetensors.torch import load_file

    from seedbed.core.training.assemble import build_model
    from seedbed.core.training.context import PLAIN
    from seedbed.core.training.evaluate import predict_rows
    from seedbed.core.training.member import CHECKPOINT, load_member

    member = load_member(Path(job.folder))
    model = build_model(job.candidate, job.profile, member.view, desk.lookup)
    model.load_state_dict(load_file(Path(job.folder) / CHECKPOINT))
    rows = torch.from_numpy(examined.splits.test)
    source = desk.open_source("image", job.data, "", torch.device("cpu"))
    found = predict_rows(model, source, rows, member.view, PLAIN, job.profile).numpy()
    return float((found.argmax(1) == examined.splits.targets[examined.splits.test]).mean())


def draws(trials: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the trials that were drawn at random: all of them, and those from the space that the grid spans."""
    drawn = list(trials[DEFAULTS:])
    alike = [trial for trial in drawn if trial["values"]["architecture.one_hidden_layer.standardise"]]
    return {"all": drawn, "standardised": alike}


def matching(curve: dict[int, list[float]], line: float, share: float = 0.5) -> int | None:
    """Return the fewest trials of which so large a share of the experiments reach a score; None if no size does."""
    reached = (size for size, found in curve.items() if found and np.mean(np.array(found) >= line) >= share)
    return next(reached, None)


def show(results: Path, plot: Path | None) -> None:
    """Print how many random trials match the grid, and draw the figure."""
    found = json.loads(results.read_text())
    curves = {}
    print(f"| set | draws | grid of {GRID_TRIALS} | {' | '.join(f's = {size}' for size in SIZES)} | half | 3 of 4 |")
    print("|" + " --- |" * (len(SIZES) + 5))
    for name, trials in found.items():
        rows = ROWS[name][0][1]
        grid = np.array([[trial["valid"], trial["test"]] for trial in trials["grid"]])
        line = best_of(grid[:, 0], grid[:, 1], rows, np.random.default_rng(0))
        for kind, drawn in draws(trials["random"]).items():
            curve = efficiency(drawn, rows)
            middles = [f"{np.median(each):.4f}" if each else "-" for each in curve.values()]
            enough = [str(matching(curve, line, share) or "none") for share in (0.5, 0.75)]
            print(f"| {name} | {kind}, {len(drawn)} | {line:.4f} | {' | '.join((*middles, *enough))} |")
            if kind == "all":
                curves[name] = (line, curve)
    if plot is not None:
        draw(curves, plot)


def draw(curves: dict[str, tuple[float, dict[int, list[float]]]], path: Path) -> None:
    """Draw box plots of the best of s random trials, the grid as a dashed line."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "random_against_grid", "svg.fonttype": "none"}):
        figure, axes = plt.subplots(1, len(curves), figsize=(4 * len(curves), 3.4), squeeze=False)
        for axis, (name, (line, sizes)) in zip(axes[0], curves.items(), strict=True):
            axis.boxplot(list(sizes.values()), tick_labels=[str(size) for size in sizes], whis=(0, 100), widths=0.6)
            axis.axhline(line, linestyle="--", color="tab:blue", label=f"grid of {GRID_TRIALS}")
            axis.set(title=name.replace("_", " "), xlabel="random trials", ylabel="test accuracy of the best")
            axis.legend(loc="lower right", fontsize=8)
        figure.tight_layout()
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Run or show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    of_run = commands.add_parser("run")
    of_run.add_argument("folder", type=Path)
    of_run.add_argument("--out", type=Path, required=True)
    of_run.add_argument("--sets", nargs="+", choices=tuple(ROWS), default=tuple(ROWS))
    of_show = commands.add_parser("show")
    of_show.add_argument("results", type=Path)
    of_show.add_argument("--plot", type=Path, metavar="FILE.svg")
    options = parser.parse_args()
    if options.command == "run":
        run(options.folder, options.out, options.sets)
    else:
        show(options.results, options.plot)


if __name__ == "__main__":
    main()
