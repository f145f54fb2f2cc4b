from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from core.training.helpers import CLASSES, FakeClock, is_as_judged, make_learnable, run_job, trial_job

from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.training import finetune, probing
from seedbed.core.training.predictions import load_predictions

SAID = "After it was judged, its head was fitted anew, with the validation rows as well."


@pytest.fixture
def made(tmp_path):
    return make_learnable(tmp_path / "made", rows=90)


def _probe(made, folder, **options):
    job = trial_job(made, folder, policy="probe", weights="quarter", optimizer=None, schedule=None, batch_size=None)
    finished = run_job(replace(job, **options.pop("job", {})), **options)[-1]
    assert isinstance(finished, TrialFinished), finished
    return finished


def test_a_probe_that_was_judged_learns_from_the_validation_rows_as_well(made, tmp_path):
    finished = _probe(made, tmp_path / "0000")
    assert finished.notes == (SAID,)
    assert not is_as_judged(made, tmp_path / "0000")
    found = load_predictions(tmp_path / "0000" / "predictions.npz")
    assert np.array_equal(found.rows, made.splits.valid)
    assert finished.score == float((found.outputs.argmax(1) == found.targets).mean())


def test_a_validation_part_of_the_owners_is_never_learnt_from(made, tmp_path):
    own = {"profile": replace(made.profile, has_own_valid=True)}
    assert _probe(made, tmp_path / "0000", job=own).notes == ()
    assert is_as_judged(made, tmp_path / "0000")


def test_a_baseline_is_a_yardstick_and_spends_nothing_on_learning_more(made, tmp_path):
    assert _probe(made, tmp_path / "0000", job={"is_yardstick": True}).notes == ()
    assert is_as_judged(made, tmp_path / "0000")


def test_without_time_it_stays_as_it_was_judged(made, tmp_path):
    clock = FakeClock(step=2.0)
    job = {"fidelity": Fidelity(seconds=60.0), "grace": 10_000.0}
    finished = _probe(made, tmp_path / "0000", job=job, clock=clock)
    assert SAID not in finished.notes
    assert is_as_judged(made, tmp_path / "0000")


def test_where_time_was_short_it_is_not_fitted_again(made, tmp_path, monkeypatch):
    fits, whole = [], finetune.fit_probe

    def pressed(context, model, *, share):
        fits.append(share)
        found = whole(context, model, share=share)
        if len(fits) == 1:
            context.notes.append("The head's fit was cut short: its time was over.")
        return found

    monkeypatch.setattr(finetune, "fit_probe", pressed)
    (note,) = _probe(made, tmp_path / "0000").notes
    assert "cut short" in note
    assert len(fits) == 1
    assert is_as_judged(made, tmp_path / "0000")


def test_where_memory_is_short_for_all_rows_it_stays_as_it_was_judged(made, tmp_path, monkeypatch):
    """It would be fitted on no more rows than before: on others."""
    monkeypatch.setattr(probing, "MOST_LOGITS", len(made.splits.train) * len(CLASSES))
    assert _probe(made, tmp_path / "0000").notes == ()
    assert is_as_judged(made, tmp_path / "0000")


def test_where_the_second_fit_fails_it_stays_as_it_was_judged(made, tmp_path, monkeypatch, caplog):
    fits, whole = [], finetune.fit_probe

    def once(*args, **given):
        fits.append(args)
        if len(fits) > 1:
            raise RuntimeError("singular")
        return whole(*args, **given)

    monkeypatch.setattr(finetune, "fit_probe", once)
    assert _probe(made, tmp_path / "0000").notes == ()
    assert len(fits) == 2
    assert is_as_judged(made, tmp_path / "0000")
    assert "singular" in caplog.text


def test_where_the_second_fit_is_worse_it_stays_as_it_was_judged(made, tmp_path, monkeypatch):
    fits, whole = [], finetune.fit_probe

    def worse(context, model, **given):
        found = whole(context, model, **given)
        fits.append(model)
        if len(fits) > 1:
            with torch.no_grad():
                model.head.weight.neg_()
        return found

    monkeypatch.setattr(finetune, "fit_probe", worse)
    (note,) = _probe(made, tmp_path / "0000").notes
    assert "became worse" in note
    assert is_as_judged(made, tmp_path / "0000")
