"""Random tables of mixed types never end in a traceback: a dataset that keeps its promises, or a sentence."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from seedbed.core.data.columns import order_of, parts_of, ranks_of
from seedbed.core.data.dataset import Dataset, ReadContext, Table
from seedbed.core.data.inference.interpret import interpret
from seedbed.core.data.reading.read import read
from seedbed.core.data.repair import Policy
from seedbed.core.data.schema import Schema
from seedbed.core.data.targets import targets_of
from seedbed.core.errors import DataError, UsageError
from seedbed.core.intake import Intake
from seedbed.core.settings import Settings
from seedbed.registry.registry import Registry, open_registry

TARGET_TYPES = {
    "classification": pa.string(),
    "regression": pa.float64(),
    "multilabel": pa.list_(pa.string()),
}
INPUT_TYPES = {
    "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    "text": pa.string(),
    "series": pa.list_(pa.list_(pa.float32())),
}

names = st.one_of(
    st.sampled_from(
        ["label", "target", "text", "split", "id", "image", "part", "series", "", " ", "a,b", "column:x", "y"]
    ),
    st.text(max_size=12).filter(lambda name: name.isprintable()),
    st.builds("t{}".format, st.integers(0, 9)),
)
floats = st.floats(width=32) | st.sampled_from([0.0, 1.0, math.nan, math.inf, 1e300])
words = st.sampled_from(
    ["cat", "dog", "a few words of text", "train", "test", "valid", "1", "2.5", "a|b", "b|c", "x.png"]
)
strings = st.one_of(
    words,
    st.text(max_size=30),
    st.sampled_from(["", " ", "\0", "é" * 5000, "[1, 2, 3]", "1 2 3 4 5", "[[1, 2], [3]]", "2020-01-02", "\ud800"]),
)
dates = st.dates() | st.datetimes()
lists = st.lists(floats | st.none() | st.integers(-5, 5), max_size=5)
cells: dict[str, st.SearchStrategy[object]] = {
    "integers": st.integers(-(2**63), 2**63 - 1),
    "codes": st.integers(0, 3),
    "floats": floats,
    "strings": strings,
    "words": words,
    "booleans": st.booleans(),
    "dates": dates,
    "nulls": st.none(),
    "lists": lists,
    "nested": st.lists(lists, max_size=4),
    "labels": st.lists(words, max_size=3),
    "bytes": st.binary(max_size=20),
    "records": st.fixed_dictionaries({"a": st.integers(0, 2)}),
    "mixed": st.one_of(st.integers(), floats, strings, st.booleans(), lists, st.none()),
}


@st.composite
def tables(draw: st.DrawFn) -> Columns:
    """Draw columns by name: random ones, and mostly a column to learn from and one to learn."""
    rows = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    kinds = {name: draw(st.sampled_from(sorted(cells))) for name in draw(st.lists(names, max_size=5, unique=True))}
    learnable = draw(st.sampled_from([None, *LEARNABLE]))
    # a few values drawn and dealt out: forty draws a column would leave hypothesis little room to look around
    few = {name: draw(st.lists(cells[kind], min_size=1, max_size=6)) for name, kind in kinds.items()}
    columns = {name: [values[rng.integers(len(values))] for _ in range(rows)] for name, values in few.items()}
    if learnable == "steps":
        columns |= {f"step{n}": rng.normal(size=rows).tolist() for n in range(9)}
    elif learnable is not None:
        columns["an input"] = [LEARNABLE[learnable](rng) for _ in range(rows)]
    if learnable is not None and draw(st.booleans()):
        values = draw(st.sampled_from([["a", "b"], [0, 1, 2], [0.5, math.nan, 2.25], ["a|b", "b|c", "c"], [["a"], []]]))
        columns["the class"] = [values[rng.integers(len(values))] for _ in range(rows)]
    if draw(st.booleans()):
        columns = {name: [None if rng.random() < 0.2 else v for v in values] for name, values in columns.items()}
    return columns


def some_numbers(rng: np.random.Generator, least: int = 0) -> list[float]:
    return rng.normal(size=rng.integers(least, 6)).tolist()


LEARNABLE: dict[str, Callable[[np.random.Generator], object]] = {
    "text": lambda rng: f"some {rng.integers(99)} words {rng.integers(99)}",
    "lists": some_numbers,
    "nested": lambda rng: [some_numbers(rng) for _ in range(rng.integers(3))],
    "many steps": lambda rng: [rng.normal(size=2).tolist() for _ in range(rng.integers(3, 9))],
    "cells": lambda rng: str(some_numbers(rng, 2)),
    "files": lambda rng: ["a.png", "folder/../a.png", "missing.png"][rng.integers(3)],
    "steps": some_numbers,
}


@st.composite
def wishes(draw: st.DrawFn) -> tuple[Columns, dict[str, object]]:
    """Draw a table, and wishes that are about its columns more often than not."""
    columns = draw(tables())
    known = sorted(columns) or ["nothing"]
    some = st.sampled_from([*known, *known, "not there"])
    wanted = st.fixed_dictionaries(
        {},
        optional={
            "modality": st.sampled_from(["image", "text", "series"]),
            "kind": st.sampled_from(["classification", "regression", "multilabel"]),
            "inputs": st.lists(some, min_size=1, max_size=2, unique=True).map(tuple),
            "target": some,
            "part": some,
            "group": some,
            "order": some,
        },
    )
    return columns, draw(st.just({}) | wanted)


Columns = dict[str, list[object]]


def in_memory(columns: Columns, folder: Path) -> Table:
    """Make a table of columns; what arrow cannot hold as it is becomes text, as a reader would make it."""
    arrays = {name: array_of(values) for name, values in columns.items()}
    return Table(rows=datasets.Dataset(pa.table(arrays)), source="memory", name="memory", folder=folder)


def as_csv(columns: Columns, folder: Path) -> Table:
    """Write the columns as CSV and read that; names may come twice there."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*columns, *list(columns)[:1]])
    writer.writerows([*row, *row[:1]] for row in zip(*columns.values(), strict=True))
    return read_text(text.getvalue(), folder / "rows.csv")


def as_json_lines(columns: Columns, folder: Path) -> Table:
    """Write the columns as JSON lines and read that; a missing value is a missing key in every other row."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    thinned = [{k: v for k, v in row.items() if v is not None or n % 2} for n, row in enumerate(rows)]
    return read_text("\n".join(json.dumps(row, default=str) for row in thinned), folder / "rows.jsonl")


@functools.cache
def readers() -> Registry:
    return open_registry([], installed=False)


def read_text(text: str, file: Path) -> Table:
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = read(str(file), readers(), ReadContext(cache=file.parent, offline=True))
    assert isinstance(found, Table)
    return found


def array_of(values: list[object]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return pa.array([None if value is None else clean(value) for value in values], pa.string())


def clean(value: object) -> str:
    return str(value).encode("utf-8", "backslashreplace").decode()


def check_promises(dataset: Dataset, rows: int) -> None:
    """See that a dataset is what its docstring says, and that what comes next can read it."""
    schema = dataset.rows.data.table.schema
    assert schema.field(dataset.modality).type == INPUT_TYPES[dataset.modality]
    assert schema.field("target").type == TARGET_TYPES[dataset.kind]
    assert schema.field("part").type == pa.string()
    assert len(dataset) == rows
    assert set(dataset.rows["part"]) <= {"train", "valid", "test", ""}
    others = set(schema.names) - {dataset.modality, "target", "part", "group", "order"}
    assert all(name.startswith("column:") for name in others)
    if dataset.modality == "series":
        for channels in dataset.rows.with_format(None)["series"]:
            assert len({len(channel) for channel in channels or []}) < 2
    targets = targets_of(dataset)
    assert len(targets) == rows == len(parts_of(dataset))
    assert targets.known().any()
    for name in ("group", "order"):
        assert (name in schema.names) == bool(getattr(dataset.schema, name))
    assert ranks_of(dataset, "group") is None or len(ranks_of(dataset, "group")) == rows
    assert order_of(dataset) is None or len(order_of(dataset)) == rows


def go_on(dataset: Dataset, policy: Policy, cache: Path) -> None:
    """Prepare, check, split and describe a dataset: what comes of it is whole, or a sentence says why nothing can."""
    intake = Intake(settings=Settings(source=dataset.source, repair=policy), lookup=readers(), cache=cache)
    try:
        prepared = intake.prepare(dataset)
        checked = intake.check(dataset, prepared)
        splits = intake.split(dataset, checked)
        profile = intake.describe(dataset, prepared, checked, splits)
    except (DataError, UsageError) as error:
        check_sentence(error)
        return
    assert not [each for each in checked.findings if " failed: " in each.evidence]
    parts = [splits.train, splits.valid, splits.test]
    together = np.concatenate(parts)
    assert len(set(together.tolist())) == len(together) == profile.examples
    assert checked.usable[together].all()
    assert checked.trainable[splits.train].all()
    assert (profile.train, profile.valid, profile.test) == tuple(map(len, parts))
    assert profile.train
    assert profile.valid
    assert not len(splits.classes) or profile.class_counts
    assert np.isfinite([profile.target_mean, profile.target_std, *profile.mean, *profile.std]).all()
    assert min(profile.std, default=1.0) > 0


@pytest.fixture(scope="module")
def cache() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        Image.new("L", (8, 8), 99).save(Path(folder) / "a.png")
        yield Path(folder)


def check_sentence(error: Exception) -> None:
    assert str(error)[-1] in ".?"


def settle(make: Callable[[Columns, Path], Table], columns: Columns, wanted: dict[str, object], cache: Path) -> None:
    """Read a table and interpret it: it ends in a dataset, which is read the same again, or in a sentence."""
    expected = (DataError, UsageError) if wanted else DataError  # without wishes there is no misuse
    try:
        table = make(columns, cache)
        dataset = interpret(table, Schema(**wanted), cache)
    except expected as error:
        check_sentence(error)
        return
    check_promises(dataset, len(table))
    again = interpret(table, dataset.schema, cache)
    assert again.schema == dataset.schema
    assert again.rows.data.table.schema == dataset.rows.data.table.schema
    policies: tuple[Policy, ...] = ("safe", "all")
    for policy in policies:
        go_on(dataset, policy, cache)


RANDOM = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@settings(RANDOM, max_examples=150)
@given(wishes())
def test_a_random_table_is_a_dataset_or_a_sentence(cache, drawn) -> None:
    settle(in_memory, *drawn, cache)


@settings(RANDOM, max_examples=100)
@given(wishes())
def test_a_random_csv_file_is_a_dataset_or_a_sentence(cache, drawn) -> None:
    settle(as_csv, *drawn, cache)


@settings(RANDOM, max_examples=100)
@given(wishes())
def test_a_random_file_of_json_lines_is_a_dataset_or_a_sentence(cache, drawn) -> None:
    settle(as_json_lines, *drawn, cache)


@settings(RANDOM, max_examples=60)
@given(tables())
def test_rows_to_predict_need_no_target(cache, columns) -> None:
    table = in_memory(columns, cache)
    try:
        dataset = interpret(table, Schema(), cache, need_target=False)
    except DataError as error:
        check_sentence(error)
        return
    assert dataset.rows.data.table.column("target").null_count == len(table)
    assert dataset.rows.data.table.schema.field(dataset.modality).type == INPUT_TYPES[dataset.modality]
