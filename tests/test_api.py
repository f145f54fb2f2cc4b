from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from quick_runs import cancelled_when, options, photos, quick_fit, quick_start, surroundings

import seedbed
from seedbed import api
from seedbed.core.errors import DataError, ExitCode, Interrupted, PluginError, UnknownName, UsageError
from seedbed.core.search.events import RunFinished, RunStarted, StageEntered, TrialFinished
from seedbed.core.search.journal import read


@pytest.fixture(scope="module", autouse=True)
def _surroundings(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run; not to be changed."""
    return quick_fit(tmp_path_factory.mktemp("runs") / "digits", trials=2)


def test_the_summary_has_the_documented_keys(run):
    found = run.summary()
    assert found.keys() == {"run", "task", "seconds", "budget_seconds", "best", "test", "leaderboard", "findings"} | {
        "billed_seconds",
        "first_bundle_seconds",
        "forecast",
        "test_without_leaked",
    }
    assert found["best"].keys() == {"trial", "score", "trials", "weights"}
    assert found["task"].keys() == {"modality", "kind", "metric", "direction", "classes"}
    assert found["test"].keys() >= {"accuracy", "log_loss"}
    for row in found["leaderboard"]:
        assert row.keys() == {
            "rank", "trial", "status", "score", "low", "high", "tie_group", "seconds", "candidate",
            "role", "reason", "best_probability", "corrected",
            "latency_p50", "latency_p95", "memory_bytes", "size_bytes", "on_front", "billed_seconds",
        }  # fmt: skip
    for finding in found["findings"]:
        assert finding.keys() == {"check", "severity", "evidence", "remedy", "rows", "count", "repair"}


def test_the_summary_is_json_and_says_what_came_of_the_run(run):
    found = json.loads(json.dumps(run.summary(), allow_nan=False))
    assert found["run"] == str(run.folder)
    assert found["budget_seconds"] is None
    assert 0 < found["first_bundle_seconds"] <= found["seconds"]
    assert found["task"]["classes"] == list("0123456789")
    assert found["best"]["trial"] == run.leaderboard.best.trial
    assert found["test"]["accuracy"] > 0.8


def test_the_exit_code_says_that_nothing_beats_the_baseline(run):
    assert run.exit_code == ExitCode.NOTHING_BEATS_THE_BASELINE  # a coarse grid knows less than the pixels


def test_the_best_model_predicts(run):
    pixels = np.zeros((3, 8, 8), np.uint8)
    assert set(run.best.predict(pixels)) <= set("0123456789")
    assert run.best.predict_proba(pixels).shape == (3, 10)
    assert run.best is run.best


def test_a_run_opened_again_is_the_same(run):
    found = api.open_run(run.folder, plugins=options()["plugins"])
    assert found.leaderboard == run.leaderboard
    assert found.summary() == run.summary()
    assert found.exit_code == run.exit_code


def test_a_model_loaded_from_its_run_or_its_bundle_predicts_the_same(run):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    expected = run.best.predict_proba(pixels)
    for folder in (run.folder, run.folder / "best"):
        model = seedbed.load(folder, plugins=options()["plugins"])
        assert np.array_equal(model.predict_proba(pixels), expected)


@pytest.mark.parametrize("call", [api.open_run, api.load])
def test_a_folder_without_a_run_is_a_data_error(tmp_path, call):
    with pytest.raises(DataError, match="give the folder"):
        call(tmp_path)


def test_events_stream_from_the_first_to_the_last(tmp_path):
    handle = quick_start(tmp_path / "run")
    events = list(handle.events())
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert events == read(tmp_path / "run" / "journal.jsonl")
    assert list(handle.events()) == events  # a late listener hears all of it too
    assert handle.result(5).folder == tmp_path / "run"


def test_events_are_seen_while_the_run_goes_on(tmp_path):
    seen = threading.Event()

    class Waiting:
        """Holds the run up until its first event was seen outside."""

        def on_event(self, event, history):
            if isinstance(event, StageEntered) and event.stage == "preparing":
                assert seen.wait(30)

        def close(self):
            pass

    handle = quick_start(tmp_path / "run", monitors=[Waiting()])
    assert isinstance(next(handle.events()), RunStarted)
    seen.set()
    handle.result(60)


def test_a_run_that_fails_raises_where_its_result_is_asked_for_and_ends_its_events(tmp_path):
    handle = quick_start(tmp_path / "run", str(tmp_path / "nothing"))
    assert [type(event) for event in handle.events()] == [RunStarted, StageEntered]
    for _ in range(2):
        with pytest.raises(DataError, match="There is no"):
            handle.result(60)


def test_waiting_for_a_result_may_have_a_limit(tmp_path):
    handle = quick_start(tmp_path / "run")
    with pytest.raises(TimeoutError, match="has not ended within 0"):
        handle.result(0.0)
    handle.result(60)


def test_a_cancelled_run_returns_its_best(tmp_path):
    handle = cancelled_when(lambda event: isinstance(event, TrialFinished) and event.trial == 1, tmp_path / "run")
    run = handle.result(60)
    assert run.exit_code == ExitCode.INTERRUPTED
    assert run.summary()["best"] is not None
    assert run.best.predict(np.zeros((1, 8, 8), np.uint8))


def test_a_run_cancelled_too_early_has_nothing_to_return(tmp_path):
    handle = cancelled_when(lambda event: getattr(event, "stage", "") == "preparing", tmp_path / "run")
    with pytest.raises(Interrupted, match="nothing to keep"):
        handle.result(60)


def test_cancelling_a_run_that_has_ended_changes_nothing(tmp_path):
    handle = quick_start(tmp_path / "run")
    handle.result(60)
    handle.cancel()
    assert handle.result(5).exit_code != ExitCode.INTERRUPTED


def test_options_are_checked_before_anything_begins(tmp_path):
    for wrong, says in (
        ({"time": "soon"}, "is no duration"),
        ({"trials": 0}, "leaves nothing to do"),
        ({"use": ["sgd"]}, "KIND:NAME"),
        ({"monitors": ["consol"]}, "Did you mean 'console'"),
    ):
        with pytest.raises(UsageError, match=says):
            quick_start(tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


def test_a_broken_plugin_that_was_asked_for_is_refused_at_once(tmp_path):
    (tmp_path / "rogue.py").write_text("raise ValueError('no luck')")
    with pytest.raises(PluginError, match="no luck"):
        quick_start(tmp_path / "run", plugins=[str(tmp_path / "rogue.py")])


def test_a_plugin_that_is_an_object_needs_a_backend_in_this_process(tmp_path, offering):
    with pytest.raises(UsageError, match="use backend='inline'"):
        api.start("demo:digits", out=tmp_path / "run", plugins=[offering()], trials=1)


def test_two_registries_do_not_know_of_each_other(tmp_path):
    with pytest.raises(UnknownName):
        api.open_registry().get("architecture", "blur")
    assert api.open_registry(options()["plugins"]).get("architecture", "blur")


def test_arrays_in_memory_are_data_too(tmp_path):
    rng = np.random.default_rng(0)
    pixels = np.concatenate([rng.integers(low, low + 128, (20, 10, 10), dtype=np.uint8) for low in (0, 128)])
    run = api.fit_arrays(pixels, ["dark"] * 20 + ["light"] * 20, out=tmp_path / "run", **options())
    assert run.best.predict(pixels[[0, -1]]) == ["dark", "light"]
    assert run.best.predict([pixels[0], pixels[-1]]) == ["dark", "light"]


def test_a_run_in_a_default_folder_is_named_after_its_data(tmp_path, monkeypatch):
    photos(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    assert quick_fit(None, "photos").folder.as_posix() == "runs/photos-1"


def test_nothing_is_written_outside_the_run_and_the_cache(tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    before = set(tmp_path.rglob("*"))
    quick_fit(tmp_path / "run")
    outside = set(tmp_path.rglob("*")) - before - {tmp_path / "run"} - set((tmp_path / "run").rglob("*"))
    assert outside == set()


def test_the_library_prints_nothing_and_touches_no_root_logger(tmp_path, capfd):
    import logging
    import random

    state, handlers, numbers = random.getstate(), list(logging.getLogger().handlers), np.random.get_state()[1].tolist()
    quick_fit(tmp_path / "run")
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == handlers
    assert random.getstate() == state
    assert np.random.get_state()[1].tolist() == numbers


def test_a_run_works_from_another_thread(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(quick_fit(tmp_path / "run")))
    thread.start()
    thread.join(60)
    assert found[0].history.bundle is not None


def test_the_cache_folder_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDBED_HOME", str(tmp_path / "cache"))
    assert api.home() == tmp_path / "cache"
    monkeypatch.delenv("SEEDBED_HOME")
    assert api.home().name == "seedbed"
