"""The documentation of the hooks is held to the hooks: names, signatures, fields, defaults, contracts."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from seedbed.core.specs import KINDS, Requires, Spec
from seedbed.registry import conformance, hookspecs
from seedbed.registry.hookspecs import HOOKS

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "hooks.md").read_text(encoding="utf-8")
SECTIONS = {title: body for title, body in re.findall(r"^##+ (.+?)\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S)}


def signature(hook: str) -> str:
    return f"`{hook}{inspect.signature(getattr(hookspecs, hook))}`".replace("'", "")


def rows(text: str) -> dict[str, str]:
    """Field → default, as the tables say it."""
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", text, re.M))


def fields(cls: type, without: type | None = None) -> dict[str, str]:
    """Field → default, as the class says it."""
    shared = {field.name for field in dataclasses.fields(without)} if without else set()
    return {
        field.name: "needed" if field.default is dataclasses.MISSING else f"`{_shown(field.default)}`"
        for field in dataclasses.fields(cls)
        if field.name not in shared
    }


def _shown(default: object) -> str:
    if isinstance(default, type):
        return default.__name__
    return "Requires()" if default == Requires() else repr(default)


def test_every_hook_has_a_section_and_no_section_lacks_its_hook():
    wanted = [signature(hook) for hook in (*HOOKS.values(), "register_commands")]
    assert [title for title in SECTIONS if "register_" in title] == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_the_fields_of_a_kind_are_those_of_its_spec(kind):
    assert rows(SECTIONS[signature(HOOKS[kind])]) == fields(KINDS[kind], without=Spec)


@pytest.mark.parametrize("kind", KINDS)
def test_what_build_gives_is_what_the_spec_says(kind):
    (promise,) = re.findall(r"^`(build\(.*?)`", KINDS[kind].__doc__)
    assert f"`{promise}`" in SECTIONS[signature(HOOKS[kind])]


@pytest.mark.parametrize("kind", KINDS)
def test_a_section_opens_with_what_the_hook_says(kind):
    words = inspect.getdoc(getattr(hookspecs, HOOKS[kind]))
    assert SECTIONS[signature(HOOKS[kind])].strip().startswith(words)


@pytest.mark.parametrize("kind", KINDS)
def test_a_section_names_the_contract(kind):
    (name,) = re.findall(r"Contract: `(\w+)`", SECTIONS[signature(HOOKS[kind])])
    assert getattr(conformance, name).kind == kind


def test_the_shared_fields_are_those_of_every_spec():
    shared, requires = SECTIONS["What all specs hold"].split("`Requires` is data")
    assert rows(shared) == fields(Spec)
    assert rows(requires) == fields(Requires)


def test_each_kind_has_its_hook_in_the_order_of_a_run():
    assert list(HOOKS) == list(KINDS)
    for kind, hook in HOOKS.items():
        returns = inspect.signature(getattr(hookspecs, hook)).return_annotation
        assert returns == f"Iterable[{KINDS[kind].__name__}]"


def test_the_first_plugin_passes_the_kit(tmp_path):
    """The file that docs/first-plugin.md begins with, as written there."""
    text = (DOCS / "first-plugin.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n# signum\.py\n(.*?)```", text, re.S)
    file = tmp_path / "signum.py"
    file.write_text(code)
    held = type("Held", (conformance.OptimizerContract,), {"plugin": str(file)})()
    (spec,) = held.specs()
    for name, check in inspect.getmembers(held, inspect.ismethod):
        if name.startswith("test_"):
            check(spec)
