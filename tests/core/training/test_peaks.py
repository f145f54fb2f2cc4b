from __future__ import annotations

from dataclasses import replace

import pytest
from core.training.helpers import looks, make_data, run_job, trial_job

from seedbed.core.search.events import EpochFinished, TrialFinished, from_line, to_line
from seedbed.core.training.devices import KINDS, Device

LOG = []


class Counting(Device):
    """The processor as a device that counts its memory: 100 bytes more with each time it is asked."""

    counts_memory = True
    peak = 0

    def cap(self, most_bytes):
        LOG.append(("cap", most_bytes))

    def reset_peak(self):
        type(self).peak = 0

    def peak_bytes(self):
        type(self).peak += 100
        return self.peak

    def give_back(self):
        LOG.append("given back")

    def memory(self):
        return 10**12, 10**12


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


def test_a_trial_is_held_below_its_cap_tells_its_peak_and_leaves_the_device_empty(made, tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, "cpu", Counting)
    LOG.clear()
    events = run_job(_capped(trial_job(made, tmp_path / "0000")))
    assert isinstance(events[-1], TrialFinished), events[-1]
    peaks = [each.peak_bytes for each in looks(events)]
    assert peaks == [100 * (place + 1) for place in range(len(peaks))]
    assert events[-1].peak_bytes == 100 * (len(peaks) + 1)
    assert LOG[0] == ("cap", 5000)
    assert LOG[-1] == "given back"


def _capped(job):

    return replace(job, memory_bytes=5000)


def test_a_trial_that_fails_leaves_the_device_empty_as_well(made, tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, "cpu", Counting)
    LOG.clear()
    run_job(trial_job(made, tmp_path / "0000", architecture="unheard-of"))
    assert LOG[-1] == "given back"


def test_on_a_processor_events_tell_no_peak(made, tmp_path):
    events = run_job(trial_job(made, tmp_path / "0000"))
    assert {each.peak_bytes for each in (*looks(events), events[-1])} == {0}


def test_journals_from_before_peaks_were_told_are_read():
    event = EpochFinished(
        trial=0, epoch=1, progress=1, train_loss=None, valid_loss=None, score=0.5, seconds=1, is_best=True
    )
    line = to_line(event)
    assert b'"peak_bytes":0' in line
    assert from_line(line.replace(b',"peak_bytes":0', b"")) == event
