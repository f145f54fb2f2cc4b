"""A stand-in for `seedbed.api` that trains nothing, for tests of the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
from click.testing import CliRunner

from seedbed.cli import main
from seedbed.core.errors import ExitCode
from seedbed.core.results.forecast import BudgetForecast, Forecast
from seedbed.core.results.leaderboard import Leaderboard, Row
from seedbed.core.task import Task

SUMMARY = {
    "run": "runs/photos-1",
    "task": {"kind": "classification"},
    "seconds": 9.5,
    "budget_seconds": 10.0,
    "best": {"trial": 1, "score": 0.9, "trials": [1], "weights": [1.0]},
    "test": None,
    "leaderboard": [],
    "findings": [],
}
BOARD = Leaderboard(
    rows=(
        Row(
            rank=1,
            trial=1,
            status="finished",
            score=0.9,
            low=0.8,
            high=0.95,
            tie_group=1,
            seconds=3.0,
            candidate="small_resnet · scratch",
            role="candidate",
        ),
    ),
    metric="accuracy",
    direction="max",
    examples=100,
)


FORECAST = Forecast(
    metric="accuracy",
    direction="max",
    budgets=(BudgetForecast(factor=2.0, seconds=20.0, expected=0.92, low=0.9, high=0.94, gain_probability=0.4),),
)


class Run:
    history = SimpleNamespace(profile=object())
    folder = Path("runs/photos-1")
    leaderboard = BOARD

    def __init__(self, exit_code=ExitCode.DONE):
        self.exit_code = exit_code

    def summary(self):
        return SUMMARY

    def forecast(self):
        return FORECAST


class Handle:
    """A run that ends as told: `answers` are what `result` gives, one a call."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.cancelled = False

    def cancel(self):
        self.cancelled = True

    def result(self, timeout=None):
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass(frozen=True)
class Predicted:
    inputs: list
    predictions: list
    outputs: np.ndarray
    unreadable: dict
    candidates: list | None = None
    bounds: np.ndarray | None = None


class Model:
    classes = ("cat", "dog")
    task = Task(modality="image", kind="classification", metric="f1", classes=classes)
    unreadable: ClassVar = {}

    def predict_frame(self, source, *, abstain=None):
        return Predicted(
            [f"{source}/1.png", f"{source}/2.png"], ["dog", "cat"], np.array([[0.25, 0.75], [1, 0]]), self.unreadable
        )

    def evaluate(self, source, *, abstain=None):
        return {"metrics": {"accuracy": 0.5, "f1": 0.25}, "examples": 1234}


@dataclass
class FakeApi:
    handle: Handle = field(default_factory=lambda: Handle(Run()))
    calls: list = field(default_factory=list)

    def start(self, source, **options):
        self.calls.append((source, options))
        return self.handle

    def load(self, path, plugins=()):
        return Model()

    def open_run(self, path, plugins=()):
        return Run()


def seedbed(*arguments):
    """Call the command line in this process."""
    return CliRunner().invoke(main, [str(each) for each in arguments])


def options_of(api, *arguments):
    answer = seedbed("fit", "photos/", *arguments)
    assert answer.exit_code == 0, answer.output
    ((source, options),) = api.calls
    assert source == "photos/"
    return options
