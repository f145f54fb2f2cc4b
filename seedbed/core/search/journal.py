"""The events of a run on disk, one line of JSON each, in the order in which they came to be."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

import msgspec
import psutil

from seedbed.core.errors import DataError, UsageError
from seedbed.core.search.events import Event, from_builtins, from_line, to_line

log = logging.getLogger(__name__)


class Journal:
    """An append-only file; one process at a time writes it, from one thread at a time.

    Every line is handed to the operating system before `append` returns, so the death of this process,
    by whatever signal, loses nothing. There is no fsync: that would guard against the death of the
    whole machine alone, costs milliseconds an event on ordinary disks, and could save a few events
    whose trials' files are not synced either.

    Raises:
        UsageError: another process writes this journal.
        DataError: the file holds something that is no journal of this version.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = path.with_name("journal.lock")
        _acquire(self._lock)
        try:
            _cut_torn_line(path)
            self._file = path.open("ab")
        except BaseException:
            self._lock.unlink(missing_ok=True)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def append(self, event: Event) -> None:
        """Write an event down.

        Raises:
            DataError: the event could not be read back, for instance because its score is not finite;
                one such line in its middle would make the whole journal useless.
        """
        line = to_line(event)
        from_line(line)
        self._file.write(line + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Release the file to others; closing twice is fine."""
        if not self._file.closed:
            self._file.close()
            self._lock.unlink(missing_ok=True)


def writer(path: Path) -> int | None:
    """Return the process that is writing this journal, None if there is none."""
    return _owner(path.with_name("journal.lock"))


def read(path: Path) -> list[Event]:
    """Return all events of a journal; a last line that its writer died over is left out.

    Raises:
        DataError: there is no such file, or one of its lines is no event of this version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"There is no journal to read: {error}. Give the folder of a run.") from error
    return _parse(content[: whole(content)], path)


def _parse(content: bytes, path: Path) -> list[Event]:
    events = []
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            events.append(from_builtins(msgspec.json.decode(line, type=dict)))
        except (msgspec.DecodeError, DataError) as error:
            raise DataError(
                f"Line {number} of {path} cannot be used: {error} "
                "Use the version of Seedbed that wrote it, or begin anew in another folder."
            ) from error
    return events


def whole(content: bytes) -> int:
    """How many bytes of a journal are whole lines: the rest was being written when its process died.

    A last line that has its end but is not JSON counts as torn too: a machine that went down may have
    left a block of zeros, or of another file, in its place.
    """
    end = content.rfind(b"\n") + 1
    if end < len(content):
        return end
    begin = content.rfind(b"\n", 0, max(end - 1, 0)) + 1
    try:
        msgspec.json.decode(content[begin:end] or b"{}")
    except msgspec.DecodeError:
        return begin
    return end


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    end = whole(content)
    events = _parse(content[:end], path)  # before anything is changed: what is no journal stays as it is
    if end < len(content):
        log.warning("%s: a torn last line of %d bytes is cut off.", path, len(content) - end)
        os.truncate(path, end)
    log.debug("%s holds %d events.", path, len(events))


def _acquire(lock: Path) -> None:
    """Create the lock file, which holds our process id; one that a dead process left behind is taken over."""
    for _ in range(2):
        try:
            with lock.open("x") as file:
                file.write(str(os.getpid()))
            return
        except FileExistsError:
            owner = _owner(lock)
            if owner is not None:
                raise UsageError(
                    f"Process {owner} is writing to {lock.parent}. Wait for it to end, end it, or give another folder."
                ) from None
            log.warning("The process that held %s is dead; its lock is taken over.", lock)
            _discard(lock)
    raise UsageError(f"Another process has just begun to write to {lock.parent}; give another folder.")


def _owner(lock: Path) -> int | None:
    """The living process that holds the lock, None if there is none."""
    try:
        pid, written = int(lock.read_text()), lock.stat().st_mtime
        process = psutil.Process(pid)
        # A process that began after the lock was written only bears the same number; 5 s for coarse clocks.
        is_owner = process.create_time() <= written + 5.0 and process.status() != psutil.STATUS_ZOMBIE
        return pid if is_owner else None
    except psutil.AccessDenied:
        return pid
    except (ValueError, OSError, psutil.Error):
        return None


def _discard(lock: Path) -> None:
    """Remove a stale lock; if another process was faster and the lock is its own by now, put it back."""
    aside = lock.with_name(f"{lock.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        lock.rename(aside)
        if _owner(aside) is None:
            aside.unlink()
        else:
            aside.rename(lock)
