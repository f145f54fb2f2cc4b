from __future__ import annotations

import pickle
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated

import pytest

from seedbed import Float, OptimizerSpec, Requires, ScheduleSpec, __version__, hookimpl
from seedbed.core.errors import NameConflict, PluginError, UnknownName
from seedbed.core.protocols import Owner
from seedbed.core.specs import KINDS
from seedbed.registry.builtin import BUILTIN
from seedbed.registry.registry import open_registry

SIGNUM = OptimizerSpec(name="signum", summary="Signs of momentum.", build="json:dumps", aliases=("evolved",))


def left_out(registry):
    """What is broken, but for built-ins, which have a test of their own."""
    return [row for row in registry.broken if row.owner.name != "seedbed"]


def test_every_kind_has_a_built_in_declaration():
    assert tuple(BUILTIN) == tuple(KINDS)


def test_no_built_in_is_broken():
    assert open_registry(installed=False).broken == ()


def test_a_component_is_found_by_name_and_by_alias(registry_with, offering):
    registry = registry_with(mine=offering(SIGNUM))
    assert registry.get("optimizer", "signum") is SIGNUM
    assert registry.get("optimizer", "evolved") is SIGNUM
    assert "signum" in registry.names("optimizer")
    assert "evolved" not in registry.names("optimizer")


def test_names_are_sorted(registry_with, offering):
    names = registry_with(mine=offering(SIGNUM)).names("optimizer")
    assert list(names) == sorted(names)
    assert {"adamw", "signum", "sgd"} <= set(names)


def test_an_unknown_name_ends_with_a_way_out(registry_with, offering):
    with pytest.raises(UnknownName, match=r"No optimizer is named 'signun'. Did you mean 'signum'\?") as caught:
        registry_with(mine=offering(SIGNUM)).get("optimizer", "signun")
    assert "`seedbed plugins list optimizer` shows all" in str(caught.value)


def test_an_unknown_name_points_at_plugins_that_could_not_be_loaded(registry_with, offering):
    broken = ModuleType("broken")

    @hookimpl
    def register_optimizers():
        raise ValueError("not today")

    broken.register_optimizers = register_optimizers
    with pytest.raises(UnknownName, match="With -v it says why broken could not be loaded"):
        registry_with(broken=broken).get("optimizer", "signum")


def test_an_unknown_kind_ends_with_a_way_out(registry_with):
    with pytest.raises(UnknownName, match=r"No kind is named 'optimiser'. Did you mean 'optimizer'\?"):
        registry_with().names("optimiser")


def test_built_ins_belong_to_seedbed(registry_with):
    assert registry_with().owner("optimizer", "sgd") == Owner("seedbed", __version__)


def test_a_conflict_names_both_owners(registry_with, offering):
    registry = registry_with(rogue=offering(OptimizerSpec(name="sgd", summary="Another SGD.", build="rogue:sgd")))
    with pytest.raises(NameConflict, match=r"seedbed\.plugins\.optimizers and rogue both register the optimizer 'sgd'"):
        registry.names("optimizer")


def test_a_conflict_of_an_alias_counts(registry_with, offering):
    other = OptimizerSpec(name="evolved", summary="Another.", build="json:dumps")
    with pytest.raises(NameConflict, match="first and second both register the optimizer 'evolved'"):
        registry_with(first=offering(SIGNUM), second=offering(other)).get("optimizer", "evolved")


def test_a_conflict_leaves_other_names_alone(registry_with, offering):
    rogue = OptimizerSpec(name="sgd", summary="Another SGD.", build="rogue:sgd")
    registry = registry_with(rogue=offering(rogue, SIGNUM))
    assert registry.get("optimizer", "adamw").name == "adamw"
    assert registry.get("optimizer", "signum") is SIGNUM
    assert registry.names("schedule")


def test_a_conflict_can_be_listed(registry_with, offering):
    rogue = OptimizerSpec(name="sgd", summary="Another SGD.", build="rogue:sgd")
    registry = registry_with(rogue=offering(rogue))
    rows = [(row.owner.name, row.status) for row in registry.listing("optimizer") if row.name == "sgd"]
    assert rows == [("seedbed", "ok"), ("rogue", "conflict")]
    (row,) = left_out(registry)
    assert (row.name, row.kind) == ("rogue", "optimizer")
    assert "both register" in row.reason


def test_the_listing_follows_the_way_of_a_run(registry_with):
    kinds = [row.kind for row in registry_with().listing()]
    assert list(dict.fromkeys(kinds)) == list(KINDS)


def test_the_listing_says_what_cannot_run_here(registry_with, offering):
    spec = ScheduleSpec(
        name="far", summary="Needs much.", build="far:away", requires=Requires(modules=("no_such_module",))
    )
    rows = registry_with(mine=offering(spec)).listing("schedule")
    assert [row.status for row in rows if row.name == "far"] == ["unavailable"]


def test_loading_imports_the_code_behind_a_spec(registry_with, offering):
    import json

    assert registry_with(mine=offering(SIGNUM)).load(SIGNUM) is json.dumps


@pytest.mark.parametrize(
    ("build", "says"),
    [
        ("no_such_module:make", "there is no module 'no_such_module'; correct it"),
        ("json.no_such_part:make", "there is no module 'json.no_such_part'; correct it"),
        ("json:no_such_function", "AttributeError: .* Update the plugin, or go without it"),
        ("json:__name__", "is no function; correct the reference"),
    ],
)
def test_a_wrong_reference_says_what_to_do(registry_with, offering, build, says):
    spec = OptimizerSpec(name="lost", summary="Points nowhere.", build=build)
    with pytest.raises(PluginError, match=f"The optimizer 'lost' of mine.*{says}"):
        registry_with(mine=offering(spec)).load(spec)


def test_a_missing_module_says_what_to_install(registry_with, offering, tmp_path, monkeypatch):
    (tmp_path / "needs_much.py").write_text("import no_such_module.deep\ndef make(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = OptimizerSpec(name="needy", summary="Needs much.", build="needs_much:make")
    with pytest.raises(PluginError, match=r"needs the module 'no_such_module', .* try `pip install no_such_module`"):
        registry_with(mine=offering(spec)).load(spec)


def test_each_registry_is_its_own(registry_with, offering):
    assert "signum" in registry_with(mine=offering(SIGNUM)).names("optimizer")
    assert "signum" not in registry_with().names("optimizer")


@dataclass(frozen=True)
class _Outside:
    lr: Annotated[float, Float(0.1, 1.0)] = 5.0


@pytest.mark.parametrize(
    ("specs", "says"),
    [
        ([SIGNUM, ScheduleSpec(name="flat", summary="Flat.", build="json:dumps")], "yields ScheduleSpec"),
        ([SIGNUM, SIGNUM], "registers the optimizer 'evolved' twice"),
        (None, "returns None; yield OptimizerSpec"),
        (
            [OptimizerSpec(name="wild", summary="Wild.", build="json:dumps", options=_Outside)],
            "5.0 is outside",
        ),
    ],
)
def test_a_hook_that_yields_the_wrong_thing_is_left_out_of_its_kind(registry_with, specs, says):
    module = ModuleType("rogue")
    module.register_optimizers = hookimpl(lambda: specs)
    module.register_schedules = hookimpl(lambda: [ScheduleSpec(name="flat", summary="Flat.", build="json:dumps")])
    module.register_optimizers.__name__ = "register_optimizers"
    registry = registry_with(rogue=module)
    assert "signum" not in registry.names("optimizer")
    assert "flat" in registry.names("schedule")
    (row,) = left_out(registry)
    assert says in row.reason


def test_a_plugin_that_was_asked_for_must_work(registry_with):
    module = ModuleType("rogue")
    module.register_optimizers = hookimpl(lambda: 1 / 0)
    with pytest.raises(PluginError, match=r"(?s)The plugin rogue was asked for, but is broken.*ZeroDivisionError"):
        registry_with(rogue=module).require_named()


def test_sound_plugins_pass_unhindered(registry_with, offering):
    registry_with(mine=offering(SIGNUM)).require_named()


def test_commands_come_from_plugins(registry_with):
    import click

    module = ModuleType("speaker")
    module.register_commands = hookimpl(lambda cli: cli.add_command(click.Command("speak")))
    assert list(registry_with(speaker=module).commands().commands) == ["speak"]


def test_a_plugin_whose_commands_fail_adds_none(registry_with):
    import click

    def half_way(cli):
        cli.add_command(click.Command("half"))
        raise ValueError("stuck")

    stuck, speaker = ModuleType("stuck"), ModuleType("speaker")
    stuck.register_commands = hookimpl(half_way)
    speaker.register_commands = hookimpl(lambda cli: cli.add_command(click.Command("speak")))
    registry = registry_with(stuck=stuck, speaker=speaker)
    assert list(registry.commands().commands) == ["speak"]
    assert registry.commands() is registry.commands()
    assert [(each.name, each.kind) for each in left_out(registry)] == [("stuck", "command")]


def test_two_plugins_with_one_command_are_a_conflict(registry_with):
    import click

    one, other = ModuleType("one"), ModuleType("other")
    for module in (one, other):
        module.register_commands = hookimpl(lambda cli: cli.add_command(click.Command("speak")))
    registry = registry_with(one=one, other=other)
    assert list(registry.commands().commands) == ["speak"]
    (row,) = left_out(registry)
    assert "one and other both register the command 'speak'" in row.reason


def test_built_in_specs_pickle(registry_with):
    registry = registry_with()
    for kind in registry.kinds:
        for spec in registry.all(kind):
            assert pickle.loads(pickle.dumps(spec)) == spec
