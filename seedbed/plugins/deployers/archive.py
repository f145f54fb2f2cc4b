"""A bundle as one archive: equal bundles give equal bytes, whoever packs them, when and where."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from pathlib import Path
from typing import BinaryIO, cast

from seedbed.core.errors import UsageError
from seedbed.core.results.bundle import FILE, read_bundle

_LEVEL = 1  # weights hardly shrink: level 9 takes ten times as long for a percent


def pack(bundle: Path, output: Path) -> str:
    """Write the files of a bundle as model.tar.gz; return the SHA-256 of the archive, in hex.

    Raises:
        DataError: there is no bundle.
        UsageError: it needs a component of a local file, which is on no other machine.
    """
    made = read_bundle(bundle)
    for each in made.components:
        if each.owner.startswith("file:"):
            raise UsageError(
                f"The model needs the {each.kind} {each.name!r} of {each.owner.removeprefix('file:')}, a file of this "
                "machine alone; make a package of it (docs/first-plugin.md), install it in the image, and train again."
            )
    # The name and the time of the file would go into gzip's header.
    with (
        output.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=cast(BinaryIO, packed), mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted({FILE, *(part.file for part in made.parts)}):
            entry = tarfile.TarInfo(name)  # time 0, owner 0, no names of owners
            entry.size, entry.mode = (bundle / name).stat().st_size, 0o644
            with (bundle / name).open("rb") as file:
                archive.addfile(entry, file)
    with output.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
