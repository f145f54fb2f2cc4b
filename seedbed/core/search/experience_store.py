"""Where runs leave their experience: a line of JSON each in a file of the cache folder; an edge.

Several processes may write at once: a line is one write at the file's end. Nothing here costs a run: what
cannot be read is passed over, what cannot be written is logged. The file never leaves the machine.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import msgspec

from seedbed.core.errors import SeedbedError
from seedbed.core.search.experience import Cost, Facts, Machine, RunRecord, Tried, digest
from seedbed.core.search.history import History, Trial
from seedbed.core.search.tally import kin_of

MOST_RUNS, MOST_BYTES = 500, 2_000_000
_KEPT = 0.8
"""Of the most there may be, what a full file is cut down to: rewriting it at every run would invite collisions."""

_MOST_TRIED, _MOST_OF_A_KIN, _MOST_COSTS = 5, 2, 20

_DECODER = msgspec.json.Decoder(RunRecord)

log = logging.getLogger(__name__)


def store_file(cache: Path) -> Path:
    """Return where the experience of this version's form lies."""
    return cache / "experience" / "v1.jsonl"


def recall(cache: Path) -> tuple[RunRecord, ...]:
    """Return what earlier runs left, the latest last; of a run that was resumed, what it left at its last end."""
    path = store_file(cache)
    found: dict[str, RunRecord] = {}
    broken = 0
    for line in _lines(path):
        try:
            record = _DECODER.decode(line)
        except (msgspec.DecodeError, SeedbedError):  # the latter from values that check themselves
            broken += 1
            continue
        found.pop(record.run, None)
        found[record.run] = record
    if broken:
        log.warning("%d lines of %s cannot be read and are passed over; the file may be deleted.", broken, path)
    return tuple(found.values())


def remember(cache: Path, record: RunRecord) -> None:
    """Write down what a run learnt, and forget the oldest runs where there are too many."""
    path = store_file(cache)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A line that another process died over has no end: so each begins with one. Unbuffered, it is one write.
        with path.open("ab", buffering=0) as file:
            file.write(b"\n" + msgspec.json.encode(record) + b"\n")
        _shorten(path)
    except (OSError, UnicodeEncodeError) as error:
        log.warning("What this run learnt could not be written to %s: %s", path, error)


def _lines(path: Path) -> list[bytes]:
    """Return the whole lines of the store, no more than the last of a file that is far too large."""
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 2 * MOST_BYTES, 0))
            content = file.read(2 * MOST_BYTES + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("The experience of earlier runs in %s cannot be read: %s", path, error)
        return []
    return [line for line in content.split(b"\n") if line.strip()]


def _shorten(path: Path) -> None:
    """Keep the latest runs of a store that has grown too large.

    A run that ends between the reading and the replacing is forgotten: experience may lack a run, never be broken.
    """
    lines = _lines(path)
    if len(lines) <= MOST_RUNS and path.stat().st_size <= MOST_BYTES:
        return
    kept: list[bytes] = []
    room = _KEPT * MOST_BYTES
    for line in reversed(lines):
        room -= len(line) + 2
        if room < 0 or len(kept) >= _KEPT * MOST_RUNS:
            break
        kept.append(line)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(b"".join(line + b"\n" for line in reversed(kept)))
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def record_of(history: History, machine: Machine, version: str) -> RunRecord | None:
    """Return what is worth keeping of a run, None where no candidate came to its end."""
    profile = history.profile
    finished = [trial for trial in history if trial.result is not None]
    candidates = [trial for trial in finished if trial.role == "candidate"]
    if profile is None or not candidates:
        return None
    worth = profile.task.worth
    bar = max((worth(trial.score) for trial in finished if trial.role == "baseline"), default=float("-inf"))
    ordered = sorted(candidates, key=lambda trial: (-worth(trial.score), trial.number))
    places = {trial.number: rank for rank, trial in enumerate(ordered, start=1)}
    devices = [trial.plan.device for trial in finished if trial.plan is not None]
    return RunRecord(
        run=_run_of(profile.fingerprint, finished[0]),
        version=version,
        facts=Facts.of(profile),
        machine=machine,
        trained_on=devices[-1].partition(":")[0] if devices else "",
        tried=tuple(_tried(each, places[each.number], worth(each.score) > bar) for each in _best(ordered)),
        costs=tuple(_costs(finished, profile.size)),
    )


def _run_of(fingerprint: str, first: Trial) -> str:
    """Name a run by what its first trial took and reached: that stays when it is resumed, and is like no other's."""
    result = first.result
    return digest(fingerprint, first.started, result and (result.seconds, result.score, result.row_seconds))


def _best(ordered: Sequence[Trial]) -> Iterator[Trial]:
    """Yield the best few, not all of one kin: the neighbours of a winner say little more than it does."""
    taken: Counter[tuple[object, object]] = Counter()
    for trial in ordered:
        kin = kin_of(trial.candidate.values)
        if _is_private(trial) or taken[kin] >= _MOST_OF_A_KIN:
            continue
        taken[kin] += 1
        yield trial
        if taken.total() == _MOST_TRIED:
            return


def _is_private(trial: Trial) -> bool:
    """Whether a value that the user has set may be a path."""
    return any(isinstance(value, str) and ("/" in value or "\\" in value) for value in trial.candidate.values.values())


def _tried(trial: Trial, rank: int, beats_baseline: bool) -> Tried:
    return Tried(
        values=dict(trial.candidate.values),
        versions=dict(trial.candidate.versions),
        score=trial.score or 0.0,
        rank=rank,
        seconds=trial.seconds,
        epochs=trial.result.epochs if trial.result else 0.0,
        fidelity=replace(trial.fidelity, cuts=()),
        beats_baseline=beats_baseline,
    )


def _costs(finished: Sequence[Trial], size: int) -> Iterator[Cost]:
    """Yield what an epoch took the kins that were trained most often."""
    kins: dict[tuple[object, object], list[Cost]] = {}
    for trial in finished:
        values, result = trial.candidate.values, trial.result
        if result is None or result.epochs <= 0 or _is_private(trial):
            continue
        resolution = round((int(values.get("resolution", 0)) or size) * trial.fidelity.resolution)
        seconds = result.seconds / result.epochs / trial.fidelity.subset
        architecture, policy = kin_of(values)
        cost = Cost(architecture=str(architecture), policy=str(policy), seconds=seconds, resolution=resolution)
        kins.setdefault((architecture, policy), []).append(cost)
    for seen in sorted(kins.values(), key=len, reverse=True)[:_MOST_COSTS]:
        seconds = median(each.at(seen[0].resolution).seconds for each in seen)
        yield replace(seen[0], seconds=seconds, count=len(seen))
