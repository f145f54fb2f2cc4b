"""The encoder of BERT (Devlin et al. 2019), with the names that its checkpoints have.

transformers has it too, but to import its version takes twice as long as to import torch, in every worker and at
every prediction; a test holds this one to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class BertConfig:
    """Sizes, as `config.json` of a checkpoint has them; the defaults are those of MiniLM with six layers."""

    vocab_size: int = 30_522
    hidden_size: int = 384
    num_hidden_layers: int = 6
    num_attention_heads: int = 12
    intermediate_size: int = 1_536
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12


class Bert(nn.Module):
    """Token ids (N, T) and mask bool (N, T), true where there is a token → vectors (N, T, hidden)."""

    def __init__(self, config: BertConfig, dropout: float = 0.1) -> None:
        super().__init__()
        self.config = config
        self.embeddings = _Embeddings(config, dropout)
        self.encoder = _Stack(config, dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return a vector of each token; those of padding mean nothing."""
        # Without a mask attention takes a faster way, and most batches of like length need none.
        attended = None if bool(mask.all()) else mask[:, None, None, :]
        vectors = self.embeddings(ids)
        for layer in self.encoder.layer:
            vectors = layer(vectors, attended)
        return cast(Tensor, vectors)


class _Embeddings(nn.Module):
    def __init__(self, config: BertConfig, dropout: float) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=0)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor) -> Tensor:
        places = self.position_embeddings.weight[: ids.shape[1]]
        # There is one text, so all tokens are of the first type.
        vectors = self.word_embeddings(ids) + places + self.token_type_embeddings.weight[0]
        return cast(Tensor, self.dropout(self.LayerNorm(vectors)))


class _Stack(nn.Module):
    def __init__(self, config: BertConfig, dropout: float) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(config, dropout) for _ in range(config.num_hidden_layers))


class _Layer(nn.Module):
    def __init__(self, config: BertConfig, dropout: float) -> None:
        super().__init__()
        self.attention = _Attention(config, dropout)
        self.intermediate = _Dense(config.hidden_size, config.intermediate_size)
        self.output = _Residual(config.intermediate_size, config, dropout)

    def forward(self, vectors: Tensor, attended: Tensor | None) -> Tensor:
        vectors = self.attention(vectors, attended)
        return cast(Tensor, self.output(F.gelu(self.intermediate.dense(vectors)), vectors))


class _Attention(nn.Module):
    def __init__(self, config: BertConfig, dropout: float) -> None:
        super().__init__()
        self.self = _SelfAttention(config)
        self.output = _Residual(config.hidden_size, config, dropout)

    def forward(self, vectors: Tensor, attended: Tensor | None) -> Tensor:
        return cast(Tensor, self.output(self.self(vectors, attended), vectors))


class _SelfAttention(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, vectors: Tensor, attended: Tensor | None) -> Tensor:
        query, key, value = (self._split(part(vectors)) for part in (self.query, self.key, self.value))
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=attended)
        return found.transpose(1, 2).flatten(2)

    def _split(self, vectors: Tensor) -> Tensor:
        rows, steps, width = vectors.shape
        return vectors.view(rows, steps, self.heads, width // self.heads).transpose(1, 2)


class _Dense(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.dense = nn.Linear(before, after)


class _Residual(nn.Module):
    """What was found, brought back to the width of what it was found in, and added to that."""

    def __init__(self, width: int, config: BertConfig, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(dropout)

    def forward(self, found: Tensor, vectors: Tensor) -> Tensor:
        return cast(Tensor, self.LayerNorm(self.dropout(self.dense(found)) + vectors))
