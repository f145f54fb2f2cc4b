from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data.profile import Finding, Profile
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import (
    BundleEvaluated,
    BundleSaved,
    ComponentRefused,
    DataDescribed,
    EpochFinished,
    FindingMade,
    RunStarted,
    TrialFailed,
    TrialFinished,
    TrialPlanned,
    TrialStarted,
    TrialStopped,
)
from seedbed.core.search.history import History, Remaining
from seedbed.core.task import Task

CANDIDATE = Candidate({"architecture": "resnet", "lr": 0.1})


def started(trial=0, candidate=CANDIDATE, at=1.0):
    return TrialStarted(trial=trial, candidate=candidate, fidelity=Fidelity(epochs=3), at=at)


def epoch(score, *, trial=0, is_best=True, seconds=1.0):
    return EpochFinished(
        trial=trial,
        epoch=1.0,
        progress=0.5,
        train_loss=1.0,
        valid_loss=None,
        score=score,
        seconds=seconds,
        is_best=is_best,
        at=2.0,
    )


def finished(trial=0, score=0.9, at=9.0):
    return TrialFinished(trial=trial, score=score, seconds=7.5, epochs=3.0, steps=30, at=at)


def test_an_empty_history_knows_nothing():
    history = History()
    assert len(history) == 0
    assert history.running == history.scored == list(history) == []
    assert history.remaining == Remaining(seconds=None, trials=None)


def test_a_trial_is_followed_from_its_start_to_its_end():
    history = History([started(at=1.0)])
    trial = history.trials[0]
    assert (trial.status, trial.score, trial.seconds, trial.is_finished) == ("running", None, 0.0, False)
    assert history.running == [trial]

    plan = TrialPlanned(
        trial=0,
        device="cpu",
        precision="fp32",
        memory_format="nchw",
        batch_size=8,
        steps=30,
    )
    for event in (plan, epoch(0.7), epoch(0.6, is_best=False, seconds=2.0)):
        history.apply(event)
    trial = history.trials[0]
    assert trial.plan == plan
    assert len(trial.curve) == 2
    assert (trial.score, trial.seconds, trial.has_result) == (0.7, 2.0, True)

    history.apply(finished())
    trial = history.trials[0]
    assert (trial.status, trial.score, trial.seconds, trial.started, trial.ended) == (
        "finished",
        0.9,
        7.5,
        1.0,
        9.0,
    )
    assert history.running == []
    assert history.scored == [trial]


def test_the_score_of_an_unfinished_trial_is_that_of_its_kept_checkpoint():
    history = History([started(), epoch(0.5), epoch(0.8), epoch(0.3, is_best=False)])
    assert history.trials[0].score == 0.8


def test_a_stopped_trial_keeps_what_it_reached():
    history = History([started(at=1.0), epoch(0.5), TrialStopped(trial=0, reason="weak", at=4.0)])
    trial = history.trials[0]
    assert (trial.status, trial.reason, trial.score, trial.seconds) == ("stopped", "weak", 0.5, 3.0)
    assert history.scored == [trial]


def test_a_failed_trial_keeps_its_reason_and_traceback():
    history = History([started(), TrialFailed(trial=0, error="boom", traceback="line 1", at=2.0)])
    trial = history.trials[0]
    assert (trial.status, trial.reason, trial.traceback, trial.has_result) == (
        "failed",
        "boom",
        "line 1",
        False,
    )


def test_nothing_changes_a_trial_after_its_end():
    history = History([started(), epoch(0.5), finished()])
    before = history.trials[0]
    for event in (epoch(0.99), TrialFailed(trial=0, error="late"), TrialStopped(trial=0, reason="late")):
        history.apply(event)
    assert history.trials[0] == before


def test_events_of_trials_that_never_started_are_ignored():
    history = History([epoch(0.5, trial=4), finished(trial=4)])
    assert len(history) == 0


def test_a_trial_that_starts_again_begins_anew():
    history = History([started(at=1.0), epoch(0.5), started(at=6.0)])
    trial = history.trials[0]
    assert (trial.curve, trial.started, trial.status) == ((), 6.0, "running")


def test_only_a_candidate_that_the_run_itself_cut_short_may_come_again():
    one, two, three, four, new = (Candidate({"lr": lr}) for lr in (0.1, 0.2, 0.3, 0.4, 0.5))
    history = History(
        [
            *(started(number, each) for number, each in enumerate((one, two, three, four))),
            TrialStopped(trial=0, reason="weak"),
            TrialFailed(trial=1, error="boom"),
            TrialStopped(trial=2, reason="interrupted", resumable=True),
        ]
    )
    tried = [history.tried(each.values) for each in (one, two, three, four, new)]
    assert tried == [True, True, False, True, False]


def test_what_the_run_itself_told_is_kept():
    task = Task(modality="image", kind="classification", classes=("a", "b"), metric="accuracy")
    profile = Profile(
        task=task,
        examples=4,
        train=2,
        valid=2,
        test=0,
        height=8,
        width=8,
        channels=1,
        mean=(0.5,),
        std=(0.5,),
    )
    run = RunStarted(version="1", source="x", seed=0)
    finding = Finding(check="empty", severity="warning", evidence="one class is empty")
    refused = ComponentRefused(kind="architecture", name="big", reason="the images are small")
    first, second = (BundleSaved(trials=(n,), weights=(1.0,), score=n / 2, at=10.0 + n) for n in (0, 1))
    scored = BundleEvaluated(part="test", metrics={"accuracy": 0.9}, examples=10, at=12.0)
    again = replace(run, resumed=True, at=3.0)
    history = History(
        [
            run,
            DataDescribed(profile=profile),
            FindingMade(finding=finding),
            refused,
            first,
            second,
            scored,
            again,
        ]
    )
    assert history.started == run
    assert history.profile == profile
    assert history.findings == [finding]
    assert history.refusals == [refused]
    assert (history.bundle, history.first_bundle_at) == (second, 10.0)
    assert history.evaluation == scored
    assert history.seconds == 12.0


STORY = st.lists(
    st.one_of(
        st.builds(started, st.integers(0, 3)),
        st.builds(lambda trial, score: epoch(score, trial=trial), st.integers(0, 3), st.floats(0, 1)),
        st.builds(finished, st.integers(0, 3), st.floats(0, 1)),
        st.builds(TrialStopped, trial=st.integers(0, 3), reason=st.just("weak")),
        st.builds(TrialFailed, trial=st.integers(0, 3), error=st.just("boom")),
    ),
    max_size=12,
)


@given(STORY, st.integers(0, 12))
def test_replaying_a_journal_gives_the_same_history_as_living_it(events, cut):
    resumed = History(events[:cut])
    for event in events[cut:]:
        resumed.apply(event)
    assert resumed.trials == History(events).trials


@given(STORY)
def test_every_trial_is_either_running_or_ended_and_scores_only_with_a_result(events):
    for trial in History(events):
        assert trial.is_finished == (trial.ended is not None)
        assert trial.result is not None or (trial.score is not None) == trial.has_result
