"""A whole study as one training job: followed, taken over, brought home, whatever becomes of its machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from botocore.exceptions import EndpointConnectionError
from plugins.training_jobs.conftest import OPTIONS, TESTS
from quick_runs import PLUGINS, quick_fit, quick_start, surroundings

from seedbed import api
from seedbed.core.errors import ExitCode, PluginError, UsageError
from seedbed.core.search.events import BundleSaved, RunStarted, StudyPlaced, StudyReturned
from seedbed.core.search.journal import Journal, read
from seedbed.plugins.backends.sagemaker import jobs, whole
from seedbed.plugins.backends.sagemaker.endings import Again

SECONDS = 90.0
GATED = Path(__file__).with_name("gated.py")


def gate(folder):
    return {"architecture.gated.gate": str(folder / "gate")}


def options(folder, nets, fixed):
    """Options of a study whose second trial waits for `folder / "gate"`."""
    return {
        "out": folder / "run",
        "trials": 3,
        "threads": 1,
        "plugins": [str(PLUGINS / "quick.py"), str(GATED)],
        "use": [f"architecture:{each}" for each in nets],
        "fixed": fixed | (gate(folder) if "gated" in nets else {}),
    }


@pytest.fixture
def study(service, tmp_path, monkeypatch):
    """Options of a study that is one training job."""
    for name, value in service.env.items():
        monkeypatch.setenv(name, value)
    chosen = {name: value for name, value in OPTIONS.items() if name != "runner"}
    chosen |= {"remote": True, "start_seconds": 1.0, "return_seconds": 5.0}

    def made(*nets, **more):
        fixed = {f"backend.sagemaker.{name}": value for name, value in (chosen | more).items()}
        return options(tmp_path, nets or ("blur", "gated"), fixed) | {"backend": "sagemaker"}

    with surroundings(tmp_path / "home"):
        yield made


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What comes of the study when it is done here, and nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "gate").touch()
    with surroundings(folder / "home"):
        return what_was_learnt(quick_fit(**options(folder, ("blur", "gated"), {})))


def wait_for(is_so, what):
    limit = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < limit, what
        time.sleep(0.05)


def told(folder, kind):
    return [each for each in read(folder / "journal.jsonl") if isinstance(each, kind)]


def job_of(folder):
    return json.loads((folder / "sagemaker" / "study.json").read_text())["id"]


def what_was_learnt(run):
    """Return the score of each candidate that came to its end; equals are ranked by numbers, which may differ."""
    assert run.summary()["test"]["accuracy"] > 0.9
    return sorted((row.candidate, row.score) for row in run.leaderboard.rows if row.status == "finished")


def test_a_study_goes_on_where_a_reclaimed_machine_left_it(service, study, undisturbed, tmp_path):
    handle = quick_start(**study(spot=True))
    wait_for((tmp_path / "gate.reached").exists, "the second trial")
    name = f"seedbed-{job_of(tmp_path / 'run')}-study-1"
    (tmp_path / "gate.reached").unlink()
    service.reclaim_spot(name)
    wait_for((tmp_path / "gate.reached").exists, f"the second trial on the second machine: {service.log(name)}")
    (tmp_path / "gate").touch()
    run = handle.result(SECONDS)
    assert what_was_learnt(run) == undisturbed
    assert "Attempt 2 of" in service.log(name)
    (returned,) = told(run.folder, StudyReturned)
    assert returned.place == name
    assert run.summary()["billed_seconds"] == returned.seconds > 0
    assert [each.resumed for each in told(run.folder, RunStarted)] == [False, True, True]


def test_a_job_that_gets_no_machine_goes_on_as_another(service, study, undisturbed, tmp_path):
    (tmp_path / "gate").touch()
    service.fail_next("CreateTrainingJob", "CapacityError")
    run = quick_fit(**study())
    assert what_was_learnt(run) == undisturbed
    returned = told(run.folder, StudyReturned)
    assert [each.attempt for each in returned] == [1, 2]
    assert returned[0].place != returned[1].place
    created = service.calls.count("CreateTrainingJob")
    assert what_was_learnt(quick_fit(**study(), resume=True)) == undisturbed
    assert service.calls.count("CreateTrainingJob") == created, "there was nothing left to do"


def test_a_run_that_was_killed_joins_its_job_and_no_other_is_paid_for(service, study, undisturbed, tmp_path):
    script = "import json, sys\nfrom quick_runs import quick_fit\nquick_fit(**json.load(sys.stdin))"
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    service.fail_next("CreateTrainingJob", "CapacityError")  # so that it is the second job that is joined
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | service.env | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
    )
    process.stdin.write(json.dumps(study() | {"out": str(tmp_path / "run")}).encode())
    process.stdin.close()
    wait_for((tmp_path / "gate.reached").exists, "the second trial")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    created = service.calls.count("CreateTrainingJob")
    assert [each.attempt for each in told(tmp_path / "run", StudyPlaced)] == [1, 2]
    with pytest.raises(UsageError, match=r"-study-2, which may still be billed"):
        quick_fit(**study(), overwrite=True)
    with pytest.raises(UsageError, match=r"elsewhere as a whole, as .*-study-2\. Resume it with"):
        quick_fit(**study() | {"backend": "inline", "fixed": {}, "use": ["architecture:blur"]}, resume=True)
    service.client("s3").create_bucket(Bucket="another")
    with pytest.raises(UsageError, match="with the bucket bucket in us-east-1, and this is the bucket another"):
        quick_fit(**study(bucket="another"), resume=True)
    (tmp_path / "gate").touch()
    run = quick_fit(**study(), resume=True)
    assert what_was_learnt(run) == undisturbed
    assert service.calls.count("CreateTrainingJob") == created
    assert [each.attempt for each in told(run.folder, StudyReturned)] == [1, 2]
    quick_fit(**study() | {"trials": 4, "backend": "inline", "fixed": gate(tmp_path)}, resume=True)  # it is here again


def test_a_study_that_is_interrupted_keeps_the_best_so_far_and_can_be_gone_on_with(
    service, study, undisturbed, tmp_path
):
    handle = quick_start(**study(), patience=30, target_score=1.5)
    wait_for((tmp_path / "gate.reached").exists, "the second trial")
    next(each for each in handle.events() if isinstance(each, BundleSaved))
    handle.cancel()
    run = handle.result(SECONDS)
    assert run.exit_code == ExitCode.INTERRUPTED
    assert service.wait(f"seedbed-{job_of(run.folder)}-study-1")["TrainingJobStatus"] == "Stopped"
    assert len(api.load(run.folder).predict(np.zeros((2, 8, 8), np.uint8))) == 2
    (tmp_path / "gate").touch()
    run = quick_fit(**study() | {"trials": None}, resume=True)
    assert what_was_learnt(run) == undisturbed
    asked = [(each.budget_trials, each.patience, each.target_score) for each in told(run.folder, RunStarted)]
    assert asked == [(3, 30, 1.5)] * 4, "here and there, twice"
    assert [each.attempt for each in told(run.folder, StudyReturned)] == [1, 2]


def test_a_study_that_cannot_be_followed_is_ended_and_can_be_gone_on_with(service, study, undisturbed, tmp_path):
    handle = quick_start(**study())
    wait_for((tmp_path / "gate.reached").exists, "the second trial")
    service.fail_next("DescribeTrainingJob", "AccessDeniedException", "You may not look")
    with pytest.raises(PluginError, match="The study cannot be followed: AccessDeniedException: You may not look"):
        handle.result(SECONDS)
    assert service.wait(f"seedbed-{job_of(tmp_path / 'run')}-study-1")["TrainingJobStatus"] == "Stopped"
    (tmp_path / "gate").touch()
    run = quick_fit(**study(), resume=True)
    assert what_was_learnt(run) == undisturbed
    assert [each.attempt for each in told(run.folder, StudyReturned)] == [1, 2]


def test_a_study_that_cannot_be_followed_from_the_beginning_is_found_again(service, study, undisturbed, tmp_path):
    """Its folder alone knows of the job, so it stays though there is no trial in it."""
    handle = quick_start(**study())
    wait_for(lambda: (tmp_path / "run" / "journal.jsonl").exists() and told(tmp_path / "run", StudyPlaced), "the job")
    service.fail_next("DescribeTrainingJob", "AccessDeniedException", "You may not look")
    service.fail_next("StopTrainingJob", "AccessDeniedException", "You may not stop it either")
    with pytest.raises(PluginError, match="You may not look"):
        handle.result(SECONDS)
    (tmp_path / "gate").touch()
    created = service.calls.count("CreateTrainingJob")
    run = quick_fit(**study(), resume=True)
    assert what_was_learnt(run) == undisturbed
    assert service.calls.count("CreateTrainingJob") == created
    assert [each.attempt for each in told(run.folder, StudyReturned)] == [1]


def test_a_job_whose_request_was_not_answered_is_ended(service, study, tmp_path):
    """The SDK asks what became of a job that it has requested: that may fail though the job is there."""
    original, names = jobs.begin, []

    def begin(found, plan):
        original(found, plan)
        names.append(plan.name)
        raise EndpointConnectionError(endpoint_url="https://somewhere")

    with patch.object(jobs, "begin", begin), pytest.raises(PluginError, match="cannot be followed: Could not connect"):
        quick_fit(**study())
    (name,) = names
    assert service.client("sagemaker").describe_training_job(TrainingJobName=name)["TrainingJobStatus"] != "InProgress"


def test_what_a_lost_job_had_reached_comes_home_where_no_other_can_be_begun(service, study, tmp_path):
    handle = quick_start(**study())
    wait_for((tmp_path / "gate.reached").exists, "the second trial")
    next(each for each in handle.events() if isinstance(each, BundleSaved))
    service.fail_next("CreateTrainingJob", "AccessDeniedException", "You may begin no more")
    name = f"seedbed-{job_of(tmp_path / 'run')}-study-1"
    with patch.object(whole, "after_study", lambda **ended: Again("its machine is lost")):
        service.client("sagemaker").stop_training_job(TrainingJobName=name)
        with pytest.raises(PluginError, match=r"You may begin no more.*What it had reached is in"):
            handle.result(SECONDS)
    assert len(api.load(tmp_path / "run").predict(np.zeros((2, 8, 8), np.uint8))) == 2
    assert [each.attempt for each in told(tmp_path / "run", StudyReturned)] == [1]


def test_a_stop_that_the_service_does_not_take_is_asked_for_again(service, study, tmp_path):
    handle = quick_start(**study())
    wait_for((tmp_path / "gate.reached").exists, "the second trial")
    next(each for each in handle.events() if isinstance(each, BundleSaved))
    service.fail_next("StopTrainingJob", "ConflictException", "Not now", times=2)
    handle.cancel()
    assert handle.result(SECONDS).exit_code == ExitCode.INTERRUPTED


def test_a_machine_that_cannot_be_had_is_asked_for_again(service, study, undisturbed, tmp_path):
    (tmp_path / "gate").touch()
    service.fail_next("CreateTrainingJob", "ResourceLimitExceeded", "None of these are yours", times=2)
    run = quick_fit(**study())
    assert what_was_learnt(run) == undisturbed
    assert [each.attempt for each in told(run.folder, StudyReturned)] == [1]


def test_a_study_whose_job_is_gone_goes_on_as_another_and_is_not_elsewhere_for_ever(service, study, tmp_path):
    run = quick_fit(**study("blur"))
    with Journal(run.folder / "journal.jsonl") as journal:
        journal.append(StudyPlaced(place=f"seedbed-{job_of(run.folder)}-study-2", attempt=2))
    run = quick_fit(**study("blur") | {"trials": 4}, resume=True)
    assert [each.attempt for each in told(run.folder, StudyReturned)] == [1, 2, 3]
    assert run.history.away is None


def test_where_there_never_is_a_machine_the_service_is_quoted(service, study, tmp_path):
    service.fail_next("CreateTrainingJob", "ResourceLimitExceeded", "None of these are yours", times=4)
    with pytest.raises(PluginError, match=r"no machine for the study \(.*None of these are yours.*instance_type"):
        quick_fit(**study(max_hours=1e-4))
    service.fail_next("CreateTrainingJob", "ResourceLimitExceeded", times=0)  # forget the rest


def test_what_breaks_there_is_told_here(service, study):
    (service.root / "breaks").touch()
    try:
        with pytest.raises(PluginError, match="cannot live in a container"):
            quick_fit(**study())
    finally:
        (service.root / "breaks").unlink()


def test_of_the_time_some_is_kept_for_the_way_home(study, tmp_path):
    run = quick_fit(**study("blur") | {"time": "60s"})
    assert [each.budget_seconds for each in told(run.folder, RunStarted)] == [60.0, 55.0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time": "20s"}, "give --time 1m or more"),
        ({"strategy": "sagemaker_tuning"}, "leave --remote out"),
        ({"use": ["architecture:blurr"]}, "blurr"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_paid_for(service, study, tmp_path, options, words):
    created = service.calls.count("CreateTrainingJob")
    with pytest.raises(UsageError, match=words):
        quick_fit(**study("blur") | options)
    assert service.calls.count("CreateTrainingJob") == created
    assert not (tmp_path / "run").exists()
