from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seedbed import Dataset, Finding, NoOptions
from seedbed.core.data.check import input_of
from seedbed.core.data.columns import image_rows
from seedbed.core.data.prepared import PreparedImages, PreparedText
from seedbed.core.data.preparing.prepare import prepare
from seedbed.plugins.checks import files as module
from seedbed.plugins.checks.files import OVERSIZED_PIXELS, odd_shapes, oversized_images, rotated_images

BUILDERS = [rotated_images, oversized_images, odd_shapes]
ORIENTATION = 0x0112


def encoded(size: tuple[int, int] = (12, 8), kind: str = "JPEG", orientation: int = 0) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    exif = Image.Exif()
    if orientation:
        exif[ORIENTATION] = orientation
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, exif=exif)
    return buffer.getvalue()


def header_alone(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def told(build: Callable, files: Sequence[bytes | str], folder: Path) -> list[Finding]:
    """What a check says of these files, decoded for real."""
    dataset = dataset_of(files)
    return list(build(NoOptions())(input_of(dataset, prepare(dataset, folder / "cache"))))


def told_of(build: Callable, originals: Sequence[Sequence[int]], folder: Path) -> list[Finding]:
    """What a check says of files that are said to have this width, height and orientation."""
    np.save(folder / "originals.npy", np.array(originals, dtype=np.int32))
    prepared = PreparedImages(folder=folder, rows=len(originals), fingerprint="", height=8, width=8, channels=1)
    dataset = dataset_of([f"/photos/{row}.jpg" for row in range(len(originals))])
    return list(build(NoOptions())(input_of(dataset, prepared)))


def dataset_of(files: Sequence[bytes | str]) -> Dataset:
    rows = image_rows(files, ["a"] * len(files), [""] * len(files))
    return Dataset(rows=rows, modality="image", source="/photos", name="photos")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_images_that_are_stored_turned_are_named(tmp_path, kind) -> None:
    files = [encoded(kind=kind, orientation=turn) for turn in range(9)]
    (finding,) = told(rotated_images, files, tmp_path)
    assert finding.rows == tuple(f"row {turn}" for turn in range(2, 9))
    assert finding.count == 7
    assert finding.severity == "info"
    assert "7 images are" in finding.evidence
    assert finding.repair.startswith("done")


def test_one_turned_image_is_one(tmp_path) -> None:
    (finding,) = told(rotated_images, [encoded(), encoded(orientation=6)], tmp_path)
    assert "1 image is" in finding.evidence
    assert "row 1." in finding.evidence


def test_what_is_said_to_be_done_about_turned_images_is_done(tmp_path) -> None:
    bright_top = np.zeros((16, 16, 3), dtype=np.uint8)
    bright_top[:8] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # turn a quarter to the right
    buffer = io.BytesIO()
    Image.fromarray(bright_top).save(buffer, "PNG", exif=exif)
    dataset = dataset_of([buffer.getvalue()])
    prepared = prepare(dataset, tmp_path / "cache")
    assert next(iter(rotated_images(NoOptions())(input_of(dataset, prepared)))).repair
    pixels = np.asarray(prepared.images()[0], dtype=int)
    assert pixels[:, 8:].mean() == 255
    assert pixels[:, :8].mean() == 0


@pytest.mark.parametrize("orientation", [9, 255, 65_535])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path, orientation) -> None:
    assert told(rotated_images, [encoded(orientation=orientation)], tmp_path) == []


def test_an_orientation_beyond_what_an_array_holds_keeps_no_image_out(tmp_path) -> None:
    tag = struct.pack("<2sHIHHHII", b"II", 42, 8, 1, ORIENTATION, 4, 1, 4_000_000_000)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=b"Exif\0\0" + tag + bytes(4))
    dataset = dataset_of([encoded(), buffer.getvalue()])
    prepared = prepare(dataset, tmp_path / "cache")
    assert prepared.usable().all()
    assert list(rotated_images(NoOptions())(input_of(dataset, prepared))) == []


def test_files_that_cannot_be_read_are_neither_turned_nor_large_nor_long(tmp_path) -> None:
    files = [encoded(), encoded(orientation=6)[:150], b"text", header_alone(30_000, 30_000), header_alone(0, 5)]
    for build in BUILDERS:
        assert told(build, files, tmp_path) == []


def test_images_of_more_pixels_than_phones_take_are_named(tmp_path) -> None:
    assert OVERSIZED_PIXELS == 6000 * 4000
    (finding,) = told_of(oversized_images, [(6000, 4000, 1), (6001, 4000, 1), (9000, 8000, 1), (10, 10, 1)], tmp_path)
    assert finding.rows == ("1.jpg", "2.jpg")
    assert finding.count == 2
    assert finding.severity == "info"
    assert "the largest 9,000 by 8,000" in finding.evidence
    assert "24 million" in finding.evidence


def test_the_pixels_of_huge_images_do_not_overflow(tmp_path) -> None:
    (finding,) = told_of(oversized_images, [(65_536, 65_536, 1)], tmp_path)
    assert "65,536 by 65,536" in finding.evidence


def test_a_large_image_is_found_by_its_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "OVERSIZED_PIXELS", 100_000)
    (finding,) = told(oversized_images, [encoded(), encoded((400, 300))], tmp_path)
    assert finding.rows == ("row 1",)
    assert "400 by 300" in finding.evidence


def test_long_images_are_named_whichever_way_they_lie(tmp_path) -> None:
    sizes = [(400, 100, 1), (401, 100, 1), (100, 401, 1), (100, 100, 1), (1, 5, 6)]
    (finding,) = told_of(odd_shapes, [*sizes, *[(100, 100, 1)] * 40], tmp_path)
    assert finding.rows == ("1.jpg", "2.jpg", "4.jpg")
    assert finding.severity == "info"
    assert "more than 4 times" in finding.evidence


def test_many_long_images_are_a_warning(tmp_path) -> None:
    (finding,) = told_of(odd_shapes, [(900, 100, 1)] * 2 + [(100, 100, 1)] * 8, tmp_path)
    assert finding.severity == "warning"


def test_a_long_image_is_found_by_its_file(tmp_path) -> None:
    (finding,) = told(odd_shapes, [encoded(), encoded((100, 10)), encoded((10, 100))], tmp_path)
    assert finding.rows == ("row 1", "row 2")


def test_of_many_rows_some_are_named_and_all_counted(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_NAMED", 6)
    for build in BUILDERS:
        (finding,) = told_of(build, [(50_000, 1_000, 6)] * 8, tmp_path)
        assert (len(finding.rows), finding.count) == (6, 8)
        assert "8 images are" in finding.evidence
        assert "0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg …" in finding.evidence


def test_braces_in_the_name_of_a_file_are_a_name(tmp_path) -> None:
    np.save(tmp_path / "originals.npy", np.array([[8, 8, 6]], dtype=np.int32))
    prepared = PreparedImages(folder=tmp_path, rows=1, fingerprint="", height=8, width=8, channels=1)
    dataset = dataset_of(["/photos/{} {0} %s.jpg"])
    (finding,) = rotated_images(NoOptions())(input_of(dataset, prepared))
    assert finding.evidence.endswith(": {} {0} %s.jpg.")


@pytest.mark.parametrize("build", BUILDERS)
def test_ordinary_images_are_not_worth_a_word(tmp_path, build) -> None:
    assert told(build, [encoded(), encoded((8, 12)), encoded(kind="PNG")], tmp_path) == []


@pytest.mark.parametrize("build", BUILDERS)
def test_what_is_asked_of_images_is_not_asked_of_texts(tmp_path, build) -> None:
    np.save(tmp_path / "characters.npy", np.full(2, 5, dtype=np.int32))
    prepared = PreparedText(folder=tmp_path, rows=2, fingerprint="")
    assert list(build(NoOptions())(input_of(dataset_of(["a.png", "b.png"]), prepared))) == []
