"""The form in which a model takes its inputs; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from seedbed.core.specs import Encoding


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The input form of one model.

    Of images, `height` and `width` in pixels, `channels` (1 or 3), `mean` and `std` a channel for inputs in
    [0, 1]. Of series, `channels`, and `mean` and `std` of their values. Of texts, `encoding`: as ids of the
    run's own vocabulary or as they are.
    """

    height: int = 0
    width: int = 0
    channels: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    encoding: Encoding = "tokens"

    def at(self, resolution: int) -> View:
        """Return the same view with its shorter side at `resolution` pixels."""
        scale = resolution / min(self.height, self.width)
        return replace(self, height=round(self.height * scale), width=round(self.width * scale))

    @property
    def resolution(self) -> int:
        """The shorter side, in pixels; 0 where there are none."""
        return min(self.height, self.width)
