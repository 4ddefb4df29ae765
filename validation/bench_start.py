"""What starting edgedyn costs: `import edgedyn`, `edgedyn --help`, and the demo from end to end.

    python validation/bench_start.py [--part import|help|demo]

Every run is a process of its own, in turn with its yardstick: for the import one that imports
numpy, for the help a bare Python. Medians: ``seconds`` on the clock and ``processor``, what was
computed, which a busy machine hardly stretches, both with Python's start; ``import_alone`` on the
clock without it. Parts that are not asked for keep their results.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from edgedyn._environment import environment
from edgedyn._files import to_json, write_text

RESULTS = Path(__file__).parent / "results" / "start.json"
ROUNDS = 15
CLOCKED = "from time import perf_counter as c; s = c(); import {}; print(c() - s)"
HELP = "from edgedyn.cli import main; main(['--help'])"


def run(code, folder=None):
    """Run Python code in a fresh process; return seconds, processor seconds, output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    seconds = perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor, done.stdout


def in_turn(codes):
    """Run several codes round after round; return medians by name."""
    for code in codes.values():
        run(code)  # once for the file system's cache and the byte code
    found = {name: [] for name in codes}
    for _ in range(ROUNDS):
        for name, code in codes.items():
            found[name].append(run(code))
    return {
        name: {"seconds": median(r[0] for r in runs), "processor": median(r[1] for r in runs)}
        | ({"import_alone": median(float(r[2]) for r in runs)} if "perf_counter" in code else {})
        for (name, runs), code in zip(found.items(), codes.values(), strict=True)
    }


def imports():
    """Time the import beside that of numpy."""
    return in_turn({name: CLOCKED.format(name) for name in ("edgedyn", "numpy")})


def shown_help():
    """Time the command line's help beside a bare start of Python."""
    return in_turn({"help": HELP, "python": "pass"})


def demo():
    """Time the demo once, as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, processor, _ = run("from edgedyn.cli import main; main(['demo'])", folder)
    return {"demo": {"seconds": seconds, "processor": processor}}


PARTS = {"import": imports, "help": shown_help, "demo": demo}


def main():
    """Measure one part or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, action="append")
    chosen = parser.parse_args().part or list(PARTS)
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for part in chosen:
        load = os.getloadavg()[0]
        results[part] = {
            **PARTS[part](),
            "rounds": 1 if part == "demo" else ROUNDS,
            "load_at_start": load,
            "environment": environment(),
        }
        for name, value in results[part].items():
            if isinstance(value, dict) and "seconds" in value:
                print(f"{name:10}" + "".join(f"  {k} {v:.3f} s" for k, v in value.items()))
        write_text(RESULTS, to_json(results) + "\n")


if __name__ == "__main__":
    main()
