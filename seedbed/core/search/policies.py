"""How a candidate may be trained: the fine-tune policies and what can be searched in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from seedbed.core.space import Choice, Float
from seedbed.core.specs import NoOptions


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """Of the policies that train a pretrained backbone.

    `layer_decay` is the factor on the learning rate for each layer further from the head. Training
    starts at `start_size` times the candidate's resolution and stays there for `start_share` of the
    work (progressive resolution; 1.0 or 0.0 turn it off). `freeze_norm` keeps the batch-norm statistics
    of the pretraining: the head was fitted on features made with them, and with those of small batches of
    other images it began worse than chance on emoji. `unfreeze_share` is the share of the work over which the
    layers are set free one by one, from the head down; with 0 all of them learn from the start.
    """

    layer_decay: Annotated[float, Float(0.5, 1.0)] = 0.8
    start_size: Annotated[float, Choice(0.75, 1.0)] = 0.75
    start_share: Annotated[float, Float(0.0, 0.9)] = 0.6
    freeze_norm: Annotated[bool, Choice(False, True)] = True
    unfreeze_share: Annotated[float, Float(0.0, 0.5)] = 0.0

    IMAGES_ONLY: ClassVar[frozenset[str]] = frozenset({"start_size", "start_share", "freeze_norm"})
    """What has no meaning where inputs have no size and nets no batch norm."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`pretrained` policies need weights; `trains` ones need an optimizer and a schedule."""

    name: str
    summary: str
    pretrained: bool
    trains: bool
    options: type = NoOptions


POLICIES: dict[str, Policy] = {
    each.name: each
    for each in (
        Policy("scratch", "Train everything from random weights.", pretrained=False, trains=True),
        Policy("probe", "Freeze the backbone; fit a linear head on its features.", pretrained=True, trains=False),
        Policy(
            "head_then_all",
            "Fit the new head first, then train everything at a lower, layer-wise decayed rate.",
            pretrained=True,
            trains=True,
            options=TuneOptions,
        ),
        Policy(
            "full",
            "Train everything from pretrained weights and a new head at once.",
            pretrained=True,
            trains=True,
            options=TuneOptions,
        ),
    )
}
