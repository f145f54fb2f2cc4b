"""Trials on a Ray cluster of three nodes: nothing is shared between them but this machine's processors."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from counting_runner import LOOKS, open_gates
from fake_runners import evaluation_job, trial_job
from plugins.following import SECONDS, looks, until
from plugins.gated_training import PROGRESS
from plugins.really_trained import assert_ended_alike, trained
from quick_runs import quick_fit, surroundings

from seedbed.core.errors import UsageError
from seedbed.core.protocols import Workplace
from seedbed.core.search.events import TERMINAL, EpochFinished, TrialFailed, TrialFinished, TrialPlaced, TrialStopped
from seedbed.plugins.backends import RayOptions

ray = pytest.importorskip("ray")

from seedbed.plugins.backends.ray_cluster import cluster as joining  # noqa: E402
from seedbed.plugins.backends.ray_cluster.backend import RayBackend, as_run, cause, is_lost  # noqa: E402


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A head that runs no trials, and two nodes of two processors; a busy machine may fail to start one."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    before, folder = os.environ.get("RAY_TMPDIR"), Path("/tmp") / f"sb{os.getpid()}"
    os.environ["RAY_TMPDIR"] = str(folder)
    (folder / "ray").mkdir(parents=True, exist_ok=True)
    args = {"include_dashboard": False, "object_store_memory": 80 * 2**20}
    found = None
    for attempt in range(3):
        try:
            head = {"num_cpus": 0, "_system_config": {"health_check_period_ms": 500, "health_check_timeout_ms": 2000}}
            found = Cluster(initialize_head=True, head_node_args=head | args)
            for _ in range(2):
                found.add_node(num_cpus=2, **args)
            ray.init(address=found.address, log_to_driver=False, logging_level="ERROR")
            break
        except Exception:
            ray.shutdown()
            if found is not None:
                found.shutdown()
            if attempt == 2:
                raise
    yield found
    ray.shutdown()
    found.shutdown()
    os.environ.pop("RAY_TMPDIR") if before is None else os.environ.update(RAY_TMPDIR=before)


@pytest.fixture
def backend(cluster, tmp_path):
    def opened(runner="counting_runner:run", threads=1, **options):
        place = Workplace(folder=tmp_path, lookup=None, threads=threads)
        return RayBackend(RayOptions(runner=runner, **options), place)

    return opened


@pytest.fixture
def job(tmp_path):
    (tmp_path / "data.txt").write_text("what there is to learn")
    (tmp_path / "gate").mkdir()

    def made(trial=0, **changes):
        found = trial_job(trial, "count", gate=str(tmp_path / "gate"))
        return replace(found, data=str(tmp_path / "data.txt"), splits="", folder=str(tmp_path / str(trial)), **changes)

    return made


def test_a_trial_reads_and_writes_on_its_node_and_its_files_are_home_before_its_end(backend, job, tmp_path):
    open_gates(tmp_path / "gate", range(LOOKS))
    with backend() as found:
        found.submit(job())
        events = until(found, TERMINAL)
        assert isinstance(events[-1], TrialFinished), events[-1]
        written = (tmp_path / "0" / "predictions.npz").read_text()
        assert found.idle()
    assert isinstance(events[0], TrialPlaced)
    assert looks(events) == [1, 2, 3, 4, 5, 6]
    assert written.startswith("read from ")
    assert str(tmp_path) not in written
    assert json.loads((tmp_path / "0" / "state.json").read_text()) == ["what there is to learn"] * LOOKS
    kept = Path(written.removeprefix("read from ")).parents[1]
    assert kept.name.startswith("seedbed-")
    assert not kept.exists(), "nothing stays on the nodes"


def test_a_trial_whose_worker_is_killed_goes_on_from_its_last_look(backend, job, tmp_path):
    open_gates(tmp_path / "gate", [0, 1])
    with backend() as found:
        found.submit(job())
        events: list = []
        while looks(events) != [1, 2]:
            until(found, EpochFinished, events)
        pid = int((tmp_path / "gate" / "trial-0.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        open_gates(tmp_path / "gate", range(LOOKS))
        until(found, TERMINAL, events)
    assert isinstance(events[-1], TrialFinished)
    assert [each.attempt for each in events if isinstance(each, TrialPlaced)] == [1, 2]
    assert looks(events)[:3] == [1, 2, 3] or looks(events)[:3] == [1, 2, 2]  # the second look may not have come home
    assert looks(events)[-1] == LOOKS
    assert len(looks(events)) <= LOOKS + 1


def test_a_net_that_is_really_trained_survives_its_worker_bit_for_bit(backend, tmp_path):
    job, gate, whole = trained(tmp_path)
    with backend("plugins.gated_training:run") as found:
        found.submit(replace(job, folder=str(tmp_path / "there")))
        events: list = []
        while not any(isinstance(each, EpochFinished) and each.progress >= PROGRESS for each in events):
            until(found, EpochFinished, events)
        pid_file = gate.with_suffix(".pid")
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        pid_file.unlink()
        limit = time.monotonic() + SECONDS
        while not pid_file.exists():  # the second process trains
            found.poll(0.1)
            assert time.monotonic() < limit
        gate.touch()
        until(found, TERMINAL, events)
    assert [each.attempt for each in events if isinstance(each, TrialPlaced)][:1] == [1]
    assert_ended_alike(whole, events, tmp_path / "whole", tmp_path / "there")


def test_a_worker_that_dies_again_and_again_fails_its_trial(backend, job, tmp_path):
    with backend("fake_runners:run", retries=1) as found:
        found.submit(replace(job(), candidate=trial_job(0, "kill_itself").candidate))
        events = until(found, TERMINAL)
    assert isinstance(events[-1], TrialFailed)
    assert events[-1].error.startswith("the worker process died")
    assert [each.attempt for each in events if isinstance(each, TrialPlaced)] == [1, 2]


def test_a_hanging_trial_is_ended_by_force_when_its_time_is_over(backend, job):
    with backend("fake_runners:run") as found:
        hanging = trial_job(0, "hang", seconds=0.5, grace=0.5)
        found.submit(replace(job(), candidate=hanging.candidate, fidelity=hanging.fidelity, grace=0.5))
        events = until(found, TERMINAL)
        assert found.free_slots() == 4
    assert isinstance(events[-1], TrialFailed)
    assert "ended by force" in events[-1].error


def test_a_trial_that_gives_no_sign_of_life_is_ended_without_a_time_limit(backend, job):
    with backend("fake_runners:run", silence=2.0) as found:
        found.submit(replace(job(), candidate=trial_job(0, "hang").candidate))
        events = until(found, TERMINAL)
    assert isinstance(events[-1], TrialFailed)
    assert events[-1].error == "no sign of life for 2 s: ended by force"


def test_the_clock_of_a_trial_begins_when_what_runs_it_is_imported(backend, job, tmp_path, monkeypatch):
    gate = tmp_path / "imported"
    code = f"""
import pathlib, time
while not pathlib.Path({str(gate)!r}).exists():
    time.sleep(0.01)
from fake_runners import run
"""
    (tmp_path / "slow_to_import.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with backend("slow_to_import:run") as found:
        quick = trial_job(0, "finish", seconds=0.2)
        found.submit(replace(job(), candidate=quick.candidate, fidelity=quick.fidelity, grace=0.2))
        events = until(found, TrialPlaced)
        limit = time.monotonic() + 1.0  # longer than the trial may take
        while time.monotonic() < limit:
            events += found.poll(0.1)
        gate.touch()
        until(found, TERMINAL, events)
    assert isinstance(events[-1], TrialFinished), events[-1]


def test_a_trial_is_asked_before_it_is_killed(backend, job):
    with backend(patience=30.0) as found:
        found.submit(job())
        until(found, TrialPlaced)
        found.stop(0)
        asked = until(found, TERMINAL)[-1]
    assert isinstance(asked, TrialStopped)
    assert asked.reason == "asked to"


def test_a_trial_that_does_not_listen_is_killed_after_the_patience(backend, job):
    with backend("fake_runners:run", patience=0.5) as found:
        found.submit(replace(job(), candidate=trial_job(0, "hang").candidate))
        until(found, EpochFinished)
        found.stop(0)
        killed = until(found, TERMINAL)[-1]
    assert isinstance(killed, TrialStopped)
    assert "by force" in killed.reason


def test_no_more_trials_run_than_there_is_room_for(backend, job):
    with backend(threads=2) as found:
        assert found.free_slots() == 2
        found.submit(job())
        assert found.free_slots() == 1


def test_the_same_study_has_the_same_leaderboard_here_and_on_the_cluster(cluster, tmp_path):
    with surroundings(tmp_path / "home"):
        here = quick_fit(tmp_path / "here", trials=3, threads=1)
        there = quick_fit(tmp_path / "there", trials=3, threads=1, backend="ray")
    assert what_counts(there) == what_counts(here)
    assert len(here.leaderboard.rows) >= 4
    moved = {place for trial in there.history for place, _ in trial.places}
    assert moved, "the trials must have run on nodes"
    assert there.summary()["test"] == here.summary()["test"]


def what_counts(run):
    names = ["rank", "trial", "status", "score", "corrected", "low", "high", "tie_group", "candidate"]
    return [tuple(getattr(row, name) for name in names) for row in run.leaderboard.rows]


def test_a_trial_goes_on_elsewhere_when_its_node_is_gone(cluster, backend, job, tmp_path):
    """The last: the cluster has a node less after it."""
    open_gates(tmp_path / "gate", [0, 1])
    with backend() as found:
        found.submit(job())
        events: list = []
        while looks(events) != [1, 2]:
            until(found, EpochFinished, events)
        place = next(each.place for each in events if isinstance(each, TrialPlaced)).rpartition("/")[2]
        (node,) = [each for each in cluster.worker_nodes if each.node_id.startswith(place)]
        cluster.remove_node(node, allow_graceful=False)
        until(found, TrialPlaced, events)  # its old worker lives on for a while, and would go through the gates
        open_gates(tmp_path / "gate", range(LOOKS))
        until(found, TERMINAL, events)
        limit = time.monotonic() + SECONDS
        while found.free_slots() != 2 and time.monotonic() < limit:
            found.poll(0.1)
        assert found.free_slots() == 2
    assert isinstance(events[-1], TrialFinished)
    places = [each for each in events if isinstance(each, TrialPlaced)]
    assert [each.attempt for each in places] == [1, 2]
    assert places[0].place != places[1].place
    assert len(looks(events)) <= LOOKS + 1


def test_what_is_lost_and_what_has_failed_are_told_apart():
    known = ray.exceptions
    assert is_lost(known.WorkerCrashedError())
    assert not is_lost(known.OutOfMemoryError("killed"))
    assert "run out of memory" in cause(known.OutOfMemoryError("killed"))


def test_a_client_address_is_refused_with_the_way_out():
    if ray.is_initialized():
        with pytest.raises(UsageError, match="connected to"), joining.connected("10.0.0.1:6379"):
            pass
    else:
        with (
            pytest.raises(UsageError, match="nothing can be streamed"),
            joining.connected("ray://h:1"),
        ):
            pass


@pytest.mark.parametrize(("gpus", "processes"), [(0, 1), (0.5, 1), (1, 1), (2, 2), (4, 4)])
def test_a_trial_has_a_process_for_each_of_several_gpus(gpus, processes):
    found = as_run(trial_job(0, "finish"), gpus)
    assert (found.processes, found.resumable) == (processes, True)
    assert as_run(replace(trial_job(0, "finish"), ingredients=("1", "2")), gpus).processes == 1
    assert as_run(evaluation_job("finish"), gpus) == evaluation_job("finish")


def test_jobs_fit_where_a_node_has_the_memory_that_one_needs():
    nodes = [{"Alive": True, "Resources": {"CPU": 8.0, "memory": 5e9}}]
    assert [joining.fitting(nodes, 1, 0, each) for each in (0, 2 * 10**9, 6 * 10**9)] == [8, 2, 0]


@pytest.mark.parametrize(
    ("cpus", "gpus", "count"), [(1, 0, 5), (2, 0, 2), (3, 0, 1), (1, 1, 1), (1, 0.5, 2), (9, 0, 0), (1, 2, 0)]
)
def test_jobs_fit_where_a_node_has_all_that_one_needs(cpus, gpus, count):
    nodes = [
        {"Alive": True, "Resources": {"CPU": 3.0, "GPU": 1.0}},
        {"Alive": True, "Resources": {"CPU": 2.0}},
        {"Alive": False, "Resources": {"CPU": 64.0}},
    ]
    assert joining.fitting(nodes, cpus, gpus) == count
