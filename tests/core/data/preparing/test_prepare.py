from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from seedbed.core.data.preparing import prepare as module
from seedbed.core.data.preparing.decode import ImageForm
from seedbed.core.data.preparing.prepare import open_prepared, prepare
from seedbed.core.errors import DataError, Interrupted


def test_images_come_out_in_row_order(save, as_dataset, tmp_path) -> None:
    files = [save(f"{n}.png") for n in range(5)]
    prepared = prepare(as_dataset(files), tmp_path / "cache")
    assert (prepared.rows, prepared.height, prepared.width, prepared.channels) == (5, 8, 8, 1)
    assert prepared.usable().all()
    for pixels, file in zip(prepared.images(), files, strict=True):
        assert np.array_equal(pixels[..., 0], np.asarray(Image.open(file)))


def test_bytes_give_the_same_pixels_as_files(save, as_dataset, tmp_path) -> None:
    files = [save(f"{n}.png") for n in range(3)]
    of_files = prepare(as_dataset(files), tmp_path / "cache")
    of_bytes = prepare(as_dataset([file.read_bytes() for file in files]), tmp_path / "cache")
    assert np.array_equal(of_files.images(), of_bytes.images())


def test_threads_keep_the_order(save, as_dataset, tmp_path, monkeypatch) -> None:
    data = [save(f"{n}.png", size=(64, 64)).read_bytes() for n in range(40)]
    monkeypatch.setattr(module, "_CHUNK_ROWS", 3)
    monkeypatch.setattr("seedbed.core.data.preparing.blocks._LOCKED_SECONDS", 1e-9)
    threaded = prepare(as_dataset(data), tmp_path / "threaded", threads=4)
    single = prepare(as_dataset(data), tmp_path / "single", threads=1)
    assert np.array_equal(threaded.images(), single.images())


def test_the_second_time_nothing_is_decoded(save, as_dataset, tmp_path, monkeypatch) -> None:
    dataset = as_dataset([save("1.png"), save("2.png")])
    first = prepare(dataset, tmp_path / "cache")
    monkeypatch.setattr(module, "decode_in_order", None)  # whoever calls it fails
    monkeypatch.setattr(module, "measure", None)
    assert prepare(dataset, tmp_path / "cache") == first


def test_changed_content_is_prepared_anew(save, as_dataset, tmp_path) -> None:
    file = save("1.png")
    dataset = as_dataset([file, save("2.png")])
    before = prepare(dataset, tmp_path / "cache")
    Image.new("L", (8, 8), 77).save(file)
    after = prepare(dataset, tmp_path / "cache")
    assert after.fingerprint != before.fingerprint
    assert (after.images()[0] == 77).all()


def test_the_same_size_at_another_time_is_prepared_anew(save, as_dataset, tmp_path) -> None:
    file = save("1.png")
    dataset = as_dataset([file, save("2.png")])
    before = prepare(dataset, tmp_path / "cache")
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert prepare(dataset, tmp_path / "cache").fingerprint != before.fingerprint


def test_unreadable_rows_are_named_and_black(save, as_dataset, tmp_path) -> None:
    whole, cut = save("1.png", size=(32, 32)), save("2.png", size=(32, 32))
    cut.write_bytes(cut.read_bytes()[:300])
    (tmp_path / "text.png").write_text("hello")
    prepared = prepare(as_dataset([cut, whole, tmp_path / "text.png"]), tmp_path / "cache")
    assert [row for row, _ in prepared.unreadable] == [0, 2]
    assert "truncated" in prepared.unreadable[0][1]
    assert "is no image" in prepared.unreadable[1][1]
    assert prepared.usable().tolist() == [False, True, False]
    assert not prepared.images()[0].any()
    assert open_prepared(prepared.folder) == prepared


def test_where_nothing_can_be_read_the_first_is_named(as_dataset, tmp_path) -> None:
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(DataError, match=r"can be read: .*a\.png is no image"):
        prepare(as_dataset([tmp_path / "a.png"]), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    with pytest.raises(DataError, match="holds no images"):
        prepare(as_dataset([]), tmp_path / "cache")


def test_colour_among_grey_images_is_noted(save, as_dataset, tmp_path, monkeypatch) -> None:
    files = [*(save(f"{n}.png") for n in range(4)), save("colour.png", mode="RGB")]
    monkeypatch.setattr(module, "_sample", lambda rows: [0, 1])
    prepared = prepare(as_dataset(files), tmp_path / "cache")
    assert prepared.channels == 1
    assert prepared.notes == ("1 of 5 images have colour; they were made grey, as the others are.",)


def test_an_odd_size_among_equal_ones_is_noted(save, as_dataset, tmp_path, monkeypatch) -> None:
    files = [*(save(f"{n}.png") for n in range(4)), save("odd.png", size=(9, 9))]
    monkeypatch.setattr(module, "_sample", lambda rows: [0, 1])
    prepared = prepare(as_dataset(files), tmp_path / "cache")
    assert prepared.notes == ("1 of 5 images were resized to 8 by 8 pixels, the size of the others.",)


def test_a_form_can_be_asked_for(save, as_dataset, tmp_path) -> None:
    dataset = as_dataset([save("1.png"), save("2.png")])
    form = ImageForm(height=16, width=24, channels=3)
    assert prepare(dataset, tmp_path / "cache", form=form).images().shape == (2, 16, 24, 3)
    assert prepare(dataset, tmp_path / "cache").images().shape == (2, 8, 8, 1)


def test_progress_ends_at_the_total(save, as_dataset, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "_CHUNK_ROWS", 2)
    seen: list[tuple[int, int]] = []
    prepare(
        as_dataset([save(f"{n}.png") for n in range(5)]),
        tmp_path / "cache",
        report=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_a_cancelled_preparation_leaves_nothing(save, as_dataset, tmp_path) -> None:
    dataset = as_dataset([save("1.png")])
    with pytest.raises(Interrupted):
        prepare(dataset, tmp_path / "cache", cancelled=lambda: True)
    assert list((tmp_path / "cache").iterdir()) == []
    assert prepare(dataset, tmp_path / "cache").rows == 1


@pytest.mark.parametrize("file", ["images.npy", "prepared.json"])
def test_a_damaged_folder_is_made_anew(save, as_dataset, tmp_path, file: str) -> None:
    dataset = as_dataset([save("1.png"), save("2.png")])
    first = prepare(dataset, tmp_path / "cache")
    pixels = np.array(first.images())
    damaged = first.folder / file
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(DataError):
        open_prepared(first.folder)
    assert np.array_equal(prepare(dataset, tmp_path / "cache").images(), pixels)


def test_several_at_once_end_with_one_whole_folder(save, as_dataset, tmp_path) -> None:
    dataset = as_dataset([save(f"{n}.png") for n in range(20)])
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: prepare(dataset, tmp_path / "cache"), range(4)))
    assert len(set(each.folder for each in done)) == 1
    assert [each.name for each in (tmp_path / "cache").iterdir()] == [done[0].fingerprint]


def test_what_a_killed_run_left_is_cleared_after_a_day(save, as_dataset, tmp_path) -> None:
    old, new = tmp_path / "cache" / ".partial-old", tmp_path / "cache" / ".partial-new"
    old.mkdir(parents=True)
    new.mkdir()
    os.utime(old, (time.time() - 100_000,) * 2)
    prepare(as_dataset([save("1.png")]), tmp_path / "cache")
    assert not old.exists()
    assert new.exists()


def test_a_disk_without_room_is_said_beforehand(save, as_dataset, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10}))
    with pytest.raises(DataError, match="SEEDBED_HOME"):
        prepare(as_dataset([save("1.png")]), tmp_path / "cache")


def test_a_cache_that_cannot_be_made_is_said(save, as_dataset, tmp_path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="SEEDBED_HOME"):
        prepare(as_dataset([save("1.png")]), tmp_path / "file" / "cache")
