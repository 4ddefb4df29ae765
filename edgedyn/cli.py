"""The command line: ``edgedyn demo | linegraph | theorem1 | beta | select | report | reduce``."""

import argparse
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import edgedyn
from edgedyn.commands import beta, demo, linegraph, reduce, report, select, theorem1


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence and exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f"edgedyn: {message}. Try: {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        By default the process's arguments.

    Returns
    -------
    int
        0 on success, 1 where ``beta --check`` fails, 2 on bad input (one sentence on the error
        stream), 3 where trials of ``select`` failed or it has no model to show, 130 when
        interrupted, by Ctrl-C or SIGTERM.

    Examples
    --------
    >>> main(["linegraph", "4", "5", "3", "--out", "gb.tiff"])
    2
    """
    parser = build_parser()
    try:
        arguments = parser.parse_args(argv)
        if not hasattr(arguments, "run"):
            parser.print_help()
            return 0
        with _terminable(), warnings.catch_warnings():
            warnings.showwarning = _say
            code = arguments.run(arguments)
        if sys.stdout is not None:  # somebody may have closed it
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, ImportError) as error:
        print(f"edgedyn: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        where = f" {error.filename!r}" if error.filename else ""
        print(
            f"edgedyn: could not write or read{where}: {error.strerror or error}.", file=sys.stderr
        )
        return 2
    except KeyboardInterrupt:
        print("edgedyn: interrupted; nothing half-written was left.", file=sys.stderr)
        return 130
    return code or 0


def _say(message: Warning | str, *where: object, **more: object) -> None:
    """Print a warning as a sentence, without the line of code it came from."""
    print(f"edgedyn: {message}", file=sys.stderr)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    import shtab

    parser = _Parser(prog="edgedyn", description="Neural capacitance: line graphs of networks.")
    parser.add_argument("--version", action="version", version=f"edgedyn {edgedyn.__version__}")
    shtab.add_argument_to(parser, help="print the completions of a shell, and stop")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    for command in (demo, linegraph, theorem1, beta, select, report, reduce):
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
