"""What a table is to be learnt for: its inputs, target and kind of task, each with the evidence; pure.

What the user says holds, then what the reader knows; the rest is decided by the facts of the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from seedbed.core.data.inference.evidence import MOST_SHOWN, input_findings, no_input, no_target, part_finding
from seedbed.core.data.inference.facts import ColumnFacts
from seedbed.core.data.inference.kinds import kind_of
from seedbed.core.data.inference.modality import NESTED, Inputs, Layout, as_asked, readings, readings_as
from seedbed.core.data.inference.roles import (
    Choice,
    could_be_target,
    hints,
    likely_target,
    named_target,
    part_column,
    part_of,
)
from seedbed.core.data.profile import Finding
from seedbed.core.data.schema import Schema
from seedbed.core.errors import DataError, UnknownName, UsageError
from seedbed.core.specs import Severity
from seedbed.core.task import TaskKind

Facts = Mapping[str, ColumnFacts]

_MOST_WIDE_CLASSES = 60  # classes in a first column of a table of numbers alone, as the UCR archive has them


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How a table is read: every role settled, `targets` the target columns, several where each is a label."""

    schema: Schema
    layout: Layout
    targets: tuple[str, ...] = ()
    separator: str = ""
    findings: tuple[Finding, ...] = ()


def merged(wanted: Schema, known: Schema) -> Schema:
    """Put what the user wants over what the reader knows; what no longer fits is dropped."""
    if wanted.target and wanted.target != known.target:
        kept = tuple(name for name in known.inputs if name != wanted.target)
        known = replace(known, kind=None, inputs=kept)
    if known.target in wanted.inputs:
        known = replace(known, target="", kind=None)
    if wanted.modality not in (None, known.modality):
        known = replace(known, inputs=(), layout="")
    if wanted.inputs and wanted.inputs != known.inputs:
        known = replace(known, modality=None, layout="")
    return wanted.over(known)


def target_names(target: str, columns: Iterable[str]) -> tuple[str, ...]:
    """Return the target columns that `--target` names: one, or several between commas."""
    if not target or target in set(columns):
        return (target,) if target else ()
    return tuple(name.strip() for name in target.split(",") if name.strip())


def check_names(wanted: Schema, columns: Sequence[str], *, need_target: bool) -> None:
    """See that every named column is there, and that none is both input and target.

    Raises:
        UnknownName: there is no such column.
        UsageError: a column is asked to be two things.
    """
    targets = target_names(wanted.target, columns)
    others = (*targets, wanted.part, wanted.group, wanted.order) if need_target else ()
    for name in (*wanted.inputs, *filter(None, others)):
        if name not in columns:
            raise UnknownName("column", name, columns)
    both = [name for name in targets if name in wanted.inputs]
    if both and need_target:
        raise UsageError(f"Column `{both[0]}` cannot be input and target; leave it out of --input or of --target.")


def infer(facts: Facts, wanted: Schema, source: str, *, need_target: bool) -> Reading:
    """Decide how a table is read; `wanted` has been checked against its columns.

    Raises:
        DataError: there is nothing in it that Seedbed learns from, or nothing to learn.
    """
    part = _part(facts, wanted) if need_target else ""
    set_apart = {part, wanted.group, wanted.order} if need_target else set()
    for name in (wanted.group, wanted.order) if need_target else ():
        _check_single(facts, name)
    free = [fact for fact in facts.values() if fact.name not in set_apart]
    asked = target_names(wanted.target, facts) if need_target else ()
    choice = None if asked or not need_target else named_target(f for f in free if f.name not in wanted.inputs)
    reserved = set(asked) | ({choice.name} if choice else set())
    if not need_target and wanted.target:
        reserved.add(wanted.target)
    inputs, others = _inputs([fact for fact in free if fact.name not in reserved], facts, wanted, source)
    findings = list(input_findings(inputs, others, facts, wanted))
    if part and not wanted.part:
        findings.append(part_finding(facts[part]))
    schema = replace(
        wanted,
        modality=inputs.modality,
        inputs=inputs.columns,
        layout=inputs.layout if inputs.layout in NESTED else "",
        part=part,
        group=wanted.group if need_target else "",
        order=wanted.order if need_target else "",
    )
    if not need_target:
        kind = wanted.kind or "classification"
        return Reading(schema=replace(schema, kind=kind), layout=inputs.layout, findings=tuple(findings))
    if not asked and choice is None:
        taken = set(inputs.columns)
        left = [fact for fact in free if fact.name and fact.name not in taken]
        choice = _several(left, wanted) or likely_target(left, last=list(facts)[-1])
        if choice is None and inputs.layout == "wide":
            inputs, choice = _target_in_run(inputs, facts)
            schema = replace(schema, inputs=inputs.columns)
        if choice is None:
            raise no_target(facts.values(), inputs.columns, source)
    targets = asked or target_names(choice.name if choice else "", facts)
    question = _question(facts, [facts[name] for name in targets], choice, wanted)
    used = {*inputs.columns, *targets, *set_apart}
    findings += [*question.findings, *hints(fact for fact in facts.values() if fact.name not in used)]
    return Reading(
        schema=replace(schema, target=",".join(targets), kind=question.kind),
        layout=inputs.layout,
        targets=targets,
        separator=question.separator,
        findings=tuple(findings),
    )


def _inputs(free: Sequence[ColumnFacts], facts: Facts, wanted: Schema, source: str) -> tuple[Inputs, Sequence[Inputs]]:
    """Return the inputs, and other ways to read the columns that are nearly as likely."""
    if wanted.inputs:
        found = [as_asked([facts[name] for name in wanted.inputs], wanted.modality)]
    elif wanted.modality is not None:
        found = readings_as(wanted.modality, free)
    else:
        found = sorted(readings(free), key=lambda each: each.is_weak)
    if not found:
        raise no_input(free, wanted, source)
    lost = facts[found[0].columns[0]].looks
    if found[0].modality == "image" and lost.images and not lost.at_folder:
        raise DataError(
            f"Column `{found[0].columns[0]}` of {source} names image files, such as {lost.examples[0]!r}, but none of "
            "them is there. Expected are paths seen from the folder of the table, or whole ones."
        )
    if wanted.layout and found[0].layout in NESTED:
        found[0] = replace(found[0], layout=wanted.layout)
    return found[0], found[1:]


def _part(facts: Facts, wanted: Schema) -> str:
    if not wanted.part:
        return part_column(facts.values())
    fact = facts[wanted.part]
    unknown = [value for value in fact.values if part_of(value) is None]
    if fact.form not in ("string", "empty") or fact.distinct > len(fact.values) or unknown:
        odd = f", such as {unknown[0]!r}" if unknown else ""
        raise DataError(
            f"Column {fact} does not say which part each row belongs to{odd}. Expected are train, valid and test, or "
            "nothing where it is open. Name another column with --part, or leave it out."
        )
    return wanted.part


def _check_single(facts: Facts, name: str) -> None:
    if name and facts[name].form in ("image", "numbers", "channels", "labels", "other"):
        raise DataError(
            f"Column {facts[name]} cannot group or order the rows; expected are single values: names, numbers or "
            "dates. Name another column with --group or --order."
        )


def _several(left: Sequence[ColumnFacts], wanted: Schema) -> Choice | None:
    """Return columns of yes and no, if many labels are asked for.

    It is done on request alone: such columns may as well say something of the input, and to learn them
    all unasked would be another question than the user's.
    """
    if wanted.kind != "multilabel" or any(fact.form == "labels" for fact in left):
        return None
    found = [fact.name for fact in left if fact.is_binary and fact.distinct]
    if len(found) < 2 or any("," in name for name in found):
        return None
    return Choice(name=",".join(found), why="as the columns of yes and no")


def _target_in_run(inputs: Inputs, facts: Facts) -> tuple[Inputs, Choice | None]:
    """Take the first or last column of a table of numbers alone as the class, if it is whole and the rest is not."""
    inner = [facts[name] for name in inputs.columns[1:-1]]
    if all(fact.is_whole for fact in inner):
        return inputs, None
    for name in (inputs.columns[0], inputs.columns[-1]):
        fact = facts[name]
        if fact.is_whole and could_be_target(fact) and fact.distinct <= _MOST_WIDE_CLASSES:
            kept = tuple(each for each in inputs.columns if each != name)
            others = (inputs.columns[-1],) if name == inputs.columns[0] else (inputs.columns[0],)
            return replace(inputs, columns=kept), Choice(
                name=name, why="as the one column of whole numbers", others=others
            )
    return inputs, None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Question:
    """The kind of task, what stands between the labels of a cell, and what is to be told."""

    kind: TaskKind
    separator: str = ""
    findings: tuple[Finding, ...] = ()


def _question(facts: Facts, targets: Sequence[ColumnFacts], choice: Choice | None, wanted: Schema) -> _Question:
    if len(targets) > 1:
        return _Question(kind="multilabel", findings=(_check_several(targets, choice, wanted),))
    fact = targets[0]
    found = kind_of(fact)
    if wanted.kind is not None:
        _check_kind(fact, wanted.kind)
        evidence = f"{found.evidence} → {wanted.kind}, as asked for"
        other = None
    else:
        evidence, other = f"{found.evidence} → {found.kind}", found.other
    kind = wanted.kind or found.kind
    separator = fact.looks.separator if kind == "multilabel" else ""
    if choice is None and wanted.kind is not None:
        return _Question(kind=kind, separator=separator)
    severity: Severity = "warning" if other or (choice and choice.others) else "info"
    remedies = []
    if other:
        remedies.append(f"If it is {other}, say --task {other}.")
    if choice:
        evidence += f"; taken for the target {choice.why}"
        rivals = " or ".join(f'--target "{name}"' for name in choice.others[:5])
        remedies.append(f"Or is it {rivals}?" if rivals else "If it is another column, name it with --target.")
        together = [name for name in (fact.name, *choice.others) if facts[name].is_binary and "," not in name]
        if len(together) > 1:
            remedies.append(f'Or is each of them a label of many: --target "{",".join(together)}"?')
    finding = Finding(
        check="intake",
        severity=severity,
        evidence=f"Column `{fact.name}`: {evidence}.",
        remedy=" ".join(remedies) or "If it is another kind of task, name it with --task.",
    )
    return _Question(kind=kind, separator=separator, findings=(finding,))


def _check_several(targets: Sequence[ColumnFacts], choice: Choice | None, wanted: Schema) -> Finding:
    if wanted.kind not in (None, "multilabel"):
        raise UsageError(f"--task {wanted.kind} learns one column, but --target names {len(targets)}; name one.")
    for fact in targets:
        if not fact.is_binary:
            raise DataError(
                f"Column {fact} cannot be one of several targets: each is a label, and holds yes or no as 1 or 0. "
                "Name columns of 0 and 1, or one target."
            )
    names = ", ".join(f"`{fact.name}`" for fact in targets[:MOST_SHOWN])
    why = choice.why if choice else "as asked for"
    return Finding(
        check="intake",
        severity="info",
        evidence=f"{len(targets)} columns of 0 and 1, {names} → multilabel, {why}.",
        remedy="If it is one of them alone, name it with --target.",
    )


def _check_kind(fact: ColumnFacts, kind: TaskKind) -> None:
    is_list = fact.form in ("labels", "numbers")
    if is_list and kind != "multilabel":
        raise DataError(f"Column {fact} cannot be learnt by {kind}: it holds lists. Say --task multilabel.")
    if fact.form == "float" and kind == "multilabel":
        raise DataError(f"Column {fact} cannot be learnt by multilabel: it holds numbers. Say --task regression.")
