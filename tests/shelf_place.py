"""A place for deployments that keeps what it is told: a plugin for tests."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from seedbed import DeployerSpec, Deployment, hookimpl


@dataclass(frozen=True)
class Options:
    shelf: str = "top"
    copies: int = 1
    minutes: float = 2.0
    is_loud: bool = False


@hookimpl
def register_deployers():
    yield DeployerSpec(name="shelf", summary="A shelf.", build=f"{__name__}:Shelf", options=Options)


@dataclass
class Shelf:
    """`answer` is what it says to every question."""

    options: object
    report: object
    answer: ClassVar[bytes] = b""

    def deploy(self, bundle, name):
        self.report(f"{bundle.name} as {name}")
        return Deployment(name=name, place="shelf", state=str(self.options), is_ready=True)

    def ask(self, name, body, content_type):
        return self.answer

    def remove(self, name):
        self.report(f"without {name}")

    @contextmanager
    def rehearsing(self):
        yield self
