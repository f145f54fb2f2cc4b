from __future__ import annotations

from dataclasses import replace

import datasets
import numpy as np
import pytest
import torch
from core.training.helpers import (
    CLASSES,
    FakeClock,
    Tiny,
    fake_lookup,
    make_data,
    run_job,
    trial_job,
)

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.preparing.prepare import open_prepared
from seedbed.core.data.targets import targets_of
from seedbed.core.errors import Interrupted
from seedbed.core.protocols import CheckInput
from seedbed.core.search.compose import compose
from seedbed.core.search.events import TrialFinished
from seedbed.core.settings import Settings
from seedbed.core.training import frozen
from seedbed.core.training.features import BATCH
from seedbed.core.training.frozen import checking_features, first_probe, frozen_features

pytestmark = pytest.mark.usefixtures("unmeasured")


class Watched(Tiny):
    """Counts the rows it sees; a batch takes `seconds` of `clock`."""

    seen = 0
    seconds = 0.0
    clock = FakeClock()

    def forward(self, inputs):
        type(self).seen += len(inputs)
        self.clock.tick(self.seconds * len(inputs) / BATCH)
        return super().forward(inputs[:, :, ::4, ::4])  # at 128 px these tests would take five times as long


@pytest.fixture
def watched():
    Watched.seen, Watched.seconds, Watched.clock = 0, 0.0, FakeClock()
    spec = fake_lookup().get("architecture", "tiny")
    return fake_lookup().with_((spec, lambda options, profile: Watched(options.width, profile.channels)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=600, size=36)


@pytest.fixture
def fresh(made, tmp_path):
    """The prepared images without features of other tests."""
    (tmp_path / "prepared").mkdir()
    for path in made.data.iterdir():
        (tmp_path / "prepared" / path.name).hardlink_to(path)
    return replace(made, data=tmp_path / "prepared")


def see(made, lookup, rows=None, **wishes):
    prepared = open_prepared(made.data)
    rows = np.arange(prepared.rows) if rows is None else rows
    return frozen_features(prepared, lookup, can_load=lambda spec: True, rows=rows, clock=Watched.clock, **wishes)


def files(made):
    return {path.relative_to(made.data): path.read_bytes() for path in made.data.rglob("*.features")}


def first_of(made, lookup, settings=None):
    composition = compose(made.profile, settings or Settings(source=""), lookup, can_load=lambda spec: True)
    return composition.candidate(composition.space.complete({"architecture": "tiny", "policy": "probe"}))


def test_a_probe_finds_what_was_computed_outside_of_it(fresh, watched, tmp_path):
    found = see(fresh, watched)
    assert Watched.seen == len(found) == 600
    assert found.source == "tiny with the weights quarter at 128 px"
    kept = files(fresh)
    job = replace(trial_job(fresh, tmp_path / "0"), candidate=first_of(fresh, watched))
    assert isinstance(run_job(job, watched)[-1], TrialFinished)
    assert Watched.seen == 600 + len(fresh.splits.valid)
    assert files(fresh) == kept


def test_features_of_a_probe_are_found_outside_of_it(fresh, watched, tmp_path):
    job = replace(trial_job(fresh, tmp_path / "0"), candidate=first_of(fresh, watched))
    assert isinstance(run_job(job, watched)[-1], TrialFinished)
    before = Watched.seen
    found = see(fresh, watched)
    assert Watched.seen - before == 600 - len(fresh.splits.train)
    assert len(found) == 600
    assert np.array_equal(see(fresh, watched, fresh.splits.valid).values, found.values[fresh.splits.valid])


def test_the_user_decides_on_the_resolution(fresh, watched):
    settings = Settings(source="", fixed={"resolution": 64})
    assert see(fresh, watched, np.arange(10), settings=settings).source.endswith("at 64 px")


def test_who_wants_to_train_from_scratch_has_data_to_look_at_as_well(fresh, watched):
    settings = Settings(source="", fixed={"policy": "scratch"})
    assert len(see(fresh, watched, np.arange(10), settings=settings)) == 10


@pytest.mark.parametrize("missing", ["weights:quarter", "architecture:tiny"])
def test_without_a_pretrained_backbone_there_are_no_features(fresh, watched, missing):
    assert see(fresh, watched, settings=Settings(source="", without=(missing,))) is None
    assert see(fresh, watched.without(*missing.split(":"))) is None


def test_weights_that_cannot_be_loaded_are_not_tried(fresh, watched):
    prepared = open_prepared(fresh.data)
    assert first_probe(prepared, watched, lambda spec: True) is not None
    assert first_probe(prepared, watched, lambda spec: False) is None


def test_small_images_show_a_pretrained_backbone_nothing(watched, tmp_path):
    assert see(make_data(tmp_path, rows=90, size=31), watched) is None


def test_a_broken_backbone_is_no_features_and_a_warning(fresh, watched, caplog):
    def broken(options, profile):
        raise RuntimeError("no such layer")

    spec = watched.get("architecture", "tiny")
    assert see(fresh, watched.with_((spec, broken))) is None
    assert "no such layer" in caplog.text


@pytest.fixture
def one_resolution(monkeypatch):
    """There is no lower resolution to fall back on."""
    monkeypatch.setattr(frozen, "_LOWER", ())


def test_where_time_is_short_all_rows_are_seen_less_sharply(fresh, watched):
    Watched.seconds = 1.0
    found = see(fresh, watched, seconds=4.0)
    assert "at 128 px" not in found.source
    assert see(fresh, watched, seconds=400.0).source.endswith("at 128 px")


def test_where_not_all_rows_fit_into_the_time_those_done_are_an_even_sample(fresh, watched, one_resolution):
    Watched.seconds = 1.0
    found = see(fresh, watched, strata=fresh.splits.targets, seconds=2.5)
    assert len(found) == 2 * BATCH
    assert np.all(np.diff(found.rows) > 0)
    assert np.ptp(np.bincount(fresh.splits.targets[found.rows])) <= 2
    assert np.ptp(np.histogram(found.rows, bins=4, range=(0, 600))[0]) < BATCH / 4
    Watched.seconds = 0.0
    everything = see(fresh, watched)
    assert np.array_equal(found.values, everything.values[found.rows])


def test_more_time_adds_to_what_there_is(fresh, watched, one_resolution):
    Watched.seconds = 1.0
    first, second, third = (see(fresh, watched, seconds=2.5) for _ in range(3))
    assert [len(each) for each in (first, second, third)] == [2 * BATCH, 4 * BATCH, 600]
    assert set(first.rows) <= set(second.rows) <= set(third.rows)


def test_what_is_known_needs_no_time(fresh, watched):
    everything = see(fresh, watched)
    found = see(fresh, watched, seconds=0.0)
    assert np.array_equal(found.values, everything.values)
    assert Watched.seen == 600


@pytest.mark.parametrize(("seconds", "each"), [(0.0, 0.1), (10.0, 9.0)])
def test_too_little_time_for_a_few_hundred_rows_is_told_at_once(fresh, watched, one_resolution, seconds, each):
    Watched.seconds = each
    assert see(fresh, watched, seconds=seconds) is None
    assert Watched.seen <= 18


def test_no_more_is_held_than_memory_allows(fresh, watched, monkeypatch):
    monkeypatch.setattr(frozen, "MOST_BYTES", 300 * 72 * 4)
    assert len(see(fresh, watched)) == Watched.seen == 300


def test_a_request_to_stop_is_heard_and_what_was_done_is_kept(fresh, watched):
    with pytest.raises(Interrupted, match="those that were done are kept"):
        see(fresh, watched, cancelled=lambda: Watched.seen >= 2 * BATCH)
    assert see(fresh, watched) is not None
    assert Watched.seen == 600


def test_torch_is_left_as_it_was(fresh, watched):
    threads = torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    see(fresh, watched, np.arange(300), threads=threads + 1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(3), expected)


def test_checks_get_plain_features_where_a_backbone_sees_nothing(fresh, watched, tmp_path):
    small = make_data(tmp_path / "small", rows=90, size=12)
    assert _checking(small, watched).source == "16 by 16 mean cells and edge directions"
    assert _checking(fresh, watched).source == "tiny with the weights quarter at 128 px"


def _checking(made, lookup):
    rows = datasets.Dataset.from_dict({"target": [CLASSES[each] for each in made.splits.targets]})
    dataset = Dataset(rows=rows, modality="image", source="made", name="made")
    given = CheckInput(
        dataset=dataset,
        prepared=open_prepared(made.data),
        targets=targets_of(dataset),
        parts=np.zeros(len(rows), dtype=np.int8),
    )
    return checking_features(given, lookup, can_load=lambda spec: True)


@pytest.mark.slow
def test_what_inspect_leaves_is_what_the_first_probe_of_a_run_reads(small, tmp_path):
    """With the built-in components, and the candidate that the default strategy tries."""
    from seedbed.core.network import Network
    from seedbed.plugins.strategies.portfolio import portfolio
    from seedbed.registry.registry import open_registry

    registry = open_registry([], installed=False)
    can_load = Network(offline=True).can_load(registry)
    found = frozen_features(open_prepared(small.data), registry, can_load=can_load, rows=np.arange(60))
    assert found.source == "tf_efficientnet_lite0 with the weights efficientnet_lite0 at 128 px"
    composition = compose(small.profile, Settings(source=""), registry, can_load=can_load)
    probe = next(each for each in portfolio(composition.space, small.profile) if each["policy"] == "probe")
    kept = files(small)
    job = replace(trial_job(small, tmp_path / "0"), candidate=composition.candidate(probe))
    finished = run_job(job, registry)[-1]
    assert isinstance(finished, TrialFinished), finished
    assert files(small) == kept
