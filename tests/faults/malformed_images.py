"""Malformed images among whole ones: damaged files, headers that lie, bombs, and what is no image."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from malformed import Case, files_case, flipped, truncated
from PIL import Image

FORMATS = {
    "png": ("PNG", "RGB"), "palette.png": ("PNG", "P"), "alpha.png": ("PNG", "RGBA"), "deep.png": ("PNG", "I;16"),
    "jpg": ("JPEG", "RGB"), "gif": ("GIF", "P"), "webp": ("WEBP", "RGB"), "bmp": ("BMP", "RGB"),
    "tif": ("TIFF", "RGB"), "lzw.tif": ("TIFF", "RGB"), "ppm": ("PPM", "RGB"), "pgm": ("PPM", "L"),
}  # fmt: skip
A_FOLDER = 40
HUGE = ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1), (1, 2**31 - 1), (0, 0), (0, 9), (13_377, 13_377))


def cases() -> Iterator[Case]:
    """Yield all cases."""
    for name, whole in pictures().items():
        cut = {f"cut at {end:04}.{name}": content for end, content in truncated(whole, 70)}
        changed = {f"changed {number:03}.{name}": content for number, content in flipped(whole, 50)}
        yield from in_folders(f"{name}/truncated", cut)
        yield from in_folders(f"{name}/flipped", changed)
    yield from in_folders("images/huge", huge_headers())
    yield from in_folders("images/no image", no_images())
    yield from in_folders("images/chunks", chunks())
    for name, content in bombs().items():
        yield from in_folders(f"images/bomb/{name}", {name: content})
    yield files_case("images/alone/all of them", {f"{folder}/{n}.png": b"\x89PNG" for folder in "ab" for n in range(9)})
    for suffix in ("png", "jpg", "gif", "webp", "bmp", "tif", "ppm"):
        files = {f"{folder}/{n}.{suffix}": b"" for folder in "ab" for n in range(3)}
        yield files_case(f"images/empty/{suffix}", files)


def in_folders(name: str, files: Mapping[str, bytes]) -> Iterator[Case]:
    """Yield cases of up to 40 files, dealt out to two classes of whole images."""
    items = list(files.items())
    for number, some in enumerate(batches(items)):
        dealt = {f"{'ab'[place % 2]}/{file}": content for place, (file, content) in enumerate(some)}
        yield files_case(f"{name}/{number}" if len(items) > A_FOLDER else name, {**good(), **dealt})


def batches(items: list[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Yield a folder's worth of files at a time."""
    for start in range(0, len(items), A_FOLDER):
        yield items[start : start + A_FOLDER]


def good() -> dict[str, bytes]:
    """Return whole images of two classes."""
    return {f"{'ab'[n % 2]}/good {n}.png": picture("PNG", "RGB", seed=n) for n in range(12)}


def pictures() -> dict[str, bytes]:
    """Return a whole image of each format."""
    return {name: picture(kind, mode, lzw=name.startswith("lzw")) for name, (kind, mode) in FORMATS.items()}


def picture(kind: str, mode: str, seed: int = 0, lzw: bool = False) -> bytes:
    """Return a small image of a format and mode."""
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 9, 4), dtype=np.uint8)
    if mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(pixels).convert("RGB" if mode == "P" else mode)
        image = image.quantize(16) if mode == "P" else image
    sink = io.BytesIO()
    options = {"compression": "tiff_lzw"} if lzw else {}
    image.save(sink, kind, **options)
    return sink.getvalue()


def chunk(kind: bytes, content: bytes, length: int | None = None, checksum: int | None = None) -> bytes:
    """Return a chunk of a PNG."""
    summed = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content) if length is None else length) + kind + content + struct.pack(">I", summed)


def png(
    width: int, height: int, *more: bytes, colour: int = 2, depth: int = 8, body: bytes = b"x\x9c\x03\0\0\0\0\1"
) -> bytes:
    """Return a PNG of a header that says what is asked for, further chunks, and a body."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def huge_headers() -> dict[str, bytes]:
    """Return images that say they are huge, and are not."""
    found = {}
    for width, height in HUGE:
        size = f"{width}x{height}"
        for colour in (0, 2, 3, 6):
            found[f"{size} {colour}.png"] = png(width, height, colour=colour)
        found[f"{size} deep.png"] = png(width, height, colour=0, depth=16)
        wide, high = width & 0xFFFF, height & 0xFFFF
        found[f"{size}.gif"] = b"GIF89a" + struct.pack("<HH", wide, high) + picture("GIF", "P")[10:]
        found[f"{size}.bmp"] = patched(
            picture("BMP", "RGB"), 18, struct.pack("<II", width & 0xFFFFFFFF, height & 0xFFFFFFFF)
        )
        found[f"{size} upside down.bmp"] = patched(
            picture("BMP", "RGB"), 18, struct.pack("<iI", 9, -height & 0xFFFFFFFF)
        )
        found[f"{size}.ppm"] = f"P6\n{width} {height}\n255\n".encode() + bytes(100)
        found[f"{size} plain.ppm"] = f"P3\n{width} {height}\n255\n1 2 3".encode()
        found[f"{size} deep.pgm"] = f"P5\n{width} {height}\n65535\n".encode() + bytes(100)
        found[f"{size}.tif"] = tiff({256: width, 257: height})
        jpeg = picture("JPEG", "RGB")
        found[f"{size}.jpg"] = patched(jpeg, jpeg.index(b"\xff\xc0") + 5, struct.pack(">HH", high, wide))
        webp = picture("WEBP", "RGB")
        found[f"{size}.webp"] = patched(
            webp, webp.index(b"\x9d\x01\x2a") + 3, struct.pack("<HH", wide & 0x3FFF, high & 0x3FFF)
        )
    return found


def patched(content: bytes, place: int, new: bytes) -> bytes:
    """Return a content with other bytes in a place."""
    return content[:place] + new + content[place + len(new) :]


def tiff(changes: Mapping[int, int]) -> bytes:
    """Return a TIFF in whose first directory some tags have other values."""
    content = bytearray(picture("TIFF", "RGB"))
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from("<HH", content, entry)
        if tag in changes:
            struct.pack_into("<HHII", content, entry, tag, 4 if kind == 3 else kind, 1, changes[tag] & 0xFFFFFFFF)
    return bytes(content)


def no_images() -> dict[str, bytes]:
    """Return what people and programs call images."""
    from malformed_tables import CSV

    return {
        "empty.png": b"",
        "one byte.jpg": b"\xff",
        "text.png": b"This is no image.\n",
        "a page of errors.jpg": b"<!DOCTYPE html><title>404 Not Found</title>",
        "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "runs ghostscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        "document.png": b"%PDF-1.7\n1 0 obj\n",
        "archive.png": b"PK\x03\x04" + bytes(60),
        "icon.png": b"\0\0\1\0\1\0" + bytes(60),
        "photoshop.png": b"8BPS\0\1" + bytes(60),
        "table.png": CSV.encode(),
        "pickle.png": b"\x80\x04\x95\x1a\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
        "nothing but zeros.tif": bytes(5000),
        "signature alone.png": b"\x89PNG\r\n\x1a\n",
        "signature alone.jpg": b"\xff\xd8\xff\xe0",
        "signature alone.gif": b"GIF89a",
        "signature alone.webp": b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        "signature alone.bmp": b"BM",
        "signature alone.tif": b"II*\0\x08\0\0\0",
        "signature alone.ppm": b"P6",
        "ppm of words.ppm": b"P6 nine seven 255\n" + bytes(200),
        "ppm of many digits.ppm": b"P6 " + b"9" * 100_000 + b" 7 255\n",
        "ppm with a comment without end.ppm": b"P6 #" + b"x" * 100_000,
        "ppm without white.pgm": b"P5 9 7 0\n" + bytes(63),
        "floats.pfm.ppm": b"Pf 9 7 -1e999\n" + bytes(252),
        "arbitrary.ppm": b"P7\nWIDTH 9\nHEIGHT 7\nDEPTH 99\nMAXVAL 255\nENDHDR\n" + bytes(99),
    }


def chunks() -> dict[str, bytes]:
    """Return images whose parts, other than the pixels, are odd."""
    exif = b"Exif\0\0II*\0\x08\0\0\0"
    whole = picture("PNG", "RGB")
    head, rest = whole[:33], whole[33:]
    turned = {n: exif + b"\x01\0" + struct.pack("<HHII", 0x0112, 3, 1, n) + bytes(4) for n in (0, 5, 8, 9, 65535)}
    jpeg = picture("JPEG", "RGB")
    found = {
        f"turned {n}.jpg": jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(e) + 2) + e + jpeg[2:]
        for n, e in turned.items()
    }
    found |= {f"turned {n}.png": head + chunk(b"eXIf", e[6:]) + rest for n, e in turned.items()}
    loop = bytearray(picture("TIFF", "RGB"))
    (start,) = struct.unpack_from("<I", loop, 4)
    (count,) = struct.unpack_from("<H", loop, start)
    struct.pack_into("<I", loop, start + 2 + 12 * count, start)
    return found | {
        "exif that is cut.jpg": jpeg[:2] + b"\xff\xe1\0\x10" + exif + jpeg[2:],
        "exif of 65535 entries.png": head + chunk(b"eXIf", exif[6:] + b"\xff\xff" + bytes(40)) + rest,
        "exif in a circle.png": head
        + chunk(b"eXIf", exif[6:] + b"\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0" + bytes(4))
        + rest,
        "a text that unpacks to 100 MB.png": head + chunk(b"zTXt", b"a\0\0" + packed(10**8)) + rest,
        "many texts that unpack to 1 MB.png": head + chunk(b"zTXt", b"a\0\0" + packed(10**6)) * 100 + rest,
        "a unicode text that unpacks to 100 MB.png": head + chunk(b"iTXt", b"a\0\1\0\0\0" + packed(10**8)) + rest,
        "a profile that unpacks to 100 MB.png": head + chunk(b"iCCP", b"a\0\0" + packed(10**8)) + rest,
        "a profile that is none.png": head + chunk(b"iCCP", b"a\0\0rubbish") + rest,
        "pixels that unpack to 100 MB.png": png(9, 7, body=packed(10**8)),
        "pixels that unpack to nothing.png": png(9, 7, body=b""),
        "a chunk of 2 GiB.png": head + chunk(b"tEXt", b"a\0b", length=2**31 - 1) + rest,
        "a chunk of 4 GiB.png": head + chunk(b"tEXt", b"a\0b", length=2**32 - 1) + rest,
        "a wrong checksum.png": head + chunk(b"tEXt", b"a\0b", checksum=1) + rest,
        "a chunk without a name.png": head + chunk(b"\0\0\0\0", b"") + rest,
        "a palette of 300 colours.png": png(9, 7, chunk(b"PLTE", bytes(900)), colour=3),
        "no palette.png": png(9, 7, colour=3),
        "half a colour.png": png(9, 7, chunk(b"PLTE", bytes(4)), colour=3),
        "transparency of 300 colours.png": png(9, 7, chunk(b"PLTE", bytes(48)), chunk(b"tRNS", bytes(300)), colour=3),
        "transparency of nothing.png": png(9, 7, chunk(b"tRNS", b""), colour=2),
        "a depth that there is not.png": png(9, 7, depth=7),
        "a colour that there is not.png": png(9, 7, colour=5),
        "an animation of 2**31 frames.png": head + chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)) + rest,
        "an animation of no frames.png": head + chunk(b"acTL", struct.pack(">II", 0, 0)) + rest,
        "two headers.png": head + head[8:] + rest,
        "no header.png": whole[:8] + rest,
        "directories in a circle.tif": bytes(loop),
        "a directory at the end.tif": patched(bytes(loop), 4, struct.pack("<I", 2**32 - 1)),
        "strips beyond the file.tif": tiff({273: 2**32 - 1}),
        "strips of 4 GiB.tif": tiff({279: 2**32 - 1}),
        "strips of no rows.tif": tiff({278: 0}),
        "99 samples.tif": tiff({277: 99}),
        "a compression that there is not.tif": tiff({259: 34712}),
        "a colour space that there is not.tif": tiff({262: 9}),
        "frames without end.gif": picture("GIF", "P")[:-1] * 200,
        "no colours.gif": patched(picture("GIF", "P"), 10, b"\0"),
        "a compression that there is not.bmp": patched(picture("BMP", "RGB"), 30, struct.pack("<I", 4)),
        "colours beyond the file.bmp": patched(picture("BMP", "RGB"), 46, struct.pack("<I", 2**31 - 1)),
        "a header of 4 GiB.bmp": patched(picture("BMP", "RGB"), 14, struct.pack("<I", 2**32 - 1)),
        "pixels beyond the file.bmp": patched(picture("BMP", "RGB"), 10, struct.pack("<I", 2**32 - 1)),
        "a size of 4 GiB.webp": patched(picture("WEBP", "RGB"), 4, struct.pack("<I", 2**32 - 1)),
        "profile in 255 parts.jpg": jpeg[:2] + b"\xff\xe2\0\x12ICC_PROFILE\0\xff\xff12" * 255 + jpeg[2:],
        "restarts.jpg": jpeg[:2] + b"\xff\xdd\0\4\xff\xff" + jpeg[2:],
        "no tables.jpg": jpeg.replace(b"\xff\xdb", b"\xff\xfe"),
        "arithmetic.jpg": jpeg.replace(b"\xff\xc0", b"\xff\xc9"),
        "lossless.jpg": jpeg.replace(b"\xff\xc0", b"\xff\xc3"),
        "twelve bits.jpg": patched(jpeg, jpeg.index(b"\xff\xc0") + 4, b"\x0c"),
        "pictures in pictures.jpg": jpeg[:2] + b"\xff\xe2\0\x58MPF\0II*\0\x08\0\0\0" + bytes(76) + jpeg[2:],
    }


def packed(size: int) -> bytes:
    """Return zlib data that unpacks to so many zeros."""
    times, rest = divmod(size, 2**20)
    packer = zlib.compressobj(wbits=-15)  # a block that stands for itself can be repeated: packing 700 MB takes 5 s
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = packer.compress(bytes(rest)) + packer.flush()
    checksum = (size % 65521 << 16) | 1  # Adler-32 of zeros
    return b"x\x9c" + block * times + last + struct.pack(">I", checksum)


def bombs() -> dict[str, bytes]:
    """Return small files of whole images that are as large as is still read."""
    sizes = {"grey.png": (0, 1, 13_000), "colour.png": (2, 3, 13_000), "alpha.png": (6, 4, 13_000)}
    return {
        name: png(side, side, colour=colour, body=packed((side * depth + 1) * side))
        for name, (colour, depth, side) in sizes.items()
    }
