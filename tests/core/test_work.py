from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from core.training.helpers import fake_lookup, make_data, run_job, trial_job

from seedbed.core.data.preparing.decode import ImageForm
from seedbed.core.data.preparing.prepare_again import InputForm
from seedbed.core.results.bundle import save_bundle
from seedbed.core.search.candidate import EvaluationJob, Fidelity
from seedbed.core.search.events import BundleEvaluated, EvaluationFailed, TrialFinished
from seedbed.core.training.predictions import load_predictions
from seedbed.core.work import Desk, run

FORM = InputForm(image=ImageForm(height=12, width=12, channels=1))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


@pytest.fixture(scope="module")
def bundle(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    finished = run_job(trial_job(made, folder / "0000", fidelity=Fidelity(epochs=20)))[-1]
    assert isinstance(finished, TrialFinished)
    save_bundle(folder / "best", [(folder / "0000", 1.0)], made.profile, FORM, score=finished.score, source="here")
    return folder / "best", finished.score


def _job(made, bundle, output, part="test"):
    return EvaluationJob(
        bundle=str(bundle),
        profile=made.profile,
        part=part,
        data=str(made.data),
        splits=str(made.split_file),
        valid=str(bundle.parent / "0000" / "predictions.npz"),
        output=str(output),
        scores=str(output.with_name("scores.json")),
        device="cpu",
    )


def _do(job, lookup=None, should_stop=lambda: False):
    events = []
    run(job, events.append, should_stop, Desk(lookup or fake_lookup()))
    return events


def test_a_trial_job_trains(made, tmp_path):
    assert isinstance(_do(trial_job(made, tmp_path / "0000"))[-1], TrialFinished)


def test_a_bundle_is_scored_on_the_test_part(made, bundle, tmp_path):
    (event,) = _do(_job(made, bundle[0], tmp_path / "found.npz"))
    found = load_predictions(tmp_path / "found.npz")
    assert isinstance(event, BundleEvaluated)
    assert (event.part, event.examples) == ("test", len(made.splits.test))
    assert np.array_equal(found.rows, made.splits.test)
    assert np.array_equal(found.targets, made.splits.targets[made.splits.test])
    assert event.metrics["accuracy"] == float((found.outputs.argmax(1) == found.targets).mean())


def test_what_it_was_chosen_by_is_scored_as_it_was_predicted_then(made, bundle, tmp_path):
    """The kept model may have learnt from those rows, so it is not asked again."""
    folder, score = bundle
    (event,) = _do(_job(made, folder, tmp_path / "found.npz", "valid"))
    assert (event.part, event.examples) == ("valid", len(made.splits.valid))
    assert event.metrics["accuracy"] == score
    assert not (tmp_path / "found.npz").exists()


def test_every_class_and_the_confusion_of_both_parts_are_stored(made, bundle, tmp_path):
    _do(_job(made, bundle[0], tmp_path / "found.npz"))
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores) == {"valid", "test"}
    for part, found in scores.items():
        assert found["examples"] == len(made.splits.rows(part))
        assert [each["name"] for each in found["classes"]] == list(made.splits.classes)
        assert np.sum(found["confusion"]) == found["examples"]


def test_rows_that_cannot_be_used_are_left_out(made, bundle, tmp_path):
    from seedbed.core.data.splitting.split import save_splits

    targets = made.splits.targets.copy()
    targets[made.splits.test[0]] = -1
    save_splits(replace(made.splits, targets=targets), tmp_path / "splits.parquet")
    job = replace(_job(made, bundle[0], tmp_path / "found.npz"), splits=str(tmp_path / "splits.parquet"))
    assert _do(job)[0].examples == len(made.splits.test) - 1


def test_a_bundle_that_cannot_be_loaded_is_a_failed_evaluation(made, bundle, tmp_path):
    (event,) = _do(_job(made, tmp_path / "nowhere", tmp_path / "found.npz"))
    assert isinstance(event, EvaluationFailed)
    assert "holds no bundle" in event.error
    assert "read_bundle" in event.traceback
    assert not (tmp_path / "found.npz").exists()


def test_a_plugin_that_is_missing_is_named_in_the_failed_evaluation(made, bundle, tmp_path):
    (event,) = _do(_job(made, bundle[0], tmp_path / "found.npz"), fake_lookup().without("architecture", "tiny"))
    assert isinstance(event, EvaluationFailed)
    assert "`pip install fakes`" in event.error


def test_an_evaluation_that_is_stopped_ends_as_a_failed_one(made, bundle, tmp_path):
    (event,) = _do(_job(made, bundle[0], tmp_path / "found.npz"), should_stop=lambda: True)
    assert isinstance(event, EvaluationFailed)
