"""Trials on a strict card (`strict_card`), for a process of its own: `python -m core.training.card_trials FOLDER`.

Each line on stdout is JSON: the name of what was done, and "" or what went wrong.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from core.training import strict_card

strict_card.install()

import numpy as np  # noqa: E402 - what is imported from here on must find the card
import pytest  # noqa: E402
import torch  # noqa: E402
from core.test_all_tasks import reviews, waves, write  # noqa: E402
from core.training.helpers import bars, looks, make_learnable, run_job, trial_job  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from seedbed import api  # noqa: E402
from seedbed.core.results.bundle import bundle_folder  # noqa: E402
from seedbed.core.results.predict import Model  # noqa: E402
from seedbed.core.search.candidate import Fidelity  # noqa: E402
from seedbed.core.search.events import TrialFinished, TrialPlanned, TrialStopped  # noqa: E402
from seedbed.core.training import numerics  # noqa: E402
from seedbed.core.training.numerics import Numerics  # noqa: E402
from seedbed.plugins.strategies import fidelity  # noqa: E402
from seedbed.registry.registry import open_registry  # noqa: E402

HERE, THERE = "cpu", strict_card.NAME


def raises(do: Callable[[], object], words: str) -> None:
    """See that something is refused, as CUDA would refuse it."""
    with pytest.raises(RuntimeError, match=words):
        do()


def what_lies_apart_is_refused(folder: Path) -> None:
    """So that what else is shown here can fail."""
    there, here = torch.ones(3, device=THERE), torch.ones(3)
    assert there.device == torch.device(THERE, 0)
    raises(lambda: there + here, "same device")
    raises(lambda: here[torch.zeros(2, dtype=torch.int64, device=THERE)], "indices should be")
    raises(lambda: torch.rand(3, device=THERE, generator=torch.Generator()), "expected a card generator")
    assert (there[torch.tensor([0, 1])] + 1.0).cpu().tolist() == [2.0, 2.0]


def both(folder: Path, **values: object) -> None:
    """See that a trial ends on the card, to the last bit, as it does on the processor: it is one in disguise."""
    made = make_learnable(folder, rows=90)
    ends = []
    for place in (HERE, THERE):
        events = run_job(replace(trial_job(made, folder / place, **values), device=place, threads=1))
        assert isinstance(events[-1], TrialFinished), events[-1]
        assert all(each.device == place for each in events if isinstance(each, TrialPlanned))
        ends.append(([each.score for each in looks(events)], load_file(folder / place / "checkpoint.safetensors")))
    (scores, weights), (same_scores, same_weights) = ends
    assert scores == same_scores, (scores, same_scores)
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)


def a_trial_is_resumed(folder: Path) -> None:
    """An interrupted trial ends there as one that nothing interrupted."""
    made = make_learnable(folder, rows=90)
    ends = []
    for name, limits in (("whole", [10**9]), ("parts", [25, 10**9])):
        for limit in limits:
            asked = iter(range(limit))
            job = trial_job(made, folder / name, fidelity=Fidelity(epochs=4), optimizer__sgd__lr=0.01)
            job = replace(job, device=THERE, threads=1, resumable=True)
            events = run_job(job, should_stop=lambda asked=asked: next(asked, None) is None)
            assert isinstance(events[-1], TrialStopped if limit == 25 else TrialFinished), events[-1]
        ends.append(load_file(folder / name / "checkpoint.safetensors"))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def half_precision_is_chosen(folder: Path) -> None:
    """Under a time limit the fastest is taken; so that it is this one, there is no other."""
    made = make_learnable(folder, rows=90)
    with patch.object(numerics, "choices", lambda *args, **more: (Numerics("bfloat16", "channels_last"),)):
        job = trial_job(made, folder / "0", fidelity=Fidelity(epochs=4, seconds=60.0))
        events = run_job(replace(job, device=THERE, threads=1))
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert next(each for each in events if isinstance(each, TrialPlanned)).precision == "bfloat16"


def a_run(folder: Path, source: str, **fixed: object) -> None:
    """A study with one candidate beside the plain one, from the data to the bundle."""
    options = {"out": folder / "run", "backend": "inline", "device": THERE, "offline": True, "threads": 1, "trials": 1}
    for kind in fidelity._EPOCHS:
        fidelity._EPOCHS[kind] = (1.0, 1.0, 1.0)
    if source == "image":
        pixels, targets = bars(90, size=32, channels=3)
        run = api.fit_arrays(pixels, targets, **options, fixed=fixed)
        inputs = list(pixels[:3])
    else:
        rows = [{"text": each["text"], "label": each["praise"]} for each in reviews(90)]
        if source == "series":
            rows = [{"wave": wave.tolist(), "label": f"p{pitch}"} for wave, pitch in waves(90)]
        run = api.fit(write(folder / "rows.jsonl", rows), **options, fixed=fixed)
        inputs = [each["text"] for each in rows[:3]] if source == "text" else [w for w, _ in waves(3)]
    assert all(each.status == "finished" for each in run.history), [each.traceback for each in run.history]
    bundle, registry = bundle_folder(folder / "run"), open_registry(())
    found, expected = (Model(bundle, registry, place).predict_proba(inputs) for place in (THERE, HERE))
    assert np.allclose(found, expected, atol=1e-4)


RUNS = {
    "refusals": what_lies_apart_is_refused,
    "scratch": lambda folder: both(folder),
    "probe": lambda folder: both(folder, policy="probe", architecture__weights="quarter"),
    "head_then_all": lambda folder: both(folder, policy="head_then_all", architecture__weights="quarter"),
    "full": lambda folder: both(folder, policy="full", architecture__weights="quarter"),
    "resumed": a_trial_is_resumed,
    "lower precision": half_precision_is_chosen,
    "images": lambda folder: a_run(
        folder,
        "image",
        **{"architecture": "small_resnet", "policy": "scratch", "optimizer": "adamw"},
        **{f"augmenter.{each}": True for each in ("affine", "albumentations", "colour", "erase", "zoom")},
        **{f"regularizer.{each}": True for each in ("cutmix", "ema", "gradient_clipping", "label_smoothing")},
    ),
    "texts": lambda folder: a_run(
        folder, "text", **{"architecture": "text_cnn", "policy": "scratch", "augmenter.token_dropout": True}
    ),
    "series": lambda folder: a_run(
        folder,
        "series",
        **{"architecture": "fcn", "policy": "scratch", "optimizer": "sgd"},
        **{f"augmenter.{each}": True for each in ("jitter", "scaling", "time_warp", "window_slice")},
        **{f"regularizer.{each}": True for each in ("mixup", "swa", "max_norm")},
    ),
}


def main(base: Path) -> None:
    """Do all of it."""
    for name, do in RUNS.items():
        folder = base / name.replace(" ", "-")
        folder.mkdir()
        try:
            do(folder)
            wrong = ""
        except Exception:
            wrong = traceback.format_exc()
        sys.stdout.write(json.dumps({"name": name, "wrong": wrong}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
