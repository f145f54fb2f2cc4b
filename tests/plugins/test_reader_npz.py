from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext
from seedbed.core.data.inference.interpret import interpret
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError
from seedbed.plugins.readers import npz

RNG = np.random.default_rng(0)


def _pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def read(tmp_path):
    """Write arrays into an archive and read it: `read(x=…, y=…)`; or read the bytes given."""

    def run(content=None, save=np.savez, **arrays):
        file = tmp_path / "some data.npz"
        if content is None:
            save(file, **arrays)
        else:
            file.write_bytes(content)
        return npz.build(NoOptions()).read(str(file), ReadContext(cache=tmp_path / "cache"))

    return run


def _values(table, name):
    return table.rows.with_format("arrow")[:].column(name).to_pylist()


def _pictures(table, name):
    return np.stack([np.asarray(Image.open(io.BytesIO(each["bytes"]))) for each in _values(table, name)])


def _npy(header, data=b"", version=(1, 0)):
    """A member with a header of one's own."""
    text = header.encode() + b"\n"
    size = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + text + data


def _archive(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("shape", [(5, 8, 9), (5, 8, 9, 1), (5, 8, 9, 3), (5, 8, 9, 4)])
def test_images_survive_unchanged(read, shape, save):
    pixels = _pixels(*shape)
    table = read(x=pixels, y=np.arange(5), save=save)
    assert table.schema == Schema(modality="image", inputs=("x",), target="y")
    assert np.array_equal(_pictures(table, "x"), pixels.squeeze(-1) if shape[-1] == 1 else pixels)
    assert _values(table, "y") == [0, 1, 2, 3, 4]
    assert table.name == "some-data"


def test_channels_may_come_first(read):
    pixels = _pixels(5, 3, 8, 9)
    table = read(images=pixels, labels=np.arange(5))
    assert np.array_equal(_pictures(table, "images"), pixels.transpose(0, 2, 3, 1))
    assert "channels first" in table.findings[0].evidence


@pytest.mark.parametrize("array", [np.float32, np.float64, np.int16, bool])
def test_pixels_of_other_types_are_brought_to_bytes(read, array):
    pixels = _pixels(4, 8, 8)
    given, expected = {
        np.float32: ((pixels / 255).astype(np.float32), pixels),
        np.float64: (pixels.astype(np.float64), pixels),
        np.int16: (pixels.astype(np.int16), pixels),
        bool: (pixels > 99, (pixels > 99) * np.uint8(255)),
    }[array]
    assert np.array_equal(_pictures(read(x=given), "x"), expected)


def test_sixteen_bits_of_grey_are_kept(read):
    pixels = RNG.integers(0, 4096, (3, 8, 8)).astype(np.uint16)
    pixels[0, 0, 0] = 4095
    assert np.array_equal(_pictures(read(x=pixels), "x").astype(np.uint16), pixels)


def test_an_image_with_a_hole_is_empty_and_the_others_go_on(read):
    pixels = RNG.random((3, 8, 8, 3))
    pixels[1, 2, 2, 0] = np.nan
    assert [each["bytes"] is None for each in _values(read(x=pixels), "x")] == [False, True, False]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4, 3, 50), (3, 50)), ((4, 50, 3), (3, 50)), ((4, 50), (1, 50)), ((4, 900, 100), (900, 100))],
    ids=["channels first", "steps first", "one channel", "many channels"],
)
def test_series_become_channels_of_steps(read, shape, expected):
    array = RNG.normal(size=shape)
    table = read(X=array, y=np.array(["a", "b", "a", "b"]))
    assert table.schema == Schema(modality="series", inputs=("X",), target="y")
    assert np.shape(_values(table, "X")) == (4, *expected)
    wanted = array.transpose(0, 2, 1) if array.ndim == 3 and shape[1:] != expected else array
    assert np.array_equal(np.array(_values(table, "X"), np.float32), wanted.reshape(4, *expected).astype(np.float32))


@pytest.mark.parametrize(
    ("array", "modality", "severity"),
    [
        (_pixels(4, 28, 28), "image", "info"),
        (RNG.random((4, 28, 28)), "image", "info"),
        (RNG.random((4, 28, 40)), "image", "warning"),
        (RNG.random((4, 16, 60)), "series", "warning"),
        (RNG.normal(size=(4, 28, 28)), "series", "info"),
        (RNG.random((4, 3, 60)), "series", "info"),
        (_pixels(4, 3, 200), "series", "info"),
        (_pixels(4, 784), "image", "warning"),
        (RNG.integers(0, 17, (4, 64)).astype(float), "series", "warning"),
    ],
    ids=["bytes", "square", "nearly", "long", "negative", "low", "low bytes", "flat", "flat floats"],
)
def test_what_could_be_images_or_series_is_told_with_the_flag(read, array, modality, severity):
    table = read(x=array)
    assert table.schema.modality == modality
    finding = table.findings[0]
    assert (finding.check, finding.severity) == ("intake", severity)
    assert "--modality" in finding.remedy
    assert ("another reading is close" in finding.evidence) == (severity == "warning")


def test_the_users_word_on_what_an_array_shows_wins(tmp_path):
    file = tmp_path / "data.npz"
    np.savez(file, x=RNG.random((4, 28, 28)))
    context = SimpleNamespace(cache=tmp_path / "cache", offline=False, modality="series")
    assert np.shape(_values(npz.build(NoOptions()).read(str(file), context), "x")) == (4, 28, 28)
    context.modality = None
    assert npz.build(NoOptions()).read(str(file), context).schema.modality == "image"


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test"),
        ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
        ("XTrain", "YTrain", "XVal", "YVal", "XTest", "YTest"),
        ("xtrain", "ytrain", "xdev", "ydev", "xtest", "ytest"),
    ],
)
def test_parts_are_read_off_the_names(read, names):
    counts = (5, 5, 3, 3, 2, 2)
    arrays = {
        name: _pixels(count, 8, 8) if place % 2 == 0 else np.arange(count)[:, None]
        for place, (name, count) in enumerate(zip(names, counts, strict=True))
    }
    table = read(**arrays)
    assert _values(table, "part") == ["train"] * 5 + ["valid"] * 3 + ["test"] * 2
    assert _values(table, table.schema.target) == [*range(5), *range(3), *range(2)]
    assert np.array_equal(_pictures(table, table.schema.inputs[0])[5:8], arrays[names[2]])
    assert table.schema.part == "part"


def test_a_part_without_targets_has_none(read):
    table = read(x_train=_pixels(3, 8, 8), y_train=np.arange(3), x_test=_pixels(2, 8, 8))
    assert _values(table, "y") == [0, 1, 2, None, None]


def test_other_arrays_with_a_value_a_row_become_columns(read):
    table = read(x=_pixels(3, 8, 8), y=np.arange(3), patient=np.array(["p", "q", "p"]), mean=np.ones(7))
    assert _values(table, "patient") == ["p", "q", "p"]
    assert "`mean`" in table.findings[0].evidence


def test_names_of_classes_take_the_place_of_numbers(read):
    table = read(x=_pixels(4, 8, 8), y=np.array([1, 0, 1, -1]), class_names=np.array(["cat", "dog"]))
    assert _values(table, "y") == ["dog", "cat", "dog", None]


def test_one_hot_targets_are_classes_and_others_labels(read):
    assert _values(read(x=_pixels(3, 8, 8), y=np.eye(3)), "y") == ["0", "1", "2"]
    several = read(x=_pixels(3, 8, 8), y=np.array([[1, 1], [0, 0], [0, 1]]))
    assert (_values(several, "y"), several.schema.kind) == ([["0", "1"], [], ["1"]], "multilabel")


def test_strings_are_text(read):
    table = read(x=np.array(["gut", "schön"]), y=np.array([b"a", b"b"]))
    assert table.schema.modality == "text"
    assert (_values(table, "x"), _values(table, "y")) == (["gut", "schön"], ["a", "b"])


def test_arrays_without_names_are_told_by_their_shape(read, tmp_path):
    file = tmp_path / "unnamed.npz"
    np.savez(file, _pixels(4, 8, 8), np.arange(4))
    table = npz.build(NoOptions()).read(str(file), ReadContext(cache=tmp_path / "cache"))
    assert table.schema.inputs == ("arr_0",)
    assert "alone has rows of more than one number" in table.findings[0].evidence
    assert "arr_1" in table.rows.column_names


def test_arrays_with_the_columns_first_in_memory_are_read_alike(read):
    array = RNG.normal(size=(6, 40))
    assert _values(read(x=np.asfortranarray(array)), "x") == _values(read(x=array.copy()), "x")


def test_numbers_of_the_other_byte_order_are_read(read):
    table = read(x=RNG.normal(size=(3, 20)).astype(">f4"), y=np.arange(3, dtype=">i2"))
    assert _values(table, "y") == [0, 1, 2]


def test_many_rows_pass_in_blocks_and_keep_their_order(read, monkeypatch):
    monkeypatch.setattr("seedbed.core.data.reading.arrayforms.BLOCK_BYTES", 500)
    array = RNG.normal(size=(100, 30))
    table = read(x=array, y=np.arange(100), save=np.savez_compressed)
    assert table.rows.data.table.column("x").num_chunks > 10
    assert np.array_equal(np.array(_values(table, "x"), np.float32)[:, 0], array.astype(np.float32))
    assert _values(table, "y") == list(range(100))


def test_a_second_read_opens_what_the_first_one_wrote(read, monkeypatch):
    array = RNG.random((4, 28, 40))
    first = read(x=array)
    monkeypatch.setattr(npz, "array_batches", None)
    second = npz.build(NoOptions()).read(first.source, ReadContext(cache=_cache_of(first)))
    assert (second.findings, second.schema) == (first.findings, first.schema)
    assert second.rows.to_dict() == first.rows.to_dict()


def _cache_of(table):
    return Path(table.source).parent / "cache"


def test_what_was_read_can_be_interpreted(read, tmp_path):
    table = read(x_train=_pixels(12, 8, 8), y_train=np.arange(12) % 2, x_test=_pixels(4, 8, 8), y_test=np.arange(4) % 2)
    dataset = interpret(table, Schema(), tmp_path)
    assert (dataset.modality, dataset.kind) == ("image", "classification")
    assert set(dataset.rows["target"]) == {"0", "1"}
    assert list(dataset.rows["part"]) == ["train"] * 12 + ["test"] * 4


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.array([{}, 1], dtype=object)}, "pickled; unpickling runs code"),
        ({"x": np.array([b"cos\nsystem\n(S'x'\ntR."], dtype=object)}, "pickled"),
        ({"y": np.arange(3)}, r"none of them can be the inputs. Expected is `x`"),
        ({"x": _pixels(3, 8, 8), "y": np.arange(4)}, r"`x` has 3 rows, but `y` has the shape \(4,\)"),
        ({"x": _pixels(3, 8, 8), "y": RNG.random((3, 4))}, r"`y` has the shape \(3, 4\).*one value for each row"),
        ({"x": RNG.normal(size=(3, 8, 8, 3))}, "floats in 0 to 1.*Scale them"),
        ({"x": RNG.normal(size=(3, 2, 8, 8, 3))}, r"images are \(N, H, W\)"),
        ({"x": RNG.normal(size=(3, 4))}, "very short for series.*--modality series"),
        ({"x": np.zeros((0, 8, 8))}, "holds nothing"),
        ({"x": np.full((2, 9), np.inf)}, "no finite number"),
        ({"x": np.zeros((2, 9), dtype=complex)}, "complex128"),
        ({"x": np.zeros((2, 9), dtype=[("a", "f4")])}, "arrays of numbers or of strings"),
        ({"x_train": _pixels(2, 8, 8), "x_test": _pixels(2, 9, 9)}, "all parts in one form"),
        ({}, "holds no arrays"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused_in_words(read, arrays, words):
    with pytest.raises(DataError, match=words):
        read(**arrays)


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 100000, 1000), }"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read as a NumPy archive"),
        (b"PK\x03\x04 rubbish", "cannot be read"),
        (_archive(x=_npy(HUGE)), r"takes 800,000,000,000,000 bytes, but has 0"),
        (_archive(x=_npy(HUGE.replace("1000000,", "-1,"))), "It is damaged"),
        (_archive(x=_npy("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 9), }", bytes(64))), "144 bytes"),
        (_archive(x=_npy("(" * 5000)), "cannot be read"),
        (_archive(x=_npy("{'descr': '" + "f" * 20000 + "'}")), "cannot be read"),
        (_archive(x=_npy("{'descr': 'O', 'fortran_order': False, 'shape': (1, 2)}", b"cos\nsystem\n.")), "pickled"),
        (_archive(x=_npy(HUGE, version=(3, 0))), r"version \(3, 0\)"),
        (_archive(x=b"no array"), "cannot be read"),
    ],
    ids=["empty", "cut", "bomb", "negative", "short", "nested", "long", "pickle", "version", "no array"],
)
def test_damaged_archives_are_refused_before_anything_is_allocated(read, content, words):
    with pytest.raises(DataError, match=words):
        read(content=content)


def test_an_archive_cut_or_changed_anywhere_ends_in_a_table_or_a_sentence(read):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=_pixels(6, 8, 8), y=np.arange(6))
    whole, rng = buffer.getvalue(), random.Random(0)
    refused = 0
    for attempt in range(200):
        content = bytearray(whole)
        if attempt % 2:
            del content[rng.randrange(len(content)) :]
        else:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        try:
            assert len(read(content=bytes(content))) == 6
        except DataError:
            refused += 1
    assert refused > 150


def test_a_file_that_is_not_there_is_bad_data(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        npz.build(NoOptions()).read(str(tmp_path / "none.npz"), ReadContext(cache=tmp_path))


def test_texts_beyond_unicode_are_said_in_a_sentence(read):
    with pytest.raises(DataError, match="a character that Unicode lacks"):
        read(x=np.full(4, -1, "<i4").view("<U1"), y=np.arange(4) % 2)
