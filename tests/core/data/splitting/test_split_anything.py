"""Whatever is given, a split is whole or a sentence says why there is none."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.splitting.split import load_splits, save_splits, split
from seedbed.core.data.targets import Targets
from seedbed.core.errors import DataError


@st.composite
def asked(draw: st.DrawFn) -> tuple[Targets, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Targets of any kind, parts, usable rows, and some of the rest."""
    rows = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    kind = draw(st.sampled_from(["classification", "regression", "multilabel"]))
    width = draw(st.integers(1, 5))
    if kind == "classification":
        targets = Targets(kind=kind, values=rng.integers(-1, width, rows), classes=tuple("edcba"[:width]))
    elif kind == "regression":
        values = np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, width * 5, rows))
        targets = Targets(kind=kind, values=values)
    else:
        matrix = (rng.random((rows, width)) < rng.random(width)).astype(np.uint8)
        targets = Targets(kind=kind, values=matrix, classes=tuple("edcba"[:width]))
    highest = draw(st.integers(0, 3))
    more = {
        "trainable": rng.random(rows) < 0.8,
        "groups": rng.integers(-1, max(rows // draw(st.integers(1, 6)), 1), rows),
        "duplicates": rng.integers(-1, rows + 1, rows),
        "order": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, rows + 1, rows)),
    }
    wanted = draw(st.sets(st.sampled_from(sorted(more))))
    parts = rng.integers(0, highest + 1, rows).astype(np.int8)
    return targets, parts, rng.random(rows) < 0.9, {name: more[name] for name in sorted(wanted)}


@settings(max_examples=200, deadline=None)
@given(asked=asked(), seed=st.integers(0, 9))
def test_a_split_holds_what_it_promises_or_a_sentence_says_why_not(asked: tuple, seed: int) -> None:
    targets, parts, usable, more = asked
    try:
        splits = split(targets, parts, usable, seed, **more)
    except DataError as error:
        assert str(error).endswith(".")  # noqa: PT017 -- either way out is good
        return
    together = np.concatenate([splits.train, splits.valid, splits.test])
    assert len(set(together)) == len(together)
    assert (usable & targets.known())[together].all()
    assert len(splits.train)
    assert len(splits.valid)
    assert more.get("trainable", usable)[splits.train].all()
    assert (parts[splits.train] <= 1).all()
    assert (parts[splits.test] == 3).all()
    assert set(splits.test) <= set(np.flatnonzero(parts == 3))
    if "groups" in more and not (parts[splits.valid] == 2).any():
        groups = more["groups"]
        assert not set(groups[splits.train][groups[splits.train] >= 0]) & set(groups[splits.valid])
    if targets.kind == "classification":
        assert set(splits.targets[together]) == set(range(len(splits.classes)))
        assert len(splits.classes) >= 2
    if targets.kind == "multilabel":
        assert splits.targets[splits.train].any(axis=0).all()
    assert np.array_equal(splits.folds >= 0, np.isin(np.arange(len(parts)), [*splits.train, *splits.valid])) or (
        "trainable" in more
    )
    assert set(splits.leaked) <= set(splits.test)
    assert all(each.evidence.endswith(".") for each in splits.findings)


@settings(max_examples=20, deadline=None)
@given(asked=asked())
def test_whatever_was_split_is_read_back_as_it_was(asked: tuple) -> None:
    targets, parts, usable, more = asked
    try:
        before = split(targets, parts, usable, 0, **more)
    except DataError:
        return
    with TemporaryDirectory() as folder:
        save_splits(before, Path(folder) / "splits.parquet")
        after = load_splits(Path(folder) / "splits.parquet")
    for name in ("train", "valid", "test", "folds", "leaked"):
        assert np.array_equal(getattr(after, name), getattr(before, name))
    assert np.array_equal(after.targets, before.targets, equal_nan=targets.kind == "regression")
    assert (after.kind, after.classes) == (before.kind, before.classes)
