"""A request in, an answer out: `respond` is all that stands between a model and HTTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seedbed.core.errors import DataError, UsageError
from seedbed.prediction_files import encode, exact, prediction_rows
from seedbed.serving.bodies import ALIASES, CSV, JSON, LINES, MOST_BYTES, BadRequest, Wanted, read_body, wanted_by

if TYPE_CHECKING:
    from seedbed.core.results.predict import Model, Predicted

log = logging.getLogger(__name__)

_WILD = {"*/*": JSON, "application/*": JSON, "text/*": CSV}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What is sent back: HTTP's status, the body and its type; `rows` is how many were predicted."""

    status: int
    body: bytes
    content_type: str = JSON
    rows: int = 0


def refusal(status: int, message: str, row: int | None = None) -> Reply:
    """Return what is told instead of predictions: `{"error": …, "row": …}`."""
    told = {"error": message} | ({} if row is None else {"row": row})
    return Reply(status=status, body=json.dumps(told).encode())


def respond(model: Model, body: bytes, content_type: str, accept: str = "", *, most_bytes: int = MOST_BYTES) -> Reply:
    """Answer one request with predictions, or say what is wrong with it; nothing is raised.

    400 names the row and what was expected, 406 and 415 are for types that are not spoken, 413 for what is
    too large. A failure of our own is 500: its traceback goes to the log and not to whoever asked.

    Args:
        model: a model that was loaded.
        body: rows, in one of the types that `bodies.ACCEPTED` names.
        content_type: the type of the body.
        accept: types of the answer, the preferred first: JSON (as a rule), CSV or JSON lines.
        most_bytes: a larger body is refused.
    """
    try:
        if len(body) > most_bytes:
            raise BadRequest(f"The body has {len(body):,} bytes; send at most {most_bytes:,} at a time.", status=413)
        form = _form(accept)
        wanted = wanted_by(model.bundle)
        asked = read_body(body, content_type, wanted)
        found = model.predict_as_is(asked.inputs, abstain=asked.abstain)
        _refuse_unreadable(found, wanted)
        return Reply(status=200, body=_encoded(found, model, form), content_type=form, rows=len(found.predictions))
    except BadRequest as error:
        return refusal(error.status, str(error), error.row)
    except (DataError, UsageError) as error:
        return refusal(400, str(error))
    except Exception:
        log.exception("a request failed")
        return refusal(500, "The model failed at this request; the reason is in the log of the server.")


def _form(accept: str) -> str:
    """Return the type of the answer."""
    wished = [each.partition(";")[0].strip().lower() for each in accept.split(",")]
    for each in filter(None, wished):
        found = _WILD.get(each, ALIASES.get(each, each))
        if found in (JSON, LINES, CSV):
            return found
    if not any(wished):
        return JSON
    raise BadRequest(f"The answer cannot be of the type {accept!r:.80}; ask for {JSON}, {LINES} or {CSV}.", status=406)


def _refuse_unreadable(found: Predicted, wanted: Wanted) -> None:
    for row, reason in found.unreadable.items():
        raise BadRequest(f"Row {row} {reason}; expected is {wanted.instance}.", row=row)


def _encoded(found: Predicted, model: Model, form: str) -> bytes:
    if form == CSV:
        outputs = found.outputs if model.classes else None
        more: dict[str, Any] = {"candidates": found.candidates, "bounds": found.bounds}
        return encode(prediction_rows(found.inputs, found.predictions, outputs, model.classes, **more), "csv")
    rows = list(_told(found, model.classes))
    if form == LINES:
        return "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    return json.dumps({"predictions": rows}).encode()


def _told(found: Predicted, classes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield what is said of each row: the prediction, probabilities, and what else remains possible."""
    for row, prediction in enumerate(found.predictions):
        told: dict[str, Any] = {"prediction": exact(prediction) if isinstance(prediction, float) else prediction}
        if classes:
            told["probabilities"] = {
                name: exact(float(value)) for name, value in zip(classes, found.outputs[row], strict=True)
            }
        if found.candidates is not None:
            told["candidates"] = found.candidates[row]
        if found.bounds is not None:
            told["low"], told["high"] = (exact(float(each)) for each in found.bounds[row])
        yield told


def example(model: Model) -> bytes:
    """Return a request of one made-up row, as JSON: grey pixels, a word, or a rising line."""
    bundle = model.bundle
    row: object
    if bundle.form.image is not None:
        row = np.full((bundle.form.image.height, bundle.form.image.width), 128).tolist()
    elif model.task.modality == "text":
        row = "example"
    else:
        lengths = bundle.profile.lengths
        steps = np.linspace(0.0, 1.0, max(lengths.usual, 1) if lengths else 1)
        series = np.tile(steps, (max(bundle.form.channels, 1), 1))
        row = (series.T if bundle.schema.layout == "steps_first" else series).tolist()
    return json.dumps({"instances": [row]}).encode()
