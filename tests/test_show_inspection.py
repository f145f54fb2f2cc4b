from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.data.profile import Finding, Lengths, Profile
from seedbed.core.data.schema import Schema
from seedbed.core.task import Task
from seedbed.show_inspection import inspection


def profile(modality: str = "image", kind: str = "classification", classes=("cat", "dog"), **facts) -> Profile:
    task = Task(modality=modality, kind=kind, metric="", classes=classes)
    counts = tuple(range(10, 10 + len(classes)))
    return Profile(
        **{"task": task, "examples": 1234, "train": 1000, "valid": 200, "test": 34, "class_counts": counts} | facts
    )


IMAGES = profile(height=28, width=32, channels=1)


def finding(**facts) -> Finding:
    return Finding(**{"check": "some_check", "severity": "warning", "evidence": "Seen."} | facts)


def told(of: Profile = IMAGES, *findings: Finding, source: str = "photos", schema: Schema | None = None) -> str:
    return inspection(source, schema or Schema(), of, findings, 1.26)


def test_images_are_told_with_their_size_parts_and_classes() -> None:
    assert told().splitlines() == [
        "photos: 1,234 images, 2 classes",
        "  parts    1,000 to train on, 200 to validate, 34 to test",
        "  images   32 by 28 pixels as prepared, grey",
        "  classes  dog (11), cat (10)",
        "",
        "Nothing is wrong with it, as far as the checks can see.",
        "",
        "0 errors, 0 warnings, 0 notes in 1.3 s",
    ]


def test_colour_is_told_from_grey() -> None:
    assert "8 by 8 pixels as prepared, colour" in told(profile(height=8, width=8, channels=3))


def test_series_are_told_with_channels_and_steps() -> None:
    lengths = Lengths(least=5, usual=1200, most=3000, longest=4000)
    text = told(profile("series", channels=1, lengths=lengths), source="sensors.ts")
    assert "1,234 series, 2 classes" in text
    assert "  lengths  1 channel, 5 to 4,000 steps, half of them up to 1,200" in text


def test_equal_lengths_are_told_as_one() -> None:
    text = told(profile("series", channels=3, lengths=Lengths(least=96, usual=96, most=96, longest=96)))
    assert "  lengths  3 channels, 96 steps each" in text


def test_texts_are_told_in_words() -> None:
    text = told(profile("text", lengths=Lengths(least=0, usual=10, most=50, longest=90)))
    assert "1,234 texts" in text
    assert "  lengths  0 to 90 words, half of them up to 10" in text


def test_without_lengths_there_is_no_line_about_them() -> None:
    assert "lengths" not in told(profile("text"))
    assert not any(line.isspace() for line in told(profile("text")).splitlines())


def test_values_are_told_with_mean_and_deviation() -> None:
    text = told(profile("text", "regression", (), class_counts=(), target_mean=1234.567, target_std=0.001234))
    assert "1,234 texts, a value to predict" in text
    assert "  target   mean 1235, standard deviation 0.001234" in text
    assert "classes" not in text


def test_several_labels_are_called_labels() -> None:
    text = told(profile("text", "multilabel", ("war", "drama", "crime")))
    assert "3 labels, any number of them a row" in text
    assert "  labels   crime (12), drama (11), war (10)" in text


def test_of_many_classes_the_largest_are_named_and_the_others_counted() -> None:
    text = told(profile("text", classes=tuple(f"c{number}" for number in range(2000))))
    assert "2,000 classes" in text
    assert "c1999 (2,009), c1998 (2,008)" in text
    assert "and 1,988 more" in text
    assert "c1987" not in text


def test_columns_are_named_and_of_a_great_many_the_first() -> None:
    assert "  columns  title, body -> topic" in told(schema=Schema(inputs=("title", "body"), target="topic"))
    many = told(schema=Schema(inputs=tuple(f"t{step}" for step in range(2000)), target="y"))
    assert "  columns  t0, t1, t2, t3, t4, t5, t6, t7 and 1,992 more -> y" in many
    assert "columns" not in told(schema=Schema(modality="image"))


def test_a_finding_is_told_with_count_remedy_and_repair() -> None:
    found = finding(count=1234, evidence="A lot of it.", remedy="Mend it.", repair="proposed: leave it out")
    assert told(IMAGES, found).splitlines()[5:9] == [
        "warning  some_check (1,234): A lot of it.",
        "         Mend it.",
        "         proposed: leave it out",
        "",
    ]


def test_findings_stay_in_order_and_are_counted_by_severity() -> None:
    found = [finding(severity=severity) for severity in ("error", "warning", "warning", "info")]
    lines = told(IMAGES, *found).splitlines()
    assert [line.split()[0] for line in lines[5:9]] == ["error", "warning", "warning", "info"]
    assert lines[-1] == "1 error, 2 warnings, 1 note in 1.3 s"
    assert "Nothing is wrong" not in told(IMAGES, *found)


def test_long_findings_are_wrapped_below_themselves_and_names_of_files_stay_whole() -> None:
    file = "a-folder/" + "long-name-" * 12 + "1.png"
    lines = told(IMAGES, finding(evidence=f"word {'and word ' * 30} {file}.")).splitlines()[5:-2]
    assert len(lines) > 3
    assert all(line.startswith(" " * 9) for line in lines[1:])
    assert all(len(line) <= 100 for line in lines[:-1])
    assert lines[-1] == f"         {file}."


def test_a_percent_sign_stays_with_its_number() -> None:
    for words in range(1, 40):
        lines = told(IMAGES, finding(evidence=f"{'w ' * words} 95 %; {'w ' * 50}.")).splitlines()
        assert any("95 %;" in line for line in lines)


@pytest.mark.parametrize("name", ["a\nb.png", "a\tb.png", "a\x1b[31mb.png", "a\rb.png", "a\x00b.png", "a\udcffb.png"])
def test_names_with_control_characters_are_told_on_one_line_and_as_escapes(name) -> None:
    text = told(profile(classes=(name, "dog")), finding(evidence=f"{name} is odd."), source=name)
    escaped = name.encode("unicode_escape").decode()
    assert text.splitlines()[0] == f"{escaped}: 1,234 images, 2 classes"
    assert f"dog (11), {escaped} (10)" in text
    assert f"some_check: {escaped} is odd." in text


@given(st.text(st.characters(exclude_categories=[])), st.text(st.characters(exclude_categories=[])))
def test_whatever_is_told_can_be_written(name: str, evidence: str) -> None:
    text = told(profile(classes=(name, "dog")), finding(evidence=evidence, remedy=name), source=name)
    text.encode("utf-8")
    assert "\x1b" not in text
