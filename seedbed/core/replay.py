"""A run done again from its journal: the same trials, with what the clock decided then, to the same leaderboard."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace

import numpy as np

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.preparing.prepare_again import Ready
from seedbed.core.data.profile import Profile
from seedbed.core.data.repair import Checked
from seedbed.core.data.splitting.split import Splits, load_splits
from seedbed.core.errors import DataError
from seedbed.core.results.ensemble import Ensemble, blend
from seedbed.core.results.leaderboard import Leaderboard
from seedbed.core.results.ranking import Ranking
from seedbed.core.runfolder import RunFolder
from seedbed.core.search.events import DataDescribed
from seedbed.core.search.history import History
from seedbed.core.search.rerun import Rerun
from seedbed.core.session import Request, Session
from seedbed.core.steps import Outcome, Steps
from seedbed.core.training.member import PREDICTIONS
from seedbed.core.training.predictions import load_predictions

_ROW = ("rank", "trial", "status", "score", "low", "high", "tie_group", "best_probability", "corrected", "candidate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The run that is done again."""

    folder: RunFolder
    history: History
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of doing a run again: `differences` in words, none where both are equal to the last digit."""

    outcome: Outcome
    differences: tuple[str, ...]


def replay(request: Request, original: Original, board: Leaderboard) -> Replay:
    """Do a run again in another folder, and compare; `board` is the leaderboard that it had.

    Raises:
        UsageError: the data has changed since.
        DataError: the run's split cannot be read, or what else the run needs.
        SeedbedError: as `engine.fit`.
    """
    with Session(request) as session:
        run = _Again(session, original)
        dataset = run.read()
        prepared = run.prepare(dataset)
        ready = run.feed(dataset, prepared, run.split(dataset, None))
        profile = run.take_over()
        ended = run.do_again(ready, profile)
        ranking = run.rank(profile)
        run.keep(ranking, ready, profile)
        run.score(ready, profile)
        outcome = run.finish(ended, ranking)
    return Replay(outcome=outcome, differences=tuple(_differences(original, board, outcome)))


class _Again(Steps):
    """The steps of a run, those that were decided already taken over from the original."""

    def __init__(self, session: Session, original: Original) -> None:
        super().__init__(session)
        self._original = original
        self.folder.splits.parent.mkdir(parents=True, exist_ok=True)
        for mine, theirs in (
            (self.folder.splits, original.folder.splits),
            (self.folder.vocabulary, original.folder.vocabulary),
        ):
            if theirs.is_file():
                shutil.copyfile(theirs, mine)

    @property
    def described(self) -> Profile | None:
        """The profile that the data must still have."""
        return self._original.profile

    @property
    def _is_described(self) -> bool:
        return True

    def split(self, dataset: Dataset, checked: Checked | None) -> Splits:
        """Take the original's split."""
        if not self.folder.splits.is_file():
            raise DataError(f"{self._original.folder.path} holds no split; it cannot be done again.")
        return load_splits(self.folder.splits)

    def take_over(self) -> Profile:
        """Write down what is known of the data."""
        profile = self._original.profile
        self.folder.save_facts(profile, self._original.history.findings)
        self.chronicle.record(DataDescribed(profile=profile))
        return profile

    def do_again(self, ready: Ready, profile: Profile) -> str:
        """Train every trial of the original that left something."""
        self.enter("searching", "again, as the journal tells")
        return Rerun(
            ground=self.ground(ready, profile),
            original=self._original.history,
            backend=self.backend,
            record=self.chronicle.record,
            cancelled=self.request.cancelled,
        ).run()

    def rank(self, profile: Profile) -> Ranking:
        """Rank anew; what is kept is what the original kept, which time or latency may have had a say in."""
        found = super().rank(profile)
        kept = self._original.history.bundle
        if kept is None or found.winner is None or any(not self._has(trial) for trial in kept.trials):
            return found
        ensemble = Ensemble(trials=kept.trials, weights=kept.weights, score=kept.score, gain_low=0.0)
        members = {trial: load_predictions(self.folder.trial(trial) / PREDICTIONS) for trial in kept.trials}
        return replace(found, winner=ensemble, predictions=blend(members, ensemble))

    def _has(self, trial: int) -> bool:
        return (self.folder.trial(trial) / PREDICTIONS).is_file()


def _differences(original: Original, board: Leaderboard, outcome: Outcome) -> list[str]:
    found = []
    again = outcome.ranking.board
    for one, other in zip(board.rows, again.rows, strict=False):
        for name in _ROW:
            if (was := getattr(one, name)) != (now := getattr(other, name)):
                found.append(f"row {one.rank or '-'}: {name} was {was} and is {now}")
    if len(board.rows) != len(again.rows):
        found.append(f"{len(board.rows)} rows were on the board, {len(again.rows)} are now")
    for row in board.rows:
        if row.rank is not None and row.trial in original.history.trials:
            files = [each.trial(row.trial) / PREDICTIONS for each in (original.folder, outcome.folder)]
            if all(each.is_file() for each in files):
                before, after = (load_predictions(each).outputs for each in files)
                if not np.array_equal(before, after):
                    found.append(f"trial {row.trial}: its validation predictions differ")
    return found
