from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from seedbed import Dataset, Finding, NoOptions
from seedbed.core.data.check import input_of
from seedbed.core.data.columns import image_rows
from seedbed.core.data.preparing.prepare import prepare
from seedbed.core.data.repair import Repair
from seedbed.plugins.checks import images as module
from seedbed.plugins.checks.images import constant_images, unreadable_files


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def findings(build, encoded: list[bytes], folder: Path, targets: list[str] | None = None) -> list[Finding]:
    targets = targets or ["a"] * len(encoded)
    rows = image_rows(encoded, targets, [""] * len(encoded))
    dataset = Dataset(rows=rows, modality="image", source="here", name="here")
    found = list(build(NoOptions())(input_of(dataset, prepare(dataset, folder / "cache"))))
    return [each.finding if isinstance(each, Repair) else each for each in found]


def noise(seed: int, size: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)


def test_unreadable_rows_are_named_with_their_reasons(tmp_path) -> None:
    (finding,) = findings(unreadable_files, [png(noise(0)), b"text", png(noise(1))[:200]], tmp_path)
    assert finding.severity == "error"
    assert finding.rows == ("row 1", "row 2")
    assert "row 1 is no image" in finding.evidence
    assert "row 2 is damaged or truncated" in finding.evidence


def test_readable_rows_are_not_worth_a_word(tmp_path) -> None:
    assert findings(unreadable_files, [png(noise(0))], tmp_path) == []


def test_of_many_unreadable_rows_some_are_listed_and_all_counted(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_NAMED", 100)
    (finding,) = findings(unreadable_files, [png(noise(0)), *[b"text"] * 150], tmp_path)
    assert (len(finding.rows), finding.count) == (module.MOST_NAMED, 150)
    assert "145 more" in finding.evidence


def test_images_of_one_colour_are_found(tmp_path) -> None:
    nearly = np.full((40, 40), 7, np.uint8)
    nearly[13, 17] = 8  # between the places of the coarse grid
    blank = np.full((40, 40), 7, np.uint8)
    encoded = [png(noise(0)), png(blank), png(nearly), png(np.zeros_like(blank)), b"unreadable"]
    (finding,) = findings(constant_images, encoded, tmp_path, ["a", "b", "b", "c", "c"])
    assert finding.rows == ("row 1", "row 3")
    assert "b (1), c (1)" in finding.evidence


def test_one_colour_may_be_any_colour(tmp_path) -> None:
    red = np.tile(np.array([200, 10, 10], np.uint8), (40, 40, 1))
    (finding,) = findings(constant_images, [png(red), png(np.stack([noise(0)] * 3, axis=2))], tmp_path)
    assert finding.rows == ("row 0",)


def test_varied_images_are_not_worth_a_word(tmp_path) -> None:
    assert findings(constant_images, [png(noise(seed)) for seed in range(3)], tmp_path) == []


def test_of_a_large_set_a_sample_is_looked_at(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_LOOKED_AT", 3)
    (finding,) = findings(constant_images, [png(np.zeros((40, 40), np.uint8))] * 5, tmp_path)
    assert finding.count == 3
    assert "of 3 looked at" in finding.evidence
