"""What `ed.rank` and `edgedyn report` take: 17 candidates, three seeds, beside the code before.

    python validation/bench_rank.py [--rounds 5]

Three methods and 1000 draws, on the committed records of the zoo (cifar100-a); the report is a
whole process. Both also by the code of commit BEFORE, which fitted line by line and resampled draw
by draw. ``seconds`` is on the clock, ``processor`` what was computed, which a busy machine hardly
stretches: the ratios are of the latter. Medians of rounds, each a process of its own, old and new
code in turn.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from edgedyn._environment import environment
from edgedyn._files import to_json, write_text

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "papers" / "jiang2024" / "records" / "cifar100-a"
RESULTS = Path(__file__).parent / "results" / "rank.json"
BEFORE, ROUNDS = "6a87159", 5
METHODS = ("capacitance", "pooled", "last_value")
# The first call in a process loads what it needs; a later one only ranks.
RANK = """
import json, sys
from time import perf_counter, process_time
import edgedyn as ed
records = ed.load_records(sys.argv[1])
found = {}
for name in ("rank, first call", "rank, second call"):
    clock, processor = perf_counter(), process_time()
    ed.rank(records, METHODS, n_validation=500, n_bootstrap=1000)
    found[name] = perf_counter() - clock, process_time() - processor
print(json.dumps(found))
""".replace("METHODS", repr(METHODS))
REPORT = """
import json, resource, subprocess, sys
from time import perf_counter
code = "from edgedyn.cli import main; main(['report', *__import__('sys').argv[1:]])"
clock = perf_counter()
subprocess.run([sys.executable, "-c", code, sys.argv[1], "--out", sys.argv[2]],
               check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"report": (perf_counter() - clock, used.ru_utime + used.ru_stime)}))
"""


def measured(package, page):
    """Return seconds on the clock and of the processor, by what was done, of one round."""
    found = {}
    for code in (RANK, REPORT):
        done = subprocess.run(
            [sys.executable, "-c", code, str(RECORDS), str(page)],
            env={**os.environ, "PYTHONPATH": str(package)},
            cwd=page.parent,
            capture_output=True,
            text=True,
            check=True,
        )
        found |= json.loads(done.stdout)
    return found


def extracted(folder):
    """Put the package as it was into a folder, and return that."""
    folder.mkdir()
    archive = folder / "before.tar"
    command = ["git", "archive", "--output", str(archive), BEFORE, "edgedyn"]
    subprocess.run(command, cwd=ROOT, check=True)
    subprocess.run(["tar", "-xf", archive.name], cwd=folder, check=True)
    return folder


def main():
    """Measure both in turn, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        codes = {"now": ROOT, "before": extracted(Path(folder) / "before")}
        page = Path(folder) / "report.html"
        runs = {name: [] for name in codes}
        for _ in range(rounds):
            for name, package in codes.items():
                runs[name].append(measured(package, page))
    result = {
        "candidates": 17,
        "seeds": 3,
        "methods": METHODS,
        "draws": 1000,
        "seed": 0,
        "rounds": rounds,
        "load_at_start": load,
        "before_commit": BEFORE,
        **{name: medians(found) for name, found in runs.items()},
        "environment": environment(),
    }
    write_text(RESULTS, to_json(result) + "\n")
    for what, now in result["now"].items():
        ratio = result["before"][what]["processor"] / now["processor"]
        clock, processor = now["seconds"], now["processor"]
        print(f"{what:18} {clock:.3f} s, processor {processor:.3f} s: {ratio:.1f} x")


def medians(found):
    """Return the medians over rounds."""
    return {
        what: {
            name: median(one[what][k] for one in found)
            for k, name in enumerate(("seconds", "processor"))
        }
        for what in found[0]
    }


if __name__ == "__main__":
    main()
