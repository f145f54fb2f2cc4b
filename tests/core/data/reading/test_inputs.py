from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seedbed.core.data.columns import column, origins
from seedbed.core.data.dataset import ReadContext
from seedbed.core.data.preparing.decode import ImageForm, decode, read_encoded
from seedbed.core.data.reading.inputs import dataset_at, dataset_of
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError

FORM = ImageForm(height=6, width=4, channels=3)


class NoReaders:
    """A registry without readers: whatever is read was found by its form alone."""

    def all(self, kind):
        return []


def _pixels(shape=(6, 4, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _decoded(dataset, form=FORM):
    return np.stack([decode(read_encoded(each), form).pixels for each in origins(dataset, slice(None))])


def test_an_array_of_colour_images_survives_unchanged():
    pixels = _pixels((3, 6, 4, 3))
    assert np.array_equal(_decoded(dataset_of(pixels)), pixels)


@pytest.mark.parametrize("shape", [(2, 6, 4), (2, 6, 4, 1)])
def test_grey_images_may_leave_the_channel_out(shape):
    pixels = _pixels(shape)
    found = _decoded(dataset_of(pixels), ImageForm(height=6, width=4, channels=1))
    assert np.array_equal(found.reshape(shape), pixels)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_between_zero_and_one_are_scaled(dtype):
    pixels = _pixels()
    assert np.array_equal(_decoded(dataset_of([(pixels / 255).astype(dtype)]))[0], pixels)


def test_integers_of_any_width_count_as_bytes():
    pixels = _pixels()
    assert np.array_equal(_decoded(dataset_of([pixels.astype(np.int64)]))[0], pixels)


def test_paths_bytes_arrays_and_pictures_can_be_mixed(tmp_path):
    pixels = _pixels()
    picture = Image.fromarray(pixels)
    file = tmp_path / "one.png"
    picture.save(file)
    found = _decoded(dataset_of([file, str(file), file.read_bytes(), pixels, picture]))
    assert all(np.array_equal(each, pixels) for each in found)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16", "CMYK", "YCbCr", "HSV", "F"])
def test_pictures_of_every_mode_are_taken(mode):
    picture = Image.fromarray(_pixels()).convert("L" if mode.startswith("I") else "RGB").convert(mode)
    assert _decoded(dataset_of([picture])).shape == (1, 6, 4, 3)


def test_a_picture_is_seen_as_its_file_is_seen(tmp_path):
    """A photograph lies on its side in the file, and its EXIF data says so."""
    file = tmp_path / "photo.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(_pixels((4, 6, 3))).save(file, exif=exif)
    with Image.open(file) as picture:
        assert np.array_equal(_decoded(dataset_of([picture])), _decoded(dataset_of([file])))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros(64, np.uint8), r"shape \(64,\).*reshape them to height and width"),
        (np.zeros((3, 6, 4), np.uint8), r"shape \(3, 6, 4\)"),
        (np.zeros((6, 4, 4), np.uint8), r"shape \(6, 4, 4\)"),
        (np.full((6, 4), 1.5), r"float64 and values from 1\.5 to 1\.5.*floats in 0 to 1"),
        (np.full((6, 4), -1), r"integers in 0 to 255"),
        (np.full((6, 4), np.nan), r"floats in 0 to 1"),
        (np.full((6, 4), "a"), r"give uint8"),
        (np.zeros((0, 4), np.uint8), r"shape \(0, 4\)"),
        (None, r"shape \(\)"),
    ],
    ids=["flat", "channels first", "four channels", "too bright", "negative", "nan", "text", "empty", "none"],
)
def test_what_is_no_image_is_refused_by_its_row_with_a_way_out(image, words):
    with pytest.raises(DataError, match=words) as refusal:
        dataset_of([_pixels(), image])
    assert "Input 1" in str(refusal.value)


@pytest.mark.parametrize("alone", ["cat.png", b"bytes", Path("cat.png")])
def test_a_single_input_without_a_list_is_refused(alone):
    with pytest.raises(DataError, match=r"Give a list of inputs, even for a single one: \[input\]"):
        dataset_of(alone)


def test_no_inputs_at_all_are_refused():
    with pytest.raises(DataError, match="give at least one"):
        dataset_of([])


@pytest.mark.parametrize("thing", [5, None])
def test_what_holds_no_inputs_is_refused(thing):
    with pytest.raises(DataError):
        dataset_of(thing)


def test_targets_and_part_go_with_the_rows():
    dataset = dataset_of(_pixels((2, 6, 4)), targets=[3, "x"], part="test")
    assert column(dataset, "target") == ["3", "x"]
    assert column(dataset, "part") == ["test", "test"]


def test_a_wrong_number_of_targets_is_refused():
    with pytest.raises(DataError, match=r"2 inputs but 3 targets; give one target for each"):
        dataset_of(_pixels((2, 6, 4)), targets=["a", "b", "c"])


def test_all_pictures_below_a_folder_come_in_a_stable_order(tmp_path):
    for name in ("b/2.png", "b/10.JPG", "a.bmp", "z.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(_pixels()).save(tmp_path / name, format="PNG")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.png").write_bytes(b"")
    (tmp_path / "._z.png").write_bytes(b"")
    dataset = dataset_at(str(tmp_path), NoReaders(), Schema(), ReadContext(cache=tmp_path))
    names = [str(Path(each).relative_to(tmp_path)) for each in origins(dataset, slice(None))]
    assert names == ["a.bmp", "z.png", str(Path("b/10.JPG")), str(Path("b/2.png"))]
    assert column(dataset, "target") == [""] * 4


def test_a_single_file_is_a_dataset_of_one(tmp_path):
    file = tmp_path / "one.png"
    Image.fromarray(_pixels()).save(file)
    assert origins(dataset_at(str(file), NoReaders(), Schema(), ReadContext(cache=tmp_path)), slice(None)) == [
        str(file)
    ]


def test_a_folder_without_pictures_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=r"holds no images \(.*\.png"):
        dataset_at(str(tmp_path), NoReaders(), Schema(), ReadContext(cache=tmp_path))


def test_bytes_in_memory_may_be_any_known_format():
    buffer = io.BytesIO()
    Image.fromarray(_pixels()).save(buffer, "WEBP", lossless=True)
    assert np.array_equal(_decoded(dataset_of([buffer.getvalue()]))[0], _pixels())
