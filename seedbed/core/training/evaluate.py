"""What a model says about rows: features, probabilities, and their mean over test-time views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from seedbed.core.data.batches import Images, normalise, to_unit
from seedbed.core.data.view import View
from seedbed.core.errors import Diverged
from seedbed.core.protocols import Augmenter
from seedbed.core.training.numerics import Numerics

Stop = Callable[[], bool]
"""Asked between batches; True ends the work with `Stopped`."""


class Stopped(Exception):
    """The work was asked to end."""


def never() -> bool:
    """Never stop."""
    return False


def forward_rows(
    model: nn.Module,
    images: Images,
    rows: Tensor,
    view: View,
    numerics: Numerics,
    *,
    batch_size: int = 256,
    should_stop: Stop = never,
    variants: Callable[[Tensor], Sequence[Tensor]] | None = None,
) -> Tensor:
    """Run a model over rows in evaluation mode and return float32 outputs (N, …) on the CPU.

    With `variants`, each batch of inputs in [0, 1] is turned into several, and the outputs are stacked
    as (N, V, …).

    Raises:
        Stopped: `should_stop` said so.
    """
    was_training = model.training
    model.eval()
    found = []
    device = images.pixels.device
    try:
        with torch.inference_mode():
            for batch in rows.split(batch_size):
                if should_stop():
                    raise Stopped
                inputs = to_unit(images.gather(batch.to(device)), view)
                outputs = [
                    _forward(model, normalise(each, view), numerics)
                    for each in (variants(inputs) if variants else (inputs,))
                ]
                found.append((torch.stack(outputs, 1) if variants else outputs[0]).cpu())
    finally:
        model.train(was_training)
    return torch.cat(found) if found else torch.empty(0)


def _forward(model: nn.Module, inputs: Tensor, numerics: Numerics) -> Tensor:
    with numerics.autocast(inputs.device):
        outputs: Tensor = model(numerics.lay_out(inputs))
    return outputs.float()


def predict_rows(
    model: nn.Module,
    images: Images,
    rows: Tensor,
    view: View,
    numerics: Numerics,
    *,
    augmenters: Sequence[Augmenter] = (),
    should_stop: Stop = never,
) -> Tensor:
    """Return class probabilities (N, K), float32, averaged over the augmenters' test-time views.

    Raises:
        Diverged: a probability is not finite.
        Stopped: `should_stop` said so.
    """
    views = view_maker(augmenters)
    logits = forward_rows(model, images, rows, view, numerics, should_stop=should_stop, variants=views)
    probabilities = logits.softmax(-1)
    if views is not None and len(rows):
        probabilities = probabilities.mean(1)
    if not bool(torch.isfinite(probabilities).all()):
        raise Diverged("Some predictions are not finite numbers; lower the learning rate (optimizer.*.lr).")
    return probabilities


def view_maker(augmenters: Sequence[Augmenter]) -> Callable[[Tensor], list[Tensor]] | None:
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
