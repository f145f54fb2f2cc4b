from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow  # each test imports torch in a process of its own


def _run(code: str) -> list[str]:
    """Run code in a fresh process and return the words it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


_SPARED = """
import sys
from seedbed.core.training.startup import spare_dynamo
spare_dynamo()
import torch
def is_spared():
    return type(sys.modules["torch._dynamo"]).__name__ != "module" and "torch._dynamo.eval_frame" not in sys.modules
"""


def test_optimizer_steps_schedules_and_heads_import_no_compiler():
    """Then torch.compile works nevertheless: the stand-in steps aside for the real module."""
    words = _run(
        _SPARED
        + """
from seedbed.core.training.head import fit_head
weight = torch.nn.Parameter(torch.ones(3))
for optimizer in (torch.optim.SGD([weight], lr=0.1, fused=True), torch.optim.AdamW([weight], lr=0.1, fused=True)):
    weight.square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
fit_head(torch.randn(40, 3), torch.arange(40) % 2, 2, torch.Generator().manual_seed(0))
print(is_spared(), "sympy" in sys.modules)
compiled = torch.compile(lambda x: x * 2 + 1, backend="eager")
real = sys.modules["torch._dynamo"]
print(float(compiled(torch.tensor(3.0))), type(real).__name__, torch._dynamo is real)
weight.square().sum().backward()
optimizer.step()
print(bool(weight.isfinite().all()))
"""
    )
    assert words == ["True", "False", "7.0", "module", "True", "True"]


def test_looking_for_the_source_of_a_function_wakes_no_compiler():
    """`inspect.getmodule` asks every module in the process for its file; libraries call it while they load."""
    assert _run(_SPARED + "import inspect\ndef f(): pass\ninspect.getmodule(f)\nprint(is_spared())") == ["True"]


def test_a_submodule_imported_first_is_loaded_once():
    words = _run(
        _SPARED
        + """
import torch._dynamo.config as config
print(config is sys.modules["torch._dynamo"].config, torch._dynamo.config is config)
import torch._dynamo.eval_frame as frame
print(sys.modules["torch._dynamo"].eval_frame is frame)
"""
    )
    assert words == ["True", "True", "True"]


def test_the_real_module_is_left_alone_where_it_is_already_loaded():
    words = _run(
        """
        import sys, torch._dynamo
        real = sys.modules["torch._dynamo"]
        from seedbed.core.training.startup import spare_dynamo
        spare_dynamo()
        print(sys.modules["torch._dynamo"] is real, torch._dynamo is real)
        """
    )
    assert words == ["True", "True"]
