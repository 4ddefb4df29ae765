"""The example study of ``edgedyn select --init``, killed twice on the way, ends as if it were not.

    python validation/select_killed.py

Runs the command in a process of its own: uninterrupted, then killed twice (``kill -9``, at moments
drawn from a seed) and called again each time; first with spawned processes, then with Dask. Writes
results/select_killed.json. About six minutes on two cores.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.studies import load_records
from edgedyn.studies.journal import Journal

RESULTS = Path(__file__).parent / "results" / "select_killed.json"
ENGINES = {"processes": ["--workers", "2"], "dask": ["--workers", "2", "--dask", "local"]}


def select(folder: Path, options: list[str], kill_after: float | None = None) -> float:
    """Run the command, maybe not to its end; return the seconds."""
    command = [sys.executable, "-m", "edgedyn.cli", "select", str(folder / "study.toml"), *options]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        code = process.wait(kill_after)
        if code or kill_after is not None:
            raise SystemExit(f"the study ended with code {code} after {kill_after} s")
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return time.perf_counter() - began


def epochs(folder: Path) -> int:
    """Return how many epochs of all trials have ended, so that a kill can be seen to disturb."""
    return sum(len(Journal(p).epochs) for p in (folder / "digits-study" / "trials").glob("*"))


def outcome(folder: Path) -> dict[str, object]:
    """Return the ranking, and every number of the records that a rerun must repeat."""
    study = folder / "digits-study"
    records = {
        f"{r.model}, seed {r.seed}": [
            [e.train_loss, e.val_accuracy, e.test_accuracy, e.beta_eff] for e in r.epochs
        ]
        for r in load_records(study)
    }
    return {"ranking": (study / "ranking.csv").read_text(), "records": records}


def main() -> None:
    """Run all and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    draw = np.random.default_rng(seed)
    results: dict[str, object] = {"seed": seed}
    whole = None
    for name, options in ENGINES.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            subprocess.run(
                [sys.executable, "-m", "edgedyn.cli", "select", "--init", folder / "study.toml"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            row: dict[str, Any] = {}
            if whole is None:
                row["uninterrupted_seconds"] = select(folder, options)
                whole = outcome(folder)
                results["ranking"] = whole["ranking"].splitlines()
                for path in (folder / "digits-study",):
                    path.rename(folder / "uninterrupted")
            kills = draw.uniform([12, 15], [20, 30]).tolist()
            row["killed_after"], row["epochs_when_killed"] = [], []
            for after in kills:
                row["killed_after"].append(select(folder, options, after))
                row["epochs_when_killed"].append(epochs(folder))
            row["last_run_seconds"] = select(folder, options)
            found = outcome(folder)
            row["same_ranking"] = found["ranking"] == whole["ranking"]
            row["same_records_to_the_last_bit"] = to_json(found) == to_json(whole)
            results[name] = row
            print(name, row)
    results["environment"] = environment()
    write_text(RESULTS, to_json(results) + "\n")


if __name__ == "__main__":
    main()
