"""What is the same of every deployment: names, options, and whether two answers agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_bundles
from quick_runs import surroundings
from shelf_place import Shelf

import seedbed
from seedbed import deployments
from seedbed.core.errors import DataError, DeploymentError, UnknownName, UsageError
from seedbed.registry.registry import open_registry
from seedbed.serving.answers import example, respond

PLUGINS = ["shelf_place"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")):
        yield small_bundles.texts(tmp_path_factory.mktemp("texts"))


def test_a_run_is_deployed_under_the_name_of_its_folder_or_another(run):
    told = []
    assert deployments.deploy(run, "shelf", plugins=PLUGINS, report=told.append).name == "seedbed-texts"
    assert deployments.deploy(run / "best", "shelf", plugins=PLUGINS).name == "seedbed-texts"
    assert deployments.deploy(run, "shelf", name="mine", plugins=PLUGINS, report=told.append).name == "mine"
    deployments.undeploy("mine", "shelf", plugins=PLUGINS, report=told.append)
    assert told == ["best as seedbed-texts", "best as mine", "without mine"]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("runs/photos-1", "seedbed-photos-1"),
        ("a b__c", "seedbed-a-b-c"),
        ("ä", "seedbed"),
        ("x" * 90, f"seedbed-{'x' * 40}"),
    ],
)
def test_a_name_made_of_a_folder_has_letters_digits_and_hyphens(folder, name):
    assert deployments.name_for(Path(folder)) == name


def test_options_are_given_by_their_names_in_their_types(run):
    given = {"deployer.shelf.shelf": 3, "copies": 2.0, "minutes": 1, "is_loud": True}
    found = deployments.deploy(run, "shelf", options=given, plugins=PLUGINS)
    assert found.state == "Options(shelf='3', copies=2, minutes=1.0, is_loud=True)"


@pytest.mark.parametrize(
    "wrong", [{"copies": 1.5}, {"copies": "two"}, {"copies": True}, {"is_loud": 1}, {"shelf": True}]
)
def test_an_option_of_another_type_is_refused(run, wrong):
    with pytest.raises(UsageError, match="expected is"):
        deployments.deploy(run, "shelf", options=wrong, plugins=PLUGINS)


def test_unknown_places_options_and_runs_are_refused(run, tmp_path):
    with pytest.raises(UnknownName, match="shelf"):
        deployments.deploy(run, "shelve", plugins=PLUGINS)
    with pytest.raises(UnknownName, match="copies"):
        deployments.deploy(run, "shelf", options={"copys": 2}, plugins=PLUGINS)
    with pytest.raises(DataError, match="no run and no bundle"):
        deployments.deploy(tmp_path, "shelf", plugins=PLUGINS)


def test_a_rehearsal_compares_the_answer_with_the_models_own(run, monkeypatch):
    model = seedbed.load(run)
    own = json.loads(respond(model, example(model), "application/json").body)
    own["predictions"][0]["probabilities"]["good"] += 1e-6
    monkeypatch.setattr(Shelf, "answer", json.dumps(own).encode())
    told = []
    found = deployments.rehearse(run, "shelf", plugins=PLUGINS, report=told.append)
    assert json.loads(found.answer) == own
    assert told[-1] == "without seedbed-texts"
    own["predictions"][0]["probabilities"]["good"] += 0.01
    for answer in (json.dumps(own).encode(), b"no JSON", b"{}"):
        monkeypatch.setattr(Shelf, "answer", answer)
        with pytest.raises(DeploymentError, match="not what the model says"):
            deployments.rehearse(run, "shelf", plugins=PLUGINS)


def test_a_refusal_is_no_answer_even_where_the_model_refuses_as_well(run, monkeypatch):
    monkeypatch.setattr(deployments, "example", lambda model: b"[3]")
    refused = respond(seedbed.load(run), b"[3]", "application/json")
    assert refused.status == 400
    monkeypatch.setattr(Shelf, "answer", refused.body)
    with pytest.raises(DeploymentError, match=r"does not answer.*Row 0 is a number"):
        deployments.rehearse(run, "shelf", plugins=PLUGINS)


def test_the_built_in_place_is_listed():
    assert "sagemaker" in open_registry(installed=False).names("deployer")
