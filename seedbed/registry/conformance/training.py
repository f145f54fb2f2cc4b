"""What optimizers and schedules are held to."""
# ruff: noqa: D102 - a test's name is its docstring

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, cast

from seedbed.core.protocols import ParamGroups, Schedule
from seedbed.core.specs import OptimizerSpec, ScheduleSpec
from seedbed.registry.conformance.base import SpecContract, in_fresh_process
from seedbed.registry.conformance.traces import no_traces

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class OptimizerContract(SpecContract):
    """`build(param_groups, options)` gives a torch optimizer; a group's own settings win over the options."""

    kind = "optimizer"

    def build(self, spec: OptimizerSpec, groups: ParamGroups) -> torch.optim.Optimizer:
        """Build the optimizer as `options(spec)` says."""
        return cast("torch.optim.Optimizer", self.load(spec)(groups, self.options(spec)))

    def test_it_lowers_a_quadratic(self, spec: OptimizerSpec) -> None:
        matrix, vector = _parameters()
        optimizer = self.build(spec, [{"params": [matrix, vector]}])
        first = _quadratic(matrix, vector).item()
        for _ in range(50):
            _backward(optimizer, matrix, vector)
            optimizer.step()
        last = _quadratic(matrix, vector).item()
        assert last < first, f"50 steps took the loss from {first:.4g} to {last:.4g}"

    def test_its_state_can_be_saved_and_loaded(self, spec: OptimizerSpec) -> None:
        import torch

        ones, others = _parameters(), _parameters()
        one = self.build(spec, [{"params": list(ones)}])
        for _ in range(3):
            _backward(one, *ones)
            one.step()
        other = self.build(spec, [{"params": list(others)}])
        other.load_state_dict(copy.deepcopy(one.state_dict()))
        for here, there in zip(ones, others, strict=True):
            there.data.copy_(here.data)
        for optimizer, parameters in ((one, ones), (other, others)):
            _backward(optimizer, *parameters)
            optimizer.step()
        for here, there in zip(ones, others, strict=True):
            assert torch.equal(here, there), "a step after loading differs; something is not in its state"

    def test_the_learning_rate_of_a_group_wins(self, spec: OptimizerSpec) -> None:
        import torch

        moving, still = _parameters()
        start = moving.detach().clone(), still.detach().clone()
        optimizer = self.build(spec, [{"params": [moving]}, {"params": [still], "lr": 0.0}])
        _backward(optimizer, moving, still)
        optimizer.step()
        assert not torch.equal(moving, start[0])
        assert torch.equal(still, start[1]), "a group with lr=0 has moved"

    def test_the_weight_decay_of_a_group_wins(self, spec: OptimizerSpec) -> None:
        import torch

        decayed, kept = _parameters()
        start = kept.detach().clone()
        optimizer = self.build(spec, [{"params": [decayed]}, {"params": [kept], "weight_decay": 0.0}])
        decayed.grad, kept.grad = torch.zeros_like(decayed), torch.zeros_like(kept)
        optimizer.step()
        assert torch.equal(kept, start), "a group with weight_decay=0 has shrunk"

    def test_what_has_no_gradient_stays(self, spec: OptimizerSpec) -> None:
        """As what is frozen: decay alone must not wear it down."""
        import torch

        moving, still = _parameters()
        start = still.detach().clone()
        optimizer = self.build(spec, [{"params": [moving, still]}])
        for _ in range(3):
            moving.grad, still.grad = moving.detach().clone(), None
            optimizer.step()
        assert torch.equal(still, start), "a parameter without a gradient has changed"

    def test_equal_gradients_give_equal_steps(self, spec: OptimizerSpec) -> None:
        import torch

        ones, others = _parameters(), _parameters()
        for parameters in (ones, others):
            with no_traces("the optimizer"):
                optimizer = self.build(spec, [{"params": list(parameters)}])
                for _ in range(5):
                    _backward(optimizer, *parameters)
                    optimizer.step()
        for here, there in zip(ones, others, strict=True):
            assert torch.equal(here, there), "two equal trainings differ"

    def test_it_keeps_the_engines_settings_of_a_group(self, spec: OptimizerSpec) -> None:
        optimizer = self.build(spec, [{"params": list(_parameters()), "lr_scale": 0.5}])
        assert [group.get("lr_scale") for group in optimizer.param_groups] == [0.5]
        assert all(group["lr"] > 0 for group in optimizer.param_groups), "the schedule sets `lr` of each group"


class ScheduleContract(SpecContract):
    """`build(options)` gives a pure function: progress in [0, 1] → factor on the learning rate, in [0, 1]."""

    kind = "schedule"

    def build(self, spec: ScheduleSpec) -> Schedule:
        """Build the schedule as `options(spec)` says."""
        return cast(Schedule, self.load(spec)(self.options(spec)))

    def test_its_factors_lie_between_zero_and_one(self, spec: ScheduleSpec) -> None:
        schedule = self.build(spec)
        for progress in _PROGRESS:
            factor = schedule(progress)
            assert math.isfinite(factor), f"{factor} at {progress}"
            assert 0.0 <= factor <= 1.0 + 1e-9, f"{factor} at {progress}; the optimizer's `lr` is the peak"
        assert max(schedule(progress) for progress in _PROGRESS) > 0, "nothing would ever be learnt"

    def test_it_is_pure(self, spec: ScheduleSpec) -> None:
        schedule = self.build(spec)
        forth = {progress: schedule(progress) for progress in _PROGRESS}
        back = {progress: schedule(progress) for progress in reversed(_PROGRESS)}
        assert forth == back, "the factor depends on what was asked before"

    def test_it_needs_no_torch(self, spec: ScheduleSpec) -> None:
        plugin = [] if self.plugin is None else [self.plugin]
        assert in_fresh_process(_SCHEDULE_ALONE, spec.name, *plugin) == "False", "plain numbers need no torch"


_PROGRESS = [step / 100 for step in range(101)]

_SCHEDULE_ALONE = """
import sys
from seedbed.registry.registry import open_registry
registry = open_registry(sys.argv[2:], installed=False)
spec = registry.get("schedule", sys.argv[1])
registry.load(spec)(spec.options())(0.5)
print("torch" in sys.modules)
"""


def _parameters() -> tuple[nn.Parameter, nn.Parameter]:
    """A matrix (4, 8) and a vector (8,): some optimizers treat them differently."""
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(0)
    return (
        nn.Parameter(torch.randn(4, 8, generator=generator)),
        nn.Parameter(torch.randn(8, generator=generator)),
    )


def _quadratic(*parameters: Tensor) -> Tensor:
    """A bowl flat enough (curvature 0.1) for every learning rate that anyone trains with."""
    return cast("Tensor", 0.05 * sum(each.square().sum() for each in parameters))


def _backward(optimizer: torch.optim.Optimizer, *parameters: Tensor) -> None:
    import torch

    optimizer.zero_grad()
    torch.autograd.backward(_quadratic(*parameters))
