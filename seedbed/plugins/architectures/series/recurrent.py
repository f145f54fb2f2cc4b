"""Recurrent nets for series and texts: LSTM and GRU over packed sequences, so that padding costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seedbed.core.data.profile import Profile

if TYPE_CHECKING:
    from seedbed.plugins.architectures.series import RecurrentOptions


class Recurrent(nn.Module):
    """Series (N, C, T) or ids (N, T), and mask (N, T) → features (N, F)."""

    def __init__(self, kind: type[nn.LSTM | nn.GRU], options: RecurrentOptions, profile: Profile) -> None:
        super().__init__()
        self.tokens: nn.Module | None = None
        channels = profile.channels
        if profile.task.modality == "text":
            channels = options.embedding
            self.tokens = nn.Sequential(_embedding(profile.vocabulary, channels), nn.Dropout(options.dropout))
        self.net = kind(
            channels,
            options.width,
            options.layers,
            batch_first=True,
            bidirectional=options.bidirectional,
            dropout=options.dropout if options.layers > 1 else 0.0,  # torch warns: there is nothing in between
        )
        _start(self.net)
        self.num_features = options.width * (2 if options.bidirectional else 1)
        self.pooling = options.pooling
        self.attention = Attention(self.num_features) if options.pooling == "attention" else None

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Return features (N, F)."""
        steps = inputs.transpose(1, 2) if self.tokens is None else self.tokens(inputs)
        mask = torch.cat([torch.ones_like(mask[:, :1]), mask[:, 1:]], 1)  # a text may be empty: one step of nothing
        # Packing needs to know the lengths outside of the device.
        packed = pack_padded_sequence(steps, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        outputs, state = self.net(packed)
        if self.pooling == "last":
            return self._last(state[0] if isinstance(state, tuple) else state)
        found, _ = pad_packed_sequence(outputs, batch_first=True, total_length=mask.shape[1])
        if self.attention is not None:
            pooled: Tensor = self.attention(found, mask)
            return pooled
        return found.sum(1) / mask.sum(1, keepdim=True)  # 0 beyond the end of a row

    def _last(self, state: Tensor) -> Tensor:
        """Return what the last layer knows at the end of each row, and going back at its beginning."""
        return torch.cat([*state[-2:]], 1) if self.net.bidirectional else state[-1]


class Attention(nn.Module):
    """Mean of steps (N, T, F), weighted by what a small net thinks of each (Yang et al. 2016, section 2.2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False))

    def forward(self, steps: Tensor, mask: Tensor) -> Tensor:
        """Return (N, F)."""
        scores: Tensor = self.score(steps)[..., 0].masked_fill(~mask, -torch.inf)
        return (scores.softmax(1)[:, None] @ steps)[:, 0]


def _embedding(vocabulary: int, width: int) -> nn.Embedding:
    """Return vectors of the tokens, 0 that of nothing; small ones, as most are met too seldom to be moved far."""
    found = nn.Embedding(max(vocabulary, 1), width, padding_idx=0)
    with torch.no_grad():
        found.weight.mul_(0.1)
    return found


def _start(net: nn.LSTM | nn.GRU) -> None:
    """Start with orthogonal recurrent weights (Saxe et al. 2014), and an LSTM that forgets nothing at first.

    Its forget gates have a bias of 1 (Jozefowicz et al. 2015): torch adds two, and orders the gates i, f, g, o.
    """
    gates = 4 if isinstance(net, nn.LSTM) else 3
    for name, weight in net.named_parameters():
        if name.startswith("weight_hh"):
            for gate in weight.data.chunk(gates):
                nn.init.orthogonal_(gate)
        elif name.startswith("weight_ih"):
            for gate in weight.data.chunk(gates):
                nn.init.xavier_uniform_(gate)
        else:
            nn.init.zeros_(weight)
            if gates == 4 and name.startswith("bias_ih"):
                nn.init.ones_(weight.data.chunk(gates)[1])


def lstm(options: RecurrentOptions, profile: Profile) -> nn.Module:
    """Build an LSTM (Hochreiter & Schmidhuber 1997)."""
    return Recurrent(nn.LSTM, options, profile)


def gru(options: RecurrentOptions, profile: Profile) -> nn.Module:
    """Build a GRU (Cho et al. 2014)."""
    return Recurrent(nn.GRU, options, profile)
