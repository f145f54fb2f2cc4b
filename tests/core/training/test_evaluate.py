from __future__ import annotations

import pytest
import torch
from core.training.helpers import Mirror, make_data
from torch import nn

from seedbed.core.data.feeding.images import Images, normalise
from seedbed.core.errors import Diverged
from seedbed.core.training.evaluate import Stopped, forward_rows, predict_rows, view_maker
from seedbed.core.training.numerics import Numerics

PLAIN = Numerics("float32", "channels_last")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=36)


@pytest.fixture
def images(made):
    return Images(made.data, torch.device("cpu"))


def _net(classes=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(400, classes)).train()


def test_rows_come_out_in_their_order_whatever_the_batch_size(made, images):
    net, rows = _net(), torch.tensor([30, 2, 17, 2, 5])
    whole = forward_rows(net, images, rows, made.view, PLAIN)
    inputs = normalise(images.gather(rows, made.view)[0], made.view)
    assert torch.allclose(whole, net.eval()(inputs), atol=1e-5)
    assert torch.allclose(forward_rows(net, images, rows, made.view, PLAIN, batch_size=2), whole, atol=1e-5)


def test_a_model_is_judged_in_evaluation_mode_and_left_as_it_was(made, images):
    net = _net()
    before = {name: each.clone() for name, each in net.state_dict().items()}
    forward_rows(net, images, torch.arange(6), made.view, PLAIN)
    assert net.training
    assert all(torch.equal(each, before[name]) for name, each in net.state_dict().items())


def test_outputs_are_float32_in_every_precision(made, images):
    found = forward_rows(_net(), images, torch.arange(6), made.view, Numerics("bfloat16", "channels_last"))
    assert found.dtype == torch.float32


def test_it_stops_between_batches_when_asked(made, images):
    asked = iter([False, False, True])
    net = _net()
    with pytest.raises(Stopped):
        forward_rows(net, images, torch.arange(12), made.view, PLAIN, batch_size=2, should_stop=lambda: next(asked))
    assert net.training
    assert list(asked) == []


def test_probabilities_are_averaged_over_the_views(made, images):
    net, rows = _net(), torch.arange(6)
    plain = predict_rows(net, images, rows, made.view, PLAIN, made.profile)
    both = predict_rows(net, images, rows, made.view, PLAIN, made.profile, augmenters=[Mirror()])
    (inputs,) = images.gather(rows, made.view)
    mirrored = net.eval()(normalise(inputs.flip(3), made.view)).softmax(1)
    assert torch.allclose(both, (plain + mirrored) / 2, atol=1e-5)
    assert torch.allclose(both.sum(1), torch.ones(6), atol=1e-5)


def test_views_of_several_augmenters_are_combined():
    class Upside:
        def views(self, inputs):
            return [inputs, inputs.flip(2)]

    inputs = torch.rand(1, 1, 4, 4)
    views = view_maker([Mirror(), object(), Upside()])(inputs)
    assert len(views) == 4
    assert torch.equal(views[0], inputs)
    assert any(torch.equal(each, inputs.flip(2, 3)) for each in views)


def test_augmenters_without_views_leave_one_view():
    assert view_maker([object(), lambda inputs, generator: inputs]) is None


def test_predictions_that_are_not_finite_are_an_error_that_says_what_to_lower(made, images):
    net = _net()
    net[3].bias.data[1] = float("nan")
    with pytest.raises(Diverged, match=r"not finite numbers; lower the learning rate \(optimizer\.\*\.lr\)"):
        predict_rows(net, images, torch.arange(6), made.view, PLAIN, made.profile)
