"""Malformed tables that are text: CSV, TSV, JSON lines, lists in JSON, and `.ts` files."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator

from malformed import Case, damaged, file_case, rows

CSV = "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows())
TSV = 'text\tlabel\n"first\nsecond"\tgood\n' + "".join(f'"{text}"\t{label}\n' for text, label in rows(8))
JSONL = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows())
JSON = json.dumps([{"text": text, "label": label, "n": [1, 2.5, None]} for text, label in rows(8)], indent=1)
TS = "@problemName x\n@univariate true\n@classLabel true a b\n@data\n" + "".join(
    f"{n}.5,{n * n},?,-{n}e-1:{'ab'[n % 2]}\n" for n in range(8)
)
DEEP = 100_000
LONG = "x" * 100_000


def cases() -> Iterator[Case]:
    """Yield all cases."""
    yield from damaged("csv", "a.csv", CSV.encode(), 10**6, 25)
    yield from damaged("csv.gz", "a.csv.gz", gzip.compress(CSV.encode(), mtime=0), 60, 25)
    yield from damaged("tsv", "a.tsv", TSV.encode(), 60, 20)
    yield from damaged("jsonl", "a.jsonl", JSONL.encode(), 100, 25)
    yield from damaged("json", "a.json", JSON.encode(), 50, 20)
    yield from damaged("ts", "a.ts", TS.encode(), 90, 25)
    for form, file, content in (("csv", "a.csv", CSV), ("jsonl", "a.jsonl", JSONL), ("ts", "a.ts", TS)):
        for name, encoded in encodings(content).items():
            yield file_case(f"{form}/encoding/{name}", file, encoded)
    for name, text in odd_csv().items():
        yield file_case(f"csv/odd/{name}", "a.csv", text.encode("utf-8", "surrogatepass"))
    for name, text in odd_json().items():
        yield file_case(f"jsonl/odd/{name}", "a.jsonl", text.encode("utf-8", "surrogatepass"))
        yield file_case(f"json/odd/{name}", "a.json", text.encode("utf-8", "surrogatepass"))
    for name, text in odd_ts().items():
        yield file_case(f"ts/odd/{name}", "a.ts", text.encode())
    yield from asked()
    yield from bombs()


def encodings(text: str) -> dict[str, bytes]:
    """Return a text as it should not be encoded."""
    accented = text.replace("a", "ä").replace("o", "日")
    plain = text.encode()
    noise = random.Random(0)
    return {
        "utf-16 without a mark": text.encode("utf-16-le"),
        "utf-16 big-endian without a mark": text.encode("utf-16-be"),
        "utf-16 with half a character": text.encode("utf-16")[:-1],
        "utf-16 with a lone surrogate": b"\xff\xfe" + text.encode("utf-16-le") + b"\x00\xd8\n\x00",
        "utf-32 cut short": text.encode("utf-32")[:-3],
        "utf-32 beyond Unicode": text.encode("utf-32") + b"\xff\xff\xff\x7f",
        "utf-7": accented.encode("utf-7"),
        "latin-1": text.replace("a", "ä").encode("latin-1"),
        "windows-1252 with a byte it lacks": plain.replace(b"a", b"\x81"),
        "shift-jis": text.replace("o", "日").encode("shift-jis"),
        "nul in the middle": plain[:40] + b"\0" + plain[40:],
        "nothing but nul": b"\0" * 200,
        "overlong utf-8": plain.replace(b"a", b"\xc1\xa1"),
        "surrogates in utf-8": plain.replace(b"a", b"\xed\xa0\x80"),
        "utf-8 cut within a character": accented.encode()[:-2] + b"\xe6\x97",
        "two encodings": accented.encode() + text.replace("a", "ä").encode("latin-1"),
        "a mark and nothing else": b"\xef\xbb\xbf",
        "two marks": b"\xef\xbb\xbf" * 2 + plain,
        "control codes": bytes(range(1, 32)) * 20,
        "noise": noise.randbytes(5000),
        "the wrong mark": b"\xff\xfe" + plain,
        "only carriage returns": plain.replace(b"\n", b"\r"),
        "unicode line ends": plain.replace(b"\n", "\u2028".encode()),
    }


def table(texts: list[str], head: str = "text,label") -> str:
    """Return a CSV of cells and two classes."""
    return "\n".join([head, *(f"{text},{'ab'[n % 2]}" for n, text in enumerate(texts))]) + "\n"


def odd_csv() -> dict[str, str]:
    """Return CSV files that a person or a program could have made."""
    films = [text for text, _ in rows()]
    number = "9" * 100_000
    return {
        "a cell of 100,000 characters": table([LONG, *films]),
        "cells of 100,000 characters, all of them": table([f"{LONG}{n}" for n in range(6)]),
        "a cell of 100,000 words": table(["x " * 100_000, *films]),
        "a quoted cell of 100,000 lines": table(['"' + "x\n" * 100_000 + '"', *films]),
        "a cell of 5 MB": table(["y" * 5_000_000, *films]),
        "a cell of 5 MB in quotes": table(['"' + 'y""' * 1_700_000 + '"', *films]),
        "a name of 100,000 characters": table(films, f"{LONG},label"),
        "a class of 100,000 characters": "text,label\n" + "".join(f"film {n},{LONG}{n % 2}\n" for n in range(10)),
        "numbers of 100,000 digits": "a,b\n" + "".join(f"{number},{n % 2}\n" for n in range(10)),
        "a series of 100,000 values": table([f'"[{"1," * 100_000}2]"', *(['"[1,2,3,4,5]"'] * 8)]),
        "brackets 100,000 deep": table([f'"{"[" * DEEP}1{"]" * DEEP}"', *(['"[1,2,3,4,5]"'] * 8)]),
        "brackets 100,000 deep, all of them": table([f'"{"[" * DEEP}{n},2,3{"]" * DEEP}"' for n in range(6)]),
        "open brackets": table(['"' + "[" * DEEP + '"'] * 6),
        "spaces": table([" " * 100_000 + str(n) for n in range(6)]),
        "digits and dots": table(["1." * 50_000 + str(n) for n in range(6)]),
        "a date that goes on": table(["2020-01-01 " + "0" * 100_000] * 6),
        "hexadecimal that goes on": table(["0a" * 50_000 + "!"] * 6),
        "combining marks": table(["e" + "\u0301" * 100_000, *films]),
        "10,000 columns": ",".join(f"c{n}" for n in range(10_000)) + "\n" + ("1," * 9_999 + "2\n") * 4,
        "10,001 columns": ",".join(f"c{n}" for n in range(10_001)) + "\n" + ("1," * 10_000 + "2\n") * 4,
        "2,000 columns of one name": ",".join(["c"] * 2_000) + "\n" + ("x y," * 1_999 + "2\n") * 4,
        "100,000 columns": "," * 100_000 + "\n" + ("1," * 100_000 + "2\n") * 2,
        "a row of 100,000 cells": table([*films, "x," * 100_000]),
        "one column": "text\n" + "\n".join(films),
        "names alone": "text,label\n",
        "names alone, no line end": "text,label",
        "names that are empty": ",,,\n1,2,3,4\n2,3,4,5\n1,2,3,4\n",
        "names that repeat": "a,a,a,a_2\n" + "x y z,0,1,a\nx z,1,0,b\n" * 4,
        "delimiters alone": ",,,\n" * 10,
        "line ends alone": "\n" * 1000,
        "carriage returns alone": "\r" * 1000,
        "one quote": '"',
        "quotes alone": '"' * 100_001,
        "a quote that is not closed": table(['"so good', *films]),
        "a quote that is not closed, in the names": 'text,"label\n' + table(films),
        "a quote that is not closed, at the end": table([*films, '"so']),
        "quotes within cells": table(['a "quoted" film', 'a"b"c', '"a"b', '""', "'"] * 3),
        "mixed line ends": table(films).replace("\n", "\r\n", 3).replace("\n", "\r", 5),
        "backslashes": table(["\\", "\\\\", '\\"', "\\n"] * 3),
        "escape sequences of terminals": table(["\x1b[2J\x1b]0;owned\x07 film", *films], "text\x1b[31m,label"),
        "pages": table(['<script>alert("x")</script>', "<img src=x onerror=alert(1)>", *films], "<b>,label"),
        "formulas": table(["=cmd|' /C calc'!A0", "@SUM(1+1)", "+1+2", "-2+3"] * 3),
        "right to left": table(["\u202eabc", "\u2066x\u2069", "\ufeff", "\u200b"] * 3),
        "surrogates": table(["\ud800", "\udfff", "a\udc80b"] * 3),
        "a line that says how cells are parted": "sep=;\n" + table(films).replace(",", ";"),
        "a line that says it wrongly": 'sep="\n' + table(films),
        "the sign that parts one column": "text\x1flabel\n" + "a b\x1fx\nc d\x1fy\n" * 4,
        "the sign that ends the rows": "text,label\n" + "\x1eend\x1e,\x1eend\x1e\n" * 6,
        "NaN as the target": "text,label\n" + "".join(f"film {n},NaN\n" for n in range(10)),
        "infinite targets": "text,y\n" + "".join(f"film {n},{'-+'[n % 2]}inf\n" for n in range(30)),
        "targets beyond floats": "text,y\n" + "".join(f"film {n},{n}.5e{n}00\n" for n in range(30)),
        "one class": "text,label\n" + "".join(f"film {n},a\n" for n in range(10)),
        "a class a row": "text,label\n" + "".join(f"film {n},class {n}\n" for n in range(10)),
        "no target in any row": "text,label\n" + "".join(f"film {n},\n" for n in range(10)),
        "empty texts": "text,label\n" + "".join(f'"",{"ab"[n % 2]}\n' for n in range(10)),
        "one row": "text,label\na film,good\n",
        "integers beyond 64 bits": "x,label\n" + "".join(f"{2**63 + n},{'ab'[n % 2]}\n" for n in range(10)),
        "series beyond floats": table([f'"[1e{n}9, -1e400, nan, inf]"' for n in range(10)], "series,label"),
        "series of nothing": table(['"[]"', '"[[]]"', '"[[],[]]"'] * 4, "series,label"),
        "images that are not there": table([f"{n}.png" for n in range(6)], "image,label"),
        "images that lie elsewhere": table(
            ["../../../../etc/passwd", "/etc/passwd", "file:///etc/hosts"] * 3, "image,label"
        ),
        "images that are devices": table(["/dev/zero", "/dev/random", "/dev/stdin", "/dev/null"] * 2, "image,label"),
        "images with impossible names": table(["\t.png", "a" * 300 + ".png", "a/" * 3000 + "b.png"] * 3, "image,label"),
    }


def odd_json() -> dict[str, str]:
    """Return files of objects that are no table, or an odd one."""

    def lines(*values: str, key: str = "text") -> str:
        return "".join(f'{{"{key}": {value}, "label": "{"ab"[n % 2]}"}}\n' for n, value in enumerate(values))

    texts = [f'"film {n}"' for n in range(8)]
    return {
        "lists 100,000 deep": lines("[" * DEEP + "]" * DEEP, *texts),
        "lists 900 deep": lines("[" * 900 + "]" * 900, *texts),
        "objects 100,000 deep": lines('{"a":' * DEEP + "1" + "}" * DEEP, *texts),
        "objects 900 deep": lines('{"a":' * 900 + "1" + "}" * 900, *texts),
        "open brackets": "[" * DEEP,
        "open braces": '{"a":' * DEEP,
        "a deep list that is the file": "[" * DEEP + "1" + "]" * DEEP,
        "a text of 100,000 characters": lines(f'"{LONG}"', *texts),
        "a text of 5 MB": lines('"' + "y" * 5_000_000 + '"', *texts),
        "a key of 100,000 characters": lines(*texts, key=LONG),
        "an empty key": lines(*texts, key=""),
        "an integer of 100,000 digits": lines("9" * 100_000, *texts),
        "a number of 100,000 digits": lines("0." + "9" * 100_000, *["1.5"] * 7),
        "integers beyond 64 bits": lines(*(str(2**63 + n) for n in range(8))),
        "numbers beyond floats": lines(*(f"[1e{n}99, -1e999]" for n in range(8))),
        "NaN and Infinity": lines(*["[NaN, Infinity, -Infinity, 1]"] * 8),
        "halves of surrogate pairs": lines(*[r'"\ud800 film"', r'"film \udfff"'] * 4),
        "halves of surrogate pairs in keys": lines(*texts, key=r"a\ud800"),
        "a nul in a text": lines(*[r'"a\u0000b"', '"c d"'] * 4),
        "a nul in a key": lines(*texts, key=r"a\u0000b"),
        "keys that repeat": '{"text": "a b", "text": "c d", "label": "x", "label": "y"}\n' * 8,
        "keys that differ by spaces": '{"text": "a b", "text ": "c d", "label": "x"}\n{"text": "e", "label": "y"}\n'
        * 4,
        "10,001 keys": "".join(json.dumps({f"k{n}_{m}": 1 for m in range(1000)}) + "\n" for n in range(11)),
        "2,000 keys in a row": "".join(
            json.dumps({f"k{m}": m * n for m in range(2000)} | {"label": "ab"[n % 2]}) + "\n" for n in range(8)
        ),
        "a series of 50,000 lists": lines(json.dumps([[0.5] * 9] * 50_000), *["[[1, 2], [3, 4]]"] * 7),
        "lists of nothing": lines("[" + "[]," * 300_000 + "[]]", *texts),
        "values of all kinds": lines("1", '"a"', "null", "true", "[1]", '{"b": 2}', "[[1], 2]", '["x", 1]', "1.5"),
        "lists of all kinds": lines("[1]", "[[1]]", '["a"]', "[]", "[null]", "[[[[1]]]]", "[true]", "[{}]", "null"),
        "lists of equal depth, at times empty": lines("[]", "[[]]", "[[], [1]]", "[[1, 2], null]", "null", "[null]"),
        "records that hold bytes and path": lines(*['{"bytes": "x", "path": "/dev/zero"}'] * 6),
        "no objects": "1\n2\n3\n",
        "lists in place of objects": "[1, 2]\n[3, 4]\n",
        "empty objects": "{}\n" * 10,
        "one object": '{"text": "a", "label": "b"}',
        "one object of two lists": '{"a": [{"x": 1}], "b": [{"x": 2}]}',
        "an object of lists of columns": json.dumps({"text": ["a", "b"], "label": [0, 1]}),
        "nothing but null": "null",
        "a comma too many": "[" + ",".join('{"a": 1}' for _ in range(9)) + ",]",
        "single quotes": "{'text': 'a film', 'label': 'b'}\n" * 6,
        "comments": "// a film\n" * 6,
        "objects without line ends": '{"text": "a film", "label": "b"}' * 6,
        "objects over several lines": json.dumps([{"text": "a film", "label": "b"}] * 6, indent=2)[1:-1],
        "escapes that are none": lines(*[r'"\x41"', r'"\u12"', r'"\uD83D\u0041"'] * 3),
        "white space alone": " \n\t\n" * 100,
        "the same label under two keys": "".join(
            f'{{"label": "{one}", "target": "{other}", "text": "a b"}}\n' for one, other in ("xy", "yx") * 5
        ),
    }


def odd_ts() -> dict[str, str]:
    """Return `.ts` files with odd headers and rows."""
    head, body = TS.split("@data\n")
    return {
        "no header": body,
        "no data": head + "@data\n",
        "no rows that fit": head + "@data\n" + "x:a\n" * 8,
        "dimensions without end": head.replace("@univariate true", "@dimensions 999999999") + "@data\n" + body,
        "a length without end": head + "@seriesLength 999999999\n@data\n" + body,
        "a length of 100 digits": head + f"@seriesLength {'9' * 100}\n@data\n" + body,
        "a length in other digits": head + "@seriesLength ٣²\n@data\n" + body,
        "a header of 20,000 lines": "@a b\n" * 20_000 + TS,
        "a header line of 100,000 characters": f"@{LONG} {LONG}\n" + TS,
        "100,000 classes": head.replace("true a b", "true " + " ".join(map(str, range(100_000)))) + "@data\n" + body,
        "classes that are not listed": head.replace("true a b", "true c d") + "@data\n" + body,
        "100,000 dimensions": head.replace("@univariate true", "") + "@data\n" + ("1:" * 100_000 + "a\n") * 2,
        "a row of 100,000 values": TS + "1," * 100_000 + "2:a\n",
        "a row of 5 MB": TS + "1" * 5_000_000 + ":a\n",
        "values beyond floats": head + "@data\n" + "1e999,-1e999,1e39,nan:a\n1,2,3,4:b\n" * 4,
        "values in other digits": head + "@data\n" + "٣,1_000,0x10,1e5:a\n1,2,3,4:b\n" * 4,
        "values that are missing": head + "@data\n" + "?,?,?:a\n,,,:b\n" * 4,
        "targets that are missing": head + "@data\n" + "1,2,3:?\n" * 8,
        "targets that are no numbers": head.replace("@classLabel true a b", "@targetLabel true") + "@data\n" + body,
        "targets beyond floats": head.replace("@classLabel true a b", "@targetLabel true")
        + "@data\n"
        + "".join(f"{n},2:{n}e{n * 50}\n" for n in range(10)),
        "targets that are NaN": head.replace("@classLabel true a b", "@targetLabel true") + "@data\n" + "1,2:nan\n" * 8,
        "brackets that are not closed": head + "@timeStamps true\n@data\n" + "(1,2),(3,4:a\n" * 8,
        "brackets 100,000 deep": head + "@timeStamps true\n@data\n" + "(" * DEEP + ")" * DEEP + ":a\n",
        "times with colons": head + "@timeStamps true\n@data\n" + "(2020-01-01 00:00,2),(b,3):a\n(1,2):b\n" * 4,
        "one class": head + "@data\n" + "1,2,3:a\n" * 8,
        "colons alone": head + "@data\n" + ":::::\n" * 8,
        "no target": head.replace("@classLabel true a b", "@classLabel false") + "@data\n" + "1,2\n3,4\n" * 4,
    }


def asked() -> Iterator[Case]:
    """Yield tables read as somebody wants them who is mistaken."""
    content = "text,number,label,when\n" + "".join(
        f"a film {n},{n},{'ab'[n % 2]},2020-01-{n + 1:02}\n" for n in range(20)
    )
    wishes: dict[str, dict[str, object]] = {
        "images": {"modality": "image"},
        "series": {"modality": "series"},
        "values of names": {"task": "regression", "target": "label"},
        "labels of numbers": {"task": "multilabel", "target": "number"},
        "one column twice": {"target": "label", "inputs": ("label",)},
        "a column that is not there": {"target": "lable"},
        "a group of one": {"group": "text", "target": "label"},
        "one group": {"group": "label", "target": "label"},
        "an order of texts": {"order": "text", "target": "label"},
        "parts that are none": {"part": "text", "target": "label"},
        "everything at once": {"group": "when", "order": "number", "target": "label", "inputs": ("text",)},
        "several targets that are none": {"target": "number,label"},
    }
    for name, settings in wishes.items():
        yield file_case(f"csv/asked/{name}", "a.csv", content.encode(), **settings)


def bombs() -> Iterator[Case]:
    """Yield compressed tables that are far larger than they look."""
    line = gzip.compress(b"a" * 2**28 + b"\n", 9, mtime=0)
    yield file_case("csv.gz/bomb/a line of 256 MiB", "a.csv.gz", line)
    yield file_case("csv.gz/bomb/line ends", "a.csv.gz", gzip.compress(b"text,label\n" + b"\n" * 2**23, mtime=0))
    yield file_case("csv.gz/bomb/quotes", "a.csv.gz", gzip.compress(b"text,label\n" + b'"' * (2**25 + 1), mtime=0))
    yield file_case("csv.gz/bomb/in itself", "a.csv.gz", gzip.compress(gzip.compress(CSV.encode(), mtime=0), mtime=0))
    yield file_case("csv.gz/bomb/is a parquet", "a.csv.gz", b"PAR1" + b"\0" * 100)
