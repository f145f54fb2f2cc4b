from __future__ import annotations

import pytest
import torch

from seedbed.core.training.devices import KINDS, Device
from seedbed.plugins.optimizers import AdamWOptions, SgdOptions, builders

BOTH = [(builders.sgd, SgdOptions()), (builders.adamw, AdamWOptions())]


class Without(Device):
    has_fused_optimizers = False


def _stepped(build, options):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(3, 2))
    optimizer = build([{"params": [weight]}], options)
    for _ in range(3):
        weight.grad = torch.randn(3, 2)
        optimizer.step()
    return optimizer.defaults["fused"], weight.detach()


@pytest.mark.parametrize(("build", "options"), BOTH)
def test_a_fused_kernel_is_used_where_the_device_has_one_and_else_the_same_steps_without(build, options, monkeypatch):
    is_fused, expected = _stepped(build, options)
    monkeypatch.setitem(KINDS, "cpu", Without)
    is_fused_without, found = _stepped(build, options)
    assert (is_fused, is_fused_without) == (True, None)
    assert torch.allclose(found, expected, atol=1e-6)


def test_weights_that_are_no_floats_have_no_fused_kernel():
    weight = torch.nn.Parameter(torch.zeros(2, dtype=torch.complex64))
    assert builders.fused([{"params": [weight]}]) is None
