from __future__ import annotations

import io
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seedbed import NoOptions
from seedbed.core.data.columns import column, origins
from seedbed.core.data.dataset import ReadContext
from seedbed.core.errors import DataError
from seedbed.plugins.readers import demo

CONTEXT = ReadContext(cache=Path("unused"))


@pytest.fixture(scope="module")
def digits():
    return demo.build(NoOptions()).read("demo:digits", CONTEXT)


def test_digits_are_grey_images_that_use_the_whole_range(digits) -> None:
    assert len(digits) == 1797
    images = [Image.open(io.BytesIO(each)) for each in origins(digits, slice(0, 50))]
    assert {(image.mode, image.size) for image in images} == {("L", (8, 8))}
    values = np.stack([np.asarray(image) for image in images])
    assert (values.min(), values.max()) == (0, 255)


def test_a_fifth_of_each_digit_is_for_testing(digits) -> None:
    parts, targets = column(digits, "part"), column(digits, "target")
    assert set(parts) == {"", "test"}
    everything = Counter(targets)
    tested = Counter(target for target, part in zip(targets, parts, strict=True) if part == "test")
    for label, count in everything.items():
        assert tested[label] == round(0.2 * count)


def test_the_test_rows_are_the_same_for_ever(digits) -> None:
    rows = [row for row, part in enumerate(column(digits, "part")) if part == "test"]
    assert (len(rows), rows[:5], sum(rows)) == (359, [3, 7, 13, 19, 36], 311827)


@pytest.mark.slow
def test_the_file_gives_what_scikit_learn_gives() -> None:
    from sklearn.datasets import load_digits

    pixels, labels = demo._load_digits()
    expected = load_digits()
    assert np.array_equal(pixels, expected.images)
    assert np.array_equal(labels, expected.target)


def test_scikit_learn_is_asked_where_the_file_has_moved(tmp_path, monkeypatch) -> None:
    expected = demo._load_digits()
    moved = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: moved)
    for found, known in zip(demo._load_digits(), expected, strict=True):
        assert np.array_equal(found, known)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install scikit-learn"):
        demo._load_digits()


def test_an_unknown_name_is_guessed_at() -> None:
    with pytest.raises(DataError, match="Did you mean 'digits'"):
        demo.build(NoOptions()).read("demo:digit", CONTEXT)


@pytest.mark.slow
def test_reading_imports_neither_scikit_learn_nor_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from seedbed import NoOptions;"
        "from seedbed.core.data.dataset import ReadContext; from seedbed.plugins.readers.demo import build;"
        "build(NoOptions()).read('demo:digits', ReadContext(cache=Path()));"
        "print({'sklearn', 'torch'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout.strip(), run.stderr) == ("set()", "")
