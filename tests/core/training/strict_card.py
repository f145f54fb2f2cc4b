"""A card made of the processor: a kind of device of its own, whose operations are as strict as CUDA's about places.

Tensors on it hold one on the processor, and are no less `torch.Tensor`s of the device `card:0`. An operation whose
tensors or random numbers lie on both sides raises, as CUDA's do; a number may come from the processor, and so may the
indices into what lies on the card. There is no float64, as Apple's GPUs have none. `install` cannot be undone: it is
for a process of its own.
"""

from __future__ import annotations

import threading
from typing import ClassVar

import torch
from torch.utils import backend_registration
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

from seedbed.core.training.devices import KINDS, Device

NAME = "card"

_aten = torch.ops.aten
_COPIES = {"aten::_to_copy", "aten::copy_", "aten::to"}
_INDEXED = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default}
_PACKED = {"aten::_pack_padded_sequence", "aten::_pad_packed_sequence", "aten::gru", "aten::lstm"}
"""Of these the lengths are the processor's, on CUDA as well."""

_LOWERED = ("linear", "conv1d", "conv2d", "matmul", "bmm", "mm", "addmm", "baddbmm")
_libraries = []


class StrictCard(Device):
    """What the seam says of it: as of a GPU, and what lies on it is not counted."""

    kind = NAME
    is_accelerator = True


class OnCard(torch.Tensor):
    """A tensor on the card; `here` is where its numbers are."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, here):
        if here.dtype == torch.float64:
            raise TypeError(f"{NAME} has no float64")
        laid_out = {}
        if here.layout == torch.strided:
            laid_out = {"strides": here.stride(), "storage_offset": here.storage_offset()}
        made = torch.Tensor._make_wrapper_subclass(
            cls, here.size(), dtype=here.dtype, device=torch.device(NAME, 0), **laid_out
        )
        made.here = here
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _compute(func, *args, **(kwargs or {}))

    @property
    def layout(self):
        return self.here.layout

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, value):
        torch._C.TensorBase.data.__set__(self, value)
        self.here = value.here

    def storage(self):
        return self.here.storage()

    def untyped_storage(self):
        return self.here.untyped_storage()

    def tolist(self):
        return self.here.tolist()

    def data_ptr(self):
        return self.here.data_ptr()

    def __repr__(self):
        return f"OnCard({self.here})"


class Generator(torch.Generator):
    """Random numbers of a place; the card's are drawn on the processor as well."""

    _places: ClassVar[dict[int, torch.device]] = {}

    def __new__(cls, device="cpu"):
        made = super().__new__(cls)
        cls._places[made._cdata] = torch.device(device)
        return made

    @classmethod
    def place_of(cls, generator):
        return cls._places.get(generator._cdata, torch.device("cpu"))

    @property
    def device(self):
        return self.place_of(self)

    def manual_seed(self, seed):
        super().manual_seed(seed)
        return self


class _Module(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self):
        return [torch.bfloat16, torch.float16]


def install():
    """Make this process have a card."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, _Module())
    torch.inference_mode = torch.no_grad  # views of weights would be no inference tensors, which torch refuses
    torch.nn.Module._apply = _carrying(torch.nn.Module._apply)
    torch.Generator = Generator
    run = threading.Thread.run
    threading.Thread.run = lambda thread: (_prepare_thread(), run(thread))
    _prepare_thread()
    for key, fallback in (("PrivateUse1", _compute), ("AutocastPrivateUse1", torch.library.fallthrough_kernel)):
        library = torch.library.Library("_", "IMPL", key)
        library.fallback(fallback)
        _libraries.append(library)
    autocast = torch.library.Library("aten", "IMPL", "AutocastPrivateUse1")
    for name in _LOWERED:
        autocast.impl(name, _lowered(getattr(_aten, name).default))
    _libraries.append(autocast)
    KINDS[NAME] = StrictCard


def _carrying(apply):
    """Have weights that go to the card become tensors of it; those that are there keep their places in optimizers."""

    def carry(module, fn, recurse=True):
        own = next(iter(module._parameters.values()), None)
        torch.__future__.set_swap_module_params_on_conversion(own is not None and not isinstance(own, OnCard))
        return apply(module, fn, recurse)

    return carry


def _prepare_thread():
    torch.autograd.set_multithreading_enabled(False)
    torch._C._set_only_lift_cpu_tensors(True)  # what is made of numbers is made here, and carried there


def _lowered(func):
    own_key = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def lower(tensor):
        return tensor.to(torch.get_autocast_dtype(NAME)) if tensor.is_floating_point() else tensor

    def call(*args, **kwargs):
        with torch._C._ExcludeDispatchKeyGuard(own_key):
            return func(*tree_map_only(torch.Tensor, lower, args), **tree_map_only(torch.Tensor, lower, kwargs))

    return call


def _compute(func, *args, **kwargs):
    """Do an operation on the processor, if it could be done where its tensors say that they lie."""
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
    there = [each for each in tensors if isinstance(each, OnCard)]
    if func in _INDEXED:
        _insist(func, [args[0], *args[2:3]])
        if there and not isinstance(args[0], OnCard):
            raise RuntimeError(f"{func}: indices should be either on cpu or on the same device as the tensor (cpu)")
    elif func._schema.name in _PACKED:
        _insist(func, [each for each in tensors if each.is_floating_point()])
    elif func._schema.name not in _COPIES:
        _insist(func, tensors)
    is_there = isinstance(args[0], OnCard) if func is _aten.copy_.default else bool(there)
    if (device := kwargs.get("device")) is not None:
        is_there = torch.device(device).type == NAME
    for each in tree_leaves((args, kwargs)):
        if isinstance(each, torch._C.Generator) and (Generator.place_of(each).type == NAME) != is_there:
            place = NAME if is_there else "cpu"
            raise RuntimeError(f"{func}: expected a {place} generator but found one of {Generator.place_of(each)}")
    if func._schema.name in _COPIES:
        kwargs.pop("layout", None)  # of a sparse tensor it is told wrongly; none is changed by carrying it
    found = func(*tree_map(_here, args), **tree_map(_here, kwargs))
    if not is_there or func is _aten._local_scalar_dense.default:
        return found
    if func._schema.name == "aten::_pack_padded_sequence":
        return OnCard(found[0]), found[1]
    known = {id(each.here): each for each in there}
    return tree_map_only(torch.Tensor, lambda each: known[id(each)] if id(each) in known else OnCard(each), found)


def _insist(func, tensors):
    places = {isinstance(each, OnCard) for each in tensors if isinstance(each, torch.Tensor) and each.ndim}
    places |= {True for each in tensors if isinstance(each, OnCard)}
    if len(places) > 1:
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, but found {NAME}:0 and cpu")


def _here(value):
    if isinstance(value, OnCard):
        return value.here
    return torch.device("cpu") if isinstance(value, torch.device) and value.type == NAME else value
