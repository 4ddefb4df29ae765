"""Figures of rankings: predictions against the truth, rho against what it depends on, methods."""

from collections.abc import Collection, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn._array import Array
from edgedyn.predict.methods import method_named
from edgedyn.report.figures._inputs import attribute, listed, named, numbers, panels, plain, vector
from edgedyn.report.figures.style import (
    BESIDE,
    COLOURS,
    GREY,
    legend,
    legend_below,
    marked,
    no_values,
    pop_legend,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASELINE = "last_value"
BORDER = (-0.5, 1.5)
UNRANKED = -2.0  # below any rho


def predicted_against_true(
    ax: "Axes", predicted: ArrayLike, truth: ArrayLike, title: str
) -> "Axes":
    """Draw predicted against true final accuracy, with the diagonal.

    Predictions outside [0, 1] are triangles: they rank, but are no accuracies. Those outside
    [-0.5, 1.5] are drawn at its border, filled. Candidates without a prediction or a truth (NaN)
    are left out. The axes have limits of their own, so that the ranking can be seen. The paper's
    Figs. 3a and 4, one method.

    Parameters
    ----------
    ax : matplotlib Axes
    predicted, truth : array_like, shape (n,)
    title : str

    Raises
    ------
    TypeError, ValueError
        For empty series, or series of different lengths.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> ax = Figure().subplots()
    >>> ax = figures.predicted_against_true(ax, [0.7, 1.1], [0.72, 0.9], "capacitance")
    >>> [line.get_label() for line in ax.lines]
    ['predicted = true', 'in [0, 1]', 'outside [0, 1]']
    """
    p, t = _both(ax, vector(predicted, "predicted"), vector(truth, "truth"))
    ax.set(ylabel="predicted", title=title)
    if not len(p):
        return ax
    drawn = np.clip(p, *BORDER)
    inside, beyond = (p >= 0) & (p <= 1), drawn != p
    dot: dict[str, Any] = {"alpha": 0.7, "markeredgewidth": 0}
    tip: dict[str, Any] = {"marker": "^", "color": COLOURS[1], "markeredgewidth": 0.9}
    x, y = _roomy(t), _roomy(np.concatenate([t, drawn]))
    ax.plot(x, x, color="0.6", linewidth=0.8, linestyle="-", zorder=1, label="predicted = true")
    for chosen, style, word in (
        (inside, {**dot, "marker": "o", "color": COLOURS[0]}, "in [0, 1]"),
        (~inside & ~beyond, {**tip, "fillstyle": "none"}, "outside [0, 1]"),
        (beyond, tip, "beyond the axis"),
    ):
        if chosen.any():
            ax.plot(t[chosen], drawn[chosen], linestyle="none", label=word, clip_on=False, **style)
    if not inside.all():
        legend(ax, handlelength=1)
    ax.set(xlim=x, ylim=y)
    return ax


def scores_against_true(ax: "Axes", scores: ArrayLike, truth: ArrayLike, title: str) -> "Axes":
    """Draw training-free scores, which are no accuracies, against the true final accuracy.

    Candidates without a score or a truth (NaN) are left out. The paper's Fig. 4, one method.

    Parameters
    ----------
    ax : matplotlib Axes
    scores, truth : array_like, shape (n,)
    title : str

    Raises
    ------
    TypeError, ValueError
        For empty series, or series of different lengths.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> ax = figures.scores_against_true(Figure().subplots(), [-3, 12], [0.72, 0.9], "logme")
    >>> ax.get_ylabel()
    'score'
    """
    s, t = _both(ax, vector(scores, "scores"), vector(truth, "truth"))
    ax.set(ylabel="score", title=title)
    if len(s):
        ax.plot(t, s, "D", color=COLOURS[2], markersize=4.5, alpha=0.7, markeredgewidth=0)
    return ax


def predicted_by_method(axes: Any, ranking: Any, *, scores: Collection[str] = ()) -> list["Axes"]:
    """Draw every method's predictions against the truth, with rho and its 95 % interval.

    The paper's Figs. 3a and 4.

    Parameters
    ----------
    axes : sequence of matplotlib Axes
        One a method; more are left blank.
    ranking : edgedyn.Ranking, or the mapping its ``to_dict`` gives
        Its ``rows`` have ``method``, ``prediction`` and ``truth``; its ``methods`` ``method``,
        ``rho``, ``rho_low``, ``rho_high`` and ``status``.
    scores : collection of str
        Methods whose predictions are scores and no accuracies, such as ``logme``.

    Returns
    -------
    list of matplotlib Axes
        Those drawn on, in the order of the methods.

    Raises
    ------
    TypeError, ValueError
        For a ranking without methods, scores that are no methods of it, or too few axes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import edgedyn as ed
    >>> from edgedyn.report import figures
    >>> from edgedyn.studies import run_demo
    >>> ranking = run_demo(n_seeds=1, epochs=5).ranking
    >>> axes = figures.predicted_by_method(Figure().subplots(1, 4), ranking)
    >>> [ax.get_title().split(":")[0] for ax in axes]
    ['last value', 'neural capacitance', 'pooled capacitance', 'best value']
    """
    methods = listed(attribute(ranking, "methods"), "the ranking's methods")
    names = [attribute(m, "method") for m in methods]
    if unknown := set(scores) - set(names):
        raise ValueError(
            f"scores must name methods of the ranking ({', '.join(names)}); got {sorted(unknown)}."
        )
    flat = panels(axes, len(methods), f"{len(methods)} methods")
    for ax, method, name in zip(flat, methods, names, strict=False):
        rows = [r for r in attribute(ranking, "rows") if attribute(r, "method") == name]
        predicted, truth = (numbers(rows, key) for key in ("prediction", "truth"))
        draw = scores_against_true if name in scores else predicted_against_true
        draw(ax, predicted, truth, f"{plain(method_named(name).label)}: {_rho(method)}")
    for ax in flat[len(methods) :]:
        ax.set_axis_off()
    _one_legend(flat[: len(methods)])
    return flat[: len(methods)]


def rho_against_t0(ax: "Axes", series: Mapping[str, Sequence[ArrayLike]]) -> "Axes":
    r"""Draw the rank correlation against the first observation that the line sees.

    The paper's Fig. 3b.

    Parameters
    ----------
    ax : matplotlib Axes
    series : mapping of str to (t0, rho) or (t0, rho, low, high)
        One curve each, arrays of shape (n,); low and high bound its band. NaN leaves a gap.

    Raises
    ------
    TypeError, ValueError
        For no curves, empty or differently long arrays, or a rho outside [-1, 1].

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> series = {"5 epochs": ([1, 2, 3], [0.4, 0.6, 0.5], [0.1, 0.3, 0.2], [0.6, 0.8, 0.7])}
    >>> figures.rho_against_t0(Figure().subplots(), series).get_ylabel()
    "Spearman's $\\rho$"
    """
    _rho_curves(ax, _rho_series(series))
    whole_numbers(ax.xaxis)
    ax.set_xlabel("first observation used, $t_0$")
    return ax


def rho_against_training_size(ax: "Axes", series: Mapping[str, Sequence[ArrayLike]]) -> "Axes":
    r"""Draw the rank correlation against the number of training samples, on a logarithmic axis.

    The paper's Fig. 3c.

    Parameters
    ----------
    ax : matplotlib Axes
    series : mapping of str to (samples, rho) or (samples, rho, low, high)
        As for `rho_against_t0`.

    Raises
    ------
    TypeError, ValueError
        For series that `rho_against_t0` refuses, or sizes that are not positive.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> series = {"capacitance": ([100, 1000], [0.4, 0.6]), "last value": ([100, 1000], [0.5, 0.5])}
    >>> ax = figures.rho_against_training_size(Figure().subplots(), series)
    >>> ax.get_xscale(), [line.get_label() for line in ax.lines]
    ('log', ['chance', 'capacitance', 'last value'])
    """
    from matplotlib.ticker import NullFormatter, NullLocator

    checked = _rho_series(series)
    sizes = np.unique(np.concatenate([parts[0] for parts in checked.values()]))
    if not (sizes > 0).all():
        raise ValueError(f"numbers of training samples must be positive; got {sizes[0]:g}.")
    _rho_curves(ax, checked)
    ax.set_xscale("log")
    if len(sizes) <= 8:
        ax.set_xticks(sizes, [f"{n:,.0f}".replace(",", " ") for n in sizes])
        ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("training samples")
    return ax


def methods_compared(axes: Any, tasks: Mapping[str, Sequence[Any]]) -> list["Axes"]:
    r"""Draw every method's rho, and its lead over the last value, with 95 % intervals.

    Methods from the best down, by their mean rho over the tasks; one colour and shape a task. Where
    a method has no rho on any task, its status stands instead. The paper's Tables 1 and S1.

    Parameters
    ----------
    axes : sequence of two matplotlib Axes
    tasks : mapping of str to sequence
        The ``methods`` of an `edgedyn.Ranking`, or mappings as its JSON holds them, of each task:
        ``method``, ``status``, and ``rho`` and ``lead`` with their ``_low`` and ``_high``.

    Raises
    ------
    TypeError, ValueError
        For no tasks or no methods, missing fields, or fewer than two axes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import edgedyn as ed
    >>> from edgedyn.report import figures
    >>> from edgedyn.studies import run_demo
    >>> ranking = run_demo(n_seeds=1, epochs=5).ranking
    >>> left, right = figures.methods_compared(Figure().subplots(1, 2), {"digits": ranking.methods})
    >>> sorted(text.get_text() for text in left.get_yticklabels())
    ['best value', 'last value', 'neural capacitance', 'pooled capacitance']
    """
    left, right = panels(axes, 2, "the comparison")[:2]
    by_task = {
        task: {attribute(m, "method"): m for m in listed(methods, f"tasks[{task!r}]")}
        for task, methods in named(tasks, "tasks").items()
    }
    known = dict.fromkeys(name for found in by_task.values() for name in found)
    means = {name: _mean_rho(by_task, name) for name in known}
    names = sorted(means, key=lambda name: -means[name])
    for k, (task, found) in enumerate(by_task.items()):
        shift = 0.7 * ((k + 0.5) / len(by_task) - 0.5)
        at = np.array([n + shift for n, name in enumerate(names) if name in found])
        judged = [found[name] for name in names if name in found]
        _whiskers(left, at, judged, "rho", k, task)
        _whiskers(right, at, judged, "lead", k, task)
    for n, name in enumerate(names):
        if means[name] == UNRANKED:
            why = {attribute(found[name], "status") for found in by_task.values() if name in found}
            left.text(0.02, n, fill(plain("; ".join(sorted(why))), 24), va="center", color=GREY,
                      fontsize="x-small", transform=left.get_yaxis_transform())  # fmt: skip
    left.set_yticks(range(len(names)), [plain(method_named(name).label) for name in names])
    right.set_yticks(range(len(names)), [])
    left.set_xlabel("Spearman's $\\rho$,\n95 % interval")
    right.set_xlabel("lead over the last value's\n$\\rho$, 95 % interval")
    for ax in (left, right):
        ax.axvline(0, color="0.6", linewidth=0.8, linestyle="-", zorder=1)
        ax.set_ylim(len(names) - 0.5, -0.5)  # the best on top
        for n in range(1, len(names)):
            ax.axhline(n - 0.5, color="0.9", linewidth=0.6, linestyle="-", zorder=0)
        ax.tick_params(axis="y", length=0)
    if len(by_task) > 1:
        legend(right, **BESIDE)
    return [left, right]


def _both(ax: "Axes", p: Array, t: Array) -> tuple[Array, Array]:
    """Make the axes square, true accuracies across; return the pairs without NaN."""
    if len(p) != len(t):
        raise ValueError(
            f"predictions and truths must be as many; got {len(p)} and {len(t)} of them."
        )
    ax.set(xlabel="true final accuracy", box_aspect=1)
    known = np.isfinite(p) & np.isfinite(t)
    if not known.any():
        no_values(ax)
    return p[known], t[known]


def _one_legend(axes: Sequence["Axes"]) -> None:
    """Replace the legends of small panels by one below the last panel."""
    kinds: dict[str, Any] = {}
    for ax in axes:
        kinds |= pop_legend(ax)
    if "in [0, 1]" in kinds and len(kinds) > 2:
        legend_below(axes[-1], kinds.values(), kinds.keys(), ncols=2)


def _roomy(values: Array) -> tuple[float, float]:
    """Return limits around all values."""
    low, high = float(values.min()), float(values.max())
    room = 0.06 * max(high - low, 0.02)
    return low - room, high + room


def _rho(method: Any) -> str:
    """Return rho with its interval, or why there is none."""
    rho, low, high = (numbers([method], key)[0] for key in ("rho", "rho_low", "rho_high"))
    if not np.isfinite(rho):
        return plain(attribute(method, "status"))
    interval = f"\n95 %: {low:.2f} .. {high:.2f}" if np.isfinite([low, high]).all() else ""
    return rf"$\rho$ = {rho:.2f}{interval}"


def _rho_series(series: Mapping[str, Sequence[ArrayLike]]) -> dict[str, list[Array]]:
    """Return x, rho and, where they are given, its bounds of every curve."""
    found = {}
    for name, parts in named(series, "series").items():
        if len(parts) not in (2, 4):
            raise ValueError(
                f"series[{name!r}] must be (x, rho) or (x, rho, low, high); got {len(parts)} parts."
            )
        x = vector(parts[0], f"x of {name!r}")
        values = [vector(part, f"rho of {name!r}", len(x)) for part in parts[1:]]
        if any((np.abs(v) > 1 + 1e-9).any() for v in values):
            raise ValueError(f"rho of {name!r} must lie in [-1, 1].")
        found[name] = [x, *values]
    return found


def _rho_curves(ax: "Axes", series: Mapping[str, Sequence[Array]]) -> None:
    """Draw curves of rho with their bands."""
    lowest = 0.0
    ax.axhline(0, color="0.6", linewidth=0.8, linestyle="-", zorder=1, label="chance")
    for k, (name, (x, rho, *bounds)) in enumerate(series.items()):
        style = marked(k)
        if bounds:
            # Bands of rho overlap widely; only their edges tell whose they are.
            band = ax.fill_between(x, bounds[0], bounds[1], color=style["color"], linewidth=0.8)
            band.set(facecolor=(style["color"], 0.07), edgecolor=(style["color"], 0.7))
            band.set_linestyle(style["linestyle"])
        known = np.isfinite(rho).any()
        ax.plot(x, rho, label=plain(name) if known else f"{plain(name)}, no values", **style)
        lowest = min(lowest, *(float(np.nanmin(v, initial=0.0)) for v in (rho, *bounds)))
    ax.set(ylim=(max(1.1 * lowest, -1.05), 1.05), ylabel=r"Spearman's $\rho$")
    legend_below(ax, *ax.get_legend_handles_labels(), ncols=2)  # bands leave no room inside


def _mean_rho(by_task: Mapping[str, Mapping[str, Any]], name: str) -> float:
    """Return a method's mean rho over the tasks that have one, for the order; else the least."""
    values = numbers([found[name] for found in by_task.values() if name in found], "rho")
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else UNRANKED


def _whiskers(ax: "Axes", at: Array, judged: Sequence[Any], key: str, k: int, task: str) -> None:
    """Draw dots with their intervals; a lead of the last value over itself is hollow."""
    value, low, high = (numbers(judged, name) for name in (key, f"{key}_low", f"{key}_high"))
    own = np.array([key == "lead" and attribute(j, "method") == BASELINE for j in judged])
    ax.hlines(at, low, high, color=marked(k)["color"], linewidth=1.5, linestyle="-")
    mark: dict[str, Any] = {**marked(k), "linestyle": "none"}
    ax.plot(value[~own], at[~own], **mark, label=plain(task))
    ax.plot(value[own], at[own], **mark, markerfacecolor="white")
