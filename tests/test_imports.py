"""What the first answers of the command line cost: proven by what they import, not by the clock."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "PIL",
    "datasets",
    "joblib",
    "numpy",
    "pandas",
    "pyarrow",
    "rich",
    "safetensors",
    "scipy",
    "sklearn",
    "timm",
    "torch",
    "torchvision",
}

RUN = """
import sys
from seedbed.cli import main
sys.argv[1:] = {arguments!r}
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
print(*sys.modules, file=sys.stderr)
"""


def imported_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh process imports for a piece of code."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()}


def test_importing_the_package_imports_nothing_else():
    found = imported_by(
        "import sys; before = set(sys.modules); import seedbed; print(*set(sys.modules) - before, file=sys.stderr)"
    )
    assert found - sys.stdlib_module_names == {"seedbed"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["plugins", "list"], ["plugins", "list", "--json"]])
def test_a_first_answer_imports_nothing_heavy(arguments):
    assert imported_by(RUN.format(arguments=arguments)) & HEAVY == set()


def test_declarations_import_the_public_names_alone():
    code = (
        "import sys; from seedbed.registry.registry import open_registry; r = open_registry(installed=False); "
        "[r.all(kind) for kind in r.kinds]; print(*sys.modules, file=sys.stderr)"
    )
    assert imported_by(code) & (HEAVY | {"click", "msgspec", "pytest"}) == set()
