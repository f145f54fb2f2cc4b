from __future__ import annotations

import copy
import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from seedbed.core.errors import TrialError
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.training.resuming import STATE, load_state, save_state


def _job(folder, **changes):
    """What a state is told apart by: the rest of a job has no say in it."""
    candidate = Candidate({"architecture": "mlp", "optimizer.sgd.lr": 0.1})
    found = {"candidate": candidate, "seed": 3, "fidelity": Fidelity(epochs=2), "script": None}
    return SimpleNamespace(**{**found, "folder": str(folder), **changes})


def _step(model, optimizer, number):
    generator = torch.Generator().manual_seed(number)
    optimizer.zero_grad()
    model(torch.randn(8, 4, generator=generator)).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize(
    "make",
    [
        lambda params: torch.optim.SGD(params, 0.1, momentum=0.9),
        lambda params: torch.optim.AdamW(params, 0.01, amsgrad=True),
        lambda params: torch.optim.RMSprop(params, 0.01, centered=True),
        lambda params: torch.optim.Adagrad(params, 0.1),
    ],
    ids=["sgd", "adamw", "rmsprop", "adagrad"],
)
def test_an_optimizer_that_goes_on_from_disk_ends_bit_equal(make, tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    other = copy.deepcopy(model)
    optimizer = make(model.parameters())
    for number in range(3):
        _step(model, optimizer, number)
    save_state(_job(tmp_path), {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    for number in range(3, 7):
        _step(model, optimizer, number)

    found = load_state(_job(tmp_path))
    again = make(other.parameters())
    other.load_state_dict(found["model"])
    again.load_state_dict(found["optimizer"])
    for number in range(3, 7):
        _step(other, again, number)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_values_come_back_with_their_kinds_and_to_the_last_bit(tmp_path):
    shared = torch.arange(6.0)
    given = {0: [1, (2.0, None)], "pi": 0.1 + 0.2, "yes": True, "deep": {"x": {"tensor": "a word"}}, "none": ()}
    save_state(_job(tmp_path), {**given, "a": shared, "b": shared[::2], "rng": torch.get_rng_state()})
    found = load_state(_job(tmp_path))
    assert torch.equal(found.pop("a"), shared)
    assert torch.equal(found.pop("b"), shared[::2])
    assert torch.equal(found.pop("rng"), torch.get_rng_state())
    assert found == given
    assert type(found["none"]) is tuple


def test_a_folder_that_was_moved_elsewhere_is_gone_on_from(tmp_path):
    save_state(_job(tmp_path / "here"), {"steps": 5})
    (tmp_path / "here").rename(tmp_path / "there")
    assert load_state(_job(tmp_path / "there")) == {"steps": 5}


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"candidate": Candidate({"architecture": "mlp", "optimizer.sgd.lr": 0.2})},
        {"fidelity": Fidelity(epochs=3)},
        {"fidelity": Fidelity(epochs=2, subset=0.5)},
        {"script": ()},
    ],
    ids=["seed", "candidate", "epochs", "subset", "script"],
)
def test_the_state_of_another_trial_is_ignored(change, tmp_path, caplog):
    save_state(_job(tmp_path), {"steps": 5})
    with caplog.at_level(logging.WARNING):
        assert load_state(_job(tmp_path, **change)) is None
    assert "another trial" in caplog.text


def test_the_state_of_another_version_is_ignored(tmp_path, monkeypatch):
    save_state(_job(tmp_path), {"steps": 5})
    monkeypatch.setattr("seedbed.core.training.resuming.FORMAT", 2)
    assert load_state(_job(tmp_path)) is None


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_a_torn_state_is_ignored(kept, tmp_path, caplog):
    save_state(_job(tmp_path), {"weights": torch.randn(50, 50)})
    [path] = (tmp_path / STATE).iterdir()
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with caplog.at_level(logging.WARNING):
        assert load_state(_job(tmp_path)) is None
    assert "begins anew" in caplog.text


def test_where_nothing_was_put_down_there_is_nothing(tmp_path):
    assert load_state(_job(tmp_path)) is None


def test_what_cannot_be_kept_leaves_the_last_state_as_it_was(tmp_path):
    save_state(_job(tmp_path), {"steps": 5})
    with pytest.raises(TrialError, match="A set cannot be kept"):
        save_state(_job(tmp_path), {"steps": {6}})
    assert load_state(_job(tmp_path)) == {"steps": 5}
