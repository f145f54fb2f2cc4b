"""The columns of a dataset: how readers fill them, and what they hold as plain lists."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datasets

    from seedbed.core.data.dataset import Dataset, Part

Origin = bytes | str
"""An encoded image: the bytes themselves, or the path of the file that holds them."""


def image_rows(images: Sequence[Origin], targets: Sequence[str], parts: Sequence[Part]) -> datasets.Dataset:
    """Build the rows of an image dataset from encoded images (or their paths), targets and parts.

    The arrow table is made directly: `Dataset.from_dict` takes six times as long on 60,000 paths, and
    `load_dataset("imagefolder")` the better part of a minute.
    """
    import datasets
    import pyarrow as pa

    features = datasets.Features(
        {
            "image": datasets.Image(decode=False),
            "target": datasets.Value("string"),
            "part": datasets.Value("string"),
        }
    )
    encoded = pa.array([each if isinstance(each, bytes) else None for each in images], pa.binary())
    paths = pa.array([each if isinstance(each, str) else None for each in images], pa.string())
    table = pa.table(
        {
            "image": pa.StructArray.from_arrays([encoded, paths], names=["bytes", "path"]),
            "target": pa.array(targets, pa.string()),
            "part": pa.array(parts, pa.string()),
        }
    )
    return datasets.Dataset(table, info=datasets.DatasetInfo(features=features))


def column(dataset: Dataset, name: str) -> list[str]:
    """Return one column of strings, without touching the others."""
    values: list[str] = dataset.rows.with_format("arrow", columns=[name])[:].column(name).to_pylist()
    return values


def origins(dataset: Dataset, rows: slice | list[int]) -> list[Origin]:
    """Return the encoded images of these rows; bytes win over a path, an empty string stands for neither."""
    images = dataset.rows.with_format("arrow", columns=["image"])[rows].column("image").to_pylist()
    return [_origin(each or {}) for each in images]


def _origin(image: dict[str, bytes | str | None]) -> Origin:
    encoded = image.get("bytes")
    return encoded if encoded is not None else image.get("path") or ""


def row_names(dataset: Dataset, rows: Iterable[int]) -> tuple[str, ...]:
    """Name rows for people: the file, seen from the dataset's folder, or `row 17` where there is no file."""
    wanted = [int(row) for row in rows]
    if not wanted:
        return ()
    base = str(Path(dataset.source).resolve())
    images = dataset.rows.with_format("arrow", columns=["image"])[wanted].column("image")
    paths = [(image or {}).get("path") for image in images.to_pylist()]
    return tuple(_name(row, path, base) for row, path in zip(wanted, paths, strict=True))


def _name(row: int, path: str | None, base: str) -> str:
    if not path:
        return f"row {row}"
    return path.removeprefix(base + os.sep)
