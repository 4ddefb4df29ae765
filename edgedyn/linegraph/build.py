"""`line_graph`: from sizes, a perceptron or a network to its line graph."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from edgedyn import _validate as check
from edgedyn.linegraph.graph import NODES, LineGraph
from edgedyn.linegraph.network import Network
from edgedyn.linegraph.perceptron import PerceptronLineGraph


@runtime_checkable
class SupportsLineGraph(Protocol):
    """A multilayer perceptron as far as its line graph needs it, such as `edgedyn.ReLUMLP`."""

    sizes: tuple[int, ...]
    layer_biases: tuple[bool, ...]


def line_graph(
    source: "Sequence[int] | SupportsLineGraph | Network",
    *,
    bias: bool | Sequence[bool] | None = None,
    nodes: str | None = None,
) -> LineGraph:
    """Describe the line graph of a neural network; nothing is built yet.

    Parameters
    ----------
    source : sequence of int, ReLUMLP, Network or Keras model
        Neurons per layer, input first; a perceptron; a network described by hand, see
        `edgedyn.linegraph.Network`; or, through `edgedyn.line_graph`, a sequential or functional
        Keras model.
    bias : bool or sequence of bool, optional
        With sizes: whether the layers have biases, which then are nodes (one bool for all or one
        a layer). By default they have none.
    nodes : {"kernels", "all"}, optional
        With a network or model: whether biases and batch norms are nodes, too. By default kernels
        only, the others being parts of the parameter-free paths.

    Raises
    ------
    TypeError, ValueError
        For sizes that are not positive integers, an option that belongs to the other kind of
        source, a network without parameters, or a Keras layer that is not known.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024): weights are nodes, and since
    gradients flow backwards the links run from a layer's weights to those of the layer before.

    Examples
    --------
    >>> import edgedyn as ed
    >>> ed.line_graph([4, 5, 3])
    LineGraph(4-5-3, 35 nodes, 60 links)
    >>> ed.line_graph([4, 5, 3], bias=True).n_nodes
    43
    >>> from edgedyn.linegraph import Conv2D, Dense, Flatten, Network
    >>> ed.line_graph(Network.sequential((4, 4, 1), [Conv2D(2, 3), Flatten(), Dense(3)]))
    LineGraph(2 layers, 42 nodes, 216 links)
    """
    kind = "kernels" if nodes is None else nodes
    if isinstance(source, Network):
        if bias is not None:
            raise TypeError("bias belongs to sizes; a network's layers have their own.")
        graph = LineGraph(_frozen(source), check.choice(kind, "nodes", NODES))
        if not graph.n_nodes:
            raise ValueError(f"{source!r} has no layer whose parameters are nodes.")
        return graph
    if isinstance(source, SupportsLineGraph):
        if bias is not None:
            raise TypeError("bias belongs to sizes; for a network say nodes='kernels' or 'all'.")
        check.choice(kind, "nodes", NODES)
        sizes = check.layer_sizes(source.sizes)
        flags = _bias_flags(source.layer_biases, len(sizes) - 1)
        return PerceptronLineGraph(sizes, tuple(b and kind == "all" for b in flags))
    if not isinstance(source, Sequence | np.ndarray) or isinstance(source, str):
        raise TypeError(
            "line_graph accepts sizes such as [64, 32, 10], a ReLUMLP, a linegraph.Network or a "
            f"Keras model; got {type(source).__name__}."
        )
    if nodes is not None:
        raise TypeError("nodes belongs to a network; for sizes say bias=True or bias=False.")
    sizes = check.layer_sizes(source)
    return PerceptronLineGraph(sizes, _bias_flags(bias, len(sizes) - 1))


def _frozen(network: Network) -> Network:
    """Return a copy that later additions to the network do not reach."""
    copy = Network(network.input.shape)
    copy.operations = list(network.operations)
    return copy


def _bias_flags(bias: bool | Sequence[bool] | None, n_layers: int) -> tuple[bool, ...]:
    """Return one flag a layer."""
    if bias is None or isinstance(bias, bool | np.bool_):
        return (bool(bias),) * n_layers
    if isinstance(bias, str) or not isinstance(bias, Sequence | np.ndarray):
        raise TypeError(f"bias must be True, False or one of them a layer; got {bias!r}.")
    flags = list(bias)
    if len(flags) != n_layers or not all(isinstance(b, bool | np.bool_) for b in flags):
        raise ValueError(f"bias must hold {n_layers} times True or False; got {bias!r}.")
    return tuple(bool(b) for b in flags)
