"""What a model says about rows: features, predictions, and their mean over test-time views."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from seedbed.core.data.feeding.source import Inputs, Source, in_order_of_length
from seedbed.core.data.profile import Profile
from seedbed.core.data.view import View
from seedbed.core.errors import Diverged
from seedbed.core.protocols import Augmenter
from seedbed.core.training.decisions import Decisions
from seedbed.core.training.devices import device_of
from seedbed.core.training.memory import give_back, is_out_of_memory, too_large
from seedbed.core.training.numerics import Numerics
from seedbed.core.training.outputs import readout
from seedbed.core.training.sparse import compact, stacked

Stop = Callable[[], bool]
"""Asked between batches; True ends the work with `Stopped`."""

_MOST_ROWS = 256
_MOST_SEQUENCES = 32
_MOST_PIXELS = 32 * 128 * 128

Variants = Callable[[Tensor], Sequence[Tensor]]
"""From a batch of images to several of them, which should be judged alike."""


class Stopped(Exception):
    """The work was asked to end."""


class CutShort(Exception):
    """The trial lags behind what its fidelity asks for; the text says by how much."""


def never() -> bool:
    """Never stop."""
    return False


@dataclass(slots=True, kw_only=True)
class Patience:
    """How long a fit may go on. It is asked between steps, and remembers whether it ever cut the work short.

    `began` and `until` are on the clock; without `until` there is no limit.
    """

    should_stop: Stop = never
    clock: Callable[[], float] = time.monotonic
    began: float = 0.0
    until: float = math.inf
    ran_out: bool = False
    decisions: Decisions = field(default_factory=Decisions)
    _asked: int = 0

    def check(self) -> None:
        """Raise `Stopped` if the work was asked to end."""
        if self.should_stop():
            raise Stopped

    def is_over(self) -> bool:
        """Whether to be content with what there is; to be asked only where there is more to do."""
        return self._is_past(1.0)

    def is_half_over(self) -> bool:
        """The same of the first half, in which to choose: the other half is for the fit itself."""
        return self._is_past(0.5)

    def _is_past(self, share: float) -> bool:
        self.check()
        self._asked += 1
        until = self.began + share * (self.until - self.began)
        is_past = self.decisions.has_happened(f"over@{self._asked}", lambda: self.clock() >= until)
        self.ran_out = self.ran_out or is_past
        return is_past


def forward_rows(
    model: nn.Module,
    source: Source,
    rows: Tensor,
    view: View,
    numerics: Numerics,
    *,
    batch_size: int | None = None,
    should_stop: Stop = never,
    variants: Variants | None = None,
) -> Tensor:
    """Run a model over rows (N,) in evaluation mode and return float32 outputs (N, …) on the CPU.

    Rows of unequal length are taken by length, so that padding costs little. With `variants`, each batch of
    images in [0, 1] is turned into several, and the outputs are stacked as (N, V, …). Sparse outputs stay
    sparse (CSR). Where memory runs out, batches are halved from there on.

    Raises:
        Stopped: `should_stop` said so.
        TooLarge: memory ran out with a single row.
    """
    was_training = model.training
    model.eval()
    order = in_order_of_length(source, rows)
    ordered = rows if order is None else rows[order]
    batch_size = batch_size or _batch_size(view, source.device)
    found, done = list[Tensor](), 0
    try:
        while not found or done < len(rows):  # of no rows there is one empty batch: its outputs have their shape
            if should_stop():
                raise Stopped
            batch = ordered[done : done + batch_size]
            try:
                found.append(_outputs(model, source, batch, view, numerics, variants))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if len(batch) <= 1:
                    raise too_large("predicting one row", error) from error
                batch_size = (len(batch) + 1) // 2
            else:
                done += len(batch)
                continue
            give_back(source.device)  # not until here: the error's traceback held all that was allocated
    finally:
        model.train(was_training)
    return stacked(found, order)


@torch.inference_mode()
def _outputs(
    model: nn.Module, source: Source, rows: Tensor, view: View, numerics: Numerics, variants: Variants | None
) -> Tensor:
    """Return the outputs of a batch of rows (B,), on the CPU."""
    inputs = source.gather(rows, view)
    outputs = [
        _forward(model, source.ready(each, view), numerics, source.device)
        for each in ([(one,) for one in variants(inputs[0])] if variants else [inputs])
    ]
    return compact((torch.stack(outputs, 1) if variants else outputs[0]).cpu())


def _batch_size(view: View, device: torch.device) -> int:
    """Return how many rows to take at once.

    On a CPU large batches fall out of its caches: EfficientNet-Lite0 at 128 px takes half as much again to
    twice the time an image in batches of 128 as in those of 32, and MiniLM three times as much a sentence.
    """
    if device_of(device).is_accelerator:
        return _MOST_ROWS
    if not view.resolution:
        return _MOST_SEQUENCES
    return min(max(_MOST_PIXELS // (view.height * view.width), 16), _MOST_ROWS)


def _forward(model: nn.Module, inputs: Inputs, numerics: Numerics, device: torch.device) -> Tensor:
    with numerics.autocast(device):
        outputs: Tensor = model(*numerics.lay_out(inputs))
    return outputs.float()


def predict_rows(
    model: nn.Module,
    source: Source,
    rows: Tensor,
    view: View,
    numerics: Numerics,
    profile: Profile,
    *,
    augmenters: Sequence[Augmenter] = (),
    should_stop: Stop = never,
) -> Tensor:
    """Return what metrics take of each row, float32, averaged over the augmenters' test-time views.

    Probabilities (N, K) of classes or labels, or values (N,): see `readout`.

    Raises:
        Diverged: a prediction is not finite.
        Stopped: `should_stop` said so.
    """
    views = view_maker(augmenters)
    outputs = forward_rows(model, source, rows, view, numerics, should_stop=should_stop, variants=views)
    predictions = readout(outputs, profile)
    if views is not None and len(rows):
        predictions = predictions.mean(1)
    if not bool(torch.isfinite(predictions).all()):
        raise Diverged("Some predictions are not finite numbers; lower the learning rate (optimizer.*.lr).")
    return predictions


def view_maker(augmenters: Sequence[Augmenter]) -> Variants | None:
    """Return what makes the test-time views of a batch, or None where no augmenter offers any.

    An augmenter may offer `views(inputs) -> list[Tensor]`: fixed versions of the inputs, the inputs
    themselves first, that a model trained with it should judge alike.
    """
    makers = [found for each in augmenters if callable(found := getattr(each, "views", None))]
    if not makers:
        return None

    def views(inputs: Tensor) -> list[Tensor]:
        found = [inputs]
        for maker in makers:
            found += [view for each in found for view in maker(each)[1:]]
        return found

    return views
