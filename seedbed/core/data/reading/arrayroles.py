"""Which of several named arrays are inputs, targets and parts, and how targets become columns; pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.data.dataset import Part
from seedbed.core.data.parts import PART_NAMES
from seedbed.core.data.profile import Finding
from seedbed.core.data.reading.arraycolumns import strings_of
from seedbed.core.errors import DataError
from seedbed.core.task import TaskKind

if TYPE_CHECKING:
    import pyarrow as pa

INPUTS = ("x", "images", "image", "imgs", "img", "series", "signals", "texts", "text", "inputs", "input", "data",
          "features", "samples")  # fmt: skip
TARGETS = ("y", "labels", "label", "targets", "target", "class")
CLASSES = ("names", "classes", "categories")

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_RUN_TOGETHER = re.compile(r"(x|y)(train|training|valid|validation|val|dev|test|testing)")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the header of an array says."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def is_text(self) -> bool:
        """Whether the array holds strings."""
        return self.dtype.kind in "UST"

    @property
    def may_be_inputs(self) -> bool:
        """Whether a row of it is more than one number."""
        return len(self.shape) > 1 or self.is_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """Which array is what.

    `parts` gives for each part the array behind each column; the column `inputs` is in all of them,
    `target` (empty: not known) may lack in some. `classes` names an array of class names, `unused` what
    is left over.
    """

    inputs: str
    target: str
    parts: Mapping[Part, Mapping[str, str]]
    classes: str = ""
    unused: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = field(default=())

    @property
    def others(self) -> tuple[str, ...]:
        """The columns besides the inputs and the target."""
        names = dict.fromkeys(name for columns in self.parts.values() for name in columns)
        return tuple(name for name in names if name not in (self.inputs, self.target))


def roles_of(arrays: Mapping[str, Shape], source: str) -> Roles:
    """Decide by names and shapes what each array is: `x` and `y`, `x_train` and `y_test`, `val_images` …

    Raises:
        DataError: no array, or more than one alike, can be the inputs; or targets of another number.
    """
    places: dict[str, dict[Part, str]] = {}
    for name in arrays:
        part, column = _part_and_column(name)
        places.setdefault(column, {}).setdefault(part, name)
    inputs, told = _choose_inputs(places, arrays, source)
    target = next((column for word in TARGETS for column in places if column != inputs and _is(column, word)), "")
    parts: dict[Part, dict[str, str]] = {}
    for part, array in places[inputs].items():
        rows = arrays[array].shape[0]
        columns = {inputs: array}
        for column, names in places.items():
            if column == inputs or part not in names:
                continue
            shape = arrays[names[part]].shape
            if column == target and (not shape or shape[0] != rows):
                raise DataError(
                    f"{source}: `{array}` has {rows:,} rows, but `{names[part]}` has the shape {shape}; "
                    "give one target for each row."
                )
            is_column = len(shape) == 1 or (len(shape) == 2 and (shape[1] == 1 or column == target))
            if is_column and shape[0] == rows:
                columns[column] = names[part]
        parts[part] = columns
    used = {array for columns in parts.values() for array in columns.values()}
    left = tuple(name for name in arrays if name not in used)
    if not any(target in columns for columns in parts.values()):
        target = ""
    classes = next((name for name in left if arrays[name].is_text and _is_of(name, CLASSES)), "")
    unused = tuple(name for name in left if name != classes)
    if unused:
        told += (_info(f"Not used: {', '.join(f'`{name}`' for name in unused)} (no rows that go with `{inputs}`)."),)
    return Roles(inputs=inputs, target=target, parts=parts, classes=classes, unused=unused, findings=told)


def _part_and_column(name: str) -> tuple[Part, str]:
    """Split `x_train` and `trainX` into ("train", "x"): the part, and what is left of the name."""
    together = _RUN_TOGETHER.fullmatch(name.lower())
    words = [together[1], together[2]] if together else _WORDS.findall(name)
    place = next((at for at, word in enumerate(words) if word.lower() in PART_NAMES), None)
    if place is None:
        return "", name
    rest = [word.lower() for at, word in enumerate(words) if at != place]
    return PART_NAMES[words[place].lower()], "_".join(rest) or "data"


def _is(column: str, word: str) -> bool:
    return word in (each.lower() for each in _WORDS.findall(column))


def _is_of(column: str, words: Sequence[str]) -> bool:
    return any(_is(column, word) for word in words)


def _choose_inputs(
    places: Mapping[str, Mapping[Part, str]], arrays: Mapping[str, Shape], source: str
) -> tuple[str, tuple[Finding, ...]]:
    """Return the column of the inputs: named so, in the most parts, the one with the most axes, then values."""
    able = [column for column, names in places.items() if all(arrays[each].may_be_inputs for each in names.values())]
    free = [column for column in able if not _is_of(column, (*TARGETS, *CLASSES))]
    named = [column for column in free if _is_of(column, INPUTS)]
    choice = named or free
    if not choice:
        shown = ", ".join(f"`{name}` {each.shape} {each.dtype}" for name, each in list(arrays.items())[:10])
        raise DataError(
            f"{source} holds {shown or 'no arrays'}: none of them can be the inputs. Expected is `x`, an array "
            "(N, H, W), (N, H, W, C), (N, T) or (N, C, T) or of N strings, and `y`, one target for each row; "
            "or `x_train`, `y_train`, `x_test`, `y_test`."
        )

    def weight(column: str) -> tuple[int, int, int]:
        shapes = [arrays[each].shape for each in places[column].values()]
        return len(shapes), max(map(len, shapes)), max(math.prod(shape) for shape in shapes)

    order = sorted(choice, key=weight, reverse=True)
    others = [column for column in order[1:] if len(places[column]) == len(places[order[0]])]
    if others and (named or weight(others[0])[:2] == weight(order[0])[:2]):
        listed = ", ".join(f"`{each}`" for each in others)
        told = f"The array `{order[0]}` is taken for the inputs; {listed} might be, too."
        remedy = f"If not so, save a file with only one of them, under the name x, and the targets as y: {source}."
        return order[0], (Finding(check="intake", severity="warning", evidence=told, remedy=remedy),)
    if not named:
        told = f"The array `{order[0]}` is taken for the inputs, as it alone has rows of more than one number."
        return order[0], (_info(told, "Name the inputs x, and the targets y."),)
    return order[0], ()


def _info(evidence: str, remedy: str = "") -> Finding:
    return Finding(check="intake", severity="info", evidence=evidence, remedy=remedy)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TargetColumn:
    """Targets as arrow, the kind of task where their form leaves no choice, and what was seen."""

    values: pa.Array
    kind: TaskKind | None = None
    findings: tuple[Finding, ...] = ()


def target_column(name: str, values: np.ndarray, classes: Sequence[str] = ()) -> TargetColumn:
    """Return targets (N,), (N, 1) or a matrix of zeros and ones (N, K) as a column; `classes` name the indices.

    Raises:
        DataError: there are several values a row that are no labels, or their type cannot be used.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1:
        return TargetColumn(values=_named(values, classes) if classes else plain_column(name, values))
    if values.ndim != 2 or values.dtype.kind not in "biuf" or not ((values == 0) | (values == 1)).all():
        raise DataError(
            f"`{name}` has the shape {values.shape} and the type {values.dtype}; targets are one value for each row, "
            "(N,), or zeros and ones for K labels, (N, K)."
        )
    marks = values.astype(bool)
    names = list(classes) if len(classes) == marks.shape[1] else [str(number) for number in range(marks.shape[1])]
    if (marks.sum(axis=1) == 1).all():
        told = _info(f"`{name}`: exactly one 1 in each of {len(marks):,} rows of {marks.shape[1]} → classification.")
        return TargetColumn(values=_named(marks.argmax(axis=1), names), kind="classification", findings=(told,))
    told = _info(f"`{name}`: zeros and ones, {marks.sum() / len(marks):.1f} a row of {marks.shape[1]} → multi-label.")
    return TargetColumn(values=_labels(marks, names), kind="multilabel", findings=(told,))


def plain_column(name: str, values: np.ndarray) -> pa.Array:
    """Return an array (N,) of numbers, strings or times as a column; NaN stays NaN.

    Raises:
        DataError: its type has no counterpart.
    """
    import pyarrow as pa

    if values.dtype.kind in "UST":
        return strings_of(values)
    if values.dtype.kind == "f":
        values = values.astype(np.float32 if values.dtype.itemsize <= 4 else np.float64)
    try:
        return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"`{name}` is of the type {values.dtype}, which cannot be used as a column ({error})."
        ) from error


def _named(codes: np.ndarray, names: Sequence[str]) -> pa.Array:
    """Return names for class indices, as strings; null for what is no index."""
    import pyarrow as pa

    numbers = codes.astype(np.int64) if codes.dtype.kind in "biuf" and np.isfinite(codes).all() else None
    if numbers is None or numbers.max(initial=0) >= len(names) or (codes != numbers).any():
        return plain_column("target", codes)  # the names belong to something else
    fitting = pa.array(numbers, mask=numbers < 0)
    return pa.array(names, pa.string()).take(fitting)


def _labels(marks: np.ndarray, names: Sequence[str]) -> pa.Array:
    import pyarrow as pa

    offsets = np.concatenate([[0], np.cumsum(marks.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(names, pa.string()).take(pa.array(np.nonzero(marks)[1]))
    )
