"""Small nets and easy examples of every modality and kind of task, for contracts of what changes training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedbed.core.task import Modality
from seedbed.registry.conformance.inputs import VOCABULARY, Case

if TYPE_CHECKING:
    from torch import Tensor, nn

    from seedbed.core.data.feeding.source import Inputs
    from seedbed.core.training.assemble import Net

CLASSES, ROWS, _WIDTH = 3, 8, 8


def small_net(case: Case) -> Net:
    """Return the engine's own model around a backbone of a few hundred weights, the same each time."""
    import torch

    from seedbed.core.training.assemble import Net

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net(_backbone(case), _WIDTH, 1 if case.kind == "regression" else CLASSES)


def examples(case: Case) -> tuple[Inputs, Tensor]:
    """Return eight rows and their targets, in the form that losses take; their classes are easy to tell apart."""
    import torch

    classes = torch.arange(ROWS) % CLASSES
    noise = torch.rand(ROWS, case.channels, case.size, case.size, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(case.size) < case.size - classes[:, None]
    inputs: dict[Modality, Inputs] = {
        "image": (noise * 0.2 + classes[:, None, None, None] * 0.4,),
        "series": ((noise[..., 0] + classes[:, None, None] - 1.0) * mask[:, None], mask),
        "text": ((1 + classes[:, None] + (noise[:, 0, 0] * 10).long()) * mask, mask),
    }
    if case.kind == "regression":
        targets = classes - 1.0
    elif case.kind == "multilabel":
        targets = torch.stack([classes == 0, classes != 1, classes == 2], dim=1).float()
    else:
        targets = classes
    return inputs[case.modality], targets


def hardened(targets: Tensor) -> Tensor:
    """Return classes (N,) as probabilities (N, K) of 0 and 1."""
    from torch.nn import functional as F

    return F.one_hot(targets, CLASSES).float()


def softened(targets: Tensor) -> Tensor:
    """Return classes (N,) as probabilities (N, K), as another regularizer may have mixed them."""
    return 0.7 * hardened(targets) + 0.3 * hardened(targets.flip(0))


def _backbone(case: Case) -> nn.Module:
    from torch import nn

    if case.modality == "image":
        return nn.Sequential(
            nn.Conv2d(case.channels, _WIDTH, 3),
            nn.BatchNorm2d(_WIDTH),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    class Sequences(nn.Module):
        """Series or tokens: a linear map of each step, batch normalisation, and the mean over the steps there are."""

        def __init__(self) -> None:
            super().__init__()
            is_text = case.modality == "text"
            self.step = nn.Embedding(VOCABULARY, _WIDTH) if is_text else nn.Linear(case.channels, _WIDTH)
            self.norm = nn.BatchNorm1d(_WIDTH)

        def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
            steps = self.step(inputs if inputs.ndim == 2 else inputs.transpose(1, 2))
            there = mask[..., None]
            pooled: Tensor = (steps * there).sum(1) / there.sum(1).clamp(min=1)
            normalised: Tensor = self.norm(pooled)
            return normalised

    return Sequences()
