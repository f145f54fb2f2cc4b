"""What the objects behind the specs must be able to do; plugins fit these shapes, the engine relies on them.

Torch appears in annotations alone: importing this file imports no torch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from seedbed.core.data.dataset import Dataset, ReadContext, Table
    from seedbed.core.data.features import Features
    from seedbed.core.data.prepared import Prepared
    from seedbed.core.data.profile import Finding
    from seedbed.core.data.repair import Repair
    from seedbed.core.data.targets import Targets
    from seedbed.core.search.candidate import Job, Proposal
    from seedbed.core.search.events import Event
    from seedbed.core.search.history import History, Trial
    from seedbed.core.specs import Spec


class Lookup(Protocol):
    """Where the engine finds components; the registry is one, a dict in a test another."""

    def all(self, kind: str) -> Sequence[Spec]:
        """Every component of a kind, sorted by name."""
        ...

    def get(self, kind: str, name: str) -> Spec:
        """One component by name or alias; raises UnknownName."""
        ...

    def load(self, spec: Spec) -> Callable[..., Any]:
        """The code behind a spec, imported now; raises PluginError where that fails."""
        ...

    def owner(self, kind: str, name: str) -> Owner:
        """Who registered a component."""
        ...


@dataclass(frozen=True, slots=True)
class Owner:
    """The distribution (or local file) behind a component, and its version."""

    name: str
    version: str


@runtime_checkable
class Reader(Protocol):
    """Turns an address into a dataset."""

    def read(self, source: str, context: ReadContext) -> Table | Dataset:
        """Read what lies at the address; raises DataError with what was expected.

        A `Table` leaves it to the engine what is to be learnt; a `Dataset` is for forms that leave no
        choice, as a folder of class folders. What may not fit into memory is converted into a file in
        `context.cache` and memory-mapped.
        """
        ...


class FolderReader(Reader, Protocol):
    """A reader whose spec says `folders=True`."""

    def recognises(self, path: Path) -> bool:
        """Whether this folder is of the reader's form. Cheap."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInput:
    """What a check may look at.

    `parts` int8 (N,) says where the owner put each row (0 nowhere, 1 training, 2 validation, 3 test),
    `targets` what is to be learnt of it. `features` are there for checks whose spec asks for them.
    """

    dataset: Dataset
    prepared: Prepared
    targets: Targets
    parts: np.ndarray
    features: Features | None = None


class Check(Protocol):
    """Looks at prepared data and says what is wrong with it."""

    def __call__(self, given: CheckInput) -> Iterable[Finding | Repair]:
        """Yield findings, those with a remedy that can be carried out as repairs; changes nothing."""
        ...


class Metric(Protocol):
    """A score of predictions against targets."""

    def __call__(self, targets: np.ndarray, predictions: np.ndarray) -> float:
        """Score what a model says against the truth.

        Classification: probabilities (N, K) against class indices (N,); multi-label: probabilities (N, K), each
        label's own, against 0 and 1 (N, K); regression: values (N,) against values (N,).

        A metric that is the mean of a score for each row may also offer `per_row(targets,
        predictions) -> (N,)`: the leaderboard then compares models a thousand times faster. One that is not may
        offer `weighted(targets, predictions, weights) -> (D,)`: its score when row n comes weights[d, n] times, for
        D such counts, float64 (D, N).

        One that is the same for every model where there are fewer classes than some number may say so by an
        attribute, `least_classes`: it is then left out of what is told of a model.
        """
        ...


class Backbone(Protocol):
    """An `nn.Module` that maps inputs to features (N, F); `num_features` is F.

    What it is called with depends on the modality that its spec names:

    - image: `inputs` float32 (N, C, H, W), normalised;
    - series: `values` float32 (N, C, T), standardised a channel and 0 where there is nothing, and `mask` bool
      (N, T), true where a row has a step; every row has at least one, the first;
    - text with `encoding="tokens"`: `ids` int64 (N, T), 0 where there is nothing, and `mask` bool (N, T); every row
      has at least one;
    - text with `encoding="strings"`: `texts`, a list of N strings, which may be empty.

    How far a row is padded must not change its features in evaluation mode.

    It may offer `layers() -> list[list[nn.Parameter]]`, from input to output, for learning rates that differ
    by depth; without it the engine goes by the order of the sub-modules.

    A `features_only` one may offer `fit(batches, generator)`: it is called once, before anything else, with
    an iterator over the inputs of the training rows in random order (each batch the tuple it is called
    with), and learns what its transform takes from data, into buffers of shapes that are fixed when it is
    built: document frequencies, quantiles. It sees no targets. It may stop early. Its features may then be a
    sparse CSR tensor (N, F).
    """

    num_features: int

    def __call__(self, *inputs: Any) -> Tensor:  # noqa: ANN401 - what they are depends on the modality
        """Return features (N, F)."""
        ...


class Augmenter(Protocol):
    """A random transform of a batch of training images.

    It may offer `views(inputs) -> list[Tensor]`: fixed versions, the inputs themselves first, that a model
    trained with it should judge alike; predictions are averaged over them where that helps.
    """

    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Return inputs of the same shape, dtype and device, (N, C, H, W) in [0, 1]; never in place."""
        ...


class SequenceAugmenter(Protocol):
    """A random transform of a batch of training series or tokens."""

    def __call__(self, inputs: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return inputs and mask of the same shapes, dtypes and device, as a `Backbone` takes them; never in place.

        Where the mask is false the inputs stay 0, and every row keeps at least its first step.
        """
        ...


class SampleAugmenter(Protocol):
    """A random transform of one training image (`stage="sample"`), for what cannot be done a batch at a time."""

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return an image of the same shape, uint8 (H, W, C); never in place. Several threads may call it."""
        ...


class Regularizer:
    """A change that fights overfitting: subclass it and override what you need; each default does nothing.

    `targets` are those of the loss. `model` is the assembled one: `model.backbone`, `model.dropout`, `model.head`.
    """

    def on_model(self, model: nn.Module) -> None:
        """Change the assembled model in place, before the optimizer is built; `model.dropout` is the head's."""

    def on_loss(self, loss: Loss) -> Loss:
        """Return the loss to train with, made from the one so far."""
        return loss

    def on_batch(self, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the augmented inputs (N, ...) and targets of a training batch, changed; never in place.

        Called where inputs are numbers: images (N, C, H, W) in [0, 1] and standardised series (N, C, T).
        """
        return inputs, targets

    def on_gradients(self, model: nn.Module) -> None:
        """Change the gradients in place, between the backward pass and the optimizer's step."""

    def after_step(self, model: nn.Module, progress: float) -> None:
        """Change the weights in place, after an optimizer step; `progress` is in [0, 1]."""

    def averaged(self, model: nn.Module) -> Mapping[str, Tensor] | None:
        """Return the state (as `model.state_dict()`) to judge and keep in place of the model's; None: its own."""
        return None

    def is_done(self, scores: Sequence[float]) -> bool:
        """Whether training should end here; `scores` are those of the looks so far, greater is better."""
        return False

    def state(self) -> Mapping[str, Tensor]:
        """Return copies of all that was gathered in training and that it cannot go on without: averages, counters.

        What `on_model` finds again is no part of it. Numbers are float64 or int64 tensors, so that none is rounded.
        """
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` returned, on the device where it is to lie; the next step is the one that came next."""


Loss = Callable[["Tensor", "Tensor"], "Tensor"]
"""Outputs (N, K) and targets → the loss of each example (N,).

Targets are for classification class indices int64 (N,), or, once mixed, probabilities float32 (N, K); for
multi-label float32 (N, K); for regression float32 (N,), standardised by the training part, against outputs (N, 1).
"""

Schedule = Callable[[float], float]
"""Progress in [0, 1] → factor on the learning rate."""


class Strategy(Protocol):
    """Decides what to try next and what to stop: pure functions of the history.

    One that has others begin its trials may offer `meet(backend)`, which is called once, before anything is proposed,
    and raises UsageError where the backend is none that it can work with; and `waits() -> bool`, whether something is
    still to come though it proposes nothing now and nothing runs.
    """

    def propose(self, history: History, rng: random.Random) -> Proposal | None:
        """Return what to try next, None for nothing now; `history.remaining` says what is left."""
        ...

    def should_stop(self, trial: Trial, history: History) -> bool:
        """Whether a running trial is not worth its remaining cost."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Workplace:
    """Where a run happens; given to backends and monitors.

    `folder` is the run's folder, `plugins` the arguments with which a worker process opens the same
    registry (module names and local files), `lookup` this process's registry. `workers` is how many jobs are to run
    at a time on this machine, `workers_given` what the user said of it, 0 where nothing. `offline` forbids the network
    to whatever a backend runs, here (`seedbed.core.network.staying_offline`) or elsewhere.
    """

    folder: Path
    lookup: Lookup
    plugins: tuple[str, ...] = ()
    device: str = "auto"
    workers: int = 1
    workers_given: int = 0
    threads: int = 0
    budget_seconds: float | None = None
    offline: bool = False


class Backend(Protocol):
    """Runs jobs somewhere and sends their events back. A context manager: leaving it ends everything.

    One whose machines are elsewhere may offer more.

    - `joins: bool`: a job whose trial runs there already, or has run, is joined by `submit` and not begun again. On
      `--resume` the study then submits the jobs of the trials that were under way once more, and drops what was told
      of them before; and when a run is interrupted they are not given up. Such a backend tells of each trial where it
      runs (`TrialPlaced`).
    - `late: bool`: a trial's files are in its folder only once its terminal event has come, not at each look.
    - `delay() -> float`: seconds from a `submit` until the job computes, as far as is known. So much is kept free
      before a candidate that must end in time.
    - `gpus: int`: over how many GPUs one trial may go, where these are several.
    - `hosts: bool`: the whole study is to go there, with `host` (`seedbed.core.search.handover.Hosts`).
    """

    def __enter__(self) -> Backend: ...

    def __exit__(self, *exc: object) -> None: ...

    def free_slots(self) -> int:
        """How many jobs could start right now."""
        ...

    def submit(self, job: Job) -> None:
        """Start a job; every job ends in exactly one terminal event."""
        ...

    def stop(self, trial: int) -> None:
        """Ask a running job to end soon; what it has reached is kept."""
        ...

    def poll(self, timeout: float) -> list[Event]:
        """Return events that came since the last call, waiting up to `timeout` seconds for the first."""
        ...

    def idle(self) -> bool:
        """Whether nothing runs and no event waits."""
        ...


class Monitor(Protocol):
    """Watches a run; an error in it is logged and never ends the run."""

    def on_event(self, event: Event, history: History) -> None:
        """See an event, already part of the history."""
        ...

    def close(self) -> None:
        """The run is over, one way or another."""
        ...


class Rule(Protocol):
    """Reads a trial's curve and says what is wrong with it."""

    def __call__(self, trial: Trial) -> Finding | None:
        """Return a finding with evidence and remedy, or None; pure."""
        ...


class Exporter(Protocol):
    """Writes a bundle in another format."""

    def __call__(self, bundle: Path, output: Path) -> Path:
        """Write the file and return its path."""
        ...


ParamGroups = list[dict[str, Any]]
"""What torch optimizers take: dicts with `params`, and settings that win over the optimizer's own."""
