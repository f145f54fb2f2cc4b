from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.metadata import PackageNotFoundError

import pytest
from core.training.helpers import candidate

from seedbed.core.data.preparing.decode import ImageForm
from seedbed.core.data.preparing.prepare_again import InputForm
from seedbed.core.data.profile import Profile
from seedbed.core.data.view import View
from seedbed.core.errors import DataError, UsageError
from seedbed.core.results.bundle import bundle_folder, holds, read_bundle, save_bundle
from seedbed.core.results.calibration import Calibration
from seedbed.core.task import Task
from seedbed.core.training.member import Component, Member, load_member

FORM = InputForm(image=ImageForm(height=8, width=8, channels=1))
PROFILE = Profile(
    task=Task(modality="image", kind="classification", metric="accuracy", classes=("a", "b")),
    examples=10,
    train=6,
    valid=2,
    test=2,
    height=8,
    width=8,
    channels=1,
    mean=(0.5,),
    std=(0.2,),
)
VIEW = View(height=8, width=8, channels=1, mean=(0.5,), std=(0.2,))


@pytest.fixture
def trial(tmp_path):
    """Make a trial's folder with weights that are nothing but a few bytes."""

    def make(number, weights=None):
        folder = tmp_path / "trials" / f"{number:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "checkpoint.safetensors").write_text(weights or f"weights of {number}")
        Member(
            trial=number,
            candidate=candidate(),
            view=VIEW,
            components=(Component(kind="optimizer", name="sgd", version=1, owner="fakes", owner_version="1.0"),),
        ).save(folder)
        return folder

    return make


def _save(folder, *trials, weights=None, score=0.9, calibration=None):
    weights = weights or [1.0] * len(trials)
    pairs = list(zip(trials, weights, strict=True))
    return save_bundle(folder, pairs, PROFILE, FORM, score=score, source="photos/", calibration=calibration)


def _contents(folder):
    """What the bundle says, and the weights it names; raises where it is not whole."""
    bundle = read_bundle(folder)
    return {part.member.trial: (folder / part.file).read_text() for part in bundle.parts}


def test_a_saved_bundle_reads_back_as_it_was(tmp_path, trial):
    saved = _save(tmp_path / "best", trial(3), trial(7), weights=[0.75, 0.25])
    found = read_bundle(tmp_path / "best")
    assert found == saved
    assert [part.weight for part in found.parts] == [0.75, 0.25]
    assert (found.profile, found.form, found.score, found.source) == (PROFILE, FORM, 0.9, "photos/")
    assert {"python", "torch", "numpy"} <= set(found.versions)
    assert _contents(tmp_path / "best") == {3: "weights of 3", 7: "weights of 7"}


CALIBRATION = Calibration(rows=3, temperature=1.7, ece_before=0.1, ece_after=0.03, table=(0.1, 0.2, 1 / 3))


def test_its_calibration_reads_back_to_the_last_bit(tmp_path, trial):
    _save(tmp_path / "best", trial(3), calibration=CALIBRATION)
    found = read_bundle(tmp_path / "best")
    assert found.calibration == CALIBRATION
    assert (found.temperature, found.threshold(0.25)) == (1.7, 1 / 3)


def test_a_bundle_from_before_there_were_calibrations_predicts_and_does_not_abstain(tmp_path, trial):
    best = tmp_path / "best"
    _save(best, trial(3), calibration=CALIBRATION)
    old = json.loads((best / "bundle.json").read_text())
    del old["calibration"]
    (best / "bundle.json").write_text(json.dumps(old))
    found = read_bundle(best)
    assert (found.calibration, found.temperature) == (None, 1.0)
    with pytest.raises(UsageError, match=r"saved without a calibration.*train it again"):
        found.threshold(0.25)


def test_a_bundle_holds_its_own_calibration_and_no_other(tmp_path, trial):
    folders = [trial(3)]
    _save(tmp_path / "best", *folders, calibration=CALIBRATION)
    assert holds(tmp_path / "best", folders, CALIBRATION)
    assert holds(tmp_path / "best", folders)
    assert not holds(tmp_path / "best", folders, replace(CALIBRATION, temperature=1.8))


def test_a_damaged_calibration_is_refused_with_its_bundle(tmp_path, trial):
    _save(tmp_path / "best", trial(1), calibration=CALIBRATION)
    _rewrite(tmp_path / "best", calibration={"rows": 3, "temperature": -1.0})
    with pytest.raises(DataError, match="is damaged"):
        read_bundle(tmp_path / "best")


def test_it_notes_the_versions_of_what_is_installed_and_of_nothing_else(tmp_path, trial, monkeypatch):
    def version(package):
        if package == "transformers":
            raise PackageNotFoundError(package)
        return f"the version of {package}"

    monkeypatch.setattr("seedbed.core.results.bundle.version", version)
    versions = _save(tmp_path / "best", trial(3)).versions
    noted = {"seedbed", "torch", "torchvision", "timm", "tokenizers", "numpy", "scipy", "scikit-learn", "safetensors"}
    assert versions.keys() == noted | {"python", "platform"}
    assert all(versions[name] == f"the version of {name}" for name in noted)


def test_a_bundle_holds_its_trials_until_one_of_them_learns_more(tmp_path, trial):
    folders = [trial(3), trial(7)]
    _save(tmp_path / "best", *folders)
    assert holds(tmp_path / "best", folders)
    assert not holds(tmp_path / "best", folders[::-1])
    assert not holds(tmp_path / "best", folders[:1])
    assert not holds(tmp_path / "nowhere", folders)
    (folders[1] / "checkpoint.safetensors").write_text("weights of 7 and more")
    assert not holds(tmp_path / "best", folders)


def test_each_component_is_named_once(tmp_path, trial):
    bundle = _save(tmp_path / "best", trial(3), trial(7))
    assert [each.name for each in bundle.components] == ["sgd"]


def test_it_holds_json_and_safetensors_alone(tmp_path, trial):
    _save(tmp_path / "best", trial(3))
    assert {each.suffix for each in (tmp_path / "best").iterdir()} == {".json", ".safetensors"}
    json.loads((tmp_path / "best" / "bundle.json").read_text())


def test_a_new_bundle_leaves_nothing_of_the_old_one(tmp_path, trial):
    best = tmp_path / "best"
    _save(best, trial(1), trial(2))
    _save(best, trial(3))
    assert _contents(best) == {3: "weights of 3"}
    assert len(list(best.iterdir())) == 2


def test_one_trial_may_stay_in_bundle_after_bundle(tmp_path, trial):
    best = tmp_path / "best"
    for others in ((), (2,), (), (3, 4), ()):
        _save(best, trial(1), *map(trial, others))
        assert set(_contents(best)) == {1, *others}
        assert len(list(best.iterdir())) == 2 + len(others)


class Killed(Exception):
    pass


@pytest.mark.parametrize("saves", [1, 2, 3])
@pytest.mark.parametrize("copies", [0, 1, 2])
def test_the_old_bundle_is_whole_whenever_the_process_dies_while_copying(tmp_path, trial, monkeypatch, copies, saves):
    """After any number of bundles and of earlier deaths; each leaves half a file behind."""
    best, trials = tmp_path / "best", [trial(1), trial(2), trial(3)]
    for _ in range(saves):
        _save(best, *trials[:2])
    before, whole = _contents(best), shutil.copyfile

    def dying(source, target):
        calls.append(target)
        if len(calls) > copies:
            target.write_text("half a fi")
            raise Killed
        return whole(source, target)

    for _ in range(3):
        calls = []
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "copyfile", dying)
            with pytest.raises(Killed):
                _save(best, *trials)
        assert _contents(best) == before
    _save(best, trials[0])
    assert _contents(best) == {1: "weights of 1"}
    assert len(list(best.iterdir())) == 2


def test_the_old_bundle_is_whole_until_the_new_one_is_named(tmp_path, trial, monkeypatch):
    from seedbed.core.results import bundle as module

    best = tmp_path / "best"
    _save(best, trial(1))
    second = trial(2)
    with monkeypatch.context() as patch:
        patch.setattr(module.msgspec.json, "format", _die)
        with pytest.raises(Killed):
            _save(best, second)
    assert _contents(best) == {1: "weights of 1"}


def _die(*_):
    raise Killed


def _rewrite(folder, **changes):
    path = folder / "bundle.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | changes))
    return found


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "sub/weights.safetensors", "..", ""])
def test_weights_outside_of_its_folder_are_refused(tmp_path, trial, name):
    best = tmp_path / "best"
    _save(best, trial(1))
    (tmp_path / "secret.safetensors").write_text("x")
    (best / "sub").mkdir()
    (best / "sub" / "weights.safetensors").write_text("x")
    parts = json.loads((best / "bundle.json").read_text())["parts"]
    _rewrite(best, parts=[parts[0] | {"file": name}])
    with pytest.raises(DataError, match="names weights that are not beside it"):
        read_bundle(best)


def test_weights_that_are_gone_are_named(tmp_path, trial):
    best = tmp_path / "best"
    part = _save(best, trial(1)).parts[0]
    (best / part.file).unlink()
    with pytest.raises(DataError, match=rf"not beside it: {part.file}"):
        read_bundle(best)


def test_a_bundle_without_members_is_refused(tmp_path, trial):
    _save(tmp_path / "best", trial(1))
    _rewrite(tmp_path / "best", parts=[])
    with pytest.raises(DataError, match="names weights"):
        read_bundle(tmp_path / "best")


def test_a_newer_format_says_to_upgrade(tmp_path, trial):
    _save(tmp_path / "best", trial(1))
    _rewrite(tmp_path / "best", format=2)
    with pytest.raises(DataError, match=r"has format 2, this version reads up to 1; upgrade seedbed"):
        read_bundle(tmp_path / "best")


def test_a_newer_format_says_to_upgrade_even_where_its_fields_are_others(tmp_path, trial):
    best = tmp_path / "best"
    _save(best, trial(1))
    (best / "bundle.json").write_text('{"format": 2, "members": []}')
    with pytest.raises(DataError, match=r"has format 2, this version reads up to 1; upgrade seedbed"):
        read_bundle(best)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}'])
def test_a_damaged_bundle_is_refused(tmp_path, trial, content):
    _save(tmp_path / "best", trial(1))
    (tmp_path / "best" / "bundle.json").write_text(content)
    with pytest.raises(DataError, match=r"bundle\.json cannot be read"):
        read_bundle(tmp_path / "best")


def test_a_folder_without_a_bundle_says_what_to_give(tmp_path):
    with pytest.raises(DataError, match=r"holds no bundle .*give the folder of a run, or its best/"):
        read_bundle(tmp_path)


def test_a_trial_without_results_cannot_become_a_bundle(tmp_path, trial):
    best, broken = tmp_path / "best", trial(2)
    _save(best, trial(1))
    (broken / "member.json").unlink()
    with pytest.raises(DataError, match="this trial's model is lost"):
        _save(best, broken)
    assert _contents(best) == {1: "weights of 1"}


def test_a_run_and_a_bundle_are_both_found(tmp_path, trial):
    _save(tmp_path / "best", trial(1))
    assert bundle_folder(tmp_path) == tmp_path / "best"
    assert bundle_folder(tmp_path / "best") == tmp_path / "best"


def test_a_run_without_a_model_says_how_to_go_on(tmp_path):
    (tmp_path / "journal.jsonl").write_text("")
    with pytest.raises(DataError, match=r"has no model yet; .* --resume"):
        bundle_folder(tmp_path)


def test_what_is_neither_run_nor_bundle_is_refused(tmp_path):
    with pytest.raises(DataError, match="is no run and no bundle; give the folder"):
        bundle_folder(tmp_path)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    "change",
    [{"test_time_views": True}, {"view": replace(VIEW, height=16, width=16)}, {"candidate": candidate(batch_size=64)}],
    ids=["views", "input form", "candidate"],
)
def test_a_bundle_does_not_hold_a_member_that_is_used_in_another_way_by_now(tmp_path, trial, change, number):
    """As where a trial was kept at its best look, and decided only in its end to predict with more than one view."""
    folders = [trial(each) for each in range(2)]
    _save(tmp_path / "best", *folders)
    assert holds(tmp_path / "best", folders)
    replace(load_member(folders[number]), **change).save(folders[number])
    assert not holds(tmp_path / "best", folders)
