from __future__ import annotations

from seedbed.core.data.schema import Schema


def test_what_one_leaves_open_comes_from_the_other() -> None:
    wanted = Schema(target="label", modality="text")
    known = Schema(target="class", inputs=("words",), kind="classification")
    found = wanted.over(known)
    assert (found.target, found.modality, found.inputs, found.kind) == ("label", "text", ("words",), "classification")


def test_columns_are_named_once() -> None:
    assert Schema(inputs=("a", "b"), target="c", group="b").columns == ("a", "b", "c")
