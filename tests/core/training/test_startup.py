from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

from seedbed.core.training.startup import spare_dynamo

_SPARED = """
import sys
from seedbed.core.training.startup import spare_dynamo
spare_dynamo()
import torch
def is_spared():
    return type(sys.modules["torch._dynamo"]).__name__ != "module" and "torch._dynamo.eval_frame" not in sys.modules
"""


_COMPILED_IN_THE_END = """
from seedbed.core.training.head import fit_head
weight = torch.nn.Parameter(torch.ones(3))
for optimizer in (torch.optim.SGD([weight], lr=0.1, fused=True), torch.optim.AdamW([weight], lr=0.1, fused=True)):
    weight.square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
fit_head(torch.randn(40, 3), torch.arange(40) % 2, "classification", 2, torch.Generator().manual_seed(0))
print(is_spared(), "sympy" in sys.modules)
import inspect  # its getmodule asks every module for its file, and libraries call it while they load
inspect.getmodule(fit_head)
print(is_spared())
compiled = torch.compile(lambda x: x * 2 + 1, backend="eager")
real = sys.modules["torch._dynamo"]
print(float(compiled(torch.tensor(3.0))), type(real).__name__, torch._dynamo is real)
weight.square().sum().backward()
optimizer.step()
print(bool(weight.isfinite().all()))
"""

_SUBMODULE_FIRST = """
import torch._dynamo.config as config
print(config is sys.modules["torch._dynamo"].config, torch._dynamo.config is config)
import torch._dynamo.eval_frame as frame
print(sys.modules["torch._dynamo"].eval_frame is frame)
"""


@pytest.fixture(scope="module")
def words() -> dict[str, list[str]]:
    """What each piece of code printed in a process of its own; both run at the same time."""

    def run(code: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", _SPARED + code], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    codes = (_COMPILED_IN_THE_END, _SUBMODULE_FIRST)
    with ThreadPoolExecutor(len(codes)) as pool:
        return dict(zip(codes, pool.map(run, codes), strict=True))


@pytest.mark.slow
def test_optimizer_steps_schedules_and_heads_import_no_compiler(words):
    """Then torch.compile works nevertheless: the stand-in steps aside for the real module."""
    assert words[_COMPILED_IN_THE_END] == ["True", "False", "True", "7.0", "module", "True", "True"]


@pytest.mark.slow
def test_a_submodule_imported_first_is_loaded_once(words):
    assert words[_SUBMODULE_FIRST] == ["True", "True", "True"]


def test_the_real_module_is_left_alone_where_it_is_already_loaded(monkeypatch):
    real = ModuleType("torch._dynamo")
    monkeypatch.setitem(sys.modules, "torch._dynamo", real)
    spare_dynamo()
    assert sys.modules["torch._dynamo"] is real
