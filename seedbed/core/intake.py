"""From an address to data that can be trained on; the steps that `fit` and `inspect` share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

from seedbed.core.data.check import FeatureSource, by_severity, no_features, run_checks
from seedbed.core.data.columns import order_of, parts_of, ranks_of
from seedbed.core.data.dataset import Dataset, ReadContext, Table
from seedbed.core.data.describe import describe
from seedbed.core.data.parts import VALID
from seedbed.core.data.prepared import Prepared, PreparedText
from seedbed.core.data.preparing.prepare import prepare
from seedbed.core.data.preparing.prepare_again import InputForm, Ready, feed_texts, form_of
from seedbed.core.data.preparing.prepare_series import prepare_series
from seedbed.core.data.preparing.prepare_text import prepare_text
from seedbed.core.data.preparing.tokens import Tokens
from seedbed.core.data.preparing.vocabulary import learn_vocabulary, load_vocabulary
from seedbed.core.data.profile import Finding, Profile
from seedbed.core.data.reading.read import read_dataset
from seedbed.core.data.repair import Checked, Policy, joined
from seedbed.core.data.schema import Schema
from seedbed.core.data.splitting.folds import judged_over
from seedbed.core.data.splitting.split import Splits, split
from seedbed.core.errors import DataError, UsageError
from seedbed.core.protocols import Lookup
from seedbed.core.settings import Settings
from seedbed.core.specs import MetricSpec
from seedbed.core.task import Modality, Task, TaskKind

_PREPARE: Mapping[Modality, Callable[..., Prepared]] = {
    "image": prepare,
    "text": prepare_text,
    "series": prepare_series,
}
_ROWS = {"image": "images", "text": "texts", "series": "series"}
_METRICS: Mapping[TaskKind, str] = {
    "classification": "accuracy",
    "multilabel": "average_precision",  # it needs no threshold
    "regression": "rmse",
}


_TORN = Finding(
    check="duplicates",
    severity="warning",
    evidence="There are so many copies that no validation part can be made with all copies of a row on one side; "
    "some rows of it are known from training.",
    remedy="Delete the copies, or give a validation part of your own: scores flatter as it is.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """Data that is understood: what was read, prepared, found, repaired, split and measured."""

    dataset: Dataset
    prepared: Prepared
    checked: Checked
    splits: Splits
    profile: Profile

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that was found, the gravest first."""
        return by_severity((*self.checked.findings, *self.splits.findings))


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """The steps, with what they need.

    `data` is the data itself where it does not lie at `settings.source`. `report(stage, detail)` is told
    what goes on, about once a second. `features` is where checks get features from.
    """

    settings: Settings
    lookup: Lookup
    cache: Path
    data: Table | Dataset | None = None
    report: Callable[[str, str], None] = lambda stage, detail: None
    cancelled: Callable[[], bool] = lambda: False
    features: FeatureSource = no_features

    def examine(self) -> Examined:
        """Do all steps.

        Raises:
            DataError: the data cannot be used.
            UsageError: the settings do not fit the data.
            Interrupted: `cancelled()` became true.
        """
        dataset = self.read()
        prepared = self.prepare(dataset)
        checked = self.check(dataset, prepared)
        splits = self.split(dataset, checked)
        profile = self.describe(dataset, prepared, checked, splits)
        return Examined(dataset=dataset, prepared=prepared, checked=checked, splits=splits, profile=profile)

    def read(self) -> Dataset:
        """Find the reader for the address, let it read, and settle what is to be learnt."""
        self.report("reading", self.settings.source)
        context = ReadContext(cache=self.cache, offline=self.settings.offline)
        source = self.settings.source if self.data is None else self.data
        return read_dataset(source, wanted_schema(self.settings), self.lookup, context, test=self.settings.test)

    def prepare(self, dataset: Dataset) -> Prepared:
        """Decode everything once; what an earlier run decoded is only opened."""
        rows = _ROWS[dataset.modality]
        self.report("preparing", f"{len(dataset):,} {rows}")
        return _PREPARE[dataset.modality](
            dataset, self.cache / "prepared", report=self._paced(rows), cancelled=self.cancelled
        )

    def _paced(self, what: str) -> Callable[[int, int], None]:
        """Return what reports how many are done, once a second."""
        said = time.monotonic()

        def report(done: int, total: int) -> None:
            nonlocal said
            if time.monotonic() - said > 1.0:
                said = time.monotonic()
                self.report("preparing", f"{done:,} of {total:,} {what}")

        return report

    def check(self, dataset: Dataset, prepared: Prepared) -> Checked:
        """Run the checks and apply the repairs that the user allows."""
        self.report("checking", "")
        return run_checks(
            dataset,
            prepared,
            self.lookup,
            policy=cast(Policy, self.settings.repair),
            groups=ranks_of(dataset, "group"),
            features=self.features,
        )

    def split(self, dataset: Dataset, checked: Checked) -> Splits:
        """Give every usable row its part; where that cannot be done with all copies on one side, without."""
        divide = partial(
            split,
            checked.targets,
            parts_of(dataset),
            checked.usable,
            self.settings.seed,
            trainable=checked.trainable,
            order=order_of(dataset),
            duplicates=checked.duplicates,
            folds_for=partial(self._folds, dataset),
        )
        try:
            return divide(groups=checked.groups)
        except DataError:
            if not (checked.duplicates >= 0).any():
                raise
            asked = ranks_of(dataset, "group")
            splits = divide(groups=None if asked is None else joined([asked], len(dataset)))
        return replace(splits, findings=(*splits.findings, _TORN))

    def feed(self, dataset: Dataset, prepared: Prepared, splits: Splits, vocabulary: Path) -> Ready:
        """Bring texts into the forms that models take; other data is ready as it is.

        `vocabulary` is the file of what was learnt from the training texts, which is written if it is not there.
        """
        if not isinstance(prepared, PreparedText):
            return Ready(prepared=prepared, form=form_of(prepared))
        if vocabulary.is_file():
            learnt = load_vocabulary(vocabulary)
        else:
            self.report("preparing", "a vocabulary")
            learnt = learn_vocabulary(dataset, splits.train, seed=self.settings.seed)
            vocabulary.parent.mkdir(parents=True, exist_ok=True)
            learnt.save(vocabulary)
        cache = self.cache / "prepared"
        tokens = feed_texts(dataset, prepared, learnt, cache, report=self._paced("tokens"), cancelled=self.cancelled)
        return Ready(prepared=prepared, form=InputForm(vocabulary=learnt), tokens=tokens)

    def describe(
        self, dataset: Dataset, prepared: Prepared, checked: Checked, splits: Splits, tokens: Tokens | None = None
    ) -> Profile:
        """Measure what components fit themselves to."""
        profile = describe(prepared, splits, self._task(dataset, splits), tokens)
        return replace(
            profile,
            folds=self._folds(dataset, len(splits.train) + len(splits.valid)),
            has_own_valid=_has_own_valid(dataset),
            spellings=dict(checked.spellings),
        )

    def _folds(self, dataset: Dataset, rows: int) -> int:
        """Return over how many folds to judge on so many rows of training and validation.

        None where the owner has said what to validate on, or what is later.
        """
        if _has_own_valid(dataset) or order_of(dataset) is not None:
            return 0
        return judged_over(dataset.modality, rows)

    def _task(self, dataset: Dataset, splits: Splits) -> Task:
        spec = self._metric(dataset.kind)
        return Task(
            modality=dataset.modality,
            kind=dataset.kind,
            metric=spec.name if spec else "",
            direction=spec.direction if spec else "max",
            classes=splits.classes,
        )

    def _metric(self, kind: TaskKind) -> MetricSpec | None:
        """Return the metric the user asked for, else the usual one for the kind of task, None where there is none."""
        fitting = [spec for spec in cast(Sequence[MetricSpec], self.lookup.all("metric")) if kind in spec.tasks]
        if self.settings.metric is not None:
            asked = cast(MetricSpec, self.lookup.get("metric", self.settings.metric))
            if kind not in asked.tasks:
                raise UsageError(
                    f"The metric {asked.name} is for {', '.join(asked.tasks)}, and this is {kind}; --metric takes "
                    f"{', '.join(spec.name for spec in fitting)}."
                )
            return asked
        return next((spec for spec in fitting if spec.name == _METRICS[kind]), fitting[0] if fitting else None)


def _has_own_valid(dataset: Dataset) -> bool:
    return bool((parts_of(dataset) == VALID).any())


def wanted_schema(settings: Settings) -> Schema:
    """Return what the user says of the data's columns, modality and task."""
    return Schema(
        modality=cast(Modality | None, settings.modality),
        kind=cast(TaskKind | None, settings.task),
        inputs=settings.inputs,
        target=settings.target or "",
        part=settings.part or "",
        group=settings.group or "",
        order=settings.order or "",
    )
