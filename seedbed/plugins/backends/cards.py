"""The GPUs of a backend: which worker has which, what runs there, and what was measured of it so far."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from seedbed.core.errors import PluginError
from seedbed.core.search.candidate import EVALUATION, Job, TrialJob
from seedbed.core.search.events import TERMINAL, EpochFinished, Event, TrialFinished
from seedbed.plugins.backends.admission import (
    CONTEXT_BYTES,
    Card,
    Place,
    Rate,
    Share,
    admit,
    admit_whole,
    gains,
    need_of,
    net_of,
    next_width,
)
from seedbed.plugins.backends.gpus import Gpu, Query, binding

log = logging.getLogger(__name__)

_REST_SECONDS = 60.0  # for which a driver that did not answer is left alone
_FRESH_SECONDS = 1.0  # so old may be what the driver said of free memory: asking takes a twentieth of a second and more


@dataclass(slots=True, kw_only=True)
class _Running:
    """A trial on a card, and on `others` if it has several.

    `area` is the number of trials on the card, itself included, summed over its time in seconds.
    """

    uuid: str
    worker: int
    net: object
    need: int | None
    began: float
    since: float
    area: float = 0.0
    others: tuple[str, ...] = ()


class Cards:
    """Hands out the GPUs' memory; changed by the backend's thread alone.

    Args:
        gpus: those that trials may run on.
        query: asks the driver again.
        workers: how many there are at first; every GPU has one at least.
        most: workers a GPU, at most.
    """

    def __init__(
        self,
        gpus: Sequence[Gpu],
        query: Query,
        *,
        workers: int,
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gpus = {each.uuid: each for each in gpus}
        self._query, self._clock = query, clock
        self._asked = -float("inf")
        self._most = most
        self._seats: list[str] = []
        for _ in range(max(workers, len(gpus))):
            self.add_seat()
        self._running: dict[int, _Running] = {}
        self._peaks: dict[object, int] = {}
        self._rates: list[Rate] = []
        self._warm: set[int] = set()
        self._foreign: dict[str, int] = {}

    @property
    def seats(self) -> int:
        """How many workers there are to be."""
        return len(self._seats)

    @property
    def count(self) -> int:
        """How many GPUs there are."""
        return len(self._gpus)

    def add_seat(self) -> int:
        """Make room for another worker on the GPU that has the fewest; return its number."""
        self._seats.append(min(self._gpus, key=self._seats.count))
        return len(self._seats) - 1

    def environment(self, worker: int) -> Mapping[str, str]:
        """Return what binds a worker to its GPU."""
        return binding(self._gpus[self._seats[worker]])

    def place(self, job: Job, free: Sequence[int]) -> tuple[int, Job] | None:
        """Return which free worker a job goes to, and the job with its share of memory; None: it has to wait."""
        self._refresh()
        cards = [
            Card(
                uuid=uuid,
                total_bytes=gpu.total_bytes,
                free_bytes=gpu.free_bytes,
                foreign_bytes=self._foreign.get(uuid, 0),
                slots=sum(self._seats[each] == uuid for each in free),
            )
            for uuid, gpu in self._gpus.items()
        ]
        shares = [
            Share(uuid=uuid, trial=trial, need=each.need)
            for trial, each in self._running.items()
            for uuid in (each.uuid, *each.others)
        ]
        if isinstance(job, TrialJob) and job.processes > 1:
            whole = admit_whole(cards, shares, job.processes)
            if whole is None:
                return None
            job = replace(job, device="cuda", processes=len(whole), gpus=whole)
            return self._begin(job, free, Place(uuid=whole[0]), need=None, others=whole[1:]), job
        need = self._need(job)
        found = admit(cards, shares, need)
        if found is None:
            return None
        if job.device.startswith("cuda"):  # its worker sees one GPU, whatever number that had here
            job = replace(job, device="cuda")
        if isinstance(job, TrialJob):
            job = replace(job, memory_bytes=found.most_bytes)
        return self._begin(job, free, found, need=need), job

    def _begin(
        self, job: Job, free: Sequence[int], place: Place, *, need: int | None, others: tuple[str, ...] = ()
    ) -> int:
        """Note that a job begins, and return on which of the free workers."""
        worker = next(each for each in free if self._seats[each] == place.uuid)
        now = self._clock()
        self._pass_time(place.uuid, now)
        self._running[job.trial] = _Running(
            uuid=place.uuid,
            others=others,
            worker=worker,
            net=None if others else net_of(job),  # over several cards a net takes something else of each
            need=need,
            began=now,
            since=now,
        )
        self._warm.add(worker)
        return worker

    def hear(self, event: Event) -> None:
        """Learn from what a trial says: what it takes, and at its end how fast it was."""
        trial: int = getattr(event, "trial", EVALUATION)
        running = self._running.get(trial)
        if running is None:
            return
        if isinstance(event, EpochFinished | TrialFinished) and event.peak_bytes and running.net is not None:
            self._peaks[running.net] = max(self._peaks.get(running.net, 0), event.peak_bytes)
            running.need = max(need_of(self._peaks[running.net]) or 0, running.need or 0)
        if isinstance(event, TERMINAL):
            self._end(trial, event)

    def forget(self, job: Job, worker: int) -> None:
        """Take back a job's share: its worker died, and with it what it had on the card."""
        self._warm.discard(worker)
        if job.trial in self._running:
            self._end(job.trial, None)

    def wants_more(self, busy: int) -> bool:
        """Whether another worker is worth starting: all are busy, and more trials a GPU may do more work together."""
        fewest = min(self._seats.count(each) for each in self._gpus)
        is_full = busy >= len(self._seats)
        return is_full and self._is_known() and fewest < next_width(gains(self._rates), self._most)

    def _is_known(self) -> bool:
        """Whether all that runs has a measured share: nothing may begin beside what has not."""
        return all(each.need is not None for each in self._running.values())

    def _need(self, job: Job) -> int | None:
        net = net_of(job)
        if net is not None:
            return need_of(self._peaks.get(net))
        return need_of(max(self._peaks.values(), default=None))  # an evaluation trains nothing: less than any trial

    def _end(self, trial: int, event: Event | None) -> None:
        running = self._running[trial]
        now = self._clock()
        self._pass_time(running.uuid, now)
        del self._running[trial]
        took = now - running.began
        if isinstance(event, TrialFinished) and event.steps and took > 0 and running.net is not None:
            rate = Rate(net=running.net, width=running.area / took, steps_a_second=event.steps / took)
            self._rates.append(rate)
            log.debug("Trial %d: %.1f steps a second, %.1f trials at a time.", trial, rate.steps_a_second, rate.width)

    def _pass_time(self, uuid: str, now: float) -> None:
        """Add the time since the last change on a card to those that were on it together."""
        there = [each for each in self._running.values() if each.uuid == uuid]
        for each in there:
            each.area += len(there) * (now - each.since)
            each.since = now

    def _refresh(self) -> None:
        """Ask the driver what is free, if it was not asked just now."""
        now = self._clock()
        if now - self._asked < _FRESH_SECONDS:
            return
        self._asked = now
        try:
            found = self._query()
        except PluginError as error:  # the run does not depend on an answer, and supervision waits meanwhile
            log.warning("%s What was free before is taken for free.", error)
            self._asked = self._clock() + _REST_SECONDS
            return
        for gpu in found:
            if gpu.uuid not in self._gpus:
                continue
            self._gpus[gpu.uuid] = gpu
            if not any(gpu.uuid in (each.uuid, *each.others) for each in self._running.values()):
                # What is held while none of our trials runs belongs to others, but for what our idle workers keep.
                idle = sum(self._seats[worker] == gpu.uuid for worker in self._warm)
                self._foreign[gpu.uuid] = max(gpu.total_bytes - gpu.free_bytes - idle * CONTEXT_BYTES, 0)
