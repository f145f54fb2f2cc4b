"""A candidate made real: model, optimizer, schedule, augmenters, regularizers, loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from seedbed.core.data.profile import Profile
from seedbed.core.data.view import View
from seedbed.core.errors import PluginError
from seedbed.core.protocols import Augmenter, Backbone, Lookup, Loss, ParamGroups, Regularizer, Schedule
from seedbed.core.search.candidate import Candidate
from seedbed.core.space import options_from
from seedbed.core.specs import ArchitectureSpec, AugmenterSpec, Spec, Stage, WeightsSpec
from seedbed.core.training.outputs import plain_loss
from seedbed.core.training.samples import SampleStage
from seedbed.core.training.sparse import apply_linear, is_sparse

_BACKBONE = "backbone."


class Net(nn.Module):
    """A backbone, dropout and a linear head: what `Backbone` is called with → raw outputs (N, K)."""

    def __init__(self, backbone: nn.Module, num_features: int, outputs: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(0.0)
        self.head = nn.Linear(num_features, outputs)
        self.norm_is_frozen = False
        # A head that starts at zero gives every class the same probability: the first steps then
        # correct the head, not the noise of its initialisation.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def train(self, mode: bool = True) -> Net:
        """Switch to training mode; with `norm_is_frozen`, batch-norm statistics stay as they are."""
        super().train(mode)
        if mode and self.norm_is_frozen:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(self, *inputs: Any) -> Tensor:  # noqa: ANN401 - what they are depends on the modality
        """Return logits, or standardised values, (N, K)."""
        features = self.backbone(*inputs)
        if is_sparse(features):
            return apply_linear(features, self.head.weight, self.head.bias)
        return cast(Tensor, self.head(self.dropout(features)))


@dataclass(slots=True, kw_only=True)
class Assembled:
    """All live parts of one candidate's training."""

    model: Net
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    augmenters: list[Augmenter]
    samples: SampleStage | None
    regularizers: list[Regularizer]
    loss: Loss


def chosen_weights(candidate: Candidate, lookup: Lookup) -> WeightsSpec | None:
    """Return the pretrained weights a candidate names, if any."""
    name = candidate.values.get("weights")
    return None if name is None else cast(WeightsSpec, lookup.get("weights", str(name)))


def make_view(candidate: Candidate, profile: Profile, lookup: Lookup) -> View:
    """Return the input form of a candidate: that of its pretrained weights, or the data's own."""
    weights = chosen_weights(candidate, lookup)
    architecture = cast(ArchitectureSpec, lookup.get("architecture", candidate.component("architecture")))
    view = View(
        height=profile.height,
        width=profile.width,
        channels=profile.channels,
        mean=profile.mean,
        std=profile.std,
        encoding=architecture.encoding,
    )
    if weights is not None and weights.mean:
        view = replace(view, channels=len(weights.mean), mean=weights.mean, std=weights.std)
    resolution = int(candidate.values.get("resolution", 0))
    return view.at(resolution) if resolution else view


def build_model(candidate: Candidate, profile: Profile, view: View, lookup: Lookup) -> Net:
    """Build a candidate's model with fresh weights; torch's random state decides which.

    Raises:
        PluginError: the backbone does not tell its number of features.
    """
    spec, options = _component("architecture", candidate, lookup)
    seen = replace(profile, height=view.height, width=view.width, channels=view.channels)
    return _with_head(lookup.load(spec)(options, seen), spec, profile)


def restore_model(
    candidate: Candidate, profile: Profile, view: View, lookup: Lookup, state: Mapping[str, Tensor]
) -> Net:
    """Build a candidate's model with the weights it was saved with.

    Raises:
        PluginError: as `build_model`.
        RuntimeError: the state is not this model's.
    """
    spec, options = _component("architecture", candidate, lookup)
    restore = cast(ArchitectureSpec, spec).restore
    if restore:
        seen = replace(profile, height=view.height, width=view.width, channels=view.channels)
        own = {name.removeprefix(_BACKBONE): each for name, each in state.items() if name.startswith(_BACKBONE)}
        model = _with_head(lookup.load(replace(spec, build=restore))(options, seen, own), spec, profile)
    else:
        model = build_model(candidate, profile, view, lookup)
    model.load_state_dict(state)
    return model


def _with_head(backbone: nn.Module, spec: Spec, profile: Profile) -> Net:
    features = getattr(cast(Backbone, backbone), "num_features", None)
    if not isinstance(features, int) or features < 1:
        raise PluginError(
            f"The architecture {spec.name!r} has no `num_features`; its backbone must say how many features it gives."
        )
    return Net(backbone, features, profile.task.outputs)


def load_pretrained(model: Net, candidate: Candidate, lookup: Lookup) -> None:
    """Load the weights a candidate names into its backbone, in place."""
    weights = chosen_weights(candidate, lookup)
    if weights is not None:
        lookup.load(weights)(model.backbone)


def build_augmenters(candidate: Candidate, profile: Profile, view: View, lookup: Lookup) -> list[Augmenter]:
    """Build the augmenters of whole batches that a candidate switches on, in the order of their names."""
    return _augmenters("batch", candidate, profile, view, lookup)


def _augmenters(stage: Stage, candidate: Candidate, profile: Profile, view: View, lookup: Lookup) -> list[Any]:
    seen = replace(profile, height=view.height, width=view.width, channels=view.channels)
    return [
        lookup.load(spec)(options, seen)
        for spec, options in _switched_on("augmenter", candidate, lookup)
        if cast(AugmenterSpec, spec).stage == stage
    ]


def assemble(
    model: Net,
    candidate: Candidate,
    profile: Profile,
    view: View,
    lookup: Lookup,
    *,
    layer_decay: float = 1.0,
    is_gradual: bool = False,
) -> Assembled:
    """Put the live parts of a candidate's training around its model.

    Args:
        layer_decay: factor on the learning rate for each layer further from the head (1: none).
        is_gradual: whether layers are set free one after another; each then has groups of its own.
    """
    regularizers = [
        lookup.load(spec)(options, profile) for spec, options in _switched_on("regularizer", candidate, lookup)
    ]
    samples = _augmenters("sample", candidate, profile, view, lookup)
    loss = plain_loss(profile.task.kind)
    for regularizer in regularizers:
        regularizer.on_model(model)
        loss = regularizer.on_loss(loss)
    spec, options = _component("optimizer", candidate, lookup)
    optimizer = lookup.load(spec)(param_groups(model, layer_decay, is_gradual=is_gradual), options)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"] * group.get("lr_scale", 1.0)
    schedule_spec, schedule_options = _component("schedule", candidate, lookup)
    return Assembled(
        model=model,
        optimizer=optimizer,
        schedule=lookup.load(schedule_spec)(schedule_options),
        augmenters=build_augmenters(candidate, profile, view, lookup),
        samples=SampleStage(samples) if samples else None,
        regularizers=regularizers,
        loss=loss,
    )


def param_groups(model: Net, layer_decay: float, *, is_gradual: bool = False) -> ParamGroups:
    """Sort the trainable parameters by depth, and by whether weight decay applies.

    Norms and biases (fewer than two dimensions) are never decayed. With `layer_decay` below 1 the
    learning rate falls by that factor from layer to layer towards the input (ULMFiT, Howard & Ruder
    2018; BEiT, Bao et al. 2022).
    """
    layers = [*backbone_layers(model.backbone), list(model.head.parameters())]
    groups: ParamGroups = []
    for depth, parameters in enumerate(layers):
        scale = layer_decay ** (len(layers) - 1 - depth)
        trainable = [each for each in parameters if each.requires_grad]
        for decayed in (True, False):
            members = [each for each in trainable if (each.ndim > 1) == decayed]
            if members:
                group: dict[str, Any] = {"params": members, "lr_scale": scale}
                groups.append(group if decayed else group | {"weight_decay": 0.0})
    # Fused kernels ask that of a group either all parameters have been stepped before, or none.
    return groups if layer_decay != 1.0 or is_gradual else _merge(groups)


def _merge(groups: ParamGroups) -> ParamGroups:
    """Join groups of equal settings: fewer, longer groups make a faster optimizer step."""
    merged: dict[bool, dict[str, Any]] = {}
    for group in groups:
        found = merged.setdefault("weight_decay" in group, {**group, "params": []})
        found["params"] += group["params"]
    return list(merged.values())


def backbone_layers(backbone: nn.Module) -> list[list[nn.Parameter]]:
    """Return a backbone's parameters from input to output, a list for each layer."""
    own = getattr(backbone, "layers", None)
    if callable(own) and not isinstance(own, nn.Module):  # many nets have a stack of modules of that name
        return cast(list[list[nn.Parameter]], own())
    layers, seen = [], set[int]()
    for module in _stages(backbone):  # a parameter that several modules share belongs to the first
        layers.append([each for each in module.parameters() if id(each) not in seen])
        seen |= {id(each) for each in layers[-1]}
    loose = [each for each in backbone.parameters(recurse=True) if id(each) not in seen]
    return [layer for layer in ([loose, *layers] if loose else layers) if layer]


def _stages(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, nn.Sequential | nn.ModuleList) and len(child):
            yield from child.children()
        else:
            yield child


def _component(slot: str, candidate: Candidate, lookup: Lookup) -> tuple[Spec, object]:
    spec = lookup.get(slot, candidate.component(slot))
    return spec, options_from(spec.options, f"{slot}.{spec.name}", candidate.values)


def _switched_on(slot: str, candidate: Candidate, lookup: Lookup) -> Iterator[tuple[Spec, object]]:
    for name, value in sorted(candidate.values.items()):
        if value is True and name.startswith(f"{slot}.") and name.count(".") == 1:
            spec = lookup.get(slot, name.split(".")[1])
            yield spec, options_from(spec.options, f"{slot}.{spec.name}", candidate.values)
