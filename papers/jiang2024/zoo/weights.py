"""Where the zoo's weights lie, and how they come into Keras models; all or nothing."""

import os
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).resolve().parents[1]
PRETRAINED = HERE / "weights"  # ours, by zoo/pretrain.py

# What a ResNet's arrays are called, layer by layer, in Keras' order.
_NORM = ("weight", "bias", "running_mean", "running_var")


def data_file(*parts):
    """Return a file of the real data, whose folder the environment variable EDGEDYN_DATA names.

    Raises
    ------
    ValueError
        Where the variable is not set, or there is no such file.
    """
    folder = os.environ.get("EDGEDYN_DATA")
    if not folder:
        raise ValueError("the zoo needs real data: set EDGEDYN_DATA to their folder.")
    path = Path(folder, *parts)
    if not path.is_file():
        raise ValueError(f"EDGEDYN_DATA has no {'/'.join(parts)}.")
    return path


def assign(model, arrays, what):
    """Give every weight of a model its array, in order; refuse any other number or shape."""
    arrays = list(arrays)
    ours = [tuple(w.shape) for w in model.weights]
    theirs = [a.shape for a in arrays]
    if ours != theirs:
        raise ValueError(
            f"{what} does not fit {model.name}: {len(theirs)} arrays for {len(ours)} weights, or "
            "other shapes; it is of another network, or was written by another zoo/pretrain.py."
        )
    for weight, array in zip(model.weights, arrays, strict=True):
        weight.assign(array.astype(np.float32))


def fill_cifar_resnet(model, depth):
    """Fill ResNet-20, 32 or 56 from arrays that are named as in a PyTorch state dict."""
    path = data_file("weights", f"cifar10_resnet{depth}.npz")
    used, arrays = set(), []
    with np.load(path) as stored:
        for layer in model.layers:
            name = layer.name.replace("_", ".")
            ends = {4: ("weight",), 2: ("weight", "bias"), 1: _NORM}
            if layer.weights:
                for end in ends[layer.weights[0].ndim]:
                    used.add(f"{name}.{end}")
                    arrays.append(_keras_order(stored[f"{name}.{end}"]))
        left = sorted(set(stored) - used)
    if left:
        raise ValueError(f"{path.name} has arrays that the model does not use: {left[:5]}.")
    assign(model, arrays, path.name)


def _keras_order(array):
    """Turn kernels from output-input-height-width, or output-input, to Keras' order."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def fill_resnet8(model):
    """Fill ResNet-8 from a whole model of Keras 2."""
    from edgedyn.nn.models.weights import (
        load_weights,  # here: the list of candidates needs no Keras
    )

    load_weights(model, data_file("weights", "cifar10_resnet8.h5"))


def mobilenet_file():
    """Return the file of the ImageNet MobileNet."""
    return data_file("weights", "imagenet_mobilenet_v1_0.25_224.h5")


def fill_squeezenet(model):
    """Fill SqueezeNet from groups named as its layers, each with a kernel and a bias.

    It was trained by Caffe on blue, green, red; ours sees red first, so that the first kernel is
    turned round (a linear head on its features of 1000 images tells, see zoo/check.py).
    """
    path = data_file("weights", "imagenet_squeezenet_notop.h5")
    arrays = []
    with h5py.File(path, "r") as file:
        for layer in model.layers:
            if layer.weights:
                kernel_and_bias = _arrays(file[layer.name.replace("_", "/")])
                arrays += sorted(kernel_and_bias, key=lambda array: -array.ndim)
    arrays[0] = arrays[0][:, :, ::-1]
    assign(model, arrays, path.name)


def _arrays(group):
    """Return all arrays in a group and the groups in it."""
    found = []
    for item in group.values():
        found += _arrays(item) if isinstance(item, h5py.Group) else [np.asarray(item)]
    return found


def write_pretrained(model, path):
    """Write a model's weights as a compressed npz, in their order: kernels in half precision."""
    arrays = {
        f"{k:03d}_{w.name}": np.asarray(w).astype(np.float16 if len(w.shape) > 1 else np.float32)
        for k, w in enumerate(model.weights)
    }
    unfinished = path.with_name(f".{path.name}")
    np.savez_compressed(unfinished.with_suffix(".npz"), **arrays)
    unfinished.replace(path)


def fill_pretrained(model, name, folder=PRETRAINED):
    """Fill a small network with the weights that zoo/pretrain.py has written."""
    path = Path(folder) / f"{name}.npz"
    if not path.is_file():
        raise ValueError(f"there is no {path.name}; run zoo/pretrain.py first.")
    with np.load(path) as stored:
        assign(model, [stored[key] for key in sorted(stored)], path.name)
