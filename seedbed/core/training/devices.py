"""The seam to what a net can be trained on: processor, CUDA GPU, Apple GPU, XLA; an edge.

All that differs between kinds of devices is asked here. Elsewhere a device is a `torch.device`, a handle that says
where a tensor lies; `device_of` returns what such a handle can do. Other kinds, and fakes in tests, go into `KINDS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch

from seedbed.core.errors import UnknownName, UsageError

Precision = Literal["float32", "bfloat16", "float16"]


class Device:
    """What a device can do; each default is that of the processor, which has no memory of its own."""

    kind = "cpu"
    precisions: tuple[Precision, ...] = ("bfloat16", "float32")
    """In which a net may be computed, the one that is fastest as a rule first."""
    has_channels_last = True
    """Whether convolutions have kernels for images whose channels lie next to each other."""
    has_fused_optimizers = True
    """Whether torch's optimizers have kernels that take a step in one pass over the weights."""
    compile_backend: str | None = None
    """With what `torch.compile` makes a net faster here; None: it does not, or nobody has measured that it does."""
    is_accelerator = False
    """Whether it computes beside the processor: large batches, and a clock that must wait for it."""
    counts_memory = False
    """Whether `taken_bytes` and the peaks tell anything."""

    def __init__(self, place: torch.device) -> None:
        self.place = place

    @classmethod
    def is_available(cls) -> bool:
        """Whether this machine has one that torch can use."""
        return True

    @property
    def name(self) -> str:
        """What to call it in a table."""
        return self.kind

    @property
    def feeds_from(self) -> torch.device:
        """Where batches are gathered and augmented before a net takes them."""
        return self.place

    def memory(self) -> tuple[int, int] | None:
        """Return the bytes that this process may still take, and all that there are; None: those of the host."""
        return None

    def taken_bytes(self) -> int:
        """Return the bytes of the tensors that are on it; 0 where nobody counts them."""
        return 0

    def highest_bytes(self) -> int:
        """Return the most that `taken_bytes` has been since `reset_peak`."""
        return 0

    def peak_bytes(self) -> int:
        """Return the most that this process had reserved since `reset_peak`, blocks between tensors included."""
        return 0

    def reset_peak(self) -> None:
        """Let the peaks begin anew."""

    def cap(self, most_bytes: int) -> None:
        """Let this process take no more than so much of it; 0: all there is."""

    def give_back(self) -> None:
        """Hand freed memory that this process keeps for itself back to the device."""

    def synchronize(self) -> None:
        """Wait until all that was asked of it is done."""

    def mark_step(self) -> None:
        """Say that a step is over, where what is to be computed is collected until then."""

    def seed(self, seed: int) -> None:
        """Begin its random numbers, and the processor's, anew."""
        torch.manual_seed(seed)

    def random_state(self) -> Any:  # noqa: ANN401 - a tensor, or what the device's library gives
        """Return the state of its own random numbers; None where it has none beside the processor's."""
        return None

    def set_random_state(self, state: Any) -> None:  # noqa: ANN401
        """Go on from a state that `random_state` gave."""

    def hasty(self) -> AbstractContextManager[object]:
        """Return the context of training steps: float32 may be rounded where that is much faster."""
        return nullcontext()


class Cuda(Device):
    """A GPU of NVIDIA (or of AMD, by ROCm); which of several it is the environment says, or the handle's index."""

    kind = "cuda"
    has_channels_last = True
    compile_backend = "inductor"
    is_accelerator = True
    counts_memory = True

    @classmethod
    def is_available(cls) -> bool:
        """Whether torch was built for it and finds one."""
        return torch.cuda.is_available()

    @property
    def precisions(self) -> tuple[Precision, ...]:  # type: ignore[override]
        """Below float32, bfloat16 from Ampere on; older cards would only imitate it, and have float16."""
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("bfloat16", "float32") if native else ("float16", "float32")

    @property
    def name(self) -> str:
        """The card's name."""
        return str(torch.cuda.get_device_name(self.place))

    @property
    def _index(self) -> int:
        """The card's number, which torch's caps want to be told; of a handle without one, that of the current card."""
        return torch.cuda.current_device() if self.place.index is None else self.place.index

    def memory(self) -> tuple[int, int]:
        """Return what is free on the card or within this process's cap, and what torch keeps of freed blocks."""
        free, total = torch.cuda.mem_get_info(self.place)
        reserved = torch.cuda.memory_reserved(self.place)
        within_cap = int(torch.cuda.get_per_process_memory_fraction(self._index) * total) - reserved
        kept = reserved - torch.cuda.memory_allocated(self.place)
        return max(min(free, within_cap), 0) + kept, total

    def taken_bytes(self) -> int:
        """Return what torch's allocator has given out."""
        return int(torch.cuda.memory_allocated(self.place))

    def highest_bytes(self) -> int:
        """Return what it had given out at its most."""
        return int(torch.cuda.max_memory_allocated(self.place))

    def peak_bytes(self) -> int:
        """Return what it had taken from the card at its most, without the 0.5 GB or so of the CUDA context."""
        return int(torch.cuda.max_memory_reserved(self.place))

    def reset_peak(self) -> None:
        """Let both peaks begin anew."""
        torch.cuda.reset_peak_memory_stats(self.place)

    def cap(self, most_bytes: int) -> None:
        """Have the allocator refuse what goes beyond, as if the card were full: the process then halves its batches."""
        total = torch.cuda.mem_get_info(self.place)[1]
        torch.cuda.set_per_process_memory_fraction(min(most_bytes / total, 1.0) if most_bytes else 1.0, self._index)

    def give_back(self) -> None:
        """Empty the allocator's cache."""
        torch.cuda.empty_cache()

    def synchronize(self) -> None:
        """Wait for the card."""
        torch.cuda.synchronize(self.place)

    def random_state(self) -> torch.Tensor:
        """Return the state of the card's generator."""
        return torch.cuda.get_rng_state(self.place)

    def set_random_state(self, state: torch.Tensor) -> None:
        """Go on from there."""
        torch.cuda.set_rng_state(state, self.place)

    @contextmanager
    def hasty(self) -> Iterator[None]:
        """Let products of float32 matrices round their factors to TF32 (10 bits); convolutions do so by default."""
        switch: Any = torch.backends.cuda.matmul
        if not hasattr(switch, "fp32_precision"):  # torch 2.8: the older switch is not mixed with this one
            yield
            return
        before = switch.fp32_precision
        switch.fp32_precision = "tf32"
        try:
            yield
        finally:
            switch.fp32_precision = before


class Mps(Device):
    """The GPU of an Apple processor: no float64, memory shared with the host, one trial at a time."""

    kind = "mps"
    precisions = ("float16", "float32")
    has_channels_last = False
    is_accelerator = True

    @classmethod
    def is_available(cls) -> bool:
        """Whether torch finds one."""
        return torch.backends.mps.is_available()

    def memory(self) -> tuple[int, int]:
        """Return what Metal recommends to take at most, less what was taken, blocks that torch keeps not counted."""
        total = torch.mps.recommended_max_memory()
        return max(total - torch.mps.current_allocated_memory(), 0), total

    def taken_bytes(self) -> int:
        """Return the bytes of tensors."""
        return int(torch.mps.current_allocated_memory())

    def give_back(self) -> None:
        """Empty the allocator's cache."""
        torch.mps.empty_cache()

    def synchronize(self) -> None:
        """Wait for the GPU."""
        torch.mps.synchronize()

    def random_state(self) -> torch.Tensor:
        """Return the state of the GPU's generator."""
        return torch.mps.get_rng_state()

    def set_random_state(self, state: torch.Tensor) -> None:
        """Go on from there."""
        torch.mps.set_rng_state(state)


class Xla(Device):
    """A TPU, or what else XLA compiles for; operations are collected and done at each step's mark.

    Needs `torch_xla`, and that the very torch it was built for: an environment of its own, in which the workers of
    `--set backend.local.python=...` run. XLA knows no generators, so batches are made on the processor.
    """

    kind = "xla"
    has_channels_last = False
    has_fused_optimizers = False
    is_accelerator = True

    @classmethod
    def is_available(cls) -> bool:
        """Whether `torch_xla` can be imported here."""
        try:
            _torch_xla()
        except ImportError:
            return False
        return True

    @property
    def feeds_from(self) -> torch.device:
        """The processor."""
        return torch.device("cpu")

    def memory(self) -> tuple[int, int] | None:
        """Return what the runtime says; it says nothing where XLA compiles for the processor."""
        try:
            found = _xla_model().get_memory_info(self.place)
        except RuntimeError:  # unimplemented
            return None
        return int(found["bytes_limit"]) - int(found["bytes_used"]), int(found["bytes_limit"])

    def synchronize(self) -> None:
        """Do all that was asked for, and wait."""
        _torch_xla().sync(wait=True)

    def mark_step(self) -> None:
        """Have what was collected computed, without waiting."""
        _torch_xla().sync()

    def seed(self, seed: int) -> None:
        """Begin both anew."""
        torch.manual_seed(seed)
        _xla_model().set_rng_state(seed, str(self.place))

    def random_state(self) -> int:
        """Return the state of XLA's random numbers, an integer."""
        return int(_xla_model().get_rng_state(str(self.place)))

    def set_random_state(self, state: int) -> None:
        """Go on from there."""
        _xla_model().set_rng_state(state, str(self.place))


def _torch_xla() -> Any:  # noqa: ANN401 - a package that the main environment cannot have
    return importlib.import_module("torch_xla")


def _xla_model() -> Any:  # noqa: ANN401
    return importlib.import_module("torch_xla.core.xla_model")


KINDS: dict[str, type[Device]] = {"cuda": Cuda, "mps": Mps, "xla": Xla, "cpu": Device}
"""The kinds by the types of their handles, in the order in which `auto` takes them (XLA only if asked for)."""


def device_of(place: torch.device) -> Device:
    """Return what can be done with what lies there; kinds that nobody knows are taken for processors."""
    return KINDS.get(place.type, Device)(place)


def pick_device(wanted: str) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda`, `cuda:1`, `mps` or `xla`; auto takes a GPU if there is one.

    Raises:
        UnknownName: it is none of these.
        UsageError: this machine has none.
    """
    if wanted == "auto":
        found = (kind for kind, each in KINDS.items() if kind != "xla" and each.is_available())
        return torch.device(next(found, "cpu"))
    kind = wanted.partition(":")[0]
    if kind not in KINDS:
        raise UnknownName("device", wanted, ["auto", *KINDS])
    if not KINDS[kind].is_available():
        raise UsageError(
            f"The device {wanted} was asked for, and torch {torch.__version__} finds none in this environment; "
            "run `seedbed doctor`, or take --device auto."
        )
    if kind == "xla":
        _torch_xla()  # makes the name known to torch
    return torch.device(wanted)


@contextmanager
def own_random(place: torch.device) -> Iterator[None]:
    """Put torch's random state, the device's included, back at the end to what it was."""
    device = device_of(place)
    before = device.random_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            if before is not None:
                device.set_random_state(before)
