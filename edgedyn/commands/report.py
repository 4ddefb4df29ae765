"""``edgedyn report``: one page about a study, for people who have not read the paper."""

import argparse
from pathlib import Path
from typing import Any

NAME = "report.html"


def add(commands: Any) -> None:
    """Add the command."""
    report = commands.add_parser(
        "report",
        help="write one page about a study or a demo",
        epilog="example: edgedyn report digits-study --out report.html",
    )
    report.add_argument(
        "study", type=Path, help="the folder that edgedyn select or edgedyn demo has written"
    )
    report.add_argument("--out", type=Path, help=f"default {NAME} in that folder")
    report.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the page."""
    out = arguments.out or arguments.study / NAME
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"the report is a page; --out must end in .html; got {out.name!r}.")
    if arguments.out and not out.parent.is_dir():
        raise ValueError(f"there is no folder {str(out.parent)!r} for the report; make it first.")
    print(f"Written {write_report(arguments.study, out)}")


def write_report(folder: Path, out: Path | None = None, rankings: Any = None) -> Path:
    """Write the page about a folder of ``edgedyn select`` or ``edgedyn demo``; return its path.

    `rankings` are those of a `Selection`, where the study has just ended.
    """
    from edgedyn._files import write_text
    from edgedyn.report.study.page import study_page
    from edgedyn.studies.summary import summary

    path = out or folder / NAME
    write_text(path, study_page(summary(folder, rankings)))
    return path
