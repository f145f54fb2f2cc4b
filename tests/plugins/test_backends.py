from dataclasses import replace
from pathlib import Path

import pytest

from seedbed.registry.conformance import BackendContract


class TestBackends(BackendContract):
    """Every built-in of this kind; the one that needs GPUs is told of two, the one that needs an account rehearses."""

    @pytest.fixture(autouse=True)
    def _gpus(self, monkeypatch):
        monkeypatch.syspath_prepend(str(Path(__file__).parent))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def options(self, spec):
        found = super().options(spec)
        match spec.name:
            case "cuda":
                return replace(found, gpus="fake_gpus:query")
            case "sagemaker":
                return replace(found, rehearse=True)
        return found
