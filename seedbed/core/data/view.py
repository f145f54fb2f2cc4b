"""The form in which a model takes its inputs; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The input form of one model.

    `height` and `width` in pixels, `channels` (1 or 3), `mean` and `std` a channel for inputs in [0, 1].
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def at(self, resolution: int) -> View:
        """Return the same view with its shorter side at `resolution` pixels."""
        scale = resolution / min(self.height, self.width)
        return View(
            height=round(self.height * scale),
            width=round(self.width * scale),
            channels=self.channels,
            mean=self.mean,
            std=self.std,
        )

    @property
    def resolution(self) -> int:
        """The shorter side, in pixels."""
        return min(self.height, self.width)
