"""Shared fakes: components in a dict, and small prepared data of bright bars that any net can learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from seedbed.core.data.feeding.images import Images
from seedbed.core.data.prepared import PreparedImages
from seedbed.core.data.preparing.measure import Original
from seedbed.core.data.profile import Profile
from seedbed.core.data.splitting.split import Splits, save_splits
from seedbed.core.data.view import View
from seedbed.core.errors import UnknownName
from seedbed.core.protocols import Owner, Regularizer
from seedbed.core.search.candidate import Candidate, Fidelity, TrialJob
from seedbed.core.search.events import EpochFinished
from seedbed.core.space import Choice, Float
from seedbed.core.specs import (
    ArchitectureSpec,
    AugmenterSpec,
    MetricSpec,
    OptimizerSpec,
    RegularizerSpec,
    ScheduleSpec,
    WeightsSpec,
)
from seedbed.core.task import Task
from seedbed.core.training.assemble import build_model
from seedbed.core.training.context import PLAIN
from seedbed.core.training.desk import Desk
from seedbed.core.training.evaluate import never, predict_rows
from seedbed.core.training.member import load_member
from seedbed.core.training.predictions import load_predictions
from seedbed.core.training.trial import run_trial


class DictLookup:
    """Components by kind and name, each with its builder; all of them belong to `fakes` 1.0."""

    def __init__(self, *offered):
        self.offered = {(spec.kind, spec.name): (spec, build) for spec, build in offered}

    def all(self, kind):
        return [spec for (k, _), (spec, _) in sorted(self.offered.items()) if k == kind]

    def get(self, kind, name):
        if (kind, name) not in self.offered:
            raise UnknownName(kind, name, [n for k, n in self.offered if k == kind])
        return self.offered[kind, name][0]

    def load(self, spec):
        return self.offered[spec.kind, spec.name][1]

    def owner(self, kind, name):
        self.get(kind, name)
        return Owner("fakes", "1.0")

    def with_(self, *offered):
        found = DictLookup(*offered)
        return _merged(self, found)

    def without(self, kind, name):
        found = DictLookup()
        found.offered = {key: value for key, value in self.offered.items() if key != (kind, name)}
        return found


def _merged(one, other):
    found = DictLookup()
    found.offered = one.offered | other.offered
    return found


@dataclass(frozen=True, slots=True)
class SgdOptions:
    lr: Annotated[float, Float(1e-4, 1e6, log=True)] = 0.2
    weight_decay: Annotated[float, Float(0.0, 0.3)] = 0.01


@dataclass(frozen=True, slots=True)
class TinyOptions:
    width: Annotated[int, Choice(4, 8)] = 8


class Tiny(nn.Module):
    """Convolution, batch normalisation, ReLU, pooled to rows and columns: (N, C, H, W) → (N, F)."""

    def __init__(self, width, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.body = nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, 1), nn.AdaptiveAvgPool2d(3), nn.Flatten())
        self.num_features = 9 * width

    def forward(self, inputs):
        return self.body(self.norm(self.conv(inputs)))


class Mirror:
    """Flips half of the inputs, and predicts with both views."""

    def __call__(self, inputs, generator):
        chosen = torch.rand(len(inputs), generator=generator) < 0.5
        return torch.where(chosen[:, None, None, None], inputs.flip(3), inputs)

    def views(self, inputs):
        return [inputs, inputs.flip(3)]


def tiny(options, profile):
    return Tiny(options.width, profile.channels)


def load_ones(backbone):
    """Pretrained weights: every parameter and buffer becomes 0.25."""
    with torch.no_grad():
        for each in backbone.state_dict().values():
            each.fill_(0.25 if each.is_floating_point() else 7)


def accuracy(options):
    return lambda targets, predictions: float((predictions.argmax(1) == targets).mean())


def sgd(groups, options):
    return torch.optim.SGD(groups, lr=options.lr, momentum=0.9, weight_decay=options.weight_decay)


def fake_lookup():
    """One component of each kind that a trial needs."""
    anywhere = "fakes:anything"
    return DictLookup(
        (
            ArchitectureSpec(name="tiny", summary="Tiny.", build=anywhere, options=TinyOptions, weights=("quarter",)),
            tiny,
        ),
        (
            WeightsSpec(
                name="quarter",
                summary="All 0.25.",
                build=anywhere,
                architecture="tiny",
                source="file",
                licence="MIT",
                mean=(0.5, 0.5, 0.5),
                std=(0.5, 0.5, 0.5),
            ),
            lambda backbone: load_ones(backbone),
        ),
        (OptimizerSpec(name="sgd", summary="SGD.", build=anywhere, options=SgdOptions), sgd),
        (
            ScheduleSpec(name="linear", summary="Down.", build=anywhere),
            lambda options: lambda progress: 1.0 - progress,
        ),
        (AugmenterSpec(name="mirror", summary="Flip.", build=anywhere), lambda options, profile: Mirror()),
        (RegularizerSpec(name="nothing", summary="No change.", build=anywhere), lambda o, p: Regularizer()),
        (MetricSpec(name="accuracy", summary="Share of right answers.", build=anywhere), accuracy),
    )


CLASSES = ("bottom", "middle", "top")


def bars(rows, *, size=12, channels=1, seed=0, noise=90):
    """Images uint8 (N, size, size, channels) of noise with a bright bar whose height is the class, and targets."""
    rng = np.random.default_rng(seed)
    targets = np.arange(rows) % len(CLASSES)
    pixels = rng.integers(0, noise, (rows, size, size, channels), dtype=np.uint8)
    third = size // len(CLASSES)
    for row, target in enumerate(targets):
        pixels[row, target * third : target * third + 2] += 120
    return pixels, targets.astype(np.int64)


@dataclass(frozen=True)
class Made:
    """Prepared data on disk: what a job needs to know of it."""

    data: Path
    split_file: Path
    profile: Profile
    splits: Splits
    pixels: np.ndarray = field(repr=False)

    @property
    def view(self):
        facts = self.profile
        return View(height=facts.height, width=facts.width, channels=facts.channels, mean=facts.mean, std=facts.std)


def make_data(folder, *, rows=90, size=12, channels=1, noise=90):
    """Write prepared images and their split: four sixths to train, one to choose by, one to test with."""
    pixels, targets = bars(rows, size=size, channels=channels, noise=noise)
    return write_data(folder, pixels, targets, CLASSES)


def write_data(folder, pixels, targets, classes):
    data = folder / "prepared"
    data.mkdir(parents=True)
    np.save(data / "images.npy", pixels)
    rows, height, width, channels = pixels.shape
    prepared = PreparedImages(
        folder=data,
        rows=rows,
        height=height,
        width=width,
        channels=channels,
        fingerprint=data.name,
        original=Original(),
    )
    (data / "prepared.json").write_bytes(msgspec.json.encode(msgspec.to_builtins(prepared, enc_hook=str)))
    block = np.arange(rows) // len(classes) % 6
    splits = Splits(
        train=np.flatnonzero(block < 4),
        valid=np.flatnonzero(block == 4),
        test=np.flatnonzero(block == 5),
        targets=targets,
        classes=tuple(classes),
    )
    save_splits(splits, folder / "splits.parquet")
    unit = pixels[splits.train] / 255
    profile = Profile(
        task=Task(modality="image", kind="classification", metric="accuracy", classes=tuple(classes)),
        examples=rows,
        train=len(splits.train),
        valid=len(splits.valid),
        test=len(splits.test),
        height=height,
        width=width,
        channels=channels,
        mean=tuple(float(each) for each in unit.mean((0, 1, 2))),
        std=tuple(float(each) for each in unit.std((0, 1, 2))),
        class_counts=tuple(int(each) for each in np.bincount(targets[splits.train], minlength=len(classes))),
        fingerprint=data.name,
    )
    return Made(data, folder / "splits.parquet", profile, splits, pixels)


def make_learnable(folder, *, rows):
    """Data as of `make_data` whose validation rows may be trained on, all but the first three."""
    found = make_data(folder, rows=rows)
    folds = np.full(len(found.splits.targets), -1, dtype=np.int8)
    folds[found.splits.train] = 0
    folds[found.splits.valid[3:]] = 1
    save_splits(replace(found.splits, folds=folds), found.split_file)
    return found


VERSIONS = {"architecture:tiny": 1, "optimizer:sgd": 1, "schedule:linear": 1}


def candidate(versions=None, **values):
    """A `scratch` candidate of the fakes; `optimizer__sgd__lr=0.1` sets `optimizer.sgd.lr`."""
    chosen = {
        "architecture": "tiny",
        "policy": "scratch",
        "optimizer": "sgd",
        "schedule": "linear",
        "batch_size": 16,
    } | {key.replace("__", "."): value for key, value in values.items()}
    return Candidate(
        {key: value for key, value in chosen.items() if value is not None},
        VERSIONS if versions is None else versions,
    )


def trial_job(made, folder, *, fidelity=Fidelity(epochs=3), trial=0, seed=0, **values):  # noqa: B008 - frozen
    return TrialJob(
        trial=trial,
        candidate=candidate(**values),
        fidelity=fidelity,
        profile=made.profile,
        data=str(made.data),
        splits=str(made.split_file),
        folder=str(folder),
        seed=seed,
        device="cpu",
    )


def run_job(job, lookup=None, *, desk=None, should_stop: Callable[[], bool] = never, **options):
    """Run a trial and return its events."""
    events = []
    run_trial(job, events.append, should_stop, desk or Desk(lookup or fake_lookup()), **options)
    return events


def looks(events):
    return [each for each in events if isinstance(each, EpochFinished)]


class FakeClock:
    """A clock that moves by `step` with each reading, and by `tick` when told."""

    def __init__(self, step=0.0):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now

    def tick(self, seconds):
        self.now += seconds


def with_resolution(view, resolution):
    return replace(view, height=resolution, width=resolution)


def outputs_of(made, folder, rows):
    """What the kept model gives for rows (N,), in full precision and without further views."""
    member = load_member(folder)
    model = build_model(member.candidate, made.profile, member.view, fake_lookup())
    model.load_state_dict(load_file(folder / "checkpoint.safetensors"))
    images = Images(made.data, torch.device("cpu"))
    return predict_rows(model, images, torch.from_numpy(rows), member.view, PLAIN, made.profile).numpy()


def is_as_judged(made, folder):
    """Whether the kept model says of the validation rows what was said of them when it was judged."""
    found = load_predictions(folder / "predictions.npz")
    return np.allclose(outputs_of(made, folder, found.rows), found.outputs, atol=1e-5)
