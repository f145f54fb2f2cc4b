"""The page of `inspect`: the profile, the classes, and the rows that the checks complain of, in one HTML file."""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.data.columns import row_names
from seedbed.core.data.prepared import PreparedImages, PreparedSeries
from seedbed.core.data.profile import Finding
from seedbed.core.data.targets import Targets, targets_of
from seedbed.core.intake import Examined

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "page.html"
_SIDE = 96  # pixels of a picture's longer side on the page
_SIGHTS = 24  # of a finding
_LOOKED_UP = 100  # names of a finding that may be rows
_OF_A_CLASS = 4
_CLASSES = 24
_COLUMNS = 8
_LETTERS = 240
_POINTS = 60  # of a line; each is drawn from its lowest to its highest value
_CHANNELS = 4
_BARS = 40
_LONGEST_SHOWN = 2_000  # characters; a class may be named by a whole text
_NUMBERED = re.compile(r"row (\d{1,18})")
_TURNS_AROUND = frozenset(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)  # the text after them runs leftwards


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """One row as the page shows it: a picture (`image` as a data address), lines (`paths` of an SVG), or text."""

    name: str
    target: str
    image: str = ""
    paths: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Complaint:
    """A finding with rows to look at; `more` are those it counts beyond them."""

    finding: Finding
    sights: tuple[Sight, ...]
    more: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A class: its name, its training rows, its share of the largest class in percent, and a few of them."""

    name: str
    count: int
    share: float
    sights: tuple[Sight, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """How values to be predicted lie: bars (heights in percent) from `low` to `high`, and rows in rising order."""

    bars: tuple[float, ...]
    low: float
    high: float
    sights: tuple[Sight, ...]


@cache
def _template() -> Template:
    """Return the template of the page, compiled once: that takes longer than filling it in."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"visible": visible, "number": "{:,}".format, "short": "{:.4g}".format}
    return environment.from_string((Path(__file__).parent / TEMPLATE).read_text(encoding="utf-8"))


def page(examined: Examined) -> str:
    """Return the page; it needs no network and no other file, and runs no script."""
    shown = _Rows(examined)
    findings, inputs = examined.findings, examined.dataset.schema.inputs
    counts = Counter[str](finding.severity for finding in findings)
    kinds = (("error", "error"), ("warning", "warning"), ("info", "note"))
    made = _template().render(
        dataset=examined.dataset,
        profile=examined.profile,
        complaints=list(shown.complaints(findings)),
        tally=[(kind, noun, counts[kind]) for kind, noun in kinds if counts[kind]],
        inputs=inputs[:_COLUMNS],
        more_inputs=max(len(inputs) - _COLUMNS, 0),
        samples=list(_samples(examined, shown)),
        spread=_spread(examined, shown),
        hidden=max(len(examined.profile.task.classes) - _CLASSES, 0),
    )
    return made.encode("utf-8", "backslashreplace").decode("utf-8")  # what no file can hold must not get this far


def visible(text: str) -> str:
    """Return a text with control characters, as the newline in a file's name, written as escapes; a long one cut."""
    text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]} …"
    return "".join(
        each.encode("unicode_escape").decode()
        if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") or each in _TURNS_AROUND
        else each
        for each in text
    )


def _samples(examined: Examined, shown: _Rows) -> Iterator[Sample]:
    profile, splits = examined.profile, examined.splits
    if profile.task.kind == "regression":
        return
    largest = max(profile.class_counts, default=0)
    order = np.argsort([-count for count in profile.class_counts], kind="stable")[:_CLASSES]
    targets = splits.targets[splits.train]
    for code in order.tolist():
        rows = splits.train[targets == code if profile.task.kind == "classification" else targets[:, code] > 0]
        count = profile.class_counts[code]
        yield Sample(
            name=profile.task.classes[code],
            count=count,
            share=100 * count / max(largest, 1),
            sights=shown.sights(_evenly(rows, _OF_A_CLASS)),
        )


def _spread(examined: Examined, shown: _Rows) -> Spread | None:
    splits = examined.splits
    if examined.profile.task.kind != "regression" or not len(splits.train):
        return None
    values = splits.targets[splits.train]
    counts, _ = np.histogram(values, _BARS if values.max() > values.min() else 1)
    rising = splits.train[np.argsort(values, kind="stable")]
    return Spread(
        bars=tuple((100 * counts / counts.max()).tolist()),
        low=float(values.min()),
        high=float(values.max()),
        sights=shown.sights(_evenly(rising, 2 * _OF_A_CLASS)),
    )


def _evenly(rows: np.ndarray, most: int) -> list[int]:
    """Return a few of the rows, from the first to the last."""
    chosen: list[int] = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)].tolist()
    return chosen


class _Rows:
    """Looks rows up by their names, and makes them visible."""

    def __init__(self, examined: Examined) -> None:
        self._dataset, self._prepared = examined.dataset, examined.prepared
        self._targets = examined.checked.targets
        self._usable = examined.prepared.usable()

    def complaints(self, findings: Sequence[Finding]) -> Iterator[Complaint]:
        """Return the findings with the first rows that each names, or rows of the classes it names."""
        wanted = [finding.rows[:_LOOKED_UP] for finding in findings]
        numbers = self._numbers({name for names in wanted for name in names})
        for finding, names in zip(findings, wanted, strict=True):
            rows = [numbers[name] for name in names if name in numbers]
            if rows:
                sights = self.sights(rows[:_SIGHTS])
                more = max(finding.count, len(finding.rows)) - len(sights)
                yield Complaint(finding=finding, sights=sights, more=more)
            else:
                yield Complaint(finding=finding, sights=self._of_classes(names))

    def sights(self, rows: Sequence[int], targets: Targets | None = None) -> tuple[Sight, ...]:
        """Make rows visible; those that could not be read show their names alone."""
        names = row_names(self._dataset, rows)
        told = targets or self._targets
        return tuple(self._sight(row, name, _told(told, row)) for row, name in zip(rows, names, strict=True))

    @cached_property
    def _as_read(self) -> Targets:
        """The targets before any repair, with the class names that findings go by."""
        return targets_of(self._dataset)

    def _of_classes(self, names: Sequence[str]) -> tuple[Sight, ...]:
        """Return a few rows of every class that is named."""
        if self._targets.kind != "classification" or not set(names) & set(self._as_read.classes):
            return ()
        codes = [self._as_read.classes.index(name) for name in names if name in self._as_read.classes]
        each = max(_SIGHTS // len(codes), 1)
        found = [np.flatnonzero(self._usable & (self._as_read.values == code)) for code in codes[:_SIGHTS]]
        rows = [row for members in found for row in _evenly(members, min(each, _OF_A_CLASS))]
        return self.sights(rows, self._as_read)

    def _numbers(self, names: set[str]) -> dict[str, int]:
        """Find rows by their names, in one pass over the paths: a list of all rows' names may not fit into memory."""
        numbered = {name: int(match[1]) for name in names if (match := _NUMBERED.fullmatch(name))}
        named = {name: row for name, row in numbered.items() if row < len(self._dataset)}
        if "image" in self._dataset.rows.column_names:
            named |= self._by_path(names)
        rows = list(named.values())
        true = dict(zip(rows, row_names(self._dataset, rows), strict=True))
        return {name: row for name, row in named.items() if true[row] == name}

    def _by_path(self, names: Iterable[str]) -> dict[str, int]:
        import pyarrow as pa
        import pyarrow.compute as pc

        base = Path(self._dataset.source).resolve()
        paths = {path: name for name in names if _is_text(name) for path in (name, str(base / name))}
        value_set = pa.array(list(paths), pa.string())
        found: dict[str, int] = {}
        view, step = self._dataset.rows.with_format("arrow", columns=["image"]), 8192
        for start in range(0, len(self._dataset), step):
            images = view[start : start + step].column("image")
            places = pc.index_in(pc.struct_field(images, "path"), value_set=value_set).fill_null(-1).to_numpy()
            for row in np.flatnonzero(places >= 0).tolist():
                found.setdefault(paths[value_set[int(places[row])].as_py()], start + row)
        return found

    def _sight(self, row: int, name: str, target: str) -> Sight:
        if not self._usable[row]:
            return Sight(name=name, target=target)
        if isinstance(self._prepared, PreparedImages):
            return Sight(name=name, target=target, image=_picture(self._prepared.images()[row]))
        if isinstance(self._prepared, PreparedSeries):
            offsets = self._prepared.offsets()
            values = self._prepared.values()[offsets[row] : offsets[row + 1], :_CHANNELS]
            lines = (_line(values[:, channel]) for channel in range(values.shape[1]))
            return Sight(name=name, target=target, paths=tuple(filter(None, lines)))
        cell = self._dataset.rows.with_format("arrow", columns=["text"])[row : row + 1].column("text")[0]
        text = str(cell.as_py() or "").strip()
        return Sight(name=name, target=target, text=text[:_LETTERS] + ("…" if len(text) > _LETTERS else ""))


def _told(targets: Targets, row: int) -> str:
    """Say what is to be learnt of a row."""
    value = targets.values[row]
    if targets.kind == "classification":
        return targets.classes[value] if value >= 0 else "no target"
    if targets.kind == "regression":
        return f"{value:.4g}" if np.isfinite(value) else "no target"
    return ", ".join(targets.classes[each] for each in np.flatnonzero(value)) or "no label"


def _is_text(name: str) -> bool:
    return not any(unicodedata.category(each) == "Cs" for each in name)


def _picture(pixels: np.ndarray) -> str:
    """Return pixels (H, W, C) as an address that holds a PNG."""
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.asarray(pixels))
    scale = _SIDE / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    # Small pictures are enlarged without smoothing: it is their pixels one wants to see.
    image = image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _line(values: np.ndarray) -> str:
    """Return one channel of a series (T,) as the path of an SVG of 120 by 40 units; gaps stay gaps."""
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return ""
    low, high = values[finite].min(), values[finite].max()
    # Between its lowest and its highest value, a piece is drawn whole: a spike of one step stays to be seen.
    edges = np.linspace(0, len(values), min(_POINTS, len(values)) + 1).astype(int)
    runs: list[list[str]] = [[]]
    for across, piece in zip(np.linspace(1, 119, len(edges) - 1), np.split(values, edges[1:-1]), strict=True):
        known = piece[np.isfinite(piece)]
        if not len(known):
            runs.append([])
            continue
        for height in dict.fromkeys((known[0], known.min(), known.max(), known[-1])):
            y = 38 - 36 * (height - low) / (high - low) if high > low else 20.0
            runs[-1].append(f"{across:.1f} {y:.1f}")
    # a point between gaps is drawn as a line of no length, which round ends make a dot
    return " ".join(f"M{' L'.join(run)}" + ("h0" if len(run) == 1 else "") for run in runs if run)
