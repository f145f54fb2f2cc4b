"""A whole study in a container of Amazon SageMaker: `python -m seedbed.container study`.

The channel `job` holds `study.json`, whose paths start at the container's base folder:

    {"order": {"settings": {…}, "run": "input/data/run", "data": "input/data/data", …}, "plugins": []}

The run is done in `checkpoints/run`, which the service keeps in the bucket as it grows; it begins with what the channel
`run` holds, and goes on where another machine left it. Its events go to stdout, as those of a trial.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from seedbed import __version__
from seedbed.container import Console, configured, count_attempt, local_plugins, opened_registry
from seedbed.core.data.preparing.prepare_again import open_again
from seedbed.core.engine import go_on
from seedbed.core.errors import DataError
from seedbed.core.protocols import Workplace
from seedbed.core.runfolder import RunFolder
from seedbed.core.search.events import Event
from seedbed.core.search.handover import StudyOrder
from seedbed.core.search.history import History
from seedbed.core.search.journal import read
from seedbed.core.session import Request

log = logging.getLogger(__name__)

_FILE = "study.json"


@dataclass(frozen=True, slots=True)
class Teller:
    """A monitor that tells every event on the container's console."""

    console: Console

    def on_event(self, event: Event, history: History) -> None:
        """Tell it."""
        self.console.say(event)

    def close(self) -> None:
        """Nothing is open."""


def study(base: Path, stream: BinaryIO, environment: Mapping[str, str], stop: threading.Event) -> None:
    """Do what the channel asks for, from where it was left.

    Raises:
        SeedbedError: as `engine.go_on`; or the order cannot be read.
    """
    order, plugins = read_study(base)
    number = count_attempt(base / "checkpoints")
    log.info("Attempt %d of %s.", number, environment.get("TRAINING_JOB_NAME", "a study without a name"))
    registry = opened_registry(plugins)
    folder = RunFolder(base / "checkpoints" / "run")
    _make_ready(Path(order.run), folder)
    teller = Teller(Console(stream, number))

    def watch(workplace: Workplace) -> Teller:
        return teller

    with tempfile.TemporaryDirectory(prefix="seedbed-") as cache:
        go_on(
            Request(
                settings=order.settings,
                asked=order.asked,
                lookup=registry,
                cache=Path(cache),
                # A run that goes on counts from now what its journal does not tell of: waiting counts as well.
                began=order.began + History(read(folder.journal)).seconds,
                plugins=registry.plugins,
                monitors=[watch],
                cancelled=stop.is_set,
                version=__version__,
                out=folder.path,
                resume=True,
            ),
            open_again(order.modality, Path(order.data), order.tokens, folder.vocabulary),
            order.schema,
        )


def read_study(base: Path) -> tuple[StudyOrder, tuple[str, ...]]:
    """Read `study.json`; return the order with absolute paths, and its plugins.

    Raises:
        DataError: it is missing, or is no order.
    """
    file = base / "input/data/job" / _FILE
    if not file.is_file():
        channels = ", ".join(sorted(configured(base, "inputdataconfig"))) or "none"
        raise DataError(f"There is no {file}; a channel `job` must hold it. Channels of this job: {channels}.")
    try:
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        order = msgspec.convert(found["order"], StudyOrder)
        plugins = local_plugins(base, found.get("plugins", ()))
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is no order for a study ({error!r}); another version may have written it.") from error
    tokens = str(base / order.tokens) if order.tokens else ""
    return replace(order, run=str(base / order.run), data=str(base / order.data), tokens=tokens), plugins


def _make_ready(sent: Path, folder: RunFolder) -> None:
    """Lay out the run's folder, unless it came with the checkpoints of another machine."""
    if not folder.is_run:
        partial = folder.path.with_name("run.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(folder.path, ignore_errors=True)
        shutil.copytree(sent, partial)
        partial.rename(folder.path)
    # Its owner was another machine's process: the number may be one of ours by now.
    folder.journal.with_name("journal.lock").unlink(missing_ok=True)
