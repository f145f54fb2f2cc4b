"""Folders with links, special files and odd shapes, and tables that name them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from malformed import Case, Write
from malformed_images import good, picture
from malformed_tables import CSV, JSONL, LONG, TS

PICTURE = picture("PNG", "RGB")


def cases() -> Iterator[Case]:
    """Yield all cases."""
    for name, link in links().items():
        yield Case(name=f"folder/links/{name}", write=photos(link))
    for name, special in specials().items():
        yield Case(name=f"folder/special/{name}", write=photos(special))
    for name, write in tables().items():
        yield Case(name=f"folder/tables/{name}", write=write)
    for name, write in others().items():
        yield Case(name=f"folder/odd/{name}", write=write)


def photos(more: Callable[[Path], object]) -> Write:
    """Return what writes class folders of whole images, and something more."""

    def write(folder: Path) -> str:
        for name, content in good().items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        more(folder)
        return str(folder)

    return write


def links() -> dict[str, Callable[[Path], object]]:
    """Return what puts links into a folder of images."""

    def all_to_all(root: Path) -> None:
        for one in range(12):
            (root / f"c{one}").mkdir()
        for one in range(12):
            for other in range(12):
                (root / f"c{one}" / f"l{other}").symlink_to(f"../c{other}")

    def chain(root: Path) -> None:
        (root / "a" / "0.png").symlink_to("good 0.png")
        for n in range(1, 60):
            (root / "a" / f"{n}.png").symlink_to(f"{n - 1}.png")

    return {
        "to itself": lambda root: (root / "c").symlink_to("c"),
        "in a circle of two": lambda root: [(root / "c").symlink_to("d"), (root / "d").symlink_to("c")],
        "to the folder above": lambda root: (root / "a" / "up").symlink_to(".."),
        "to the folder itself": lambda root: (root / "a" / "here").symlink_to("."),
        "all to all": all_to_all,
        "sixty in a row": chain,
        "images to themselves": lambda root: [(root / "a" / f"{n}.png").symlink_to(f"{n}.png") for n in range(9)],
        "images to images": lambda root: [(root / "a" / f"{n}.png").symlink_to("../b/good 1.png") for n in range(9)],
        "images to nothing": lambda root: [(root / "a" / f"{n}.png").symlink_to(f"/nowhere/{n}") for n in range(9)],
        "images to folders": lambda root: [(root / "a" / f"{n}.png").symlink_to("..") for n in range(9)],
        "images out of the folder": lambda root: (root / "a" / "out.png").symlink_to("/etc/passwd"),
        "images to devices": lambda root: [(root / "a" / f"{n}.png").symlink_to(f"/dev/{n}") for n in ("zero", "null")],
        "a class to nothing": lambda root: (root / "c").symlink_to("/nowhere"),
        "a class to a file": lambda root: (root / "c").symlink_to("a/good 0.png"),
        "a class to devices": lambda root: (root / "c").symlink_to("/dev"),
        "a class to processes": lambda root: (root / "c").symlink_to("/proc/self"),
        "two classes to one": lambda root: [(root / n).symlink_to("a") for n in ("c", "d")],
        "absolute ones": lambda root: (root / "c").symlink_to(root / "a"),
    }  # fmt: skip


def specials() -> dict[str, Callable[[Path], object]]:
    """Return what puts into a folder of images what is neither file nor folder, or only looks like one."""

    def listens(root: Path) -> None:
        here = Path.cwd()
        os.chdir(root / "a")  # the name of a socket may have a hundred bytes
        try:
            with socket.socket(socket.AF_UNIX) as opened:
                opened.bind("socket.png")
        finally:
            os.chdir(here)

    def without_rights(root: Path) -> None:
        for name in ("a/good 0.png", "b"):
            (root / name).chmod(0)

    return {
        "pipes": lambda root: [os.mkfifo(root / "a" / f"{n}.png") for n in range(3)],
        "a pipe in the place of a class": lambda root: os.mkfifo(root / "c"),
        "a pipe in the place of labels": lambda root: os.mkfifo(root / "labels.csv"),
        "a socket": listens,
        "no rights": without_rights,
        "folders named as images": lambda root: [(root / "a" / f"{n}.png").mkdir() for n in range(3)],
        "folders named as tables": lambda root: [(root / f"{n}.csv").mkdir() for n in ("train", "test", "labels")],
        "folders named as parts": lambda root: [(root / n).mkdir() for n in ("train", "TRAIN", "test", "Valid")],
        "labels that are empty": lambda root: (root / "labels.csv").touch(),
        "labels that are noise": lambda root: (root / "labels.csv").write_bytes(bytes(range(256)) * 20),
        "labels that are no table": lambda root: (root / "labels.parquet").write_bytes(b"PAR1"),
        "labels 100,000 characters long": lambda root: (root / "labels.csv").write_text(f"file,label\n{LONG},a\n"),
        "labels that lead out": lambda root: (root / "labels.csv").write_text("file,label\n" + "../../x.png,a\n" * 9),
        "settings": lambda root: (root / "train.json").write_text("[" * 100_000),
    }


def tables() -> dict[str, Write]:
    """Return what writes folders of tables, and tables that name special files."""

    def parts(**files: str | None) -> Write:
        def write(folder: Path) -> str:
            for name, content in files.items():
                path = folder / name.replace("_", ".")
                if content is None:
                    os.mkfifo(path)
                else:
                    path.write_text(content)
            return str(folder)

        return write

    def naming(make: Callable[[Path], object], *names: str) -> Write:
        def write(folder: Path) -> str:
            for n in range(6):
                (folder / f"good {n}.png").write_bytes(picture("PNG", "RGB", seed=n))
            make(folder)
            cells = [f"good {n}.png" for n in range(6)] + list(names) * 2
            lines = [f"{cell},{'ab'[n % 2]}\n" for n, cell in enumerate(cells)]
            (folder / "a.csv").write_text("".join(["image,label\n", *lines]))
            return str(folder / "a.csv")

        return write

    def lone(make: Callable[[Path], object], name: str) -> Write:
        def write(folder: Path) -> str:
            make(folder / name)
            return str(folder / name)

        return write

    def saved_pipe(folder: Path) -> str:
        from malformed_saved import saved

        for name, content in saved().items():
            if name.endswith(".arrow"):
                os.mkfifo(folder / name)
            else:
                (folder / name).write_bytes(content)
        return str(folder)

    def sparse(name: str) -> Callable[[Path], object]:
        def make(folder: Path) -> None:
            with (folder / name).open("wb") as file:
                file.write(PICTURE)
                file.truncate(3 * 2**30)

        return make

    def series_with_pipe(folder: Path) -> str:
        (folder / "X_TRAIN.ts").write_text(TS)
        os.mkfifo(folder / "X_TEST.ts")
        return str(folder / "X_TRAIN.ts")

    found = {
        "an empty test part": parts(train_csv=CSV, test_csv=""),
        "a test part of other columns": parts(train_csv=CSV, test_csv="a,b\n1,2\n"),
        "a test part of other types": parts(train_csv="n,label\n1,a\n2,b\n", test_csv="n,label\nx,a\ny,b\n"),
        "a training part of names alone": parts(train_csv="text,label\n", test_csv=CSV),
        "a pipe as the test part": parts(train_csv=CSV, test_csv=None),
        "parts of two forms": parts(train_csv=CSV, test_jsonl=JSONL),
        "two training parts": parts(train_csv=CSV, train_jsonl=JSONL),
        "a broken part of another form": parts(train_csv=CSV, test_parquet="PAR1"),
        "images that are pipes": naming(lambda root: os.mkfifo(root / "pipe.png"), "pipe.png"),
        "images that are folders": naming(lambda root: (root / "folder.png").mkdir(), "folder.png"),
        "images without end": naming(lambda root: (root / "zero.png").symlink_to("/dev/zero"), "zero.png"),
        "images that are devices": naming(lambda root: None, "/dev/zero", "/dev/tty", "/dev/full"),
        "images that are links to themselves": naming(lambda root: (root / "l.png").symlink_to("l.png"), "l.png"),
        "images of 3 GiB": naming(sparse("huge.png"), "huge.png"),
        "a pipe as the test series": series_with_pipe,
        "images that are the table": naming(lambda root: None, "a.csv", ".", "..", "/"),
        "a saved pipe": saved_pipe,
    }  # fmt: skip
    for suffix in (".csv", ".csv.gz", ".tsv", ".parquet", ".jsonl", ".json", ".npz", ".ts"):
        found[f"an empty file{suffix}"] = lone(Path.touch, f"a{suffix}")
        found[f"one byte{suffix}"] = lone(lambda path: path.write_bytes(b"\x89"), f"a{suffix}")
        found[f"a folder named a{suffix}"] = lone(Path.mkdir, f"a{suffix}")
        found[f"a pipe named a{suffix}"] = lone(os.mkfifo, f"a{suffix}")
        found[f"a link to itself named a{suffix}"] = lone(lambda path: path.symlink_to(path.name), f"a{suffix}")
        found[f"a link to a device named a{suffix}"] = lone(lambda path: path.symlink_to("/dev/zero"), f"a{suffix}")
        found[f"a link to nothing named a{suffix}"] = lone(lambda path: path.symlink_to("nothing"), f"a{suffix}")
        found[f"no rights on a{suffix}"] = lone(lambda path: (path.touch(), path.chmod(0)), f"a{suffix}")
    return found


def others() -> dict[str, Write]:
    """Return what writes folders of odd shapes."""

    def deep(folder: Path) -> str:
        here = Path.cwd()
        photos(lambda root: None)(folder)
        os.chdir(folder / "a")  # deeper than a path can be long
        try:
            for _ in range(300):
                Path("d" * 20).mkdir()
                os.chdir("d" * 20)
            Path("deep.png").write_bytes(PICTURE)
        finally:
            os.chdir(here)
        return str(folder)

    def many(folder: Path) -> str:
        for n in range(1500):
            (folder / f"c{n}").mkdir()
            (folder / f"c{n}" / "0.png").write_bytes(PICTURE)
        return str(folder)

    def empty_classes(folder: Path) -> str:
        for n in range(500):
            (folder / f"c{n}").mkdir()
        return str(folder)

    def one_class(folder: Path) -> str:
        (folder / "a").mkdir()
        (folder / "a" / "0.png").write_bytes(PICTURE)
        return str(folder)

    def no_classes(folder: Path) -> str:
        (folder / "0.png").write_bytes(PICTURE)
        return str(folder)

    return {
        "nothing": str,
        "300 folders in each other": deep,
        "1,500 classes of one image": many,
        "500 empty classes": empty_classes,
        "hidden files": photos(lambda root: (root / ".hidden").mkdir()),
        "one class": one_class,
        "images without classes": no_classes,
    }
