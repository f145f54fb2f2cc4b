"""A folder of class folders of images, with or without folders for training, validation and test."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from seedbed import Dataset, Finding, NoOptions
from seedbed.core.data.columns import image_rows
from seedbed.core.data.dataset import Part
from seedbed.core.data.inputs import SUFFIXES
from seedbed.core.errors import DataError

PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
EXPECTED = """Expected is one folder of images for each class:

    photos/cat/1.jpg
    photos/cat/2.jpg
    photos/dog/1.jpg

or the same below photos/train, photos/valid and photos/test."""

_SYSTEM_FILES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "icon\r"})
_MOST_NAMED = 50  # in the rows of a finding
_MOST_IN_A_SENTENCE = 5


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


class ImageFolder:
    """Reads `root/class/image` and `root/part/class/image`; deeper folders belong to their class."""

    def recognises(self, path: Path) -> bool:
        """Whether an image lies anywhere below."""
        return path.is_dir() and any(_is_image(name) for name in _walk(str(path)))

    def read(self, source: str) -> Dataset:
        """List the images; none is opened.

        Raises:
            DataError: there is no image in a class folder.
        """
        found = _Found()
        try:
            _scan_root(_unwrap(Path(source).resolve()), found)
        except OSError as error:
            raise DataError(f"{source} cannot be read: {error.strerror or error}. {EXPECTED}") from error
        if not found.images:
            raise DataError(_nothing_usable(source, found))
        return Dataset(
            rows=image_rows(found.images, found.targets, found.parts),
            modality="image",
            source=source,
            name=re.sub(r"[^\w.-]+", "-", Path(source).resolve().name).strip("-.")[:40] or "images",
            findings=tuple(_findings(found)),
        )


def _scan_root(root: Path, found: _Found) -> None:
    folders, files = _list(str(root))
    found.outside += [name for name in files if _is_image(name)]
    parted = [name for name in folders if _is_part(root / name)]
    has_training = any(PARTS[name.lower()] == "train" for name in parted)
    for name in parted:
        classes, loose = _list(str(root / name))
        found.outside += [f"{name}/{each}" for each in loose if _is_image(each)]
        for each in classes:
            _scan_class(root, f"{name}/{each}", PARTS[name.lower()], found)
    for name in folders:
        if name in parted:
            continue
        if has_training:  # beside train/, a folder of images is no class: Kaggle's unlabelled test/, say
            found.outside += [f"{name}/{each}" for each in _walk(str(root / name)) if _is_image(each)]
        else:
            _scan_class(root, name, "", found)


def _scan_class(root: Path, folder: str, part: Part, found: _Found) -> None:
    target = folder.rsplit("/", 1)[-1]
    base = str(root / folder)
    images = []
    for name in _walk(base, trail=(os.path.realpath(base),)):
        if _is_image(f"{folder}/{name}"):
            images.append(name)
        else:
            found.others.append(_shown(f"{folder}/{name}"))
    if not images:
        found.empty.append(_shown(folder))
    found.images += [f"{base}{os.sep}{name}" for name in sorted(images)]
    found.targets += [target] * len(images)
    found.parts += [part] * len(images)


def _is_part(folder: Path) -> bool:
    """Whether a folder is a part: by its name, and by holding folders, so that `train` may be a class."""
    return folder.name.lower() in PARTS and bool(_list(str(folder))[0])


def _unwrap(root: Path) -> Path:
    """Step into a lone folder of folders, as archives leave them: photos/photos/cat/1.jpg."""
    while root.is_dir():
        folders, files = _list(str(root))
        if len(folders) != 1 or any(map(_is_image, files)) or folders[0].lower() in PARTS:
            break
        inner, images = _list(str(root / folders[0]))
        if not inner or any(map(_is_image, images)):
            break
        root = root / folders[0]
    return root


def _is_image(name: str) -> bool:
    """Whether a file is taken for an image: by its suffix, and by a name that tables and JSON can hold."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a tenth of the cost of a Path
    return suffix in SUFFIXES and _shown(name) == name


def _list(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of the visible folders and files, each sorted; links are followed."""
    folders, files = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _SYSTEM_FILES:
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif entry.is_file():
                files.append(entry.name)
    return sorted(folders), sorted(files)


def _walk(folder: str, prefix: str = "", trail: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the visible files below a folder, seen from it; `trail` guards against links in a circle."""
    folders, files = _list(folder)
    for name in files:
        yield prefix + name
    for name in folders:
        path = f"{folder}{os.sep}{name}"
        real = os.path.realpath(path)
        if real not in trail:
            yield from _walk(path, f"{prefix}{name}/", (*trail, real))


def _shown(name: str) -> str:
    """Return the name with what is not valid Unicode escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def _findings(found: _Found) -> Iterator[Finding]:
    if found.empty:
        yield Finding(
            check="image_folder",
            severity="warning",
            evidence=f"{_some(len(found.empty), 'class folder')} without images: {_listed(found.empty)}.",
            remedy="Put images into it, or delete it.",
            rows=tuple(found.empty[:_MOST_NAMED]),
            count=len(found.empty),
        )
    if found.others:
        yield Finding(
            check="image_folder",
            severity="info",
            evidence=f"{_some(len(found.others), 'file')} that are no images: {_listed(found.others)}.",
            remedy=f"Images end in {', '.join(sorted(SUFFIXES))}; rename those that are images.",
            rows=tuple(found.others[:_MOST_NAMED]),
            count=len(found.others),
        )
    if found.outside:
        yield Finding(
            check="image_folder",
            severity="warning",
            evidence=f"{_some(len(found.outside), 'image')} outside class folders: {_listed(found.outside)}.",
            remedy="Move each into the folder of its class.",
            rows=tuple(found.outside[:_MOST_NAMED]),
            count=len(found.outside),
        )


def _nothing_usable(source: str, found: _Found) -> str:
    if found.outside:
        seen = f"{source} has {_some(len(found.outside), 'image')} but no class folders with images in them."
    elif found.empty or found.others:
        seen = f"{source} has {_some(len(found.empty), 'class folder')} but no images in them."
    else:
        seen = f"{source} holds no images."
    return f"{seen} {EXPECTED}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MOST_IN_A_SENTENCE]) + (" …" if len(names) > _MOST_IN_A_SENTENCE else "")


def _some(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
