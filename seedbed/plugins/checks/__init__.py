"""Built-in checks: the declarations; the code lies beside them, by what it looks at."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import CheckSpec, Requires, hookimpl


@hookimpl
def register_checks() -> Iterator[CheckSpec]:
    """Offer the checks."""
    yield CheckSpec(
        name="unreadable_files",
        summary="Files that cannot be decoded, with the reason for each.",
        build="seedbed.plugins.checks.images:unreadable_files",
        requires=Requires(modalities=("image",)),
    )
    yield CheckSpec(
        name="constant_images",
        summary="Images that are one colour all over.",
        build="seedbed.plugins.checks.images:constant_images",
        requires=Requires(modalities=("image",)),
    )
    yield CheckSpec(
        name="rare_classes",
        summary="Classes with one example, or with fewer than ten.",
        build="seedbed.plugins.checks.classes:rare_classes",
    )
    yield CheckSpec(
        name="imbalance",
        summary="A class that is more than ten times as large as another.",
        build="seedbed.plugins.checks.classes:imbalance",
    )
    yield CheckSpec(
        name="class_names",
        summary="Class names that may be one class spelt twice, or that other tools may stumble over.",
        build="seedbed.plugins.checks.classes:class_names",
    )
