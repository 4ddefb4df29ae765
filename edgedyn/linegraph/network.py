"""A neural network G_A as a directed acyclic graph of operations; no numbers, only structure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgedyn import _validate as check
from edgedyn.linegraph.layers import Geometry, Layer, SeparableConv2D
from edgedyn.linegraph.moves import Move, Shape, shape_after
from edgedyn.linegraph.routes import Opaque, Route


@dataclass(frozen=True)
class Tensor:
    """What one operation hands to the next.

    Parameters
    ----------
    number : int
        0 is the network's input.
    shape : tuple of int
        Of one sample, channels last.
    """

    number: int
    shape: Shape


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation in its place, with a layer's geometry or a route's moves."""

    what: Layer | Route
    inputs: tuple[Tensor, ...]
    output: Tensor
    name: str
    geometry: Geometry | None
    moves: list[list[Move]]


class Network:
    """A neural network G_A, described operation by operation.

    Parameters
    ----------
    input_shape : int or tuple of int
        Of one sample without the batch, channels last.

    Attributes
    ----------
    input : Tensor
    operations : list of Operation

    Raises
    ------
    TypeError, ValueError
        For a shape that is not made of positive integers.

    Examples
    --------
    LeNet-5 and a residual block:

    >>> import edgedyn as ed
    >>> from edgedyn.linegraph import Add, Conv2D, Dense, Flatten, Network, Pooling
    >>> lenet = Network.sequential(
    ...     (28, 28, 1),
    ...     [Conv2D(6, 5, padding="same"), Pooling(2), Conv2D(16, 5), Pooling(2), Flatten(),
    ...      Dense(120), Dense(84), Dense(10)],
    ... )
    >>> ed.line_graph(lenet, nodes="all").n_nodes
    61706
    >>> block = Network((8, 8, 4))
    >>> x = block.add(Conv2D(4, 3, padding="same"), block.input)
    >>> y = block.add(Conv2D(4, 3, padding="same"), x)
    >>> z = block.add(Add(), x, y)
    >>> block.add(Dense(3), z).shape
    (8, 8, 3)
    """

    def __init__(self, input_shape: int | Sequence[int]) -> None:
        sizes = input_shape if isinstance(input_shape, Sequence) else (input_shape,)
        if not sizes or isinstance(sizes, str):
            raise ValueError(f"input_shape must hold positive integers; got {input_shape!r}.")
        self.input = Tensor(0, tuple(check.positive_int(n, "input_shape") for n in sizes))
        self.operations: list[Operation] = []

    @classmethod
    def sequential(
        cls, input_shape: int | Sequence[int], operations: "Sequence[Layer | Route | Any]"
    ) -> "Network":
        """Return a network of one operation after the other."""
        network = cls(input_shape)
        tensor = network.input
        for operation in operations:
            tensor = network.add(operation, tensor)
        return network

    @property
    def output(self) -> Tensor:
        """What the last operation hands out."""
        return self.operations[-1].output if self.operations else self.input

    def add(
        self, operation: Layer | Route | SeparableConv2D, *inputs: Tensor, name: str = ""
    ) -> Tensor:
        """Append an operation on tensors of this network; return its output.

        Raises
        ------
        TypeError
            For anything but an operation of `edgedyn.linegraph`, or inputs of another network.
        ValueError
            For shapes that do not fit.
        """
        if isinstance(operation, SeparableConv2D):
            depthwise, pointwise = operation.parts()
            between = self.add(depthwise, *inputs, name=f"{name}/depthwise" if name else "")
            return self.add(pointwise, between, name=f"{name}/pointwise" if name else "")
        if not isinstance(operation, Layer | Route):
            raise TypeError(
                "a network is made of layers and routes of edgedyn.linegraph such as Conv2D(8, 3) "
                f"or Flatten(); got {operation!r}."
            )
        for tensor in inputs:
            known = isinstance(tensor, Tensor) and tensor.number <= len(self.operations)
            if not known or tensor != self._tensor(tensor.number):
                raise TypeError(f"inputs must be tensors of this network; got {tensor!r}.")
        few, many = (1, 1) if isinstance(operation, Layer) else operation.n_inputs
        if not few <= len(inputs) <= many:
            wanted = f"{few}" if few == many else f"at least {few}"
            raise ValueError(
                f"{type(operation).__name__} takes {wanted} input(s); got {len(inputs)}."
            )
        shapes = [tensor.shape for tensor in inputs]
        geometry, moves = None, []
        if isinstance(operation, Layer):
            geometry = operation.geometry(shapes[0])
            shape = geometry.out_shape
        elif isinstance(operation, Opaque):
            shape = tuple(operation.shape)
        else:
            moves = operation.moves(shapes)
            shape = shape_after(moves[0], shapes[0])
        output = Tensor(len(self.operations) + 1, shape)
        self.operations.append(Operation(operation, inputs, output, name, geometry, moves))
        return output

    def _tensor(self, number: int) -> Tensor:
        """Return a tensor by its number."""
        return self.input if number == 0 else self.operations[number - 1].output

    def __repr__(self) -> str:
        layers = sum(isinstance(o.what, Layer) for o in self.operations)
        counts = f"{layers} layers, {len(self.operations) - layers} routes"
        return f"Network({self.input.shape} -> {self.output.shape}, {counts})"
