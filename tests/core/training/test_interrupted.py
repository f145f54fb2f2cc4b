"""Trials that are interrupted and go on from what they have left: in the end nobody can tell."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from core.search.spaces import REGISTRY, composed
from core.training.folded import make_folded
from core.training.helpers import fake_lookup, looks, make_learnable, run_job, trial_job
from safetensors.torch import load_file

from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished, TrialStopped
from seedbed.core.training.desk import Desk
from seedbed.core.training.keeping import FINISHED, STATE
from seedbed.core.training.predictions import load_predictions


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_learnable(tmp_path_factory.mktemp("data"), rows=180)


def job(made, folder, **values):
    values = {"optimizer__sgd__lr": 0.01, "fidelity": Fidelity(epochs=6)} | values
    found = trial_job(made, folder, **values)
    return replace(found, resumable=True, threads=1)  # with two, sums may come in another order


class StopAfter:
    """Asks a trial to end when it has been asked so often: before a step, or within a look."""

    def __init__(self, count):
        self.left = count

    def __call__(self):
        self.left -= 1
        return self.left < 0


class Counting:
    """Counts the steps: each one asks for the learning rate's factor once."""

    def __init__(self):
        self.steps = 0


def result(folder, events):
    (end,) = [each for each in events if isinstance(each, TrialFinished)]
    said = load_predictions(folder / "predictions.npz")
    return end, said.outputs, load_file(folder / "checkpoint.safetensors")


def assert_alike(one, other):
    (end, outputs, weights), (again, same_outputs, same_weights) = one, other
    assert (again.score, again.epochs, again.steps, again.knows_valid) == (
        *(end.score, end.epochs, end.steps),
        end.knows_valid,
    )
    assert np.array_equal(outputs, same_outputs)
    assert weights.keys() == same_weights.keys()
    assert all(bool((weights[name] == same_weights[name]).all()) for name in weights)


SHARES = [0.0, 0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.96]


def run_whole(made, folder):
    """Run a trial that nothing interrupts; return its folder, its events, and how often it asked whether to end."""
    asked = []
    events = run_job(job(made, folder), should_stop=lambda: bool(asked.append(1)))
    return folder, events, len(asked)


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    return run_whole(made, tmp_path_factory.mktemp("trial") / "whole")


@pytest.mark.parametrize("share", SHARES)
def test_an_interrupted_trial_ends_as_if_nothing_had_happened(made, whole, tmp_path, share):
    folder, events, asked = whole
    assert events[-1].knows_valid, "it must have gone on with all rows, to be interrupted there as well"
    first = run_job(job(made, tmp_path / "parts"), should_stop=StopAfter(int(share * asked)))
    assert isinstance(first[-1], TrialStopped), "it must have been interrupted"
    moved = tmp_path / "elsewhere"
    shutil.move(tmp_path / "parts", moved)
    second = run_job(job(made, moved))
    assert_alike(result(folder, events), result(moved, second))
    told = [each.progress for each in looks(first)] + [each.progress for each in looks(second)]
    assert told == [each.progress for each in looks(events)]


@pytest.fixture(scope="module")
def folded(tmp_path_factory):
    found = make_folded(tmp_path_factory.mktemp("folded"))
    return found, run_whole(found, tmp_path_factory.mktemp("trial") / "whole")


@pytest.mark.parametrize("share", SHARES)
def test_an_interrupted_trial_over_folds_ends_as_if_nothing_had_happened(folded, tmp_path, share):
    made, (folder, events, asked) = folded
    first = run_job(job(made, tmp_path), should_stop=StopAfter(int(share * asked)))
    assert isinstance(first[-1], TrialStopped)
    second = run_job(job(made, tmp_path))
    assert_alike(result(folder, events), result(tmp_path, second))
    assert not (tmp_path / "folds").exists()


def test_a_trial_that_is_interrupted_again_and_again_ends_as_well(made, whole, tmp_path):
    for _ in range(40):
        events = run_job(job(made, tmp_path / "parts"), should_stop=StopAfter(4))
        if isinstance(events[-1], TrialFinished):
            break
    assert_alike(result(*whole[:2]), result(tmp_path / "parts", events))


def test_steps_that_were_done_are_not_done_again(made, tmp_path):
    def steps_of(folder, stop=None):
        counting, lookup = Counting(), fake_lookup()
        load = lookup.load

        def counted(spec):
            found = load(spec)
            if spec.kind != "schedule":
                return found

            def build(*given, **named):
                factor = found(*given, **named)

                def count(progress):
                    counting.steps += 1
                    return factor(progress)

                return count

            return build

        lookup.load = counted
        run_job(job(made, folder), lookup, **({} if stop is None else {"should_stop": StopAfter(stop)}))
        return counting.steps

    whole = steps_of(tmp_path / "whole")
    first = steps_of(tmp_path / "parts", stop=7)
    assert 0 < first < whole
    assert first + steps_of(tmp_path / "parts") == whole


def test_what_is_over_is_not_trained_again_when_its_machine_is_started_once_more(made, tmp_path):
    (*_, ended) = run_job(job(made, tmp_path))
    assert not (tmp_path / STATE).exists()
    assert (tmp_path / FINISHED).is_file()
    assert run_job(job(made, tmp_path)) == [ended]
    other = run_job(job(made, tmp_path, fidelity=Fidelity(epochs=2)))
    assert len(other) > 1  # another trial in the same folder is none of it


def test_a_trial_that_need_not_be_resumable_leaves_no_state(made, tmp_path):
    run_job(replace(job(made, tmp_path), resumable=False), should_stop=StopAfter(7))
    assert not (tmp_path / STATE).exists()
    run_job(replace(job(made, tmp_path), resumable=False))
    assert not (tmp_path / FINISHED).exists()


def test_a_torn_state_begins_the_trial_anew(made, whole, tmp_path):
    run_job(job(made, tmp_path / "parts"), should_stop=StopAfter(7))
    (state,) = (tmp_path / "parts" / STATE).iterdir()
    state.write_bytes(state.read_bytes()[:100])
    again = run_job(job(made, tmp_path / "parts"))
    assert_alike(result(*whole[:2]), result(tmp_path / "parts", again))


def test_a_trial_of_the_built_in_components_ends_as_if_nothing_had_happened(made, tmp_path):
    composition = composed(of=made.profile)
    wanted = {
        "architecture": "small_resnet",
        "policy": "scratch",
        "optimizer": "adamw",
        "regularizer.ema": True,
        "regularizer.dropout": True,
        "augmenter.shift": True,
        "augmenter.trivial_augment": True,
        "batch_size": 32,
    }
    values = composition.space.complete({name: value for name, value in wanted.items()})
    asked: list[int] = []

    def done(folder, should_stop):
        found = replace(job(made, folder), candidate=composition.candidate(values), fidelity=Fidelity(epochs=2))
        return run_job(found, desk=Desk(REGISTRY), should_stop=should_stop)

    events = done(tmp_path / "whole", lambda: bool(asked.append(1)))
    assert isinstance(events[-1], TrialFinished), events[-1]
    for share in (0.3, 0.6):
        done(tmp_path / f"parts-{share}", StopAfter(int(share * len(asked))))
        second = done(tmp_path / f"parts-{share}", StopAfter(10**9))
        assert_alike(result(tmp_path / "whole", events), result(tmp_path / f"parts-{share}", second))
