from __future__ import annotations

from dataclasses import replace

import pytest
from core.training.helpers import candidate

from seedbed.core.data.preparing.prepare_again import InputForm
from seedbed.core.data.profile import Profile
from seedbed.core.data.view import View
from seedbed.core.results.bundle import holds, save_bundle
from seedbed.core.task import Task
from seedbed.core.training.member import Member

PROFILE = Profile(
    task=Task(modality="image", kind="classification", metric="accuracy", classes=("a", "b")),
    examples=10,
    train=6,
    valid=2,
    test=2,
)
VIEW = View(height=8, width=8, channels=1, mean=(0.5,), std=(0.2,))


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    "change",
    [{"test_time_views": True}, {"view": replace(VIEW, height=16, width=16)}, {"candidate": candidate(batch_size=64)}],
    ids=["views", "input form", "candidate"],
)
def test_a_bundle_does_not_hold_a_member_that_is_used_in_another_way_by_now(tmp_path, change, number):
    """As where a trial was kept at its best look, and decided only in its end to predict with more than one view."""
    members = [Member(trial=each, candidate=candidate(), view=VIEW) for each in range(2)]
    folders = [tmp_path / str(member.trial) for member in members]
    for folder, member in zip(folders, members, strict=True):
        folder.mkdir()
        (folder / "checkpoint.safetensors").write_text("weights")
        member.save(folder)
    best, form = tmp_path / "best", InputForm(channels=1)
    save_bundle(best, [(folder, 0.5) for folder in folders], PROFILE, form, score=0.9, source="photos/")
    assert holds(best, folders)
    replace(members[number], **change).save(folders[number])
    assert not holds(best, folders)
