from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from core.training.helpers import (
    FakeClock,
    Tiny,
    fake_lookup,
    looks,
    make_data,
    run_job,
    tiny,
    trial_job,
)
from safetensors.torch import load_file
from torch import nn

from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import TERMINAL, TrialFailed, TrialFinished, TrialPlanned, TrialStopped
from seedbed.core.specs import ArchitectureSpec
from seedbed.core.training.desk import Desk
from seedbed.core.training.member import load_member
from seedbed.core.training.predictions import load_predictions

ARCHITECTURE = ArchitectureSpec(name="tiny", summary="Stand-in.", build="fakes:other", weights=("quarter",))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "0000"


def _building(build):
    return fake_lookup().with_((ARCHITECTURE, build))


def test_a_finished_trial_leaves_all_that_is_needed_to_use_it(made, folder):
    job = trial_job(made, folder, trial=7, fidelity=Fidelity(epochs=20))
    events = run_job(job)
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert sum(isinstance(each, TERMINAL) for each in events) == 1
    names = {each.name for each in folder.iterdir()}
    assert names == {"candidate.json", "checkpoint.safetensors", "member.json", "predictions.npz"}
    assert msgspec.json.decode((folder / "candidate.json").read_bytes(), type=Candidate) == job.candidate
    member = load_member(folder)
    assert (member.trial, member.view, member.candidate) == (7, made.view, job.candidate)
    assert {each.name for each in member.components} == {"tiny", "sgd", "linear"}
    assert load_file(folder / "checkpoint.safetensors")["head.weight"].shape == (3, 72)


def test_its_score_is_the_metric_of_the_predictions_it_stored(made, folder):
    finished = run_job(trial_job(made, folder, fidelity=Fidelity(epochs=20)))[-1]
    found = load_predictions(folder / "predictions.npz")
    assert np.array_equal(found.rows, made.splits.valid)
    assert np.array_equal(found.targets, made.splits.targets[made.splits.valid])
    assert np.allclose(found.outputs.sum(1), 1, atol=1e-5)
    assert finished.score == float((found.outputs.argmax(1) == found.targets).mean())
    assert finished.score > 0.8


def test_its_events_tell_the_plan_and_the_curve(made, folder):
    events = run_job(trial_job(made, folder, fidelity=Fidelity(epochs=4)))
    plan, finished, curve = events[0], events[-1], looks(events)
    assert isinstance(plan, TrialPlanned)
    assert (plan.steps, plan.batch_size, plan.device) == (15, 16, "cpu")
    assert (finished.steps, finished.epochs) == (15, 4.0)
    assert finished.decisions == ()  # without a time limit there is nothing for a clock to decide
    assert finished.row_seconds > 0
    assert [each.progress for each in curve] == sorted(each.progress for each in curve)
    assert curve[-1].progress == 1.0
    assert curve[0].is_best
    assert max(each.score for each in curve if each.is_best) >= finished.score - 1e-9


def test_the_checkpoint_gives_the_stored_predictions(made, folder):
    run_job(trial_job(made, folder, fidelity=Fidelity(epochs=6)))
    from seedbed.core.data.feeding.images import Images
    from seedbed.core.training.assemble import build_model
    from seedbed.core.training.context import PLAIN
    from seedbed.core.training.evaluate import predict_rows

    member, found = load_member(folder), load_predictions(folder / "predictions.npz")
    model = build_model(member.candidate, made.profile, member.view, fake_lookup())
    model.load_state_dict(load_file(folder / "checkpoint.safetensors"))
    images = Images(made.data, torch.device("cpu"))
    again = predict_rows(model, images, torch.from_numpy(found.rows), member.view, PLAIN, made.profile)
    assert np.allclose(again.numpy(), found.outputs, atol=1e-6)


def test_equal_seeds_give_bit_equal_predictions(made, tmp_path):
    def probabilities(name, seed):
        job = trial_job(made, tmp_path / name, seed=seed, augmenter__mirror=True, regularizer__nothing=True)
        assert isinstance(run_job(job)[-1], TrialFinished)
        return load_predictions(tmp_path / name / "predictions.npz").outputs

    torch.manual_seed(1)
    one = probabilities("one", 3)
    torch.manual_seed(2)
    assert np.array_equal(one, probabilities("two", 3))
    assert not np.array_equal(one, probabilities("three", 4))


@pytest.mark.parametrize("build", [tiny, lambda options, profile: 1 / 0])
def test_the_callers_random_state_is_as_it_was(made, folder, build):
    torch.manual_seed(42)
    np.random.seed(42)
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()
    run_job(trial_job(made, folder), _building(build))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpys)


def test_a_raising_architecture_fails_with_its_traceback(made, folder):
    def broken(options, profile):
        raise ValueError("the moon is full\nand more")

    events = run_job(trial_job(made, folder, trial=4), _building(broken))
    (failed,) = events
    assert isinstance(failed, TrialFailed)
    assert (failed.trial, failed.error) == (4, "ValueError: the moon is full")
    assert "in broken" in failed.traceback
    assert (folder / "error.txt").read_text() == failed.traceback


def test_a_component_that_is_missing_fails_the_trial_by_name(made, folder):
    (failed,) = run_job(trial_job(made, folder, architecture="tyny"))
    assert isinstance(failed, TrialFailed)
    assert failed.error == "No architecture is named 'tyny'. Did you mean 'tiny'?"


def test_a_wrong_number_of_features_fails_the_trial(made, folder):
    def boasting(options, profile):
        backbone = Tiny(4, profile.channels)
        backbone.num_features = 40
        return backbone

    failed = run_job(trial_job(made, folder), _building(boasting))[-1]
    assert isinstance(failed, TrialFailed)
    assert "RuntimeError" in failed.error


class _NoNumbers(Tiny):
    def forward(self, inputs):
        return super().forward(inputs) * (1.0 if self.training else float("nan"))


def test_predictions_that_are_no_numbers_fail_the_trial_and_say_what_to_change(made, folder):
    failed = run_job(trial_job(made, folder), _building(lambda options, profile: _NoNumbers(8, 1)))[-1]
    assert isinstance(failed, TrialFailed)
    assert "not finite" in failed.error
    assert "lower the learning rate (optimizer.*.lr)" in failed.error


def test_a_diverging_trial_says_what_to_change(made, folder):
    failed = run_job(trial_job(made, folder, optimizer__sgd__lr=1e6, fidelity=Fidelity(epochs=10)))[-1]
    assert isinstance(failed, TrialFailed)
    assert "optimizer.*.lr" in failed.error


def test_a_stopped_trial_keeps_what_it_has_reached(made, folder):
    asked = itertools.count()
    events = run_job(
        trial_job(made, folder, trial=5, fidelity=Fidelity(epochs=40)), should_stop=lambda: next(asked) > 60
    )
    assert isinstance(events[-1], TrialStopped)
    assert events[-1].trial == 5
    best = [each for each in looks(events) if each.is_best][-1]
    found = load_predictions(folder / "predictions.npz")
    assert float((found.outputs.argmax(1) == found.targets).mean()) == best.score
    assert (folder / "checkpoint.safetensors").is_file()
    assert not (folder / "error.txt").exists()


def test_a_trial_stopped_at_once_ends_as_stopped(made, folder):
    events = run_job(trial_job(made, folder), should_stop=lambda: True)
    assert isinstance(events[-1], TrialStopped)
    assert not looks(events)


def test_a_trial_with_a_time_limit_ends_on_time_with_its_rate_annealed(made, folder):
    began = time.monotonic()
    events = run_job(trial_job(made, folder, fidelity=Fidelity(seconds=2.0), optimizer__sgd__lr=0.2))
    assert time.monotonic() - began < 3.0
    finished, curve = events[-1], looks(events)
    assert isinstance(finished, TrialFinished)
    assert finished.seconds > 0.8
    assert curve[-1].progress == 1.0
    assert curve[-1].lr < 0.05 * max(each.lr for each in curve)
    decided = [name for event in (*curve, finished) for name, _ in event.decisions]
    assert "numerics" in decided
    assert any(name.startswith("rate@") for name in decided)


def test_a_start_that_was_delayed_leaves_less_time(made, folder):
    job = replace(trial_job(made, folder, fidelity=Fidelity(seconds=60.0)), not_after=time.time() + 1.0)
    began = time.monotonic()
    assert isinstance(run_job(job)[-1], TrialFinished)
    assert time.monotonic() - began < 3.0


def test_time_that_is_just_over_before_it_began_still_gives_a_result(made, folder):
    job = replace(trial_job(made, folder, fidelity=Fidelity(seconds=60.0)), not_after=time.time() - 1.0)
    assert isinstance(run_job(job)[-1], TrialFinished)


def test_time_that_was_over_long_ago_fails_in_words(made, folder):
    job = replace(trial_job(made, folder, fidelity=Fidelity(seconds=60.0)), not_after=time.time() - 60.0)
    failed = run_job(job)[-1]
    assert isinstance(failed, TrialFailed)
    assert "over before it had a result; give it more, or a smaller model" in failed.error


def test_a_trial_that_runs_far_over_its_time_keeps_what_it_has(made, folder):
    """The clock leaps after the first looks, as where a laptop was asleep."""
    clock, seen = FakeClock(step=0.001), []

    def leap():
        seen.append(clock.now)
        if len(seen) == 100:
            clock.tick(1000.0)
        return False

    job = trial_job(made, folder, fidelity=Fidelity(epochs=60, seconds=500.0))
    events = run_job(job, should_stop=leap, clock=clock)
    assert isinstance(events[-1], TrialStopped)
    assert events[-1].reason == "its time was over"
    assert (folder / "checkpoint.safetensors").is_file()
    assert load_predictions(folder / "predictions.npz")


def test_epochs_and_seconds_together_end_at_whichever_comes_first(made, folder):
    finished = run_job(trial_job(made, folder, fidelity=Fidelity(epochs=2, seconds=60.0)))[-1]
    assert finished.steps == 8
    assert finished.seconds < 10


def test_what_is_costly_to_open_is_opened_once_for_all_trials(made, tmp_path):
    desk = Desk(fake_lookup())
    for number in range(2):
        assert isinstance(run_job(trial_job(made, tmp_path / str(number)), desk=desk)[-1], TrialFinished)
    assert len(desk.sources) == len(desk.splits) == 1
    assert desk.open_source("image", str(made.data), "", torch.device("cpu")) is next(iter(desk.sources.values()))


def test_a_clock_may_be_given(made, folder):
    finished = run_job(trial_job(made, folder, fidelity=Fidelity(epochs=1)), clock=FakeClock(step=1.0))[-1]
    assert finished.seconds == int(finished.seconds) > 0


def test_a_folder_that_cannot_be_made_fails_the_trial(made, tmp_path):
    (tmp_path / "file").write_text("in the way")
    (failed,) = run_job(trial_job(made, tmp_path / "file" / "0000"))
    assert isinstance(failed, TrialFailed)


def test_events_can_be_kept_in_a_journal(made, folder):
    from seedbed.core.search.events import from_line, to_line

    for event in run_job(trial_job(made, folder, fidelity=Fidelity(epochs=2))):
        assert from_line(to_line(event)) == event
        json.loads(to_line(event))


def test_dropout_and_batch_norm_are_off_when_a_model_is_judged(made, tmp_path):
    class Noisy(Tiny):
        def __init__(self):
            super().__init__(8, 1)
            self.body = nn.Sequential(self.body, nn.Dropout(0.5))

    run_job(trial_job(made, tmp_path / "a"), _building(lambda options, profile: Noisy()))
    found = load_predictions(tmp_path / "a" / "predictions.npz").outputs
    assert np.isfinite(found).all()
