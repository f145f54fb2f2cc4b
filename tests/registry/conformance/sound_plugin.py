"""A small third-party plugin without a fault, of most kinds; it uses public names alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from seedbed import (
    ArchitectureSpec,
    AugmenterSpec,
    Choice,
    Finding,
    Float,
    MetricSpec,
    MonitorSpec,
    OptimizerSpec,
    Regularizer,
    RegularizerSpec,
    RuleSpec,
    ScheduleSpec,
    WeightsSpec,
    hookimpl,
)

HERE = __name__


@dataclass(frozen=True)
class DescentOptions:
    lr: Annotated[float, Float(1e-4, 1.0, log=True)] = 1e-1
    nesterov: Annotated[bool, Choice(False, True)] = False


@dataclass(frozen=True)
class ShrinkOptions:
    amount: Annotated[float, Float(1e-6, 1e-3, log=True)] = 1e-4


@hookimpl
def register_architectures():
    yield ArchitectureSpec(
        name="sound",
        summary="Two convolutions.",
        build=f"{HERE}:net",
        parameters=3 * 8 * 9 + 8 * 16 * 9,
        weights=("sound",),
    )


@hookimpl
def register_weights():
    yield WeightsSpec(
        name="sound",
        summary="Made up.",
        build=f"{HERE}:fill",
        architecture="sound",
        source="file",
        licence="MIT",
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )


@hookimpl
def register_optimizers():
    yield OptimizerSpec(name="sound", summary="Descent.", build=f"{HERE}:descent", options=DescentOptions)


@hookimpl
def register_schedules():
    yield ScheduleSpec(name="sound", summary="Half a cosine.", build=f"{HERE}:half_cosine")


@hookimpl
def register_augmenters():
    yield AugmenterSpec(name="sound", summary="A darker image.", build=f"{HERE}:darken")


@hookimpl
def register_regularizers():
    yield RegularizerSpec(name="sound", summary="Shrink.", build=f"{HERE}:Shrink", options=ShrinkOptions)


@hookimpl
def register_metrics():
    yield MetricSpec(name="sound", summary="Share of errors.", build=f"{HERE}:errors", direction="min")


@hookimpl
def register_rules():
    yield RuleSpec(name="sound", summary="The score falls.", build=f"{HERE}:falling")


@hookimpl
def register_monitors():
    yield MonitorSpec(name="sound", summary="Counts events.", build=f"{HERE}:Counter")


def net(options, profile):
    from torch import nn

    class Net(nn.Sequential):
        num_features = 16

    return Net(
        nn.Conv2d(profile.channels, 8, 3, bias=False),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def fill(backbone):
    for parameter in backbone.parameters():
        parameter.data.fill_(0.5)


def descent(groups, options):
    import torch

    return torch.optim.SGD(groups, lr=options.lr, momentum=0.9, nesterov=options.nesterov)


def half_cosine(options):
    return lambda progress: 0.5 + 0.5 * math.cos(math.pi * progress)


def darken(options, profile):
    import torch

    return lambda inputs, generator: inputs * torch.rand(1, generator=generator)


class Shrink(Regularizer):
    def __init__(self, options, profile):
        self.amount = options.amount

    def after_step(self, model, progress):
        for parameter in model.parameters():
            parameter.data.mul_(1 - self.amount)


def errors(options):
    return lambda targets, predictions: float((predictions.argmax(axis=1) != targets).mean())


def falling(options):
    def rule(trial):
        scores = [look.score for look in trial.curve]
        if len(scores) < 2 or scores[-1] >= scores[0]:
            return None
        return Finding(check="falling", severity="info", evidence=f"{scores[0]} → {scores[-1]}", remedy="Lower lr.")

    return rule


class Counter:
    def __init__(self, options, workplace):
        self.events = 0

    def on_event(self, event, history):
        self.events += 1

    def close(self):
        pass
