"""What form a folder has, so that of the readers of folders exactly one recognises it; an edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from seedbed.core.errors import DataError
from seedbed.plugins.readers.dialect import SAMPLE_ROWS
from seedbed.plugins.readers.folders import is_image, list_folder, unwrap, walk
from seedbed.plugins.readers.pathmatch import Match, best_match, says_part
from seedbed.plugins.readers.tables import TableFile, peek, tables_in

MOST_STEPS = 3  # into lone folders, as archives and the hub leave them
_LEAST_COVERED = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """The form of a folder: class folders of images, images that tables name, or tables alone.

    `root` is where the tables lie; `matches` are the tables whose column names images.
    """

    kind: Literal["images", "labelled", "tables"]
    root: Path
    tables: tuple[TableFile, ...] = ()
    matches: tuple[tuple[TableFile, Match], ...] = ()


def form_of(path: Path) -> Form | None:
    """Return the form of a folder; None if there are neither images nor tables, or a saved data set.

    Raises:
        OSError: a folder cannot be listed.
    """
    if not path.is_dir() or _is_saved(path):
        return None
    root = _table_root(path)
    tables = tuple(tables_in(root))
    if not any(map(is_image, walk(str(path)))):
        return Form(kind="tables", root=root, tables=tables) if tables else None
    if not tables:
        return Form(kind="images", root=root)
    images = sorted(filter(is_image, walk(str(root))))
    in_classes = _has_class_folders(root)
    matches = tuple(_matches(tables, images, in_classes))
    if matches:
        return Form(kind="labelled", root=root, tables=tables, matches=matches)
    are_parts = any(each.part for each in tables)
    return Form(kind="tables" if are_parts and not in_classes else "images", root=root, tables=tables)


def _matches(tables: Sequence[TableFile], images: Sequence[str], in_classes: bool) -> list[tuple[TableFile, Match]]:
    """Return the tables that name images; beside class folders numbers that happen to name a few do not count."""
    found = []
    for table in tables:
        try:
            columns = peek(table.path)
        except DataError:  # a stray file; if it was meant, the reader of tables says what is wrong
            continue
        match = best_match(columns, images, table.part)
        if match is None:
            continue
        wanted = _LEAST_COVERED * min(len(images), SAMPLE_ROWS // 2)
        if in_classes and (match.named < wanted or (match.named == wanted and match.way.endswith("suffix"))):
            continue
        found.append((table, match))
    return found


def _has_class_folders(root: Path) -> bool:
    """Whether two folders or more hold images, not counting the parts they may lie in."""
    root = unwrap(root)
    classes = []
    for name in list_folder(str(root))[0]:
        classes += (
            [root / name / each for each in list_folder(str(root / name))[0]] if says_part(name) else [root / name]
        )
    with_images = (folder for folder in classes if any(map(is_image, walk(str(folder)))))
    return len(list(islice(with_images, 2))) == 2


def _table_root(path: Path) -> Path:
    """Step into lone folders until there are tables."""
    root = path
    for _ in range(MOST_STEPS):
        folders = list_folder(str(root))[0]
        if tables_in(root) or len(folders) != 1:
            return root
        root = root / folders[0]
    return root


def _is_saved(path: Path) -> bool:
    """Whether `datasets` saved this folder, which is for another reader."""
    names = ("state.json", "dataset_info.json")
    return (path / "dataset_dict.json").is_file() or all((path / name).is_file() for name in names)
