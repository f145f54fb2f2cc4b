from __future__ import annotations

from dataclasses import dataclass

from seedbed.core.data.profile import Finding
from seedbed.core.errors import PluginError
from seedbed.core.results.diagnose import diagnose
from seedbed.core.search.candidate import Candidate, Fidelity
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
