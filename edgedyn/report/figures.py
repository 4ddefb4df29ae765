"""Figures: each function draws on given matplotlib axes and returns them; none computes results."""

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn._files import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
METADATA = {"Software": None}  # equal results give equal files


@contextmanager
def saved_figure(path: Path, columns: int = 1, rows: int = 1, **size: float) -> "Iterator[Any]":
    """Yield a figure and its axes; write it to `path` as a whole on leaving."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = size.get("width", 5.0 * columns), size.get("height", 4.0 * rows)
    figure = Figure(figsize=(width, height), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    yield figure, figure.subplots(rows, columns, squeeze=False).ravel()
    save(figure, path)


def save(figure: "Figure", path: Path) -> None:
    """Write a figure; the format follows the file's suffix."""
    with atomic(path) as temporary:
        kind = path.suffix[1:]
        metadata: dict[str, Any] = METADATA if kind == "png" else {"Date": None}
        figure.savefig(temporary, format=kind, metadata=metadata)


def neuron_graph(ax: "Axes", sizes: Sequence[int]) -> "Axes":
    """Draw G_A: neurons in columns, weights as arrows.

    Parameters
    ----------
    ax : matplotlib Axes
    sizes : sequence of int
        Neurons per layer, input first.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> figures.neuron_graph(Figure().subplots(), [2, 3, 1]).get_title()
    'Neural network $G_A$'
    """
    for layer, _, _, tail, head in _weights(sizes):
        _arrow(ax, tail, head, colour=COLOURS[(layer - 1) % 6], shrink=9)
    for layer, size in enumerate(sizes):
        x, y = zip(*(_neuron(sizes, layer, i) for i in range(size)), strict=True)
        ax.scatter(x, y, s=160, color="white", edgecolor="black", zorder=3)
    return _graph_axes(ax, "Neural network $G_A$", sizes)


def line_graph(ax: "Axes", sizes: Sequence[int], links: ArrayLike) -> "Axes":
    """Draw G_B: each node at the middle of the weight it stands for, links as arrows.

    Parameters
    ----------
    ax : matplotlib Axes
    sizes : sequence of int
        Neurons per layer, input first; no biases.
    links : array_like of int, shape (n_links, 2)
        (source, target) in the order of `edgedyn.linegraph.NodeIndex`.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import edgedyn as ed
    >>> from edgedyn.report import figures
    >>> links = list(ed.line_graph([2, 2, 1]).to_networkx().edges())
    >>> figures.line_graph(Figure().subplots(), [2, 2, 1], links).get_title()
    'Line graph $G_B$: links run backwards'
    """
    middles, colours = [], []
    for layer, i, j, a, b in _weights(sizes):
        ax.plot((a[0], b[0]), (a[1], b[1]), color="0.9", linewidth=0.8, zorder=0)
        # A little off the middle, else parallel weights of a layer fall on one point.
        t = 0.5 + 0.12 * ((i - j) % 3 - 1)
        middles.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])))
        colours.append(COLOURS[(layer - 1) % 6])
    for source, target in np.asarray(links, int).reshape(-1, 2):
        _arrow(ax, middles[source], middles[target], colour="0.45", shrink=5, alpha=0.6)
    x, y = zip(*middles, strict=True)
    ax.scatter(x, y, s=45, c=colours, zorder=3)
    return _graph_axes(ax, "Line graph $G_B$: links run backwards", sizes)


def layer_links(
    ax: "Axes", names: Sequence[str], n_nodes: Sequence[int], links: Sequence[tuple[int, int, int]]
) -> "Axes":
    """Draw G_B layer by layer: an arc for every pair of layers with links between them.

    Parameters
    ----------
    ax : matplotlib Axes
    names : sequence of str
        Of the layers, in order.
    n_nodes : sequence of int
        Nodes of each layer.
    links : sequence of (target, source, number of links)
        As `edgedyn.LineGraph.layer_links` gives them; layers from 1.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import edgedyn as ed
    >>> from edgedyn.report import figures
    >>> gb = ed.line_graph([4, 5, 3])
    >>> ax = figures.layer_links(Figure().subplots(), ["a", "b"], [20, 15], gb.layer_links())
    >>> ax.get_title()
    'Layers of $G_B$ and links between them'
    """
    most, least = (f((n for _, _, n in links), default=1) for f in (max, min))
    few = len(links) <= 24
    turn = np.linspace(0, np.pi, 60)
    for target, source, n in links:
        middle, radius = (source + target) / 2, (source - target) / 2
        fade = 1.0 if most == least else float(np.log(n / least) / np.log(most / least))
        x, y = middle + radius * np.cos(turn), radius * np.sin(turn)
        ax.plot(x, y, color=COLOURS[0], alpha=0.4 + 0.6 * fade, linewidth=0.8 + 1.2 * fade)
        if few:  # the arrow's head, at the target
            ax.annotate(
                "",
                (x[-5], y[-5]),
                (x[-8], y[-8]),
                arrowprops={"arrowstyle": "-|>", "color": COLOURS[0], "linewidth": 0},
            )
            ax.annotate(short(n), (middle, radius), (0, 4), textcoords="offset points",
                        ha="center", fontsize=8)  # fmt: skip
    sizes = 30 + 40 * np.log10(np.maximum(n_nodes, 1)) if few else 6
    at = np.arange(1, len(names) + 1)
    ax.scatter(at, np.zeros(len(names)), s=sizes, color=COLOURS[1], zorder=3)
    if len(names) <= 40:
        pairs = zip(names, n_nodes, strict=True)
        labels = [f"{_plain(name)}\n{short(n)}" for name, n in pairs]
        ax.set_xticks(at, labels, rotation=90 if len(names) > 8 else 0, fontsize=7)
    top = max((source - target for target, source, _ in links), default=1) / 2
    ax.set(xlim=(0.5, len(names) + 0.5), ylim=(-0.15 * top, 1.15 * top), yticks=[])
    ax.set_xlabel("layer, number of its nodes" if len(names) <= 40 else "layer")
    ax.set_title("Layers of $G_B$ and links between them")
    ax.spines[["top", "left", "right"]].set_visible(False)
    return ax


def degree_distribution(
    ax: "Axes", into: tuple[ArrayLike, ArrayLike], out: tuple[ArrayLike, ArrayLike]
) -> "Axes":
    """Draw which share of the nodes has at least a degree, in and out.

    Parameters
    ----------
    ax : matplotlib Axes
    into, out : (degrees, counts)
        As `edgedyn.LineGraph.degree_distribution` gives them.

    Returns
    -------
    matplotlib Axes

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
    for label, (degrees, counts), colour, style in (
        ("in", into, COLOURS[0], "-"),
        ("out", out, COLOURS[1], "--"),
    ):
        degree, count = np.asarray(degrees), np.asarray(counts)
        share = count[::-1].cumsum()[::-1] / count.sum()
        linked = degree > 0
        ax.step(degree[linked], share[linked], where="pre", label=f"{label}-degree",
                color=colour, linestyle=style, marker=".")  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="degree", ylabel="share of nodes with at least it")
    ax.set_title("Degrees of $G_B$")
    ax.legend(frameon=False)
    return ax


def _plain(name: str) -> str:
    """Return a name as text that matplotlib takes as it stands."""
    return "".join(c if c.isprintable() else "?" for c in name).replace("$", r"\$")


def short(n: int) -> str:
    """Return a count in three digits.

    Examples
    --------
    >>> short(999), short(25088), short(965_350_993_920)
    ('999', '25.1 k', '965 G')
    """
    for factor, word in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if n >= factor:
            return f"{n / factor:.3g} {word}"
    return str(n)


def resilience(
    ax: "Axes", curve: Any, beta: float, states: Sequence[Mapping[str, Any]] = ()
) -> "Axes":
    """Draw steady states against beta_eff, and where a network stands.

    Parameters
    ----------
    ax : matplotlib Axes
    curve : edgedyn.reduction.ResilienceCurve
    beta : float
        The network's beta_eff.
    states : sequence of mapping
        Its full system's effective states: ``start`` and ``x_eff``.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import edgedyn as ed
    >>> from edgedyn.report import figures
    >>> curve = ed.reduction.mutualistic().resilience_curve([2.0, 6.0, 8.0])
    >>> figures.resilience(Figure().subplots(), curve, 8.0).get_ylabel()
    'effective state $x_{eff}$'
    """
    _branches(ax, curve, COLOURS[0])
    ax.plot([], [], "-", color=COLOURS[0], label="stable (reduced)")
    if not curve.stable.all():
        ax.plot([], [], "--", color="0.5", label="unstable")
    for k, point in enumerate(curve.critical):
        label = "tipping point" if k == 0 else None
        ax.axvline(point.beta, color=COLOURS[1], linestyle=":", label=label)
        ax.annotate(f"{point.beta:.4g}", (point.beta, 0.98), xycoords=("data", "axes fraction"),
                    rotation=90, va="top", ha="right", fontsize=8, color=COLOURS[1])  # fmt: skip
    ax.axvline(beta, color="black", linewidth=0.8)
    ax.annotate(f"this network: {beta:.4g}", (beta, 0.5), xycoords=("data", "axes fraction"),
                rotation=90, va="center", ha="right", fontsize=8)  # fmt: skip
    for state, mark in zip(states, ("v", "^"), strict=False):
        ax.plot(beta, state["x_eff"], mark, color=COLOURS[2], markersize=9,
                label=f"full network, {state['start']} start")  # fmt: skip
    ax.set(xlabel=r"$\beta_{eff}$", ylabel="effective state $x_{eff}$")
    ax.set_xlim(left=0)
    ax.legend(fontsize=8, frameon=False)
    return ax


def collapse(ax: "Axes", curve: Any, records: Sequence[Mapping[str, Any]]) -> "Axes":
    """Draw many perturbed networks on the curve of their one-dimensional dynamics.

    Parameters
    ----------
    ax : matplotlib Axes
    curve : edgedyn.reduction.ResilienceCurve
    records : sequence of mapping
        With ``perturbation``, ``start``, ``beta_eff`` and ``x_eff``.

    Returns
    -------
    matplotlib Axes
    """
    _branches(ax, curve, "black")
    kinds = list(dict.fromkeys(r["perturbation"] for r in records))
    for k, kind in enumerate(kinds):
        for start, mark in (("low", "v"), ("high", "^")):
            chosen = [r for r in records if r["perturbation"] == kind and r["start"] == start]
            x, y = ([r[key] for r in chosen] for key in ("beta_eff", "x_eff"))
            label = f"{kind}, {start} start"
            ax.plot(x, y, mark, color=COLOURS[k % 6], markersize=4, alpha=0.6, label=label)
    ax.set(xlabel=r"$\beta_{eff}$", ylabel="effective state $x_{eff}$")
    ax.legend(fontsize=7, frameon=False)
    return ax


def _branches(ax: "Axes", curve: Any, colour: str) -> None:
    """Draw the pieces of a resilience curve, unstable ones dashed."""
    for number in np.unique(curve.branch):
        for stable, style, shade in ((True, "-", colour), (False, "--", "0.5")):
            piece = (curve.branch == number) & (curve.stable == stable)
            order = np.argsort(curve.beta[piece])
            ax.plot(curve.beta[piece][order], curve.x[piece][order], style, color=shade)


def curves(
    ax: "Axes", series: Mapping[str, Sequence[float]], ylabel: str, observed: int | None = None
) -> "Axes":
    """Draw one curve a candidate against the epoch.

    Parameters
    ----------
    ax : matplotlib Axes
    series : mapping of str to sequence of float
        Values after epoch 1, 2, ...
    ylabel : str
    observed : int, optional
        Shade the epochs that predictions may see.

    Returns
    -------
    matplotlib Axes
    """
    styles = ("-", "--", ":")
    for k, (name, values) in enumerate(series.items()):
        style: dict[str, Any] = {"color": COLOURS[(k // 3) % 7], "linestyle": styles[k % 3]}
        ax.plot(np.arange(1, len(values) + 1), values, label=name, linewidth=1.3, **style)
    if observed is not None:
        ax.axvspan(0.5, observed + 0.5, color="0.9", zorder=0, label="observed")
    ax.set_xlabel("epoch")
    ax.set_ylabel(ylabel)
    ax.legend(fontsize=6, ncols=2, frameon=False)
    return ax


def accuracy_fit(
    ax: "Axes",
    beta: ArrayLike,
    accuracy: ArrayLike,
    line: tuple[ArrayLike, ArrayLike, ArrayLike],
    truth: float,
    title: str = "",
) -> "Axes":
    """Draw accuracy against beta_eff, the line with its band, and both ends at beta_eff = 0.

    Parameters
    ----------
    ax : matplotlib Axes
    beta, accuracy : array_like, shape (n,)
        Observations in the order of training.
    line : (grid, mean, std)
        The fitted line on a grid that begins at 0.
    truth : float
        The true final accuracy.
    title : str

    Returns
    -------
    matplotlib Axes
    """
    grid, mean, std = (np.asarray(part, float) for part in line)
    ax.plot(grid, mean, color=COLOURS[0], label="Bayesian ridge")
    ax.fill_between(grid, mean - std, mean + std, color=COLOURS[0], alpha=0.2, label="one std")
    ax.plot(beta, accuracy, "o", color="black", markersize=4, label="observed epochs")
    ax.plot([0], [mean[0]], "s", color=COLOURS[0], label=f"predicted {mean[0]:.3f}")
    ax.plot([0], [truth], "*", color=COLOURS[1], markersize=11, label=f"true {truth:.3f}")
    ax.axvline(0, color="0.7", linewidth=0.8)
    ax.set_xlabel(r"neural capacitance $\beta_{eff}$")
    ax.set_ylabel("validation accuracy")
    ax.set_title(title)
    ax.legend(fontsize=7, frameon=False)
    return ax


def predicted_against_true(
    ax: "Axes", predicted: ArrayLike, truth: ArrayLike, title: str
) -> "Axes":
    """Draw predicted against true final accuracy, with the diagonal.

    Predictions outside [0, 1] are drawn at the border, as triangles: they rank, but are no
    accuracies.
    """
    p, t = np.asarray(predicted, float), np.asarray(truth, float)
    inside = (p >= 0) & (p <= 1)
    ax.plot(t[inside], p[inside], "o", color=COLOURS[0], markersize=4, alpha=0.7)
    outside = np.isfinite(p) & ~inside
    ax.plot(t[outside], np.clip(p[outside], 0, 1), "^", color=COLOURS[1], alpha=0.7,
            label="outside [0, 1]")  # fmt: skip
    low = min(np.nanmin(t), np.nanmin(np.clip(p, 0, 1))) - 0.02
    ax.plot([low, 1], [low, 1], color="0.6", linewidth=0.8)
    ax.set(xlabel="true final test accuracy", ylabel="predicted", title=title)
    if outside.any():
        ax.legend(fontsize=7, frameon=False, loc="lower right")
    return ax


def theorem1_runs(ax: "Axes", runs: Mapping[str, Sequence[tuple[float, float, float]]]) -> "Axes":
    """Draw beta_eff and its bound against the mean error, one colour a run.

    Parameters
    ----------
    ax : matplotlib Axes
    runs : mapping of str to sequence of (mean error, beta_eff, bound)

    Returns
    -------
    matplotlib Axes
    """
    for colour, (name, points) in zip(COLOURS, runs.items(), strict=False):
        error, beta, bound = np.array(points, float).T
        ax.loglog(error, beta, "o-", color=colour, markersize=3, linewidth=1, label=name)
        ax.loglog(error[-1], beta[-1], "o", color=colour, markersize=8, fillstyle="none")
        ax.loglog(error, bound, ":", color=colour, linewidth=1)
    ax.plot([], [], ":", color="0.3", label=r"proved bound $K\epsilon$")
    ax.plot([], [], "o", color="0.3", fillstyle="none", markersize=8, label="end of the run")
    ax.set(xlabel=r"mean error $\langle|e^L|\rangle$", ylabel=r"$\beta_{eff}$ (magnitude)")
    ax.legend(fontsize=7, frameon=False)
    return ax


def signed_run(ax: "Axes", epochs: ArrayLike, signed: ArrayLike, magnitude: ArrayLike) -> "Axes":
    """Draw the signed value beside the magnitude one on a symmetric logarithmic axis."""
    ax.plot(epochs, magnitude, color=COLOURS[0], label="magnitude")
    ax.plot(epochs, signed, "o-", markersize=3, color=COLOURS[1], linewidth=0.8, label="signed")
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=1e-6)
    ax.set(xlabel="epoch", ylabel=r"$\beta_{eff}$")
    ax.legend(fontsize=7, frameon=False)
    return ax


def flow_deviations(
    ax: "Axes", times: ArrayLike, deviations: Mapping[str, ArrayLike], title: str
) -> "Axes":
    """Draw how fast each linear flow parts from the true edge dynamics."""
    for colour, (name, values) in zip(COLOURS, deviations.items(), strict=False):
        ax.loglog(times, values, color=colour, label=name, linewidth=1.3)
    ax.axhline(0.1, color="0.6", linewidth=0.8, linestyle="--")
    ax.set_ylim(1e-4, 1e3)
    ax.set(xlabel="time", ylabel="deviation / distance moved", title=title)
    ax.legend(fontsize=7, frameon=False)
    return ax


def _neuron(sizes: Sequence[int], layer: int, i: int) -> tuple[float, float]:
    """Place a neuron: layers from left to right, each centred."""
    return 2.0 * layer, (sizes[layer] - 1) / 2 - i


def _weights(
    sizes: Sequence[int],
) -> "Iterator[tuple[int, int, int, tuple[float, float], tuple[float, float]]]":
    """Yield (layer, i, j, tail, head) of every weight, in the order of the line graph's nodes."""
    for layer in range(1, len(sizes)):
        for i in range(sizes[layer]):
            for j in range(sizes[layer - 1]):
                yield layer, i, j, _neuron(sizes, layer - 1, j), _neuron(sizes, layer, i)


def _arrow(
    ax: "Axes",
    tail: tuple[float, float],
    head: tuple[float, float],
    *,
    colour: str,
    shrink: float,
    alpha: float = 1.0,
) -> None:
    """Draw one arrow that stops short of both ends."""
    style = {"arrowstyle": "-|>", "color": colour, "alpha": alpha, "linewidth": 0.8}
    style |= {"shrinkA": shrink, "shrinkB": shrink}
    ax.annotate("", xy=head, xytext=tail, arrowprops=style)


def _graph_axes(ax: "Axes", title: str, sizes: Sequence[int]) -> "Axes":
    """Frame a graph drawing; both kinds get the same limits."""
    half = (max(sizes) - 1) / 2 + 0.6
    ax.set(title=title, xlim=(-0.5, 2 * (len(sizes) - 1) + 0.5), ylim=(-half, half))
    ax.set_axis_off()
    return ax
