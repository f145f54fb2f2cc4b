"""Changes of whole batches of texts: ids int64 (N, T) and mask bool (N, T) → the same, never in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from seedbed.core.data.preparing.vocabulary import PADDING, UNKNOWN
from seedbed.core.data.profile import Profile
from seedbed.core.protocols import SequenceAugmenter

if TYPE_CHECKING:
    from seedbed.plugins.augmenters import TokenDropoutOptions


def token_dropout(options: TokenDropoutOptions, profile: Profile) -> SequenceAugmenter:
    """Build the dropout; the first token of each text is always kept.

    With `unknown` in their place (Bowman et al. 2016, section 3.1), the embedding of the unknown token is
    learnt, which new words meet at prediction. Removed (Iyyer et al. 2015, section 2.4), what is left closes
    up and the mask grows shorter.
    """

    def augment(inputs: Tensor, mask: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        kept = torch.rand(inputs.shape, generator=generator, device=inputs.device) >= options.rate
        kept[:, 0] = True
        if options.how == "unknown":
            return torch.where(kept | ~mask, inputs, UNKNOWN), mask
        kept &= mask
        order = kept.sort(dim=1, descending=True, stable=True).indices
        left = torch.arange(mask.shape[1], device=mask.device) < kept.sum(1, keepdim=True)
        return inputs.gather(1, order).masked_fill(~left, PADDING), left

    return augment
