"""What the commands share: options, tables, the progress bar."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

LONG_NAME = 40  # half the line of a terminal


def add_common(command: argparse.ArgumentParser, folder: str) -> None:
    """Add the options that every long command has."""
    command.add_argument("--seed", type=int, default=0, help="default 0")
    command.add_argument("--out", type=Path, default=Path(folder), help=f"default {folder}/")
    command.add_argument("--json", action="store_true", help="print the results as JSON")


def check_seed(seed: int) -> None:
    """Refuse a seed numpy does not take."""
    if seed < 0:
        raise ValueError(f"--seed must be 0 or more; got {seed}.")


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    # Half a name cannot be searched for; headers wrap first, unless a name would fill the line.
    whole = max((len(str(row[0])) for row in rows), default=0) <= LONG_NAME
    table.add_column(header[0], no_wrap=whole, overflow="fold")
    for name in header[1:]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*map(str, row))

    class ForReaders(Console):
        def on_broken_pipe(self) -> None:  # rich would exit with 1
            raise BrokenPipeError

    ForReaders().print(table)


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
