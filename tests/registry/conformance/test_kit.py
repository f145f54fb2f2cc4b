"""How the kit behaves in the hands of a plugin author: names of tests, known failures, misunderstandings."""

from __future__ import annotations

import numpy as np  # noqa: F401 - pytester forgets what was imported in a run, and numpy cannot be loaded twice
import pytest

pytest_plugins = ["pytester"]

PLUGIN = """
from seedbed import ScheduleSpec, hookimpl

@hookimpl
def register_schedules():
    yield ScheduleSpec(name="rising", summary="Rises.", build=f"{__name__}:rising")
    yield ScheduleSpec(name="falling", summary="Falls.", build=f"{__name__}:falling")

def rising(options):
    return lambda progress: 2.0 * progress

def falling(options):
    return lambda progress: 1.0 - progress
"""

FACTORS = "test_its_factors_lie_between_zero_and_one"


@pytest.fixture
def run(pytester, monkeypatch):
    """Run the kit on a plugin as its author would: an ordinary test module, nothing configured."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def checks(body, *arguments, plugin=PLUGIN, contract="ScheduleContract"):
        pytester.makepyfile(kit_plugin=plugin)
        pytester.makepyfile(
            test_it=f"""
            from seedbed.registry.conformance import {contract}

            class TestIt({contract}):
                plugin = "kit_plugin.py"
                {body}
            """
        )
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)

    return checks


def test_each_check_is_a_test_for_each_component(run):
    result = run("", "-v", "-k", FACTORS)
    result.assert_outcomes(passed=1, failed=1, deselected=result.parseoutcomes()["deselected"])
    result.stdout.fnmatch_lines_random(
        [f"*{FACTORS}?schedule:rising? FAILED*", f"*{FACTORS}?schedule:falling? PASSED*"]
    )


def test_a_known_failure_does_not_fail(run):
    result = run(f'known_failures = {{"{FACTORS}[schedule:rising]": "it rises on purpose"}}', "-k", FACTORS)
    result.assert_outcomes(passed=1, xfailed=1, deselected=result.parseoutcomes()["deselected"])


def test_a_known_failure_that_has_gone_is_reported(run):
    result = run(f'known_failures = {{"{FACTORS}": "they rise on purpose"}}', "-k", FACTORS)
    result.assert_outcomes(failed=1, xfailed=1, deselected=result.parseoutcomes()["deselected"])
    result.stdout.fnmatch_lines(["*XPASS(strict)*they rise on purpose*"])


def test_the_authors_own_checks_get_the_component_too(run):
    result = run("def test_mine(self, spec): assert spec.name == 'falling'", "-k", "test_mine")
    result.assert_outcomes(passed=1, failed=1, deselected=result.parseoutcomes()["deselected"])


def test_a_plugin_without_the_kind_is_told(run):
    result = run("", contract="OptimizerContract")
    result.stdout.fnmatch_lines(["*kit_plugin.py offers no optimizer; is the hook there*"])
    result.assert_outcomes(errors=1)


def test_a_broken_plugin_shows_its_traceback(run):
    result = run("", plugin="1 / 0")
    result.stdout.fnmatch_lines(["*kit_plugin is broken:*", "*ZeroDivisionError*"])
    result.assert_outcomes(errors=1)


ELSEWHERE = """
from dataclasses import dataclass
from seedbed import Requires, ScheduleSpec, hookimpl

@dataclass(frozen=True)
class Options:
    name: str = ""

@hookimpl
def register_schedules():
    needs = Requires(modules=("no_such_module",))
    yield ScheduleSpec(name="far", summary="Far.", build=f"{__name__}:flat", requires=needs)
    yield ScheduleSpec(name="told", summary="Told.", build=f"{__name__}:told", options=Options, on_request=True)

def told(options):
    return {"flat": lambda progress: 1.0}[options.name]
"""


def test_what_is_not_installed_is_skipped_with_the_reason(run):
    result = run("", "-rs", "-k", FACTORS, plugin=ELSEWHERE)
    result.assert_outcomes(skipped=1, failed=1, deselected=result.parseoutcomes()["deselected"])
    result.stdout.fnmatch_lines(["*schedule:far needs no_such_module, not installed*"])


def test_what_must_be_named_is_named_in_the_test(run):
    body = "def options(self, spec): return spec.options(*(['flat'] if spec.name == 'told' else []))"
    result = run(body, "-k", FACTORS, plugin=ELSEWHERE)
    result.assert_outcomes(skipped=1, passed=1, deselected=result.parseoutcomes()["deselected"])
