from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from core.training.helpers import FakeClock, is_as_judged, looks, make_learnable, run_job, trial_job
from safetensors.torch import load_file

from seedbed.core.data.splitting.splits import save_splits
from seedbed.core.errors import Diverged
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.training import finetune, lap
from seedbed.core.training.predictions import load_predictions

SAID = "After it was judged, it was trained on, with the validation rows as well."
WORSE = "Trained on with the validation rows it became worse: it stays as it was judged."


@pytest.fixture
def made(tmp_path):
    return make_learnable(tmp_path / "made", rows=180)


@pytest.fixture
def trained(monkeypatch):
    """The rows that every training was done with, and the rates it began with."""
    seen = []
    whole = finetune.train

    def spied(parts, lesson, pace, **more):
        seen.append((sorted(lesson.rows.tolist()), parts.schedule(0.0), pace.max_steps))
        return whole(parts, lesson, pace, **more)

    monkeypatch.setattr(finetune, "train", spied)
    return seen


def _train(made, folder, clock=None, **options):
    fidelity = options.pop("fidelity", Fidelity(epochs=6))
    job = trial_job(made, folder, fidelity=fidelity, optimizer__sgd__lr=0.01)  # slow: nothing is certain at the end
    job = replace(job, **options)
    more = {} if clock is None else {"clock": clock}
    events = run_job(job, **more)
    assert isinstance(events[-1], TrialFinished), events[-1]
    return events


def test_a_net_that_was_judged_is_trained_on_with_the_rows_it_was_judged_by(made, tmp_path, trained):
    events = _train(made, tmp_path / "0000")
    (first, _, steps), (second, rate, more) = trained
    assert first == made.splits.train.tolist()
    assert second == sorted([*made.splits.train, *made.splits.valid[3:]])
    assert rate == 0.5  # the second half of a line that falls from 1 to 0
    assert more == round(steps / 2 * len(second) / len(first))
    assert events[-1].notes == (SAID,)
    assert not is_as_judged(made, tmp_path / "0000")
    assert not (tmp_path / "0000" / "lap").exists()


def test_its_score_and_its_curve_are_of_what_was_judged(made, tmp_path):
    events = _train(made, tmp_path / "0000")
    alone = _train(made, tmp_path / "0001", is_yardstick=True)
    assert [(each.epoch, each.score) for each in looks(events)] == [(each.epoch, each.score) for each in looks(alone)]
    assert (events[-1].score, events[-1].epochs, events[-1].steps) == (alone[-1].score, 6.0, alone[-1].steps)
    kept = [load_predictions(tmp_path / name / "predictions.npz") for name in ("0000", "0001")]
    assert np.array_equal(kept[0].outputs, kept[1].outputs)


def test_the_lap_repeats(made, tmp_path):
    _train(made, tmp_path / "0000")
    _train(made, tmp_path / "0001")
    one, other = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("0000", "0001"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("case", ["baseline", "the owner's own part", "few validation rows"])
def test_there_is_none_where_the_rows_may_not_be_learnt_from_or_are_few(made, tmp_path, case):
    options = {}
    if case == "baseline":
        options["is_yardstick"] = True
    if case == "the owner's own part":
        options["profile"] = replace(made.profile, has_own_valid=True)
    if case == "few validation rows":
        folds = np.full(len(made.splits.targets), -1, dtype=np.int8)
        folds[made.splits.valid[:12]] = 1  # of 132
        save_splits(replace(made.splits, folds=folds), made.split_file)
    assert _train(made, tmp_path / "0000", **options)[-1].notes == ()
    assert is_as_judged(made, tmp_path / "0000")


def test_all_layers_learn_in_it_though_training_ended_before_they_were_set_free(made, tmp_path, monkeypatch):
    seen, whole = [], finetune.train

    def ends_early(parts, *more, **others):
        seen.append([each.requires_grad for each in parts.model.parameters()])
        yield from whole(parts, *more, **others)
        parts.model.backbone.requires_grad_(False)

    monkeypatch.setattr(finetune, "train", ends_early)
    _train(made, tmp_path / "0000")
    assert len(seen) == 2
    assert all(map(all, seen))


def test_what_it_makes_worse_is_not_kept(made, tmp_path, monkeypatch):
    whole = finetune.train

    def spoils(parts, lesson, pace, **more):
        for look in whole(parts, lesson, pace, **more):
            if lesson.looks == 1:  # of the lap
                with torch.no_grad():
                    parts.model.head.weight.neg_()
            yield look

    monkeypatch.setattr(finetune, "train", spoils)
    assert _train(made, tmp_path / "0000")[-1].notes == (WORSE,)
    assert is_as_judged(made, tmp_path / "0000")


@pytest.mark.parametrize(("share", "notes"), [(0.12, ()), (0.13, (SAID,))])
def test_a_lap_of_a_few_steps_is_not_kept(made, tmp_path, monkeypatch, share, notes):
    """Planned are half the epochs again, and a quarter of these must fit into its time."""
    whole = finetune._train

    def short(context, model, options, *, since=0.0):
        return replace(whole(context, model, options, since=since), epochs=share * 10 if since else 10.0)

    monkeypatch.setattr(finetune, "_train", short)
    assert _train(made, tmp_path / "0000")[-1].notes == notes
    assert is_as_judged(made, tmp_path / "0000") is not bool(notes)


def test_where_it_fails_the_result_stays(made, tmp_path, monkeypatch, caplog):
    def fails(context, epochs):
        raise Diverged("no")

    monkeypatch.setattr(finetune, "lap_of", fails)
    assert _train(made, tmp_path / "0000")[-1].notes == ()
    assert is_as_judged(made, tmp_path / "0000")
    assert "stays as it was" in caplog.text


def test_it_takes_less_than_a_third_of_the_time_and_ends_with_it(made, tmp_path, trained):
    clock = FakeClock(step=0.03)
    fidelity = Fidelity(epochs=1_000, seconds=30.0)
    events = _train(made, tmp_path / "0000", clock, fidelity=fidelity, grace=10_000.0, rows_after=30)
    assert len(trained) == 2
    judged = looks(events)[-1].seconds
    assert 0.6 * 30 < judged < 0.72 * 30
    assert judged < events[-1].seconds <= 30.5


def test_without_time_there_is_none(made, tmp_path, trained):
    clock = FakeClock(step=0.5)
    fidelity = Fidelity(epochs=1_000, seconds=60.0)
    events = _train(made, tmp_path / "0000", clock, fidelity=fidelity, grace=10_000.0, rows_after=100_000)
    assert len(trained) == 1
    assert events[-1].notes == ()
    assert is_as_judged(made, tmp_path / "0000")


def test_the_share_of_the_time_comes_back_however_the_training_ends(made, tmp_path):
    class Given:
        """As much of a context as is asked for."""

        deadline, job = 100.0, trial_job(made, tmp_path / "0000")
        clock = staticmethod(lambda: 0.0)

    given, inside = Given(), []

    def fail():
        with lap.time_for_lap(given):
            inside.append((given.deadline, given.job.rows_after))
            raise Diverged("no")

    with pytest.raises(Diverged):
        fail()
    assert inside == [(70.0, 0)]
    assert (given.deadline, given.job) == (100.0, Given.job)


@pytest.mark.parametrize(("to_beat", "trainings"), [(None, 2), (0.0, 2), (5.0, 1)])
def test_what_stays_clearly_behind_the_best_learns_nothing_more(made, tmp_path, trained, to_beat, trainings):
    _train(made, tmp_path / "0000", to_beat=to_beat)
    assert len(trained) == trainings
