"""Pre-trained networks without their heads, each with its own preprocessing inside."""

import inspect
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
from keras import layers as kl
from keras import ops

from edgedyn import _validate as check
from edgedyn.nn.alexnet import SIZE, alexnet
from edgedyn.nn.weights import load_weights

if TYPE_CHECKING:
    import pandas as pd

POOLINGS = ("avg", "max")
MODEL_FILES = (".keras", ".h5")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red


@dataclass(frozen=True)
class BackboneInfo:
    """What is known of a backbone without building it.

    Parameters
    ----------
    name : str
    parameters : int
        Weights without the top, statistics of batch norms included.
    minimum_size : int
        Smaller images are resized to it inside the model.
    usual_size : int
        What images of unknown size are resized to where the minimum is above 32.
    depth : int
        Layers with kernels, without the top: convolutions of any kind.
    """

    name: str
    parameters: int
    minimum_size: int
    usual_size: int
    depth: int


class BackboneTable(Sequence[BackboneInfo]):
    """The backbones of the paper; prints as a table."""

    def __init__(self, rows: Sequence[BackboneInfo]) -> None:
        self._rows = tuple(rows)

    def __getitem__(self, k: Any) -> Any:
        return self._rows[k]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[BackboneInfo]:
        return iter(self._rows)

    def __repr__(self) -> str:
        lines = [f"{'name':18s}{'parameters':>12s}{'minimum':>9s}{'depth':>7s}"]
        lines += [
            f"{r.name:18s}{r.parameters:12,d}{r.minimum_size:9d}{r.depth:7d}" for r in self._rows
        ]
        return "\n".join(lines)

    def to_frame(self) -> "pd.DataFrame":
        """Return the table as a pandas DataFrame, indexed by name."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self._rows]).set_index("name")


_PAPER = BackboneTable(
    [
        BackboneInfo("AlexNet", 2_334_080, SIZE, SIZE, 5),
        BackboneInfo("VGG16", 14_714_688, 32, 224, 13),
        BackboneInfo("VGG19", 20_024_384, 32, 224, 16),
        BackboneInfo("ResNet50", 23_587_712, 32, 224, 53),
        BackboneInfo("ResNet101", 42_658_176, 32, 224, 104),
        BackboneInfo("ResNet152", 58_370_944, 32, 224, 155),
        BackboneInfo("ResNet50V2", 23_564_800, 32, 224, 53),
        BackboneInfo("ResNet101V2", 42_626_560, 32, 224, 104),
        BackboneInfo("ResNet152V2", 58_331_648, 32, 224, 155),
        BackboneInfo("DenseNet121", 7_037_504, 32, 224, 120),
        BackboneInfo("DenseNet169", 12_642_880, 32, 224, 168),
        BackboneInfo("DenseNet201", 18_321_984, 32, 224, 200),
        BackboneInfo("MobileNet", 3_228_864, 32, 224, 27),
        BackboneInfo("MobileNetV2", 2_257_984, 32, 224, 52),
        BackboneInfo("InceptionV3", 21_802_784, 75, 299, 94),
        BackboneInfo("InceptionResNetV2", 54_336_736, 75, 299, 244),
        BackboneInfo("Xception", 20_861_480, 71, 299, 40),
    ]
)


def list_backbones() -> BackboneTable:
    """Return the paper's 17 backbones: name, parameters, minimum size, depth.

    Any other model of ``keras.applications`` can be had by name as well.

    Returns
    -------
    BackboneTable

    Examples
    --------
    >>> from edgedyn import nn
    >>> table = nn.list_backbones()
    >>> len(table), table[0].name, table.to_frame().loc["MobileNetV2", "minimum_size"].item()
    (17, 'AlexNet', 32)
    """
    return _PAPER


def backbone(
    name: str | Path | keras.Model,
    *,
    weights: str | Path | None = "imagenet",
    input_shape: tuple[int, int, int] | None = None,
    pooling: str = "avg",
    **kw: Any,
) -> keras.Model:
    """Return a network without its head, from images to features.

    Parameters
    ----------
    name : str, Path or keras.Model
        One of `list_backbones`, any other model of ``keras.applications``, a ``.keras`` or
        ``.h5`` file with a whole model, or a Keras model.
    weights : {"imagenet"}, path or None
        ImageNet weights by Keras' own loader, a local file (see `edgedyn.nn.weights`), or random
        ones (``keras.utils.set_random_seed`` decides them). Not for files and models, which keep
        their own.
    input_shape : (height, width, 3), optional
        By default images of any size are taken; models whose minimum is above 32 then resize
        them to their usual size.
    pooling : {"avg", "max"}
        How feature maps become features.
    **kw
        Passed on to the model's function in ``keras.applications``, such as ``alpha=0.25``.

    Returns
    -------
    keras.Model
        Functional; images in, shape (batch, height, width, 3), RGB in 0..255; features out, shape
        (batch, n_features). A named model has its preprocessing inside, and is resized where
        `input_shape` is below its minimum. A model or file of one's own keeps its own input; where
        it ends in a classifier (a dense layer with softmax, sigmoid or no activation), that is
        cut off, and the features are what it received.

    Raises
    ------
    TypeError, ValueError
        For unknown names and options, images that are not RGB, files that cannot be read, and
        where ImageNet weights cannot be downloaded.

    Notes
    -----
    The 17 models are those of Jiang et al., Nat. Commun. 15:5718 (2024).

    Examples
    --------
    >>> from edgedyn import nn
    >>> model = nn.backbone("MobileNet", weights=None, input_shape=(32, 32, 3), alpha=0.25)
    >>> model.name, model.output_shape
    ('MobileNet', (None, 256))
    """
    check.choice(pooling, "pooling", POOLINGS)
    if isinstance(name, keras.Model):
        return _without_head(name, pooling)
    if not isinstance(name, str | Path):
        raise TypeError(f"name must be a name, a path or a Keras model; got {name!r}.")
    if Path(name).suffix in MODEL_FILES:
        return _without_head(load_model(name, compile=False), pooling)
    name = _known(str(name))
    shape = _image_shape(input_shape)
    keras_weights = weights if weights == "imagenet" else None
    if name == "AlexNet":
        model = _alexnet(shape, pooling, keras_weights, kw)
    else:
        model = _application(name, shape, pooling, keras_weights, kw)
    if weights is not None and keras_weights is None:
        load_weights(model, weights)
    return model


def load_model(path: str | Path, *, compile: bool = True) -> keras.Model:
    """Return the whole model that a ``.keras`` or ``.h5`` file holds.

    Raises
    ------
    ValueError
        For a file that is missing, or that Keras cannot read as a model.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}; give a .keras or .h5 file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of older formats and optimizers
            return keras.models.load_model(path, compile=compile)
    except Exception as error:  # Keras raises whatever its readers do
        reason = " ".join(str(error).split())[:120]
        raise ValueError(
            f"{path} could not be read as a whole Keras model ({reason}); for a file of weights "
            "give a backbone's name and weights=PATH."
        ) from None


def _known(name: str) -> str:
    """Return the name if there is such a model, or suggest others."""
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
    height, width, channels = (check.positive_int(n, "input_shape") for n in shape)
    if channels != 3:
        raise ValueError(f"input_shape must be RGB, (height, width, 3); got {tuple(shape)}.")
    return (height, width, 3)


def _resized(x: Any, minimum: int, usual: int) -> Any:
    """Resize images that are smaller than the minimum, or may be."""
    height, width = x.shape[1:3]
    if height is None:
        return kl.Resizing(usual, usual)(x) if minimum > 32 else x
    if height >= minimum and width >= minimum:
        return x
    return kl.Resizing(max(height, minimum), max(width, minimum))(x)


def _alexnet(shape: Any, pooling: str, weights: Any, kw: dict[str, Any]) -> keras.Model:
    """Build AlexNet; images of any size become 227x227."""
    if kw:
        raise ValueError(f"AlexNet takes no further options; got {', '.join(kw)}.")
    if weights == "imagenet":
        raise ValueError(
            "Keras has no ImageNet weights of AlexNet; pass weights=PATH of a local file, or "
            "weights=None for random ones."
        )
    inputs = keras.Input(shape)
    x = _preprocessed(kl.Resizing(SIZE, SIZE)(inputs), "torch")
    pool = kl.GlobalAveragePooling2D if pooling == "avg" else kl.GlobalMaxPooling2D
    return keras.Model(inputs, pool()(alexnet(x)), name="AlexNet")


def _application(
    name: str, shape: Any, pooling: str, weights: str | None, kw: dict[str, Any]
) -> keras.Model:
    """Build a model of keras.applications on top of its preprocessing."""
    build = getattr(keras.applications, name)
    accepted = set(inspect.signature(build).parameters)
    fixed = {"include_top", "weights", "input_tensor", "input_shape", "pooling", "name", "classes"}
    fixed.add("classifier_activation")
    if unknown := set(kw) - (accepted - fixed):
        raise ValueError(
            f"{name} takes no option {', '.join(sorted(unknown))}; it takes "
            f"{', '.join(sorted(accepted - fixed)) or 'none'}."
        )
    info = next((row for row in _PAPER if row.name == name), None)
    inputs = keras.Input(shape)
    x = _resized(inputs, info.minimum_size if info else 32, info.usual_size if info else 224)
    x = _preprocessed(x, _mode(build, name))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of sizes other than ImageNet's
            app = build(
                include_top=False,
                weights=weights,
                input_tensor=x,
                input_shape=tuple(x.shape[1:]),
                pooling=pooling,
                **kw,
            )
    except Exception as error:
        if "URL fetch failure" in str(error) or isinstance(error, OSError):
            raise ValueError(
                f"the ImageNet weights of {name} could not be downloaded; pass weights=PATH of a "
                "local file, or weights=None for random ones."
            ) from None
        raise
    return keras.Model(inputs, app.output, name=name)


def _mode(build: Any, name: str) -> str:
    """Return how a model wants its images: "tf", "torch", "caffe", or "none" (does it itself)."""
    if "include_preprocessing" in inspect.signature(build).parameters:
        return "none"
    module = sys.modules[build.__module__]
    source = inspect.getsource(module.preprocess_input)
    for mode in ("tf", "torch", "caffe"):
        if f'mode="{mode}"' in source:
            return mode
    if name.startswith("EfficientNetB"):
        return "none"
    raise ValueError(f"the preprocessing of {name} is not known; build it yourself and pass it.")


def _preprocessed(x: Any, mode: str) -> Any:
    """Turn RGB in 0..255 into what a model was trained on."""
    if mode == "tf":
        return kl.Rescaling(1 / 127.5, offset=-1.0)(x)
    if mode == "torch":
        scale = [1 / (255 * s) for s in _STD]
        return kl.Rescaling(scale, offset=[-m / s for m, s in zip(_MEAN, _STD, strict=True)])(x)
    if mode == "caffe":
        return kl.Rescaling(1.0, offset=[-m for m in _CAFFE_MEAN])(ops.flip(x, axis=-1))
    return x


def _without_head(model: keras.Model, pooling: str) -> keras.Model:
    """Cut off a classifier; make feature maps flat."""
    if getattr(model, "outputs", None) is None or len(model.outputs) != 1:
        raise ValueError(f"model {model.name!r} must be functional or built, with one output.")
    features = _features(model)
    if len(features.shape) == 4:
        pool = kl.GlobalAveragePooling2D if pooling == "avg" else kl.GlobalMaxPooling2D
        features = pool()(features)
    elif len(features.shape) != 2:
        raise ValueError(
            f"model {model.name!r} gives features of shape {features.shape}; a backbone gives "
            "feature maps (batch, height, width, channels) or (batch, n_features)."
        )
    return keras.Model(model.inputs, features, name=model.name)


def _features(model: keras.Model) -> Any:
    """Return what a model's classifier receives, or its output where it has none."""
    output = model.outputs[0]
    operation = output._keras_history.operation
    activation = None
    if isinstance(operation, kl.Softmax | kl.Activation):
        activation = getattr(operation, "activation", keras.activations.softmax)
        operation = operation.input._keras_history.operation
    if not isinstance(operation, kl.Dense):
        return output
    activation = activation or operation.activation
    heads = (keras.activations.softmax, keras.activations.sigmoid, keras.activations.linear)
    return operation.input if activation in heads else output
