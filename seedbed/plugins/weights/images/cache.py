"""What the Hugging Face cache of this machine holds; imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILES = ("model.safetensors", "pytorch_model.bin")
"""Under which timm's weights lie on the hub, the preferred first."""


@dataclass(frozen=True)
class Named:
    """`hub.resnet18.a1_in1k` is `act` with that name: a spec's reference can thus hold a timm name."""

    act: Callable[..., Any]
    path: tuple[str, ...] = ()

    def __getattr__(self, part: str) -> Named:
        if part.startswith("__"):
            raise AttributeError(part)
        return Named(self.act, (*self.path, part))

    def __call__(self, *arguments: object) -> Any:  # noqa: ANN401 - what `act` returns
        """Call `act` with the dotted name."""
        return self.act(".".join(self.path), *arguments)


def cached_file(repository: str, *, revision: str | None = None, files: tuple[str, ...] = FILES) -> Path | None:
    """Return the first of these files of a repository that the cache holds, if any."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(repository, each, revision=revision) for each in files)
    return next((Path(each) for each in found if isinstance(each, str)), None)


def is_cached(name: str) -> bool:
    """Whether `timm/NAME` already lies in the Hugging Face cache of this machine."""
    return cached_file(f"timm/{name}") is not None


def any_cached() -> bool:
    """Whether any weights of timm lie in the Hugging Face cache of this machine."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE)
    return any(next(folder.glob(f"models--timm--*/snapshots/*/{each}"), None) for each in FILES)


cached = Named(is_cached)
