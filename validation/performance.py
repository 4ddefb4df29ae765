"""Run the benchmarks and put every speed figure that was asked for on one page.

    python validation/performance.py [--collect]

Runs all benchmarks, one after another, each in a process of its own (about forty minutes on two
cores that have nothing else to do), then collects; with ``--collect`` it only collects what is in
``results/``. One that was interrupted goes on: ``results/performance-begun.txt`` tells when it
began, and what was measured since is not measured again. A benchmark that fails keeps its former
results and is named at the end (exit code 1). A row whose code has been committed to since it was
measured says so.
Writes ``results/performance.json`` and the table in ``README.md`` between the two marks. The table
says when and on what each figure was measured, which may differ from row to row.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import speed_asked
from speed_asked import Row

from edgedyn._environment import environment
from edgedyn._files import to_json, write_text

HERE = Path(__file__).resolve().parent
BEGUN = HERE / "results" / "performance-begun.txt"
BEGIN, END = "<!-- performance: begin -->", "<!-- performance: end -->"


@dataclass(frozen=True)
class Bench:
    """A benchmark, or one part of one.

    Parameters
    ----------
    title : str
        What it is about, for the row that stands where its results are missing.
    script : str
        Command line, from this folder.
    file : str
        Its results, in ``results/``.
    read : callable
        Yields the rows of the results.
    code : str
        Paths of what is measured, in ``edgedyn/``.
    part : str
        Key of the part in the file; the whole file where it is empty.
    """

    title: str
    script: str
    file: str
    read: Callable[[dict[str, Any]], Iterator[Row]]
    code: str
    part: str = ""


START, NN = "bench_start.py --part", "nn measure.py degrees.py capacitance.py"
BENCHES = (
    Bench("import", f"{START} import", "start.json", speed_asked.imports, "__init__.py", "import"),
    Bench("help", f"{START} help", "start.json", speed_asked.shown_help, "cli.py commands", "help"),
    Bench("demo", f"{START} demo", "start.json", speed_asked.demo, "studies/demo.py mlp", "demo"),
    Bench(
        "line graphs", "bench_linegraph.py", "linegraph.json", speed_asked.linegraph, "linegraph"
    ),
    Bench("beta_eff", "bench_capacitance.py", "capacitance.json", speed_asked.capacitance, "mlp"),
    Bench(
        "training", "bench_training.py", "training.json", speed_asked.training, "mlp/training.py"
    ),
    Bench("callback", "bench_callback.py", "callback.json", speed_asked.callback, NN),
    Bench("whole networks", "bench_network.py", "network.json", speed_asked.network, NN),
    Bench(
        "large line graphs", "bench_networks.py", "networks.json", speed_asked.networks, "linegraph"
    ),
    Bench("reduction", "bench_reduction.py", "reduction.json", speed_asked.reduction, "reduction"),
    Bench("rankings", "bench_rank.py", "rank.json", speed_asked.ranking, "predict report"),
    Bench(
        "predictors", "bench_predictors.py", "predictors.json", speed_asked.predictors, "predict"
    ),
    Bench(
        "a study's overhead",
        "bench_studies.py --part overhead",
        "studies.json",
        speed_asked.overhead,
        "studies nn/training",
        "overhead",
    ),
    Bench(
        "stored records",
        "bench_studies.py --part load",
        "studies.json",
        speed_asked.load,
        "studies/store.py studies/index.py studies/record.py studies/record_file.py _files.py",
        "load",
    ),
    Bench(
        "scheduling",
        "bench_studies.py --part schedule",
        "studies.json",
        speed_asked.schedule,
        "studies",
        "schedule",
    ),
)


def collect(folder):
    """Return all rows as plain dictionaries, with their command, machine and date.

    A benchmark whose results are missing or of another format has one row, whose ``problem`` says
    so; that of all others is empty.
    """
    rows = []
    for bench in BENCHES:
        about = {"command": f"python validation/{bench.script}", "problem": ""}
        try:
            result = read(folder / bench.file, bench.part)
            found = [asdict(row) for row in bench.read(result)]
            where = measured(result)
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            rows.append({"what": bench.title, **about, "problem": problem(bench, error)})
            continue
        rows += [{**row, **about, **where, "older": False} for row in found]
    return rows


def with_ages(rows):
    """Mark the rows whose code has been committed to since they were measured."""
    changed = {f"python validation/{bench.script}": last_commit(bench.code) for bench in BENCHES}
    return [
        row if row["problem"] else {**row, "older": row["date"] < changed[row["command"]]}
        for row in rows
    ]


def last_commit(code):
    """Return when some of edgedyn's files were last committed to, in UTC; '' without git."""
    paths = [f"edgedyn/{path}" for path in code.split()]
    command = ["git", "log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%S+00:00"]
    done = subprocess.run(
        [*command, "--", *paths],
        capture_output=True,
        text=True,
        cwd=HERE.parent,
        env={**os.environ, "TZ": "UTC"},
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def read(path, part):
    """Return the results in a file, or one part of them."""
    result = json.loads(path.read_text("utf-8"))
    return result[part] if part else result


def measured(result):
    """Return on what and when results were measured."""
    about = result["environment"]
    load = result.get("load_at_start")
    return {
        "cpu": about["cpu"],
        "cores": about["cores"],
        "date": about["date"],
        "load_at_start": load[0] if isinstance(load, list) else load,
    }


def problem(bench, error):
    """Say what is wrong with a results file."""
    if isinstance(error, FileNotFoundError):
        return f"results/{bench.file} is missing"
    if isinstance(error, KeyError) and error.args == (bench.part,):
        return f"results/{bench.file} has no part {bench.part!r}"
    return f"results/{bench.file} cannot be read ({type(error).__name__}: {error})"


VERDICTS = {True: "yes", False: "**missed**", None: "-"}


def table(rows):
    """Return the rows as Markdown, ratios first."""
    lines = [
        "| what | ratio | ours | competitor | asked for (issue) | met | command | measured |",
        "|---|---:|---:|---|---|---|---|---|",
    ]
    for r in rows:
        if r["problem"]:
            lines.append(
                f"| {r['what']} | | | | | **not measured** | `{r['command']}` | {r['problem']} |"
            )
            continue
        age = ", **older than its code**" if r["older"] else ""
        busy = "" if r["load_at_start"] is None else f", load {r['load_at_start']:.1f}"
        asked = f"{r['asked'] or 'the figure'} ({r['issue']})"
        lines.append(
            f"| {r['what']} | {r['ratio']:.3g} {r['unit']} | {r['ours']} | {r['competitor']} "
            f"| {asked} | {VERDICTS[r['met']]} | `{r['command']}` "
            f"| {r['date'][:10]}, {r['cores']} x {r['cpu']}{busy}{age} |"
        )
    return "\n".join(lines)


def counts(rows):
    """Return how many thresholds are met, and the missed ones."""
    asked = [r for r in rows if r.get("met") is not None]
    missed = [r for r in asked if not r["met"]]
    text = f"{len(asked) - len(missed)} of {len(asked)} figures with a threshold meet it"
    gone = sum(bool(r["problem"]) for r in rows)
    text += f"; {gone} of {len(BENCHES)} benchmarks have no results." if gone else "."
    if missed:
        lines = (
            f"- {r['what']}: {r['ratio']:.3g} {r['unit']}, {r['ours']} (competitor: "
            f"{r['competitor']}; asked: {r['asked']})"
            for r in missed
        )
        text += "\n\n**Missed:**\n\n" + "\n".join(lines)
    return text


def written_between(text, new):
    """Return a page with what stands between the two marks replaced.

    Raises
    ------
    ValueError
        Where the page does not have each mark once, in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in before + after:
        raise ValueError(f"README.md must have the marks {BEGIN} and {END} once, in this order.")
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def run_all():
    """Run every benchmark in turn; return the command lines of those that failed."""
    failed = []
    if not BEGUN.exists():
        write_text(BEGUN, datetime.now(UTC).isoformat(timespec="seconds") + "\n")
    begun = BEGUN.read_text("utf-8").strip()
    for bench in BENCHES:
        print(f"--- {bench.script}", flush=True)
        if since(bench, begun):
            print("measured already", flush=True)
            continue
        script, *options = bench.script.split()
        code = subprocess.run([sys.executable, str(HERE / script), *options]).returncode
        if code:
            failed.append(bench.script)
    BEGUN.unlink()
    return failed


def since(bench, begun):
    """Tell whether a benchmark's results are of the run that began then."""
    try:
        return measured(read(HERE / "results" / bench.file, bench.part))["date"] >= begun
    except (OSError, ValueError, KeyError, TypeError):
        return False


def main():
    """Run unless told not to, collect, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collect", action="store_true", help="run nothing")
    collect_only = parser.parse_args().collect
    readme = HERE / "README.md"
    page = readme.read_text("utf-8")
    written_between(page, "")  # before an hour of work
    failed = [] if collect_only else run_all()
    rows = with_ages(collect(HERE / "results"))
    result = {"rows": rows, "environment": environment()}
    write_text(HERE / "results" / "performance.json", to_json(result) + "\n")
    write_text(readme, written_between(page, f"\n{counts(rows)}\n\n{table(rows)}\n"))
    print(counts(rows))
    for script in failed:
        print(f"failed, former results kept: {script}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
