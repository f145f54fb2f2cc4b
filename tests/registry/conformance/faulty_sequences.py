"""Backbones for series and texts, each with one fault, which its name tells; the kit must find it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Annotated

from seedbed import ArchitectureSpec, Choice, WeightsSpec, hookimpl


@dataclass(frozen=True)
class WidthOptions:
    width: Annotated[int, Choice(4, 8)] = 4


def _net(profile, pool=None, width=4):
    """A sound backbone; `pool` puts a fault into what becomes of the steps (N, T, F) and their mask (N, T)."""
    import torch
    from torch import nn

    class Net(nn.Module):
        num_features = 4

        def __init__(self):
            super().__init__()
            self.is_text = profile.task.modality == "text"
            self.step = nn.Embedding(profile.vocabulary, width) if self.is_text else nn.Linear(profile.channels, width)

        def forward(self, inputs, mask):
            steps = self.step(inputs if self.is_text else inputs.transpose(1, 2))
            return (pool or mean)(steps, mask)

    def mean(steps, mask):
        return (steps * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)

    net = Net()
    net.torch = torch
    return net


def pools_the_padding(options, profile):
    return _net(profile, lambda steps, mask: steps.mean(1))


def looks_at_its_neighbours(options, profile):
    def pool(steps, mask):
        found = (steps * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return found - found.mean(0)

    return _net(profile, pool)


def divides_by_no_more_steps(options, profile):
    # The unbiased deviation of a single step is none.
    return _net(profile, lambda steps, mask: (steps * mask[..., None]).sum(1) / (mask.sum(1, keepdim=True) - 1))


def knows_no_longer_rows(options, profile):
    import torch

    longest = profile.lengths.longest
    return _net(
        profile, lambda steps, mask: (steps * torch.ones(longest, 1)[: steps.shape[1]] * mask[..., None]).sum(1)
    )


def lists_a_layer_twice(options, profile):
    net = _net(profile)
    net.layers = lambda: [list(net.parameters()), list(net.parameters())]
    return net


def forgets_a_layer(options, profile):
    net = _net(profile)
    net.layers = lambda: [[net.step.weight]]
    return net


def promises_its_default_width(options, profile):
    return _net(profile, width=options.width)


def asks_the_network(options, profile):
    socket.getaddrinfo("example.org", 443)
    return _net(profile)


def sets_the_threads(options, profile):
    net = _net(profile)
    net.torch.set_num_threads(net.torch.get_num_threads() + 1)
    return net


def ties_its_weights(options, profile):
    net = _net(profile)
    net.again = net.torch.nn.Linear(4, 50)
    net.again.weight = net.step.weight
    return net


def miscounts_words(options, profile):
    return _net(profile)


def gives_doubles(options, profile):
    return _net(profile, lambda steps, mask: (steps * mask[..., None]).sum(1).double())


def _fitted(fit, **parts):
    """A fixed transform of texts, which learns a number from rows, as it is told."""
    import torch
    from torch import nn

    class Lengths(nn.Module):
        num_features = 1

        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.ones(1))
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, texts):
            return torch.tensor([[float(len(each))] for each in texts]) / self.scale

    Lengths.fit = fit
    return Lengths()


def learns_at_random(options, profile):
    import torch

    return _fitted(lambda self, batches, generator: self.scale.fill_(1 + float(torch.rand(1))))


def keeps_what_it_learns_to_itself(options, profile):
    def fit(self, batches, generator):
        self.factor = 1 + sum(len(texts) for (texts,) in batches)
        self.scale.data = self.scale.data  # what it has learnt is in no buffer

    net = _fitted(fit)
    forward = net.forward
    net.forward = lambda texts: forward(texts) / getattr(net, "factor", 1.0)
    return net


def grows_with_the_rows(options, profile):
    import torch

    def fit(self, batches, generator):
        self.scale = torch.ones(sum(len(texts) for (texts,) in batches))[:, None].mean(0).repeat(2)[:, None].mean(1)

    return _fitted(fit)


def has_weights(options, profile):
    from torch import nn

    return _fitted(lambda self, batches, generator: None, layer=nn.Linear(1, 1))


def fits_and_trains(options, profile):
    net = _net(profile)
    net.fit = lambda batches, generator: None
    return net


def fill(backbone):
    backbone.scale.fill_(2.0)


@hookimpl
def register_architectures():
    text = {"modalities": ("text",)}
    series = {"modalities": ("series",)}
    for build in (pools_the_padding, looks_at_its_neighbours, knows_no_longer_rows, asks_the_network):
        yield _architecture(build, modalities=("series", "text"))
    for build in (lists_a_layer_twice, forgets_a_layer, sets_the_threads, gives_doubles, fits_and_trains):
        yield _architecture(build, **series)
    for build in (divides_by_no_more_steps, ties_its_weights):
        yield _architecture(build, **text)
    yield _architecture(promises_its_default_width, options=WidthOptions, **text)
    yield _architecture(miscounts_words, parameters=1000, **text)
    for build in (learns_at_random, keeps_what_it_learns_to_itself, grows_with_the_rows, has_weights):
        yield _architecture(build, encoding="strings", features_only=True, **text)


def _architecture(build, **facts):
    name = build.__name__
    return ArchitectureSpec(name=name, summary="It has a fault.", build=f"{__name__}:{name}", **facts)


@hookimpl
def register_weights():
    yield WeightsSpec(
        name="normalises_texts",
        summary="It has a fault.",
        build=f"{__name__}:fill",
        architecture="has_weights",
        source="file",
        licence="MIT",
        mean=(0.5,),
        std=(0.5,),
    )
