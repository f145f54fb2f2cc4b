"""The steps of a run from an address to data that is understood, each of which journals what it did."""

from __future__ import annotations

from typing import cast

from seedbed.core.data.check import by_severity
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepared import Prepared
from seedbed.core.data.preparing.prepare_again import Ready
from seedbed.core.data.profile import Profile
from seedbed.core.data.repair import Checked
from seedbed.core.data.schema import Schema
from seedbed.core.data.splitting.split import Splits, load_splits, save_splits
from seedbed.core.errors import Interrupted, UsageError
from seedbed.core.intake import Intake
from seedbed.core.search.events import DataDescribed, FindingMade, StageEntered
from seedbed.core.session import Session


class Understanding:
    """Reads, checks, splits and describes the data of a run."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.request, self.settings = session.request, session.request.settings
        self.folder, self.place = session.folder, session.place
        self.backend, self.budget = session.backend, session.budget
        self.chronicle, self.history = session.chronicle, session.history
        self.network, self.lookup = session.network, session.lookup
        self.schema = Schema()
        self.intake = Intake(
            settings=self.settings,
            lookup=self.lookup,
            cache=session.request.cache,
            data=session.request.data,
            report=self.enter,
            cancelled=session.request.cancelled,
        )

    @property
    def described(self) -> Profile | None:
        """What the data was when it was described: a run that goes on must find it so."""
        return self.history.profile

    def enter(self, stage: str, detail: str = "") -> None:
        """Journal that the run moves on; raise Interrupted if it is to end and there is nothing to keep."""
        if self.request.cancelled() and not self.history.tally.scored:
            raise Interrupted("Stopped before the first model was trained; there is nothing to keep.")
        self.chronicle.record(StageEntered(stage=stage, detail=detail))

    def read(self) -> Dataset:
        """Find the reader for the address, let it read, and settle what is to be learnt."""
        dataset = self.intake.read()
        self.schema = dataset.schema
        return dataset

    def prepare(self, dataset: Dataset) -> Prepared:
        """Decode everything once; what an earlier run decoded is only opened."""
        prepared = self.intake.prepare(dataset)
        described = self.described
        if described is not None and described.fingerprint != prepared.fingerprint:
            raise UsageError(
                f"The data in {self.settings.source} has changed since this run began; "
                "scores would not be comparable. Begin another run in another --out."
            )
        return prepared

    def check(self, dataset: Dataset, prepared: Prepared) -> Checked | None:
        """Look for what is wrong, and repair what may be; a run that goes on has done so."""
        if self._is_described:
            return None
        return self.intake.check(dataset, prepared)

    def split(self, dataset: Dataset, checked: Checked | None) -> Splits:
        """Give every row its part; a run that goes on keeps its split."""
        if checked is None:
            return load_splits(self.folder.splits)
        splits = self.intake.split(dataset, checked)
        save_splits(splits, self.folder.splits)
        return splits

    @property
    def _is_described(self) -> bool:
        return self.history.profile is not None and self.folder.splits.is_file()

    def feed(self, dataset: Dataset, prepared: Prepared, splits: Splits) -> Ready:
        """Bring the rows into the form that models take; a vocabulary is learnt from the training part."""
        if not self._is_described:  # what an interrupted run left may be of other data
            self.folder.vocabulary.unlink(missing_ok=True)
        return self.intake.feed(dataset, prepared, splits, self.folder.vocabulary)

    def describe(self, dataset: Dataset, ready: Ready, checked: Checked | None, splits: Splits) -> Profile:
        """Measure the data and say what was found; a run that goes on has done so."""
        if checked is None:
            return cast(Profile, self.history.profile)
        profile = self.intake.describe(dataset, ready.prepared, checked, splits, ready.tokens)
        findings = by_severity((*checked.findings, *splits.findings))
        self.folder.save_facts(profile, findings)
        for finding in findings:
            self.chronicle.record(FindingMade(finding=finding))
        self.chronicle.record(DataDescribed(profile=profile))  # the last: a run that goes on takes it for a sign of all
        return profile
