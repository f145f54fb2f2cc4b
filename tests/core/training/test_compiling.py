from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from core.training.helpers import FakeClock, Tiny, fake_lookup, looks, make_data, run_job, trial_job
from hypothesis import given
from hypothesis import strategies as st
from torch._dynamo import register_backend

from seedbed.core.data.feeding.images import Images
from seedbed.core.search.candidate import Cut, Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.training import compiling
from seedbed.core.training.assemble import Assembled, Net
from seedbed.core.training.compiling import ASSUMED, COMPILED, NEVER, Compilation, compile_where_it_pays, pays
from seedbed.core.training.decisions import Decisions
from seedbed.core.training.desk import Desk
from seedbed.core.training.devices import KINDS, Device
from seedbed.core.training.numerics import Numerics
from seedbed.core.training.outputs import plain_loss
from seedbed.core.training.train import Lesson, Phase

CHEAP = Compilation(seconds=0.0, speed_up=4.0)

positive = st.floats(1e-3, 1e6)


@given(positive, st.floats(1.01, 10.0), positive)
def test_compiling_pays_only_where_the_end_comes_sooner(seconds, speed_up, work):
    if pays(Compilation(seconds=seconds, speed_up=speed_up), work):
        assert seconds + work / speed_up < work


@given(positive, st.floats(0.0, 10.0), positive, st.floats(1.0, 100.0))
def test_what_pays_within_some_work_pays_within_more(seconds, speed_up, work, times):
    found = Compilation(seconds=seconds, speed_up=speed_up)
    assert not pays(found, work) or pays(found, work * times)


def test_by_what_is_assumed_a_minute_is_too_short_and_an_hour_long_enough():
    assert not pays(ASSUMED, 60.0)
    assert pays(ASSUMED, 3600.0)
    assert not pays(NEVER, math.inf)


class Compiles(Device):
    """The processor with a compiler that takes the net apart and changes nothing."""

    compile_backend = "eager"


@register_backend
def refuses(graph, inputs):
    raise NotImplementedError("no such operation on this device")


class Refuses(Device):
    compile_backend = "refuses"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


@pytest.fixture
def parts():
    model = Net(Tiny(4, 1), 36, 3)
    return Assembled(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        schedule=lambda progress: 1.0,
        augmenters=[],
        samples=None,
        regularizers=[],
        loss=plain_loss("classification"),
    )


@pytest.fixture
def lesson(made):
    return Lesson(
        source=Images(made.data, torch.device("cpu")),
        rows=torch.from_numpy(made.splits.train),
        targets=torch.from_numpy(made.splits.targets),
        phases=(Phase(1.0, made.view),),
        batch_size=16,
        numerics=Numerics("float32", "channels_last"),
        generator=torch.Generator().manual_seed(0),
        clock=FakeClock(step=1.0),
    )


def compiled(parts, lesson, *, known=None, decisions=None, notes=None, seconds=1e5, max_steps=10**9):
    return compile_where_it_pays(
        parts,
        lesson,
        known={} if known is None else known,
        key="net",
        decisions=decisions or Decisions(),
        seconds=seconds,
        max_steps=max_steps,
        note=([] if notes is None else notes).append,
    )


def test_without_a_compiler_or_time_nothing_is_tried(parts, lesson, monkeypatch):
    assert compiled(parts, lesson) is None
    monkeypatch.setitem(KINDS, "cpu", Compiles)
    monkeypatch.setattr(compiling, "_timed", None)  # whoever measures fails
    assert compiled(parts, lesson, seconds=60.0) is None


def test_few_steps_are_not_worth_compiling_for_however_long_they_might_take(parts, lesson, monkeypatch):
    monkeypatch.setitem(KINDS, "cpu", Compiles)
    known = {}
    assert compiled(parts, lesson, known=known, max_steps=10) is None  # of a second each
    assert known == {}


def test_what_is_compiled_computes_the_same_and_nothing_else_has_changed(parts, lesson, made, monkeypatch):
    monkeypatch.setitem(KINDS, "cpu", Compiles)
    monkeypatch.setattr(compiling, "_timed", lambda parts, lesson, forward: 1.0 if forward is parts.model else 0.5)
    before = {name: each.clone() for name, each in parts.model.state_dict().items()}
    random, known, decisions = torch.get_rng_state(), {}, Decisions()
    forward = compiled(parts, lesson, known=known, decisions=decisions)
    assert known["net"].speed_up == 2.0
    assert decisions.taken() == ((COMPILED, True),)
    assert all(torch.equal(each, before[name]) for name, each in parts.model.state_dict().items())
    assert all(each.grad is None for each in parts.model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    inputs = lesson.numerics.lay_out(lesson.source.ready(lesson.source.gather(lesson.rows[:4], made.view), made.view))
    assert torch.equal(forward(*inputs), parts.model(*inputs))


def test_a_net_that_is_no_faster_compiled_is_trained_as_it_is_and_so_is_the_next_like_it(parts, lesson, monkeypatch):
    monkeypatch.setitem(KINDS, "cpu", Compiles)
    known, decisions = {}, Decisions()
    monkeypatch.setattr(compiling, "_timed", lambda *_: 1.0)
    assert compiled(parts, lesson, known=known, decisions=decisions) is None
    assert known["net"].speed_up == 1.0
    monkeypatch.setattr(compiling, "_timed", None)
    assert compiled(parts, lesson, known=known, decisions=decisions) is None
    assert decisions.taken() == ()


def test_a_net_that_cannot_be_compiled_is_trained_as_it_is_with_a_note(parts, lesson, monkeypatch):
    monkeypatch.setitem(KINDS, "cpu", Refuses)
    known, notes = {}, []
    assert compiled(parts, lesson, known=known, notes=notes) is None
    assert known == {"net": NEVER}
    assert len(notes) == 1
    assert "trained without compiling" in notes[0]
    assert compiled(parts, lesson, known=known, notes=notes) is None
    assert len(notes) == 1


def test_done_again_a_net_is_compiled_where_it_was_and_nowhere_else(parts, lesson, monkeypatch):
    monkeypatch.setitem(KINDS, "cpu", Compiles)
    assert compiled(parts, lesson, decisions=Decisions([(COMPILED, True)]), seconds=math.inf) is not None
    assert compiled(parts, lesson, decisions=Decisions([]), seconds=math.inf) is None
    notes = []
    monkeypatch.setitem(KINDS, "cpu", Device)
    assert compiled(parts, lesson, decisions=Decisions([(COMPILED, True)]), notes=notes) is None
    assert "no compiler" in notes[0]


LONG = Fidelity(epochs=6, seconds=60.0)


@pytest.fixture
def calls(monkeypatch):
    """Count the training steps that go through a compiled net."""
    found = []
    real = torch.compile

    def counting(model, **options):
        forward = real(model, **options)

        def called(*inputs):
            found.append(len(inputs[0]))
            return forward(*inputs)

        return called

    monkeypatch.setattr(torch, "compile", counting)
    monkeypatch.setattr(compiling, "ASSUMED", CHEAP)
    monkeypatch.setattr(compiling, "_timed", lambda parts, lesson, forward: 1.0 if forward is parts.model else 0.5)
    monkeypatch.setitem(KINDS, "cpu", Compiles)
    return found


def test_a_trial_trains_through_the_compiled_net_and_can_be_done_again(made, tmp_path, calls):
    job = trial_job(made, tmp_path / "0000", fidelity=LONG)
    events = run_job(job)
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert len(calls) > events[-1].steps > 0
    script = tuple(each for event in (*looks(events), events[-1]) for each in event.decisions)
    assert (COMPILED, True) in script
    again = run_job(replace(job, folder=str(tmp_path / "again"), script=script))
    assert [each.score for each in looks(again)] == [each.score for each in looks(events)]
    assert again[-1].score == events[-1].score


@pytest.mark.parametrize("fidelity", [replace(LONG, cuts=(Cut(progress=0.5, score=0.1),)), replace(LONG, seconds=None)])
def test_a_trial_with_a_bar_or_without_a_clock_is_never_compiled(made, tmp_path, calls, fidelity):
    assert isinstance(run_job(trial_job(made, tmp_path / "0000", fidelity=fidelity))[-1], TrialFinished)
    assert not calls


def test_a_desk_remembers_what_compiling_brought(made, tmp_path, calls):
    desk = Desk(fake_lookup())
    run_job(trial_job(made, tmp_path / "0000", fidelity=LONG), desk=desk)
    (found,) = desk.compilations.values()
    assert found.speed_up == 2.0
