"""The strategy as the study deals with it: a plugin, whose failure must not cost the run what it has."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from seedbed.core.data.profile import Finding
from seedbed.core.errors import SeedbedError
from seedbed.core.protocols import Backend, Strategy
from seedbed.core.search.candidate import Proposal
from seedbed.core.search.compose import Composition
from seedbed.core.search.events import Event, FindingMade
from seedbed.core.search.history import History, Trial

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Adviser:
    """Asks a strategy; one that fails or proposes what is no candidate has no more say, and the run goes on."""

    strategy: Strategy
    composition: Composition
    seed: int
    record: Callable[[Event], None]
    has_failed: bool = False

    def meet(self, backend: Backend) -> None:
        """Introduce the strategy to the backend, if it wants that.

        Raises:
            UsageError: they do not fit together.
        """
        meet = getattr(self.strategy, "meet", None)
        if meet is None:
            return
        try:
            meet(backend)
        except SeedbedError:
            raise
        except Exception as error:  # a strategy is a plugin
            self._give_up(error)

    def ask(self, known: History, number: int) -> Proposal | None:
        """Return what to try as trial `number`, with the versions of its components; None where there is nothing."""
        if self.has_failed:
            return None
        try:
            proposal = self.strategy.propose(known, random.Random(f"{self.seed}:{number}"))
            if proposal is None:
                return None
            self.composition.space.validate(proposal.candidate.values)
        except Exception as error:  # as above
            self._give_up(error)
            return None
        return replace(proposal, candidate=self.composition.candidate(proposal.candidate.values))

    def is_waiting(self) -> bool:
        """Whether the strategy may have something to propose later though nothing runs now."""
        waits = getattr(self.strategy, "waits", None)
        return waits is not None and not self.has_failed and bool(waits())

    def gives_up(self, trial: Trial, known: History) -> bool:
        """Whether a running trial is to be stopped; baselines are not the strategy's."""
        if trial.role != "candidate" or trial.is_finished or self.has_failed:
            return False
        try:
            return self.strategy.should_stop(trial, known)
        except Exception as error:  # as above
            self._give_up(error)
            return False

    def _give_up(self, error: Exception) -> None:
        self.has_failed = True
        log.error("The strategy failed.", exc_info=error)
        finding = Finding(
            check="strategy",
            severity="error",
            evidence=f"The strategy failed and proposes nothing more: {type(error).__name__}: {error}",
            remedy="Tell its author, or choose another with --strategy NAME; what was trained so far is kept.",
        )
        self.record(FindingMade(finding=finding))
