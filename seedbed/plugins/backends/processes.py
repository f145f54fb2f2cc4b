"""The one place that knows how processes differ between systems: start them, end them, read their death."""

from __future__ import annotations

import contextlib
import os
import signal
import site
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

import seedbed
from seedbed.core.errors import PluginError
from seedbed.core.network import OFFLINE_VARIABLES


def start(
    module: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str], python: str = ""
) -> subprocess.Popen[bytes]:
    """Start `python -m module`, its stdin and stdout pipes to us, its stderr appended to the log.

    `python` is the interpreter, by default our own.

    A program of its own rather than multiprocessing: the user's `__main__` is not imported again, and
    it works in notebooks and from any thread.

    Raises:
        PluginError: there is no interpreter to start, as in a frozen application.
    """
    python = python or sys.executable
    if not python:
        raise PluginError("This program does not know its Python interpreter; use the backend 'inline'.")
    with log.open("ab") as stderr:
        # -P: `python -m` would look for modules in the current folder, where a user's random.py may lie.
        return subprocess.Popen(
            [python, "-P", "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=dict(environment),
            # Apart from our group, so that Ctrl-C in the terminal reaches us alone.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )


# A training step frees and asks again for the same hundred megabytes. By default glibc hands large blocks back to
# the system each time, and every page is then faulted in and zeroed anew: a million faults in half a minute,
# and about a fifth of the time on two cores (docs/measurements.md). Other C libraries ignore this.
_KEEP_MEMORY = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=67108864"


def environment(threads: int, *, offline: bool = False) -> dict[str, str]:
    """Return our environment, with our import path and, where given, the number of compute threads.

    `offline` keeps the process off the network, and the clients of the hub that plugins may use.
    """
    found = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if paths := import_path():
        found["PYTHONPATH"] = os.pathsep.join(paths)
    if threads > 0:
        found |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    if offline:
        found |= dict.fromkeys(OFFLINE_VARIABLES, "1")
    found.setdefault("GLIBC_TUNABLES", _KEEP_MEMORY)
    return found


def import_path() -> list[str]:
    """The folders that a fresh interpreter would not search by itself, in our order.

    With them a worker finds the plugins that lie beside a user's script, and this very Seedbed even
    where it runs from a checkout.
    """
    standard = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    standard |= {*site.getsitepackages(), site.getusersitepackages()}
    standard.add(str(Path(sysconfig.get_path("platstdlib")) / "lib-dynload"))
    own = {Path(each).resolve() for each in standard}
    paths = [path for entry in sys.path if (path := Path(entry).resolve()).is_dir() and path not in own]
    package = Path(seedbed.__file__).resolve().parent.parent
    if package not in own and package not in paths:
        paths.insert(0, package)
    return [str(path) for path in paths]


def cause_of_death(code: int, kills_before: int | None = None) -> str:
    """Put an exit code into words; a negative one is a signal's number.

    `kills_before` is what `memory_kills` said while the process lived, if it was asked: more by now tell why it died.
    """
    if code >= 0:
        return f"the worker process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name != "SIGKILL":
        return f"killed by {name}"
    if kills_before is not None and memory_kills() > kills_before:
        return f"killed by SIGKILL: the system had run out of memory; {_SMALLER}"
    return f"killed by SIGKILL (out of memory? If so, {_SMALLER})"


_SMALLER = "run fewer trials at once (--workers 1), or choose a smaller architecture or resolution"


def memory_kills(group: Path = Path("/sys/fs/cgroup/memory.events"), system: Path = Path("/proc/vmstat")) -> int:
    """Count the processes that this container, or else this system, has killed for want of memory so far.

    Linux tells it; elsewhere 0.
    """
    for file in (group, system):
        with contextlib.suppress(OSError, ValueError):
            counts = dict(line.split(maxsplit=1) for line in file.read_text(encoding="ascii").splitlines())
            if "oom_kill" in counts:
                return int(counts["oom_kill"])
    return 0


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return a living process and all that it started; once it is dead, nobody knows any more."""
    with contextlib.suppress(psutil.Error):
        if process.poll() is None:
            root = psutil.Process(process.pid)
            return [root, *root.children(recursive=True)]
    return []


def kill(members: Iterable[psutil.Process]) -> None:
    """Kill processes now; those that are dead already are left alone, even if their number lives again."""
    for each in members:
        with contextlib.suppress(psutil.Error):
            each.kill()


def sweep(process: subprocess.Popen[bytes]) -> None:
    """Kill what a dead process has left behind; a forked child would hold its pipes open for ever.

    Where there are process groups, the group outlives its leader, and its number is not used again
    while it has a member.
    """
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def end_all(processes: Iterable[subprocess.Popen[bytes]], seconds: float = 0.4) -> None:
    """End processes and all that they started: a request, `seconds` of patience, then by force."""
    processes = tuple(processes)
    members = [each for process in processes for each in family(process)]
    for process in processes:
        with contextlib.suppress(OSError):
            assert process.stdin is not None  # `start` makes a pipe of it
            process.stdin.close()
        process.terminate()
    limit = time.monotonic() + seconds
    while any(process.poll() is None for process in processes) and time.monotonic() < limit:
        time.sleep(0.01)
    kill(members)
    for process in processes:
        sweep(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


def tail(log: Path, start: int, lines: int = 20) -> str:
    """Return the last lines that a log holds beyond byte `start`."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - 16_384))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    return ""
