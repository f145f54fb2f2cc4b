"""What a container writes, brought to CloudWatch Logs and, by the metric definitions, to CloudWatch."""

from __future__ import annotations

import contextlib
import math
import re
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from seedbed.plugins.amazon.rehearsal.wire import Json

MOST_BYTES = 200_000  # of one event; longer lines are cut
_PATIENCE = 10.0  # seconds; without namespaces, a process that left its group may hold the pipe
_BATCH = 100  # events of one request: far below the service's 1 MiB with ordinary lines


def metrics_in(line: str, definitions: Sequence[tuple[str, re.Pattern[str]]]) -> list[tuple[str, float]]:
    """The metrics that the definitions find in a line: the first group of each match, where it is a number."""
    found = []
    for name, pattern in definitions:
        for match in pattern.finditer(line):
            with contextlib.suppress(ValueError, IndexError, TypeError):
                found.append((name, float(match.group(1))))
    return found


class Pump:
    """Reads a container's output in a thread of its own; `flush` puts it up.

    `metrics` holds the last value and its time by name. Lines also go to `copy`, a file on this machine.
    """

    def __init__(
        self, clients: Mapping[str, Any], group: str, stream: str, copy: Path, definitions: Sequence[Json] = ()
    ) -> None:
        self.metrics: dict[str, tuple[float, float]] = {}
        self.last = ""
        self._logs, self._watch = clients["logs"], clients["cloudwatch"]
        self._group = group
        self._stream = stream
        self._copy = copy
        self._definitions = [(each["Name"], re.compile(each["Regex"])) for each in definitions]
        self._events: list[Json] = []
        self._points: list[Json] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        with contextlib.suppress(self._logs.exceptions.ResourceAlreadyExistsException):
            self._logs.create_log_group(logGroupName=group)
        with contextlib.suppress(self._logs.exceptions.ResourceAlreadyExistsException):
            self._logs.create_log_stream(logGroupName=group, logStreamName=stream)

    def start(self, output: IO[bytes]) -> None:
        """Read `output` until it ends."""
        self._thread = threading.Thread(target=self._read, args=(output,), name=f"log {self._stream}", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Put up the rest, once the container has ended."""
        if self._thread is not None:
            self._thread.join(_PATIENCE)
        self.flush()

    def flush(self) -> None:
        """Put up what was read since the last time."""
        with self._lock:
            events, self._events = self._events, []
            points, self._points = self._points, []
        for start in range(0, len(events), _BATCH):
            self._logs.put_log_events(
                logGroupName=self._group, logStreamName=self._stream, logEvents=events[start : start + _BATCH]
            )
        for start in range(0, len(points), _BATCH):
            self._watch.put_metric_data(Namespace=self._group, MetricData=points[start : start + _BATCH])

    def _read(self, output: IO[bytes]) -> None:
        with output, self._copy.open("a", encoding="utf-8") as copy:
            for raw in output:
                line = raw[:MOST_BYTES].decode(errors="replace").rstrip("\r\n")
                copy.write(line + "\n")
                copy.flush()
                self._take(line, time.time())

    def _take(self, line: str, now: float) -> None:
        job = self._stream.partition("/")[0]
        with self._lock:
            self.last = line
            self._events.append({"timestamp": int(now * 1000), "message": line or " "})
            for name, value in metrics_in(line, self._definitions):
                if not math.isfinite(value):  # CloudWatch refuses these
                    continue
                self.metrics[name] = value, now
                dimensions = [{"Name": "TrainingJobName", "Value": job}]
                self._points.append({"MetricName": name, "Dimensions": dimensions, "Value": value, "Timestamp": now})
