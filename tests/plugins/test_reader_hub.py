from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time

import datasets
import pytest
from datasets.exceptions import DatasetNotFoundError
from hub_server import SET, SHA, leave_in_cache, serve

from seedbed import NoOptions
from seedbed.core.data.dataset import ReadContext
from seedbed.core.errors import DataError
from seedbed.plugins.readers import hub


@pytest.fixture
def server():
    with serve() as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()


@pytest.fixture(autouse=True)
def as_if_alone(monkeypatch, tmp_path):
    """No variable of this machine decides a test, and its cache is an empty one."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "SEEDBED_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")


@pytest.fixture
def online(monkeypatch, server):
    """A hub that answers, and a loader of the test's own: `online(loader)`."""
    monkeypatch.setenv("HF_ENDPOINT", server)

    def use(loader):
        monkeypatch.setattr(datasets, "load_dataset", loader)

    return use


@pytest.fixture
def read(tmp_path):
    def run(source, offline=False):
        return hub.build(NoOptions()).read(source, ReadContext(cache=tmp_path / "cache", offline=offline))

    return run


def test_an_address_names_a_set_a_configuration_and_a_revision(online, read):
    asked = []

    def load(path, config, revision, download_config):
        asked.append((path, config, revision))
        return datasets.DatasetDict({"train": datasets.Dataset.from_dict(SET)})

    online(load)
    for source in ("hub:me/mine", "hf:me/mine:small", "hub:me/mine@v1.0", "hub:me/mine:small@refs/pr/1"):
        assert len(read(source)) == 3
    assert asked == [
        ("hf://datasets/me/mine", None, None),
        ("hf://datasets/me/mine", "small", None),
        ("hf://datasets/me/mine", None, "v1.0"),
        ("hf://datasets/me/mine", "small", "refs/pr/1"),
    ]


def test_splits_become_parts(online, read):
    part = datasets.Dataset.from_dict(SET)
    online(lambda *args, **options: datasets.DatasetDict({"test": part.select([0]), "train": part, "extra": part}))
    table = read("hub:me/mine")
    assert table.rows["part"][:] == ["train"] * 3 + ["test"]
    assert (table.schema.part, table.name) == ("part", "mine")
    assert any("extra are left out" in finding.evidence for finding in table.findings)


@pytest.mark.parametrize(
    "source", ["hub:", "hub:csv", "hub:a b/c", "hub:../etc/passwd", "hub:/etc/passwd", "hub:a/b/c"]
)
def test_what_names_no_set_is_refused_without_asking_anyone(source, read, monkeypatch):
    monkeypatch.setattr(hub, "_answers", lambda endpoint: pytest.fail("the hub was asked"))
    with pytest.raises(DataError, match="write hub:owner/name"):
        read(source)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            DatasetNotFoundError("Dataset 'me/mine' doesn't exist on the Hub or cannot be accessed."),
            "if it is private, log",
        ),
        (DatasetNotFoundError("Dataset 'me/mine' is a gated dataset on the Hub."), "Accept its terms at .*HF_TOKEN"),
        (
            RuntimeError("Dataset scripts are no longer supported, but found mine.py"),
            "code of its own, which is not run",
        ),
        (ValueError("Config name is missing.\nPlease pick one among: ['a', 'b']"), "among.*Write hub:me/mine:CONFIG"),
        (ValueError("BuilderConfig 'x' not found. Available: ['a']"), "Write hub:me/mine:CONFIG"),
        (OSError("No space left on device"), r"cannot be loaded \(OSError: No space left"),
        (KeyError("anything"), "try again later"),
    ],
    ids=["not found", "gated", "script", "no configuration", "unknown configuration", "disk", "anything"],
)
def test_what_the_hub_refuses_is_told_with_a_way_out(online, read, error, words):
    def load(*args, **options):
        raise error

    online(load)
    with pytest.raises(DataError, match=words):
        read("hub:me/mine")


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "SEEDBED_OFFLINE"])
def test_a_variable_that_forbids_the_network_is_named(read, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(hub, "_answers", lambda endpoint: pytest.fail("the hub was asked"))
    with pytest.raises(DataError, match=f"{variable} is set, and it is not on this machine"):
        read("hub:me/mine")


def test_offline_the_copy_of_an_earlier_load_is_read_and_told(read, tmp_path):
    leave_in_cache(tmp_path / "hub")
    table = read("hub:me/mine", offline=True)
    assert table.rows["text"][:] == ["a", "b", "c"]
    assert f"the copy of me/mine on this machine is read, of the revision {SHA}" in table.findings[0].evidence
    assert len(read(f"hub:me/mine@{SHA[:8]}", offline=True)) == 3


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("hub:me/other", "it is not on this machine"),
        ("hub:me/mine:small", r"config 'small'.*\['default'\]"),
        (f"hub:me/mine@{'b' * 40}", f"is the revision {SHA} alone"),
    ],
)
def test_offline_what_the_cache_lacks_is_refused(read, tmp_path, source, words):
    leave_in_cache(tmp_path / "hub")
    with pytest.raises(DataError, match=words):
        read(source, offline=True)


def test_a_damaged_cache_is_refused_in_words(read, tmp_path):
    leave_in_cache(tmp_path / "hub")
    next((tmp_path / "hub").rglob("*.arrow")).write_bytes(b"rubbish")
    with pytest.raises(DataError, match="cannot be had"):
        read("hub:me/mine", offline=True)


@pytest.mark.parametrize("kind", ["refuses", "is silent", "fails"])
def test_a_hub_that_does_not_answer_is_given_up(read, monkeypatch, kind):
    """One that accepts the connection and then says nothing, after `SECONDS`; the others at once."""
    monkeypatch.setattr(hub, "SECONDS", 20.0 if kind != "is silent" else 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if kind == "refuses":
            listening.close()
        if kind == "fails":
            threading.Thread(target=_answer_once, args=(listening, b"HTTP/1.1 503 Down\r\n\r\n"), daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
        began = time.monotonic()
        with pytest.raises(DataError, match=r"does not answer within \d+ s, and it is not on this machine.*Connect"):
            read("hub:me/mine")
        assert time.monotonic() - began < 10


def _answer_once(listening, answer):
    connection, _ = listening.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(answer)


@pytest.mark.parametrize("endpoint", ["file:///etc/passwd", "nonsense", "http://"])
def test_an_endpoint_that_is_none_does_not_answer(read, monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(DataError, match="does not answer"):
        read("hub:me/mine")


def test_progress_bars_and_logs_are_as_they_were(online, read):
    seen = []

    def load(*args, **options):
        seen.append(datasets.utils.are_progress_bars_disabled())
        raise OSError("broken")

    before = datasets.utils.are_progress_bars_disabled(), datasets.utils.logging.get_verbosity()
    online(load)
    with pytest.raises(DataError):
        read("hub:me/mine")
    assert seen == [True]
    assert before == (datasets.utils.are_progress_bars_disabled(), datasets.utils.logging.get_verbosity())


PROGRAM = """
import json, pathlib, sys
from seedbed import NoOptions, SeedbedError
from seedbed.core.data.dataset import ReadContext
from seedbed.plugins.readers.hub import build

for source, offline in json.loads(sys.argv[1]):
    try:
        table = build(NoOptions()).read(source, ReadContext(cache=pathlib.Path(sys.argv[2]), offline=offline))
        print(json.dumps([len(table), table.rows["part"][:].count("test")]))
    except SeedbedError as error:
        print(json.dumps(str(error)))
"""


@pytest.mark.slow
def test_a_real_client_loads_once_and_then_from_its_cache(server, tmp_path):
    """The whole way through the libraries, with a hub on the loopback interface; nothing reaches stderr."""
    asked = [("hub:me/mine", False), ("hub:me/mine", True), ("hub:me/none", False), ("hub:me/gated", False)]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(asked), str(tmp_path)],
        env=os.environ | {"HF_ENDPOINT": server, "HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded, cached, missing, gated = map(json.loads, run.stdout.splitlines())
    assert loaded == cached == [24, 4]
    assert "doesn't exist on the Hub or cannot be accessed" in missing
    assert "Accept its terms" in gated
    assert run.stderr == ""
