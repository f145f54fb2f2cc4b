"""An LSTM on token embeddings that a package carries."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seedbed.core.data.profile import Profile
from seedbed.core.errors import TrialError
from seedbed.plugins.architectures.text.tokenizing import (
    TextTokenizer,
    longest_text,
    mean_of_tokens,
    read_tokenizer,
)

if TYPE_CHECKING:
    from seedbed.plugins.architectures.text import WordLSTMOptions

_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_TOKENS, _WIDTH = 32_000, 256
_LONGEST = 256


class WordLSTM(nn.Module):
    """A list of N texts → the strongest and the mean of what a bidirectional LSTM gives (N, 4 · width)."""

    def __init__(self, options: WordLSTMOptions, tokenize: TextTokenizer) -> None:
        super().__init__()
        self._tokenize = tokenize
        self.embedding = nn.Embedding(_TOKENS, _WIDTH)
        self.embedding.requires_grad_(options.train_embeddings)
        self.dropout = nn.Dropout(options.dropout)
        self.lstm = nn.LSTM(_WIDTH, options.width, batch_first=True, bidirectional=True)
        self.num_features = 4 * options.width

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return features (N, F)."""
        ids, mask = self._tokenize(texts, self.embedding.weight.device)
        lengths = mask.sum(1).clamp_min(1)  # of an empty text one token is read, and its result left out
        tokens = self.dropout(self.embedding(ids))
        packed = pack_padded_sequence(tokens, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=ids.shape[1])
        strongest = states.masked_fill(~mask[..., None], -1.0).amax(1)  # states lie within (-1, 1)
        return torch.cat([strongest, mean_of_tokens(states, mask)], 1)

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the parameters from input to output."""
        return [list(self.embedding.parameters()), list(self.lstm.parameters())]


def word_lstm(options: WordLSTMOptions, profile: Profile) -> nn.Module:
    """Build the net with fresh weights; its tokenizer is that of the package wordllama.

    Raises:
        TrialError: the package is damaged.
    """
    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise TrialError("word_lstm reads files of the package wordllama: pip install wordllama.")
    # Its import brings a dozen modules that nothing here needs.
    content = read_tokenizer(Path(spec.origin).parent / _TOKENIZER)
    return WordLSTM(options, TextTokenizer(content, longest_text(profile, _LONGEST), special=False))
