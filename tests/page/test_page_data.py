from __future__ import annotations

import re
from dataclasses import replace

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_of import Read, finding, pictures

from seedbed.core.data.dataset import Dataset
from seedbed.page import _line, page

NAN = float("nan")


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
