"""Which rows to train on, to choose by and to test with; decided once a run."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from seedbed.core.data.profile import Finding
from seedbed.core.errors import DataError

VALID_SHARE = 0.2
MOST_VALID = 5000  # rows: the standard error of an accuracy of 0.95 is then 0.003

_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")
_PARTS = ("train", "valid", "test")
_CLASSES = b"seedbed.classes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Splits:
    """Row numbers of each part (int64, rising), and the class of every row.

    `targets` (N,) holds indices into `classes`, -1 for rows that cannot be used: unreadable, or of a
    class that training has never seen.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    targets: np.ndarray
    classes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    def rows(self, part: str) -> np.ndarray:
        """Return the rows of `train`, `valid` or `test`."""
        chosen: np.ndarray = {"train": self.train, "valid": self.valid, "test": self.test}[part]
        return chosen


def split(targets: Sequence[str], parts: Sequence[str], usable: np.ndarray, seed: int) -> Splits:
    """Give every usable row its part.

    Rows that their owner gave to a part stay there. Where there is no validation part, a stratified
    one is taken from the training rows: a fifth, at most 5,000 rows, about two of every class, never
    the only row of one.

    Raises:
        DataError: fewer than two classes have a row to train on, or none has one to validate on.
    """
    given = np.asarray(parts, dtype=object)
    names = np.asarray(targets, dtype=object)
    is_pool = usable & ((given == "") | (given == "train"))
    classes = sort_naturally(set(names[is_pool]))
    if len(classes) < 2:
        raise DataError(_too_few(classes, names, is_pool, usable))
    index = {name: number for number, name in enumerate(classes)}
    codes = np.fromiter((index.get(name, -1) for name in names), dtype=np.int64, count=len(names))
    codes[~usable] = -1
    valid = np.flatnonzero((given == "valid") & (codes >= 0))
    train = np.flatnonzero(is_pool)
    if not len(valid):
        wanted = min(round(VALID_SHARE * len(train)), MOST_VALID)
        valid = take_stratified(train, codes[train], wanted, np.random.default_rng(seed))
        train = np.setdiff1d(train, valid, assume_unique=True)
    if not len(valid):
        raise DataError(
            f"Each of the {len(classes)} classes has one usable training row, so none can be spared to "
            "choose models by. Give two or more of some class, or a validation part of its own."
        )
    return Splits(
        train=train,
        valid=valid,
        test=np.flatnonzero((given == "test") & (codes >= 0)),
        targets=codes,
        classes=classes,
        findings=tuple(_unseen(names[usable & (codes < 0)])),
    )


def take_stratified(rows: np.ndarray, codes: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Draw about `wanted` of the rows so that every class (`codes`, (n,)) keeps its share; rising order."""
    _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    quotas = _quotas(counts, wanted)
    shuffled = rng.permutation(len(rows))
    by_class = shuffled[np.argsort(inverse[shuffled], kind="stable")]
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)  # within the class
    chosen: np.ndarray = np.sort(rows[by_class[place < np.repeat(quotas, counts)]])
    return chosen


def sort_naturally(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names as people do: by number where all are numbers, `img2` before `img10` elsewhere."""
    names = list(names)
    if all(_NUMBER.fullmatch(name) for name in names):
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    return tuple(sorted(names, key=_natural_key))


def save_splits(splits: Splits, path: Path) -> None:
    """Write the split as Parquet: a row for every row of the data; the classes are in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = np.full(len(splits.targets), "", dtype=object)
    for part in _PARTS:
        parts[splits.rows(part)] = part
    table = pa.table(
        {
            "row": np.arange(len(parts), dtype=np.int64),
            "part": pa.array(parts, pa.string()),
            "target": splits.targets,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({_CLASSES: json.dumps(splits.classes)}), path)


def load_splits(path: Path) -> Splits:
    """Read a split back; findings are not kept in it.

    Raises:
        DataError: the file is missing or is no split.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        classes = tuple(msgspec.json.decode(table.schema.metadata[_CLASSES], type=list[str]))
        parts = table.column("part").to_numpy()
        targets = table.column("target").to_numpy().astype(np.int64)
    except (OSError, pa.ArrowException, KeyError, TypeError, msgspec.MsgspecError) as error:
        raise DataError(f"{path} holds no split ({error}); start the run again.") from error
    train, valid, test = (np.flatnonzero(parts == part) for part in _PARTS)
    return Splits(train=train, valid=valid, test=test, targets=targets, classes=classes)


def _quotas(counts: np.ndarray, wanted: int) -> np.ndarray:
    """Share `wanted` among the classes by their size (largest remainders), within what each can give.

    A class gives two rows where it has five, one where it has two, and never more than half.
    """
    most = counts // 2
    least = np.minimum(min(2, MOST_VALID // len(counts)), np.minimum(-(-counts // 4), most))
    ideal = counts * (wanted / counts.sum())
    quotas: np.ndarray = np.clip(np.floor(ideal).astype(np.int64), least, most)
    for number in np.argsort(np.floor(ideal) - ideal, kind="stable"):
        if quotas.sum() >= wanted:
            break
        if quotas[number] < min(most[number], np.ceil(ideal[number])):
            quotas[number] += 1
    return quotas


def _natural_key(name: str) -> tuple[list[str | int], str]:
    pieces = re.split(r"([0-9]+)", name.casefold())
    return [int(piece) if place % 2 else piece for place, piece in enumerate(pieces)], name


def _unseen(names: np.ndarray) -> Iterable[Finding]:
    if len(names):
        counts = Counter(names)
        listed = ", ".join(f"{name} ({count})" for name, count in counts.most_common(10))
        yield Finding(
            check="unseen_classes",
            severity="warning",
            evidence=f"Left out of validation and test, as training has no such class: {listed}.",
            remedy="Add training rows of these classes, or see whether they are spelt alike in all parts.",
            rows=sort_naturally(counts),
            count=len(names),
        )


def _too_few(classes: tuple[str, ...], names: np.ndarray, is_pool: np.ndarray, usable: np.ndarray) -> str:
    rows = int(is_pool.sum())
    seen = f"{rows} usable training rows of {len(classes)} class" + ("" if len(classes) == 1 else "es")
    listed = f" ({classes[0]})" if classes else ""
    beside = []
    if not usable.all():
        beside.append(f"{int((~usable).sum())} rows cannot be read")
    if usable.sum() > rows:
        beside.append(f"{int(usable.sum()) - rows} belong to validation or test")
    why = f"; {' and '.join(beside)}" if beside else ""
    return f"Of {len(names)} rows there are {seen}{listed}{why}. Two classes or more are needed to learn from."
