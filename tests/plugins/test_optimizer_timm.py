from __future__ import annotations

import pytest
import torch
from torch import nn

from seedbed.core.errors import UnknownName, UsageError
from seedbed.plugins.optimizers import TIMM, TimmOptions
from seedbed.plugins.optimizers.builders import from_timm


@pytest.mark.parametrize("name", TIMM)
def test_each_that_is_offered_trains_groups_with_their_own_settings(name):
    generator = torch.Generator().manual_seed(0)
    matrix, vector, still = (nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 8), (8,), (4, 8)))
    start = still.detach().clone()
    groups = [
        {"params": [matrix], "lr_scale": 0.5},
        {"params": [vector], "lr_scale": 1.0, "weight_decay": 0.0},
        {"params": [still], "lr_scale": 1.0, "lr": 0.0, "weight_decay": 0.0},
    ]
    optimizer = from_timm(groups, TimmOptions(name=name, lr=0.01, weight_decay=1e-4))
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = sum(0.05 * each.square().sum() for each in (matrix, vector, still))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert torch.equal(still, start)
    assert [group["lr_scale"] for group in optimizer.param_groups] == [0.5, 1.0, 1.0]


def test_a_name_that_timm_does_not_have_gets_the_closest_one():
    with pytest.raises(UnknownName, match=r"No timm optimizer is named 'lamp'\. Did you mean 'lamb'\?") as caught:
        from_timm([{"params": [nn.Parameter(torch.ones(2))]}], TimmOptions(name="lamp"))
    assert isinstance(caught.value, UsageError)
