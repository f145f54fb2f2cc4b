from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from seedbed.core.data.preparing.cachefolder import NOT_WHOLE, ArrayFile, filling, read_facts, write_facts
from seedbed.core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Facts:
    folder: Path
    rows: int


def opens(folder: Path) -> None:
    if not (folder / "whole").exists():
        raise DataError("not whole")


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "name"
    with filling(folder, 10, "The things", opens) as partial:
        (partial / "whole").touch()
        assert not folder.exists()
    assert [each.name for each in folder.iterdir()] == ["whole"]
    assert [each.name for each in folder.parent.iterdir()] == ["name"]


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with filling(tmp_path / "name", 10, "The things", opens) as partial:
            (partial / "half").touch()
            raise KeyError

    with pytest.raises(KeyError):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_says_where(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"disk full.*SEEDBED_HOME"), filling(tmp_path / "a", 1, "The things", opens):
        raise OSError("disk full")


def test_a_whole_folder_of_another_process_stays(tmp_path: Path) -> None:
    folder = tmp_path / "name"
    with filling(folder, 10, "The things", opens) as partial:
        (partial / "mine").touch()
        folder.mkdir()
        (folder / "whole").touch()
    assert [each.name for each in folder.iterdir()] == ["whole"]


def test_a_damaged_folder_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "name"
    folder.mkdir()
    (folder / "damaged").touch()
    with filling(folder, 10, "The things", opens) as partial:
        (partial / "whole").touch()
    assert [each.name for each in folder.iterdir()] == ["whole"]


def test_a_disk_without_room_is_said_by_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10}))
    with (
        pytest.raises(DataError, match=r"The things take 3\.00 GiB.*SEEDBED_HOME"),
        filling(tmp_path / "name", 3 * 2**30, "The things", opens),
    ):
        pass


def test_facts_name_the_folder_they_lie_in(tmp_path: Path) -> None:
    write_facts(Facts(folder=tmp_path / "before", rows=3), tmp_path)
    assert read_facts(tmp_path, Facts) == Facts(folder=tmp_path, rows=3)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"rows": "many"}', '"\\ud800"', "null"])
def test_damaged_facts_are_no_surprise(tmp_path: Path, text: str) -> None:
    (tmp_path / "prepared.json").write_text(text)
    with pytest.raises(NOT_WHOLE):
        read_facts(tmp_path, Facts)


@pytest.mark.parametrize("row", [(), (3,), (2, 2)])
def test_a_growing_file_is_an_ordinary_array(tmp_path: Path, row: tuple[int, ...]) -> None:
    blocks = [np.random.default_rng(n).random((n * 1000, *row)).astype(np.float32) for n in range(4)]
    with (tmp_path / "a.npy").open("wb") as file:
        array = ArrayFile(file, "<f4", row)
        for block in blocks:
            array.append(block)
        array.finish()
    assert np.array_equal(np.load(tmp_path / "a.npy", mmap_mode="r"), np.concatenate(blocks))
