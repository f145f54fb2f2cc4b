"""What the cores of this machine do with so many trainings at a time: `python -m seedbed.core.training.scaling`.

Prints {"1": …, "2": …, "4": …}: the steps a second of that many processes together, each with its share of the cores.
The geometric mean of a small convolutional net and a perceptron; each process trains for a moment, all of them at once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

WIDTHS = (1, 2, 4)
"""Trainings at a time that are tried, as far as there are cores for them."""

_SECONDS = 0.25
_REPEATS = 3  # what else the machine does only ever takes time: the best one counts
_ROWS = 64


def measure(cores: int) -> dict[int, float]:
    """Return by the number of trainings at a time what they do together, in steps a second; by `fork`, so not anywhere.

    Call it before torch has used several threads: these do not live on in children.
    """
    found = {}
    for width in (each for each in WIDTHS if each <= cores):
        rates = [max(_together(net, width, cores // width) for _ in range(_REPEATS)) for net in (_convolutions, _dense)]
        found[width] = (rates[0] * rates[1]) ** 0.5
    return found


def _together(net: Callable[[], tuple[nn.Module, Tensor]], width: int, threads: int) -> float:
    """Return the steps a second of so many processes together."""
    children = []
    for _ in range(width):
        told, tell = os.pipe()
        pid = os.fork()
        if not pid:
            code = 1
            try:
                torch.set_num_threads(threads)
                os.write(tell, repr(_steps_a_second(*net())).encode())
                code = 0
            finally:
                os._exit(code)
        os.close(tell)
        children.append((pid, told))
    return sum(_heard(pid, told) for pid, told in children)


def _heard(pid: int, told: int) -> float:
    with os.fdopen(told, "rb") as stream:
        said = stream.read()
    os.waitpid(pid, 0)
    return float(said or 0.0)


def _steps_a_second(model: nn.Module, inputs: Tensor) -> float:
    weights, targets = list(model.parameters()), torch.arange(_ROWS) % 10

    def step() -> None:
        nn.functional.cross_entropy(model(inputs), targets).backward()
        with torch.no_grad():  # by hand: an optimizer of torch imports its compiler, which takes longer than all this
            for weight in weights:
                assert weight.grad is not None
                weight.sub_(weight.grad, alpha=0.01)
                weight.grad = None

    step()  # the first one allocates
    count, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < _SECONDS:
        step()
        count += 1
    return count / took


def _convolutions() -> tuple[nn.Module, Tensor]:
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1, stride=after // before if before > 3 else 1)]
        layers += [nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)), torch.zeros(
        _ROWS, 3, 32, 32
    )


def _dense() -> tuple[nn.Module, Tensor]:
    layers = [nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
    return nn.Sequential(*layers), torch.zeros(_ROWS, 256)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]))) + "\n")
