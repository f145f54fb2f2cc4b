"""What optimizers, schedules, augmenters and regularizers are held to."""
# ruff: noqa: D102 - a test's name is its docstring

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, cast

from seedbed.core.protocols import Augmenter, ParamGroups, Regularizer, Schedule
from seedbed.core.specs import AugmenterSpec, OptimizerSpec, RegularizerSpec, ScheduleSpec
from seedbed.registry.conformance.base import SpecContract, in_fresh_process
from seedbed.registry.conformance.samples import profile_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class OptimizerContract(SpecContract):
    """`build(param_groups, options)` gives a torch optimizer; a group's own settings win over the options."""

    kind = "optimizer"

    def build(self, spec: OptimizerSpec, groups: ParamGroups) -> torch.optim.Optimizer:
        """Build the optimizer with all options at their defaults."""
        return cast("torch.optim.Optimizer", self.load(spec)(groups, spec.options()))

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

    def test_it_keeps_the_engines_settings_of_a_group(self, spec: OptimizerSpec) -> None:
        optimizer = self.build(spec, [{"params": list(_parameters()), "lr_scale": 0.5}])
        assert [group.get("lr_scale") for group in optimizer.param_groups] == [0.5]
        assert all(group["lr"] > 0 for group in optimizer.param_groups), "the schedule sets `lr` of each group"


class ScheduleContract(SpecContract):
    """`build(options)` gives a pure function: progress in [0, 1] → factor on the learning rate, in [0, 1]."""

    kind = "schedule"

    def build(self, spec: ScheduleSpec) -> Schedule:
        """Build the schedule with all options at their defaults."""
        return cast(Schedule, self.load(spec)(spec.options()))

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


class AugmenterContract(SpecContract):
    """`build(options, profile)` gives a random transform of inputs (N, C, H, W) in [0, 1]."""

    kind = "augmenter"

    def build(self, spec: AugmenterSpec, *, channels: int, size: int) -> Augmenter:
        """Build the augmenter with all options at their defaults."""
        return cast(Augmenter, self.load(spec)(spec.options(), profile_of(size=size, channels=channels)))

    def draws(self, spec: AugmenterSpec, seeds: range = range(10)) -> list[tuple[Tensor, Tensor]]:
        """Pairs of inputs and what became of them, over several seeds, channels and sizes."""
        import torch

        found = []
        for channels, size in ((1, 8), (3, 33)):
            augmenter = self.build(spec, channels=channels, size=size)
            inputs = torch.rand(8, channels, size, size, generator=torch.Generator().manual_seed(7))
            found += [(inputs, augmenter(inputs, torch.Generator().manual_seed(seed))) for seed in seeds]
        return found

    def test_it_keeps_shape_dtype_and_device(self, spec: AugmenterSpec) -> None:
        for before, after in self.draws(spec):
            assert (after.shape, after.dtype, after.device) == (before.shape, before.dtype, before.device)

    def test_its_values_stay_between_zero_and_one(self, spec: AugmenterSpec) -> None:
        for _, after in self.draws(spec):
            assert after.isfinite().all()
            low, high = float(after.min()), float(after.max())
            assert -1e-5 <= low <= high <= 1 + 1e-5, f"[{low:.4g}, {high:.4g}]; clamp to [0, 1]"

    def test_it_does_not_write_into_its_input(self, spec: AugmenterSpec) -> None:
        import torch

        augmenter = self.build(spec, channels=3, size=16)
        grey = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(7))
        for inputs in (grey.repeat(1, 3, 1, 1), grey.expand(-1, 3, -1, -1)):  # grey images arrive expanded
            before = inputs.clone()
            for seed in range(10):
                augmenter(inputs, torch.Generator().manual_seed(seed))
            assert torch.equal(inputs, before)

    def test_equal_seeds_give_equal_outputs(self, spec: AugmenterSpec) -> None:
        import torch

        for (_, one), (_, other) in zip(self.draws(spec), self.draws(spec), strict=True):
            assert torch.equal(one, other), "take all randomness from the generator given"

    def test_other_seeds_give_other_outputs(self, spec: AugmenterSpec) -> None:
        outputs = {after.numpy().tobytes() for before, after in self.draws(spec) if before.shape[1] == 3}
        assert len(outputs) > 1, "ten seeds gave the same output; is the generator used?"


class RegularizerContract(SpecContract):
    """`build(options, profile)` gives a `Regularizer`: a change to model, loss or weights."""

    kind = "regularizer"

    def build(self, spec: RegularizerSpec) -> Regularizer:
        """Build the regularizer with all options at their defaults."""
        return cast(Regularizer, self.load(spec)(spec.options(), profile_of(size=8, channels=3)))

    def test_it_is_a_regularizer(self, spec: RegularizerSpec) -> None:
        assert isinstance(self.build(spec), Regularizer), "subclass seedbed.Regularizer"

    def test_training_works_with_it(self, spec: RegularizerSpec) -> None:
        import torch

        model = _model()
        losses = self._train(spec, model)
        assert all(math.isfinite(loss) for loss in losses), f"losses {losses}"
        assert all(torch.isfinite(each).all() for each in model.parameters())
        assert losses[-1] < losses[0], f"ten steps on eight examples took the loss from {losses[0]} to {losses[-1]}"

    def test_a_model_trained_with_it_predicts_without_it(self, spec: RegularizerSpec) -> None:
        """The bundle knows nothing of regularizers: its model is built plain, and loads this state."""
        import torch

        model, plain = _model(), _model()
        self._train(spec, model)
        plain.load_state_dict(model.state_dict())
        inputs, _ = _examples()
        with torch.no_grad():
            assert torch.allclose(model.eval()(inputs), plain.eval()(inputs), atol=1e-5)

    def _train(self, spec: RegularizerSpec, model: nn.Module, steps: int = 10) -> list[float]:
        import torch
        import torch.nn.functional as F

        regularizer = self.build(spec)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            regularizer.on_model(model)
            loss_of = regularizer.on_loss(lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="none"))
            optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.2)
            inputs, targets = _examples()
            losses = []
            for step in range(steps):
                each = loss_of(model.train()(inputs), targets)
                assert each.shape == targets.shape, "a loss gives one number for each example"
                loss = each.mean()
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                regularizer.after_step(model, (step + 1) / steps)
                losses.append(loss.item())
        return losses


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


def _model() -> nn.Module:
    """A small model with the parts of the engine's own: `backbone`, `dropout`, `head`."""
    from collections import OrderedDict

    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        return nn.Sequential(OrderedDict(backbone=backbone, dropout=nn.Dropout(0.0), head=nn.Linear(8, 3)))


def _examples() -> tuple[Tensor, Tensor]:
    """Eight inputs (8, 3, 8, 8) and their targets (8,), easy to tell apart by brightness."""
    import torch

    targets = torch.arange(8) % 3
    noise = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return noise * 0.2 + targets[:, None, None, None] * 0.4, targets
