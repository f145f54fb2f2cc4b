"""What the engine adds to training: a fixed recipe through `seedbed fit --trials 1`, and the same steps by hand.

    python benchmarks/overhead.py FOLDER [--repeats 3] [--rows 12000] [--epochs 6]

FOLDER has class folders of small images below `train/`. Rows are drawn from it into two data sets with `train`,
`valid` and `test` parts, as .npz files. By hand means one script: the file is read, the net, the augmentation, the
optimizer and the schedule are built from the same parts, and a plain loop does the same number of steps in the same
batches, looks ten times at the validation part, keeps the best state on disk and scores the test part. Each way is a
process of its own; what a process takes that only imports torch is taken off both. They take turns.

By hand goes twice: `plain` as one would write it, and `tuned` with what the engine does for its processes beside
training: memory is kept instead of given back, and torch's compiler, which an optimizer imports at its first step
(4 to 6 s), is not loaded where nothing is compiled.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.plugins.backends import processes

RECIPE = {
    "architecture": "small_resnet",
    "policy": "scratch",
    "batch_size": 128,
    "optimizer": "adamw",
    "optimizer.adamw.lr": 0.01,
    "schedule": "one_cycle",
    "augmenter.shift": True,
    "regularizer.label_smoothing": True,
}

BY_HAND = """
import sys, numpy as np, torch
from torch import nn
from safetensors.torch import save_file
from seedbed import NoOptions
from seedbed.api import open_registry

file, epochs, seed = sys.argv[1], float(sys.argv[2]), 0
if sys.argv[5] == "tuned":
    from seedbed.core.training.startup import spare_dynamo
    spare_dynamo()
torch.set_num_threads(int(sys.argv[3]))
torch.manual_seed(seed)
data = np.load(file)
parts = {name: torch.from_numpy(data[f"x_{name}"])[:, None] for name in ("train", "valid", "test")}
names = sorted(set(data["y_train"]))
labels = {name: torch.tensor([names.index(each) for each in data[f"y_{name}"]]) for name in parts}
mean = (parts["train"].float() / 255).mean()
std = (parts["train"].float() / 255).std()

registry = open_registry(())
class Facts: channels = 1; height = width = size = 28
from seedbed.plugins.architectures.images import SmallResNetOptions
def built(kind, name, *given):
    spec = registry.get(kind, name)
    return registry.load(spec)(spec.options(), *given)
spec = registry.get("architecture", "small_resnet")
backbone = registry.load(spec)(SmallResNetOptions(), Facts)
model = nn.Sequential(backbone, nn.Linear(backbone.num_features, len(names))).to(memory_format=torch.channels_last)
shift = built("augmenter", "shift", Facts)
schedule = built("schedule", "one_cycle")
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
loss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)
generator = torch.Generator().manual_seed(seed)
steps = round(epochs * len(parts["train"]) / 128)

def prepared(pixels):
    return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

def score(part):
    model.eval()
    with torch.inference_mode():
        right = sum((model(prepared(x)).argmax(1) == y).sum() for x, y in
                    zip(parts[part].split(256), labels[part].split(256)))
    model.train()
    return int(right) / len(labels[part])

best, order, place, look = 0.0, torch.empty(0, dtype=torch.long), 0, 1
for step in range(steps):
    if place + 128 > len(order):
        order, place = torch.randperm(len(parts["train"]), generator=generator), 0
    rows = order[place : place + 128]
    place += 128
    for group in optimizer.param_groups:
        group["lr"] = 0.01 * schedule(step / steps)
    inputs = (shift(parts["train"][rows].float() / 255, generator) - mean) / std
    loss = loss_fn(model(inputs.contiguous(memory_format=torch.channels_last)), labels["train"][rows])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if (step + 1) / steps * 10 >= look:
        look += 1
        found = score("valid")
        if found >= best:
            best = found
            save_file({n: t.contiguous() for n, t in model.state_dict().items()}, sys.argv[4])
print(steps, best, score("test"))
"""

START = "import torch; from seedbed.api import open_registry; open_registry(())"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--epochs", type=float, default=6.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {version('torch')}")
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch)
        file = _write(options.folder, where / "data.npz", options.rows)
        rows = []
        for number in range(options.repeats):
            start = _seconds([sys.executable, "-c", START], where)
            given = [str(file), str(options.epochs), str(options.threads), str(where / "best")]
            plain, tuned = (
                _seconds([sys.executable, "-c", BY_HAND, *given, way], where, like_a_worker=way == "tuned")
                for way in ("plain", "tuned")
            )
            pinned = [f"--set={name}={_json(value)}" for name, value in RECIPE.items()]
            command = [sys.executable, "-m", "seedbed", "fit", str(file), "--trials", "1", "--offline", "-q"]
            command += [*pinned, "--strategy", "epochs", "--without", "architecture:pixels", "--workers", "1"]
            command += ["--threads", str(options.threads), "--out", str(where / f"run{number}")]
            command[3:3] = ["--plugin", str(_strategy(where, options.epochs))]
            engine = _seconds(command, where)
            rows.append((start, plain, tuned, engine))
            print(f"start {start:.1f} s, plain {plain:.1f} s, tuned {tuned:.1f} s, seedbed {engine:.1f} s", flush=True)
    start, plain, tuned, engine = (statistics.median(each) for each in zip(*rows, strict=True))
    ratios = [(engine - start) / (hand - start) for hand in (plain, tuned)]
    print("beyond process start, medians: {:.3f} times as long as plain, {:.3f} as tuned".format(*ratios))


def _seconds(command: list[str], home: Path, *, like_a_worker: bool = False) -> float:
    usual = processes.environment(0) if like_a_worker else os.environ
    environment = {**usual, "SEEDBED_HOME": str(home / "home"), "SEEDBED_PLUGINS": ""}
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command[:6]} failed:\n{done.stderr[-2000:]}")
    took = time.monotonic() - began
    if os.environ.get("SEEDBED_BENCH_VERBOSE"):
        print(done.stdout)
    return took


def _json(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _strategy(where: Path, epochs: float) -> Path:
    """Write a plugin: a strategy that proposes the pinned point once, for so many epochs."""
    file = where / "epochs_strategy.py"
    file.write_text(
        f"""from seedbed import StrategySpec, hookimpl
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal

class Once:
    def __init__(self, options, space, profile):
        self.values = space.default()

    def propose(self, history, rng):
        return None if history.tried(self.values) else Proposal(
            candidate=Candidate(self.values), fidelity=Fidelity(epochs={epochs}))

    def should_stop(self, trial, history):
        return False

@hookimpl
def register_strategies():
    yield StrategySpec(name="epochs", summary="The pinned point once.", build=f"{{__name__}}:Once")
""",
        encoding="utf-8",
    )
    return file


def _write(folder: Path, file: Path, rows: int) -> Path:
    """Draw rows from class folders into an .npz with three parts: a sixth each to choose by and to test with."""
    from PIL import Image

    files = sorted(path for path in (folder / "train").rglob("*") if path.is_file())
    chosen = np.random.default_rng(0).permutation(len(files))[:rows]
    pixels = np.stack([np.asarray(Image.open(files[number]).convert("L")) for number in chosen])
    names = np.array([files[number].parent.name for number in chosen])
    cut = [0, rows * 4 // 6, rows * 5 // 6, rows]
    arrays: dict[str, Any] = {}
    for part, (low, high) in zip(("train", "valid", "test"), pairwise(cut), strict=True):
        arrays |= {f"x_{part}": pixels[low:high], f"y_{part}": names[low:high]}
    np.savez(file, **arrays)
    return file


if __name__ == "__main__":
    main()
