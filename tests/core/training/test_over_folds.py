from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from core.training.helpers import FakeClock, Tiny, fake_lookup, looks, make_data, run_job, trial_job
from safetensors.torch import load_file

from seedbed.core.data.feeding.images import Images
from seedbed.core.data.splitting.splits import save_splits
from seedbed.core.protocols import Regularizer
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFailed, TrialFinished, TrialPlanned, TrialStopped
from seedbed.core.specs import AugmenterSpec, RegularizerSpec
from seedbed.core.training import finetune
from seedbed.core.training.assemble import build_model
from seedbed.core.training.context import PLAIN, Result
from seedbed.core.training.evaluate import predict_rows
from seedbed.core.training.folds import over_folds
from seedbed.core.training.member import load_member
from seedbed.core.training.predictions import load_predictions

FOLDS = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Seventy-two rows in four folds, and twelve that may not be trained on: fold -1."""
    found = make_data(tmp_path_factory.mktemp("made"), rows=90)
    splits = found.splits
    pool = np.sort(np.concatenate([splits.train, splits.valid]))
    folds = np.full(len(splits.targets), -1, dtype=np.int8)
    folds[pool] = np.arange(len(pool)) // 3 % (2 * FOLDS)  # folded once more on the way to four
    folds[pool[:3]] = -1
    splits = replace(splits, folds=folds)
    save_splits(splits, found.split_file)
    return replace(found, splits=splits, profile=replace(found.profile, folds=FOLDS))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "0000"


def judged(made):
    """The rows that are judged, and the fold of each."""
    rows = np.flatnonzero(made.splits.folds >= 0)
    return rows, made.splits.folds[rows] % FOLDS


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


def test_the_model_that_is_kept_was_trained_on_all_rows_and_is_no_folds(made, folder):
    run_job(trial_job(made, folder, fidelity=Fidelity(epochs=30)))
    member, found = load_member(folder), load_predictions(folder / "predictions.npz")
    model = build_model(member.candidate, made.profile, member.view, fake_lookup())
    model.load_state_dict(load_file(folder / "checkpoint.safetensors"))
    images = Images(made.data, torch.device("cpu"))
    again = predict_rows(model, images, torch.from_numpy(found.rows), member.view, PLAIN, made.profile).numpy()
    assert (again.argmax(1) == found.targets).mean() > 0.9
    _, folds = judged(made)
    same = [np.allclose(again[folds == number], found.outputs[folds == number], atol=1e-4) for number in range(FOLDS)]
    assert not any(same)


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


@pytest.fixture
def spent(monkeypatch):
    """A clock, and of each training its context: it takes all of its time, and 0.01 s for each row that it predicts."""
    clock, seen = FakeClock(), []

    def spied(context, train):
        def instant(part):
            seen.append((part, part.deadline - clock()))
            clock.tick(part.deadline - clock())
            result = train(part)
            part.row_seconds = 0.01
            return result

        return over_folds(context, instant)

    monkeypatch.setattr("seedbed.core.training.finetune.over_folds", spied)
    return clock, seen


def _run_in(made, folder, clock, **options):
    job = replace(trial_job(made, folder, fidelity=Fidelity(epochs=1, seconds=50.0)), grace=1000.0, **options)
    assert isinstance(run_job(job, clock=clock)[-1], TrialFinished)


def test_each_training_gets_time_by_its_rows(made, folder, spent):
    clock, seen = spent
    _run_in(made, folder, clock)
    seconds, rows = [share for _, share in seen], [len(part.train_rows) for part, _ in seen]
    assert len(seconds) == FOLDS + 1
    assert sum(seconds) == pytest.approx(50.0)
    assert min(rows) < 0.8 * max(rows)
    assert [share / each for share, each in zip(seconds, rows, strict=True)] == pytest.approx(
        [50.0 / sum(rows)] * len(rows), rel=0.02
    )


@pytest.mark.parametrize(("rows_after", "end"), [(1000, 37.0), (10**6, 30.0)])
def test_what_is_scored_after_the_trial_takes_no_time_from_the_last_training_alone(
    made, folder, spent, rows_after, end
):
    """Once the last training had no more than was left of its share, and a net of six steps was kept."""
    clock, seen = spent
    _run_in(made, folder, clock, rows_after=rows_after)
    (part, seconds), (_, before) = seen[-1], seen[-2]
    assert part.deadline == pytest.approx(end)
    assert part.job.rows_after == 0, "its time is kept already"
    assert seconds > before


KEPT = "The first fold's model is kept, not that of the last training, on all rows: "


@pytest.mark.parametrize(
    ("epochs", "notes", "kept", "told"),
    [
        (4.9, ["as ever"], "0", ("as ever", f"{KEPT}4.9 of 10.0 epochs fitted into its time.")),
        (10.0, ["as ever", "Cut short."], "0", ("as ever", f"{KEPT}Cut short.")),
        (5.1, ["as ever"], "last", ("as ever",)),
    ],
    ids=["few epochs", "trouble", "whole"],
)
def test_where_the_last_training_is_cut_short_the_model_of_a_fold_is_kept(
    made, folder, monkeypatch, epochs, notes, kept, told
):
    left = {}

    def short(context, train):
        def watched(part):
            found = train(part)
            is_last = not len(part.valid_rows)
            part.notes.extend(notes if is_last else ["as ever"])
            left["last" if is_last else part.folder.name] = load_file(part.folder / "checkpoint.safetensors")
            return replace(found, epochs=epochs if is_last else 10.0)

        return over_folds(context, watched)

    monkeypatch.setattr("seedbed.core.training.finetune.over_folds", short)
    finished = run_job(trial_job(made, folder, fidelity=Fidelity(epochs=2)))[-1]
    found = load_file(folder / "checkpoint.safetensors")
    same = [name for name, state in left.items() if all(torch.equal(each, found[key]) for key, each in state.items())]
    assert same == [kept]
    assert finished.notes == told


def test_the_last_training_lasts_as_long_as_those_of_the_folds(made, folder, monkeypatch):
    epochs = []

    def counting(context, train):
        def told(part):
            epochs.append(part.job.fidelity.epochs)
            return Result(score=train(part).score, epochs=float(len(epochs)), steps=1)

        return over_folds(context, told)

    monkeypatch.setattr("seedbed.core.training.finetune.over_folds", counting)
    run_job(trial_job(made, folder, fidelity=Fidelity(epochs=2)))
    assert epochs == [2, 2, 2, 2, 2.5]


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
