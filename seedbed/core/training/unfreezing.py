"""Setting a pretrained net free layer by layer, from the head down (Howard & Ruder 2018, ULMFiT)."""

from __future__ import annotations

from torch import nn

from seedbed.core.training.assemble import Net, backbone_layers


class Unfreezing:
    """Keeps the lower layers of a backbone fixed at first; after `share` of the work all of them learn.

    What is fixed costs no backward pass, so that the first steps are the cheaper ones.
    """

    def __init__(self, model: Net, share: float) -> None:
        self._layers = [[each for each in layer if each.requires_grad] for layer in backbone_layers(model.backbone)]
        self._share = share
        self._free: int | None = None

    def __call__(self, progress: float) -> None:
        """Set the layers free that are due at this progress in [0, 1]."""
        free = len(self._layers)
        if progress < self._share:
            free = round(progress / self._share * len(self._layers))
        if free == self._free:
            return
        self._free = free
        for number, layer in enumerate(self._layers):
            _set(layer, learns=number >= len(self._layers) - free)


def _set(parameters: list[nn.Parameter], *, learns: bool) -> None:
    for each in parameters:
        each.requires_grad_(learns)
