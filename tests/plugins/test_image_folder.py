from __future__ import annotations

import os
import time
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from seedbed import NoOptions
from seedbed.core.data.check import input_of
from seedbed.core.data.columns import column, origins, parts_of, row_names
from seedbed.core.data.dataset import ReadContext
from seedbed.core.data.preparing.prepare import prepare
from seedbed.core.data.repair import Repair
from seedbed.core.data.splitting.split import split
from seedbed.core.data.targets import targets_of
from seedbed.core.errors import DataError
from seedbed.plugins.checks.classes import class_names, rare_classes
from seedbed.plugins.checks.images import unreadable_files
from seedbed.plugins.readers.image_folder import build

PNG = Image.new("L", (4, 4))


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        PNG.save(root / name, "PNG")
    return root


def read(root: Path):
    return build(NoOptions()).read(str(root), ReadContext(cache=root / "unused"))


def rows(root: Path) -> list[tuple[str, str, str]]:
    dataset = read(root)
    names = row_names(dataset, range(len(dataset)))
    return list(zip(names, column(dataset, "target"), column(dataset, "part"), strict=True))


def test_each_class_folder_is_a_class(tmp_path) -> None:
    make(tmp_path, "dog/2.png", "dog/10.JPG", "cat/1.jpeg")
    assert rows(tmp_path) == [("cat/1.jpeg", "cat", ""), ("dog/10.JPG", "dog", ""), ("dog/2.png", "dog", "")]


@pytest.mark.parametrize("valid", ["valid", "val", "Validation", "dev"])
def test_part_folders_give_rows_their_part(tmp_path, valid: str) -> None:
    make(tmp_path, "Training/cat/1.png", f"{valid}/cat/1.png", "TEST/cat/1.png")
    assert sorted(part for _, _, part in rows(tmp_path)) == ["test", "train", "valid"]


def test_a_class_may_be_called_train(tmp_path) -> None:
    make(tmp_path, "train/1.png", "plane/1.png")
    assert rows(tmp_path) == [("plane/1.png", "plane", ""), ("train/1.png", "train", "")]


def test_a_test_folder_may_stand_beside_classes(tmp_path) -> None:
    make(tmp_path, "cat/1.png", "dog/1.png", "test/cat/2.png")
    assert rows(tmp_path) == [
        ("test/cat/2.png", "cat", "test"),
        ("cat/1.png", "cat", ""),
        ("dog/1.png", "dog", ""),
    ]


def test_deeper_folders_belong_to_their_class(tmp_path) -> None:
    make(tmp_path, "cat/2020/05/1.png", "cat/0.png", "dog/1.png")
    assert [name for name, _, _ in rows(tmp_path)] == ["cat/0.png", "cat/2020/05/1.png", "dog/1.png"]


def test_a_lone_folder_around_it_is_stepped_into(tmp_path) -> None:
    make(tmp_path, "photos/photos/cat/1.png", "photos/photos/dog/1.png", "__MACOSX/photos/cat/1.png")
    assert [target for _, target, _ in rows(tmp_path)] == ["cat", "dog"]


def test_hidden_files_and_those_of_systems_are_passed_over(tmp_path) -> None:
    make(tmp_path, "cat/1.png", "dog/1.png", ".ipynb_checkpoints/1.png", "cat/.hidden.png", "cat/.cache/1.png")
    (tmp_path / "cat" / "Thumbs.db").touch()
    dataset = read(tmp_path)
    assert len(dataset) == 2
    assert dataset.findings == ()


def test_names_are_kept_as_they_are(tmp_path) -> None:
    composed = "Süße Äpfel"
    names = [composed, unicodedata.normalize("NFD", composed), "日本", " spaced "]
    make(tmp_path, *(f"{name}/1 ä.png" for name in names))
    assert sorted(target for _, target, _ in rows(tmp_path)) == sorted(names)


def test_links_are_followed_but_not_in_circles(tmp_path) -> None:
    root = make(tmp_path / "data", "cat/1.png", "dog/1.png")
    elsewhere = make(tmp_path / "elsewhere", "2.png", "bird/3.png")
    (root / "cat" / "2.png").symlink_to(elsewhere / "2.png")
    (root / "bird").symlink_to(elsewhere / "bird")
    (root / "cat" / "circle").symlink_to(root / "cat")
    (root / "dog" / "gone.png").symlink_to(elsewhere / "gone.png")
    assert [name for name, _, _ in rows(root)] == ["bird/3.png", "cat/1.png", "cat/2.png", "dog/1.png"]


def test_folders_that_all_link_to_each_other_are_gone_through_once(tmp_path) -> None:
    root = make(tmp_path / "data", "cat/1.png", "dog/1.png")
    (root / "cat" / "itself").symlink_to(root / "cat" / "itself")
    for number in range(12):
        (root / "cat" / str(number)).mkdir()
        for other in range(12):
            (root / "cat" / str(number) / f"to{other}").symlink_to(root / "cat" / str(other))
    assert len(read(root)) == 2


def test_folders_within_folders_without_end_are_no_crash(tmp_path) -> None:
    root = make(tmp_path, "cat/1.png", "dog/1.png") / "cat"
    deep = [root / Path(*["d"] * levels) for levels in range(1, 1201)]  # beyond Python's limit of recursion
    for folder in deep:
        folder.mkdir()
    try:
        assert len(read(tmp_path)) == 2
    finally:  # which shutil.rmtree is bound by too
        for folder in reversed(deep):
            folder.rmdir()


def test_a_name_with_a_line_end_is_a_name(tmp_path) -> None:
    make(tmp_path, "cat/1\n2.png", "dog\n/1.png")
    assert [target for _, target, _ in rows(tmp_path)] == ["cat", "dog\n"]


def test_a_name_that_is_no_unicode_is_reported(tmp_path) -> None:
    make(tmp_path, "cat/1.png", "dog/1.png")
    try:
        (tmp_path / "cat" / "\udcff.png").touch()
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system has Unicode names alone")
    dataset = read(tmp_path)
    assert len(dataset) == 2
    assert dataset.findings[0].rows == ("cat/\\udcff.png",)


def test_files_that_are_no_images_are_counted(tmp_path) -> None:
    make(tmp_path, "cat/1.png", "dog/1.png")
    (tmp_path / "cat" / "notes.txt").touch()
    (tmp_path / "README.md").touch()
    (finding,) = read(tmp_path).findings
    assert (finding.rows, finding.count) == (("cat/notes.txt",), 1)


def test_images_outside_class_folders_are_named(tmp_path) -> None:
    make(tmp_path, "train/cat/1.png", "train/dog/1.png", "train/loose.png", "test/1.png", "top.png")
    dataset = read(tmp_path)
    assert len(dataset) == 2
    assert sorted(dataset.findings[0].rows) == ["test/1.png", "top.png", "train/loose.png"]


@pytest.mark.parametrize("names", [(), ("notes.txt",), ("cat/notes.txt", "dog/notes.txt")])
def test_a_folder_without_images_says_what_was_expected(tmp_path, names: tuple[str, ...]) -> None:
    make(tmp_path, *names)
    assert not build(NoOptions()).recognises(tmp_path)
    with pytest.raises(DataError, match=r"no images(?s:.*)photos/cat/1\.jpg"):
        read(tmp_path)


def test_a_flat_folder_says_that_classes_are_missing(tmp_path) -> None:
    make(tmp_path, "1.png", "2.png")
    assert build(NoOptions()).recognises(tmp_path)
    with pytest.raises(DataError, match=r"has 2 images but no class folders(?s:.*)photos/cat/1\.jpg"):
        read(tmp_path)


def test_a_missing_folder_is_bad_data(tmp_path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "missing")


def test_listing_is_quick(tmp_path) -> None:
    for label in range(10):
        (tmp_path / str(label)).mkdir()
        for number in range(500):
            (tmp_path / str(label) / f"{number}.png").touch()
    read(tmp_path)  # imports datasets
    began = time.perf_counter()
    assert len(read(tmp_path)) == 5000
    assert time.perf_counter() - began < 1.0  # about 0.03 s on a quiet machine


def test_everything_that_can_be_wrong_is_named_and_nothing_crashes(tmp_path) -> None:
    root = make(tmp_path / "data", *(f"{name}/{n}.png" for name in ("cat", "Grüne Äpfel") for n in range(5)))
    make(root, "lone/1.png")
    (root / "empty").mkdir()
    cut = root / "cat" / "cut.png"
    Image.effect_noise((64, 64), 50).save(cut)
    cut.write_bytes(cut.read_bytes()[:1000])
    (root / "cat" / "text.png").write_text("I am no image")
    (root / "cat" / "notes.txt").touch()

    dataset = read(root)
    prepared = prepare(dataset, tmp_path / "cache")
    checks = [make_check(NoOptions()) for make_check in (unreadable_files, rare_classes, class_names)]
    found = [each for check in checks for each in check(input_of(dataset, prepared))]
    findings = [*dataset.findings, *(each.finding if isinstance(each, Repair) else each for each in found)]
    named = {name for finding in findings for name in finding.rows}
    assert {"empty", "cat/notes.txt", "cat/cut.png", "cat/text.png", "lone", "Grüne Äpfel"} <= named

    splits = split(targets_of(dataset), parts_of(dataset), prepared.usable(), seed=0)
    assert splits.classes == ("cat", "Grüne Äpfel", "lone")
    lone = column(dataset, "target").index("lone")
    assert lone in splits.train
    assert str(origins(dataset, [lone])[0]).endswith("1.png")


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_folder_whose_own_path_is_no_text_is_said(tmp_path) -> None:
    root = tmp_path / os.fsdecode(b"\xff")
    make(root, "cat/1.png", "dog/1.png")
    with pytest.raises(DataError, match=r"\\udcff holds bytes that are not UTF-8; rename that folder"):
        read(root)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch) -> None:
    make(tmp_path, "cat/1.png", "dog/1.png")
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))  # chmod alone does not stop root
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match=r"dog cannot be read: Permission denied"):
        read(tmp_path)
