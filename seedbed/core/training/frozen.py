"""What a pretrained backbone sees in the rows, outside of a trial: for checks, duplicates and `inspect`; an edge."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch

from seedbed.core.data.checking.plain import LEAST_SIZE, plain_features, spread
from seedbed.core.data.features import Features
from seedbed.core.data.feeding.images import Images
from seedbed.core.data.prepared import PreparedImages
from seedbed.core.data.profile import Profile
from seedbed.core.errors import Interrupted, UsageError
from seedbed.core.protocols import CheckInput, Lookup
from seedbed.core.search.candidate import Candidate
from seedbed.core.search.compose import Composition, compose
from seedbed.core.settings import Settings
from seedbed.core.specs import ArchitectureSpec, WeightsSpec
from seedbed.core.task import Task
from seedbed.core.training.assemble import Net, build_model, chosen_weights, load_pretrained, make_view
from seedbed.core.training.desk import room_on
from seedbed.core.training.devices import pick_device
from seedbed.core.training.evaluate import forward_rows
from seedbed.core.training.features import BATCH, FeatureStore, compute, identity_of, open_store
from seedbed.core.training.member import components_of
from seedbed.core.training.numerics import Numerics, default

log = logging.getLogger(__name__)

FEWEST = 200
"""Rows; where fewer fit into the time there is, features of them would tell nothing of the rest."""

_TRIED = 16  # rows
_LOWER = (96, 64)  # pixels: resolutions to fall back on where time is short
MOST_BYTES = 2**29  # of features held in memory: 100,000 rows of EfficientNet-Lite0


def checking_features(
    given: CheckInput,
    lookup: Lookup,
    *,
    can_load: Callable[[WeightsSpec], bool],
    seconds: float | None = None,
    settings: Settings | None = None,
    device: str = "cpu",
    threads: int = 0,
    cancelled: Callable[[], bool] = lambda: False,
) -> Features | None:
    """Return the best features of the readable rows that checks can have: a frozen backbone's, else plain ones.

    The arguments are those of `frozen_features`. None where no row can be read.

    Raises:
        Interrupted: `cancelled()` became true.
    """
    rows = np.flatnonzero(given.prepared.usable())
    found = None
    if isinstance(given.prepared, PreparedImages):
        found = frozen_features(
            given.prepared,
            lookup,
            can_load=can_load,
            rows=rows,
            strata=given.targets.strata(),
            seconds=seconds,
            settings=settings,
            device=device,
            threads=threads,
            cancelled=cancelled,
        )
    if found is None and len(rows):
        found = plain_features(given.dataset, given.prepared, rows)
    return found


def frozen_features(
    prepared: PreparedImages,
    lookup: Lookup,
    *,
    can_load: Callable[[WeightsSpec], bool],
    rows: np.ndarray,
    strata: np.ndarray | None = None,
    seconds: float | None = None,
    seed: int = 0,
    settings: Settings | None = None,
    device: str = "cpu",
    threads: int = 0,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Features | None:
    """Return float32 features of the rows, of the backbone and input form that the first probe of a run uses.

    They come from the store beside the prepared data where they are known and go there where they are not,
    so a later probe computes nothing twice. None where there is nothing to see with: the images are too
    small, no pretrained backbone can be had, it is broken (which is logged), or the time is too short for a
    few hundred rows.

    Args:
        can_load: whether weights can be had, as `Network.can_load` tells.
        rows: int64 (n,), those that could be read.
        strata: int64 (N,) over all rows, such as `Targets.strata()`.
        seconds: time for everything, the loading of the net included. Where it ends before the rows do, the
            rows done are an evenly spread sample of all, with the share of each stratum.
        settings: the user's wishes, if they are to decide on backbone and resolution.
        threads: of torch, while this runs; 0 leaves them as they are.

    Raises:
        Interrupted: `cancelled()` became true; what was done is kept.
    """
    began = clock()
    candidate = first_probe(prepared, lookup, can_load, settings)
    if candidate is None or not len(rows):
        return None
    try:
        with _own_state(threads, seed):
            pace = _Pace(clock, None if seconds is None else began + seconds)
            work = _open(candidate, prepared, lookup, pick_device(device), seed)
            if (lower := _affordable(work, rows, pace)) < work.resolution:
                pace.each *= (lower / work.resolution) ** 2
                candidate = replace(candidate, values={**candidate.values, "resolution": lower})
                work = _open(candidate, prepared, lookup, pick_device(device), seed)
            found = _run(work, rows, strata, seed, pace, cancelled)
    except Interrupted:
        raise
    except Exception:  # architecture and weights are a plugin's code
        log.warning("No features: %s could not be used.", candidate.component("architecture"), exc_info=True)
        return None
    if found is None:
        return None
    weights, resolution = candidate.component("weights"), work.resolution
    source = f"{candidate.component('architecture')} with the weights {weights} at {resolution} px"
    return Features(rows=found[0], values=found[1], source=source)


def first_probe(
    prepared: PreparedImages,
    lookup: Lookup,
    can_load: Callable[[WeightsSpec], bool],
    settings: Settings | None = None,
) -> Candidate | None:
    """Return the `probe` candidate with the smallest pretrained backbone to be had, or None.

    Its resolution and options are the space's own defaults, which is what the first probe of a run on these
    images has.
    """
    if min(prepared.height, prepared.width) < LEAST_SIZE:
        return None
    wishes = settings or Settings(source="")
    for each in (wishes, Settings(source="", without=wishes.without)):  # who wants `scratch` has data to check as well
        with suppress(UsageError):  # these wishes leave nothing, which the run itself will tell
            composition = compose(_facts(prepared), each, lookup, can_load=can_load)
            for name in _pretrained(composition, lookup):
                candidate = _probe_of(name, composition)
                weights = candidate and chosen_weights(candidate, lookup)
                if weights and weights.mean:  # without, inputs are scaled by a training part that is not known yet
                    return candidate
    return None


def _probe_of(architecture: str, composition: Composition) -> Candidate | None:
    """Return the probe of an architecture with the space's defaults; None where the user has pinned another."""
    try:
        values = composition.space.complete({"architecture": architecture, "policy": "probe"})
    except UsageError:
        return None
    return composition.candidate(values)


def _pretrained(composition: Composition, lookup: Lookup) -> list[str]:
    """Return the architectures that have weights here, the smallest first."""
    names = {
        str(name)
        for param in composition.space.params
        if param.name == "weights"
        for condition in param.when
        if condition.parent == "architecture"
        for name in condition.values
    }
    specs = [cast(ArchitectureSpec, lookup.get("architecture", name)) for name in names]
    return [spec.name for spec in sorted(specs, key=lambda spec: (spec.parameters, spec.name))]


def _facts(prepared: PreparedImages) -> Profile:
    """Return as much of a profile as choosing a backbone takes, which does not depend on what is to be learnt."""
    return Profile(
        task=Task(modality="image", kind="classification", metric="accuracy", classes=("one", "other")),
        examples=prepared.rows,
        train=prepared.rows,
        valid=0,
        test=0,
        height=prepared.height,
        width=prepared.width,
        channels=prepared.channels,
        fingerprint=prepared.fingerprint,
    )


@contextmanager
def _own_state(threads: int, seed: int) -> Iterator[None]:
    """Give torch its own random state and number of threads for a while, and then back what they were."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the accelerators' states too
        try:
            if threads:
                torch.set_num_threads(threads)
            yield
        finally:
            if threads:
                torch.set_num_threads(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A backbone ready to be used, and where what it sees is kept; `forward` maps row numbers (n,) to (n, F)."""

    store: FeatureStore
    width: int
    resolution: int
    forward: Callable[[np.ndarray], np.ndarray]


def _open(
    candidate: Candidate,
    prepared: PreparedImages,
    lookup: Lookup,
    device: torch.device,
    seed: int,
) -> _Work:
    facts = _facts(prepared)
    view = make_view(candidate, facts, lookup)
    model: Net = build_model(candidate, facts, view, lookup)
    load_pretrained(model, candidate, lookup)
    model.to(device).eval()
    numerics: Numerics = default(device)
    numerics.lay_out_model(model)
    images = Images(prepared.folder, device, room_on(device))

    def forward(batch: np.ndarray) -> np.ndarray:
        tensor = forward_rows(model.backbone, images, torch.from_numpy(batch), view, numerics)
        found: np.ndarray = tensor.numpy()
        return found

    identity = identity_of(candidate, components_of(candidate, lookup), seed)
    return _Work(
        store=open_store(prepared.folder, identity, view, numerics.name),
        width=model.head.in_features,
        resolution=view.resolution,
        forward=forward,
    )


def _affordable(work: _Work, rows: np.ndarray, pace: _Pace) -> int:
    """Return the resolution at which all rows fit into the time that is left: the backbone's own, or a lower one.

    To see every row less sharply serves the checks better than to see a part of them: of 3,272 emoji with 3 %
    wrong labels, two thirds of the errors are found at 64 px (with a precision of 0.54) as at 128 px (0.64),
    in a quarter of the time.
    """
    missing = len(rows) - int(work.store.known(rows).sum())
    if pace.end is None or not missing or pace.left <= 0:
        return work.resolution
    pace.measure(work, rows)
    for resolution in (work.resolution, *(each for each in _LOWER if each < work.resolution)):
        cost = (resolution / work.resolution) ** 2 * missing * pace.each / BATCH
        if cost <= pace.left:
            break
    return resolution


@dataclass(slots=True)
class _Pace:
    """Whether another batch fits into the time; without `end` every one does. `each` is the seconds one takes."""

    clock: Callable[[], float]
    end: float | None
    each: float = 0.0
    asked: float | None = None

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return math.inf if self.end is None else self.end - self.clock()

    def fits(self) -> bool:
        """Say so before each batch; the time since the last one was asked for corrects the pace."""
        now = self.clock()
        if self.asked is not None:
            self.each += 0.5 * (now - self.asked - self.each)
        self.asked = now
        return self.end is None or now + self.each <= self.end

    def measure(self, work: _Work, rows: np.ndarray) -> None:
        """Find the pace from a few rows: a whole batch may take longer than there is time."""
        work.forward(rows[:2])  # pays for the choice of kernels
        began = self.clock()
        work.forward(rows[:_TRIED])
        self.each = (self.clock() - began) * BATCH / min(_TRIED, len(rows))


def _run(
    work: _Work,
    rows: np.ndarray,
    strata: np.ndarray | None,
    seed: int,
    pace: _Pace,
    cancelled: Callable[[], bool],
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the rows there was time for, rising, and their features."""
    most = max(MOST_BYTES // (4 * work.width), 1)
    rows = np.unique(rows)
    order = spread(rows, None if strata is None else strata[rows], seed)[:most]
    rows = np.sort(order)
    turn = np.searchsorted(rows, order) if pace.end is not None else np.arange(len(rows))  # in which to compute
    values = np.empty((len(rows), work.width), dtype=np.float32)
    known = work.store.read(rows, values)
    missing = turn[~known[turn]]
    enough = min(FEWEST, len(rows))
    if pace.end is not None and len(missing):
        if pace.left > 0 and not pace.each:
            pace.measure(work, rows[missing])
        needed = int((~known[turn[:enough]]).sum())
        if needed and needed * pace.each / BATCH >= pace.left:
            return None

    def has_time() -> bool:
        if cancelled():
            raise Interrupted("Stopped while features were computed; those that were done are kept.")
        return pace.fits()

    done = compute(work.store, rows, values, missing, work.forward, has_time=has_time)
    if done == len(missing):
        return rows, values
    end = int(np.flatnonzero(turn == missing[done])[0])  # what is known of the rows behind would be no even sample
    if end < enough:
        return None
    kept = np.sort(turn[:end])
    return rows[kept], values[kept]
