"""Spaces composed of the built-in components, for data of any form."""

from __future__ import annotations

from seedbed.core.data.profile import Profile
from seedbed.core.search.compose import compose
from seedbed.core.settings import Settings
from seedbed.core.task import Task
from seedbed.registry.registry import open_registry

TASK = Task(modality="image", kind="classification", classes=("a", "b"), metric="accuracy")
REGISTRY = open_registry(installed=False)


def profile(size=32, train=800, channels=3):
    return Profile(
        task=TASK,
        examples=train + 200,
        train=train,
        valid=200,
        test=0,
        height=size,
        width=size,
        channels=channels,
        mean=(0.5,) * channels,
        std=(0.5,) * channels,
        class_counts=(train // 2, train - train // 2),
    )


def composed(registry=REGISTRY, *, of=None, hub=True, **settings):
    return compose(
        of or profile(),
        Settings(source="somewhere", **settings),
        registry,
        can_load=lambda spec: hub or spec.source != "hub",
    )


def reasons(composition):
    return {(each.kind, each.name): each.reason for each in composition.refusals}


def param(composition, name, **parents):
    """The parameter of this name that is active under these choices."""
    (found,) = [
        each
        for each in composition.space.params
        if each.name == name and all(parents.get(c.parent) in c.values for c in each.when if c.parent in parents)
    ]
    return found


def offer(cls, name, **more):
    return cls(name=name, summary="A fake.", build="nowhere:nothing", **more)
