"""The server around a model, as a process of its own and in this one: what it says of itself, bounds, and its end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import small_bundles
from quick_runs import surroundings

import seedbed
from seedbed.core.errors import DataError, UsageError
from seedbed.serving import server as serving
from seedbed.serving.server import serve

ROOT = Path(__file__).parents[1]
SECONDS = 120.0


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return small_bundles.texts(tmp_path_factory.mktemp("texts"))


def send(port, method="POST", path="/invocations", body=b"", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), dict(answer.getheaders())
    finally:
        connection.close()


def predicted(port, *texts):
    status, told, _ = send(port, body=json.dumps({"instances": texts}).encode(), Content_Type="application/json")
    assert status == 200, told
    return [each["prediction"] for each in told["predictions"]]


class Container:
    """`python -m seedbed.serving` around a bundle; what it logs is read line by line."""

    def __init__(self, base: Path, bundle: Path) -> None:
        base.mkdir()
        (base / "model").symlink_to(bundle, target_is_directory=True)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_PORT": "0",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seedbed.serving"], cwd=base, env=environment, stderr=subprocess.PIPE, text=True
        )

    def until(self, event):
        """Read the log up to an event; return that line."""
        for line in self.process.stderr:
            told = json.loads(line)
            if told["event"] == event:
                return told
        raise AssertionError(f"the log ended without {event!r}")


@pytest.fixture
def container(tmp_path):
    started = []

    def start(bundle):
        started.append(Container(tmp_path / "base", bundle))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()
        each.process.stderr.close()


def test_a_container_answers_as_predict_does_and_ends_at_sigterm(container, run):
    own = container(run / "best")
    port = own.until("listening")["port"]
    own.until("ready")
    assert send(port, "GET", "/ping")[0] == 200
    texts = ["it was fine and great", "it was dire"]
    assert predicted(port, *texts) == seedbed.load(run).predict_as_is(texts).predictions
    assert own.until("invocation").items() >= {"status": 200, "rows": 2}.items()
    own.process.send_signal(signal.SIGTERM)
    own.until("ended")
    assert own.process.wait(SECONDS) == 0


def test_a_container_without_a_bundle_says_so_and_ends(container, tmp_path):
    (tmp_path / "empty").mkdir()
    own = container(tmp_path / "empty")
    told = [json.loads(line) for line in own.process.stderr]
    assert own.process.wait(SECONDS) == 3
    assert any("is no run and no bundle" in each["event"] for each in told if each["level"] == "error")


@contextmanager
def served(load, **options):
    """Serve in a thread of this process; give the port, and what ends it."""
    stop, started, port = threading.Event(), threading.Event(), []

    def on_start(number):
        port.append(number)
        started.set()

    thread = threading.Thread(
        target=serve, args=(load,), kwargs={"port": 0, "stop": stop, "started": on_start, **options}
    )
    thread.start()
    try:
        assert started.wait(SECONDS)
        yield port[0], stop
    finally:
        stop.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


def until_ready(port):
    limit = time.monotonic() + SECONDS
    while send(port, "GET", "/ping")[0] != 200:
        assert time.monotonic() < limit


@pytest.fixture(scope="module")
def model(run):
    return seedbed.load(run)


def test_who_asks_while_the_model_is_loaded_is_told_to_wait(model):
    may_load = threading.Event()

    def load():
        assert may_load.wait(SECONDS)
        return model

    with served(load) as (port, _):
        assert send(port, "GET", "/ping")[0] == 503
        status, told, _ = send(port, body=b"x", Content_Type="text/plain")
        assert (status, "still being loaded" in told["error"]) == (503, True)
        may_load.set()
        until_ready(port)
        assert predicted(port, "it was lovely") == ["good"]


def test_a_model_that_cannot_answer_is_never_ready(model, monkeypatch):
    monkeypatch.setattr(serving, "example", lambda model: b"[]")
    with pytest.raises(DataError, match="cannot answer an example"):
        serve(lambda: model, port=0)


def test_a_port_that_is_taken_is_an_error_with_a_way_out():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(UsageError, match="give another port"):
        serve(lambda: None, port=other.getsockname()[1])


def test_requests_that_no_server_should_take_are_refused(model):
    with served(lambda: model, most_bytes=1000) as (port, _):
        until_ready(port)
        assert send(port, body=b"x" * 1001, Content_Type="text/plain")[0] == 413
        assert send(port, "GET", "/invocations")[0] == 405
        assert send(port, path="/ping")[0] == 405
        assert send(port, "GET", "/etc/passwd")[0] == 404
        assert send(port, "DELETE", "/ping")[0] == 501
        assert send(port, body=iter([b"x"]), Content_Type="text/plain", Transfer_Encoding="chunked")[0] == 411
        status, told, head = send(port, body=b"x", Content_Type="text/html")
        assert (status, "text/plain" in told["error"]) == (415, True)
        assert head["Server"] == "seedbed"
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(b"no http at all\r\n\r\n")
            assert b"error" in plain.makefile("rb").read()
        assert predicted(port, "it was lovely") == ["good"]


def test_the_model_is_asked_by_one_request_at_a_time(model, monkeypatch):
    inside, most, entered, go_on = [], [], threading.Semaphore(0), threading.Event()
    ask = model.predict_as_is

    def watched(*given, **options):
        inside.append(1)
        most.append(len(inside))
        entered.release()
        assert go_on.wait(SECONDS)
        inside.pop()
        return ask(*given, **options)

    with served(lambda: model) as (port, _):
        until_ready(port)
        monkeypatch.setattr(model, "predict_as_is", watched)
        found = []
        clients = [threading.Thread(target=lambda: found.append(predicted(port, "it was dire"))) for _ in range(6)]
        for each in clients:
            each.start()
        assert entered.acquire(timeout=SECONDS)
        go_on.set()
        for each in clients:
            each.join(SECONDS)
    assert found == [["bad"]] * 6
    assert set(most) == {1}


def test_what_is_under_way_is_finished_before_the_end(model, monkeypatch):
    entered, go_on, found = threading.Event(), threading.Event(), []
    ask = model.predict_as_is

    def slow(*given, **options):
        entered.set()
        assert go_on.wait(SECONDS)
        return ask(*given, **options)

    with served(lambda: model) as (port, stop):
        until_ready(port)
        monkeypatch.setattr(model, "predict_as_is", slow)
        client = threading.Thread(target=lambda: found.append(predicted(port, "it was dire")))
        client.start()
        assert entered.wait(SECONDS)
        stop.set()
        go_on.set()
        client.join(SECONDS)
    assert found == [["bad"]]


def test_more_requests_than_may_wait_are_told_to_come_again(model, monkeypatch):
    entered, go_on, found = threading.Event(), threading.Event(), []
    ask = model.predict_as_is

    def slow(*given, **options):
        entered.set()
        assert go_on.wait(SECONDS)
        return ask(*given, **options)

    monkeypatch.setattr(serving, "WAITING", 1)
    with served(lambda: model) as (port, _):
        until_ready(port)
        monkeypatch.setattr(model, "predict_as_is", slow)
        client = threading.Thread(target=lambda: found.append(predicted(port, "it was dire")))
        client.start()
        assert entered.wait(SECONDS)
        status, told, _ = send(port, body=b"it was dire", Content_Type="text/plain")
        go_on.set()
        client.join(SECONDS)
    assert (status, "try again" in told["error"]) == (503, True)
    assert found == [["bad"]]
