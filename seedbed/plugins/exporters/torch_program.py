"""A bundle as one torch program: all members, their input forms and their average in a single file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from seedbed.core.data.batches import normalise, resize
from seedbed.core.protocols import Exporter, Lookup
from seedbed.core.results.predict import Live, Model
from seedbed.core.specs import NoOptions
from seedbed.core.training.evaluate import view_maker


class Program(nn.Module):
    """Inputs (N, C, H, W) float32 in [0, 1], of the bundle's form → probabilities (N, K)."""

    def __init__(self, live: list[Live]) -> None:
        super().__init__()
        self._live = live
        self.models = nn.ModuleList(each.model for each in live)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the weighted mean of the members' probabilities, each over its test-time views."""
        total = sum(each.part.weight for each in self._live)
        found = [self._probabilities(each, inputs) * (each.part.weight / total) for each in self._live]
        return torch.stack(found).sum(0)

    @staticmethod
    def _probabilities(live: Live, inputs: Tensor) -> Tensor:
        view = live.part.member.view
        inputs = resize(inputs, view)
        views = view_maker(live.augmenters)
        variants = views(inputs) if views else [inputs]
        found = [live.model(normalise(each, view)).softmax(-1) for each in variants]
        return torch.stack(found).mean(0)


class TorchProgram:
    """Writes a `torch.export` program; `torch.export.load(path).module()` gives it back without Seedbed."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def __call__(self, bundle: Path, output: Path) -> Path:
        """Write the program, for batches of any size."""
        model = Model(bundle, self._lookup, device="cpu")
        form = model.bundle.form
        example = torch.rand(2, form.channels, form.height, form.width)
        batch = torch.export.Dim("batch", min=1)
        program = torch.export.export(Program(model.live).eval(), (example,), dynamic_shapes={"inputs": {0: batch}})
        torch.export.save(program, output)
        return output


def exporter(options: NoOptions, lookup: Lookup) -> Exporter:
    """Build the exporter."""
    return TorchProgram(lookup)
