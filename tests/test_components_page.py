"""The page of the components is held to the components: names, summaries, licences, defaults, and its commands."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path

import pytest

from seedbed.core.data.profile import Lengths, Profile
from seedbed.core.data.splitting.folds import judged_over
from seedbed.core.search.compose import compose
from seedbed.core.search.policies import POLICIES, TuneOptions
from seedbed.core.settings import Settings
from seedbed.core.specs import KINDS
from seedbed.core.task import Task
from seedbed.registry.registry import open_registry
from seedbed.shell import assignments

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "components.md").read_text(encoding="utf-8")
DATA = (DOCS / "data.md").read_text(encoding="utf-8")
SECTIONS = {title: body for title, body in re.findall(r"^##+ (.+?)\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S)}
REGISTRY = open_registry(installed=False)

MODALITIES = {"images": "image", "series": "series", "text": "text"}
WRITTEN_OUT = ("metric", "architecture", "augmenter", "optimizer", "schedule", "regularizer")
IN_ONE_TABLE = ("strategy", "backend", "rule", "monitor", "exporter", "deployer")


def rows(section: str) -> set[str]:
    """The lines of a section's tables that name a component."""
    return {line for line in SECTIONS[section].splitlines() if line.startswith("| `")}


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def named(spec) -> str:
    return f"`{spec.name}`, on request" if spec.on_request else f"`{spec.name}`"


def start_of(spec) -> str:
    """What an architecture begins with: its pretrained weights with their licences, or what it does without."""
    if spec.features_only:
        return "nothing to train"
    sources = [each for each in REGISTRY.all("weights") if each.architecture == spec.name]
    assert {each.name for each in sources} == set(spec.weights)
    known = {each.name: each for each in sources}
    return "; ".join(f"`{name}`: {known[name].source}, {known[name].licence}" for name in spec.weights) or "scratch"


@pytest.mark.parametrize(("title", "modality"), MODALITIES.items())
def test_the_architectures_of_each_kind_of_data_are_those_installed_with_the_licence_of_their_weights(title, modality):
    specs = [spec for spec in REGISTRY.all("architecture") if modality in spec.modalities]
    assert rows(f"Architectures for {title}") == {row(named(spec), spec.summary, start_of(spec)) for spec in specs}


@pytest.mark.parametrize(("title", "modality"), MODALITIES.items())
def test_the_augmenters_of_each_kind_of_data_are_those_installed(title, modality):
    specs = [spec for spec in REGISTRY.all("augmenter") if modality in spec.modalities]
    assert rows(f"Augmenters for {title}") == {row(named(spec), spec.summary) for spec in specs}


@pytest.mark.parametrize("kind", ["regularizer", "optimizer", "schedule"])
def test_what_training_is_made_of_is_what_is_installed(kind):
    wanted = {row(named(spec), spec.summary) for spec in REGISTRY.all(kind)}
    assert rows(f"{kind.capitalize()}s") == wanted


def test_the_metrics_are_those_installed_with_their_tasks_and_directions():
    assert rows("Metrics") == {
        row(f"`{spec.name}`", spec.summary, ", ".join(spec.tasks), spec.direction) for spec in REGISTRY.all("metric")
    }


def test_the_other_kinds_are_those_installed():
    assert rows("The rest") == {
        row(f"`{kind}:{spec.name}`", spec.summary) for kind in IN_ONE_TABLE for spec in REGISTRY.all(kind)
    }


@pytest.mark.parametrize("kind", ["reader", "check"])
def test_the_page_of_the_data_names_every_reader_and_check(kind):
    cells = [cell for line in DATA.splitlines() if line.startswith("|") for cell in line.split("|")[1:3]]
    assert [spec.name for spec in REGISTRY.all(kind) if not any(f"`{spec.name}`" in cell for cell in cells)] == []


def test_every_kind_is_on_a_page():
    assert {*WRITTEN_OUT, *IN_ONE_TABLE, "weights", "reader", "check"} == set(KINDS)


def test_the_policies_and_their_options_are_those_of_the_search():
    cells = [line.strip("| ").split(" | ") for line in rows("How a net is trained")]
    policies = {name.strip("`"): text for name, text, _ in (each for each in cells if len(each) == 3)}
    options = {name.strip("`"): default.strip("`") for name, default, *_ in (each for each in cells if len(each) == 4)}
    assert policies == {each.name: each.summary for each in POLICIES.values()}
    assert options == {each.name: json.dumps(each.default) for each in dataclasses.fields(TuneOptions)}


def test_the_numbers_of_rows_that_are_judged_over_folds_are_true():
    (numbers,) = re.findall(r"fewer than (\d+) images, (\d+) texts or (\d+) series.*?over (\d+) folds", TEXT)
    images, texts, series, folds = map(int, numbers)
    for modality, few in {"image": images, "text": texts, "series": series}.items():
        assert (judged_over(modality, few - 1), judged_over(modality, few)) == (folds, 0)


PROFILES = {
    "photos/": ("image", {"height": 96, "width": 96, "channels": 3, "mean": (0.5,) * 3, "std": (0.5,) * 3}),
    "waves.jsonl": (
        "series",
        {"channels": 1, "lengths": Lengths(least=40, usual=45, most=50, longest=50), "mean": (0.0,), "std": (1.0,)},
    ),
    "reviews.csv": ("text", {"lengths": Lengths(least=4, usual=9, most=20, longest=30), "vocabulary": 500}),
}


def settings_of(command: str) -> Settings:
    """The settings that a command line of the page gives."""
    words = shlex.split(command, comments=True)[2:]
    given: dict[str, list[str]] = {}
    for option, value in zip(words[1::2], words[2::2], strict=True):
        given.setdefault(option, []).append(value)
    return Settings(
        source=words[0],
        fixed=assignments(given.get("--set", ())),
        use=tuple(given.get("--use", ())),
        without=tuple(given.get("--without", ())),
    )


@pytest.mark.parametrize("command", re.findall(r"^seedbed fit .+$", TEXT, re.M))
def test_a_command_of_the_page_leaves_something_to_try(command):
    settings = settings_of(command)
    modality, facts = PROFILES[settings.source]
    task = Task(modality=modality, kind="classification", classes=("no", "yes"), metric="accuracy")
    profile = Profile(task=task, examples=900, train=720, valid=180, test=0, class_counts=(360, 360), **facts)
    space = compose(profile, settings, REGISTRY, can_load=lambda spec: True).space
    wanted = str(settings.fixed.get("architecture", "")).partition(":")[0]
    assert wanted in ("", space.complete({})["architecture"])
