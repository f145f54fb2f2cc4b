"""What is said of how a table was read, and of one that cannot be; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from seedbed.core.data.inference.facts import ColumnFacts
from seedbed.core.data.inference.modality import Inputs
from seedbed.core.data.inference.roles import part_of
from seedbed.core.data.profile import Finding
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError

MOST_SHOWN = 12  # columns in a sentence


def no_input(free: Sequence[ColumnFacts], wanted: Schema, source: str) -> DataError:
    """Say what a table lacks that has nothing to learn from."""
    if wanted.modality is not None:
        return DataError(
            f"{source} has no column that can be read as {wanted.modality}; it has {listed(free)}. "
            "Name the column with --input, or another --modality."
        )
    return DataError(
        f"{source} is a table of numbers and categories: {listed(free)}. Seedbed learns from images, text and series; "
        "for tables of measurements use a tabular learner, such as gradient boosting. If the columns of numbers are "
        "the steps of a series, say --modality series, or --input and the name of each."
    )


def no_target(facts: Iterable[ColumnFacts], inputs: Sequence[str], source: str) -> DataError:
    """Say what a table lacks that has nothing to learn."""
    others = [fact for fact in facts if fact.name not in inputs]
    seen = f"beside its input it has {listed(others)}" if others else "it has no column but its input"
    return DataError(
        f"{source} has no column that could be the target: {seen}. Expected is a column of classes, numbers or lists "
        "of labels, with two different values or more; name it with --target."
    )


def listed(facts: Sequence[ColumnFacts]) -> str:
    """Name columns with their facts, the first dozen."""
    shown = ", ".join(str(fact) for fact in facts[:MOST_SHOWN])
    return f"{shown} and {len(facts) - MOST_SHOWN:,} more" if len(facts) > MOST_SHOWN else shown or "no columns"


def input_findings(
    inputs: Inputs, others: Sequence[Inputs], facts: Mapping[str, ColumnFacts], wanted: Schema
) -> Iterator[Finding]:
    """Tell which columns a model is to see, why, and what else they could have been."""
    named = _few([f"`{name}`" for name in inputs.columns])
    if not wanted.inputs:
        rivals = " or ".join(
            f"--modality {each.modality} --input {_few([_quoted(name) for name in each.columns])}" for each in others
        )
        remedy = f"If it is to be learnt from something else: {rivals or '--modality, or --input and a column'}."
        columns = "Column" if len(inputs.columns) == 1 else "Columns"
        yield Finding(
            check="intake",
            severity="warning" if others or inputs.is_weak else "info",
            evidence=f"{columns} {named}: {inputs.evidence} → {inputs.modality}.",
            remedy=remedy,
        )
    if inputs.modality == "text" and len(inputs.columns) > 1:
        yield Finding(
            check="intake",
            severity="info",
            evidence=f"Columns {named} are joined into one text, in this order, each on a line of its own.",
            remedy="To learn from one of them alone, name it with --input.",
        )
    fact = facts[inputs.columns[0]]
    if inputs.layout == "steps_first" or (inputs.layout == "channels" and fact.narrowest == fact.widest < fact.longest):
        is_turned = inputs.layout == "steps_first"
        yield Finding(
            check="intake",
            severity="warning",
            evidence=f"Column `{fact.name}`: each row has {fact.shortest:,} to {fact.longest:,} lists of "
            f"{fact.widest:,} numbers; they are read as {'steps' if is_turned else 'channels'}, "
            f"the numbers in them as {'channels' if is_turned else 'steps'}.",
            remedy="If it is the other way round, turn the lists over in the file.",
        )
    if inputs.layout == "wide" and fact.name.lower().startswith(("pixel", "px")):
        yield Finding(
            check="intake",
            severity="warning",
            evidence=f"Columns {named} look like the pixels of images; as columns they can only be read as series.",
            remedy="Save the images as files or as an .npz of shape (N, H, W), and learn from these.",
        )


def part_finding(fact: ColumnFacts) -> Finding:
    """Tell which part the values of a column were taken for."""
    means = ", ".join(f"{value!r} is {part_of(value)}" for value in sorted(fact.values))
    return Finding(
        check="intake",
        severity="info",
        evidence=f"Column `{fact.name}` says to which part each row belongs: {means}.",
        remedy="If it does not, rename it, or name another with --part.",
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{names[0]}, {names[1]}, … {names[-1]}"


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name or not name else name
