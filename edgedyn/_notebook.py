"""Results as a notebook shows them: a small card of escaped text, in the notebook's own colours."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import isnan

MOST_ROWS = 12
# No colours of its own: what is dark stays dark. Some notebooks stripe and align tables otherwise.
_CARD = (
    "display:inline-block;max-width:100%;overflow-x:auto;padding:.5em .8em;"
    "border:1px solid;border-color:color-mix(in srgb,currentColor 35%,transparent);"
    "border-radius:6px;color:inherit;background:transparent;line-height:1.4"
)
_TABLE = "border-collapse:collapse;margin:.4em 0 0;color:inherit;background:transparent"
_CELL = (
    "padding:.1em .9em .1em 0;border:0;background:transparent;color:inherit;"
    "font-variant-numeric:tabular-nums"
)


def card(title: str, facts: Mapping[str, object], *tables: str) -> str:
    """Return a card: a title, facts by name, and what `table` has made.

    Examples
    --------
    >>> text = card("a < b", {"nodes": 3})
    >>> "a &lt; b" in text, "<script" in text
    (True, False)
    """
    rows = "".join(
        f'<tr style="background:transparent">{_cell(name, "left", opacity=0.75)}'
        f"{_cell(spelt(value), 'left')}</tr>"
        for name, value in facts.items()
    )
    listed = f'<table style="{_TABLE}"><tbody>{rows}</tbody></table>' if rows else ""
    inner = f"<strong>{_text(title)}</strong>{listed}{''.join(tables)}"
    return f'<div style="{_CARD}">{inner}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table, and below it how many rows were left out; nothing where there are none.

    Examples
    --------
    >>> table(["layer"], [[k] for k in range(14)]).count("<tr"), table(["layer"], [])
    (13, '')
    """
    rows = list(rows)
    if not rows:
        return ""
    heads = "".join(
        _cell(name, "left" if k == 0 else "right", tag="th") for k, name in enumerate(head)
    )
    body = "".join(
        '<tr style="background:transparent">'
        + "".join(_cell(spelt(v), "left" if k == 0 else "right") for k, v in enumerate(row))
        + "</tr>"
        for row in rows[:MOST_ROWS]
    )
    more = len(rows) - MOST_ROWS
    below = f'<div style="opacity:.75">and {more} more</div>' if more > 0 else ""
    return (
        f'<table style="{_TABLE}"><thead><tr style="background:transparent">{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table>{below}"
    )


def spelt(value: object) -> str:
    """Return a value as text; numbers in four digits, counts whole.

    Examples
    --------
    >>> spelt(0.123456), spelt(11454120), spelt(float("nan")), spelt(None)
    ('0.1235', '11,454,120', 'NaN', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return "NaN" if isnan(value) else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _cell(text: str, side: str, *, tag: str = "td", opacity: float = 1) -> str:
    """Return a cell of a table."""
    look = f"{_CELL};text-align:{side}" + (f";opacity:{opacity:g}" if opacity < 1 else "")
    return f'<{tag} style="{look}">{_text(text)}</{tag}>'


def _text(text: object) -> str:
    """Return text for an element; what UTF-8 cannot hold becomes a question mark."""
    return escape(str(text).encode("utf-8", "replace").decode("utf-8"))
