"""What is to be learnt of each row, as numbers: class indices, values, or a matrix of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.task import TaskKind

if TYPE_CHECKING:
    import pyarrow as pa

    from seedbed.core.data.dataset import Dataset


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Targets:
    """The targets of all N rows.

    `values` holds for classification int64 (N,) indices into `classes`, -1 where there is none; for
    regression float64 (N,), NaN where there is none; for multi-label uint8 (N, K), a row of which may
    be all zeros. `classes` come in no particular order and is empty for regression.
    """

    kind: TaskKind
    values: np.ndarray
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def known(self) -> np.ndarray:
        """Return a mask (N,) of the rows that have a target."""
        if self.kind == "classification":
            has_class: np.ndarray = self.values >= 0
            return has_class
        if self.kind == "regression":
            return np.asarray(np.isfinite(self.values))
        return np.ones(len(self.values), dtype=bool)

    def counts(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return how many of the rows each class has, int64 (K,); of values to be predicted there are none."""
        if self.kind == "regression":
            return np.zeros(0, dtype=np.int64)
        values = self.values[rows]
        if self.kind == "multilabel":
            return np.asarray(values.sum(axis=0, dtype=np.int64))
        return np.bincount(values[values >= 0], minlength=len(self.classes))

    def strata(self) -> np.ndarray:
        """Return an int64 (N,) by which splits are stratified, -1 where there is no target.

        The class; of several labels the rarest; of values the decile.
        """
        if self.kind == "classification":
            return self.values
        known = self.known()
        strata = np.full(len(self), -1, dtype=np.int64)
        if self.kind == "regression":
            if known.any():
                edges = np.unique(np.quantile(self.values[known], np.linspace(0.1, 0.9, 9)))
                strata[known] = np.searchsorted(edges, self.values[known])
            return strata
        rarity = np.argsort(np.argsort(self.counts(), kind="stable"), kind="stable").astype(np.int32)
        none = np.int32(len(self.classes))
        rank = np.where(self.values > 0, rarity, none).min(axis=1, initial=none)
        return np.asarray(rank, dtype=np.int64)

    def renamed(self, names: dict[str, str]) -> Targets:
        """Return the targets with classes given other names; those that then share one become one class."""
        if not names or self.kind == "regression":
            return self
        wanted = [names.get(name, name) for name in self.classes]
        classes = tuple(dict.fromkeys(wanted))
        index = {name: number for number, name in enumerate(classes)}
        place = np.array([*(index[name] for name in wanted), -1], dtype=np.int64)  # -1 stays -1
        if self.kind == "multilabel":
            merged = np.zeros((len(self), len(classes)), dtype=np.uint8)
            for old, new in enumerate(place[:-1]):
                merged[:, new] |= self.values[:, old]
            return replace(self, values=merged, classes=classes)
        return replace(self, values=place[self.values], classes=classes)

    def by_classes(self, classes: Sequence[str]) -> np.ndarray:
        """Return the values in the order of other classes, as `Splits.targets`; what is not among them is unknown.

        Classification: int64 (N,), -1 where unknown; multi-label: uint8 (N, K); regression: float64 (N,).
        """
        if self.kind == "regression":
            return self.values
        index = {name: number for number, name in enumerate(classes)}
        if self.kind == "multilabel":
            labels = np.zeros((len(self), len(classes)), dtype=np.uint8)
            for number, name in enumerate(self.classes):
                if name in index:
                    labels[:, index[name]] = self.values[:, number]
            return labels
        place = np.array([*(index.get(name, -1) for name in self.classes), -1], dtype=np.int64)  # -1 stays -1
        found: np.ndarray = place[self.values]
        return found

    def relabelled(self, rows: np.ndarray, names: tuple[str, ...]) -> Targets:
        """Return the targets with these rows given these classes, which must exist."""
        index = {name: number for number, name in enumerate(self.classes)}
        values = self.values.copy()
        values[rows] = [index[name] for name in names]
        return replace(self, values=values)


def targets_of(dataset: Dataset) -> Targets:
    """Read the target column of a dataset, a batch at a time; empty strings and nulls are missing."""
    column = dataset.rows.with_format("arrow", columns=["target"])[:].column("target")
    if dataset.kind == "regression":
        values = column.cast("float64").to_numpy().astype(np.float64)
        return Targets(kind="regression", values=np.where(np.isfinite(values), values, np.nan))
    if dataset.kind == "multilabel":
        return _labels(column)
    encoded = column.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
    if "" in names:
        codes[codes == names.index("")] = -1
    return _without_unused(codes, names)


def _without_unused(codes: np.ndarray, names: list[str]) -> Targets:
    """Drop names that no row has, the empty one among them."""
    used = np.bincount(codes[codes >= 0], minlength=len(names)) > 0
    place = np.append(np.cumsum(used) - 1, -1)
    codes = place[codes]
    classes = tuple(name for name, is_used in zip(names, used, strict=True) if is_used)
    return Targets(kind="classification", values=codes, classes=classes)


def _labels(column: pa.ChunkedArray) -> Targets:
    import pyarrow as pa

    lists = column.combine_chunks()
    encoded = lists.flatten().cast(pa.string()).dictionary_encode()
    names = encoded.dictionary.to_pylist()
    lengths = lists.value_lengths().fill_null(0).to_numpy()
    rows = np.repeat(np.arange(len(lists)), lengths)
    codes = encoded.indices.fill_null(-1).to_numpy()
    values = np.zeros((len(lists), len(names)), dtype=np.uint8)
    kept = codes >= 0
    values[rows[kept], codes[kept]] = 1
    named = [number for number, name in enumerate(names) if name]
    return Targets(kind="multilabel", values=values[:, named], classes=tuple(names[number] for number in named))
