"""One encoded image → pixels of a fixed form; the same for preparation and for prediction."""

from __future__ import annotations

import errno
import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from seedbed.core.data.columns import Origin
from seedbed.core.errors import DataError

# The likeliest first. A closed list: other codecs of Pillow start programs (EPS runs Ghostscript).
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MOST_PIXELS = 178_956_970  # Pillow's own limit for a decompression bomb: 512 MiB of RGB

MOST_FILE_BYTES = 2**29  # so much the largest image takes that is not compressed at all
LARGE_PIXELS = 2**24  # 64 MiB of RGB, as Pillow holds it

_TILE = 2048  # pixels on a side
_GREY = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_DEEP = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N", "F"})
_ALPHA = frozenset({"RGBA", "RGBa", "LA", "PA"})
_ORIENTATION = 0x0112
_HOLDS_ORIENTATION = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageForm:
    """The form all images of a dataset are brought to: uint8 (height, width, channels).

    `white` is the value that becomes 255 in images of more than 8 bits a channel.
    """

    height: int
    width: int
    channels: int
    white: float = 65535.0

    @property
    def shorter(self) -> int:
        """The shorter side, in pixels."""
        return min(self.height, self.width)

    @property
    def bytes(self) -> int:
        """The size of one image."""
        return self.height * self.width * self.channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A decoded image: `pixels` uint8 (H, W, C), and what it was before.

    `width` and `height` are those of the file, in pixels, `orientation` that of its EXIF data, 1 to 8.
    """

    pixels: np.ndarray
    was_colour: bool
    was_resized: bool
    width: int
    height: int
    orientation: int


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's warnings about odd files to ourselves: what matters becomes a finding.

    Python's warning filters belong to the whole process, so this is held around a whole pass and not
    around each image.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL(\..*)?$")
        yield


def open_regular(path: str, flags: int) -> int:
    """Open a file; what only looks like one, as a pipe or a device, could be waited for or read from for ever.

    Raises:
        OSError: it cannot be opened, or is no file.
    """
    opened = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    raise OSError(errno.EINVAL, "it is a folder, a pipe or a device, and not a file")


def read_encoded(origin: Origin) -> bytes:
    """Return the encoded bytes.

    Raises:
        DataError: the file cannot be read, or is empty.
    """
    if isinstance(origin, str):
        try:
            with io.FileIO(origin, opener=open_regular) as file:  # a third faster than Path.read_bytes on small files
                if os.fstat(file.fileno()).st_size > MOST_FILE_BYTES:
                    raise DataError(f"has more than {MOST_FILE_BYTES:,} bytes")
                origin = file.readall()
        except (OSError, ValueError) as error:
            raise DataError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not origin:
        raise DataError("is empty")
    return origin


def decode(encoded: bytes, form: ImageForm, alone: AbstractContextManager[object] = nullcontext()) -> Picture:  # noqa: B008 - it holds nothing
    """Decode an image and bring it to `form`; a large one while `alone` is held, so that few are in memory at a time.

    The orientation of its EXIF data is applied, transparency is laid over white, of an animation the
    first frame is taken. An image of another size is squashed to the form rather than cropped: what
    tells the classes apart may be at the border, and nets shrug at a change of proportions (the usual
    random resized crops vary them by a third).

    Raises:
        DataError: with the reason, worded to follow the name of the file.
    """
    try:
        with (
            Image.open(io.BytesIO(encoded), formats=FORMATS) as image,
            alone if image.width * image.height > LARGE_PIXELS else nullcontext(),
        ):
            return _bring(image, form)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(_not_an_image(encoded)) from error
    except Image.DecompressionBombError as error:
        raise DataError(f"has more than {MOST_PIXELS:,} pixels") from error
    except Exception as error:  # a codec on a damaged file raises whatever it stumbles over
        raise DataError(f"is damaged or truncated ({error or type(error).__name__})") from error


def is_grey(image: Image.Image) -> bool:
    """Whether an image has no colour, judged by its mode or its palette."""
    if image.mode == "P":
        palette = np.array(image.getpalette() or [], dtype=np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GREY


def is_deep(image: Image.Image) -> bool:
    """Whether the image has more than 8 bits a channel."""
    return image.mode in _DEEP


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where there is none or it cannot be read."""
    if image.format != "TIFF" and _HOLDS_ORIENTATION.isdisjoint(image.info):
        return 1  # getexif() would cost as much as decoding a small image
    try:
        found = int(image.getexif().get(_ORIENTATION, 1))
        return found if found in _TRANSPOSE else 1  # some cameras write 0, some programs nonsense
    except Exception:  # broken EXIF is common and does not make the pixels bad
        return 1


def _bring(image: Image.Image, form: ImageForm) -> Picture:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise DataError(f"has {width * height:,} pixels, more than the {MOST_PIXELS:,} that are read")
    was_resized = (width, height) != (form.width, form.height)
    if was_resized and image.format in ("JPEG", "MPO"):
        side = 2 * max(form.width, form.height)
        image.draft(None, (side, side))  # decode large JPEGs at a fraction of their size
    image.load()
    turn = orientation(image)
    if image.width * image.height > LARGE_PIXELS:
        plain = _small(image, form, lies=turn >= 5)
        plain = plain.transpose(_TRANSPOSE[turn]) if turn in _TRANSPOSE else plain
    else:
        upright = image.transpose(_TRANSPOSE[turn]) if turn in _TRANSPOSE else image
        plain = _flat(upright, form)
        if plain.size != (form.width, form.height):
            plain = plain.resize((form.width, form.height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    pixels = np.asarray(plain).reshape(form.height, form.width, form.channels)
    was_resized = was_resized and (turn < 5 or (height, width) != (form.width, form.height))
    return Picture(
        pixels=pixels,
        was_colour=not is_grey(image),
        was_resized=was_resized,
        width=width,
        height=height,
        orientation=turn,
    )


def tiles(image: Image.Image, width: int = 1, height: int = 1) -> Iterator[tuple[int, int, Image.Image]]:
    """Yield a large image in pieces with their places (left, top), each a multiple of a width and a height."""
    across, down = max(_TILE // width, 1) * width, max(_TILE // height, 1) * height
    for top in range(0, image.height, down):
        for left in range(0, image.width, across):
            box = (left, top, min(left + across, image.width), min(top + down, image.height))
            yield left, top, image.crop(box)


def _small(image: Image.Image, form: ImageForm, *, lies: bool) -> Image.Image:
    """Return what `_flat` and resizing make of a large image, in pieces: each of their copies would be as large."""
    width, height = (form.height, form.width) if lies else (form.width, form.height)
    x, y = max(image.width // width // 2, 1), max(image.height // height // 2, 1)  # as reducing_gap=2.0 has it
    made = Image.new("L" if form.channels == 1 else "RGB", (-(-image.width // x), -(-image.height // y)))
    for left, top, tile in tiles(image, x, y):
        made.paste(_flat(tile, form).reduce((x, y)), (left // x, top // y))
    box = (0, 0, image.width / x, image.height / y)
    return made.resize((width, height), Image.Resampling.BICUBIC, box=box)


def _flat(image: Image.Image, form: ImageForm) -> Image.Image:
    """Return the image with 8 bits a channel, no transparency, and the form's channels."""
    mode = "L" if form.channels == 1 else "RGB"
    if image.mode in _DEEP:
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        image = Image.fromarray(np.clip(values * (255 / form.white) + 0.5, 0, 255).astype(np.uint8))
    elif image.mode in _ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def _not_an_image(encoded: bytes) -> str:
    start = encoded[:12].decode("ascii", "replace")
    seen = f"it begins with {start!r}" if start.isprintable() else "its content is of no known format"
    return f"is no image ({seen})"
