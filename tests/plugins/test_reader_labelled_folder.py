from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.errors import DataError
from seedbed.plugins.readers import image_folder, labelled_folder, table_folder

PNG = Image.new("L", (4, 4))
READERS = {"image_folder": image_folder, "labelled_folder": labelled_folder, "table_folder": table_folder}


def make(root: Path, *names: str, **tables: str) -> Path:
    """Write images by name and tables by keyword; `labels__csv` stands for labels.csv."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        PNG.save(root / name, "PNG")
    for name, content in tables.items():
        (root / name.replace("__", ".")).write_text(content)
    return root


def recognised(root: Path) -> list[str]:
    return [name for name, reader in READERS.items() if reader.build(NoOptions()).recognises(root)]


@pytest.fixture
def read(tmp_path):
    def read(root: Path) -> Table:
        assert recognised(root) == ["labelled_folder"]
        return labelled_folder.build(NoOptions()).read(str(root), ReadContext(cache=tmp_path / "cache"))

    return read


def findings(table: Table, check: str) -> list[tuple[str, tuple[str, ...], int]]:
    return [(each.evidence, each.rows, each.count) for each in table.findings if each.check == check]


def test_a_flat_folder_with_a_table_is_read(tmp_path, read) -> None:
    root = make(tmp_path / "photos", "1.png", "2.png", labels__csv="file,label\n2.png,dog\n1.png,cat\n")
    table = read(root)
    assert table.rows.to_dict() == {"file": ["2.png", "1.png"], "label": ["dog", "cat"]}
    assert (table.schema.modality, table.schema.inputs, table.folder) == ("image", ("file",), root)
    assert findings(table, "labelled_folder") == []
    assert "column `file`: 100% of its first cells name images" in findings(table, "intake")[0][0]


@pytest.mark.parametrize(
    "cells",
    [
        ["images/a/1.png", "images/b/2.png"],
        ["photos/images/a/1.png", "photos/images/b/2.png"],
        ["/home/me/photos/images/a/1.png", "/home/me/photos/images/b/2.png"],
        ["./images/a/1.png", ".\\images\\b\\2.png"],
        ["1.png", "2.png"],
        ["images/a/1", "images/b/2"],
        ["1", "2"],
    ],
)
def test_images_are_found_however_the_table_names_them(tmp_path, read, cells: list[str]) -> None:
    root = make(tmp_path / "photos", "images/a/1.png", "images/b/2.png")
    make(root, labels__csv="name,label\n" + "".join(f"{cell},{n}\n" for n, cell in enumerate(cells)))
    assert read(root).rows["name"][:] == ["images/a/1.png", "images/b/2.png"]


def test_kaggles_form_is_read(tmp_path, read) -> None:
    root = make(
        tmp_path / "photos",
        *(f"{part}/{n:03}.jpg" for part in ("train", "test") for n in range(1, 4)),
        train__csv="id,label\n001,cat\n002,dog\n003,cat\n",
        test__csv="id\n001\n002\n003\n",
        sample_submission__csv="id,label\n001,cat\n002,cat\n003,cat\n",
    )
    table = read(root)
    assert table.rows.to_dict() == {
        "id": ["train/001.jpg", "train/002.jpg", "train/003.jpg"],
        "label": ["cat", "dog", "cat"],
    }
    told = " ".join(each.evidence for each in table.findings)
    assert "test.csv lacks `label`" in told
    assert "sample_submission.csv" in told


def test_parts_choose_among_images_of_one_name(tmp_path, read) -> None:
    root = make(tmp_path / "photos", "train_images/1.png", "train_images/2.png", "test_images/1.png")
    make(root, train__csv="id,label\n1,cat\n2,dog\n", test__csv="id,label\n1,dog\n")
    table = read(root)
    assert table.rows["id"][:] == ["train_images/1.png", "train_images/2.png", "test_images/1.png"]
    assert table.rows[table.schema.part][:] == ["train", "train", "test"]


def test_numbers_that_happen_to_be_names_do_not_win_over_the_names(tmp_path, read) -> None:
    root = make(tmp_path / "photos", *(f"{n}.png" for n in range(30)))
    make(root, labels__csv="label,id\n" + "".join(f"{n % 3},{n}\n" for n in range(30)))
    assert read(root).schema.inputs == ("id",)


def test_tables_of_other_formats_are_read(tmp_path, read) -> None:
    root = make(tmp_path / "one", "1.png", labels__jsonl='{"file": "1.png", "caption": "a cat"}\n')
    assert read(root).rows["file"][:] == ["1.png"]
    root = make(tmp_path / "two", "1.png")
    pq.write_table(pa.table({"file": ["1.png"], "label": ["cat"]}), root / "labels.parquet")
    assert read(root).rows["file"][:] == ["1.png"]


def test_what_is_missing_on_either_side_is_told(tmp_path, read) -> None:
    root = make(tmp_path / "photos", "1.png", "2.png", "3.png", "extra/4.png")
    make(root, labels__csv="file,label\n1.png,a\ngone.png,b\n2.png,a\n,b\n")
    table = read(root)
    assert table.rows["file"][:] == ["1.png", "gone.png", "2.png", None]
    missing, unnamed = findings(table, "labelled_folder")
    assert missing[1:] == (("gone.png", "row 3"), 2)
    assert unnamed[1:] == (("3.png", "extra/4.png"), 2)


def test_names_with_line_ends_and_links_in_a_circle_do_no_harm(tmp_path, read) -> None:
    root = make(tmp_path / "photos", "1.png", "with\nline end.png")
    (root / "circle").symlink_to(root)
    (root / "itself").symlink_to(root / "itself")
    for name in ("a", "b", "c"):
        (root / name).mkdir()
        for other in ("a", "b", "c"):
            (root / name / other).symlink_to(root / other)
    make(root, labels__csv='file,label\n1.png,a\n"with\nline end.png",b\n')
    assert read(root).rows["file"][:] == ["1.png", "with\nline end.png"]


def test_class_folders_with_a_stray_table_stay_class_folders(tmp_path) -> None:
    root = make(tmp_path / "photos", *(f"{name}/{n}.png" for name in ("cat", "dog") for n in range(30)))
    make(root, classes__csv="class,count\ncat,30\ndog,30\n")
    assert recognised(root) == ["image_folder"]
    make(root, log__csv="epoch,loss\n" + "".join(f"{n},0.{n}\n" for n in range(5)))
    assert recognised(root) == ["image_folder"]
    make(root, broken__csv="")
    assert recognised(root) == ["image_folder"]


def test_class_folders_whose_images_a_table_names_are_read_by_the_table(tmp_path, read) -> None:
    names = [f"{name}/{n}.png" for name in ("cat", "dog") for n in range(5)]
    root = make(tmp_path / "photos", *names)
    make(root, labels__csv="path,breed\n" + "".join(f"{name},b\n" for name in names))
    assert read(root).rows["path"][:] == names


def test_a_flat_folder_whose_table_names_no_image_says_so(tmp_path) -> None:
    root = make(tmp_path / "photos", "1.png", "2.png", labels__csv="file,label\nx.png,a\ny.png,b\n")
    assert recognised(root) == ["image_folder"]
    with pytest.raises(DataError, match=r"No column of labels\.csv names them"):
        image_folder.build(NoOptions()).read(str(root), ReadContext(cache=tmp_path / "cache"))


def test_several_tables_that_name_images_are_a_question(tmp_path, read) -> None:
    rows = "file,label\n1.png,a\n2.png,b\n"
    root = make(tmp_path / "photos", "1.png", "2.png", colours__csv=rows, shapes__csv=rows)
    with pytest.raises(DataError, match=r"holds 2 tables: colours\.csv, shapes\.csv.* give one of them"):
        read(root)


@pytest.mark.parametrize(
    ("names", "tables", "reader"),
    [
        (("cat/1.png", "dog/1.png"), {}, "image_folder"),
        (("1.png", "2.png"), {}, "image_folder"),
        (("1.png",), {"labels__csv": "file,label\n1.png,a\n"}, "labelled_folder"),
        ((), {"train__csv": "a,b\n1,2\n"}, "table_folder"),
        (("logo.png",), {"train__csv": "a,b\n1,2\n"}, "table_folder"),
        (("train/cat/1.png", "train/dog/2.png"), {"train__csv": "a,b\n1,2\n"}, "image_folder"),
    ],
)
def test_exactly_one_reader_recognises_a_folder(tmp_path, names, tables, reader: str) -> None:
    (tmp_path / "data").mkdir()
    assert recognised(make(tmp_path / "data", *names, **tables)) == [reader]


def test_an_empty_folder_is_of_no_form(tmp_path) -> None:
    assert recognised(tmp_path) == []
    with pytest.raises(DataError, match="holds no table that names its images"):
        labelled_folder.build(NoOptions()).read(str(tmp_path), ReadContext(cache=tmp_path / "cache"))
