"""Checks of the values themselves: what is constant, missing, or of unequal length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from seedbed import Finding, NoOptions, Repair
from seedbed.core.data.columns import row_names
from seedbed.core.data.dataset import OWN, Dataset
from seedbed.core.data.prepared import PreparedSeries
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.data.reading.arrowforms import form_of, scan, without_empty
from seedbed.core.protocols import Check, CheckInput

_COMPARED = ("string", "boolean", "integer", "float", "date")
_SHOWN = 10
_VALUES_AT_ONCE = 4_000_000
_MANY = 0.05  # of the values of a row, or of the rows of a column


def constant_columns(options: NoOptions) -> Check:
    """Build the check."""
    return _find_constant_columns


def missing_values(options: NoOptions) -> Check:
    """Build the check."""
    return _find_missing


def constant_series(options: NoOptions) -> Check:
    """Build the check."""
    return _find_constant_series


def unequal_lengths(options: NoOptions) -> Check:
    """Build the check."""
    return _find_unequal


def _find_constant_columns(given: CheckInput) -> Iterator[Finding]:
    """Yield the columns in which all rows are alike; of the input itself that is an error."""
    looked_at = [name for name in given.dataset.rows.column_names if name == "text" or name.startswith(OWN)]
    inputs = set(given.dataset.schema.inputs)
    constant = [name for name in looked_at if len(given.dataset) > 1 and _is_constant_column(given.dataset, name)]
    beside = tuple(name.removeprefix(OWN) for name in constant if name != "text")
    if "text" in constant:
        yield Finding(
            check="constant_columns",
            severity="error",
            evidence="All texts are the same: there is nothing to learn from.",
            remedy="Choose another column with --input.",
        )
    if beside:
        yield Finding(
            check="constant_columns",
            severity="info",
            evidence=f"Columns with one and the same value in every row: {_listed(beside)}.",
            remedy="They tell nothing" + (" and are not used." if inputs.isdisjoint(beside) else "; leave them out."),
            rows=beside,
            count=len(beside),
        )


def _is_constant_column(dataset: Dataset, name: str) -> bool:
    """Whether every row holds the same; of cells that cannot be compared, as lists, it is not known."""
    import pyarrow.compute as pc

    first = None
    for (array,) in scan(dataset.rows, [name]):  # the first batch that differs ends it
        first = array[0] if first is None else first
        if form_of(array.type) not in _COMPARED or not pc.all(pc.fill_null(pc.equal(array, first), False)).as_py():
            return False
    return first is not None


def _find_missing(given: CheckInput) -> Iterator[Finding]:
    """Yield the columns with missing values, and the series with steps that are no numbers."""
    rows = given.dataset.rows
    found = []
    for name in rows.column_names:
        if name.startswith(OWN):
            missing = sum(without_empty(array).null_count for (array,) in scan(rows, [name]))
            if missing:
                found.append((name.removeprefix(OWN), missing))
    if found:
        listed = ", ".join(f"{name!r} ({missing:,}, {missing / len(rows):.1%})" for name, missing in found[:_SHOWN])
        yield Finding(
            check="missing_values",
            severity="info",
            evidence=f"Columns with missing values: {listed}" + (" …" if len(found) > _SHOWN else "."),
            remedy="Nothing needs to be done while they are not learnt from; a text is made of those that are there.",
            rows=tuple(name for name, _ in found),
            count=len(found),
        )
    if isinstance(given.prepared, PreparedSeries):
        yield from _gaps(given, given.prepared)


def _gaps(given: CheckInput, prepared: PreparedSeries) -> Iterator[Finding]:
    missing, values = _missing_values(prepared), prepared.values().size
    gappy = np.flatnonzero(prepared.usable() & (missing > 0))
    if not len(gappy):
        return
    share = float(missing[gappy].sum() / max(values, 1))
    names = row_names(given.dataset, gappy[:MOST_NAMED])
    yield Finding(
        check="missing_values",
        severity="warning" if share > _MANY else "info",
        evidence=f"{len(gappy):,} of {prepared.rows:,} series have values that are missing, NaN or infinite "
        f"({share:.2%} of all values): {', '.join(names[:5])}" + (" …" if len(gappy) > 5 else "."),
        remedy="They are taken for the mean of their channel; interpolate them if you know better.",
        rows=names,
        count=len(gappy),
    )


def _missing_values(prepared: PreparedSeries) -> np.ndarray:
    """Return how many values of each row are missing, int64 (N,)."""
    missing = np.zeros(prepared.rows, dtype=np.int64)
    for rows, values, edges in _blocks(prepared):
        missing[rows] = _between(np.isnan(values).sum(axis=1), edges[:-1], edges[1:])
    return missing


def _blocks(prepared: PreparedSeries) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield some rows at a time: which, their values (steps, C) end to end, and where each begins and the last ends."""
    values, offsets = prepared.values(), prepared.offsets()
    most = max(_VALUES_AT_ONCE // prepared.channels, 1)
    row = 0
    while row < prepared.rows:
        end = max(int(np.searchsorted(offsets, offsets[row] + most, side="right")) - 1, row + 1)
        edges = offsets[row : end + 1]
        yield slice(row, end), np.asarray(values[edges[0] : edges[-1]]), edges - edges[0]
        row = end


def _between(counts: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Add up counts (steps,) from each beginning to each end (n,)."""
    total = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    found: np.ndarray = total[ends] - total[begins]
    return found


def _find_constant_series(given: CheckInput) -> Iterator[Repair]:
    prepared = given.prepared
    if not isinstance(prepared, PreparedSeries):
        return
    constant = np.flatnonzero(prepared.usable() & _is_constant(prepared))
    if len(constant):
        names = row_names(given.dataset, constant[:MOST_NAMED])
        yield Repair(
            finding=Finding(
                check="constant_series",
                severity="warning",
                evidence=f"{len(constant):,} series {'has' if len(constant) == 1 else 'have'} one value a channel from "
                f"start to end: {', '.join(names[:5])}" + (" …" if len(constant) > 5 else "."),
                remedy="See whether the sensor was on; leave them out with --repair all.",
                rows=names,
                count=len(constant),
            ),
            action="leave these rows out",
            drop=constant,
        )


def _is_constant(prepared: PreparedSeries) -> np.ndarray:
    """Return a mask (N,): rows of two steps or more in which no channel ever changes."""
    constant = np.zeros(prepared.rows, dtype=bool)
    for rows, values, edges in _blocks(prepared):
        changes = np.zeros(len(values), dtype=bool)  # from the step before to this one
        both_missing = np.isnan(values[1:]) & np.isnan(values[:-1])
        changes[1:] = ((values[1:] != values[:-1]) & ~both_missing).any(axis=1)
        begins, ends = edges[:-1], edges[1:]
        constant[rows] = (ends - begins > 1) & (_between(changes, np.minimum(begins + 1, ends), ends) == 0)
    return constant


def _find_unequal(given: CheckInput) -> Iterator[Finding]:
    prepared = given.prepared
    if not isinstance(prepared, PreparedSeries):
        return
    lengths = prepared.lengths()[prepared.usable()]
    if not len(lengths) or lengths.min() == lengths.max():
        return
    usual = float(np.median(lengths))
    extreme = np.flatnonzero(prepared.usable() & ((prepared.lengths() < usual / 4) | (prepared.lengths() > usual * 4)))
    names = row_names(given.dataset, extreme[:MOST_NAMED])
    are = "is" if len(extreme) == 1 else "are"
    far = f" {len(extreme):,} {are} more than four times shorter or longer than that: {_listed(names)}."
    yield Finding(
        check="unequal_lengths",
        severity="warning" if len(extreme) > _MANY * len(lengths) else "info",
        evidence=f"The series have from {lengths.min():,} to {lengths.max():,} steps, half of them up to {usual:,.0f}."
        + (far if names else ""),
        remedy="Shorter ones are padded and masked. If they differ because they were sampled at different rates, "
        "bring them to one rate first.",
        rows=names,
        count=len(extreme),
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
