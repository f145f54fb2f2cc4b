"""Trials as tasks of a Ray cluster, each of which tells its story as a stream.

A stream belongs to one attempt at a job: what an attempt that was given up still says, on a node that was taken for
dead for instance, is never read. So nothing it does can get in the way of the attempt that goes on elsewhere.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
import uuid
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

import seedbed
from seedbed.core.errors import PluginError
from seedbed.core.protocols import Workplace
from seedbed.core.search import parcel
from seedbed.core.search.attempting import failed, stopped
from seedbed.core.search.candidate import Job, TrialJob
from seedbed.core.search.events import TERMINAL, Event, TrialPlaced, from_line
from seedbed.plugins.backends import RayOptions, processes
from seedbed.plugins.backends.ray_cluster import cluster, task
from seedbed.plugins.backends.ray_cluster.bales import Piece, Store, unpack
from seedbed.plugins.backends.supervised import Watch, allowed_seconds

log = logging.getLogger(__name__)

_TICK = 0.1  # s; how late a deadline may be noticed


@dataclass(slots=True)
class _Flight:
    """A job under way, and what has come of it; times are readings of one monotonic clock.

    `since` is when it got its place, None while it waits for one, and, once it `is_ready`, when its own clock began;
    `heard` when it last gave a sign of life.
    """

    job: Job
    attempt: int = 1
    stream: Any = None
    since: float | None = None
    heard: float = 0.0
    is_ready: bool = False
    allowed: float | None = None
    stop_asked: float | None = None
    ending: str = ""
    arrived: dict[int, list[Piece]] = field(default_factory=dict)
    is_over: bool = False


class RayBackend:
    """Jobs as tasks; Ray finds their places. One thread may drive it, and all supervision happens within `poll`."""

    late = True

    def __init__(self, options: RayOptions, workplace: Workplace) -> None:
        self._options = options
        self._workplace = workplace
        self._stack = contextlib.ExitStack()
        self._study = uuid.uuid4().hex[:8]
        self._flights: list[_Flight] = []
        self._events: deque[Event] = deque()
        self._ray: Any = None

    def __enter__(self) -> RayBackend:
        with self._stack:
            ray = self._ray = self._stack.enter_context(cluster.connected(self._options.address))
            self._home = ray.get_runtime_context().get_node_id()
            here = cluster.on_node(ray, self._home)  # it must not die with a node that goes away
            self._flags = ray.remote(num_cpus=0)(task.Flags).options(scheduling_strategy=here).remote()
            self._store = Store(ray.put)
            self._run = ray.remote(max_calls=0, max_retries=0, retry_exceptions=False)(task.run)
            self._stack.callback(self._leave)
            if not self._slots():
                raise PluginError(
                    f"No node of the cluster has {self._cpus:g} processors and {self._options.gpus:g} GPUs and "
                    f"{self._options.memory_bytes} bytes of memory for a trial; give --threads, or --set "
                    "backend.ray.gpus=… or backend.ray.memory_bytes=…, a number that one has."
                )
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def _cpus(self) -> float:
        return float(max(self._workplace.threads, 1))

    def _slots(self) -> int:
        most = cluster.fitting(self._ray.nodes(), self._cpus, self._options.gpus, self._options.memory_bytes)
        given = self._workplace.workers_given
        return min(most, given) if given else most

    def free_slots(self) -> int:
        """How many more jobs the nodes that are alive have room for."""
        return max(self._slots() - len(self._flights), 0)

    def submit(self, job: Job) -> None:
        """Hand a job to the cluster; it may wait there for a place."""
        self._flights.append(self._sent_off(_Flight(job)))

    def _sent_off(self, flight: _Flight, state: Any = None) -> _Flight:  # noqa: ANN401 - a bale, or None
        place, options = self._workplace, self._options
        job = as_run(flight.job, options.gpus)
        files = [Path(each) for each in place.plugins if each.endswith(".py")]
        errand = task.Errand(
            study=self._study,
            kind=type(job).__name__,
            job=msgspec.json.encode(job),
            attempt=flight.attempt,
            inputs=tuple(self._store.bale(path) for path in (*parcel.inputs(job), *files) if path.exists()),
            state=state,
            home=self._home,
            plugins=place.plugins,
            import_path=tuple(processes.import_path()),
            threads=place.threads,
            offline=place.offline,
            runner=options.runner,
            version=seedbed.__version__,
        )
        memory = {"memory": options.memory_bytes} if options.memory_bytes else {}
        flight.stream = self._run.options(
            num_returns="streaming", num_cpus=self._cpus, num_gpus=options.gpus, name=f"trial-{job.trial}", **memory
        ).remote(errand, self._flags)
        flight.since, flight.is_ready, flight.arrived = None, False, {}
        return flight

    def stop(self, trial: int) -> None:
        """Ask a job to end; one that does not is ended by force after the options' patience."""
        for flight in self._flights:
            if flight.job.trial == trial and flight.stop_asked is None:
                flight.stop_asked = time.monotonic()
                self._flags.raise_for.remote(trial, flight.attempt)

    def poll(self, timeout: float) -> list[Event]:
        """Return the events that came, waiting up to `timeout` seconds for the first."""
        limit = time.monotonic() + max(timeout, 0.0)
        while True:
            self._look_after(time.monotonic())
            left = limit - time.monotonic()
            self._listen(max(min(left, _TICK), 0.0))
            if self._events or time.monotonic() >= limit:
                break
        events = list(self._events)
        self._events.clear()
        return events

    def idle(self) -> bool:
        """Whether nothing runs and no event waits."""
        return not (self._flights or self._events)

    def _listen(self, seconds: float) -> None:
        """Take in what the streams have to say, waiting so long for the first to say anything."""
        streams = {flight.stream: flight for flight in self._flights}
        if not streams:
            time.sleep(seconds)
            return
        ready, _ = self._ray.wait(list(streams), num_returns=1, timeout=seconds)
        while ready:
            for stream in ready:
                self._hear(streams[stream])
            waiting = [flight.stream for flight in self._flights if flight.stream in streams]
            ready = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)[0] if waiting else []

    def _hear(self, flight: _Flight) -> None:
        try:
            message = self._ray.get(next(flight.stream))
        except StopIteration:
            if not flight.is_over:
                self._end(flight, failed(flight.job, "The job ended without saying how."))
            return
        except self._ray.exceptions.RayError as error:
            self._bury(flight, error)
            return
        flight.heard = time.monotonic()
        match message:
            case task.Began():
                flight.since, flight.allowed = flight.heard, None
                if isinstance(flight.job, TrialJob):
                    self._events.append(
                        TrialPlaced(trial=flight.job.trial, place=message.place, attempt=flight.attempt)
                    )
            case task.Ready():  # not before: importing torch may take longer than the grace
                flight.since, flight.is_ready = flight.heard, True
                flight.allowed = allowed_seconds(flight.job, time.time())
            case task.Alive():
                pass
            case task.Sent():
                flight.arrived.setdefault(message.into, []).append(message.piece)
            case task.Complete():
                self._put_down(flight)
            case task.Told():
                event = from_line(message.line)
                if isinstance(event, TERMINAL):
                    self._end(flight, event)
                else:
                    self._events.append(event)

    def _put_down(self, flight: _Flight) -> None:
        """Bring what a job has sent into place, whole."""
        for number, path in enumerate(parcel.outputs(flight.job)):
            if pieces := flight.arrived.get(number):
                unpack(pieces, path, is_folder=isinstance(flight.job, TrialJob))
        flight.arrived.clear()

    def _end(self, flight: _Flight, event: Event) -> None:
        flight.is_over = True
        if isinstance(flight.job, TrialJob):
            for name in parcel.PASSING:
                shutil.rmtree(Path(flight.job.folder) / name, ignore_errors=True)
        self._flights.remove(flight)
        self._events.append(event)

    def _bury(self, flight: _Flight, error: Exception) -> None:
        """Account for an attempt that is lost: go on elsewhere from what it has sent, or say what became of it."""
        seconds = 0.0 if flight.since is None else time.monotonic() - flight.since
        if flight.ending or flight.stop_asked is not None:
            ending = flight.ending or "stopped on request"
            is_asked = flight.stop_asked is not None
            event = stopped(flight.job, ending, seconds) if is_asked else failed(flight.job, ending, "", seconds)
            self._end(flight, event)
            return
        words = cause(error)
        if flight.attempt > self._options.retries or not is_lost(error):
            self._end(flight, failed(flight.job, words, str(error), seconds))
            return
        log.warning("Trial %s goes on elsewhere, from what it has sent: %s", flight.job.trial, words)
        flight.attempt += 1
        folder = parcel.outputs(flight.job)[0]
        has_state = isinstance(flight.job, TrialJob) and folder.is_dir()
        self._sent_off(flight, self._store.bale(folder, is_kept=False) if has_state else None)

    def _look_after(self, now: float) -> None:
        for flight in self._flights:
            if flight.ending or (flight.since is None and flight.stop_asked is None):
                continue
            watch = Watch(
                since=now if flight.since is None else flight.since,
                allowed=flight.allowed,
                grace=flight.job.grace,
                stop_asked=flight.stop_asked,
                patience=0.0 if flight.since is None else self._options.patience,
                heard=now if flight.since is None else flight.heard,
                silence=self._options.silence,
            )
            if reason := watch.verdict(now):
                flight.ending = "stopped on request before it began" if flight.since is None else reason
                self._ray.cancel(flight.stream, force=True)

    def _leave(self) -> None:
        """End what still runs, and clean up on every node that is there."""
        for flight in self._flights:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(flight.stream, force=True)
        self._flights.clear()
        sweep = self._ray.remote(num_cpus=0, max_retries=0)(_sweep)
        alive = [node["NodeID"] for node in self._ray.nodes() if node.get("Alive") and node["NodeID"] != self._home]
        sweeps = [
            sweep.options(scheduling_strategy=cluster.on_node(self._ray, node)).remote(self._study, node)
            for node in alive
        ]
        if sweeps:
            self._ray.wait(sweeps, num_returns=len(sweeps), timeout=self._options.patience)
        self._ray.kill(self._flags)


def _sweep(study: str, node: str) -> None:
    shutil.rmtree(task.cache_folder(study, node), ignore_errors=True)


def as_run(job: Job, gpus: float) -> Job:
    """Return a job as a node runs it: a trial can go on elsewhere, and has a process for each GPU where it has several.

    Which GPUs these are Ray says by CUDA_VISIBLE_DEVICES, which the processes inherit.
    """
    if not isinstance(job, TrialJob):
        return job
    return replace(job, resumable=True, processes=max(int(gpus), 1) if not job.ingredients else 1)


def is_lost(error: Exception) -> bool:
    """Whether an attempt ended by no fault of the job's: its worker or its node is gone.

    A worker that Ray ended for want of memory is not among these: it would be ended again.
    """
    import ray.exceptions as known

    lost = known.WorkerCrashedError | known.NodeDiedError | known.ObjectLostError | known.LocalRayletDiedError
    return isinstance(error, lost)


def cause(error: Exception) -> str:
    """Put what Ray raises into one line."""
    import ray.exceptions as known

    match error:
        case known.OutOfMemoryError():
            return (
                "killed: the node had run out of memory; choose a smaller architecture or resolution, or fewer at once"
            )
        case known.WorkerCrashedError():
            return "the worker process died (out of memory, or a crash in native code)"
        case known.NodeDiedError() | known.ObjectLostError():
            return "its node is gone"
        case known.RayTaskError():
            inner = error.cause if isinstance(getattr(error, "cause", None), Exception) else error
            if isinstance(inner, ModuleNotFoundError):
                return f"{inner} on its node; install the same packages on every node"
            lines = str(inner).strip().splitlines()
            return f"{type(inner).__name__}: {lines[-1] if lines else ''}"
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
