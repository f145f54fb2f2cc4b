"""What a bundle needs of this installation, and what to install where it is missing; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seedbed.core.errors import PluginError, UnknownName
from seedbed.core.protocols import Lookup
from seedbed.core.training.member import Member

_DISTRIBUTIONS = {"sklearn": "scikit-learn"}
"""What to install for a module, where pip knows it by another name."""


def check_components(member: Member, lookup: Lookup) -> None:
    """Refuse a bundle whose components are missing here or have changed their meaning."""
    for component in member.components:
        try:
            spec = lookup.get(component.kind, component.name)
        except UnknownName as error:
            raise PluginError(
                f"This model needs the {component.kind} {component.name!r} of {component.owner} "
                f"{component.owner_version}, which is not installed. `pip install {component.owner}` brings it, "
                "or `--plugin FILE` if it was a local file."
            ) from error
        if spec.version != component.version:
            raise PluginError(
                f"This model was made with version {component.version} of the {component.kind} "
                f"{component.name!r} ({component.owner} {component.owner_version}); installed is version "
                f"{spec.version}. `pip install {component.owner}=={component.owner_version}` brings it back."
            )


def remedy(missing: Sequence[str], versions: Mapping[str, str]) -> str:
    """Say what to install: the modules that are missing, else the versions that a bundle was made with."""
    if not missing:
        made_with = ", ".join(f"{name} {number}" for name, number in versions.items() if name != "platform")
        return f"Install the versions that the model was made with: {made_with}."
    packages = [_DISTRIBUTIONS.get(module, module) for module in missing]
    wanted = " ".join(f"{name}=={versions[name]}" if name in versions else name for name in packages)
    return f"`pip install {wanted}` brings what is missing."
