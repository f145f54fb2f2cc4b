from __future__ import annotations

import socket
import threading
import time

import pytest

from seedbed.core import network
from seedbed.core.network import Network, staying_offline
from seedbed.core.specs import WeightsSpec


class NoLookup:
    """`can_load` needs nothing of it."""


def weights(source="hub", cached=""):
    return WeightsSpec(
        name="w",
        summary="Fake weights.",
        build="nowhere:nothing",
        architecture="a",
        source=source,
        licence="MIT",
        cached=cached,
    )


def is_cached():
    return True


def is_not_cached():
    return False


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "SEEDBED_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()


@pytest.fixture
def refusing():
    """An address of this machine at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
    return address


def test_an_address_that_answers_is_online(server):
    assert Network(offline=False, address=server).is_online


def test_an_address_that_refuses_is_not(refusing):
    assert not Network(offline=False, address=refusing).is_online


def test_offline_asks_nobody(server, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("it asked"))
    assert not Network(offline=True, address=server).is_online


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "SEEDBED_OFFLINE"])
@pytest.mark.parametrize(("value", "online"), [("1", False), ("TRUE", False), ("on", False), ("0", True), ("", True)])
def test_a_variable_of_the_environment_takes_it_offline(server, monkeypatch, name, value, online):
    monkeypatch.setenv(name, value)
    assert Network(offline=False, address=server).is_online is online


def test_what_runs_offline_asks_nobody_whatever_it_wants(server, monkeypatch):
    with monkeypatch.context() as patch, staying_offline():
        patch.setattr(socket, "create_connection", lambda *_: pytest.fail("it asked"))
        found = Network(offline=False, address=server)
        assert not found.is_online
        assert "switched off (--offline" in found.why_not
    assert Network(offline=False, address=server).is_online


def test_an_inner_wish_does_not_undo_an_outer_one(server):
    with staying_offline(), staying_offline(False):
        assert not Network(offline=False, address=server).is_online
    with staying_offline(False):
        assert Network(offline=False, address=server).is_online


def test_staying_offline_ends_with_an_error_too(server):
    with pytest.raises(ZeroDivisionError), staying_offline():
        raise ZeroDivisionError
    assert Network(offline=False, address=server).is_online


def test_staying_offline_is_a_matter_of_one_thread(server):
    found = []
    with staying_offline():
        other = threading.Thread(target=lambda: found.append(Network(offline=False, address=server).is_online))
        other.start()
        other.join()
    assert found == [True]


def test_why_a_hub_that_was_asked_is_out_of_reach(refusing):
    assert Network(offline=False, address=refusing).why_not == "the hub does not answer"


@pytest.fixture
def hanging(monkeypatch):
    """A network in which every connection hangs, as name look-ups do behind a dead router."""
    release = threading.Event()

    def hang(*_):
        release.wait(20)
        raise OSError("nobody answered")

    monkeypatch.setattr(network.socket, "create_connection", hang)
    yield
    release.set()


@pytest.mark.usefixtures("hanging")
def test_a_network_that_hangs_is_given_up_after_a_second():
    began = time.monotonic()
    assert not Network(offline=False).is_online
    assert time.monotonic() - began < 1.5


@pytest.mark.usefixtures("hanging")
def test_waiting_for_a_network_that_hangs_happens_once():
    found = Network(offline=False)
    can_load = found.can_load(NoLookup())
    began = time.monotonic()
    assert not any(can_load(weights()) for _ in range(5))
    assert time.monotonic() - began < 1.9


@pytest.mark.usefixtures("hanging")
def test_the_second_is_counted_from_the_beginning_not_from_the_question():
    found = Network(offline=False)
    time.sleep(network.SECONDS)
    began = time.monotonic()
    assert not found.is_online
    assert time.monotonic() - began < 0.5


@pytest.mark.usefixtures("hanging")
def test_beginning_does_not_wait():
    began = time.monotonic()
    Network(offline=False)
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("source", ["package", "file"])
def test_weights_that_lie_on_this_machine_need_no_network(source):
    assert Network(offline=True).can_load(NoLookup())(weights(source))


@pytest.mark.parametrize(
    ("cached", "can"), [("", False), (f"{__name__}:is_cached", True), (f"{__name__}:is_not_cached", False)]
)
def test_weights_of_the_hub_need_a_network_unless_they_are_cached(cached, can):
    assert Network(offline=True).can_load(NoLookup())(weights(cached=cached)) is can


def test_with_a_network_the_cache_is_not_asked(server):
    assert Network(offline=False, address=server).can_load(NoLookup())(weights(cached="no_such_module:at_all"))
