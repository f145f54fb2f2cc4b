"""What pretrained weights are held to."""
# ruff: noqa: D102 - a test's name is its docstring

from __future__ import annotations

import socket
import time
from dataclasses import replace
from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, cast

import pytest

from seedbed.core.errors import SeedbedError
from seedbed.core.specs import ArchitectureSpec, WeightsSpec
from seedbed.registry.conformance.base import SpecContract, in_fresh_process
from seedbed.registry.conformance.inputs import Case, dense
from seedbed.registry.conformance.models import no_network

if TYPE_CHECKING:
    from torch import nn

SECONDS_TO_REFUSE = 5.0


class WeightsContract(SpecContract):
    """`build(backbone)` loads pretrained weights in place."""

    kind = "weights"

    def test_it_names_its_licence(self, spec: WeightsSpec) -> None:
        assert spec.licence.strip(), "users must know what they may do with the weights"

    def test_its_architecture_exists(self, spec: WeightsSpec) -> None:
        assert self.registry().get("architecture", spec.architecture).kind == "architecture"

    def test_its_normalisation_fits(self, spec: WeightsSpec) -> None:
        assert len(spec.mean) == len(spec.std), "one number a channel, in both"
        assert all(0 <= each <= 1 for each in spec.mean), "for inputs in [0, 1]"
        assert all(0 < each <= 1 for each in spec.std), "for inputs in [0, 1]"
        if "image" in self._architecture(spec).modalities:
            # What was trained on is not known of a model that the user is yet to name.
            assert spec.mean or spec.on_request, "a net that was pretrained on images knows how they were normalised"
        else:
            assert not spec.mean, "texts and series are not normalised by pretrained weights; leave it out"

    def test_it_can_tell_whether_it_lies_on_this_machine(self, spec: WeightsSpec) -> None:
        if spec.source == "hub":
            assert spec.cached, "hub weights name a function that tells whether they are here"
        if spec.cached:
            assert isinstance(resolve_name(spec.cached)(), bool)
            loaded = _imported_by_asking(self.plugin)
            assert "torch" not in loaded.split(), "asked before any training: it must not import torch"

    def test_it_loads_or_says_why_not(self, spec: WeightsSpec, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a network: what is on this machine loads; the hub's weights may refuse, soon, in words."""
        case = self._case_for(spec)
        backbone = self._backbone(spec, case)
        before = {name: each.clone() for name, each in backbone.state_dict().items()}
        monkeypatch.setattr(socket, "getaddrinfo", no_network)
        began = time.monotonic()
        refusal = self._refusal(spec, backbone)
        seconds = time.monotonic() - began
        after = backbone.state_dict()
        if refusal:
            assert spec.source == "hub", f"weights of source {spec.source!r} must load: {refusal}"
            assert seconds < SECONDS_TO_REFUSE, f"it took {seconds:.1f} s to find out"
            assert len(refusal.split()) >= 5, f"the error must say what to do: {refusal}"
        else:
            assert any((old != after[name]).any() for name, old in before.items()), "nothing was loaded"
            assert all(each.isfinite().all() for each in after.values())
            assert dense(backbone.eval()(*case.inputs())).isfinite().all()

    def _refusal(self, spec: WeightsSpec, backbone: nn.Module) -> str:
        """Load the weights, and return what was said instead."""
        try:
            self.load(spec)(backbone)
        except SeedbedError as error:
            return str(error)
        return ""

    def _architecture(self, spec: WeightsSpec) -> ArchitectureSpec:
        return cast(ArchitectureSpec, self.registry().get("architecture", spec.architecture))

    def _case_for(self, spec: WeightsSpec) -> Case:
        architecture = self._architecture(spec)
        if "image" in architecture.modalities:
            return Case(modality="image", channels=len(spec.mean) or 3, size=spec.resolution or 64)
        return Case(modality=architecture.modalities[0], channels=1, encoding=architecture.encoding, size=24)

    def _backbone(self, spec: WeightsSpec, case: Case) -> nn.Module:
        architecture, profile = self._architecture(spec), case.profile()
        if spec.mean:
            profile = replace(profile, mean=spec.mean, std=spec.std)
        return cast("nn.Module", self.load(architecture)(self.options(architecture), profile))


_ASK = """
import sys
from pkgutil import resolve_name
from seedbed.registry.registry import open_registry
for spec in open_registry(sys.argv[1:], installed=False).all("weights"):
    spec.cached and resolve_name(spec.cached)()
print(*sys.modules)
"""


@cache
def _imported_by_asking(plugin: str | None) -> str:
    return in_fresh_process(_ASK, *([] if plugin is None else [plugin]))
