from __future__ import annotations

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import leave_in_cache
from PIL import Image

from seedbed.registry.conformance import ReaderContract

CSV = "text,label\nso good,pos\nso bad,neg\n"


class TestReaders(ReaderContract):
    """Every built-in of this kind."""

    @pytest.fixture(autouse=True)
    def hub_cache(self, monkeypatch, tmp_path):
        """Without a network, the hub is what an earlier load left in the library's cache."""
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")

    def source(self, spec, folder):
        return SOURCES.get(spec.name, super().source)(spec, folder)


def demo(spec, folder):
    return "demo:digits"


def hub(spec, folder):
    if not (folder / "hub").exists():
        leave_in_cache(folder / "hub")
    return "hub:me/mine"


def delimited(spec, folder):
    return written(folder / "a.csv", CSV)


def jsonlines(spec, folder):
    return written(folder / "a.jsonl", '{"text": "so good", "label": "pos"}\n')


def parquet(spec, folder):
    pq.write_table(pa.table({"text": ["so good"], "label": ["pos"]}), folder / "a.parquet")
    return str(folder / "a.parquet")


def labelled_folder(spec, folder):
    (folder / "photos").mkdir(exist_ok=True)
    Image.new("L", (4, 4)).save(folder / "photos" / "1.png")
    written(folder / "photos" / "labels.csv", "file,label\n1.png,cat\n")
    return str(folder / "photos")


def table_folder(spec, folder):
    (folder / "tables").mkdir(exist_ok=True)
    written(folder / "tables" / "train.csv", CSV)
    return str(folder / "tables")


def saved(spec, folder):
    if not (folder / "saved").exists():
        datasets.Dataset.from_dict({"text": ["so good"], "label": ["pos"]}).save_to_disk(folder / "saved")
    return str(folder / "saved")


def npz(spec, folder):
    np.savez(folder / "a.npz", x=np.zeros((4, 8, 8), np.uint8), y=np.array([0, 1, 0, 1]))
    return str(folder / "a.npz")


def ucr(spec, folder):
    lines = ["@problemName a", "@univariate true", "@classLabel true 0 1", "@data", "1,2,3:0", "4,5,6:1"]
    return written(folder / "a.ts", "\n".join(lines))


def written(file, content):
    file.write_text(content)
    return str(file)


MADE = (demo, hub, delimited, jsonlines, parquet, labelled_folder, table_folder, saved, npz, ucr)
SOURCES = {make.__name__: make for make in MADE}
