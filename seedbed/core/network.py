"""Whether the Hugging Face hub can be reached, found out while other work goes on; an edge."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pkgutil import resolve_name

from seedbed.core.protocols import Lookup
from seedbed.core.specs import WeightsSpec

HUB = ("huggingface.co", 443)
SECONDS = 1.0
_ON = frozenset({"1", "true", "yes", "on"})


class Network:
    """Asks once, in a thread of its own: without a network, name look-ups alone can hang for many seconds."""

    def __init__(self, *, offline: bool, address: tuple[str, int] = HUB) -> None:
        variables = ("HF_HUB_OFFLINE", "SEEDBED_OFFLINE")
        self._offline = offline or any(os.environ.get(name, "").lower() in _ON for name in variables)
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

    def can_load(self, lookup: Lookup) -> Callable[[WeightsSpec], bool]:
        """Return what tells whether weights can be had: not from the hub, in its cache, or it is reachable."""

        def can_load(spec: WeightsSpec) -> bool:
            if spec.source != "hub" or self.is_online:
                return True
            return bool(spec.cached) and bool(resolve_name(spec.cached)())

        return can_load
