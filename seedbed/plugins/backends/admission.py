"""Which trial may begin on which GPU beside those that run there, and how many at a time are worth it: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from seedbed.core.search.candidate import EvaluationJob, Job, TrialJob

CONTEXT_BYTES = 512 * 1024 * 1024
"""What CUDA takes for a process beside what torch's allocator has."""

_MARGIN = 1.15
"""On the most that an earlier trial of the same net had reserved: augmenters and looks differ a little."""

_KEPT_FREE = 0.02
"""Of a card, for what the driver and the desktop do."""

_WORTH = 1.1
"""How many times as much work twice as many trials at a time must do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A GPU as it is now, in bytes: all, what is free by the driver, what programs other than ours hold.

    `slots` is how many workers are free on it. A `total_bytes` of 0: nobody knows, and trials run one at a time.
    """

    uuid: str
    total_bytes: int
    free_bytes: int
    foreign_bytes: int = 0
    slots: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a running trial was promised of a card, in bytes; None: as much as it takes, which nobody knows yet."""

    uuid: str
    trial: int
    need: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a trial may begin; it may take `most_bytes`, which are promised to nobody else, 0 for all there is."""

    uuid: str
    most_bytes: int = 0


def need_of(peak_bytes: int | None) -> int | None:
    """Return what to promise a trial, by the most that one like it had reserved; None where none has run yet."""
    return None if peak_bytes is None else round(_MARGIN * peak_bytes) + CONTEXT_BYTES


def admit(cards: Sequence[Card], running: Sequence[Share], need: int | None) -> Place | None:
    """Return where a trial may begin now, the emptiest card first; None: it has to wait.

    A trial of which nobody knows what it takes begins alone on a card, and until that is known none begins beside it.
    What a card has room for, a trial alone on it included, is what its total leaves after other programs and the
    promises made. A trial that is alone begins in any case: if it does not fit it finds out, and halves its batches.
    """
    places: list[tuple[int, int, Place]] = []
    for card in cards:
        shares = [each for each in running if each.uuid == card.uuid]
        if not card.slots:
            continue
        if not shares:
            places.append((0, -card.free_bytes, Place(uuid=card.uuid)))
            continue
        promised = [each.need for each in shares if each.need is not None]
        if need is None or not card.total_bytes or len(promised) < len(shares):
            continue
        room = round((1.0 - _KEPT_FREE) * card.total_bytes) - card.foreign_bytes - sum(promised)
        if need <= min(room, card.free_bytes):
            places.append((len(shares), -room, Place(uuid=card.uuid, most_bytes=room - CONTEXT_BYTES)))
    return min(places, key=lambda each: each[:2])[2] if places else None


def admit_whole(cards: Sequence[Card], running: Sequence[Share], count: int) -> tuple[str, ...] | None:
    """Return the cards of a trial that goes over several, each wholly its own; None: it has to wait.

    As many as there are, where there are fewer. One of them must have a free worker, which starts the processes.
    """
    empty = [card for card in cards if not any(each.uuid == card.uuid for each in running)]
    wanted = min(count, len(cards))
    if len(empty) < wanted or not any(card.slots for card in empty):
        return None
    first = sorted(empty, key=lambda card: (not card.slots, -card.free_bytes))
    return tuple(card.uuid for card in first[:wanted])


def net_of(job: Job) -> tuple[object, ...] | None:
    """Return by what the memory of a trial can be told from that of another: the net and what goes through it at once.

    Numbers that are no whole ones are rates, of dropout and learning, and take nothing. None for an evaluation.
    """
    if isinstance(job, EvaluationJob):
        return None
    assert isinstance(job, TrialJob)
    values = job.candidate.values
    parts = ("architecture", "weights", "policy", "optimizer", "batch_size", "resolution", "augmenter", "regularizer")
    kept = {
        key: value
        for key, value in values.items()
        if key.partition(".")[0] in parts and not (isinstance(value, float) and not value.is_integer())
    }
    return (job.data, job.fidelity.resolution, *sorted(kept.items(), key=lambda each: each[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast a trial went: steps a second, with so many trials on its card on the average of its time."""

    net: object
    width: float
    steps_a_second: float


def gains(rates: Sequence[Rate]) -> dict[int, float]:
    """Return by the number of trials at a time how many times the work of one alone they do together.

    Each is held to the fastest of its own net alone; of nets that never ran alone nothing is known.
    """
    alone: dict[object, float] = {}
    for each in rates:
        if round(each.width) <= 1:
            alone[each.net] = max(alone.get(each.net, 0.0), each.steps_a_second)
    found: dict[int, list[float]] = {1: [1.0]}
    for each in rates:
        if round(each.width) > 1 and alone.get(each.net, 0.0) > 0.0:
            found.setdefault(round(each.width), []).append(each.width * each.steps_a_second / alone[each.net])
    return {width: median(each) for width, each in found.items()}


def next_width(found: Mapping[int, float], most: int) -> int:
    """Return how many trials to run on a card at a time: twice as many as long as that does clearly more work.

    `found` are the gains so far; while nothing is known of a width, it is tried.
    """
    width = 1
    while width < most:
        wider = min(2 * width, most)
        # A card is seldom full all the time, so what ran nearly as wide counts as well.
        known = [gain for each, gain in found.items() if width < each <= wider]
        if not known:
            return wider
        if max(known) < _WORTH * found.get(width, _best_below(found, width)):
            return width
        width = wider
    return width


def _best_below(found: Mapping[int, float], width: int) -> float:
    return max((gain for each, gain in found.items() if each <= width), default=1.0)
