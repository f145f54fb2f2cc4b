"""LSTM and GRU on token embeddings that a package carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seedbed.core.data.profile import Profile
from seedbed.plugins.architectures.text.tokenizing import (
    TextTokenizer,
    longest_text,
    mean_of_tokens,
    packaged_tokenizer,
    saved_tokenizer,
)

if TYPE_CHECKING:
    from seedbed.plugins.architectures.text import WordRecurrentOptions

Kind = type[nn.LSTM | nn.GRU]

_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_TOKENS, _WIDTH = 32_000, 256
_LONGEST = 256


class WordRecurrent(nn.Module):
    """A list of N texts → the strongest and the mean of what a bidirectional net gives (N, 4 · width)."""

    def __init__(self, kind: Kind, options: WordRecurrentOptions, tokenizer: TextTokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.embedding = nn.Embedding(_TOKENS, _WIDTH)
        self.embedding.requires_grad_(options.train_embeddings)
        self.dropout = nn.Dropout(options.dropout)
        self.net = kind(_WIDTH, options.width, batch_first=True, bidirectional=True)
        self.num_features = 4 * options.width

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return features (N, F)."""
        ids, mask = self.tokenizer(texts, self.embedding.weight.device)
        lengths = mask.sum(1).clamp_min(1)  # of an empty text one token is read, and its result left out
        tokens = self.dropout(self.embedding(ids))
        packed = pack_padded_sequence(tokens, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.net(packed)[0], batch_first=True, total_length=ids.shape[1])
        strongest = states.masked_fill(~mask[..., None], -1.0).amax(1)  # states lie within (-1, 1)
        return torch.cat([strongest, mean_of_tokens(states, mask)], 1)

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the parameters from input to output."""
        return [list(self.embedding.parameters()), list(self.net.parameters())]


def word_lstm(options: WordRecurrentOptions, profile: Profile) -> nn.Module:
    """Build an LSTM with fresh weights; its tokenizer is that of the package wordllama.

    Raises:
        TrialError: the package is missing or damaged.
    """
    return _build(nn.LSTM, packaged_tokenizer("wordllama", _TOKENIZER), options, profile)


def word_gru(options: WordRecurrentOptions, profile: Profile) -> nn.Module:
    """Build a GRU; as `word_lstm` otherwise."""
    return _build(nn.GRU, packaged_tokenizer("wordllama", _TOKENIZER), options, profile)


def restored_word_lstm(options: WordRecurrentOptions, profile: Profile, state: Mapping[str, Tensor]) -> nn.Module:
    """Build the LSTM whose state this is (`state_dict` of the backbone), and load it; needs no package."""
    return _restored(nn.LSTM, options, profile, state)


def restored_word_gru(options: WordRecurrentOptions, profile: Profile, state: Mapping[str, Tensor]) -> nn.Module:
    """Build the GRU whose state this is; as `restored_word_lstm` otherwise."""
    return _restored(nn.GRU, options, profile, state)


def _build(kind: Kind, tokenizer: bytes, options: WordRecurrentOptions, profile: Profile) -> WordRecurrent:
    return WordRecurrent(kind, options, TextTokenizer(tokenizer, longest_text(profile, _LONGEST), special=False))


def _restored(
    kind: Kind, options: WordRecurrentOptions, profile: Profile, state: Mapping[str, Tensor]
) -> WordRecurrent:
    found = _build(kind, saved_tokenizer(state), options, profile)
    found.load_state_dict(dict(state))
    return found
