"""Small drawings inside table cells: a dot with its interval, made in Python as they need none."""

from collections.abc import Sequence
from math import floor, isfinite, log10

from markupsafe import Markup

from edgedyn.report.html import escape

WIDTH, HEIGHT, MARGIN = 260, 24, 9
LABEL = 60  # what a tick's label takes, with room around it
MIDDLE = HEIGHT / 2
BOUNDS = -0.15, 1.3  # accuracies beyond these become arrows at the edge


class Scale:
    """Maps values to places in a cell of some width, so that the finite ones of `values` are seen.

    It reaches no farther than `bounds`; values beyond get an arrow.
    """

    def __init__(
        self, values: Sequence[float], bounds: tuple[float, float] = BOUNDS, width: float = WIDTH
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
    found = _shade(scale, ceiling)
    for tick in scale.ticks:
        x, label = f"{scale(tick):.1f}", f"{tick:.10g}".replace("-", "\u2212")
        found += f'<path class="tick" d="M{x} 19v5"/><text x="{x}" y="15">{label}</text>'
    return _svg(scale.width, found)


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
    """Return a drawing of a value with its interval, which `words` say, too.

    What is not finite is not drawn. An upright bar marks `last`, a star `final`; beyond `ceiling`
    the ground is shaded; a thin upright line goes through `rule`.
    """
    parts = [_shade(scale, ceiling)]
    if rule is not None and scale.low < rule < scale.high:
        parts.append(f'<path class="rule" d="M{scale(rule):.1f} 0v{HEIGHT}"/>')
    if isfinite(last):
        parts.append(f'<path class="last" d="M{scale(last):.1f} 5v14"/>')
    if isfinite(value):
        parts.append(_dot(scale, value, low, high))
    if isfinite(final):
        parts.append(f'<path class="final" d="{_star(scale(final), MIDDLE)}"/>')
    return _svg(scale.width, f"<title>{escape(words)}</title>{''.join(parts)}", words)


def bar(share: float, words: str, width: float = 90) -> Markup:
    """Return a bar of a share of the width."""
    inside = f'<rect class="bar" x="0" y="7" height="10" width="{share * width:.1f}"/>'
    return _svg(width, inside, words)


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


def _dot(scale: Scale, value: float, low: float, high: float) -> str:
    """Return a dot, or an arrow at the edge, with its interval."""
    found = ""
    if isfinite(low) and isfinite(high) and high > scale.low and low < scale.high:
        found = f'<path class="interval" d="M{scale(low):.1f} {MIDDLE}H{scale(high):.1f}"/>'
    x = scale(value)
    if scale.low <= value <= scale.high:
        return f'{found}<circle class="dot" cx="{x:.1f}" cy="{MIDDLE}" r="4.5"/>'
    tip = 7 if value > scale.high else -7
    return f'{found}<path class="dot" d="M{x + tip:.1f} {MIDDLE}l{-tip * 1.3:.1f} -5.5v11z"/>'


def _shade(scale: Scale, ceiling: float | None) -> str:
    """Return the ground beyond a value."""
    if ceiling is None or ceiling >= scale.high:
        return ""
    x = scale(ceiling)
    return f'<rect class="beyond" x="{x:.1f}" y="0" width="{scale.width - x:.1f}" height="24"/>'


def _star(x: float, y: float) -> str:
    """Return a four-pointed star."""
    return f"M{x:.1f} {y - 6.5}l1.9 4.6 4.6 1.9-4.6 1.9-1.9 4.6-1.9-4.6-4.6-1.9 4.6-1.9z"


def _svg(width: float, inside: str, words: str = "") -> Markup:
    """Return a drawing of a cell's height, with a label if there are words for one."""
    said = f'role="img" aria-label="{escape(words)}"' if words else 'aria-hidden="true"'
    return Markup(
        f'<svg class="dots" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        f"{said}>{inside}</svg>"
    )
