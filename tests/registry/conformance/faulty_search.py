"""What decides and what watches, each with one fault, which its name tells; the kit must find it."""

from __future__ import annotations

import random
from itertools import count

from seedbed import ExporterSpec, Finding, MetricSpec, MonitorSpec, RuleSpec, StrategySpec, hookimpl
from seedbed.core.search.candidate import Candidate, Fidelity, Proposal
from seedbed.core.search.history import Remaining


def specs(cls, *builders, **facts):
    for build in builders:
        yield cls(name=build.__name__, summary="It has a fault.", build=f"{__name__}:{build.__name__}", **facts)


class Strategy:
    """Random search without a fault; each of those below adds one."""

    def __init__(self, options, space, profile):
        self.space = space

    def values(self, rng):
        return self.space.sample(rng)

    def propose(self, history, rng):
        if history.remaining.trials == 0:
            return None
        return Proposal(candidate=Candidate(self.values(rng)), fidelity=Fidelity(epochs=1))

    def should_stop(self, trial, history):
        return False


class LeavesTheSpace(Strategy):
    def values(self, rng):
        return {**self.space.sample(rng), "batch_size": 7}


class DrawsFromTheGlobalState(Strategy):
    def values(self, rng):
        return self.space.sample(random)


class SpendsTheBudgetItself(Strategy):
    def propose(self, history, rng):
        proposal = super().propose(history, rng)
        history.remaining = Remaining(trials=history.remaining.trials - 1)
        return proposal


class NeverEnds(Strategy):
    def propose(self, history, rng):
        return Proposal(candidate=Candidate(self.values(rng)), fidelity=Fidelity(epochs=1))


class TrustsInSuccess(Strategy):
    def propose(self, history, rng):
        if len(history):
            max(trial.score for trial in history if trial.status != "running")
        return super().propose(history, rng)


class NeverBegins(Strategy):
    def propose(self, history, rng):
        return None


class StopsWithoutSaying(Strategy):
    def should_stop(self, trial, history):
        return None


def finds_fault_with_nothing(options):
    return lambda trial: Finding(check="x", severity="warning", evidence="Nothing.", remedy="None.")


def knows_no_remedy(options):
    return lambda trial: Finding(check="x", severity="warning", evidence="All.") if trial.curve else None


def counts_calls(options):
    calls = count()
    return lambda trial: Finding(check="x", severity="info", evidence=str(next(calls)), remedy="None.")


class Monitor:
    def __init__(self, options, workplace):
        self.closed = 0

    def on_event(self, event, history):
        pass

    def close(self):
        pass


class Prints(Monitor):
    def on_event(self, event, history):
        print(event)  # noqa: T201 - its fault


class ExpectsOrder(Monitor):
    def on_event(self, event, history):
        if hasattr(event, "trial") and event.trial is not None and event.trial >= 0:
            assert event.trial in history.trials


class ClosesOnce(Monitor):
    def close(self):
        self.closed += 1
        assert self.closed == 1


def accuracy_but_lower_is_better(options):
    return lambda targets, predictions: float((predictions.argmax(1) == targets).mean())


def divides_by_zero(options):
    return lambda targets, predictions: float("nan") if len(set(targets)) < 2 else 0.5


def looks_at_the_first_row(options):
    return lambda targets, predictions: float(predictions[0, 0])


def rows_of_another_score(options):
    def score(targets, predictions):
        return float((predictions.argmax(1) == targets).mean())

    score.per_row = lambda targets, predictions: predictions[:, 0]
    return score


def rewards_modesty(options):
    def score(targets, predictions):
        return float((predictions[range(len(targets)), targets] - predictions.max(axis=1) ** 2).mean())

    return score


def sorts_in_place(options):
    def score(targets, predictions):
        hits = (predictions.argmax(axis=1) == targets).mean()
        predictions.sort(axis=1)
        return float(hits)

    return score


def gives_single_precision(options):
    return lambda targets, predictions: (predictions.argmax(axis=1) == targets).mean(dtype="float32")


def hits(targets, predictions):
    return (predictions.argmax(axis=1) == targets).astype(float)


def weighing(weighted):
    def score(targets, predictions):
        return float(hits(targets, predictions).mean())

    score.weighted = weighted
    return score


def forgets_to_divide(options):
    return weighing(lambda targets, predictions, weights: weights @ hits(targets, predictions))


def weighs_rows_but_not_their_number(options):
    return weighing(lambda targets, predictions, weights: weights @ hits(targets, predictions) / len(targets))


def gives_one_score_for_all(options):
    return weighing(lambda targets, predictions, weights: (weights @ hits(targets, predictions)).sum() / weights.sum())


def writes_nothing(options, lookup):
    return lambda bundle, output: output


def tidies_up(options, lookup):
    def export(bundle, output):
        (bundle / "weights.bin").rename(output)
        return output

    return export


@hookimpl
def register_strategies():
    yield from (
        StrategySpec(name=name, summary="It has a fault.", build=f"{__name__}:{cls.__name__}")
        for name, cls in {
            "leaves_the_space": LeavesTheSpace,
            "draws_from_the_global_state": DrawsFromTheGlobalState,
            "spends_the_budget_itself": SpendsTheBudgetItself,
            "never_ends": NeverEnds,
            "trusts_in_success": TrustsInSuccess,
            "never_begins": NeverBegins,
            "stops_without_saying": StopsWithoutSaying,
        }.items()
    )


@hookimpl
def register_rules():
    yield from specs(RuleSpec, finds_fault_with_nothing, knows_no_remedy, counts_calls)


@hookimpl
def register_monitors():
    yield from (
        MonitorSpec(name=name, summary="It has a fault.", build=f"{__name__}:{cls.__name__}")
        for name, cls in {"prints": Prints, "expects_order": ExpectsOrder, "closes_once": ClosesOnce}.items()
    )


@hookimpl
def register_metrics():
    yield from specs(MetricSpec, accuracy_but_lower_is_better, direction="min")
    yield from specs(MetricSpec, divides_by_zero, looks_at_the_first_row, rows_of_another_score)
    yield from specs(MetricSpec, rewards_modesty, sorts_in_place, gives_single_precision)
    yield from specs(MetricSpec, forgets_to_divide, weighs_rows_but_not_their_number, gives_one_score_for_all)


@hookimpl
def register_exporters():
    yield from specs(ExporterSpec, writes_nothing, tidies_up, suffix=".bin")
