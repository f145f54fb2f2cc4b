"""What a trial decided by the clock: written down as it happens, and read back when the trial is done again.

How many rows' features there is time for, which precision is fastest, when a fit must be content with what there is,
at which step the learning rate begins to fall faster: all else in a trial follows from its seed. So with these few
answers it can be done again to the last bit, on a machine that is busier or slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from seedbed.core.errors import TrialError
from seedbed.core.search.candidate import ENDED, Decision

V = TypeVar("V", str, int, float, bool)


class ScriptOver(TrialError):
    """The trial that is done again was ended here."""


def ended_after(looks: int) -> str:
    """Return how a script says that the trial was ended from outside, after so many looks."""
    return f"{ENDED}{looks}"


class Decisions:
    """Answers of the clock in the order in which they were asked for: new ones, or those of a script.

    Raises (from `decide`):
        ScriptOver: the script has no more answers.
        TrialError: its next answer is to another question; the code or the data are not what they were.
    """

    def __init__(self, script: Sequence[Decision] | None = None, memory: Sequence[Decision] = ()) -> None:
        """Answer by a script, or else by the clock, or by what it said when the trial was begun: its `memory`."""
        self._script = None if script is None else list(script)
        self._memory = list(memory)
        self._place = 0
        self._new: list[Decision] = []
        self.log: list[Decision] = []
        """All that was decided in the trial."""

    @property
    def untold(self) -> tuple[Decision, ...]:
        """What was decided since `taken` was called."""
        return tuple(self._new)

    def go_on(self, decided: Sequence[Decision], untold: Sequence[Decision]) -> None:
        """Go on where a trial was interrupted that had decided so much, and had not told some of it."""
        self.log, self._new = list(decided), list(untold)
        self._place = len(self.log)

    def _remembers(self, event: str) -> bool:
        return self._place < len(self._memory) and self._memory[self._place][0] == event

    @property
    def are_given(self) -> bool:
        """Whether they come from a script, and no clock is to be looked at."""
        return self._script is not None

    def decide(self, question: str, answer: Callable[[], V]) -> V:
        """Return the answer to a question, from the script or, where there is none, as it is now."""
        if self._script is None and self._remembers(question):
            return self._note(question, cast(V, self._memory[self._place][1]))
        if self._script is None:
            return self._note(question, answer())
        if self._place == len(self._script):
            raise ScriptOver("The trial was ended here.")
        asked, found = self._script[self._place]
        if asked != question:
            raise TrialError(
                f"This trial took another way than when it was recorded: {question!r} is asked where {asked!r} was. "
                "Replay it with the version of Seedbed, the plugins and the data that it was recorded with."
            )
        self._place += 1
        return self._note(question, cast(V, found))

    def has_happened(self, event: str, occurs: Callable[[], bool]) -> bool:
        """Whether something that seldom happens does so now; it is only written down if so."""
        if self._script is None and self._place < len(self._memory):
            return self._remembers(event) and self._note(event, True)
        if self._script is None:
            return occurs() and self._note(event, True)
        return self.given(event) is not None

    def given(self, event: str) -> str | int | float | bool | None:
        """Return what the script says of an event, None if it does not come next."""
        if self._script is None or self._place == len(self._script) or self._script[self._place][0] != event:
            return None
        self._place += 1
        self._new.append(found := self._script[self._place - 1])
        self.log.append(found)
        return found[1]

    def end_where_ended(self, looks: int) -> None:
        """Raise `ScriptOver` if the script says, as its last, that the trial was ended after so many looks."""
        if self._script and self._script[-1][0] == ended_after(looks):
            raise ScriptOver("The trial was ended here.")

    def note(self, event: str, value: str | int | float | bool) -> None:
        """Write down what happened."""
        if self._script is None:
            self._place += self._remembers(event)
        self._new.append((event, value))
        self.log.append((event, value))

    def _note(self, question: str, answer: V) -> V:
        self.note(question, answer)
        return answer

    def taken(self) -> tuple[Decision, ...]:
        """Return what was decided since the last call."""
        found, self._new = tuple(self._new), []
        return found
