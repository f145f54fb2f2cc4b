"""Built-in checks: the declarations; the code lies beside them, by what it looks at."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import CheckSpec, Requires, hookimpl

_HERE = "seedbed.plugins.checks"
_IMAGES = Requires(modalities=("image",))
_SERIES = Requires(modalities=("series",))
_CLASSES = Requires(kinds=("classification", "multilabel"))
_ONE_CLASS = Requires(kinds=("classification",))


@hookimpl
def register_checks() -> Iterator[CheckSpec]:
    """Offer the checks."""
    yield from _of_rows()
    yield from _of_inputs()
    yield from _of_targets()


def _of_rows() -> Iterator[CheckSpec]:
    yield CheckSpec(
        name="unreadable_files",
        summary="Rows that hold nothing usable, as files that cannot be decoded, with the reason for each.",
        build=f"{_HERE}.images:unreadable_files",
    )
    yield CheckSpec(
        name="duplicates",
        summary="Rows that are there twice, exactly or nearly, within a part and across parts, and under two labels.",
        build=f"{_HERE}.duplicates:duplicates",
    )
    yield CheckSpec(
        name="constant_columns",
        summary="Columns of a table with one and the same value in every row.",
        build=f"{_HERE}.values:constant_columns",
    )
    yield CheckSpec(
        name="missing_values",
        summary="Columns with missing values, and series with steps that are missing, NaN or infinite.",
        build=f"{_HERE}.values:missing_values",
    )


def _of_inputs() -> Iterator[CheckSpec]:
    yield CheckSpec(
        name="constant_images",
        summary="Images that are one colour all over.",
        build=f"{_HERE}.images:constant_images",
        requires=_IMAGES,
    )
    yield CheckSpec(
        name="rotated_images",
        summary="Images that are stored turned, with the way up in their EXIF data.",
        build=f"{_HERE}.files:rotated_images",
        requires=_IMAGES,
    )
    yield CheckSpec(
        name="oversized_images",
        summary="Images of so many pixels that reading them takes most of the time.",
        build=f"{_HERE}.files:oversized_images",
        requires=_IMAGES,
    )
    yield CheckSpec(
        name="odd_shapes",
        summary="Images that are much longer than wide, or wider than long.",
        build=f"{_HERE}.files:odd_shapes",
        requires=_IMAGES,
    )
    yield CheckSpec(
        name="cropped_copies",
        summary="Images that are a crop or a shifted copy of another, found by what a frozen backbone sees in them.",
        build=f"{_HERE}.crops:cropped_copies",
        requires=_IMAGES,
        features=True,
    )
    yield CheckSpec(
        name="constant_series",
        summary="Series that never change.",
        build=f"{_HERE}.values:constant_series",
        requires=_SERIES,
    )
    yield CheckSpec(
        name="unequal_lengths",
        summary="Series of unequal lengths, and those far from the usual one.",
        build=f"{_HERE}.values:unequal_lengths",
        requires=_SERIES,
    )


def _of_targets() -> Iterator[CheckSpec]:
    yield CheckSpec(
        name="rare_classes",
        summary="Classes with one example, or with fewer than ten.",
        build=f"{_HERE}.classes:rare_classes",
        requires=_CLASSES,
    )
    yield CheckSpec(
        name="imbalance",
        summary="A class that is more than ten times as large as another.",
        build=f"{_HERE}.classes:imbalance",
        requires=_CLASSES,
    )
    yield CheckSpec(
        name="class_names",
        summary="Class names that may be one class spelt twice, or that other tools may stumble over.",
        build=f"{_HERE}.classes:class_names",
        requires=_CLASSES,
    )
    yield CheckSpec(
        name="label_errors",
        summary="Rows whose label is probably wrong, by confident learning on a probe (Northcutt et al. 2021).",
        build=f"{_HERE}.labels:label_errors",
        requires=_ONE_CLASS,
        features=True,
    )
    yield CheckSpec(
        name="target_leaks",
        summary="Columns that give the target away, and texts that hold the name of their class.",
        build=f"{_HERE}.leaks:target_leaks",
    )
    yield CheckSpec(
        name="shortcuts",
        summary="Facts beside the point that tell the class, as the size of a file or the length of a series.",
        build=f"{_HERE}.leaks:shortcuts",
        requires=_ONE_CLASS,
    )
