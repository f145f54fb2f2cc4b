"""What backbones and pretrained weights are held to."""
# ruff: noqa: D102 - a test's name is its docstring

from __future__ import annotations

import socket
import time
from dataclasses import replace
from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, NoReturn, cast

import pytest

from seedbed.core.errors import SeedbedError
from seedbed.core.specs import ArchitectureSpec, Spec, WeightsSpec
from seedbed.registry.conformance.base import SpecContract, in_fresh_process
from seedbed.registry.conformance.samples import profile_of

if TYPE_CHECKING:
    from torch import Tensor, nn

SECONDS_TO_REFUSE = 5.0


class ArchitectureContract(SpecContract):
    """`build(options, profile)` gives a backbone: inputs (N, C, H, W) → features (N, num_features)."""

    kind = "architecture"

    def sizes(self, spec: ArchitectureSpec) -> tuple[int, ...]:
        """The sizes of images that are tried, in pixels; override where an architecture needs others."""
        least, most = spec.requires.min_size, spec.requires.max_size
        small = max(least, min(32, most or 32))
        return tuple(sorted({small, min(2 * small, most) if most else 2 * small}))

    def build(self, spec: Spec, *, size: int = 0, channels: int = 3, seed: int = 0) -> nn.Module:
        """Build a backbone with all options at their defaults."""
        import torch

        size = size or self.sizes(cast(ArchitectureSpec, spec))[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            profile = profile_of(size=size, channels=channels)
            return cast("nn.Module", self.load(spec)(spec.options(), profile))

    def inputs(self, spec: Spec, *, size: int = 0, channels: int = 3) -> Tensor:
        """Two normalised inputs (2, C, H, W)."""
        import torch

        size = size or self.sizes(cast(ArchitectureSpec, spec))[0]
        return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1))

    def test_it_turns_inputs_into_features(self, spec: ArchitectureSpec) -> None:
        import torch

        sizes = self.sizes(spec)
        for channels, size in ((1, sizes[0]), (3, sizes[0]), (3, sizes[-1])):
            backbone = self.build(spec, size=size, channels=channels).eval()
            with torch.no_grad():
                features = backbone(self.inputs(spec, size=size, channels=channels))
            assert features.shape == (2, backbone.num_features), f"{channels} channels, {size} pixels"
            assert torch.isfinite(features).all(), f"{channels} channels, {size} pixels"

    def test_equal_seeds_give_equal_weights(self, spec: ArchitectureSpec) -> None:
        import torch

        one, other = self.build(spec).state_dict(), self.build(spec).state_dict()
        assert one.keys() == other.keys()
        for name, tensor in one.items():
            assert torch.equal(tensor, other[name]), f"{name} differs: take all randomness from torch's generator"

    def test_a_gradient_reaches_what_is_trained(self, spec: ArchitectureSpec) -> None:
        import torch

        backbone = self.build(spec).train()
        trainable = {name: each for name, each in backbone.named_parameters() if each.requires_grad}
        if spec.features_only:
            assert not trainable, "features_only promises that there is nothing to train; make them buffers"
            return
        backbone(self.inputs(spec)).square().sum().backward()
        for name, each in trainable.items():
            assert each.grad is not None, f"no gradient reaches {name}"
            assert torch.isfinite(each.grad).all(), f"the gradient of {name} is not finite"

    def test_its_weights_can_be_saved_and_loaded(self, spec: ArchitectureSpec) -> None:
        import torch

        one, other = self.build(spec, seed=0).eval(), self.build(spec, seed=1).eval()
        other.load_state_dict(one.state_dict())
        with torch.no_grad():
            assert torch.equal(one(self.inputs(spec)), other(self.inputs(spec))), "something is not in its state"

    def test_it_has_as_many_parameters_as_declared(self, spec: ArchitectureSpec) -> None:
        count = sum(each.numel() for each in self.build(spec).parameters())
        if spec.features_only:
            assert count == 0, "features_only promises that there is nothing to train; make them buffers"
        else:
            assert abs(count - spec.parameters) <= 0.05 * count, f"it has {count}; declare parameters={count}"

    def test_it_is_deterministic_when_it_predicts(self, spec: ArchitectureSpec) -> None:
        import torch

        backbone, inputs = self.build(spec).eval(), self.inputs(spec)
        with torch.no_grad():
            assert torch.equal(backbone(inputs), backbone(inputs))


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

    def test_it_can_tell_whether_it_lies_on_this_machine(self, spec: WeightsSpec) -> None:
        if spec.source == "hub":
            assert spec.cached, "hub weights name a function that tells whether they are here"
        if spec.cached:
            assert isinstance(resolve_name(spec.cached)(), bool)
            loaded = _imported_by_asking(self.plugin)
            assert "torch" not in loaded.split(), "asked before any training: it must not import torch"

    def test_it_loads_or_says_why_not(self, spec: WeightsSpec, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a network: what is on this machine loads; the hub's weights may refuse, soon, in words."""
        backbone = self._backbone(spec)
        before = [each.clone() for each in backbone.parameters()]
        monkeypatch.setattr(socket, "getaddrinfo", _offline)
        began = time.monotonic()
        refusal = self._refusal(spec, backbone)
        seconds = time.monotonic() - began
        after = list(backbone.parameters())
        if refusal:
            assert spec.source == "hub", f"weights of source {spec.source!r} must load: {refusal}"
            assert seconds < SECONDS_TO_REFUSE, f"it took {seconds:.1f} s to find out"
            assert len(refusal.split()) >= 5, f"the error must say what to do: {refusal}"
        else:
            assert any((old != new).any() for old, new in zip(before, after, strict=True)), "nothing was loaded"
            assert all(each.isfinite().all() for each in after)

    def _refusal(self, spec: WeightsSpec, backbone: nn.Module) -> str:
        """Load the weights, and return what was said instead."""
        try:
            self.load(spec)(backbone)
        except SeedbedError as error:
            return str(error)
        return ""

    def _backbone(self, spec: WeightsSpec) -> nn.Module:
        registry = self.registry()
        architecture = registry.get("architecture", spec.architecture)
        profile = profile_of(size=spec.resolution or 64, channels=len(spec.mean) or 3)
        if spec.mean:
            profile = replace(profile, mean=spec.mean, std=spec.std)
        return cast("nn.Module", registry.load(architecture)(architecture.options(), profile))


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


def _offline(*_: object, **__: object) -> NoReturn:
    raise socket.gaierror("the conformance kit tests weights without a network")
