"""The curated timm models, from small to large within each family; imports nothing."""

from __future__ import annotations

from dataclasses import dataclass

_RESNET = "He et al. 2016"
_REGNET = "Radosavovic et al. 2020"
_CONVNEXT = "Liu et al. 2022"
_EFFICIENTNET = "Tan & Le 2019"
_EFFICIENTNET_V2 = "Tan & Le 2021"
_MOBILENET_V3 = "Howard et al. 2019"
_VIT = "Dosovitskiy et al. 2021; Steiner et al. 2022"


@dataclass(frozen=True, slots=True)
class Row:
    """A timm model: its backbone's parameters, what it is, and its pretrained weights, the preferred first."""

    name: str
    parameters: int
    title: str
    source: str
    weights: tuple[str, ...]

    @property
    def summary(self) -> str:
        """One sentence for tables of plugins."""
        return f"{self.title}, {self.parameters / 1e6:.1f} M parameters ({self.source})."


# Parameters are those of the backbone (num_classes=0) with three channels; a test counts them again.
TIMM = (
    Row("resnet18", 11_176_512, "ResNet-18", _RESNET, ("resnet18_a1_in1k",)),
    Row("resnet26d", 13_965_408, "ResNet-26-D", "He et al. 2019", ("resnet26d_bt_in1k",)),
    Row("resnet34", 21_284_672, "ResNet-34", _RESNET, ("resnet34_a1_in1k",)),
    Row("resnet50", 23_508_032, "ResNet-50", _RESNET, ("resnet50_a1_in1k",)),
    Row("resnet101", 42_500_160, "ResNet-101", _RESNET, ("resnet101_a1_in1k",)),
    Row("regnety_002", 2_793_996, "RegNetY-0.2GF", _REGNET, ("regnety_002_pycls_in1k",)),
    Row("regnety_004", 3_903_144, "RegNetY-0.4GF", _REGNET, ("regnety_004_tv2_in1k",)),
    Row("regnety_008", 5_494_168, "RegNetY-0.8GF", _REGNET, ("regnety_008_pycls_in1k",)),
    Row("regnety_016", 10_313_430, "RegNetY-1.6GF", _REGNET, ("regnety_016_tv2_in1k",)),
    Row("regnety_032", 17_923_338, "RegNetY-3.2GF", _REGNET, ("regnety_032_ra_in1k",)),
    Row("convnext_atto", 3_374_520, "ConvNeXt-Atto", _CONVNEXT, ("convnext_atto_d2_in1k",)),
    Row("convnext_femto", 4_832_784, "ConvNeXt-Femto", _CONVNEXT, ("convnext_femto_d1_in1k",)),
    Row("convnext_pico", 8_532_672, "ConvNeXt-Pico", _CONVNEXT, ("convnext_pico_d1_in1k",)),
    Row("convnext_nano", 14_952_560, "ConvNeXt-Nano", _CONVNEXT, ("convnext_nano_in12k_ft_in1k",)),
    Row("convnext_tiny", 27_820_128, "ConvNeXt-Tiny", _CONVNEXT, ("convnext_tiny_in12k_ft_in1k",)),
    Row("convnext_small", 49_454_688, "ConvNeXt-Small", _CONVNEXT, ("convnext_small_in12k_ft_in1k",)),
    Row("tf_efficientnet_lite0", 3_371_008, "EfficientNet-Lite0, without squeeze-and-excitation", _EFFICIENTNET,
        ("efficientnet_lite0", "tf_efficientnet_lite0_in1k")),
    Row("tf_efficientnet_lite1", 4_135_680, "EfficientNet-Lite1, without squeeze-and-excitation", _EFFICIENTNET,
        ("tf_efficientnet_lite1_in1k",)),
    Row("tf_efficientnet_lite2", 4_811_072, "EfficientNet-Lite2, without squeeze-and-excitation", _EFFICIENTNET,
        ("tf_efficientnet_lite2_in1k",)),
    Row("efficientnet_b0", 4_007_548, "EfficientNet-B0", _EFFICIENTNET, ("efficientnet_b0_ra4_e3600_r224_in1k",)),
    Row("efficientnet_b1", 6_513_184, "EfficientNet-B1", _EFFICIENTNET, ("efficientnet_b1_ra4_e3600_r240_in1k",)),
    Row("efficientnet_b2", 7_700_994, "EfficientNet-B2", _EFFICIENTNET, ("efficientnet_b2_ra_in1k",)),
    Row("tf_efficientnetv2_b0", 5_858_704, "EfficientNetV2-B0", _EFFICIENTNET_V2, ("tf_efficientnetv2_b0_in1k",)),
    Row("efficientnetv2_rw_t", 12_624_388, "EfficientNetV2-T, timm's own size", _EFFICIENTNET_V2,
        ("efficientnetv2_rw_t_ra2_in1k",)),
    Row("mobilenetv3_small_100", 1_517_856, "MobileNetV3-Small", _MOBILENET_V3, ("mobilenetv3_small_100_lamb_in1k",)),
    Row("mobilenetv3_large_100", 4_202_032, "MobileNetV3-Large", _MOBILENET_V3, ("mobilenetv3_large_100_ra_in1k",)),
    Row("mobilenetv4_conv_small", 2_493_024, "MobileNetV4-Conv-Small", "Qin et al. 2024",
        ("mobilenetv4_conv_small_e2400_r224_in1k",)),
    Row("vit_tiny_patch16_224", 5_524_416, "ViT-Ti/16, for any size of image", _VIT,
        ("vit_tiny_patch16_224_augreg_in21k_ft_in1k",)),
    Row("vit_small_patch16_224", 21_665_664, "ViT-S/16, for any size of image", _VIT,
        ("vit_small_patch16_224_augreg_in21k_ft_in1k",)),
    Row("deit3_small_patch16_224", 21_674_496, "DeiT-III-S/16, for any size of image", "Touvron et al. 2022",
        ("deit3_small_patch16_224_fb_in22k_ft_in1k",)),
)  # fmt: skip
