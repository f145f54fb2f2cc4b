"""Which kind of task a target column asks for, with the evidence; pure."""

from __future__ import annotations

from dataclasses import dataclass

from seedbed.core.data.inference.facts import ColumnFacts
from seedbed.core.data.inference.roles import spelled
from seedbed.core.errors import DataError
from seedbed.core.task import TaskKind

MOST_CLASSES = 20  # whole numbers of more values are amounts, unless each of them recurs often and they start at 0 or 1
CLOSE = (8, 100)  # so many whole numbers may be either
_AMOUNTS = frozenset({"rating", "stars", "score", "price", "value", "age", "count", "year", "amount", "grade", "rank"})
_RECURS = 10  # rows for each value


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """The kind of task, what it was seen by, and whether another was nearly as likely."""

    kind: TaskKind
    evidence: str
    other: TaskKind | None = None


def kind_of(fact: ColumnFacts) -> Kind:
    """Decide what a target column asks for.

    Raises:
        DataError: it holds nothing that can be learnt.
    """
    match fact.form:
        case "labels" | "numbers":
            return Kind(kind="multilabel", evidence=f"lists of {fact.shortest:,} to {fact.longest:,} labels")
        case "boolean":
            return Kind(kind="classification", evidence=fact.shown_distinct)
        case "integer":
            return _of_whole(fact)
        case "float" if fact.is_whole and fact.distinct <= MOST_CLASSES:
            return _of_whole(fact)
        case "float":
            other: TaskKind | None = "classification" if fact.distinct <= MOST_CLASSES else None
            return Kind(kind="regression", evidence=f"{fact.shown_distinct}, not all of them whole", other=other)
        case "string":
            return _of_strings(fact)
    raise DataError(
        f"Column {fact} cannot be a target: expected are names of classes, numbers or lists of labels. "
        "Name another column with --target."
    )


def _of_whole(fact: ColumnFacts) -> Kind:
    is_close = CLOSE[0] < fact.distinct <= CLOSE[1] or (fact.distinct > 2 and spelled(fact.name) in _AMOUNTS)
    evidence = f"{fact.shown_distinct}, whole numbers"
    if fact.distinct <= MOST_CLASSES or _are_codes(fact):
        return Kind(kind="classification", evidence=evidence, other="regression" if is_close else None)
    return Kind(kind="regression", evidence=evidence, other="classification" if is_close else None)


def _are_codes(fact: ColumnFacts) -> bool:
    """Whether many whole numbers are class numbers: all from 0 or 1 to the last, each of which recurs often."""
    is_complete = fact.least in (0, 1) and fact.most - fact.least + 1 == fact.distinct
    return is_complete and fact.variety * _RECURS <= 1 and spelled(fact.name) not in _AMOUNTS


def _of_strings(fact: ColumnFacts) -> Kind:
    separator = fact.looks.separator
    if separator:
        return Kind(
            kind="multilabel",
            evidence=f"{fact.shown_distinct}, made of labels that recur between {separator!r}",
            other="classification",
        )
    if fact.looks.numeric == 1 and fact.distinct > MOST_CLASSES:
        return Kind(
            kind="regression", evidence=f"{fact.shown_distinct}, numbers written as text", other="classification"
        )
    is_odd = fact.variety > 0.5 and fact.distinct > MOST_CLASSES
    return Kind(kind="classification", evidence=fact.shown_distinct, other="regression" if is_odd else None)
