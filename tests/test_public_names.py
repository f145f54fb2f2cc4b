from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

import seedbed


def test_the_public_names_are_sorted():
    assert seedbed.__all__ == sorted(seedbed.__all__)


def defined_in(module: str) -> set[str]:
    """The names that a module defines at its top, read off its source: importing some costs seconds."""
    path = Path(seedbed.__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            found |= {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
    return found


@pytest.mark.parametrize("name", seedbed.__all__)
def test_each_public_name_has_a_home(name):
    assert name in defined_in(seedbed._HOMES[name])


def test_a_public_name_is_that_of_its_home():
    from seedbed.core.specs import OptimizerSpec
    from seedbed.registry.hookspecs import hookimpl

    assert seedbed.OptimizerSpec is OptimizerSpec
    assert seedbed.hookimpl is hookimpl


def test_every_home_is_public():
    assert sorted(seedbed._HOMES) == seedbed.__all__


def test_type_checkers_see_the_same_homes():
    tree = ast.parse(Path(seedbed.__file__).read_text(encoding="utf-8"))
    (guard,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in guard.body for alias in node.names}
    assert seen == seedbed._HOMES


def test_dir_lists_the_public_names():
    assert set(seedbed.__all__) < set(dir(seedbed))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'seedbed' has no attribute 'fitt'"):
        _ = seedbed.fitt


def test_every_spec_is_public():
    from seedbed.core.specs import KINDS

    assert {cls.__name__ for cls in KINDS.values()} <= set(seedbed.__all__)


def test_whatever_lies_in_the_package_is_installed():
    root = Path(seedbed.__file__).parent
    project = tomllib.loads((root.parent / "pyproject.toml").read_text(encoding="utf-8"))
    there = {each.relative_to(root).as_posix() for each in root.rglob("*") if each.is_file()}
    there = {name for name in there if "__pycache__" not in name and not name.endswith(".py")}
    assert there == set(project["tool"]["setuptools"]["package-data"]["seedbed"])
