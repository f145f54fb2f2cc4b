"""timm's pretrained weights on the Hugging Face hub for the curated architectures; imports nothing."""

from __future__ import annotations

from dataclasses import dataclass

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_APACHE, _MIT, _BSD = "Apache-2.0", "MIT", "BSD-3-Clause"


@dataclass(frozen=True, slots=True)
class Row:
    """`timm/ARCHITECTURE.TAG`: its licence, mean and std of its pretraining, and the size in pixels."""

    architecture: str
    tag: str
    licence: str
    normalisation: tuple[tuple[float, ...], tuple[float, ...]]
    resolution: int

    @property
    def name(self) -> str:
        """The name of the component."""
        return f"{self.architecture}_{self.tag}"


# A test compares all that is said here with what timm's own configurations say. Weights that may not be used
# commercially are left out.
HUB = (
    Row("resnet18", "a1_in1k", _APACHE, _IMAGENET, 224),
    Row("resnet26d", "bt_in1k", _APACHE, _IMAGENET, 224),
    Row("resnet34", "a1_in1k", _APACHE, _IMAGENET, 224),
    Row("resnet50", "a1_in1k", _APACHE, _IMAGENET, 224),
    Row("resnet101", "a1_in1k", _APACHE, _IMAGENET, 224),
    Row("regnety_002", "pycls_in1k", _MIT, _IMAGENET, 224),
    Row("regnety_004", "tv2_in1k", _BSD, _IMAGENET, 224),
    Row("regnety_008", "pycls_in1k", _MIT, _IMAGENET, 224),
    Row("regnety_016", "tv2_in1k", _BSD, _IMAGENET, 224),
    Row("regnety_032", "ra_in1k", _APACHE, _IMAGENET, 224),
    Row("convnext_atto", "d2_in1k", _APACHE, _IMAGENET, 224),
    Row("convnext_femto", "d1_in1k", _APACHE, _IMAGENET, 224),
    Row("convnext_pico", "d1_in1k", _APACHE, _IMAGENET, 224),
    Row("convnext_nano", "in12k_ft_in1k", _APACHE, _IMAGENET, 224),
    Row("convnext_tiny", "in12k_ft_in1k", _APACHE, _IMAGENET, 224),
    Row("convnext_small", "in12k_ft_in1k", _APACHE, _IMAGENET, 224),
    Row("tf_efficientnet_lite0", "in1k", _APACHE, _HALF, 224),
    Row("tf_efficientnet_lite1", "in1k", _APACHE, _HALF, 240),
    Row("tf_efficientnet_lite2", "in1k", _APACHE, _HALF, 260),
    Row("efficientnet_b0", "ra4_e3600_r224_in1k", _APACHE, _HALF, 224),
    Row("efficientnet_b1", "ra4_e3600_r240_in1k", _APACHE, _HALF, 240),
    Row("efficientnet_b2", "ra_in1k", _APACHE, _IMAGENET, 256),
    Row("tf_efficientnetv2_b0", "in1k", _APACHE, _IMAGENET, 192),
    Row("efficientnetv2_rw_t", "ra2_in1k", _APACHE, _IMAGENET, 224),
    Row("mobilenetv3_small_100", "lamb_in1k", _APACHE, _IMAGENET, 224),
    Row("mobilenetv3_large_100", "ra_in1k", _APACHE, _IMAGENET, 224),
    Row("mobilenetv4_conv_small", "e2400_r224_in1k", _APACHE, _IMAGENET, 224),
    Row("vit_tiny_patch16_224", "augreg_in21k_ft_in1k", _APACHE, _HALF, 224),
    Row("vit_small_patch16_224", "augreg_in21k_ft_in1k", _APACHE, _HALF, 224),
    Row("deit3_small_patch16_224", "fb_in22k_ft_in1k", _APACHE, _IMAGENET, 224),
)
