"""What regularizers are held to, each on the modalities and kinds of task that it is for."""
# ruff: noqa: D102 - a test's name is its docstring

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast, get_args

from seedbed.core.protocols import Loss, Regularizer
from seedbed.core.specs import RegularizerSpec
from seedbed.core.task import Modality
from seedbed.registry.conformance.base import SpecContract
from seedbed.registry.conformance.inputs import Case, kinds_for
from seedbed.registry.conformance.nets import CLASSES, examples, hardened, small_net, softened
from seedbed.registry.conformance.traces import no_traces

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from seedbed.core.training.assemble import Net

STEPS = 20
_RISING = tuple(score / 20 for score in range(1, 20))


class RegularizerContract(SpecContract):
    """`build(options, profile)` gives a `Regularizer`: a change to model, loss, batch, gradients or weights."""

    kind = "regularizer"

    def cases(self, spec: RegularizerSpec) -> tuple[Case, ...]:
        """The forms of data that are tried: each modality with each kind of task that it is for."""
        return tuple(
            Case(modality=modality, size=max(8, spec.requires.min_size), channels=3, kind=kind)
            for modality in spec.requires.modalities or cast(tuple[Modality, ...], get_args(Modality))
            for kind in kinds_for(spec.requires)
        )

    def build(self, spec: RegularizerSpec, case: Case) -> Regularizer:
        """Build the regularizer as `options(spec)` says, for data of this form whose classes are of unequal size."""
        profile = case.profile()
        profile = replace(profile, class_counts=(120, 50, 10) if profile.class_counts else ())
        return cast(Regularizer, self.load(spec)(self.options(spec), profile))

    def test_it_is_a_regularizer(self, spec: RegularizerSpec) -> None:
        for case in self.cases(spec):
            assert isinstance(self.build(spec, case), Regularizer), "subclass seedbed.Regularizer"

    def test_building_it_leaves_no_trace(self, spec: RegularizerSpec) -> None:
        """A trial without it is then what it would be if there were no such regularizer."""
        for case in self.cases(spec):
            with no_traces("building it"):
                self.build(spec, case)

    def test_training_works_with_it(self, spec: RegularizerSpec) -> None:
        import torch

        for case in self.cases(spec):
            model = small_net(case)
            before = _plain_loss(model, case)
            _learn(self.build(spec, case), model, case)
            assert all(torch.isfinite(each).all() for each in model.state_dict().values()), str(case)
            after = _plain_loss(model, case)
            assert after < before, f"{case}: {STEPS} steps on eight examples took the loss from {before} to {after}"

    def test_equal_seeds_give_equal_training(self, spec: RegularizerSpec) -> None:
        import torch

        for case in self.cases(spec):
            one, other = small_net(case), small_net(case)
            for model in (one, other):
                _learn(self.build(spec, case), model, case)
            for name, tensor in one.state_dict().items():
                assert torch.equal(tensor, other.state_dict()[name]), f"{case}: two equal trainings differ in {name}"

    def test_a_model_trained_with_it_predicts_without_it(self, spec: RegularizerSpec) -> None:
        """The bundle knows nothing of regularizers: its model is built plain, and loads this state."""
        import torch

        for case in self.cases(spec):
            model, plain = small_net(case), small_net(case)
            _learn(self.build(spec, case), model, case)
            plain.load_state_dict(model.state_dict())
            inputs, _ = examples(case)
            with torch.no_grad():
                assert torch.allclose(model.eval()(*inputs), plain.eval()(*inputs), atol=1e-5), str(case)

    def test_it_changes_batches_by_the_rules(self, spec: RegularizerSpec) -> None:
        """Equal generators give equal batches, of the same shapes, and nothing is written into what came in."""
        import torch

        for case in self.cases(spec):
            if case.modality == "text":  # ids are no numbers; the engine does not ask
                continue
            regularizer, (inputs, targets) = self.build(spec, case), examples(case)
            first = inputs[0][:, :1].expand_as(inputs[0]) if case.modality == "image" else inputs[0]
            for given in (targets, *([softened(targets)] if case.kind == "classification" else [])):
                kept = first.clone(), given.clone()
                for seed in range(5):
                    with no_traces("`on_batch`"):
                        changed, wanted = regularizer.on_batch(first, given, _generator(seed))
                    assert torch.equal(first, kept[0]), f"{case}: `on_batch` writes into the inputs"
                    assert torch.equal(given, kept[1]), f"{case}: `on_batch` writes into the targets"
                    again = regularizer.on_batch(first, given, _generator(seed))
                    assert torch.equal(changed, again[0]), f"{case}: take all randomness from the generator given"
                    assert torch.equal(wanted, again[1]), f"{case}: take all randomness from the generator given"
                    assert (changed.shape, changed.dtype) == (first.shape, first.dtype), str(case)
                    assert changed.isfinite().all(), str(case)
                    _check_targets(case, given, wanted)

    def test_its_loss_is_one_number_for_each_example(self, spec: RegularizerSpec) -> None:
        """Also of classes that were mixed: probabilities of 0 and 1 mean the same as the index of the class."""
        import torch

        for case in self.cases(spec):
            regularizer, model, (_, targets) = self.build(spec, case), small_net(case), examples(case)
            regularizer.on_model(model)
            loss_of = regularizer.on_loss(_loss(case))
            outputs = 10 * torch.randn(len(targets), model.head.out_features, generator=_generator(0))
            mixed = [softened(targets), hardened(targets)] if case.kind == "classification" else []
            for given in (targets, *mixed):
                leaf = outputs.clone().requires_grad_()
                loss = loss_of(leaf, given)
                assert loss.shape == (len(targets),), f"{case}: the losses have the shape {tuple(loss.shape)}"
                torch.autograd.backward(loss.mean())
                assert loss.isfinite().all(), str(case)
                assert leaf.grad is not None and leaf.grad.isfinite().all(), f"{case}: gradients of the loss"  # noqa: PT018
            if mixed:
                close = torch.allclose(loss_of(outputs, hardened(targets)), loss_of(outputs, targets), rtol=1e-4)
                assert close, f"{case}: probabilities of 0 and 1 give other losses than the classes that they mean"

    def test_it_leaves_gradients_finite_and_weights_alone(self, spec: RegularizerSpec) -> None:
        """Also where all gradients are 0, and where there are none, as in a frozen backbone."""
        import torch

        for case in self.cases(spec):
            for state in ("there", "zero", "frozen"):
                regularizer, model, (inputs, targets) = self.build(spec, case), small_net(case), examples(case)
                regularizer.on_model(model)
                model.backbone.requires_grad_(state != "frozen")
                with torch.random.fork_rng(devices=[]):
                    torch.autograd.backward(_loss(case)(model.train()(*inputs), targets).mean())
                weights = [each for each in model.parameters() if each.requires_grad]
                before = [each.detach().clone() for each in weights]
                for each in weights if state == "zero" else ():
                    each.grad = torch.zeros_like(each)
                regularizer.on_gradients(model)
                for each, old in zip(weights, before, strict=True):
                    assert torch.equal(each, old), f"{case}: `on_gradients` changes weights"
                    assert each.grad is not None and each.grad.isfinite().all(), f"{case}, gradients {state}"  # noqa: PT018

    def test_the_state_it_averages_is_one_of_the_model(self, spec: RegularizerSpec) -> None:
        import torch

        for case in self.cases(spec):
            regularizer, model, plain = self.build(spec, case), small_net(case), small_net(case)

            def check(regularizer: Regularizer = regularizer, model: Net = model, plain: Net = plain) -> None:
                own = {name: each.clone() for name, each in model.state_dict().items()}
                state = regularizer.averaged(model)
                assert all(torch.equal(each, own[name]) for name, each in model.state_dict().items()), "it is changed"
                if state is None:
                    return
                plain.load_state_dict(state)
                assert all(each.isfinite().all() for each in state.values())
                kinds = {name: (each.dtype, each.device) for name, each in state.items()}
                assert kinds == {name: (each.dtype, each.device) for name, each in own.items()}

            _learn(regularizer, model, case, after=check)

    def test_the_average_of_weights_that_stay_is_those_weights(self, spec: RegularizerSpec) -> None:
        import torch

        for case in self.cases(spec):
            regularizer, model = self.build(spec, case), small_net(case)
            regularizer.on_model(model)
            for step in range(3):  # until those that change weights themselves have done so
                regularizer.after_step(model, step / STEPS)
            own = {name: each.clone() for name, each in model.state_dict().items()}
            for step in range(3, STEPS):
                regularizer.after_step(model, (step + 1) / STEPS)
            state = regularizer.averaged(model)
            if state is not None and all(torch.equal(each, own[name]) for name, each in model.state_dict().items()):
                for name, each in state.items():
                    assert torch.allclose(each, own[name], atol=1e-6), f"{case}: {name} is no average"

    def test_rising_scores_do_not_end_training(self, spec: RegularizerSpec) -> None:
        for case in self.cases(spec):
            regularizer = self.build(spec, case)
            for shift in (0.0, -5.0, 100.0):
                for looks in (*range(len(_RISING) + 1), *range(len(_RISING), -1, -1)):
                    scores = [score + shift for score in _RISING[:looks]]
                    assert not regularizer.is_done(scores), f"it ends training after {scores}"


def _learn(
    regularizer: Regularizer, model: Net, case: Case, *, steps: int = STEPS, after: Callable[[], None] = lambda: None
) -> None:
    """Train a model in place, calling the regularizer as the engine does; `after` is called after every step."""
    import torch

    inputs, targets = examples(case)
    noise = _generator(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        regularizer.on_model(model)
        loss_of = regularizer.on_loss(_loss(case))
        optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.1)
        for step in range(steps):
            first, wanted = inputs[0], targets
            if first.is_floating_point():
                first, wanted = regularizer.on_batch(first, targets, noise)
            loss = loss_of(model.train()(first, *inputs[1:]), wanted).mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            regularizer.on_gradients(model)
            optimizer.step()
            regularizer.after_step(model, (step + 1) / steps)
            after()


def _check_targets(case: Case, given: Tensor, wanted: Tensor) -> None:
    """Fail where targets are not of the form that losses take."""
    if case.kind == "classification" and not wanted.is_floating_point():
        assert (wanted.shape, wanted.dtype) == (given.shape, given.dtype), f"{case}: targets {wanted.dtype}"
        assert 0 <= int(wanted.min()) <= int(wanted.max()) < CLASSES, f"{case}: targets that are no class"
        return
    assert str(wanted.dtype) == "torch.float32", f"{case}: targets {wanted.dtype}"
    assert wanted.isfinite().all(), str(case)
    if case.kind == "regression":
        assert wanted.shape == given.shape, f"{case}: targets of shape {tuple(wanted.shape)}"
        return
    assert wanted.shape == (len(given), CLASSES), f"{case}: targets of shape {tuple(wanted.shape)}"
    assert -1e-6 <= float(wanted.min()) <= float(wanted.max()) <= 1 + 1e-6, f"{case}: targets beyond 0 and 1"
    if case.kind == "classification":
        off = float((wanted.sum(dim=1) - 1).abs().max())
        assert off < 1e-5, f"{case}: probabilities of classes add up to 1, these are off by {off:.2g}"


def _plain_loss(model: Net, case: Case) -> float:
    """The loss of a model in training mode, as it would be without the regularizer."""
    import torch

    inputs, targets = examples(case)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return float(_loss(case)(model.train()(*inputs), targets).mean())


def _loss(case: Case) -> Loss:
    from seedbed.core.training.outputs import plain_loss

    return plain_loss(case.kind)


def _generator(seed: int) -> Generator:
    import torch

    return torch.Generator().manual_seed(seed)
