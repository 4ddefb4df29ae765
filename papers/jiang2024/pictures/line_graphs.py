"""The line graphs of the paper's 17 networks: nodes, links, moments of the degrees.

Each network as published (224x224 images, 227x227 for AlexNet, classifier of 1000 classes) and as a
feature extractor of 32x32 images (resized inside where the network has a larger minimum), with
kernels alone and with all trainable parameters as nodes. Every link counts once. Writes
``line_graphs.json`` and ``line_graphs.md`` beside this file. Run:
``python -m papers.jiang2024.pictures.line_graphs`` (about a minute on two cores).
"""

import gc
from math import prod
from pathlib import Path
from time import perf_counter

import keras

import edgedyn as ed
from edgedyn import nn
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.nn.models.backbones import architecture

HERE = Path(__file__).resolve().parents[1]


def models(name):
    """Yield both forms of a network."""
    side = 227 if name == "AlexNet" else 224
    yield f"{side}, top", lambda: architecture(name, (side, side, 3))
    yield "32", lambda: nn.backbone(name, weights=None, input_shape=(32, 32, 3))


def row(name, form, model):
    """Count one line graph with both kinds of nodes."""
    trainable = sum(prod(w.shape) for w in model.trainable_weights)
    kernels = sum(prod(w.shape) for w in model.trainable_weights if w.name.endswith("kernel"))
    found = []
    for nodes in ("kernels", "all"):
        start = perf_counter()
        graph = ed.line_graph(model, nodes=nodes)
        moments = graph.moments()
        seconds = perf_counter() - start
        into, members = graph.degree_distribution("in")
        out, _ = graph.degree_distribution("out")
        expected = trainable if nodes == "all" else kernels
        if graph.n_nodes != expected:
            raise ValueError(f"{name}: {graph.n_nodes} nodes, {expected} parameters of Keras")
        found.append(
            {
                "name": name,
                "form": form,
                "nodes": nodes,
                "trainable_parameters": trainable,
                "n_layers": graph.n_layers,
                "n_pairs": len(graph.pairs),
                "n_nodes": graph.n_nodes,
                "n_links": graph.n_links,
                "mean_strength": moments.mean_strength,
                "symmetry": moments.symmetry,
                "heterogeneity": moments.heterogeneity,
                "beta_eff": moments.beta_eff,
                "largest_in_degree": int(into[-1]),
                "largest_out_degree": int(out[-1]),
                "different_in_degrees": len(into),
                "isolated_from_above": int(members[0]) if into[0] == 0 else 0,
                "seconds": seconds,
            }
        )
    return found


def table(rows):
    """Return the rows as Markdown."""
    lines = [
        "| network | images | nodes are | layers | pairs | nodes | links | <s> | S | H "
        "| beta_eff | max in | max out |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        lines.append(
            f"| {r['name']} | {r['form']} | {r['nodes']} | {r['n_layers']} | {r['n_pairs']} "
            f"| {r['n_nodes']:,} | {r['n_links']:,} | {r['mean_strength']:.5g} "
            f"| {r['symmetry']:.4f} | {r['heterogeneity']:.5g} | {r['beta_eff']:.6g} "
            f"| {r['largest_in_degree']:,} | {r['largest_out_degree']:,} |"
        )
    return "\n".join(lines)


HEAD = """# Line graphs of the paper's 17 networks

Made by `python -m papers.jiang2024.pictures.line_graphs` from the networks Keras builds (AlexNet:
ours). "pairs" counts the pairs of layers joined by a parameter-free path, each of them a block of
P; every link counts once. With all nodes the number of nodes is that of the trainable parameters. A
batch norm as a layer of its own cuts paths: with all nodes most links then run between it and the
convolutions around it, one channel each, hence far fewer links.

"""


def main():
    """Count everything and write both files."""
    rows = []
    for info in nn.list_backbones():
        for form, build in models(info.name):
            rows += row(info.name, form, build())
            keras.backend.clear_session()
            gc.collect()
            print(f"{info.name} {form}: {rows[-2]['n_links']:,} links", flush=True)
    write_text(HERE / "line_graphs.json", to_json({"environment": environment(), "rows": rows}))
    write_text(HERE / "line_graphs.md", HEAD + table(rows) + "\n")


if __name__ == "__main__":
    main()
