from __future__ import annotations

import io
import os
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seedbed.core.data.preparing import decode as decoding
from seedbed.core.data.preparing.decode import ImageForm, decode, quiet_pillow, read_encoded
from seedbed.core.errors import DataError


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def ramp(width: int, height: int, mode: str = "L") -> Image.Image:
    pixels = np.arange(width * height, dtype=np.uint32) * 255 // (width * height - 1)
    return Image.fromarray(pixels.astype(np.uint8).reshape(height, width)).convert(mode)


RGB8 = ImageForm(height=8, width=8, channels=3)
GREY8 = ImageForm(height=8, width=8, channels=1)


def test_an_image_of_the_right_form_keeps_every_pixel() -> None:
    image = ramp(8, 8)
    picture = decode(encoded(image), GREY8)
    assert picture.pixels.shape == (8, 8, 1)
    assert np.array_equal(picture.pixels[..., 0], np.asarray(image))
    assert not picture.was_colour
    assert not picture.was_resized


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (ramp(8, 8, "1"), "PNG"),
        (ramp(8, 8, "P"), "GIF"),
        (ramp(8, 8, "RGB").convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
        (ramp(8, 8, "RGB").convert("CMYK"), "JPEG"),
        (ramp(8, 8, "RGBA"), "PNG"),
        (ramp(8, 8, "LA"), "PNG"),
        (ramp(8, 8, "RGB"), "WEBP"),
        (ramp(8, 8, "RGB"), "BMP"),
        (ramp(8, 8, "RGB"), "TIFF"),
        (ramp(8, 8), "PPM"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.mode,
)
@pytest.mark.parametrize("form", [GREY8, RGB8], ids=["grey", "rgb"])
def test_every_mode_and_format_comes_out_close_to_what_it_shows(image: Image.Image, kind: str, form: ImageForm) -> None:
    pixels = decode(encoded(image, kind), form).pixels
    assert pixels.shape == (8, 8, form.channels)
    assert pixels.dtype == np.uint8
    shown = np.asarray(image.convert("L"), dtype=float)
    assert np.abs(pixels.mean(axis=2) - shown).mean() < 6  # JPEG and WEBP lose a little


def test_sixteen_bits_are_scaled_by_the_white_of_the_data() -> None:
    values = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    data = encoded(Image.fromarray(values))
    twelve = decode(data, ImageForm(height=8, width=8, channels=1, white=4095)).pixels
    assert twelve.min() == 0
    assert twelve.max() == 255
    assert len(np.unique(twelve)) == 64
    assert decode(data, GREY8).pixels.max() == round(4095 * 255 / 65535)


def test_transparency_is_laid_over_white() -> None:
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    assert (decode(encoded(clear), RGB8).pixels == 255).all()
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert np.abs(decode(encoded(half), RGB8).pixels.astype(int) - 127).max() <= 1


def test_a_transparent_palette_colour_is_laid_over_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 200, 200, 200])
    assert (decode(encoded(image, transparency=0), RGB8).pixels == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_the_orientation_in_the_exif_data_is_applied(kind: str) -> None:
    upright = Image.new("L", (8, 16), 0)
    upright.paste(255, (0, 0, 8, 8))  # the upper half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned: a viewer turns it by 90° clockwise
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    picture = decode(encoded(stored, kind, exif=exif), ImageForm(height=16, width=8, channels=1))
    assert np.abs(picture.pixels[..., 0].astype(int) - np.asarray(upright)).max() < 12
    assert not picture.was_resized


def test_broken_exif_data_does_not_spoil_the_pixels() -> None:
    data = encoded(ramp(8, 8, "RGB"), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")
    with quiet_pillow():
        assert decode(data, RGB8).pixels.shape == (8, 8, 3)


def test_another_size_is_squashed_to_the_form() -> None:
    image = Image.new("L", (40, 20), 0)
    image.paste(255, (20, 0, 40, 20))  # the right half is white
    picture = decode(encoded(image), GREY8)
    assert picture.was_resized
    assert picture.pixels[:, :3].max() < 10
    assert picture.pixels[:, 5:].min() > 245


def test_shrinking_is_antialiased() -> None:
    checker = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = decode(encoded(Image.fromarray(checker)), GREY8).pixels
    assert np.abs(pixels.astype(int) - 127).max() < 8


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("L", (8, 8), value) for value in (50, 200)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode(data, GREY8).pixels == 50).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
def test_a_truncated_file_is_never_taken_for_whole(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    form = ImageForm(height=32, width=32, channels=3)
    decode(data, form)
    for kept in (0.9, 0.5, 0.1):
        with quiet_pillow(), pytest.raises(DataError):
            decode(data[: int(len(data) * kept)], form)


def test_a_text_file_is_no_image() -> None:
    with pytest.raises(DataError, match="is no image \\(it begins with 'hello"):
        decode(b"hello, this is text", GREY8)


def test_a_program_is_not_run_for_an_eps_file() -> None:
    with pytest.raises(DataError, match="is no image"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", GREY8)


def test_a_decompression_bomb_is_refused() -> None:
    bomb = bytearray(encoded(Image.new("L", (1, 1))))
    bomb[16:24] = (50_000).to_bytes(4, "big") * 2  # the size in the header
    with pytest.raises(DataError):
        decode(bytes(bomb), GREY8)
    large = encoded(Image.new("1", (20_000, 10_000)))
    with pytest.raises(DataError, match="pixels"):
        decode(large, GREY8)


def test_no_warning_of_pillow_gets_out() -> None:
    large = encoded(Image.new("1", (10_000, 9_000)))  # large enough for a warning, not for an error
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_pillow():
            assert decode(large, GREY8).was_resized


def test_empty_and_missing_files_have_their_reason(tmp_path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match="is empty"):
        read_encoded(str(tmp_path / "empty.png"))
    with pytest.raises(DataError, match="No such file"):
        read_encoded(str(tmp_path / "missing.png"))


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_large_image_is_turned_as_a_small_one_would_be(monkeypatch, turn: int) -> None:
    pixels = np.zeros((60, 100, 3), dtype=np.uint8)
    pixels[:20, :30] = 255
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(Image.fromarray(pixels), exif=exif)
    whole = decode(data, RGB8)
    monkeypatch.setattr(decoding, "LARGE_PIXELS", 100)
    monkeypatch.setattr(decoding, "_TILE", 20)
    assert np.abs(decode(data, RGB8).pixels.astype(int) - whole.pixels).mean() < 1


@pytest.mark.parametrize("form", [RGB8, GREY8, ImageForm(height=5, width=11, channels=3, white=4095)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "I;16", "1"])
def test_a_large_image_comes_out_as_a_small_one_would(monkeypatch, mode: str, form: ImageForm) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (61, 103, 4), dtype=np.uint8)
    plain = Image.fromarray(pixels)
    image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 16) if mode == "I;16" else plain.convert("RGB")
    image = plain.convert(mode) if mode in ("RGBA", "LA") else image if mode == "I;16" else image.convert(mode)
    data = encoded(image)
    whole = decode(data, form)
    monkeypatch.setattr(decoding, "LARGE_PIXELS", 100)
    monkeypatch.setattr(decoding, "_TILE", 20)
    pieces = decode(data, form)
    assert pieces.pixels.shape == whole.pixels.shape
    assert np.abs(pieces.pixels.astype(int) - whole.pixels).mean() < 1.5
    assert (pieces.was_resized, pieces.was_colour, pieces.orientation) == (True, whole.was_colour, 1)


def test_large_images_are_decoded_one_at_a_time(monkeypatch) -> None:
    held = []
    large, small = encoded(ramp(30, 30)), encoded(ramp(5, 5))
    monkeypatch.setattr(decoding, "LARGE_PIXELS", 100)

    @contextmanager
    def alone():
        held.append(1)
        yield

    decode(small, GREY8, alone())
    assert not held
    decode(large, GREY8, alone())
    assert held


def test_what_only_looks_like_a_file_is_neither_waited_for_nor_read_for_ever(tmp_path) -> None:
    paths = [tmp_path]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        paths += [tmp_path / "pipe.png", Path("/dev/zero")]
    for path in paths:
        with pytest.raises(DataError, match=r"cannot be read: (it is a folder, a pipe or a device|Permission denied)"):
            read_encoded(str(path))


def test_a_file_larger_than_any_image_is_not_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(decoding, "MOST_FILE_BYTES", 99)
    (tmp_path / "a.png").write_bytes(bytes(100))
    with pytest.raises(DataError, match="has more than 99 bytes"):
        read_encoded(str(tmp_path / "a.png"))
