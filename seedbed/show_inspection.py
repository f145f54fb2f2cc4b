"""What `seedbed inspect` prints: the profile in a few lines, then the findings, the gravest first. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from seedbed.core.data.profile import Finding, Profile
from seedbed.core.data.schema import Schema
from seedbed.page import visible

_WIDTH = 100
_CLASSES_SHOWN = 12
_COLUMNS_SHOWN = 8
_INDENT = 11  # of the facts
_NOUNS = {"image": ("image", "images"), "text": ("text", "texts"), "series": ("series", "series")}


def inspection(source: str, schema: Schema, profile: Profile, findings: Sequence[Finding], seconds: float) -> str:
    """Say what the data is, how it is divided, and what is wrong with it."""
    lines = [*_profile(source, schema, profile), "", *_findings(findings)]
    grave = sum(each.severity == "error" for each in findings)
    warnings = sum(each.severity == "warning" for each in findings)
    counted = (
        f"{_some(grave, 'error')}, {_some(warnings, 'warning')}, {_some(len(findings) - grave - warnings, 'note')}"
    )
    return "\n".join([*lines, "", f"{counted} in {seconds:.1f} s"])


def _profile(source: str, schema: Schema, profile: Profile) -> Iterator[str]:
    task = profile.task
    what = {"classification": f"{len(task.classes):,} classes", "regression": "a value to predict"}
    kind = what.get(task.kind, f"{len(task.classes):,} labels, any number of them a row")
    one, many = _NOUNS[task.modality]
    yield f"{visible(source)}: {profile.examples:,} {one if profile.examples == 1 else many}, {kind}"
    if schema.inputs and schema.target:
        yield from _fact("columns", f"{_first(schema.inputs, _COLUMNS_SHOWN)} -> {schema.target}")
    parts = f"{profile.train:,} to train on, {profile.valid:,} to validate, {profile.test:,} to test"
    if profile.folds:
        learnt = profile.train + profile.valid
        parts = f"{learnt:,} to train on, judged over {profile.folds} folds, {profile.test:,} to test"
    yield from _fact("parts", parts)
    yield from _form(profile)
    if profile.class_counts:
        counts = sorted(zip(profile.class_counts, task.classes, strict=True), key=lambda each: -each[0])
        names = [f"{name} ({count:,})" for count, name in counts]
        yield from _fact("labels" if task.kind == "multilabel" else "classes", _first(names, _CLASSES_SHOWN))
    if task.kind == "regression":
        yield from _fact("target", f"mean {profile.target_mean:.4g}, standard deviation {profile.target_std:.4g}")


def _form(profile: Profile) -> Iterator[str]:
    if profile.task.modality == "image":
        colour = "grey" if profile.channels == 1 else "colour"
        yield from _fact("images", f"{profile.width} by {profile.height} pixels as prepared, {colour}")
    elif profile.lengths is not None:
        lengths, is_series = profile.lengths, profile.task.modality == "series"
        channels = f"{_some(profile.channels, 'channel')}, " if is_series else ""
        unit = "step" if is_series else "word"
        span = f"{lengths.least:,} to {lengths.longest:,} {unit}s, half of them up to {lengths.usual:,}"
        same = f"{_some(lengths.least, unit)} each"
        yield from _fact("lengths", channels + (same if lengths.least == lengths.longest else span))


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        yield "Nothing is wrong with it, as far as the checks can see."
    for each in findings:
        count = f" ({each.count:,})" if each.count else ""
        yield from _wrapped(f"{each.severity:<8} {each.check}{count}: {each.evidence}", "", 9)
        for line in filter(None, (each.remedy, each.repair)):
            yield from _wrapped(line, " " * 9, 9)


def _fact(name: str, told: str) -> list[str]:
    return _wrapped(told, f"  {name:<{_INDENT - 2}}", _INDENT)


def _wrapped(text: str, start: str, indent: int) -> list[str]:
    wrapper = textwrap.TextWrapper(_WIDTH, initial_indent=start, subsequent_indent=" " * indent)
    wrapper.break_long_words = wrapper.break_on_hyphens = False  # names of files stay whole, to be copied
    lines = wrapper.wrap(visible(text).replace(" %", "\u00a0%"))
    return [line.replace("\u00a0%", " %") for line in lines]


def _first(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _some(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
