"""What runs on a node of the cluster: one trial, told as a stream; the same code as in every other place."""

from __future__ import annotations

import contextlib
import functools
import logging
import queue
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import seedbed
from seedbed.core.errors import PluginError
from seedbed.core.network import staying_offline
from seedbed.core.search import parcel
from seedbed.core.search.attempting import Pulse, Run, attempt
from seedbed.core.search.candidate import EvaluationJob, Job, TrialJob
from seedbed.core.search.events import TERMINAL, EpochFinished, Event, to_line
from seedbed.plugins.backends.ray_cluster.bales import Bale, Piece, pack, unpack

log = logging.getLogger(__name__)

SAVE_SHARE = 0.05
"""Of a trial's time, what sending its state home may take: a large state is sent less often."""

_ASK_SECONDS = 0.25  # how soon a trial that was asked to end hears of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """All that a node must know to run a job.

    `job` is JSON with the paths that its owner uses, `inputs` what lies at these, plugins in local files among it, and
    `state` what an earlier attempt has sent home. `home` is the node of the owner: there the files are where the job
    says. `import_path` is where its owner's modules lie; a node of the same machine, or one that shares it, has them.
    """

    study: str
    kind: str
    job: bytes
    attempt: int
    inputs: tuple[Bale, ...]
    state: Bale | None
    home: str
    plugins: tuple[str, ...]
    import_path: tuple[str, ...]
    threads: int
    offline: bool
    runner: str
    version: str


@dataclass(frozen=True, slots=True)
class Began:
    """The job has a place, where it gets ready."""

    place: str


@dataclass(frozen=True, slots=True)
class Ready:
    """What the job reads is on its node, what runs it is imported, and its clock begins."""


@dataclass(frozen=True, slots=True)
class Alive:
    """The job goes on."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event, as a line."""

    line: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """A part of a file of the job; `into` numbers what the job writes to."""

    into: int
    piece: Piece


@dataclass(frozen=True, slots=True)
class Complete:
    """All parts that were sent since the last such message belong together and may take their place."""


Message = Began | Ready | Alive | Told | Sent | Complete


class Flags:
    """An actor beside the run: which jobs shall end."""

    def __init__(self) -> None:
        self._raised: set[tuple[int, int]] = set()

    def raise_for(self, trial: int, attempt: int) -> None:
        """Ask an attempt at a trial to end."""
        self._raised.add((trial, attempt))

    def is_raised(self, trial: int, attempt: int) -> bool:
        """Whether it was asked to."""
        return (trial, attempt) in self._raised


def run(errand: Errand, flags: Any) -> Iterator[Message]:  # noqa: ANN401 - a handle of Ray's
    """Run a job and yield what there is to tell; its files come before its last event."""
    import ray

    if errand.version != seedbed.__version__:
        raise PluginError(
            f"This node has Seedbed {seedbed.__version__}, the run {errand.version}; install the same on every node."
        )
    node = ray.get_runtime_context().get_node_id()
    yield Began(f"{socket.gethostname()}/{node[:8]}")
    given = _decode(errand)
    sys.path += [each for each in errand.import_path if each not in sys.path and Path(each).is_dir()]
    if node == errand.home:  # no copies on the machine where the files are
        yield from _told(errand, given, errand.plugins, flags)
        return
    with _work_folder(errand, node) as (work, kept):
        places = _laid_out(errand, given, work, kept)
        plugins = tuple(str(places.get(Path(each), each)) for each in errand.plugins)
        yield from _told(errand, parcel.relocated(given, places.__getitem__), plugins, flags, sends=True)


def _decode(errand: Errand) -> Job:
    kinds: dict[str, type[TrialJob] | type[EvaluationJob]] = {each.__name__: each for each in (TrialJob, EvaluationJob)}
    return msgspec.json.decode(errand.job, type=kinds[errand.kind])


def cache_folder(study: str, node: str) -> Path:
    """Return where a node keeps what the jobs of a study read."""
    return Path(tempfile.gettempdir()) / f"seedbed-{study}-{node[:8]}"


@contextlib.contextmanager
def _work_folder(errand: Errand, node: str) -> Iterator[tuple[Path, Path]]:
    kept = cache_folder(errand.study, node)
    kept.mkdir(mode=0o700, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=kept, prefix="job-"))
    try:
        yield work, kept
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _laid_out(errand: Errand, job: Job, work: Path, kept: Path) -> dict[Path, Path]:
    """Put what the job reads onto this machine, once for all its workers; return where each path is now."""
    import ray

    def pieces(bale: Bale) -> Iterator[Piece]:
        return (ray.get(each) for each in bale.pieces)

    places: dict[Path, Path] = {}
    for bale in errand.inputs:
        target = kept / bale.key / Path(bale.path).name
        if not target.exists():
            try:
                unpack(pieces(bale), target, is_folder=bale.is_folder)
            except OSError:
                if not target.exists():  # else another worker was quicker
                    raise
        places[Path(bale.path)] = target
    for number, path in enumerate(parcel.outputs(job)):
        places[path] = work / str(number) / path.name
        places[path].parent.mkdir(parents=True)
    if errand.state is not None:
        unpack(pieces(errand.state), places[Path(errand.state.path)], is_folder=True)
    return places


def _told(
    errand: Errand,
    job: Job,
    plugins: tuple[str, ...],
    flags: Any,  # noqa: ANN401
    *,
    sends: bool = False,
) -> Iterator[Message]:
    """Run the job in a thread, and yield its events, and, if it `sends`, its files, in the order in which they come."""
    news: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    stop, saver = threading.Event(), Saver(job, news.put)
    should_stop = Pulse(stop.is_set, functools.partial(news.put, Alive()))

    def run(job: Job, emit: Callable[[Event], None], should_stop: Callable[[], bool]) -> None:
        opened = _open(errand.runner, plugins, errand.threads)
        news.put(Ready())
        opened(job, emit, should_stop)

    def tell(event: Event) -> None:
        if sends:
            saver.see(event)
        news.put(Told(to_line(event)))

    def work() -> None:
        try:
            with staying_offline(errand.offline):
                attempt(job, tell, should_stop, run)
        finally:
            news.put(None)

    threads = [threading.Thread(target=work, daemon=True, name="seedbed-job")]
    threads.append(threading.Thread(target=_listen, args=(flags, job.trial, errand.attempt, stop), daemon=True))
    for thread in threads:
        thread.start()
    while (message := news.get()) is not None:
        yield message
    stop.set()


def _listen(flags: Any, trial: int, attempt: int, stop: threading.Event) -> None:  # noqa: ANN401
    """Raise the job's flag once its owner has, or is gone."""
    import ray

    while not stop.wait(_ASK_SECONDS):
        try:
            if ray.get(flags.is_raised.remote(trial, attempt)):
                stop.set()
        except ray.exceptions.RayError:
            log.warning("Nobody is there any more who asked for trial %s.", trial)
            stop.set()


class Saver:
    """Sends home what a job has written: at its end all of it, at a look what a resumable trial goes on from."""

    def __init__(self, job: Job, put: Callable[[Message], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._job = job
        self._put = put
        self._clock = clock
        self._not_before = -float("inf")

    def see(self, event: Event) -> None:
        """Send what it is time for; the event is told after this."""
        if isinstance(event, TERMINAL):
            self._send()
        elif isinstance(event, EpochFinished) and isinstance(self._job, TrialJob) and self._job.resumable:
            began = self._clock()
            if began >= self._not_before:
                self._send()
                now = self._clock()
                self._not_before = now + (now - began) / SAVE_SHARE

    def _send(self) -> None:
        for number, path in enumerate(parcel.outputs(self._job)):
            if path.exists():
                for piece in pack(path):
                    self._put(Sent(number, piece))
        self._put(Complete())


@functools.cache
def _open(runner: str, plugins: tuple[str, ...], threads: int) -> Run:
    """Import what runs jobs, once in the life of this process, and lay out its desk: what stays warm between them."""
    from seedbed.worker import open_runner

    return open_runner(runner, plugins, threads)
