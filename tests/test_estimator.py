from __future__ import annotations

import inspect

import numpy as np
import pytest
from quick_runs import surroundings
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score

import seedbed
from seedbed import AutoML
from seedbed.core.errors import DataError, UsageError


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")), pytest.MonkeyPatch.context() as patch:
        # The default strategy trains for dozens of epochs where no time is given: six will do here.
        patch.setattr("seedbed.plugins.strategies.fidelity.full_epochs", lambda values, profile: 6.0)
        yield


@pytest.fixture(scope="module")
def digits():
    found = load_digits()
    return found.images[:600] / 16, found.target[:600]


def estimator(out=None, **more):
    return AutoML(trials=1, backend="inline", offline=True, out=out, **more)


@pytest.fixture(scope="module")
def fitted(digits, tmp_path_factory):
    inputs, targets = digits
    return estimator(tmp_path_factory.mktemp("runs") / "run").fit(inputs[:500], targets[:500])


def test_fit_returns_the_estimator_which_predicts_labels_of_their_own_type(fitted, digits):
    inputs, targets = digits
    assert isinstance(fitted, AutoML)
    found = fitted.predict(inputs[500:])
    assert (found.shape, found.dtype) == ((100,), targets.dtype)
    assert fitted.score(inputs[500:], targets[500:]) == (found == targets[500:]).mean() > 0.8


def test_probabilities_stand_in_the_order_of_the_classes(fitted, digits):
    inputs, _ = digits
    found = fitted.predict_proba(inputs[500:])
    assert fitted.classes_.tolist() == list(range(10))
    assert found.sum(1) == pytest.approx(np.ones(100), abs=1e-5)
    assert (fitted.classes_[found.argmax(1)] == fitted.predict(inputs[500:])).all()


def test_the_run_and_its_model_are_at_hand(fitted):
    assert fitted.run_.history.bundle is not None
    assert fitted.model_ is fitted.run_.best


def test_labels_that_sort_otherwise_as_text_keep_their_order(tmp_path):
    rng = np.random.default_rng(0)
    lows = {2: 0, 10: 80, 100: 160}
    targets = np.repeat(list(lows), 20)
    inputs = np.stack([rng.integers(lows[each], lows[each] + 60, (10, 10), dtype=np.uint8) for each in targets])
    found = estimator(tmp_path / "run").fit(inputs, targets)
    assert found.classes_.tolist() == [2, 10, 100]
    assert found.score(inputs, targets) > 0.9


def test_the_options_are_those_of_the_constructor():
    options = {name for name in inspect.signature(AutoML.__init__).parameters if name != "self"}
    assert AutoML().get_params().keys() == options


def test_every_option_is_one_of_fit():
    fit = inspect.signature(seedbed.start).parameters
    assert AutoML().get_params().keys() <= fit.keys()
    for name, value in AutoML().get_params().items():
        assert fit[name].default == value


def test_options_round_trip_through_set_params():
    found = AutoML().set_params(time="2m", seed=3)
    assert (found.time, found.seed) == ("2m", 3)
    assert AutoML(**found.get_params()).get_params() == found.get_params()


def test_an_unknown_option_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match=r"no option 'tiem'; it has time"):
        AutoML().set_params(tiem=3)


def test_scikit_learn_can_clone_it():
    found = AutoML(time="2m", plugins=("a", "b"), seed=7)
    copy = clone(found)
    assert copy is not found
    assert copy.get_params() == found.get_params()


def test_a_clone_of_a_fitted_estimator_has_learnt_nothing(fitted):
    assert not hasattr(clone(fitted), "model_")


def test_scikit_learn_knows_it_for_a_classifier():
    assert is_classifier(AutoML())


@pytest.mark.slow
def test_scikit_learn_can_cross_validate_it(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs, targets = digits
    # With fewer rows each candidate would be judged over folds, which takes six trainings in place of one.
    assert cross_val_score(estimator(), inputs[:500], targets[:500], cv=2).min() > 0.5


TEXTS = [f"day {number}: a {'splendid' if number % 2 else 'dreadful'} plot all the way" for number in range(30)]
WORDS = np.array(["bad", "good"] * 15)


def waves(rows=32, seed=0):
    """Series (T,) of several lengths, of which every second one goes faster."""
    rng = np.random.default_rng(seed)
    paces = 0.3 + np.arange(rows) % 2
    return [np.sin(np.arange(rng.integers(14, 20)) * pace + rng.uniform(0, 6)) for pace in paces]


def test_a_list_of_texts_is_learnt_and_predicted(tmp_path):
    found = estimator(tmp_path / "run", threads=1).fit(TEXTS, WORDS)
    assert found.run_.history.profile.task.modality == "text"
    assert found.classes_.tolist() == ["bad", "good"]
    assert found.predict(["a splendid plot", "what a dreadful plot"]).tolist() == ["good", "bad"]
    assert found.predict_proba(TEXTS[:3]).shape == (3, 2)
    assert found.score(TEXTS, WORDS) > 0.9


@pytest.mark.parametrize("form", ["list of (T,)", "array (N, T, 1)"])
def test_series_are_learnt_and_predicted(form, tmp_path):
    series = waves() if "list" in form else np.stack([each[:14, None] for each in waves()])
    targets = np.arange(32) % 2
    found = estimator(tmp_path / "run", threads=1).fit(series[:24], targets[:24])
    profile = found.run_.history.profile
    assert (profile.task.modality, profile.channels, profile.lengths.least) == ("series", 1, 14)
    assert found.predict(series[24:]).dtype == targets.dtype
    assert found.score(series[24:], targets[24:]) > 0.8


def test_flat_rows_of_features_are_refused_with_a_way_out(tmp_path):
    with pytest.raises(DataError, match="reshape"):
        estimator(tmp_path / "run").fit(np.zeros((10, 64)), [0, 1] * 5)


def test_inputs_and_targets_must_be_of_one_length(tmp_path):
    with pytest.raises(DataError, match="10 inputs but 9 targets"):
        estimator(tmp_path / "run").fit(np.zeros((10, 8, 8)), [0] * 9)
