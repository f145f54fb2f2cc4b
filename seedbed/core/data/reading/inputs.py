"""Inputs without a known form: arrays, pictures and paths in memory, or an address with or without labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from seedbed.core.data.columns import SUFFIXES, Origin, image_rows
from seedbed.core.data.dataset import Dataset, Part, ReadContext
from seedbed.core.data.reading.encode import encoded_image
from seedbed.core.data.reading.objects import table_of
from seedbed.core.data.reading.read import read_like, settle
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError
from seedbed.core.protocols import Lookup
from seedbed.core.task import Modality


def dataset_at(
    source: str, lookup: Lookup, schema: Schema, context: ReadContext, modality: Modality = "image"
) -> Dataset:
    """Return all rows at an address, labelled or not: a file, a folder of any form, or what a reader knows.

    `schema` is that of the data a model was trained on: of a table the same columns are read.

    Raises:
        DataError: there is nothing of the modality.
    """
    path = Path(source).expanduser()
    if modality != "image":
        return _of_modality(read_like(source, schema, lookup, context, need_target=False), modality)
    if path.is_dir():
        files: list[Origin] = list(_images_below(path))
    elif path.is_file() and path.suffix.lower() in SUFFIXES:
        files = [str(path)]
    else:
        return read_like(source, schema, lookup, context, need_target=False)
    if not files:
        raise DataError(f"{source} holds no images ({', '.join(sorted(SUFFIXES))}).")
    return _unlabelled(files, source)


def dataset_in_memory(inputs: Any, modality: Modality, schema: Schema, context: ReadContext) -> Dataset:  # noqa: ANN401
    """Return inputs that a program holds as a dataset without targets, read as the training data was.

    Args:
        inputs: what `table_of` takes: a table with the training data's columns, or a sequence of texts, of
            series, of images or of their paths.
        schema: that of the data a model was trained on.

    Raises:
        DataError: they cannot be used.
    """
    if modality == "image" and not hasattr(inputs, "columns"):
        return dataset_of(inputs)
    table = table_of(inputs, modality=modality)
    names = table.rows.column_names
    if schema.inputs and all(name in names for name in schema.inputs):
        wanted = replace(schema, target="", part="", group="", order="")
    else:
        wanted = Schema(modality=modality, layout=schema.layout)
    return _of_modality(settle(table, wanted, context, need_target=False), modality)


def dataset_as_is(inputs: Sequence[bytes | str | np.ndarray], modality: Modality) -> Dataset:
    """Return inputs whose form is settled as a dataset without targets: nothing is inferred, no path is opened.

    Args:
        inputs: encoded images as bytes, texts, or series float32 (C, T).
        modality: which of the three they are.
    """
    import datasets
    import pyarrow as pa

    if modality == "image":
        return _unlabelled(cast("Sequence[Origin]", inputs), "memory")
    strings, number = datasets.Value("string"), datasets.Value("float32")
    form = strings if modality == "text" else datasets.List(datasets.List(number))
    values = inputs if modality == "text" else [[np.asarray(each) for each in row] for row in inputs]
    kind = pa.string() if modality == "text" else pa.list_(pa.list_(pa.float32()))
    empty = pa.array([""] * len(inputs), pa.string())
    return Dataset(
        rows=datasets.Dataset(
            pa.table({modality: pa.array(values, kind), "target": empty, "part": empty}),
            info=datasets.DatasetInfo(features=datasets.Features({modality: form, "target": strings, "part": strings})),
        ),
        modality=modality,
        source="memory",
        name="memory",
    )


def _of_modality(dataset: Dataset, modality: Modality) -> Dataset:
    if dataset.modality != modality:
        raise DataError(f"The model takes {modality} data, and {dataset.source} holds {dataset.modality} data.")
    return dataset


def dataset_of(inputs: Any, targets: Sequence[Any] | None = None, part: Part = "") -> Dataset:  # noqa: ANN401
    """Return inputs in memory as a dataset.

    Args:
        inputs: an array of images, (N, H, W) or (N, H, W, C) with 1 or 3 channels, uint8 or floats in
            [0, 1]; or a sequence of such single arrays, of paths, of encoded bytes or of PIL images.
        targets: one label for each.

    Raises:
        DataError: the inputs are nothing of these, or their number is not that of the targets.
    """
    if isinstance(inputs, str | bytes | os.PathLike):
        raise DataError("Give a list of inputs, even for a single one: [input].")
    try:
        found = [encoded_image(each, row) for row, each in enumerate(inputs)]
    except TypeError as error:
        raise DataError(
            f"Inputs of the type {type(inputs).__name__} cannot be gone through ({error}); give a list."
        ) from error
    if not found:
        raise DataError("There are no inputs; give at least one.")
    if targets is None:
        return _unlabelled(found, "memory")
    labels = [str(each) for each in targets]
    if len(labels) != len(found):
        raise DataError(f"There are {len(found):,} inputs but {len(labels):,} targets; give one target for each.")
    return Dataset(
        rows=image_rows(found, labels, [part] * len(found)), modality="image", source="memory", name="memory"
    )


def _unlabelled(images: Sequence[Origin], source: str) -> Dataset:
    count = len(images)
    return Dataset(
        rows=image_rows(images, [""] * count, [""] * count),
        modality="image",
        source=source,
        name=Path(source).name or "images",
    )


def _images_below(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield str(Path(root) / name)
