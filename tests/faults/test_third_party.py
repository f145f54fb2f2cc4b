"""The example package that plugin authors copy, installed beside Seedbed: from its discovery to its absence."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

PACKAGE = Path(__file__).parents[2] / "examples" / "seedbed-example-architecture"
NAME = "seedbed-example-architecture"


def install(target):
    """Put the package into a folder as pip would, from what its pyproject.toml says; far quicker than pip."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["project"]
    shutil.copytree(PACKAGE / "src", target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    info = target / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return project


def stripes(folder):
    """Write horizontal and vertical stripes of any phase: all alike to a linear model, two sorts to a convolution."""
    rng = np.random.default_rng(0)
    for name, axis in (("across", 0), ("down", 1)):
        (folder / name).mkdir(parents=True)
        for number in range(100):
            wave = np.sin(np.arange(16) * 1.6 + rng.uniform(0, 2 * np.pi))
            pixels = np.broadcast_to(wave[:, None] if axis == 0 else wave[None], (16, 16))
            noisy = 127 + 90 * pixels + rng.normal(0, 15, (16, 16))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where it is installed, as variables of the environment."""
    target = tmp_path_factory.mktemp("site") / "packages"
    project = install(target)
    paths = [str(target), *filter(None, [os.environ.get("PYTHONPATH")])]
    (plugin,) = project["entry-points"]["seedbed"]
    return {"PYTHONPATH": os.pathsep.join(paths), "SEEDBED_PLUGINS": plugin}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return stripes(tmp_path_factory.mktemp("data") / "stripes")


@pytest.fixture(scope="module")
def run(shell, installed, photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "stripes"
    code, document = shell.fit(
        out, "--use", "architecture:example_convnet", "--trials", "1", source=photos, **installed
    )
    return code, document, out


def test_it_is_listed_with_its_owner(shell, installed):
    code, text, _ = shell.run("plugins", "list", "--json", plugins=(), **installed)
    assert code == 0
    (row,) = [row for row in json.loads(text) if row["name"] == "example_convnet"]
    assert (row["kind"], row["owner"], row["version"], row["status"]) == ("architecture", NAME, "0.1.0", "ok")


def test_fit_uses_it_in_a_worker_process(run):
    code, document, _ = run
    assert code == 0
    best = document["leaderboard"][0]
    assert best["candidate"].startswith("example_convnet")
    assert best["score"] > 0.9


def test_the_bundle_says_who_made_what_is_in_it(run):
    bundle = json.loads((run[2] / "best" / "bundle.json").read_text("utf-8"))
    components = [each for part in bundle["parts"] for each in part["member"]["components"]]
    (convnet,) = [each for each in components if each["name"] == "example_convnet"]
    assert (convnet["kind"], convnet["owner"], convnet["owner_version"]) == ("architecture", NAME, "0.1.0")
    assert {each["owner"] for each in components} == {NAME, "seedbed"}


def test_it_predicts_where_it_is_installed(run, shell, installed, photos, tmp_path):
    code, text, err = shell.run("predict", run[2], photos, "--json", plugins=(), **installed)
    assert code == 0, err
    rows = json.loads(text)
    assert len(rows) == 200
    right = [Path(row["input"]).parent.name == row["prediction"] for row in rows]
    assert np.mean(right) > 0.9


def test_without_it_the_bundle_says_what_to_install(run, shell, photos):
    code, text, err = shell.run("predict", run[2], photos, plugins=())
    assert (code, text) == (4, "")
    assert f"pip install {NAME}" in err
    assert "example_convnet" in err
    assert "Traceback" not in err
