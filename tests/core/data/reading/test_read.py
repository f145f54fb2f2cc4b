from __future__ import annotations

from pathlib import Path

import pytest

from seedbed import Dataset, ReaderSpec
from seedbed.core.data.columns import column, image_rows, row_names
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.data.reading.read import read as read_with
from seedbed.core.data.reading.read import read_dataset
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError, PluginError, UnknownName, UsageError
from seedbed.core.protocols import Owner

SPECS = (
    ReaderSpec(name="demo", summary="Demo data.", build="a:b", schemes=("demo",)),
    ReaderSpec(name="table", summary="A table.", build="a:b", suffixes=(".csv", ".tar.gz")),
    ReaderSpec(name="folder", summary="A folder of things.", build="a:b", folders=True),
)


CONTEXT = ReadContext(cache=Path("nowhere"))


def read(source: str, readers: object) -> Table | Dataset:
    return read_with(source, readers, CONTEXT)


def read_parts(source: str, test: str | None, wanted: Schema | None = None) -> Dataset:
    return read_dataset(source, wanted or Schema(), Readers(), CONTEXT, test=test)


class Fake:
    """A reader that knows folders with a `mark` in them, and says who read what."""

    def __init__(self, name: str) -> None:
        self.name = name

    def recognises(self, path: Path) -> bool:
        return (path / "mark").exists()

    def read(self, source: str, context: ReadContext) -> Dataset:
        if "broken" in source:
            raise ZeroDivisionError("division by zero")
        parts = ["", "test", ""] if "parted" in source else ["", "", ""]
        rows = image_rows([f"{source}/{n}" for n in range(3)], ["a", "b", "b"], parts)
        modality = "text" if "text" in source else "image"
        return Dataset(rows=rows, modality=modality, source=source, name=self.name)


class Readers:
    def __init__(self, *specs: ReaderSpec) -> None:
        self.specs = specs or SPECS

    def all(self, kind: str) -> tuple[ReaderSpec, ...]:
        return self.specs

    def load(self, spec: ReaderSpec):
        return lambda options: Fake(spec.name)

    def owner(self, kind: str, name: str) -> Owner:
        return Owner("some-package", "1.2")


@pytest.fixture
def marked(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mark").touch()
    return tmp_path / "photos"


@pytest.mark.parametrize(("name", "reader"), [("a.csv", "table"), ("A.CSV", "table"), ("a.tar.gz", "table")])
def test_a_file_is_read_by_its_suffix(tmp_path, name: str, reader: str) -> None:
    (tmp_path / name).touch()
    assert read(str(tmp_path / name), Readers()).name == reader


def test_a_scheme_and_a_folder_find_their_readers(marked: Path) -> None:
    assert read("demo:digits", Readers()).source == "demo:digits"
    assert read(str(marked), Readers()).name == "folder"


def test_an_unknown_scheme_is_guessed_at() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'demo'"):
        read("dmeo:digits", Readers())


def test_a_path_that_is_not_there_is_guessed_at(marked: Path) -> None:
    with pytest.raises(DataError, match=r"Did you mean .*photos"):
        read(str(marked.parent / "photo"), Readers())
    with pytest.raises(DataError, match="What can be read"):
        read(str(marked.parent / "quite" / "another"), Readers())


def test_a_windows_path_is_no_scheme() -> None:
    with pytest.raises(DataError, match="There is no"):
        read("C:\\photos", Readers())


def test_what_no_reader_knows_is_answered_with_what_can_be_read(tmp_path) -> None:
    (tmp_path / "file.xyz").touch()
    for source in (tmp_path, tmp_path / "file.xyz"):
        with pytest.raises(DataError, match=r"What can be read:\n  demo: Demo data"):
            read(str(source), Readers())


def test_two_readers_of_one_folder_are_a_question_to_the_user(marked: Path) -> None:
    other = ReaderSpec(name="other", summary="Also folders.", build="a:b", folders=True)
    with pytest.raises(UsageError, match="folder and other all recognise"):
        read(str(marked), Readers(*SPECS, other))


def test_a_reader_that_breaks_is_named_with_its_owner(tmp_path) -> None:
    (tmp_path / "broken.csv").touch()
    with pytest.raises(PluginError, match=r"'table' of some-package 1\.2 failed .* ZeroDivisionError"):
        read(str(tmp_path / "broken.csv"), Readers())


def test_test_rows_of_their_own_take_the_place_of_the_test_part() -> None:
    dataset = read_parts("demo:parted", "demo:other")
    assert column(dataset, "part") == ["", "", "test", "test", "test"]
    assert row_names(dataset, range(5))[1:3] == ("demo:parted/2", "demo:other/0")


def test_of_a_parted_test_set_its_test_part_is_taken() -> None:
    dataset = read_parts("demo:plain", "demo:parted")
    assert column(dataset, "part") == ["", "", "", "test"]
    assert column(dataset, "target") == ["a", "b", "b", "b"]


def test_without_a_test_address_the_parts_stay() -> None:
    assert column(read_parts("demo:parted", None), "part") == ["", "test", ""]


def test_images_cannot_be_tested_on_text() -> None:
    with pytest.raises(DataError, match="image data for classification, but demo:text text data"):
        read_parts("demo:plain", "demo:text")


def test_wishes_that_a_folder_of_classes_cannot_grant_are_named() -> None:
    with pytest.raises(UsageError, match="leave --task and --target out"):
        read_parts("demo:plain", None, Schema(kind="regression", target="price"))
    assert len(read_parts("demo:plain", None, Schema(kind="classification", modality="image"))) == 3


def test_a_name_of_owner_and_data_set_is_looked_for_on_the_hub() -> None:
    hub = ReaderSpec(name="hub", summary="The hub.", build="a:b", schemes=("hub",))
    assert read("nobody/some-data", Readers(*SPECS, hub)).source == "hub:nobody/some-data"
    with pytest.raises(DataError, match="There is no"):
        read("nobody/some-data", Readers())


def test_a_name_that_no_file_system_takes_is_no_crash() -> None:
    for source in ("x" * 5000, "nul\0", "a/" * 3000):
        with pytest.raises(DataError):
            read(source, Readers())


def test_a_home_of_nobody_is_no_crash() -> None:
    with pytest.raises(DataError, match="There is no ~nobody-at-all"):
        read("~nobody-at-all/photos", Readers())


def test_a_link_that_leads_nowhere_is_named_as_one(tmp_path) -> None:
    for name, target in (("lost.csv", "nothing"), ("circle.csv", "circle.csv")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(DataError, match="is a link that leads to nothing, or in a circle"):
            read(str(tmp_path / name), Readers())
