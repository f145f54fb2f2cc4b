from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.api import open_registry
from seedbed.core.search.events import TrialStarted
from seedbed.core.search.history import History
from seedbed.core.space import Choice, Param, Space

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def load_benchmark(name):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return import_module(name)


regularisation, few_images = load_benchmark("regularisation"), load_benchmark("few_images")
Outcome, Point = regularisation.Outcome, few_images.Point

LABELS = np.repeat(np.arange(10), 700)


def summary(candidate=None, kept=(1,), test=0.88, role="candidate"):
    rows = [{"trial": 0, "role": "baseline", "score": 0.8}, {"trial": 1, "role": role, "score": candidate}]
    return {"leaderboard": rows, "best": {"trials": list(kept)}, "test": {"accuracy": test}}


# regularisation


def test_rows_are_drawn_in_equal_numbers_of_each_class_and_apart():
    train, valid = regularisation.draw(LABELS, 300, seed=0)
    assert np.bincount(LABELS[train]).tolist() == [30] * 10
    assert np.bincount(LABELS[valid]).tolist() == [500] * 10
    assert not set(train) & set(valid)


def test_a_seed_draws_the_same_rows_again_and_another_seed_others():
    first, again, other = (regularisation.draw(LABELS, 300, seed)[0].tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_more_rows_than_there_are_is_refused_with_the_most():
    with pytest.raises(SystemExit, match="there are 2000"):
        regularisation.draw(LABELS, 2_010, seed=0)


def test_every_arm_is_tuned_by_as_many_settings():
    assert len({len(arm.settings) for arm in regularisation.ARMS}) == 1


@pytest.mark.parametrize("arm", regularisation.ARMS, ids=lambda arm: arm.name)
def test_what_an_arm_pins_are_options_that_there_are(arm):
    registry = open_registry(installed=False)
    names = {**regularisation.COMMON, **arm.pinned, **{name: 0 for each in arm.settings for name in each}}
    for path in names:
        kind, *component = path.split(".")
        if len(component) == 2:
            assert component[1] in registry.get(kind, component[0]).options.__dataclass_fields__
    assert all(registry.get("regularizer", each) for each in arm.regularizers)


def test_the_strategy_proposes_one_candidate_of_so_many_epochs():
    registry = open_registry([regularisation.once(12.0)], installed=False)
    spec = registry.get("strategy", "once")
    space = Space((Param("batch_size", Choice(32, 64), 64),))
    strategy = registry.load(spec)(spec.options(), space, None)
    proposal = strategy.propose(History(), None)
    assert (dict(proposal.candidate.values), proposal.fidelity.epochs) == ({"batch_size": 64}, 12.0)
    tried = History([TrialStarted(trial=0, candidate=proposal.candidate, fidelity=proposal.fidelity)])
    assert strategy.propose(tried, None) is None


def test_the_scores_are_those_of_the_net():
    found = regularisation.scores_of(summary(candidate=0.9))
    assert (found.valid, found.test) == (0.9, 0.88)


def test_a_test_score_of_the_baseline_is_not_taken_for_the_net_s():
    found = regularisation.scores_of(summary(candidate=0.7, kept=(0,)))
    assert (found.valid, found.test) == (0.7, None)


def test_the_best_setting_is_chosen_and_a_diverged_one_never():
    arm, slow, fast = regularisation.ARMS[0], {"lr": 0.01}, {"lr": 0.1}
    assert regularisation.best_of(arm, [(0.8, slow), (0.9, fast)]) == fast
    assert regularisation.best_of(arm, [(0.8, slow), (None, fast)]) == slow
    with pytest.raises(SystemExit, match="none can be trained"):
        regularisation.best_of(arm, [(None, slow)])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=5, unique=True))
def test_errors_fall_only_in_their_order(errors):
    falling = sorted(errors, reverse=True)
    assert regularisation.falls(falling)
    assert not regularisation.falls(falling[::-1])
    assert not regularisation.falls([*falling, falling[-1]])


def test_the_table_says_of_each_seed_and_of_the_mean_whether_the_order_holds():
    outcomes = [
        Outcome(arm="none", settings={"optimizer.sgd.lr": 0.01}, errors=(0.16, 0.14)),
        Outcome(arm="L2", settings={"optimizer.sgd.lr": 0.1, "regularizer.l2.strength": 1e-4}, errors=(0.13, 0.15)),
    ]
    lines = regularisation.table(outcomes, [0, 7]).splitlines()
    assert lines[0] == "| arm | settings chosen | seed 0 | seed 7 | mean | spread |"
    assert lines[2] == "| none | lr 0.01 | 16.00% | 14.00% | 15.00% | 2.00% |"
    assert lines[3] == "| L2 | lr 0.1, strength 0.0001 | 13.00% | 15.00% | 14.00% | 2.00% |"
    assert lines[-1] == "none > L2? seed 0: yes, seed 7: no, mean: yes."


def test_an_arm_that_learnt_less_than_a_linear_model_breaks_the_order():
    outcomes = [
        Outcome(arm="none", settings={}, errors=(0.16,)),
        Outcome(arm="L2", settings={}, errors=(float("nan"),)),
    ]
    lines = regularisation.table(outcomes, [0]).splitlines()
    assert lines[3] == "| L2 |  | worse than linear | worse than linear | worse than linear |"
    assert lines[-1] == "none > L2? seed 0: no, mean: no."


# few_images


@pytest.fixture
def folder(tmp_path):
    def made(*parts, count=10):
        for part in parts:
            for name in ("cat", "dog"):
                below = tmp_path / part / name / "deep"
                below.mkdir(parents=True)
                (below / "notes.txt").touch()
                for number in range(count):
                    (below / f"{number}.png").touch()
        return tmp_path

    return made


def test_parts_that_are_there_are_kept(folder):
    pool = few_images.pool_of(folder("train", "test"))
    assert {path.parts[-4] for files in pool.train.values() for path in files} == {"train"}
    assert [len(files) for files in pool.test.values()] == [10, 10]


def test_a_fifth_of_each_class_is_set_apart_and_always_the_same(folder):
    root = folder("")
    pool = few_images.pool_of(root)
    assert {name: len(files) for name, files in pool.test.items()} == {"cat": 2, "dog": 2}
    assert not {*pool.train["cat"]} & {*pool.test["cat"]}
    assert pool == few_images.pool_of(root)


@given(st.integers(0, 5), st.integers(1, 10), st.integers(1, 10))
def test_smaller_draws_are_parts_of_larger_ones(seed, one, other):
    files = {"cat": [Path(f"{number}.png") for number in range(10)]}
    fewer, more = (few_images.draw(files, count, seed)["cat"] for count in sorted((one, other)))
    assert more[: len(fewer)] == fewer
    assert len(set(more)) == max(one, other)


def test_a_class_with_too_few_images_is_named():
    with pytest.raises(SystemExit, match="The class dog has 1 training images, fewer than 2"):
        few_images.draw({"cat": [Path("1.png")] * 2, "dog": [Path("1.png")]}, 2, seed=0)


def test_a_table_has_a_row_for_each_file():
    found = few_images.columns({"cat": [Path("a.png")], "dog": [Path("b.png")]}, {"cat": [Path("c.png")]})
    assert [Path(each).name for each in found["image"]] == ["a.png", "b.png", "c.png"]
    assert found["label"] == ["cat", "dog", "cat"]
    assert found["part"] == ["train", "train", "test"]


def test_a_point_tells_when_the_baseline_was_kept():
    net = few_images.point_of(summary(candidate=0.9), 5, "probe", 0)
    baseline = few_images.point_of(summary(candidate=0.7, kept=(0,)), 5, "probe", 0)
    assert (net.accuracy, net.is_baseline, baseline.is_baseline) == (0.88, False, True)


def test_the_table_tells_what_is_missing():
    points = [
        Point(count=10, policy="probe", seed=0, accuracy=0.5),
        Point(count=10, policy="probe", seed=1, accuracy=0.7, is_baseline=True),
        Point(count=5, policy="scratch", seed=0, accuracy=None),
    ]
    lines = few_images.table(points).splitlines()
    assert lines[2] == "| 5 | - (1 of 1 without a score) | - | - |"
    assert lines[3] == "| 10 | - | 0.600 (0.500 to 0.700, 1 of 2 the linear baseline) | - |"


@pytest.mark.parametrize(
    ("budget", "words"), [({"seconds": 60.0}, "60 s"), ({"trials": 1}, "1 candidate"), ({"trials": 2}, "2 candidates")]
)
def test_a_budget_is_told_in_words(budget, words):
    assert str(few_images.Budget(**budget)) == words
