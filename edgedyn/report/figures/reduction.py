"""Figures of the reduction to one dimension: branches of states, and where networks stand."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedyn import _validate as check
from edgedyn.report.figures._inputs import attribute, listed, numbers, words
from edgedyn.report.figures.style import COLOURS, MARKERS, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def resilience(
    ax: "Axes", curve: Any, beta: float, states: Sequence[Mapping[str, Any]] = ()
) -> "Axes":
    """Draw steady states against beta_eff, and where a network stands.

    Stable branches are drawn in full, unstable ones dashed, critical points as dotted lines. Gao,
    Barzel and Barabasi, Nature 530:307 (2016), Fig. 2.

    Parameters
    ----------
    ax : matplotlib Axes
    curve : edgedyn.reduction.ResilienceCurve
    beta : float
        The network's beta_eff.
    states : sequence of mapping
        Its full system's effective states: ``start`` and ``x_eff``.

    Raises
    ------
    TypeError, ValueError
        For a curve without points, or a beta_eff that is not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import edgedyn as ed
    >>> from edgedyn.report import figures
    >>> curve = ed.reduction.mutualistic().resilience_curve([2.0, 6.0, 8.0])
    >>> figures.resilience(Figure().subplots(), curve, 8.0).get_ylabel()
    'effective state $x_{eff}$'
    """
    beta = check.real_number(beta, "beta")
    _branches(ax, curve, COLOURS[0])
    for k, point in enumerate(curve.critical):
        label = f"critical {', '.join(f'{p.beta:.4g}' for p in curve.critical)}"
        ax.axvline(point.beta, color=COLOURS[1], linestyle=":", label=None if k else label)
    ax.axvline(beta, color="black", linewidth=0.8, linestyle="-.", label=f"this network {beta:.4g}")
    for k, state in enumerate(states):
        start = words(attribute(state, "start"))
        marker = {"low": "v", "high": "^"}.get(start, MARKERS[k % len(MARKERS)])
        ax.plot([beta], numbers([state], "x_eff"), linestyle="none", marker=marker,
                color=COLOURS[2], markersize=9, label=f"full network, {start} start")  # fmt: skip
    ax.set(xlabel=r"$\beta_{eff}$", ylabel="effective state $x_{eff}$")
    ax.set_xlim(left=min(0.0, beta))
    legend(ax)
    return ax


def collapse(ax: "Axes", curve: Any, records: Sequence[Any]) -> "Axes":
    r"""Draw many perturbed networks on the curve of their one-dimensional dynamics.

    One colour and shape a perturbation; hollow from a low start, filled from others. Gao, Barzel
    and Barabasi, Nature 530:307 (2016), Fig. 3.

    Parameters
    ----------
    ax : matplotlib Axes
    curve : edgedyn.reduction.ResilienceCurve
    records : sequence
        Objects or mappings with ``perturbation``, ``start``, ``beta_eff`` and ``x_eff``, as
        `edgedyn.reduction.perturb` gives them.

    Raises
    ------
    TypeError, ValueError
        For no records, or records without one of the fields.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import edgedyn as ed
    >>> from edgedyn.report import figures
    >>> curve = ed.reduction.gene_regulation().resilience_curve([1.0, 2.5, 4.0])
    >>> records = [{"perturbation": "nodes", "start": "low", "beta_eff": 2.0, "x_eff": 0.1}]
    >>> figures.collapse(Figure().subplots(), curve, records).get_xlabel()
    '$\\beta_{eff}$'
    """
    records = listed(records, "records")
    beta, state = numbers(records, "beta_eff"), numbers(records, "x_eff")
    kinds = np.array([words(attribute(r, "perturbation")) for r in records])
    starts = np.array([words(attribute(r, "start")) for r in records])
    _branches(ax, curve, "black")
    for k, kind in enumerate(dict.fromkeys(kinds.tolist())):
        for start in dict.fromkeys(starts.tolist()):
            chosen = (kinds == kind) & (starts == start)
            if chosen.any():
                fill = "none" if start == "low" else "full"
                ax.plot(beta[chosen], state[chosen], MARKERS[k % len(MARKERS)], markersize=4,
                        color=COLOURS[k % 6], fillstyle=fill, alpha=0.7,
                        markeredgewidth=0.8, label=f"{kind}, {start} start")  # fmt: skip
    ax.set(xlabel=r"$\beta_{eff}$", ylabel="effective state $x_{eff}$")
    legend(ax)
    return ax


def _branches(ax: "Axes", curve: Any, colour: str) -> None:
    """Draw the pieces of a resilience curve, unstable ones dashed."""
    if not len(curve.beta):
        raise ValueError("the resilience curve has no points; give it more values of beta_eff.")
    labels = {True: "stable", False: "unstable"}
    for number in np.unique(curve.branch):
        for stable, style, shade in ((True, "-", colour), (False, "--", "0.5")):
            piece = np.flatnonzero((curve.branch == number) & (curve.stable == stable))
            if len(piece):
                piece = piece[np.argsort(curve.beta[piece])]
                label = labels.pop(stable, None)
                ax.plot(curve.beta[piece], curve.x[piece], style, color=shade, label=label)
