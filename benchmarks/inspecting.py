"""Time `seedbed inspect` on large data, and take its peak memory: what a user with a warm disk and a cold cache sees.

    python benchmarks/inspecting.py FOLDER_OR_FILE …
    python benchmarks/inspecting.py --table 5000000 --at rows.parquet

Each is a fresh process. Peak memory is the resident set as the kernel counts it (ru_maxrss), memory-mapped
pages included. With --table, a Parquet file of so many rows of text is made first: 4 to 23 words a row from
20,000 made-up words, eight classes, and two columns of numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS_AT_ONCE = 100_000

MEASURED = """
import json, resource, subprocess, sys, time
began = time.monotonic()
done = subprocess.run([sys.executable, "-m", "seedbed", "inspect", sys.argv[1], "--json", "--quiet"],
                      capture_output=True, text=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
document = json.loads(done.stdout) if done.returncode == 0 else {"rows": 0, "findings": [], "error": done.stderr}
print(json.dumps({"seconds": time.monotonic() - began, "peak": peak, "code": done.returncode, "rows": document["rows"],
                  "findings": len(document["findings"]), "error": document.get("error", "")}))
"""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--table", type=int, default=0, metavar="ROWS")
    parser.add_argument("--at", type=Path, default=Path("rows.parquet"))
    options = parser.parse_args()
    sources = list(options.sources)
    if options.table:
        write_table(options.at, options.table)
        sources.append(str(options.at))
    for source in sources:
        with tempfile.TemporaryDirectory() as home:
            for cache in ("cold", "warm"):
                told = measure(source, home)
                print(
                    f"{source}: {told['rows']:,} rows, {cache} cache: {told['seconds']:.1f} s, "
                    f"peak {told['peak'] / 1e9:.2f} GB, exit {told['code']}, "
                    f"{told['findings']} findings {told['error']}",
                    flush=True,
                )


def measure(source: str, home: str) -> dict:
    """Inspect once, in a process whose only child is the one that is measured."""
    environment = {**os.environ, "SEEDBED_HOME": home, "HF_HUB_OFFLINE": "1"}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, source], env=environment, capture_output=True, text=True, check=True
    )
    return {**json.loads(done.stdout), "whole": time.monotonic() - began}


def write_table(path: Path, rows: int) -> None:
    """Write a table of made-up text, a part at a time."""
    rng = np.random.default_rng(0)
    words = np.array(["".join(map(chr, rng.integers(97, 123, rng.integers(2, 10)))) for _ in range(20_000)])
    writer = None
    for start in range(0, rows, ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, rows - start)
        lengths = rng.integers(4, 24, count)
        flat = words[rng.zipf(1.3, lengths.sum()) % len(words)]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        table = pa.table(
            {
                "id": np.arange(start, start + count),
                "text": [" ".join(flat[one:other]) for one, other in pairwise(ends)],
                "label": [f"class {number}" for number in rng.integers(0, 8, count)],
                "stars": rng.normal(size=count),
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


if __name__ == "__main__":
    main()
