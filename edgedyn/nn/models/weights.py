"""Weight files of Keras, new and old, read into models by layer name; all or nothing."""

import json
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from math import inf
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from edgedyn.nn.models.flops import layers_of

SAVED_MODEL = "saved_model.pb"
SUFFIXES = (".keras", ".h5", ".hdf5")  # of whole models
ARRAYS = ".npz"  # of weights alone
SLACK, MOST_COMPRESSED = 2**16, 1100
SPARE = 8  # times a model's weights that one array of its file may have
DEEPEST = 100
_DAMAGED = (zipfile.BadZipFile, zlib.error)

# A weight of a file: the layer names it may belong to, best first, its own name and its values.
Entry = tuple[tuple[str, ...], str, NDArray[Any]]


def is_model_file(value: Any) -> bool:
    """Tell a path to a model from a name, by its ending."""
    given = isinstance(value, str | Path)
    return given and (str(value).endswith(SUFFIXES) or (Path(value) / SAVED_MODEL).is_file())


def is_weight_file(value: Any) -> bool:
    """Tell a path to a model or to weights from a word, by its ending."""
    return isinstance(value, str | Path) and str(value).endswith((*SUFFIXES, ARRAYS))


def load_weights(model: keras.Model, path: str | Path) -> None:
    """Fill a model with the weights of a file; change nothing unless every layer is served.

    Layers are matched by name and weights by name and shape; names that Keras numbers by itself
    (``conv2d_94``) by their order. Layers that only the file has, such as the top, are ignored.

    The file is a whole model (``.keras``, ``.h5``, also of Keras 2), weights of Keras 3
    (``.weights.h5``, matched by layer order as Keras does), weights of Keras 2 (``.h5``), or plain
    arrays (``.npz``), each named ``layer/weight`` as Keras names them, such as ``conv1/kernel`` or
    ``conv1_bn/moving_mean``; a nested layer's path ends in the two. ``numpy.savez_compressed(path,
    **{f"{layer.name}/{w.name}": w.numpy() for layer in model.layers for w in layer.weights})``
    writes such an ``.npz``. ValueError for a file that is missing or cannot be read, layers without
    weights in the file, shapes that differ, and arrays that are not finite.
    """
    path = _existing(path, (*SUFFIXES, ARRAYS))
    if path.suffix != ARRAYS:
        _check_contents(path, SLACK + SPARE * sum(w.nbytes for w in map(np.asarray, model.weights)))
    if path.suffix == ARRAYS:
        _assign(model, _entries_of_arrays(path), path)
    elif path.suffix == ".keras":
        _assign(model, _entries_of_model(load_model(path, compile=False)), path)
    elif path.name.endswith(".weights.h5"):
        _load_keras3(model, path)
    else:
        _assign(model, _entries_of_file(path), path)


def load_model(path: str | Path, *, compile: bool = True) -> keras.Model:
    """Load a whole model (``.keras``, or ``.h5`` also of Keras 2) without running code from it.

    `compile`: also restore loss, metrics and optimizer, where the file has them. ValueError for a
    file that is missing, cannot be read, holds only weights or has a Lambda layer.
    """
    path = _existing(path)
    _check_contents(path)
    if path.suffix != ".keras":
        _check_config(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of older formats and optimizers
            own = {"DepthwiseConv2D": _Depthwise}
            model = keras.models.load_model(path, compile=compile, custom_objects=own)
    except Exception as error:  # Keras, h5py and layers of one's own raise what they like
        raise ValueError(f"{str(path)!r} cannot be loaded as a model: {_brief(error)}") from error
    for layer in layers_of(model):
        for weight in layer.weights:
            _check_numbers(np.asarray(weight), f"{layer.name}/{weight.name}", path)
    return model


def _check_numbers(values: NDArray[Any], name: str, path: Path) -> None:
    """Refuse weights that are not finite, which a ReLU may hide, or that are no numbers."""
    if values.dtype.kind not in "fiub" and "float" not in values.dtype.name:
        raise ValueError(f"{name!r} in {str(path)!r} must hold numbers; it is {values.dtype}.")
    if not np.isfinite(values.astype(np.float64, copy=False)).all():
        raise ValueError(f"{name!r} in {str(path)!r} must hold finite numbers; it has NaN.")


class _Depthwise(keras.layers.DepthwiseConv2D):
    """Reads the configuration of Keras 2, which has a `groups` that Keras 3 does not know."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> keras.layers.Layer:
        config = {key: value for key, value in config.items() if key != "groups"}
        return keras.layers.DepthwiseConv2D.from_config(config)


# Files ------------------------------------------------------------------------------------------


def _existing(path: str | Path, suffixes: Sequence[str] = SUFFIXES) -> Path:
    path = Path(path)
    if (path / SAVED_MODEL).is_file():
        raise ValueError(
            f"{str(path)!r} is a folder in TensorFlow's SavedModel format, which has no layers to "
            "read; save the Keras model as a .keras file."
        )
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}.")
    if path.suffix not in suffixes:
        raise ValueError(f"{str(path)!r} must end in {', '.join(suffixes[:-1])} or {suffixes[-1]}.")
    return path


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError:
        raise ValueError(f"{str(path)!r} cannot be read as an HDF5 file.") from None


def _check_contents(path: Path, most: float = inf) -> None:
    """Refuse HDF5 that points outside itself, or claims more numbers than it can hold.

    External storage and links would read any file of this machine into the weights.
    """
    if path.suffix != ".keras":
        with _open(path) as file:
            _check_group(file, path, most)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            inner = [name for name in archive.namelist() if name.endswith(".h5")]
            for name in inner:
                with archive.open(name) as stream, h5py.File(stream, "r") as file:
                    _check_group(file, path, most)
    except (OSError, RuntimeError, *_DAMAGED) as error:
        raise ValueError(f"{str(path)!r} cannot be read as a model: {_brief(error)}") from None


def _check_group(group: h5py.Group, path: Path, most: float, depth: int = 0) -> None:
    """Look at every link and data set, of at most so many bytes, however models are nested."""
    if depth > DEEPEST:
        raise ValueError(f"{str(path)!r} has groups within groups without end; it is not read.")
    for name in group:
        kind = type(group.get(name, getlink=True)).__name__
        if kind != "HardLink":
            raise ValueError(
                f"{str(path)!r} has a link to another place ({group.name}/{name}); it is not read."
            )
        item = group[name]
        if isinstance(item, h5py.Group):
            _check_group(item, path, most, depth + 1)
            continue
        if isinstance(item, h5py.Datatype):
            continue
        if item.dtype.kind == "c" or h5py.check_ref_dtype(item.dtype):
            raise ValueError(f"{str(path)!r} holds no real numbers in {item.name}: {item.dtype}.")
        if item.external or item.is_virtual:
            raise ValueError(f"{str(path)!r} keeps {item.name} in another file; it is not read.")
        # No filter of HDF5 makes numbers smaller than a thousandth.
        if item.nbytes > most or item.nbytes > SLACK + MOST_COMPRESSED * item.id.get_storage_size():
            raise ValueError(
                f"{str(path)!r} claims {item.shape} numbers for {item.name}; "
                "it holds far fewer, or the model needs far fewer."
            )


def _check_config(path: Path) -> None:
    """Refuse a file without a model, and Lambda layers: older Keras ran their code unasked."""
    with _open(path) as file:
        config = file.attrs.get("model_config")
    if config is None:
        raise ValueError(
            f"{str(path)!r} holds weights without a model; name the architecture and give the "
            "file as weights=PATH."
        )
    classes: set[str] = set()  # of all parts, however nested
    json.loads(config, object_hook=lambda part: classes.add(str(part.get("class_name"))))
    if "Lambda" in classes:
        raise ValueError(
            f"{str(path)!r} has a Lambda layer, whose code is not run; load the model yourself "
            "and give the model."
        )


def _brief(error: Exception) -> str:
    """Return the first line of a message, of a length one can read."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) < 300 else line[:297] + "..."


# The weights of a file or model -----------------------------------------------------------------


def _entries_of_model(model: keras.Model) -> list[Entry]:
    return [
        ((layer.name,), weight.name, np.asarray(weight))
        for layer in layers_of(model)
        for weight in layer.weights
    ]


def _entries_of_arrays(path: Path) -> list[Entry]:
    """Read an npz of arrays named ``layer/weight``; nothing in it is executed."""
    entries: list[Entry] = []
    try:
        # NumPy would leave a damaged file open if it were given the path.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, *_DAMAGED) as error:
        raise ValueError(
            f"{str(path)!r} cannot be read as an npz of arrays: {_brief(error)}"
        ) from None
    for name, array in arrays.items():
        *owner, own = name.split("/")
        if not owner:
            raise ValueError(
                f"{str(path)!r} has an array {name!r}; arrays are named layer/weight, such as "
                "conv1/kernel."
            )
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(
                f"{name!r} in {str(path)!r} must hold finite floating-point numbers; it is "
                f"{array.dtype}" + (" with NaN or infinity." if array.dtype.kind == "f" else ".")
            )
        entries.append((("_".join(owner), *owner[-1:]), own, array))
    return entries


def _entries_of_file(path: Path) -> list[Entry]:
    """Read every array once; its layer is its group, or what stands before its own name."""
    entries: list[Entry] = []
    with _open(path) as file:
        root = file.get("model_weights", file)
        for group in _names(root, "layer_names") or list(root):
            if not isinstance(root.get(group), h5py.Group):
                continue
            for name in _names(root[group], "weight_names") or _datasets(root[group]):
                *owner, own = name.removesuffix(":0").split("/")
                owners = (group.replace("/", "_"), "_".join(owner), *owner[-1:])
                values = np.asarray(root[group][name])
                _check_numbers(values, f"{group}/{name}", path)
                entries.append((owners, own, values))
    return entries


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """Return a list of names kept as an attribute, which Keras splits when it grows too large."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    names = [name for part in parts for name in group.attrs[part]]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _datasets(group: h5py.Group) -> list[str]:
    found: list[str] = []
    group.visititems(lambda name, item: found.append(name) if hasattr(item, "shape") else None)
    return found


# Matching ---------------------------------------------------------------------------------------


def _assign(model: keras.Model, entries: Sequence[Entry], path: Path) -> None:
    """Find an array for every weight of the model, then assign them all."""
    layers = [layer for layer in layers_of(model) if layer.weights]
    ours, theirs = _common_names(layers, entries)
    wanted = {ours.get(layer.name, layer.name.replace("/", "_")): layer for layer in layers}
    if len(wanted) < len(layers):
        raise ValueError(f"model {model.name!r} has several layers of one name.")
    found: dict[str, list[tuple[str, NDArray[Any]]]] = {}
    for owners, name, array in entries:
        for owner in [n for n in (theirs.get(o, o) for o in owners) if n in wanted][:1]:
            found.setdefault(owner, []).append((name, array))
    missing = [layer.name for owner, layer in wanted.items() if owner not in found]
    if missing:
        some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise ValueError(
            f"{str(path)!r} has no weights for {len(missing)} of the {len(wanted)} layers of "
            f"{model.name!r}: {some}; it is probably a file of another architecture."
        )
    pairs = [pair for owner, layer in wanted.items() for pair in _pairs(layer, found[owner], path)]
    for variable, array in pairs:
        variable.assign(array)


def _common_names(
    layers: Sequence[Any], entries: Sequence[Entry]
) -> tuple[dict[str, str], dict[str, str]]:
    """Renumber names that Keras numbers by itself, which depend on what was built before."""
    # Where the model and the file have different numbers of them, only equal names are trusted.
    ours: dict[str, str] = {}
    theirs: dict[str, str] = {}
    for base in sorted({_snake_case(type(layer).__name__) for layer in layers}):
        in_model = _numbered((layer.name for layer in layers), base)
        for place in (0, -1):  # a file's groups, or its layers inside the group of a nested model
            in_file = _numbered((owners[place] for owners, _, _ in entries), base)
            if len(in_model) == len(in_file):
                ours |= {name: f"{base}#{k}" for k, name in enumerate(in_model)}
                theirs |= {name: f"{base}#{k}" for k, name in enumerate(in_file)}
                break
    return ours, theirs


def _snake_case(name: str) -> str:
    """Return the name Keras derives from a class."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _numbered(names: Iterable[str], base: str) -> list[str]:
    """Return the names that are `base` or `base_7`, in the order of their numbers."""
    matches = (re.fullmatch(rf"{base}(?:_(\d+))?", name) for name in dict.fromkeys(names))
    return [m[0] for m in sorted(filter(None, matches), key=lambda m: int(m[1] or 0))]


def _pairs(
    layer: Any, arrays: list[tuple[str, NDArray[Any]]], path: Path
) -> list[tuple[Any, NDArray[Any]]]:
    """Pair a layer's variables with arrays by name or, under foreign names, by unique shape."""
    by_name = dict(arrays)
    if "depthwise_kernel" in by_name:  # Keras 2's name
        by_name.setdefault("kernel", by_name["depthwise_kernel"])
    variables = {weight.name: weight for weight in layer.weights}
    if len(by_name) < len(arrays) or len(variables) < len(layer.weights):
        raise ValueError(
            f"layer {layer.name!r} has several weights of one name; they cannot be told apart in "
            f"{str(path)!r}."
        )
    if set(variables) <= set(by_name):
        pairs = [(variable, by_name[name]) for name, variable in variables.items()]
        for variable, array in pairs:
            if tuple(variable.shape) != array.shape:
                raise ValueError(
                    f"{variable.name} of layer {layer.name!r} has shape {tuple(variable.shape)}, "
                    f"but {array.shape} in {str(path)!r}; the likely cause is another width "
                    "(alpha) or number of filters or input channels."
                )
        return pairs
    shapes = {array.shape: array for _, array in arrays}
    alike = sorted(shapes) == sorted(tuple(v.shape) for v in layer.weights)
    if not alike or len(shapes) < len(arrays):
        raise ValueError(
            f"layer {layer.name!r} needs {_listed(variables.items())}; {str(path)!r} has "
            f"{_listed(arrays)} for it."
        )
    return [(variable, shapes[tuple(variable.shape)]) for variable in layer.weights]


def _listed(weights: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(f"{name} {tuple(weight.shape)}" for name, weight in weights)


def _load_keras3(model: keras.Model, path: Path) -> None:
    """Let Keras match by order of layers; take its changes back if it fails half way."""
    _open(path).close()
    before = model.get_weights()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a layer left as it was is only a warning to Keras
            model.load_weights(path)
        for weight in model.weights:
            _check_numbers(np.asarray(weight), weight.path, path)
    except Exception as error:  # whatever it was, the model is as before
        model.set_weights(before)
        raise ValueError(
            f"{str(path)!r} does not fit {model.name!r}, probably another architecture or width "
            f"(alpha): {_brief(error)}"
        ) from error
