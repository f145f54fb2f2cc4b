"""The objects of a JSON file in order: one a line, or those of a list; an edge."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from seedbed.core.errors import DataError
from seedbed.plugins.readers.cells import BadLines
from seedbed.plugins.readers.survey import encoding_of, opened

LONGEST_LINE_BYTES = 2**25  # a line of nothing but empty lists takes thirty times as much as Python's objects
LARGEST_LIST_BYTES = 2**29
EXPECTED = 'Expected is one object a line, as in {"text": "so good", "label": "pos"}.'
REMEDY = "Write each row as an object on a line of its own; df.to_json(FILE, orient='records', lines=True) does."

_DEEP = "is nested too deep"

Row = dict[str, Any]


def rows_of(path: Path, bad: BadLines) -> Iterator[Row]:
    """Yield the objects of a file in order; what is none is noted.

    Raises:
        DataError: it is no JSON, or more of it would have to be held in memory than fits.
    """
    with opened(path) as file:
        start = file.read(65536)
        file.seek(0)
        encoding = encoding_of(start)
        begin = start.decode(encoding or "utf-8", "replace").lstrip()
        if not begin:
            raise DataError(f"{path} is empty. {EXPECTED}")
        if path.suffix.lower() == ".json" and (begin[0] == "[" or _is_one_object(begin)):
            yield from _listed_rows(path, file.read(LARGEST_LIST_BYTES + 1), encoding, bad)
            return
        is_wide = encoding.startswith(("utf-16", "utf-32"))
        yield from _line_rows(path, _Recoded(file, encoding) if is_wide else file, bad)


def _line_rows(path: Path, file: BinaryIO | _Recoded, bad: BadLines) -> Iterator[Row]:
    number = 0
    while line := file.readline(LONGEST_LINE_BYTES):
        number += 1
        if len(line) == LONGEST_LINE_BYTES:
            raise DataError(f"{path}: line {number:,} has more than {LONGEST_LINE_BYTES:,} bytes. {EXPECTED}")
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if line.isspace():
            continue
        try:
            value = parse(line)
        except ValueError as error:
            bad.add(number, str(error))
            continue
        if isinstance(value, dict):
            yield value
        else:
            bad.add(number, f"is no object but {_called(value)}")


def _listed_rows(path: Path, content: bytes, encoding: str, bad: BadLines) -> Iterator[Row]:
    """Yield the objects of a list, or of the one list of objects that an object holds."""
    if len(content) > LARGEST_LIST_BYTES:
        raise DataError(
            f"{path} is one JSON value of more than {LARGEST_LIST_BYTES / 2**20:.0f} MiB, which would have to be "
            f"held in memory; write one object a line: jq -c '.[]' {path.name} > {path.stem}.jsonl"
        )
    if encoding:
        content = content.decode(encoding, "replace").encode("utf-8", "replace")
    try:
        value = _opened_up(content)
    except ValueError as error:
        raise DataError(f"{path} {error}. {EXPECTED}") from error
    if isinstance(value, dict):
        lists = [each for each in map(_as_rows, value.values()) if each]
        if len(lists) != 1:
            keys = ", ".join(map(str, value))[:200]
            raise DataError(f"{path} is one object with the keys {keys}, and not a list of rows. {EXPECTED} {REMEDY}")
        value = lists[0]
    if not isinstance(value, list):
        raise DataError(f"{path} is {_called(value)}, and not a list of rows. {EXPECTED}")
    for number, each in enumerate(value, start=1):
        try:
            row = _unpacked(each)
        except ValueError as error:
            bad.add(number, str(error))
            continue
        if isinstance(row, dict):
            yield row
        else:
            bad.add(number, f"is no object but {_called(row)}")


def _opened_up(content: bytes) -> Any:  # noqa: ANN401 - a JSON edge
    """Return the value of a whole file, what is in its list or object as text: as objects it takes ten times as much.

    Raises:
        ValueError: it is no JSON; the reason is worded to follow a name.
    """
    kind = dict[str, msgspec.Raw] if content.lstrip()[:1] == b"{" else list[msgspec.Raw]
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError:
        raise ValueError(_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if len(content) > LONGEST_LINE_BYTES:
            raise ValueError(f"is no JSON ({error})") from error
        return parse(content)


def _as_rows(value: Any) -> list[Any] | None:  # noqa: ANN401 - a JSON edge
    """Return a list whose first element is an object, None for all else."""
    if isinstance(value, msgspec.Raw):
        if not re.match(rb"\s*\[\s*\{", memoryview(value)):
            return None
        found: list[Any] = msgspec.json.decode(value, type=list[msgspec.Raw])
        return found
    return value if isinstance(value, list) and value and isinstance(value[0], dict) else None


def _unpacked(value: Any) -> Any:  # noqa: ANN401 - a JSON edge
    if not isinstance(value, msgspec.Raw):
        return value
    content = memoryview(value)
    if len(content) > LONGEST_LINE_BYTES:
        raise ValueError(f"has more than {LONGEST_LINE_BYTES:,} bytes")
    return parse(bytes(content))


def parse(line: bytes) -> Any:  # noqa: ANN401 - a JSON edge
    """Return the value of a JSON text; NaN and Infinity, which Python writes, are taken too.

    Raises:
        ValueError: it is no JSON; the reason is worded to follow a name.
    """
    try:
        return msgspec.json.decode(line)
    except RecursionError:
        raise ValueError(_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # stricter than need be: what follows reads more, three times slower
    try:
        return _clean(json.loads(line.decode("utf-8", "replace")))
    except RecursionError:
        raise ValueError(_DEEP) from None
    except ValueError as error:
        raise ValueError(f"is no JSON ({error})") from error


def _clean(value: Any) -> Any:  # noqa: ANN401 - a JSON edge
    """Replace halves of surrogate pairs, which no file can hold."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [_clean(each) for each in value]
        case dict():
            return {_clean(name): _clean(each) for name, each in value.items()}
        case _:
            return value


def _is_one_object(begin: str) -> bool:
    """Whether a file is one object over several lines, rather than an object a line."""
    first, _, rest = begin.partition("\n")
    try:
        return not rest.strip() or not isinstance(parse(first.encode()), dict)
    except ValueError:
        return begin[0] == "{"


class _Recoded:
    """Lines of a file in another encoding, as UTF-8."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._text = io.TextIOWrapper(file, encoding, errors="replace")

    def readline(self, most: int, /) -> bytes:
        """Return the next line, empty at the end."""
        return self._text.readline(most).encode("utf-8", "replace")


def _called(value: object) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
