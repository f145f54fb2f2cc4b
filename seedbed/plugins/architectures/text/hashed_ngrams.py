"""Texts as weighted counts of their n-grams, hashed into columns: sparse, and without a vocabulary to keep.

Words alone say much about English; n-grams of characters say more where words are long, misspelt, inflected or
not parted by spaces. Counts are damped by 1 + log, weighted by how rare an n-gram is (Spärck Jones 1972), and
each of the two blocks of a text is brought to length 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from seedbed.core.data.profile import Profile

if TYPE_CHECKING:
    from seedbed.plugins.architectures.text import BagOfWordsOptions, NgramsOptions

_WORD = r"(?u)\b\w+\b"  # scikit-learn's own leaves out words of one letter, "I" and "不" among them
_MOST_TEXTS = 20_000  # to learn from: how rare an n-gram is shows in these, and each is read a second time
_MOST_CHARACTERS = 20_000_000
_LARGEST_HEAD = 2**26  # weights: 0.3 GB
_FEWEST_BITS = 12


class Ngrams(nn.Module):
    """A list of N texts → sparse CSR (N, F) float32, a block of columns for words and one for characters.

    `words` and `chars` are the least and the most of an n-gram, `chars` None for words alone. A text without
    n-grams is a row without values.
    """

    def __init__(self, bits: int, words: tuple[int, int], chars: tuple[int, int] | None) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        super().__init__()
        width = 2 ** (bits if chars is None else bits - 1)
        kinds: list[dict[str, Any]] = [{"ngram_range": words, "token_pattern": _WORD}]
        if chars is not None:
            kinds.append({"ngram_range": chars, "analyzer": "char_wb"})
        self._vectorizers = [
            HashingVectorizer(n_features=width, alternate_sign=False, norm=None, dtype=np.float32, **kind)
            for kind in kinds
        ]
        self.num_features = width * len(kinds)
        self.rarity: Tensor
        self.register_buffer("rarity", torch.ones(self.num_features))

    def fit(self, batches: Iterable[tuple[Sequence[str]]], generator: torch.Generator) -> None:
        """Learn how rare each n-gram is, from a sample of the texts; `generator` is not needed."""
        seen = characters = 0
        found = np.zeros(self.num_features, dtype=np.int64)
        for (texts,) in batches:
            blocks = self._counts(texts)
            width = blocks[0].shape[1]
            found += np.concatenate([np.bincount(block.indices, minlength=width) for block in blocks])
            seen, characters = seen + len(texts), characters + sum(map(len, texts))
            if seen >= _MOST_TEXTS or characters >= _MOST_CHARACTERS:
                break
        self.rarity.copy_(torch.from_numpy(np.log((1 + seen) / (1 + found)) + 1))

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return features (N, F), sparse CSR."""
        import scipy.sparse

        rarity = self.rarity.cpu().numpy()
        blocks = []
        for number, block in enumerate(self._counts(texts)):
            begin = number * block.shape[1]
            block.data = (1 + np.log(block.data)) * rarity[begin + block.indices]
            lengths = np.sqrt(np.add.reduceat(np.append(block.data**2, 0), block.indptr[:-1]))
            counts = np.diff(block.indptr)  # of a row without values reduceat gives the next one's first
            block.data /= np.repeat(lengths, counts)
            blocks.append(block)
        joined = scipy.sparse.hstack(blocks, format="csr", dtype=np.float32)
        parts = (joined.indptr.astype(np.int64), joined.indices.astype(np.int64), joined.data)
        crow, columns, values = (torch.from_numpy(part).to(self.rarity.device) for part in parts)
        with warnings.catch_warnings():  # torch says once a process that its compressed rows are still in beta
            warnings.simplefilter("ignore", UserWarning)
            return torch.sparse_csr_tensor(crow, columns, values, size=joined.shape, check_invariants=False)

    def _counts(self, texts: Sequence[str]) -> list[Any]:
        """Return how often each n-gram is in each text, a matrix (N, F) a block."""
        # An empty list is more than scikit-learn's hashing can take.
        return [each.transform(list(texts) or [""])[: len(texts)] for each in self._vectorizers]


def hashed_ngrams(options: NgramsOptions, profile: Profile) -> nn.Module:
    """Build the transform."""
    bits = _affordable(options.bits, profile.task.outputs)
    return Ngrams(bits, words=(1, options.words), chars=(min(options.fewest_chars, options.chars), options.chars))


def bag_of_words(options: BagOfWordsOptions, profile: Profile) -> nn.Module:
    """Build the transform."""
    return Ngrams(_affordable(options.bits, profile.task.outputs), words=(1, 1), chars=None)


def _affordable(bits: int, outputs: int) -> int:
    """Return the bits, or as many as a head for so many outputs leaves room for."""
    return min(bits, max((_LARGEST_HEAD // outputs).bit_length() - 1, _FEWEST_BITS))
