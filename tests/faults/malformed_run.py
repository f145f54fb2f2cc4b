"""Reads malformed data as `seedbed inspect` does, one after the other, and writes down what came of each.

A process of its own, so that its memory and its standard streams can be watched: `malformed_run.py FOLDER 1 2` reads
every second case of `FOLDER/cases.json`, from the case 1 on, and writes `FOLDER/outcomes-1.jsonl`.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

LIMIT_SECONDS = 30
MOST_ADDRESSES = 6 * 2**30
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "os.setxattr", "shutil.rmtree", "shutil.copyfile", "shutil.move",
}  # fmt: skip
NEVER = {"subprocess.Popen", "os.exec", "os.system", "os.posix_spawn", "os.fork", "socket.connect", "pickle.find_class"}


class Watch:
    """Notes what this process writes outside a folder, starts, connects to or unpickles."""

    def __init__(self, allowed: Path) -> None:
        self.seen: list[str] = []
        self._allowed = (os.fsencode(allowed), b"/dev/null", b"/proc/self/clear_refs")
        sys.addaudithook(self._hook)

    def take(self) -> list[str]:
        """Return what was noted since the last call."""
        seen, self.seen = self.seen, []
        return seen

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITES and not self._may(path):
                self.seen.append(f"open {path!r}")
        elif event in CHANGES:
            # Seen from a folder that is open, as rmtree goes about it: rmtree itself was noted before.
            is_whole = event in ("os.truncate", "os.setxattr")  # these end in a length or in flags, and not in a folder
            is_relative = not is_whole and isinstance(arguments[-1], int) and arguments[-1] >= 0
            named = arguments[:1] if is_whole else () if is_relative else arguments
            paths = [each for each in named if isinstance(each, str | bytes | os.PathLike)]
            self.seen += [f"{event} {path!r}" for path in paths if not self._may(path)]
        elif event in NEVER:
            self.seen.append(f"{event} {arguments!r}"[:200])

    def _may(self, path: object) -> bool:
        if isinstance(path, int):  # a file that is open already
            return True
        return isinstance(path, str | bytes | os.PathLike) and os.fsencode(path).startswith(self._allowed)


class Hung(BaseException):
    """A case took too long."""


def main(folder: Path, first: int, step: int) -> None:
    """Read the cases of one process."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
    signal.signal(signal.SIGALRM, _hung)
    import datasets  # noqa: F401 - before the watch: dill in it asks for the temporary folder, and Python tries that one

    cases = list(enumerate(json.loads((folder / "cases.json").read_text("utf-8"))))[first::step]
    cache = Path(os.environ["SEEDBED_HOME"])
    with (folder / f"outcomes-{first}.jsonl").open("w", encoding="utf-8") as outcomes:
        watch = Watch(cache)
        for case in _examined(cases, cache, watch):
            outcomes.write(json.dumps(case) + "\n")
            outcomes.flush()


def _examined(cases: list[tuple[int, dict[str, object]]], cache: Path, watch: Watch) -> Iterator[dict[str, object]]:
    printed = _printed()
    for number, case in cases:
        began = time.process_time()
        signal.alarm(LIMIT_SECONDS)
        try:
            outcome = _outcome(case, cache, policy=("safe", "all")[number % 2])
        finally:
            signal.alarm(0)
        before, printed = printed, _printed()
        yield {
            "number": number,
            "name": case["name"],
            **outcome,
            "seconds": round(time.process_time() - began, 3),
            "peak_bytes": _peak_bytes(),
            "printed": printed - before,
            "touched": watch.take(),
        }


def _outcome(case: dict[str, object], cache: Path, policy: str) -> dict[str, object]:
    from seedbed.core.errors import SeedbedError
    from seedbed.core.intake import Intake
    from seedbed.core.settings import Settings
    from seedbed.inspection import Inspection
    from seedbed.registry.registry import open_registry
    from seedbed.show import to_json
    from seedbed.show_inspection import inspection

    try:
        settings = Settings(source=str(case["source"]), offline=True, repair=policy, **_tuples(case["settings"]))
        intake = Intake(settings=settings, lookup=open_registry([], installed=False), cache=cache)
        found = Inspection(intake.examine(), 0.0)
        to_json(found.summary()).encode()
        dataset = found.examined.dataset
        inspection(dataset.source, dataset.schema, found.profile, found.findings, 0.0).encode("utf-8", "replace")
        if not {"truncated", "flipped"} & set(str(case["name"]).split("/")):  # of these there are too many
            found.to_html().encode("utf-8", "backslashreplace")  # as the command line writes it
    except SeedbedError as error:
        return {"outcome": type(error).__name__, "code": int(error.exit_code), "told": str(error)[-300:]}
    except (Exception, Hung) as error:
        return {"outcome": type(error).__name__, "code": 1, "told": traceback.format_exc()}
    broken = [each.evidence for each in found.findings if " failed: " in each.evidence]
    unreadable = found.examined.prepared.unreadable
    return {
        "outcome": "values",
        "code": 0,
        "told": "; ".join(broken),
        "rows": len(found.examined.dataset),
        "unreadable": len(unreadable),
    }


def _tuples(settings: object) -> dict[str, object]:
    given = settings if isinstance(settings, dict) else {}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _printed() -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return sum(os.fstat(number).st_size for number in (1, 2))


def _peak_bytes() -> int:
    """Return the most memory taken since the last call, where Linux tells; else in all the life of this process."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return int(peak.split()[1]) * 1024


def _hung(*_: object) -> None:
    raise Hung(f"longer than {LIMIT_SECONDS} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
