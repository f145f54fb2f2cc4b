"""What reading any file comes to, for the tests of readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from seedbed import NoOptions, ReadContext
from seedbed.core.errors import DataError
from seedbed.core.protocols import Reader


def outcome(build: Callable[[NoOptions], Reader], file: Path) -> str:
    """Return `rows`, or `sentence` for one that names the file; anything else is to fail the test."""
    try:
        table = build(NoOptions()).read(str(file), ReadContext(cache=file.parent / "cache"))
    except DataError as error:
        return "sentence" if str(file) in str(error) else str(error)
    return "rows" if len(table) else "nothing"
