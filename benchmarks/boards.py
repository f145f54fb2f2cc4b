"""Whether the leaderboard can be believed: simulated boards of models whose true scores are known.

    python benchmarks/boards.py [--boards 50] [--seed 0] [--out FILE.md]

A board has 5 to 200 candidates and 100 to 2,000 validation rows, in equal numbers of boards. Whether a candidate is
right on a row depends on its skill, on how hard the row is for all, on how hard it is for the candidates of its family,
and on chance, so that errors are correlated as those of trained models are. How far skills lie apart differs from board
to board: they are all alike in a fifth of them. `rank` is asked as a run asks it; its answer is held against the scores
on 20,000 test rows of the same kind, and the candidate that is truly best against the one that came first.

`naive` is what one gets without a correction: the score of the first, and its own 95 % interval (Wilson 1927). Ends
with 1 where the test score of the truly best candidate lies in its interval on fewer than 90 % of the boards.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from components import machine

from seedbed.core.results.intervals import wilson
from seedbed.core.results.leaderboard import Entry, Row
from seedbed.core.results.ordering import rank
from seedbed.core.specs import NoOptions
from seedbed.core.training.predictions import Predictions
from seedbed.plugins.metrics.scores import accuracy

CANDIDATES = (5, 20, 50, 100, 200)
ROWS = (100, 200, 500, 1_000, 2_000)
SPREADS = (0.0, 0.05, 0.1, 0.25, 0.5)
"""The standard deviation of skills on the scale of the normal distribution: 0.1 is about two points of accuracy."""

TEST_ROWS = 20_000
WANTED = 0.9
_OF_ALL, _OF_FAMILY = 0.4, 0.3  # of the variance of what decides over right and wrong
_FAMILIES = 5


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A candidate's place on the board, next to its score on the test rows."""

    row: Row
    test: float
    naive: tuple[float, float]

    @property
    def is_covered(self) -> bool:
        """Whether the interval of the leaderboard holds the test score."""
        return (self.row.low or 0.0) <= self.test <= (self.row.high or 0.0)

    @property
    def is_covered_naively(self) -> bool:
        """Whether the score's own interval does."""
        return self.naive[0] <= self.test <= self.naive[1]


@dataclass(frozen=True, kw_only=True)
class Board:
    """One simulated board: the candidate that is truly best, and the one that came first."""

    candidates: int
    rows: int
    spread: float
    best: Judged
    kept: Judged


def simulated(candidates: int, rows: int, spread: float, seed: int) -> Board:
    """Draw a board and rank it."""
    rng = np.random.default_rng([seed, candidates, rows])
    skills = rng.normal(rng.uniform(0.3, 1.5), spread, candidates)
    # A few in every search are hopeless.
    skills -= np.where(rng.random(candidates) < 0.2, rng.exponential(3 * spread, candidates), 0.0)
    families = rng.integers(0, _FAMILIES, candidates)

    def right(count: int) -> np.ndarray:
        """Whether each candidate is right on each of so many new rows, (N, T)."""
        of_all = np.sqrt(_OF_ALL) * rng.normal(size=(count, 1))
        of_family = np.sqrt(_OF_FAMILY) * rng.normal(size=(count, _FAMILIES))[:, families]
        alone = np.sqrt(1 - _OF_ALL - _OF_FAMILY) * rng.normal(size=(count, candidates))
        found: np.ndarray = skills + of_all + of_family + alone > 0
        return found

    validation = right(rows)
    tests = np.concatenate([right(TEST_ROWS // 10) for _ in range(10)]).mean(axis=0)
    metric = accuracy(NoOptions())
    entries = [_entry(trial, validation[:, trial]) for trial in range(candidates)]
    ranked = {row.trial: row for row in rank(entries, metric, "max", seed=seed).rows}
    first = next(trial for trial, row in ranked.items() if row.rank == 1)
    # Of candidates that are all alike none is the best: then it is the first trial, which luck did not choose either.
    best = int(np.argmax(skills))

    def judged(trial: int) -> Judged:
        low, high = wilson(np.array([ranked[trial].score]), rows)
        return Judged(row=ranked[trial], test=float(tests[trial]), naive=(float(low[0]), float(high[0])))

    return Board(candidates=candidates, rows=rows, spread=spread, best=judged(best), kept=judged(first))


def _entry(trial: int, right: np.ndarray) -> Entry:
    outputs = np.where(right[:, None], [0.8, 0.2], [0.2, 0.8])
    predictions = Predictions(np.arange(len(right)), np.zeros(len(right), dtype=np.int64), outputs)
    return Entry(
        trial=trial, status="finished", role="candidate", label=str(trial), seconds=1.0, predictions=predictions
    )


def boards(count: int, seed: int) -> list[Board]:
    """Draw so many boards: all sizes in turn, and those of a size with one spread after another."""
    sizes = [(many, rows) for rows in ROWS for many in CANDIDATES]

    def drawn(number: int) -> Board:
        lap, place = divmod(number, len(sizes))
        spread = SPREADS[(lap + place + place // len(CANDIDATES)) % len(SPREADS)]
        return simulated(*sizes[place], spread, seed + number)

    return [drawn(number) for number in range(count)]


HEADER = """| boards | | test score of the best in its interval | naive | test score of the kept in its interval | naive | kept: score too good by | corrected | width of the interval | naive |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""  # noqa: E501 - Markdown knows no other way


def line(name: str, found: Sequence[Board]) -> str:
    """Return the line of some boards: shares of them, and means over them in points."""

    def share(holds: Callable[[Board], bool]) -> str:
        return f"{statistics.mean(map(holds, found)):.0%}"

    def points(of: Callable[[Board], float]) -> str:
        return f"{100 * statistics.mean(map(of, found)):.1f}"

    cells = (
        name,
        str(len(found)),
        share(lambda each: each.best.is_covered),
        share(lambda each: each.best.is_covered_naively),
        share(lambda each: each.kept.is_covered),
        share(lambda each: each.kept.is_covered_naively),
        points(lambda each: (each.kept.row.score or 0.0) - each.kept.test),
        points(lambda each: (each.kept.row.corrected or 0.0) - each.kept.test),
        points(lambda each: (each.kept.row.high or 0.0) - (each.kept.row.low or 0.0)),
        points(lambda each: each.kept.naive[1] - each.kept.naive[0]),
    )
    return f"| {' | '.join(cells)} |"


def lines(found: Sequence[Board]) -> list[str]:
    """Return the table: all boards, and those of each kind."""
    kinds = [("all", found)]
    kinds += [(f"{many} candidates", [each for each in found if each.candidates == many]) for many in CANDIDATES]
    kinds += [(f"{rows:,} rows", [each for each in found if each.rows == rows]) for rows in ROWS]
    kinds += [(f"spread {spread:g}", [each for each in found if each.spread == spread]) for spread in SPREADS]
    return [*HEADER.splitlines(), *(line(name, some) for name, some in kinds if some)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate as many boards as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="where the table goes, beside the screen")
    options = parser.parse_args(arguments)
    found = boards(options.boards, options.seed)
    text = "\n".join([f"{machine()}. Seed {options.seed}.", "", *lines(found)])
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    return 0 if statistics.mean(each.best.is_covered for each in found) >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
