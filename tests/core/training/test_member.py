from __future__ import annotations

import pytest
from core.training.helpers import candidate, fake_lookup

from seedbed.core.data.view import View
from seedbed.core.errors import DataError, UnknownName
from seedbed.core.training.member import Component, Member, components_of, load_member

VIEW = View(height=8, width=12, channels=1, mean=(0.1,), std=(0.2,))


def test_what_was_saved_is_read_back(tmp_path):
    member = Member(
        trial=3,
        candidate=candidate(batch_size=64, optimizer__sgd__lr=0.5, augmenter__mirror=True),
        view=VIEW,
        test_time_views=True,
        components=components_of(candidate(), fake_lookup()),
    )
    member.save(tmp_path)
    assert load_member(tmp_path) == member
    assert [each.name for each in tmp_path.iterdir()] == ["member.json"]


def test_values_keep_their_types(tmp_path):
    Member(trial=0, candidate=candidate(a=1, b=1.0, c=True, d="1"), view=VIEW).save(tmp_path)
    values = load_member(tmp_path).candidate.values
    assert [type(values[name]) for name in "abcd"] == [int, float, bool, str]


@pytest.mark.parametrize("content", [None, "", "{", '{"trial": 1}'])
def test_a_missing_or_damaged_file_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "member.json").write_text(content)
    with pytest.raises(DataError, match=r"member\.json cannot be read .* this trial's model is lost"):
        load_member(tmp_path)


def test_every_component_used_is_noted_with_its_owner():
    versions = {"optimizer:sgd": 2, "architecture:tiny": 1}
    found = components_of(candidate(versions), fake_lookup())
    assert found == (
        Component(kind="architecture", name="tiny", version=1, owner="fakes", owner_version="1.0"),
        Component(kind="optimizer", name="sgd", version=2, owner="fakes", owner_version="1.0"),
    )


def test_a_component_that_nobody_offers_is_named():
    with pytest.raises(UnknownName, match="No optimizer is named 'lion'"):
        components_of(candidate({"optimizer:lion": 1}), fake_lookup())
