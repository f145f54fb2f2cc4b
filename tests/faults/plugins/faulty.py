"""Nets that go wrong, each in its own way, and one that takes its time."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import ArchitectureSpec, hookimpl


@hookimpl
def register_architectures() -> Iterator[ArchitectureSpec]:
    for name in ("killed", "nans", "raises", "slow"):
        yield ArchitectureSpec(name=name, summary="It tells in its name.", build=f"{__name__}:{name}")


def raises(options, profile):
    raise ValueError("the weights are a banana")


def killed(options, profile):
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def nans(options, profile):
    return _net(profile, lambda features: features * float("nan"))


def slow(options, profile):
    import os
    import time

    seconds = float(os.environ.get("SLOW_SECONDS", "0.05"))

    def wait(features):
        time.sleep(seconds)
        return features

    return _net(profile, wait)


def _net(profile, change):
    from torch import nn

    class Net(nn.Module):
        num_features = 4

        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(profile.channels, 4, 3, padding=1)

        def forward(self, inputs):
            return change(self.stem(inputs).mean((2, 3)))

    return Net()
