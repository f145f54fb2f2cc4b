"""What a trial costs beyond its own work, backend by backend, side by side in one run.

Each trial sleeps for a known time, in which it tells of five looks. Several run at a time, on warm workers: the first
round is not counted. What is counted is the time from the first submit of a round until the last trial's end, over the
rounds of trials that fit into it, less what they slept.

    python benchmarks/backend_overhead.py [--trials 24] [--seconds 0.2] [--workers 2] [--backends inline,local,ray]
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from seedbed.core.data.profile import Profile
from seedbed.core.protocols import Backend, Workplace
from seedbed.core.search.candidate import Candidate, Fidelity, Job, TrialJob
from seedbed.core.search.events import TERMINAL, EpochFinished, Event, TrialFinished
from seedbed.core.task import Task
from seedbed.registry.registry import open_registry

LOOKS = 5

PROFILE = Profile(
    task=Task(modality="image", kind="classification", classes=("a", "b"), metric="accuracy"),
    examples=4,
    train=2,
    valid=2,
    test=0,
)


def sleep(job: Job, emit: Callable[[Event], None], should_stop: Callable[[], bool], desk: object) -> None:
    """Run a trial that sleeps, and tells of its looks meanwhile."""
    seconds = float(job.candidate.values["seconds"])
    for look in range(LOOKS):
        time.sleep(seconds / LOOKS)
        progress = (look + 1) / LOOKS
        emit(
            EpochFinished(
                trial=job.trial,
                epoch=progress,
                progress=progress,
                train_loss=1.0,
                valid_loss=1.0,
                score=0.5,
                seconds=progress * seconds,
                is_best=True,
            )
        )
    emit(TrialFinished(trial=job.trial, score=0.5, seconds=seconds, epochs=1.0, steps=1))


def job_of(trial: int, seconds: float, folder: Path) -> TrialJob:
    """Return a trial that sleeps so long."""
    return TrialJob(
        trial=trial,
        candidate=Candidate({"seconds": seconds}),
        fidelity=Fidelity(epochs=1),
        profile=PROFILE,
        data="",
        splits="",
        folder=str(folder / str(trial)),
        seed=0,
    )


def run(backend: Backend, jobs: list[TrialJob]) -> float:
    """Run all jobs, as many at a time as the backend takes; return the seconds until the last has ended."""
    began, left, waiting = time.perf_counter(), len(jobs), list(jobs)
    while left:
        while waiting and backend.free_slots():
            backend.submit(waiting.pop())
        left -= sum(isinstance(event, TERMINAL) for event in backend.poll(0.1))
    return time.perf_counter() - began


def measure(name: str, arguments: argparse.Namespace, folder: Path) -> list[float]:
    """Return the seconds beyond its sleep that a trial cost, of each round."""
    registry = open_registry(installed=False)
    spec = registry.get("backend", name)
    options = replace(spec.options(), runner="backend_overhead:sleep")
    place = Workplace(
        folder=folder,
        lookup=registry,
        workers=arguments.workers,
        workers_given=arguments.workers,
        threads=1,
    )
    found = []
    with registry.load(spec)(options, place) as backend:
        side_by_side = min(arguments.workers, backend.free_slots())
        for number in range(arguments.rounds + 1):
            jobs = [job_of(trial, arguments.seconds, folder) for trial in range(arguments.trials)]
            seconds = run(backend, jobs)
            slept = arguments.seconds * arguments.trials / side_by_side
            if number:  # the first round pays for starting workers
                found.append((seconds - slept) * side_by_side / arguments.trials)
    return found


def main() -> None:
    """Measure every backend and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backends", default="inline,local,ray")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {load:.1f}")
    print(f"{arguments.trials} trials of {arguments.seconds} s with {LOOKS} looks, {arguments.rounds} rounds, warm")
    print("backend   ms a trial beyond its own: median, least, most")
    for name in arguments.backends.split(","):
        with tempfile.TemporaryDirectory() as folder:
            found = [1000 * each for each in measure(name, arguments, Path(folder))]
        print(f"{name:8}  {median(found):8.1f} {min(found):8.1f} {max(found):8.1f}", flush=True)


if __name__ == "__main__":
    main()
