from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.errors import DataError
from seedbed.plugins.readers.table_folder import build


def write(root: Path, **files: str) -> Path:
    """Write files named by keyword; `train__csv` stands for train.csv."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name.replace("__", ".")).write_text(content)
    return root


@pytest.fixture
def read(tmp_path):
    def read(root: Path) -> Table:
        return build(NoOptions()).read(str(root), ReadContext(cache=tmp_path / "cache"))

    return read


ROWS = "text,label\nso good,pos\nso bad,neg\n"


def test_each_table_is_a_part(tmp_path, read) -> None:
    table = read(write(tmp_path / "data", train__csv=ROWS, val__csv=ROWS, TEST__csv=ROWS))
    assert table.schema.part == "part"
    assert table.rows["part"][:] == ["train"] * 2 + ["valid"] * 2 + ["test"] * 2
    assert table.rows["text"][:] == ["so good", "so bad"] * 3
    assert (table.name, table.folder) == ("data", tmp_path / "data")


def test_parts_may_be_of_any_format_and_of_several_shards(tmp_path, read) -> None:
    root = write(tmp_path / "data", test__jsonl='{"text": "a", "label": "neg"}\n')
    for number in range(3):
        shard = pa.table({"text": [f"t{number}"], "label": ["pos"]})
        pq.write_table(shard, root / f"train-{number:05}-of-00003.parquet")
    table = read(root)
    assert table.rows["text"][:] == ["t0", "t1", "t2", "a"]
    assert table.rows["part"][:] == ["train", "train", "train", "test"]


def test_a_lone_folder_around_the_tables_is_stepped_into(tmp_path, read) -> None:
    write(tmp_path / "data" / "inner" / "data", train__csv=ROWS)
    (tmp_path / "data" / "README.md").touch()
    assert build(NoOptions()).recognises(tmp_path / "data")
    assert len(read(tmp_path / "data")) == 2


def test_a_lone_table_has_no_parts(tmp_path, read) -> None:
    table = read(write(tmp_path / "data", reviews__csv=ROWS))
    assert (table.schema.part, table.rows.column_names) == ("", ["text", "label"])


def test_the_part_column_does_not_hide_one_of_that_name(tmp_path, read) -> None:
    rows = "text,part\na,verb\n"
    table = read(write(tmp_path / "data", train__csv=rows, test__csv=rows))
    assert table.rows["part"][:] == ["verb", "verb"]
    assert table.rows[table.schema.part][:] == ["train", "test"]


def test_a_test_file_without_targets_is_left_out(tmp_path, read) -> None:
    table = read(write(tmp_path / "data", train__csv=ROWS, test__csv="text\na\nb\nc\n", valid__csv=ROWS))
    assert Counter(table.rows["part"][:]) == {"train": 2, "valid": 2}
    (finding,) = table.findings
    assert (finding.severity, finding.count) == ("warning", 3)
    assert "test.csv lacks `label` of train.csv; its 3 rows are left out" in finding.evidence


def test_columns_that_are_not_common_are_dropped(tmp_path, read) -> None:
    train, test = "id,text,label\n1,a,x\n", "text,label,score\nb,y,0.5\n"
    table = read(write(tmp_path / "data", train__csv=train, test__csv=test))
    assert table.rows.column_names == ["text", "label", "part"]
    assert table.rows["text"][:] == ["a", "b"]
    assert "2 columns not common to all parts left out: id, score" in table.findings[0].evidence


def test_types_that_differ_between_parts_are_brought_together(tmp_path, read) -> None:
    table = read(write(tmp_path / "data", train__csv="n,m,t\n1,1,x\n", test__csv="n,m,t\n2.5,a,\n"))
    assert table.rows.to_dict() == {"n": [1.0, 2.5], "m": ["1", "a"], "t": ["x", None], "part": ["train", "test"]}


def test_lists_that_do_not_fit_are_said(tmp_path, read) -> None:
    root = write(tmp_path / "data", train__jsonl='{"s": [1.5]}\n', test__jsonl='{"s": {"a": 1}}\n')
    with pytest.raises(DataError, match="columns of the test part do not fit"):
        read(root)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("a.csv", "b.csv"), r"holds 2 tables: a\.csv, b\.csv\. None is named train"),
        (
            ("x_train.csv", "x_test.csv", "y_train.csv"),
            r"parts of 2 data sets: .* as in .*x_train\.csv --test .*x_test",
        ),
        (("train.csv", "train.tsv"), r"train\.csv and train\.tsv are both the train part"),
    ],
)
def test_tables_of_which_it_is_not_clear_are_named(tmp_path, read, names: tuple[str, ...], sentence: str) -> None:
    for name in names:
        write(tmp_path / "data", **{name: ROWS})
    assert build(NoOptions()).recognises(tmp_path / "data")
    with pytest.raises(DataError, match=sentence):
        read(tmp_path / "data")


def test_parts_with_a_common_name_belong_together(tmp_path, read) -> None:
    table = read(write(tmp_path / "data", Arrow_train__csv=ROWS, Arrow_test__csv=ROWS))
    assert Counter(table.rows["part"][:]) == {"train": 2, "test": 2}


def test_tables_beside_the_parts_are_told(tmp_path, read) -> None:
    table = read(write(tmp_path / "data", train__csv=ROWS, test__csv=ROWS, sample_submission__csv="id,label\n1,x\n"))
    assert "1 table beside the parts left out: sample_submission.csv" in table.findings[0].evidence


def test_notes_and_settings_are_no_tables(tmp_path) -> None:
    root = write(tmp_path / "data", README__txt="hello", config__json="{}")
    assert not build(NoOptions()).recognises(root)


def test_a_saved_data_set_is_for_another_reader(tmp_path) -> None:
    root = write(tmp_path / "data", state__json="{}", dataset_info__json="{}", train__json='[{"a": 1}]')
    assert not build(NoOptions()).recognises(root)


def test_pictures_that_no_table_names_do_not_make_it_a_folder_of_images(tmp_path) -> None:
    root = write(tmp_path / "data", train__csv=ROWS, test__csv=ROWS)
    Image.new("L", (4, 4)).save(root / "logo.png")
    assert build(NoOptions()).recognises(root)


def test_nothing_is_said_in_a_sentence(tmp_path, read) -> None:
    with pytest.raises(DataError, match="holds no tables"):
        read(tmp_path)


def test_reading_changes_nothing_in_the_folder(tmp_path, read) -> None:
    root = write(tmp_path / "data", train__csv=ROWS, test__csv=ROWS)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.iterdir()}
    read(root)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.iterdir()} == before
