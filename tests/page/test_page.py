from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from page_of import Read, finding, pictures

from seedbed.core.data.repair import Repair
from seedbed.page import page, visible


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
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown


def test_letters_of_any_script_and_emoji_stay_as_they_are() -> None:
    assert visible("Äpfel 日本 👩‍👩‍👧 ع") == "Äpfel 日本 👩‍👩‍👧 ع"
    assert visible("photo\u202egnp.exe") == "photo\\u202egnp.exe"
