"""Made-up inputs of every modality, in the form that backbones take them, for contracts of what is trained."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

from seedbed.core.data.profile import Profile
from seedbed.core.specs import Encoding, Requires
from seedbed.core.task import Modality, TaskKind
from seedbed.registry.conformance.samples import of_kind, profile_of, sequence_profile

if TYPE_CHECKING:
    from torch import Tensor

    from seedbed.core.data.feeding.source import Inputs

VOCABULARY = 50
_WORDS = ("a", "film", "so", "good", "I", "wept", ",", "naïve", "хорошо", "不错", "🙂", "www.example.org", "10/10")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One form of data to try a component on.

    `size` is the side of images in pixels, or how long the longest row of the training part is, in steps
    or tokens; `width` is that of images that are not square.
    """

    modality: Modality
    size: int
    width: int = 0
    channels: int = 0
    encoding: Encoding = "tokens"
    kind: TaskKind = "classification"

    def __str__(self) -> str:
        if self.modality == "image":
            return f"images of {self.channels} channels, {self.size} by {self.width or self.size} ({self.kind})"
        what = f"series of {self.channels} channels" if self.modality == "series" else f"texts as {self.encoding}"
        return f"{what}, up to {self.size} long ({self.kind})"

    @property
    def is_sequence(self) -> bool:
        """Whether rows are padded, and a mask says how far."""
        return self.modality == "series" or (self.modality == "text" and self.encoding == "tokens")

    @property
    def lengths(self) -> tuple[int, ...]:
        """How long the rows of an ordinary batch are."""
        return (self.size, self.size // 2, 1, self.size - 1)

    @property
    def shortest(self) -> int:
        """How long rows are at least: a string may be empty, a series and the ids of a text never are."""
        return 0 if self.modality == "text" and self.encoding == "strings" else 1

    def profile(self) -> Profile:
        """Return the facts of such data."""
        if self.modality == "image":
            found = profile_of(size=self.size, channels=self.channels)
            found = replace(found, width=self.width or self.size)
        else:
            found = sequence_profile(
                self.modality, channels=self.channels, length=self.size, vocabulary=VOCABULARY, classes=3
            )
        return of_kind(found, self.kind)

    def inputs(self, lengths: Sequence[int] | None = None, *, seed: int = 1) -> Inputs:
        """Return rows of these lengths, as a backbone takes them; of images their number alone counts."""
        import torch

        lengths = self.lengths if lengths is None else lengths
        rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
        if self.modality == "image":
            shape = (len(lengths), self.channels, self.size, self.width or self.size)
            return (torch.randn(shape, generator=generator),)
        if not self.is_sequence:
            return ([" ".join(rng.choices(_WORDS, k=length)) for length in lengths],)
        steps = max(*lengths, 1)
        mask = torch.arange(steps) < torch.tensor(lengths)[:, None]
        if self.modality == "series":
            return torch.randn(len(lengths), self.channels, steps, generator=generator) * mask[:, None], mask
        return torch.randint(1, VOCABULARY, mask.shape, generator=generator) * mask, mask


def kinds_for(requires: Requires) -> tuple[TaskKind, ...]:
    """Return the kinds of task that a component is for."""
    return requires.kinds or get_args(TaskKind)


def taken(inputs: Inputs, rows: Sequence[int]) -> Inputs:
    """Return some rows of a batch, as wide as they lie in it."""
    return tuple([each[row] for row in rows] if isinstance(each, list) else each[list(rows)] for each in inputs)


def widened(inputs: Inputs, steps: int) -> Inputs:
    """Return a batch of padded rows with this much more padding."""
    from torch.nn import functional as F

    return tuple(F.pad(each, (0, steps)) for each in inputs)


def narrowed(inputs: Inputs, steps: int) -> Inputs:
    """Return a batch of padded rows with the first steps alone."""
    return tuple(each[..., :steps] for each in inputs)


def dense(features: Tensor) -> Tensor:
    """Return features (N, F) as a dense tensor."""
    import torch

    return features if features.layout == torch.strided else features.to_dense()
