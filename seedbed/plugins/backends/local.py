"""The default backend: supervised worker processes on this machine, on its GPUs if there are any, warm between jobs."""

from __future__ import annotations

import json
import logging
import os
import platform
import queue
import sys
import time
from collections import deque
from dataclasses import replace
from pkgutil import resolve_name

from seedbed.core.errors import PluginError
from seedbed.core.protocols import Workplace
from seedbed.core.search.attempting import stopped
from seedbed.core.search.candidate import Job
from seedbed.core.search.events import TERMINAL, Event, TrialPlanned
from seedbed.plugins.backends import LocalOptions, processes
from seedbed.plugins.backends.cards import Cards
from seedbed.plugins.backends.gpus import Query, asked_for, visible
from seedbed.plugins.backends.supervised import Alive, Broken, Garbled, Gone, Message, Ready, Worker

log = logging.getLogger(__name__)

_TICK = 0.1  # s; how late a deadline, or the death of a worker whose pipe a child holds open, may be noticed
_STRIKES = 2  # a death while starting may be bad luck (memory was short); two in a row are not
_MOST_ON_A_GPU = 16  # each holds half a gigabyte of the card and a processor's attention
_NEVER_BEGAN = "stopped on request before it began"


class LocalBackend:
    """Workers start on entering, are replaced when they die, and end on leaving; one thread may drive it.

    All supervision (deadlines, deaths, replacements) happens within `poll`, so call it often.
    """

    def __init__(self, options: LocalOptions, workplace: Workplace) -> None:
        self._options = options
        self._workplace = workplace
        self._workers: list[Worker] = []
        self._waiting: deque[Job] = deque()
        self._events: deque[Event] = deque()
        self._inbox: queue.SimpleQueue[tuple[Worker, Message]] = queue.SimpleQueue()
        self._cards: Cards | None = None
        self._broken = ""
        self._wondered = False

    def __enter__(self) -> LocalBackend:
        self._cards = self._find_cards()
        try:
            for index in range(self._seats()):
                self._workers.append(self._start(index))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        processes.end_all(worker.process for worker in self._workers)
        self._workers.clear()
        self._waiting.clear()

    def free_slots(self) -> int:
        """How many workers, ready or starting, have no job.

        Raises:
            PluginError: no worker can start.
        """
        self._insist_on_workers()
        if self._cards is not None and self._waiting:  # for memory
            return 0
        free = sum(worker.takes_jobs and worker.job is None for worker in self._workers)
        return max(free - len(self._waiting), 0)

    @property
    def gpus(self) -> int:
        """How many GPUs a trial may go over."""
        return 1 if self._cards is None else self._cards.count

    def submit(self, job: Job) -> None:
        """Hand a job to a worker, or keep it until one is free.

        Raises:
            PluginError: no worker can start.
        """
        self._insist_on_workers()
        self._waiting.append(job)
        self._assign()

    def stop(self, trial: int) -> None:
        """Ask a job to end; one that does not is ended by force after the options' patience."""
        for worker in self._workers:
            if worker.job is not None and worker.job.trial == trial:
                worker.stop()
        for job in [job for job in self._waiting if job.trial == trial]:
            self._waiting.remove(job)
            self._events.append(stopped(job, _NEVER_BEGAN))

    def poll(self, timeout: float) -> list[Event]:
        """Return the events that came, waiting up to `timeout` seconds for the first.

        Raises:
            PluginError: no worker can start.
        """
        limit = time.monotonic() + timeout
        while True:
            self._look_after()
            while not self._inbox.empty():
                self._hear(*self._inbox.get())
            self._assign()
            left = limit - time.monotonic()
            if self._events or left <= 0:
                break
            self._insist_on_workers()
            try:
                self._hear(*self._inbox.get(timeout=min(left, _TICK)))
            except queue.Empty:
                continue
        if not self._events:
            self._insist_on_workers()
        events = list(self._events)
        self._events.clear()
        return events

    def idle(self) -> bool:
        """Whether nothing runs or waits, and no event waits: a job's last event is that of its end."""
        return not (self._waiting or self._events or any(worker.job for worker in self._workers))

    def _start(self, index: int, strikes: int = 0) -> Worker:
        place, folder = self._workplace, self._workplace.folder / "workers"
        folder.mkdir(parents=True, exist_ok=True)
        log_file = folder / f"worker-{index}.log"
        arguments = ["--plugins", json.dumps(place.plugins), "--threads", str(place.threads)]
        arguments += ["--parent", str(os.getpid())]
        if self._options.runner != LocalOptions.runner:
            arguments += ["--runner", self._options.runner]
        log_file.touch()
        surroundings = processes.environment(place.threads, offline=place.offline)
        # What one trial compiled another finds, and the run leaves nothing outside its folder.
        surroundings.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "compiled"))
        surroundings |= self._cards.environment(index) if self._cards is not None else {}
        child = processes.start("seedbed.worker", arguments, log_file, surroundings, self._options.python)
        worker = Worker(child, log_file, index=index, strikes=strikes)
        worker.listen(lambda who, message: self._inbox.put((who, message)))
        return worker

    def _find_cards(self) -> Cards | None:
        """Return the GPUs on which trials are to run; None: there are none, or other devices are asked for."""
        place, options = self._workplace, self._options
        if place.device.partition(":")[0] not in ("auto", "cuda"):
            return None
        query: Query = resolve_name(options.gpus)
        found = asked_for(visible(query()), place.device)
        if not found:
            return None
        most = options.per_gpu or min(max((os.cpu_count() or 1) // len(found), 1), _MOST_ON_A_GPU)
        return Cards(found, query, workers=place.workers, most=most)

    def _seats(self) -> int:
        """Return how many workers to begin with."""
        place = self._workplace
        if self._cards is not None:
            return self._cards.seats
        # Of these a process takes the whole: memory is not kept apart on the one, and the other has one owner.
        return 1 if place.device.partition(":")[0] in ("mps", "xla") or _is_apple(place) else max(place.workers, 1)

    def _look_after(self) -> None:
        now, options = time.monotonic(), self._options
        for worker in self._workers:
            worker.look_after(
                now,
                patience=options.patience,
                start_seconds=options.start_seconds,
                mercy=options.mercy,
                silence=options.silence,
            )
        for worker in [worker for worker in self._workers if worker.is_lost]:
            self._bury(worker)

    def _assign(self) -> None:
        """Hand waiting jobs to free workers, those that are ready first; on a GPU once there is memory for them."""
        free = [worker for worker in self._workers if worker.takes_jobs and worker.job is None]
        free.sort(key=lambda worker: not worker.is_ready)
        while free and self._waiting:
            worker, job = free[0], self._waiting[0]
            if self._cards is not None:
                found = self._cards.place(job, [each.index for each in free])
                if found is None:
                    return
                worker, job = next(each for each in free if each.index == found[0]), found[1]
            free.remove(worker)
            if worker.take(job):
                self._waiting.popleft()
            elif self._cards is not None:
                self._cards.forget(job, worker.index)
        busy = [worker for worker in self._workers if worker.job is not None]
        if self._cards is not None and self._cards.wants_more(len(busy)):
            self._workers.append(self._start(self._cards.add_seat()))

    def _hear(self, worker: Worker, message: Message) -> None:
        if worker not in self._workers:
            return  # buried already
        worker.heard = time.monotonic()
        match message:
            case Alive():
                pass
            case Ready():
                worker.is_up()
            case Broken():
                worker.broken = message.traceback
            case Garbled():
                log.error("Worker %d sent what is no event: %s", worker.index, message.error)
                worker.end("its worker sent what is no event", self._options.mercy)
            case Gone():
                self._bury(worker)
            case _ if worker.job is not None:
                self._events.append(message)
                if self._cards is not None:
                    self._cards.hear(message)
                    self._wonder(message)
                if isinstance(message, TERMINAL):
                    worker.job = None

    def _wonder(self, event: Event) -> None:
        """Say once that trials run on the processor though there are GPUs."""
        if isinstance(event, TrialPlanned) and event.device == "cpu" and not self._wondered:
            self._wondered = True
            log.warning("There is a GPU, and torch does not use it: trials run on the processor. Run `seedbed doctor`.")

    def _bury(self, worker: Worker) -> None:
        """Account for the job of a dead worker, and put a fresh worker in its place."""
        self._workers.remove(worker)
        worker.reap()
        if self._cards is not None and worker.job is not None:
            self._cards.forget(worker.job, worker.index)
        if worker.is_ready:
            log.warning("Worker %d died and is replaced: %s", worker.index, worker.last_words())
            if worker.job is not None:
                self._events.append(worker.obituary(worker.job))
            self._replace(worker, strikes=0)
            return
        if worker.job is not None and worker.is_stopping:
            self._events.append(stopped(worker.job, _NEVER_BEGAN))
        elif worker.job is not None:  # it never began: let another worker have it
            self._waiting.appendleft(worker.job)
        report = worker.broken or worker.last_words()
        log.error("Worker %d cannot start: %s", worker.index, report)
        if worker.broken or worker.ending or worker.strikes + 1 >= _STRIKES:
            self._broken = f"{_summary(report)} (all of it: {worker.log_file})"
        else:
            self._replace(worker, strikes=worker.strikes + 1)

    def _replace(self, worker: Worker, strikes: int) -> None:
        try:
            self._workers.append(self._start(worker.index, strikes))
        except OSError as error:  # no memory or no process left; the other workers may still do
            log.exception("Worker %d cannot be replaced.", worker.index)
            self._broken = f"{error}"

    def _insist_on_workers(self) -> None:
        if not self._workers:
            cause = self._broken or "none was started; enter the backend with `with` first"
            raise PluginError(f"No worker process can run: {cause}. Run `seedbed doctor`.")


class CudaBackend(LocalBackend):
    """The same, but it does not begin without a GPU."""

    def __enter__(self) -> LocalBackend:
        """Start the workers.

        Raises:
            PluginError: there is no GPU to be had, and why.
        """
        device = self._workplace.device
        if device.partition(":")[0] not in ("auto", "cuda"):
            raise PluginError(f"The backend cuda trains on GPUs alone, and --device {device} was given; take auto.")
        return super().__enter__()

    def submit(self, job: Job) -> None:
        """Hand a job over; it fails where torch does not find the GPU that the driver tells of."""
        super().submit(replace(job, device="cuda") if job.device == "auto" else job)

    def _find_cards(self) -> Cards:
        found = super()._find_cards()
        if found is None:
            raise PluginError(
                "The backend cuda needs an NVIDIA GPU, and the driver tells of none that is visible here "
                "(CUDA_VISIBLE_DEVICES may hide it); run `seedbed doctor`, or take --backend local."
            )
        return found


def _is_apple(place: Workplace) -> bool:
    """Whether `auto` means an Apple GPU here."""
    return place.device == "auto" and sys.platform == "darwin" and platform.machine() == "arm64"


def _summary(report: str) -> str:
    """The line that says it: a traceback's last, the first of any other report."""
    lines = report.strip().splitlines()
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]
