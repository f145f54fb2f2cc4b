"""What can be shown on a CUDA device alone; `pytest -m gpu` on a machine that has one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from core.training.helpers import fake_lookup, looks, make_data, run_job, trial_job

import seedbed
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import EpochFinished, TrialFinished, TrialPlanned
from seedbed.core.search.journal import read
from seedbed.core.training.desk import Desk, open_rows
from seedbed.core.training.devices import device_of, own_random
from seedbed.plugins.backends.gpus import query

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]

CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


def test_a_trial_trains_and_tells_what_it_took_of_the_card(made, tmp_path):
    job = replace(trial_job(made, tmp_path / "0", fidelity=Fidelity(epochs=20, seconds=120.0)), device="cuda")
    events = run_job(job, desk=Desk(fake_lookup()))
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert next(each for each in events if isinstance(each, TrialPlanned)).device == "cuda"
    assert all(each.peak_bytes > 0 for each in (*looks(events), events[-1]))
    assert torch.cuda.memory_reserved() < events[-1].peak_bytes


def test_the_same_seed_gives_the_same_scores(made, tmp_path):
    job = replace(trial_job(made, tmp_path / "0"), device="cuda")
    first, second = (run_job(replace(job, folder=str(tmp_path / name))) for name in ("a", "b"))
    assert [each.score for each in looks(first)] == [each.score for each in looks(second)]


def test_prepared_images_lie_on_the_card(made):
    assert open_rows("image", made.data, "", CUDA).pixels.is_cuda


def test_a_cap_is_what_the_allocator_refuses_beyond():
    device = device_of(CUDA)
    device.cap(256 * 2**20)
    try:
        assert device.memory()[0] <= 256 * 2**20
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(512 * 2**20, dtype=torch.uint8, device=CUDA)
    finally:
        device.cap(0)
        device.give_back()


def test_random_numbers_of_the_card_come_back():
    before = torch.cuda.get_rng_state()
    with own_random(CUDA):
        torch.rand(3, device=CUDA)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_the_driver_tells_of_the_card():
    assert any(each.total_bytes >= each.free_bytes > 0 for each in query())


def test_trials_share_a_card(tmp_path):
    fixed = {"architecture": "mlp", "policy": "scratch", "backend.cuda.per_gpu": 4}
    seedbed.fit(
        "demo:digits", out=tmp_path / "run", trials=8, workers=4, backend="cuda", strategy="random", fixed=fixed
    )
    events = list(read(tmp_path / "run" / "journal.jsonl"))
    ends = {each.trial: each.at for each in events if isinstance(each, TrialFinished) and each.peak_bytes}
    begins: dict[int, float] = {}
    for each in events:
        if isinstance(each, EpochFinished):
            begins.setdefault(each.trial, each.at)
    assert len(ends) >= 8
    assert any(begins[one] < ends[other] < ends[one] for one in ends for other in ends if one != other)
