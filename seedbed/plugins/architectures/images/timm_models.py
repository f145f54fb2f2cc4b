"""Backbones from timm, by name; importing timm takes some ten seconds, so it happens when one is built."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from seedbed.core.data.profile import Profile
from seedbed.core.errors import TrialError

if TYPE_CHECKING:
    from seedbed.plugins.architectures.images import TimmOptions


def build(name: str, options: TimmOptions, profile: Profile) -> nn.Module:
    """Build a timm model without its classifier and without weights.

    Raises:
        TrialError: timm knows no such model, or it cannot take inputs of this size.
    """
    import timm

    if not timm.is_model(name):
        raise TrialError(f"timm {timm.__version__} knows no model {name!r}; timm.list_models() names all.")
    settings: dict[str, Any] = {"in_chans": profile.channels, "num_classes": 0}
    if options.drop_path > 0:
        settings["drop_path_rate"] = options.drop_path
    model: Any = timm.create_model(name, pretrained=False, **settings)
    # `num_features` is that of the feature map; some families widen it again before the classifier.
    model.num_features = int(getattr(model, "head_hidden_size", None) or model.num_features)
    return cast(nn.Module, model)


class _Named:
    """`named.resnet18` is `build` for that model: a spec's reference can thus hold a timm name."""

    def __getattr__(self, name: str) -> Callable[[TimmOptions, Profile], nn.Module]:
        if name.startswith("__"):
            raise AttributeError(name)
        return partial(build, name)


named = _Named()
