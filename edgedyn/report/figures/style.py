"""How figures look, and how they are saved."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedyn import _validate as check
from edgedyn._files import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = Path(__file__).with_name("edgedyn.mplstyle")
# The style file's colours, for meanings that must not depend on the user's own style.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v")
GREY = "0.45"
BESIDE = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.0}  # a legend
# Nothing that changes from run to run: equal results give equal files.
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


@contextmanager
def saved_figure(
    path: Path | str,
    columns: int = 1,
    rows: int = 1,
    *,
    width: float | None = None,
    height: float | None = None,
) -> Iterator[Any]:
    r"""Yield a figure and its axes in edgedyn's style; write it as a whole on leaving.

    Nothing is written if the block fails. Afterwards matplotlib's settings are what they were.

    Parameters
    ----------
    path : path
        ``.png`` (150 dots an inch), ``.svg`` or ``.pdf``.
    columns, rows : int
        Of axes.
    width, height : float, optional
        In inches; 5 a column and 4 a row without.

    Yields
    ------
    matplotlib Figure
    ndarray of matplotlib Axes, shape (rows * columns,), row by row

    Raises
    ------
    TypeError, ValueError
        For another suffix, or columns, rows or a size that are not positive.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from edgedyn.report import figures
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "curves.svg"
    ...     with figures.saved_figure(path) as (figure, axes):
    ...         _ = figures.curves(axes[0], {"a": [0.5, 0.7]}, "accuracy")
    ...     path.read_text()[:5]
    '<?xml'
    """
    _kind(path := Path(path))
    columns, rows = check.positive_int(columns, "columns"), check.positive_int(rows, "rows")
    wide = 5.0 * columns if width is None else check.real_number(width, "width", above=0)
    high = 4.0 * rows if height is None else check.real_number(height, "height", above=0)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.style import context

    with context(STYLE):
        figure = Figure(figsize=(wide, high))
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, squeeze=False).ravel()
        save(figure, path)


def save(figure: "Figure", path: Path | str) -> None:
    """Write a figure as a whole or not at all; equal figures give equal files.

    Parameters
    ----------
    figure : matplotlib Figure
    path : path

    Raises
    ------
    ValueError
        For another suffix than ``.png``, ``.svg`` or ``.pdf``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from matplotlib.figure import Figure
    >>> from edgedyn.report import figures
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     figures.save(Figure(), Path(folder) / "empty.pdf")
    ...     (Path(folder) / "empty.pdf").read_bytes()[:4]
    b'%PDF'
    """
    path = Path(path)
    kind = _kind(path)
    from matplotlib import rc_context

    # Text, not outlines; and identifiers that do not change, whatever the user's settings.
    settings: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "edgedyn"}
    with rc_context(settings), atomic(path) as temporary:
        figure.savefig(temporary, format=kind, metadata=METADATA[kind])


def look(k: int) -> dict[str, Any]:
    """Return colour and line style of the k-th series, counted from 0.

    Neighbours differ in both, so that they can be told apart in grey; the 29th is as the first.

    Examples
    --------
    >>> look(1)
    {'color': '#D55E00', 'linestyle': '--'}
    """
    return {"color": COLOURS[k % len(COLOURS)], "linestyle": LINES[k % len(LINES)]}


def marked(k: int) -> dict[str, Any]:
    """Return colour, line style and marker of the k-th series, for series of few points."""
    return {**look(k), "marker": MARKERS[k % len(MARKERS)]}


def legend(ax: Any, **settings: Any) -> None:
    """Add the legend: inside, or to the right of the axes where it would cover them."""
    handles, labels = ax.get_legend_handles_labels()
    if not labels:
        return
    if len(labels) > 6:
        settings |= BESIDE
    ax.legend(handles, labels, **{"frameon": False, "fontsize": "small", **settings})


def legend_below(ax: Any, handles: Iterable[Any], labels: Iterable[str], ncols: int = 1) -> None:
    """Add a legend below the axes and their label, where it covers nothing."""
    from matplotlib.transforms import ScaledTranslation

    inches = ScaledTranslation(0, -0.5, ax.figure.dpi_scale_trans)
    ax.legend(list(handles), list(labels), frameon=False, fontsize="small", ncols=ncols,
              loc="upper center", bbox_to_anchor=(0.5, 0.0),
              bbox_transform=ax.transAxes + inches)  # fmt: skip


def whole_numbers(axis: Any) -> None:
    """Label an axis of epochs or observations at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))


def pop_legend(ax: Any) -> dict[str, Any]:
    """Remove the legend of a small panel; return what it named: label to handle."""
    if drawn := ax.get_legend():
        drawn.remove()
    handles, labels = ax.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def few_ticks(axis: Any) -> None:
    """Label a logarithmic axis of less than two decades with plain numbers that do not touch."""
    from matplotlib.ticker import AutoLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

    low, high = sorted(axis.get_view_interval())
    axis.set_minor_formatter(NullFormatter())
    if high < 100 * low:
        axis.set_minor_locator(NullLocator())
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 6 * low else AutoLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def no_values(ax: Any, why: str = "no values") -> None:
    """Say in the middle of the axes that there is nothing to draw."""
    ax.set_yticks([])
    ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center", color=GREY)


def _kind(path: Path) -> str:
    """Return the format of a file by its suffix."""
    kind = path.suffix[1:].lower()
    if kind not in METADATA:
        raise ValueError(
            f"a figure must end in .png, .svg or .pdf; got {path.name!r}: choose another name."
        )
    return kind
