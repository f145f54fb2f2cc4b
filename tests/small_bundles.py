"""Runs of a second or two whose bundles hold built-in components alone, one for each kind of data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from quick_runs import photos, quick_fit

WORDS = {"good": ("fine", "great", "lovely"), "bad": ("poor", "awful", "dire")}
SPEEDS = {"slow": 0.2, "fast": 0.9}


def images(folder: Path) -> Path:
    """Train on dark and light pictures; return the run's folder. The pictures are in `folder`/photos."""
    data = photos(folder / "photos", count=20)
    return quick_fit(folder / "images", str(data), use=["architecture:mlp"]).folder


def texts(folder: Path) -> Path:
    """Train on good and bad sentences, a column of titles and one of texts; the table is `folder`/texts.csv."""
    rng = np.random.default_rng(0)
    lines = ["title,text,mood"]
    lines += [
        f"film {n},it was {rng.choice(words)} and {rng.choice(words)},{mood}"
        for n in range(40)
        for mood, words in WORDS.items()
    ]
    (folder / "texts.csv").write_text("\n".join(lines))
    more = {"use": ["architecture:hashed_ngrams"], "target": "mood", "inputs": ["title", "text"]}
    return quick_fit(folder / "texts", str(folder / "texts.csv"), **more).folder


def wave(speed: float, seed: int, steps: int = 30) -> list[float]:
    start = np.random.default_rng(seed).uniform(0, 6)
    return [float(each) for each in np.sin(np.arange(steps) * speed + start).round(4)]


def series(folder: Path, channels: int = 1) -> Path:
    """Train on slow and fast waves, of one channel or several; the table is `folder`/series.jsonl."""
    rows = []
    for kind, speed in SPEEDS.items():
        for seed in range(30):
            waves = [wave(speed, seed + 100 * channel) for channel in range(channels)]
            rows.append({"signal": waves if channels > 1 else waves[0], "kind": kind})
    (folder / "series.jsonl").write_text("\n".join(map(json.dumps, rows)))
    more = {"use": ["architecture:minirocket"], "target": "kind"}
    return quick_fit(folder / "series", str(folder / "series.jsonl"), **more).folder


def numbers(folder: Path) -> Path:
    """Train on waves and how fast they are, a number."""
    rows = [{"signal": wave(0.2 + seed / 50, seed), "speed": 0.2 + seed / 50 + (seed % 3) / 100} for seed in range(40)]
    (folder / "numbers.jsonl").write_text("\n".join(map(json.dumps, rows)))
    more = {"use": ["architecture:minirocket"], "target": "speed"}
    return quick_fit(folder / "numbers", str(folder / "numbers.jsonl"), **more).folder
