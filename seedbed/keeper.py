"""The first process of a container, and the child in which it does its work.

A process 1 has duties that do not go with training: signals without a handler never reach it, orphans become its
children and stay zombies until it asks for them, and nobody is left to say what killed it. So it forks, passes SIGTERM
on, reaps, and has words for a child that was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from seedbed.worker import end_at_once

TERMINATED = 128 + signal.SIGTERM


def keep(work: Callable[[threading.Event], int], killed: Callable[[signal.Signals], object]) -> int:
    """Do the work in a child and return its exit status, 128 + the signal where one ended it (`killed` is told which).

    The work gets a flag that SIGTERM raises; a second SIGTERM ends it and all that it started, with status 143. Without
    this process it ends at once as well. Call this before any thread is started.
    """
    # Held back until both processes have their handlers, so that none is lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    lives, lifeline = os.pipe()
    child = os.fork()
    if not child:
        os.close(lifeline)
        code = 1
        try:
            code = _child(work, lives)
        finally:
            end_at_once(code)  # returning would run the caller's code a second time
    os.close(lives)

    def forward(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    signal.signal(signal.SIGTERM, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    code = _reap(child)
    os.close(lifeline)
    if code >= 0:
        return code
    killed(signal.Signals(-code))
    return 128 - code


def _reap(child: int) -> int:
    """Ask for all that ends, orphans as well, until the child does; its exit status, negative for a signal."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _child(work: Callable[[threading.Event], int], lives: int) -> int:
    threading.Thread(target=_end_with_the_keeper, args=(lives,), daemon=True).start()
    stop = threading.Event()
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    # Python's own handlers wait for the main thread, which may be deep in native code; this pipe is written at once.
    signal.set_wakeup_fd(tell)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    _spare_forks()
    threading.Thread(target=_listen, args=(told, stop), daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    return work(stop)


def _spare_forks() -> None:
    """Let what a plugin forks, a DataLoader's worker for instance, die of SIGTERM; a signal to it is none to the job.

    It is held back meanwhile: one that came before the child had lost our handler would go into the job's pipe.
    """
    masks = threading.local()

    def before() -> None:
        masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def in_parent() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.before)

    def in_child() -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        in_parent()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def _end_with_the_keeper(lives: int) -> None:
    os.read(lives, 1)  # nobody writes: it returns when the other end is closed
    end_at_once(1)


def _listen(told: int, stop: threading.Event) -> None:
    while True:
        for number in os.read(told, 1):
            if number == signal.SIGTERM and stop.is_set():
                end_at_once(TERMINATED)
            elif number == signal.SIGTERM:
                stop.set()
