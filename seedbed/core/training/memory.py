"""How much memory training takes, how much there is, and into how many parts a batch must go; an edge.

On a CPU the system promises more memory than it has and then kills whoever uses it, so what a step takes is measured
before there is one. A GPU says no, and one may try again: there the measure only saves the attempts.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

from seedbed.core.data.feeding.source import Inputs
from seedbed.core.errors import TooLarge
from seedbed.core.training.devices import device_of, own_random
from seedbed.core.training.numerics import Numerics

_USABLE = 0.8
"""Of what is free, what one training may plan with: other trials and programs grow as well."""

_COPIES_OF_WEIGHTS = 4
"""Gradients, two moments of Adam, and what an optimizer's step or an average of the weights takes besides."""

_COPIES_OF_INPUTS = 3
"""As they were stored, as an augmenter leaves them, and as the model takes them."""

_WORKSPACE = 2
"""Of the largest activation: its gradient, and that of the layer below, at the height of the backward pass."""

_SAID = ("out of memory", "can't allocate memory", "alloc_failed")
_AMOUNT = re.compile(r"allocate (\d+(?:\.\d+)?) ?(\w+)")

_REMEDY = (
    "Choose a smaller architecture or resolution, run fewer trials at once (--workers 1), "
    "or use a machine with more memory."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What training takes beside the weights, in bytes.

    `row_bytes` for each row that goes through the net at once, `input_bytes` for each row of the whole batch, which is
    augmented in one piece, and `fixed_bytes` at any rate: gradients and the optimizer's state.
    """

    row_bytes: float
    input_bytes: int
    fixed_bytes: int

    def of(self, batch_size: int, parts: int = 1) -> int:
        """Return what a step takes with a batch in so many parts."""
        return round(self._apart_from_rows(batch_size) + -(-batch_size // parts) * self.row_bytes)

    def parts(self, batch_size: int, free: int, least_rows: int = 1) -> int | None:
        """Return the fewest parts in which a batch fits into `free` bytes; None: not in any."""
        left = round(_USABLE * free) - self._apart_from_rows(batch_size)
        return parts_that_fit(self.row_bytes, batch_size, left, least_rows)

    def _apart_from_rows(self, batch_size: int) -> int:
        return self.fixed_bytes + batch_size * self.input_bytes


def parts_that_fit(bytes_a_row: float, batch_size: int, free: int, least_rows: int = 1) -> int | None:
    """Return into how many parts (1, 2, 4 … up to the batch size) a batch must go for each to fit into `free` bytes.

    None where not even parts of `least_rows` fit.
    """
    parts: int | None = 1
    while parts is not None and -(-batch_size // parts) * bytes_a_row > free:
        parts = more_parts(parts, batch_size, least_rows)
    return parts


def more_parts(parts: int, batch_size: int, least_rows: int = 1) -> int | None:
    """Return twice as many parts, or as many as leave each its least rows; None where they are that many already."""
    most = max(batch_size // least_rows, 1)
    return min(2 * parts, most) if parts < most else None


def least_rows(model: nn.Module) -> int:
    """Return how many rows must go through a net together: two, where their statistics are used."""
    learns = (isinstance(each, nn.modules.batchnorm._BatchNorm) and each.training for each in model.modules())
    return 2 if any(learns) else 1


def measure(model: nn.Module, inputs_of: Callable[[int], Inputs], numerics: Numerics, device: torch.device) -> Demand:
    """Measure what training takes by what a forward pass of two rows keeps for the backward pass.

    Gradients and the optimizer's state are not measured but reckoned, as copies of the weights that are trained.
    Neither the model (statistics of batch normalisation, gradients) nor torch's random state is changed.

    Args:
        inputs_of: so many rows as the model is called with, on the device, as large as there are any.
    """
    inputs = inputs_of(2)
    two = _kept(model, inputs, numerics, device)
    row, rest = two.total / 2, 0.0
    if numerics.precision != "float32":  # then the weights are kept as well, once, in the lower precision
        row = max(_kept(model, inputs_of(3), numerics, device).total - two.total, 0)
        rest = max(two.total - 2 * row, 0.0)
    trained = sum(each.nbytes for each in model.parameters() if each.requires_grad)
    input_bytes = sum(each.nbytes for each in inputs if isinstance(each, Tensor)) // 2
    return Demand(
        row_bytes=row + _WORKSPACE * two.largest / 2,
        input_bytes=_COPIES_OF_INPUTS * input_bytes,
        fixed_bytes=round(rest) + _COPIES_OF_WEIGHTS * trained,
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """Bytes that a forward pass keeps, and those of the largest tensor among them."""

    total: int
    largest: int


def _kept(model: nn.Module, inputs: Inputs, numerics: Numerics, device: torch.device) -> _Kept:
    buffers = {name: each.clone() for name, each in model.named_buffers()}
    known = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *buffers.values())}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        for each in _dense_parts(tensor):
            storage = each.untyped_storage()
            if storage.data_ptr() not in known:
                found[storage.data_ptr()] = storage.nbytes()
        return tensor

    was_training = model.training
    threads = torch.get_num_threads()
    # Two rows are nothing to share: threads that wait for each other on a busy machine take far longer than one.
    torch.set_num_threads(1)
    model.train()
    try:
        with own_random(device), torch.enable_grad(), saved_tensors_hooks(pack, lambda each: each):
            with numerics.autocast(device):
                # On copies of the buffers: batch normalisation would count these rows. What comes out is held until
                # all is counted, so that no memory is used twice meanwhile.
                outputs = functional_call(model, buffers, numerics.lay_out(inputs))
            del outputs
    finally:
        model.train(was_training)
        torch.set_num_threads(threads)
    return _Kept(sum(found.values()), max(found.values(), default=0))


def _dense_parts(tensor: Tensor) -> tuple[Tensor, ...]:
    if tensor.layout == torch.sparse_csr:
        return tensor.values(), tensor.col_indices(), tensor.crow_indices()
    return (tensor,) if tensor.layout == torch.strided else ()


def free_bytes(device: torch.device) -> int:
    """Return how many bytes may still be taken on a device."""
    if (found := device_of(device).memory()) is not None:
        return found[0]
    return int(min([psutil.virtual_memory().available, *left_in_groups()]))


def left_in_groups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """Yield the bytes that each control group of this process leaves it: containers and batch systems on Linux.

    Where there are none, or none with a limit, nothing.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "memory" if controllers else root  # version 1 has a folder for each controller
        folder = base / path.lstrip("/")
        for each in (folder, *folder.parents):  # the path may be the host's: in a container only its root is there
            if each.is_relative_to(base) and (left := _left_in(each)) is not None:
                yield left


def _left_in(group: Path) -> int | None:
    versions = (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for limit, used, cache in versions:
        with suppress(OSError, ValueError):  # of the other version, or no number but "max"
            left = int((group / limit).read_text()) - int((group / used).read_text())
            stat = dict(line.split(maxsplit=1) for line in (group / "memory.stat").read_text().splitlines())
            return left + int(stat.get(cache, 0))  # files read long ago make room
    return None


def give_back(device: torch.device) -> None:
    """Hand freed memory that this process keeps for itself back to the device or the system."""
    gc.collect(1)  # what an attempt left is young, and to look at all there is takes a fifth of a second
    found = device_of(device)
    if found.memory() is not None:
        found.give_back()
        return
    with suppress(AttributeError, OSError, TypeError):  # glibc alone has it; workers keep gigabytes on purpose
        ctypes.CDLL(None).malloc_trim(0)


def parts_here(demand: Demand, batch_size: int, device: torch.device, least_rows: int = 1) -> int:
    """Return into how many parts a batch must go on this machine as it is now.

    Raises:
        TooLarge: the smallest parts do not fit either.
    """
    parts = demand.parts(batch_size, free_bytes(device), least_rows)
    if parts == 1:
        return parts
    gc.collect()
    give_back(device)  # what an earlier trial left counts as taken on a CPU
    free = free_bytes(device)
    parts = demand.parts(batch_size, free, least_rows)
    if parts is None:
        rows = "one row" if least_rows == 1 else f"{least_rows} rows"
        most = max(batch_size // least_rows, 1)
        raise TooLarge(
            f"Too large: a training step with {rows} at a time takes about {in_words(demand.of(batch_size, most))} "
            f"beside the weights, and {in_words(free)} is free on {device}. {_REMEDY}"
        )
    return parts


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device and in whatever library."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(each in str(error).lower() for each in _SAID)


def too_large(doing: str, error: BaseException) -> TooLarge:
    """Return the refusal for memory that ran out; `doing` says in what, as in "predicting one row"."""
    amount = _AMOUNT.search(str(error))
    asked = ""
    if amount is not None:
        number, unit = amount.groups()
        asked = f" (another {in_words(float(number)) if unit == 'bytes' else f'{number} {unit}'} was asked for)"
    return TooLarge(f"Too large: memory ran out in {doing}{asked}. {_REMEDY}")


def in_words(size: float) -> str:
    """Write bytes as people do: `310 MB`, `2.4 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= 0.9995 * factor:
            value = size / factor
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"
    return f"{size:.0f} bytes"


class Snapshot:
    """What a step that fails halfway has changed besides gradients: a net's buffers and torch's random state.

    `restore` brings back what was at the last `take`, so that the step can be done in another way as if for the first
    time; a replay does it in that way at once.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self._buffers = [each for each in model.buffers() if each.layout == torch.strided]
        self._copies = [each.clone() for each in self._buffers]
        self._device = device_of(device)
        self.take()

    @torch.no_grad()
    def take(self) -> None:
        """Keep what there is now."""
        if self._buffers:
            torch._foreach_copy_(self._copies, self._buffers)
        self._random = torch.get_rng_state()
        self._random_there = self._device.random_state()

    @torch.no_grad()
    def restore(self) -> None:
        """Bring it back, in place."""
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._copies)
        torch.set_rng_state(self._random)
        if self._random_there is not None:
            self._device.set_random_state(self._random_there)
