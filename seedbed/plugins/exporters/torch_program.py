"""A bundle as one torch program: all members, their input forms and their average in a single file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from seedbed.core.data.feeding.images import normalise, resize
from seedbed.core.data.profile import Profile
from seedbed.core.errors import UsageError
from seedbed.core.protocols import Exporter, Lookup
from seedbed.core.results.predict import Live, Model
from seedbed.core.specs import NoOptions
from seedbed.core.training.evaluate import view_maker
from seedbed.core.training.outputs import readout
from seedbed.core.training.predictions import FLOOR


class Program(nn.Module):
    """Inputs (N, C, H, W) float32 in [0, 1], of the bundle's form → probabilities (N, K), or values (N,)."""

    def __init__(self, live: list[Live], profile: Profile, temperature: float) -> None:
        super().__init__()
        self._profile = profile
        self._temperature = temperature
        self._live = live
        self.models = nn.ModuleList(each.model for each in live)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the weighted mean of the members' predictions, each over its test-time views, at the temperature."""
        total = sum(each.part.weight for each in self._live)
        found = [self._predictions(each, inputs) * (each.part.weight / total) for each in self._live]
        return self._softened(torch.stack(found).sum(0))

    def _softened(self, outputs: Tensor) -> Tensor:
        """As `core/training/predictions.softened`."""
        kind = self._profile.task.kind
        if kind == "regression" or self._temperature == 1.0:
            return outputs
        logits = outputs.clamp(min=FLOOR).log()
        if kind == "multilabel":
            return ((logits - (1 - outputs).clamp(min=FLOOR).log()) / self._temperature).sigmoid()
        return (logits / self._temperature).softmax(1)

    def _predictions(self, live: Live, inputs: Tensor) -> Tensor:
        view = live.part.member.view
        inputs = resize(inputs, view)
        views = view_maker(live.augmenters)
        variants = views(inputs) if views else [inputs]
        found = [readout(live.model(normalise(each, view)), self._profile) for each in variants]
        return torch.stack(found).mean(0)


class TorchProgram:
    """Writes a `torch.export` program; `torch.export.load(path).module()` gives it back without Seedbed."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def __call__(self, bundle: Path, output: Path) -> Path:
        """Write the program, for batches of any size."""
        model = Model(bundle, self._lookup, device="cpu")
        form = model.bundle.form.image
        if form is None:
            raise UsageError(f"Only models of images are exported so far, and this one takes {model.task.modality}.")
        example = torch.rand(2, form.channels, form.height, form.width)
        batch = torch.export.Dim("batch", min=1)
        whole = Program(model.live, model.bundle.profile, model.bundle.temperature).eval()
        program = torch.export.export(whole, (example,), dynamic_shapes={"inputs": {0: batch}})
        torch.export.save(program, output)
        return output


def exporter(options: NoOptions, lookup: Lookup) -> Exporter:
    """Build the exporter."""
    return TorchProgram(lookup)
