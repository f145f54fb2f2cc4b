from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_study import (
    BASELINE,
    PROFILE,
    Counting,
    Scene,
    fails,
    finished,
    finishes,
    ignores_everything,
    look,
    obeys,
    obeys_or_finishes,
)

from seedbed.core.search.budget import Budget
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import TrialFinished, TrialStarted
from seedbed.core.search.history import History
from seedbed.core.search.study import SHORTEST_SECONDS, seed_of
from seedbed.core.space import Choice, Float, Param, Space


@pytest.fixture
def scene(tmp_path):
    return lambda **parts: Scene(tmp_path, **parts)


def test_baselines_come_first_and_do_not_count_as_trials(scene):
    found = scene(budget=Budget(trials=2), baselines=(BASELINE,))
    found.run()
    assert [(trial.role, trial.status) for trial in found.history] == [
        ("baseline", "finished"),
        ("candidate", "finished"),
        ("candidate", "finished"),
    ]
    assert found.history.trials[0].candidate == BASELINE
    assert found.backend.jobs[0].fidelity == Fidelity(epochs=1)
    assert [job.is_yardstick for job in found.backend.jobs] == [True, False, False]


@pytest.mark.parametrize(("seconds", "granted"), [(210, 20.0), (100, 10.0), (25, 5.0)])
def test_a_baseline_gets_a_tenth_of_the_time_and_of_little_a_third_at_most(scene, seconds, granted):
    found = scene(budget=Budget(seconds=seconds, reserve=10), baselines=(BASELINE,), strategy=Counting(count=0))
    found.run()
    assert found.backend.jobs[0].fidelity == Fidelity(epochs=1, seconds=granted)


def test_a_baseline_that_an_earlier_session_finished_is_not_run_again(scene):
    done = History(
        [
            TrialStarted(trial=0, candidate=BASELINE, fidelity=Fidelity(epochs=1), role="baseline"),
            TrialFinished(trial=0, score=0.5, seconds=1, epochs=1, steps=1),
        ]
    )
    found = scene(budget=Budget(trials=1), baselines=(BASELINE,), history=done)
    found.run()
    assert [job.trial for job in found.backend.jobs] == [1]
    assert found.history.trials[1].role == "candidate"


def test_the_number_of_trials_is_respected_even_with_more_slots(scene):
    found = scene(budget=Budget(trials=5), slots=3)
    assert found.run() == "the budget is spent"
    assert len(found.history) == 5


def test_failed_trials_count_and_do_not_end_the_study(scene):
    found = scene(budget=Budget(trials=3), script=fails)
    assert found.run() == "the budget is spent"
    assert [trial.status for trial in found.history] == ["failed"] * 3
    assert found.results == []


def test_a_strategy_with_nothing_more_to_say_ends_the_study(scene):
    assert scene(budget=Budget(trials=9), strategy=Counting(count=2)).run() == "nothing is left to try"


def test_a_strategy_that_finds_nothing_for_the_time_left_ends_the_study(scene):
    found = scene(budget=Budget(seconds=100), strategy=Counting(count=2))
    assert found.run() == "no further trial fits into the time left"


def test_a_strategy_may_wait_for_what_still_runs(scene):
    class Patient(Counting):
        def propose(self, history, rng):
            return None if history.running else super().propose(history, rng)

    found = scene(budget=Budget(trials=3), strategy=Patient(), slots=2)
    found.run()
    assert len(found.history) == 3


def test_all_slots_are_filled(scene):
    found = scene(budget=Budget(trials=4), slots=2)
    found.run()
    assert [type(event).__name__ for event in found.events][:2] == ["TrialStarted"] * 2


class Wide(Counting):
    """Its second candidate is for all GPUs."""

    def propose(self, history, rng):
        found = super().propose(history, rng)
        return found and replace(found, wide=found.candidate.values["n"] == 1)


@pytest.mark.parametrize("gpus", [1, 4])
def test_a_wide_proposal_goes_over_all_gpus_that_the_backend_has(scene, gpus):
    found = scene(strategy=Wide(count=3), budget=Budget(trials=3))
    found.backend.gpus = gpus
    found.run()
    assert [job.processes for job in found.backend.jobs] == [1, gpus, 1]
    assert [trial.processes for trial in found.history] == [1, gpus, 1]


def test_the_time_of_a_proposal_is_cut_to_what_is_left(scene):
    found = scene(budget=Budget(seconds=10, reserve=2), at=3.0, strategy=Counting(count=1, seconds=60))
    found.run()
    assert found.backend.jobs[0].fidelity == Fidelity(epochs=5, seconds=5.0)


def test_a_proposal_without_a_time_limit_gets_what_is_left(scene):
    found = scene(budget=Budget(seconds=10, reserve=2), strategy=Counting(count=1))
    found.run()
    assert found.backend.jobs[0].fidelity == Fidelity(epochs=5, seconds=8.0)


def test_without_a_time_budget_a_proposal_stays_as_it_is(scene):
    found = scene(budget=Budget(trials=1))
    found.run()
    assert found.backend.jobs[0].fidelity == Fidelity(epochs=5)
    assert found.backend.jobs[0].not_after is None


@pytest.mark.parametrize(("left", "started"), [(SHORTEST_SECONDS - 0.1, 0), (SHORTEST_SECONDS + 0.1, 1)])
def test_nothing_starts_with_less_than_half_a_second_left(scene, left, started):
    found = scene(budget=Budget(seconds=10, reserve=2), at=8 - left, baselines=(BASELINE,))
    assert found.run() == "the budget is spent"
    assert len(found.history) == started


def test_the_strategy_sees_what_is_left(scene):
    found = scene(budget=Budget(seconds=100, trials=2, reserve=10), at=20.0, strategy=Counting(count=1))
    found.run()
    assert (found.strategy.left[0].seconds, found.strategy.left[0].trials) == (70.0, 2)


def test_a_trials_seed_depends_on_the_studys_seed_and_its_number_alone(scene):
    def seeds(**parts):
        found = scene(budget=Budget(trials=4), **parts)
        found.run()
        return {job.trial: job.seed for job in found.backend.jobs}

    one = seeds(seed=3)
    assert one == seeds(seed=3, slots=3) == {trial: seed_of(3, trial) for trial in range(4)}
    assert one == seeds(seed=3, strategy=Counting(seconds=9), script=fails, tick=0.1)
    assert not set(one.values()) & set(seeds(seed=4).values())
    assert all(0 <= seed < 2**63 for seed in one.values())


def test_the_random_state_of_a_proposal_depends_on_the_seed_and_the_history_alone(scene):
    def draws(seed, tick):
        found = scene(budget=Budget(trials=3), seed=seed, tick=tick)
        found.run()
        return found.strategy.draws

    assert draws(1, 1.0) == draws(1, 7.0)
    assert draws(1, 1.0) != draws(2, 1.0)
    assert len(set(draws(1, 1.0))) == 3


def test_a_job_is_made_of_absolute_names_and_the_candidate_with_its_versions(scene, tmp_path):
    found = scene(budget=Budget(trials=2))
    found.run()
    job = found.backend.jobs[1]
    assert job.candidate == Candidate({"n": 1}, {"n:1": 7})
    assert Path(job.folder) == tmp_path / "trials" / "0001"
    assert (job.data, job.rows_after) == (str(tmp_path), PROFILE.test)
    assert found.history.trials[1].candidate == job.candidate


def test_every_new_best_and_every_end_is_told(scene):
    def improves(job, is_stopped):
        yield look(job, 0.5)
        yield look(job, 0.4, is_best=False)
        yield look(job, 0.6)
        yield finished(job)

    found = scene(budget=Budget(trials=1), script=improves)
    found.run()
    assert found.results == [0, 0, 0]


def test_a_result_is_told_after_its_event_is_in_the_history(scene):
    found = scene(budget=Budget(trials=1))
    seen = []
    found.study.on_result = lambda number: seen.append(found.history.trials[number].score)
    found.run()
    assert seen == [0.5, 0.5]


def test_a_trial_that_the_strategy_gives_up_is_stopped_and_its_result_kept(scene):
    found = scene(budget=Budget(trials=2), strategy=Counting(stops={0}), script=obeys)
    found.cancel_at = 10
    found.run()
    assert found.backend.stopped[0] == 0
    assert (found.history.trials[0].status, found.history.trials[0].has_result) == ("stopped", True)


def test_a_trial_that_is_not_to_be_stopped_goes_on(scene):
    found = scene(budget=Budget(trials=2), strategy=Counting(stops={9}))
    found.run()
    assert found.backend.stopped == []


def test_a_baseline_is_not_the_strategys_to_stop(scene):
    found = scene(budget=Budget(trials=1), baselines=(BASELINE,), strategy=Counting(stops={0}))
    found.backend.script = obeys_or_finishes
    found.run()
    assert [(trial.role, trial.status) for trial in found.history] == [
        ("baseline", "finished"),
        ("candidate", "finished"),
    ]


def test_an_interrupted_study_keeps_what_was_reached(scene):
    found = scene(budget=Budget(trials=9), script=obeys, slots=2)
    found.cancel_at = 3
    assert found.run() == "interrupted"
    assert sorted(found.backend.stopped) == [0, 1]
    assert [(t.status, t.reason, t.has_result) for t in found.history] == [
        ("stopped", "the run was interrupted", True)
    ] * 2


def test_a_study_that_is_cancelled_before_it_begins_starts_nothing(scene):
    found = scene(budget=Budget(trials=9), baselines=(BASELINE,))
    found.cancel_at = 0
    assert found.run() == "interrupted"
    assert found.backend.jobs == []


def test_a_trial_that_ignores_its_limit_is_given_up_and_the_study_ends(scene):
    found = scene(budget=Budget(seconds=20, reserve=2), script=ignores_everything)
    assert found.run() == "the budget is spent"
    assert found.history.trials[0].status == "failed"
    assert "ignored its time limit" in found.history.trials[0].reason
    assert found.backend.stopped == [0]
    assert found.clock.at < 25


def test_a_trial_within_its_limit_is_left_alone(scene):
    found = scene(budget=Budget(seconds=20, reserve=2), script=finishes, tick=9.0, strategy=Counting(count=1))
    found.run()
    assert found.backend.stopped == []
    assert found.history.trials[0].status == "finished"


def test_a_backend_without_a_free_slot_for_a_moment_does_not_end_the_study(scene):
    found = scene(budget=Budget(trials=3))
    free = found.backend.free_slots
    found.backend.free_slots = lambda: 0 if 4 <= found.clock.at < 6 else free()
    assert found.run() == "the budget is spent"
    assert len(found.history) == 3


@pytest.mark.parametrize(("seconds", "grace"), [(None, 10.0), (5.0, 10.0)])
def test_without_a_time_budget_a_late_trial_is_borne_with(scene, seconds, grace):
    found = scene(budget=Budget(trials=1), strategy=Counting(seconds=seconds))
    found.run()
    assert found.backend.jobs[0].grace == grace


def test_a_trial_with_which_the_run_ends_may_hardly_be_late(scene):
    found = scene(budget=Budget(seconds=60, reserve=2), strategy=Counting(count=1, seconds=60))
    found.run()
    assert found.backend.jobs[0].grace == 0.6


def test_a_short_trial_early_in_the_run_may_be_late(scene):
    found = scene(budget=Budget(seconds=60, reserve=2), strategy=Counting(count=1, seconds=3))
    found.run()
    assert found.backend.jobs[0].grace == 5.0


class Tuning(Counting):
    """Proposes two candidates that were fine-tuned from the same weights."""

    def propose(self, history, rng):
        found = super().propose(history, rng)
        tuned = {"architecture": "net", "policy": "head_then_all", "weights": "w"}
        return None if found is None else replace(found, candidate=Candidate({**tuned, **found.candidate.values}))


def tuning_scene(scene, **parts):
    space = Space(
        (
            *(Param(name, Choice(value), value) for name, value in (("architecture", "net"), ("weights", "w"))),
            Param("policy", Choice("head_then_all"), "head_then_all"),
            Param("n", Float(0, 1000), 0.0),
        )
    )
    found = scene(strategy=Tuning(count=2), **parts)
    found.study.composition = replace(found.study.composition, space=space)
    return found


def test_when_nothing_is_left_to_try_the_weights_of_what_fits_together_are_averaged(scene):
    found = tuning_scene(scene, budget=Budget(trials=5))
    found.run()
    last = found.backend.jobs[-1]
    assert [Path(each).name for each in last.ingredients] == ["0000", "0001"]
    assert found.history.trials[2].ingredients == (0, 1)
    assert len(found.backend.jobs) == 3  # and no soup of the soup


def test_there_is_no_soup_where_its_time_is_over(scene):
    found = tuning_scene(scene, budget=Budget(seconds=6.5, reserve=1.0))
    found.run()
    assert all(not job.ingredients for job in found.backend.jobs)
