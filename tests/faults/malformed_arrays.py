"""Malformed tables that are binary: Parquet files and NumPy archives."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from malformed import Case, damaged, file_case, rows

SERIES = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
CLASSES = np.arange(12) % 2


def cases() -> Iterator[Case]:
    """Yield all cases."""
    yield from damaged("parquet", "a.parquet", parquet(films()), 60, 70)
    for name, table in odd_tables().items():
        yield file_case(f"parquet/odd/{name}", "a.parquet", parquet(table))
    yield file_case("parquet/odd/encrypted", "a.parquet", b"PARE" + parquet(films())[4:-4] + b"PARE")
    yield file_case("parquet/odd/a footer of 2 GiB", "a.parquet", parquet(films())[:-8] + b"\xff\xff\xff\x7fPAR1")
    yield from damaged("npz", "a.npz", npz(x=SERIES, y=CLASSES), 60, 70)
    for name, content in odd_archives().items():
        yield file_case(f"npz/odd/{name}", "a.npz", content)


def films() -> pa.Table:
    """Return a table that can be learnt from."""
    texts, labels = zip(*rows(20), strict=True)
    return pa.table({"text": texts, "label": labels, "n": range(20)})


def parquet(table: pa.Table) -> bytes:
    """Return a table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def odd_tables() -> dict[str, pa.Table]:
    """Return tables of types and values that are odd."""
    labels = pa.array(["a", "b"] * 6)
    texts = pa.array([f"a film {n}" for n in range(12)])
    not_utf8 = pa.StringArray.from_buffers(
        12, pa.array([b"a \xff\xfe %d" % n for n in range(12)], pa.binary()).buffers()[1],
        pa.array([b"a \xff\xfe %d" % n for n in range(12)], pa.binary()).buffers()[2],
    )  # fmt: skip
    deep: pa.DataType = pa.int64()
    for _ in range(90):
        deep = pa.list_(deep)
    deep_struct: pa.DataType = pa.int64()
    for _ in range(60):
        deep_struct = pa.struct({"a": deep_struct})
    numbers = [float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324, None] + [0.5] * 5
    claims = json.dumps({"info": {"features": {"text": {"_type": "Image"}, "label": {"_type": "Rubbish"}}}})
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "text that is not utf-8": not_utf8,
        "numbers that are not finite": pa.array(numbers),
        "nothing": pa.nulls(12),
        "lists 90 deep": pa.nulls(12, deep),
        "structs 60 deep": pa.nulls(12, deep_struct),
        "a map": pa.array([[("a", 1)]] * 12, pa.map_(pa.string(), pa.int64())),
        "decimals": pa.array(range(12)).cast(pa.decimal128(38, 10)),
        "large decimals": pa.array(range(12)).cast(pa.decimal256(70, 10)),
        "times": pa.array(range(12)).cast(pa.time64("ns")),
        "durations": pa.array(range(12)).cast(pa.duration("ns")),
        "dates beyond the calendar": pa.array([2**62 - n for n in range(12)], pa.timestamp("us")),
        "dates with a zone that is none": pa.array(range(12), pa.timestamp("ns", "Nowhere/Land")),
        "bytes": pa.array([os.urandom(0) + b"\0\xff" * n for n in range(12)]),
        "bytes that begin as images": pa.array([b"\x89PNG\r\n\x1a\n" + b"x" * n for n in range(12)]),
        "records of bytes and path": pa.array([{"bytes": None, "path": "/dev/zero"}] * 12),
        "records that are missing": pa.array(
            [None] * 11 + [{"bytes": b"", "path": ""}], pa.struct({"bytes": pa.binary(), "path": pa.string()})
        ),
        "fixed bytes": pa.array([b"abcd"] * 12, pa.binary(4)),
        "fixed lists": pa.array([[1.0, 2.0]] * 12, pa.list_(pa.float32(), 2)),
        "fixed lists of nothing": pa.array([[]] * 12, pa.list_(pa.float32(), 0)),
        "dictionaries": pa.array(["x y", "z"] * 6).dictionary_encode(),
        "large text": pa.array(["x" * 1_000_000, "y z"] * 6, pa.large_string()),
        "lists of lists with missing ones": pa.array([[[1.0], None], None, [None, []], [[], [2.0]]] * 3),
        "lists that are far apart in length": pa.array([[1.0] * 300_000, [2.0], [], None] * 3),
        "lists of 64-bit whole numbers": pa.array([[2**63 - 1, -(2**63)]] * 12),
        "lists of numbers that are not finite": pa.array([[float("nan")] * 3, [float("inf")] * 3] * 6),
        "half floats": pa.array(np.arange(12, dtype=np.float16)),
        "booleans": pa.array([True, False, None] * 4),
        "lists of records": pa.array([[{"a": 1}], []] * 6),
        "texts with nul": pa.array(["a\0b", "\0"] * 6),
    }
    found = {name: pa.table({"input": column, "label": labels}) for name, column in columns.items()}
    found |= {f"{name}, as the target": pa.table({"text": texts, "target": c}) for name, c in columns.items()}
    return found | {
        "no columns": pa.table({}),
        "no rows": films()[:0],
        "one row": films()[:1],
        "10,001 columns": pa.table({f"c{n}": [1, 2] for n in range(10_001)}),
        "names that repeat": pa.Table.from_arrays([texts, texts, labels, labels], names=["a", "a", "b", ""]),
        "names with line ends": pa.table({"a\nb": texts, "\x1b[31mlabel": labels}),
        "names of other columns here": pa.table(
            {"column:text": texts, "part": labels, "target": labels, "group": texts}
        ),
        "what it claims is no JSON": films().replace_schema_metadata({"huggingface": "{"}),
        "what it claims is deep": films().replace_schema_metadata({"huggingface": "[" * 100_000}),
        "what it claims is wrong": films().replace_schema_metadata({"huggingface": claims}),
        "what pandas claims is wrong": films().replace_schema_metadata({"pandas": "\xff{"}),
    }


def npz(**arrays: np.ndarray) -> bytes:
    """Return arrays as an archive."""
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()


def archive(members: dict[str, bytes], compressed: bool = True) -> bytes:
    """Return an archive of any content."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED)
    return sink.getvalue()


def npy(header: str, content: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """Return an array as its header says it."""
    encoded = header.encode("latin-1")
    length = struct.pack("<H" if version == (1, 0) else "<I", len(encoded))
    return b"\x93NUMPY" + bytes(version) + length + encoded + content


def declared(shape: str, descr: str = "'<f4'", order: str = "False") -> str:
    """Return the header of an array."""
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


class Trap:
    """Makes a file in the working directory when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, ("unpickled",)


def odd_archives() -> dict[str, bytes]:
    """Return archives whose arrays lie, or are odd."""
    rng = np.random.default_rng(0)
    y = npy_of(CLASSES)
    headers = {
        "a shape of 2**60": declared(f"({2**60},)"),
        "a shape beyond 64 bits": declared(f"({2**70}, 8)"),
        "60,000 by 60,000 pixels": declared("(12, 60000, 60000)", "'|u1'"),
        "a negative shape": declared("(-1, 8)"),
        "two negative shapes": declared("(-2, -4)"),
        "rows of nothing": declared("(12, 0)"),
        "a shape of text": declared("('a',)"),
        "a shape of floats": declared("(1.5,)"),
        "a shape 100 deep": declared("(" * 100 + "1" + ")" * 100),
        "brackets 50,000 deep": declared("[" * 50_000),
        "code": declared("__import__('os').mkdir('evaluated')"),
        "a type that is none": declared("(12, 8)", "'rubbish'"),
        "a type of code": declared("(12, 8)", "'<f4,(1e9)f8'"),
        "a type of 2**40 bytes": declared("(12,)", f"'|S{2**40}'"),
        "records": declared("(12,)", "[('a', '<f4'), ('b', '<f4')]"),
        "an order that is none": declared("(12, 8)", order="'maybe'"),
        "no dictionary": "[1, 2]\n",
        "no text": "\xff\xfe\n",
    }
    x = SERIES.tobytes()
    found = {f"the header says {name}": archive({"x.npy": npy(text, x), "y.npy": y}) for name, text in headers.items()}
    found |= {
        "a header longer than the file": archive(
            {"x.npy": npy(declared("(12, 8)"), x)[:8] + b"\xff\xff" + x, "y.npy": y}
        ),
        "a header of 2 GiB": archive({"x.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + x, "y.npy": y}),
        "version 3": archive({"x.npy": npy(declared("(12, 8)"), x, (3, 0)), "y.npy": y}),
        "version 9": archive({"x.npy": npy(declared("(12, 8)"), x, (9, 9)), "y.npy": y}),
        "too few values": archive({"x.npy": npy(declared("(12, 8)"), x[:-4]), "y.npy": y}),
        "too many values": archive({"x.npy": npy(declared("(12, 8)"), x + x), "y.npy": y}),
        "no arrays": archive({"readme.txt": b"nothing"}),
        "an empty archive": archive({}),
        "arrays that are empty files": archive({"x.npy": b"", "y.npy": b""}),
        "names that lead out": archive({"../../x.npy": npy_of(SERIES), "/y.npy": y}),
        "names with line ends": archive({"x\n.npy": npy_of(SERIES), "y\x1b[31m.npy": y}),
        "a name of nothing": archive({".npy": npy_of(SERIES), "y.npy": y}),
        "names that repeat": twice({"x.npy": npy_of(SERIES), "y.npy": y}),
        "an archive in an archive": archive({"x.npy": npz(x=SERIES)}),
        "zeros that unpack to 256 MiB": archive({"x.npy": npy(declared(f"({2**18}, 256)"), bytes(2**28)), "y.npy": y}),
        "texts that unpack to 256 MiB": archive(
            {"x.npy": npy(declared("(12,)", f"'|S{2**24}'"), bytes(12 * 2**24)), "y.npy": y}
        ),
        "a flag that says encrypted": archive({"x.npy": npy_of(SERIES), "y.npy": y}, compressed=False).replace(
            b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"
        ),
        "pickled objects": npz(x=np.array([Trap(), [1]], dtype=object), y=np.arange(2)),
        "pickled targets": npz(x=SERIES, y=np.array([Trap()] * 12, dtype=object)),
    }
    arrays: dict[str, dict[str, np.ndarray]] = {
        "one number": {"x": np.array(1.0), "y": np.array(1)},
        "targets alone": {"y": CLASSES},
        "inputs alone": {"x": SERIES},
        "fewer targets than rows": {"x": SERIES, "y": CLASSES[:-1]},
        "more targets than rows": {"x": SERIES[:-1], "y": CLASSES},
        "ten dimensions": {"x": np.zeros((4,) + (2,) * 9), "y": np.arange(4)},
        "32 dimensions": {"x": np.zeros((4,) + (1,) * 31), "y": np.arange(4)},
        "no rows": {"x": SERIES[:0], "y": CLASSES[:0]},
        "one row": {"x": SERIES[:1], "y": CLASSES[:1]},
        "no steps": {"x": np.zeros((12, 3, 0)), "y": CLASSES},
        "no channels": {"x": np.zeros((12, 0, 5)), "y": CLASSES},
        "NaN alone": {"x": np.full((12, 8), np.nan), "y": CLASSES},
        "infinity alone": {"x": np.full((12, 8), np.inf), "y": CLASSES},
        "images of NaN": {"x": np.full((12, 9, 9), np.nan), "y": CLASSES},
        "images beyond floats": {"x": np.full((12, 9, 9), 1e300), "y": CLASSES},
        "images below nothing": {"x": np.full((12, 9, 9, 3), -5.0), "y": CLASSES},
        "images of five channels": {"x": rng.integers(0, 255, (12, 9, 9, 5)), "y": CLASSES},
        "images one pixel high": {"x": rng.integers(0, 255, (12, 1, 5000, 3)), "y": CLASSES},
        "whole numbers of 64 bits": {"x": rng.integers(-(2**63), 2**63 - 1, (12, 9, 9)), "y": CLASSES},
        "complex numbers": {"x": SERIES * 1j, "y": CLASSES},
        "dates": {"x": SERIES.astype("M8[s]"), "y": CLASSES},
        "dates as targets": {"x": SERIES, "y": CLASSES.astype("M8[Y]")},
        "no date as targets": {"x": SERIES, "y": np.array(["NaT"] * 12, "M8[D]")},
        "durations": {"x": SERIES.astype("m8[ns]"), "y": CLASSES},
        "booleans": {"x": SERIES > 0, "y": CLASSES > 0},
        "long doubles": {"x": SERIES.astype(np.longdouble), "y": CLASSES},
        "half floats": {"x": SERIES.astype(np.float16), "y": CLASSES},
        "the other byte order": {"x": SERIES.astype(">f4"), "y": CLASSES.astype(">i8")},
        "the columns first": {"x": np.asfortranarray(SERIES), "y": CLASSES},
        "strings of nothing": {"x": np.array([""] * 12), "y": CLASSES},
        "strings beyond Unicode": {"x": np.full(12, -1, "<i4").view("<U1"), "y": CLASSES},
        "halves of surrogate pairs": {"x": np.full(12, 0xD800, "<i4").view("<U1"), "y": CLASSES},
        "bytes that are not utf-8": {"x": np.array([b"\xff\xfe a", b"b c"] * 6), "y": CLASSES},
        "targets of NaN": {"x": SERIES, "y": np.full(12, np.nan)},
        "targets of infinity": {"x": SERIES, "y": np.full(12, np.inf)},
        "targets below zero": {"x": SERIES, "y": CLASSES - 5},
        "targets of 64 bits": {"x": SERIES, "y": CLASSES.astype(np.uint64) + np.uint64(2**63)},
        "targets that are images": {"x": SERIES, "y": np.zeros((12, 9, 9))},
        "targets of 5,000 columns": {"x": SERIES, "y": np.zeros((12, 5000), np.int64)},
        "one class": {"x": SERIES, "y": np.zeros(12, np.int64)},
        "a class a row": {"x": SERIES, "y": np.arange(12)},
        "parts of other shapes": {"x_train": SERIES, "y_train": CLASSES, "x_test": SERIES[:, :3], "y_test": CLASSES},
        "a part without rows": {"x_train": SERIES, "y_train": CLASSES, "x_test": SERIES[:0], "y_test": CLASSES[:0]},
        "a test part alone": {"x_test": SERIES, "y_test": CLASSES},
        "a thousand arrays": {f"a{n}": SERIES for n in range(1000)},
        "fewer class names than classes": {"x": SERIES, "y": CLASSES, "classes": np.array(["one"])},
    }
    return found | {name: npz(**each) for name, each in arrays.items()}


def npy_of(array: np.ndarray) -> bytes:
    """Return an array as a file."""
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


def twice(members: dict[str, bytes]) -> bytes:
    """Return an archive in which the last name is the first one's again, by changing bytes behind zipfile's back."""
    return archive(members).replace(b"y.npy", b"x.npy")
