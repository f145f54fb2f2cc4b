from __future__ import annotations

import pytest
from test_fidelity import SCRATCH, profile

from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import TrialFinished, TrialRefused, TrialStarted
from seedbed.core.search.history import History
from seedbed.plugins.strategies.fidelity import affordable
from seedbed.plugins.strategies.refused import is_known_too_large

LARGE = {**SCRATCH, "architecture.net.width": 512, "batch_size": 32, "optimizer": "sgd"}


def history(*refused, fidelity=Fidelity(epochs=1), ingredients=()):  # noqa: B008 - frozen
    """A run in which one trial finished, and these were refused."""
    found = History([TrialStarted(trial=0, candidate=Candidate(SCRATCH), fidelity=Fidelity(epochs=1))])
    found.apply(TrialFinished(trial=0, score=0.5, seconds=1.0, epochs=1.0, steps=1))
    for number, values in enumerate(refused, start=1):
        started = TrialStarted(trial=number, candidate=Candidate(values), fidelity=fidelity, ingredients=ingredients)
        found.apply(started)
        found.apply(TrialRefused(trial=number, reason="Too large: it is."))
    return found


@pytest.mark.parametrize(
    ("changes", "is_refused"),
    [
        ({}, True),
        ({"optimizer": "adamw"}, True),
        ({"batch_size": 64}, True),
        ({"resolution": 48}, True),
        ({"batch_size": 16}, False),
        ({"resolution": 24}, False),
        ({"batch_size": 64, "resolution": 24}, False),
        ({"architecture.net.width": 1024}, False),
        ({"policy": "probe"}, False),
        ({"architecture": "other"}, False),
    ],
    ids=str,
)
def test_what_was_too_large_is_not_tried_again_nor_anything_larger(changes, is_refused):
    values, found = {**LARGE, **changes}, history(LARGE)
    assert is_known_too_large(values, found) == is_refused
    assert (affordable(values, profile(), found) is None) == is_refused


def test_at_a_smaller_resolution_it_may_fit():
    assert not is_known_too_large(LARGE, history(LARGE), resolution=0.5)
    assert is_known_too_large(LARGE, history(LARGE, fidelity=Fidelity(epochs=1, resolution=0.5)), resolution=0.5)


def test_without_a_resolution_the_rows_of_a_batch_count():
    text = {"architecture": "encoder", "policy": "full", "batch_size": 16}
    assert is_known_too_large(text, history(text))
    assert not is_known_too_large({**text, "batch_size": 8}, history(text))


def test_a_mean_of_weights_that_gained_nothing_says_nothing_of_memory():
    assert not is_known_too_large(LARGE, history(LARGE, ingredients=(0, 1)))
