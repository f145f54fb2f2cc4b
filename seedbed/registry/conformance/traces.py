"""Whether code leaves the state of the process as it found it: random generators, torch's switches."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Switches:
    """What torch does for the whole process."""

    default_dtype: torch.dtype
    grad_enabled: bool
    num_threads: int
    deterministic_algorithms: bool
    matmul_precision: str

    @classmethod
    def read(cls) -> _Switches:
        import torch

        return cls(
            default_dtype=torch.get_default_dtype(),
            grad_enabled=torch.is_grad_enabled(),
            num_threads=torch.get_num_threads(),
            deterministic_algorithms=torch.are_deterministic_algorithms_enabled(),
            matmul_precision=torch.get_float32_matmul_precision(),
        )

    def set(self) -> None:
        import torch

        torch.set_default_dtype(self.default_dtype)
        torch.set_grad_enabled(self.grad_enabled)
        torch.set_num_threads(self.num_threads)
        torch.use_deterministic_algorithms(self.deterministic_algorithms)
        torch.set_float32_matmul_precision(self.matmul_precision)

    def turned(self) -> list[str]:
        """Return the names of those that are not as they were."""
        now = _Switches.read()
        return [each.name for each in fields(self) if getattr(self, each.name) != getattr(now, each.name)]


@contextmanager
def no_traces(what: str, *, torch_may_draw: bool = False) -> Iterator[None]:
    """Fail if the block draws from a global generator or turns one of torch's switches; either is undone.

    Args:
        what: the deed, for the message.
        torch_may_draw: whether torch's own generator may be drawn from, as fresh weights are.
    """
    import numpy as np
    import torch

    python, array, tensor = random.getstate(), np.random.get_state(), torch.get_rng_state()
    switches = _Switches.read()
    try:
        yield
        assert random.getstate() == python, f"{what} draws from Python's global generator"
        assert _same_draws(array), f"{what} draws from NumPy's global generator"
        assert torch_may_draw or torch.equal(torch.get_rng_state(), tensor), f"{what} draws from torch's generator"
        assert not switches.turned(), f"{what} changes torch's {', '.join(switches.turned())} for the whole process"
    finally:
        random.setstate(python)
        np.random.set_state(array)
        torch.set_rng_state(tensor)
        if switches.turned():
            switches.set()


def _same_draws(state: Any) -> bool:  # noqa: ANN401 - as numpy gives it
    """Whether NumPy's global generator would go on as from this state."""
    import numpy as np

    return all(np.array_equal(one, other) for one, other in zip(state, np.random.get_state(), strict=True))
