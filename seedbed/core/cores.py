"""How many trials share the cores of this machine, each with its part of the threads: measured once, and kept."""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

log = logging.getLogger(__name__)

WORTH = 1.25
"""How many times as much work twice as many trials must do together: each of them takes longer, and tells later."""

LEAST_SECONDS = 300.0
"""Of a budget from which the measurement is worth the seven seconds that it takes."""

_PATIENCE = 30.0
Measure = Callable[[int], Mapping[int, float]]


def side_by_side(rates: Mapping[int, float]) -> int:
    """Return how many trials to run at a time, by the steps a second that so many do together. Pure."""
    width = 1
    while 2 * width in rates and rates[2 * width] >= WORTH * rates[width]:
        width *= 2
    return width


def known_width(cache: Path, cores: int, *, seconds: float, measure: Measure | None = None) -> int:
    """Return how many trials to run at a time in a run of so many seconds: as measured before, or now where it pays.

    One, where neither can be; a measurement that fails is no reason for a run to.
    """
    file, machine = cache / "cores.json", _machine(cores)
    rates = _read(file, machine)
    if rates is None and seconds >= LEAST_SECONDS and cores > 1 and sys.platform.startswith("linux"):
        rates = (measure or _measure)(cores)
        if rates:
            _write(file, machine, rates)
    return side_by_side(rates or {})


def _machine(cores: int) -> dict[str, object]:
    """Return what a measurement holds for."""
    return {"cores": cores, "processor": platform.processor() or platform.machine(), "torch": version("torch")}


def _measure(cores: int) -> Mapping[int, float]:
    """Measure in a process of its own: this one imports no torch."""
    command = [sys.executable, "-m", "seedbed.core.training.scaling", str(cores)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=True)
        return {int(width): float(rate) for width, rate in json.loads(done.stdout).items()}
    except (OSError, ValueError, AttributeError, subprocess.SubprocessError) as error:
        log.warning("How many trials to run at a time cannot be measured (%s); it is one.", error)
        return {}


def _read(file: Path, machine: Mapping[str, object]) -> Mapping[int, float] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["machine"] != machine:
            return None
        return {int(width): float(rate) for width, rate in found["steps_a_second"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _write(file: Path, machine: Mapping[str, object], rates: Mapping[int, float]) -> None:
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"machine": machine, "steps_a_second": rates}), encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        log.warning("What was measured of the cores cannot be kept: %s", error)
