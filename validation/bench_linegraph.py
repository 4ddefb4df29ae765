"""What building the line graph of an MLP costs, beside igraph, networkx and a sparse product.

All routes run in one process in turn, round after round; a ratio is the median of the rounds'
ratios. Yardstick: a plain fill of the index array, the least any CSR builder can do. The routes
do not yield the same: "structure" is CSR index arrays, "to_scipy" those plus the ones; the sparse
product (of int8 head and tail incidence matrices with int32 indices, made beforehand) is CSR with
data and unsorted indices; igraph and networkx yield their own graphs (the neuron graph made
beforehand). Run: ``python validation/bench_linegraph.py``; igraph is optional.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter

import networkx as nx
import numpy as np
from scipy.sparse import csr_array

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.linegraph.matrix import structure

try:
    import igraph
except ImportError:
    igraph = None

LARGE, SMALL = [784, 300, 100, 10], [64, 48, 32, 10]
ROUNDS = 7


def incidences(gb):
    """Tail and head neuron of every node of G_B, as sparse matrices (nodes, neurons)."""
    starts = np.concatenate([[0], np.cumsum(gb.sizes)])
    tails, heads = [], []
    for layer, (n_in, n_out) in enumerate(zip(gb.sizes[:-1], gb.sizes[1:], strict=True)):
        tails.append(np.tile(np.arange(n_in), n_out) + starts[layer])
        heads.append(np.repeat(np.arange(n_out), n_in) + starts[layer + 1])
    tail, head = (np.concatenate(part).astype(np.int32) for part in (tails, heads))
    rows, ones = np.arange(gb.n_nodes + 1, dtype=np.int32), np.ones(gb.n_nodes, np.int8)
    shape = (gb.n_nodes, starts[-1])
    return tail, head, csr_array((ones, tail, rows), shape), csr_array((ones, head, rows), shape)


def written_once(n_links):
    """Write the bytes of a float64 matrix with int32 indices, half of them in either thread."""

    def half(size):
        part = np.empty(size, np.uint8)
        part.fill(1)
        return part

    with ThreadPoolExecutor(2) as two:
        return list(two.map(half, [n_links * (4 + 8) // 2] * 2))


def routes(gb, with_networkx):
    """Every way to build the links, by name."""
    tail, head, T, H = incidences(gb)
    tail_transposed = T.T.tocsr()
    reach, kind = gb.reach, np.dtype(np.int32)
    ways = {
        "fill": lambda: np.empty(gb.n_links, np.int32).fill(1),
        "structure": lambda: structure(
            reach.parameters, reach.blocks, gb.n_nodes, gb.n_links, 0, kind
        ),
        "to_scipy int8": lambda: gb.to_scipy(dtype=np.int8),
        "to_scipy float32": lambda: gb.to_scipy(dtype=np.float32),
        "to_scipy float64": gb.to_scipy,
        "roofline": lambda: written_once(gb.n_links),
        "sparse product int8": lambda: H @ tail_transposed,
    }
    if igraph is not None:
        graph = igraph.Graph(n=T.shape[1], edges=np.column_stack([tail, head]), directed=True)
        ways["igraph"] = graph.linegraph
    if with_networkx:
        neurons = gb.ga()
        ways["networkx"] = lambda: nx.line_graph(neurons)
    return ways


def check_agreement(gb, ways):
    """Every route must find the same links before it is timed."""
    P = gb.to_scipy()
    product = ways["sparse product int8"]()
    product.sort_indices()
    assert np.array_equal(product.indptr, P.indptr)
    assert np.array_equal(product.indices, P.indices)
    if "igraph" in ways:
        found = ways["igraph"]()
        assert found.ecount() == gb.n_links
        if "networkx" in ways:  # small enough for a set of pairs; igraph's links run forward
            links = P.tocoo()
            backward = zip(links.row.tolist(), links.col.tolist(), strict=True)
            assert set(found.get_edgelist()) == set(backward)
    if "networkx" in ways:
        assert ways["networkx"]().number_of_edges() == gb.n_links


def measure(sizes, with_networkx):
    """Time every route in turn; seconds, and ratios to the fill and of igraph to each."""
    gb = ed.line_graph(sizes)
    ways = routes(gb, with_networkx)
    check_agreement(gb, ways)
    seconds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        # igraph's memory has gone back to the machine, or to the one below it: whoever comes first
        # after it would pay for getting so much again.
        written_once(gb.n_links)
        for name, build in ways.items():
            start = perf_counter()
            built = build()
            seconds[name].append(perf_counter() - start)
            del built

    def ratio(of, to):
        return median(a / b for a, b in zip(seconds[of], seconds[to], strict=True))

    slow = [name for name in ("igraph", "networkx") if name in ways]
    return {
        "sizes": sizes,
        "nodes": gb.n_nodes,
        "links": gb.n_links,
        "median_seconds": {name: median(values) for name, values in seconds.items()},
        "times_the_fill": {name: ratio(name, "fill") for name in ways},
        **{f"faster_than_{s}": {name: ratio(s, name) for name in ways} for s in slow},
    }


def main():
    """Measure a large and a small network and write the results."""
    if igraph is None:
        print("igraph is not installed: left out.")
    results = [measure(LARGE, with_networkx=False), measure(SMALL, with_networkx=True)]
    path = Path(__file__).parent / "results" / "linegraph.json"
    about = {"environment": environment(), "rounds": ROUNDS}
    about["igraph"] = None if igraph is None else igraph.__version__
    write_text(path, to_json({**about, "results": results}))
    for row in results:
        print(f"{row['sizes']}: {row['links']:,} links")
        for name, value in row["median_seconds"].items():
            over = row.get("faster_than_igraph", {}).get(name)
            faster = "" if over is None else f", {over:8.1f} times faster than igraph"
            print(f"  {name:20s}{value:10.5f} s = {row['times_the_fill'][name]:7.2f} fills{faster}")


if __name__ == "__main__":
    main()
