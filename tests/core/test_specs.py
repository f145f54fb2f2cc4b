from __future__ import annotations

import dataclasses
import pickle

import pytest

from seedbed.core.errors import BadSpec, ExitCode
from seedbed.core.specs import KINDS, NoOptions, OptimizerSpec, Requires, Spec, WeightsSpec


def spec(**changes):
    return OptimizerSpec(**{"name": "lion", "summary": "Signs of momentum.", "build": "lion:make"} | changes)


@pytest.mark.parametrize("name", ["Lion", "li on", "", "2fast", "lion-2", "löwe", "lion."])
def test_a_name_is_lower_snake_case(name):
    with pytest.raises(BadSpec, match="use lower_snake_case, as in 'adamw'"):
        spec(name=name)


def test_an_alias_is_a_name_too():
    with pytest.raises(BadSpec, match="'The Lion' is no name"):
        spec(aliases=("The Lion",))


@pytest.mark.parametrize("build", ["lion", "lion:", ":make", "lion.make", "lion:make()", "a b:c"])
def test_a_reference_names_module_and_attribute(build):
    with pytest.raises(BadSpec, match=r"write 'package\.module:function'"):
        spec(build=build)


@pytest.mark.parametrize("summary", ["", "  \n"])
def test_a_summary_is_compulsory(summary):
    with pytest.raises(BadSpec, match="lion has no summary"):
        spec(summary=summary)


@pytest.mark.parametrize("options", [dict, NoOptions(), None])
def test_options_are_a_dataclass(options):
    with pytest.raises(BadSpec, match="give a frozen dataclass"):
        spec(options=options)


def test_a_bad_spec_is_a_plugins_fault():
    assert BadSpec.exit_code is ExitCode.PLUGIN


def test_specs_are_values():
    assert spec() == spec()
    assert hash(spec()) == hash(spec())
    assert pickle.loads(pickle.dumps(spec())) == spec()
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec().name = "tiger"


def test_specs_take_keywords_only():
    with pytest.raises(TypeError):
        OptimizerSpec("lion", "Signs of momentum.", "lion:make")


def test_a_requirement_asks_for_nothing_by_default():
    assert not any(getattr(Requires(), field.name) for field in dataclasses.fields(Requires))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_what_its_build_gives(kind):
    cls = KINDS[kind]
    assert cls.kind == kind
    assert issubclass(cls, Spec)
    assert cls.__doc__.startswith("`build(")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kinds_own_fields_come_after_the_shared_ones_and_have_defaults(kind):
    shared = [field.name for field in dataclasses.fields(Spec)]
    fields = dataclasses.fields(KINDS[kind])
    assert [field.name for field in fields][: len(shared)] == shared
    needed = {field.name for field in fields if field.default is dataclasses.MISSING} - {"name", "summary", "build"}
    # Weights without an architecture, a source or a licence mean nothing; all else may grow without breaking.
    assert needed == ({"architecture", "source", "licence"} if KINDS[kind] is WeightsSpec else set())
