"""What a steady state and a reduction cost, against scipy's integrators and against reading.

Mutualistic system on random directed networks, ten links a node. Steady state from the low and the
high start to a residual max |x'| / (1 + |f(x)|) of 1e-6, against scipy's steppers on the same
compiled right-hand side, stopped at the same residual, checked at every step; each at a coarse and
a fine tolerance, of which the one that gets there sooner counts. A stepper that has not got there
in time is given as a lower bound. BLAS has one thread, for all alike. Explicit methods at 100 000
nodes; LSODA and BDF at 2000, where their dense Jacobians fit. Growth: seconds and peak memory of a
process of its own for each size, to the default tolerance. Streaming: beta_eff of 1e8 links
(float64 weights, int32 indices, one million nodes) from memory maps against reading the same files
once, from disk where the system lets go of its cache and from the cache; and, as its roofline,
against nothing but the scattered additions that give the out-degrees, from the same maps. Run:
``python validation/bench_reduction.py`` (about eight minutes on two cores, 1.2 GB of temporary
files).
"""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np
import scipy.sparse as sp
from numba import njit
from scipy.integrate import BDF, DOP853, LSODA, RK23, RK45
from threadpoolctl import threadpool_limits

from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.reduction import mutualistic, reduce_csr, steady_state
from edgedyn.reduction.matrices import zeros

TOL = 1e-6
TOLERANCES = ((1e-4, 1e-7), (1e-8, 1e-10))
SIZES = (1_000, 10_000, 100_000, 1_000_000)
DENSE_SIZE = 2_000
LINKS_A_NODE = 10


def timed(work):
    """Return seconds and the result."""
    start = perf_counter()
    result = work()
    return perf_counter() - start, result


def network(n, seed=0):
    """Return a random directed network, ten links a node, of weight 1."""
    rng = np.random.default_rng(seed)
    m = LINKS_A_NODE * n
    pairs = (rng.integers(0, n, m), rng.integers(0, n, m))
    return sp.coo_array((np.ones(m), pairs), shape=(n, n)).tocsr()


def integrate(method, field, x0, tolerance, limit):
    """Step until the residual is reached or the time is over."""
    f = field.system.f
    calls = 0

    def rate(_, x):
        nonlocal calls
        calls += 1
        return field(x)

    start = perf_counter()
    stepper = method(rate, 0.0, x0, np.inf, rtol=tolerance[0], atol=tolerance[1])
    residual = np.inf
    with np.errstate(all="ignore"):
        while residual > TOL and perf_counter() - start < limit and stepper.status == "running":
            stepper.step()
            residual = float(np.max(np.abs(field(stepper.y)) / (1 + np.abs(f(stepper.y)))))
    return {
        "method": method.__name__,
        "rtol": tolerance[0],
        "seconds": perf_counter() - start,
        "reached": bool(residual <= TOL),
        "residual": residual,
        "evaluations": calls,
    }


def against_scipy(n, methods, limit):
    """Compare at one size, from both starts."""
    A, system = network(n), mutualistic()
    field = system.on(A)
    steady_state(network(100), system)  # compiled
    found = {}
    for start in ("low", "high"):
        ours = []
        for _ in range(3):
            seconds, state = timed(lambda s=start: steady_state(A, system, s, tol=TOL))
            ours.append(seconds)
        x0 = np.full(n, system.low if start == "low" else system.high(field.in_degree.max()))
        theirs = [
            integrate(method, field, x0, tolerance, limit)
            for method in methods
            for tolerance in TOLERANCES
        ]
        best = min(theirs, key=lambda r: (not r["reached"], r["seconds"]))
        found[start] = {
            "seconds": sorted(ours)[1],
            "status": state.status,
            "residual": state.residual,
            "evaluations": state.n_evaluations,
            "products": state.n_products,
            "scipy": theirs,
            "times_faster_than_best": best["seconds"] / sorted(ours)[1],
            "lower_bound": not best["reached"],
        }
        print(n, start, f"{found[start]['seconds']:.3f} s, best of scipy {best['method']} "
              f"{best['seconds']:.2f} s (reached: {best['reached']})")  # fmt: skip
    return found


def one_size(n):
    """Measure one size; called in a process of its own."""
    system = mutualistic()
    steady_state(network(100), system, "high")
    A = network(n)
    before = peak_memory()
    seconds, state = timed(lambda: steady_state(A, system, "high"))
    low_seconds, low = timed(lambda: steady_state(A, system, "low"))
    return {
        "n_nodes": n,
        "n_links": int(A.nnz),
        "seconds_high": seconds,
        "seconds_low": low_seconds,
        "status": [state.status, low.status],
        "residual": [state.residual, low.residual],
        "evaluations": [state.n_evaluations, low.n_evaluations],
        "MiB_before": before,
        "MiB_peak": peak_memory(),
        "MiB_matrix": (A.data.nbytes + A.indices.nbytes + A.indptr.nbytes) / 2**20,
    }


def peak_memory():
    """Return MiB; getrusage would tell the parent's, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def growth():
    """Return all sizes and exponents."""
    rows = []
    for n in SIZES:
        command = [sys.executable, __file__, str(n)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(run.stdout.splitlines()[-1]))
        print(n, {k: v for k, v in rows[-1].items() if k.startswith(("seconds", "MiB"))})
    exponents = {
        start: float(np.polyfit(np.log(SIZES), np.log([r[f"seconds_{start}"] for r in rows]), 1)[0])
        for start in ("low", "high")
    }
    return {"sizes": rows, "exponents": exponents}


def streaming(nodes=1_000_000, each=100):
    """Time reading three files and reducing them.

    In the cache a round takes a tenth of a second, and the out-degrees live in the last cache of
    the processor, which virtual machines share: others make some rounds slower and none faster. So
    more rounds there; the roofline is measured in each.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.npy" for name in ("data", "indices", "indptr")]
        write(files, nodes, each)
        reduce_csr(np.ones(2), np.array([1, 0], np.int32), np.array([0, 1, 2]))  # compiled

        ways = {
            "read": lambda: read(files),
            "reduce": lambda: reduce_csr(*(np.load(file, mmap_mode="r") for file in files)),
            "scattered": lambda: scattered(files[:2], nodes),
        }
        rows = []
        for source, rounds in (("disk", 3), ("cache", 9)):
            scattered(files[:2], nodes)  # compiled, and all that can be is in the cache
            for _ in range(rounds):
                row = {"source": source}
                for name, work in ways.items():
                    if source == "disk":
                        forget(files)
                    row[name], _ = timed(work)
                rows.append(row)
        beta = ways["reduce"]().beta_eff
        gigabytes = sum(file.stat().st_size for file in files) / 1e9
    cached = [row["reduce"] / row["read"] for row in rows if row["source"] == "cache"]
    print(f"streaming from the cache {min(cached):.2f}..{max(cached):.2f}, {gigabytes:.2f} GB")
    return {"links": nodes * each, "gigabytes": gigabytes, "beta_eff": beta, "rounds": rows}


def scattered(files, nodes):
    """Map files and add up the out-degrees, and nothing else: no checks, no in-degrees.

    For every link a cache line goes to and fro, and two cores share their last cache.
    """
    parts = zip(*(np.array_split(np.load(file, mmap_mode="r"), 2) for file in files), strict=True)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda part: add_scattered(*part, zeros(nodes)), parts))


@njit(nogil=True)
def add_scattered(weights, sources, out):
    """Add each weight to its source's sum."""
    for link in range(weights.size):
        out[sources[link]] += weights[link]


def write(files, nodes, each):
    """Write a CSR matrix with random columns and weights, block by block."""
    rng, links = np.random.default_rng(0), nodes * each
    data = np.lib.format.open_memmap(files[0], "w+", np.float64, (links,))
    indices = np.lib.format.open_memmap(files[1], "w+", np.int32, (links,))
    for start in range(0, links, 10**7):
        block = slice(start, min(start + 10**7, links))
        size = block.stop - block.start
        data[block], indices[block] = rng.random(size), rng.integers(0, nodes, size, np.int32)
    np.save(files[2], np.arange(nodes + 1, dtype=np.int64) * each)


def read(files):
    """Read files once, 4 MiB at a time."""
    buffer = bytearray(2**22)
    for file in files:
        with open(file, "rb", buffering=0) as handle:
            while handle.readinto(buffer):
                pass


def forget(files):
    """Ask the system to drop files from its cache."""
    os.sync()
    for file in files:
        with open(file, "rb") as handle:
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main():
    """Measure everything and write the results."""
    load = os.getloadavg()
    results = {
        "streaming": streaming(),
        "explicit_100000": against_scipy(100_000, (RK23, RK45, DOP853), limit=30),
        f"implicit_{DENSE_SIZE}": against_scipy(DENSE_SIZE, (LSODA, BDF), limit=30),
        "growth": growth(),
    }
    print(results["growth"]["exponents"])
    path = Path(__file__).parent / "results" / "reduction.json"
    write_text(
        path,
        to_json({"environment": environment(), "load_at_start": load, "tol": TOL, **results}),
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one_size(int(sys.argv[1]))))
    else:
        # One thread for all: on a machine that is shared, threads of BLAS wait for each other.
        with threadpool_limits(1, "blas"):
            main()
