"""One trial over several processes, each on a device of its own: what they share, and what the first one decides.

Rank 0 runs the trial as if it were alone: its looks, events, checkpoints, decisions and clock are the trial's. The
others know no clock: for each stretch of training they are handed a plan, and before each step the progress. Every
rank takes its part of the same batch, so a batch, and with it a learning rate, means what it means on one device.
"""

from __future__ import annotations

import datetime
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from seedbed.core.search.policies import TuneOptions

if TYPE_CHECKING:
    from seedbed.core.training.pace import Pace
    from seedbed.core.training.train import Phase

_PATIENCE = datetime.timedelta(days=7)
"""How long ranks wait for each other: rank 0 may look, or fit a head, for hours. A dead one ends all by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A stretch of training as rank 0 has planned it: all that another rank cannot know from the job.

    `order` is the state of the generator that draws the batches.
    """

    options: TuneOptions
    since: float
    rows: Tensor
    phases: Sequence[Phase]
    batch_size: int
    accumulated: int
    numerics: str
    order: Tensor


class Ring:
    """The processes of a trial, from the place of one of them: `rank` of `size`."""

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size = rank, size
        self._device = device

    @classmethod
    def join(cls, device: torch.device) -> Ring:
        """Meet the other processes that torchrun has started."""
        kind = "nccl" if device.type == "cuda" else "gloo"
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group(kind, timeout=_PATIENCE)
        return cls(dist.get_rank(), dist.get_world_size(), device)

    @staticmethod
    def local_rank() -> int:
        """Which process of this machine this is, as torchrun says."""
        return int(os.environ["LOCAL_RANK"])

    @property
    def leads(self) -> bool:
        """Whether this is the process that decides."""
        return self.rank == 0

    def leave(self) -> None:
        """Part from the others."""
        dist.destroy_process_group()

    def hand_out(self, plan: Plan | None) -> None:
        """Tell the others what to train next; None: nothing, it was the last."""
        self._send(plan)

    def receive(self) -> Plan | None:
        """Return what to train next, as `hand_out` told it."""
        found: Plan | None = self._receive()
        return found

    def wrap(self, model: nn.Module, *, is_gradual: bool) -> Callable[..., Tensor]:
        """Return the model with gradients that are the mean of all ranks'; its state becomes that of rank 0.

        With `is_gradual`, weights that do not learn yet are waited for as well.
        """
        weights = list(model.parameters())
        learning = [each.requires_grad for each in weights]
        if is_gradual:  # what learns later must be known from the beginning
            for each in weights:
                each.requires_grad_(True)
        ids = [self._device.index or 0] if self._device.type == "cuda" else None
        wrapped: Any = DistributedDataParallel(model, device_ids=ids, find_unused_parameters=is_gradual)
        for each, learns in zip(weights, learning, strict=True):
            each.requires_grad_(learns)
        return wrapped  # type: ignore[no-any-return]

    def share(self, rows: Tensor) -> Tensor:
        """Return this rank's part (n,) of a batch (B,); all of it where there are fewer rows than ranks."""
        return rows if len(rows) < self.size else rows[self.rank :: self.size]

    def weight(self, own: int, batch: int) -> float:
        """Return what the mean loss of this rank's rows counts for, so that the mean of all is that of the batch."""
        return 1.0 if batch < self.size else self.size * own / batch

    def mean(self, loss: Tensor) -> Tensor:
        """Return the mean of all ranks' losses, a scalar."""
        total = loss.clone()
        dist.all_reduce(total)
        return total / self.size

    def may_step(self, pace: Pace) -> bool:
        """Take the progress from rank 0 (it gives it), and return whether there is another step."""
        message = torch.tensor([1.0, pace.progress], dtype=torch.float64, device=self._device)
        dist.broadcast(message, 0)
        goes_on, progress = message.tolist()
        if not self.leads:
            pace.progress = progress
        return bool(goes_on > 0)

    def rest(self) -> None:
        """Tell the others that this stretch of training is over."""
        dist.broadcast(torch.zeros(2, dtype=torch.float64, device=self._device), 0)

    def _send(self, value: object) -> None:
        data = torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8).to(self._device)
        dist.broadcast(torch.tensor([len(data)], device=self._device), 0)
        dist.broadcast(data, 0)

    def _receive(self) -> Any:  # noqa: ANN401 - whatever rank 0 sent
        length = torch.zeros(1, dtype=torch.int64, device=self._device)
        dist.broadcast(length, 0)
        data = torch.zeros(int(length), dtype=torch.uint8, device=self._device)
        dist.broadcast(data, 0)
        return pickle.loads(data.cpu().numpy().tobytes())  # of our own process, written a moment ago
