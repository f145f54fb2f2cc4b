from __future__ import annotations

import logging
import random
import subprocess
import sys
from dataclasses import replace

import msgspec
import pytest
from core.search.spaces import composed
from core.search.spaces import profile as image_profile
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.profile import Lengths, Profile
from seedbed.core.search import experience_store
from seedbed.core.search.candidate import Candidate, Cut, Fidelity
from seedbed.core.search.events import DataDescribed, TrialFailed, TrialFinished, TrialPlanned, TrialStarted
from seedbed.core.search.experience import Cost, Experience, Facts, Machine, Prior, RunRecord, Tried, fitted
from seedbed.core.search.experience_store import recall, record_of, remember, store_file
from seedbed.core.search.history import History
from seedbed.core.space import Choice, Condition, Float, Int, Param, Space
from seedbed.core.task import Task
from seedbed.doctor import experience_health

HERE = Machine(cores=2, threads=2, device="auto")
SPACE = Space(
    (
        Param("architecture", Choice("net", "other"), "net"),
        Param("policy", Choice("scratch", "probe"), "scratch"),
        Param("lr", Float(1e-5, 1e-1, log=True), 1e-3, (Condition("policy", ("scratch",)),)),
        Param("layers", Int(1, 100), 10, (Condition("policy", ("scratch",)),)),
        Param("resolution", Choice(16, 32, 64), 32),
    )
)
NET = {"architecture": "net", "policy": "scratch", "lr": 1e-3, "layers": 10, "resolution": 32}
OTHER = {**NET, "architecture": "other"}


def profile(
    rows=1000, size=32, *, fingerprint="digits", direction="max", kind="classification", modality="image", **more
):
    classes = ("secret cat", "secret dog") if kind != "regression" else ()
    return Profile(
        task=Task(modality=modality, kind=kind, metric="accuracy", direction=direction, classes=classes),
        examples=rows + 200,
        train=rows,
        valid=200,
        test=0,
        height=size,
        width=size,
        channels=1,
        class_counts=(rows // 2, rows - rows // 2) if classes else (),
        fingerprint=fingerprint,
        **more,
    )


def tried(values=None, *, score=0.9, rank=1, beats_baseline=True, versions=None, seconds=10.0):
    return Tried(
        values=NET if values is None else values,
        versions=versions or {},
        score=score,
        rank=rank,
        seconds=seconds,
        epochs=10.0,
        fidelity=Fidelity(epochs=10.0),
        beats_baseline=beats_baseline,
    )


def record(*found, of=None, run="1", costs=(), machine=HERE, trained_on="cpu"):
    facts = Facts.of(of or profile())
    return RunRecord(
        run=run,
        version="0",
        facts=facts,
        machine=machine,
        trained_on=trained_on,
        tried=tuple(found),
        costs=tuple(costs),
    )


def history(*trials, of=None):
    """`trials` are (values, role, score, seconds), or None for one that failed."""
    found = History([DataDescribed(profile=of or profile())])
    for number, trial in enumerate(trials):
        values, role, score, seconds = trial or (NET, "candidate", 0.0, 0.0)
        fidelity = Fidelity(epochs=10.0, cuts=(Cut(progress=0.5, score=0.1),))
        found.apply(TrialStarted(trial=number, candidate=Candidate(values, {"a:b": 1}), fidelity=fidelity, role=role))
        if trial is None:
            found.apply(TrialFailed(trial=number, error="/home/secret/x.png: no"))
            continue
        plan = TrialPlanned(
            trial=number, device="cuda:0", precision="float32", memory_format="", batch_size=8, steps=None
        )
        found.apply(plan)
        found.apply(TrialFinished(trial=number, score=score, seconds=seconds, epochs=10.0, steps=5))
    return found


def ask(*records, machine=HERE):
    return Experience(records, machine)


# What a run leaves


def test_what_is_kept_of_a_run_are_its_best_trials_and_what_an_epoch_took():
    found = record_of(
        history(
            ({"architecture": "pixels", "policy": "probe"}, "baseline", 0.6, 1.0),
            (NET, "candidate", 0.7, 20.0),
            None,
            (OTHER, "candidate", 0.5, 30.0),
            ({**NET, "lr": 0.01}, "candidate", 0.8, 40.0),
        ),
        HERE,
        "1.2",
    )
    assert [(each.score, each.rank, each.beats_baseline) for each in found.tried] == [
        (0.8, 1, True),
        (0.7, 2, True),
        (0.5, 3, False),
    ]
    costs = {(each.architecture, each.policy): (each.seconds, each.resolution, each.count) for each in found.costs}
    assert costs == {
        ("pixels", "probe"): (0.1, 32, 1),
        ("net", "scratch"): (3.0, 32, 2),
        ("other", "scratch"): (3.0, 32, 1),
    }
    assert (found.version, found.machine, found.trained_on) == ("1.2", HERE, "cuda")
    assert found.tried[0].fidelity == Fidelity(epochs=10.0)  # bars are of that run alone


def test_of_errors_the_least_is_the_best():
    trials = (({}, "baseline", 0.6, 1.0), (NET, "candidate", 0.7, 20.0), (OTHER, "candidate", 0.5, 30.0))
    found = record_of(history(*trials, of=profile(direction="min")), HERE, "")
    assert [(each.score, each.beats_baseline) for each in found.tried] == [(0.5, True), (0.7, False)]


def test_a_winner_and_its_neighbours_do_not_take_all_the_places():
    trials = [({**NET, "layers": n}, "candidate", 0.9 - n / 1000, 5.0) for n in range(1, 9)]
    found = record_of(history(*trials, (OTHER, "candidate", 0.1, 5.0)), HERE, "")
    assert [each.values["architecture"] for each in found.tried] == ["net", "net", "other"]


@pytest.mark.parametrize("trials", [(), (None,), ((NET, "baseline", 0.5, 1.0),)])
def test_a_run_without_a_finished_candidate_leaves_nothing(trials):
    assert record_of(history(*trials), HERE, "") is None


def test_the_cost_is_that_of_all_rows_at_the_candidates_own_resolution():
    found = History([DataDescribed(profile=profile())])
    fidelity = Fidelity(epochs=10.0, subset=0.5, resolution=0.5)
    found.apply(TrialStarted(trial=0, candidate=Candidate(NET), fidelity=fidelity))
    found.apply(TrialFinished(trial=0, score=0.5, seconds=10.0, epochs=10.0, steps=5))
    (cost,) = record_of(found, HERE, "").costs
    assert (cost.seconds, cost.resolution) == (2.0, 16)
    assert cost.at(32).seconds == 8.0


# The store


def test_what_is_written_is_read_again_in_order(tmp_path):
    records = [record(tried(), of=profile(rows), run=str(rows), costs=[_cost()]) for rows in (10, 20, 30)]
    for each in records:
        remember(tmp_path, each)
    assert recall(tmp_path) == tuple(records)


def test_without_a_store_there_is_no_experience(tmp_path):
    assert recall(tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_resumed_counts_once(tmp_path):
    trials = ((NET, "candidate", 0.7, 20.0), (OTHER, "candidate", 0.9, 30.0))
    for count in (1, 2):
        remember(tmp_path, record_of(history(*trials[:count]), HERE, ""))
    (found,) = recall(tmp_path)
    assert [each.score for each in found.tried] == [0.9, 0.7]


WRITER = """
import sys
from pathlib import Path
from seedbed.core.search.experience_store import recall, remember
from dataclasses import replace
cache, name = Path(sys.argv[1]), sys.argv[2]
(first,) = recall(cache / "seed")
for number in range(60):
    remember(cache, replace(first, run=f"{name}-{number}"))
"""


def test_several_processes_write_at_once_and_no_line_is_lost(tmp_path):
    remember(tmp_path / "seed", record(tried(), tried(OTHER, rank=2), costs=[_cost()] * 9))
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, name]) for name in "abc"]
    assert [each.wait(60) for each in writers] == [0, 0, 0]
    assert {each.run for each in recall(tmp_path)} == {f"{name}-{n}" for name in "abc" for n in range(60)}


BROKEN = (
    b'{"run": "torn", "version": "0", "fac',
    b"\x00" * 40,
    b"[]",
    b"\xff\xfe",
    b'{"run": "x"}',
    msgspec.json.encode(record(tried())).replace(b'"rows":1000', b'"rows":-1'),
    msgspec.json.encode(record(tried())).replace(b'"rows":1000', b'"rows":1e99'),
    msgspec.json.encode(record(tried())).replace(b'"epochs":10.0,"seconds":null', b'"epochs":null,"seconds":null'),
)


@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_line_is_passed_over_and_costs_no_other(tmp_path, line, caplog):
    remember(tmp_path, record(run="before"))
    with store_file(tmp_path).open("ab") as file:
        file.write(line)  # without an end: its writer died
    remember(tmp_path, record(run="after"))
    with caplog.at_level(logging.WARNING):
        assert [each.run for each in recall(tmp_path)] == ["before", "after"]
    assert "1 lines" in caplog.text


def test_a_store_that_cannot_be_used_costs_no_run(tmp_path, caplog):
    (tmp_path / "experience").write_text("a file where a folder should be")
    with caplog.at_level(logging.WARNING):
        remember(tmp_path, record())
        assert recall(tmp_path) == ()
    assert "could not be written" in caplog.text


def test_the_oldest_runs_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(experience_store, "MOST_RUNS", 20)
    for number in range(50):
        remember(tmp_path, record(run=str(number)))
        assert len(recall(tmp_path)) <= 20
    found = [int(each.run) for each in recall(tmp_path)]
    assert found == list(range(50 - len(found), 50))
    assert len(found) >= 16
    assert [each.name for each in store_file(tmp_path).parent.iterdir()] == ["v1.jsonl"]


def test_the_store_does_not_outgrow_its_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(experience_store, "MOST_BYTES", 5_000)
    for number in range(40):
        remember(tmp_path, record(tried(), run=str(number)))
        assert store_file(tmp_path).stat().st_size <= 5_000
    assert recall(tmp_path)[-1].run == "39"


def test_nothing_tells_whose_data_it_was(tmp_path):
    """The class names, the content's fingerprint and a path that was set stay out of the file."""
    of = profile(fingerprint="fingerprint-of-secret", spellings={"secret Cat": "secret cat"})
    pinned = {**NET, "architecture.net.file": "/home/secret/weights.safetensors"}
    told = history((NET, "candidate", 0.7, 20.0), (pinned, "candidate", 0.9, 2.0), None, of=of)
    remember(tmp_path, record_of(told, HERE, "1"))
    content = store_file(tmp_path).read_text()
    assert '"score":0.7' in content
    assert "secret" not in content
    assert "/home" not in content


def test_the_doctor_says_where_the_experience_lies_and_how_much_there_is(tmp_path):
    assert "none yet" in experience_health(tmp_path).detail
    remember(tmp_path, record())
    found = experience_health(tmp_path)
    assert (found.status, str(store_file(tmp_path)) in found.detail, "1 run," in found.detail) == ("ok", True, True)


# Which data is alike

PROFILES = st.builds(
    profile,
    rows=st.integers(2, 10**6),
    size=st.sampled_from([0, 8, 32, 224]),
    modality=st.sampled_from(["image", "text", "series"]),
    kind=st.sampled_from(["classification", "regression"]),
    folds=st.sampled_from([0, 5]),
    lengths=st.none()
    | st.builds(Lengths, least=st.just(1), usual=st.integers(1, 9999), most=st.just(1), longest=st.just(1)),
)


@settings(max_examples=100, deadline=None)
@given(PROFILES, PROFILES)
def test_likeness_is_symmetrical_and_greatest_for_the_same_facts(one, other):
    here, there = (ask().likeness(one, record(of=each)) for each in (one, other))
    assert here == 1.0
    assert 0.0 <= there <= 1.0
    assert there == pytest.approx(ask().likeness(other, record(of=one)))
    if (one.task.modality, one.task.kind) != (other.task.modality, other.task.kind):
        assert there == 0.0


@settings(max_examples=100, deadline=None)
@given(PROFILES, st.integers(2, 10**6), st.integers(2, 10**6))
def test_data_is_the_less_alike_the_more_its_numbers_of_rows_differ(one, more, most):
    least = one.train
    near, far = least + more, least + more + most
    alike = [ask().likeness(one, record(of=replace(one, train=rows))) for rows in (least, near, far)]
    assert alike == sorted(alike, reverse=True)
    assert alike[0] > alike[2]


def test_another_modality_or_kind_of_task_says_nothing():
    found = ask(record(tried(), of=profile(modality="text")), record(tried(), of=profile(kind="regression")))
    assert found.candidates(profile(), SPACE, 5) == ()


# Which points are worth a try


def test_the_winners_on_like_data_come_before_those_on_other_data():
    near = record(tried(NET), of=profile(900, fingerprint="near"))
    far = record(tried(OTHER), of=profile(20_000, fingerprint="far"))
    for records in ((near, far), (far, near)):
        found = ask(*records).candidates(profile(), SPACE, 5)
        assert [each.values["architecture"] for each in found] == ["net", "other"]
        assert not any(each.is_same_data for each in found)


def test_what_won_on_the_very_same_data_comes_first_by_its_score():
    same = record(tried(NET, score=0.7), tried({**NET, "layers": 90}, score=0.6, rank=2), of=profile())
    again = record(tried(OTHER, score=0.9), of=profile())
    like = record(tried({**NET, "lr": 0.1}, score=1.0), of=profile(fingerprint="like"))
    found = ask(again, same, like, like).candidates(profile(), SPACE, 5)
    assert [each.is_same_data for each in found] == [True, True, True, False]
    assert found[0].values == OTHER
    assert found[1].values == NET


def test_of_errors_the_smaller_comes_first():
    of = profile(direction="min")
    found = ask(record(tried(NET, score=0.3), of=of), record(tried(OTHER, score=0.2), of=of)).candidates(of, SPACE, 5)
    assert [each.values for each in found] == [OTHER, NET]


def test_scores_by_another_metric_do_not_count_as_those_of_the_same_data():
    other = replace(profile(), task=replace(profile().task, metric="f1_macro"))
    (found,) = ask(record(tried(), of=other)).candidates(profile(), SPACE, 5)
    assert not found.is_same_data


def test_what_won_in_several_runs_is_told_once_with_their_number():
    records = [record(tried({**NET, "layers": 10 + n}), of=profile(900, fingerprint=str(n))) for n in range(3)]
    once = record(tried(OTHER), of=profile(900, fingerprint="x"))
    found = ask(*records, once).candidates(profile(), SPACE, 5)
    assert [(each.values["architecture"], each.count) for each in found] == [("net", 3), ("other", 1)]


def test_what_did_not_beat_its_baseline_is_no_winner():
    assert ask(record(tried(beats_baseline=False))).candidates(profile(), SPACE, 5) == ()


def test_a_component_that_has_changed_since_is_another():
    experience = ask(record(tried(versions={"optimizer:sgd": 1})))
    assert experience.candidates(profile(), SPACE, 5, {"optimizer:sgd": 2}) == ()
    assert len(experience.candidates(profile(), SPACE, 5, {"optimizer:sgd": 1})) == 1


def test_what_is_not_offered_gets_its_default_and_a_net_that_is_not_falls_away():
    assert fitted(SPACE, {**NET, "resolution": 128, "layers": 1000, "gone": 1}) == NET
    assert fitted(SPACE, {"architecture": "net", "policy": "scratch"}) == NET
    assert fitted(SPACE, {**NET, "architecture": "gone"}) is None
    pinned = Space((replace(SPACE.params[0], domain=Choice("net")), *SPACE.params[1:]))
    assert fitted(pinned, OTHER) is None


SMALL, LARGE = composed(), composed(of=image_profile(size=128, train=20_000))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8), st.integers(0, 6))
def test_every_candidate_is_a_point_of_the_space_and_no_other_is_equal(seeds, k):
    """The runs were on data of another form: some nets, sizes and options are not offered here."""
    points = [LARGE.space.sample(random.Random(seed)) for seed in seeds]
    past = image_profile(train=1000)
    records = [record(tried(values, rank=n + 1), of=past) for n, values in enumerate(points)]
    found = ask(*records).candidates(image_profile(), SMALL.space, k)
    assert len(found) <= k
    for number, each in enumerate(found):
        SMALL.space.validate(each.values)
        assert all(each.values != other.values for other in found[:number])


# What an epoch takes


def _cost(seconds=2.0, resolution=32, architecture="net"):
    return Cost(architecture=architecture, policy="scratch", seconds=seconds, resolution=resolution, count=4)


def seconds(found, values=NET, of=None):
    cost = found.expected_seconds(values, of or profile())
    return None if cost is None else (cost.seconds, cost.count)


def test_the_cost_of_an_epoch_grows_with_the_rows_and_the_pixels():
    found = ask(record(costs=[_cost()]))
    assert seconds(found) == (2.0, 1)
    assert seconds(found, of=profile(4000)) == (8.0, 1)
    assert seconds(found, {**NET, "resolution": 64}) == (8.0, 1)
    assert seconds(found, {"architecture": "net", "policy": "scratch"}, profile(size=16)) == (0.5, 1)


def test_several_runs_agree_on_the_median_at_one_resolution():
    costs = [_cost(2.0, 32), _cost(4 * 3.0, 64), _cost(100.0, 32)]
    assert seconds(ask(*(record(costs=[each]) for each in costs))) == (3.0, 3)


def test_folds_are_trained_one_after_the_other():
    assert seconds(ask(record(costs=[_cost()])), of=profile(folds=5)) == (10.0, 1)


@pytest.mark.parametrize("machine", [replace(HERE, threads=1), replace(HERE, cores=4), replace(HERE, device="cuda")])
def test_times_of_another_machine_say_nothing(machine):
    assert seconds(ask(record(costs=[_cost()]), machine=machine)) is None


def test_a_device_that_was_chosen_by_itself_is_the_one_that_is_asked_for_now():
    assert seconds(ask(record(costs=[_cost()]), machine=replace(HERE, device="cpu"))) == (2.0, 1)


@pytest.mark.parametrize("of", [profile(20_000), profile(50), profile(modality="series")])
def test_data_of_quite_another_size_or_form_says_nothing_of_the_cost(of):
    assert seconds(ask(record(costs=[_cost()])), of=of) is None


def test_a_net_that_no_run_has_trained_has_no_cost():
    assert seconds(ask(record(costs=[_cost()])), OTHER) is None


# What goes into the journal


def test_the_prior_holds_what_the_run_may_use_and_survives_json():
    records = (record(tried(), costs=[_cost(), _cost(9.0, architecture="not offered")]), record(of=profile(2000)))
    found = ask(*records).prior(profile(), SPACE)
    assert found.runs == 2
    assert [each.values for each in found.points] == [NET]
    assert [each.architecture for each in found.costs] == ["net"]
    assert found.seconds_an_epoch({**NET, "resolution": 64}, 32) == 8.0
    assert found.seconds_an_epoch(OTHER, 32) is None
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(found)), Prior) == found


def test_experience_without_anything_for_this_data_is_none():
    assert ask(record(tried(), of=profile(modality="text"))).prior(profile(), SPACE) == Prior()
