"""What using a trained model costs on this machine: the time of a row alone, memory beside the weights, bytes on disk.

An edge: it looks at the clock, the allocator and the disk. Nothing of it has a part in any score or decision.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from seedbed.core.protocols import Augmenter
from seedbed.core.training.assemble import Net, build_augmenters
from seedbed.core.training.context import PLAIN, Context
from seedbed.core.training.devices import device_of
from seedbed.core.training.evaluate import predict_rows
from seedbed.core.training.member import CHECKPOINT

log = logging.getLogger(__name__)

MOST_SECONDS = 0.5
SHARE = 0.03
"""Of a trial's time so far, what measuring may take; of short trials `LEAST_SECONDS`."""

LEAST_SECONDS = 0.1
_USUAL_CALLS = 20  # for which calls of the warm-up are given up
_WARM_UP = 3  # calls that pay for kernel selection and memory
_LEAST_CALLS, _MOST_CALLS = 3, 200
_QUANTILES = (0.5, 0.95)
_ROWS = 64  # rows that are predicted in turn: of texts and series each is of another length


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Seconds of predicting one row alone, and bytes; 0 where it was not measured.

    `memory_bytes` is the height of what a prediction of one row, with its test-time views, takes beside the weights. On
    a GPU that is what torch's allocator had given out at its most; on a CPU the results of all of torch's operations
    that are alive at a time, the row's own inputs among them, without the scratch space within an operation and what
    NumPy takes.
    """

    latency_p50: float = 0.0
    latency_p95: float = 0.0
    memory_bytes: int = 0
    size_bytes: int = 0


def measure_footprint(context: Context, model: Net | None) -> Footprint:
    """Measure a trial's model as `predict` will use it, in whatever time there is: half a second at most.

    The model's weights may be of any state, what it costs does not depend on them. Without a model, or where time is
    short, its bytes on disk alone are told. Changes neither weights nor random states; the model is left in
    the precision and memory format in which models are used.
    """
    size = _size_of(context)
    seconds = _seconds_to_spare(context)
    if model is None or seconds < context.row_seconds:
        return Footprint(size_bytes=size)
    try:
        predict = _predictor(context, model)
        times = timed(predict, seconds, context.clock)
        if not times:
            return Footprint(size_bytes=size)
        median, late = np.quantile(times, _QUANTILES)
        return Footprint(
            latency_p50=float(median),
            latency_p95=float(late),
            memory_bytes=peak_bytes(lambda: predict(0), context.device),
            size_bytes=size,
        )
    except Exception:  # a plugin's border; the trial is judged already, and what it costs must not undo that
        log.warning("What the model of trial %s costs could not be measured.", context.job.trial, exc_info=True)
        return Footprint(size_bytes=size)


def _size_of(context: Context) -> int:
    try:
        return (context.folder / CHECKPOINT).stat().st_size
    except OSError:
        return 0


def _seconds_to_spare(context: Context) -> float:
    """Return what may be spent: a small share of the trial's time, and most of what is left after scoring."""
    seconds = min(max(SHARE * context.seconds, LEAST_SECONDS), MOST_SECONDS)
    if context.deadline is None:
        return seconds
    return min(seconds, 0.8 * (context.deadline - context.clock() - context.scoring_seconds()))


def _predictor(context: Context, model: Net) -> Callable[[int], object]:
    """Return what predicts one row, by a number that counts the calls."""
    job = context.job
    pool = context.valid_rows if len(context.valid_rows) else context.train_rows
    rows = pool[torch.linspace(0, len(pool) - 1, min(len(pool), _ROWS)).long()]
    views: Sequence[Augmenter] = ()
    if context.member.test_time_views:
        views = build_augmenters(job.candidate, job.profile, context.view, context.lookup)
    PLAIN.lay_out_model(model)

    def predict(call: int) -> object:
        row = rows[call % len(rows)].view(1)
        return predict_rows(model, context.source, row, context.view, PLAIN, job.profile, augmenters=views)

    return predict


def timed(predict: Callable[[int], object], seconds: float, clock: Callable[[], float]) -> list[float]:
    """Return how long each call took, after one to warm up, or three where there is time; none where not three fit.

    What it gives must be on the CPU by the time that it returns: a GPU is then waited for.
    """
    began = clock()
    for call in range(_WARM_UP):
        before = clock()
        predict(call)
        now = clock()
        if now - began > seconds:
            return []
        # The first call may take any time; the second is like those to come.
        if call > 0 and now - began + _USUAL_CALLS * (now - before) > seconds:
            break
    times: list[float] = []
    while len(times) < _MOST_CALLS:
        before = clock()
        predict(len(times))
        now = clock()
        times.append(now - before)
        if now - began > seconds:
            break
    return times if len(times) >= _LEAST_CALLS else []


def peak_bytes(predict: Callable[[], object], device: torch.device) -> int:
    """Return what a call takes at its height, as `Footprint.memory_bytes` says."""
    there = device_of(device)
    if there.counts_memory:
        there.reset_peak()
        before = there.taken_bytes()
        predict()
        return max(there.highest_bytes() - before, 0)
    live = _Live()
    with live:
        predict()
    return live.peak


class _Live(TorchDispatchMode):
    """Adds up the memory of what torch's operations have given as long as it is alive, and remembers the most.

    Hooks on modules would miss what functions between them make, as the products of an attention.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._total = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the operation gives
        given = {_place_of(each) for each in _tensors(args)}
        found = func(*args, **(kwargs or {}))
        for each in _tensors(found):
            # A view, or what is changed in place, takes nothing anew; weights only ever come in.
            if _place_of(each) not in given:
                self._note(each)
        return found

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        place = _place_of(tensor)
        known = self._alive.get(place)
        if known is not None and not known[0].expired():
            return
        for gone in [key for key, (reference, _) in self._alive.items() if reference.expired()]:
            self._total -= self._alive.pop(gone)[1]
        self._alive[place] = (StorageWeakRef(storage), storage.nbytes())
        self._total += storage.nbytes()
        self.peak = max(self.peak, self._total)


def _tensors(values: Any) -> list[Tensor]:  # noqa: ANN401 - whatever operations take and give
    """Return the dense tensors among values, and in the lists and tuples among them."""
    if isinstance(values, Tensor):
        return [values] if values.layout == torch.strided else []
    return [found for each in values for found in _tensors(each)] if isinstance(values, list | tuple) else []


def _place_of(tensor: Tensor) -> int:
    """Return what tells one piece of memory from another as long as both are alive."""
    return int(tensor.untyped_storage()._cdata)
