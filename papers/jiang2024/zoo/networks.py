"""The zoo: networks that are fine-tuned and ranked, with trained or random weights.

Each function returns a Keras model that takes RGB images in 0..255, with its preprocessing inside
and its own classifier where it has one (`edgedyn.nn.backbone` cuts it off). Random weights are
decided by ``keras.utils.set_random_seed``. All layers are of the kinds whose line graph is known.
`zoo_candidates` lists what is run.
"""

import keras
from keras import layers as kl

from edgedyn import nn
from edgedyn.nn.models import small
from papers.jiang2024.zoo import weights as zoo_weights

IMAGE = (32, 32, 3)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (122.679, 116.669, 104.006)  # red, green, blue
FIRE = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))

# Small networks: the function in edgedyn.nn.models.small, and its options.
SMALL = {
    "vgg": ("vgg", {"width": 16, "stages": 3}),
    "densenet": ("densenet", {"growth": 12, "layers": 4, "strides": 2}),
    "mobilenetv2": ("mobilenet", {"width": 16, "blocks": 4, "strides": 2}),
    "mlp": ("mlp", {"units": (256, 128)}),
    "cnn2": ("cnn", {"width": 32, "depth": 2}),
    "cnn4": ("cnn", {"width": 16, "depth": 4}),
    "resnet10": ("resnet", {"width": 16, "blocks": 2}),
}


def small_network(name, weights="cifar10", input_shape=IMAGE):
    """Return one of `SMALL` with a classifier of ten classes.

    Parameters
    ----------
    name : str
    weights : {"cifar10", None}
        Those that zoo/pretrain.py wrote, or random ones.
    input_shape : (height, width, 3)
    """
    _choice(name, "name", tuple(SMALL))
    _choice(weights, "weights", ("cifar10", None))
    function, options = SMALL[name]
    body = getattr(small, function)(input_shape, **options)
    outputs = kl.Dense(10, activation="softmax")(body.output)
    model = keras.Model(body.inputs[0], outputs, name=name)
    if weights == "cifar10":
        zoo_weights.fill_pretrained(model, name)
    return model


def resnet8(weights="cifar10", input_shape=IMAGE):
    """Return the ResNet-8 of MLPerf Tiny, with its classifier of ten classes.

    Three residual blocks of 16, 32 and 64 channels; convolutions have biases, shortcuts of the
    last two blocks a 1x1 convolution without batch norm.

    Parameters
    ----------
    weights : {"cifar10", None}
        Test accuracy .872 on CIFAR-10 (mlcommons/tiny), or random ones.
    input_shape : (height, width, 3)
    """
    _choice(weights, "weights", ("cifar10", None))
    inputs = keras.Input(input_shape)
    x = kl.ReLU()(kl.BatchNormalization()(_conv(inputs, 16)))
    for channels in (16, 32, 64):
        strides = 1 if channels == 16 else 2
        y = kl.ReLU()(kl.BatchNormalization()(_conv(x, channels, strides=strides)))
        y = kl.BatchNormalization()(_conv(y, channels))
        if strides == 2:
            x = _conv(x, channels, size=1, strides=strides)
        x = kl.ReLU()(kl.Add()([x, y]))
    x = kl.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, kl.Dense(10, activation="softmax")(x), name="resnet8")
    if weights == "cifar10":
        zoo_weights.fill_resnet8(model)
    return model


def _conv(x, channels, *, size=3, strides=1):
    """Return a padded convolution with a bias."""
    return kl.Conv2D(channels, size, strides, "same", kernel_initializer="he_normal")(x)


def cifar_resnet(depth, weights="cifar10", input_shape=IMAGE):
    """Return ResNet-20, 32 or 56 with shortcuts of option A and a classifier of ten classes.

    He et al., CVPR 2016, section 4.2: shortcuts have no parameters; where the size halves they
    take every other pixel, and new channels are zero, half of them before the old ones.

    Parameters
    ----------
    depth : {20, 32, 56}
    weights : {"cifar10", None}
        Test accuracies .917, .926, .934 on CIFAR-10 (akamaster/pytorch_resnet_cifar10), or random.
    input_shape : (height, width, 3)
    """
    _choice(depth, "depth", (20, 32, 56))
    _choice(weights, "weights", ("cifar10", None))
    inputs = keras.Input(input_shape)
    scale, offset = [1 / 255 / s for s in STD], [-m / s for m, s in zip(MEAN, STD, strict=True)]
    x = kl.Rescaling(scale, offset)(inputs)
    x = kl.ReLU()(_normed_conv(x, 16, 1, "conv1", "bn1"))
    for stage, channels in enumerate((16, 32, 64), start=1):
        for block in range((depth - 2) // 6):
            strides = 2 if stage > 1 and block == 0 else 1
            x = _option_a_block(x, channels, strides, f"layer{stage}_{block}")
    x = kl.GlobalAveragePooling2D()(x)
    outputs = kl.Dense(10, activation="softmax", name="linear")(x)
    model = keras.Model(inputs, outputs, name=f"resnet{depth}")
    if weights == "cifar10":
        zoo_weights.fill_cifar_resnet(model, depth)
    return model


def _option_a_block(x, channels, strides, name):
    """Return a residual block whose shortcut has no parameters."""
    y = kl.ReLU()(_normed_conv(x, channels, strides, f"{name}_conv1", f"{name}_bn1"))
    y = _normed_conv(y, channels, 1, f"{name}_conv2", f"{name}_bn2")
    if strides == 2:
        missing = channels - x.shape[-1]
        x = kl.AveragePooling2D(1, strides=2)(x)  # every other pixel
        x = kl.Permute((3, 1, 2))(x)  # so that padding pads channels
        x = kl.ZeroPadding2D(((missing // 2, missing // 2), (0, 0)))(x)
        x = kl.Permute((2, 3, 1))(x)
    return kl.ReLU()(kl.Add()([x, y]))


def _normed_conv(x, channels, strides, conv, norm):
    """Return a 3x3 convolution as PyTorch pads it, one pixel on every side, and a batch norm."""
    options = {"use_bias": False, "kernel_initializer": "he_normal", "name": conv}
    if strides == 1:
        x = kl.Conv2D(channels, 3, padding="same", **options)(x)
    else:
        x = kl.Conv2D(channels, 3, strides, **options)(kl.ZeroPadding2D(1)(x))
    return kl.BatchNormalization(epsilon=1e-5, name=norm)(x)


def mobilenet(weights="imagenet", input_shape=(64, 64, 3)):
    """Return the MobileNet of width 0.25 without its classifier.

    Parameters
    ----------
    weights : {"imagenet", None}
        Google's, from a local file, or random ones.
    input_shape : (height, width, 3)
    """
    _choice(weights, "weights", ("imagenet", None))
    path = zoo_weights.mobilenet_file() if weights == "imagenet" else None
    return nn.backbone("MobileNet", alpha=0.25, weights=path, input_shape=tuple(input_shape))


def squeezenet(weights="imagenet", input_shape=(64, 64, 3)):
    """Return SqueezeNet 1.1 without its classifier.

    Iandola et al., arXiv:1602.07360; version 1.1 is theirs, at github.com/DeepScale/SqueezeNet.
    Pixels are centred as in Caffe.

    Parameters
    ----------
    weights : {"imagenet", None}
        From a local file, or random ones.
    input_shape : (height, width, 3)
    """
    _choice(weights, "weights", ("imagenet", None))
    inputs = keras.Input(input_shape)
    x = kl.Rescaling(1.0, [-m for m in CAFFE_MEAN])(inputs)
    x = _relu_conv(x, 64, 3, "conv1", strides=2, padding="valid")
    for number, (squeezed, expanded) in enumerate(FIRE, start=2):
        if number in (2, 4, 6):
            x = kl.MaxPooling2D(3, 2)(x)
        y = _relu_conv(x, squeezed, 1, f"fire{number}_squeeze1x1")
        left = _relu_conv(y, expanded, 1, f"fire{number}_expand1x1")
        right = _relu_conv(y, expanded, 3, f"fire{number}_expand3x3")
        x = kl.Concatenate()([left, right])
    model = keras.Model(inputs, kl.GlobalAveragePooling2D()(x), name="squeezenet")
    if weights == "imagenet":
        zoo_weights.fill_squeezenet(model)
    return model


def _relu_conv(x, channels, size, name, *, strides=1, padding="same"):
    """Return a convolution with a bias and a ReLU."""
    return kl.Conv2D(
        channels,
        size,
        strides,
        padding,
        activation="relu",
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _choice(value, name, accepted):
    """Refuse what is not one of a few values."""
    if value not in accepted:
        raise ValueError(f"{name} must be one of {accepted}; got {value!r}.")
