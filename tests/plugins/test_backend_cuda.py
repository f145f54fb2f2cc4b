from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fake_gpus
import pytest
from fake_gpus import GB
from fake_runners import trial_job
from test_backend_local import ends

from seedbed.core.errors import PluginError
from seedbed.core.protocols import Workplace
from seedbed.plugins.backends import LocalOptions
from seedbed.plugins.backends.cards import Cards
from seedbed.plugins.backends.local import CudaBackend, LocalBackend


@pytest.fixture
def gpus(tmp_path, monkeypatch):
    """Makes backends that are told of GPUs, and whose workers find the fakes."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("PYTORCH_ALLOC_CONF", raising=False)

    def make(kind=CudaBackend, *, query="query", workers=1, device="auto", per_gpu=1, **options):
        place = Workplace(folder=tmp_path / "run", lookup=None, workers=workers, threads=1, device=device)
        told = LocalOptions(runner="fake_gpus:run", gpus=f"fake_gpus:{query}", per_gpu=per_gpu, **options)
        return kind(told, place)

    return make


@pytest.fixture
def job(tmp_path):
    """Makes trials that wait for each other: so many must have begun."""

    def make(trial, *, meet=1, place="met", device="auto", **values):
        folder = tmp_path / place
        folder.mkdir(exist_ok=True)
        found = trial_job(trial, "nothing", folder=str(folder), meet=meet, **values)
        return replace(found, device=device)

    return make


def places(events):
    """Return by trial: worker, GPU, allocator's setting, device, most bytes and how many had begun by its end."""
    return {each.trial: each.notes for each in events}


def test_each_gpu_gets_a_worker_that_sees_it_alone_and_a_trial(gpus, job):
    with gpus() as backend:
        assert backend.free_slots() == 2
        backend.submit(job(0, meet=2))
        backend.submit(job(1, meet=2))
        found = places(ends(backend, 2)[0])
    assert {found[0][1], found[1][1]} == {"GPU-aa", "GPU-bb"}
    assert {each[2] for each in found.values()} == {"expandable_segments:True"}


def test_a_numbered_device_is_the_only_one_and_its_worker_knows_it_without_the_number(gpus, job):
    with gpus(device="cuda:1") as backend:
        assert backend.free_slots() == 1
        backend.submit(job(0, device="cuda:1"))
        found = places(ends(backend)[0])
    assert found[0][1:4] == ("GPU-bb", "expandable_segments:True", "cuda")


def test_after_one_was_measured_alone_trials_share_a_gpu_within_their_promises(gpus, job):
    with gpus(query="one", workers=3, per_gpu=3) as backend:
        assert backend.free_slots() == 3
        backend.submit(job(0, place="alone"))
        assert places(ends(backend)[0])[0][4] == "0"  # it had the whole GPU
        for trial in (1, 2, 3):
            backend.submit(job(trial, meet=3, place="together"))
        found = places(ends(backend, 3)[0])
    assert {each[1] for each in found.values()} == {"GPU-aa"}
    assert len({each[0] for each in found.values()}) == 3
    assert [each[5] for each in found.values()] == ["3", "3", "3"]
    limits = sorted(int(each[4]) for each in found.values())
    assert limits[0] == 0  # the first of them, with nobody to take anything from
    assert GB < limits[1] < limits[2] < 10 * GB


def test_what_does_not_fit_beside_the_others_waits_for_one_of_them_to_end(gpus, job):
    with gpus(query="one", workers=2, per_gpu=2) as backend:
        backend.submit(job(0, peak=6 * GB, place="first"))
        ends(backend)
        backend.submit(job(1, peak=6 * GB, place="second"))
        backend.submit(job(2, peak=6 * GB, place="second"))
        assert backend.free_slots() == 0
        found = places(ends(backend, 2)[0])
    assert (found[1][5], found[2][5]) == ("1", "2")  # the second had not begun when the first ended


def test_a_trial_nobody_knows_lets_others_join_as_soon_as_it_has_told_what_it_takes(gpus, job):
    with gpus(query="one", workers=2, per_gpu=2) as backend:
        backend.submit(job(0, meet=2))
        backend.submit(job(1, meet=2))
        assert {each[5] for each in places(ends(backend, 2)[0]).values()} == {"2"}


def test_more_workers_begin_where_more_trials_at_a_time_may_do_more_work(gpus, job):
    with gpus(query="one", per_gpu=2) as backend:
        assert backend.free_slots() == 1
        backend.submit(job(0, meet=2))
        seen = []
        while not seen:
            seen = backend.poll(5.0)
        assert backend.free_slots() == 1  # the first is measured, and another worker is on its way
        backend.submit(job(1, meet=2))
        assert len(ends(backend, 2)[0]) == 2


def test_a_trial_of_several_processes_is_given_several_gpus_and_nothing_begins_beside_it(gpus, job):
    with gpus() as backend:
        assert backend.gpus == 2
        backend.submit(replace(job(0, meet=2), processes=4))
        backend.submit(job(1))
        while not backend.poll(5.0):
            pass
        assert backend.free_slots() == 0  # the second waits though a worker is free
        (_tmp(job) / "now").touch()
        last, _ = ends(backend, 2)
    wide = next(each for each in last if each.trial == 0)
    assert wide.notes[6:] == ("2", "GPU-aa", "GPU-bb")


def _tmp(job):
    """Return the folder in which trials meet."""
    return Path(job(9).candidate.values["folder"])


def test_a_worker_that_dies_gives_its_share_back(gpus, job):
    with gpus(query="one", workers=1) as backend:
        backend.submit(job(0, meet=2, place="never"))
        while not backend.poll(5.0):
            pass
        backend._workers[0].process.kill()
        assert "SIGKILL" in ends(backend)[0][0].error
        backend.submit(job(1, place="after"))
        assert ends(backend)[0][0].notes[1] == "GPU-aa"


def test_a_driver_that_falls_silent_costs_no_trial_and_is_left_alone_for_a_while(caplog):
    now, asked = [0.0], []

    def query():
        asked.append(now[0])
        raise PluginError("nvidia-smi does not answer.")

    cards = Cards(fake_gpus.query(), query, workers=2, most=1, clock=lambda: now[0])
    for trial, at in enumerate((0.0, 30.0, 90.0)):
        now[0] = at
        worker, job = cards.place(trial_job(trial, "nothing"), [0, 1])
        cards.forget(job, worker)
    assert asked == [0.0, 90.0]
    assert caplog.text.count("does not answer. What was free before") == 2


def test_local_takes_gpus_where_there_are_any_and_does_without(gpus, job):
    with gpus(LocalBackend, query="one") as backend:
        backend.submit(job(0))
        assert ends(backend)[0][0].notes[1] == "GPU-aa"
    with gpus(LocalBackend, query="none", workers=2) as backend:
        assert backend.free_slots() == 2
    with gpus(LocalBackend, device="cpu", workers=3) as backend:
        assert backend.free_slots() == 3


def test_local_says_once_where_torch_leaves_the_gpus_alone(gpus, job, caplog):
    with gpus(LocalBackend, query="one") as backend:
        for trial, device in enumerate(("cuda", "cpu", "cpu")):
            backend.submit(job(trial, planned=device, place=f"place-{trial}"))
            ends(backend)
            told = [each.getMessage() for each in caplog.records if "doctor" in each.getMessage()]
            assert len(told) == min(trial, 1)


@pytest.mark.parametrize(("kind", "device"), [(CudaBackend, "cuda"), (LocalBackend, "auto")])
def test_cuda_trains_on_the_gpu_or_not_at_all(gpus, job, kind, device):
    with gpus(kind, query="one") as backend:
        backend.submit(job(0))
        assert ends(backend)[0][0].notes[3] == device


def test_cuda_insists_on_a_gpu_and_says_where_to_look(gpus, monkeypatch):
    with pytest.raises(PluginError, match=r"needs an NVIDIA GPU.*seedbed doctor"), gpus(query="none"):
        pass
    with pytest.raises(PluginError, match=r"GPUs alone, and --device cpu was given"), gpus(device="cpu"):
        pass
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(PluginError, match="CUDA_VISIBLE_DEVICES may hide it"), gpus():
        pass


@pytest.mark.parametrize("device", ["mps", "xla"])
def test_devices_that_one_process_owns_get_one_worker(gpus, device):
    with gpus(LocalBackend, device=device, workers=4) as backend:
        assert backend.free_slots() == 1
