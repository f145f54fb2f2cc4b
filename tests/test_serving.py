"""What a served model answers: the three kinds of data in every type they may come in, and what is refused, and how."""

from __future__ import annotations

import base64
import csv
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import small_bundles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quick_runs import surroundings

import seedbed
from seedbed.serving.answers import example, respond
from seedbed.serving.bodies import ACCEPTED, MOST_BYTES, MOST_ROWS

JSON = "application/json"


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return seedbed.load(small_bundles.images(tmp_path_factory.mktemp("images")))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return seedbed.load(small_bundles.texts(tmp_path_factory.mktemp("texts")))


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    return seedbed.load(small_bundles.series(tmp_path_factory.mktemp("series"), channels=2))


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    return seedbed.load(small_bundles.numbers(tmp_path_factory.mktemp("numbers")))


@pytest.fixture(scope="module")
def models(images, texts, series):
    return {"image": images, "text": texts, "series": series}


@pytest.fixture(scope="module")
def pictures(images):
    """The files of four pictures, dark and light."""
    folder = images.folder.parents[1] / "photos"
    return [folder / kind / f"{number}.png" for kind in ("dark", "light") for number in range(2)]


def ask(model, body, content_type=JSON, accept=""):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return respond(model, body, content_type, accept)


def answered(model, body, content_type=JSON):
    reply = ask(model, body, content_type)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)["predictions"]


def refused(model, body, content_type=JSON, accept=""):
    """The status, the row and the message."""
    reply = ask(model, body, content_type, accept)
    told = json.loads(reply.body)
    assert reply.content_type == JSON
    return reply.status, told.get("row"), told["error"]


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_pictures_are_told_as_predict_tells_them_in_whatever_type_they_come(images, pictures):
    found = images.predict_frame(str(pictures[0].parents[1]))
    wanted = {
        name: dict(zip(images.classes, row, strict=True)) for name, row in zip(found.inputs, found.outputs, strict=True)
    }
    encoded = [base64.b64encode(each.read_bytes()).decode() for each in pictures]
    as_objects = answered(images, {"instances": [{"b64": each} for each in encoded]})
    assert [each["prediction"] for each in as_objects] == ["dark", "dark", "light", "light"]
    for file, told in zip(pictures, as_objects, strict=True):
        assert told["probabilities"] == pytest.approx(wanted[str(file)], abs=1e-7)
    as_lines = "\n".join(json.dumps(f"data:image/png;base64,{each}") for each in encoded).encode()
    assert answered(images, as_lines, "application/jsonlines") == as_objects
    assert answered(images, {"instances": encoded}) == as_objects
    for file, told in zip(pictures, as_objects, strict=True):  # sums of one row alone may be rounded otherwise
        (alone,) = answered(images, file.read_bytes(), "image/png")
        assert alone["probabilities"] == pytest.approx(told["probabilities"], abs=1e-6)


def test_pixels_are_pictures_too(images):
    pixels = np.array([np.full((10, 10), 20), np.full((10, 10), 230)], np.uint8)
    wanted = answered(images, npy(pixels), "application/x-npy")
    assert [each["prediction"] for each in wanted] == ["dark", "light"]
    assert answered(images, {"instances": pixels.tolist()}) == wanted


def test_pictures_come_in_a_form_as_browsers_send_it(images, pictures):
    body = (
        b"".join(
            b'--cut\r\nContent-Disposition: form-data; name="f"; filename="1.png"\r\nContent-Type: image/png\r\n\r\n'
            + each.read_bytes()
            + b"\r\n"
            for each in pictures
        )
        + b"--cut--\r\n"
    )
    found = answered(images, body, "multipart/form-data; boundary=cut")
    assert [each["prediction"] for each in found] == ["dark", "dark", "light", "light"]


def test_texts_of_several_columns_are_read_as_they_were_in_training(texts):
    table = texts.folder.parents[1] / "texts.csv"
    found = texts.predict_frame(str(table))
    rows = list(csv.DictReader(table.open()))
    told = answered(texts, {"instances": [{"title": row["title"], "text": row["text"]} for row in rows]})
    assert [each["prediction"] for each in told] == found.predictions
    for one, outputs in zip(told, found.outputs, strict=True):
        assert list(one["probabilities"].values()) == pytest.approx(outputs.tolist(), abs=1e-7)
    assert answered(texts, table.read_bytes(), "text/csv") == told
    bare = "".join(f"{row['title']},{row['text']}\n" for row in rows).encode()
    assert answered(texts, bare, "text/csv; header=absent") == told
    lines = "\n".join(json.dumps(row) for row in rows).encode()
    assert answered(texts, lines, "application/x-ndjson") == told


def test_a_text_may_come_bare(texts):
    (one,) = answered(texts, {"instances": ["it was lovely"]})
    assert answered(texts, b"it was lovely", "text/plain") == [one]
    assert one["prediction"] == "good"


def test_series_are_told_as_predict_tells_them_in_whatever_type_they_come(series):
    rows = np.array([[small_bundles.wave(speed, 7), small_bundles.wave(speed, 8)] for speed in (0.2, 0.9)], np.float32)
    wanted = series.predict_proba(rows)
    told = answered(series, {"instances": rows.tolist()})
    assert [each["prediction"] for each in told] == ["slow", "fast"]
    assert [list(each["probabilities"].values()) for each in told] == [
        pytest.approx(row, abs=1e-6) for row in wanted.tolist()
    ]
    assert answered(series, npy(rows), "application/x-npy") == told
    assert answered(series, npy(np.asfortranarray(rows)), "application/x-npy") == told
    assert answered(series, {"instances": [{"signal": row} for row in rows.tolist()]}) == told


def test_numbers_come_with_no_probabilities_and_with_bounds_where_they_are_asked_for(numbers):
    line = small_bundles.wave(0.5, 3)
    (plain,) = answered(numbers, ",".join(map(str, line)).encode(), "text/csv")
    assert list(plain) == ["prediction"]
    (bound,) = answered(numbers, {"instances": [line], "abstain": 0.2})
    assert bound["low"] < bound["prediction"] < bound["high"]
    assert bound["prediction"] == plain["prediction"]


def test_a_model_may_say_that_it_does_not_know(texts):
    rows = {"instances": ["nothing that was ever seen", "it was lovely and great"], "abstain": 0.1}
    unsure, sure = answered(texts, rows)
    found = texts.predict_as_is(rows["instances"], abstain=0.1)
    assert [unsure["prediction"], sure["prediction"]] == found.predictions
    assert [unsure["candidates"], sure["candidates"]] == found.candidates
    assert set(unsure["candidates"]) <= {"good", "bad"}


def test_an_answer_comes_in_the_type_that_is_asked_for(texts):
    body = {"instances": ["it was lovely", "it was dire"]}
    table = list(csv.DictReader(io.StringIO(ask(texts, body, accept="text/csv").body.decode())))
    assert [row["prediction"] for row in table] == ["good", "bad"]
    lines = ask(texts, body, accept="application/jsonlines, text/csv").body.splitlines()
    told = answered(texts, body)
    assert [json.loads(line) for line in lines] == told
    assert [float(row["p_good"]) for row in table] == [each["probabilities"]["good"] for each in told]
    assert ask(texts, body, accept="text/html;q=0.9, */*").content_type == JSON
    assert refused(texts, body, accept="image/png")[0] == 406


@pytest.mark.parametrize("modality", ACCEPTED)
def test_every_model_answers_its_own_example(models, modality):
    assert len(answered(models[modality], example(models[modality]))) == 1


BAD_ROWS = {
    "image": ["no base64!", "AAAA", "", 3, None, {"b64": 1}, {"path": "x"}, [[1, 2], [3]], [[300]], [], [["a"]], True],
    "text": [
        *("", "  ", 3, None, [], ["a"], {}, False, {"title": "a"}),
        *({"title": None, "text": ""}, {"title": [1], "text": "a"}),
    ],
    "series": [
        *(3, "1 2 3", None, [], [[]], [1, 2], [[1, 2]], [[1], [2], [3]], [[1, 2], [3]], [["a"], [1]], [[True], [1]]),
        *([[None], [None]], {}, {"signal": 1}, [[10**400], [1]], [[[1]], [[1]]]),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("modality", "row"), [(kind, row) for kind, rows in BAD_ROWS.items() for row in rows], ids=repr
)
def test_a_bad_row_is_named_with_what_was_expected(models, modality, row):
    (good,) = json.loads(example(models[modality]))["instances"]
    status, at, message = refused(models[modality], {"instances": [good, row, good]})
    assert (status, at) == (400, 1)
    assert message.startswith("Row 1 ")


def test_paths_are_no_pictures(images, pictures):
    status, row, _ = refused(images, {"instances": [str(pictures[0])]})
    assert (status, row) == (400, 0)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"3", "instances"),
        (b"{}", "instances"),
        (b'{"instances": 3}', "instances"),
        (b"[]", "no rows"),
        (b'{"instances": ["a"], "abstian": 0.1}', "abstian"),
        (b'{"instances": ["a"], "abstain": 7}', "abstain"),
        (b'{"instances": ["a"], "abstain": 0.0001}', "rows"),
        (b'["\\ud800"]', ""),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe", "no JSON"),
    ],
    ids=lambda each: repr(each)[:30],
)  # fmt: skip
def test_a_bad_document_is_refused_with_what_is_wrong(texts, body, told):
    status, _, message = refused(texts, body)
    assert status == 400
    assert told in message


def test_cells_of_csv_are_counted(texts):
    assert refused(texts, b"title,text\na,b\na,b,c\n", "text/csv")[:2] == (400, 1)
    assert refused(texts, b'title,text\na,"b\n', "text/csv")[0] == 400
    assert "lacks a column" in refused(texts, b"head,text\na,b\n", "text/csv; header=present")[2]


@pytest.mark.parametrize("modality", ACCEPTED)
@pytest.mark.parametrize("content_type", ["", "text/html", "application/x-pickle", "nonsense", "application/xml; a=b"])
def test_a_type_that_is_not_read_is_refused_with_those_that_are(models, modality, content_type):
    status, _, message = refused(models[modality], b"x", content_type)
    assert status == 415
    assert all(each in message for each in ACCEPTED[modality])


def test_what_is_too_large_is_refused(texts):
    assert refused(texts, b"x" * (MOST_BYTES + 1), "text/plain")[0] == 413
    assert refused(texts, ["a"] * (MOST_ROWS + 1))[0] == 413


def test_an_array_that_promises_more_than_it_holds_costs_no_memory(series):
    whole = npy(np.zeros((2, 2, 30), np.float32))
    shape = b"(2, 2, 30)"
    assert shape in whole
    huge = whole.replace(shape + b", }" + b" " * 12, b"(2, 2, 30000000000000)" + b", }")
    assert len(huge) == len(whole)
    assert "another size" in refused(series, huge, "application/x-npy")[2]
    assert refused(series, npy(np.array([{}], dtype=object)), "application/x-npy")[0] == 400


KEYS = ["title", "text", "b64", "signal"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=8,
)  # fmt: skip


@given(data=st.data(), modality=st.sampled_from(sorted(ACCEPTED)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_is_answered_or_refused_and_nothing_of_this_machine_is_told(models, data, modality):
    kind = data.draw(st.sampled_from([*ACCEPTED[modality], "image/png", "multipart/form-data; boundary=x"]))
    body = data.draw(st.binary(max_size=200) | anything.map(lambda each: json.dumps({"instances": [each]}).encode()))
    reply = ask(models[modality], body, kind)
    assert reply.status in (200, 400, 415)
    if reply.status != 200:
        told = json.loads(reply.body)["error"]
        assert "Traceback" not in told
        assert not any(
            place in told for place in (tempfile.gettempdir(), str(Path.home()), str(Path(seedbed.__file__).parent))
        )


def test_a_failure_of_our_own_goes_to_the_log_alone(texts, monkeypatch, caplog):
    def fails(*_, **__):
        raise RuntimeError("a secret")

    monkeypatch.setattr(texts, "predict_as_is", fails)
    status, _, message = refused(texts, ["a"])
    assert status == 500
    assert "secret" not in message
    assert "a secret" in caplog.text
