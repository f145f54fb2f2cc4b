"""Who stands behind a plugin: the distribution and version that journals and bundles record."""

from __future__ import annotations

import hashlib
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path

from seedbed import __version__
from seedbed.core.protocols import Owner
from seedbed.registry.hookspecs import NAMESPACE

BUILT_IN = Owner("seedbed", __version__)


def owner_of_entry_point(entry: EntryPoint) -> Owner:
    """Return the distribution that installed an entry point."""
    if entry.dist is None:
        return Owner(entry.module, "")
    return Owner(entry.dist.name, entry.dist.version)


def owner_of_file(path: Path, content: bytes) -> Owner:
    """Return the name of a local file, with the start of its content's SHA-256 as its version."""
    return Owner(f"file:{path.name}", hashlib.sha256(content).hexdigest()[:10])


def owner_of_module(module: str) -> Owner:
    """Return the distribution behind a module, or the module itself where none is known.

    Asked are our own entry points and the distribution named like the top-level package. Mapping every
    module of the environment (`packages_distributions`) would read the file lists of all distributions.
    """
    top = module.partition(".")[0]
    if top == NAMESPACE:
        return BUILT_IN
    for entry in entry_points(group=NAMESPACE):
        if entry.module.partition(".")[0] == top and entry.dist is not None:
            return owner_of_entry_point(entry)
    try:
        found = distribution(top)
    except PackageNotFoundError:
        return Owner(module, "")
    return Owner(found.name, found.version)
