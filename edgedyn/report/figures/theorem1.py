"""Figures of Theorem 1: value, bound and floor; signed values; linear flows."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from edgedyn.report.figures._inputs import named, plain, series_of, triples, vector
from edgedyn.report.figures.style import COLOURS, GREY, legend, legend_below, look, marked

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def theorem1_runs(
    ax: "Axes",
    runs: Mapping[str, Sequence[tuple[float, float, float]]],
    *,
    floors: Collection[str] = (),
) -> "Axes":
    r"""Draw beta_eff and its proved bound against the mean error, one colour a run.

    Both axes are logarithmic: an error or a value of 0 has no place on them. A ring marks the end
    of each run. Theorem 1 and where it stops, `papers/jiang2024/theorem1.md`.

    Parameters
    ----------
    ax : matplotlib Axes
    runs : mapping of str to sequence of (mean error, beta_eff, bound)
        In the order of training.
    floors : collection of str
        Runs that keep errors: a level line shows where beta_eff stays, the legend its value, or
        that it has none (NaN).

    Raises
    ------
    TypeError, ValueError
        For no runs, points that are not triples, or floors of runs that are not there.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> runs = {"a": [(1e-1, 0.5, 9.0), (1e-3, 0.01, 0.1)], "b": [(0.2, 0.6, 20), (0.1, 0.4, 9)]}
    >>> ax = figures.theorem1_runs(Figure().subplots(), runs, floors=["b"])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['a', 'b, floor 0.4', 'end of the run', 'proved bound $K\\epsilon$']
    """
    if unknown := set(floors) - set(named(runs, "runs")):
        raise ValueError(f"floors must name runs ({', '.join(runs)}); got {sorted(unknown)}.")
    tables = {name: triples(points, f"run {name!r}") for name, points in runs.items()}
    for k, (name, table) in enumerate(tables.items()):
        error, beta, bound = table.T
        label = plain(name)
        if name in floors and not np.isfinite(beta[-1]):
            label += ", no value"
        elif name in floors:
            label += f", floor {beta[-1]:.3g}"
            ax.axhline(beta[-1], color=COLOURS[k % 7], linewidth=0.8, linestyle="--", zorder=1)
        style = marked(k) | {"linestyle": "-"}
        ax.loglog(error, beta, **style, markersize=3.5, linewidth=1, label=label)
        ax.loglog(error[-1:], beta[-1:], "o", color=style["color"], markersize=9, fillstyle="none")
        ax.loglog(error, bound, ":", color=style["color"], linewidth=1.2)
    ax.plot([], [], "o", color=GREY, fillstyle="none", markersize=9, label="end of the run")
    ax.plot([], [], ":", color=GREY, label=r"proved bound $K\epsilon$")
    ax.set(xlabel=r"mean error $\langle|e^L|\rangle$", ylabel=r"$\beta_{eff}$ (magnitude)")
    legend_below(ax, *ax.get_legend_handles_labels())
    return ax


def signed_run(ax: "Axes", epochs: ArrayLike, signed: ArrayLike, magnitude: ArrayLike) -> "Axes":
    """Draw the signed value beside the magnitude one on a symmetric logarithmic axis.

    Between -1e-6 and 1e-6 the axis is linear. Epochs whose signed value is degenerate (NaN) are
    gaps. Not in the paper: why magnitude strengths are the default.

    Parameters
    ----------
    ax : matplotlib Axes
    epochs, signed, magnitude : array_like, shape (n,)

    Raises
    ------
    TypeError, ValueError
        For empty series, or series of different lengths.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> ax = figures.signed_run(Figure().subplots(), [1, 2], [0.1, -0.01], [0.5, 0.3])
    >>> ax.get_yscale()
    'symlog'
    """
    at = vector(epochs, "epochs")
    size, value = vector(magnitude, "magnitude", len(at)), vector(signed, "signed", len(at))
    ax.plot(at, size, "-", color=COLOURS[0], label="magnitude")
    ax.plot(at, value, "o--", markersize=4, color=COLOURS[1], linewidth=0.8, label="signed")
    ax.axhline(0, color="0.6", linewidth=0.8, linestyle="-")
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=1e-6)
    ax.set_yticks([s * 10.0**k for s in (1, -1) for k in range(-6, 7, 2)] + [0.0])
    both = np.concatenate([size, value])
    top = 3 * float(np.max(np.abs(both[np.isfinite(both)]), initial=1e-5))
    ax.set_ylim(-top, top)
    ax.set(xlabel="epoch", ylabel=r"$\beta_{eff}$")
    legend(ax)
    return ax


def flow_deviations(
    ax: "Axes", times: ArrayLike, deviations: Mapping[str, ArrayLike], title: str
) -> "Axes":
    """Draw how fast each linear flow parts from the true edge dynamics.

    The dashed level is a deviation of a tenth of the distance moved. The edge dynamics of the
    paper's Eqs. 4 to 8; what the linearised ones miss.

    Parameters
    ----------
    ax : matplotlib Axes
    times : array_like, shape (n,)
    deviations : mapping of str to array_like, shape (n,)
        Distance of each flow from the true one, relative to the distance the true one has moved.
    title : str

    Raises
    ------
    TypeError, ValueError
        For no flows, empty series, or series of different lengths.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> ax = Figure().subplots()
    >>> flows = {"complete Hessian": [0.01, 0.2], "direct coupling": [0.9, 1.0]}
    >>> figures.flow_deviations(ax, [0.1, 1.0], flows, "interpolating").get_xlabel()
    'time'
    """
    at = vector(times, "times")
    for k, (name, values) in enumerate(series_of(deviations, "deviations", len(at)).items()):
        ax.loglog(at, values, label=plain(name), **look(k))
    ax.axhline(0.1, color="0.6", linewidth=0.8, linestyle=(0, (1, 2)))
    ax.set_ylim(1e-4, 1e3)
    ax.set(xlabel="time", ylabel="deviation / distance moved", title=title)
    legend(ax)
    return ax
