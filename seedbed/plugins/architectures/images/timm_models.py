"""Backbones from timm, by name; importing timm takes some ten seconds, so it happens when one is built."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedbed.core.data.profile import Profile
from seedbed.core.errors import TrialError, UsageError
from seedbed.core.training.assemble import backbone_layers

if TYPE_CHECKING:
    from seedbed.plugins.architectures.images import AnyTimmOptions, TimmOptions

_LEAST = 32
"""Pixels: what most nets can halve five times. ConvNeXt, which does not round up, ends with nothing below it."""


class TimmNet(nn.Module):
    """`net`, a timm model without its classifier: images (N, C, H, W) → features (N, F).

    Smaller images than `least` pixels get a border of 0, the mean. Those of a net that takes one size alone,
    `only` (height, width), are brought to it.
    """

    def __init__(self, net: nn.Module, *, least: int = 1, only: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.net = net
        self.least = least
        self.only = only
        # `num_features` is that of the feature map; some families widen it again before the classifier.
        self.num_features = int(getattr(net, "head_hidden_size", None) or cast(int, net.num_features))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features (N, F)."""
        if self.only is not None and inputs.shape[-2:] != self.only:
            inputs = F.interpolate(inputs, self.only, mode="bilinear", antialias=True)
        features: Tensor = self.net(_bordered(inputs, self.least))
        return features

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the parameters from input to output: the stem, each stage of a CNN or block of a ViT.

        By the order of sub-modules alone a stem's convolution and its norm were two layers, and a ResNet had
        one for each block where a ConvNeXt or an EfficientNet has one for each stage: the same decay of
        learning rates then meant 0.02 at the stem of one and 0.3 at that of another.
        """
        matcher = getattr(self.net, "group_matcher", None)
        if matcher is None:
            return backbone_layers(self.net)
        from timm.models import group_parameters

        found = dict(self.net.named_parameters())
        return [[found[name] for name in names] for names in group_parameters(self.net, matcher(coarse=True)).values()]


class AnyTimmNet(TimmNet):
    """A timm model of any name, which normalises its inputs itself.

    What its pretraining was normalised by cannot be declared before the model is named: its weights come
    with it, and with inputs that are left in [0, 1] (`pretrained_on`). Without weights it changes nothing.
    """

    def __init__(self, model: str, net: nn.Module, *, least: int, only: tuple[int, int] | None) -> None:
        super().__init__(net, least=least, only=only)
        self.model = model
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("std", torch.ones(3, 1, 1))

    def pretrained_on(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """Normalise inputs in [0, 1] by a number a channel, from now on."""
        self.mean.copy_(torch.tensor(mean).reshape(-1, 1, 1))
        self.std.copy_(torch.tensor(std).reshape(-1, 1, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features (N, F)."""
        channels = inputs.shape[1]
        return super().forward((inputs - self.mean[:channels]) / self.std[:channels])


def build(name: str, options: TimmOptions, profile: Profile) -> nn.Module:
    """Build a curated timm model without its classifier and without weights.

    Raises:
        TrialError: the timm that is installed knows no such model.
    """
    import timm

    if not timm.is_model(name):
        raise TrialError(f"timm {timm.__version__} knows no model {name!r}; timm.list_models() names all.")
    net, only = _create(name, options.drop_path, profile.channels)
    return TimmNet(net, least=_LEAST if name.startswith("convnext") else 1, only=only)


def by_name(options: AnyTimmOptions, profile: Profile) -> nn.Module:
    """Build the timm model that the options name, without its classifier and without weights.

    Raises:
        UsageError: timm knows no such model, or it takes no `drop_path`.
    """
    import timm

    name = options.model
    if not timm.is_model(name):
        close = difflib.get_close_matches(name.partition(".")[0], timm.list_models(), n=3)
        guess = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
        raise UsageError(
            f"timm {timm.__version__} knows no model {name!r}. {guess}timm.list_models() names all; "
            "write --set architecture=timm:NAME."
        )
    try:
        net, only = _create(name, options.drop_path, profile.channels)
    except TypeError as error:
        if options.drop_path == 0:
            raise
        raise UsageError(
            f"timm's {name} takes no stochastic depth; leave architecture.timm.drop_path at 0 (it says: {error})."
        ) from error
    return AnyTimmNet(name, net, least=_LEAST, only=only)


def _create(name: str, drop_path: float, channels: int) -> tuple[nn.Module, tuple[int, int] | None]:
    """Return a timm model without classifier, and the one size of image it takes, None for any."""
    import timm
    from timm.models import get_pretrained_cfg

    settings: dict[str, Any] = {"in_chans": channels, "num_classes": 0}
    if drop_path > 0:
        settings["drop_path_rate"] = drop_path
    config = get_pretrained_cfg(name)
    if config is None or not config.fixed_input_size:
        return timm.create_model(name, pretrained=False, **settings), None
    flexible: dict[str, Any] = {"dynamic_img_size": True, "dynamic_img_pad": True}
    try:  # position embeddings are interpolated to the size of the image, and what patches leave over is padded
        return timm.create_model(name, pretrained=False, **flexible, **settings), None
    except TypeError:  # a family that has no such settings
        height, width = config.input_size[1:]
        return timm.create_model(name, pretrained=False, **settings), (height, width)


def _bordered(inputs: Tensor, least: int) -> Tensor:
    """Return images of at least so many pixels a side, with a border of 0 where they had fewer."""
    height, width = (max(least - size, 0) for size in inputs.shape[-2:])
    if not height and not width:
        return inputs
    return F.pad(inputs, (width // 2, width - width // 2, height // 2, height - height // 2))


class _Named:
    """`named.resnet18` is `build` for that model: a spec's reference can thus hold a timm name."""

    def __getattr__(self, name: str) -> Callable[[TimmOptions, Profile], nn.Module]:
        if name.startswith("__"):
            raise AttributeError(name)
        return partial(build, name)


named = _Named()
