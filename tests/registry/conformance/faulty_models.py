"""Backbones and weights, each with one fault, which its name tells; the kit must find it."""

from __future__ import annotations

import os
import time

from seedbed import ArchitectureSpec, SeedbedError, WeightsSpec, hookimpl

PARAMETERS = 3 * 4 * 9 + 4


def _net(profile, features=4):
    import torch
    from torch import nn

    class Net(nn.Module):
        num_features = features

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(profile.channels, 4, 3)
            self.noise = self.unused = self.hidden = None

        def forward(self, inputs):
            found = self.conv(inputs).mean((2, 3))
            found = found if self.hidden is None else found + self.hidden
            return found if self.noise is None else nn.functional.dropout(found, 0.5)

    net = Net()
    net.torch = torch
    return net


def wrong_number_of_features(options, profile):
    return _net(profile, features=5)


def weights_from_elsewhere(options, profile):
    net = _net(profile)
    net.conv.bias.data.fill_(int.from_bytes(os.urandom(4), "big"))
    return net


def unused_parameter(options, profile):
    net = _net(profile)
    net.unused = net.torch.nn.Parameter(net.torch.zeros(1))
    return net


def hidden_state(options, profile):
    net = _net(profile)
    net.hidden = net.torch.randn(4)
    return net


def miscounted(options, profile):
    return _net(profile)


def says_nothing_of_its_size(options, profile):
    return _net(profile)


def noisy(options, profile):
    net = _net(profile)
    net.noise = True
    return net


def trains_a_fixed_transform(options, profile):
    return _net(profile)


def sound(options, profile):
    return _net(profile)


def loads_nothing(backbone):
    pass


def refuses_from_a_file(backbone):
    raise SeedbedError("The file is gone; put it back where it was.")


def refuses_late(backbone):
    time.sleep(0.2)
    raise SeedbedError("There is no network; try again with one.")


def refuses_without_a_word(backbone):
    raise SeedbedError("no")


@hookimpl
def register_architectures():
    for build in (
        wrong_number_of_features,
        weights_from_elsewhere,
        unused_parameter,
        hidden_state,
        noisy,
        sound,
    ):
        yield _architecture(build, parameters=PARAMETERS)
    yield _architecture(miscounted, parameters=2 * PARAMETERS)
    yield _architecture(says_nothing_of_its_size)
    yield _architecture(trains_a_fixed_transform, features_only=True)


def _architecture(build, **facts):
    name = build.__name__
    return ArchitectureSpec(name=name, summary="It has a fault.", build=f"{__name__}:{name}", **facts)


@hookimpl
def register_weights():
    yield _weights("loads_nothing", "package")
    yield _weights("refuses_from_a_file", "file")
    yield _weights("refuses_late", "hub")
    yield _weights("refuses_without_a_word", "hub")
    yield _weights("no_licence", "package", licence=" ")
    yield _weights("for_a_stranger", "package", architecture="no_such_architecture")


def _weights(name, source, architecture="sound", licence="MIT"):
    return WeightsSpec(
        name=name,
        summary="It has a fault.",
        build=f"{__name__}:{name}",
        architecture=architecture,
        source=source,
        licence=licence,
    )
