"""The rooms of the package and the floors of the core: who may import whom, read off the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "seedbed"
FILES = sorted(ROOT.rglob("*.py"))
LIMIT = 350

SHELL = (
    *("cli", "cli_deploy", "cli_runs", "options", "shell", "doctor", "__main__"),
    *("show", "show_board", "show_forecast", "show_inspection", "show_replay"),
)
FACE = (
    "api",
    "deployments",
    "estimator",
    "inspection",
    "page",
    "page_forecast",
    "prediction_files",
    "replays",
    "runs",
    "serving",
)
WORKER = ("worker", "container", "container_lines", "container_study", "keeper")
ROOMS = dict.fromkeys(SHELL, "shell") | dict.fromkeys(FACE, "face") | dict.fromkeys(WORKER, "worker") | {
    "core": "core", "registry": "registry", "plugins": "plugins", "__init__": "names"
}  # fmt: skip
# Room → the rooms it may look into, types included. `names` are the public names of seedbed/__init__.py, which
# fetches each from its home when it is first used.
MAY_IMPORT = {
    "shell": {"shell", "face", "registry", "core"},
    "face": {"face", "registry", "core"},
    "worker": {"worker", "face", "registry", "core"},
    "registry": {"registry", "core"},
    "plugins": {"plugins", "core", "names", "worker"},  # a backend runs the worker's code where it likes
    "core": {"core"},
    "names": {"names", "face", "registry", "core"},
}
# Third parties that belong to one room each.
ONLY_IN = {
    "pluggy": ("registry/",),
    "pytest": ("registry/conformance/",),
    "click": ("cli.py", "cli_deploy.py", "cli_runs.py", "options.py", "shell.py", "registry/shelf.py"),
    "rich": ("plugins/monitors/",),
    "timm": ("plugins/",),
    "moto": ("plugins/amazon/rehearsal/",),
    "werkzeug": ("plugins/amazon/rehearsal/",),
}
TORCH = (
    "core/data/feeding/",
    "core/training/",
    "core/results/bundle.py",
    "core/results/predict.py",
    "core/results/ensemble.py",
    "plugins/",
    "registry/conformance/",
    "worker.py",
)
SHARED = "seedbed.plugins.amazon"
"""No kind of plugin, but what several kinds have in common."""

FLOORS = (
    ("errors", "specs", "space", "task", "settings", "protocols", "deployment", "network"),
    ("data",),
    ("search",),
    ("training",),
    ("results", "runfolder"),
    ("intake", "cores", "session", "understanding", "steps", "hosting", "engine", "replay", "work"),
)


@dataclass(frozen=True)
class Import:
    """One imported module, and whether type checkers alone see it or a function does it when called."""

    module: str
    line: int
    typing: bool
    lazy: bool


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Every import of a file; `from seedbed import show` counts as one of seedbed.show."""

    def walk(node: ast.AST, typing: bool, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            guarded = typing or (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING")
            later = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            for module in _modules(child):
                yield Import(module, child.lineno, typing, lazy)
            yield from walk(child, guarded, later)

    return tuple(walk(tree(path), False, False))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            below = f"{node.module}.{alias.name}"
            yield below if _file(below) is not None else f"{node.module}"
            if node.module == "seedbed" and alias.name == "__version__":
                return


def _file(module: str) -> Path | None:
    base = ROOT.parent.joinpath(*module.split("."))
    return next((each for each in (base.with_suffix(".py"), base / "__init__.py") if each.is_file()), None)


def where(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(module: str) -> str:
    parts = module.split(".")
    return ROOMS.get(parts[1], "none yet: give it a room here") if len(parts) > 1 else "names"


def floor(module: str) -> int:
    name = module.split(".")[2] if module.count(".") > 1 else "errors"
    # What has no floor yet is taken for the top one, so that nobody below may import it unnoticed.
    return next((number for number, names in enumerate(FLOORS) if name in names), len(FLOORS))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_version(path: Path, found: Import) -> bool:
    """`from seedbed import __version__` is a fact that every room may state."""
    return "import __version__" in path.read_text(encoding="utf-8").splitlines()[found.line - 1]


@pytest.mark.parametrize("path", FILES, ids=where)
def test_rooms_keep_their_distance(path):
    own = room(name_of(path))
    strangers = [
        f"line {found.line}: {found.module}"
        for found in imports(path)
        if found.module.split(".")[0] == "seedbed"
        and room(found.module) not in MAY_IMPORT.get(own, ())
        and not is_version(path, found)
    ]
    assert own in MAY_IMPORT, f"{where(path)}: {own}"
    assert not strangers, f"{where(path)} is of the room {own!r}, which may import {sorted(MAY_IMPORT[own])}"


@pytest.mark.parametrize("path", [path for path in FILES if room(name_of(path)) == "core"], ids=where)
def test_core_imports_downwards(path):
    """Types may point upwards: a protocol names what it works on."""
    above = [
        f"line {found.line}: {found.module}"
        for found in imports(path)
        if found.module.startswith("seedbed.core.") and not found.typing and floor(found.module) > floor(name_of(path))
    ]
    assert not above, f"{where(path)} imports from a floor above its own"


def test_nobody_imports_plugins_but_their_own_folder():
    strangers = [
        f"{where(path)}, line {found.line}: {found.module}"
        for path in FILES
        for found in imports(path)
        if found.module.startswith("seedbed.plugins.")
        and found.module.split(".")[:3] != name_of(path).split(".")[:3]
        and not (found.module.startswith(SHARED) and name_of(path).startswith("seedbed.plugins."))
    ]
    assert not strangers


def test_torch_stays_where_it_is_needed():
    strangers = [
        f"{where(path)}, line {found.line}"
        for path in FILES
        for found in imports(path)
        if found.module.split(".")[0] == "torch" and not found.typing and not where(path).startswith(TORCH)
    ]
    assert not strangers


def test_declarations_import_nothing_heavy():
    heavy = {"torch", "torchvision", "timm", "numpy", "datasets", "PIL", "rich", "sklearn", "safetensors"}
    heavy |= {"albumentations", "cv2", "transformers"}
    strangers = [
        f"{where(path)}, line {found.line}: {found.module}"
        for path in ROOT.glob("plugins/*/__init__.py")
        for found in imports(path)
        if found.module.split(".")[0] in heavy
    ]
    assert not strangers


@pytest.mark.parametrize(("module", "places"), ONLY_IN.items(), ids=list(ONLY_IN))
def test_a_third_party_has_its_place(module, places):
    strangers = [
        f"{where(path)}, line {found.line}"
        for path in FILES
        for found in imports(path)
        if found.module.split(".")[0] == module and not found.typing and not where(path).startswith(places)
    ]
    assert not strangers


def test_no_imports_go_in_a_circle():
    """Counted are imports at the top of a file: these would fail, or depend on who comes first."""
    graph = {
        name_of(path): {
            found.module
            for found in imports(path)
            if found.module.startswith("seedbed.") and not found.typing and not found.lazy
        }
        for path in FILES
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for below in sorted(graph.get(module, ())):
                visit(below, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", FILES, ids=where)
def test_nothing_prints(path):
    calls = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not calls, f"{where(path)} prints on lines {calls}; log, or let cli.py show it"


def test_no_file_outgrows_one_sitting():
    long = {where(path): n for path in FILES if (n := len(path.read_text(encoding="utf-8").splitlines())) > LIMIT}
    assert not long, f"split these; {LIMIT} lines are the most"
