"""A plugin in a single file: `--plugin mine.py`, loaded only when it is named.

The file becomes the module named after its stem, in this process and in every worker: the specs of
mine.py refer to its own functions as `build="mine:make"`, or as `build=f"{__name__}:make"`, which stays right
when the file grows into a package.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from seedbed.core.errors import PluginError, UsageError


def looks_like_a_file(plugin: str) -> bool:
    """Tell a path from the name of a module: it ends in .py or has a separator in it."""
    return plugin.endswith(".py") or "/" in plugin or os.sep in plugin


def find_file(plugin: str) -> Path:
    """Return the absolute path of a plugin file.

    Raises:
        UsageError: there is no such file, or it is no Python file.
    """
    path = Path(plugin).expanduser().resolve()
    if path.suffix != ".py":
        raise UsageError(f"The plugin {plugin} is no Python file; give a .py file, or the name of a module.")
    if not path.is_file():
        raise UsageError(f"There is no plugin file {path}; check the path.")
    return path


def load_file(path: Path, content: bytes) -> ModuleType:
    """Run a plugin file as the module named after it; an unchanged file is not run again.

    The content is compiled here rather than by the import system, which would leave a __pycache__ folder
    beside the user's file, and might take an old one for the file's current state.

    Raises:
        PluginError: the file's name is no module name, or would hide another module.
    """
    name = path.stem
    _check_name(name, path)
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__seedbed_source__", None) == content:
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise PluginError(f"Python cannot load {path}; give a .py file.")
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__seedbed_source__"] = content
    sys.modules[name] = module  # before it runs, as dataclasses look their module up by name
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _check_name(name: str, path: Path) -> None:
    if not name.isidentifier():
        raise PluginError(f"{path.name} cannot be a module's name; rename the file, as in my_plugin.py.")
    known = sys.modules.get(name)
    if known is not None:
        home = getattr(known, "__file__", None)
    else:
        spec = importlib.util.find_spec(name)
        home = spec.origin or "a package" if spec is not None else str(path)
    if home is None or Path(home).resolve() != path:
        raise PluginError(f"{path.name} would hide the module {name!r} ({home or 'built in'}); rename the file.")
