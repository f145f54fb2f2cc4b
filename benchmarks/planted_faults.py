"""Plant faults in a folder of images, inspect it, and say which were found: recall and precision of each check.

    python benchmarks/planted_faults.py FOLDER [--seeds 0 1 2] [--time 60s]

FOLDER holds train/ and test/ with class folders of images. It is copied; planted are, by seed: 3 % of all
labels flipped to another class, 20 exact copies and 20 re-encoded copies (JPEG, WebP, palette, resized by a
few per cent) of training images under new names in the test part, 5 corrupt files (cut short, emptied, text,
a damaged header, a web page), and one class of the training part split in two by the case of its name.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

FLIPPED = 0.03
COPIES = 20


@dataclass
class Planted:
    """The names of what was planted, as `inspect` would name them."""

    flipped: set[str] = field(default_factory=set)
    exact: set[str] = field(default_factory=set)
    near: set[str] = field(default_factory=set)
    corrupt: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--time", default="60s")
    options = parser.parse_args()
    print("seed  check             planted  named  recall  precision")
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "data"
            shutil.copytree(options.folder, root)
            planted = plant(root, random.Random(seed))
            began = time.monotonic()
            findings, facts = inspect(root, options.time)
            seconds = time.monotonic() - began
        for line in judge(findings, planted):
            print(f"{seed:4}  {line}")
        print(f"{seed:4}  {facts}, {seconds:.1f} s", flush=True)


def plant(root: Path, rng: random.Random) -> Planted:
    """Plant all faults below a folder, in place."""
    found = Planted()
    train = sorted(str(path.relative_to(root)) for path in root.glob("train/*/*") if path.is_file())
    everything = sorted(str(path.relative_to(root)) for path in root.glob("*/*/*") if path.is_file())
    classes = sorted(path.name for path in (root / "train").iterdir() if path.is_dir())
    chosen = rng.sample(train, 2 * COPIES + 5)
    sources, corrupt = chosen[: 2 * COPIES], chosen[2 * COPIES :]
    # Flipped first, so that no copy disagrees with its source and no corrupt file counts as flipped.
    free = [name for name in everything if name not in set(chosen)]
    for name in rng.sample(free, round(FLIPPED * len(everything))):
        part, own, file = name.split("/")
        other = rng.choice([each for each in classes if each != own])
        target = f"{part}/{other}/flipped_{own}_{file}"
        (root / name).rename(root / target)
        found.flipped.add(target)
    for number, name in enumerate(sources):
        _, own, file = name.split("/")
        if number < COPIES:
            target = f"test/{own}/copy_{number:02}{Path(file).suffix}"
            shutil.copyfile(root / name, root / target)
            found.exact |= {target, name}
        else:
            encode, suffix = ENCODINGS[number % len(ENCODINGS)]
            target = f"test/{own}/again_{number:02}{suffix}"
            with Image.open(root / name) as image:
                (root / target).write_bytes(encode(image, rng))
            found.near |= {target, name}
    for number, name in enumerate(corrupt):
        (root / name).write_bytes(DAMAGE[number]((root / name).read_bytes()))
        found.corrupt.add(name)
    split = max(classes, key=lambda each: len(list((root / "train" / each).iterdir())))
    (root / "train" / split.swapcase()).mkdir()
    files = sorted((root / "train" / split).iterdir())
    names = {}
    for file in files[: len(files) // 3]:
        target = root / "train" / split.swapcase() / file.name
        file.rename(target)
        names[str(file.relative_to(root))] = str(target.relative_to(root))
    for each in (found.flipped, found.exact, found.near, found.corrupt):
        moved = {names.get(name, name) for name in each}
        each.clear()
        each.update(moved)
    found.names = {split, split.swapcase()}
    return found


def _saved(form: str, **options: object) -> Callable[[Image.Image, random.Random], bytes]:
    def encode(image: Image.Image, rng: random.Random) -> bytes:
        buffer = io.BytesIO()
        flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
        flat.save(buffer, form, **(options or {"quality": rng.randint(60, 95)}))
        return buffer.getvalue()

    return encode


def _palette(image: Image.Image, rng: random.Random) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGBA").quantize(256, Image.Quantize.FASTOCTREE).save(buffer, "PNG")
    return buffer.getvalue()


def _resized(image: Image.Image, rng: random.Random) -> bytes:
    scale = rng.choice([0.94, 0.97, 1.03, 1.06])
    size = (round(image.width * scale), round(image.height * scale))
    buffer = io.BytesIO()
    image.convert("RGBA").resize(size, Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


ENCODINGS = ((_saved("JPEG"), ".jpg"), (_saved("WEBP"), ".webp"), (_palette, ".png"), (_resized, ".png"))
DAMAGE: tuple[Callable[[bytes], bytes], ...] = (
    lambda content: content[: len(content) // 2],
    lambda content: b"",
    lambda content: b"I am no image.\n",
    lambda content: content[:8] + bytes(24) + content[32:],
    lambda content: b"<!doctype html><title>404</title>",
)


def inspect(root: Path, seconds: str) -> tuple[list[dict], str]:
    """Run `seedbed inspect` in a process of its own, on a cold cache."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-m", "seedbed", "inspect", str(root), "--json", "--quiet", "--time", seconds],
            env={"PATH": "", "SEEDBED_HOME": home, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.exit(f"inspect ended with {done.returncode}:\n{done.stderr}")
    document = json.loads(done.stdout)
    return document["findings"], f"{document['rows']:,} rows"


def judge(findings: list[dict], planted: Planted) -> list[str]:
    """Compare what was named with what was planted."""
    named: dict[str, set[str]] = {}
    for each in findings:
        named.setdefault(each["check"], set()).update(each["rows"])
    copies = named.get("duplicates", set())
    return [
        _line("label_errors", planted.flipped, named.get("label_errors", set())),
        _line("duplicates exact", planted.exact, copies, planted.exact | planted.near),
        _line("duplicates near", planted.near, copies, planted.exact | planted.near),
        _line("unreadable_files", planted.corrupt, named.get("unreadable_files", set())),
        _line("class_names", planted.names, named.get("class_names", set())),
    ]


def _line(check: str, wanted: set[str], named: set[str], right: set[str] | None = None) -> str:
    """Return one row of the table; `right` is what may be named without being wrong, where that is more."""
    hits = len(named & (wanted if right is None else right))
    precision = hits / len(named) if named else float("nan")
    return f"{check:<17} {len(wanted):7}  {len(named):5}  {len(wanted & named) / len(wanted):6.2f}  {precision:9.2f}"


if __name__ == "__main__":
    main()
