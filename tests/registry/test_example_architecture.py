"""The example that plugin authors copy passes the kit, straight from its source folder."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path

from seedbed.registry.conformance import ArchitectureContract

FOLDER = Path(__file__).parents[2] / "examples" / "seedbed-example-architecture"
sys.path.append(str(FOLDER / "src"))  # at the end: an installed one, as its authors have, comes first


class TestExampleConvNet(ArchitectureContract):
    plugin = "seedbed_example_architecture"

    def sizes(self, spec):
        return (spec.requires.min_size, 28)


def test_its_entry_point_leads_to_its_declaration():
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (module,) = project["entry-points"]["seedbed"].values()
    assert hasattr(import_module(module), "register_architectures")
