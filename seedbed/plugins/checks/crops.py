"""The check for cropped and shifted copies, which hashes miss: neighbours by features, compared pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from seedbed import Finding, NoOptions, Repair
from seedbed.core.data.checking.alignment import same_but_cropped
from seedbed.core.data.checking.likeness import group_rows
from seedbed.core.data.checking.neighbours import frozen_neighbours
from seedbed.core.data.checking.same_picture import same_picture
from seedbed.core.data.columns import row_names
from seedbed.core.data.prepared import PreparedImages
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.protocols import Check, CheckInput

_LEAST_COSINE = 0.9
_MOST_PAIRS = 2_000  # 2 ms each
_LEAST_SIDE = 32  # pixels; smaller pictures are alike too easily
_SHOWN = 4
_NONE = np.empty((0, 2), dtype=np.int64)


def cropped_copies(options: NoOptions) -> Check:
    """Build the check."""
    return _find_crops


def _find_crops(given: CheckInput) -> Iterator[Repair]:
    features, prepared = given.features, given.prepared
    if features is None or not isinstance(prepared, PreparedImages) or prepared.form.height < _LEAST_SIDE:
        return
    pairs = features.rows[frozen_neighbours(features.values, least_cosine=_LEAST_COSINE)]
    pairs = pairs[prepared.usable()[pairs].all(axis=1)]
    images = prepared.images()
    pairs = pairs[~same_picture(images, pairs)]  # those are for the check of duplicates to tell
    likely = len(pairs)
    pairs = pairs[:: max(-(-likely // _MOST_PAIRS), 1)]
    looked_at = f" ({len(pairs):,} of {likely:,} likely pairs were looked at)" if len(pairs) < likely else ""
    pairs = pairs[same_but_cropped(images, pairs)]
    if not len(pairs):
        return
    groups = group_rows(prepared.rows, _NONE, pairs)
    rows = np.flatnonzero(groups >= 0)
    rows = rows[np.argsort(groups[rows], kind="stable")]
    shown = "; ".join(" = ".join(row_names(given.dataset, pair)) for pair in pairs[:_SHOWN])
    yield Repair(
        finding=Finding(
            check="cropped_copies",
            severity="info",
            evidence=f"{len(rows):,} images are crops or shifted copies of another{looked_at}: {shown}"
            + (" …" if len(pairs) > _SHOWN else "."),
            remedy="Delete the copies, unless they are meant.",
            rows=row_names(given.dataset, rows[:MOST_NAMED]),
            count=len(rows),
        ),
        action="keep the copies of an image on one side of every split",
        is_safe=True,
        together=groups,
    )
