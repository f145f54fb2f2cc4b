"""What the Hugging Face cache of this machine holds; imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


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


def is_cached(name: str) -> bool:
    """Whether `timm/NAME` already lies in the Hugging Face cache of this machine."""
    from huggingface_hub import try_to_load_from_cache

    files = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(try_to_load_from_cache(f"timm/{name}", each), str) for each in files)


cached = Named(is_cached)
