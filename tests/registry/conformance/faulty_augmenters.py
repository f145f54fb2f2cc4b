"""Augmenters of series, texts and single images, each with one fault, which its name tells; the kit must find it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Annotated

from seedbed import AugmenterSpec, Float, hookimpl


@dataclass(frozen=True)
class StrengthOptions:
    strength: Annotated[float, Float(0.0, 1.0)] = 0.5


def writes_beside_the_rows(options, profile):
    import torch

    return lambda inputs, mask, generator: (inputs + torch.rand(1, generator=generator), mask)


def drops_the_first_step(options, profile):
    import torch

    def augment(inputs, mask, generator):
        kept = mask & (torch.arange(mask.shape[1]) >= torch.randint(1, 3, (1,), generator=generator))
        return inputs * kept[:, None], kept

    return augment


def leaves_gaps(options, profile):
    import torch

    def augment(ids, mask, generator):
        kept = mask & (torch.rand(mask.shape, generator=generator) < 0.5)
        kept[:, 0] = mask[:, 0]
        return ids * kept, kept

    return augment


def invents_words(options, profile):
    import torch

    def augment(ids, mask, generator):
        return torch.randint(1, profile.vocabulary + 20, ids.shape, generator=generator) * mask, mask

    return augment


def forgets_the_mask(options, profile):
    return lambda inputs, mask, generator: inputs


def interpolates_between_two_steps(options, profile):
    import torch

    def augment(inputs, mask, generator):
        share = torch.rand(1, generator=generator)
        return (inputs[..., [1]] * share + inputs[..., [0]] * (1 - share)) * mask[:, None], mask

    return augment


def has_a_least_strength(options, profile):
    import torch

    def augment(inputs, mask, generator):
        return inputs + (0.1 + options.strength) * torch.randn(inputs.shape, generator=generator) * mask[:, None], mask

    return augment


def counts_its_calls(options, profile):
    calls = count()
    return lambda image, rng: (image * (0.5 + 0.4 * rng.random()) + next(calls) % 3).astype("uint8")


class _SharesItsState:
    """It keeps the draw where another thread may overwrite it before it is used."""

    def __call__(self, image, rng):
        import time

        self.draw = rng.random()
        time.sleep(1e-4)
        return (image * self.draw).astype("uint8")


def shares_its_state(options, profile):
    return _SharesItsState()


class _RandomViews:
    def __call__(self, inputs, generator):
        import torch

        return inputs * torch.rand(1, generator=generator)

    def views(self, inputs):
        import torch

        return [inputs, inputs * torch.rand(1)]


def views_are_random(options, profile):
    return _RandomViews()


class _ViewsWithoutTheInputs(_RandomViews):
    def views(self, inputs):
        return [inputs.flip(3)]


def views_without_the_inputs(options, profile):
    return _ViewsWithoutTheInputs()


@hookimpl
def register_augmenters():
    for build in (writes_beside_the_rows, drops_the_first_step, forgets_the_mask, interpolates_between_two_steps):
        yield _augmenter(build, modalities=("series",))
    yield _augmenter(has_a_least_strength, modalities=("series",), options=StrengthOptions)
    for build in (leaves_gaps, invents_words):
        yield _augmenter(build, modalities=("text",))
    for build in (counts_its_calls, shares_its_state):
        yield _augmenter(build, stage="sample")
    for build in (views_are_random, views_without_the_inputs):
        yield _augmenter(build)


def _augmenter(build, **facts):
    name = build.__name__
    return AugmenterSpec(name=name, summary="It has a fault.", build=f"{__name__}:{name}", **facts)
