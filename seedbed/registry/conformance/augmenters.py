"""What augmenters are held to: those of batches of images, of series and texts, and of one image at a time."""
# ruff: noqa: D102 - a test's name is its docstring

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from seedbed.core.space import Domain, Value, domains
from seedbed.core.specs import AugmenterSpec
from seedbed.core.task import Modality
from seedbed.registry.conformance.base import SpecContract
from seedbed.registry.conformance.inputs import VOCABULARY, Case
from seedbed.registry.conformance.traces import no_traces

if TYPE_CHECKING:
    from torch import Tensor

IDENTITY = 1e-4
"""How far an image may be from itself after a resampling that changes nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """Training inputs and what became of them: the arguments of the augmenter but for its generator."""

    case: Case
    seed: int
    before: tuple[Tensor, ...]
    after: tuple[Tensor, ...]


class AugmenterContract(SpecContract):
    """`build(options, profile)` gives a random transform of training inputs, as the spec's modalities and stage say."""

    kind = "augmenter"

    def cases(self, spec: AugmenterSpec) -> tuple[Case, ...]:
        """The forms of data that are tried."""
        return tuple(case for modality in spec.modalities for case in self._forms(spec, modality))

    def _forms(self, spec: AugmenterSpec, modality: Modality) -> Iterator[Case]:
        least, most = spec.requires.min_size, spec.requires.max_size or 10**6
        if modality == "image":
            yield Case(modality="image", channels=1, size=max(8, least))
            yield Case(modality="image", channels=3, size=min(max(33, least), most))
            yield Case(modality="image", channels=3, size=max(16, least), width=max(24, least))
        elif modality == "series":
            yield Case(modality="series", channels=3, size=24)
            yield Case(modality="series", channels=1, size=5)
        else:
            yield Case(modality="text", size=24)

    def build(self, spec: AugmenterSpec, case: Case, *, options: object = None) -> Any:  # noqa: ANN401 - by modality
        """Build the augmenter for data of this form, as in `options(spec)` where nothing else is said."""
        return self.load(spec)(self.options(spec) if options is None else options, case.profile())

    def draws(self, spec: AugmenterSpec, seeds: range = range(10), *, options: object = None) -> list[Draw]:
        """What it makes of data of each form, with each seed."""
        found = []
        for case in self.cases(spec):
            augmenter, before = self.build(spec, case, options=options), _inputs(spec, case)
            found += [Draw(case, seed, before, _augmented(spec, augmenter, before, seed)) for seed in seeds]
        return found

    def test_it_keeps_shape_dtype_and_device(self, spec: AugmenterSpec) -> None:
        for draw in self.draws(spec):
            assert len(draw.after) == len(draw.before), f"{draw.case}: a mask goes in and comes out"
            for before, after in zip(draw.before, draw.after, strict=True):
                same = (after.shape, after.dtype, after.device) == (before.shape, before.dtype, before.device)
                assert same, f"{draw.case}: {after.shape}, {after.dtype} of {before.shape}, {before.dtype}"

    def test_its_values_stay_where_they_belong(self, spec: AugmenterSpec) -> None:
        """Images between 0 and 1, ids in the vocabulary, and nothing where the mask says that there is nothing."""
        for draw in self.draws(spec):
            first = draw.after[0]
            assert first.isfinite().all(), str(draw.case)
            if draw.case.modality == "image" and first.is_floating_point():
                low, high = float(first.min()), float(first.max())
                assert -1e-5 <= low <= high <= 1 + 1e-5, f"{draw.case}: [{low:.4g}, {high:.4g}]; clamp to [0, 1]"
            if draw.case.modality == "text":
                assert 0 <= int(first.min()) <= int(first.max()) < VOCABULARY, "it gives ids that stand for nothing"

    def test_its_mask_says_what_is_there(self, spec: AugmenterSpec) -> None:
        for draw in self.draws(spec):
            if draw.case.modality == "image":
                continue
            (inputs, mask), had = draw.after, draw.before[1]
            there = mask[:, None] if draw.case.modality == "series" else mask
            assert not (inputs * ~there).any(), f"{draw.case}: where the mask is false, inputs are 0"
            assert (mask[:, 0] == had[:, 0]).all(), f"{draw.case}: every row keeps its first step"
            assert (mask[:, 1:] <= mask[:, :-1]).all(), f"{draw.case}: what is there comes first, without gaps"

    def test_it_does_not_write_into_its_input(self, spec: AugmenterSpec) -> None:
        import torch

        for case in self.cases(spec):
            augmenter, inputs = self.build(spec, case), _inputs(spec, case)
            if case.modality == "image" and spec.stage == "batch":
                inputs = (inputs[0][:, :1].expand(-1, case.channels, -1, -1),)  # as grey images arrive
            before = [each.clone() for each in inputs]
            for seed in range(10):
                _augmented(spec, augmenter, inputs, seed)
            assert all(torch.equal(here, there) for here, there in zip(inputs, before, strict=True)), str(case)

    def test_equal_seeds_give_equal_outputs(self, spec: AugmenterSpec) -> None:
        with no_traces("augmenting"):
            forth, back = self.draws(spec), self.draws(spec, range(9, -1, -1))
        again = {(draw.case, draw.seed): draw.after for draw in back}
        for draw in forth:
            same = _are_equal(draw.after, again[draw.case, draw.seed])
            assert same, f"{draw.case}: take all randomness from the generator given, and keep nothing of earlier calls"

    def test_other_seeds_give_other_outputs(self, spec: AugmenterSpec) -> None:
        for modality in spec.modalities:
            draws = [each for each in self.draws(spec) if each.case.modality == modality and each.case.channels != 1]
            outputs = {(draw.case, *(each.numpy().tobytes() for each in draw.after)) for draw in draws}
            few = len(outputs) <= len({draw.case for draw in draws})
            assert not few, f"{modality}: ten seeds gave the same output; is the generator used?"

    def test_one_short_row_is_enough(self, spec: AugmenterSpec) -> None:
        for case in self.cases(spec):
            if spec.stage == "sample":
                continue
            augmenter = self.build(spec, case)
            for seed in range(10):
                before = _unit(case, case.inputs((1,)))
                after = _augmented(spec, augmenter, before, seed)
                assert [each.shape for each in after] == [each.shape for each in before], f"one row of {case}"
                assert after[0].isfinite().all(), f"one row of {case}"

    def test_several_threads_may_call_it(self, spec: AugmenterSpec) -> None:
        """The engine changes several images at once where it changes them one at a time."""
        for case in self.cases(spec):
            if spec.stage == "batch":
                continue
            augmenter, image = self.build(spec, case), _inputs(spec, case)
            alone = [_augmented(spec, augmenter, image, seed) for seed in range(24)]
            with ThreadPoolExecutor(4) as pool:
                together = list(pool.map(lambda seed: _augmented(spec, augmenter, image, seed), range(24)))  # noqa: B023
            assert all(map(_are_equal, alone, together)), f"{case}: another output with four threads"

    def test_its_views_are_fixed_and_begin_with_the_inputs(self, spec: AugmenterSpec) -> None:
        for case in self.cases(spec):
            augmenter, (first, *_) = self.build(spec, case), _inputs(spec, case)
            if not hasattr(augmenter, "views"):
                continue
            assert case.modality == "image", "views are of batches of images"
            assert spec.stage == "batch", "views are of batches of images"
            views, again = augmenter.views(first), augmenter.views(first)
            assert _are_equal((views[0],), (first,)), "the first view is the inputs themselves"
            assert _are_equal(tuple(views), tuple(again)), f"{case}: views are not random"
            assert all(each.shape == first.shape for each in views), f"{case}: views have the shape of the inputs"

    def test_at_no_strength_it_changes_nothing(self, spec: AugmenterSpec) -> None:
        """Where all that is searched may be 0, or off, there it gives back what it was given."""
        import torch

        least = {name: _least(domain) for name, (domain, _) in domains(spec.options).items()}
        if not least or any(each is None for each in least.values()):
            return
        for draw in self.draws(spec, range(5), options=replace(self.options(spec), **least)):
            for before, after in zip(draw.before, draw.after, strict=True):
                close = torch.allclose(after.double(), before.double(), atol=IDENTITY)
                assert close, f"{draw.case}, {least}: up to {float((after.double() - before.double()).abs().max()):.2g}"


def _least(domain: Domain) -> Value | None:
    """Return the 0 or False of a domain, None where it has none."""
    return next((zero for zero in (False, 0.0, 0) if zero in domain), None)


def _inputs(spec: AugmenterSpec, case: Case) -> tuple[Tensor, ...]:
    """Return a batch (N, ...) as augmenters take it, or for `stage="sample"` one image uint8 (H, W, C)."""
    import torch

    lengths = (*case.lengths, *case.lengths) if case.modality == "image" else (*case.lengths, case.shortest)
    inputs = _unit(case, case.inputs(lengths))
    if spec.stage == "batch":
        return inputs
    return ((inputs[0][0].permute(1, 2, 0) * 255).round().to(torch.uint8).contiguous(),)


def _unit(case: Case, inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """Return images in [0, 1], and what is none of them as it is."""
    return tuple(each.sigmoid() for each in inputs) if case.modality == "image" else inputs


def _augmented(spec: AugmenterSpec, augmenter: Any, inputs: tuple[Tensor, ...], seed: int) -> tuple[Tensor, ...]:  # noqa: ANN401
    """Call an augmenter as the engine does."""
    import numpy as np
    import torch

    if spec.stage == "sample":
        changed = augmenter(inputs[0].numpy(), np.random.default_rng(seed))
        return (torch.from_numpy(np.ascontiguousarray(changed)),)
    found = augmenter(*inputs, torch.Generator().manual_seed(seed))
    return cast("tuple[Tensor, ...]", found if isinstance(found, tuple) else (found,))


def _are_equal(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    import torch

    return all(torch.equal(here, there) for here, there in zip(one, other, strict=True))
