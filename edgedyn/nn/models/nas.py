"""The cell search space NAS-Bench-201 in Keras.

A cell has four nodes; each edge (source, target) with source < target carries one of five
operations, and a node is the sum of what arrives. A network is a stem, three stages of equal cells
with residual reductions between, and a classifier.
"""

import re
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import keras
import numpy as np
from keras import layers as kl

from edgedyn import _validate as check

Cell = tuple[int, ...]

EDGES = ((1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4))
OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
ZERO = OPERATIONS.index("none")
STAGES = 3
FORMS = (
    "give six numbers from 0 to 4 (0 identity, 1 zero, 2 ReLU-conv3x3-BN, 3 ReLU-conv1x1-BN, "
    "4 average pooling 3x3) for the edges (1,2) (1,3) (1,4) (2,3) (2,4) (3,4), or text "
    "'|op~0|+|op~0|op~1|+|op~0|op~1|op~2|' with the operations " + ", ".join(OPERATIONS)
)
# Of CIFAR-10's training images, as the published training normalises them.
_MEAN, _STD = np.array([125.3, 123.0, 113.9]), np.array([63.0, 62.1, 66.7])
_DIGITS = re.compile(r"[(\[]?\s*\d+\s*(?:,\s*\d+\s*){5}[)\]]?")
_TEXT = re.compile(r"\|([^|+]+)\|\+\|([^|+]+)\|([^|+]+)\|\+\|([^|+]+)\|([^|+]+)\|([^|+]+)\|")
# The text goes through the edges by their targets, the six numbers by their sources.
_BY_TARGET = tuple(sorted(EDGES, key=lambda edge: edge[::-1]))


def nas201(
    cell: Sequence[int] | str,
    n_classes: int = 10,
    channels: int = 16,
    n_cells: int = 5,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
) -> keras.Model:
    """Return the network that NAS-Bench-201 trains for a cell, with random weights.

    A 3x3 convolution with batch norm; three stages of `n_cells` equal cells with `channels`, twice
    and four times as many; between stages a residual block that halves the image; batch norm,
    ReLU, global average pooling and a dense layer with softmax.

    Parameters
    ----------
    cell : sequence of 6 int, or str
        Operations on the edges (1,2) (1,3) (1,4) (2,3) (2,4) (3,4): 0 identity, 1 zero, 2 ReLU,
        3x3 convolution and batch norm, 3 the same with a 1x1 convolution, 4 average pooling 3x3
        that leaves the padding out. Or the official text ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``,
        one group a target, with ``skip_connect``, ``none``, ``nor_conv_3x3``, ``nor_conv_1x1``
        and ``avg_pool_3x3``; or the six numbers as text.
    n_classes : int
        At least 2.
    channels, n_cells : int
        Channels of the first stage and cells in each stage; 16 and 5 in the benchmark.
    input_shape : (height, width, 3)
        Sides are multiples of 4.

    Returns
    -------
    keras.Model
        Functional; images in, RGB in 0..255, normalised inside by mean and standard deviation of
        CIFAR-10; probabilities out. ``keras.utils.set_random_seed`` decides the weights, which
        are drawn from a uniform distribution of width ``1 / sqrt(fan_in)`` either way.

    Raises
    ------
    TypeError, ValueError
        For anything that is no cell, and sizes that cannot be.

    Notes
    -----
    A zero edge carries nothing, so most are left out. Two kinds are built, as zeros padded around
    an image that is then cropped away: into a node that nothing else reaches, whose convolutions
    then see zeros (their batch norm makes a constant of them), and out of a node that leads
    nowhere else, whose parameters the benchmark counts. To the line graph this is padding: no path
    leads through it, a kernel that sees only zeros has no links, and one whose output leads nowhere
    receives but sends none. A cell without any path to its output thus cuts the network: what comes
    before has no influence on the loss, and the whole network's beta_eff may be undefined (status
    "ill_conditioned").

    References
    ----------
    Dong and Yang, NAS-Bench-201, ICLR 2020; Dong, Liu, Musial and Gabrys, NATS-Bench, IEEE TPAMI
    44:3634 (2022).

    Examples
    --------
    >>> from edgedyn import nn
    >>> nn.nas201((2, 2, 2, 2, 2, 2)).output_shape
    (None, 10)
    >>> text = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"
    >>> small = nn.nas201(text, channels=4, n_cells=1, input_shape=(8, 8, 3))
    >>> sum(layer.name.endswith("conv") for layer in small.layers)
    10
    """
    operations = dict(zip(EDGES, cell_coding(cell), strict=True))
    if check.positive_int(n_classes, "n_classes") < 2:
        raise ValueError(f"n_classes must be at least 2; got {n_classes}.")
    channels = check.positive_int(channels, "channels")
    n_cells = check.positive_int(n_cells, "n_cells")
    inputs = keras.Input(_image_shape(input_shape))
    x = kl.Rescaling((1 / _STD).tolist(), offset=(-_MEAN / _STD).tolist())(inputs)
    x = _norm(_conv(x, channels, 3, "stem_conv"), "stem_bn")
    for stage in range(1, STAGES + 1):
        if stage > 1:
            channels *= 2
            x = _reduction(x, channels, f"reduction{stage - 1}")
        for k in range(1, n_cells + 1):
            x = _cell(x, operations, channels, f"stage{stage}_cell{k}")
    x = kl.ReLU()(_norm(x, "last_bn"))
    x = kl.GlobalAveragePooling2D()(x)
    x = kl.Dense(n_classes, "softmax", kernel_initializer=_initial(), name="classifier")(x)
    return keras.Model(inputs, x, name="nas201")


def cell_coding(cell: Sequence[int] | str) -> Cell:
    """Return a cell in either form that `nas201` takes as six numbers, or refuse it."""
    refused = f"there is no cell {cell!r}; {FORMS}."
    if not isinstance(cell, Sequence | np.ndarray):
        raise TypeError(refused)
    numbers: tuple[Any, ...] = _from_text(cell) if isinstance(cell, str) else tuple(cell)
    if any(isinstance(n, bool | np.bool_) or not isinstance(n, Integral) for n in numbers):
        raise TypeError(refused)
    if len(numbers) != len(EDGES) or not all(0 <= n < len(OPERATIONS) for n in numbers):
        raise ValueError(refused)
    return tuple(int(n) for n in numbers)


def cell_string(cell: Sequence[int] | str) -> str:
    """Return a cell in either form that `nas201` takes as the official text, or refuse it."""
    operations = dict(zip(EDGES, cell_coding(cell), strict=True))
    targets: dict[int, str] = {}
    for source, target in _BY_TARGET:
        word = f"{OPERATIONS[operations[source, target]]}~{source - 1}|"
        targets[target] = targets.get(target, "|") + word
    return "+".join(targets.values())


def _from_text(text: str) -> tuple[int, ...]:
    """Read six numbers, or the official form; nothing where it is neither."""
    if _DIGITS.fullmatch(text.strip()):
        return tuple(int(n) for n in re.findall(r"\d+", text))
    found = _TEXT.fullmatch(text.strip())
    operations = {}
    for edge, word in zip(_BY_TARGET, found.groups() if found else (), strict=False):
        name, _, source = word.partition("~")
        if name in OPERATIONS and source == str(edge[0] - 1):
            operations[edge] = OPERATIONS.index(name)
    return tuple(operations[edge] for edge in EDGES if edge in operations)


def _image_shape(shape: Any) -> tuple[int, int, int]:
    """Return (height, width, 3) if two halvings leave whole pixels."""
    if isinstance(shape, str) or not isinstance(shape, Sequence) or len(shape) != 3:
        raise TypeError(f"input_shape must be (height, width, 3); got {shape!r}.")
    height, width, depth = (check.positive_int(n, "input_shape") for n in shape)
    if height % 4 or width % 4 or depth != 3:
        raise ValueError(
            f"input_shape must be (height, width, 3) with sides that are multiples of 4; "
            f"got {shape!r}."
        )
    return height, width, depth


# Blocks -----------------------------------------------------------------------------------------


def _cell(x: Any, operations: dict[tuple[int, int], int], channels: int, name: str) -> Any:
    """Return a cell's output, node 4."""
    arriving: dict[int, list[Any]] = {1: [x], 2: [], 3: [], 4: []}
    for source, target in _built(operations):
        edge = f"{name}_{source}{target}"
        part = _sum(arriving[source], f"{name}_node{source}")
        arriving[source] = [part]
        arriving[target].append(_operation(part, operations[source, target], channels, edge))
    return _sum(arriving[4], f"{name}_node4")


def _built(operations: dict[tuple[int, int], int]) -> list[tuple[int, int]]:
    """Return the edges that are layers, by source: all but the zeros that change nothing."""
    kept = {edge for edge, operation in operations.items() if operation != ZERO}
    used = {1, 4}.union(*kept)
    kept |= {(1, node) for node in used - {1} if all(target != node for _, target in kept)}
    kept |= {(node, 4) for node in used - {4} if all(source != node for source, _ in kept)}
    return sorted(kept)


def _operation(x: Any, operation: int, channels: int, name: str) -> Any:
    """Apply one edge's operation."""
    word = OPERATIONS[operation]
    if word == "skip_connect":
        return x
    if word == "none":
        return _zeros(x, name)
    if word == "avg_pool_3x3":
        return kl.AveragePooling2D(3, 1, "same", name=f"{name}_pool")(x)
    return _relu_conv_norm(x, channels, 3 if word == "nor_conv_3x3" else 1, name)


def _reduction(x: Any, channels: int, name: str) -> Any:
    """Return the residual block between stages: half the size, more channels."""
    y = kl.ReLU(name=f"{name}_a_relu")(x)
    # PyTorch's padding, one on either side; Keras' "same" would pad the far side only.
    y = kl.ZeroPadding2D(1, name=f"{name}_a_padding")(y)
    y = _norm(_conv(y, channels, 3, f"{name}_a_conv", strides=2), f"{name}_a_bn")
    y = _relu_conv_norm(y, channels, 3, f"{name}_b")
    x = kl.AveragePooling2D(2, name=f"{name}_shortcut_pool")(x)
    return _sum([_conv(x, channels, 1, f"{name}_shortcut_conv"), y], f"{name}_sum")


def _relu_conv_norm(x: Any, channels: int, size: int, name: str) -> Any:
    """Return ReLU, convolution, batch norm."""
    x = kl.ReLU(name=f"{name}_relu")(x)
    return _norm(_conv(x, channels, size, f"{name}_conv"), f"{name}_bn")


def _conv(x: Any, channels: int, size: int, name: str, strides: int = 1) -> Any:
    """Return a convolution without bias; one with strides is padded by the caller."""
    padding = "same" if strides == 1 else "valid"
    options = {"use_bias": False, "kernel_initializer": _initial(), "name": name}
    return kl.Conv2D(channels, size, strides, padding, **options)(x)


def _norm(x: Any, name: str) -> Any:
    """Return a batch norm with PyTorch's defaults."""
    return kl.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def _initial() -> Any:
    """Return PyTorch's default: uniform within 1 / sqrt(fan_in) either way."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def _zeros(x: Any, name: str) -> Any:
    """Return zeros of the same shape that no parameter influences: padding alone."""
    height = x.shape[1]
    x = kl.ZeroPadding2D(((height, 0), (0, 0)), name=f"{name}_padding")(x)
    return kl.Cropping2D(((0, height), (0, 0)), name=f"{name}_zero")(x)


def _sum(parts: list[Any], name: str) -> Any:
    """Return a sum, or the only part."""
    return parts[0] if len(parts) == 1 else kl.Add(name=name)(parts)
