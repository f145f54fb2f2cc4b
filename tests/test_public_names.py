from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import seedbed


def test_the_public_names_are_sorted():
    assert seedbed.__all__ == sorted(seedbed.__all__)


@pytest.mark.parametrize("name", seedbed.__all__)
def test_each_public_name_has_a_home(name):
    home = seedbed._HOMES[name]
    assert getattr(seedbed, name) is getattr(sys.modules[home], name)


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
