"""Which columns are the target, the parts, a group or a time: by their names and by what they hold; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from seedbed.core.data.dataset import Part
from seedbed.core.data.inference.facts import ColumnFacts
from seedbed.core.data.parts import PART_NAMES
from seedbed.core.data.profile import Finding

TARGETS = (
    "label", "labels", "target", "targets", "class", "classes", "y", "category", "categories", "sentiment", "emotion",
    "intent", "tags", "genres", "genre", "topic", "topics", "species", "diagnosis", "outcome", "activity", "rating",
    "stars", "score", "price", "value",
)  # fmt: skip
"""What people call the column to be learnt, the surest first."""

_PART_COLUMNS = frozenset({"split", "part", "partition", "fold", "subset", "set", "usage", "phase", "data_split"})
_IDS = frozenset({"id", "idx", "index", "uuid", "guid", "key", "row", "no", "nr", "number", "unnamed_0", "column_1"})
_GROUPS = frozenset(
    {"patient", "user", "speaker", "subject", "session", "author", "customer", "participant", "person", "device",
     "recording", "video", "scene", "group", "family", "writer", "site"}
)  # fmt: skip
_WORDS_OF_TEXT = 5
_MOST_NAMES = 20  # values that may be classes although half the rows differ
_ENDINGS = re.compile(r"(.+)_(label|target|class|category)|(label|target|class|category)_(.+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The column taken, why, and the others that were nearly as likely."""

    name: str
    why: str
    others: tuple[str, ...] = ()


def spelled(name: str) -> str:
    """Return a column's name in the one spelling that is compared: lower case, with underscores."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[\W_]+", "_", parted).strip("_").lower()


def is_id(fact: ColumnFacts) -> bool:
    """Whether a column tells rows apart and nothing else."""
    name = spelled(fact.name)
    named = name in _IDS or name.endswith("_id")
    if fact.form == "integer":
        counts_rows = fact.distinct == fact.rows > 2 and fact.most - fact.least + 1 == fact.rows
        return counts_rows or (named and fact.variety > 0.9)
    if fact.form == "string":
        return fact.looks.codes > 0.9 or (named and fact.variety > 0.9)
    return False


def could_be_target(fact: ColumnFacts, *, is_named: bool = False) -> bool:
    """Whether a column can be learnt; one with a telling name needs less."""
    if fact.form == "labels":
        return fact.longest > 0
    if fact.distinct < 2 or (is_id(fact) and not is_named):
        return False
    if fact.form != "string":
        return fact.form == "boolean" or fact.is_number
    looks = fact.looks
    if max(looks.images, looks.moments, looks.series, looks.codes) > 0.5:
        return False
    if is_named:
        return looks.words < _WORDS_OF_TEXT or fact.variety < 0.9
    if fact.distinct == fact.counted > 2:
        return looks.numeric == 1
    return fact.variety <= 0.5 or fact.distinct <= _MOST_NAMES


def named_target(facts: Iterable[ColumnFacts]) -> Choice | None:
    """Return the column whose name says that it is the target."""
    found = [(rank, fact.name) for fact in facts if (rank := _rank(fact.name)) and could_be_target(fact, is_named=True)]
    if not found:
        return None
    found.sort(key=lambda each: each[0])
    return Choice(name=found[0][1], why="by its name", others=tuple(name for _, name in found[1:]))


def _rank(name: str) -> int:
    name = spelled(name)
    if name in TARGETS:
        return 1 + TARGETS.index(name)
    return 1 + len(TARGETS) if _ENDINGS.fullmatch(name) and not name.endswith("_id") else 0


def likely_target(facts: Sequence[ColumnFacts], last: str) -> Choice | None:
    """Return the target of a table whose names say nothing: its last column, else the one of fewest values."""
    able = [fact for fact in facts if could_be_target(fact)]
    if not able:
        return None
    fewest = min(able, key=lambda fact: fact.distinct or 1)
    others = tuple(fact.name for fact in able if fact.name not in (fewest.name, last))
    if any(fact.name == last for fact in able):
        others = (() if fewest.name == last else (fewest.name,)) + others
        return Choice(name=last, why="as the last column", others=others)
    return Choice(name=fewest.name, why=f"as the column of fewest values ({fewest.shown_distinct})", others=others)


def part_column(facts: Iterable[ColumnFacts]) -> str:
    """Return the column that says which rows are for training and for test; empty if there is none."""
    for fact in facts:
        if spelled(fact.name) in _PART_COLUMNS and fact.form == "string" and 0 < fact.distinct == len(fact.values):
            parts = {part_of(value) for value in fact.values}
            if None not in parts and "train" in parts:
                return fact.name
    return ""


def part_of(value: str) -> Part | None:
    """Return the part that a value stands for: empty for an empty one, None for one that is not understood."""
    name = re.sub(r"[\W_]+", "", value).lower()
    return PART_NAMES.get(name) if value.strip() else ""


def hints(facts: Iterable[ColumnFacts]) -> Iterator[Finding]:
    """Mention columns that the user may want to split by."""
    for fact in facts:
        name = spelled(fact.name)
        recurs = fact.distinct > 1 and fact.variety < 0.9
        if recurs and (name in _GROUPS or name.removesuffix("_id") in _GROUPS or name.removesuffix("_name") in _GROUPS):
            yield Finding(
                check="intake",
                severity="info",
                evidence=f"Column `{fact.name}` ({fact.shown_distinct}) may name what rows have in common; "
                "a model that is tested on rows of whom it has learnt looks better than it is.",
                remedy=f'If rows of one are alike, keep them on one side of every split: --group "{fact.name}".',
            )
        if fact.form == "date" or (fact.form == "string" and fact.looks.moments > 0.9):
            yield Finding(
                check="intake",
                severity="info",
                evidence=f"Column `{fact.name}` holds dates or times.",
                remedy=f'If the model is to foretell what comes later, validate so: --order "{fact.name}".',
            )
