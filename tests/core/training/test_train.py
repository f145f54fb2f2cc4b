from __future__ import annotations

import itertools
import math

import pytest
import torch
from core.training.helpers import FakeClock, Mirror, Tiny, make_data, with_resolution

from seedbed.core.data.feeding.images import Images
from seedbed.core.errors import Diverged
from seedbed.core.protocols import Regularizer
from seedbed.core.training.assemble import Assembled, Net
from seedbed.core.training.evaluate import Stopped, never
from seedbed.core.training.numerics import Numerics
from seedbed.core.training.outputs import plain_loss
from seedbed.core.training.pace import Pace
from seedbed.core.training.train import Lesson, Phase, train


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


def _parts(
    *, lr=0.1, schedule=lambda progress: 1.0 - progress, augmenters=(), regularizers=(), loss=None, backbone=None
):
    torch.manual_seed(0)
    backbone = backbone or Tiny(4, 1)
    model = Net(backbone, backbone.num_features, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return Assembled(
        model=model,
        optimizer=optimizer,
        schedule=schedule,
        augmenters=list(augmenters),
        samples=None,
        regularizers=list(regularizers),
        loss=loss or plain_loss("classification"),
    )


def _lesson(made, *, phases=None, batch_size=16, looks=10, clock=None, seed=0):
    return Lesson(
        source=Images(made.data, torch.device("cpu")),
        rows=torch.from_numpy(made.splits.train),
        targets=torch.from_numpy(made.splits.targets),
        phases=phases or (Phase(1.0, made.view),),
        batch_size=batch_size,
        numerics=Numerics("float32", "channels_last"),
        generator=torch.Generator().manual_seed(seed),
        looks=looks,
        clock=clock or FakeClock(),
    )


def _nothing():
    return 0.0


def _train(parts, lesson, pace, *, reserve=_nothing, should_stop=never):
    return train(parts, lesson, pace, reserve=reserve, should_stop=should_stop)


def test_the_loss_falls(made):
    found = list(_train(_parts(), _lesson(made), Pace(max_steps=60)))
    assert found[-1].train_loss < 0.6 * found[0].train_loss


@pytest.mark.parametrize(
    ("steps", "looks", "expected"), [(100, 10, 10), (97, 10, 10), (30, 4, 4), (3, 10, 3), (1, 10, 1)]
)
def test_it_pauses_about_as_often_as_asked_and_last_at_the_end(made, steps, looks, expected):
    pace, progress = Pace(max_steps=steps), []
    for _ in _train(_parts(), _lesson(made, looks=looks), pace):
        progress.append(pace.progress)
    assert len(progress) == expected
    assert progress == sorted(set(progress))
    assert progress[-1] == 1.0
    assert pace.steps == steps


def test_a_look_tells_epochs_mean_loss_and_the_rate(made):
    found = list(_train(_parts(lr=0.2), _lesson(made, looks=2), Pace(max_steps=32)))
    assert [each.epoch for each in found] == [16 * 16 / 60, 32 * 16 / 60]
    assert [each.lr for each in found] == pytest.approx([0.2 * (1 - 15 / 32), 0.2 * (1 - 31 / 32)])


def test_the_mean_loss_is_that_of_the_steps_since_the_last_look(made):
    losses = itertools.count(1.0)

    def counting(logits, targets):
        return logits.sum() * 0.0 + next(losses)

    found = list(_train(_parts(loss=counting), _lesson(made, looks=2), Pace(max_steps=10)))
    assert [each.train_loss for each in found] == [3.0, 8.0]


def test_the_rate_follows_the_schedule_at_every_step(made):
    rates, parts = [], _parts(lr=0.4)
    parts.optimizer.register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    list(_train(parts, _lesson(made), Pace(max_steps=8)))
    assert rates == pytest.approx([0.4 * (1 - step / 8) for step in range(8)])


def test_it_stops_when_asked_before_the_next_step(made):
    pace = Pace(max_steps=100)
    with pytest.raises(Stopped):
        list(_train(_parts(), _lesson(made), pace, should_stop=lambda: pace.steps == 7))
    assert pace.steps == 7


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_what_to_change(made, value):
    parts = _parts(loss=lambda logits, targets: logits.sum() * 0.0 + value)
    with pytest.raises(Diverged, match=rf"training loss is {value}.*epochs; lower optimizer\.\*\.lr or try another"):
        list(_train(parts, _lesson(made), Pace(max_steps=20)))


def test_augmenters_see_inputs_between_zero_and_one_before_they_are_normalised(made):
    seen = []

    def watching(inputs, generator):
        seen.append((float(inputs.min()), float(inputs.max()), tuple(inputs.shape)))
        assert isinstance(generator, torch.Generator)
        return inputs * 0

    model_inputs = []
    parts = _parts(augmenters=[Mirror(), watching])
    parts.model.register_forward_pre_hook(lambda module, inputs: model_inputs.append(inputs[0].detach()))
    list(_train(parts, _lesson(made), Pace(max_steps=3)))
    assert len(seen) == 3
    assert all(0 <= low <= high <= 1 and shape == (16, 1, 12, 12) for low, high, shape in seen)
    expected = -made.view.mean[0] / made.view.std[0]
    assert all(torch.allclose(each, torch.full_like(each, expected)) for each in model_inputs)


def test_regularizers_act_after_every_step_and_hear_of_the_progress(made):
    heard = []

    class Watching(Regularizer):
        def after_step(self, model, progress):
            heard.append(progress)
            model.head.bias.data.zero_()

    parts = _parts(regularizers=[Watching()])
    list(_train(parts, _lesson(made), Pace(max_steps=4)))
    assert heard == [0.25, 0.5, 0.75, 1.0]
    assert not parts.model.head.bias.any()


def test_frozen_batch_norm_keeps_its_statistics_while_everything_else_learns(made):
    parts = _parts()
    parts.model.norm_is_frozen = True
    before = {name: each.clone() for name, each in parts.model.state_dict().items()}
    for _ in _train(parts, _lesson(made), Pace(max_steps=12)):
        parts.model.eval()  # as an evaluation between two looks does
    after = parts.model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if "running" in name or "num_batches" in name)
    assert not torch.equal(after["backbone.conv.weight"], before["backbone.conv.weight"])


def test_the_caller_may_switch_to_evaluation_at_a_look(made):
    parts, modes = _parts(), []
    parts.model.register_forward_pre_hook(lambda module, inputs: modes.append(module.training))
    for _ in _train(parts, _lesson(made, looks=3), Pace(max_steps=9)):
        parts.model.eval()
    assert modes == [True] * 9


def test_each_phase_has_its_resolution(made):
    sizes, parts = [], _parts()
    parts.model.register_forward_pre_hook(lambda module, inputs: sizes.append(inputs[0].shape[-1]))
    phases = (Phase(0.5, with_resolution(made.view, 8)), Phase(1.0, made.view))
    list(_train(parts, _lesson(made, phases=phases), Pace(max_steps=10)))
    assert sizes == [8] * 5 + [12] * 5


def test_equal_seeds_train_equal_models(made):
    def trained(seed):
        parts = _parts(augmenters=[Mirror()])
        list(_train(parts, _lesson(made, seed=seed), Pace(max_steps=10)))
        return parts.model.state_dict()

    one, same, other = trained(1), trained(1), trained(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


class Sleepy(Tiny):
    """Every training step takes as long as `seconds` says."""

    def __init__(self, clock, seconds):
        super().__init__(4, 1)
        self.clock, self.seconds = clock, seconds

    def forward(self, inputs):
        if self.training:
            self.clock.tick(next(self.seconds))
        return super().forward(inputs)


def _timed(made, seconds, deadline, *, reserve=_nothing, look_seconds=0.0):
    clock, rates = FakeClock(), []
    parts = _parts(backbone=Sleepy(clock, iter(seconds)))
    parts.optimizer.register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    pace = Pace(max_steps=10**9, deadline=deadline)
    found = []
    for look in _train(parts, _lesson(made, clock=clock), pace, reserve=reserve):
        clock.tick(look_seconds)
        found.append(look)
    return clock.now, rates, found, pace


def test_with_a_deadline_it_ends_on_time_and_the_rate_has_annealed(made):
    now, rates, found, pace = _timed(made, itertools.repeat(0.1), 20.0)
    assert 19.0 <= now <= 20.1
    assert rates[-1] < 0.02 * rates[0]
    assert 9 <= len(found) <= 11
    assert pace.progress == 1.0


def test_a_slow_first_step_foretells_no_slow_training(made):
    now, rates, _, _ = _timed(made, itertools.chain([3.0, 1.0], itertools.repeat(0.1)), 20.0)
    assert 19.0 <= now <= 20.2
    assert rates[-1] < 0.02 * rates[0]
    assert len(rates) > 140


def test_a_machine_that_slows_down_halfway_still_ends_it_on_time(made):
    now, rates, _, _ = _timed(made, itertools.chain([0.1] * 80, itertools.repeat(0.4)), 20.0)
    assert 18.5 <= now <= 20.8
    assert rates[-1] < 0.05 * rates[0]


def test_time_for_looks_is_kept_free(made):
    now, rates, _, _ = _timed(made, itertools.repeat(0.1), 20.0, look_seconds=0.5, reserve=lambda: 2.0)
    assert 16.0 <= now <= 20.0 + 0.6
    assert rates[-1] < 0.05 * rates[0]


def test_steps_that_take_a_large_part_of_the_time_do_not_overrun_the_deadline(made):
    """The clock is looked at before the warm-up is over where the warm-up alone would take all the time."""
    now, _, found, _ = _timed(made, itertools.repeat(5.0), 12.0)
    assert now <= 15.0
    assert found
