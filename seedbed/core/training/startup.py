"""Keep torch's compiler out of a process that compiles nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

_NAME = "torch._dynamo"


class _SparedDynamo(ModuleType):
    """Stands in for `torch._dynamo` until somebody needs more of it than to be left alone.

    Every torch optimizer imports that module at its first step, to tell the compiler not to look; with
    sympy and the inductor behind it, the import takes four to six seconds, a tenth of a one-minute
    budget. Where nothing is compiled, saying nothing is as good. Any other attribute (torch.compile,
    torchvision, torch.export ask for some) loads the real module, and from then on this one is gone.
    """

    @staticmethod
    def graph_break(*_: object, **__: object) -> None:
        """Do nothing: there is no graph to break."""

    @staticmethod
    def disable(fn: Callable[..., Any] | None = None, *_: object, **__: object) -> Callable[..., Any]:
        """Return the function as it is: nothing would compile it."""
        return fn if fn is not None else (lambda function: function)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the real module has
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
            vars(sys.modules["torch"]).pop("_dynamo", None)
        return getattr(importlib.import_module(_NAME), name)


def spare_dynamo() -> None:
    """Put the stand-in in place, unless the real module is there already.

    For processes of our own alone: it changes what `import torch._dynamo` finds.
    """
    if _NAME in sys.modules:
        return
    import torch

    stand_in = _SparedDynamo(_NAME)
    sys.modules[_NAME] = stand_in
    torch._dynamo = stand_in
