from __future__ import annotations

import io
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from seedbed.core.data.preparing import decode
from seedbed.core.data.preparing.measure import Original, choose_form, measure, white_of

LIMIT = 4 * 2**30


def original(width: int, height: int, *, is_one_size: bool = True, is_grey: bool = False) -> Original:
    return Original(
        sampled=10,
        min_side=min(width, height),
        median_side=min(width, height),
        max_side=max(width, height),
        width=width,
        height=height,
        is_one_size=is_one_size,
        is_grey=is_grey,
    )


@pytest.mark.parametrize(
    ("found", "form"),
    [
        (original(28, 28, is_grey=True), (28, 28, 1)),
        (original(64, 64), (64, 64, 3)),
        (original(250, 33), (33, 250, 3)),
        (original(640, 480), (256, 256, 3)),
        (original(100, 75, is_one_size=False), (72, 72, 3)),
        (original(5, 3, is_one_size=False), (8, 8, 3)),
    ],
)
def test_the_form_follows_the_images(found, form) -> None:
    chosen = choose_form(found, rows=1000, limit_bytes=LIMIT)
    assert (chosen.height, chosen.width, chosen.channels) == form


@given(
    width=st.integers(8, 3000),
    height=st.integers(8, 3000),
    rows=st.integers(1, 2_000_000),
    one=st.booleans(),
    grey=st.booleans(),
)
def test_the_array_stays_under_the_limit(width: int, height: int, rows: int, one: bool, grey: bool) -> None:
    limit = 2**30
    form = choose_form(original(width, height, is_one_size=one, is_grey=grey), rows, limit)
    assert rows * form.bytes <= limit or (form.height, form.width) == (8, 8)
    assert max(form.height, form.width) <= 256


def test_headers_tell_sizes_and_greyness(save) -> None:
    grey = [str(save(f"{n}.png", mode="L", size=(20 + n, 30))) for n in range(3)]
    found = measure(grey)
    assert (found.sampled, found.min_side, found.median_side, found.max_side) == (3, 20, 21, 30)
    assert found.is_grey
    assert not found.is_one_size
    assert not measure([*grey, str(save("colour.png", mode="RGB"))]).is_grey


def test_unreadable_files_do_not_count(save, tmp_path) -> None:
    (tmp_path / "text.png").write_text("no image")
    found = measure([str(tmp_path / "text.png"), str(tmp_path / "missing.png"), str(save("1.png"))])
    assert found.sampled == 1
    assert found.is_one_size
    assert measure([]) == Original()


@pytest.mark.parametrize(("peak", "white"), [(0, 65535), (1, 1), (0.7, 1), (255, 255), (3000, 4095), (65535, 65535)])
def test_white_is_the_end_of_the_bits_in_use(peak: float, white: float) -> None:
    assert white_of(peak) == white


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_not_waited_for(save, tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert measure([str(tmp_path / "pipe.png"), str(save("a.png", size=(9, 7)))]).sampled == 1


def test_the_white_of_a_large_deep_image_is_that_of_its_brightest_pixel(monkeypatch) -> None:
    monkeypatch.setattr(decode, "_TILE", 4)
    pixels = np.zeros((9, 11), np.uint16)
    pixels[8, 10] = 4000
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    assert measure([buffer.getvalue()]).white == 4095
