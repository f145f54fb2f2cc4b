"""Components for training, each with one fault, which its name tells; the kit must find it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from seedbed import AugmenterSpec, OptimizerSpec, Regularizer, RegularizerSpec, ScheduleSpec, hookimpl


def specs(cls, *builders):
    for build in builders:
        yield cls(name=build.__name__, summary="It has a fault.", build=f"{__name__}:{build.__name__}")


def climbs(groups, options):
    import torch

    return torch.optim.SGD(groups, lr=0.1, maximize=True)


def forgets(groups, options):
    import torch

    class Forgetful(torch.optim.SGD):
        def load_state_dict(self, state):
            super().load_state_dict({**state, "state": {}})

    return Forgetful(groups, lr=0.1, momentum=0.9)


def ignores_groups(groups, options):
    import torch

    return torch.optim.AdamW([{"params": group["params"]} for group in groups], lr=0.1, weight_decay=0.1)


def wears_down_the_frozen(groups, options):
    import torch

    class Wearing(torch.optim.SGD):
        def step(self):
            super().step()
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data.mul_(0.99)

    return Wearing(groups, lr=0.1)


def steps_at_random(groups, options):
    import torch

    class Random(torch.optim.SGD):
        def step(self):
            super().step()
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data.add_(0.01 * torch.randn_like(parameter))

    return Random(groups, lr=0.1)


def goes_negative(options):
    return lambda progress: 1.0 - 2.0 * progress


def counts_calls(options):
    calls = count()
    return lambda progress: 1.0 / (1 + next(calls))


def writes_into_its_input(options, profile):
    import torch

    return lambda inputs, generator: inputs.mul_(torch.rand(1, generator=generator))


def leaves_the_range(options, profile):
    import torch

    return lambda inputs, generator: inputs + torch.rand(1, generator=generator)


def crops(options, profile):
    return lambda inputs, generator: inputs[..., 1:, 1:]


def draws_from_the_global_state(options, profile):
    import torch

    return lambda inputs, generator: inputs * torch.rand(1)


def does_nothing(options, profile):
    return lambda inputs, generator: inputs.clone()


class _Diverges(Regularizer):
    def on_loss(self, loss):
        return lambda logits, targets: loss(logits, targets) * float("nan")


class _ReplacesTheHead(Regularizer):
    def on_model(self, model):
        from torch import nn

        model.head = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3))


def diverges(options, profile):
    return _Diverges()


def replaces_the_head(options, profile):
    return _ReplacesTheHead()


def is_something_else(options, profile):
    return object()


@dataclass
class MutableOptions:
    width: int = 3


@hookimpl
def register_optimizers():
    yield from specs(OptimizerSpec, climbs, forgets, ignores_groups, wears_down_the_frozen, steps_at_random)


@hookimpl
def register_schedules():
    @dataclass(frozen=True)
    class LocalOptions:
        width: int = 3

    yield from specs(ScheduleSpec, goes_negative, counts_calls)
    build = f"{__name__}:counts_calls"
    yield ScheduleSpec(name="local_options", summary="It has a fault.", build=build, options=LocalOptions)
    yield ScheduleSpec(name="mutable_options", summary="It has a fault.", build=build, options=MutableOptions)
    yield ScheduleSpec(name="no_sentence", summary="no end", build=build)
    yield ScheduleSpec(name="two_lines", summary="One line.\nAnother.", build=build)


@hookimpl
def register_augmenters():
    yield from specs(
        AugmenterSpec,
        writes_into_its_input,
        leaves_the_range,
        crops,
        draws_from_the_global_state,
        does_nothing,
    )


@hookimpl
def register_regularizers():
    yield from specs(RegularizerSpec, diverges, replaces_the_head, is_something_else)
