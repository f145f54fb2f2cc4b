"""A vocabulary learnt from the training texts, and texts as numbers by it."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from seedbed.core.data.dataset import Dataset
from seedbed.core.data.preparing.stream import pieces_of
from seedbed.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    import tokenizers

log = logging.getLogger(__name__)

Kind = Literal["subword", "words"]

_Encode = Callable[[list[str]], Iterable[Sequence[int]]]

PADDING, UNKNOWN = 0, 1
"""The first two ids of every vocabulary."""

MOST_TEXTS = 200_000
MOST_BYTES = 20 * 2**20  # 5 to 8 s of learning with one thread
FEWEST_CHARACTERS = 2_000  # below that, pieces of words would be learnt from chance
LEAST_SIZE, MOST_SIZE = 512, 16_384

_SPECIAL = ("[PAD]", "[UNK]")
_LONGEST_WORD = 64
_MOST_OF_A_TEXT = 20_000  # characters: a few books should not be all that a vocabulary is learnt from
# A Chinese, Japanese or Korean character stands alone: between spaces there would be whole sentences.
_WORD = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+|[^\w\s]")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """Texts as numbers: those of text i are `ids[offsets[i]:offsets[i + 1]]`; ids uint32, offsets int64 (n + 1,)."""

    ids: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What texts are cut into; ids are 0 (padding), 1 (unknown) and then tokens, below `size`.

    `model` is JSON: what the tokenizers library writes, or a list of words. Of `subword` nothing is unknown,
    as every byte is a token.
    """

    kind: Kind
    size: int
    model: str

    @property
    def fingerprint(self) -> str:
        """A name for this very vocabulary."""
        return hashlib.blake2b(f"{self.kind} {self.model}".encode(), digest_size=12).hexdigest()

    def encoder(self) -> Callable[[Sequence[str]], Encoded]:
        """Return a function from texts to numbers; making it takes some time, so keep it.

        Every text gives at least one token, if only the unknown one.

        Raises:
            DataError: it is damaged, or of subwords and the tokenizers library is not there.
        """
        try:
            count, encode = _by_words(self.model) if self.kind == "words" else _by_subwords(self.model)
        except ValueError as error:
            raise DataError(f"The vocabulary is damaged ({error}); start the run again.") from error
        if count > self.size:
            raise DataError(f"The vocabulary is damaged ({count} tokens, not {self.size}); start the run again.")
        return lambda texts: _flat(encode([clean(text) for text in texts]))

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Return texts as numbers."""
        return self.encoder()(texts)

    def save(self, path: Path) -> None:
        """Write the vocabulary as JSON."""
        path.write_bytes(msgspec.json.encode(self))


def load_vocabulary(path: Path) -> Vocabulary:
    """Read a vocabulary back.

    Raises:
        DataError: the file is missing or holds no vocabulary.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Vocabulary)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path} holds no vocabulary ({error}); start the run again.") from error


def learn_vocabulary(
    dataset: Dataset, rows: np.ndarray, *, size: int | None = None, kind: Kind = "subword", seed: int = 0
) -> Vocabulary:
    """Learn a vocabulary from these rows (int64, rising), which are the training part, or a sample of them.

    `size` is the most it may have (subwords: at least 258, for the bytes); left open, it is a hundredth of the
    characters there are, between 512 and 16,384. Subwords are those of byte-level BPE (Sennrich, Haddow & Birch
    2016; Radford et al. 2019); words take their place where there is too little text or no library.

    Raises:
        DataError: none of the rows has a text.
    """
    texts = [text for text in _sampled(dataset, rows, seed) if text]
    characters = sum(map(len, texts))
    if not characters:
        raise DataError(f"None of the {len(rows)} training texts in {dataset.source} has a word in it.")
    size = size or int(np.clip(characters // 100, LEAST_SIZE, MOST_SIZE))
    if kind == "subword" and characters >= FEWEST_CHARACTERS:
        try:
            return _learn_subwords(texts, size)
        except ImportError as error:
            log.warning("Texts are cut into whole words, as the library tokenizers cannot be imported: %s", error)
    return _learn_words(texts, size)


def clean(text: str) -> str:
    """Bring a text to one form: compatible characters and case alike, one space between words, no endless word.

    A word is at most 64 characters, as learning looks through whole words again and again: one of 20,000
    letters takes it 0.1 s, one of 100,000 takes 2 s (tokenizers 0.23).
    """
    if not text.isascii():
        # Half a surrogate pair, which JSON can smuggle in, is no character and has no UTF-8.
        text = unicodedata.normalize("NFKC", text).encode("utf-8", "ignore").decode("utf-8")
    words = text.lower().split()
    if len(text) > _LONGEST_WORD and max(map(len, words), default=0) > _LONGEST_WORD:
        words = [word[at : at + _LONGEST_WORD] for word in words for at in range(0, len(word), _LONGEST_WORD)]
    return " ".join(words)


def strings(piece: pa.Array, most: int) -> list[str]:
    """Return texts as Python has them, empty where they are missing, cut to so many characters before they are."""
    import pyarrow.compute as pc

    found: list[str] = pc.utf8_slice_codeunits(piece.fill_null(""), 0, most).to_pylist()
    return found


def _sampled(dataset: Dataset, rows: np.ndarray, seed: int) -> Iterator[str]:
    """Yield cleaned texts of a sample of the rows, in their order, that has about `MOST_BYTES` at most."""
    import pyarrow.compute as pc

    rng = np.random.default_rng(seed)
    if len(rows) > MOST_TEXTS:
        rows = np.sort(rng.choice(rows, MOST_TEXTS, replace=False))
    sizes = np.zeros(len(rows), dtype=np.int64)
    for done, piece in pieces_of(dataset, "text", rows):
        sizes[done : done + len(piece)] = pc.binary_length(piece).fill_null(0).to_numpy(zero_copy_only=False)
    shuffled = rng.permutation(len(rows))
    within = np.cumsum(np.minimum(sizes[shuffled], _MOST_OF_A_TEXT)) <= MOST_BYTES
    for _, piece in pieces_of(dataset, "text", rows[np.sort(shuffled[within])]):
        yield from map(clean, strings(piece, _MOST_OF_A_TEXT))


def _learn_subwords(texts: list[str], size: int) -> Vocabulary:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        show_progress=False,
        special_tokens=list(_SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    with single_threaded():
        tokenizer.train_from_iterator(texts, trainer)
    return Vocabulary(kind="subword", size=tokenizer.get_vocab_size(), model=tokenizer.to_str())


def _learn_words(texts: Iterable[str], size: int) -> Vocabulary:
    counts = Counter(chain.from_iterable(map(_WORD.findall, texts)))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    words = [*_SPECIAL, *islice(ranked, max(size - len(_SPECIAL), 1))]
    return Vocabulary(kind="words", size=len(words), model=msgspec.json.encode(words).decode())


def _by_subwords(model: str) -> tuple[int, _Encode]:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise DataError(
            f"This model reads text with the library tokenizers: pip install tokenizers ({error})."
        ) from error
    try:
        tokenizer: tokenizers.Tokenizer = Tokenizer.from_str(model)
    except Exception as error:  # the library raises bare Exceptions
        raise ValueError(error) from error
    # A text that says "[PAD]" means these letters.
    tokenizer.encode_special_tokens = True

    def encode(texts: list[str]) -> Iterable[Sequence[int]]:
        with single_threaded():
            return [found.ids for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    return tokenizer.get_vocab_size(), encode


def _by_words(model: str) -> tuple[int, _Encode]:
    words = msgspec.json.decode(model, type=list[str])
    if tuple(words[:2]) != _SPECIAL:
        raise ValueError("it does not begin with its special tokens")
    places = {word: place for place, word in enumerate(words) if place > UNKNOWN}  # "[PAD]" in a text is letters

    def encode(texts: list[str]) -> Iterable[Sequence[int]]:
        return [[places.get(word, UNKNOWN) for word in _WORD.findall(text)] for text in texts]

    return len(words), encode


def _flat(found: Iterable[Sequence[int]]) -> Encoded:
    tokens = [each or (UNKNOWN,) for each in found]
    offsets = np.zeros(len(tokens) + 1, dtype=np.int64)
    np.cumsum([len(each) for each in tokens], out=offsets[1:])
    ids = np.fromiter(chain.from_iterable(tokens), dtype=np.uint32, count=int(offsets[-1]))
    return Encoded(ids=ids, offsets=offsets)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Keep the tokenizers library from starting threads of its own while the block runs.

    Once it has, a child that the process forks may hang, and some versions say so on stderr at every fork; we
    share the work out ourselves. What the user has set stands, and nothing is left behind.
    """
    name = "TOKENIZERS_PARALLELISM"
    if name in os.environ:
        yield
        return
    os.environ[name] = "false"
    try:
        yield
    finally:
        os.environ.pop(name, None)
