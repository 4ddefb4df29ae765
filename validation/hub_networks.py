"""KerasHub's image networks in the sizes they were published in, built without a download."""

import keras_hub

models = keras_hub.models


def vit(size):
    """ViT-B/16 (Dosovitskiy et al., 2021)."""
    return models.ViTBackbone((size, size, 3), 16, 12, 12, 768, 3072)


def deit(size):
    """DeiT-Ti/16 (Touvron et al., 2021)."""
    return models.DeiTBackbone((size, size, 3), 16, 12, 3, 192, 768)


def swin(size):
    """Swin-T (Liu et al., 2021); its four maps must be multiples of a window of 7."""
    return models.SwinTransformerBackbone(
        image_shape=(size, size, 3),
        patch_size=4,
        embed_dim=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
    )


def resnet(size):
    """ResNet50 (He et al., 2016)."""
    return models.ResNetBackbone(
        [64], [7], [64, 128, 256, 512], [3, 4, 6, 3], [1, 2, 2, 2], "bottleneck_block",
        image_shape=(size, size, 3),
    )  # fmt: skip


def efficientnet(size):
    """EfficientNet-B0 (Tan and Le, 2019)."""
    return models.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0] * 7,
        stackwise_depth_coefficients=[1.0] * 7,
        stackwise_kernel_sizes=[3, 3, 5, 3, 5, 5, 3],
        stackwise_num_repeats=[1, 2, 2, 3, 3, 4, 1],
        stackwise_input_filters=[32, 16, 24, 40, 80, 112, 192],
        stackwise_output_filters=[16, 24, 40, 80, 112, 192, 320],
        stackwise_expansion_ratios=[1, 6, 6, 6, 6, 6, 6],
        stackwise_squeeze_and_excite_ratios=[0.25] * 7,
        stackwise_strides=[1, 2, 2, 2, 1, 2, 1],
        stackwise_block_types=["v1"] * 7,
        input_shape=(size, size, 3),
    )


def mobilenet(size):
    """MobileNetV3-Small at half its width (Howard et al., 2019), as KerasHub's example has it."""
    return models.MobileNetBackbone(
        stackwise_expansion=[[40, 56], [64, 144, 144], [72, 72], [144, 288, 288]],
        stackwise_num_blocks=[2, 3, 2, 3],
        stackwise_num_filters=[[16, 16], [24, 24, 24], [24, 24], [48, 48, 48]],
        stackwise_kernel_size=[[3, 3], [5, 5, 5], [5, 5], [5, 5, 5]],
        stackwise_num_strides=[[2, 1], [2, 1, 1], [1, 1], [2, 1, 1]],
        stackwise_se_ratio=[[None, None], [0.25] * 3, [0.3, 0.3], [0.3, 0.25, 0.25]],
        stackwise_activation=[["relu"] * 2] + [["hard_swish"] * n for n in (3, 2, 3)],
        stackwise_padding=[[1, 1], [2, 2, 2], [2, 2], [2, 2, 2]],
        output_num_filters=288,
        depthwise_filters=8,
        depthwise_stride=2,
        depthwise_residual=False,
        last_layer_filter=False,
        squeeze_and_excite=0.5,
        image_shape=(size, size, 3),
    )


# Name, size, what builds it.
NETWORKS = (
    ("keras_hub ViT-B/16", 64, vit),
    ("keras_hub DeiT-Ti/16", 64, deit),
    ("keras_hub Swin-T", 224, swin),
    ("keras_hub ResNet50", 32, resnet),
    ("keras_hub EfficientNet-B0", 32, efficientnet),
    ("keras_hub MobileNetV3-Small/2", 32, mobilenet),
)
