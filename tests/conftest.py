from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

from seedbed import hookimpl
from seedbed.core.specs import Spec
from seedbed.registry.hookspecs import HOOKS
from seedbed.registry.registry import Registry, open_registry

# The first example of a process waits until hypothesis has read the constants of all modules that are loaded; on a busy
# machine that alone takes longer than it allows for drawing.
settings.register_profile("patient", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture
def offering() -> Callable[..., ModuleType]:
    """Turn specs into a plugin that offers them."""

    def plugin(*specs: Spec) -> ModuleType:
        module = ModuleType("unnamed")
        for kind in {spec.kind for spec in specs}:
            own = [spec for spec in specs if spec.kind == kind]
            setattr(module, HOOKS[kind], hookimpl(lambda own=own: own))
        return module

    return plugin


@pytest.fixture
def registry_with() -> Callable[..., Registry]:
    """Open a registry of the built-ins and the plugins given by name, apart from what is installed."""

    def opened(**plugins: ModuleType) -> Registry:
        for name, module in plugins.items():
            module.__name__ = name
        return open_registry(list(plugins.values()), installed=False)

    return opened
