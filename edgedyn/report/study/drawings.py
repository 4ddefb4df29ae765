"""Small drawings inside table cells: a dot with its interval, made in Python as they need none."""

from collections.abc import Sequence
from math import floor, isfinite, log10

from markupsafe import Markup

from edgedyn.report.html import escape

WIDTH, HEIGHT, MARGIN = 260, 24, 9
LABEL = 60  # what a tick's label takes, with room around it
LEAST, MOST = -0.15, 1.3  # accuracies beyond these become arrows at the edge


class Scale:
    """Maps values to places in a cell.

    Parameters
    ----------
    values : sequence of float
        Which should be seen; those that are not finite are ignored.
    bounds : (float, float)
        How far the scale may reach; values beyond get an arrow.
    width : float
    """

    def __init__(
        self,
        values: Sequence[float],
        bounds: tuple[float, float] = (LEAST, MOST),
        width: float = WIDTH,
    ) -> None:
        inside = [min(max(v, bounds[0]), bounds[1]) for v in values if isfinite(v)] or [0.0, 1.0]
        low, high = min(inside), max(inside)
        pad = 0.06 * (high - low) or 0.05
        self.low, self.high, self.width = low - pad, high + pad, width

    def __call__(self, value: float) -> float:
        """Return the place of a value, at the edge where it lies beyond."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return MARGIN + share * (self.width - 2 * MARGIN)

    @property
    def ticks(self) -> list[float]:
        """Round values, so few that their labels do not touch."""
        rough = (self.high - self.low) * LABEL / self.width
        unit = 10.0 ** floor(log10(rough))
        step = next(unit * k for k in (1, 2, 2.5, 5, 10) if unit * k >= rough)
        first = -floor(-self.low / step)
        return [k * step for k in range(first, floor(self.high / step + 1e-9) + 1)]


def axis(scale: Scale, ceiling: float | None = None) -> Markup:
    """Return the axis above a column of drawings."""
    marks = []
    for tick in scale.ticks:
        x = scale(tick)
        label = f"{tick:.10g}".replace("-", "\u2212")
        marks.append(
            f'<path class="tick" d="M{x:.1f} 19v5"/><text x="{x:.1f}" y="15">{label}</text>'
        )
    return _svg(scale, _shade(scale, ceiling) + "".join(marks), "", 'aria-hidden="true"')


def interval(
    scale: Scale,
    value: float,
    low: float,
    high: float,
    words: str,
    *,
    last: float = float("nan"),
    final: float = float("nan"),
    ceiling: float | None = None,
    rule: float | None = None,
) -> Markup:
    """Return a drawing of a value with its interval.

    Parameters
    ----------
    scale : Scale
    value, low, high : float
        What is not finite is not drawn.
    words : str
        The same in words.
    last, final : float
        Marked by an upright bar and a star.
    ceiling : float, optional
        Beyond it the ground is shaded.
    rule : float, optional
        Where a thin upright line goes through.
    """
    parts = [_shade(scale, ceiling)]
    if rule is not None and scale.low < rule < scale.high:
        parts.append(f'<path class="rule" d="M{scale(rule):.1f} 0v{HEIGHT}"/>')
    middle = HEIGHT / 2
    if isfinite(last):
        parts.append(f'<path class="last" d="M{scale(last):.1f} 5v14"/>')
    if isfinite(value):
        parts.append(_dot(scale, value, low, high, middle))
    if isfinite(final):
        parts.append(f'<path class="final" d="{_star(scale(final), middle)}"/>')
    label = escape(words)
    return _svg(scale, f"<title>{label}</title>{''.join(parts)}", label, 'role="img"')


def bar(share: float, words: str, width: float = 90) -> Markup:
    """Return a bar of a share of the width."""
    inside = f'<rect class="bar" x="0" y="7" height="10" width="{share * width:.1f}"/>'
    label = escape(words)
    return Markup(
        f'<svg class="dots" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        f'role="img" aria-label="{label}">{inside}</svg>'
    )


def legend_mark(kind: str) -> Markup:
    """Return one mark for the legend: ``dot``, ``last`` or ``final``."""
    shapes = {
        "dot": '<path class="interval" d="M2 9h24"/><circle class="dot" cx="14" cy="9" r="4.5"/>',
        "last": '<path class="last" d="M14 2v14"/>',
        "final": f'<path class="final" d="{_star(14, 9)}"/>',
    }
    return Markup(
        '<svg class="dots" viewBox="0 0 28 18" width="28" height="18" aria-hidden="true">'
        f"{shapes[kind]}</svg>"
    )


def _dot(scale: Scale, value: float, low: float, high: float, y: float) -> str:
    """Return a dot, or an arrow at the edge, with its interval."""
    found = ""
    if isfinite(low) and isfinite(high) and high > scale.low and low < scale.high:
        found = f'<path class="interval" d="M{scale(low):.1f} {y}H{scale(high):.1f}"/>'
    x = scale(value)
    if scale.low <= value <= scale.high:
        return f'{found}<circle class="dot" cx="{x:.1f}" cy="{y}" r="4.5"/>'
    tip = 7 if value > scale.high else -7
    return f'{found}<path class="dot" d="M{x + tip:.1f} {y}l{-tip * 1.3:.1f} -5.5v11z"/>'


def _shade(scale: Scale, ceiling: float | None) -> str:
    """Return the ground beyond a value."""
    if ceiling is None or ceiling >= scale.high:
        return ""
    x = scale(ceiling)
    return f'<rect class="beyond" x="{x:.1f}" y="0" width="{scale.width - x:.1f}" height="24"/>'


def _star(x: float, y: float) -> str:
    """Return a four-pointed star."""
    return f"M{x:.1f} {y - 6.5}l1.9 4.6 4.6 1.9-4.6 1.9-1.9 4.6-1.9-4.6-4.6-1.9 4.6-1.9z"


def _svg(scale: Scale, inside: str, label: str, attributes: str) -> Markup:
    """Return a drawing of a cell's size."""
    named = f' aria-label="{label}"' if label else ""
    return Markup(
        f'<svg class="dots" viewBox="0 0 {scale.width} {HEIGHT}" width="{scale.width}" '
        f'height="{HEIGHT}" {attributes}{named}>{inside}</svg>'
    )
