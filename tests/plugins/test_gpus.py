from __future__ import annotations

import os

import pytest

from seedbed.core.errors import PluginError
from seedbed.plugins.backends import gpus
from seedbed.plugins.backends.gpus import Gpu, asked_for, binding, parse, query, visible

TWO = """0, GPU-5f1c, NVIDIA H200, 143771, 143000
1, GPU-77aa, "NVIDIA A100, 40GB", 40960, [N/A]
"""
FIRST, SECOND = parse(TWO)


def test_the_drivers_table_is_read_with_numbers_that_are_missing():
    assert (
        Gpu(index=0, uuid="GPU-5f1c", name="NVIDIA H200", total_bytes=143771 * 2**20, free_bytes=143000 * 2**20)
        == FIRST
    )
    assert (SECOND.name, SECOND.free_bytes) == ("NVIDIA A100, 40GB", 0)
    assert parse("NVIDIA-SMI has failed\n") == ()


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Put a program of the driver's name in the path; it does what it is told."""

    def does(script):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return does


def test_the_driver_is_asked_for_what_is_needed(driver):
    driver(f"case \"$1\" in *index,uuid,name,memory.total,memory.free) cat <<'END'\n{TWO}END\n;; *) exit 2;; esac")
    assert query() == (FIRST, SECOND)


def test_without_a_driver_or_without_a_card_there_are_no_gpus(driver, monkeypatch):
    driver("echo 'No devices were found'; exit 6")
    assert query() == ()
    monkeypatch.setattr(gpus.shutil, "which", lambda name: None)
    assert query() == ()


def test_a_driver_that_hangs_is_told(driver, monkeypatch):
    monkeypatch.setattr(gpus, "_SECONDS", 0.2)
    driver("exec sleep 30")
    with pytest.raises(PluginError, match=r"nvidia-smi does not answer.*--device cpu"):
        query()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, (FIRST, SECOND)),
        ("", ()),
        ("-1", ()),
        ("1", (SECOND,)),
        ("1, 0", (SECOND, FIRST)),
        ("GPU-77", (SECOND,)),
        ("GPU-", ()),  # both begin like that
        ("0,7,1", (FIRST,)),  # as CUDA does: what follows an unknown one does not count
        ("0,0", (FIRST,)),
        ("MIG-9b", (Gpu(index=-1, uuid="MIG-9b", name="MIG-9b"),)),
    ],
)
def test_what_the_environment_hides_is_not_used(wanted, expected):
    environment = {} if wanted is None else {"CUDA_VISIBLE_DEVICES": wanted}
    assert visible((FIRST, SECOND), environment) == expected


def test_a_device_names_all_or_one_of_the_visible_ones():
    both = (SECOND, FIRST)
    assert asked_for(both, "auto") == asked_for(both, "cuda") == both
    assert asked_for(both, "cuda:1") == (FIRST,)
    assert asked_for(both, "cpu") == asked_for(both, "mps") == ()
    with pytest.raises(PluginError, match=r"cuda:2 is not among .*cuda:0 \(NVIDIA A100, 40GB\), cuda:1"):
        asked_for(both, "cuda:2")


def test_a_process_is_bound_by_its_environment_to_one_gpu(monkeypatch):
    monkeypatch.delenv("PYTORCH_ALLOC_CONF", raising=False)
    assert binding(FIRST) == {
        "CUDA_VISIBLE_DEVICES": "GPU-5f1c",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "PYTORCH_ALLOC_CONF": "expandable_segments:True",
    }
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "max_split_size_mb:64")
    assert binding(FIRST)["PYTORCH_ALLOC_CONF"] == "max_split_size_mb:64"
