"""Checks of the values themselves: what is constant, missing, or of unequal length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from seedbed import Finding, NoOptions, Repair
from seedbed.core.data.columns import row_names
from seedbed.core.data.prepared import PreparedSeries
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.protocols import Check, CheckInput

OWN = "column:"
_SHOWN = 10
_STEPS_AT_ONCE = 4_000_000
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
    import pyarrow.compute as pc

    rows = given.dataset.rows
    looked_at = [name for name in rows.column_names if name == "text" or name.startswith(OWN)]
    constant = []
    for name in looked_at:
        column = rows.with_format("arrow", columns=[name])[:].column(name)
        first = column[0]
        if len(column) < 2 or not _is_plain(column.type):
            continue
        # chunk by chunk, so that the first that differs ends it
        if all(pc.all(pc.fill_null(pc.equal(chunk, first), False)).as_py() for chunk in column.chunks if len(chunk)):
            constant.append((name, first.as_py()))
    beside = tuple(name.removeprefix(OWN) for name, _ in constant if name != "text")
    if any(name == "text" for name, _ in constant):
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
            remedy="They tell nothing and are not used.",
            rows=beside,
            count=len(beside),
        )


def _is_plain(kind: object) -> bool:
    import pyarrow.types as types

    return not (types.is_nested(kind) or types.is_binary(kind) or types.is_null(kind) or types.is_dictionary(kind))


def _find_missing(given: CheckInput) -> Iterator[Finding]:
    """Yield the columns with missing values, and the series with steps that are no numbers."""
    rows = given.dataset.rows
    found = []
    for name in rows.column_names:
        if name.startswith(OWN):
            missing = rows.with_format("arrow", columns=[name])[:].column(name).null_count
            if missing:
                found.append((name.removeprefix(OWN), missing))
    if found:
        listed = ", ".join(f"{name!r} ({missing:,}, {missing / len(rows):.1%})" for name, missing in found[:_SHOWN])
        yield Finding(
            check="missing_values",
            severity="info",
            evidence=f"Columns with missing values: {listed}" + (" …" if len(found) > _SHOWN else "."),
            remedy="Nothing needs to be done while they are not learnt from.",
            rows=tuple(name for name, _ in found),
            count=len(found),
        )
    if isinstance(given.prepared, PreparedSeries):
        yield from _gaps(given, given.prepared)


def _gaps(given: CheckInput, prepared: PreparedSeries) -> Iterator[Finding]:
    missing, values = _missing_steps(prepared)
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


def _missing_steps(prepared: PreparedSeries) -> tuple[np.ndarray, int]:
    """Return how many values of each row are missing, int64 (N,), and how many values there are in all."""
    values, offsets = prepared.values(), prepared.offsets()
    found = np.zeros(len(values) + 1, dtype=np.int64)
    for start in range(0, len(values), _STEPS_AT_ONCE):
        block = np.asarray(values[start : start + _STEPS_AT_ONCE])
        found[start + 1 : start + 1 + len(block)] = np.isnan(block).sum(axis=1)
    total = np.cumsum(found)
    return total[offsets[1:]] - total[offsets[:-1]], values.size


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
                evidence=f"{len(constant):,} series have one value a channel from start to end: {', '.join(names[:5])}"
                + (" …" if len(constant) > 5 else "."),
                remedy="See whether the sensor was on; leave them out with --repair all.",
                rows=names,
                count=len(constant),
            ),
            action="leave these rows out",
            drop=constant,
        )


def _is_constant(prepared: PreparedSeries) -> np.ndarray:
    """Return a mask (N,): rows of two steps or more in which no channel ever changes."""
    values, offsets, lengths = prepared.values(), prepared.offsets(), prepared.lengths()
    changes = np.zeros(len(values) + 1, dtype=np.int64)  # from the step before to this one
    for start in range(1, len(values), _STEPS_AT_ONCE):
        block = np.asarray(values[start - 1 : start + _STEPS_AT_ONCE])
        steps = (np.diff(block, axis=0) != 0) & ~(np.isnan(block[1:]) & np.isnan(block[:-1]))
        changes[start + 1 : start + 1 + len(steps)] = steps.any(axis=1)
    total = np.cumsum(changes)
    inner = np.where(lengths > 1, total[offsets[1:]] - total[np.minimum(offsets[:-1] + 1, len(values))], 1)
    constant: np.ndarray = inner == 0
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
    far = f" {len(extreme):,} are more than four times shorter or longer than that: {_listed(names)}." if names else ""
    yield Finding(
        check="unequal_lengths",
        severity="warning" if len(extreme) > _MANY * len(lengths) else "info",
        evidence=f"The series have from {lengths.min():,} to {lengths.max():,} steps, half of them up to {usual:,.0f}."
        + far,
        remedy="Shorter ones are padded and masked. If they differ because they were sampled at different rates, "
        "bring them to one rate first.",
        rows=names,
        count=len(extreme),
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
