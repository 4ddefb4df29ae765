"""Figures of runs: curves, accuracy against beta_eff, predictions, shares of layers, times."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.report.figures._inputs import (
    attribute,
    listed,
    named,
    numbers,
    panels,
    plain,
    series_of,
    vector,
)
from edgedyn.report.figures.style import (
    COLOURS,
    LINES,
    few_ticks,
    legend,
    look,
    marked,
    no_values,
    pop_legend,
    whole_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLOURED = 6  # layers with a colour and a name of their own
BETA, ACCURACY = r"neural capacitance $\beta_{eff}$", "validation accuracy"


def curves(
    ax: "Axes", series: Mapping[str, ArrayLike], ylabel: str, observed: int | None = None
) -> "Axes":
    """Draw one curve a candidate against the epoch.

    Epochs without a value (NaN, or None as JSON has it) are gaps; a candidate without any is named
    in the legend. The first two rows of the paper's Fig. 2, all candidates in one.

    Parameters
    ----------
    ax : matplotlib Axes
    series : mapping of str to array_like, shape (n_epochs,)
        Values after epoch 1, 2, ...; candidates may have different numbers of epochs.
    ylabel : str
    observed : int, optional
        Shade the epochs that predictions may see.

    Raises
    ------
    TypeError, ValueError
        For no candidates, an empty series, or `observed` below 1.

    Examples
    --------
    >>> from math import nan
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> series = {"64-32": [0.5, nan, 0.8, 0.9], "64": [0.4, 0.6, 0.7, 0.7]}
    >>> ax = figures.curves(Figure().subplots(), series, "accuracy", observed=2)
    >>> [line.get_label() for line in ax.lines]
    ['64-32', '64']
    """
    if observed is not None:
        check.positive_int(observed, "observed")
    for k, (name, y) in enumerate(series_of(series, "series").items()):
        label = plain(name) if np.isfinite(y).any() else f"{plain(name)}, no values"
        ax.plot(np.arange(1, len(y) + 1), y, label=label, **_marks(k, y, len(series)))
    if observed is not None:
        ax.axvspan(0.5, observed + 0.5, color="0.93", zorder=0, label="observed")
    _epochs(ax)
    ax.set_ylabel(ylabel)
    legend(ax)
    return ax


def accuracy_fit(
    ax: "Axes",
    beta: ArrayLike,
    accuracy: ArrayLike,
    line: tuple[ArrayLike, ArrayLike, ArrayLike] | None,
    truth: float,
    title: str = "",
    *,
    t0: int = 1,
) -> "Axes":
    """Draw accuracy against beta_eff, the line with its band, and both ends at beta_eff = 0.

    The square is the line's value at 0, the prediction; the star the true final accuracy. The
    limits follow points, line and star, not the band, which may be very wide. The last row of the
    paper's Fig. 2.

    Parameters
    ----------
    ax : matplotlib Axes
    beta, accuracy : array_like, shape (n,)
        Observations in the order of training; those with a NaN are not drawn.
    line : (grid, mean, std), or None
        The fitted line on a grid that begins at 0, and the standard deviation of its mean, which
        may be infinite; None where there were too few observations for one.
    truth : float
        The true final accuracy; NaN where the run was not completed.
    title : str
    t0 : int
        The first observation that the line has seen, counted from 1; earlier ones are hollow.

    Raises
    ------
    TypeError, ValueError
        For empty series, series of different lengths, or `t0` outside 1..n.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> line = ([0.0, 0.9], [0.91, 0.52], [0.04, 0.02])
    >>> ax = Figure().subplots()
    >>> ax = figures.accuracy_fit(ax, [0.9, 0.6, 0.4], [0.2, 0.65, 0.74], line, 0.93, t0=2)
    >>> [text.get_text() for text in ax.get_legend().get_texts()][-2:]
    ['predicted 0.910', 'true 0.930']
    """
    b = vector(beta, "beta")
    a = vector(accuracy, "accuracy", len(b))
    t0 = check.positive_int(t0, "t0")
    if t0 > len(b):
        raise ValueError(f"t0 must be in 1..{len(b)}, the number of observations; got {t0}.")
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": "black", "markersize": 4}
    shown = [a[np.isfinite(b)]]
    if line is not None:
        grid, mean, std = _band(ax, line)
        shown.append(mean)
    if t0 > 1:
        ax.plot(b[: t0 - 1], a[: t0 - 1], **dots, fillstyle="none", label="before the window")
    ax.plot(b[t0 - 1 :], a[t0 - 1 :], **dots, zorder=3, label="observed epochs")
    if line is not None:
        said = f"predicted {mean[0]:.3f}" + ("" if 0 <= mean[0] <= 1 else ", no accuracy")
        square: dict[str, Any] = {"color": COLOURS[0], "zorder": 4, "clip_on": False}
        ax.plot(grid[:1], mean[:1], "s", label=said, **square)
    if np.isfinite(truth):
        ax.plot([0], [truth], "*", color=COLOURS[1], markersize=11, zorder=4, clip_on=False,
                label=f"true {truth:.3f}")  # fmt: skip
        shown.append(np.array([truth]))
    values = np.concatenate(shown)
    values = values[np.isfinite(values)]
    if len(values):  # the y-axis holds them all
        room = 0.08 * max(float(np.ptp(values)), 0.01)
        ax.set_ylim(values.min() - room, values.max() + room)
        ax.axvline(0, color="0.7", linewidth=0.8, linestyle="-", zorder=1)
    else:
        ax.set_xticks([])
        no_values(ax)
    ax.set(xlabel=BETA, ylabel=ACCURACY, title=title)
    legend(ax)
    return ax


def model_columns(axes: Any, models: Mapping[str, Mapping[str, Any]], observed: int) -> Any:
    r"""Draw, one column a model, learning curve, beta_eff and the line that predicts.

    The paper's Fig. 2.

    Parameters
    ----------
    axes : ndarray of matplotlib Axes, shape (3, n_models) or (3 * n_models,), row by row
    models : mapping of str to mapping
        ``accuracy`` and ``beta`` after every epoch, shape (n_epochs,), NaN where there is none;
        ``line``, ``truth`` and, where the line has not seen all observed epochs, ``t0`` as
        `accuracy_fit` takes them.
    observed : int
        Epochs that predictions see.

    Returns
    -------
    ndarray of matplotlib Axes, shape (3, n_models)

    Raises
    ------
    TypeError, ValueError
        For no models, missing fields, too few axes, empty series or different lengths.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> model = {"accuracy": [0.2, 0.65, 0.74, 0.9], "beta": [0.9, 0.6, 0.4, 0.1]}
    >>> model |= {"line": ([0.0, 0.9], [0.91, 0.52], [0.04, 0.02]), "truth": 0.93, "t0": 2}
    >>> axes = figures.model_columns(Figure().subplots(3, 1), {"VGG16": model}, observed=3)
    >>> [ax.get_xlabel() for ax in axes[:, 0]]
    ['epoch', 'epoch', 'neural capacitance $\\beta_{eff}$']
    """
    observed = check.positive_int(observed, "observed")
    n = len(named(models, "models"))
    grid = np.array(panels(axes, 3 * n, f"{n} models"), dtype=object)[: 3 * n].reshape(3, n)
    runs = [_run(name, model) for name, model in models.items()]
    for (top, middle, bottom), run in zip(grid.T, runs, strict=True):
        name, accuracy, beta, line, truth, t0 = run
        _single_curve(top, accuracy, ACCURACY, observed)
        _single_curve(middle, beta, BETA, observed)
        _logarithmic(middle, beta)
        if np.isfinite(truth):
            top.plot([len(accuracy)], [truth], "*", color=COLOURS[1], markersize=9, zorder=4,
                     clip_on=False, label=f"true {truth:.3f}")  # fmt: skip
        accuracy_fit(bottom, beta[:observed], accuracy[:observed], line, truth, t0=t0)
        ends = {t: h for t, h in pop_legend(bottom).items() if t[:4] in ("pred", "true")}
        if ends:  # a small panel names no more
            settings = {"frameon": False, "fontsize": "small", "handlelength": 1}
            bottom.legend(list(ends.values()), list(ends), **settings)
        top.set_title(plain(name))
    for ax in grid[:, 1:].flat:
        ax.set_ylabel("")
    return grid


def layer_capacitances(
    ax: "Axes", layers: Sequence[Sequence[Any]], epochs: ArrayLike | None = None
) -> "Axes":
    r"""Draw the layers' contributions to beta_eff along training, and their sum.

    The six largest layers have colours and names, the others are grey. Layers that contribute 0
    throughout, as the first and the last do by definition, are left out. NaN leaves a gap.
    Logarithmic where all is positive. Not in the paper.

    Parameters
    ----------
    ax : matplotlib Axes
    layers : sequence of sequence, shape (n_epochs, n_layers)
        `Capacitance.per_layer` of every epoch: objects or mappings with ``layer``, ``name`` and
        ``contribution``.
    epochs : array_like, shape (n_epochs,), optional
        1, 2, ... without.

    Raises
    ------
    TypeError, ValueError
        For no epochs, epochs with different numbers of layers, or missing fields.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> X, y = np.random.default_rng(0).standard_normal((20, 3)), np.arange(20) % 2
    >>> nets = [ed.ReLUMLP.random([3, 5, 4, 4, 2], seed=seed) for seed in (0, 1)]
    >>> layers = [ed.neural_capacitance(net, X, y).per_layer for net in nets]
    >>> ax = figures.layer_capacitances(Figure().subplots(), layers)
    >>> [line.get_label() for line in ax.lines]
    ['sum, $\\beta_{eff}$', 'layer 2', 'layer 3']
    """
    rows = listed(layers, "layers")
    lengths = {len(row) for row in rows}
    if len(lengths) > 1 or lengths == {0}:
        raise ValueError(
            "every epoch must have the same layers, at least one; got "
            f"{', '.join(map(str, sorted(lengths)))} of them."
        )
    table = np.array([numbers(row, "contribution") for row in rows])
    at = np.arange(1.0, len(rows) + 1) if epochs is None else vector(epochs, "epochs", len(rows))
    total = np.where(np.isnan(table).any(axis=1), np.nan, table.sum(axis=1))
    if np.isfinite(total).any():
        ax.plot(at, total, "k-", linewidth=2.2, label=r"sum, $\beta_{eff}$")
    else:
        no_values(ax)
    largest = np.nanmax(np.abs(table), axis=0, initial=0.0, where=np.isfinite(table))
    order = np.argsort(-largest, kind="stable").tolist()
    shown = [k for k in range(table.shape[1]) if largest[k] > 0]
    coloured = sorted(k for k in order[:MOST_COLOURED] if k in shown)
    for n, k in enumerate(coloured):
        name = attribute(rows[0][k], "name") or f"layer {attribute(rows[0][k], 'layer')}"
        ax.plot(at, table[:, k], label=plain(name), markersize=3.5,
                markevery=max(1, len(rows) // 12), **marked(n))  # fmt: skip
    others = [k for k in shown if k not in coloured]
    for n, k in enumerate(others):
        ax.plot(at, table[:, k], color="0.7", linewidth=0.8, linestyle="-", zorder=1,
                label=None if n else f"{len(others)} other layers")  # fmt: skip
    _logarithmic(ax, table[:, shown])
    _epochs(ax)
    ax.set_ylabel(r"contribution to $\beta_{eff}$")
    legend(ax)
    return ax


def time_per_epoch(ax: "Axes", models: Sequence[str], train: ArrayLike, beta: ArrayLike) -> "Axes":
    r"""Draw what an epoch takes: training and, on top of it, beta_eff, with their ratio c.

    ``c = T_beta / T_train``. The paper's Fig. S3.

    Parameters
    ----------
    ax : matplotlib Axes
    models : sequence of str
    train, beta : array_like, shape (n_models,)
        Seconds an epoch; NaN where they were not measured.

    Raises
    ------
    TypeError, ValueError
        For no models, series of different lengths, or negative times.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> ax = figures.time_per_epoch(Figure().subplots(), ["VGG16", "MobileNet"], [20, 8], [2, 1])
    >>> [text.get_text() for text in ax.texts]
    ['c = 0.1', 'c = 0.125']
    """
    names = [plain(name) for name in listed(models, "models")]
    trained, extra = vector(train, "train", len(names)), vector(beta, "beta", len(names))
    for word, seconds in (("train", trained), ("beta", extra)):
        if (seconds < 0).any():
            raise ValueError(f"{word} must hold seconds of at least 0; got {np.nanmin(seconds)}.")
    at = np.arange(len(names))
    start, added = np.nan_to_num(trained), np.nan_to_num(extra)
    ax.barh(at, start, color=COLOURS[5], edgecolor="black", linewidth=0.5, label="training")
    ax.barh(at, added, left=start, color=COLOURS[1], edgecolor="black",
            linewidth=0.5, hatch="////", label=r"$\beta_{eff}$")  # fmt: skip
    for k in at:
        known = np.isfinite(trained[k]) and np.isfinite(extra[k])
        c = extra[k] / trained[k] if known and trained[k] > 0 else np.nan
        word = f"c = {c:.3g}" if np.isfinite(c) else "" if known else "not measured"
        ax.annotate(word, (start[k] + added[k], k), (4, 0), va="center",
                    textcoords="offset points", fontsize="small")  # fmt: skip
    ax.set_yticks(at, names)
    ax.set_ylim(len(names) - 0.4, -0.6)  # the first on top
    ax.set_xlim(0, 1.25 * max(float(np.max(start + added)), 1e-12))
    ax.set_xlabel("seconds an epoch\n$c$ = seconds of $\\beta_{eff}$ / of training")
    ax.legend(frameon=False, fontsize="small", ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return ax


def _run(name: str, model: Mapping[str, Any]) -> tuple[str, Array, Array, Any, float, int]:
    """Read what `model_columns` draws of a model."""
    accuracy = vector(attribute(model, "accuracy"), f"accuracy of {name!r}")
    beta = vector(attribute(model, "beta"), f"beta of {name!r}", len(accuracy))
    truth = numbers([model], "truth")[0]
    return name, accuracy, beta, attribute(model, "line"), truth, model.get("t0", 1)


def _single_curve(ax: "Axes", values: Array, ylabel: str, observed: int) -> None:
    """Draw one candidate's curve, observed epochs as dots."""
    at = np.arange(1, len(values) + 1)
    ax.axvspan(0.5, observed + 0.5, color="0.93", zorder=0)
    ax.plot(at, values, color=COLOURS[0], linestyle="-")
    ax.plot(at[:observed], values[:observed], "o", color="black", markersize=4, zorder=3)
    if not np.isfinite(values).any():
        no_values(ax)
    ax.set_xlim(0.5, len(values) + 0.5)
    _epochs(ax)
    ax.set_ylabel(ylabel)


def _band(ax: "Axes", line: tuple[ArrayLike, ArrayLike, ArrayLike]) -> tuple[Array, Array, Array]:
    """Draw a line and its band where that is finite."""
    grid = vector(line[0], "the line's grid")
    mean = vector(line[1], "the line's mean", len(grid))
    std = vector(line[2], "the line's std", len(grid))
    ax.plot(grid, mean, color=COLOURS[0], linestyle="-", label="Bayesian ridge")
    known = np.isfinite(std)
    if known.any():
        word = r"$\pm$ 1 std" if known.all() else r"$\pm$ 1 std, else infinite"
        ax.fill_between(grid, mean - std, mean + std, where=known, color=COLOURS[0], alpha=0.2,
                        linewidth=0, label=word)  # fmt: skip
    return grid, mean, std


def _logarithmic(ax: "Axes", values: Array) -> None:
    """Scale the y-axis for values over decades; linear around 0 where not all are positive."""
    finite = values[np.isfinite(values)]
    sizes = np.abs(finite[finite != 0])
    if not len(sizes):
        return
    if len(sizes) == len(finite) and finite.min() > 0:
        ax.set_yscale("log")
        few_ticks(ax.yaxis)
    elif sizes.max() > 10 * sizes.min():
        ax.set_yscale("symlog", linthresh=float(sizes.min()))


def _epochs(ax: "Axes") -> None:
    """Label the epochs, at whole numbers."""
    whole_numbers(ax.xaxis)
    ax.set_xlim(left=max(ax.get_xlim()[0], 0.5))
    ax.set_xlabel("epoch")


def _marks(k: int, values: Array, n_series: int) -> dict[str, Any]:
    """Return a curve's look, with sparse markers where line styles alone would repeat."""
    known = np.pad(np.isfinite(values), 1)
    if (known[1:-1] & ~known[:-2] & ~known[2:]).any():  # a value between gaps has no line
        return marked(k) | {"markersize": 3}
    if n_series <= len(LINES):
        return look(k)
    apart = max(1, len(values) // 6)
    return marked(k) | {"markersize": 3.5, "markevery": (k % apart, apart)}
