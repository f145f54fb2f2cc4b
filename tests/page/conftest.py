from __future__ import annotations

from collections.abc import Sequence

import datasets
import numpy as np
import pyarrow as pa
import pytest
from page_of import examined
from prepared_files import prepared_series

from seedbed.core.data.columns import image_rows
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepared import PreparedImages, PreparedText
from seedbed.core.data.profile import Finding, Lengths
from seedbed.core.data.repair import Repair
from seedbed.core.data.schema import Schema
from seedbed.core.intake import Examined


@pytest.fixture
def of_images(tmp_path):
    """Examine images (N, H, W, C) with these files, or none, and these classes."""

    def make(
        names: Sequence[str | None],
        found: Sequence[Finding | Repair] = (),
        targets: Sequence[str] | None = None,
        unreadable: Sequence[int] = (),
        channels: int = 1,
    ) -> Examined:
        pixels = np.random.default_rng(0).integers(0, 256, (len(names), 6, 8, channels), dtype=np.uint8)
        np.save(tmp_path / "images.npy", pixels)
        prepared = PreparedImages(
            folder=tmp_path,
            rows=len(names),
            fingerprint="",
            height=6,
            width=8,
            channels=channels,
            unreadable=tuple((row, "is empty") for row in unreadable),
        )
        encoded = [b"..." if name is None else str(tmp_path.resolve() / name) for name in names]
        targets = targets or [("cat", "dog")[row % 2] for row in range(len(names))]
        dataset = Dataset(
            rows=image_rows(encoded, targets, [""] * len(names)), modality="image", source=str(tmp_path), name="photos"
        )
        return examined(dataset, prepared, found, height=6, width=8)

    return make


@pytest.fixture
def of_texts(tmp_path):
    def make(
        texts: Sequence[str | None],
        targets: object,
        found: Sequence[Finding] = (),
        kind: str = "classification",
        columns: dict[str, object] | None = None,
        inputs: tuple[str, ...] = ("review",),
        source: str = "reviews.csv",
    ) -> Examined:
        np.save(tmp_path / "characters.npy", np.array([len((text or "").strip()) for text in texts], dtype=np.int32))
        rows = pa.table(
            {"text": pa.array(texts, pa.string()), "target": targets, "part": [""] * len(texts)} | (columns or {})
        )
        dataset = Dataset(
            rows=datasets.Dataset(rows),
            modality="text",
            kind=kind,
            source=source,
            name="reviews",
            schema=Schema(inputs=inputs, target="stars"),
        )
        lengths = Lengths(least=1, usual=1200, most=3000, longest=45_000)
        prepared = PreparedText(folder=tmp_path, rows=len(texts), fingerprint="")
        return examined(dataset, prepared, found, lengths=lengths)

    return make


@pytest.fixture
def of_series(tmp_path):
    def make(series: Sequence[Sequence], targets: object, found: Sequence[Finding] = (), **more) -> Examined:
        steps = [np.asarray(each, dtype=np.float32) for each in series]
        steps = [each[:, None] if each.ndim == 1 else each for each in steps]
        prepared = prepared_series(tmp_path, steps)
        rows = pa.table({"series": [each.T.tolist() for each in steps], "target": targets, "part": [""] * len(steps)})
        dataset = Dataset(rows=datasets.Dataset(rows), modality="series", source="sensors.ts", name="sensors", **more)
        return examined(dataset, prepared, found, lengths=Lengths(least=2, usual=5, most=9, longest=10))

    return make
