"""The body of a request → inputs of a model; pure. What a stranger sends is data: no path is opened, no pickle read."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from seedbed.core.data.reading.encode import encoded_image
from seedbed.core.errors import DataError

if TYPE_CHECKING:
    from seedbed.core.results.bundle import Bundle

MOST_BYTES = 6 * 2**20
"""The largest body, that of a real-time endpoint of Amazon SageMaker."""

MOST_ROWS = 10_000
"""The most rows of one request: what is more would hold up everyone else."""

JSON, LINES, CSV, NPY, TEXT = "application/json", "application/jsonlines", "text/csv", "application/x-npy", "text/plain"
ALIASES = {
    "application/jsonl": LINES,
    "application/x-ndjson": LINES,
    "application/x-jsonlines": LINES,
    "application/npy": NPY,
    "application/csv": CSV,
}
ACCEPTED = {
    "image": (JSON, LINES, NPY, "image/*", "application/x-image", "multipart/form-data"),
    "text": (JSON, LINES, CSV, TEXT),
    "series": (JSON, LINES, CSV, NPY),
}
"""Modality → the types of content that are read."""

_ONE = {
    "image": 'a base64 string, {"b64": …}, or lists of pixels (H, W) or (H, W, 3)',
    "text": "a string",
    "series": "a list of numbers, or one list for each channel",
}


class BadRequest(Exception):
    """A request that cannot be answered: `status` is HTTP's, `row` counts from 0."""

    def __init__(self, message: str, *, status: int = 400, row: int | None = None) -> None:
        super().__init__(message)
        self.status, self.row = status, row


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a model takes: `columns` are those of the table it learnt from, `channels` those of a series.

    `is_steps_first` says that series it learnt from were lists of steps rather than of channels.
    """

    modality: str
    columns: tuple[str, ...] = ()
    channels: int = 0
    is_steps_first: bool = False

    @property
    def instance(self) -> str:
        """What one row is, for people."""
        found = _ONE[self.modality]
        if self.modality == "series" and self.channels > 1:
            found = f"{self.channels} lists of numbers, one for each channel"
            found = f"a list of steps, each of {self.channels} numbers" if self.is_steps_first else found
        if self.modality == "image" or not self.columns:
            return found
        return f"{found}, or an object with the key{'s'[: len(self.columns) > 1]} {', '.join(self.columns)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Inputs as `Model.predict_as_is` takes them, and the share that may be told wrong, where that was asked for."""

    inputs: list[Any]
    abstain: float | None = None


def wanted_by(bundle: Bundle) -> Wanted:
    """Return what the model of a bundle takes."""
    modality, schema = bundle.profile.task.modality, bundle.schema
    is_steps_first = schema.layout == "steps_first"
    return Wanted(
        modality=modality, columns=schema.inputs, channels=bundle.form.channels, is_steps_first=is_steps_first
    )


def read_body(body: bytes, content_type: str, wanted: Wanted) -> Asked:
    """Read what is asked.

    Raises:
        BadRequest: it cannot be read; the message names the row and says what was expected.
    """
    head = Message()
    head["content-type"] = content_type
    kind = content_type.partition(";")[0].strip().lower()  # the parser would take nonsense for plain text
    kind = ALIASES.get(kind, kind)
    is_image = kind.startswith("image/") or kind == "application/octet-stream"
    if ("image/*" if is_image else kind) not in ACCEPTED[wanted.modality]:
        raise BadRequest(
            f"The content type {kind or 'that is missing'!r} is not read here; this model takes {wanted.modality} data "
            f"as {', '.join(ACCEPTED[wanted.modality])}.",
            status=415,
        )
    abstain = None
    match kind:
        case "application/json":
            rows, abstain = _document(body)
        case "application/jsonlines":
            rows = [_json(line, f"Line {at}") for at, line in enumerate(body.splitlines()) if line.strip()]
        case "text/csv":
            return Asked(inputs=_bounded(_cells(body, str(head.get_param("header", "")), wanted)))
        case "text/plain":
            rows = [_decoded(body)]
        case "application/x-npy":
            return Asked(inputs=_of_array(_array(body), wanted))
        case "multipart/form-data":
            return Asked(inputs=_bounded(list(_parts(body, content_type))))
        case _:
            return Asked(inputs=[_whole(body, 0)])
    one: dict[str, Callable[[Any, int, Wanted], Any]] = {"image": _image, "text": _text, "series": _series}
    return Asked(
        inputs=[one[wanted.modality](each, row, wanted) for row, each in enumerate(_bounded(rows))], abstain=abstain
    )


def _bounded(rows: list[Any]) -> list[Any]:
    if not rows:
        raise BadRequest("There are no rows in the request; give at least one.")
    if len(rows) > MOST_ROWS:
        raise BadRequest(f"The request has {len(rows):,} rows; send at most {MOST_ROWS:,} at a time.", status=413)
    return rows


def _json(text: bytes, what: str) -> Any:  # noqa: ANN401 - the JSON edge
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"{what} is no JSON: {error}.") from error


def _document(body: bytes) -> tuple[list[Any], float | None]:
    found = _json(body, "The body")
    if isinstance(found, list):
        found = {"instances": found}
    if not isinstance(found, dict) or not isinstance(found.get("instances"), list):
        raise BadRequest('The body is to be {"instances": [one for each row, …]}.')
    if unknown := sorted(found.keys() - {"instances", "abstain"}):
        raise BadRequest(f"The key {unknown[0]!r} is not known; beside `instances` there is `abstain`.")
    level = found.get("abstain")
    if not (level is None or (type(level) in (int, float) and 0 < level < 1)):
        raise BadRequest("`abstain` is the share of rows that may be told wrong, as 0.05.")
    return found["instances"], level


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is no UTF-8: {error.reason} at byte {error.start}.") from error


def _cells(body: bytes, header: str, wanted: Wanted) -> list[Any]:
    """Read CSV: texts, in the columns of the training data or one a row; series, a number a step."""
    try:
        rows = [row for row in csv.reader(io.StringIO(_decoded(body), newline=""), strict=True) if row]
    except csv.Error as error:
        raise BadRequest(f"The body is no CSV: {error}. Very long cells are better sent as JSON.") from error
    columns = wanted.columns or ("input",)
    is_named = bool(rows) and set(columns) <= set(rows[0])
    if header == "present" and rows and not is_named and wanted.modality == "text":
        raise BadRequest(f"The header lacks a column; expected are {', '.join(columns)}.")
    names: Sequence[str] = rows.pop(0) if rows and header != "absent" and (is_named or header == "present") else ()
    if wanted.modality == "series":
        return [_series([_number(cell, row) for cell in cells], row, wanted) for row, cells in enumerate(rows)]
    if not names:
        names = columns
    for row, cells in enumerate(rows):
        if len(cells) != len(names):
            raise BadRequest(
                f"Row {row} has {len(cells)} cells, expected are {len(names)} ({', '.join(names)}); "
                "put cells with a comma into double quotes.",
                row=row,
            )
    return [
        _text(dict(zip(names, cells, strict=True)) if wanted.columns else cells[0], row, wanted)
        for row, cells in enumerate(rows)
    ]


def _number(cell: str, row: int) -> float | None:
    try:
        return float(cell) if cell.strip() else None
    except ValueError as error:
        raise BadRequest(f"Row {row} has {cell!r:.40} where a number is expected.", row=row) from error


def _parts(body: bytes, content_type: str) -> Iterator[bytes]:
    """Yield the files of a form."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise BadRequest("The form has no parts, or its boundary is not that of the content type.")
    for row, part in enumerate(message.iter_parts()):
        found = part.get_payload(decode=True)
        yield _whole(found if isinstance(found, bytes) else b"", row)


def _array(body: bytes) -> np.ndarray:
    """Read one array of numbers; its header is checked before memory is set aside for what it promises."""
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(stream)
    except (ValueError, EOFError, TypeError, SyntaxError) as error:
        raise BadRequest("The body is no .npy file; numpy.save writes one.") from error
    if dtype.kind not in "biuf" or not 2 <= len(shape) <= 4:
        raise BadRequest(
            f"The array is {dtype} {shape}; expected are numbers, a row for each input: images (N, H, W[, C]), "
            "series (N, T) or (N, C, T)."
        )
    if math.prod(shape) * dtype.itemsize != len(body) - stream.tell():
        raise BadRequest(f"The array is to be {shape} of {dtype}, and the body has another size; send it whole.")
    flat = np.frombuffer(body, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if is_fortran else "C")


def _of_array(array: np.ndarray, wanted: Wanted) -> list[Any]:
    rows = _bounded(list(array))
    if wanted.modality == "image":
        return [_pixels(each, row) for row, each in enumerate(rows)]
    return [_channels(np.atleast_2d(each.astype(np.float32)), row, wanted) for row, each in enumerate(rows)]


def _whole(image: bytes, row: int) -> bytes:
    if not image:
        raise BadRequest(f"Row {row} is empty; expected is an image, as PNG or JPEG.", row=row)
    return image


def _image(given: Any, row: int, wanted: Wanted) -> bytes:  # noqa: ANN401 - the JSON edge
    if isinstance(given, dict) and given.keys() == {"b64"}:
        given = given["b64"]
    if isinstance(given, str):
        encoded = given.partition(",")[2] if given.startswith("data:") else given
        try:
            return _whole(base64.b64decode(encoded, validate=True), row)
        except (binascii.Error, ValueError) as error:
            raise BadRequest(f"Row {row} is no base64 ({error}); expected is {wanted.instance}.", row=row) from error
    if not isinstance(given, list):
        raise _unlike(given, row, wanted)
    try:
        pixels = np.array(given)
    except ValueError as error:
        raise BadRequest(
            f"Row {row} has lines of different lengths; expected is {wanted.instance}.", row=row
        ) from error
    return _pixels(pixels, row)


def _pixels(pixels: np.ndarray, row: int) -> bytes:
    try:
        found = encoded_image(pixels, row)
    except DataError as error:
        raise BadRequest(str(error).replace("Input", "Row", 1), row=row) from error
    return found if isinstance(found, bytes) else b""


def _text(given: Any, row: int, wanted: Wanted) -> str:  # noqa: ANN401 - the JSON edge
    if isinstance(given, dict) and wanted.columns:
        values = _of_columns(given, row, wanted)
        if not all(value is None or type(value) in (str, int, float) for value in values):
            raise BadRequest(f"Row {row} has a cell that is no text; expected is {wanted.instance}.", row=row)
        given = "\n".join(str(value) for value in values if value not in (None, ""))
    if not isinstance(given, str):
        raise _unlike(given, row, wanted)
    if not given.strip():
        raise BadRequest(f"Row {row} is empty; expected is {wanted.instance}.", row=row)
    if not given.isascii() and any("\ud800" <= sign <= "\udfff" for sign in given):
        raise BadRequest(f"Row {row} has half a character (a lone surrogate); expected is {wanted.instance}.", row=row)
    return given


def _series(given: Any, row: int, wanted: Wanted) -> np.ndarray:  # noqa: ANN401 - the JSON edge
    if isinstance(given, dict) and wanted.columns:
        values = _of_columns(given, row, wanted)
        given = values[0] if len(values) == 1 else values
    if not isinstance(given, list):
        raise _unlike(given, row, wanted)
    lines = given if given and isinstance(given[0], list) else [given]
    if len({len(each) if isinstance(each, list) else -1 for each in lines}) > 1:
        raise BadRequest(f"Row {row} has lists of different lengths; expected is {wanted.instance}.", row=row)
    for at, value in ((at, value) for line in lines for at, value in enumerate(line)):
        if not (value is None or type(value) in (int, float)):
            raise BadRequest(f"Row {row} has {value!r:.40} at {at}; expected is {wanted.instance}.", row=row)
    try:
        found = np.array(lines, dtype=np.float64)
    except OverflowError as error:
        raise BadRequest(
            f"Row {row} has a number that is too large; expected is {wanted.instance}.", row=row
        ) from error
    is_turned = wanted.is_steps_first and lines is given
    with np.errstate(over="ignore"):
        return _channels((found.T if is_turned else found).astype(np.float32), row, wanted)


def _channels(series: np.ndarray, row: int, wanted: Wanted) -> np.ndarray:
    """Return a series float32 (C, T), once it is one that the model can take."""
    channels = len(series) if series.ndim == 2 else 0
    if series.ndim != 2 or (wanted.channels and channels != wanted.channels):
        raise BadRequest(f"Row {row} has {channels or 'too many'} channels; expected is {wanted.instance}.", row=row)
    if not np.isfinite(series).any():
        raise BadRequest(f"Row {row} holds no number; expected is {wanted.instance}.", row=row)
    return series


def _of_columns(given: dict[str, Any], row: int, wanted: Wanted) -> list[Any]:
    if missing := [name for name in wanted.columns if name not in given]:
        raise BadRequest(f"Row {row} lacks {missing[0]!r}; expected is {wanted.instance}.", row=row)
    return [given[name] for name in wanted.columns]


def _unlike(given: object, row: int, wanted: Wanted) -> BadRequest:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return BadRequest(f"Row {row} is {names.get(type(given), 'a number')}; expected is {wanted.instance}.", row=row)
