import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.data.profile import Finding
from seedbed.core.errors import DataError, UsageError
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import (
    BundleEvaluated,
    BundleSaved,
    EpochFinished,
    FindingMade,
    RunStarted,
    StageEntered,
    TrialFailed,
    TrialFinished,
    TrialStarted,
    TrialStopped,
    to_line,
)
from seedbed.core.search.journal import Journal, read

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
REAL = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-(2**31), 2**31)
VALUES = st.dictionaries(TEXT, TEXT | REAL | WHOLE | st.booleans(), max_size=4)
EVENTS = st.lists(
    st.one_of(
        st.builds(RunStarted, at=REAL, version=TEXT, source=TEXT, seed=WHOLE, budget_seconds=REAL | st.none()),
        st.builds(StageEntered, at=REAL, stage=TEXT, detail=TEXT),
        st.builds(
            FindingMade,
            at=REAL,
            finding=st.builds(
                Finding, check=TEXT, severity=st.just("error"), evidence=TEXT, rows=st.tuples(TEXT, TEXT)
            ),
            trial=WHOLE | st.none(),
        ),
        st.builds(
            TrialStarted,
            at=REAL,
            trial=WHOLE,
            candidate=st.builds(Candidate, VALUES, st.dictionaries(TEXT, WHOLE, max_size=3)),
            fidelity=st.builds(Fidelity, epochs=REAL, seconds=REAL | st.none()),
        ),
        st.builds(
            EpochFinished,
            at=REAL,
            trial=WHOLE,
            epoch=REAL,
            progress=REAL,
            train_loss=REAL | st.none(),
            valid_loss=REAL | st.none(),
            score=REAL,
            seconds=REAL,
            is_best=st.booleans(),
        ),
        st.builds(
            TrialFinished,
            at=REAL,
            trial=WHOLE,
            score=REAL,
            seconds=REAL,
            epochs=REAL,
            steps=WHOLE,
            decisions=st.lists(st.tuples(TEXT, WHOLE | REAL | TEXT | st.booleans()), max_size=3).map(tuple),
            notes=st.lists(TEXT, max_size=2).map(tuple),
        ),
        st.builds(TrialStopped, at=REAL, trial=WHOLE, reason=TEXT, seconds=REAL),
        st.builds(TrialFailed, at=REAL, trial=WHOLE, error=TEXT, traceback=TEXT),
        st.builds(BundleSaved, at=REAL, trials=st.tuples(WHOLE), weights=st.tuples(REAL), score=REAL),
        st.builds(BundleEvaluated, part=TEXT, metrics=st.dictionaries(TEXT, REAL, max_size=2), examples=WHOLE),
    ),
    max_size=6,
)

ONE, TWO = StageEntered(stage="reading", at=1.0), StageEntered(stage="searching", at=2.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("journals")


def write(path, events):
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        for event in events:
            journal.append(event)


@settings(max_examples=60, deadline=None)
@given(EVENTS)
def test_any_events_survive_a_round_trip(folder, events):
    path = folder / "round.jsonl"
    write(path, events)
    assert read(path) == events


@settings(max_examples=60, deadline=None)
@given(EVENTS.filter(len), st.data())
def test_a_cut_anywhere_in_the_last_line_loses_that_line_alone(folder, events, data):
    path = folder / "cut.jsonl"
    write(path, events)
    content = path.read_bytes()
    last = len(to_line(events[-1])) + 1
    path.write_bytes(content[: len(content) - data.draw(st.integers(1, last))])
    assert read(path) == events[:-1]
    with Journal(path) as journal:
        journal.append(ONE)
    assert read(path) == [*events[:-1], ONE]


@pytest.mark.parametrize("torn", [b"\0" * 4096, b'{"event": "StageEn\n', b"\0\0\0\n", b"{", b"\xff\xfe\n"])
def test_a_torn_end_is_left_out_and_cut_off(tmp_path, torn):
    path = tmp_path / "journal.jsonl"
    write(path, [ONE, TWO])
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert read(path) == [ONE, TWO]
    Journal(path).close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("torn", [b"", b'{"event'])
def test_a_broken_line_in_the_middle_is_refused_with_its_number(tmp_path, torn):
    path = tmp_path / "journal.jsonl"
    content = to_line(ONE) + b"\n" + b'{"event": "Sta\n' + to_line(TWO) + b"\n" + torn
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"Line 2 of .*journal\.jsonl"):
        read(path)
    with pytest.raises(DataError, match="Line 2"):
        Journal(path)
    assert path.read_bytes() == content
    assert not path.with_name("journal.lock").exists()


@pytest.mark.parametrize("strange", [b'{"event": "MoonRisen"}\n', b"[1]\n"])
def test_an_unknown_event_is_refused_even_at_the_end(tmp_path, strange):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(to_line(ONE) + b"\n" + strange)
    with pytest.raises(DataError, match=r"Line 2 of .* Use the version of Seedbed that wrote it"):
        read(path)


def test_a_missing_journal_is_bad_data(tmp_path):
    with pytest.raises(DataError, match="Give the folder of a run"):
        read(tmp_path / "journal.jsonl")


def test_an_event_that_could_not_be_read_back_is_not_written(tmp_path):
    with Journal(tmp_path / "journal.jsonl") as journal:
        with pytest.raises(DataError, match="BundleSaved"):
            journal.append(BundleSaved(trials=(0,), weights=(1.0,), score=float("nan")))
        journal.append(ONE)
    assert read(journal.path) == [ONE]


def test_reopening_appends(tmp_path):
    path = tmp_path / "run" / "journal.jsonl"
    for event in (ONE, TWO):
        with Journal(path) as journal:
            journal.append(event)
    assert read(path) == [ONE, TWO]
    journal.close()  # a second time, harmlessly


def test_a_journal_has_one_writer_at_a_time(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path):
        with pytest.raises(UsageError, match=f"Process {os.getpid()} is writing to .* another folder"):
            Journal(path)
        assert path.with_name("journal.lock").exists()
    Journal(path).close()


WRITER = """
import sys, time
from pathlib import Path
from seedbed.core.search.events import StageEntered
from seedbed.core.search.journal import Journal

journal = Journal(Path(sys.argv[1]))
for number in range(3):
    journal.append(StageEntered(stage=str(number)))
print("written", flush=True)
time.sleep(600)
"""


def test_a_killed_writer_loses_nothing_and_its_lock_is_taken_over(tmp_path):
    path = tmp_path / "journal.jsonl"
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as writer:
        assert writer.stdout.readline() == b"written\n"
        with pytest.raises(UsageError, match=f"Process {writer.pid} is writing"):
            Journal(path)
        writer.kill()
        deadline = time.monotonic() + 5
        while os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            assert time.monotonic() < deadline
        with Journal(path) as journal:  # the dead writer is still a zombie: nobody has asked for its exit code
            journal.append(TWO)
    assert [event.stage for event in read(path)] == ["0", "1", "2", "searching"]


def test_a_lock_whose_number_went_to_a_younger_process_is_taken_over(tmp_path):
    path, lock = tmp_path / "journal.jsonl", tmp_path / "journal.lock"
    lock.write_text(str(os.getpid()))
    os.utime(lock, (1_000_000_000, 1_000_000_000))
    Journal(path).close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["journal.jsonl"]


def test_an_empty_lock_of_a_writer_that_died_at_once_is_taken_over(tmp_path):
    (tmp_path / "journal.lock").touch()
    Journal(tmp_path / "journal.jsonl").close()
    assert not (tmp_path / "journal.lock").exists()
