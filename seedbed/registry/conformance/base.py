"""What every component is held to, and how a contract finds the components of a plugin."""
# ruff: noqa: D102 - a test's name is its docstring

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

import pytest

from seedbed.core.space import Space, Values, children, domains, options_from
from seedbed.core.specs import Spec
from seedbed.registry.builtin import BUILTIN
from seedbed.registry.registry import Registry, open_registry

HEAVY = ("datasets", "numpy", "timm", "torch", "torchvision")
"""What declaring a component must not import: each costs from a tenth of a second to several seconds."""

_DECLARE = """
import sys
from seedbed.registry.registry import open_registry
open_registry(sys.argv[2:], installed=False).all(sys.argv[1])
print(*sorted(sys.modules.keys() & set({heavy!r})))
"""


class SpecContract:
    """The checks that all kinds share; inherit from the contract of a kind rather than from this one.

    `plugin` is the module or file whose components are tested, None for those that ship with Seedbed.
    `known_failures` maps names of checks, with or without the "[kind:name]" of one component, to the
    reason why they fail; such a check must fail, or it is reported.
    """

    kind: ClassVar[str]
    plugin: ClassVar[str | None] = None
    known_failures: ClassVar[Mapping[str, str]] = {}
    _opened: ClassVar[Registry]

    @classmethod
    def registry(cls) -> Registry:
        """The built-ins and the plugin under test; other plugins that happen to be installed have no part."""
        if "_opened" not in vars(cls):  # once a class: collecting asks for it once a check
            cls._opened = open_registry([] if cls.plugin is None else [cls.plugin], installed=False)
        return cls._opened

    @classmethod
    def specs(cls) -> tuple[Spec, ...]:
        """The components under test.

        Raises:
            CollectError: the plugin is broken, or offers nothing of this kind.
        """
        registry = cls.registry()
        if cls.plugin is None:
            found = registry.all(cls.kind)
        else:
            found = tuple(spec for name in registry.named for spec in registry.offered_by(name, cls.kind))
        suspects = BUILTIN[cls.kind] if cls.plugin is None else registry.named
        for each in registry.broken:
            if each.name in suspects and each.kind in ("", cls.kind):
                raise pytest.Collector.CollectError(f"{each.name} is broken:\n{each.traceback}")
        if not found:
            source = cls.plugin or "Seedbed"
            raise pytest.Collector.CollectError(
                f"{source} offers no {cls.kind}; is the hook there, and marked with @hookimpl?"
            )
        return found

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make each check one test for each component; pytest calls this by itself."""
        if "spec" in metafunc.fixturenames:
            check = metafunc.function.__name__
            # Of this scope, all checks of a component come one after another and may share what is dear to make.
            metafunc.parametrize("spec", [self._case(check, spec) for spec in self.specs()], scope="class")

    def _case(self, check: str, spec: Spec) -> Any:  # noqa: ANN401 - pytest does not name the type
        name = f"{spec.kind}:{spec.name}"
        reason = self.known_failures.get(check) or self.known_failures.get(f"{check}[{name}]")
        marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
        return pytest.param(spec, id=name, marks=marks)

    def load(self, spec: Spec) -> Any:  # noqa: ANN401 - whatever a plugin's `build` is
        """Import the `build` of a component; where modules that it requires are not installed, skip the check."""
        missing = [module for module in spec.requires.modules if find_spec(module) is None]
        if missing:
            pytest.skip(f"{spec.kind}:{spec.name} needs {', '.join(missing)}, not installed; it is not offered here")
        return self.registry().load(spec)

    def options(self, spec: Any) -> Any:  # noqa: ANN401 - a spec of the kind → an instance of its `options`
        """Return the options to test a component with: its defaults.

        Override it where a component must be told something, as a name of a model that is on this machine.
        """
        return spec.options()

    def test_it_pickles(self, spec: Spec) -> None:
        assert pickle.loads(pickle.dumps(spec)) == spec, "define its options at the top level of a module"

    def test_its_summary_is_one_line(self, spec: Spec) -> None:
        summary = spec.summary
        assert "\n" not in summary, "a summary is one line; the rest belongs into the documentation"
        assert len(summary) <= 160, f"{len(summary)} characters; a summary has at most 160"
        assert summary.endswith("."), "a summary is a sentence, and ends like one"

    def test_its_defaults_lie_inside_their_domains(self, spec: Spec) -> None:
        for name, (domain, default) in domains(spec.options).items():
            assert default in domain, f"{name}: the default {default!r} is outside {domain}"
        assert spec.options() == spec.options()

    def test_its_options_are_frozen(self, spec: Spec) -> None:
        frozen = vars(spec.options)["__dataclass_params__"].frozen
        assert frozen, "declare its options with @dataclass(frozen=True)"

    def test_random_points_make_its_options(self, spec: Spec) -> None:
        for values in random_points(spec):
            options_from(spec.options, "x", values)

    def test_its_option_values_survive_json(self, spec: Spec) -> None:
        for values in random_points(spec):
            read = json.loads(json.dumps(values))
            assert read == values
            assert options_from(spec.options, "x", read) == options_from(spec.options, "x", values)

    def test_the_code_behind_it_exists(self, spec: Spec) -> None:
        assert callable(self.load(spec))

    def test_declaring_it_imports_nothing_heavy(self, spec: Spec) -> None:
        heavy = imported_by_declaring(self.plugin, spec.kind)
        assert not heavy, f"declaring it imports {heavy}; do so in the module that `build` names"


def random_points(spec: Spec, n: int = 50) -> list[Values]:
    """Draw points of a component's own space; the names begin with `x.`."""
    space, rng = Space(tuple(children("x", spec.options, ()))), random.Random(0)
    return [space.sample(rng) for _ in range(n)]


@cache
def imported_by_declaring(plugin: str | None, kind: str) -> str:
    """Return the heavy modules that a fresh process imports for listing a plugin's components."""
    return in_fresh_process(_DECLARE.format(heavy=HEAVY), kind, *([] if plugin is None else [plugin]))


def in_fresh_process(code: str, *arguments: str) -> str:
    """Run Python code in a process that finds the same modules as this one, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
