"""A model that is served somewhere else, and what brings it there: the protocol of deployers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A bundle where it is served: `state` in the words of the place, `detail` why it is not as it should be.

    `bundle` names what is deployed, so that two of the same name can be told apart; `cost` says what is paid.
    """

    name: str
    place: str
    state: str
    is_ready: bool
    bundle: str = ""
    cost: str = ""
    detail: str = ""


class Deployer(Protocol):
    """Brings bundles to a place where they answer over HTTP, and takes them away again.

    What it is doing it tells the `report` that it was built with, a line at a time.
    """

    def deploy(self, bundle: Path, name: str) -> Deployment:
        """Bring a bundle there, and wait until it answers; the same once more changes nothing, another replaces it.

        Raises:
            DeploymentError: it failed; what was made for it is removed, or named where it cannot be.
        """
        ...

    def status(self, name: str) -> Deployment | None:
        """What is there under this name; None for nothing."""
        ...

    def ask(self, name: str, body: bytes, content_type: str) -> bytes:
        """Ask what is deployed for predictions; body and answer are those of `seedbed.serving`.

        Raises:
            DeploymentError: it refused, and why.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove everything that `deploy` made under this name.

        Raises:
            UsageError: there is nothing of this name.
            DeploymentError: something is left behind; it is named.
        """
        ...

    def rehearsing(self) -> AbstractContextManager[Deployer]:
        """Give a deployer like this one whose place is on this machine and costs nothing; leaving it ends all."""
        ...
