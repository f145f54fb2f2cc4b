"""Which GPUs there are and what is free on them, asked of NVIDIA's driver: the main process imports no torch."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from seedbed.core.errors import PluginError

_FIELDS = ("index", "uuid", "name", "memory.total", "memory.free")
_SECONDS = 20.0  # a driver that has to wake its cards takes some
_MB = 1024 * 1024

Query = Callable[[], tuple["Gpu", ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU, or a slice of one; bytes of 0 where the driver does not tell."""

    index: int
    uuid: str
    name: str
    total_bytes: int = 0
    free_bytes: int = 0


def query() -> tuple[Gpu, ...]:
    """Return all GPUs of this machine, by the driver's numbers; none where there is no driver.

    Raises:
        PluginError: there is a driver and it does not answer.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    asked = [program, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PluginError(f"nvidia-smi does not answer ({error}); run it by hand, or take --device cpu.") from error
    # A machine with the program and without a card, as many images for containers are, ends here as well.
    return parse(done.stdout) if done.returncode == 0 else ()


def parse(text: str) -> tuple[Gpu, ...]:
    """Read what nvidia-smi wrote, one GPU a line; numbers in MiB, and words in brackets where it has none."""
    found = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) == len(_FIELDS):
            index, uuid, name, total, free = (each.strip() for each in row)
            found.append(
                Gpu(index=int(index), uuid=uuid, name=name, total_bytes=_bytes(total), free_bytes=_bytes(free))
            )
    return tuple(found)


def _bytes(mebibytes: str) -> int:
    return int(mebibytes) * _MB if mebibytes.isdecimal() else 0


def visible(gpus: Sequence[Gpu], environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """Return those that CUDA_VISIBLE_DEVICES leaves a program, in its order; all where it is not set.

    As CUDA reads it: numbers, or the beginning of a UUID, up to the first that is none. Slices of a card (MIG-...) are
    taken at their word: the driver does not list them here. Numbers are the driver's, as with
    CUDA_DEVICE_ORDER=PCI_BUS_ID; by itself CUDA counts from the fastest.
    """
    wanted = environment.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return tuple(gpus)
    found: list[Gpu] = []
    for each in (part.strip() for part in wanted.split(",")):
        gpu = _named(each, gpus)
        if gpu is None or gpu in found:
            break
        found.append(gpu)
    return tuple(found)


def _named(name: str, gpus: Sequence[Gpu]) -> Gpu | None:
    if name.startswith("MIG-"):
        return Gpu(index=-1, uuid=name, name=name)
    if name.isdecimal():
        return next((each for each in gpus if each.index == int(name)), None)
    matching = [each for each in gpus if name.startswith("GPU-") and each.uuid.startswith(name)]
    return matching[0] if len(matching) == 1 else None


def asked_for(gpus: Sequence[Gpu], device: str) -> tuple[Gpu, ...]:
    """Return those on which `--device` lets trials run: all for `auto` and `cuda`, one for `cuda:1`.

    Raises:
        PluginError: there are not that many.
    """
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cuda"):
        return ()
    if not number:
        return tuple(gpus)
    if not number.isdecimal() or int(number) >= len(gpus):
        names = ", ".join(f"cuda:{place} ({each.name})" for place, each in enumerate(gpus)) or "none"
        raise PluginError(f"--device {device} is not among the GPUs that are visible here: {names}.")
    return (gpus[int(number)],)


def binding(gpu: Gpu) -> dict[str, str]:
    """Return the environment in which a process sees this GPU alone.

    It must be there when the process starts: CUDA reads it once.
    """
    return {
        "CUDA_VISIBLE_DEVICES": gpu.uuid,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        # Batches of unequal length leave holes otherwise, which would be taken for use.
        "PYTORCH_ALLOC_CONF": os.environ.get("PYTORCH_ALLOC_CONF", "expandable_segments:True"),
    }
