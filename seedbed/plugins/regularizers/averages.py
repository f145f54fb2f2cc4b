"""Averages of the weights along the training, to be judged and kept in place of the last ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Regularizer

if TYPE_CHECKING:
    from seedbed.plugins.regularizers import EmaOptions, SwaOptions

_MEMORY = 0.25
"""Of the way so far, how far back an average may reach: early on the random beginning would else weigh in."""

_PREFIX = "average."


class Ema(Regularizer):
    """The exponential moving average of the weights (Polyak & Juditsky 1992; Tarvainen & Valpola 2017).

    What lies back by `window` (a share of the training, whatever its number of steps) weighs 1/e; in the
    beginning by less, see `_MEMORY`. Batch-norm statistics, which are averages already, and other buffers
    are the model's own.
    """

    def __init__(self, window: float) -> None:
        self.window = window
        self._average: dict[str, Tensor] = {}
        self._progress = 0.0

    @torch.no_grad()
    def after_step(self, model: nn.Module, progress: float) -> None:
        """Take in the weights as they are now; the first ones are copied."""
        current = {name: each.detach() for name, each in model.named_parameters(remove_duplicate=False)}
        reach = min(self.window, _MEMORY * progress)
        passed = max(progress - self._progress, 0.0)
        self._progress = progress
        if not self._average or reach <= 0:
            self._average = {name: each.clone() for name, each in current.items()}
        else:
            _move(self._average, current, 1 - math.exp(-passed / reach))

    def averaged(self, model: nn.Module) -> Mapping[str, Tensor] | None:
        """Return a copy of the averaged weights with the model's buffers; None before the first step."""
        return _copied(model, self._average) if self._average else None

    def state(self) -> Mapping[str, Tensor]:
        """Return the average and the progress that it reaches up to."""
        return {**_named(self._average), "progress": torch.tensor(self._progress, dtype=torch.float64)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from there."""
        self._average, self._progress = _unnamed(state), float(state["progress"])


class Swa(Regularizer):
    """The plain mean of the states after each step once `start` of the training is over (Izmailov et al. 2018).

    Batch-norm statistics are averaged as well, where the paper measures them anew in one more pass over the
    data. It gains most with a schedule that does not fall to zero meanwhile, such as `constant`.
    """

    def __init__(self, start: float) -> None:
        self.start = start
        self._average: dict[str, Tensor] = {}
        self._states = 0

    @torch.no_grad()
    def after_step(self, model: nn.Module, progress: float) -> None:
        """Take in the state as it is now."""
        if progress < self.start:
            return
        current = {name: each for name, each in model.state_dict().items() if each.is_floating_point()}
        self._states += 1
        if self._states == 1:
            self._average = {name: each.clone() for name, each in current.items()}
        else:
            _move(self._average, current, 1 / self._states)

    def averaged(self, model: nn.Module) -> Mapping[str, Tensor] | None:
        """Return a copy of the mean, counters being the model's own; None before `start`."""
        return _copied(model, self._average) if self._average else None

    def state(self) -> Mapping[str, Tensor]:
        """Return the mean and of how many states it is one."""
        return {**_named(self._average), "states": torch.tensor(self._states)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from there."""
        self._average, self._states = _unnamed(state), int(state["states"])


def _named(average: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies under names that no counter has."""
    return {f"{_PREFIX}{name}": each.clone() for name, each in average.items()}


def _unnamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(_PREFIX): each.clone() for name, each in state.items() if name.startswith(_PREFIX)}


def _move(average: dict[str, Tensor], current: dict[str, Tensor], weight: float) -> None:
    torch._foreach_lerp_(list(average.values()), [current[name] for name in average], weight)


def _copied(model: nn.Module, average: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the model's state with averages in place of what was averaged; training goes on, so nothing is shared."""
    return {name: average.get(name, each).detach().clone() for name, each in model.state_dict().items()}


def ema(options: EmaOptions, profile: Profile) -> Regularizer:
    """Build the exponential moving average."""
    return Ema(options.window)


def swa(options: SwaOptions, profile: Profile) -> Regularizer:
    """Build stochastic weight averaging."""
    return Swa(options.start)
