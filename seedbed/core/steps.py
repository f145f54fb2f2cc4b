"""The steps of a run from data that is understood to a bundle, each of which journals what it did."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import cast

from seedbed.core.data.preparing.prepare_again import Ready
from seedbed.core.data.profile import Finding, Profile
from seedbed.core.errors import DataError, Interrupted, NoCandidateSucceeded
from seedbed.core.protocols import Strategy
from seedbed.core.results.bundle import holds, save_bundle
from seedbed.core.results.calibration import Calibration, calibrate
from seedbed.core.results.diagnose import diagnose, judge_test, too_slow
from seedbed.core.results.ranking import Ranking, rank_run
from seedbed.core.results.transfer import judge_transfer
from seedbed.core.runfolder import RunFolder
from seedbed.core.search.candidate import EVALUATION, EvaluationJob
from seedbed.core.search.compose import Composition, compose
from seedbed.core.search.events import (
    BundleEvaluated,
    BundleSaved,
    EvaluationFailed,
    FindingMade,
    RunFinished,
)
from seedbed.core.search.history import History, Trial
from seedbed.core.search.pinning import options_of
from seedbed.core.search.study import Ground, Study
from seedbed.core.training.member import PREDICTIONS
from seedbed.core.training.predictions import load_predictions
from seedbed.core.understanding import Understanding

_LATE_SECONDS = 0.5
"""Over the budget, after which nobody waits for a score any more: its backend has ended it by then, or cannot."""

_LEAST_SECONDS = 1.5  # that a new worker takes to begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to."""

    folder: RunFolder
    history: History
    ranking: Ranking


class Steps(Understanding):
    """All steps of a run; those up to a description of the data are the base's."""

    def compose(self, profile: Profile) -> Composition:
        """Merge the components that fit into one space; say which do not, and why."""
        composition = compose(
            profile, self.settings, self.request.lookup, can_load=self.network.can_load(self.request.lookup)
        )
        known = {(each.kind, each.name) for each in self.history.refusals}
        for refusal in composition.refusals:
            if (refusal.kind, refusal.name) not in known:
                self.chronicle.record(refusal)
        return composition

    def search(self, composition: Composition, ready: Ready, profile: Profile) -> str:
        """Ask and tell until the budget is spent; every better model becomes the bundle at once."""
        self.enter("searching")
        self.session.ask_experience(composition)
        spec = self.request.lookup.get("strategy", self.settings.strategy)
        strategy = self.request.lookup.load(spec)(options_of(spec, self.settings.fixed), composition.space, profile)
        kept = profile.task.worth(self.history.bundle.score if self.history.bundle else None)

        def on_result(number: int) -> None:
            nonlocal kept
            trial = self.history.trials[number]
            for finding in diagnose(trial, self.lookup) if trial.result is not None else ():
                self.chronicle.record(FindingMade(finding=finding, trial=number))
            is_better = (worth := profile.task.worth(trial.score)) > kept and self._may_be_kept(trial)
            if is_better and self._keep_trial(number, ready, profile):
                kept = worth

        return Study(
            ground=self.ground(ready, profile),
            strategy=cast(Strategy, strategy),
            backend=self.backend,
            budget=self.budget,
            history=self.history,
            composition=composition,
            record=self.chronicle.record,
            now=self.chronicle.now,
            cancelled=self.request.cancelled,
            on_result=on_result,
            planned=self.session.planned(),
        ).run()

    def ground(self, ready: Ready, profile: Profile) -> Ground:
        """Return what all trials share."""
        return Ground(
            profile=profile,
            data=ready.prepared.folder.absolute(),
            tokens=ready.tokens_folder,
            splits=self.folder.splits.absolute(),
            trials=self.folder.trials.absolute(),
            seed=self.settings.seed,
            device=self.settings.device,
            threads=self.place.threads,
        )

    def rank(self, profile: Profile) -> Ranking:
        """Order the trials honestly and write the board down."""
        self.enter("ending")
        left = None if self.budget.seconds is None else self.budget.seconds - self.chronicle.now()
        ranking = rank_run(
            self.history,
            profile,
            self.folder,
            self.request.lookup,
            seed=self.settings.seed,
            seconds_left=left,
            max_latency=self.settings.max_latency,
        )
        board = {
            "metric": ranking.board.metric,
            "direction": ranking.board.direction,
            "examples": ranking.board.examples,
            "rows": ranking.board.to_json(),
        }
        self.folder.leaderboard.write_text(json.dumps(board, indent=2, ensure_ascii=False), encoding="utf-8")
        if (finding := judge_transfer(ranking.board, self.history)) is not None:
            self.chronicle.record(FindingMade(finding=finding))
        if self.settings.max_latency is not None and ranking.latency > self.settings.max_latency:
            self.chronicle.record(FindingMade(finding=too_slow(ranking.latency, self.settings.max_latency)))
        return ranking

    def keep(self, ranking: Ranking, ready: Ready, profile: Profile) -> None:
        """Make the winner the bundle, where it is not already."""
        winner = ranking.winner
        if winner is None or ranking.predictions is None:
            self._give_up()
            return
        before, left = self.history.bundle, self.budget.remaining(self.history, self.chronicle.now()).seconds
        if before is not None and len(before.trials) > 1 and left == 0 and self.history.evaluation is not None:
            return  # resumed when all was done: the ensemble and its test score stay
        calibration = calibrate(ranking.predictions)
        calibration.applied_to(ranking.predictions).save(self.folder.valid_predictions)
        is_kept = before is not None and (before.trials, before.score) == (winner.trials, winner.score)
        # A trial may have learnt from more rows since it was kept.
        if not (is_kept and holds(self.folder.best, [self.folder.trial(each) for each in winner.trials], calibration)):
            self._save(dict(zip(winner.trials, winner.weights, strict=True)), ready, profile, winner.score, calibration)

    def _give_up(self) -> None:
        if self.request.cancelled():
            raise Interrupted("Stopped before the first model was trained; there is nothing to keep.")
        reasons = "; ".join(f"trial {each.number}: {each.reason}" for each in list(self.history)[:3])
        raise NoCandidateSucceeded(
            f"No candidate succeeded ({reasons or 'the time was too short to begin one'}). "
            f"`seedbed leaderboard {self.folder.path}` shows all; tracebacks lie in {self.folder.trials}."
        )

    def _may_be_kept(self, trial: Trial) -> bool:
        """Whether a trial is as fast as was asked; the first one is kept as it is: better that than none."""
        most = self.settings.max_latency
        if most is None or self.history.bundle is None:
            return True
        return trial.result is not None and 0 < trial.result.latency_p95 <= most

    def _keep_trial(self, number: int, ready: Ready, profile: Profile) -> bool:
        """Make one trial the bundle; where its files are gone, say so: the others are still to come."""
        try:
            calibration = calibrate(load_predictions(self.folder.trial(number) / PREDICTIONS))
            self._save({number: 1.0}, ready, profile, self.history.trials[number].score, calibration)
        except DataError as error:
            finding = Finding(
                check="model_lost",
                severity="error",
                evidence=f"Trial {number} reports a score, but what it leaves cannot be used: {error}",
                remedy="See that nothing else writes to the run's folder, and that the backend brings files back.",
            )
            self.chronicle.record(FindingMade(finding=finding, trial=number))
            return False
        return True

    def _save(
        self,
        weights: dict[int, float],
        ready: Ready,
        profile: Profile,
        score: float | None,
        calibration: Calibration,
    ) -> None:
        save_bundle(
            self.folder.best,
            [(self.folder.trial(trial), weight) for trial, weight in weights.items()],
            profile,
            ready.form,
            score=score or 0.0,
            source=self.settings.source,
            schema=self.schema,
            calibration=calibration,
        )
        self.chronicle.record(BundleSaved(trials=tuple(weights), weights=tuple(weights.values()), score=score or 0.0))

    def score(self, ready: Ready, profile: Profile) -> None:
        """Score the bundle, through the code of `predict`, on rows that played no part in making it.

        Where there are none, say more of the rows it was chosen by.
        """
        if self.request.cancelled() or not self.folder.valid_predictions.is_file():
            return
        left = math.inf if self.budget.seconds is None else self.budget.seconds - self.chronicle.now()
        if left <= 0 or not self.backend.free_slots():  # none, where a trial that ignored its limit holds it
            return
        if left < _LEAST_SECONDS and self._was_forced():
            self.chronicle.record(EvaluationFailed(error="The time was over before the model was scored."))
            return
        self.backend.submit(
            EvaluationJob(
                bundle=str(self.folder.best.absolute()),
                profile=profile,
                part="test" if profile.test else "valid",
                data=str(ready.prepared.folder.absolute()),
                tokens=ready.tokens_folder,
                splits=str(self.folder.splits.absolute()),
                valid=str(self.folder.valid_predictions.absolute()),
                output=str(self.folder.test_predictions.absolute()),
                scores=str(self.folder.scores.absolute()),
                device=self.settings.device,
                threads=self.place.threads,
                seconds=None if math.isinf(left) else left,
                grace=0.5,
            )
        )
        while not self.backend.idle():
            for event in self.backend.poll(0.1):
                self.chronicle.record(event)
                if isinstance(event, BundleEvaluated | EvaluationFailed):
                    return
            if self.request.cancelled():
                return
            if self.budget.seconds is not None and self.chronicle.now() > self.budget.seconds + _LATE_SECONDS:
                self.backend.stop(EVALUATION)
                self.chronicle.record(EvaluationFailed(error="The time was over before the model was scored."))
                return

    def _was_forced(self) -> bool:
        """Whether the last trial's worker died with it, so that another one is only starting."""
        last = self.history.trials.get(self.history.next_number - 1)
        return last is not None and last.status == "failed"

    def finish(self, ended: str, ranking: Ranking) -> Outcome:
        """Close the journal's last chapter."""
        tested, kept = self.history.evaluation, ranking.winner
        finding = judge_test(ranking.board, kept.score, tested) if tested and kept else None
        if finding is not None:
            self.chronicle.record(FindingMade(finding=finding))
        self.session.leave_experience()
        self.chronicle.record(RunFinished(reason=ended, seconds=self.chronicle.now()))
        return Outcome(folder=self.folder, history=self.history, ranking=ranking)
