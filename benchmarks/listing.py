"""Time ways to list a large folder of class folders: `datasets`' imagefolder loader, and Seedbed's own scan.

    python benchmarks/listing.py FOLDER [--repeats 3]

Each way is a fresh process with a cold cache of its own; both end in a `datasets.Dataset` of paths and
labels in which nothing is decoded. Fashion-MNIST as 60,000 files is written by `fashion_mnist.py`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

WAYS = {
    "imagefolder": (
        "import sys, datasets\n"
        "rows = datasets.load_dataset('imagefolder', data_dir=sys.argv[1], cache_dir=sys.argv[2])\n"
        "print(sum(map(len, rows.values())))\n"
    ),
    "seedbed": (
        "import sys, pathlib\n"
        "from seedbed import NoOptions, ReadContext\n"
        "from seedbed.plugins.readers.image_folder import build\n"
        "context = ReadContext(cache=pathlib.Path(sys.argv[2]), offline=True)\n"
        "print(len(build(NoOptions()).read(sys.argv[1], context)))\n"
    ),
}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    medians = {}
    for name, code in WAYS.items():
        seconds = []
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory() as cache:
                began = time.monotonic()
                command = [sys.executable, "-c", code, options.folder, cache]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                seconds.append(time.monotonic() - began)
        medians[name] = statistics.median(seconds)
        listed = ", ".join(f"{each:.1f}" for each in seconds)
        print(f"{name:<12} {int(done.stdout.split()[-1]):,} rows, median {medians[name]:.2f} s of {listed}", flush=True)
    print(f"ratio        {medians['imagefolder'] / medians['seedbed']:.1f}")


if __name__ == "__main__":
    main()
