"""A run that is to stay offline connects to nobody, wherever its trials are trained."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_runners import trial_job
from quick_runs import PLUGINS, quick_fit, surroundings

from seedbed.core.errors import TrialError
from seedbed.core.network import OFFLINE_VARIABLES, staying_offline
from seedbed.core.protocols import Workplace
from seedbed.core.search.events import TERMINAL
from seedbed.plugins.architectures.text.transformer import located
from seedbed.plugins.backends import InlineOptions, LocalOptions, processes
from seedbed.plugins.backends.inline import InlineBackend
from seedbed.plugins.backends.local import LocalBackend
from seedbed.plugins.weights.images import loaders

LOADERS = {
    "images": lambda: loaders._file("a.b", SimpleNamespace(hf_hub_id="timm/a.b", hf_hub_filename=None)),
    "texts": lambda: located("some/model", "config.json"),
}


@pytest.fixture
def connections(monkeypatch, tmp_path):
    """Every connection that is tried, and fails; the cache of the hub is empty."""
    tried = []

    def connect(address, *_, **__):
        tried.append(address)
        raise OSError("no network in this test")

    for name in OFFLINE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tried


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_what_is_not_on_this_machine_is_refused_without_a_try(connections, load):
    with staying_offline(), pytest.raises(TrialError, match="the network is switched off"):
        load()
    assert connections == []


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_a_run_that_may_be_online_tries(connections, load):
    with staying_offline(False), pytest.raises(TrialError, match="does not answer"):
        load()
    assert connections == [("huggingface.co", 443)]


_ASK = """
import socket
from seedbed.core.network import Network

def connect(*_):
    print("tried")
    raise OSError("no network in this test")

socket.create_connection = connect
assert not Network(offline=False).is_online
"""


@pytest.mark.parametrize("offline", [True, False])
def test_a_worker_process_of_such_a_run_tries_none(monkeypatch, offline):
    for name in OFFLINE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    surroundings = processes.environment(0, offline=offline)
    done = subprocess.run([sys.executable, "-c", _ASK], env=surroundings, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ([] if offline else ["tried"])
    assert not set(OFFLINE_VARIABLES) & set(os.environ)  # this process goes on as it was


@pytest.mark.parametrize("offline", [True, False])
@pytest.mark.parametrize(("make", "options"), [(InlineBackend, InlineOptions), (LocalBackend, LocalOptions)])
def test_trials_of_either_backend_stay_offline_if_their_run_does(tmp_path, monkeypatch, make, options, offline):
    for name in OFFLINE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    place = Workplace(folder=tmp_path, lookup=None, offline=offline)
    ends, limit = [], time.monotonic() + 30
    with make(options(runner="asking_runner:run"), place) as backend:
        backend.submit(trial_job(0, ""))
        while not ends and time.monotonic() < limit:
            ends += [event for event in backend.poll(1.0) if isinstance(event, TERMINAL)]
    assert ends[0].notes[-1] == ("0 tried" if offline else "1 tried")


_PLUGIN = """
from seedbed import ArchitectureSpec, hookimpl

@hookimpl
def register_architectures():
    yield ArchitectureSpec(name="wanting", summary="Wants the hub.", build=f"{__name__}:build", features_only=True)

def build(options, profile):
    from torch import nn
    from seedbed.core.network import Network
    assert not Network(offline=False).is_online
    model = nn.Flatten()
    model.num_features = profile.height * profile.width * profile.channels
    return model
"""


def test_a_run_with_offline_connects_to_nobody_though_its_net_would(connections, tmp_path):
    plugin = tmp_path / "wanting.py"
    plugin.write_text(_PLUGIN)
    with surroundings(tmp_path / "home"):
        run = quick_fit(
            tmp_path / "run", plugins=[str(PLUGINS / "quick.py"), str(plugin)], use=["architecture:wanting"]
        )
    assert any("wanting" in row.candidate for row in run.leaderboard.rows)
    assert connections == []
