"""Whether the Hugging Face hub can be reached, found out while other work goes on; an edge."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pkgutil import resolve_name

from seedbed.core.protocols import Lookup
from seedbed.core.specs import WeightsSpec

HUB = ("huggingface.co", 443)
SECONDS = 1.0
OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "SEEDBED_OFFLINE")
"""Of the environment; either of them, set to 1, keeps this process and those that it starts off the network."""

_ON = frozenset({"1", "true", "yes", "on"})
# Of one thread, and for as long as `staying_offline` lasts: another run of this process may be online meanwhile.
_STAYING: ContextVar[bool] = ContextVar("seedbed_offline", default=False)


@contextmanager
def staying_offline(wanted: bool = True) -> Iterator[None]:
    """Keep what runs within, in this thread, off the network, whoever asks for it; not `wanted`, change nothing.

    A plugin that needs a file of the hub knows no settings of the run: with this it need not.
    """
    token = _STAYING.set(wanted or _STAYING.get())
    try:
        yield
    finally:
        _STAYING.reset(token)


class Network:
    """Asks once, in a thread of its own: without a network, name look-ups alone can hang for many seconds."""

    def __init__(self, *, offline: bool, address: tuple[str, int] = HUB) -> None:
        told = any(os.environ.get(name, "").lower() in _ON for name in OFFLINE_VARIABLES)
        self._offline = offline or told or _STAYING.get()
        self._reached = threading.Event()
        self._limit = time.monotonic() + SECONDS
        self._thread = threading.Thread(target=self._connect, args=(address,), daemon=True)
        if not self._offline:
            self._thread.start()

    def _connect(self, address: tuple[str, int]) -> None:
        try:
            with socket.create_connection(address, SECONDS):
                self._reached.set()
        except OSError:
            return

    @property
    def is_online(self) -> bool:
        """Whether the hub answered within a second."""
        if self._offline:
            return False
        self._thread.join(max(self._limit - time.monotonic(), 0.0))  # one second in all, however often it is asked
        return self._reached.is_set()

    @property
    def why_not(self) -> str:
        """Why the hub cannot be reached, where it cannot."""
        if self._offline:
            return f"the network is switched off (--offline, or {' or '.join(OFFLINE_VARIABLES)})"
        return "the hub does not answer"

    def can_load(self, lookup: Lookup) -> Callable[[WeightsSpec], bool]:
        """Return what tells whether weights can be had: not from the hub, in its cache, or it is reachable."""

        def can_load(spec: WeightsSpec) -> bool:
            if spec.source != "hub" or self.is_online:
                return True
            return bool(spec.cached) and bool(resolve_name(spec.cached)())

        return can_load
