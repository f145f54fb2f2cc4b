"""What earlier runs on this machine have to say for the next: points worth a try, and what an epoch takes. Pure.

A run leaves numbers and the names of components: how much data of which form there was, which candidates did
best, what an epoch took; never a path, the name of a class, or anything of the contents. What a later run
uses of it goes into that run's journal, as a `Prior`: so it can be resumed and replayed without the store.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from seedbed.core.data.profile import Profile
from seedbed.core.search.candidate import Fidelity
from seedbed.core.space import Choice, Param, Space, Value, Values
from seedbed.core.task import Modality, TaskKind

_MOST_ASKED = 20
"""Runs that points are taken from, the most alike ones: fitting a point into a large space takes a millisecond."""
_MOST_CLAIMS = 5
"""Runs that say what an epoch takes: those with the nearest number of rows."""

# By judgement, not measured: how many doublings of a fact make two sets of data differ by one.
_DOUBLINGS = {"rows": 3.0, "outputs": 2.0, "size": 1.0, "channels": 1.0, "length": 2.0, "imbalance": 3.0}
_OTHER_METRIC = _OTHER_JUDGEMENT = 0.5
_LEAST_ALIKE = 0.05
_FARTHEST = 10.0
"""How many times as much, or as little, work an epoch may be for the time of one to be told from the other."""
_NEAR = 0.1
"""Of a domain's width, how far numbers may lie apart for two points to be the same thing tried twice."""
_LATER_RANK = 0.6
"""What a place in a run is worth, of the place before it."""
_ABSURD = 1e15  # bytes, rows and seconds stay below it; a broken file may hold anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What makes data sets comparable; `data` stands for the content, so that the same is known again."""

    modality: Modality
    kind: TaskKind
    metric: str
    rows: int
    outputs: int
    size: int = 0
    channels: int = 0
    length: int = 0
    imbalance: float = 1.0
    folds: int = 0
    data: str = ""

    def __post_init__(self) -> None:
        _refuse_absurd(self.folds, *(getattr(self, name) for name in _DOUBLINGS))

    @classmethod
    def of(cls, profile: Profile) -> Facts:
        """Take the facts of a profile that tell nothing of what the data is about."""
        return cls(
            modality=profile.task.modality,
            kind=profile.task.kind,
            metric=profile.task.metric,
            rows=profile.train,
            outputs=profile.task.outputs,
            size=profile.size,
            channels=profile.channels,
            length=profile.lengths.usual if profile.lengths else 0,
            imbalance=profile.imbalance,
            folds=profile.folds,
            data=digest(profile.fingerprint) if profile.fingerprint else "",
        )

    def is_same_question(self, other: Facts) -> bool:
        """Whether scores can be compared: the same data and targets of the same form, judged alike."""
        asked = (self.data, self.kind, self.metric, self.outputs)
        return bool(self.data) and asked == (other.data, other.kind, other.metric, other.outputs)

    @property
    def work(self) -> float:
        """What an epoch's time grows with, beside the pixels: rows, how often they are learnt from, their length."""
        return max(self.rows, 1) * max(self.folds, 1) * max(self.length, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where times hold: `device` as it was asked for (auto, cpu, cuda), `threads` those of one trial."""

    cores: int
    threads: int
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One of the best trials of a run; `rank` counts from 1 among its candidates."""

    values: Mapping[str, Value]
    versions: Mapping[str, int]
    score: float
    rank: int
    seconds: float
    epochs: float
    fidelity: Fidelity
    beats_baseline: bool

    def __post_init__(self) -> None:
        _refuse_absurd(self.seconds, self.epochs, self.rank - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The seconds that an epoch of all training rows takes a kin at a resolution (0 where there are no pixels).

    `count` is how many trials say so; in a prior, how many runs.
    """

    architecture: str
    policy: str
    seconds: float
    resolution: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        _refuse_absurd(self.seconds, self.resolution, self.count)

    def at(self, resolution: int) -> Cost:
        """Return the cost at another resolution: convolutions cost in proportion to the pixels."""
        if not (resolution and self.resolution):
            return self
        return replace(self, seconds=self.seconds * (resolution / self.resolution) ** 2, resolution=resolution)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What is kept of a run, a line of the store; `run` tells it from others, `trained_on` is cpu, cuda, …"""

    run: str
    version: str
    facts: Facts
    machine: Machine
    trained_on: str = ""
    tried: tuple[Tried, ...] = ()
    costs: tuple[Cost, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPoint:
    """A point of this run's space that did well in `count` earlier runs; `seconds` is what it took where it did best.

    `is_same_data` where that was the very same data.
    """

    values: Mapping[str, Value]
    seconds: float
    count: int = 1
    is_same_data: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What a run knows beforehand, from `runs` earlier ones on data of its modality.

    Points of its space that are worth a try, the best first, and what an epoch of its rows takes, by kin.
    """

    runs: int = 0
    points: tuple[PastPoint, ...] = ()
    costs: tuple[Cost, ...] = ()

    def seconds_an_epoch(self, values: Values, size: int) -> float | None:
        """Return what an epoch of a candidate should take on images of this size (0: no images); None if unknown."""
        kin = (values.get("architecture"), values.get("policy"))
        found = next((each for each in self.costs if (each.architecture, each.policy) == kin), None)
        return None if found is None else found.at(int(values.get("resolution", 0)) or size).seconds


@dataclass(frozen=True, slots=True)
class Experience:
    """Earlier runs, the latest last, and the machine that asks them."""

    records: Sequence[RunRecord]
    machine: Machine

    def prior(self, profile: Profile, space: Space, k: int = 8, versions: Mapping[str, int] | None = None) -> Prior:
        """Return what these runs have to say for a run on this data; `versions` are those of today's components."""
        points = self.candidates(profile, space, k, versions)
        offered = {value for param in space.params if param.name == "architecture" for value in _options(param)}
        costs = tuple(_agreed(claims) for kin, claims in self._claims(profile).items() if kin[0] in offered)
        runs = sum(record.facts.modality == profile.task.modality for record in self.records)
        return Prior(runs=runs, points=points, costs=costs) if points or costs else Prior()

    def likeness(self, profile: Profile, record: RunRecord) -> float:
        """Return 1 for a run on data of the same facts, less the more they differ, 0 for another kind of task."""
        here, there = Facts.of(profile), record.facts
        if (here.modality, here.kind) != (there.modality, there.kind):
            return 0.0
        apart = sum(
            abs(math.log2(max(getattr(here, name), 1) / max(getattr(there, name), 1))) / doublings
            for name, doublings in _DOUBLINGS.items()
        )
        apart += _OTHER_METRIC * (here.metric != there.metric)
        apart += _OTHER_JUDGEMENT * (bool(here.folds) != bool(there.folds))
        return math.exp(-apart)

    def candidates(
        self, profile: Profile, space: Space, k: int, versions: Mapping[str, int] | None = None
    ) -> tuple[PastPoint, ...]:
        """Return at most k points that did well on data like this, the most promising first.

        Those of the very same data come first, by their scores; then what won most often on the most similar.
        What did not beat its run's baseline, or names a component that has changed since, is left out.
        """
        alike = ((self.likeness(profile, record), record) for record in reversed(self.records))
        asked = sorted((each for each in alike if each[0] >= _LEAST_ALIKE), key=lambda each: -each[0])[:_MOST_ASKED]
        groups: list[_Group] = []
        for likeness, record in asked:
            counted: set[int] = set()  # a run's own variants of its winner say the same thing once
            for point, rank in _points(record, profile, space, versions or {}):
                number = next((n for n, each in enumerate(groups) if _is_near(space, each.values, point.values)), None)
                if number is None:
                    number = len(groups)
                    groups.append(point)
                if number not in counted:
                    counted.add(number)
                    groups[number] = groups[number].joined(point, likeness * _LATER_RANK ** (rank - 1))
        groups.sort(key=lambda each: (-each.worth, each.doubt, -each.count))
        return tuple(
            PastPoint(values=each.values, seconds=each.seconds, count=each.count, is_same_data=each.worth > -math.inf)
            for each in groups[:k]
        )

    def expected_seconds(self, values: Values, profile: Profile) -> Cost | None:
        """Return what an epoch of this candidate should take on these rows; its `count` is of the runs that say so.

        None where no run on this machine, with as many threads on the same device, had data of comparable size.
        """
        claims = self._claims(profile).get((str(values.get("architecture")), str(values.get("policy"))))
        return _agreed(claims).at(int(values.get("resolution", 0)) or profile.size) if claims else None

    def _claims(self, profile: Profile) -> dict[tuple[str, str], list[Cost]]:
        """Return by kin what an epoch of these rows takes as each run has it, the nearest number of rows first."""
        here = Facts.of(profile)
        near: list[tuple[float, RunRecord]] = []
        for record in reversed(self.records):
            grown = here.work / record.facts.work
            if record.facts.modality == here.modality and self._is_here(record) and 1 / _FARTHEST <= grown <= _FARTHEST:
                near.append((grown, record))
        near.sort(key=lambda each: abs(math.log(each[0])))
        found: dict[tuple[str, str], list[Cost]] = {}
        for grown, record in near:
            for cost in record.costs:
                claims = found.setdefault((cost.architecture, cost.policy), [])
                if len(claims) < _MOST_CLAIMS:
                    claims.append(replace(cost, seconds=cost.seconds * grown))
        return found

    def _is_here(self, record: RunRecord) -> bool:
        """Whether the times of a run hold here: how they change with cores and threads is not known."""
        here, there = self.machine, record.machine
        is_device = here.device in (there.device, record.trained_on)
        return is_device and (here.cores, here.threads) == (there.cores, there.threads)


def _agreed(claims: Sequence[Cost]) -> Cost:
    """Return the median of what runs say, at the resolution of the first of them."""
    size = claims[0].resolution
    return replace(claims[0], seconds=median(each.at(size).seconds for each in claims), count=len(claims))


@dataclass(frozen=True, slots=True)
class _Group:
    """Points that are near each other; `worth` is the best score on the same data, `doubt` that any is any good."""

    values: dict[str, Value]
    seconds: float
    worth: float
    doubt: float = 1.0
    count: int = 0

    def joined(self, other: _Group, weight: float) -> _Group:
        best = other if other.worth > self.worth else self
        return replace(best, doubt=self.doubt * (1.0 - weight), count=self.count + 1)


def _points(
    record: RunRecord, profile: Profile, space: Space, versions: Mapping[str, int]
) -> Iterator[tuple[_Group, int]]:
    """Yield what of a run can be tried here, as a group of one, and its rank."""
    here = Facts.of(profile)
    for tried in record.tried:
        is_current = all(versions.get(name, version) == version for name, version in tried.versions.items())
        values = fitted(space, tried.values)
        if values is not None and tried.beats_baseline and is_current:
            worth = profile.task.worth(tried.score) if record.facts.is_same_question(here) else -math.inf
            yield _Group(values, tried.seconds * here.work / record.facts.work, worth), tried.rank


def fitted(space: Space, values: Values) -> dict[str, Value] | None:
    """Return the point of a space that is nearest to what was a point of another; None if its net is not offered.

    What is not offered, or pinned to something else, gets its default.
    """
    found: dict[str, Value] = {}
    for param in space.active(found):
        wanted = values.get(param.name, param.default)
        found[param.name] = wanted if wanted in param.domain else param.default
    is_kept = all(found.get(name) == values.get(name) for name in ("architecture", "policy"))
    return found if is_kept else None


def _is_near(space: Space, values: Values, others: Values) -> bool:
    """Whether two points make the same choices, and their numbers lie close together."""
    if values.keys() != others.keys():
        return False
    return all(_gap(param, values[param.name], others[param.name]) <= _NEAR for param in space.active(values))


def _gap(param: Param, value: Value, other: Value) -> float:
    """Return how far apart two values lie, as a share of the domain's width on its own scale."""
    domain = param.domain
    if isinstance(domain, Choice) or isinstance(value, str) or isinstance(other, str):
        return 0.0 if value == other else 1.0
    scale = math.log if domain.log else float
    width = scale(domain.high) - scale(domain.low)
    return abs(scale(value) - scale(other)) / width if width else 0.0


def _options(param: Param) -> tuple[Value, ...]:
    return param.domain.options if isinstance(param.domain, Choice) else ()


def _refuse_absurd(*numbers: float) -> None:
    """Raise ValueError for numbers that no run leaves: with it, msgspec refuses the line."""
    if not all(0 <= each < _ABSURD for each in numbers):
        raise ValueError(f"{numbers} are no sizes or times")


def digest(*parts: object) -> str:
    """Return sixteen hexadecimal digits that are equal for equal parts and tell nothing of them."""
    return hashlib.sha256("\n".join(map(str, ("seedbed experience", *parts))).encode()).hexdigest()[:16]
