"""Built-in readers: the declarations; the code lies beside them."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import ReaderSpec, hookimpl


@hookimpl
def register_readers() -> Iterator[ReaderSpec]:
    """Offer the readers."""
    yield from _folders()
    yield from _tables()
    yield from _arrays()
    yield ReaderSpec(
        name="hub",
        summary="A data set of the Hugging Face hub: hub:owner/name, hub:owner/name:config or hub:owner/name@revision.",
        build="seedbed.plugins.readers.hub:build",
        schemes=("hub", "hf"),
    )
    yield ReaderSpec(
        name="demo",
        summary="Data that installed packages carry: demo:digits, 1,797 handwritten digits of 8 by 8 pixels.",
        build="seedbed.plugins.readers.demo:build",
        schemes=("demo",),
    )


def _folders() -> Iterator[ReaderSpec]:
    yield ReaderSpec(
        name="image_folder",
        summary=(
            "A folder with one folder of images for each class, as in photos/cat/1.jpg and photos/dog/2.jpg; "
            "train/, valid/ and test/ may stand above them."
        ),
        build="seedbed.plugins.readers.image_folder:build",
        folders=True,
    )
    yield ReaderSpec(
        name="labelled_folder",
        summary="A folder of images with a table that names them, as in photos/labels.csv and photos/1.jpg.",
        build="seedbed.plugins.readers.labelled_folder:build",
        folders=True,
    )
    yield ReaderSpec(
        name="table_folder",
        summary="A folder with a table for each part: train.csv, and valid.csv and test.csv if there are such.",
        build="seedbed.plugins.readers.table_folder:build",
        folders=True,
    )
    yield ReaderSpec(
        name="saved",
        summary="A folder that save_to_disk of the datasets library wrote.",
        build="seedbed.plugins.readers.saved:build",
        folders=True,
    )


def _tables() -> Iterator[ReaderSpec]:
    yield ReaderSpec(
        name="delimited",
        summary="A table of delimited cells (CSV, TSV): texts, paths of images, or series as lists in a cell.",
        build="seedbed.plugins.readers.delimited:build",
        suffixes=(".csv", ".tsv", ".tab", ".txt", ".csv.gz", ".tsv.gz"),
    )
    yield ReaderSpec(
        name="parquet",
        summary="A Parquet file.",
        build="seedbed.plugins.readers.parquet:build",
        suffixes=(".parquet", ".pq"),
    )
    yield ReaderSpec(
        name="jsonlines",
        summary="A file of JSON objects, one a line, or of a list of them.",
        build="seedbed.plugins.readers.jsonlines:build",
        suffixes=(".jsonl", ".ndjson", ".json"),
    )


def _arrays() -> Iterator[ReaderSpec]:
    yield ReaderSpec(
        name="npz",
        summary="A file of NumPy arrays: images or series, and targets, as in x_train, y_train, x_test and y_test.",
        build="seedbed.plugins.readers.npz:build",
        suffixes=(".npz",),
    )
    yield ReaderSpec(
        name="ucr",
        summary="Series in the form of the UCR and UEA archives; NAME_TEST.ts beside NAME_TRAIN.ts is the test part.",
        build="seedbed.plugins.readers.ucr:build",
        suffixes=(".ts",),
    )
