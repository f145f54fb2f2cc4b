"""A small bundle, for contracts of exporters: everything a run leaves behind but the training."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from seedbed.core.protocols import Lookup
from seedbed.core.search.candidate import Candidate
from seedbed.core.specs import ArchitectureSpec
from seedbed.registry.conformance.samples import profile_of

SIZE = 16


def untrained_bundle(folder: Path, lookup: Lookup) -> Path:
    """Write a bundle around the smallest architecture there is, with random weights; return its folder."""
    import torch
    from safetensors.torch import save_file

    from seedbed.core.data.preparing.decode import ImageForm
    from seedbed.core.data.preparing.prepare_again import InputForm
    from seedbed.core.data.view import View
    from seedbed.core.results.bundle import save_bundle
    from seedbed.core.training.assemble import build_model
    from seedbed.core.training.member import CHECKPOINT, Member, components_of

    profile, trial = profile_of(size=SIZE), folder / "trials" / "0000"
    view = View(height=SIZE, width=SIZE, channels=3, mean=profile.mean, std=profile.std)
    candidate = _smallest(lookup)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_model(candidate, profile, view, lookup)
    trial.mkdir(parents=True)
    save_file({name: each.contiguous() for name, each in model.state_dict().items()}, trial / CHECKPOINT)
    components = components_of(candidate, lookup)
    Member(trial=0, candidate=candidate, view=view, components=components).save(trial)
    form = InputForm(image=ImageForm(height=SIZE, width=SIZE, channels=3))
    save_bundle(folder / "best", [(trial, 1.0)], profile, form, score=0.5, source="conformance")
    return folder / "best"


def _smallest(lookup: Lookup) -> Candidate:
    found = [cast(ArchitectureSpec, spec) for spec in lookup.all("architecture")]
    images = [spec for spec in found if "image" in spec.modalities and not spec.on_request]
    trainable = [spec for spec in images if not spec.features_only and spec.requires.min_size <= SIZE]
    spec = min(trainable, key=lambda spec: spec.parameters)
    values = {"architecture": spec.name, "policy": "scratch"}
    return Candidate(values, {f"architecture:{spec.name}": spec.version})
