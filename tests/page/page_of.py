"""Pages as a browser has them, and what they are made of."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.prepared import Prepared
from seedbed.core.data.profile import Finding, Profile
from seedbed.core.data.repair import Repair, repaired
from seedbed.core.data.splitting.splits import Splits
from seedbed.core.data.targets import targets_of
from seedbed.core.intake import Examined
from seedbed.core.task import Task

VOID = {"meta", "img", "br", "path"}


class Read(HTMLParser):
    """A page as a browser has it: its elements with their attributes, and what stands in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def examined(dataset: Dataset, prepared: Prepared, found: Sequence[Finding | Repair] = (), **facts) -> Examined:
    """Data that was looked at, all of whose usable rows are for training."""
    checked = repaired(found, targets_of(dataset), prepared.usable() & targets_of(dataset).known(), "all")
    targets = checked.targets
    train = np.flatnonzero(checked.usable)
    nothing = np.empty(0, dtype=np.int64)
    splits = Splits(
        train=train,
        valid=nothing,
        test=nothing,
        targets=targets.values,
        classes=targets.classes,
        kind=dataset.kind,
    )
    task = Task(modality=dataset.modality, kind=dataset.kind, metric="", classes=targets.classes)
    counts = () if dataset.kind == "regression" else tuple(targets.counts(train).tolist())
    profile = Profile(
        task=task, examples=len(train), train=len(train), valid=0, test=0, class_counts=counts, channels=1, **facts
    )
    return Examined(dataset=dataset, prepared=prepared, checked=checked, splits=splits, profile=profile)


def finding(*rows: str, **facts) -> Finding:
    return Finding(**{"check": "some_check", "severity": "warning", "evidence": "Seen.", "rows": rows} | facts)


def pictures(html: str) -> list[Image.Image]:
    sources = [each["src"] or "" for each in Read(html).all("img")]
    assert all(each.startswith("data:image/png;base64,") for each in sources)
    return [Image.open(io.BytesIO(base64.b64decode(each.partition(",")[2]))) for each in sources]
