"""Which columns a model is to see, and whether they are images, text or series; pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seedbed.core.data.inference.facts import SAMPLE, ColumnFacts
from seedbed.core.data.inference.roles import is_id
from seedbed.core.data.schema import NestedLayout
from seedbed.core.errors import DataError
from seedbed.core.task import Modality

Layout = Literal["image", "text", "lists", "channels", "steps_first", "cells", "wide"]
"""How the input lies in its columns. Of series: a list in each column is a channel (`lists`), one column holds lists
of channels or of steps (`channels`, `steps_first`) or text to be parsed (`cells`), each column is a step (`wide`)."""

NESTED: tuple[NestedLayout, ...] = ("channels", "steps_first")
"""Layouts of lists of lists; which of the two it is cannot be seen in a few rows."""

LEAST_STEPS = 8  # numbered columns that are taken for a series
_MOST = 0.9  # of the cells must look alike
_WORDS = 3
_CHARACTERS = 20
_MANY_STEPS = 4  # times more steps than values a step, where all rows are of one length
_MOST_WIDE = 64  # channels


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Input columns of one modality, how they lie, and what speaks for it; `is_weak` if little does."""

    modality: Modality
    columns: tuple[str, ...]
    layout: Layout
    evidence: str
    is_weak: bool = False


def readings(facts: Sequence[ColumnFacts]) -> list[Inputs]:
    """Return every way to read these columns as inputs, the likeliest first."""
    found = [_images(facts), _lists(facts), _cells(facts), _text(facts), _wide(facts)]
    able = [each for each in found if each is not None]
    if not able and (weak := _weak_text(facts)) is not None:
        able.append(weak)
    return able


def readings_as(modality: Modality, facts: Sequence[ColumnFacts]) -> list[Inputs]:
    """Return ways to read columns as what the user says they are, with less asked for than in a guess."""
    able = [each for each in readings(facts) if each.modality == modality]
    if able:
        return able
    strings = [fact for fact in facts if fact.form == "string" and fact.counted]
    if modality == "text" and strings:
        longest = max(strings, key=lambda fact: fact.looks.characters)
        return [as_asked((longest,), "text")]
    if modality == "image":
        files = [fact for fact in strings if fact.looks.images > 0]
        return [as_asked((fact,), "image") for fact in files[:1]]
    numbers = [fact for fact in facts if fact.is_number and not is_id(fact)]
    return [as_asked(numbers, "series")] if modality == "series" and len(numbers) > 1 else []


def as_asked(facts: Sequence[ColumnFacts], modality: Modality | None) -> Inputs:
    """Read the columns that the user named, as the modality that was named with them or as what they look like.

    Raises:
        DataError: they cannot be read so.
    """
    if modality is None:
        found = [each for each in readings(facts) if set(each.columns) == {fact.name for fact in facts}]
        modality = found[0].modality if found else _plainest(facts)
    layout = _layout(facts, modality)
    if layout is None:
        raise DataError(f"{_listed(facts)} cannot be read as {modality}. {_NEEDS[modality]}")
    return Inputs(modality=modality, columns=tuple(fact.name for fact in facts), layout=layout, evidence="as asked for")


_NEEDS: dict[Modality, str] = {
    "image": "Expected is one column of encoded images or of paths to image files; name it with --input.",
    "text": "Expected are columns of text or of single values; name them with --input.",
    "series": "Expected are columns of lists of numbers, one for each channel, or two columns of numbers or more, "
    "one for each step; name them with --input.",
}


def _plainest(facts: Sequence[ColumnFacts]) -> Modality:
    if all(fact.form in ("numbers", "channels") for fact in facts):
        return "series"
    if all(fact.is_number for fact in facts):
        return "series"
    return "image" if all(fact.form == "image" for fact in facts) else "text"


def _layout(facts: Sequence[ColumnFacts], modality: Modality) -> Layout | None:
    forms = {fact.form for fact in facts}
    if modality == "image":
        return "image" if len(facts) == 1 and forms <= {"image", "string"} else None
    if modality == "text":
        return "text" if forms <= {"string", "integer", "float", "boolean", "date", "empty"} else None
    if forms == {"channels"} and len(facts) == 1:
        return orientation(facts[0])
    layouts: tuple[tuple[bool, Layout], ...] = (
        (forms == {"numbers"}, "lists"),
        (forms == {"string"}, "cells"),
        (forms <= {"integer", "float"} and len(facts) > 1, "wide"),
    )
    return next((layout for fits, layout in layouts if fits), None)


def orientation(fact: ColumnFacts) -> Layout:
    """Say whether lists of lists are channels of steps, as is usual, or steps of a few values each.

    Steps vary in number from row to row, values a step do not. Where neither varies it takes many more
    outer than inner lists: a set of 12 channels and 10 steps is likelier than 12 steps of 10 channels.
    """
    if fact.widest != fact.narrowest or not 0 < fact.widest <= _MOST_WIDE:
        return "channels"
    varies = fact.shortest != fact.longest
    is_long = fact.longest > fact.widest if varies else fact.longest > _MANY_STEPS * fact.widest
    return "steps_first" if is_long else "channels"


def _images(facts: Sequence[ColumnFacts]) -> Inputs | None:
    for fact in facts:
        if fact.form == "image":
            return Inputs(modality="image", columns=(fact.name,), layout="image", evidence="encoded images")
    named = [fact for fact in facts if fact.form == "string" and fact.looks.images >= _MOST]
    if not named:
        return None
    best = max(named, key=lambda fact: fact.looks.at_folder)
    evidence = f"paths of image files, {best.looks.at_folder:.0%} of those sampled are there"
    return Inputs(
        modality="image",
        columns=(best.name,),
        layout="image",
        evidence=evidence,
        is_weak=best.looks.at_folder == 0,
    )


def _lists(facts: Sequence[ColumnFacts]) -> Inputs | None:
    nested = [fact for fact in facts if fact.form == "channels" and fact.longest]
    if nested:
        fact, layout = nested[0], orientation(nested[0])
        names = ("step", "channel") if layout == "steps_first" else ("channel", "step")
        outer, inner = _span(fact.shortest, fact.longest, names[0]), _span(fact.narrowest, fact.widest, names[1])
        return Inputs(
            modality="series", columns=(fact.name,), layout=layout, evidence=f"lists of lists, {outer} of {inner}"
        )
    flat = [fact for fact in facts if fact.form == "numbers" and fact.longest > 1]
    if not flat:
        return None
    spans = {_span(fact.shortest, fact.longest, "number") for fact in flat}
    told = f"lists of {' and '.join(sorted(spans))}, " + ("one channel each" if len(flat) > 1 else "one channel")
    return Inputs(modality="series", columns=tuple(fact.name for fact in flat), layout="lists", evidence=told)


def _cells(facts: Sequence[ColumnFacts]) -> Inputs | None:
    found = [fact for fact in facts if fact.form == "string" and fact.looks.series >= _MOST]
    if not found:
        return None
    evidence = f"lists of numbers written as text, such as {found[0].looks.examples[0]!r}"
    return Inputs(modality="series", columns=tuple(fact.name for fact in found), layout="cells", evidence=evidence)


def _text(facts: Sequence[ColumnFacts]) -> Inputs | None:
    found = [fact for fact in facts if _is_text(fact)]
    if not found:
        return None
    words = " and ".join(f"{fact.looks.words:.1f}" for fact in found)
    evidence = f"{words} words a cell on average ({min(SAMPLE, found[0].rows):,} rows sampled)"
    return Inputs(modality="text", columns=tuple(fact.name for fact in found), layout="text", evidence=evidence)


def _is_text(fact: ColumnFacts) -> bool:
    looks = fact.looks
    if not _is_prose(fact) or looks.separator:
        return False
    is_long = looks.words >= _WORDS or looks.characters >= _CHARACTERS
    return fact.variety > (0.2 if is_long else 0.5) and (is_long or looks.words >= 1.5)


def _is_prose(fact: ColumnFacts) -> bool:
    looks = fact.looks
    others = (looks.numeric, looks.moments, looks.codes, looks.series, looks.images)
    return fact.form == "string" and fact.counted > 0 and max(others) < 0.5 and not is_id(fact)


def _weak_text(facts: Sequence[ColumnFacts]) -> Inputs | None:
    """Return a column of many different words, as names are, in a table that has little else."""
    words = [fact for fact in facts if _is_prose(fact) and fact.variety > 0.5]
    numbers = [fact for fact in facts if fact.is_number and not is_id(fact)]
    if not words or len(numbers) > 1:
        return None
    best = max(words, key=lambda fact: (fact.looks.characters, fact.variety))
    evidence = f"single words, {best.shown_distinct}"
    return Inputs(modality="text", columns=(best.name,), layout="text", evidence=evidence, is_weak=True)


def _wide(facts: Sequence[ColumnFacts]) -> Inputs | None:
    runs = numbered_runs([fact.name for fact in facts if fact.is_number])
    if not runs:
        return None
    first, last = runs[0][0], runs[0][-1]
    told = f"{len(runs[0]):,} numbered columns from `{first}` to `{last}`"
    if len(runs) > 1:
        told = f"{len(runs)} channels of {told}, …"
    columns = tuple(name for run in runs for name in run)
    return Inputs(modality="series", columns=columns, layout="wide", evidence=f"{told}, one number a step")


def numbered_runs(names: Sequence[str]) -> list[list[str]]:
    """Return the longest runs of names that count up, `t0` … `t99`: several of one length are channels."""
    stems: dict[str, dict[int, str]] = defaultdict(dict)
    for name in names:
        if (found := re.fullmatch(r"(.*?)(\d{1,9})", name, re.DOTALL | re.ASCII)) is not None:
            stems[found[1]].setdefault(int(found[2]), name)
    runs = [[by_number[number] for number in sorted(by_number)] for by_number in stems.values() if _is_run(by_number)]
    most = max(map(len, runs), default=0)
    return [run for run in runs if len(run) == most]


def _is_run(by_number: dict[int, str]) -> bool:
    return len(by_number) >= LEAST_STEPS and max(by_number) - min(by_number) + 1 == len(by_number)


def channels_of(names: Sequence[str]) -> list[list[str]]:
    """Group the columns of a wide series by channel; columns that make no whole runs are one channel, in order."""
    runs = numbered_runs(names)
    return runs if sum(map(len, runs)) == len(names) else [list(names)]


def _span(least: int, most: int, noun: str) -> str:
    many = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return f"{many} {noun}" if most == 1 else f"{many} {noun}s"


def _listed(facts: Sequence[ColumnFacts]) -> str:
    shown = ", ".join(map(str, facts[:5])) + (" …" if len(facts) > 5 else "")
    return f"Column {shown}" if len(facts) == 1 else f"Columns {shown}"
