"""A folder of class folders of images, with or without folders for training, validation and test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from seedbed import Dataset, Finding, NoOptions
from seedbed.core.data.columns import SUFFIXES, image_rows
from seedbed.core.data.dataset import Part, ReadContext, short_name
from seedbed.core.data.parts import PART_NAMES
from seedbed.core.data.profile import MOST_NAMED
from seedbed.core.errors import DataError
from seedbed.plugins.readers.folders import (
    is_image,
    list_folder,
    listed,
    not_listed,
    require_text,
    shown,
    some,
    unwrap,
    walk,
)
from seedbed.plugins.readers.forms import form_of
from seedbed.plugins.readers.tables import tables_in

EXPECTED = """Expected is one folder of images for each class:

    photos/cat/1.jpg
    photos/cat/2.jpg
    photos/dog/1.jpg

or the same below photos/train, photos/valid and photos/test."""


def build(options: NoOptions) -> ImageFolder:
    """Build the reader."""
    return ImageFolder()


@dataclass(slots=True)
class _Found:
    """What a scan has come across; paths are whole, names seen from the root."""

    images: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)


class ImageFolder:
    """Reads `root/class/image` and `root/part/class/image`; deeper folders belong to their class."""

    def recognises(self, path: Path) -> bool:
        """Whether an image lies anywhere below, and no table tells what the images are."""
        form = form_of(path)
        return form is not None and form.kind == "images"

    def read(self, source: str, context: ReadContext) -> Dataset:
        """List the images; none is opened.

        Raises:
            DataError: there is no image in a class folder.
        """
        found = _Found()
        try:
            root = unwrap(Path(source).resolve())
            require_text(root)
            found.tables = [each.path.name for each in tables_in(root)]
            _scan_root(root, found)
        except OSError as error:
            raise DataError(not_listed(error, source)) from error
        if not found.images:
            raise DataError(_nothing_usable(source, found))
        return Dataset(
            rows=image_rows(found.images, found.targets, found.parts),
            modality="image",
            source=source,
            name=short_name(Path(source).resolve().name, "images"),
            findings=tuple(_findings(found)),
        )


def _scan_root(root: Path, found: _Found) -> None:
    folders, files = list_folder(str(root))
    found.outside += [name for name in files if is_image(name)]
    parted = [name for name in folders if _is_part(root / name)]
    has_training = any(PART_NAMES[name.lower()] == "train" for name in parted)
    for name in parted:
        classes, loose = list_folder(str(root / name))
        found.outside += [f"{name}/{each}" for each in loose if is_image(each)]
        for each in classes:
            _scan_class(root, f"{name}/{each}", PART_NAMES[name.lower()], found)
    for name in folders:
        if name in parted:
            continue
        if has_training:  # beside train/, a folder of images is no class: Kaggle's unlabelled test/, say
            found.outside += [f"{name}/{each}" for each in walk(str(root / name)) if is_image(each)]
        else:
            _scan_class(root, name, "", found)


def _scan_class(root: Path, folder: str, part: Part, found: _Found) -> None:
    target = folder.rsplit("/", 1)[-1]
    base = str(root / folder)
    images = []
    for name in walk(base):
        if is_image(f"{folder}/{name}"):
            images.append(name)
        else:
            found.others.append(shown(f"{folder}/{name}"))
    if not images:
        found.empty.append(shown(folder))
    found.images += [f"{base}{os.sep}{name}" for name in sorted(images)]
    found.targets += [target] * len(images)
    found.parts += [part] * len(images)


def _is_part(folder: Path) -> bool:
    """Whether a folder is a part: by its name, and by holding folders, so that `train` may be a class."""
    return folder.name.lower() in PART_NAMES and bool(list_folder(str(folder))[0])


def _findings(found: _Found) -> Iterator[Finding]:
    if found.empty:
        yield Finding(
            check="image_folder",
            severity="warning",
            evidence=f"{some(len(found.empty), 'class folder')} without images: {listed(found.empty)}.",
            remedy="Put images into it, or delete it.",
            rows=tuple(found.empty[:MOST_NAMED]),
            count=len(found.empty),
        )
    if found.others:
        yield Finding(
            check="image_folder",
            severity="info",
            evidence=f"{some(len(found.others), 'file')} that are no images: {listed(found.others)}.",
            remedy=f"Images end in {', '.join(sorted(SUFFIXES))}; rename those that are images.",
            rows=tuple(found.others[:MOST_NAMED]),
            count=len(found.others),
        )
    if found.outside:
        yield Finding(
            check="image_folder",
            severity="warning",
            evidence=f"{some(len(found.outside), 'image')} outside class folders: {listed(found.outside)}.",
            remedy="Move each into the folder of its class.",
            rows=tuple(found.outside[:MOST_NAMED]),
            count=len(found.outside),
        )


def _nothing_usable(source: str, found: _Found) -> str:
    if found.outside:
        seen = f"{source} has {some(len(found.outside), 'image')} but no class folders with images in them."
    elif found.empty or found.others:
        seen = f"{source} has {some(len(found.empty), 'class folder')} but no images in them."
    else:
        seen = f"{source} holds no images."
    if found.tables:
        seen += f" No column of {listed(found.tables)} names them."
    return f"{seen} {EXPECTED}"
