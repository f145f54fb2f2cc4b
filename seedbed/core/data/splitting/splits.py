"""Which rows are for training, validation and test: the value, and its file (an edge)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from seedbed.core.data.parts import PARTS
from seedbed.core.data.profile import Finding
from seedbed.core.data.targets import Targets
from seedbed.core.errors import DataError
from seedbed.core.task import TaskKind

if TYPE_CHECKING:
    import pyarrow as pa

_CLASSES = b"seedbed.classes"
_KIND = b"seedbed.kind"


def _nothing() -> np.ndarray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SplitInput:
    """What a split goes by, all of it over all N rows.

    `parts` int8: 0 nowhere, 1 training, 2 validation, 3 test, as the owner has it. `readable` is what may be in a
    part if its target is known, `usable` what may be indeed, `trainable` what may be in training.
    `groups` and `duplicates` are -1 for rows alone. `order` is float64, -inf where unknown; None: no order.
    `strata` are those of the targets.
    """

    targets: Targets
    strata: np.ndarray
    parts: np.ndarray
    readable: np.ndarray
    usable: np.ndarray
    trainable: np.ndarray
    groups: np.ndarray
    duplicates: np.ndarray
    order: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Splits:
    """Row numbers of each part (int64, rising), and what is to be learnt of every row.

    `targets` holds for classification int64 (N,) indices into `classes`, -1 for rows that cannot be used:
    unreadable, or of a class that training has never seen; for regression float64 (N,), NaN where there
    is none; for multi-label uint8 (N, K). `folds` int8 (N,) numbers the folds of the rows of training and
    validation; it is -1 for all others, and for rows that may not be trained on. `leaked` lists the test
    rows of which training or validation holds a duplicate.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    targets: np.ndarray
    classes: tuple[str, ...]
    kind: TaskKind = "classification"
    folds: np.ndarray = field(default_factory=_nothing)
    leaked: np.ndarray = field(default_factory=_nothing)
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if len(self.folds) != len(self.targets):
            object.__setattr__(self, "folds", np.full(len(self.targets), -1, dtype=np.int8))

    def rows(self, part: str) -> np.ndarray:
        """Return the rows of `train`, `valid` or `test`."""
        chosen: np.ndarray = {"train": self.train, "valid": self.valid, "test": self.test}[part]
        return chosen


def is_known(targets: np.ndarray) -> np.ndarray:
    """Return a mask (N,) of the rows whose target can be scored: a class that training knows, a number, labels."""
    if targets.ndim == 2:
        return np.ones(len(targets), dtype=bool)
    known: np.ndarray = np.isfinite(targets) if targets.dtype.kind == "f" else targets >= 0
    return known


def save_splits(splits: Splits, path: Path) -> None:
    """Write the split as Parquet: a row for every row of the data; kind and classes are in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    codes = np.zeros(len(splits.targets), dtype=np.int8)
    for code, part in enumerate(PARTS, 1):
        codes[splits.rows(part)] = code
    is_leaked = np.zeros(len(codes), dtype=bool)
    is_leaked[splits.leaked] = True
    table = pa.table(
        {
            "row": np.arange(len(codes), dtype=np.int64),
            "part": pa.DictionaryArray.from_arrays(codes, pa.array(["", *PARTS])).cast(pa.string()),
            "target": _as_arrow(splits.targets),
            "fold": splits.folds.astype(np.int8),
            "leaked": is_leaked,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {_CLASSES: json.dumps(splits.classes), _KIND: splits.kind}
    pq.write_table(table.replace_schema_metadata(facts), path)


def load_splits(path: Path) -> Splits:
    """Read a split back; findings are not kept in it. Files of before there were folds are read as well.

    Raises:
        DataError: the file is missing or is no split.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        facts = table.schema.metadata
        classes = tuple(msgspec.json.decode(facts[_CLASSES], type=list[str]))
        kind = msgspec.convert(facts.get(_KIND, b"classification").decode(), TaskKind)
        parts = pc.index_in(table.column("part"), value_set=pa.array(PARTS, pa.string())).to_numpy()
        targets = _as_numpy(table.column("target"), kind)
        folds = table.column("fold").to_numpy().astype(np.int8) if "fold" in table.column_names else _nothing()
        leaked = np.flatnonzero(table.column("leaked").to_numpy()) if "leaked" in table.column_names else _nothing()
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no split ({error}); start the run again.") from error
    train, valid, test = (np.flatnonzero(parts == code) for code in range(len(PARTS)))
    return Splits(
        train=train, valid=valid, test=test, targets=targets, classes=classes, kind=kind, folds=folds, leaked=leaked
    )


def _as_arrow(targets: np.ndarray) -> pa.Array:
    import pyarrow as pa

    if targets.ndim == 1:
        return pa.array(targets)
    return pa.FixedSizeListArray.from_arrays(pa.array(targets.ravel()), targets.shape[1])


def _as_numpy(column: pa.ChunkedArray, kind: TaskKind) -> np.ndarray:
    import pyarrow as pa

    if kind == "multilabel":
        labels = column.combine_chunks()
        if not pa.types.is_fixed_size_list(labels.type):
            raise TypeError(f"targets of the type {labels.type}")
        flat: np.ndarray = labels.flatten().to_numpy(zero_copy_only=False)
        return flat.astype(np.uint8).reshape(len(labels), labels.type.list_size)
    values: np.ndarray = column.to_numpy().astype(np.float64 if kind == "regression" else np.int64)
    return values
