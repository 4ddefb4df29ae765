"""``edgedyn select``: fine-tune candidates for a few epochs, rank them, train the best."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

from edgedyn.commands.console import print_table
from edgedyn.predict.methods import method_named

PLAIN_EVERY = 15.0  # seconds between two plain lines
UNFINISHED = 3  # exit code of a study that has failed trials, or no model to show
SHOWN = 8  # candidates in the ranking that is shown on the way


def add(commands: Any) -> None:
    """Add the command."""
    select = commands.add_parser(
        "select",
        help="choose among models by their first epochs, and train the best",
        epilog="example: edgedyn select --init && edgedyn select study.toml --workers 2",
    )
    select.add_argument("study", type=Path, nargs="?", help="a study file (TOML)")
    select.add_argument(
        "--init",
        action="store_true",
        help="write a commented example to STUDY (default study.toml), and stop",
    )
    select.add_argument(
        "--dry-run", action="store_true", help="print the trials, their time and memory, and stop"
    )
    select.add_argument(
        "--gpu-tflops",
        type=float,
        metavar="RATE",
        help="what a GPU sustains, for the GPU hours of --dry-run (default 17: one NVIDIA A100)",
    )
    select.add_argument("--stage", help="early, finish, full or race; in place of the study's")
    select.add_argument("--top", type=int, help="how many candidates go on to the last epoch")
    select.add_argument("--workers", type=int, help="trials at a time")
    select.add_argument("--threads", type=int, help="threads of each trial")
    select.add_argument(
        "--dask", metavar="ADDRESS", help="'local', or a scheduler such as tcp://127.0.0.1:8786"
    )
    select.add_argument("--out", type=Path, help="the study's folder")
    select.add_argument("--json", action="store_true", help="print the results as JSON")
    select.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run a study, or write an example, or tell what one would take."""
    if arguments.init:
        _init(arguments.study or Path("study.toml"))
        return 0
    if arguments.study is None:
        raise ValueError("give a study file; write an example with: edgedyn select --init")
    if arguments.dry_run:
        _dry_run(arguments)
        return 0
    from edgedyn._environment import document
    from edgedyn._files import to_json
    from edgedyn.studies.selection import select

    try:
        with _shown(arguments.json) as progress:
            found = select(arguments.study, progress=progress, **_fields(arguments))
    except KeyboardInterrupt:
        print(
            "edgedyn: interrupted; nothing finished is lost: run the same command again and it "
            "goes on.",
            file=sys.stderr,
        )
        return 130
    page = _write(found)
    if arguments.json:
        print(to_json(document("selection", found.to_dict())))
    else:
        _report(found)
        on_one_page = "" if page is None else f"; everything on one page: {page}"
        print(f"Written to {found.folder}/{on_one_page}")
    whole = found.study.stage in ("early", "full") or found.best_model is not None
    failed = any(record.status == "failed" for record in found.records)
    return 0 if found.ranking is not None and whole and not failed else UNFINISHED


def _init(path: Path) -> None:
    """Write the example."""
    from edgedyn._files import write_text
    from edgedyn.studies.study_file import example

    if path.exists():
        raise ValueError(f"{str(path)!r} is there already; give another name, or remove it.")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {str(path.parent)!r} for {path.name!r}; make it.")
    write_text(path, example())
    print(f"Written {path}; look at it, then run: edgedyn select {path}")


def _fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of the study that options replace."""
    engine = {name: getattr(arguments, name) for name in ("workers", "threads", "dask")}
    fields: dict[str, Any] = {
        "stage": arguments.stage,
        "finish": {"top": arguments.top} if arguments.top is not None else None,
        "engine": {k: v for k, v in engine.items() if v is not None} or None,
        "output": None if arguments.out is None else str(arguments.out.resolve()),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _dry_run(arguments: argparse.Namespace) -> None:
    """Print trials with estimates."""
    from edgedyn._environment import document
    from edgedyn._files import to_json
    from edgedyn.studies.cost import GPU_TFLOPS
    from edgedyn.studies.progress import duration
    from edgedyn.studies.selection import rehearse
    from edgedyn.studies.study_file import load_study

    rate = GPU_TFLOPS if arguments.gpu_tflops is None else arguments.gpu_tflops
    if not (isfinite(rate) and rate > 0):
        raise ValueError(f"--gpu-tflops must be a positive number; got {rate}.")
    study = load_study(arguments.study, _fields(arguments))
    began = time.monotonic()

    def show(words: str) -> None:
        since = duration(time.monotonic() - began)
        print(f"{since}: {words}", file=sys.stderr, flush=True)

    rows = rehearse(study, progress=None if arguments.json else show, gpu_tflops=rate)
    if arguments.json:
        print(to_json(document("rehearsal", {"candidates": rows})))
        return
    _print_rows(study, rows)
    for row in rows:
        if "reason" in row:
            print(f"{row['model']} fails: {row['reason']}")
    for sentence in dict.fromkeys(one for row in rows for one in row.get("missing", [])):
        print(f"Not here: {sentence}")
    _print_sums(study, rows, rate)


def _print_rows(study: Any, rows: list[dict[str, Any]]) -> None:
    """Print the candidates of a dry run."""
    from edgedyn.studies.progress import duration

    cells = []
    for row in rows:
        if "reason" not in row:
            n, epoch = row["parameters"], row["epoch_seconds"]
            weights = f"{n / 1e6:.1f} M" if n >= 1e6 else f"{n:,}"
            once = f"{epoch:.2g} s" if epoch < 10 else duration(epoch)
            memory = f"{row['memory_mib'] / 1024:.1f} GiB"
            times = duration(row["seconds"]), duration(row["gpu_seconds"])
            cells.append([row["model"], row["trials"], weights, once, memory, *times])
    header = ["candidate", "trials", "weights", "epoch", "memory", "all", "GPU"]
    title = f"{len(study.trials)} trials, {study.stage} stage: {study.first_epochs} epochs each"
    print_table(title, header, cells)


def _print_sums(study: Any, rows: list[dict[str, Any]], rate: float) -> None:
    """Print what the whole study takes."""
    from edgedyn.studies.cost import GPU, GPU_LAYER_SECONDS, GPU_TFLOPS
    from edgedyn.studies.progress import duration

    workers = study.engine.workers
    whole = sum(row.get("seconds", 0.0) for row in rows) / workers
    most = max((row.get("memory_mib", 0.0) for row in rows), default=0.0)
    print(
        f"About {duration(whole)} with {workers} at a time, and up to {workers * most:.0f} MiB; "
        "estimated from a few steps of each."
    )
    left, n = _finish(study, [row.get("finish_seconds", 0.0) for row in rows])
    if left:
        then = duration(left / min(workers, n * len(study.training.seeds)))
        if study.stage == "race":
            print(f"Then about {then} for the rest of the race. {_race_words(study)}")
        else:
            print(f"Then up to {then} to train the best to the end.")
    seconds = sum(row.get("gpu_seconds", 0.0) for row in rows)
    seconds += _finish(study, [row.get("gpu_finish_seconds", 0.0) for row in rows])[0]
    hours = seconds / 3600
    spent = f"{hours:.2g}" if hours < 10 else f"{hours:.0f}"
    gpu = f"one {GPU}" if rate == GPU_TFLOPS else "one"
    print(
        f"About {spent} GPU hours ({gpu} that sustains {rate:g} TFLOP/s, at least "
        f"{1e6 * GPU_LAYER_SECONDS:.0f} microseconds a layer); estimated from counts, not measured."
    )


def _finish(study: Any, values: list[float]) -> tuple[float, int]:
    """Return what follows the first epochs, of the slowest candidates, and how many end it."""
    from edgedyn.studies.selection import UNSURE

    ordered = sorted(values, reverse=True)
    if study.stage != "race":
        n = min(study.finish.top or UNSURE, len(values))
        return sum(ordered[:n]), n
    legs = [(after[0] - before[0], after[1]) for before, after in pairwise(study.heats)]
    epochs = sum(length for length, _ in legs)
    shares = (length / epochs * sum(ordered[:n]) for length, n in legs)
    return sum(shares), study.heats[-1][1]


def _race_words(study: Any) -> str:
    """Say who runs how far, and how many epochs that can take."""
    from edgedyn.studies.halving import cost

    (epoch, n), *later = study.heats
    parts = [f"{n} candidates to epoch {epoch}", *(f"{k} to {to}" for to, k in later)]
    most = study.race.budget or n * study.training.epochs
    return (
        f"Its plan: {', '.join(parts)}; {cost(study.heats)} epochs for each seed, up to {most} "
        "where candidates cannot be told apart."
    )


def _shown(quiet: bool) -> AbstractContextManager[Callable[[Any], None] | None]:
    """Return a display of the progress: live in a terminal, plain lines elsewhere."""
    if quiet:
        return nullcontext()
    return _live() if sys.stderr.isatty() else nullcontext(_plain())


def _plain() -> Callable[[Any], None]:
    """Return a display that prints a line when a trial ends, and now and then."""
    from edgedyn.studies.progress import describe

    shown, at = ("", -1), 0.0

    def show(status: Any) -> None:
        nonlocal shown, at
        now, done = time.monotonic(), (status.stage, status.done)
        ended = done != shown
        if not ended and now - at < PLAIN_EVERY:
            return
        shown, at = done, now
        print(describe(status), file=sys.stderr, flush=True)
        if ended and status.ranking is not None:
            title, best = _so_far(status.ranking)
            print(f"{title}: {', '.join(map(' '.join, best))}", file=sys.stderr, flush=True)

    return show


def _so_far(ranking: Any) -> tuple[str, list[tuple[str, str]]]:
    """Return a title, and the best candidates so far with their predictions."""
    method = ranking.rows[0].method
    best = _best_first(ranking, method)[:SHOWN]
    return f"so far, by {method}", [(row.model, _interval(row)) for row in best]


@contextmanager
def _live() -> Iterator[Callable[[Any], None]]:
    """Yield a display that a terminal redraws: a bar, what runs, the ranking so far."""
    from rich import box
    from rich.console import Console, Group
    from rich.live import Live
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from edgedyn.studies.progress import describe

    def picture(status: Any) -> Any:
        bar = ProgressBar(total=1.0, completed=status.fraction, width=60)
        parts: list[Any] = [Padding(bar, 0), Text(describe(status))]  # a bar alone ends no line
        if status.ranking is not None:
            title, best = _so_far(status.ranking)
            table = Table("candidate", title=title, box=box.SIMPLE_HEAD, title_justify="left")
            table.add_column("predicted accuracy", justify="right")
            for model, value in best:
                table.add_row(Text(model), value)
            parts.append(table)
        return Group(*parts)

    with Live(console=Console(stderr=True), refresh_per_second=4) as live:
        yield lambda status: live.update(picture(status))


def _best_first(ranking: Any, method: str) -> list[Any]:
    """Return a method's rows, best first, those without a rank last."""
    rows = [row for row in ranking.rows if row.method == method]
    return sorted(rows, key=lambda row: row.rank if isfinite(row.rank) else len(rows) + 1)


def _interval(row: Any) -> str:
    """Return a prediction with its standard deviation."""
    if not isfinite(row.prediction):
        return "none"
    if method_named(row.method).is_accuracy and not 0 <= row.prediction <= 1:
        return "no accuracy"
    spread = f"±{row.std:.3f}" if isfinite(row.std) else ""
    return f"{row.prediction:.3f}{spread}"


def _write(found: Any) -> Path | None:
    """Write the ranking and the report beside the records; return the report's path, if any."""
    from edgedyn._environment import document, published
    from edgedyn._files import csv_text, to_json, write_text
    from edgedyn.commands.report import write_report

    write_text(found.folder / "ranking.csv", csv_text(found.to_frame()))
    values = published(found.to_dict())  # by the names alone, for others to see
    text = to_json(document("selection", values)) + "\n"
    write_text(found.folder / "selection.json", text)
    try:
        return write_report(found.folder, rankings=found.rankings)
    except ValueError as error:  # a stray file in the folder shall not spoil the study's end
        print(f"edgedyn: no report was written: {error}", file=sys.stderr)
        return None


def _mean(values: list[float]) -> str:
    """Return the mean over seeds; empty without any."""
    return f"{sum(values) / len(values):.3f}" if values else ""


def _report(found: Any) -> None:
    """Print the ranking, what failed, and the best model."""
    for n, ranking in found.rankings.items():
        methods = list(dict.fromkeys(row.method for row in ranking.rows))
        by_model = {(row.model, row.method): row for row in ranking.rows}
        rows = []
        for k, first in enumerate(_best_first(ranking, methods[0]), start=1):
            cells = [_interval(by_model[first.model, method]) for method in methods]
            whole = first.model, n, "completed"
            ends = [r.epochs[-1] for r in found.records if (r.model, r.n_train, r.status) == whole]
            last = _mean([end.val_accuracy for end in ends])
            test = _mean([end.test_accuracy for end in ends])
            place = k if isfinite(first.rank) else "-"
            rows.append([f"{place}  {first.model}", *cells, last, test])
        samples = "" if n is None else f", {n} training samples"
        title = f"By the first {ranking.observed} epochs{samples}"
        header = ["candidate", *(method_named(m).label for m in methods), "validation", "test"]
        print_table(title, header, rows)
    for record in found.failed:
        print(f"{record.model}, seed {record.seed}: {record.status}, {record.reason}")
    if found.ranking is None:
        print("No candidate could be ranked.")
    if found.choice is None:
        return
    print(f"Named after {found.choice.epochs} epochs: {found.choice}.")
    first = found.chosen[0]
    if found.best_model is None:
        epochs = found.study.training.epochs
        if first in found.forecasts:
            print(f"Forecast for {first} after {epochs}: {found.forecasts[first]}.")
        return
    ends = [r for r in found.records if r.model == first and r.status == "completed"]
    test = _mean([r.final_test_accuracy for r in ends])
    print(f"{first} is trained, test accuracy {test}: {found.best_model}")
