from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from core.training.helpers import fake_lookup, make_data, run_job, trial_job
from torch import nn

from seedbed.core.errors import UnknownName, UsageError
from seedbed.core.search.candidate import Fidelity
from seedbed.core.search.events import TrialFinished, TrialPlanned
from seedbed.core.training import devices
from seedbed.core.training.desk import Desk, open_rows, room_on
from seedbed.core.training.devices import KINDS, Cuda, Device, Mps, Xla, device_of, own_random, pick_device
from seedbed.core.training.evaluate import never
from seedbed.core.training.footprint import peak_bytes
from seedbed.core.training.memory import Snapshot, free_bytes, give_back
from seedbed.core.training.numerics import Numerics, choices, default
from seedbed.core.training.trial import run_trial

CPU, CUDA, MPS, XLA = (torch.device(each) for each in ("cpu", "cuda", "mps", "xla"))


class Card:
    """What torch says of a card, and what it was told: 9000 bytes, 1000 of them free; 500 are ours, 200 in use."""

    def __init__(self, monkeypatch, *, bf16=True):
        self.fraction = 1.0
        self.calls = []
        self.peak = 0
        self.state = torch.zeros(2, dtype=torch.uint8)
        answers = {
            "is_available": lambda: True,
            "is_bf16_supported": lambda including_emulation=True: bf16 or including_emulation,
            "mem_get_info": lambda place: (1000, 9000),
            "memory_reserved": lambda place: 500,
            "memory_allocated": lambda place: 200,
            "max_memory_allocated": lambda place: self.peak,
            "max_memory_reserved": lambda place: 700,
            "reset_peak_memory_stats": lambda place: self.calls.append("reset"),
            "empty_cache": lambda: self.calls.append("empty"),
            "synchronize": lambda place: self.calls.append("wait"),
            "get_rng_state": lambda place: self.state.clone(),
            "set_rng_state": lambda state, place: setattr(self, "state", state.clone()),
            "current_device": lambda: 0,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(torch.cuda, name, answer)
        # Below torch's own functions, which are particular about how a card is named.
        below = {
            "_cuda_getMemoryFraction": lambda index: self.fraction,
            "_cuda_setMemoryFraction": lambda share, index: setattr(self, "fraction", share),
        }
        monkeypatch.setattr(torch.cuda.memory, "_lazy_init", lambda: None)
        for name, answer in below.items():
            monkeypatch.setattr(torch._C, name, answer, raising=False)


@pytest.fixture
def card(monkeypatch):
    return Card(monkeypatch)


def test_auto_takes_a_gpu_where_there_is_one_and_never_xla(monkeypatch):
    class There(Device):
        pass

    class Missing(Device):
        @classmethod
        def is_available(cls):
            return False

    for cuda, mps, expected in ((There, There, "cuda"), (Missing, There, "mps"), (Missing, Missing, "cpu")):
        for name, kind in {"cuda": cuda, "mps": mps, "xla": There}.items():
            monkeypatch.setitem(KINDS, name, kind)
        assert pick_device("auto").type == expected


def test_devices_are_found_by_name_and_number(card):
    assert pick_device("cpu") == CPU
    assert pick_device("cuda:1") == torch.device("cuda", 1)


def test_a_device_that_is_not_there_is_told_with_a_way_out(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"cuda:1 was asked for, and torch .* finds none .*seedbed doctor"):
        pick_device("cuda:1")
    with pytest.raises(UnknownName, match="Did you mean 'cuda'"):
        pick_device("cude")


@pytest.mark.parametrize(("bf16", "low"), [(True, "bfloat16"), (False, "float16")])
def test_cards_before_ampere_compute_in_float16_and_do_not_imitate_bfloat16(monkeypatch, bf16, low):
    Card(monkeypatch, bf16=bf16)
    assert [str(each) for each in choices(CUDA)] == [
        f"{low} channels_last",
        f"{low} contiguous",
        "float32 channels_last",
    ]
    assert [each.precision for each in choices(CUDA, images=False)] == [low, "float32"]
    assert choices(CUDA)[0].needs_scaling() is not bf16


def test_apples_gpus_have_float16_and_one_memory_format():
    assert choices(MPS) == (Numerics("float16", "contiguous"), Numerics("float32", "contiguous"))
    assert default(MPS) == Numerics("float32", "contiguous")


def test_on_a_gpu_the_blocks_that_torch_keeps_are_free_as_well(card):
    assert free_bytes(CUDA) == 1000 + 500 - 200
    assert room_on(CUDA) == 1300.0


def test_what_is_free_ends_at_the_cap(card):
    Cuda(CUDA).cap(900)
    assert card.fraction == pytest.approx(0.1)
    assert free_bytes(CUDA) == (900 - 500) + (500 - 200)
    Cuda(CUDA).cap(0)
    assert card.fraction == 1.0
    Cuda(CUDA).cap(90_000)
    assert card.fraction == 1.0


def test_giving_back_empties_the_cards_cache_and_a_peak_is_taken_from_it(card):
    give_back(CUDA)
    assert card.calls == ["empty"]

    def predict():
        card.peak = 260

    assert peak_bytes(predict, CUDA) == 60
    assert card.calls == ["empty", "reset"]


def test_a_step_is_timed_to_its_end_on_the_card(card):
    device_of(CUDA).synchronize()
    assert card.calls == ["wait"]


def test_products_are_rounded_to_tf32_within_training_steps_alone():
    switch = torch.backends.cuda.matmul
    before = switch.fp32_precision
    with Cuda(CUDA).hasty():
        assert switch.fp32_precision == "tf32"
    assert switch.fp32_precision == before
    with Device(CPU).hasty():
        assert switch.fp32_precision == before


def test_random_states_of_card_and_processor_come_back(card):
    before, there = torch.get_rng_state(), card.state.clone()
    with own_random(CUDA):
        torch.rand(1)
        card.state += 7
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(card.state, there)
    snapshot = Snapshot(nn.Linear(1, 1), CUDA)
    card.state = card.state + 3
    snapshot.restore()
    assert torch.equal(card.state, there)


def test_metal_has_what_it_recommends_less_what_is_taken(monkeypatch):
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 1000)
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 400)
    assert Mps(MPS).memory() == (600, 1000)
    assert free_bytes(MPS) == 600


class FakeXla:
    """The few names of `torch_xla` that are used, without a compiler behind them."""

    def __init__(self, monkeypatch, *, memory=None):
        self.syncs = []
        self.seed = 0
        package, core, model = (
            ModuleType(name) for name in ("torch_xla", "torch_xla.core", "torch_xla.core.xla_model")
        )
        package.sync = lambda wait=False: self.syncs.append(wait)
        model.get_rng_state = lambda device=None: self.seed
        model.set_rng_state = lambda seed, device=None: setattr(self, "seed", seed)

        def get_memory_info(device):
            if memory is None:
                raise RuntimeError("UNIMPLEMENTED: GetMemoryInfo")
            return memory

        model.get_memory_info = get_memory_info
        for module in (package, core, model):
            monkeypatch.setitem(sys.modules, module.__name__, module)


def test_xla_is_there_where_its_package_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_xla", None)
    assert not Xla.is_available()
    with pytest.raises(UsageError, match="xla was asked for"):
        pick_device("xla")
    FakeXla(monkeypatch)
    assert pick_device("xla") == XLA


def test_xla_says_how_much_memory_there_is_or_nothing(monkeypatch):
    FakeXla(monkeypatch)
    assert Xla(XLA).memory() is None
    FakeXla(monkeypatch, memory={"bytes_used": 30, "bytes_limit": 100})
    assert Xla(XLA).memory() == (70, 100)


def test_xla_computes_at_a_mark_and_waits_when_asked(monkeypatch):
    fake = FakeXla(monkeypatch)
    Xla(XLA).mark_step()
    Xla(XLA).synchronize()
    assert fake.syncs == [False, True]


def test_xlas_random_numbers_are_seeded_and_come_back(monkeypatch):
    fake = FakeXla(monkeypatch)
    with own_random(XLA):
        device_of(XLA).seed(5)
        assert (fake.seed, torch.initial_seed()) == (5, 5)
    assert fake.seed == 0


def test_batches_for_a_device_that_cannot_augment_are_made_on_the_processor_and_carried_there(tmp_path, monkeypatch):
    class Far(Device):
        feeds_from = CPU

    monkeypatch.setitem(KINDS, "meta", Far)
    np.save(tmp_path / "images.npy", np.zeros((5, 4, 6, 3), dtype=np.uint8))
    source = open_rows("image", tmp_path, "", torch.device("meta"))
    view = SimpleNamespace(height=4, width=6, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3)
    (gathered,) = source.gather(torch.tensor([1, 2]), view)
    assert gathered.device == CPU
    assert source.ready((gathered,), view)[0].device.type == "meta"
    assert (source.device.type, len(source), source.lengths()) == ("meta", 5, None)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("made"), rows=90)


def test_a_trial_asks_the_seam_for_all_that_is_the_devices_own(made, tmp_path, monkeypatch):
    """The processor in an accelerator's clothes: what a GPU would be asked, in a training that is real."""
    asked = []

    class Dressed(Device):
        is_accelerator = True
        precisions = ("bfloat16", "float32")

        def seed(self, seed):
            asked.append("seed")
            torch.manual_seed(seed)

        def synchronize(self):
            asked.append("synchronize")

        def hasty(self):
            asked.append("hasty")
            return super().hasty()

    monkeypatch.setitem(KINDS, "cpu", Dressed)
    events = []
    job = trial_job(made, tmp_path / "0000", fidelity=Fidelity(epochs=4, seconds=60.0))
    run_trial(job, events.append, never, Desk(fake_lookup()))
    assert isinstance(events[-1], TrialFinished), events[-1]
    assert {"seed", "synchronize", "hasty"} <= set(asked)
    planned = next(each for each in events if isinstance(each, TrialPlanned))
    assert planned.precision in ("bfloat16", "float32")


def test_a_device_that_is_missing_fails_the_trial_with_the_way_out(made, tmp_path, monkeypatch):
    monkeypatch.setattr(devices.Cuda, "is_available", classmethod(lambda cls: False))
    events = run_job(replace(trial_job(made, tmp_path / "0000"), device="cuda"))
    assert "seedbed doctor" in events[-1].error
