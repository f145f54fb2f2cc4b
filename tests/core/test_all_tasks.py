"""Runs on texts and series, for every kind of task, end to end: learnt, predicted, scored, described."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from quick_runs import surroundings

import seedbed
from seedbed import api
from seedbed.core.errors import DataError, UsageError
from seedbed.plugins.strategies import fidelity


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")):
        yield


def quick_fit(out, source, **more):
    return api.fit(source, out=out, backend="inline", offline=True, trials=1, threads=1, **more)


def reviews(rows=60, seed=0):
    """Texts that praise or blame, and name what they are about."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(rows):
        praise, things = number % 2, rng.choice(["plot", "music", "actors"], rng.integers(1, 3), replace=False)
        words = ["splendid", "lovely", "fine"] if praise else ["dreadful", "dull", "poor"]
        said = ", ".join(f"{rng.choice(words)} {thing}" for thing in things)
        found.append({"text": f"I saw it on day {number}: {said} all the way", "praise": praise, "things": things})
    return found


def waves(rows=60, channels=2, seed=0):
    """Series of unequal length whose first channel is the faster the higher its pitch."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(rows):
        pitch, steps = 1 + number % 3, int(rng.integers(20, 40))
        first = np.sin(np.arange(steps) * 0.4 * pitch + rng.uniform(0, 6))
        rest = rng.normal(size=(channels - 1, steps))
        found.append((np.vstack([first, rest]) + rng.normal(0, 0.1, (channels, steps)), pitch))
    return found


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_texts_are_classified(tmp_path):
    rows = [{"text": each["text"], "label": "good" if each["praise"] else "bad"} for each in reviews(90)]
    source = write(tmp_path / "reviews.jsonl", rows)
    run = quick_fit(tmp_path / "run", source)
    assert run.history.profile.task.classes == ("bad", "good")
    assert run.history.profile.folds == 5
    assert run.best.evaluate(source)["metrics"]["accuracy"] > 0.9
    assert run.best.predict(["splendid plot all the way", "a dull and dreadful plot"]) == ["good", "bad"]
    frame = run.best.predict_frame(source)
    assert frame.inputs[:2] == ["0", "1"]
    again = seedbed.load(tmp_path / "run")
    assert np.array_equal(again.predict_proba([rows[0]["text"]]), run.best.predict_proba([rows[0]["text"]]))


def test_a_net_on_tokens_predicts_from_its_bundle_alone(tmp_path):
    rows = [{"text": each["text"], "label": "good" if each["praise"] else "bad"} for each in reviews(90)]
    source = write(tmp_path / "reviews.jsonl", rows)
    fixed = {"architecture": "text_cnn", "architecture.text_cnn.embedding": 64}
    run = quick_fit(tmp_path / "run", source, fixed=fixed)
    (trial,) = [each for each in run.history if each.role == "candidate"]
    assert trial.result is not None, trial.traceback
    (tmp_path / "run" / "data" / "vocabulary.json").unlink()
    assert run.best.evaluate(source)["metrics"]["accuracy"] > 0.8


def test_a_run_that_died_before_its_data_was_described_learns_its_words_again(tmp_path):
    rows = [{"text": each["text"], "label": "good" if each["praise"] else "bad"} for each in reviews(90)]
    source = write(tmp_path / "reviews.jsonl", rows)
    fixed = {"architecture": "bag_of_words"}
    words = quick_fit(tmp_path / "run", source, fixed=fixed).folder / "data" / "vocabulary.json"
    learnt, journal = words.read_bytes(), tmp_path / "run" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0])
    words.write_text("what was learnt of other data, say")
    quick_fit(tmp_path / "run", source, fixed=fixed, resume=True)
    assert words.read_bytes() == learnt


def test_a_value_is_predicted_from_texts(tmp_path):
    rows = [{"text": each["text"], "stars": 4.0 + each["praise"] if each["praise"] else 1.5} for each in reviews(90)]
    source = write(tmp_path / "stars.jsonl", rows)
    run = quick_fit(tmp_path / "run", source, target="stars", task="regression")
    assert run.history.profile.task.metric == "rmse"
    assert run.best.evaluate(source)["metrics"]["r2"] > 0.8
    (value,) = run.best.predict(["lovely music, fine actors all the way"])
    assert isinstance(value, float)
    assert 3.5 < value < 6
    with pytest.raises(UsageError, match="no probabilities"):
        run.best.predict_proba(["fine"])
    assert run.summary()["task"]["kind"] == "regression"


def test_several_labels_are_predicted(tmp_path):
    rows = [{"text": each["text"], "things": ";".join(each["things"])} for each in reviews(120)]
    source = write(tmp_path / "things.jsonl", rows)
    run = quick_fit(tmp_path / "run", source, target="things", task="multilabel")
    assert run.history.profile.task.classes == ("actors", "music", "plot")
    assert run.best.evaluate(source)["metrics"]["average_precision"] > 0.9
    (found,) = run.best.predict(["fine music and fine actors all the way"])
    assert set(found) == {"music", "actors"}


def test_series_are_classified(tmp_path):
    rows = [{"wave": wave.tolist(), "pitch": f"p{pitch}"} for wave, pitch in waves(90)]
    source = write(tmp_path / "waves.jsonl", rows)
    run = quick_fit(tmp_path / "run", source)
    assert run.history.profile.task.classes == ("p1", "p2", "p3")
    assert run.best.evaluate(source)["metrics"]["accuracy"] > 0.9
    fresh = [wave for wave, _ in waves(6, seed=1)]
    assert run.best.predict(fresh) == ["p1", "p2", "p3"] * 2


def test_a_value_is_predicted_from_series_by_a_net(tmp_path, monkeypatch):
    monkeypatch.setitem(fidelity._EPOCHS, ("series", True), (3.0, 1.0, 3.0))
    frame = pd.DataFrame({"wave": [wave.tolist() for wave, _ in waves(40)], "pitch": [p * 1.5 for _, p in waves(40)]})
    fixed = {"architecture": "gru", "architecture.gru.width": 32}
    run = quick_fit(tmp_path / "run", frame, target="pitch", task="regression", fixed=fixed)
    (trial,) = [each for each in run.history if each.role == "candidate"]
    assert trial.result is not None, trial.traceback
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())["valid"]
    assert scores["examples"] == 40
    assert scores["residuals"]


def test_data_without_the_columns_it_learnt_from_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(fidelity._EPOCHS, ("series", True), (1.0, 1.0, 1.0))
    rows = [{"wave": wave.tolist(), "pitch": f"p{pitch}"} for wave, pitch in waves(30)]
    fixed = {"architecture": "gru", "architecture.gru.width": 32}
    run = quick_fit(tmp_path / "run", write(tmp_path / "waves.jsonl", rows), fixed=fixed)
    texts = write(tmp_path / "texts.jsonl", [{"text": each["text"]} for each in reviews(10)])
    with pytest.raises(DataError, match=r"texts.jsonl lacks the column `wave`. What is learnt from: `wave`; what it "):
        run.best.predict_frame(texts)
    unlabelled = write(tmp_path / "more.jsonl", [{"wave": wave.tolist()} for wave, _ in waves(30)])
    assert len(run.best.predict_frame(unlabelled).predictions) == 30
    with pytest.raises(DataError, match=r"lacks the column `pitch`. What is learnt from: `wave`, to say `pitch`; what"):
        run.best.evaluate(unlabelled)


def test_class_report_and_confusion_are_stored_for_both_parts(tmp_path):
    rows = [{"text": each["text"], "label": "good" if each["praise"] else "bad"} for each in reviews(60)]
    test = [{"text": each["text"], "label": "good" if each["praise"] else "bad"} for each in reviews(20, seed=1)]
    source, other = write(tmp_path / "train.jsonl", rows), write(tmp_path / "test.jsonl", test)
    run = quick_fit(tmp_path / "run", source, test=other)
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["valid"]["examples"] == 60
    assert "top_5_accuracy" not in scores["valid"]["metrics"]  # of two classes it is 1 whatever a model says
    assert scores["test"]["examples"] == 20
    assert np.sum(scores["test"]["confusion"]) == 20
    assert run.summary()["test"]["accuracy"] == scores["test"]["metrics"]["accuracy"]


def test_a_metric_for_another_kind_of_task_is_refused_with_those_that_fit(tmp_path):
    rows = [{"text": each["text"], "label": "good" if each["praise"] else "bad"} for each in reviews(20)]
    with pytest.raises(UsageError, match=r"rmse is for regression, and this is classification; --metric takes .*f1"):
        quick_fit(tmp_path / "run", write(tmp_path / "reviews.jsonl", rows), metric="rmse")


def test_a_component_for_other_data_that_is_asked_for_is_refused(tmp_path):
    rows = [{"text": each["text"], "label": "good" if each["praise"] else "bad"} for each in reviews(20)]
    with pytest.raises(UsageError, match="--use augmenter:jitter: it is for series, this is text"):
        quick_fit(tmp_path / "run", write(tmp_path / "reviews.jsonl", rows), use=["augmenter:jitter"])
