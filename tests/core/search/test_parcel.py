from dataclasses import replace
from pathlib import Path

from plugins.fake_runners import evaluation_job, trial_job

from seedbed.core.search import parcel


def elsewhere(path: Path) -> Path:
    return Path("/there") / path.relative_to("/")


def trial():
    return replace(
        trial_job(3, "finish"),
        data="/d",
        tokens="/t",
        splits="/r/s.parquet",
        folder="/r/3",
        ingredients=("/r/1", "/r/2"),
    )


def evaluation():
    paths = {"bundle": "/r/best", "data": "/d", "splits": "/s", "valid": "/v", "output": "/r/o", "scores": "/r/c"}
    return replace(evaluation_job("finish"), **paths)


def test_a_parcel_names_all_that_a_job_reads_and_writes():
    assert [str(each) for each in parcel.inputs(trial())] == ["/d", "/t", "/r/s.parquet", "/r/1", "/r/2"]
    assert [str(each) for each in parcel.outputs(trial())] == ["/r/3"]
    assert [str(each) for each in parcel.inputs(evaluation())] == ["/r/best", "/d", "/s", "/v"]
    assert [str(each) for each in parcel.outputs(evaluation())] == ["/r/o", "/r/c"]


def test_a_relocated_job_keeps_no_path_of_here_and_can_be_brought_back():
    for job in (trial(), evaluation()):
        moved = parcel.relocated(job, elsewhere)
        for name in ("data", "splits"):
            assert getattr(moved, name).startswith("/there/")
        here = {str(each) for each in (*parcel.inputs(moved), *parcel.outputs(moved))}
        assert all(each.startswith("/there/") for each in here)
        assert parcel.relocated(moved, lambda path: Path("/") / path.relative_to("/there")) == job


def test_an_empty_path_stays_empty():
    assert parcel.relocated(replace(trial(), tokens=""), elsewhere).tokens == ""
