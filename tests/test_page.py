from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from seedbed.core.data.columns import image_rows
from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepared import Prepared, PreparedImages, PreparedSeries, PreparedText
from seedbed.core.data.profile import Finding, Lengths, Profile
from seedbed.core.data.repair import Repair, repaired
from seedbed.core.data.schema import Schema
from seedbed.core.data.splitting.splits import Splits
from seedbed.core.data.targets import targets_of
from seedbed.core.intake import Examined
from seedbed.core.task import Task
from seedbed.page import _line, page, visible

NAN = float("nan")
VOID = {"meta", "img", "br", "path"}


class Read(HTMLParser):
    """A page as a browser has it: its elements with their attributes, and what stands in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def examined(dataset: Dataset, prepared: Prepared, found: Sequence[Finding | Repair] = (), **facts) -> Examined:
    """Data that was looked at, all of whose usable rows are for training."""
    checked = repaired(found, targets_of(dataset), prepared.usable() & targets_of(dataset).known(), "all")
    targets = checked.targets
    train = np.flatnonzero(checked.usable)
    nothing = np.empty(0, dtype=np.int64)
    splits = Splits(
        train=train,
        valid=nothing,
        test=nothing,
        targets=targets.values,
        classes=targets.classes,
        kind=dataset.kind,
    )
    task = Task(modality=dataset.modality, kind=dataset.kind, metric="", classes=targets.classes)
    counts = () if dataset.kind == "regression" else tuple(targets.counts(train).tolist())
    profile = Profile(
        task=task, examples=len(train), train=len(train), valid=0, test=0, class_counts=counts, channels=1, **facts
    )
    return Examined(dataset=dataset, prepared=prepared, checked=checked, splits=splits, profile=profile)


def finding(*rows: str, **facts) -> Finding:
    return Finding(**{"check": "some_check", "severity": "warning", "evidence": "Seen.", "rows": rows} | facts)


@pytest.fixture
def of_images(tmp_path):
    """Examine images (N, H, W, C) with these files, or none, and these classes."""

    def make(
        names: Sequence[str | None],
        found: Sequence[Finding | Repair] = (),
        targets: Sequence[str] | None = None,
        unreadable: Sequence[int] = (),
        channels: int = 1,
    ) -> Examined:
        pixels = np.random.default_rng(0).integers(0, 256, (len(names), 6, 8, channels), dtype=np.uint8)
        np.save(tmp_path / "images.npy", pixels)
        prepared = PreparedImages(
            folder=tmp_path,
            rows=len(names),
            fingerprint="",
            height=6,
            width=8,
            channels=channels,
            unreadable=tuple((row, "is empty") for row in unreadable),
        )
        encoded = [b"..." if name is None else str(tmp_path.resolve() / name) for name in names]
        targets = targets or [("cat", "dog")[row % 2] for row in range(len(names))]
        dataset = Dataset(
            rows=image_rows(encoded, targets, [""] * len(names)), modality="image", source=str(tmp_path), name="photos"
        )
        return examined(dataset, prepared, found, height=6, width=8)

    return make


@pytest.fixture
def of_texts(tmp_path):
    def make(
        texts: Sequence[str | None],
        targets: object,
        found: Sequence[Finding] = (),
        kind: str = "classification",
        columns: dict[str, object] | None = None,
        inputs: tuple[str, ...] = ("review",),
        source: str = "reviews.csv",
    ) -> Examined:
        np.save(tmp_path / "characters.npy", np.array([len((text or "").strip()) for text in texts], dtype=np.int32))
        rows = pa.table(
            {"text": pa.array(texts, pa.string()), "target": targets, "part": [""] * len(texts)} | (columns or {})
        )
        dataset = Dataset(
            rows=datasets.Dataset(rows),
            modality="text",
            kind=kind,
            source=source,
            name="reviews",
            schema=Schema(inputs=inputs, target="stars"),
        )
        lengths = Lengths(least=1, usual=1200, most=3000, longest=45_000)
        prepared = PreparedText(folder=tmp_path, rows=len(texts), fingerprint="")
        return examined(dataset, prepared, found, lengths=lengths)

    return make


@pytest.fixture
def of_series(tmp_path):
    def make(series: Sequence[Sequence], targets: object, found: Sequence[Finding] = (), **more) -> Examined:
        steps = [np.asarray(each, dtype=np.float32) for each in series]
        steps = [each[:, None] if each.ndim == 1 else each for each in steps]
        np.save(tmp_path / "values.npy", np.concatenate(steps))
        np.save(tmp_path / "offsets.npy", np.cumsum([0, *map(len, steps)]))
        prepared = PreparedSeries(folder=tmp_path, rows=len(steps), fingerprint="", channels=steps[0].shape[1])
        rows = pa.table({"series": [each.T.tolist() for each in steps], "target": targets, "part": [""] * len(steps)})
        dataset = Dataset(rows=datasets.Dataset(rows), modality="series", source="sensors.ts", name="sensors", **more)
        return examined(dataset, prepared, found, lengths=Lengths(least=2, usual=5, most=9, longest=10))

    return make


def pictures(html: str) -> list[Image.Image]:
    sources = [each["src"] or "" for each in Read(html).all("img")]
    assert all(each.startswith("data:image/png;base64,") for each in sources)
    return [Image.open(io.BytesIO(base64.b64decode(each.partition(",")[2]))) for each in sources]


def test_the_page_says_what_the_data_is(of_images) -> None:
    read = Read(page(of_images(["a.png", "b.png", "c.png"])))
    assert "3 rows that can be used: image classification" in read.text
    assert "3 to train on, 0 to validate, 0 to test" in read.text
    assert "8 by 6 pixels, grey" in read.text
    assert "photos: what is in the data" in read.text
    assert read.open == []


def test_data_without_findings_is_told_to_be_sound(of_images) -> None:
    read = Read(page(of_images(["a.png", "b.png"])))
    assert "Nothing is wrong with it" in read.text
    assert read.all("article") == []


def test_the_page_runs_no_script_and_needs_no_network(of_images) -> None:
    html = page(of_images(["a.png", "b.png"], [finding("a.png")]))
    read = Read(html)
    assert {tag for tag, _ in read.elements} & {"script", "link", "iframe", "object", "embed"} == set()
    assert not re.search(r"https?:|@import|url\(", html)
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)


def test_each_finding_is_shown_with_all_it_says(of_images) -> None:
    found = [
        finding(severity="info", evidence="A note.", count=0),
        finding(severity="error", evidence="A fault.", remedy="Mend it.", repair="done: left out", count=12_345),
    ]
    read = Read(page(of_images(["a.png", "b.png"], found)))
    assert [each["class"] for each in read.all("article")] == ["error", "info"]
    for said in ("A note.", "A fault.", "Mend it.", "Repair done: left out", "12,345", "1 error", "1 note"):
        assert said in read.text
    assert "warning" not in read.text


def test_rows_that_are_named_are_shown(of_images) -> None:
    html = page(of_images(["a.png", "sub/b.png", "c.png"], [finding("sub/b.png", "nowhere.png")], ["x", "y", "x"]))
    article = html[html.index("<article") : html.index("</article>")]
    (image,) = pictures(article)
    assert image.size == (96, 72)
    assert "sub/b.png" in Read(article).text
    assert "y" in Read(article).text


def test_rows_without_a_file_are_known_by_their_number(of_images) -> None:
    html = page(of_images([None, None, "c.png"], [finding("row 1", "row 7", "row 2")]))
    article = html[html.index("<article") : html.index("</article>")]
    assert len(pictures(article)) == 1
    assert "row 1" in Read(article).text
    assert "row 2" not in Read(article).text  # that one is called c.png


def test_the_pixels_are_those_of_the_row(of_images) -> None:
    given = of_images(["a.png", "b.png"], [finding("b.png")], channels=3)
    html = page(given)
    (image,) = pictures(html[html.index("<article") : html.index("</article>")])
    pixels = np.asarray(image.convert("RGB"))[::12, ::12]
    assert (pixels == given.prepared.images()[1]).all()


def test_a_row_that_cannot_be_read_has_no_picture(of_images) -> None:
    html = page(of_images(["a.png", "b.png", "c.png"], [finding("b.png")], ["x", "y", "y"], unreadable=[1]))
    read = Read(html[html.index("<article") : html.index("</article>")])
    assert read.all("img") == []
    assert "b.png" in read.text
    assert "nothing to show" in read.text


def test_of_many_rows_some_are_shown_and_the_others_counted(of_images) -> None:
    names = [f"{row}.png" for row in range(40)]
    html = page(of_images(names, [finding(*names, count=1234)]))
    article = html[html.index("<article") : html.index("</article>")]
    assert len(pictures(article)) == 24
    assert "and 1,210 more" in Read(article).text


def test_a_finding_about_no_rows_has_no_more_of_them(of_images) -> None:
    html = page(of_images(["a.png", "b.png"], [finding("some column", "another", count=2)]))
    assert " more" not in Read(html).text


def test_of_classes_that_are_named_rows_are_shown_under_the_names_they_came_with(of_images) -> None:
    merging = Repair(finding=finding("cat", "Cat"), action="merge", rename={"Cat": "cat"})
    names = [f"{row}.png" for row in range(9)]
    html = page(of_images(names, [merging], ["cat"] * 4 + ["Cat"] * 2 + ["dog"] * 3))
    article = Read(html[html.index("<article") : html.index("</article>")])
    assert len(article.all("img")) == 6
    assert re.findall(r"[cC]at(?=\d\.png)", article.text) == ["cat"] * 4 + ["Cat"] * 2
    assert len(re.findall(r"<td class=\"name\">", html)) == 2  # of training: as they are now


NASTY = "<script>alert(1)</script>&\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"


def test_markup_in_names_and_findings_is_text(of_images) -> None:
    file = NASTY.replace("/", "-") + ".png"
    found = [finding(file, evidence=NASTY, remedy=NASTY, repair=f"done: {NASTY}", check=NASTY)]
    html = page(of_images([file, "b.png"], found, [NASTY, "plain"]))
    read = Read(html)
    assert read.all("script") == []
    assert all((each["src"] or "").startswith("data:image/png") for each in read.all("img"))
    assert not any("onerror" in attributes for _, attributes in read.elements)
    assert read.text.count(NASTY) >= 6
    assert read.open == []


def test_markup_in_texts_columns_and_addresses_is_text(of_texts) -> None:
    html = page(of_texts([NASTY, "b", "c"], [NASTY, "x", "x"], [finding("row 0")], inputs=(NASTY,), source=NASTY))
    read = Read(html)
    assert read.all("script") == []
    assert read.all("img") == []
    assert read.text.count(NASTY) >= 5


def test_control_characters_in_names_are_shown_as_escapes(of_images) -> None:
    html = page(of_images(["a\nb\x1b[2J.png", "b.png"], [finding("a\nb\x1b[2J.png")], ["line\nbreak", "y"]))
    assert "a\\nb\\x1b[2J.png" in Read(html).text
    assert "line\\nbreak" in Read(html).text
    assert "\x1b" not in html


def test_a_page_can_be_written_whatever_the_names_hold(of_images) -> None:
    html = page(of_images(["a.png", "b.png"], [finding("\udcff.png", evidence="The file \udcff.png is odd.")]))
    html.encode("utf-8")
    assert "The file \\udcff.png is odd." in Read(html).text


@given(st.text(st.characters(exclude_categories=[])))
def test_what_is_visible_can_be_written_and_stays_on_one_line(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1 or "\u2028" in shown or "\u2029" in shown
    assert visible(shown) == shown


def test_letters_of_any_script_and_emoji_stay_as_they_are() -> None:
    assert visible("Äpfel 日本 👩‍👩‍👧 ع") == "Äpfel 日本 👩‍👩‍👧 ع"
    assert visible("photo\u202egnp.exe") == "photo\\u202egnp.exe"


def test_classes_come_with_the_largest_first_and_some_of_their_rows(of_images) -> None:
    names = [f"{row}.png" for row in range(12)]
    html = page(of_images(names, targets=["few"] * 3 + ["many"] * 9))
    table = html[html.index("<table") : html.index("</table>")]
    assert table.index("many") < table.index("few")
    assert len(pictures(table)) == 4 + 3
    assert re.findall(r"width: ([\d.]+)%", table) == ["100.0", "33.3"]


def test_of_very_many_classes_the_largest_are_shown(of_texts) -> None:
    targets = [f"class {row % 60}" for row in range(180)]
    html = page(of_texts(["a text"] * 180, targets))
    assert html.count('<td class="name">') == 24
    assert "and 36 more classes" in Read(html).text


def test_texts_are_shown_up_to_a_length(of_texts) -> None:
    read = Read(page(of_texts(["word " * 400, "short"], ["x", "y"], [finding("row 0", "row 1")])))
    assert len(read.all("blockquote")) == 2 + 2  # of the finding, and of the classes
    assert read.text.count("word word") == 2 * 240 // len("word word ")
    assert "…" in read.text
    assert "short" in read.text
    assert "1 to 45,000 words, half of them up to 1,200" in read.text
    assert "review → stars" in read.text


def test_an_empty_text_shows_its_name(of_texts) -> None:
    html = page(of_texts([None, " \n", "a", "b"], ["x", "y", "x", "y"], [finding("row 0", "row 1")]))
    article = Read(html[html.index("<article") : html.index("</article>")])
    assert article.all("blockquote") == []
    assert len(article.all("figure")) == 2
    assert "row 1" in article.text


def test_other_columns_are_left_alone(of_texts) -> None:
    given = of_texts(["a", "b"], ["x", "y"], [finding("row 0")], columns={"column:photo": [b"no image"] * 2})
    rows = given.dataset.rows.cast_column("column:photo", datasets.Image())
    broken = Dataset(rows=rows, modality="text", source="reviews.csv", name="reviews")
    with pytest.raises(Exception, match="identify"):
        rows[0]
    html = page(replace(given, dataset=broken))
    assert "row 0" in Read(html).text


def test_of_a_great_many_columns_the_first_are_named(of_texts) -> None:
    html = page(of_texts(["a", "b"], ["x", "y"], inputs=tuple(f"t{step}" for step in range(2000))))
    assert "t7 and 1,992 more → stars" in Read(html).text
    assert "t8" not in html


def test_values_are_shown_as_bars_and_rows_from_low_to_high(of_texts) -> None:
    values = [*range(50), None, 1000.0]
    html = page(of_texts(["a text"] * 52, values, [finding("row 50", "row 51")], kind="regression"))
    read = Read(html)
    heights = [float(found) for found in re.findall(r"height: ([\d.]+)%", html)]
    assert len(heights) == 40
    assert heights[0] == 100
    assert heights[-1] > 0
    assert heights[1:-1].count(0) > 30
    assert "no target" in read.text
    assert "1000" in read.text
    assert read.text.index("row 0") < read.text.rindex("row 51")
    assert read.all("table") == []


def test_equal_values_are_one_bar(of_texts) -> None:
    html = page(of_texts(["a", "b"], [3.0, 3.0], kind="regression"))
    assert re.findall(r"height: ([\d.]+)%", html) == ["100.0"]


def test_several_labels_are_told_with_the_rows_that_have_them(of_texts) -> None:
    labels = [["drama", "war"], ["drama"], [], ["comedy"]]
    html = page(of_texts(list("abcd"), labels, [finding("row 0", "row 2")], kind="multilabel"))
    read = Read(html)
    assert "text multi-label classification" in read.text
    assert "drama, war" in read.text
    assert "no label" in read.text
    assert html.count('<td class="name">') == 3
    assert "Labels in the training part" in read.text


def test_series_are_drawn_a_line_a_channel(of_series) -> None:
    ramp = np.stack([np.arange(10), -np.arange(10)], axis=1)
    html = page(of_series([ramp, ramp], ["x", "y"], [finding("row 1")]))
    read = Read(html)
    assert len(read.all("svg")) == 1 + 2
    assert len(read.all("path")) == 2 * 3
    assert "2 to 10 steps" in read.text


def test_a_series_without_a_single_value_shows_its_name(of_series) -> None:
    html = page(of_series([[NAN, NAN], [1, 2]], ["x", "y"], [finding("row 0")]))
    article = Read(html[html.index("<article") : html.index("</article>")])
    assert article.all("svg") == []
    assert "row 0" in article.text


def points(path: str) -> list[list[tuple[float, float]]]:
    runs = [run for run in path.replace("h0", "").split("M") if run]
    return [[tuple(map(float, point.split())) for point in run.split(" L")] for run in runs]


def test_a_line_goes_from_left_to_right_and_up_where_values_rise() -> None:
    (run,) = points(_line(np.arange(20.0)))
    xs, ys = zip(*run, strict=True)
    assert list(xs) == sorted(xs)
    assert list(ys) == sorted(ys, reverse=True)
    assert (xs[0], xs[-1], ys[0], ys[-1]) == (1, 119, 38, 2)


def test_a_gap_in_a_series_is_a_gap_in_the_line() -> None:
    assert len(points(_line(np.array([1, 2, NAN, NAN, 3, 4])))) == 2
    assert _line(np.array([1, NAN, 2, 3])).startswith("M1.0 38.0h0 M")


def test_infinite_values_are_no_part_of_the_line() -> None:
    assert points(_line(np.array([0, np.inf, 1]))) == [[(1, 38)], [(119, 2)]]
    assert _line(np.full(3, NAN)) == ""


def test_a_line_that_never_changes_lies_in_the_middle() -> None:
    assert {y for _, y in points(_line(np.full(200, 7.0)))[0]} == {20}


def test_a_spike_of_one_step_is_seen_in_a_long_series() -> None:
    values = np.zeros(100_000)
    values[12_345] = 1
    path = _line(values)
    assert min(y for run in points(path) for _, y in run) == 2
    assert len(path) < 5000


@given(st.lists(st.floats(width=32), min_size=1, max_size=300))
def test_a_line_stays_in_its_box(values: list[float]) -> None:
    path = _line(np.array(values, dtype=np.float32))
    assert bool(path) == bool(np.isfinite(values).any())
    for run in points(path):
        assert all(1 <= x <= 119 and 2 <= y <= 38 for x, y in run)
