from __future__ import annotations

from dataclasses import dataclass

import pytest

from seedbed.core.data.profile import Finding
from seedbed.core.errors import PluginError
from seedbed.core.results.diagnose import diagnose, judge_test
from seedbed.core.results.leaderboard import Leaderboard, Row
from seedbed.core.search.candidate import Candidate, Fidelity
from seedbed.core.search.events import BundleEvaluated
from seedbed.core.search.history import Trial
from seedbed.core.specs import RuleSpec

TRIAL = Trial(number=3, candidate=Candidate({}), fidelity=Fidelity(epochs=1))


@dataclass(frozen=True)
class Limit:
    limit: int = 7


class Rules:
    """A look-up of rules given as builders by name."""

    def __init__(self, **builders):
        self.builders = builders

    def all(self, kind):
        assert kind == "rule"
        return [RuleSpec(name=name, summary="A rule.", build="a:b", options=Limit) for name in sorted(self.builders)]

    def load(self, spec):
        builder = self.builders[spec.name]
        if isinstance(builder, Exception):
            raise builder
        return builder


def finds(what):
    return lambda options: lambda trial: Finding(check=what, severity="info", evidence=str(options.limit))


def raises(options):
    def rule(trial):
        raise IndexError("the curve is short")

    return rule


def test_all_rules_are_asked_in_the_order_of_their_names():
    found = diagnose(TRIAL, Rules(b=finds("b"), a=finds("a"), c=lambda options: lambda trial: None))
    assert [each.check for each in found] == ["a", "b"]


def test_a_rule_gets_its_typed_options():
    (found,) = diagnose(TRIAL, Rules(a=finds("a")))
    assert found.evidence == "7"


def test_a_rule_that_raises_is_logged_with_its_traceback_and_the_others_speak(caplog):
    found = diagnose(TRIAL, Rules(bad=raises, missing=PluginError("no such module"), good=finds("good")))
    assert [each.check for each in found] == ["good"]
    assert "The rule bad failed on trial 3" in caplog.text
    assert "IndexError: the curve is short" in caplog.text
    assert "The rule missing failed on trial 3" in caplog.text


def test_a_rule_that_gives_something_else_is_named(caplog):
    assert diagnose(TRIAL, Rules(odd=lambda options: lambda trial: "overfitting!")) == []
    assert "The rule odd gave a str" in caplog.text


def board(score, *, direction="max", examples=400, reach=0.04):
    row = Row(
        rank=1, trial=1, status="finished", score=score, low=score - reach, high=score + reach,
        tie_group=1, seconds=1.0, candidate="net", role="candidate",
    )  # fmt: skip
    return Leaderboard(rows=(row,), metric="m", direction=direction, examples=examples)


@pytest.mark.parametrize(
    ("direction", "now", "examples", "is_told"),
    [
        ("max", 0.86, 400, False),
        ("max", 0.83, 400, True),
        ("max", 0.95, 400, False),
        ("max", 0.85, 100_000, True),
        ("max", 0.83, 100, False),
        ("min", 0.96, 400, True),
        ("min", 0.85, 400, False),
    ],
)
def test_a_test_part_that_is_harder_by_more_than_chance_is_told(direction, now, examples, is_told):
    tested = BundleEvaluated(part="test", metrics={"m": now}, examples=examples)
    found = judge_test(board(0.9, direction=direction), 0.9, tested)
    assert (found is not None) == is_told
    if found is not None:
        assert (found.check, found.severity) == ("harder_test", "warning")
        assert f"m is {now:.4f} on {examples:,} test rows and was 0.9000 on 400 validation rows" in found.evidence


def test_rows_that_a_model_was_chosen_by_say_nothing_of_a_test_part():
    assert judge_test(board(0.9), 0.9, BundleEvaluated(part="valid", metrics={"m": 0.1}, examples=400)) is None
    assert judge_test(Leaderboard(rows=(), metric="m", direction="max", examples=0), 0.9, TESTED) is None


TESTED = BundleEvaluated(part="test", metrics={"m": 0.1}, examples=400)
