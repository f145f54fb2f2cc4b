from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest

from seedbed.core.errors import UnknownName, UsageError
from seedbed.core.search.pinning import expanded, pin, requested
from seedbed.core.space import Choice, Float, Space, pick_any, pick_one
from seedbed.core.specs import ArchitectureSpec, AugmenterSpec


@dataclass(frozen=True, slots=True)
class Named:
    model: str = "some"
    depth: int = 3
    rate: Annotated[float, Float(0.0, 1.0)] = 0.5


@dataclass(frozen=True, slots=True)
class Strong:
    amount: float = 0.1


ANY = ArchitectureSpec(name="anything", summary="By name.", build="m:f", options=Named, aliases=("any",))
NET = ArchitectureSpec(name="net", summary="One net.", build="m:f")
BLUR = AugmenterSpec(name="blur", summary="Blurs.", build="m:f", options=Strong)


class Lookup:
    def get(self, kind, name):
        for spec in (ANY, NET):
            if name in (spec.name, *spec.aliases):
                return spec
        raise UnknownName(kind, name, ["anything", "net"])


def pinned(**fixed):
    space = Space(
        (
            *pick_one("architecture", [("anything", Named), ("net", NET.options)], "net"),
            *pick_any("augmenter", [("blur", Strong)]),
        )
    )
    fixed = {name.replace("__", "."): value for name, value in fixed.items()}
    return pin(space, expanded(fixed, Lookup()), {"architecture": [ANY, NET], "augmenter": [BLUR]}, [])


@pytest.mark.parametrize("name", ["anything", "any"])
def test_a_name_after_a_colon_is_for_the_one_text_that_the_component_asks_for(name):
    assert expanded({"architecture": f"{name}:resnet34.a1"}, Lookup()) == {
        "architecture": "anything",
        "architecture.anything.model": "resnet34.a1",
    }


def test_a_component_that_asks_for_no_text_says_so():
    with pytest.raises(UsageError, match=r"net takes no name after a colon; give architecture=net"):
        expanded({"architecture": "net:large"}, Lookup())


def test_an_unknown_component_before_a_colon_is_named():
    with pytest.raises(UnknownName, match="anythin"):
        expanded({"architecture": "anythin:x"}, Lookup())


def test_options_that_are_not_searched_can_be_set():
    space = pinned(architecture="anything", architecture__anything__depth=7)
    assert space.default()["architecture.anything.depth"] == 7
    space.validate(space.default())
    assert "architecture.anything.model" not in space.default()


def test_they_belong_to_their_component_alone():
    space = pinned(architecture__anything__depth=7)
    assert "architecture.anything.depth" not in space.default()
    switched = pinned(augmenter__blur=True, augmenter__blur__amount=0.4).default()
    assert switched["augmenter.blur.amount"] == 0.4


def test_their_type_is_that_of_the_default():
    with pytest.raises(UsageError, match=r"architecture.anything.depth='deep' is no int"):
        pinned(architecture="anything", architecture__anything__depth="deep")


def test_the_range_of_what_is_searched_does_not_bind_the_user():
    space = pinned(architecture="anything", architecture__anything__rate=3)
    assert space.default()["architecture.anything.rate"] == 3.0
    assert [each.domain for each in space.params if each.name == "architecture.anything.rate"] == [Choice(3.0)]


def test_components_are_requested_by_name_by_switch_or_by_an_option():
    fixed = {"architecture": "net", "augmenter.blur": True, "augmenter.crop.scale": 0.5}
    assert requested("architecture", fixed) == {"net"}
    assert requested("augmenter", fixed) >= {"blur", "crop"}
