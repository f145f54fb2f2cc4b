"""What all plugins offer: the specs of a kind by name, the names that two of them claim, and commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seedbed.core.errors import BadSpec, NameConflict
from seedbed.core.protocols import Owner
from seedbed.core.space import domains
from seedbed.core.specs import KINDS, Spec
from seedbed.registry.discovery import Discovery
from seedbed.registry.hookspecs import HOOKS

if TYPE_CHECKING:
    import click


@dataclass(frozen=True, slots=True)
class Entry:
    """A spec, and the plugin that offers it."""

    spec: Spec
    plugin: str
    owner: Owner


@dataclass(frozen=True, slots=True)
class Claim:
    """A name that `newcomer` claims, though it belongs to `first`; both are names of plugins."""

    name: str
    first: str
    newcomer: str


@dataclass(slots=True)
class Shelf:
    """Everything of one kind; `names` maps names and aliases alike to entries.

    A name belongs to whoever came first: built-ins, then installed plugins by name, then those named in
    the call. A newcomer that claims it again is kept apart as `contested`.
    """

    kind: str
    names: dict[str, Entry] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    contested: list[Entry] = field(default_factory=list)

    @property
    def entries(self) -> list[Entry]:
        """The entries that have their names, sorted; contested ones are not among them."""
        return [entry for name, entry in sorted(self.names.items()) if name == entry.spec.name]

    def put(self, entry: Entry) -> None:
        """Add an entry under its name and aliases, or keep it apart if one of them is taken."""
        wanted = (entry.spec.name, *entry.spec.aliases)
        claims = [Claim(name, self.names[name].plugin, entry.plugin) for name in wanted if name in self.names]
        if claims:
            self.claims += claims
            self.contested.append(entry)
        else:
            self.names.update(dict.fromkeys(wanted, entry))

    def conflict(self, claim: Claim) -> NameConflict:
        """Return the error for a name that two plugins claim."""
        return NameConflict(self.kind, claim.name, (claim.first, claim.newcomer))

    def refuse_conflicts(self, name: str | None = None) -> None:
        """Refuse to go on where `name` is claimed twice; without a name, where any of this kind is.

        Raises:
            NameConflict: names both plugins and the way out.
        """
        for claim in self.claims:
            if name in (None, claim.name):
                raise self.conflict(claim)


def collect(kind: str, found: Discovery, built_in: tuple[str, ...]) -> Shelf:
    """Ask every plugin what it offers of a kind; one that fails offers nothing of it, and becomes a row."""
    found.add_built_in(built_in)
    order = {name: (name not in built_in, place) for place, name in enumerate(found.owners)}
    shelf = Shelf(kind)
    # Not `hook(...)`: pluggy's own call drops who returned what, and one that raises would end it for all.
    impls = getattr(found.manager.hook, HOOKS[kind]).get_hookimpls()
    for impl in sorted(impls, key=lambda impl: order[impl.plugin_name]):
        name = impl.plugin_name
        try:
            specs = _offered(kind, name, impl.function)
        except Exception as error:
            found.leave_out(name, error, kind)
            continue
        for spec in specs:
            shelf.put(Entry(spec, name, found.owners[name]))
    return shelf


def collect_commands(found: Discovery) -> click.Group:
    """Ask every plugin for its commands; one that fails, or takes another's name, adds none."""
    from click import Group

    all_commands, owners = Group("plugins"), dict[str, str]()
    for impl in found.manager.hook.register_commands.get_hookimpls():
        name = impl.plugin_name
        own = Group(name)  # of its own, so that one that fails half-way leaves nothing behind
        try:
            impl.function(*(own for _ in impl.argnames))
            for each in sorted(own.commands.keys() & owners.keys()):
                raise NameConflict("command", each, (owners[each], name))
        except Exception as error:
            found.leave_out(name, error, "command")
            continue
        all_commands.commands.update(own.commands)
        owners.update(dict.fromkeys(own.commands, name))
    return all_commands


def _offered(kind: str, plugin: str, hook: Callable[[], object]) -> list[Spec]:
    """Call a plugin's hook and check what it yields, all or nothing."""
    cls, specs = KINDS[kind], hook()
    if not hasattr(specs, "__iter__"):
        raise BadSpec(f"{HOOKS[kind]} of {plugin} returns {specs!r}; yield {cls.__name__}(…) for each {kind}.")
    found: list[Spec] = []
    seen: set[str] = set()
    for spec in specs:
        if not isinstance(spec, cls):
            raise BadSpec(f"{HOOKS[kind]} of {plugin} yields {spec!r}; yield {cls.__name__}(…) instead.")
        domains(spec.options)  # raises what is wrong with them, here rather than in the middle of a run
        if twice := seen.intersection((spec.name, *spec.aliases)):
            raise BadSpec(f"{plugin} registers the {kind} {min(twice)!r} twice; rename one of them.")
        seen.update((spec.name, *spec.aliases))
        found.append(spec)
    return found
