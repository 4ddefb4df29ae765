"""What the commands share: options, tables, the progress bar."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path

LONG_NAME = 40  # half the line of a terminal
NARROW = 12  # of a name that must be folded


def add_common(command: argparse.ArgumentParser, folder: str) -> None:
    """Add the options that every long command has."""
    command.add_argument("--seed", type=int, default=0, help="default 0")
    command.add_argument("--out", type=Path, default=Path(folder), help=f"default {folder}/")
    command.add_argument("--json", action="store_true", help="print the results as JSON")


def number_or_why(value: float, why: str, form: str = ".3g") -> str:
    """Return a number or, in place of NaN, why there is none.

    >>> number_or_why(0.12345, ""), number_or_why(float("nan"), "dead")
    ('0.123', 'none (dead)')
    """
    return f"none ({why})" if isnan(value) else f"{value:{form}}"


def check_seed(seed: int) -> None:
    """Refuse a seed that numpy and scikit-learn do not take."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"--seed must be in 0..2**32-1; got {seed}.")


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; nothing in it is taken for markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    class ForReaders(Console):
        def on_broken_pipe(self) -> None:  # rich would exit with 1
            raise BrokenPipeError

    console = ForReaders()
    columns = [[str(row[k]) for row in rows] for k in range(len(header))]
    widths = [max(map(len, cells), default=0) for cells in columns]
    # Values stay whole, whatever the terminal; headers break first, then names.
    one_line = sum(map(max, map(len, header), widths)) + 3 * len(header) <= console.width
    titles = [*header[:1], *(name if one_line else "\n".join(name.split()) for name in header[1:])]
    heads = [max(map(len, title.split("\n"))) for title in titles]
    values = sum(map(max, heads[1:], widths[1:])) + 3 * len(header)
    console.width = max(console.width, NARROW + values)
    whole = widths[0] <= min(LONG_NAME, console.width - values)
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column(Text(titles[0]), no_wrap=whole, overflow="fold")
    for name in titles[1:]:
        table.add_column(Text(name), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    console.print(table)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[float, str], None]]:
    """Yield a callback behind a progress bar with a time estimate, on the error stream."""
    if quiet:
        yield lambda fraction, what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeRemainingColumn())
    bar = Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True))
    task = bar.add_task("starting", total=1.0)

    def advance(fraction: float, what: str) -> None:
        bar.start()  # only now: bad input is found before, and gets a sentence without a bar
        bar.update(task, completed=fraction, description=what)

    try:
        yield advance
    finally:
        bar.stop()
