"""Malformed folders that `datasets` saved."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator

import pyarrow as pa
from malformed import Case, files_case, flipped, rows, truncated

ARROW = "data-00000-of-00001.arrow"


def cases() -> Iterator[Case]:
    """Yield folders of `datasets` with damaged rows, or facts that are wrong."""
    files = saved()
    for end, cut in truncated(files[ARROW], 50):
        yield files_case(f"saved/truncated/{end}", {**files, ARROW: cut})
    for number, changed in flipped(files[ARROW], 60):
        yield files_case(f"saved/flipped/{number}", {**files, ARROW: changed})
    for name in ("state.json", "dataset_info.json"):
        for end, cut in truncated(files[name], 15):
            yield files_case(f"saved/truncated {name}/{end}", {**files, name: cut})
        for number, changed in flipped(files[name], 15):
            yield files_case(f"saved/flipped {name}/{number}", {**files, name: changed})
        for fault, content in odd_facts().items():
            yield files_case(f"saved/odd {name}/{fault}", {**files, name: content})
    for fault, changes in {
        "a file above": [{"filename": "../../../../../etc/passwd"}],
        "a device": [{"filename": "/dev/zero"}],
        "the same file ten times": [{"filename": ARROW}] * 10,
        "no files": [],
        "files that are numbers": [{"filename": 1}],
        "the folder itself": [{"filename": "."}],
    }.items():
        state = json.dumps({**json.loads(files["state.json"]), "_data_files": changes}).encode()
        yield files_case(f"saved/odd files/{fault}", {**files, "state.json": state})
    for fault, features in odd_features().items():
        facts = json.dumps({**json.loads(files["dataset_info.json"]), "features": features}).encode()
        yield files_case(f"saved/odd features/{fault}", {**files, "dataset_info.json": facts})
    for fault, splits in {
        "splits that lead out": {"splits": ["../.."]},
        "splits that are not there": {"splits": ["train", "test"]},
        "splits that are no list": {"splits": 7},
        "the folder itself": {"splits": ["."]},
        "no splits": {"splits": []},
        "no key": {},
        "a list": [],
    }.items():
        yield files_case(f"saved/odd splits/{fault}", {**files, "dataset_dict.json": json.dumps(splits).encode()})


def saved() -> dict[str, bytes]:
    """Return the files that `datasets` 5.2 saves a table as."""
    texts, labels = zip(*rows(20), strict=True)
    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"names": ["bad", "good"], "_type": "ClassLabel"},
    }
    table = pa.table({"text": texts, "label": [int(label == "good") for label in labels]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    state = {
        "_data_files": [{"filename": ARROW}],
        "_fingerprint": "0123456789abcdef",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    return {
        ARROW: sink.getvalue(),
        "state.json": json.dumps(state, indent=1).encode(),
        "dataset_info.json": json.dumps(info, indent=1).encode(),
    }


def odd_facts() -> dict[str, bytes]:
    """Return what may stand in a JSON file in place of facts."""
    return {
        "empty": b"",
        "null": b"null",
        "a list": b"[]",
        "no keys": b"{}",
        "a number": b"1e999",
        "open brackets": b"[" * 100_000,
        "noise": random.Random(1).randbytes(300),
        "utf-16": '{"a": 1}'.encode("utf-16"),
    }


def odd_features() -> dict[str, object]:
    """Return descriptions of columns that do not fit them."""
    text, label = {"dtype": "string", "_type": "Value"}, {"names": ["bad", "good"], "_type": "ClassLabel"}
    return {
        "types that there are not": {"text": {"_type": "Rubbish"}, "label": label},
        "texts that are images": {"text": {"_type": "Image"}, "label": label},
        "texts that are sounds": {"text": {"_type": "Audio"}, "label": label},
        "texts that are numbers": {"text": {"dtype": "float64", "_type": "Value"}, "label": label},
        "fewer names than classes": {"text": text, "label": {"names": ["bad"], "_type": "ClassLabel"}},
        "names that are numbers": {"text": text, "label": {"names": [1, 2], "_type": "ClassLabel"}},
        "no names": {"text": text, "label": {"_type": "ClassLabel"}},
        "names that repeat": {"text": text, "label": {"names": ["a", "a"], "_type": "ClassLabel"}},
        "a column too few": {"text": text},
        "a column too many": {"text": text, "label": label, "more": text},
        "a list": [text, label],
        "nothing": None,
        "what is called by name": {"text": {"_type": "DatasetInfo"}, "label": {"_type": "Features"}},
    }
