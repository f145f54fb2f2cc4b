"""What may be tried on this data: every component that fits, merged into one conditional space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import cast

from seedbed.core.data.profile import Profile
from seedbed.core.errors import UnknownName, UsageError
from seedbed.core.protocols import Lookup
from seedbed.core.search.candidate import Candidate
from seedbed.core.search.events import ComponentRefused
from seedbed.core.search.pinning import expanded, of_candidates, pin, requested
from seedbed.core.search.policies import POLICIES, TuneOptions
from seedbed.core.settings import Settings
from seedbed.core.space import (
    Choice,
    Condition,
    Param,
    Space,
    Value,
    Values,
    children,
    pick_any,
    pick_one,
)
from seedbed.core.specs import KINDS, ArchitectureSpec, AugmenterSpec, Spec, WeightsSpec

_SEARCHED = ("architecture", "weights", "optimizer", "schedule", "augmenter", "regularizer")
_PRETRAINED = tuple(each.name for each in POLICIES.values() if each.pretrained)
_TRAINS = Condition("policy", tuple(each.name for each in POLICIES.values() if each.trains))
_HEADS = Choice("logistic", "ridge")
_REASONS_SHOWN = 8
_RESOLUTIONS = (32, 48, 64, 96, 128, 160, 192, 224, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """The space of candidates, the baselines every study runs first, and what was left out and why."""

    space: Space
    baselines: tuple[Candidate, ...]
    refusals: tuple[ComponentRefused, ...]
    versions: Mapping[str, int]

    def candidate(self, values: Values) -> Candidate:
        """Return a point of the space with the versions of all components it names."""
        return candidate_of(values, self.versions)


def candidate_of(values: Values, versions: Mapping[str, int]) -> Candidate:
    """Return a point with the versions, as `versions_of` gives them, of all components it names."""

    def named() -> Iterator[str]:
        for name, value in values.items():
            slot, _, rest = name.partition(".")
            yield f"{slot}:{rest}" if value is True and rest else f"{name}:{value}"

    return Candidate(dict(values), {each: versions[each] for each in sorted(named()) if each in versions})


def versions_of(lookup: Lookup) -> dict[str, int]:
    """Return the version of every component that candidates are made of ("optimizer:adamw" → 1)."""
    return {f"{kind}:{spec.name}": spec.version for kind in _SEARCHED for spec in lookup.all(kind)}


def compose(
    profile: Profile, settings: Settings, lookup: Lookup, *, can_load: Callable[[WeightsSpec], bool]
) -> Composition:
    """Merge what fits the data and the user's wishes into one conditional space.

    Args:
        can_load: whether weights from the hub can be had: from the cache, or because there is a network.

    Raises:
        UnknownName: the settings name a component or parameter that does not exist.
        UsageError: the settings leave nothing to try.
    """
    _refuse_unlearnable(profile, lookup)
    fixed = expanded(of_candidates(settings.fixed), lookup)
    use, without = _resolve(settings.use, lookup), _resolve(settings.without, lookup)
    refusals: list[ComponentRefused] = []
    foreign: list[ComponentRefused] = []  # for other data: nobody wants to read of all of them
    offered: dict[str, list[Spec]] = {}
    for kind in _SEARCHED:
        wished = _wishes(kind, use[kind], without[kind], requested(kind, fixed))
        offered[kind] = []
        for spec in lookup.all(kind):
            if (reason := _for_other_data(spec, profile)) is not None:
                if spec.name in use[kind]:
                    raise UsageError(f"--use {kind}:{spec.name}: it {reason}.")
                foreign.append(ComponentRefused(kind=kind, name=spec.name, reason=reason))
            elif reason := wished(spec) or _unmet(spec, profile) or _no_weights(spec, can_load):
                refusals.append(ComponentRefused(kind=kind, name=spec.name, reason=reason))
            else:
                offered[kind].append(spec)
    refusals += _drop_unable(offered, fixed.get("policy"), fixed.get("weights"))
    if not offered["architecture"]:
        named = use["architecture"] | requested("architecture", fixed)
        raise UsageError(f"No architecture is left to try ({_reasons([*refusals, *foreign], named)}).")
    space = pin(Space(tuple(_params(offered, profile, use))), fixed, offered, [*refusals, *foreign])
    composition = Composition(
        space=space,
        baselines=(),
        refusals=tuple(refusals),
        versions=versions_of(lookup),
    )
    return replace(composition, baselines=tuple(_baselines(composition, lookup, profile, without["architecture"])))


def _reasons(refusals: Sequence[ComponentRefused], named: frozenset[str]) -> str:
    """Say why the architectures that the user named cannot be used, or where none was named, some of the others."""
    of_kind = [each for each in refusals if each.kind == "architecture"]
    wanted = [each for each in of_kind if each.name in named] or of_kind
    shown = "; ".join(f"{each.name}: {each.reason}" for each in wanted[:_REASONS_SHOWN])
    return shown + (f"; and {len(wanted) - _REASONS_SHOWN} more" if len(wanted) > _REASONS_SHOWN else "")


def _refuse_unlearnable(profile: Profile, lookup: Lookup) -> None:
    """Say at once where nothing that is installed can learn such a task.

    Raises:
        UsageError: no architecture takes the modality, no head or no metric the kind of task.
    """
    task = profile.task
    architectures = cast(Sequence[ArchitectureSpec], lookup.all("architecture"))
    if not any(task.modality in each.modalities for each in architectures):
        raise UsageError(
            f"No architecture that is installed learns from {task.modality} data "
            "(`seedbed plugins list architecture`); `seedbed inspect` shows what is in the data."
        )
    if not task.metric:
        raise UsageError(
            f"No metric that is installed scores {task.kind} (`seedbed plugins list metric`). If it is meant to be "
            "classification, say so with --task classification."
        )


def _resolve(wishes: Sequence[str], lookup: Lookup) -> dict[str, frozenset[str]]:
    """Return the names that the user gave, by kind; aliases become names.

    Raises:
        UnknownName: there is no such kind, or no such component.
    """
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for wish in wishes:
        kind, _, name = wish.partition(":")
        if kind not in KINDS:
            raise UnknownName("kind", kind, KINDS)
        found[kind].add(lookup.get(kind, name).name)
    return {kind: frozenset(names) for kind, names in found.items()}


def _wishes(
    kind: str, use: frozenset[str], without: frozenset[str], requested: frozenset[str]
) -> Callable[[Spec], str | None]:
    """Return what says why the user does not want a component, None where he does."""

    def wished(spec: Spec) -> str | None:
        if spec.name in without:
            return f"left out with --without {kind}:{spec.name}"
        if spec.on_request and spec.name not in use | requested:
            return f"is there on request alone, with --use {kind}:{spec.name}"
        if use and kind in ("architecture", "weights", "optimizer", "schedule") and spec.name not in use:
            return f"not among those named with --use {kind}:NAME"
        return None

    return wished


def _drop_unable(offered: dict[str, list[Spec]], policy: Value | None, weights: Value | None) -> list[ComponentRefused]:
    """Take away the architectures that cannot be trained at all, or not as the user pinned: policy, weights."""
    if policy is not None and policy not in POLICIES:
        raise UnknownName("policy", str(policy), POLICIES)
    able: list[Spec] = []
    unable: list[ComponentRefused] = []
    for spec in cast(list[ArchitectureSpec], offered["architecture"]):
        policies = _policies(spec, offered["weights"])
        if weights is not None and weights not in _usable(spec, offered["weights"]):
            reason = f"has no weights={weights} here"
            unable.append(ComponentRefused(kind="architecture", name=spec.name, reason=reason))
        elif policies and policy in (None, *policies):
            able.append(spec)
        else:
            reason = f"cannot be trained by policy={policy} here" if policies else "its weights cannot be had here"
            unable.append(ComponentRefused(kind="architecture", name=spec.name, reason=reason))
    offered["architecture"] = able
    return unable


def _policies(spec: ArchitectureSpec, weights: Sequence[Spec]) -> tuple[str, ...]:
    if spec.features_only:
        return ("probe",)
    pretrained = _PRETRAINED if _usable(spec, weights) else ()
    return pretrained if spec.is_pretrained else (*pretrained, "scratch")


def _usable(spec: ArchitectureSpec, weights: Sequence[Spec]) -> list[str]:
    """Return the weights for an architecture: those it prefers, in its order, then what others offer for it."""
    preferred = [name for name in spec.weights if any(name == each.name for each in weights)]
    others = [each.name for each in cast(Sequence[WeightsSpec], weights) if each.architecture == spec.name]
    return [*preferred, *(name for name in others if name not in preferred)]


def _for_other_data(spec: Spec, profile: Profile) -> str | None:
    """Say for which data a component is, where it is not for this."""
    modalities = spec.modalities if isinstance(spec, ArchitectureSpec | AugmenterSpec) else spec.requires.modalities
    if modalities and profile.task.modality not in modalities:
        return f"is for {', '.join(modalities)}, this is {profile.task.modality}"
    return None


def _unmet(spec: Spec, profile: Profile) -> str | None:
    """Return the first requirement that does not hold here, in words."""
    need = spec.requires
    missing = [module for module in need.modules if find_spec(module) is None]
    if missing:
        return f"needs {', '.join(missing)}, not installed"
    if need.kinds and profile.task.kind not in need.kinds:
        return f"is for {', '.join(need.kinds)}, this is {profile.task.kind}"
    if profile.train < need.min_examples:
        return f"needs {need.min_examples:,} training examples, there are {profile.train:,}"
    if profile.size < need.min_size:
        return f"needs images of {need.min_size} px, these have {profile.size}"
    if need.max_size and profile.size > need.max_size:
        return f"is for images up to {need.max_size} px, these have {profile.size}"
    return None


def _no_weights(spec: Spec, can_load: Callable[[WeightsSpec], bool]) -> str | None:
    if isinstance(spec, WeightsSpec) and not can_load(spec):
        return "lies on the Hugging Face hub, which is not reachable, and not in this machine's cache"
    return None


def _params(offered: Mapping[str, list[Spec]], profile: Profile, use: Mapping[str, frozenset[str]]) -> Iterator[Param]:
    architectures = cast(list[ArchitectureSpec], offered["architecture"])
    trainable = [each for each in architectures if not each.features_only]
    first = min(trainable or architectures, key=lambda each: each.parameters)
    of_training = {f"architecture.{spec.name}.{option}" for spec in architectures for option in spec.training_only}
    late = []
    for param in pick_one("architecture", _entries(architectures), first.name):
        if param.name in of_training:
            late.append(replace(param, when=(*param.when, _TRAINS)))
        else:
            yield param
    for spec in architectures:
        yield from _policy_params(spec, offered["weights"], profile)
    yield from late
    for policy in POLICIES.values():
        for param in children(f"policy.{policy.name}", policy.options, (Condition("policy", (policy.name,)),)):
            if profile.task.modality == "image" or param.name.rpartition(".")[2] not in TuneOptions.IMAGES_ONLY:
                yield param
    small = profile.train < 5_000
    by_tokens = Condition("architecture", tuple(each.name for each in architectures if each.encoding == "tokens"))
    yield Param("batch_size", Choice(16, 32, 64, 128, 256), 32 if small else 128, (_TRAINS,))
    for slot in ("optimizer", "schedule"):
        if not offered[slot]:
            raise UsageError(f"No {slot} is left to try; take back a --without {slot}:NAME.")
        yield from pick_one(slot, _entries(offered[slot]), offered[slot][0].name, (_TRAINS,))
    for slot in ("augmenter", "regularizer"):
        # Those of texts change ids, and pass by nets that have a tokenizer of their own.
        when = (_TRAINS, by_tokens) if (slot, profile.task.modality) == ("augmenter", "text") else (_TRAINS,)
        for param in pick_any(slot, _entries(offered[slot]), use[slot], when):
            switched = param.name.removeprefix(f"{slot}.") in use[slot]
            yield replace(param, domain=Choice(True)) if switched else param


def _policy_params(spec: ArchitectureSpec, weights: Sequence[Spec], profile: Profile) -> Iterator[Param]:
    """Yield how one architecture may be trained, from which weights, and at which resolution."""
    here = Condition("architecture", (spec.name,))
    if spec.features_only:
        yield Param("policy", Choice("probe"), "probe", (here,))
        if spec.head == "ridge":
            yield Param("head", _HEADS, spec.head, (here,))
        return
    usable, is_image = _usable(spec, weights), profile.task.modality == "image"
    # Of other data the size is 0.
    native = (*(r for r in _RESOLUTIONS if r < profile.size), profile.size)
    start = max(r for r in native if r <= 64 or r == native[0])  # beyond 64 px scratch training crawls
    scratch = (here, Condition("policy", ("scratch",)))
    if not usable:
        yield Param("policy", Choice("scratch"), "scratch", (here,))
        if is_image:
            yield Param("resolution", Choice(*native), start, scratch)
        return
    pretrained = (here, Condition("policy", _PRETRAINED))
    larger = tuple(r for r in _RESOLUTIONS if 64 <= r <= max(128, 2 * profile.size))
    yield Param("policy", Choice(*_policies(spec, weights)), "head_then_all", (here,))
    yield Param("weights", Choice(*usable), usable[0], pretrained)
    yield Param("head", _HEADS, spec.head, (here, Condition("policy", ("probe", "head_then_all"))))
    if is_image:
        yield Param("resolution", Choice(*native), start, scratch)
        yield Param("resolution", Choice(*larger), 128, pretrained)


def _entries(specs: Iterable[Spec]) -> list[tuple[str, type]]:
    return [(spec.name, spec.options) for spec in specs]


def _baselines(
    composition: Composition, lookup: Lookup, profile: Profile, without: frozenset[str]
) -> Iterator[Candidate]:
    for spec in cast(Sequence[ArchitectureSpec], lookup.all("architecture")):
        if spec.name in without:
            continue
        if spec.is_baseline and _for_other_data(spec, profile) is None and _unmet(spec, profile) is None:
            values: dict[str, Value] = {"architecture": spec.name, "policy": "probe"}
            values |= {"head": spec.head} if spec.head == "ridge" else {}
            values |= {param.name: param.default for param in children(f"architecture.{spec.name}", spec.options, ())}
            yield composition.candidate(values)
