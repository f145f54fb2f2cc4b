from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from seedbed import CheckSpec, Finding, Requires
from seedbed.core.data.check import run_checks
from seedbed.core.data.features import Features
from seedbed.core.data.preparing.prepare import prepare
from seedbed.core.data.repair import Repair
from seedbed.core.protocols import CheckInput, Owner


class Checks:
    """A look-up of checks given as functions."""

    def __init__(self, **checks: object) -> None:
        self.checks = checks
        self.requires: dict[str, Requires] = {}
        self.featured: set[str] = set()

    def all(self, kind: str) -> list[CheckSpec]:
        assert kind == "check"
        return [
            CheckSpec(
                name=name,
                summary="A check.",
                build="a:b",
                requires=self.requires.get(name, Requires()),
                features=name in self.featured,
            )
            for name in sorted(self.checks)
        ]

    def load(self, spec: CheckSpec) -> object:
        return lambda options: self.checks[spec.name]

    def owner(self, kind: str, name: str) -> Owner:
        return Owner("some-package", "1.2")


def finds(severity: str):
    def check(given: CheckInput) -> Iterator[Finding]:
        yield Finding(check="fake", severity=severity, evidence=severity)

    return check


def breaks(given: CheckInput) -> Iterator[Finding]:
    yield Finding(check="breaks", severity="info", evidence="so far, so good")
    raise ZeroDivisionError("division by zero")


@pytest.fixture
def data(save, as_dataset, tmp_path):
    dataset = as_dataset([save("1.png"), save("2.png")])
    return dataset, prepare(dataset, tmp_path / "cache")


def test_the_gravest_come_first(data) -> None:
    found = run_checks(*data, Checks(a=finds("info"), b=finds("error"), c=finds("warning"))).findings
    assert [finding.severity for finding in found] == ["error", "warning", "info"]


def test_a_check_that_breaks_becomes_a_finding_and_the_others_go_on(data) -> None:
    found = run_checks(*data, Checks(bad=breaks, good=finds("info"))).findings
    assert [finding.check for finding in found] == ["bad", "breaks", "fake"]
    assert found[0].severity == "warning"
    assert "some-package 1.2 failed: ZeroDivisionError: division by zero" in found[0].evidence
    assert "--without check:bad" in found[0].remedy


def says(found: object):
    def check(given: CheckInput) -> Iterator[object]:
        yield found

    return check


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ("row 1 is odd", "AttributeError"),
        (Finding(check="fake", severity="fatal", evidence="Seen."), "severity 'fatal'; expected is one of error"),
        (
            Repair(
                finding=Finding(check="fake", severity="info", evidence="Seen."), action="drop it", drop=np.array([99])
            ),
            "IndexError",
        ),
    ],
)
def test_a_check_that_finds_what_does_not_fit_is_told_by_its_owner(data, found, reason) -> None:
    told = run_checks(*data, Checks(bad=says(found), good=finds("info"))).findings
    assert [finding.check for finding in told] == ["bad", "fake"]
    assert "some-package 1.2 failed" in told[0].evidence
    assert reason in told[0].evidence


def test_a_check_for_other_data_is_not_run(data) -> None:
    checks = Checks(bad=breaks)
    checks.requires["bad"] = Requires(modalities=("text",))
    assert run_checks(*data, checks).findings == ()


def test_a_check_for_another_kind_of_task_is_not_run(data) -> None:
    checks = Checks(bad=breaks)
    checks.requires["bad"] = Requires(kinds=("regression",))
    assert run_checks(*data, checks).findings == ()


def test_a_check_without_the_features_it_asks_for_is_told_to_be_left_out(data) -> None:
    checks = Checks(sharp=breaks)
    checks.featured.add("sharp")
    (finding,) = run_checks(*data, checks).findings
    assert (finding.check, finding.severity) == ("sharp", "info")
    assert finding.evidence.startswith("Left out: sharp")


def test_several_checks_that_were_left_out_are_one_line(data) -> None:
    checks = Checks(sharp=breaks, keen=breaks)
    checks.featured |= {"sharp", "keen"}
    (finding,) = run_checks(*data, checks).findings
    assert finding.evidence.startswith("Left out: keen and sharp")


def test_features_are_asked_for_once_and_given_to_those_who_want_them(data) -> None:
    seen: dict[str, object] = {}
    asked = []

    def look(name: str):
        def check(given: CheckInput) -> Iterator[Finding]:
            seen[name] = given.features
            yield Finding(check=name, severity="info", evidence="seen")

        return check

    def source(given: CheckInput) -> Features:
        asked.append(given)
        return Features(rows=np.arange(2), values=np.zeros((2, 3), np.float32), source="nothing")

    checks = Checks(one=look("one"), other=look("other"), plain=look("plain"))
    checks.featured |= {"one", "other"}
    run_checks(*data, checks, features=source)
    assert len(asked) == 1
    assert seen["one"] is seen["other"]
    assert seen["one"] is not None
    assert seen["plain"] is None


def mends(is_safe: bool):
    def check(given: CheckInput) -> Iterator[Repair]:
        finding = Finding(check="mends", severity="warning", evidence="row 1 is odd")
        yield Repair(finding=finding, action="leave it out", is_safe=is_safe, drop=np.array([1]))

    return check


@pytest.mark.parametrize(
    ("policy", "is_safe", "is_done"),
    [("none", True, False), ("safe", True, True), ("safe", False, False), ("all", False, True)],
)
def test_repairs_are_done_as_the_user_allows_and_told_either_way(data, policy, is_safe, is_done) -> None:
    checked = run_checks(*data, Checks(mends=mends(is_safe)), policy=policy)
    assert checked.usable.tolist() == [True, not is_done]
    assert checked.findings[0].repair == ("done: leave it out" if is_done else "proposed: leave it out")


def test_what_the_preparation_noted_is_a_finding(save, as_dataset, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("seedbed.core.data.preparing.prepare._sample", lambda rows: [0])
    dataset = as_dataset([save("1.png"), save("2.png", mode="RGB")])
    (finding,) = run_checks(dataset, prepare(dataset, tmp_path / "cache"), Checks()).findings
    assert "made grey" in finding.evidence


def test_the_finer_checks_see_targets_as_repaired(data) -> None:
    seen = []

    def merges(given: CheckInput) -> Iterator[Repair]:
        finding = Finding(check="merges", severity="warning", evidence="0 and 1 are one class")
        yield Repair(finding=finding, action="merge them", is_safe=True, rename={"1": "0"})

    def looks(given: CheckInput) -> Iterator[Finding]:
        seen.append(given.targets.classes)
        yield Finding(check="looks", severity="info", evidence="seen")

    features = Features(rows=np.arange(2), values=np.zeros((2, 3), np.float32), source="nothing")
    checks = Checks(looks=looks, merges=merges)
    checks.featured.add("looks")
    run_checks(*data, checks, features=lambda given: features)
    run_checks(*data, checks, features=lambda given: features, policy="none")
    assert seen == [("0",), ("0", "1")]
