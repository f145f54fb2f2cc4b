"""What backbones are held to."""
# ruff: noqa: D102 - a test's name is its docstring

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

import pytest

from seedbed.core.space import domains
from seedbed.core.specs import ArchitectureSpec
from seedbed.core.task import Modality
from seedbed.registry.conformance.base import SpecContract, random_points
from seedbed.registry.conformance.inputs import Case, dense, kinds_for, narrowed, taken, widened
from seedbed.registry.conformance.traces import no_traces

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from seedbed.core.data.feeding.source import Inputs

RELATIVE, ABSOLUTE = 1e-4, 1e-5
"""How far features may lie apart that ought to be equal: sums are taken in another order in another batch."""


class ArchitectureContract(SpecContract):
    """`build(options, profile)` gives a backbone: inputs → features (N, num_features).

    It is tried on each modality that it takes in; what is true of images alone, or of rows that are padded,
    asks nothing of the others.
    """

    kind = "architecture"
    _kept: ClassVar[Mapping[tuple[str, Case], nn.Module]]

    def sizes(self, spec: ArchitectureSpec) -> tuple[int, ...]:
        """The sizes of images that are tried, in pixels; override where an architecture needs others."""
        least, most = spec.requires.min_size, spec.requires.max_size
        small = max(least, min(32, most or 32))
        return tuple(sorted({small, min(2 * small, most) if most else 2 * small}))

    def cases(self, spec: ArchitectureSpec) -> tuple[Case, ...]:
        """The forms of data that are tried, each with another kind of task, of each modality the usual one first."""
        kinds = cycle(kinds_for(spec.requires))
        return tuple(replace(case, kind=next(kinds)) for each in spec.modalities for case in self._forms(spec, each))

    def _forms(self, spec: ArchitectureSpec, modality: Modality) -> Iterator[Case]:
        if modality == "image":
            small, large = self.sizes(spec)[0], self.sizes(spec)[-1]
            for channels, size in ((3, small), (1, small), (3, large)):
                yield Case(modality="image", channels=channels, size=size)
        elif modality == "series":
            for channels, size in ((3, 24), (1, 9)):
                yield Case(modality="series", channels=channels, size=size)
        else:
            yield Case(modality="text", encoding=spec.encoding, size=24)

    def usual(self, spec: ArchitectureSpec) -> tuple[Case, ...]:
        """The first form of each modality."""
        first = {case.modality: case for case in reversed(self.cases(spec))}
        return tuple(first[each] for each in spec.modalities)

    def build(self, spec: ArchitectureSpec, case: Case, *, options: object = None, seed: int = 0) -> nn.Module:
        """Build a backbone for data of this form, as in `options(spec)` where nothing else is said."""
        import torch

        options = self.options(spec) if options is None else options
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cast("nn.Module", self.load(spec)(options, case.profile()))

    def ready(self, spec: ArchitectureSpec, case: Case) -> nn.Module:
        """Return a backbone that can predict: in evaluation mode, and where it learns from rows, with that done.

        It is the same one for all checks of a component, which come one after another: leave it as it is.
        """
        kept = vars(type(self)).get("_kept", {})
        if (spec.name, case) not in kept:
            backbone = self.build(spec, case).eval()
            _fit(backbone, [case.inputs(seed=number) for number in range(3)])
            same = {key: each for key, each in kept.items() if key[0] == spec.name}
            type(self)._kept = {**same, (spec.name, case): backbone}
        return type(self)._kept[spec.name, case]

    def test_it_turns_inputs_into_features(self, spec: ArchitectureSpec) -> None:
        import torch

        for case in self.cases(spec):
            backbone = self.ready(spec, case)
            features = _features(backbone, case.inputs())
            assert features.shape == (len(case.lengths), backbone.num_features), str(case)
            assert features.dtype == torch.float32, f"{case}: {features.dtype}"
            assert dense(features).isfinite().all(), str(case)
            if features.layout != torch.strided:
                assert spec.features_only, "what is trained by gradients gives dense features"
                assert features.layout == torch.sparse_csr, "sparse features come as compressed rows (CSR)"

    def test_rows_of_every_length_have_features(self, spec: ArchitectureSpec) -> None:
        """Rows to predict may be longer than any of the training part, and a text may be empty."""
        for case in self.usual(spec):
            if case.modality == "image":
                continue
            backbone, least = self.ready(spec, case), case.shortest
            for length in (*range(least, 10), case.size, 2 * case.size + 1):
                for lengths in ((length,), (length, least)):
                    features = dense(_features(backbone, case.inputs(lengths)))
                    assert features.shape == (len(lengths), backbone.num_features), f"{case}, lengths {lengths}"
                    assert features.isfinite().all(), f"{case}, lengths {lengths}"

    def test_padding_does_not_change_features(self, spec: ArchitectureSpec) -> None:
        for case in self.cases(spec):
            if not case.is_sequence:
                continue
            backbone, inputs = self.ready(spec, case), case.inputs()
            features = _features(backbone, inputs)
            apart = _apart(_features(backbone, widened(inputs, 7)), features)
            assert not apart, f"{case}: seven more steps of padding change features by up to {apart:.2g}"
            for row, length in enumerate(case.lengths):
                alone = narrowed(taken(inputs, [row]), length)
                apart = _apart(_features(backbone, alone), dense(features)[[row]])
                assert not apart, f"{case}: a row of {length} steps differs by up to {apart:.2g} beside longer ones"

    def test_a_row_has_the_same_features_beside_any_other(self, spec: ArchitectureSpec) -> None:
        for case in self.usual(spec):
            backbone, inputs = self.ready(spec, case), case.inputs()
            features = dense(_features(backbone, inputs))
            for rows in ([2, 0, 3, 1], [1], [3, 3]):
                apart = _apart(_features(backbone, taken(inputs, rows)), features[rows])
                assert not apart, f"{case}: in a batch of rows {rows} features differ by up to {apart:.2g}"

    def test_it_is_deterministic_when_it_predicts(self, spec: ArchitectureSpec) -> None:
        import torch

        for case in self.usual(spec):
            backbone, inputs = self.ready(spec, case), case.inputs()
            one, other = (dense(_features(backbone, inputs)) for _ in range(2))
            assert torch.equal(one, other), str(case)

    def test_equal_seeds_give_equal_weights(self, spec: ArchitectureSpec) -> None:
        for case in self.usual(spec):
            kept = self.ready(spec, case)
            unlike = _unlike(self.build(spec, case) if hasattr(kept, "fit") else kept, self.build(spec, case))
            assert not unlike, f"{case}: {unlike} differ: take all randomness from torch's generator"

    def test_what_it_learns_from_rows_can_be_learnt_again(self, spec: ArchitectureSpec) -> None:
        for case in self.usual(spec):
            if not hasattr(self.ready(spec, case), "fit"):
                continue
            one, other = self.build(spec, case), self.build(spec, case)
            assert spec.features_only, "the engine calls `fit` of fixed transforms alone; rename it"
            shapes = {name: each.shape for name, each in one.state_dict().items()}
            for backbone in (one, other):
                with no_traces("`fit`"):
                    _fit(backbone, [case.inputs(seed=number) for number in range(3)])
            unlike = _unlike(one, other)
            assert not unlike, f"{case}: {unlike} differ: take all randomness from the generator given"
            assert {name: each.shape for name, each in one.state_dict().items()} == shapes, "shapes are fixed at build"
            _fit(other, [case.inputs((case.size, 1))])
            assert dense(_features(other.eval(), case.inputs())).isfinite().all(), f"{case}, fitted to two rows"

    def test_a_gradient_reaches_what_is_trained(self, spec: ArchitectureSpec) -> None:
        import torch

        for case in self.usual(spec):
            backbone = self.build(spec, case).train()
            if spec.features_only:
                names = [name for name, _ in backbone.named_parameters()]
                assert not names, f"features_only promises that there is nothing to train; make {names} buffers"
                continue
            _backward(backbone, case)
            trainable = {name: each for name, each in backbone.named_parameters() if each.requires_grad}
            assert trainable, f"{case}: there is nothing to train; declare features_only=True"
            for name, each in trainable.items():
                assert each.grad is not None, f"{case}: no gradient reaches {name}"
                assert torch.isfinite(each.grad).all(), f"{case}: the gradient of {name} is not finite"

    def test_its_weights_can_be_saved_and_loaded(self, spec: ArchitectureSpec) -> None:
        """A checkpoint is a safetensors file of its state, and loads into a backbone that was only just built."""
        import torch
        from safetensors.torch import load, save

        for case in self.usual(spec):
            one, other = self.ready(spec, case), self.build(spec, case, seed=1).eval()
            other.load_state_dict(load(save({name: each.contiguous() for name, each in one.state_dict().items()})))
            here, there = (dense(_features(backbone, case.inputs())) for backbone in (one, other))
            assert torch.equal(here, there), f"{case}: something is not in its state"

    def test_it_has_as_many_parameters_as_declared(self, spec: ArchitectureSpec) -> None:
        """0 stands for a number that depends on the data: on lengths, words, channels of series, sizes of images."""
        for case in self.usual(spec):
            count = _count(self.ready(spec, case))
            if spec.parameters or spec.features_only:
                assert abs(count - spec.parameters) <= 0.05 * count, f"{case}: {count}; declare parameters={count}"
            elif case.modality == "image":
                larger = _count(self.build(spec, replace(case, size=self.sizes(spec)[-1])))
                assert larger != count, f"it has {count} for images of any size; declare parameters={count}"

    def test_its_layers_hold_each_parameter_once(self, spec: ArchitectureSpec) -> None:
        """By its own `layers()` or in the engine's order: a parameter in no layer would not be trained."""
        from seedbed.core.training.assemble import backbone_layers

        for case in self.usual(spec):
            backbone = self.ready(spec, case)
            listed = [id(each) for layer in backbone_layers(backbone) for each in layer]
            for name, each in backbone.named_parameters():
                times = listed.count(id(each))
                assert times == 1 or (times == 0 and not each.requires_grad), f"{name} is listed {times} times"
            assert len(listed) <= len(list(backbone.parameters())), "it lists what are no parameters of its own"

    def test_random_points_of_its_space_can_be_trained(self, spec: ArchitectureSpec) -> None:
        for values in random_points(spec, min(len(domains(spec.options)), 3)):
            changed = {name.removeprefix("x."): value for name, value in values.items()}
            options = replace(cast(Any, self.options(spec)), **changed)
            for case in self.usual(spec):
                backbone = self.build(spec, case, options=options)
                _fit(backbone, [case.inputs()])
                features = (
                    _features(backbone, case.inputs()) if spec.features_only else _backward(backbone.train(), case)
                )
                assert features.shape[1] == backbone.num_features, f"{case}, {changed}"
                assert dense(features).isfinite().all(), f"{case}, {changed}"

    def test_it_is_built_in_peace(self, spec: ArchitectureSpec, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a network, also where it is to be given pretrained weights, and without a trace."""
        monkeypatch.setattr(socket, "getaddrinfo", no_network)
        for case in self.usual(spec):
            with no_traces("building it", torch_may_draw=True):
                self.load(spec)(self.options(spec), case.profile())


def no_network(*_: object, **__: object) -> NoReturn:
    """Stand in for `socket.getaddrinfo` where there is to be no network."""
    raise socket.gaierror("the conformance kit tests without a network")


def _fit(backbone: nn.Module, batches: Sequence[Inputs]) -> None:
    import torch

    if hasattr(backbone, "fit"):
        with torch.no_grad():
            cast(Any, backbone).fit(iter(batches), torch.Generator().manual_seed(0))


def _features(backbone: nn.Module, inputs: Inputs) -> Tensor:
    import torch

    with torch.no_grad():
        return cast("torch.Tensor", backbone(*inputs))


def _backward(backbone: nn.Module, case: Case) -> Tensor:
    """Take the gradient of a batch of two, and return its features."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        features = cast("torch.Tensor", backbone(*case.inputs((case.size, case.size // 2))))
    torch.autograd.backward(features.square().sum())
    return features.detach()


def _apart(one: Tensor, other: Tensor) -> float:
    """How far features lie apart, 0 where that is no more than rounding."""
    import torch

    one, other = dense(one), dense(other)
    if torch.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE):
        return 0.0
    return float((one - other).abs().max())


def _unlike(one: nn.Module, other: nn.Module) -> list[str]:
    """Return the names of the tensors in which two states differ."""
    import torch

    here, there = one.state_dict(), other.state_dict()
    assert here.keys() == there.keys()
    return [name for name, tensor in here.items() if not torch.equal(tensor, there[name])]


def _count(backbone: nn.Module) -> int:
    return sum(each.numel() for each in backbone.parameters())
