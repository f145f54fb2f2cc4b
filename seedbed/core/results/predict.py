"""A bundle brought to life: inputs in, predictions out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file

from seedbed.core.data.columns import column, origins
from seedbed.core.data.dataset import Dataset, ReadContext
from seedbed.core.data.feeding.source import Source
from seedbed.core.data.preparing.prepare_again import prepare_again
from seedbed.core.data.reading.inputs import dataset_as_is, dataset_at, dataset_in_memory
from seedbed.core.data.reading.read import read_like
from seedbed.core.data.splitting.splits import is_known
from seedbed.core.data.targets import targets_of
from seedbed.core.errors import DataError, PluginError, TrialError, UsageError
from seedbed.core.protocols import Augmenter, Lookup
from seedbed.core.results.bundle import Bundle, Part, read_bundle
from seedbed.core.results.calibration import coverage, intervals, prediction_sets
from seedbed.core.results.needed import check_components, remedy
from seedbed.core.results.scoring import score_all
from seedbed.core.task import Task
from seedbed.core.training.assemble import Net, build_augmenters, restore_model
from seedbed.core.training.context import PLAIN
from seedbed.core.training.desk import open_rows
from seedbed.core.training.devices import pick_device
from seedbed.core.training.evaluate import Stop, never, predict_rows
from seedbed.core.training.predictions import THRESHOLD, softened


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Predictions in the order of the inputs: names, what is predicted, and the outputs behind it.

    Of classification and multi-label `outputs` are probabilities (N, K), of regression values (N,). A
    prediction is a class, a list of labels or a number. Inputs in `unreadable` (row → reason) have None and
    outputs of NaN.

    Where it was asked to abstain, `candidates` are the classes among which the truth is, the most probable
    first, or `bounds` the values between which it is, (N, 2); more than one candidate have None as prediction.
    """

    inputs: list[str]
    predictions: list[Any]
    outputs: np.ndarray
    unreadable: dict[int, str]
    candidates: list[list[str] | None] | None = None
    bounds: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """A member with its model, ready to predict."""

    part: Part
    model: Net
    augmenters: Sequence[Augmenter]


class Model:
    """A trained model from a bundle; loading it runs no code but that of the named components."""

    def __init__(self, folder: Path, lookup: Lookup, device: str = "auto") -> None:
        """Load a bundle.

        Raises:
            DataError: there is no usable bundle in the folder.
            PluginError: it needs a component that is not installed; the message says which package has it.
        """
        self.folder = folder
        self.bundle: Bundle = read_bundle(folder)
        self._lookup = lookup
        self.device = pick_device(device)
        for part in self.bundle.parts:
            check_components(part.member, lookup)
        self.live = [self._bring_to_life(part) for part in self.bundle.parts]

    @property
    def task(self) -> Task:
        """What the model was trained for."""
        return self.bundle.profile.task

    @property
    def classes(self) -> tuple[str, ...]:
        """The class or label names, in the order of the probability columns; none for regression."""
        return self.task.classes

    def predict_rows(self, source: Source, rows: np.ndarray, should_stop: Stop = never) -> np.ndarray:
        """Return what metrics take, float32, for stored rows: probabilities (N, K) or values (N,).

        Probabilities are at the bundle's temperature, that of the average where there are several members.
        """
        wanted = torch.from_numpy(np.asarray(rows, dtype=np.int64))
        found = self._average(
            lambda live: predict_rows(
                live.model,
                source,
                wanted,
                live.part.member.view,
                PLAIN,
                self.bundle.profile,
                augmenters=live.augmenters,
                should_stop=should_stop,
            ).numpy()
        )
        return softened(found, self.bundle.temperature, self.task.kind)

    def predict(self, inputs: Any, *, abstain: float | None = None) -> list[Any]:  # noqa: ANN401 - see dataset_in_memory
        """Return what each input is: a class, a list of labels, or a number.

        Args:
            inputs: images (an array (N, H, W[, C]), a list of paths, arrays or pictures), texts (a list of
                strings), series (an array (N, T) or (N, C, T), a list of arrays), or a table that has the
                columns of the training data.
            abstain: the share of inputs, as 0.05, that may be told wrong: where more than one class remains
                possible (`predict_sets`), None stands for "don't know".

        Raises:
            DataError: an input cannot be used; the message says which.
            UsageError: the model cannot abstain, or not at that level; a model of numbers says `predict_sets`.
        """
        if abstain is None:
            return _named(self._outputs_of(inputs), self.task)
        if self.task.kind == "regression":
            raise UsageError("This model predicts numbers and always answers; `predict_sets` gives low and high.")
        return _sole(self.predict_sets(inputs, abstain))

    def predict_proba(self, inputs: Any) -> np.ndarray:  # noqa: ANN401 - see dataset_in_memory
        """Return probabilities (N, K) float32; columns in the order of `classes`. Inputs are those of `predict`.

        Raises:
            DataError: an input cannot be used; the message says which.
            UsageError: the model predicts numbers, which have no probabilities.
        """
        if self.task.kind == "regression":
            raise UsageError("This model predicts numbers, and those have no probabilities; call `predict`.")
        return self._outputs_of(inputs)

    def predict_sets(self, inputs: Any, level: float) -> list[list[Any]]:  # noqa: ANN401 - see dataset_in_memory
        """Return for each input the classes among which the truth is, the most probable first, or [low, high].

        Of 100 inputs like those of training, the truth is missing in 100 * `level` at most (split-conformal
        prediction: `core/results/calibration`). Inputs are those of `predict`.

        Raises:
            DataError: an input cannot be used; the message says which.
            UsageError: the model gives several labels, has no calibration, or one of too few rows for the level.
        """
        threshold = self.bundle.threshold(level)
        outputs = self._outputs_of(inputs)
        if self.task.kind == "regression":
            return cast("list[list[Any]]", intervals(outputs, threshold).tolist())
        return prediction_sets(outputs, self.classes, threshold)

    def _outputs_of(self, inputs: Any) -> np.ndarray:  # noqa: ANN401 - see dataset_in_memory
        with _cache() as cache:
            dataset = dataset_in_memory(inputs, self.task.modality, self.bundle.schema, ReadContext(cache=cache))
            outputs, unreadable = self._predict_dataset(dataset, cache)
        if unreadable:
            row, reason = next(iter(unreadable.items()))
            raise DataError(f"{len(unreadable)} of {len(outputs)} inputs cannot be read; input {row}: {reason}")
        return outputs

    def predict_frame(self, source: str, *, abstain: float | None = None) -> Predicted:
        """Predict everything at an address, in order; what cannot be read gets no prediction.

        Raises:
            DataError: there is nothing to predict at the address.
            UsageError: the model cannot abstain, or not at that level (`predict_sets`).
        """
        threshold = None if abstain is None else self.bundle.threshold(abstain)
        with _cache() as cache:
            context = ReadContext(cache=cache)
            dataset = dataset_at(source, self._lookup, self.bundle.schema, context, self.task.modality)
            return self._predicted(dataset, cache, threshold)

    def predict_as_is(self, inputs: Sequence[bytes | str | np.ndarray], *, abstain: float | None = None) -> Predicted:
        """Predict encoded images, texts, or series (C, T), in order; nothing is inferred and no path is opened.

        This is for inputs of strangers; what cannot be read gets no prediction, as in `predict_frame`.

        Raises:
            DataError: none of the inputs can be used.
            UsageError: the model cannot abstain, or not at that level (`predict_sets`).
        """
        threshold = None if abstain is None else self.bundle.threshold(abstain)
        with _cache() as cache:
            return self._predicted(dataset_as_is(inputs, self.task.modality), cache, threshold)

    def _predicted(self, dataset: Dataset, cache: Path, threshold: float | None) -> Predicted:
        outputs, unreadable = self._predict_dataset(dataset, cache)
        names = _names_of(dataset)
        found: list[Any] = _named(outputs, self.task)
        sets: list[list[str] | None] | None = None
        bounds = None
        if threshold is not None and self.task.kind == "regression":
            bounds = intervals(outputs, threshold)
        elif threshold is not None:
            sets = list(prediction_sets(outputs, self.classes, threshold))
            found = _sole(sets)
        for row in unreadable:
            found[row] = None
            if sets is not None:
                sets[row] = None
        return Predicted(
            inputs=names, predictions=found, outputs=outputs, unreadable=unreadable, candidates=sets, bounds=bounds
        )

    def evaluate(self, source: str, *, abstain: float | None = None) -> dict[str, Any]:
        """Score labelled data: `{"metrics": {name: value}, "examples": n}`.

        Of data with a test part only that part is scored; rows that cannot be read, or whose class the
        model does not know, are left out and counted under `"skipped"`. With a level to abstain at, `"abstain"`
        says how often the sets held the truth, and how many rows were answered (`calibration.Coverage`).

        Raises:
            DataError: there is nothing to score at the address.
            UsageError: the model cannot abstain, or not at that level (`predict_sets`).
        """
        threshold = None if abstain is None else self.bundle.threshold(abstain)
        with _cache() as cache:
            context = ReadContext(cache=cache)
            dataset = read_like(source, self.bundle.schema, self._lookup, context, need_target=True)
            parts = column(dataset, "part")
            wanted = [row for row, part in enumerate(parts) if part == "test"] or list(range(len(parts)))
            dataset = replace(dataset, rows=dataset.rows.select(wanted))
            outputs, unreadable = self._predict_dataset(dataset, cache)
            targets = targets_of(dataset).renamed(self.bundle.profile.spellings).by_classes(self.classes)
        usable = is_known(targets)
        usable[list(unreadable)] = False
        if not usable.any():
            what = f"of the classes {', '.join(self.classes[:10])}" if self.classes else "with a number to predict"
            raise DataError(f"{source} has no readable row {what}.")
        targets, outputs = targets[usable], outputs[usable]
        found = {
            "metrics": score_all(targets, outputs, self.task, self._lookup),
            "examples": int(usable.sum()),
            "skipped": int((~usable).sum()),
        }
        if threshold is None:
            return found
        return found | {"abstain": {"level": abstain} | asdict(coverage(targets, outputs, threshold))}

    def _predict_dataset(self, dataset: Dataset, cache: Path) -> tuple[np.ndarray, dict[int, str]]:
        """Prepare as at training and predict; rows that cannot be read have outputs of NaN."""
        ready = prepare_again(dataset, self.bundle.form, cache)
        source = open_rows(self.task.modality, ready.prepared.folder, ready.tokens_folder, self.device)
        outputs = self.predict_rows(source, np.arange(len(dataset)))
        reasons = dict(ready.prepared.unreadable)
        unreadable = {row: reasons.get(row, "is empty") for row in np.flatnonzero(~ready.prepared.usable()).tolist()}
        outputs[list(unreadable)] = np.nan
        return outputs, unreadable

    def _average(self, predict: Callable[[Live], np.ndarray]) -> np.ndarray:
        total = sum(part.weight for part in self.bundle.parts)
        weighted = [predict(live) * np.float32(live.part.weight / total) for live in self.live]
        mean: np.ndarray = np.stack(weighted).sum(axis=0, dtype=np.float32)
        return mean

    def _bring_to_life(self, part: Part) -> Live:
        member, profile = part.member, self.bundle.profile
        try:
            state = load_file(self.folder / part.file)
        except Exception as error:  # safetensors raises several types, and all mean a damaged file
            raise DataError(f"{self.folder / part.file} cannot be read: {error}") from error
        try:
            # Building draws fresh weights, and they are replaced at once.
            with torch.random.fork_rng(devices=[]), self._saying_what_is_missing(part, "architecture"):
                model = restore_model(member.candidate, profile, member.view, self._lookup, state)
        except (RuntimeError, KeyError, ValueError) as error:  # torch and a plugin's own restoring
            raise DataError(f"{self.folder / part.file} does not fit its model: {error}") from error
        model.to(self.device).eval()
        PLAIN.lay_out_model(model)
        augmenters = []
        if member.test_time_views:
            with self._saying_what_is_missing(part, "augmenter"):
                augmenters = build_augmenters(member.candidate, profile, member.view, self._lookup)
        return Live(part, model, augmenters)

    @contextmanager
    def _saying_what_is_missing(self, part: Part, kind: str) -> Iterator[None]:
        """Turn what a component of a part cannot be built without here into a PluginError that says how to get it."""
        try:
            yield
        except (ImportError, TrialError) as error:
            names = [each.name for each in part.member.components if each.kind == kind]
            needed = [module for name in names for module in self._lookup.get(kind, name).requires.modules]
            if isinstance(error, ImportError) and error.name:
                needed = [error.name.partition(".")[0]]
            missing = [module for module in dict.fromkeys(needed) if find_spec(module) is None]
            raise PluginError(
                f"{part.file}, of trial {part.member.trial}, needs the {kind} {', '.join(map(repr, names))}, which "
                f"cannot be built here: {str(error).rstrip('.')}. {remedy(missing, self.bundle.versions)}"
            ) from error


def _named(outputs: np.ndarray, task: Task) -> list[Any]:
    """Turn outputs into what people asked for: classes, lists of labels, or numbers."""
    if task.kind == "regression":
        return [float(each) for each in outputs]
    if task.kind == "multilabel":
        return [[name for name, value in zip(task.classes, row, strict=True) if value >= THRESHOLD] for row in outputs]
    return [task.classes[best] for best in outputs.argmax(1)]


def _sole(sets: Sequence[Sequence[str] | None]) -> list[str | None]:
    """Return the only class of each set, None where there are several."""
    return [each[0] if each and len(each) == 1 else None for each in sets]


def _names_of(dataset: Dataset) -> list[str]:
    """Return what people know the rows by: the file, or the row's number."""
    if dataset.modality != "image":
        return [str(row) for row in range(len(dataset))]
    return [each if isinstance(each, str) else str(row) for row, each in enumerate(origins(dataset, slice(None)))]


@contextmanager
def _cache() -> Iterator[Path]:
    """Give a folder for what is decoded on the way to predictions; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="seedbed-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
