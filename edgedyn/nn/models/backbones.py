"""Pre-trained networks without their heads, each with its own preprocessing inside."""

import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np
from keras import layers as kl
from keras import ops

from edgedyn import _validate as check
from edgedyn.nn.graph.extract import without_values
from edgedyn.nn.models.alexnet import SIZE, AlexNet
from edgedyn.nn.models.hub import hub_network, is_hub, known_preset
from edgedyn.nn.models.weights import is_model_file, is_weight_file, load_model, load_weights

if TYPE_CHECKING:
    import pandas as pd

POOLINGS = {"avg": kl.GlobalAveragePooling2D, "max": kl.GlobalMaxPooling2D}
SMALLEST_SIDE = 8  # below, an image is more likely a mistake than an image
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
# Preprocessing of RGB in 0..255: the channels' order, a scale and an offset.
_PREPROCESSING: dict[str, tuple[int, Any, Any]] = {
    "none": (1, 1.0, 0.0),
    "tf": (1, 1 / 127.5, -1.0),
    "torch": (1, (1 / 255 / _STD).tolist(), (-_MEAN / _STD).tolist()),
    "caffe": (-1, 1.0, [-103.939, -116.779, -123.68]),  # blue, green, red
}
# What backbone() decides itself.
_FIXED = {"include_top", "weights", "input_tensor", "input_shape", "pooling", "name"}
_FIXED |= {"classes", "classifier_activation"}


class WeightsNotFound(ValueError):
    """ImageNet weights are not in Keras' cache and could not be downloaded."""


@dataclass(frozen=True)
class BackboneInfo:
    """What is known of a backbone without building it.

    Parameters
    ----------
    name : str
    parameters, features : int
        Weights without the top, statistics of batch norms included; length of the feature vector.
    minimum_size : int
        Images with a smaller side are resized to it inside the model.
    usual_size : int or None
        What images of unknown size are resized to; None: they are taken as they come.
    depth : int
        Kernels on all branches, without the top: a convolution of any kind is one, a separable
        convolution (Xception) two.
    """

    name: str
    parameters: int
    features: int
    minimum_size: int
    usual_size: int | None
    depth: int


class BackboneTable(tuple[BackboneInfo, ...]):
    """The backbones of the paper; prints as a table."""

    def __repr__(self) -> str:
        line = "{:18}{:>12}{:>10}{:>14}{:>7}"
        lines = [line.format("name", "parameters", "features", "minimum size", "depth")]
        lines += [
            line.format(r.name, f"{r.parameters:,}", r.features, r.minimum_size, r.depth)
            for r in self
        ]
        return "\n".join(lines)

    def to_frame(self) -> "pd.DataFrame":
        """Return the table as a pandas DataFrame, indexed by name."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self]).set_index("name")


# Counted on the models Keras 3.15 builds; the tests count some of them again.
_PAPER = BackboneTable(
    [
        BackboneInfo("AlexNet", 2_334_080, 256, SIZE, SIZE, 5),
        BackboneInfo("VGG16", 14_714_688, 512, 32, None, 13),
        BackboneInfo("VGG19", 20_024_384, 512, 32, None, 16),
        BackboneInfo("ResNet50", 23_587_712, 2048, 32, None, 53),
        BackboneInfo("ResNet101", 42_658_176, 2048, 32, None, 104),
        BackboneInfo("ResNet152", 58_370_944, 2048, 32, None, 155),
        BackboneInfo("ResNet50V2", 23_564_800, 2048, 32, None, 53),
        BackboneInfo("ResNet101V2", 42_626_560, 2048, 32, None, 104),
        BackboneInfo("ResNet152V2", 58_331_648, 2048, 32, None, 155),
        BackboneInfo("DenseNet121", 7_037_504, 1024, 32, None, 120),
        BackboneInfo("DenseNet169", 12_642_880, 1664, 32, None, 168),
        BackboneInfo("DenseNet201", 18_321_984, 1920, 32, None, 200),
        BackboneInfo("MobileNet", 3_228_864, 1024, 32, None, 27),
        BackboneInfo("MobileNetV2", 2_257_984, 1280, 32, None, 52),
        BackboneInfo("InceptionV3", 21_802_784, 2048, 75, 299, 94),
        BackboneInfo("InceptionResNetV2", 54_336_736, 1536, 75, 299, 244),
        BackboneInfo("Xception", 20_861_480, 2048, 71, 299, 74),
    ]
)
_OTHER = BackboneInfo("any other", 0, 0, 32, None, 0)


def list_backbones() -> BackboneTable:
    """Return the paper's 17 backbones: name, parameters, features, minimum size, depth.

    A sequence of `BackboneInfo`; ``to_frame()`` gives a pandas DataFrame. Any other model of
    ``keras.applications`` can be had by name as well.

    References
    ----------
    Jiang et al., Nat. Commun. 15:5718 (2024), names the models; the numbers are those of Keras.

    Examples
    --------
    >>> from edgedyn import nn
    >>> table = nn.list_backbones()
    >>> len(table), table[0].name, table.to_frame().loc["MobileNetV2", "features"].item()
    (17, 'AlexNet', 1280)
    """
    return _PAPER


def backbone(
    name: str | Path | keras.Model,
    *,
    weights: str | Path | None = "imagenet",
    input_shape: tuple[int | None, int | None, int] | None = None,
    pooling: Literal["avg", "max"] = "avg",
    **kw: Any,
) -> keras.Model:
    """Return a network without its head, from images to features.

    Parameters
    ----------
    name : str, Path or keras.Model
        One of `list_backbones`, any other model of ``keras.applications``, an image network of
        KerasHub (``keras_hub:vit_base_patch16_224_imagenet``, or ``keras_hub:FOLDER`` of a preset;
        extra "hub"), a ``.keras`` or ``.h5`` file with a whole model, or a Keras model, whose
        layers are then shared.
    weights : {"imagenet"}, path or None
        ImageNet weights by Keras' own loader (of KerasHub the preset's weights), a local file (see
        `edgedyn.nn.models.weights`), or random ones (``keras.utils.set_random_seed`` decides
        them). For files and models of one's
        own the default keeps the weights they have.
    input_shape : (height, width, 3), optional
        Sides of at least 8 pixels, or None. By default images of any size are taken; models
        whose minimum is above 32 then resize them to their usual size.
    pooling : {"avg", "max"}
        How feature maps become features.
    **kw
        Passed on to the model's function in ``keras.applications``, such as ``alpha=0.25``.

    Returns
    -------
    keras.Model
        Functional; images in, shape (batch, height, width, 3), RGB in 0..255; features out, shape
        (batch, n_features). A named model has its preprocessing inside, and resizes where
        `input_shape` is below its minimum (AlexNet always, to 227x227). A model or file of one's
        own keeps its own input and preprocessing; where it ends in a classifier (a dense layer
        with softmax, sigmoid or no activation, or a 1x1 convolution before a softmax, as in
        MobileNet), that is cut off, and the features are what it received.

    Raises
    ------
    TypeError, ValueError
        For unknown names and options, images that are not RGB, files that cannot be read or do
        not fit, and where ImageNet weights cannot be downloaded.

    Notes
    -----
    The 17 models are those of Jiang et al., Nat. Commun. 15:5718 (2024). There are no ImageNet
    weights of AlexNet in Keras; its images are scaled as DenseNet's. Models that preprocess
    inside already (EfficientNet, MobileNetV3, ConvNeXt, ...) are left as they are.
    Keras gives EfficientNetB0 to B7 one more rescaling with ``weights="imagenet"`` only: of these,
    give a local file of ImageNet weights as a whole model.

    Examples
    --------
    >>> from edgedyn import nn
    >>> model = nn.backbone("MobileNet", weights=None, input_shape=(32, 32, 3), alpha=0.25)
    >>> model.name, model.output_shape
    ('MobileNet', (None, 256))
    """
    check.choice(pooling, "pooling", tuple(POOLINGS))
    if weights not in (None, "imagenet") and not is_weight_file(weights):
        kind = ValueError if isinstance(weights, str | Path) else TypeError
        raise kind(
            "weights must be 'imagenet', None or the path of a .keras, .h5 or .npz file; "
            f"got {weights!r}."
        )
    if isinstance(name, keras.Model):
        return _own(name, weights, input_shape, pooling, kw)
    if not isinstance(name, str | Path):
        raise TypeError(f"name must be a name, a path or a Keras model; got {name!r}.")
    if is_model_file(name):
        return _own(load_model(name, compile=False), weights, input_shape, pooling, kw)
    if is_hub(name):
        if kw:
            raise ValueError(
                f"a network of KerasHub takes no options; got {', '.join(sorted(kw))}."
            )
        pretrained, pool = weights == "imagenet", POOLINGS[pooling]
        model = hub_network(str(name), pretrained, _image_shape(input_shape), pool)
        if weights not in (None, "imagenet"):
            load_weights(model, weights)
        return model
    name = known_name(str(name))
    model = _named(name, weights == "imagenet", _image_shape(input_shape), pooling, kw)
    if weights not in (None, "imagenet"):
        load_weights(model, weights)
    return model


def architecture(
    name: str, input_shape: Sequence[int] = (224, 224, 3), *, include_top: bool = True
) -> keras.Model:
    """Build a network as it was published, without preprocessing and without values.

    For its line graph: the parameters have shapes only, which takes no memory, so that nothing can
    be computed with it. `backbone` makes models to train. Any model of ``keras.applications`` and
    AlexNet, with or without the classifier of 1000 ImageNet classes; ValueError for an unknown name
    or a size the network cannot take.
    """
    name = known_name(name)
    shape = tuple(check.positive_int(n, "input_shape") for n in input_shape)
    with without_values():
        return _built(name, None, include_top=include_top, input_shape=shape)


# Checks -----------------------------------------------------------------------------------------


def known_name(name: str) -> str:
    """Return the name if there is such a model, or suggest others."""
    if is_hub(name):
        known_preset(name)
        return name
    names = [row.name for row in _PAPER]
    others = [n for n in dir(keras.applications) if n[0].isupper()]
    if name in names or name in others:
        return name
    by_lower = {n.lower(): n for n in (*others, *names)}
    close = [by_lower[n] for n in get_close_matches(name.lower(), by_lower, n=3)]
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(names)}."
    raise ValueError(f"there is no backbone {name!r}; {hint}")


def _image_shape(shape: Any) -> tuple[int | None, int | None, int]:
    """Return (height, width, 3)."""
    if shape is None:
        return (None, None, 3)
    if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) != 3:
        raise TypeError(f"input_shape must be (height, width, 3) or None; got {shape!r}.")
    if shape[2] != 3:
        raise ValueError(f"input_shape must be RGB, (height, width, 3); got {tuple(shape)}.")
    sides = [None if n is None else check.positive_int(n, "input_shape") for n in shape[:2]]
    if any(n is not None and n < SMALLEST_SIDE for n in sides):
        raise ValueError(
            f"input_shape must have sides of at least {SMALLEST_SIDE} pixels; got {tuple(shape)}."
        )
    return (sides[0], sides[1], 3)


# Named models -----------------------------------------------------------------------------------


def _named(name: str, imagenet: bool, shape: Any, pooling: str, kw: dict[str, Any]) -> keras.Model:
    """Build a model on top of its preprocessing, in one flat graph."""
    if keras.config.image_data_format() != "channels_last":
        raise ValueError("backbones need Keras' image data format to be 'channels_last'.")
    build = _function(name)
    accepted = set(inspect.signature(build).parameters) - _FIXED
    if unknown := sorted(set(kw) - accepted):
        raise ValueError(
            f"{name} takes no option {', '.join(unknown)}; it takes "
            f"{', '.join(sorted(accepted)) or 'none'}."
        )
    if imagenet and name == "AlexNet":
        raise ValueError(
            "Keras has no ImageNet weights of AlexNet; give a local file with weights=PATH, or "
            "weights=None for random weights."
        )
    info = next((row for row in _PAPER if row.name == name), _OTHER)
    inputs = keras.Input(shape, dtype="float32")
    x = _preprocessed(_resized(inputs, info), _mode(name, build))
    static = None if None in x.shape[1:] else tuple(x.shape[1:])
    kw = {**kw, "input_tensor": x, "input_shape": static, "pooling": pooling}
    application = _built(name, "imagenet" if imagenet else None, include_top=False, **kw)
    return keras.Model(inputs, application.output, name=name)


def _function(name: str) -> Callable[..., keras.Model]:
    """Return what builds a named model."""
    return AlexNet if name == "AlexNet" else getattr(keras.applications, name)


def _built(name: str, weights: str | None, **arguments: Any) -> keras.Model:
    """Build a named model; say it plainly where its weights cannot be downloaded."""
    try:
        with warnings.catch_warnings():
            # MobileNet says that it takes the weights of size 224 for other sizes.
            warnings.filterwarnings("ignore", ".*input_shape.*", UserWarning)
            return _function(name)(weights=weights, **arguments)
    except Exception as error:  # a failed download is a bare Exception of Keras
        if weights and (isinstance(error, OSError) or "URL fetch failure" in str(error)):
            raise WeightsNotFound(
                f"the ImageNet weights of {name} could not be downloaded; give a local file with "
                "weights=PATH, or weights=None for random weights."
            ) from error
        raise


def _resized(x: Any, info: BackboneInfo) -> Any:
    """Resize images that are smaller than the minimum, or may be."""
    height, width = x.shape[1:3]
    if info.minimum_size == info.usual_size:  # one size only
        target = (info.usual_size, info.usual_size)
    elif height is None or width is None:
        target = (info.usual_size or height, info.usual_size or width)
    else:
        target = (max(height, info.minimum_size), max(width, info.minimum_size))
    return x if target == (height, width) else kl.Resizing(*target)(x)


def _mode(name: str, build: Callable[..., keras.Model]) -> str:
    """Find out what preprocessing a model was trained with, by trying its own on a few pixels."""
    if name == "AlexNet":
        return "torch"
    pixels = np.linspace(0.0, 255.0, 12).reshape(1, 2, 2, 3)
    own = getattr(sys.modules[build.__module__], "preprocess_input", None)
    result = None if own is None else np.asarray(own(pixels.copy()))
    for mode, (order, scale, offset) in _PREPROCESSING.items():
        expected = pixels[..., ::order] * scale + offset
        if result is not None and np.allclose(result, expected, atol=1e-3):
            return mode
    raise ValueError(
        f"the preprocessing of {name} is not known; build the model yourself, with its "
        "preprocessing inside, and give the model."
    )


def _preprocessed(x: Any, mode: str) -> Any:
    """Turn RGB in 0..255 into what a model was trained on."""
    order, scale, offset = _PREPROCESSING[mode]
    x = ops.flip(x, axis=-1) if order < 0 else x
    return x if mode == "none" else kl.Rescaling(scale, offset=offset)(x)


# Models of one's own ----------------------------------------------------------------------------


def _own(model: keras.Model, weights: Any, shape: Any, pooling: str, kw: Any) -> keras.Model:
    """Cut off a classifier; make feature maps flat."""
    if kw:
        raise ValueError(f"a model of one's own takes no options; got {', '.join(sorted(kw))}.")
    if any(len(getattr(model, ends, None) or ()) != 1 for ends in ("inputs", "outputs")):
        raise ValueError(
            f"model {model.name!r} must be functional, or sequential with an input layer, with "
            "one input and one output."
        )
    if shape is not None and tuple(shape) != tuple(model.input_shape[1:]):
        raise ValueError(
            f"model {model.name!r} takes images of shape {tuple(model.input_shape[1:])}; it "
            f"cannot take input_shape={tuple(shape)}."
        )
    if weights is None:
        model = keras.models.clone_model(model)
    features = _features(model)
    if features is model.inputs[0]:
        raise ValueError(f"model {model.name!r} has nothing before its last dense layer.")
    if len(features.shape) == 4:
        features = POOLINGS[pooling]()(features)
    elif len(features.shape) != 2:
        raise ValueError(
            f"model {model.name!r} gives features of shape {features.shape}; a backbone gives "
            "feature maps (batch, height, width, channels) or (batch, n_features)."
        )
    result = keras.Model(model.inputs[0], features, name=model.name)
    if weights not in (None, "imagenet"):
        load_weights(result, weights)
    return result


def _features(model: Any) -> Any:
    """Return what a model's classifier receives, or its output where it has none."""
    tensor = model.outputs[0]
    probabilities = False
    while True:
        history = tensor._keras_history  # as keras.Model does: the operation behind a tensor
        operation = history.operation
        node = operation._inbound_nodes[history.node_index]
        if node.is_input:
            break
        below = node.input_tensors[0]
        squash = _head_activation(operation)
        probabilities |= squash in ("softmax", "sigmoid")
        if isinstance(operation, keras.Model):
            inner = _features(operation)
            if inner is operation.outputs[0]:
                break
            return keras.Model(operation.inputs[0], inner)(below)
        if isinstance(operation, kl.Dense) and squash:
            return below
        if isinstance(operation, kl.Conv2D):
            if probabilities and squash and tuple(below.shape[1:3]) == (1, 1):
                return below
            break
        if not squash and not isinstance(operation, kl.Reshape | kl.Flatten):
            break
        tensor = below
    if probabilities:
        raise ValueError(
            f"model {model.name!r} ends in probabilities, but not in a dense layer to cut off; "
            "give the model up to its features."
        )
    return model.outputs[0]


def _head_activation(operation: Any) -> str:
    """Return the activation if it is one a classifier ends with, else an empty word."""
    if type(operation).__name__ in ("Softmax", "Sigmoid"):  # a layer, or an operation of ops
        return type(operation).__name__.lower()
    word = getattr(getattr(operation, "activation", None), "__name__", "")
    return word if word in ("softmax", "sigmoid", "linear") else ""
