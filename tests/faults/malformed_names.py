"""Folders and files with odd names, and addresses at which there is nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from malformed import Case, Write
from malformed_folders import PICTURE, photos
from malformed_images import picture
from malformed_tables import CSV, LONG

NAMES = {
    "a line end": "a\nb",
    "a tab": "a\tb",
    "a carriage return": "a\rb",
    "a bell": "a\x07b",
    "a page": "<script>alert(1)<script>",
    "a sequence of terminals": "\x1b[2J\x1b[31mred",
    "quotes": "\"a'b`c",
    "a backslash": "a\\b",
    "a percent": "%s%n%(x)s",
    "braces": "{0}{x!r}{",
    "a dash": "-rf",
    "a space before": " a",
    "a space after": "a ",
    "dots": "...",
    "right to left": "\u202egnp.a",
    "no width": "a\u200bb",
    "a mark": "\ufeffa",
    "a combining mark": "e\u0301",
    "a flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "255 bytes": "x" * 250,
    "bytes that are not utf-8": os.fsdecode(b"\xff\xfe\x80"),
    "half a surrogate pair": os.fsdecode(b"\xed\xa0\x80"),
    "a dollar": "$HOME",
    "a semicolon": "a;touch x",
    "a star": "*",
    "a name of the system": "con",
    "a colon": "c:x",
    "a scheme": "hub:x",
    "a nul in words": "%00",
    "a url": "http:..x",
}


def cases() -> Iterator[Case]:
    """Yield all cases."""
    for name, odd in NAMES.items():
        yield Case(name=f"folder/names of classes/{name}", write=in_classes(odd, ""))
        yield Case(name=f"folder/names of images/{name}", write=in_classes("c", odd))
        yield Case(name=f"folder/names of the folder/{name}", write=at(odd))
        yield Case(name=f"folder/names of tables/{name}", write=table(odd))
        yield Case(name=f"folder/names around tables/{name}", write=around(odd))
        yield Case(name=f"folder/names of files/{name}", write=beside(odd))
    for address in addresses():
        yield Case(name=f"address/{address[:20]!r}", write=lambda folder, address=address: address)


def in_classes(folder: str, stem: str) -> Write:
    """Return what writes a third class of this name, with files of such names."""

    def more(root: Path) -> None:
        (root / folder).mkdir()
        for n in range(4):
            (root / folder / f"{stem}{n}.png").write_bytes(PICTURE)

    return photos(more)


def at(name: str) -> Write:
    """Return what writes whole images into a folder of this name."""

    def write(folder: Path) -> str:
        (folder / name).mkdir()
        return photos(lambda root: None)(folder / name)

    return write


def table(name: str) -> Write:
    """Return what writes a table of this name."""

    def write(folder: Path) -> str:
        (folder / f"{name[:240]}.csv").write_text(CSV)
        return str(folder / f"{name[:240]}.csv")

    return write


def around(name: str) -> Write:
    """Return what writes images, and a table that names them, into a folder of this name."""

    def write(folder: Path) -> str:
        for n in range(6):
            (folder / name).mkdir(exist_ok=True)
            (folder / name / f"good {n}.png").write_bytes(picture("PNG", "RGB", seed=n))
        cells = "".join(f"good {n}.png,{'ab'[n % 2]}\n" for n in range(6))
        (folder / name / "labels.csv").write_text("file,label\n" + cells)
        return str(folder / name)

    return write


def beside(name: str) -> Write:
    """Return what writes files that are no images among images, a broken image, and a table that names them all."""

    def more(root: Path) -> None:
        (root / "a" / name).write_bytes(b"no image")
        (root / "a" / f"{name}.png").write_bytes(b"no image")
        (root / f"{name[:240]}.csv").write_bytes(os.fsencode(f'file,label\n"{name}",a\na/good 0.png,b\n'))

    return photos(more)


def addresses() -> list[str]:
    """Return addresses at which there is nothing."""
    return [
        *("", " ", "\n", "\0", "a\0b", "a\nb", LONG, "a/" * 5000, "\udcff\udcfe", "-", "--help", "*", "%s%s%n"),
        *("hub:", "hub:x", "hub:../../etc", "hub:a/b/c/d", "hub:a/b@", "hub:a/b:", f"hub:{'a' * 1000}/b", "hf:\n/\n"),
        *("hub:a/\udcff", "demo:", "demo:\n", "demo:digitz", "demo:../digits", "nope:x", ":x", "x:", "owner/name"),
        *("http://127.0.0.1:9/x", "file:///etc/passwd", "s3://bucket/x", "C:\\photos", "~nobody-at-all/x"),
        *("/dev/null", "/dev/zero", "/dev/stdin", "/proc/self/mem", "/proc/self/fd", "/etc/passwd", "/nowhere/a.csv"),
        *("photos.csv.csv", "\x1b[31m", "\U0001f600", "a" * 255, "{0.__class__}"),
    ]
