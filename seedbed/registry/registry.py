"""Look up (kind, name) → spec → the code behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pkgutil import resolve_name
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from seedbed.core.errors import PluginError, UnknownName
from seedbed.core.protocols import Owner
from seedbed.core.specs import KINDS, Spec
from seedbed.registry.builtin import BUILTIN
from seedbed.registry.discovery import BrokenPlugin, Discovery, discover
from seedbed.registry.shelf import Claim, Entry, Shelf, collect, collect_commands

if TYPE_CHECKING:
    import click

Status = Literal["ok", "unavailable", "conflict", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of `seedbed plugins list`.

    `unavailable` components need a module that is not installed; a `conflict` claims a name that is
    taken; of a `broken` plugin `name` is the plugin's, `summary` its error and `kind` "plugin" if nothing
    of it could be used.
    """

    kind: str
    name: str
    owner: Owner
    summary: str
    status: Status


class Registry:
    """A read-only view of everything the plugins offer; kinds are loaded when they are first asked for.

    Conflicts: a name that two plugins claim is an error for whoever asks for that name, or for all names
    of its kind. `listing` and `broken` show it instead of raising, with the newcomer to blame.
    """

    def __init__(self, found: Discovery, built_in: Mapping[str, tuple[str, ...]] = BUILTIN) -> None:
        self._found = found
        self._built_in = built_in
        self._shelves: dict[str, Shelf] = {}
        self._commands: click.Group | None = None
        self._lock = threading.RLock()  # an embedding product may ask from several threads

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of components, in the order in which a run meets them."""
        return tuple(KINDS)

    @property
    def plugins(self) -> tuple[str, ...]:
        """What another process gives `open_registry` to open the same: module names and absolute paths."""
        return tuple(self._found.arguments)

    @property
    def portable(self) -> bool:
        """Whether another process can open the same registry; false if a module object cannot be imported."""
        return self._found.portable

    @property
    def broken(self) -> tuple[BrokenPlugin, ...]:
        """What was left out of all kinds, and why: broken plugins and newcomers that claim a taken name."""
        shelves = [self._shelf(kind) for kind in KINDS]
        conflicts = [self._conflicting(shelf, claim) for shelf in shelves for claim in shelf.claims]
        return (*self._found.broken, *conflicts)

    def all(self, kind: str) -> tuple[Spec, ...]:
        """Return every component of a kind, sorted by name.

        Raises:
            NameConflict: two plugins claim one name of this kind.
        """
        shelf = self._shelf(kind)
        shelf.refuse_conflicts()
        return tuple(entry.spec for entry in shelf.entries)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of all components of a kind, sorted; raises NameConflict as `all` does."""
        return tuple(spec.name for spec in self.all(kind))

    def get(self, kind: str, name: str) -> Spec:
        """Return one component by name or alias.

        Raises:
            UnknownName: nothing of this kind has this name.
            NameConflict: two plugins claim this name.
        """
        return self._entry(kind, name).spec

    def owner(self, kind: str, name: str) -> Owner:
        """Return who registered a component; raises as `get` does."""
        return self._entry(kind, name).owner

    @property
    def named(self) -> tuple[str, ...]:
        """The names of the plugins that were asked for in this call, installed ones not counted."""
        return tuple(name for name in self._found.owners if name in self._found.asked)

    def offered_by(self, plugin: str, kind: str) -> tuple[Spec, ...]:
        """Return what one plugin offers of a kind, by the plugin's name."""
        return tuple(entry.spec for entry in self._shelf(kind).entries if entry.plugin == plugin)

    def load(self, spec: Spec) -> Callable[..., Any]:
        """Import the code behind a spec; this is where torch enters the process.

        Raises:
            PluginError: it cannot be imported, or is nothing that can be called.
        """
        try:
            built = resolve_name(spec.build)
        except Exception as error:
            raise PluginError(self._why_not(spec, error)) from error
        if not callable(built):
            raise PluginError(f"{self._label(spec)}: build={spec.build!r} is no function; correct the reference.")
        return built  # type: ignore[no-any-return]  # any callable may stand behind a name

    def listing(self, kind: str | None = None) -> tuple[Row, ...]:
        """Return a row for each component of a kind, or of all, and one for each broken plugin; never raises
        for what a plugin did."""
        shelves = [self._shelf(each) for each in (KINDS if kind is None else (kind,))]
        rows = [row for shelf in shelves for row in _rows(shelf)]
        broken = [
            Row(
                kind=each.kind or "plugin",
                name=each.name,
                owner=each.owner,
                summary=each.reason,
                status="broken",
            )
            for each in self._found.broken
            if each.kind == "" or kind in (None, each.kind)
        ]
        return (*rows, *broken)

    def commands(self) -> click.Group:
        """Return the commands that plugins add, as one group; a plugin that fails here is left out of it."""
        with self._lock:
            if self._commands is None:
                self._commands = collect_commands(self._found)
            return self._commands

    def require_named(self) -> None:
        """Refuse to go on without a plugin that this call named (a file, a module); call it before a run.

        Raises:
            PluginError: such a plugin is broken; the message ends with its traceback.
        """
        for each in self.broken:
            if each.asked:
                raise PluginError(f"The plugin {each.name} was asked for, but is broken; correct it:\n{each.traceback}")

    def _entry(self, kind: str, name: str) -> Entry:
        shelf = self._shelf(kind)
        shelf.refuse_conflicts(name)
        if name not in shelf.names:
            raise UnknownName(kind, name, shelf.names, hint=self._hint(kind))
        return shelf.names[name]

    def _shelf(self, kind: str) -> Shelf:
        if kind not in KINDS:
            raise UnknownName("kind", kind, KINDS)
        with self._lock:
            if kind not in self._shelves:
                self._shelves[kind] = collect(kind, self._found, self._built_in.get(kind, ()))
            return self._shelves[kind]

    def _hint(self, kind: str) -> str:
        broken = sorted({each.name for each in self._found.broken if each.kind in ("", kind)})
        why = f" With -v it says why {', '.join(broken)} could not be loaded." if broken else ""
        return f"`seedbed plugins list {kind}` shows all.{why}"

    def _conflicting(self, shelf: Shelf, claim: Claim) -> BrokenPlugin:
        return BrokenPlugin(
            name=claim.newcomer,
            owner=self._found.owners[claim.newcomer],
            traceback=str(shelf.conflict(claim)),
            kind=shelf.kind,
            asked=claim.newcomer in self._found.asked,
        )

    def _label(self, spec: Spec) -> str:
        entry = self._shelf(spec.kind).names.get(spec.name)
        return f"The {spec.kind} {spec.name!r}" + (f" of {entry.owner.name}" if entry else "")

    def _why_not(self, spec: Spec, error: Exception) -> str:
        """Say why a component cannot be loaded, and what to do."""
        label, home = self._label(spec), spec.build.partition(":")[0]
        if isinstance(error, ModuleNotFoundError) and error.name:
            if home == error.name or home.startswith(f"{error.name}."):
                return f"{label}: build={spec.build!r}, but there is no module {error.name!r}; correct it."
            top = error.name.partition(".")[0]
            return f"{label} needs the module {error.name!r}, which is not installed; try `pip install {top}`."
        return (
            f"{label} cannot be loaded from {spec.build!r} ({type(error).__name__}: {error}). "
            f"Update the plugin, or go without it: `--without {spec.kind}:{spec.name}`."
        )


def open_registry(plugins: Sequence[str | ModuleType] = (), *, installed: bool = True) -> Registry:
    """Open a registry of the built-ins, the installed plugins and those named here.

    Each call opens a new one: nothing is shared between two studies of one process. `plugins` are paths of
    .py files, names of modules, or modules; `installed=False` leaves the installed plugins out.

    Raises:
        UsageError: a path in `plugins` leads to no file.
    """
    return Registry(discover(plugins, installed=installed))


def _rows(shelf: Shelf) -> Iterator[Row]:
    for entry in shelf.entries:
        missing = [module for module in entry.spec.requires.modules if find_spec(module) is None]
        yield _row(entry, "unavailable" if missing else "ok")
    for entry in shelf.contested:
        yield _row(entry, "conflict")


def _row(entry: Entry, status: Status) -> Row:
    spec = entry.spec
    return Row(kind=spec.kind, name=spec.name, owner=entry.owner, summary=spec.summary, status=status)
