"""What training takes of memory, what is left of it, and what an error says."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from seedbed.core.errors import TooLarge
from seedbed.core.training import memory
from seedbed.core.training.memory import (
    Demand,
    Snapshot,
    free_bytes,
    in_words,
    is_out_of_memory,
    least_rows,
    left_in_groups,
    measure,
    parts_here,
    parts_that_fit,
    too_large,
)
from seedbed.core.training.numerics import Numerics

CPU = torch.device("cpu")
FLOAT32 = Numerics("float32", "contiguous")
BFLOAT16 = Numerics("bfloat16", "contiguous")
WIDTH = 64


def rows_of(count):
    return (torch.ones(count, WIDTH),)


def layers():
    """Keeps of a row what the first layer and each function gives, the last for two layers; and a weight."""

    class Exp(nn.Module):
        def forward(self, inputs):
            return inputs.exp()

    return nn.Sequential(nn.Linear(WIDTH, WIDTH), Exp(), Exp(), nn.Linear(WIDTH, WIDTH))


def test_what_autograd_keeps_of_a_row_is_counted_once_and_weights_are_not():
    found = measure(layers(), rows_of, FLOAT32, CPU)
    row, weights = 4 * WIDTH, 2 * 4 * (WIDTH * WIDTH + WIDTH)
    assert found.row_bytes == 3 * row + 2 * row  # the inputs and what each function gives; and twice the largest
    assert found.input_bytes == 3 * row
    assert found.fixed_bytes == 4 * weights


def test_weights_in_a_lower_precision_are_kept_once_and_not_for_each_row():
    net = nn.Sequential(nn.Linear(WIDTH, 16 * WIDTH, bias=False), nn.Linear(16 * WIDTH, 1, bias=False))
    plain, low = measure(net, rows_of, FLOAT32, CPU), measure(net, rows_of, BFLOAT16, CPU)
    assert low.row_bytes < plain.row_bytes
    assert low.fixed_bytes > plain.fixed_bytes


def test_what_is_not_trained_needs_no_gradients():
    net = layers().requires_grad_(False)
    assert measure(net, rows_of, FLOAT32, CPU).fixed_bytes == 0


def test_measuring_leaves_model_gradients_mode_and_random_state_as_they_were():
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(WIDTH, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)).eval()
    net[0].weight.grad = torch.full_like(net[0].weight, 2.0)
    state = {name: each.clone() for name, each in net.state_dict().items()}
    before = torch.get_rng_state()
    torch.set_num_threads(2)
    measure(net, rows_of, BFLOAT16, CPU)
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(each, state[name]) for name, each in net.state_dict().items())
    assert bool((net[0].weight.grad == 2.0).all())
    assert net[1].bias.grad is None
    assert not any(each.training for each in net.modules())


@given(
    bytes_a_row=st.floats(0.0, 1e9),
    batch_size=st.integers(1, 1024),
    free=st.integers(-1000, 10**12),
    least=st.sampled_from([1, 2]),
)
def test_the_parts_fit_and_half_as_many_would_not(bytes_a_row, batch_size, free, least):
    parts = parts_that_fit(bytes_a_row, batch_size, free, least)
    most = max(batch_size // least, 1)

    def largest(count):
        return -(-batch_size // count) * bytes_a_row

    if parts is None:
        assert largest(most) > free
        return
    assert 1 <= parts <= most
    assert largest(parts) <= free
    assert parts == most or parts & (parts - 1) == 0
    if parts > 1:
        fewer = parts // 2 if parts & (parts - 1) == 0 else 2 ** (parts.bit_length() - 1)
        assert largest(fewer) > free


@given(batch_size=st.integers(2, 512), parts=st.integers(1, 512))
def test_the_inputs_of_the_whole_batch_are_there_however_it_is_parted(batch_size, parts):
    demand = Demand(row_bytes=1000.0, input_bytes=10, fixed_bytes=500)
    assert demand.of(batch_size, parts) >= 500 + 10 * batch_size + 1000
    assert demand.of(batch_size) == 500 + 1010 * batch_size


def test_batch_norm_needs_two_rows_unless_its_statistics_are_fixed():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert least_rows(net.train()) == 2
    assert least_rows(net.eval()) == 1
    assert least_rows(nn.Linear(2, 2).train()) == 1


def free(monkeypatch, *amounts):
    """Let this much be free, at each question; the last for ever."""
    left = list(amounts)
    monkeypatch.setattr(memory, "free_bytes", lambda device: left.pop(0) if len(left) > 1 else left[0])


DEMAND = Demand(row_bytes=100.0, input_bytes=0, fixed_bytes=0)


def test_a_batch_that_fits_goes_in_one_part(monkeypatch):
    free(monkeypatch, 100 * 16 / 0.8)
    assert parts_here(DEMAND, 16, CPU) == 1


def test_a_batch_that_does_not_fit_goes_in_parts(monkeypatch):
    free(monkeypatch, 100 * 5 / 0.8)
    assert parts_here(DEMAND, 16, CPU) == 4


def test_memory_that_this_process_keeps_for_itself_is_given_back_before_a_batch_is_parted(monkeypatch):
    free(monkeypatch, 100, 100 * 16 / 0.8)
    assert parts_here(DEMAND, 16, CPU) == 1


def test_what_does_not_fit_row_by_row_is_too_large_and_says_what_to_choose(monkeypatch):
    free(monkeypatch, 100)
    said = (
        r"Too large: a training step with one row at a time takes about 100 bytes beside the weights, "
        r"and 100 bytes is free on cpu\. Choose a smaller architecture or resolution.*--workers 1"
    )
    with pytest.raises(TooLarge, match=said):
        parts_here(DEMAND, 16, CPU)
    free(monkeypatch, 249)
    with pytest.raises(TooLarge, match="with 2 rows at a time takes about 200 bytes"):
        parts_here(DEMAND, 16, CPU, 2)


def test_on_a_cpu_what_is_free_is_what_the_system_and_its_groups_leave(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10_000))
    monkeypatch.setattr(memory, "left_in_groups", lambda: iter(()))
    assert free_bytes(CPU) == 10_000
    monkeypatch.setattr(memory, "left_in_groups", lambda: iter((70_000, 300)))
    assert free_bytes(CPU) == 300


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_the_limits_of_all_control_groups_above_count(tmp_path):
    root, own = tmp_path / "cgroup", tmp_path / "own"
    own.write_text("0::/jobs/mine\n")
    group(root / "jobs", memory__max=5000, memory__current=1000, memory__stat="anon 700\ninactive_file 300")
    group(root / "jobs" / "mine", memory__max="max", memory__current=900, memory__stat="inactive_file 300")
    assert list(left_in_groups(root, own)) == [4300]


def test_the_older_form_of_control_groups_is_read_as_well_and_in_a_container_at_its_root(tmp_path):
    root, own = tmp_path / "cgroup", tmp_path / "own"
    own.write_text("7:cpu,cpuacct:/docker/ab\n5:memory:/docker/ab\n")
    group(
        root / "memory",
        memory__limit_in_bytes=8000,
        memory__usage_in_bytes=3000,
        memory__stat="inactive_file 1\ntotal_inactive_file 500",
    )
    assert list(left_in_groups(root, own)) == [5500]


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert list(left_in_groups(tmp_path, tmp_path / "nowhere")) == []
    (tmp_path / "own").write_text("0::/\n")
    assert list(left_in_groups(tmp_path, tmp_path / "own")) == []


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=repr,
)
def test_memory_errors_of_all_libraries_are_known(error):
    assert is_out_of_memory(error)


def test_the_real_error_of_torch_on_a_cpu_is_known_and_tells_how_much_was_asked_for():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    said = str(too_large("predicting one row", caught.value))
    assert said.startswith("Too large: memory ran out in predicting one row (another 1,152,921,505 GB was asked for).")


@pytest.mark.parametrize("error", [RuntimeError("size mismatch"), ValueError("out of memory"), OSError(2, "No file")])
def test_other_errors_are_none_of_memory(error):
    assert not is_out_of_memory(error)


def test_a_gpu_tells_how_much_was_asked_for_in_its_own_unit():
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total of 8 GiB.")
    assert "(another 2.50 GiB was asked for)" in str(too_large("a training step", error))


@pytest.mark.parametrize(
    ("size", "text"), [(17, "17 bytes"), (999_700, "1.0 MB"), (31e7, "310 MB"), (2.44e9, "2.4 GB"), (9.96e9, "10 GB")]
)
def test_sizes_are_written_as_people_write_them(size, text):
    assert in_words(size) == text


def test_a_snapshot_brings_back_buffers_and_random_state():
    torch.manual_seed(1)
    net = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    before = Snapshot(net, CPU)
    first = net(torch.ones(8, 4))
    before.take()
    wanted, second = net[0].running_mean.clone(), net(torch.arange(32.0).view(8, 4))
    assert not torch.equal(net[0].running_mean, wanted)
    before.restore()
    assert torch.equal(net[0].running_mean, wanted)
    assert int(net[0].num_batches_tracked) == 1
    assert torch.equal(net(torch.arange(32.0).view(8, 4)), second)
    assert not torch.equal(first, second)
