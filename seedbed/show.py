"""What the command line prints: results as text and JSON. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedbed.core.space import Choice, Domain, Int, domains
from seedbed.core.specs import ArchitectureSpec, AugmenterSpec, MetricSpec, WeightsSpec
from seedbed.core.task import written

if TYPE_CHECKING:
    from seedbed.core.protocols import Owner
    from seedbed.core.results.leaderboard import Leaderboard, Row
    from seedbed.core.specs import Spec
    from seedbed.registry.registry import Row as PluginRow

_FINDINGS_SHOWN = 5
_METRICS_SHOWN = 5
# What says most comes first; averages of precision and recall, of which there are many, come last.
_FIRST = ("accuracy", "balanced_accuracy", "average_precision", "f1_macro", "roc_auc", "log_loss", "rmse", "mae", "r2")
_WITHOUT_RESULT = {"failed": "failed", "refused": "did not fit into memory"}
_PLAIN = str.maketrans({"·": "/", "…": "..."})


def readable(text: str, encoding: str | None) -> str:
    """Return `text` with what the encoding lacks replaced, so that writing it cannot fail."""
    encoding = encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text


def to_json(document: object) -> str:
    """Return one JSON document, ASCII only; floats that are not finite become null."""
    return json.dumps(_finite(document), indent=2, allow_nan=False, default=str)


def _finite(value: object) -> object:
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {str(key): _finite(each) for key, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case _:
            return value


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> str:
    """Align columns, those named in `right` to the right."""
    sizes = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
    lines = []
    for line in (header, *rows):
        cells = (
            cell.rjust(size) if name in right else cell.ljust(size)
            for name, cell, size in zip(header, line, sizes, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def ties(board: Leaderboard) -> str:
    """Say in words who shares the first place; empty where there is nobody to compare."""
    ranked = [row for row in board.rows if row.rank is not None]
    if len(ranked) < 2:
        return ""
    rows = f"{board.examples:,} validation rows" if board.examples else "the validation rows"
    names = [name(row) for row in ranked if row.tie_group == 1]
    if len(names) == 1:
        return f"{_capital(names[0])} is ahead of all others on {rows}, beyond chance."
    first = f"{', '.join(names[:-1])} and {names[-1]}"
    return f"Tied: {first} cannot be told apart on {rows}."


def name(row: Row) -> str:
    """Return what a row is called in a sentence."""
    return f"trial {row.trial}" if row.trial >= 0 else f"the {row.candidate}"


def number(value: float | None) -> str:
    """Return a score in four digits, a dash for none."""
    if value is None or not math.isfinite(value):
        return "-"
    return written(value)


def interval(row: Row) -> str:
    """Return a row's interval, empty for none."""
    return "" if row.low is None or row.high is None else f"{number(row.low)} to {number(row.high)}"


def run_summary(document: Mapping[str, Any], board: Leaderboard, forecast: Sequence[str] = ()) -> str:
    """Say what a run found, what more would bring, where it lies and what to type next.

    `document` is that of `fit --json`, `forecast` has its own lines.
    """
    lines = [*_findings(document["findings"]), _best(board), _kept(document["best"], board)]
    if document["test"]:
        lines.append(f"Test: {metrics(document['test'], board.metric)}")
        lines.append(_without_leaked(document.get("test_without_leaked"), board.metric))
    lines += [_beside_the_baseline(document, board), ties(board), *forecast]
    budget = document["budget_seconds"]
    spent = f"{document['seconds']:.1f} s" + (f" of {budget:g} s" if budget else "")
    lines.append(f"Run:  {document['run']} ({len(board.rows)} rows on its leaderboard, {spent})")
    if (billed := document.get("billed_seconds")) is not None:
        lines.append(f"Bill: {billed:,.0f} s of machines elsewhere")
    if board.best:
        lines.append(f"Next: seedbed predict {quoted(document['run'])} DATA")
    else:
        lines.append(f"Next: seedbed leaderboard {quoted(document['run'])}")
    return "\n".join(filter(None, lines))


def _beside_the_baseline(document: Mapping[str, Any], board: Leaderboard) -> str:
    """Say what is so where no candidate is better than a baseline; empty where one is, or where there is no model."""
    best, baseline = board.first("candidate"), board.first("baseline")
    if board.best is None or board.beats_baseline or baseline is None:
        return ""
    if best is None:
        return _without_candidates(document, board)
    if board.is_saturated:
        return (
            f"{_capital(name(best))} has the best possible {board.metric or 'score'}, {number(best.score)}, and so has "
            f"the baseline, {name(baseline)}: these rows leave nothing to gain."
        )
    sign, kept = 1.0 if board.direction == "max" else -1.0, document["best"] or {}
    if len(kept.get("trials", ())) > 1 and sign * kept["score"] > sign * round(baseline.score or 0.0, 6):
        return f"No trial alone beats the baseline, {name(baseline)}; what was kept, their average, does."
    alike = f"{name(best)} and {name(baseline)} score the same; " if best.score == baseline.score else ""
    return f"Nothing beats the baseline: {alike}more data, cleaner labels or more time may help."


def _without_candidates(document: Mapping[str, Any], board: Leaderboard) -> str:
    """Say why only a baseline could be kept."""
    tried = [row.status for row in board.rows if row.role == "candidate"]
    if not tried or not set(tried) <= _WITHOUT_RESULT.keys():
        return "No candidate came to a result, so the model is a baseline: more time may help."
    many = f"All {len(tried)} candidates" if len(tried) > 1 else "The only candidate"
    said = " or ".join(said for status, said in _WITHOUT_RESULT.items() if status in tried)
    return f"{many} {said}, so the model is a baseline; seedbed leaderboard {quoted(document['run'])} says why."


def _without_leaked(found: Mapping[str, Any] | None, metric: str) -> str:
    """Say what the test is worth without the rows that training has too; empty where there are none."""
    if not found:
        return ""
    if not found["metrics"]:
        return f"      All {found['leaked']:,} test rows have a duplicate in training: this test proves nothing."
    rows = f"without the {found['leaked']:,} test rows that have a duplicate in training"
    return f"      {metrics(found['metrics'], metric)} {rows}"


def _best(board: Leaderboard) -> str:
    best = board.best
    if best is None:
        return "There is no usable model."
    score = f"{board.metric or 'score'} {number(best.score)}"
    around = f" (95 % interval {interval(best)})" if interval(best) else ""
    rows = f" on {board.examples:,} validation rows" if board.examples else ""
    picked = number(best.corrected) not in ("-", number(best.score))
    less = f"; {number(best.corrected)} without the luck of having been picked" if picked else ""
    return f"Best: {name(best)}, {best.candidate}: {score}{around}{rows}{less}"


def _kept(best: Mapping[str, Any] | None, board: Leaderboard) -> str:
    """Say of which trials the saved model is made, where they are several, or another one than the first."""
    members = list(best.get("trials", ())) if best else []
    if best is None or not members:
        return ""
    score = f"{board.metric or 'score'} {number(best['score'])} on the same rows"
    if len(members) > 1:
        return f"Kept: trials {', '.join(map(str, members[:-1]))} and {members[-1]} averaged, {score}"
    row = next((each for each in board.rows if each.trial == members[0]), None)
    if row is None or board.best is None or row.trial == board.best.trial:
        return ""
    return f"Kept: {name(row)}, {row.candidate}: {score}; nothing better is known to be as fast as was asked for"


def _findings(found: Sequence[Mapping[str, Any]]) -> list[str]:
    serious = [each for each in found if each["severity"] != "info"]
    lines = [
        " ".join(filter(None, (f"{_capital(each['severity'])}: {each['evidence']}", each.get("remedy"))))
        for each in serious[:_FINDINGS_SHOWN]
    ]
    if len(serious) > _FINDINGS_SHOWN:
        lines.append(f"… and {len(serious) - _FINDINGS_SHOWN} more findings; --json shows all.")
    return lines


def metrics(values: Mapping[str, float], first: str = "") -> str:
    """Return the scores that say most in one line, the one that decides first, and how many more there are."""
    names = _by_weight(values, first)
    shown = ", ".join(f"{key} {number(values[key])}" for key in names[:_METRICS_SHOWN])
    more = len(names) - _METRICS_SHOWN
    return f"{shown} (--json has {more} more)" if more > 0 else shown


def _by_weight(values: Mapping[str, float], first: str = "") -> list[str]:
    order = {name: place for place, name in enumerate((first, *_FIRST))}
    return sorted(values, key=lambda name: (name != first, order.get(name, len(order)), name))


def evaluation(document: Mapping[str, Any], first: str = "") -> str:
    """Say what `evaluate` found, `first` what decided: in one line, or, where the scores are many, in a line each."""
    skipped = document.get("skipped", 0)
    left_out = f"; {skipped:,} left out, unreadable or of a class the model does not know" if skipped else ""
    values, rows = document["metrics"], f"{document['examples']:,} examples{left_out}"
    if len(values) <= _METRICS_SHOWN:
        return f"{metrics(values, first)} on {rows}"
    lines = [(name, number(values[name])) for name in _by_weight(values, first)]
    return f"On {rows}:\n{table(('metric', 'score'), lines, right=('score',))}"


def quoted(path: object) -> str:
    """Return a path as one types it, in quotes where it needs them."""
    text = str(path)
    return text if text and all(c.isalnum() or c in "/\\._-:~" for c in text) else f'"{text}"'


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def demo_next(run: Path, name: str) -> str:
    """Say what to try after a demo."""
    return "\n".join(
        (
            "",
            "What you can do with it, and then with your own images:",
            f"  seedbed leaderboard {quoted(run)}",
            f"  seedbed predict {quoted(run)} demo:{name} --proba",
            "  seedbed fit FOLDER --time 10m        one sub-folder of images for each class",
        )
    )


def plugin_rows(rows: Sequence[PluginRow]) -> list[dict[str, str]]:
    """Return the rows of `plugins list --json`."""
    return [
        {
            "kind": row.kind,
            "name": row.name,
            "owner": row.owner.name,
            "version": row.owner.version,
            "summary": row.summary,
            "status": row.status,
        }
        for row in rows
    ]


def plugin_table(rows: Sequence[PluginRow]) -> str:
    """Show who offers what; a line below points to why something is broken."""
    lines = [
        (row.kind, row.name, f"{row.owner.name} {row.owner.version}".rstrip(), row.status, row.summary) for row in rows
    ]
    text = table(("kind", "name", "owner", "status", "summary"), lines)
    if any(row.status in ("broken", "conflict") for row in rows):
        text += "\n\nSome plugins are left out: seedbed plugins list -v shows why."
    return text


def component(spec: Spec, owner: Owner) -> str:
    """Show everything a user can know about one component, its options with their domains included."""
    wanted = [
        f"{field.name.replace('_', ' ')} {_listed(getattr(spec.requires, field.name))}"
        for field in fields(spec.requires)
        if getattr(spec.requires, field.name)
    ]
    lines = [
        f"{spec.kind}:{spec.name}  {spec.summary}",
        "",
        f"owner     {owner.name} {owner.version}",
        f"version   {spec.version}",
        f"code      {spec.build}",
        f"aliases   {', '.join(spec.aliases) or 'none'}",
        f"requires  {'; '.join(wanted) or 'nothing'}",
        *_more(spec),
    ]
    options = [(key, json.dumps(default), _domain(domain)) for key, (domain, default) in domains(spec.options).items()]
    if not options:
        return "\n".join([*lines, "options   none"])
    return "\n".join([*lines, "", table(("option", "default", "domain"), options)])


def _more(spec: Spec) -> Iterator[str]:
    """Show what only some kinds have."""
    if isinstance(spec, ArchitectureSpec | AugmenterSpec):
        yield f"data      {', '.join(spec.modalities)}"
    if isinstance(spec, MetricSpec):
        yield f"scores    {', '.join(spec.tasks)}; {'more' if spec.direction == 'max' else 'less'} is better"
    if isinstance(spec, WeightsSpec):
        yield f"weights   of {spec.architecture}, from the {spec.source}; licence: {spec.licence}"
    if spec.on_request:
        yield f"offered   on request alone: --use {spec.kind}:{spec.name}, or --set"


def _listed(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _domain(domain: Domain) -> str:
    if isinstance(domain, Choice):
        return "one of " + ", ".join(json.dumps(option) for option in domain.options)
    extra = ", on a logarithmic scale" if domain.log else ""
    if isinstance(domain, Int) and domain.step != 1:
        extra = f", in steps of {domain.step}"
    return f"{domain.low:g} to {domain.high:g}{extra}"
