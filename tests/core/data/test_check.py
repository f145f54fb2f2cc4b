from __future__ import annotations

from collections.abc import Iterator

import pytest

from seedbed import CheckSpec, Finding, Requires
from seedbed.core.data.check import run_checks
from seedbed.core.data.prepare import prepare
from seedbed.core.protocols import Owner


class Checks:
    """A look-up of checks given as functions."""

    def __init__(self, **checks: object) -> None:
        self.checks = checks
        self.requires: dict[str, Requires] = {}

    def all(self, kind: str) -> list[CheckSpec]:
        assert kind == "check"
        return [
            CheckSpec(name=name, summary="A check.", build="a:b", requires=self.requires.get(name, Requires()))
            for name in sorted(self.checks)
        ]

    def load(self, spec: CheckSpec) -> object:
        return lambda options: self.checks[spec.name]

    def owner(self, kind: str, name: str) -> Owner:
        return Owner("some-package", "1.2")


def finds(severity: str):
    def check(dataset: object, prepared: object) -> Iterator[Finding]:
        yield Finding(check="fake", severity=severity, evidence=severity)

    return check


def breaks(dataset: object, prepared: object) -> Iterator[Finding]:
    yield Finding(check="breaks", severity="info", evidence="so far, so good")
    raise ZeroDivisionError("division by zero")


@pytest.fixture
def data(save, as_dataset, tmp_path):
    dataset = as_dataset([save("1.png"), save("2.png")])
    return dataset, prepare(dataset, tmp_path / "cache")


def test_the_gravest_come_first(data) -> None:
    found = run_checks(*data, Checks(a=finds("info"), b=finds("error"), c=finds("warning")))
    assert [finding.severity for finding in found] == ["error", "warning", "info"]


def test_a_check_that_breaks_becomes_a_finding_and_the_others_go_on(data) -> None:
    found = run_checks(*data, Checks(bad=breaks, good=finds("info")))
    assert [finding.check for finding in found] == ["bad", "breaks", "fake"]
    assert found[0].severity == "warning"
    assert "some-package 1.2 failed: ZeroDivisionError: division by zero" in found[0].evidence
    assert "--without check:bad" in found[0].remedy


def test_a_check_for_other_data_is_not_run(data) -> None:
    checks = Checks(bad=breaks)
    checks.requires["bad"] = Requires(modalities=("text",))
    assert run_checks(*data, checks) == []


def test_what_the_preparation_noted_is_a_finding(save, as_dataset, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("seedbed.core.data.prepare._sample", lambda rows: [0])
    dataset = as_dataset([save("1.png"), save("2.png", mode="RGB")])
    (finding,) = run_checks(dataset, prepare(dataset, tmp_path / "cache"), Checks())
    assert "made grey" in finding.evidence
