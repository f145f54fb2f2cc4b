"""A bundle brought to life: inputs in, classes and probabilities out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from seedbed.core.data.batches import Images
from seedbed.core.data.columns import column, origins
from seedbed.core.data.dataset import Dataset, ReadContext
from seedbed.core.data.preparing.prepare import prepare
from seedbed.core.data.reading.inputs import dataset_at, dataset_of
from seedbed.core.data.reading.read import read_like
from seedbed.core.errors import DataError, PluginError, UnknownName
from seedbed.core.protocols import Augmenter, Lookup
from seedbed.core.results.bundle import Bundle, Part, read_bundle
from seedbed.core.results.scoring import score_all
from seedbed.core.training.assemble import Classifier, build_augmenters, build_model
from seedbed.core.training.context import PLAIN
from seedbed.core.training.desk import pick_device
from seedbed.core.training.evaluate import Stop, never, predict_rows
from seedbed.core.training.member import Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Predictions in the order of the inputs: names, classes, and probabilities (N, K).

    Inputs in `unreadable` (row → reason) have an empty prediction and probabilities of NaN.
    """

    inputs: list[str]
    predictions: list[str]
    probabilities: np.ndarray
    unreadable: dict[int, str]


@dataclass(frozen=True, slots=True)
class Live:
    """A member with its model, ready to predict."""

    part: Part
    model: Classifier
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
        self._device = pick_device(device)
        for part in self.bundle.parts:
            _check_components(part.member, lookup)
        self.live = [self._bring_to_life(part) for part in self.bundle.parts]

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the probability columns."""
        return self.bundle.profile.task.classes

    def predict_prepared(self, folder: Path, rows: np.ndarray, should_stop: Stop = never) -> np.ndarray:
        """Return probabilities (N, K) float32 for rows of prepared images."""
        images = Images(folder, self._device)
        wanted = torch.from_numpy(np.asarray(rows, dtype=np.int64))
        return self._average(
            lambda live: predict_rows(
                live.model,
                images,
                wanted,
                live.part.member.view,
                PLAIN,
                augmenters=live.augmenters,
                should_stop=should_stop,
            ).numpy()
        )

    def predict(self, inputs: Any) -> list[str]:  # noqa: ANN401 - see dataset_of
        """Return the class of each input: an array (N, H, W[, C]), or a list of paths, arrays or pictures.

        Raises:
            DataError: an input cannot be read as an image; the message says which.
        """
        return [self.classes[best] for best in self.predict_proba(inputs).argmax(1)]

    def predict_proba(self, inputs: Any) -> np.ndarray:  # noqa: ANN401 - see dataset_of
        """Return probabilities (N, K) float32; columns in the order of `classes`.

        Raises:
            DataError: an input cannot be read as an image; the message says which.
        """
        with _cache() as cache:
            probabilities, unreadable = self._predict_dataset(dataset_of(inputs), cache)
        if unreadable:
            row, reason = next(iter(unreadable.items()))
            raise DataError(f"{len(unreadable)} of {len(probabilities)} inputs cannot be read; input {row}: {reason}")
        return probabilities

    def predict_frame(self, source: str) -> Predicted:
        """Predict every image at an address, in order; one that cannot be read gets no prediction.

        Raises:
            DataError: there is no image at the address.
        """
        with _cache() as cache:
            dataset = dataset_at(source, self._lookup, self.bundle.schema, ReadContext(cache=cache))
            probabilities, unreadable = self._predict_dataset(dataset, cache)
            paths = [each if isinstance(each, str) else None for each in origins(dataset, slice(None))]
        best = probabilities.argmax(1)
        return Predicted(
            inputs=[str(row) if path is None else path for row, path in enumerate(paths)],
            predictions=["" if row in unreadable else self.classes[best[row]] for row in range(len(best))],
            probabilities=probabilities,
            unreadable=unreadable,
        )

    def evaluate(self, source: str) -> dict[str, Any]:
        """Score labelled data: `{"metrics": {name: value}, "examples": n}`.

        Of data with a test part only that part is scored; rows that cannot be read, or whose class the
        model does not know, are left out and counted under `"skipped"`.

        Raises:
            DataError: there is nothing to score at the address.
        """
        with _cache() as cache:
            context = ReadContext(cache=cache)
            dataset = read_like(source, self.bundle.schema, self._lookup, context, need_target=True)
            parts = column(dataset, "part")
            wanted = [row for row, part in enumerate(parts) if part == "test"] or list(range(len(parts)))
            dataset = replace(dataset, rows=dataset.rows.select(wanted))
            probabilities, unreadable = self._predict_dataset(dataset, cache)
            names = column(dataset, "target")
        index = {name: number for number, name in enumerate(self.classes)}
        merged = self.bundle.profile.spellings
        targets = np.array([index.get(merged.get(name, name), -1) for name in names])
        usable = targets >= 0
        usable[list(unreadable)] = False
        if not usable.any():
            raise DataError(f"{source} has no readable row of the classes {', '.join(self.classes[:10])}.")
        return {
            "metrics": score_all(targets[usable], probabilities[usable], self.bundle.profile.task, self._lookup),
            "examples": int(usable.sum()),
            "skipped": int((~usable).sum()),
        }

    def _predict_dataset(self, dataset: Dataset, cache: Path) -> tuple[np.ndarray, dict[int, str]]:
        """Decode as at training and predict; rows that cannot be read have probabilities of NaN."""
        prepared = prepare(dataset, cache, form=self.bundle.form)
        probabilities = self.predict_prepared(prepared.folder, np.arange(len(dataset)))
        unreadable = dict(prepared.unreadable)
        probabilities[list(unreadable)] = np.nan
        return probabilities, unreadable

    def _average(self, predict: Callable[[Live], np.ndarray]) -> np.ndarray:
        total = sum(part.weight for part in self.bundle.parts)
        weighted = [predict(live) * np.float32(live.part.weight / total) for live in self.live]
        mean: np.ndarray = np.stack(weighted).sum(axis=0, dtype=np.float32)
        return mean

    def _bring_to_life(self, part: Part) -> Live:
        member, profile = part.member, self.bundle.profile
        with torch.random.fork_rng(devices=[]):  # building draws fresh weights, and they are replaced at once
            model = build_model(member.candidate, profile, member.view, self._lookup)
        try:
            model.load_state_dict(load_file(self.folder / part.file))
        except Exception as error:  # safetensors and torch raise several types, and all mean a damaged file
            raise DataError(f"{self.folder / part.file} does not fit its model: {error}") from error
        model.to(self._device).eval()
        PLAIN.lay_out_model(model)
        augmenters = (
            build_augmenters(member.candidate, profile, member.view, self._lookup) if member.test_time_views else []
        )
        return Live(part, model, augmenters)


@contextmanager
def _cache() -> Iterator[Path]:
    """Give a folder for what is decoded on the way to predictions; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="seedbed-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _check_components(member: Member, lookup: Lookup) -> None:
    """Refuse a bundle whose components are missing here or have changed their meaning."""
    for component in member.components:
        try:
            spec = lookup.get(component.kind, component.name)
        except UnknownName as error:
            raise PluginError(
                f"This model needs the {component.kind} {component.name!r} of {component.owner} "
                f"{component.owner_version}, which is not installed. `pip install {component.owner}` brings it, "
                "or `--plugin FILE` if it was a local file."
            ) from error
        if spec.version != component.version:
            raise PluginError(
                f"This model was made with version {component.version} of the {component.kind} "
                f"{component.name!r} ({component.owner} {component.owner_version}); installed is version "
                f"{spec.version}. `pip install {component.owner}=={component.owner_version}` brings it back."
            )
