"""Rows that are there more than once, of any modality: exact copies, and copies that differ in coding alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seedbed.core.data.checking.likeness import equal_images, fingerprint, group_rows, near_duplicates
from seedbed.core.data.checking.shingles import MOST_ROWS, near_duplicate_texts
from seedbed.core.data.checking.text_likeness import equal_rows, series_digests, text_digests
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepared import Prepared, PreparedImages, PreparedSeries

_NO_PAIRS = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Groups int64 (N,) of rows, -1 for rows alone: `exact` copies, and `likely` ones with the exact among them.

    `likeness` says in words what likely copies are; `note` what was not looked at.
    """

    exact: np.ndarray
    likely: np.ndarray
    likeness: str
    note: str = ""


def find_copies(dataset: Dataset, prepared: Prepared) -> Copies:
    """Find the copies among the usable rows."""
    usable = np.flatnonzero(prepared.usable())
    if isinstance(prepared, PreparedImages):
        return _of_images(prepared, usable)
    if isinstance(prepared, PreparedSeries):
        return _of_series(dataset, usable)
    return _of_texts(dataset, usable)


def _of_images(prepared: PreparedImages, usable: np.ndarray) -> Copies:
    images = prepared.images()
    prints = fingerprint(images, usable)
    same = equal_images(images, prints)
    near = near_duplicates(images, prints)
    return Copies(
        exact=group_rows(prepared.rows, same, _NO_PAIRS),
        likely=group_rows(prepared.rows, same, near),
        likeness="nearly the same picture as another, coded or scaled anew",
    )


def _of_series(dataset: Dataset, usable: np.ndarray) -> Copies:
    digests = _only(series_digests(dataset), usable)
    exact = group_rows(len(dataset), equal_rows(digests), _NO_PAIRS)
    return Copies(exact=exact, likely=exact, likeness="")


def _of_texts(dataset: Dataset, usable: np.ndarray) -> Copies:
    digests = _only(text_digests(dataset), usable)
    same = equal_rows(digests)
    near = near_duplicate_texts(dataset, digests)
    note = ""
    if len(dataset) > MOST_ROWS:
        note = (
            f"Texts that are nearly the same were looked for among {MOST_ROWS:,} rows drawn at random; "
            f"equal ones among all {len(dataset):,}."
        )
    return Copies(
        exact=group_rows(len(dataset), same, _NO_PAIRS),
        likely=group_rows(
            len(dataset), np.concatenate([same, near]), _NO_PAIRS
        ),  # pairs of texts link groups as they are
        likeness="nearly the same text as another",
        note=note,
    )


def _only(digests: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the digests of the usable rows, 0 for the others: they are compared with none."""
    found = np.zeros_like(digests)
    found[usable] = digests[usable]
    return found
