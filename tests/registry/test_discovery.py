from __future__ import annotations

import logging
import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from seedbed import OptimizerSpec, hookimpl
from seedbed.core.errors import UsageError
from seedbed.core.protocols import Owner
from seedbed.registry import discovery, provenance
from seedbed.registry.registry import open_registry

PLUGIN = """
from seedbed import OptimizerSpec, hookimpl

@hookimpl
def register_optimizers():
    yield OptimizerSpec(name="{name}", summary="One of ours.", build=f"{{__name__}}:make")

def make(groups, options): ...
"""


def left_out(registry):
    """What is broken, but for built-ins, which have a test of their own."""
    return [row for row in registry.broken if row.owner.name != "seedbed"]


class Distribution:
    def __init__(self, name: str) -> None:
        self.name, self.version = name, "1.2"


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Install plugins, as far as importlib.metadata can tell: module name → its code."""
    monkeypatch.syspath_prepend(tmp_path)
    installed: list[EntryPoint] = []

    def found(group):
        assert group == "seedbed"
        return installed

    monkeypatch.setattr(discovery, "entry_points", found)
    monkeypatch.setattr(provenance, "entry_points", found)
    monkeypatch.delenv("SEEDBED_PLUGINS", raising=False)

    def add(name, module, code):
        (tmp_path / f"{module}.py").write_text(code)
        entry = EntryPoint(name, module, "seedbed")
        vars(entry)["dist"] = Distribution(f"dist-of-{module}")
        installed.append(entry)
        monkeypatch.delitem(sys.modules, module, raising=False)

    yield add
    for entry in installed:
        sys.modules.pop(entry.value, None)


def test_an_installed_plugin_is_found_with_its_distribution(install):
    install("signum", "signum_plugin", PLUGIN.format(name="signum"))
    registry = open_registry()
    assert "signum" in registry.names("optimizer")
    assert registry.owner("optimizer", "signum") == Owner("dist-of-signum_plugin", "1.2")
    assert registry.plugins == ()
    assert registry.portable


def test_installed_plugins_can_be_left_out(install):
    install("signum", "signum_plugin", PLUGIN.format(name="signum"))
    assert "signum" not in open_registry(installed=False).names("optimizer")


@pytest.mark.parametrize(
    ("limit", "names"),
    [(None, {"signum", "muon"}), ("", set()), ("signum", {"signum"}), (" muon , signum", {"signum", "muon"})],
)
def test_the_environment_limits_installed_plugins(install, monkeypatch, limit, names):
    install("muon", "muon_plugin", PLUGIN.format(name="muon"))
    install("signum", "signum_plugin", PLUGIN.format(name="signum"))
    if limit is not None:
        monkeypatch.setenv("SEEDBED_PLUGINS", limit)
    assert set(open_registry().names("optimizer")) & {"signum", "muon"} == names


def test_a_limit_that_names_nothing_installed_is_told(install, monkeypatch, caplog):
    monkeypatch.setenv("SEEDBED_PLUGINS", "signun")
    open_registry()
    assert "SEEDBED_PLUGINS names the plugin 'signun'" in caplog.text


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        ("from seedbed import hookimpl\n@hookimpl\ndef register_optimisers(): ...", "register_optimisers"),
        ("from seedbed import hookimpl\n@hookimpl\ndef register_optimizers(more): ...", "more"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_becomes_a_row(install, caplog, code, says):
    install("bad", "bad_plugin", code)
    install("signum", "signum_plugin", PLUGIN.format(name="signum"))
    with caplog.at_level(logging.WARNING):
        registry = open_registry()
        assert "signum" in registry.names("optimizer")
    (row,) = left_out(registry)
    assert (row.name, row.owner, row.kind) == ("bad", Owner("dist-of-bad_plugin", "1.2"), "")
    assert says in row.reason
    assert "Traceback" in row.traceback
    assert [record.levelname for record in caplog.records if "plugin bad" in record.message] == ["WARNING"]
    assert "`seedbed plugins list -v` shows where" in caplog.text
    assert ("bad", "broken") in [(each.name, each.status) for each in registry.listing()]


def test_one_broken_hook_leaves_the_others_alone(install):
    code = PLUGIN.format(name="signum") + "\n@hookimpl\ndef register_schedules():\n    yield 1 / 0\n"
    install("signum", "signum_plugin", code)
    registry = open_registry()
    assert "signum" in registry.names("optimizer")
    assert registry.names("schedule")
    assert [(row.name, row.kind) for row in left_out(registry)] == [("signum", "schedule")]


def test_two_distributions_may_choose_one_entry_point_name(install):
    install("ours", "signum_plugin", PLUGIN.format(name="signum"))
    install("ours", "muon_plugin", PLUGIN.format(name="muon"))
    assert {"signum", "muon"} <= set(open_registry().names("optimizer"))


def test_a_plugin_named_and_installed_is_loaded_once(install):
    install("signum", "signum_plugin", PLUGIN.format(name="signum"))
    registry = open_registry(["signum_plugin"])
    assert "signum" in registry.names("optimizer")
    assert registry.named == ("signum",)
    assert registry.plugins == ("signum_plugin",)
    assert registry.owner("optimizer", "signum") == Owner("dist-of-signum_plugin", "1.2")


def test_a_named_plugin_stands_above_the_limit(install, monkeypatch):
    install("signum", "signum_plugin", PLUGIN.format(name="signum"))
    monkeypatch.setenv("SEEDBED_PLUGINS", "")
    registry = open_registry(["signum_plugin"])
    assert registry.owner("optimizer", "signum") == Owner("dist-of-signum_plugin", "1.2")


def test_a_module_that_is_not_there_becomes_a_row():
    registry = open_registry(["no_such_plugin"], installed=False)
    (row,) = left_out(registry)
    assert (row.name, row.asked) == ("no_such_plugin", True)


def test_a_module_object_is_known_elsewhere_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "importable_plugin.py").write_text(PLUGIN.format(name="signum"))
    monkeypatch.syspath_prepend(tmp_path)
    import importable_plugin

    registry = open_registry([importable_plugin], installed=False)
    assert registry.plugins == ("importable_plugin",)
    assert registry.portable


def test_a_module_made_up_here_is_not_portable():
    module = ModuleType("made_up")
    spec = OptimizerSpec(name="signum", summary="One of ours.", build="made_up:make")
    module.register_optimizers = hookimpl(lambda: [spec])
    registry = open_registry([module], installed=False)
    assert "signum" in registry.names("optimizer")
    assert registry.owner("optimizer", "signum") == Owner("made_up", "")
    assert not registry.portable


def test_a_single_string_is_refused():
    with pytest.raises(UsageError, match=r"plugins=\['mine.py'\]"):
        open_registry("mine.py")


def test_the_distribution_behind_a_module_is_found_by_its_name():
    assert provenance.owner_of_module("pluggy.hooks").name == "pluggy"
    assert provenance.owner_of_module("seedbed.plugins.optimizers") == provenance.BUILT_IN
