"""Figures of graphs: a network and its line graph, layers and links, degrees."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.report.figures._inputs import plain, vector
from edgedyn.report.figures.style import COLOURS, few_ticks, legend, no_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEURON, NODE = 0.16, 0.1  # radii, in units of the distance between two neurons of a layer
LEAN, NARROW = 0.35, 0.82
MOST_NAMES, MOST_COUNTS = 40, 24


def neuron_graph(ax: "Axes", sizes: Sequence[int]) -> "Axes":
    """Draw G_A: neurons in columns, weights as arrows.

    Columns lean to either side in turn, so that no two weights share their middle and
    `line_graph` can place its nodes there. The left half of the paper's Fig. 1a.

    Parameters
    ----------
    ax : matplotlib Axes
    sizes : sequence of int
        Neurons per layer, input first.

    Raises
    ------
    TypeError, ValueError
        For fewer than two layers, or sizes that are not positive integers.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> figures.neuron_graph(Figure().subplots(), [2, 3, 1]).get_title()
    'Neural network $G_A$'
    """
    sizes = check.layer_sizes(sizes)
    places, colours, tails, heads = _weights(sizes)
    _arrows(ax, tails, heads, NEURON, colours)
    _discs(ax, places, NEURON, facecolor="white", edgecolor="black")
    return _graph_axes(ax, "Neural network $G_A$", places)


def line_graph(ax: "Axes", sizes: Sequence[int], links: ArrayLike) -> "Axes":
    """Draw G_B: each node at the middle of the weight it stands for, links as arrows.

    The network is drawn in grey behind it, at the same place as in `neuron_graph`. The right half
    of the paper's Fig. 1a.

    Parameters
    ----------
    ax : matplotlib Axes
    sizes : sequence of int
        As `neuron_graph` takes them; no biases.
    links : array_like of int, shape (n_links, 2)
        (source, target) in the order of `edgedyn.linegraph.NodeIndex`.

    Raises
    ------
    TypeError, ValueError
        For sizes that `neuron_graph` refuses, or links that are not pairs of the network's nodes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import edgedyn as ed
    >>> from edgedyn.report import figures
    >>> links = list(ed.line_graph([2, 2, 1]).to_networkx().edges())
    >>> figures.line_graph(Figure().subplots(), [2, 2, 1], links).get_title()
    'Line graph $G_B$'
    """
    from matplotlib.collections import LineCollection

    sizes = check.layer_sizes(sizes)
    places, colours, tails, heads = _weights(sizes)
    pairs = _links(links, len(tails))
    edges = np.stack([tails, heads], axis=1)
    ax.add_collection(LineCollection(list(edges), colors="0.88", linewidths=0.8, zorder=0))
    _discs(ax, places, NEURON, facecolor="white", edgecolor="0.8", zorder=0.5)
    middles = edges.mean(axis=1)
    if len(pairs):
        fade = float(np.clip(6 / np.sqrt(len(pairs)), 0.15, 0.7))  # many links hide each other
        _arrows(ax, middles[pairs[:, 0]], middles[pairs[:, 1]], 1.1 * NODE, "0.25", alpha=fade)
    _discs(ax, middles, NODE, facecolor=colours, edgecolor="none")
    return _graph_axes(ax, "Line graph $G_B$", places)


def layer_links(
    ax: "Axes", names: Sequence[str], n_nodes: Sequence[int], links: Sequence[tuple[int, int, int]]
) -> "Axes":
    """Draw G_B layer by layer: an arc for every pair of layers with links between them.

    The more links, the darker and thicker the arc; heads and numbers of links up to 24 arcs, names
    up to 40 layers. For networks too large for `line_graph`; not in the paper.

    Parameters
    ----------
    ax : matplotlib Axes
    names, n_nodes : sequence of str, sequence of int
        Of each layer, in order.
    links : sequence of (target, source, number of links)
        As `edgedyn.LineGraph.layer_links` gives them; layers from 1.

    Raises
    ------
    ValueError
        For no layers, another number of `n_nodes` than names, or links of layers without a name.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import edgedyn as ed
    >>> from edgedyn.report import figures
    >>> gb = ed.line_graph([4, 5, 3])
    >>> ax = figures.layer_links(Figure().subplots(), ["a", "b"], [20, 15], gb.layer_links())
    >>> ax.get_title()
    'Layers of $G_B$'
    """
    nodes = vector(n_nodes, "n_nodes", len(names))
    for target, source, _ in links:
        if not 1 <= target <= source <= len(names):
            raise ValueError(
                f"links must be (target, source, number) with 1 <= target <= source <= "
                f"{len(names)}, the number of names; got {(target, source)}."
            )
    few = len(links) <= MOST_COUNTS
    _arcs(ax, links, few)
    at = np.arange(1, len(names) + 1)
    size = 14 + 14 * np.log10(np.maximum(nodes, 1)) if few else 6
    ax.scatter(at, np.zeros(len(names)), s=size, color=COLOURS[1], zorder=3)
    if len(names) <= MOST_NAMES:
        between, turned = (", ", 90) if len(names) > 8 else ("\n", 0)
        both = zip(names, n_nodes, strict=True)
        labels = [f"{plain(name)}{between}{short(n)}" for name, n in both]
        ax.set_xticks(at, labels, rotation=turned, fontsize="x-small")
    top = max((source - target for target, source, _ in links), default=1) / 2
    ax.set(xlim=(0.5, len(names) + 0.5), ylim=(-0.15 * top, 1.25 * top), yticks=[])
    ax.set_xlabel("layer, number of its nodes" if len(names) <= MOST_NAMES else "layer")
    ax.set_title("Layers of $G_B$")
    ax.spines[["top", "left", "right"]].set_visible(False)
    return ax


def degree_distribution(
    ax: "Axes", into: tuple[ArrayLike, ArrayLike], out: tuple[ArrayLike, ArrayLike]
) -> "Axes":
    """Draw which share of the nodes has at least a degree, in and out, on logarithmic axes.

    Nodes without links count in the shares, but have no place on a logarithmic axis.

    Parameters
    ----------
    ax : matplotlib Axes
    into, out : (degrees, counts)
        Ascending, as `edgedyn.LineGraph.degree_distribution` gives them.

    Raises
    ------
    ValueError
        For empty distributions, or as many counts as degrees are not.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import edgedyn as ed
    >>> from edgedyn.report import figures
    >>> gb = ed.line_graph([4, 5, 3])
    >>> both = gb.degree_distribution("in"), gb.degree_distribution("out")
    >>> figures.degree_distribution(Figure().subplots(), *both).get_xlabel()
    'degree'
    """
    linked = False
    for label, (degrees, counts), colour, style, mark in (
        ("in", into, COLOURS[0], "-", "o"),
        ("out", out, COLOURS[1], "--", "s"),
    ):
        degree = vector(degrees, f"{label}-degrees")
        count = vector(counts, f"counts of {label}-degrees", len(degree))
        share = count[::-1].cumsum()[::-1] / count.sum()
        kept = degree > 0
        linked |= bool(kept.any())
        ax.step(degree[kept], share[kept], where="pre", label=f"{label}-degree",
                color=colour, linestyle=style, marker=mark, markersize=3)  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="degree", ylabel="share of nodes with at least it")
    ax.set_title("Degrees of $G_B$")
    if linked:
        few_ticks(ax.xaxis)
        few_ticks(ax.yaxis)
        legend(ax)
    else:
        no_values(ax, "no links")
    return ax


def short(n: float) -> str:
    """Return a count in three digits.

    Examples
    --------
    >>> short(999), short(25088), short(965_350_993_920)
    ('999', '25.1 k', '965 G')
    """
    for factor, word in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= factor:
            return f"{n / factor:.3g} {word}"
    return f"{n:.3g}"


def _arcs(ax: "Axes", links: Sequence[tuple[int, int, int]], numbered: bool) -> None:
    """Draw half circles between layers."""
    most, least = (f((n for _, _, n in links), default=1) for f in (max, min))
    turn = np.linspace(0, np.pi, 61)
    upright: dict[str, Any] = {"rotation": 90, "va": "bottom"} if len(links) > 6 else {}
    for target, source, n in links:
        middle, radius = (source + target) / 2, (source - target) / 2
        fade = 1.0 if most == least else float(np.log(n / least) / np.log(most / least))
        x, y = middle - radius * np.cos(turn), radius * np.sin(turn)
        ax.plot(x, y, color=COLOURS[0], linestyle="-", alpha=0.4 + 0.6 * fade,
                linewidth=0.8 + 1.2 * fade)  # fmt: skip
        if numbered:  # with the arrow's head, at the target
            style = {"arrowstyle": "-|>", "color": COLOURS[0], "linewidth": 0}
            ax.annotate("", (x[3], y[3]), (x[6], y[6]), arrowprops=style)
            ax.annotate(short(n), (middle, radius), (0, 3), textcoords="offset points",
                        ha="center", fontsize="x-small", **upright)  # fmt: skip


def _links(links: ArrayLike, n_nodes: int) -> Array:
    """Return links as pairs of nodes that exist."""
    pairs = np.asarray(links)
    if not pairs.size:
        return np.empty((0, 2), int)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ValueError(
            f"links must be pairs of node numbers, shape (n_links, 2); got {pairs.dtype} of shape "
            f"{pairs.shape}."
        )
    if pairs.min() < 0 or pairs.max() >= n_nodes:
        raise ValueError(
            f"links must name the nodes 0..{n_nodes - 1} of this network without biases; got "
            f"{pairs.min()}..{pairs.max()}."
        )
    return pairs


def _neurons(sizes: Sequence[int]) -> list[Array]:
    """Place neurons, layer by layer from left to right, centred, leaning to either side in turn."""
    # A weight from height u to height v has its middle at height (u + v)/2 and, by the lean, at
    # +-LEAN (u - v)/2 from the middle between the layers: different for every weight of a layer.
    # Every other layer is narrower, so that middles do not fall into rows that links run along.
    tall = max(max(sizes) - 1, 1)
    found = []
    for layer, size in enumerate(sizes):
        step = np.sqrt(tall / max(size - 1, 1)) * (NARROW if layer % 2 else 1.0)
        height = step * ((size - 1) / 2 - np.arange(size))
        middle = max(2.0, 0.8 * tall) * layer
        found.append(np.column_stack([middle + (-1) ** layer * LEAN * height, height]))
    return found


def _weights(sizes: Sequence[int]) -> tuple[Array, list[str], Array, Array]:
    """Return the neurons' places; colour, tail and head of each weight, as G_B orders them."""
    places = _neurons(sizes)
    pairs = list(pairwise(places))
    tails = [np.tile(before, (len(after), 1)) for before, after in pairs]
    heads = [np.repeat(after, len(before), axis=0) for before, after in pairs]
    colours = [COLOURS[k % 6] for k, layer in enumerate(tails) for _ in layer]
    return np.vstack(places), colours, np.vstack(tails), np.vstack(heads)


def _arrows(ax: "Axes", tails: Array, heads: Array, gap: float, colour: Any, **style: Any) -> None:
    """Draw arrows that stop short of both ends, in units of the data: they grow with the axes."""
    way = heads - tails
    step = gap * way / np.hypot(*way.T)[:, None]
    start, length = tails + step, way - 2 * step
    ax.quiver(*start.T, *length.T, color=colour, angles="xy", scale_units="xy", scale=1,
              units="xy", width=0.02, headwidth=5, headlength=6, headaxislength=5.5,
              minlength=0, zorder=2, **style)  # fmt: skip


def _discs(ax: "Axes", places: Array, radius: float, zorder: float = 3, **style: Any) -> None:
    """Draw discs that grow with the axes."""
    from matplotlib.collections import EllipseCollection

    size = np.full(len(places), 2 * radius)
    discs = EllipseCollection(size, size, np.zeros(len(places)), units="xy", offsets=places,
                              offset_transform=ax.transData, zorder=zorder, **style)  # fmt: skip
    ax.add_collection(discs, autolim=False)


def _graph_axes(ax: "Axes", title: str, places: Array) -> "Axes":
    """Frame a graph drawing; both kinds get the same limits."""
    (left, low), (right, high) = places.min(axis=0) - 0.3, places.max(axis=0) + 0.3
    ax.set(title=title, xlim=(left, right), ylim=(low, high), aspect="equal")
    ax.set_axis_off()
    return ax
