from __future__ import annotations

import re
import sys

import pytest

from seedbed.core.errors import UsageError
from seedbed.registry.registry import open_registry

CODE = """
from dataclasses import dataclass
from typing import Annotated
from seedbed import Float, OptimizerSpec, hookimpl

@dataclass(frozen=True)
class Options:
    lr: Annotated[float, Float(1e-4, 1.0, log=True)] = 1e-2

@hookimpl
def register_optimizers():
    yield OptimizerSpec(name="mine", summary="My own.", build="my_optimizer:make", options=Options)

def make(groups, options):
    return "made by me"
"""


def left_out(registry):
    """What is broken, but for built-ins, which have a test of their own."""
    return [row for row in registry.broken if row.owner.name != "seedbed"]


@pytest.fixture
def write(tmp_path):
    names: list[str] = []

    def file(name, code=CODE):
        path = tmp_path / name
        path.write_text(code)
        names.append(path.stem)
        return path

    yield file
    for name in names:
        if hasattr(sys.modules.get(name), "__seedbed_source__"):
            del sys.modules[name]


def test_a_file_offers_what_it_declares_and_builds(write):
    registry = open_registry([str(write("my_optimizer.py"))], installed=False)
    spec = registry.get("optimizer", "mine")
    assert registry.load(spec)([], spec.options()) == "made by me"


def test_a_file_is_known_by_its_name_and_content(write):
    path = write("my_optimizer.py")
    owner = open_registry([str(path)], installed=False).owner("optimizer", "mine")
    path.write_text(CODE + "\n")
    changed = open_registry([str(path)], installed=False).owner("optimizer", "mine")
    assert owner.name == changed.name == "file:my_optimizer.py"
    assert len(owner.version) == 10
    assert owner.version != changed.version


def test_a_changed_file_is_read_anew(write):
    path = write("my_optimizer.py")
    open_registry([str(path)], installed=False)
    path.write_text(CODE.replace('name="mine"', 'name="ours"'))
    assert "ours" in open_registry([str(path)], installed=False).names("optimizer")


def test_an_unchanged_file_keeps_its_classes(write):
    path = write("my_optimizer.py")
    one, other = (open_registry([str(path)], installed=False).get("optimizer", "mine") for _ in range(2))
    assert one == other


def test_other_processes_are_given_the_absolute_path(write, monkeypatch):
    path = write("my_optimizer.py")
    monkeypatch.chdir(path.parent)
    registry = open_registry(["my_optimizer.py"], installed=False)
    assert registry.plugins == (str(path.resolve()),)
    assert registry.portable


def test_nothing_is_written_beside_the_file(write):
    path = write("my_optimizer.py")
    open_registry([str(path)], installed=False)
    assert [each.name for each in path.parent.iterdir()] == ["my_optimizer.py"]


def test_a_file_in_the_current_folder_is_no_clash_with_itself(write, monkeypatch):
    path = write("my_optimizer.py")
    monkeypatch.syspath_prepend(path.parent)
    assert left_out(open_registry([str(path)], installed=False)) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("json.py", "json.py would hide the module 'json'"),
        ("sys.py", r"sys.py would hide the module 'sys' \(built in\)"),
        ("my-optimizer.py", "my-optimizer.py cannot be a module's name; rename the file"),
    ],
)
def test_a_file_must_not_take_the_name_of_another_module(write, name, says):
    before = sys.modules.get("json")
    (row,) = left_out(open_registry([str(write(name))], installed=False))
    assert row.asked
    assert sys.modules.get("json") is before
    assert re.search(says, row.reason)


def test_a_file_that_fails_leaves_no_module_behind(write):
    (row,) = left_out(open_registry([str(write("my_optimizer.py", "1 / 0"))], installed=False))
    assert "ZeroDivisionError" in row.reason
    assert "my_optimizer" not in sys.modules


@pytest.mark.parametrize(
    ("argument", "says"), [("nowhere/mine.py", "There is no plugin file"), ("./folder", "is no Python file")]
)
def test_a_path_that_leads_nowhere_is_a_usage_error(argument, says):
    with pytest.raises(UsageError, match=says):
        open_registry([argument], installed=False)
