from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from core.training.helpers import CLASSES, FakeClock, fake_lookup, make_data, run_job, trial_job
from torch import nn

from seedbed.core.data.profile import Profile
from seedbed.core.data.splitting.split import save_splits
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished, TrialStopped
from seedbed.core.task import Task
from seedbed.core.training import probing
from seedbed.core.training.desk import Desk

pytestmark = pytest.mark.usefixtures("unmeasured")

CUT = "The head's fit was cut short: its time was over."


class Sentences:
    """Made rows of token ids, a word of each class among others, between 2 and 40 long."""

    device = torch.device("cpu")

    def __init__(self, targets):
        rng = np.random.default_rng(0)
        self.rows = [
            np.append(rng.integers(len(CLASSES) + 1, 50, rng.integers(1, 40)), target + 1) for target in targets
        ]

    def __len__(self):
        return len(self.rows)

    def gather(self, rows, view, change=None):
        ids = nn.utils.rnn.pad_sequence([torch.from_numpy(self.rows[row]) for row in rows.tolist()], batch_first=True)
        return ids, ids > 0

    def ready(self, inputs, view):
        return inputs

    def lengths(self):
        return np.array([len(row) for row in self.rows])


class Neighbourly(nn.Module):
    """Which words a row has, and how far it is padded: as rounding errors do, that tells of its neighbours."""

    num_features = 51

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, ids, mask):
        seen = nn.functional.one_hot(ids, 50).amax(1).float()
        width = torch.full((len(ids), 1), 0.01 * ids.shape[1])
        return self.scale * torch.cat([seen, width], 1)


class Cells(nn.Module):
    """Bright pixels as sparse features; notes how many rows it saw."""

    def __init__(self):
        super().__init__()
        self.num_features = 144
        self.seen = []

    def forward(self, inputs):
        self.seen.append(len(inputs))
        return inputs.flatten(1).relu().to_sparse_csr()


def _with_backbone(build, **given):
    spec = replace(fake_lookup().get("architecture", "tiny"), **given)
    return fake_lookup().with_((spec, lambda options, profile: build()))


def _as_texts(made):
    task = Task(modality="text", kind="classification", metric="accuracy", classes=CLASSES)
    facts = made.profile
    profile = Profile(task=task, examples=facts.examples, train=facts.train, valid=facts.valid, test=facts.test)
    return replace(made, profile=profile)


def _probe_texts(made, folder, *, seconds=None):
    fidelity = Fidelity(epochs=1, seconds=seconds)
    job = trial_job(made, folder, policy="probe", weights="quarter", fidelity=fidelity)
    desk = Desk(_with_backbone(Neighbourly, modalities=("text",)))
    desk.sources[str(made.data), job.tokens, "cpu"] = Sentences(made.splits.targets)
    finished = run_job(job, desk=desk)[-1]
    assert isinstance(finished, TrialFinished), finished
    return (folder / "checkpoint.safetensors").read_bytes(), finished


def _with_other_rows(made, folder):
    """The same data, of which every third row is not trained on."""
    folder.mkdir()
    splits = replace(made.splits, train=made.splits.train[made.splits.train % 3 > 0])
    save_splits(splits, folder / "splits.parquet")
    return replace(made, splits=splits, split_file=folder / "splits.parquet")


@pytest.mark.parametrize("before", ["a timed run", "a run on other rows", "the same run"])
def test_an_exact_run_on_texts_is_the_same_whatever_an_earlier_one_left_behind(tmp_path, before):
    alone, used = (_as_texts(make_data(tmp_path / name, rows=420)) for name in ("alone", "used"))
    expected, _ = _probe_texts(alone, tmp_path / "0")
    if before == "a timed run":
        _probe_texts(used, tmp_path / "1", seconds=60.0)
    else:
        other = used if before == "the same run" else _with_other_rows(used, tmp_path / "other")
        _probe_texts(other, tmp_path / "1")
    found, _ = _probe_texts(used, tmp_path / "2")
    assert found == expected


def test_a_timed_run_on_texts_takes_what_an_exact_one_left(tmp_path, monkeypatch):
    made, seen = _as_texts(make_data(tmp_path / "made", rows=420)), []
    _probe_texts(made, tmp_path / "0")
    gather = Sentences.gather

    def noting(self, rows, *rest):
        seen.extend(rows.tolist())
        return gather(self, rows, *rest)

    monkeypatch.setattr(Sentences, "gather", noting)
    _probe_texts(made, tmp_path / "1", seconds=60.0)
    assert len(seen) < len(made.splits.train)


@pytest.mark.parametrize("head", ["logistic", "ridge"])
def test_a_head_that_would_run_past_the_trials_time_is_cut_short_and_says_so(tmp_path, head):
    made = make_data(tmp_path / "made", rows=90)
    options = {"policy": "probe", "weights": "quarter", "head": head, "fidelity": Fidelity(seconds=60.0)}
    job = replace(trial_job(made, tmp_path / "0", **options), grace=10_000.0)
    finished = run_job(job, clock=FakeClock(step=4.0))[-1]
    assert isinstance(finished, TrialFinished), finished
    assert CUT in finished.notes
    calm = run_job(trial_job(made, tmp_path / "1", **options))[-1]
    assert CUT not in calm.notes


def test_a_stop_ends_a_fit_of_the_head(tmp_path, monkeypatch):
    """Asked while the head is fitted, that is after the features were made."""
    made, begun = make_data(tmp_path / "made", rows=90), []
    fit = probing.fit_head
    monkeypatch.setattr(probing, "fit_head", lambda *args, **given: (begun.append(True), fit(*args, **given))[1])
    job = trial_job(made, tmp_path / "0", policy="probe", weights="quarter")
    assert isinstance(run_job(job, should_stop=lambda: bool(begun))[-1], TrialStopped)


def test_of_sparse_features_no_more_are_made_than_a_head_can_be_fitted_on(tmp_path, monkeypatch):
    made, built = make_data(tmp_path / "made", rows=600), []

    def build():
        built.append(Cells())
        return built[-1]

    lookup = _with_backbone(build, features_only=True, weights=())
    job = trial_job(made, tmp_path / "0", policy="probe")
    whole = run_job(job, lookup)[-1]
    assert not [note for note in whole.notes if "memory" in note]
    seen = sum(built[0].seen)
    monkeypatch.setattr(probing, "MOST_VALUES", 5_000)
    few = run_job(replace(job, folder=str(tmp_path / "1")), lookup)[-1]
    (note,) = [note for note in few.notes if note.startswith("The head was fitted on")]
    used = int(note.split()[5])
    assert note.endswith(f" of {len(made.splits.train)} training rows: as many as fit into memory.")
    assert 20 < used < len(made.splits.train) / 2
    assert sum(built[1].seen) < seen - len(made.splits.train) / 2


@pytest.mark.parametrize(("limit", "sparse"), [("MOST_LOGITS", False), ("MOST_OUTPUTS", True)])
def test_of_many_outputs_fewer_rows_are_used(tmp_path, monkeypatch, limit, sparse):
    made = make_data(tmp_path / "made", rows=90)
    lookup = _with_backbone(Cells, features_only=True, weights=()) if sparse else fake_lookup()
    monkeypatch.setattr(probing, limit, 30 * len(CLASSES))
    weights = None if sparse else "quarter"
    finished = run_job(trial_job(made, tmp_path / "0", policy="probe", weights=weights), lookup)[-1]
    assert finished.notes[0] == "The head was fitted on 30 of 60 training rows: as many as fit into memory."


def test_however_short_the_time_a_head_that_is_fitted_at_once_is_fitted(tmp_path):
    """A small share of next to nothing was too little for a single step: a head of zeros was judged."""
    made = make_data(tmp_path / "made", rows=90)
    options = {"policy": "probe", "weights": "quarter", "head": "logistic", "fidelity": Fidelity(seconds=0.002)}
    clock = FakeClock(step=0.0001)
    finished = run_job(replace(trial_job(made, tmp_path / "0", **options), grace=100.0), clock=clock)[-1]
    assert isinstance(finished, TrialFinished), finished
    assert clock.now > 0.002
    assert finished.notes == ()
    assert finished.score > 0.5
