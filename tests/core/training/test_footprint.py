from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from core.training.helpers import FakeClock, make_data, run_job, trial_job
from safetensors.torch import load_file
from torch import nn

from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.training import footprint, trial
from seedbed.core.training.assemble import build_model
from seedbed.core.training.finetune import run_policy
from seedbed.core.training.footprint import Footprint, measure_footprint, peak_bytes, timed

CPU = torch.device("cpu")


class Calls:
    """Something to time: each call takes `seconds` by a clock that stands still otherwise, the first `first`."""

    def __init__(self, seconds, first=None):
        self.clock, self.count = FakeClock(), 0
        self._seconds, self._first = seconds, seconds if first is None else first

    def __call__(self, call):
        self.clock.tick(self._first if self.count == 0 else self._seconds)
        self.count += 1


def test_calls_are_timed_one_by_one_and_the_first_ones_do_not_count():
    calls = Calls(0.001, first=0.01)
    times = timed(calls, 0.5, calls.clock)
    assert times == pytest.approx([0.001] * 200)
    assert calls.count == 203


def test_timing_ends_when_its_time_is_over_with_twenty_calls_at_least():
    calls = Calls(0.01)
    times = timed(calls, 0.3, calls.clock)
    assert 20 <= len(times) <= 28
    assert calls.clock.now == pytest.approx(0.3, abs=0.011)


def test_of_slow_calls_a_few_are_timed():
    calls = Calls(0.1)
    assert 3 <= len(timed(calls, 0.5, calls.clock)) <= 4
    assert calls.clock.now <= 0.61


def test_what_would_take_too_long_is_given_up():
    calls = Calls(0.2)
    assert timed(calls, 0.5, calls.clock) == []
    assert calls.clock.now <= 0.71


def test_a_first_call_that_takes_all_the_time_is_the_only_one():
    calls = Calls(0.001, first=1.0)
    assert timed(calls, 0.5, calls.clock) == []
    assert calls.count == 1


@torch.inference_mode()
def _chain():
    """256 floats of 4 bytes each time: three in all, two of them at a time."""
    first = torch.ones(256)
    second = first + 1
    del first
    third = second * 2
    return third.view(16, 16)


def test_memory_is_that_of_results_which_are_alive_together():
    assert peak_bytes(_chain, CPU) == 2 * 256 * 4


def test_what_functions_between_modules_make_is_counted_and_weights_are_not():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 64)

        def forward(self, rows):
            wide = self.layer(rows)
            return (wide[:, :, None] * wide[:, None, :]).sum((1, 2))

    net, row = Outer().eval(), torch.ones(1, 64)
    with torch.inference_mode():
        found = peak_bytes(lambda: net(row), CPU)
    assert 64 * 64 * 4 <= found <= 64 * 64 * 4 + 4 * 64 * 4
    assert found < 1.5 * sum(each.nbytes for each in net.parameters())


def test_counting_changes_no_result():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten()).eval()
    row = torch.rand(1, 1, 8, 8)
    found = []
    with torch.inference_mode():
        peak_bytes(lambda: found.append(net(row)), CPU)
        assert torch.equal(found[0], net(row))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


def measured(job, monkeypatch, change=lambda context: None, *, has_model=True):
    """The footprint of a trial's model, measured before the trial ends, and the trial's last event."""
    found = []

    def spy(context):
        result = run_policy(context)
        model = build_model(job.candidate, job.profile, context.view, context.lookup)
        change(context)
        found.append(measure_footprint(context, model if has_model else None))
        return result

    monkeypatch.setattr(trial, "run_policy", spy)
    monkeypatch.setattr(footprint, "LEAST_SECONDS", 5.0)  # the machine may be busy
    monkeypatch.setattr(footprint, "MOST_SECONDS", 5.0)
    last = run_job(job)[-1]
    return found[0], last


def test_a_trials_model_is_measured_row_by_row(made, tmp_path, monkeypatch):
    job = trial_job(made, tmp_path / "0", fidelity=Fidelity(epochs=2))
    found, last = measured(job, monkeypatch)
    assert isinstance(last, TrialFinished)
    assert 0 < found.latency_p50 <= found.latency_p95 < 0.5
    assert found.size_bytes == (tmp_path / "0" / "checkpoint.safetensors").stat().st_size
    images = 12 * 12 * 8 * 4  # one activation of the net: 8 channels of 12 by 12
    assert images <= found.memory_bytes < 20 * images


def test_test_time_views_are_part_of_what_a_row_takes(made, tmp_path, monkeypatch):
    """The mirrored image is there next to the image itself."""

    def with_views(context):
        context.member = replace(context.member, test_time_views=True)

    def without(context):
        context.member = replace(context.member, test_time_views=False)

    one, both = (
        measured(trial_job(made, tmp_path / name, augmenter__mirror=True), monkeypatch, change)[0]
        for name, change in (("one", without), ("both", with_views))
    )
    flipped = 12 * 12 * 4
    assert both.memory_bytes >= one.memory_bytes + flipped


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda context: setattr(context, "row_seconds", 10.0), id="slow rows"),
        pytest.param(lambda context: setattr(context, "deadline", context.clock() - 1.0), id="no time"),
    ],
)
def test_where_time_is_short_only_the_size_is_told(made, tmp_path, monkeypatch, change):
    found, _ = measured(trial_job(made, tmp_path / "0"), monkeypatch, change)
    assert found == Footprint(size_bytes=found.size_bytes)
    assert found.size_bytes > 0


def test_without_a_model_only_the_size_is_told(made, tmp_path, monkeypatch):
    found, _ = measured(trial_job(made, tmp_path / "0"), monkeypatch, has_model=False)
    assert found == Footprint(size_bytes=found.size_bytes)


def test_a_model_that_cannot_predict_a_row_alone_costs_its_trial_nothing(made, tmp_path, monkeypatch):
    def broken(*given, **more):
        raise RuntimeError("expected more than 1 value per channel")

    def breaks(context):
        monkeypatch.setattr(footprint, "predict_rows", broken)

    found, last = measured(trial_job(made, tmp_path / "0"), monkeypatch, breaks)
    assert (found.latency_p50, found.memory_bytes) == (0.0, 0)
    assert isinstance(last, TrialFinished)


def test_measuring_changes_no_result(made, tmp_path, monkeypatch):
    run_job(trial_job(made, tmp_path / "plain"))
    measured(trial_job(made, tmp_path / "measured"), monkeypatch)
    one, other = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("plain", "measured"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    plain, seen = (np.load(tmp_path / name / "predictions.npz")["outputs"] for name in ("plain", "measured"))
    assert np.array_equal(plain, seen)
