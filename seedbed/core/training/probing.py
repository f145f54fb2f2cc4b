"""A linear head on what a frozen backbone gives: which rows, their features, and the fit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor

from seedbed.core.data.feeding.source import Inputs
from seedbed.core.specs import ArchitectureSpec, Head
from seedbed.core.training.assemble import Net
from seedbed.core.training.context import PLAIN, Context
from seedbed.core.training.evaluate import Patience, Stopped, forward_rows
from seedbed.core.training.features import BATCH, FeatureStore, compute, identity_of, in_blocks, open_store
from seedbed.core.training.head import MOST_LOGITS, fit_head
from seedbed.core.training.numerics import Numerics, calibrate, default
from seedbed.core.training.sparse import is_sparse
from seedbed.core.training.sparse_head import MOST_OUTPUTS, MOST_VALUES, fit_sparse_head

MOST_BYTES = 2 * 2**30
"""Of dense features that a head is fitted on: 50,000 rows of 10,000."""

_SURE = 0.9
"""Of the room for sparse features, what is filled by an estimate: a sample's texts may be shorter than the rest."""

_LEAST_SHARE, _LEAST_SECONDS = 0.15, 0.2
"""Of the trial's time, and in seconds, what the head's fit has in any case, however late the features were."""


class Fitting(Protocol):
    """A backbone whose transform is learnt from data, without targets: see `Backbone`."""

    def fit(self, batches: Iterator[Inputs], generator: torch.Generator) -> None:
        """Learn it."""
        ...


def fit_probe(context: Context, model: Net, *, share: float) -> Numerics:
    """Fit the head of a model on features of its backbone, in place, within `share` of the trial's time.

    Return the precision and memory format in which the backbone was the fastest.
    """
    model.eval()
    numerics = _measure_forward(context, model)
    numerics.lay_out_model(model)
    if _learns(model):
        with torch.no_grad():
            cast(Fitting, model.backbone).fit(_batches(context), context.generator)
    rows = _affordable_rows(context, model, numerics, share=share)
    features = _features_of(context, model, rows, numerics)
    targets, task = context.targets[rows], context.job.profile.task
    patience = _patience(context, share)
    if is_sparse(features):
        head = fit_sparse_head(features, targets, task.kind, task.outputs, context.generator, patience=patience)
    else:
        prefer = cast(Head, context.job.candidate.values.get("head", _spec(context).head))
        head = fit_head(features, targets, task.kind, task.outputs, context.generator, prefer=prefer, patience=patience)
    if patience.ran_out:
        context.notes.append("The head's fit was cut short: its time was over.")
    with torch.no_grad():
        model.head.weight.copy_(head.weight)
        model.head.bias.copy_(head.bias)
    return numerics


def _patience(context: Context, share: float) -> Patience:
    """Return how long the head's fit may take: what is left of the share, but never next to nothing."""
    if context.deadline is None:
        return Patience(should_stop=context.should_stop)
    whole, now = context.deadline - context.started, context.clock()
    until = max(context.started + share * whole, now + _LEAST_SHARE * whole, now + _LEAST_SECONDS)
    return Patience(
        should_stop=context.should_stop, clock=context.clock, began=now, until=until, decisions=context.decisions
    )


def _learns(model: Net) -> bool:
    return callable(getattr(model.backbone, "fit", None))


def _batches(context: Context) -> Iterator[Inputs]:
    """Yield the inputs of the training rows, in random order."""
    rows = context.train_rows
    for batch in rows[torch.randperm(len(rows), generator=context.generator)].split(BATCH):
        if context.should_stop():
            raise Stopped
        yield context.source.ready(context.source.gather(batch, context.view), context.view)


def _affordable_rows(context: Context, model: Net, numerics: Numerics, *, share: float) -> Tensor:
    """Return the training rows whose features fit into memory and into `share` of the time, all where they do.

    Else they are drawn at random. A subset is noted in the trial's result.
    """
    rows = context.train_rows
    most = max(_most_rows(context, model, numerics), 1)
    if len(rows) > most:
        rows = _drawn(rows, context)[:most]
        _note(context, len(rows), "as many as fit into memory")
    if context.deadline is None:
        return rows
    drawn = _drawn(rows, context)
    count = context.decisions.decide("rows", lambda: _count_in_time(context, model, drawn, numerics, share))
    if count >= len(rows):
        return rows
    _note(context, count, "all the time allowed")
    return drawn[:count].sort().values


def _count_in_time(context: Context, model: Net, drawn: Tensor, numerics: Numerics, share: float) -> int:
    """Return how many rows, of those drawn the first ones, there is time for; what the store knows costs none."""
    unknown = ~torch.from_numpy(_known(context, model, drawn, numerics))
    if not unknown.any():
        return len(drawn)
    some = drawn[unknown][:BATCH]
    began = context.clock()
    _features_of(context, model, some, numerics)
    row_seconds = max(context.clock() - began, 1e-9) / len(some)
    # They are judged in full precision, which may be that much slower.
    judging = (1 if numerics == PLAIN else 3) * len(context.valid_rows)
    if context.deadline is None:
        return len(drawn)
    affordable = int(share * (context.deadline - context.clock()) / row_seconds) - judging + len(some)
    reached = int(torch.searchsorted(unknown.cumsum(0), max(affordable, len(some)), right=True))
    return min(max(reached, 10 * context.job.profile.task.outputs), len(drawn))


def _most_rows(context: Context, model: Net, numerics: Numerics) -> int:
    """Return how many rows' features, and what the head's fit makes of them, fit into memory."""
    outputs = context.job.profile.task.outputs
    if _is_dense(context, model, numerics):
        return min(MOST_BYTES // (4 * model.head.in_features), MOST_LOGITS // outputs)
    rows = context.train_rows
    some = rows[torch.linspace(0, len(rows) - 1, min(BATCH, len(rows) // 20 + 1)).long()]
    values = _forward(context, model, some, numerics).values().numel() / len(some)
    return min(int(_SURE * MOST_VALUES / max(values, 1.0)), MOST_OUTPUTS // outputs)


def _drawn(rows: Tensor, context: Context) -> Tensor:
    """Return the rows in the order in which they join: the same for every trial, so that features serve another."""
    return rows[torch.from_numpy(np.argsort(_places(context)[rows.numpy()]))]


def _places(context: Context) -> np.ndarray:
    """Return of each row of the data its place in a fixed random order."""
    return np.random.default_rng(0).permutation(len(context.source))


def _note(context: Context, used: int, reason: str) -> None:
    total = len(context.train_rows)
    context.notes.append(f"The head was fitted on {used:,} of {total:,} training rows: {reason}.")


def _features_of(context: Context, model: Net, rows: Tensor, numerics: Numerics) -> Tensor:
    """Return features (N, F) float32 of rows, dense ones from the store beside the data where they are known."""
    if _learns(model) or not _is_dense(context, model, numerics):
        return _forward(context, model, rows, numerics)
    store, wanted = _shared(context, numerics), rows.numpy()
    values = np.empty((len(wanted), model.head.in_features), dtype=np.float32)
    known = store.read(wanted, values)

    def forward(batch: np.ndarray) -> np.ndarray:
        found: np.ndarray = _forward(context, model, torch.from_numpy(batch), numerics).numpy()
        return found

    if not known.all() and _is_padded(context):
        batched = _batches_of(context, wanted[~known])
        found = np.empty((len(batched), values.shape[1]), dtype=np.float32)
        compute(store, batched, found, np.arange(len(batched)), forward)
        order = np.argsort(batched)
        values[~known] = found[order[np.searchsorted(batched, wanted[~known], sorter=order)]]
    else:
        compute(store, wanted, values, np.flatnonzero(~known), forward)
    return torch.from_numpy(values)


def _is_padded(context: Context) -> bool:
    """Whether what else is in a batch moves a row's features, if only in the last digits."""
    return context.job.profile.task.modality != "image"


def _batches_of(context: Context, rows: np.ndarray) -> np.ndarray:
    """Return whole batches that hold all of `rows` (n,): a row meets the same others whoever asks for it.

    Where time is short, batches of training and validation rows, drawn at random: so one can stop after any.
    """
    if context.deadline is None:
        return in_blocks(rows, len(context.source))
    pool = _pool(context)
    pool = pool[np.argsort(_places(context)[pool])]
    order = np.argsort(pool)
    places = order[np.searchsorted(pool, rows, sorter=order)]
    found: np.ndarray = pool[in_blocks(places, len(pool))]
    return found


def _pool(context: Context) -> np.ndarray:
    """Return the rows of training and validation; of a trial over folds the same in each."""
    return np.sort(np.concatenate([context.splits.train, context.splits.valid]))


def _shared(context: Context, numerics: Numerics) -> FeatureStore:
    """Return the store of features that this trial may use."""
    store = _store(context, numerics)
    if _is_padded(context) and context.deadline is not None:
        return store.apart(hashlib.sha256(_pool(context).tobytes()).hexdigest()[:10])
    return store


def _forward(context: Context, model: Net, rows: Tensor, numerics: Numerics) -> Tensor:
    return forward_rows(
        model.backbone,
        context.source,
        rows,
        context.view,
        numerics,
        should_stop=context.should_stop,
    )


def _known(context: Context, model: Net, rows: Tensor, numerics: Numerics) -> np.ndarray:
    """Return a mask (n,) of the rows whose features need not be computed."""
    if _learns(model):
        return np.zeros(len(rows), dtype=bool)
    return _shared(context, numerics).known(rows.numpy())


def _is_dense(context: Context, model: Net, numerics: Numerics) -> bool:
    """Whether the backbone's features are dense, as one row tells; those of a net with weights always are."""
    if not _spec(context).features_only:
        return True
    return not is_sparse(_forward(context, model, context.train_rows[:1], numerics))


def _measure_forward(context: Context, model: Net) -> Numerics:
    """Return the fastest precision and memory format for the backbone's forward pass."""
    # A fixed transform counts or compares: in a lower precision its features would be others.
    if context.deadline is None or _spec(context).features_only:
        return default(context.device)
    return context.measured(lambda most: _calibrated(context, model, most))


def _calibrated(context: Context, model: Net, most_seconds: float) -> Numerics:
    rows = context.train_rows[: min(32, len(context.train_rows))]
    key = ("forward", _identity(context), context.view, str(context.device), context.job.threads)
    return calibrate(
        model.backbone,
        context.source.ready(context.source.gather(rows, context.view), context.view),
        device=context.device,
        train=False,
        known=context.calibrations,
        key=key,
        clock=context.clock,
        repeats=1,
        most_seconds=most_seconds,
    )


def _spec(context: Context) -> ArchitectureSpec:
    name = context.job.candidate.component("architecture")
    return cast(ArchitectureSpec, context.lookup.get("architecture", name))


def _identity(context: Context) -> str:
    identity = identity_of(context.job.candidate, context.member.components, context.job.seed)
    if context.job.profile.task.modality == "text":  # nets cut texts by how long they are
        identity += repr((context.job.profile.lengths, context.job.profile.vocabulary))
    for name, value in sorted(context.job.candidate.values.items()):
        if not (name.startswith(("architecture.", "weights.")) and isinstance(value, str) and value):
            continue
        # An option may name a folder of the user's, as a model's: by tomorrow other files may lie in it.
        with suppress(OSError, RuntimeError, ValueError):  # no such path, and no such user as in "~user"
            path = Path(value).expanduser()
            files = [each for each in (sorted(path.iterdir()) if path.is_dir() else [path]) if each.is_file()]
            # Nothing for any other value: checks, which share the store, know an option by its value alone.
            identity += "".join(repr((each.name, each.stat().st_size, each.stat().st_mtime_ns)) for each in files)
    # Ids mean nothing without their vocabulary, after which their folder is named.
    return identity + Path(context.job.tokens).name if context.view.encoding == "tokens" else identity


def _store(context: Context, numerics: Numerics) -> FeatureStore:
    return open_store(Path(context.job.data), _identity(context), context.view, numerics.name)
