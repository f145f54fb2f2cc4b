"""Features of frozen backbones: computed once for each (weights, input form, data), then read from the cache."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor

from seedbed.core.data.batches import normalise, to_unit
from seedbed.core.training.assemble import Classifier
from seedbed.core.training.context import Context
from seedbed.core.training.evaluate import forward_rows
from seedbed.core.training.numerics import Numerics, calibrate, default

log = logging.getLogger(__name__)

BATCH = 128
_KEPT_BYTES = 2**30


def probe_rows(context: Context, model: Classifier, numerics: Numerics, *, share: float) -> Tensor:
    """Return the training rows whose features fit into `share` of the trial's time, all where they do.

    A subset is drawn at random and noted in the trial's result.
    """
    rows = context.train_rows
    if context.deadline is None:
        return rows
    sample = rows[torch.linspace(0, len(rows) - 1, min(BATCH, len(rows))).long()]
    began = context.clock()
    forward_rows(model.backbone, context.images, sample, context.view, numerics)
    row_seconds = (context.clock() - began) / len(sample)
    affordable = int(share * (context.deadline - context.clock()) / row_seconds) - len(context.valid_rows)
    count = max(affordable, min(len(rows), 10 * context.job.profile.task.outputs))
    if count >= len(rows):
        return rows
    context.notes.append(f"The head was fitted on {count:,} of {len(rows):,} training rows: all the time allowed.")
    return rows[torch.randperm(len(rows), generator=context.generator)[:count]]


def features_of(context: Context, model: Classifier, rows: Tensor, numerics: Numerics) -> Tensor:
    """Return features (N, F) float32 of rows, from the cache beside the prepared data where they are known."""
    path = Path(context.job.data) / "features" / f"{_key(context, rows, numerics)}.npy"
    with suppress(OSError, ValueError, EOFError):  # missing, or damaged: computed below
        return torch.from_numpy(np.load(path))
    features = forward_rows(
        model.backbone,
        context.images,
        rows,
        context.view,
        numerics,
        batch_size=BATCH,
        should_stop=context.should_stop,
    )
    if features.nbytes <= _KEPT_BYTES:
        _keep(features, path)
    return features


def _keep(features: Tensor, path: Path) -> None:
    partial = path.with_name(f"{path.stem}-{os.getpid()}.partial")
    try:
        path.parent.mkdir(exist_ok=True)
        with partial.open("wb") as file:
            np.save(file, features.numpy())
        partial.replace(path)
    except OSError as error:  # a full disk costs time, not the trial
        log.warning("Features could not be kept in %s: %s", path.parent, error)
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def measure_forward(context: Context, model: Classifier) -> Numerics:
    """Return the fastest precision and memory format for the backbone's forward pass."""
    if context.deadline is None:
        return default(context.device)
    rows = context.train_rows[: min(32, len(context.train_rows))].to(context.device)
    inputs = normalise(to_unit(context.images.gather(rows), context.view), context.view)
    key = ("forward", _identity(context), context.view, str(context.device), context.job.threads)
    return calibrate(
        model.backbone,
        inputs,
        train=False,
        known=context.calibrations,
        key=key,
        clock=context.clock,
        repeats=1,
    )


def _identity(context: Context) -> str:
    """Name the backbone: its architecture, its options, its weights, and whose they are.

    Without pretrained weights the seed decides what its features are, unless it is a fixed transform.
    """
    candidate = context.job.candidate
    names = ("architecture", "weights")
    values = {k: v for k, v in candidate.values.items() if k.split(".")[0] in names}
    owners = [msgspec.to_builtins(each) for each in context.member.components if each.kind in names]
    seed = None if "weights" in values else context.job.seed
    return json.dumps([values, owners, seed], sort_keys=True)


def _key(context: Context, rows: Tensor, numerics: Numerics) -> str:
    digest = hashlib.sha256(_identity(context).encode())
    # Half-precision features that a timed run left must not serve one that has to repeat exactly.
    digest.update(repr((context.view, numerics.name)).encode())
    digest.update(rows.numpy().tobytes())
    return digest.hexdigest()[:24]
