"""The benchmark for a machine with a GPU runs, which says nothing of its numbers."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

FILE = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_gpu", FILE)
    module = importlib.util.module_from_spec(spec)

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_both_loops_train_on_a_processor(benchmark):
    found = benchmark.loop(replace(benchmark.TINY, repeats=2), torch.device("cpu"))
    assert [len(each) for each in found["images_a_second"].values()] == [2, 2]
    assert found["ratio"] > 0.0
