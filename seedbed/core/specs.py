"""What a plugin declares: frozen, torch-free descriptions with a lazy reference to the code behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass, is_dataclass
from typing import ClassVar, Literal

from seedbed.core.errors import BadSpec
from seedbed.core.task import Modality, TaskKind

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_REFERENCE = re.compile(r"[\w.]+:[\w.]+")

Stage = Literal["sample", "batch"]
Severity = Literal["info", "warning", "error"]
Encoding = Literal["tokens", "strings"]
Head = Literal["logistic", "ridge"]


@dataclass(frozen=True, slots=True)
class NoOptions:
    """The empty search space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requires:
    """What must hold before a component is offered; data, so that a refusal can be explained.

    Empty tuples and zeros ask for nothing. `modules` are importable top-level modules, sizes are the
    shorter side of the prepared images in pixels.
    """

    modules: tuple[str, ...] = ()
    modalities: tuple[Modality, ...] = ()
    kinds: tuple[TaskKind, ...] = ()
    min_examples: int = 0
    min_size: int = 0
    max_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The part all kinds share; `build` is "module:attribute", imported on first use.

    Raise `version` when the meaning of the options changes: it is stored with every candidate. A component
    that is `on_request` is offered only to those who name it, with `--use` or `--set`.
    """

    kind: ClassVar[str]
    name: str
    summary: str
    build: str
    options: type = NoOptions
    requires: Requires = Requires()
    aliases: tuple[str, ...] = ()
    version: int = 1
    on_request: bool = False

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            if not _NAME.fullmatch(name):
                raise BadSpec(f"{name!r} is no name for a component; use lower_snake_case, as in 'adamw'.")
        if not _REFERENCE.fullmatch(self.build):
            raise BadSpec(f"{self.name}: build={self.build!r}; write 'package.module:function'.")
        if not self.summary.strip():
            raise BadSpec(f"{self.name} has no summary; one sentence tells users what it is for.")
        if not (isinstance(self.options, type) and is_dataclass(self.options)):
            raise BadSpec(f"{self.name}: options={self.options!r}; give a frozen dataclass.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSpec(Spec):
    """`build(options) -> Reader`: turns an address into a dataset.

    A reader is found by the address: by its scheme (`demo:digits`), its suffix (`.csv`) or, for
    folders, by asking each reader with `folders=True` whether it recognises the folder.
    """

    kind: ClassVar[str] = "reader"
    suffixes: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    folders: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec(Spec):
    """`build(options) -> Check`: finds what is wrong with a dataset, and where it can, how to repair it.

    `features` asks for what a frozen backbone sees in the rows; where that cannot be had in the time there
    is, the check is left out and the run says so.
    """

    kind: ClassVar[str] = "check"
    features: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec(Spec):
    """`build(options) -> Metric`: a score of predictions against targets, for the task kinds named."""

    kind: ClassVar[str] = "metric"
    direction: Literal["max", "min"] = "max"
    tasks: tuple[TaskKind, ...] = ("classification",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureSpec(Spec):
    """`build(options, profile) -> Backbone`: inputs → features (N, F).

    The engine puts dropout and the head on top, so that the head can always be replaced. `parameters`
    counts the backbone's at default options, 0 where it depends on the data; `weights` names pretrained
    weights, the preferred first; `features_only` marks a fixed transform with nothing to train by gradients,
    used through `probe` alone; `is_baseline` one that every study runs first, as the yardstick. `encoding`
    says in which form it takes texts: as ids of the run's own vocabulary, or as they are. `is_pretrained`
    marks one that makes no sense without pretrained weights: it is never trained from scratch. `head` is the
    one that suits its features best when they are fixed: logistic regression, or ridge regression, for very
    many dense features of few rows. `training_only` names options that change nothing of fixed features, as
    stochastic depth. `restore` ("module:function", `(options, profile, state) -> Backbone`)
    builds it from its saved state alone, where `build` needs files that a bundle does not hold.
    """

    kind: ClassVar[str] = "architecture"
    modalities: tuple[Modality, ...] = ("image",)
    weights: tuple[str, ...] = ()
    parameters: int = 0
    features_only: bool = False
    is_baseline: bool = False
    encoding: Encoding = "tokens"
    is_pretrained: bool = False
    head: Head = "logistic"
    training_only: tuple[str, ...] = ()
    restore: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsSpec(Spec):
    """`build(backbone) -> None`: loads pretrained weights into a backbone, in place.

    `source` says where they come from; `cached` ("module:function", () -> bool, torch-free) tells whether
    hub weights already lie on this machine. `mean` and `std` (inputs in [0, 1], one per channel) and
    `resolution` (pixels) are those of the pretraining.
    """

    kind: ClassVar[str] = "weights"
    architecture: str
    source: Literal["package", "file", "hub"]
    licence: str
    cached: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    resolution: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmenterSpec(Spec):
    """`build(options, profile) -> Augmenter`: a random transform of training inputs.

    For series and text it is a `SequenceAugmenter`; with `stage="sample"` a `SampleAugmenter`.
    """

    kind: ClassVar[str] = "augmenter"
    modalities: tuple[Modality, ...] = ("image",)
    stage: Stage = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSpec(Spec):
    """`build(param_groups, options) -> torch.optim.Optimizer`; settings of a group win over the options."""

    kind: ClassVar[str] = "optimizer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec(Spec):
    """`build(options) -> Schedule`: progress in [0, 1] → learning-rate factor, pure."""

    kind: ClassVar[str] = "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegularizerSpec(Spec):
    """`build(options, profile) -> Regularizer`: a change that fights overfitting."""

    kind: ClassVar[str] = "regularizer"


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategySpec(Spec):
    """`build(options, space, profile) -> Strategy`: what to try next and what to stop."""

    kind: ClassVar[str] = "strategy"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSpec(Spec):
    """`build(options, workplace) -> Backend`: a place where jobs run."""

    kind: ClassVar[str] = "backend"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec(Spec):
    """`build(options) -> Rule`: reads a trial's curve and says what is wrong with it."""

    kind: ClassVar[str] = "rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSpec(Spec):
    """`build(options, workplace) -> Monitor`: watches the events of a run."""

    kind: ClassVar[str] = "monitor"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSpec(Spec):
    """`build(options, lookup) -> Exporter`: writes a bundle as a file of another format."""

    kind: ClassVar[str] = "exporter"
    suffix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployerSpec(Spec):
    """`build(options, report) -> Deployer`: brings a bundle to where it answers over HTTP, and takes it away."""

    kind: ClassVar[str] = "deployer"


# In the order in which a run meets them; `seedbed plugins list` keeps it.
KINDS: dict[str, type[Spec]] = {
    cls.kind: cls
    for cls in (
        ReaderSpec,
        CheckSpec,
        MetricSpec,
        ArchitectureSpec,
        WeightsSpec,
        AugmenterSpec,
        OptimizerSpec,
        ScheduleSpec,
        RegularizerSpec,
        StrategySpec,
        BackendSpec,
        RuleSpec,
        MonitorSpec,
        ExporterSpec,
        DeployerSpec,
    )
}
