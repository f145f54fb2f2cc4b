"""A folder that `save_to_disk` of the `datasets` library wrote, memory-mapped as it is; an edge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext, Table
from seedbed.core.data.reading.arrowfile import file_stamp, fingerprint
from seedbed.core.data.reading.datasetdict import table_of_splits
from seedbed.core.errors import DataError

if TYPE_CHECKING:
    import datasets

_ONE = ("state.json", "dataset_info.json")
_SEVERAL = "dataset_dict.json"


def build(options: NoOptions) -> Saved:
    """Build the reader."""
    return Saved()


class Saved:
    """Reads what `Dataset.save_to_disk` and `DatasetDict.save_to_disk` wrote."""

    def recognises(self, path: Path) -> bool:
        """Whether the files are there by which `datasets` knows its own folders."""
        return (path / _SEVERAL).is_file() or all((path / name).is_file() for name in _ONE)

    def read(self, source: str, context: ReadContext) -> Table:
        """Open the data set; every value is looked at once, so that a damaged file cannot end a run later.

        Raises:
            DataError: a file is missing or damaged.
        """
        import pyarrow as pa

        path = Path(source).resolve()
        try:
            stamps = sorted(map(file_stamp, path.rglob("*.arrow")))
            return table_of_splits(_opened(path), source, path.name, stamp=fingerprint(*stamps))
        except (
            OSError,
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            RecursionError,
            pa.ArrowException,
        ) as error:
            raise DataError(
                f"{source} cannot be opened as a saved data set ({_first_line(error)}). It may be incomplete or "
                "damaged; write it again with save_to_disk."
            ) from error


def _opened(path: Path) -> Mapping[str, datasets.Dataset]:
    if not (path / _SEVERAL).is_file():
        return {"": _loaded(path)}
    names = json.loads((path / _SEVERAL).read_text(encoding="utf-8"))["splits"]
    return {str(name): _loaded(path / str(name)) for name in names}


def _loaded(folder: Path) -> datasets.Dataset:
    import datasets

    for name in _ONE:
        _require_file(folder / name)
    for each in json.loads((folder / _ONE[0]).read_text(encoding="utf-8"))["_data_files"]:
        _require_file(folder / each["filename"])
    return _checked(datasets.Dataset.load_from_disk(str(folder), keep_in_memory=False))


def _require_file(path: Path) -> None:
    """See that something is a file: a pipe, once opened, would keep the process waiting for ever."""
    if not path.is_file():
        raise ValueError(f"{path.name} is no file" if path.exists() else f"{path.name} is missing")


def _checked(rows: datasets.Dataset) -> datasets.Dataset:
    """Hold every offset and string against the buffers it points into: arrow itself trusts them."""
    for batch in rows.data.table.to_batches():
        batch.validate(full=True)
    return rows


def _first_line(error: Exception) -> str:
    if isinstance(error, IndexError):  # what `datasets` stumbles over where nothing was saved
        return "it has no rows"
    return (str(error).strip().splitlines() or [""])[0][:200] or type(error).__name__
