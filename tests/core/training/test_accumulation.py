"""Batches that do not fit into memory go in parts, and what does not fit at all is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from core.training.helpers import Tiny, fake_lookup, looks, make_data, run_job, trial_job
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seedbed.core.data.feeding.images import Images
from seedbed.core.errors import TooLarge
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished, TrialPlanned, TrialRefused, TrialStopped
from seedbed.core.specs import ArchitectureSpec
from seedbed.core.training import memory
from seedbed.core.training.assemble import Assembled, Net
from seedbed.core.training.decisions import Decisions
from seedbed.core.training.evaluate import forward_rows, never
from seedbed.core.training.member import PREDICTIONS
from seedbed.core.training.numerics import Numerics
from seedbed.core.training.outputs import plain_loss
from seedbed.core.training.pace import Pace
from seedbed.core.training.predictions import load_predictions
from seedbed.core.training.train import Lesson, Phase, train

NUMERICS = Numerics("float32", "channels_last")
OUT = "CUDA out of memory. Tried to allocate 2.00 GiB."


class Plain(nn.Module):
    """A net without batch normalisation: its gradient does not depend on how a batch is parted."""

    num_features = 8

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, inputs):
        return self.body(inputs)


class Narrow(Plain):
    """Has memory for so many rows at once, forward; `tried` are the numbers of rows it was given in training."""

    def __init__(self, rows, *, in_training=True, dropout=0.0, inner=None):
        super().__init__()
        self.rows, self.in_training, self.tried = rows, in_training, []
        self.dropout, self.inner = nn.Dropout(dropout), inner
        if inner is not None:
            self.num_features = inner.num_features

    def forward(self, inputs):
        outputs = self.dropout(super().forward(inputs) if self.inner is None else self.inner(inputs))
        if self.training == self.in_training:
            self.tried.append(len(inputs))
            if len(inputs) > self.rows:
                raise torch.OutOfMemoryError(OUT)
        return outputs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


def assembled(backbone, *, lr=0.1):
    torch.manual_seed(0)
    for each in backbone.modules():
        if hasattr(each, "reset_parameters"):
            each.reset_parameters()
    model = Net(backbone, backbone.num_features, 3)
    nn.init.normal_(model.head.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return Assembled(
        model=model,
        optimizer=optimizer,
        schedule=lambda progress: 1.0,
        augmenters=[],
        samples=None,
        regularizers=[],
        loss=plain_loss("classification"),
    )


def lesson_of(made, *, batch_size=16, accumulated=1):
    return Lesson(
        source=Images(made.data, torch.device("cpu")),
        rows=torch.from_numpy(made.splits.train),
        targets=torch.from_numpy(made.splits.targets),
        phases=(Phase(1.0, made.view),),
        batch_size=batch_size,
        numerics=NUMERICS,
        generator=torch.Generator().manual_seed(0),
        accumulated=accumulated,
    )


def trained(made, backbone, *, steps=1, script=None, **options):
    """Train some steps; return the model, the lesson, the last look, and what was decided."""
    parts, lesson = assembled(backbone), lesson_of(made, **options)
    pace = Pace(max_steps=steps, decisions=Decisions(script))
    (*_, look) = train(parts, lesson, pace, reserve=lambda: 0.0, should_stop=never)
    return parts.model, lesson, look, pace.decisions.taken()


def gradients(model):
    return [each.grad for each in model.parameters()]


@settings(deadline=None, max_examples=8)
@given(parts=st.integers(2, 40), batch_size=st.sampled_from([3, 7, 16]))
def test_the_gradient_of_a_batch_in_parts_is_that_of_the_whole(made, parts, batch_size):
    whole, _, first, _ = trained(made, Plain(), batch_size=batch_size)
    parted, _, second, _ = trained(made, Plain(), batch_size=batch_size, accumulated=parts)
    for one, other in zip(gradients(whole), gradients(parted), strict=True):
        assert torch.allclose(one, other, atol=1e-6, rtol=1e-4)
    assert second.train_loss == pytest.approx(first.train_loss, rel=1e-5)


def test_where_memory_runs_out_the_step_is_done_again_in_more_parts_and_so_are_the_next(made):
    narrow = Narrow(4)
    model, lesson, look, decisions = trained(made, narrow, steps=3)
    whole, _, expected, _ = trained(made, Narrow(99), steps=3)
    assert narrow.tried == [16, 8, *[4] * 12]
    assert lesson.accumulated == 4
    assert decisions == (("parts@0", 4),)
    for one, other in zip(gradients(whole), gradients(model), strict=True):
        assert torch.allclose(one, other, atol=1e-5, rtol=1e-3)
    assert look.train_loss == pytest.approx(expected.train_loss, rel=1e-4)


class Second(Narrow):
    """Runs out of memory once, when half of the gradients are there already."""

    def forward(self, inputs):
        self.rows = 0 if len(self.tried) == 1 else 99
        return super().forward(inputs)


def test_gradients_of_the_parts_before_memory_ran_out_are_not_counted_twice(made):
    second = Second(99)
    model, _, _, _ = trained(made, second, accumulated=2)
    whole, _, _, _ = trained(made, Plain())
    assert second.tried == [8, 8, 4, 4, 4, 4]
    for one, other in zip(gradients(whole), gradients(model), strict=True):
        assert torch.allclose(one, other, atol=1e-6, rtol=1e-4)


class Filling(Narrow):
    """Has memory for a whole batch at first, and for a part of it from some number of passes on."""

    def forward(self, inputs):
        self.rows = 16 if len(self.tried) < 3 else 5
        return super().forward(inputs)


def test_memory_that_runs_out_in_the_middle_is_noted_there_and_done_again_to_the_last_bit(made):
    """Dropout and batch statistics of the attempts that failed leave nothing behind."""

    def net(kind, rows):
        return kind(rows, dropout=0.5, inner=Tiny(4, 1))

    first, _, look, decisions = trained(made, net(Filling, 0), steps=6)
    assert decisions == (("parts@3", 4),)
    again, lesson, same, taken = trained(made, net(Narrow, 99), steps=6, script=decisions)
    assert lesson.accumulated == 4
    assert taken == decisions
    assert same.train_loss == look.train_loss
    found, wanted = again.state_dict(), first.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_part_has_two_rows_where_batch_statistics_are_learnt(made):
    narrow = Narrow(3, inner=Tiny(4, 1))
    trained(made, narrow, batch_size=7)
    assert narrow.tried == [7, 3, 4, 2, 2, 3]


def test_memory_that_always_runs_out_is_told_as_too_large(made):
    narrow = Narrow(0)
    said = r"^Too large: memory ran out in a training step with one row at a time \(another 2\.00 GiB was asked for\)\."
    with pytest.raises(TooLarge, match=said):
        trained(made, narrow)
    assert narrow.tried == [16, 8, 4, 2, 1]


def test_another_error_in_a_step_is_no_matter_of_memory(made):
    class Broken(Narrow):
        def forward(self, inputs):
            self.tried.append(len(inputs))
            raise RuntimeError("shapes do not fit")

    broken = Broken(1)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        trained(made, broken)
    assert broken.tried == [16]


@pytest.mark.parametrize("rows", [1, 5, 64])
def test_predictions_are_made_in_smaller_batches_where_memory_runs_out(made, rows):
    source, wanted = Images(made.data, torch.device("cpu")), torch.arange(60)
    torch.manual_seed(0)
    model = Narrow(rows, in_training=False).eval()
    found = forward_rows(model, source, wanted, made.view, NUMERICS, batch_size=32)
    model.rows = 99
    assert torch.allclose(found, forward_rows(model, source, wanted, made.view, NUMERICS, batch_size=32), atol=1e-6)


def test_a_row_that_cannot_be_predicted_alone_is_too_large(made):
    model = Narrow(0, in_training=False).train()
    with pytest.raises(TooLarge, match="memory ran out in predicting one row"):
        forward_rows(model, Images(made.data, torch.device("cpu")), torch.arange(9), made.view, NUMERICS)
    assert model.training


def lookup_of(build):
    spec = ArchitectureSpec(name="tiny", summary="Stand-in.", build="fakes:other", weights=("quarter",))
    return fake_lookup().with_((spec, lambda options, profile: build()))


def plan_of(events):
    return next(each for each in events if isinstance(each, TrialPlanned))


def test_a_plan_tells_what_a_step_takes_and_that_the_batch_goes_in_one(made, tmp_path):
    events = run_job(trial_job(made, tmp_path / "0"), lookup_of(Plain))
    plan = plan_of(events)
    assert plan.accumulated == 1
    assert plan.memory_bytes > 16 * 4 * (12 * 12 + 2 * 8 * 10 * 10)  # inputs, and the maps before and after the tanh
    assert ("parts", 1) in looks(events)[0].decisions


def test_where_little_is_free_a_trial_takes_its_batches_in_parts_and_says_so(made, tmp_path, monkeypatch):
    whole = plan_of(run_job(trial_job(made, tmp_path / "0"), lookup_of(Plain)))
    monkeypatch.setattr(memory, "free_bytes", lambda device: whole.memory_bytes)
    events = run_job(trial_job(made, tmp_path / "1"), lookup_of(Plain))
    plan, finished = plan_of(events), events[-1]
    assert isinstance(finished, TrialFinished)
    assert plan.accumulated == 2
    assert plan.memory_bytes < 0.8 * whole.memory_bytes
    assert "Batches of 16 went in 2 parts: more did not fit into memory." in finished.notes


def test_a_replay_takes_as_many_parts_whatever_is_free(made, tmp_path, monkeypatch):
    job = trial_job(made, tmp_path / "0")
    with monkeypatch.context() as short:
        short.setattr(memory, "free_bytes", lambda device: 300_000)
        first = run_job(job)
    assert plan_of(first).accumulated > 1
    script = tuple(each for event in first for each in getattr(event, "decisions", ()))
    again = run_job(replace(job, folder=str(tmp_path / "1"), script=script))
    assert plan_of(again).accumulated == plan_of(first).accumulated
    one, two = (load_predictions(tmp_path / each / PREDICTIONS) for each in ("0", "1"))
    assert (one.outputs == two.outputs).all()


def test_what_does_not_fit_is_refused_and_not_failed(made, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    events = run_job(trial_job(made, tmp_path / "0", trial=4))
    (refused,) = events
    assert isinstance(refused, TrialRefused)
    assert refused.trial == 4
    assert refused.reason.startswith("Too large: a training step with 2 rows at a time takes about")
    assert "1.0 kB is free on cpu" in refused.reason
    assert not (tmp_path / "0" / "error.txt").exists()


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError(OUT)], ids=["system", "gpu"])
def test_a_net_that_cannot_even_be_built_is_refused(made, tmp_path, error):
    def build():
        raise error

    (refused,) = run_job(trial_job(made, tmp_path / "0"), lookup_of(build))
    assert isinstance(refused, TrialRefused)
    assert refused.reason.startswith("Too large: memory ran out in ")


class Growing(Narrow):
    """Runs out of memory for good after some training steps."""

    def forward(self, inputs):
        self.rows = 99 if len(self.tried) < 12 else 0
        return super().forward(inputs)


def test_memory_that_runs_out_late_ends_the_trial_with_what_it_has(made, tmp_path):
    events = run_job(trial_job(made, tmp_path / "0", fidelity=Fidelity(epochs=8)), lookup_of(lambda: Growing(99)))
    assert isinstance(events[-1], TrialStopped)
    assert "memory ran out in a training step" in events[-1].reason
    assert any(each.is_best for each in looks(events))
    assert (tmp_path / "0" / "checkpoint.safetensors").is_file()
