"""What runs in a container of Amazon SageMaker: `python -m seedbed.container train`, `study` or `serve`.

Training reads the container's folders as the service lays them out, below /opt/ml, and needs neither its toolkit nor an
account. The channel `job` holds `job.json`, whose paths start at that base folder:

    {"job": {"kind": "TrialJob", …}, "plugins": ["input/data/code/mine.py"], "runner": "module:function", "tuned": true}

A tuned job takes the point that a tuning service drew, its hyperparameters, instead of its own candidate; `space.json`
beside it holds the space. Its folder goes to `model/` at the end, because the jobs of a tuning job share one address
for checkpoints.

Events go to stdout (container_lines.py), what plugins print to stderr. Exit status 0 says that the trial finished, was
stopped or was refused; 1 that it failed, or that it could not begin: `output/failure`, which the console shows, has the
words. A trial that failed has told that in an event; one that could not begin has told none. 143: ended by a second
SIGTERM; 128 + n: killed by signal n.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import msgspec

from seedbed.container_lines import event_line, metric_line
from seedbed.core.errors import DataError, PluginError, UsageError
from seedbed.core.search import parcel
from seedbed.core.search.attempting import attempt
from seedbed.core.search.candidate import Job, TrialJob
from seedbed.core.search.compose import candidate_of, versions_of
from seedbed.core.search.events import EvaluationFailed, Event, TrialFailed, to_line
from seedbed.core.search.flat import from_rows, point
from seedbed.keeper import keep
from seedbed.worker import RUNNER, open_runner, private_streams, to_job

if TYPE_CHECKING:
    from seedbed.registry.registry import Registry

log = logging.getLogger(__name__)

BASE = "/opt/ml"
MOST_WORDS = 1024
"""Characters of `output/failure` that the service shows as the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What `job.json` says, with absolute paths; `space` has the rows of what was drawn from, for a tuned job."""

    job: Job
    plugins: tuple[str, ...] = ()
    runner: str = RUNNER
    space: tuple[Mapping[str, Any], ...] | None = None


class Console:
    """Tells events, and their numbers, on stdout; `failure` keeps the words of the one that says that a job failed."""

    def __init__(self, stream: BinaryIO, attempt: int) -> None:
        self._stream, self._attempt = stream, attempt
        self._number = 0
        self._lock = threading.Lock()
        self.failure: tuple[str, str] | None = None

    def say(self, event: Event) -> None:
        """Tell one event now."""
        with self._lock:
            told = event_line(to_line(event), self._attempt, self._number + 1)
            self._number += 1
            numbers = metric_line(event)
            self._stream.write(told + b"\n" + (numbers + b"\n" if numbers else b""))
            self._stream.flush()
        if isinstance(event, TrialFailed | EvaluationFailed):
            self.failure = event.error, event.traceback


def train(base: Path, stream: BinaryIO, environment: Mapping[str, str], stop: threading.Event) -> int:
    """Do the job that lies in the container's folders; return the exit status."""
    return _explained(base, lambda: _train(base, stream, environment, stop))


def _train(
    base: Path, stream: BinaryIO, environment: Mapping[str, str], stop: threading.Event
) -> tuple[str, str] | None:
    name = environment.get("TRAINING_JOB_NAME", "")
    order = read_order(base, name)
    number = count_attempt(base / "checkpoints", name)
    log.info("Attempt %d of %s on %s.", number, name or "a job without a name", _machine(base))
    job = _settled(base, order)
    run = open_runner(order.runner, order.plugins, job.threads)
    console = Console(stream, number)
    attempt(job, console.say, stop.is_set, run)
    if order.space is not None:
        _keep_model(job, base / "model")
    return console.failure


def _study(base: Path, stream: BinaryIO, environment: Mapping[str, str], stop: threading.Event) -> int:
    """Do the study that lies in the container's folders; return the exit status."""
    return _explained(base, lambda: resolve_name("seedbed.container_study:study")(base, stream, environment, stop))


def _explained(base: Path, do: Callable[[], tuple[str, str] | None]) -> int:
    """Do something; leave the words of its failure where the service looks for them, and return the exit status."""
    try:
        failure = do()
    except BaseException as error:  # a broken torch or plugin raises what it likes
        log.exception("This job cannot be done.")
        failure = _words(error), traceback.format_exc()
    if failure is None:
        return 0
    write_failure(base, *failure)
    return 1


def read_order(base: Path, name: str = "") -> Order:
    """Read `job.json`; a tuned trial gets a folder with the job's name, apart from those of its siblings.

    Raises:
        DataError: it is missing, or is no order.
    """
    file = base / "input/data/job/job.json"
    if not file.is_file():
        channels = ", ".join(sorted(configured(base, "inputdataconfig"))) or "none"
        raise DataError(f"There is no {file}; a channel `job` must hold it. Channels of this job: {channels}.")
    try:
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        job = to_job(found["job"])
        plugins = local_plugins(base, found.get("plugins", ()))
        runner, tuned = found.get("runner") or RUNNER, bool(found.get("tuned"))
        space = tuple(msgspec.json.decode(file.with_name("space.json").read_bytes())) if tuned else None
    except (msgspec.MsgspecError, OSError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is no order for a job ({error!r}); another version may have written it.") from error
    if space is not None and name and isinstance(job, TrialJob):
        job = replace(job, folder=f"{job.folder}/{name}")
    return Order(job=parcel.relocated(job, lambda path: base / path), plugins=plugins, runner=runner, space=space)


def local_plugins(base: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Return how plugins are asked for here: files lie below the base folder, modules have their names."""
    return tuple(str(base / each) if each.endswith(".py") else each for each in names)


def opened_registry(plugins: Sequence[str]) -> Registry:
    """Open the registry.

    Raises:
        PluginError: one of the plugins cannot be had.
    """
    from seedbed.api import open_registry

    registry = open_registry(plugins)
    if broken := [each for each in registry.broken if each.asked and not each.kind]:
        raise PluginError("\n".join(f"The plugin {each.name} cannot be used: {each.reason}" for each in broken))
    return registry


def _settled(base: Path, order: Order) -> Job:
    """Return the job with the candidate that it is to train, once it is certain that its plugins can be had."""
    registry = opened_registry(order.plugins)
    if order.space is None:
        return order.job
    if not isinstance(order.job, TrialJob):
        raise UsageError("An evaluation cannot be tuned; give a TrialJob.")
    drawn = {name: str(value) for name, value in configured(base, "hyperparameters").items()}
    values = point(from_rows(order.space), drawn)
    return replace(order.job, candidate=candidate_of(values, versions_of(registry)))


def count_attempt(folder: Path, name: str = "") -> int:
    """Return how often the job has begun by now, this time included, from a counter that is kept with its checkpoints.

    It begins again where its machine was taken away. Jobs that share a folder have a counter each.
    """
    file = folder / (f"attempt-{name}" if name else "attempt")
    number = int(file.read_text(encoding="ascii")) + 1 if file.is_file() else 1
    folder.mkdir(parents=True, exist_ok=True)
    written = file.with_name(f".{file.name}.new")
    written.write_text(str(number), encoding="ascii")
    written.replace(file)  # the service may copy the folder at any time
    return number


def configured(base: Path, name: str) -> dict[str, Any]:
    """Return what the service says in one of its files of configuration; nothing where there is no such file."""
    file = base / "input/config" / f"{name}.json"
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Any]) if file.is_file() else {}


def _machine(base: Path) -> str:
    found = configured(base, "resourceconfig")
    return f"{found.get('current_instance_type', 'an unknown machine')}, {found.get('current_host', 'one host')}"


def _keep_model(job: Job, model: Path) -> None:
    if isinstance(job, TrialJob) and (folder := Path(job.folder)).is_dir():
        shutil.copytree(folder, model, dirs_exist_ok=True)


def write_failure(base: Path, words: str, trace: str) -> None:
    """Leave the reason where the service looks for it: the end of the words first, the traceback below."""
    file = base / "output/failure"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{words[-MOST_WORDS:]}\n\n{trace}", encoding="utf-8", errors="backslashreplace")


def _words(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return (
            f"This container has no module {error.name!r}. Choose an image with {package}, or have it installed before "
            "the job begins: an image for training needs Python, PyTorch and what Seedbed requires."
        )
    return "".join(traceback.format_exception_only(error)).strip()


def _killed(base: Path) -> Callable[[signal.Signals], None]:
    def tell(by: signal.Signals) -> None:
        hint = " The machine's memory may have been full." if by == signal.SIGKILL else ""
        write_failure(base, f"The process of the job was ended by {by.name}.{hint} Its log may say more.", "")

    return tell


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Be what the container is for."""
    parser = argparse.ArgumentParser(prog="python -m seedbed.container", description="Run in a SageMaker container.")
    parser.add_argument("what", choices=["train", "study", "serve"])
    base = Path(os.environ.get("SAGEMAKER_BASE_DIR") or BASE)
    what = parser.parse_args(arguments).what
    if what == "serve":
        sys.exit(resolve_name("seedbed.serving:serve_container")(base, os.environ))

    def work(stop: threading.Event) -> int:
        logging.basicConfig(level=logging.INFO)
        faulthandler.enable()  # a crash in native code leaves its stack in the log
        _, stream = private_streams()
        do = _study if what == "study" else train
        return do(base, stream, os.environ, stop)

    sys.exit(keep(work, _killed(base)))


if __name__ == "__main__":
    main()
