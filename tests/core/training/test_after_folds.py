from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from core.training.folded import FOLDS, judged, make_folded
from core.training.helpers import FakeClock, outputs_of, run_job, trial_job
from safetensors.torch import load_file

from seedbed.core.data.splitting.splits import save_splits
from seedbed.core.errors import Diverged, OutOfTime
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished, TrialStopped
from seedbed.core.training import finetune
from seedbed.core.training.context import Result
from seedbed.core.training.evaluate import Stopped
from seedbed.core.training.folds import over_folds
from seedbed.core.training.member import load_member
from seedbed.core.training.predictions import load_predictions


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_folded(tmp_path_factory.mktemp("made"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "0000"


def test_the_model_that_is_kept_was_trained_on_all_rows_and_is_no_folds(made, folder):
    run_job(trial_job(made, folder, fidelity=Fidelity(epochs=30)))
    found = load_predictions(folder / "predictions.npz")
    again = outputs_of(made, folder, found.rows)
    assert (again.argmax(1) == found.targets).mean() > 0.9
    _, folds = judged(made)
    same = [np.allclose(again[folds == number], found.outputs[folds == number], atol=1e-4) for number in range(FOLDS)]
    assert not any(same)


KEPT = "A fold's model is kept, not that of the last training, on all rows: "


def _fit_with(made, folder, monkeypatch, change, *, policy="scratch"):
    """Run a trial whose trainings `change(part, is_last)` changes; return its end, and whose model is kept."""
    left = {}

    def watching(context, train):
        def watched(part):
            is_last = not len(part.valid_rows)
            found = train(part)
            left["last" if is_last else part.folder.name] = load_file(part.folder / "checkpoint.safetensors")
            return replace(found, **change(part, is_last))

        return over_folds(context, watched)

    monkeypatch.setattr("seedbed.core.training.finetune.over_folds", watching)
    weights = "quarter" if policy == "probe" else None
    finished = run_job(trial_job(made, folder, policy=policy, weights=weights, fidelity=Fidelity(epochs=2)))[-1]
    assert isinstance(finished, TrialFinished), finished
    assert not (folder / "folds").exists()
    found = load_file(folder / "checkpoint.safetensors")
    (kept,) = [
        name for name, state in left.items() if all(torch.equal(each, found[key]) for key, each in state.items())
    ]
    return finished, kept


@pytest.mark.parametrize(("epochs", "kept"), [(4.9, "0"), (5.1, "last")])
def test_where_the_last_training_is_cut_short_the_model_of_a_fold_is_kept(made, folder, monkeypatch, epochs, kept):
    def change(part, is_last):
        return {"epochs": epochs if is_last else 10.0, "steps": 7 if is_last else 70}

    finished, found = _fit_with(made, folder, monkeypatch, change)
    assert found == kept
    assert (finished.epochs, finished.steps) == ((10.0, 70) if kept == "0" else (5.1, 7)), "what others are planned by"
    told = f"{KEPT}4.9 of 10.0 epochs fitted into its time."
    assert finished.notes == ((told,) if kept == "0" else ())


@pytest.mark.parametrize(
    ("policy", "troubled", "kept"),
    [("probe", (), "0"), ("probe", ("0",), "1"), ("probe", tuple("0123"), "last"), ("scratch", (), "last")],
)
def test_a_head_that_was_cut_short_is_not_kept_where_a_fold_s_was_not(
    made, folder, monkeypatch, policy, troubled, kept
):
    """Where more than a head is trained, that was only the beginning."""

    def change(part, is_last):
        if is_last or part.folder.name in troubled:
            part.notes.append("Cut short, at 40 rows." if is_last else "Cut short, at 30 rows.")
        return {}

    finished, found = _fit_with(made, folder, monkeypatch, change, policy=policy)
    assert found == kept
    assert any(note.endswith("Cut short, at 40 rows.") for note in finished.notes)
    assert any(note.startswith(KEPT) for note in finished.notes) is (kept != "last")


def test_of_the_folds_it_is_one_that_learnt_from_most_rows(made, folder, tmp_path, monkeypatch):
    """As where one group has most of the rows: the fold that holds it out learnt from few."""
    folds = np.where(made.splits.folds >= 0, np.arange(len(made.splits.folds)) % 11 // 3, -1).astype(np.int8)
    save_splits(replace(made.splits, folds=folds), tmp_path / "splits.parquet")
    other = replace(made, split_file=tmp_path / "splits.parquet")
    assert np.bincount(folds[folds >= 0]).argmin() == 3
    _, found = _fit_with(other, folder, monkeypatch, lambda part, is_last: {"epochs": 1.0 if is_last else 10.0})
    assert found == "3"


@pytest.mark.parametrize("error", [OutOfTime("Too late."), Diverged("Too steep."), ValueError("singular")])
def test_a_last_training_that_comes_to_nothing_does_not_cost_what_was_judged(made, folder, monkeypatch, error):
    """Predictions from there on are as the folds were judged, with more than one view if need be."""

    def change(part, is_last):
        if is_last:
            raise error
        part.member = replace(part.member, test_time_views=True)
        return {}

    finished, kept = _fit_with(made, folder, monkeypatch, change)
    assert kept == "0"
    assert finished.notes == (f"{KEPT}{error}",)
    assert finished.epochs > 2
    assert load_member(folder).test_time_views


def test_a_stop_in_the_last_training_ends_the_trial_and_leaves_no_folds(made, folder, monkeypatch):
    def stops(context, train):
        def watched(part):
            if not len(part.valid_rows):
                raise Stopped
            return train(part)

        return over_folds(context, watched)

    monkeypatch.setattr("seedbed.core.training.finetune.over_folds", stops)
    assert isinstance(run_job(trial_job(made, folder))[-1], TrialStopped)
    assert not (folder / "folds").exists()


def test_what_says_less_of_the_rows_than_models_that_had_not_seen_them_is_not_kept(made, folder, monkeypatch):
    whole = finetune.train

    def spoils(parts, lesson, pace, **more):
        for look in whole(parts, lesson, pace, **more):
            if len(lesson.rows) == len(judged(made)[0]):
                with torch.no_grad():
                    parts.model.head.weight.neg_()
            yield look

    monkeypatch.setattr(finetune, "train", spoils)
    finished = run_job(trial_job(made, folder, fidelity=Fidelity(epochs=20)))[-1]
    assert finished.notes == (f"{KEPT}It says less of them than models that had not seen them.",)
    assert finished.score > 0.8
    rows, _ = judged(made)
    assert (outputs_of(made, folder, rows).argmax(1) == made.splits.targets[rows]).mean() > 0.8


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
