"""One point of the space, how far it may be trained, and the job that carries both to a backend."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seedbed.core.data.profile import Profile
from seedbed.core.errors import UsageError
from seedbed.core.space import Value

Role = Literal["candidate", "baseline"]

Decision = tuple[str, str | int | float | bool]
"""What was decided by a clock or by what else may differ the next time, and its outcome."""

ENDED = "ended@"
"""How decisions say that a trial was ended from outside; the number of looks it had had by then follows."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A point of the space, with the version of every component it names ("optimizer:adamw" → 1)."""

    values: Mapping[str, Value]
    versions: Mapping[str, int] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Ten hexadecimal digits that are equal for equal candidates."""
        text = json.dumps([dict(self.values), dict(self.versions)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def component(self, slot: str) -> str:
        """Return the name chosen for a slot, as in `component("architecture")`."""
        return str(self.values[slot])

    @property
    def label(self) -> str:
        """A few words for a table: architecture, policy and, where it says something, the optimizer."""
        parts = [str(self.values.get(key, "")) for key in ("architecture", "policy", "optimizer")]
        if (model := self.values.get(f"architecture.{parts[0]}.model")) is not None:
            parts[0] = f"{parts[0]}:{model}"
        return " · ".join(filter(None, parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A rung: at the first look from `progress` in (0, 1) on, a trial goes on only if it has reached `score` by then.

    The bar is known before the trial starts, so the trial itself judges by it, wherever it runs and however
    long a message takes: a plan in work units ends at the same step each time.
    """

    progress: float
    score: float

    def __post_init__(self) -> None:
        if not 0.0 < self.progress < 1.0 or not math.isfinite(self.score):
            raise UsageError(f"{self}: a cut lies within the training, and its score is a finite number.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How much a trial may spend: at most `epochs` passes and at most `seconds`; None means no limit.

    Training always anneals to its end: the learning-rate schedule is stretched over whichever limit
    comes first. `subset` is the share of the training rows it learns from (the same rows for all trials, a
    smaller subset within the larger one), `resolution` the share of the candidate's own, for images; `cuts`
    end it early where it lags, in order of their progress.
    """

    epochs: float | None = None
    seconds: float | None = None
    subset: float = 1.0
    resolution: float = 1.0
    cuts: tuple[Cut, ...] = ()

    def __post_init__(self) -> None:
        if self.epochs is None and self.seconds is None:
            raise UsageError("A trial needs a limit; give epochs, seconds or both.")
        if not (0.0 < self.subset <= 1.0 and 0.0 < self.resolution <= 1.0):
            raise UsageError(f"subset={self.subset}, resolution={self.resolution}: both are shares, in (0, 1].")

    @property
    def is_full(self) -> bool:
        """Whether all rows are learnt from, at the candidate's own resolution."""
        return self.subset == self.resolution == 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a strategy wants tried next; of the candidate only its values count, the study adds the versions.

    `place` names what runs it already, where the strategy has others begin its trials: a training job, for instance.
    `wide` asks for all the GPUs of a machine that has several, each with its share of every batch: for a long training
    of a large net, which then has the machine to itself.
    """

    candidate: Candidate
    fidelity: Fidelity
    role: Role = "candidate"
    place: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialJob:
    """Everything a worker needs to train one candidate: names, values and paths, never objects.

    `data` is the folder of prepared arrays, `tokens` that of the texts' ids (empty for other data), `splits` the
    file of the split, `folder` where the trial leaves its results. `grace` is how many seconds over
    `fidelity.seconds` a backend waits before it ends the trial by force. `not_after` (Unix time) ends the
    trial's time early where its start was delayed, by a worker that still had to import torch for instance.
    The trial keeps the time free that scoring `rows_after` more rows will take when it is done. What is no more
    than a yardstick (`is_yardstick`, a baseline) learns nothing from the validation rows after it was judged.
    `to_beat` is the best score of a candidate when the trial began: one that stays clearly behind it is judged and
    learns nothing more. With a `script`, the decisions of an earlier run of the same trial, it is done again as it
    was then. With `ingredients`, folders of trials of like nets, nothing is trained: their weights are averaged.
    One that is `resumable` leaves its whole state in its folder at each look and when it is asked to end, and goes on
    from what it finds there: for backends whose machines may be taken away. `place` is the proposal's: what runs the
    trial already. Of an accelerator it takes `memory_bytes` at most, what other trials were not promised; 0: all.
    With several `processes` each batch is shared among them, one a device; `gpus` are the devices where a backend has
    chosen them, as CUDA_VISIBLE_DEVICES names them.
    """

    trial: int
    candidate: Candidate
    fidelity: Fidelity
    profile: Profile
    data: str
    splits: str
    folder: str
    seed: int
    tokens: str = ""
    device: str = "auto"
    threads: int = 0
    grace: float = 10.0
    not_after: float | None = None
    rows_after: int = 0
    is_yardstick: bool = False
    to_beat: float | None = None
    ingredients: tuple[str, ...] = ()
    script: tuple[Decision, ...] | None = None
    resumable: bool = False
    memory_bytes: int = 0
    processes: int = 1
    gpus: tuple[str, ...] = ()
    place: str = ""


SCORING_TO_SPARE = 1.3
"""How many times as long as estimated the scoring of the test part may take: nothing may be late for it."""

EVALUATION = -1
"""In the place of a trial's number: an evaluation belongs to the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationJob:
    """Score a bundle on the test part, through the same code as `seedbed predict`; or what it was chosen by.

    For the part `valid` the predictions in the file `valid` are scored: the kept model may have learnt from those
    rows. Of `test`, predictions go to the file `output`. All there is to say of both goes to the file `scores`.
    """

    bundle: str
    profile: Profile
    part: Literal["valid", "test"]
    data: str
    splits: str
    valid: str
    output: str
    scores: str
    tokens: str = ""
    device: str = "auto"
    threads: int = 0
    seconds: float | None = None
    grace: float = 10.0
    trial: int = EVALUATION


Job = TrialJob | EvaluationJob
