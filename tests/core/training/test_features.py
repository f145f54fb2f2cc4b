from __future__ import annotations

import ast
import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from core.training.helpers import Tiny, fake_lookup, make_data, run_job, trial_job
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished
from seedbed.core.training import features
from seedbed.core.training.desk import Desk
from seedbed.core.training.features import FeatureStore, compute
from seedbed.core.training.numerics import Numerics
from seedbed.core.training.predictions import load_predictions

pytestmark = pytest.mark.usefixtures("unmeasured")


class Counting(Tiny):
    """Counts the rows it sees."""

    seen = 0

    def forward(self, inputs):
        type(self).seen += len(inputs)
        return super().forward(inputs)


@pytest.fixture
def counting():
    Counting.seen = 0
    spec = fake_lookup().get("architecture", "tiny")
    return fake_lookup().with_((spec, lambda options, profile: Counting(options.width, profile.channels)))


@pytest.fixture
def made(tmp_path):
    return make_data(tmp_path / "made", rows=90)


class AlwaysHalf(dict):
    """Calibrations that say of everything that bfloat16 is the fastest."""

    def __contains__(self, key):
        return True

    def __getitem__(self, key):
        return Numerics("bfloat16", "channels_last")


def _timed_probe(made, folder):
    return trial_job(made, folder, policy="probe", weights="quarter", fidelity=Fidelity(epochs=1, seconds=60.0))


def _probe(made, folder, lookup, **values):
    """Run a probe, and return how many rows its backbone saw."""
    before = Counting.seen
    values = {"policy": "probe", "weights": "quarter"} | values
    finished = run_job(trial_job(made, folder, **values), lookup)[-1]
    assert isinstance(finished, TrialFinished), finished
    return Counting.seen - before, finished


def stored(made):
    """The features kept beside the data, by the file they lie in."""
    return {path: path.read_bytes() for path in (made.data / "features").rglob("*.features")}


def test_features_are_computed_once_and_read_from_disk_the_second_time(made, tmp_path, counting):
    train, valid = len(made.splits.train), len(made.splits.valid)
    first, one = _probe(made, tmp_path / "1", counting)
    (cached,) = stored(made)
    again, two = _probe(made, tmp_path / "2", counting)
    assert first - again == train
    assert again == valid  # the look, which is the final judgement as well
    values = np.empty((train, 72), dtype=np.float32)
    assert FeatureStore(folder=cached.parent).read(made.splits.train, values).all()
    assert one.score == two.score
    one_by_one = [load_predictions(tmp_path / name / "predictions.npz").outputs for name in "12"]
    assert np.array_equal(*one_by_one)


@pytest.mark.parametrize("change", [{"resolution": 24}, {"architecture__tiny__width": 4}, {"weights": None}])
def test_another_input_form_backbone_or_source_has_features_of_its_own(made, tmp_path, counting, change):
    _probe(made, tmp_path / "1", counting)
    _probe(made, tmp_path / "2", counting, **change)
    assert len(list((made.data / "features").iterdir())) == 2


def test_what_a_later_head_is_trained_with_does_not_matter_to_the_features(made, tmp_path, counting):
    _probe(made, tmp_path / "1", counting)
    _probe(made, tmp_path / "2", counting, policy="head_then_all", optimizer__sgd__lr=0.01)
    assert len(list((made.data / "features").iterdir())) == 1


def test_features_of_half_precision_never_serve_a_run_that_must_repeat_exactly(made, tmp_path, counting):
    """A run with a time limit may have measured that bfloat16 is faster, and left its features behind."""
    hasty = Desk(counting, calibrations=AlwaysHalf())
    assert isinstance(run_job(_timed_probe(made, tmp_path / "timed"), desk=hasty)[-1], TrialFinished)
    rows, _ = _probe(made, tmp_path / "exact", counting)
    assert rows == len(made.splits.train) + len(made.splits.valid)


def test_exact_features_serve_a_run_that_would_be_content_with_less(made, tmp_path, counting):
    _probe(made, tmp_path / "exact", counting)
    before, kept = Counting.seen, stored(made)
    hasty = Desk(counting, calibrations=AlwaysHalf())
    assert isinstance(run_job(_timed_probe(made, tmp_path / "timed"), desk=hasty)[-1], TrialFinished)
    assert Counting.seen - before == len(made.splits.valid)
    assert stored(made) == kept


def test_a_cache_that_cannot_be_written_does_not_fail_the_trial(made, tmp_path, counting):
    (made.data / "features").write_text("a file where the folder should be")
    _, finished = _probe(made, tmp_path / "1", counting)
    assert isinstance(finished, TrialFinished)


def test_a_damaged_cache_is_computed_anew(made, tmp_path, counting):
    _probe(made, tmp_path / "1", counting)
    ((cached, whole),) = stored(made).items()
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        cached.write_bytes(whole[:length])
        rows, finished = _probe(made, tmp_path / f"cut-{length}", counting)
        assert isinstance(finished, TrialFinished)
        assert rows == len(made.splits.train) + len(made.splits.valid)
        assert stored(made) == {cached: whole}


def test_a_slow_backbone_is_asked_for_no_more_rows_than_the_time_allows(tmp_path):
    class Slow(Tiny):
        def forward(self, inputs):
            time.sleep(0.004 * len(inputs))
            return super().forward(inputs)

    made = make_data(tmp_path / "made", rows=600)
    spec = fake_lookup().get("architecture", "tiny")
    lookup = fake_lookup().with_((spec, lambda options, profile: Slow(4, profile.channels)))
    job = trial_job(made, tmp_path / "0", policy="probe", weights="quarter", fidelity=Fidelity(seconds=1.5))
    finished = run_job(job, lookup)[-1]
    assert isinstance(finished, TrialFinished), finished
    (note,) = [each for each in finished.notes if "cut short" not in each]  # a busy machine's head has to hurry
    assert note.startswith("The head was fitted on ")
    assert note.endswith(f" of {len(made.splits.train):,} training rows: all the time allowed.")


def values_of(rows):
    """Features that tell which row they belong to, (n, 3)."""
    return np.outer(rows, [1, 10, 100]).astype(np.float32)


def read(store, rows):
    values = np.full((len(rows), 3), -1, dtype=np.float32)
    return store.read(rows, values), values


def test_a_request_computes_what_nobody_else_has_and_adds_it(tmp_path):
    store, asked = FeatureStore(folder=tmp_path / "key"), []

    def forward(rows):
        asked.extend(rows.tolist())
        return values_of(rows)

    for rows in ([4, 2, 9], [9, 1, 4, 7], [7, 2, 1]):
        rows = np.array(rows)
        known, values = read(store, rows)
        compute(store, rows, values, np.flatnonzero(~known), forward)
        assert np.array_equal(values, values_of(rows))
    assert asked == [4, 2, 9, 1, 7]
    known, values = read(store, np.array([3, 9, 0, 1]))
    assert known.tolist() == [False, True, False, True]
    assert np.array_equal(values[known], values_of([9, 1]))


def test_what_was_done_before_a_stop_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "_CHUNK_ROWS", 2 * features.BATCH)
    store, rows = FeatureStore(folder=tmp_path / "key"), np.arange(6 * features.BATCH)

    def forward(batch):
        if 4 * features.BATCH in batch:
            raise RuntimeError("stopped")
        return values_of(batch)

    with pytest.raises(RuntimeError, match="stopped"):
        compute(store, rows, np.empty((len(rows), 3), dtype=np.float32), rows, forward)
    assert np.flatnonzero(store.known(rows)).tolist() == list(range(4 * features.BATCH))


def test_workers_that_read_and_write_at_once_see_whole_features_only(tmp_path):
    store, rng = FeatureStore(folder=tmp_path / "key"), np.random.default_rng(0)
    requests = [rng.permutation(300)[:80] for _ in range(24)]

    def work(rows):
        known, values = read(store, rows)
        compute(store, rows, values, np.flatnonzero(~known), values_of)
        return np.array_equal(values, values_of(rows))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, requests))
    everything = np.unique(np.concatenate(requests))
    known, values = read(store, everything)
    assert known.all()
    assert np.array_equal(values, values_of(everything))
    assert not list((tmp_path / "key").glob("*.partial"))


def test_what_cannot_be_read_just_now_is_not_thrown_away(tmp_path, monkeypatch):
    store, rows = FeatureStore(folder=tmp_path), np.arange(5)
    store.add(rows, values_of(rows))

    def too_many(*args, **given):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(features.np, "memmap", too_many)
    assert not store.known(rows).any()
    monkeypatch.undo()
    assert store.known(rows).all()


def test_reading_needs_no_parser_that_threads_could_meet_in(tmp_path, monkeypatch):
    store, rows = FeatureStore(folder=tmp_path), np.arange(5)
    store.add(rows, values_of(rows))

    def fail(*args):
        raise SystemError("AST constructor recursion depth mismatch (before=21, after=15)")

    monkeypatch.setattr(ast, "literal_eval", fail)
    assert np.array_equal(read(store, rows)[1], values_of(rows))


def test_a_file_that_vanishes_while_room_is_reckoned_is_no_reason_to_keep_nothing(tmp_path):
    store = FeatureStore(folder=tmp_path)
    (tmp_path / "gone.features").symlink_to(tmp_path / "removed by another worker")
    store.add(np.arange(3), values_of(np.arange(3)))
    assert store.known(np.arange(3)).all()


def test_features_that_depend_on_their_batch_are_kept_apart(tmp_path):
    exact = FeatureStore(folder=tmp_path / "key")
    loose, other = exact.apart("some"), exact.apart("others")
    half = FeatureStore(folder=tmp_path / "half", exact=exact.folder).apart("some")
    exact.add(np.arange(3), values_of(np.arange(3)))
    loose.add(np.arange(2, 6), values_of(np.arange(2, 6)))
    assert exact.known(np.arange(6)).tolist() == [True] * 3 + [False] * 3
    assert loose.known(np.arange(6)).all()
    for each in (half, other):
        assert each.known(np.arange(6)).tolist() == [True] * 3 + [False] * 3


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 999), min_size=1), st.integers(0, 500))
def test_a_row_meets_the_same_others_whoever_asks_for_it(rows, more):
    total = max(rows) + 1 + more
    found = features.in_blocks(np.array(sorted(rows)), total)
    assert rows <= set(found.tolist()) <= set(range(total))
    for begin in range(0, len(found), features.BATCH):
        batch = found[begin : begin + features.BATCH]
        block = batch[0] // features.BATCH * features.BATCH
        assert batch.tolist() == list(range(block, min(block + features.BATCH, total)))


def test_no_more_is_kept_than_there_is_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "_KEPT_BYTES", 10_000)
    store = FeatureStore(folder=tmp_path)
    for start in range(0, 1_000, 40):
        store.add(np.arange(start, start + 40), values_of(np.arange(start, start + 40)))
    assert store.known(np.arange(1_000)).sum() >= 200
    assert 5_000 < sum(path.stat().st_size for path in tmp_path.iterdir()) < 10_500


def test_what_a_killed_worker_left_half_written_is_cleared_after_a_day(tmp_path):
    store = FeatureStore(folder=tmp_path)
    old, young = tmp_path / "old.partial", tmp_path / "young.partial"
    for left in (old, young):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.add(np.arange(3), values_of(np.arange(3)))
    assert not old.exists()
    assert young.exists()


def test_what_is_known_costs_a_hurried_probe_no_time(tmp_path):
    class Slow(Counting):
        def forward(self, inputs):
            time.sleep(0.002 * len(inputs))
            return super().forward(inputs)

    made = make_data(tmp_path / "made", rows=600)
    spec = fake_lookup().get("architecture", "tiny")
    lookup = fake_lookup().with_((spec, lambda options, profile: Slow(options.width, profile.channels)))
    _probe(made, tmp_path / "patient", lookup)
    hurried, finished = _probe(made, tmp_path / "hurried", lookup, fidelity=Fidelity(seconds=1.5))
    assert not [each for each in finished.notes if "training rows" in each]
    assert hurried < len(made.splits.train)
