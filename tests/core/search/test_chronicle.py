from __future__ import annotations

import logging
import time

import pytest

from seedbed.core.errors import UsageError
from seedbed.core.search.chronicle import Chronicle
from seedbed.core.search.events import RunStarted, StageEntered
from seedbed.core.search.history import History
from seedbed.core.search.journal import Journal, read


class Clock:
    at = 1000.0

    def __call__(self):
        return self.at


class Watcher:
    def __init__(self):
        self.seen, self.closed = [], 0

    def on_event(self, event, history):
        self.seen.append((event, history.seconds))

    def close(self):
        self.closed += 1


class Nuisance:
    def on_event(self, event, history):
        raise RuntimeError("I cannot watch this")

    def close(self):
        raise RuntimeError("I cannot let go")


STAGE = StageEntered(stage="reading")


@pytest.fixture
def opened(tmp_path):
    def make(*monitors, began=None, history=None, clock=None):
        return Chronicle(
            Journal(tmp_path / "journal.jsonl"),
            monitors,
            began=time.time() if began is None else began,
            history=history,
            clock=clock or Clock(),
        )

    return make


def test_an_event_is_stamped_journaled_folded_and_shown(opened, tmp_path):
    clock, watcher = Clock(), Watcher()
    chronicle = opened(watcher, clock=clock)
    clock.at += 2.5
    chronicle.record(RunStarted(version="1", source="x", seed=0))
    (written,) = read(tmp_path / "journal.jsonl")
    assert written.at == pytest.approx(2.5, abs=0.1)
    assert chronicle.history.started == written
    assert watcher.seen == [(written, written.at)]


def test_time_that_passed_before_the_first_event_counts(opened):
    assert opened(began=time.time() - 30).now() == pytest.approx(30, abs=0.1)


def test_a_beginning_in_the_future_counts_as_now(opened):
    assert opened(began=time.time() + 3600).now() == pytest.approx(0, abs=0.1)


def test_a_clock_that_is_set_while_the_run_goes_on_changes_nothing(opened, monkeypatch):
    clock = Clock()
    chronicle = opened(clock=clock)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    clock.at += 5
    assert chronicle.now() == pytest.approx(5, abs=0.1)


def test_a_resumed_run_goes_on_from_its_age(opened):
    clock = Clock()
    chronicle = opened(history=History([StageEntered(stage="searching", at=40.0)]), clock=clock, began=time.time() - 3)
    assert chronicle.now() == pytest.approx(43, abs=0.1)
    clock.at += 2
    chronicle.record(STAGE)
    assert chronicle.history.seconds == pytest.approx(45, abs=0.1)


def test_a_monitor_that_raises_ends_neither_the_run_nor_the_other_monitors(opened, tmp_path, caplog):
    watcher = Watcher()
    chronicle = opened(Nuisance(), watcher)
    with caplog.at_level(logging.WARNING):
        chronicle.record(STAGE)
        chronicle.close()
    assert len(watcher.seen) == watcher.closed == 1
    assert len(read(tmp_path / "journal.jsonl")) == 1
    assert [record.exc_info[1].args[0] for record in caplog.records] == ["I cannot watch this", "I cannot let go"]


def test_closing_gives_the_journal_to_others(opened, tmp_path):
    chronicle = opened()
    with pytest.raises(UsageError, match="is writing"):
        Journal(tmp_path / "journal.jsonl")
    chronicle.close()
    Journal(tmp_path / "journal.jsonl").close()
