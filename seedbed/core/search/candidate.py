"""One point of the space, how far it may be trained, and the job that carries both to a backend."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seedbed.core.data.profile import Profile
from seedbed.core.errors import UsageError
from seedbed.core.space import Value

Role = Literal["candidate", "baseline"]


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
class Fidelity:
    """How much a trial may spend: at most `epochs` passes and at most `seconds`; None means no limit.

    Training always anneals to its end: the learning-rate schedule is stretched over whichever limit
    comes first.
    """

    epochs: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.epochs is None and self.seconds is None:
            raise UsageError("A trial needs a limit; give epochs, seconds or both.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a strategy wants tried next; of the candidate only its values count, the study adds the versions."""

    candidate: Candidate
    fidelity: Fidelity
    role: Role = "candidate"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialJob:
    """Everything a worker needs to train one candidate: names, values and paths, never objects.

    `data` is the folder of prepared arrays, `tokens` that of the texts' ids (empty for other data), `splits` the
    file of the split, `folder` where the trial leaves its results. `grace` is how many seconds over
    `fidelity.seconds` a backend waits before it ends the trial by force. `not_after` (Unix time) ends the
    trial's time early where its start was delayed, by a worker that still had to import torch for instance.
    The trial keeps the time free that scoring `rows_after` more rows will take when it is done. What is no more
    than a yardstick (`is_yardstick`, a baseline) learns nothing from the validation rows after it was judged.
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
