"""A tiny net, cheap transforms, and a strategy that gives each of them one short trial: for tests of whole runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import ArchitectureSpec, Choice, NoOptions, StrategySpec, hookimpl
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal


@dataclass(frozen=True)
class BlurOptions:
    """`cells` is the side of the grid that an image is averaged to."""

    cells: Annotated[int, Choice(2, 3, 4)] = 4


@hookimpl
def register_architectures() -> Iterator[ArchitectureSpec]:
    yield ArchitectureSpec(
        name="blur",
        summary="The averages of a coarse grid: trains nothing, so that a trial takes a blink.",
        build=f"{__name__}:blur",
        options=BlurOptions,
        features_only=True,
    )
    yield ArchitectureSpec(name="tiny", summary="One convolution.", build=f"{__name__}:tiny", parameters=100)


@hookimpl
def register_strategies() -> Iterator[StrategySpec]:
    yield StrategySpec(
        name="quick",
        summary="Every architecture once, by name, for a few epochs; then other sizes of blur and of batches.",
        build=f"{__name__}:Quick",
    )


class Quick:
    """Pure; the order of its proposals is always the same."""

    def __init__(self, options, space, profile):
        names = next(param.domain.options for param in space.params if param.name == "architecture")
        self._points = [space.complete({"architecture": name}) for name in sorted(names)]
        if "blur" in names:
            self._points += [space.complete({"architecture": "blur", "architecture.blur.cells": n}) for n in (3, 2)]
        if "tiny" in names:
            self._points += [space.complete({"architecture": "tiny", "batch_size": n}) for n in (64, 128, 256)]

    def propose(self, history, rng):
        if history.remaining.trials == 0:
            return None
        points = (values for values in self._points if not history.tried(values))
        values = next(points, None)
        if values is None:
            return None
        epochs = 10 if values["architecture"] == "example_convnet" else 2
        return Proposal(candidate=Candidate(values), fidelity=Fidelity(epochs=epochs))

    def should_stop(self, trial, history):
        return False


def blur(options: BlurOptions, profile):
    from torch import nn

    model = nn.Sequential(nn.AdaptiveAvgPool2d(options.cells), nn.Flatten())
    model.num_features = options.cells**2 * profile.channels
    return model


def tiny(options: NoOptions, profile):
    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(profile.channels, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()
    )
    model.num_features = 128
    return model
