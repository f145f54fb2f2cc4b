from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from core.training.folded import FOLDS, judged, make_folded
from core.training.helpers import Tiny, fake_lookup, looks, run_job, trial_job
from safetensors.torch import load_file

from seedbed.core.data.splitting.splits import save_splits
from seedbed.core.protocols import Regularizer
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFailed, TrialFinished, TrialPlanned, TrialStopped
from seedbed.core.specs import AugmenterSpec, RegularizerSpec
from seedbed.core.training import finetune
from seedbed.core.training.folds import over_folds
from seedbed.core.training.member import load_member
from seedbed.core.training.predictions import load_predictions


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_folded(tmp_path_factory.mktemp("made"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "0000"


def test_every_row_of_training_and_validation_is_predicted_once(made, folder):
    finished = run_job(trial_job(made, folder, fidelity=Fidelity(epochs=20)))[-1]
    assert isinstance(finished, TrialFinished), finished
    found = load_predictions(folder / "predictions.npz")
    assert np.array_equal(found.rows, judged(made)[0])
    assert np.array_equal(found.targets, made.splits.targets[found.rows])
    assert finished.score == float((found.outputs.argmax(1) == found.targets).mean())
    assert finished.score > 0.8
    names = {each.name for each in folder.iterdir()}
    assert names == {"candidate.json", "checkpoint.safetensors", "member.json", "predictions.npz"}


def test_no_model_has_seen_the_rows_it_is_judged_on(made, folder, monkeypatch):
    seen = []

    def spied(context, train):
        def watching(part):
            seen.append((part.train_rows.numpy(), part.valid_rows.numpy()))
            return train(part)

        return over_folds(context, watching)

    monkeypatch.setattr("seedbed.core.training.finetune.over_folds", spied)
    assert isinstance(run_job(trial_job(made, folder, fidelity=Fidelity(epochs=1)))[-1], TrialFinished)
    rows, folds = judged(made)
    assert len(seen) == FOLDS + 1
    for number, (train, valid) in enumerate(seen[:-1]):
        assert np.array_equal(valid, rows[folds == number])
        assert np.array_equal(train, rows[folds != number])
    assert np.array_equal(seen[-1][0], rows)
    assert len(seen[-1][1]) == 0


def test_one_curve_and_one_plan_are_told(made, folder):
    events = run_job(trial_job(made, folder, fidelity=Fidelity(epochs=10)))
    assert sum(isinstance(each, TrialPlanned) for each in events) == 1
    curve = looks(events)
    assert len(curve) == 10
    assert not any(each.is_best for each in curve), "a fold's model is not to be used"


def test_equal_seeds_give_equal_predictions_and_weights(made, tmp_path):
    for name in "12":
        run_job(trial_job(made, tmp_path / name, seed=4, augmenter__mirror=True))
    one, other = (load_predictions(tmp_path / name / "predictions.npz") for name in "12")
    assert np.array_equal(one.outputs, other.outputs)
    ones, others = (load_file(tmp_path / name / "checkpoint.safetensors") for name in "12")
    assert all(torch.equal(each, others[name]) for name, each in ones.items())


def test_views_that_harm_the_folds_are_not_kept(made, folder):
    class Blind:
        """Views of which nothing can be told."""

        def views(self, inputs):
            return [inputs, torch.zeros_like(inputs)]

        def __call__(self, inputs, generator):
            return inputs

    spec = AugmenterSpec(name="blind", summary="Bad views.", build="fakes:blind")
    lookup = fake_lookup().with_((spec, lambda options, profile: Blind()))
    job = trial_job(made, folder, fidelity=Fidelity(epochs=20), augmenter__blind=True)
    assert isinstance(run_job(job, lookup)[-1], TrialFinished)
    assert not load_member(folder).test_time_views


def test_views_that_help_most_folds_are_kept(made, folder):
    class Sharp:
        """A second view with three times the contrast, about which the net is surer."""

        def views(self, inputs):
            return [inputs, inputs * 3]

        def __call__(self, inputs, generator):
            return inputs

    spec = AugmenterSpec(name="sharp", summary="Good views.", build="fakes:sharp")
    lookup = fake_lookup().with_((spec, lambda options, profile: Sharp()))
    job = trial_job(made, folder, fidelity=Fidelity(epochs=2), augmenter__sharp=True)
    assert isinstance(run_job(job, lookup)[-1], TrialFinished)
    assert load_member(folder).test_time_views


def test_a_stop_or_an_error_in_a_fold_ends_the_trial(made, folder, tmp_path):
    asked = iter(range(10**6))
    events = run_job(trial_job(made, folder), should_stop=lambda: next(asked) > 12)
    assert isinstance(events[-1], TrialStopped)
    broken = run_job(trial_job(made, tmp_path / "other", optimizer__sgd__lr=1e30))
    assert isinstance(broken[-1], TrialFailed)
    assert "lower" in broken[-1].error


class Enough(Regularizer):
    """Has seen enough after two looks, and judges weights of its own."""

    def is_done(self, scores):
        return len(scores) >= 2

    def averaged(self, model):
        return {name: each * 0.5 if name == "head.weight" else each for name, each in model.state_dict().items()}


def test_a_fold_that_ends_early_is_judged_by_where_it_ended(made, folder):
    spec = RegularizerSpec(name="enough", summary="Ends early.", build="fakes:enough")
    lookup = fake_lookup().with_((spec, lambda options, profile: Enough()))
    events = run_job(trial_job(made, folder, fidelity=Fidelity(epochs=10), regularizer__enough=True), lookup)
    finished, curve = events[-1], looks(events)
    assert isinstance(finished, TrialFinished), finished
    assert len(curve) == 3
    assert (curve[-1].epoch, curve[-1].progress) == (curve[-2].epoch, 1.0)
    assert curve[-1].valid_loss == curve[-2].valid_loss, "it is judged with other weights than it is looked at with"
    assert curve[-1].epoch < 10
    assert any("its score had stopped rising" in note for note in finished.notes)
    found = load_predictions(folder / "predictions.npz")
    rows, folds = judged(made)
    assert np.array_equal(found.rows, rows)
    first = folds == 0
    assert float((found.outputs.argmax(1) == found.targets)[first].mean()) == curve[-1].score


@pytest.mark.parametrize(("policy", "learner"), [("probe", "fit_probe"), ("scratch", "train")])
def test_a_fold_learns_nothing_more_once_it_is_judged(made, folder, monkeypatch, policy, learner):
    """After the folds one model learns from all rows anyway."""
    whole, seen = getattr(finetune, learner), []

    def spied(*args, **given):
        rows = args[0].train_rows if learner == "fit_probe" else args[1].rows
        seen.append(rows.tolist())
        return whole(*args, **given)

    monkeypatch.setattr(finetune, learner, spied)
    weights = "quarter" if policy == "probe" else None
    finished = run_job(trial_job(made, folder, policy=policy, weights=weights, fidelity=Fidelity(epochs=1)))[-1]
    assert isinstance(finished, TrialFinished), finished
    rows, folds = judged(made)
    assert seen == [*(rows[folds != number].tolist() for number in range(FOLDS)), rows.tolist()]
    assert not any("validation rows" in note for note in finished.notes)


def test_every_model_of_a_trial_begins_alike(made, tmp_path):
    begun = []

    def building(options, profile):
        net = Tiny(options.width, profile.channels)
        begun.append(net.conv.weight.detach().clone())
        return net

    lookup = fake_lookup().with_((fake_lookup().get("architecture", "tiny"), building))
    for name, seed in (("one", 3), ("other", 4)):
        job = trial_job(made, tmp_path / name, fidelity=Fidelity(epochs=1), seed=seed)
        assert isinstance(run_job(job, lookup)[-1], TrialFinished)
    assert len(begun) == 2 * (FOLDS + 1)
    one, other = begun[: FOLDS + 1], begun[FOLDS + 1 :]
    assert all(torch.equal(each, one[0]) for each in one)
    assert all(torch.equal(each, other[0]) for each in other)
    assert not torch.equal(one[0], other[0])


def test_rows_that_all_lie_in_one_fold_are_judged_by_the_validation_part(made, folder, tmp_path, monkeypatch):
    """As where they all are of one group: a fold of its own would leave nothing to train on."""
    trained = []

    def spied(context, train):
        def watching(part):
            trained.append(len(part.train_rows))
            assert trained[-1], "training on no rows would not end"
            return train(part)

        return over_folds(context, watching)

    monkeypatch.setattr(finetune, "over_folds", spied)
    folds = np.where(made.splits.folds >= 0, np.int8(0), made.splits.folds)
    save_splits(replace(made.splits, folds=folds), tmp_path / "splits.parquet")
    alone = replace(made, split_file=tmp_path / "splits.parquet")
    finished = run_job(trial_job(alone, folder, fidelity=Fidelity(epochs=1)))[-1]
    assert isinstance(finished, TrialFinished), finished
    assert trained == [len(made.splits.train)]
    assert np.array_equal(load_predictions(folder / "predictions.npz").rows, made.splits.valid)
