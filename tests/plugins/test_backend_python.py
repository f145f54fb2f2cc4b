"""Workers in another interpreter than ours, as XLA needs it."""

from __future__ import annotations

import os
import sys

import pytest
from fake_runners import trial_job
from test_backend_local import end_of, local  # noqa: F401 - a fixture

import seedbed
from seedbed.core.search.events import TrialFinished, TrialPlanned
from seedbed.core.search.journal import read


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for an interpreter is a shell script")
def test_workers_run_in_the_interpreter_that_the_option_names(local, tmp_path):  # noqa: F811
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nOMP_NUM_THREADS="another interpreter" exec "{sys.executable}" "$@"\n')
    other.chmod(0o755)
    with local(python=str(other)) as backend:
        event = end_of(backend, trial_job(0, "show_environment"))
    assert isinstance(event, TrialFinished)
    assert event.notes[1] == "another interpreter"


@pytest.mark.xla
@pytest.mark.skipif("SEEDBED_XLA_PYTHON" not in os.environ, reason="SEEDBED_XLA_PYTHON names no interpreter")
def test_a_trial_trains_on_xla_in_an_environment_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("PJRT_DEVICE", os.environ.get("PJRT_DEVICE", "CPU"))
    seedbed.fit(
        "demo:digits",
        out=tmp_path / "run",
        trials=1,
        device="xla",
        strategy="random",
        fixed={
            "architecture": "mlp",
            "policy": "scratch",
            "backend.local.python": os.environ["SEEDBED_XLA_PYTHON"],
        },
    )
    events = list(read(tmp_path / "run" / "journal.jsonl"))
    (planned,) = [each for each in events if isinstance(each, TrialPlanned) and each.device.startswith("xla")]
    assert any(isinstance(each, TrialFinished) and each.trial == planned.trial and each.score > 0.5 for each in events)
