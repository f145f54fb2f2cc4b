"""Every error Seedbed raises on purpose, and the exit codes they lead to.

    SeedbedError
    ├── UsageError            the request cannot be understood            exit 2
    │   └── UnknownName       no plugin, option or column has this name
    ├── DataError             the data cannot be used                     exit 3
    ├── PluginError           a plugin broke its contract or is missing   exit 4
    │   ├── BadSpec
    │   └── NameConflict
    ├── TrialError            one candidate failed; the others go on
    │   ├── Diverged
    │   ├── OutOfTime
    │   ├── TooLarge          it does not fit into memory, and is refused
    │   └── NothingGained     it came to nothing better, and is refused
    ├── DeploymentError       a model cannot be served where it was to    exit 6
    ├── NoCandidateSucceeded  every candidate failed                      exit 5
    └── Interrupted           the user stopped the run                    exit 130

Each message ends with a way out: what was given, what was expected, what to type.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the command line answers to the shell."""

    DONE = 0
    NOTHING_BEATS_THE_BASELINE = 1
    USAGE = 2
    BAD_DATA = 3
    PLUGIN = 4
    NO_CANDIDATE_SUCCEEDED = 5
    NOT_DEPLOYED = 6
    INTERRUPTED = 130


class SeedbedError(Exception):
    """Root of all deliberate errors; a bug is anything else."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


class UsageError(SeedbedError):
    """The request itself is wrong: an option, a value, a combination."""


class UnknownName(UsageError):
    """Nothing of this kind has this name."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        known = sorted(known)
        close = difflib.get_close_matches(name, known, n=1)
        guess = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known) or 'none'}."
        super().__init__(" ".join(filter(None, (f"No {kind} is named {name!r}.", guess, hint))))


class DataError(SeedbedError):
    """The data is missing, unreadable or not enough to learn from."""

    exit_code = ExitCode.BAD_DATA


class PluginError(SeedbedError):
    """A plugin is missing or broke its contract."""

    exit_code = ExitCode.PLUGIN


class BadSpec(PluginError):
    """A plugin declared something the engine cannot use."""


class NameConflict(PluginError):
    """Two plugins claim one name within a kind."""

    def __init__(self, kind: str, name: str, owners: tuple[str, str]) -> None:
        super().__init__(
            f"{owners[0]} and {owners[1]} both register the {kind} {name!r}. "
            f"Uninstall one of them, or list the plugins to load in SEEDBED_PLUGINS (empty: none)."
        )


class TrialError(SeedbedError):
    """One candidate cannot be trained; the study goes on without it."""


class Diverged(TrialError):
    """Training produced a loss or predictions that are not finite."""


class OutOfTime(TrialError):
    """A trial could not do what it had to within its time."""


class TooLarge(TrialError):
    """A candidate does not fit into the memory of this machine; it is refused, which is no failure."""


class NothingGained(TrialError):
    """A mean of models is no better than the best of them; it is refused, which is no failure."""


class DeploymentError(SeedbedError):
    """A model could not be deployed, asked or removed; the message says what is left behind."""

    exit_code = ExitCode.NOT_DEPLOYED


class NoCandidateSucceeded(SeedbedError):
    """Every candidate failed; the leaderboard holds the reasons."""

    exit_code = ExitCode.NO_CANDIDATE_SUCCEEDED


class Interrupted(SeedbedError):
    """The user stopped the run before there was anything to keep."""

    exit_code = ExitCode.INTERRUPTED
