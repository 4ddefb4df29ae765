"""What the line graph of a convolutional network costs, and how it grows.

Large networks: link count, unweighted beta_eff and all degrees, each network in a process of its
own so that its peak memory can be told; the Keras model is made beforehand and timed apart. The
explicit matrix of a small network: times the plain fill of its index array, in one process in turn,
medians of the rounds' ratios. Growth: the slope of log seconds against log width, depth or image
size over the given range, counts and explicit matrix apart (flattened at the
end for the image size, globally pooled for width and depth). Run:
``python validation/bench_networks.py`` (about two minutes on two cores; needs the extra tf).
"""

import json
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from time import perf_counter

import numpy as np

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.linegraph import Conv2D, Dense, Flatten, GlobalPooling, Network, Pooling

LARGE = ("VGG16", "ResNet152", "InceptionResNetV2")
ROUNDS = 7


def timed(work):
    """Return seconds and the result."""
    start = perf_counter()
    result = work()
    return perf_counter() - start, result


def large(name):
    """Measure one network; called in a process of its own."""
    from edgedyn.nn.models.backbones import architecture

    seconds = {}
    seconds["model"], model = timed(lambda: architecture(name))
    before = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    seconds["structure"], graph = timed(lambda: ed.line_graph(model))
    seconds["links"], links = timed(lambda: graph.n_links)
    seconds["beta_eff"], beta = timed(lambda: graph.beta_eff)
    seconds["in_degree"], into = timed(graph.in_degree)
    seconds["out_degree"], out = timed(graph.out_degree)
    assert int(into.sum()) == int(out.sum()) == links
    seconds["without_model"] = sum(v for k, v in seconds.items() if k != "model")
    return {
        "name": name,
        "n_nodes": graph.n_nodes,
        "n_links": links,
        "beta_eff": beta,
        "seconds": seconds,
        "peak_MiB_of_tensorflow_and_model": before,
        "peak_MiB": getrusage(RUSAGE_SELF).ru_maxrss / 1024,
    }


def cnn(side=28, width=8, depth=2, flat=True):
    """Return a plain network of 3x3 convolutions; flattened, or pooled globally at the end."""
    layers = [Conv2D(width, 3, padding="same", bias=False) for _ in range(depth)]
    head = [Pooling(2), Flatten()] if flat else [GlobalPooling()]
    return Network.sequential((side, side, 3), [*layers, *head, Dense(10)])


def explicit():
    """Time the matrix of a small network against the fill of its index array."""
    graph = ed.line_graph(cnn(side=28, width=32, depth=3))
    reach = graph.reach  # counted before, as everybody who asks for n_links has
    from edgedyn.linegraph.matrix import structure

    def arrays():
        return structure(
            reach.parameters, reach.blocks, graph.n_nodes, graph.n_links, 0, np.dtype("i4")
        )

    ways = {
        "fill": lambda: np.empty(graph.n_links, np.int32).fill(1),
        "index arrays": arrays,
        "to_scipy int8": lambda: graph.to_scipy(dtype=np.int8),
        "to_scipy float64": graph.to_scipy,
        "to_scipy multiplicities": lambda: graph.to_scipy("multiplicities"),
    }
    ways["index arrays"]()  # compiled
    ways["to_scipy multiplicities"]()
    seconds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, build in ways.items():
            seconds[name].append(timed(build)[0])
    ratios = {
        name: median(a / b for a, b in zip(values, seconds["fill"], strict=True))
        for name, values in seconds.items()
    }
    return {
        "n_nodes": graph.n_nodes,
        "n_links": graph.n_links,
        "median_seconds": {name: median(values) for name, values in seconds.items()},
        "times_the_fill": ratios,
    }


RANGES = {
    "width": [16, 32, 64, 128],
    "depth": [2, 4, 8, 16, 32],
    "side": [16, 32, 64, 128, 256],
}


def growth():
    """Return seconds and slopes against each size."""
    found = {}
    for what, values in RANGES.items():
        counting, building, links = [], [], []
        for value in values:
            network = cnn(**{what: value}, flat=what == "side")
            counting.append(min(timed(lambda n=network: ed.line_graph(n).moments())[0]
                                for _ in range(5)))  # fmt: skip
            graph = ed.line_graph(network)
            links.append(graph.n_links)
            building.append(min(timed(lambda g=graph: g.to_scipy(dtype=np.int8))[0]
                                for _ in range(3)))  # fmt: skip
        found[what] = {
            "values": values,
            "links": links,
            "seconds_counting": counting,
            "seconds_matrix": building,
            "exponent_links": slope(values, links),
            "exponent_counting": slope(values, counting),
            "exponent_matrix": slope(values, building),
        }
    return found


def slope(x, y):
    """Return the exponent of a power law by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def main():
    """Measure everything and write the results."""
    rows = []
    for name in LARGE:
        command = [sys.executable, __file__, name]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(run.stdout.splitlines()[-1]))
        print(f"{name}: {rows[-1]['seconds']['without_model']:.2f} s, {rows[-1]['peak_MiB']:.0f} "
              f"MiB ({rows[-1]['peak_MiB_of_tensorflow_and_model']:.0f} before)")  # fmt: skip
    results = {"large": rows, "explicit": explicit(), "growth": growth()}
    print(results["explicit"]["n_links"], results["explicit"]["times_the_fill"])
    for what, result in results["growth"].items():
        print(what, {k: round(v, 2) for k, v in result.items() if k.startswith("exponent")})
    path = Path(__file__).parent / "results" / "networks.json"
    write_text(path, to_json({"environment": environment(), "rounds": ROUNDS, **results}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(large(sys.argv[1])))
    else:
        main()
