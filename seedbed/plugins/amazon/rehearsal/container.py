"""A container without docker: a process that is PID 1 of namespaces of its own and sees its own /opt/ml.

`unshare` gives it a mount and a PID namespace, where /opt/ml, /proc and /etc/hosts are its own; the rest of the file
system and the network are the machine's. Where the machine does not allow that, the process is told the place of its
/opt/ml in SAGEMAKER_BASE_DIR instead.

A container lives no longer than the process that started it. It waits for a line on its standard input before its
program starts, which comes only once the watchdog knows it; and the watchdog, a process of its own, kills all that it
knows when its own parent is gone, however that came to be.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

OPT_ML = Path("/opt/ml")
KILLED = 128 + signal.SIGKILL
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ")
# $0 is the folder that becomes /opt/ml. Nothing runs before the watchdog's line has come.
_SETUP = (
    'read -r go || exit 125; mount -t proc proc /proc && mount --bind "$0/../hosts" /etc/hosts'
    ' && mount --bind "$0" /opt/ml && cd /opt/ml && exec "$@" </dev/null'
)
_PLAIN = 'read -r go || exit 125; cd "$0" && exec "$@" </dev/null'
# Reads "+PID" and "-PID". Its standard input ends with its parent; a child that was forked while the pipe was open may
# hold it, hence the look at the parent as well.
_WATCHDOG = """
import os, select, signal, sys
parent, known, open_ = int(sys.argv[1]), set(), True
while open_ and os.getppid() == parent:
    if select.select([0], [], [], 0.2)[0]:
        line = sys.stdin.buffer.readline().decode()
        open_ = bool(line)
        if line:
            (known.add if line[0] == "+" else known.discard)(int(line[1:]))
for pid in known:
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except OSError:
            pass
"""


@cache
def namespaces() -> tuple[str, ...] | None:
    """The command that gives a process namespaces of its own, or None where the machine allows none."""
    if not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(OSError):
        OPT_ML.mkdir(parents=True, exist_ok=True)
    if not OPT_ML.is_dir():
        return None
    common = ("--mount", "--pid", "--fork", "--kill-child")
    for command in (("unshare", *common), ("unshare", "--user", "--map-root-user", *common)):
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder) / "ml"
            base.mkdir()
            (base.parent / "hosts").touch()
            try:
                done = subprocess.run(
                    [*command, "sh", "-c", _SETUP, str(base), "true"], input=b"go\n", capture_output=True, timeout=20
                )
            except (OSError, subprocess.TimeoutExpired):
                continue
        if done.returncode == 0:
            return command
    return None


class Watchdog:
    """A process that kills the containers it was told of when the process that started it is gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-u", "-c", _WATCHDOG, str(os.getpid())],
            stdin=subprocess.PIPE,
            env={},
            start_new_session=True,
        )

    def guard(self, pid: int) -> None:
        """Kill `pid`, and the group it leads, should this process end. Raises RuntimeError once closed."""
        if not self._tell(f"+{pid}\n"):
            raise RuntimeError("The watchdog is closed: it guards nothing any more.")

    def release(self, pid: int) -> None:
        """Forget `pid`, which has ended: the number may become another process's. Once closed, it has forgotten all."""
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """End it, and with it all that it still knows."""
        stdin = self._process.stdin
        assert stdin is not None
        with self._lock:
            stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> bool:
        """Write it a line; False: it is closed."""
        stdin = self._process.stdin
        assert stdin is not None
        with self._lock:
            if stdin.closed:
                return False
            stdin.write(line.encode())
            stdin.flush()
            return True


@dataclass(frozen=True)
class Place:
    """Where a container keeps its things on this machine: `ml` becomes /opt/ml, beside it are home and hosts."""

    folder: Path

    @property
    def ml(self) -> Path:
        """What the container sees as /opt/ml."""
        return self.folder / "ml"

    def prepare(self, *below: str) -> None:
        """Make the folders below /opt/ml, an empty home and the hosts file, where algo-1 is this machine."""
        for name in below:
            (self.ml / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "home").mkdir(exist_ok=True)
        with contextlib.suppress(OSError):
            known = Path("/etc/hosts").read_text(encoding="utf-8")
            (self.folder / "hosts").write_text(f"{known.rstrip()}\n127.0.0.1 algo-1\n", encoding="utf-8")
        (self.folder / "hosts").touch()


class Container:
    """One running container, and the pipe of what it writes to stdout and stderr."""

    def __init__(self, argv: Sequence[str], place: Place, environment: Mapping[str, str], watchdog: Watchdog) -> None:
        spaces = namespaces()
        self._spaced = spaces is not None
        self._watchdog = watchdog
        self._killed = False
        clean = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # A home of its own: ~/.aws of the user must not be found in there.
        clean |= {"HOME": str(place.folder / "home"), "PYTHONUNBUFFERED": "1", **environment}
        if not self._spaced:
            clean["SAGEMAKER_BASE_DIR"] = str(place.ml)
        self.process = subprocess.Popen(
            [*(spaces or ()), "sh", "-c", _SETUP if self._spaced else _PLAIN, str(place.ml), *argv],
            cwd=place.ml,
            env=clean,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        watchdog.guard(self.process.pid)
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(b"go\n")
            self.process.stdin.close()

    @property
    def output(self) -> IO[bytes]:
        """What it writes, stdout and stderr together."""
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def terminate(self) -> None:
        """Send SIGTERM to PID 1 alone, as the service does; without a handler there, nothing happens."""
        first = self.first()
        if first is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(first, signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, with every process in it."""
        if self.running:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def kill_first(self) -> None:
        """Kill PID 1, as the kernel does with the largest process when memory is short."""
        first = self.first()
        if first is not None:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(first, signal.SIGKILL)

    def first(self) -> int | None:
        """The number, on this machine, of the container's PID 1; None once it has ended."""
        if not self._spaced:
            return self.process.pid if self.running else None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        while self.running:  # unshare forks within milliseconds
            with contextlib.suppress(OSError):
                found = children.read_text(encoding="ascii").split()
                if found:
                    return int(found[0])
            select.select([], [], [], 0.002)
        return None

    def wait(self, seconds: float) -> bool:
        """Wait at most so long for its end, and say whether it came."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return not self.running

    def close(self) -> int:
        """Kill what is left of it, and return the exit code of PID 1: 128 + the signal where one ended it."""
        self.kill()
        code = self.process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)  # without namespaces, children of its process may live on
        self._watchdog.release(self.process.pid)
        # unshare cannot die of SIGKILL as its child did: it returns 1.
        if self._killed:
            return KILLED
        return code if code >= 0 else 128 - code
