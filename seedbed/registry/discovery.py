"""Find plugins and load them: installed ones by entry point, files and modules by name, built-ins on demand.

The rule of containment: whatever goes wrong while a plugin is loaded (it cannot be imported, it
implements a hook that does not exist, or one with arguments that the hook does not have) leaves out
the whole plugin, and becomes a row with its traceback. What goes wrong later, in one hook, leaves out
what that hook offers (see shelf.py). Neither ends the process.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

import pluggy

from seedbed.core.errors import UsageError
from seedbed.core.protocols import Owner
from seedbed.registry import hookspecs
from seedbed.registry.localfile import find_file, load_file, looks_like_a_file
from seedbed.registry.provenance import BUILT_IN, owner_of_entry_point, owner_of_file, owner_of_module

log = logging.getLogger(__name__)

LIMIT = "SEEDBED_PLUGINS"
"""The environment variable that limits which installed plugins are loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenPlugin:
    """A plugin, or what it offers of one kind (`kind`), that was left out, and the traceback that says why.

    `asked` marks a plugin that was named in this call, rather than found among the installed ones.
    """

    name: str
    owner: Owner
    traceback: str
    kind: str = ""
    asked: bool = False

    @property
    def reason(self) -> str:
        """The last line of the traceback: the error itself."""
        return self.traceback.strip().rpartition("\n")[2]


class Discovery:
    """A pluggy manager of its own, and what is known of each plugin in it.

    `owners` holds every plugin in the order of loading, broken ones too; `arguments` those with which
    another process finds the same plugins, unless `portable` is false.
    """

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(hookspecs.NAMESPACE)
        self.manager.add_hookspecs(hookspecs)
        self.owners: dict[str, Owner] = {}
        self.asked: set[str] = set()
        self.broken: list[BrokenPlugin] = []
        self.arguments: list[str] = []
        self.portable = True

    def add(self, name: str, owner: Owner, load: Callable[[], object], *, asked: bool = False) -> None:
        """Load one plugin and register its hooks; a failure is kept as a row and logged."""
        if name in self.owners:
            name = f"{name} of {owner.name}"
        self.owners[name] = owner
        if asked:
            self.asked.add(name)
        try:
            plugin = load()
            if known := self.manager.get_name(plugin):
                self._merge(name, known)
                return
            self.manager.register(plugin, name)
            self.manager.check_pending()
        # SystemExit: a script that ends itself when it is imported must not end us.
        except (Exception, SystemExit) as error:
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            self.leave_out(name, error)

    def _merge(self, name: str, known: str) -> None:
        """Forget a second name of a plugin, as of one that is installed and named in this call too."""
        del self.owners[name]
        if name in self.asked:
            self.asked.remove(name)
            self.asked.add(known)

    def leave_out(self, name: str, error: BaseException, kind: str = "") -> None:
        """Keep the row of a plugin that failed, as a whole or in one kind."""
        text = "".join(traceback.format_exception(error))
        row = BrokenPlugin(name=name, owner=self.owners[name], traceback=text, kind=kind, asked=name in self.asked)
        self.broken.append(row)
        log.warning(
            "The plugin %s is broken%s and left out: %s. `seedbed plugins list -v` shows where.",
            name,
            f" ({kind})" if kind else "",
            row.reason.rstrip("."),
        )

    def add_built_in(self, modules: Iterable[str]) -> None:
        """Load declaration modules of the engine's own, once."""
        for module in modules:
            if module not in self.owners:
                self.add(module, BUILT_IN, partial(import_module, module))

    def add_installed(self) -> None:
        """Load the plugins that installed distributions announce, sorted by name."""
        entries = sorted(entry_points(group=hookspecs.NAMESPACE), key=lambda entry: (entry.name, entry.value))
        for entry in _limited(entries, os.environ.get(LIMIT)):
            self.add(entry.name, owner_of_entry_point(entry), entry.load)

    def add_named(self, plugin: str | ModuleType) -> None:
        """Load a plugin that was asked for: a file, the name of a module, or a module.

        Raises:
            UsageError: it is a path, and there is no such file.
        """
        if isinstance(plugin, ModuleType):
            self._add_module(plugin)
        elif looks_like_a_file(plugin):
            self._add_file(plugin)
        else:
            self.arguments.append(plugin)
            self.add(plugin, owner_of_module(plugin), partial(import_module, plugin), asked=True)

    def _add_file(self, plugin: str) -> None:
        path = find_file(plugin)
        content = path.read_bytes()
        self.arguments.append(str(path))
        self.add(path.stem, owner_of_file(path, content), partial(load_file, path, content), asked=True)

    def _add_module(self, module: ModuleType) -> None:
        name = module.__name__
        if _is_importable(module):
            self.arguments.append(name)
        else:
            self.portable = False
        self.add(name, owner_of_module(name), lambda: module, asked=True)


def discover(plugins: Sequence[str | ModuleType] = (), *, installed: bool = True) -> Discovery:
    """Load all plugins but the built-ins: installed ones first, then those named, in the order given.

    Raises:
        UsageError: `plugins` is a single string, or names a file that does not exist.
    """
    if isinstance(plugins, str):
        raise UsageError(f"plugins={plugins!r} is one string; give a list, as in plugins=[{plugins!r}].")
    found = Discovery()
    if installed:
        found.add_installed()
    for plugin in plugins:
        found.add_named(plugin)
    return found


def _limited(entries: Sequence[EntryPoint], limit: str | None) -> Iterable[EntryPoint]:
    """Keep the entry points that SEEDBED_PLUGINS allows: all where it is unset, none where it is empty."""
    if limit is None:
        return entries
    allowed = {name.strip() for name in limit.split(",")} - {""}
    for name in sorted(allowed - {entry.name for entry in entries}):
        log.warning("%s names the plugin %r, but none of that name is installed.", LIMIT, name)
    return [entry for entry in entries if entry.name in allowed]


def _is_importable(module: ModuleType) -> bool:
    """Whether another process can be expected to get this module by importing its name."""
    name = module.__name__
    return name != "__main__" and module.__spec__ is not None and sys.modules.get(name) is module
