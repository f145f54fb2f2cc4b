"""What an ended training job means for the whole study that it did."""

import pytest

from seedbed.plugins.backends.sagemaker.endings import Again, after_study

LOST = "InternalServerError: We encountered an internal error. Please try again."


def ended(status, reason="", secondary="", **more):
    said = {"asked": False, "known_before": False, "left": 2} | more
    return after_study(status=status, secondary=secondary, reason=reason, **said)


@pytest.mark.parametrize(
    ("status", "more"),
    [
        ("Completed", {}),
        ("Stopped", {"asked": True}),
        ("Failed", {"asked": True, "reason": "AlgorithmError: too slow to stop"}),
        ("Stopped", {"secondary": "MaxRuntimeExceeded"}),
        ("Stopped", {"known_before": True, "left": 0}),
    ],
)
def test_a_run_is_taken_as_it_is(status, more):
    assert ended(status, **more) == ""


@pytest.mark.parametrize(("status", "more"), [("Failed", {"reason": LOST}), ("Stopped", {"known_before": True})])
def test_a_study_goes_on_as_another_job(status, more):
    assert isinstance(ended(status, **more), Again)


def test_a_failure_is_told_in_words():
    assert ended("Failed", LOST, left=0) == f"{LOST} Its attempts are used up"
    assert "run out of memory" in ended("Failed", "AlgorithmError: , exit code: 137")
    assert ended("Failed", "AlgorithmError: boom, exit code: 1") == "AlgorithmError: boom, exit code: 1"
    assert ended("Failed") == "it failed without a reason"
