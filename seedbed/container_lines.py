"""What a job in a container says on stdout, for whoever reads its log elsewhere: facts for us, numbers for the service.

seedbed-event {"attempt": 1, "number": 17, "event": "EpochFinished", …}
seedbed-metric epoch=3.0 score=0.91 valid_loss=0.31 train_loss=0.2;
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from seedbed.core.errors import DataError, TrialError
from seedbed.core.search.events import EpochFinished, Event, TrialFinished, from_builtins

EVENT = "seedbed-event "
METRIC = "seedbed-metric "

MOST_BYTES = 200_000
"""Of one line. CloudWatch Logs takes events of 256 KB; the rest is left for what a log driver may put around it."""

_MEASURED = ("epoch", "score", "valid_loss", "train_loss")

METRICS = tuple((f"seedbed:{name}", rf"{METRIC.strip()}.* {name}=([-+.0-9e]+)[ ;]") for name in _MEASURED)
"""Names and regular expressions with which the service finds the numbers: a training job's MetricDefinitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An event as it was read from a log: `number` counts those of one `attempt`, both from 1."""

    attempt: int
    number: int
    event: Event


def event_line(line: bytes, attempt: int, number: int) -> bytes:
    """Return the line, without its end, that tells an event, given as `to_line` writes it.

    One of more than `MOST_BYTES` loses the middle of its longest texts, the traceback as a rule.

    Raises:
        TrialError: it is too long even without its texts.
    """
    found: dict[str, Any] = {"attempt": attempt, "number": number, **msgspec.json.decode(line)}
    while len(told := EVENT.encode() + msgspec.json.encode(found)) > MOST_BYTES:
        longest = max((key for key in found if isinstance(found[key], str)), key=lambda key: len(found[key]))
        if len(found[longest]) < 100:
            raise TrialError(f"This {found['event']} takes {len(told)} bytes, and a log takes {MOST_BYTES} a line.")
        found[longest] = _shortened(found[longest])
    return told


def _shortened(text: str) -> str:
    kept = len(text) * 3 // 8
    return f"{text[:kept]}\n[…]\n{text[-kept:]}"


def metric_line(event: Event) -> bytes:
    """Return the line, without its end, with an event's numbers; empty where there are none.

    Values that are missing or not finite are left out: the service refuses them. The end of a trial tells the score of
    what was kept once more, because a tuning job takes the last value for the objective.
    """
    if isinstance(event, EpochFinished):
        measured = {name: getattr(event, name) for name in _MEASURED}
    elif isinstance(event, TrialFinished):
        measured = {"epoch": event.epochs, "score": event.score}
    else:
        return b""
    told = [
        f"{name}={float(value)!r}" for name, value in measured.items() if value is not None and math.isfinite(value)
    ]
    return f"{METRIC}{' '.join(told)};".encode() if told else b""


def heard(line: str) -> Heard | None:
    """Read a line of the log back, whatever stands before the event; None for one that tells none.

    Raises:
        DataError: it should tell one, and does not: it was cut, or another version wrote it.
    """
    _, found, text = line.partition(EVENT)
    if not found:
        return None
    try:
        row = msgspec.json.decode(text, type=dict[str, Any])
        attempt, number = int(row.pop("attempt")), int(row.pop("number"))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"This line of a log tells no event: {line[:80]!r} ({error!r}).") from error
    return Heard(attempt=attempt, number=number, event=from_builtins(row))
