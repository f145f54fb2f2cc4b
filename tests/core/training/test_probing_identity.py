"""Stored features of a net that lies in a folder of the user's are those of the files that are there now."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from core.training.helpers import candidate

from seedbed.core.data.view import View
from seedbed.core.training.probing import _identity
from seedbed.registry.conformance.samples import sequence_profile


def identity(**values):
    member = SimpleNamespace(components=())
    job = SimpleNamespace(candidate=candidate(**values), seed=0, profile=sequence_profile("text"), tokens="")
    return _identity(SimpleNamespace(job=job, member=member, view=View(encoding="strings")))


def of_model(path):
    return identity(architecture__transformer__model=str(path))


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    made.mkdir()
    for name in ("config.json", "model.safetensors"):
        (made / name).write_text("content")
        os.utime(made / name, ns=(1, 1))
    (made / "logs").mkdir()
    return made


def test_the_same_files_are_the_same_net(folder):
    assert of_model(folder) == of_model(folder)
    (folder / "logs" / "0.txt").write_text("not beside the weights")
    before = of_model(folder)
    (folder / "logs" / "0.txt").write_text("more")
    assert of_model(folder) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "model.safetensors").write_text("other content"),
        lambda folder: os.utime(folder / "config.json", ns=(2, 2)),
        lambda folder: (folder / "adapter.json").write_text("{}"),
        lambda folder: (folder / "config.json").unlink(),
    ],
    ids=["another size", "written anew", "one more", "one less"],
)
def test_other_files_under_the_same_name_are_another_net(folder, change):
    before = of_model(folder)
    change(folder)
    assert of_model(folder) != before


def test_a_single_file_counts_as_well(folder):
    path = folder / "model.safetensors"
    before = of_model(path)
    path.write_text("other content")
    assert of_model(path) != before


def test_a_name_from_the_folder_where_the_run_was_started_counts_as_the_whole_path(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    before = of_model("model")
    (folder / "config.json").write_text("other content")
    assert of_model("model") != before


@pytest.mark.parametrize("value", ["", "org/name", "mean", "~nobody_of_this_name/x", "x" * 5000, "nul\0"])
def test_a_value_that_names_no_file_counts_by_itself_alone(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = of_model(value)
    (tmp_path / "file").write_text("of the folder where the run was started")
    assert of_model(value) == before


def test_options_of_other_parts_name_no_nets(folder):
    before = identity(optimizer__sgd__log=str(folder))
    (folder / "config.json").write_text("other content")
    assert identity(optimizer__sgd__log=str(folder)) == before
