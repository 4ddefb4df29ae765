"""A page about one line graph: weight by weight beside its network, or layer by layer if large."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn.report import html
from edgedyn.report.linegraph.channels import Array, describe, layer_geometries
from edgedyn.report.linegraph.layout import Drawing, draw

MOST_DRAWN_LINKS, MOST_DRAWN_NODES = 10_000, 2_000
MOST_DEGREES = 400  # different degrees on the curve of a degree distribution


def graph_page(graph: Any, values: ArrayLike | None = None, name: str | None = None) -> str:
    """Return a self-contained, interactive page about a line graph.

    Up to 10 000 links between 2000 nodes every weight is shown beside the network, beyond that
    every layer. The strengths P of an `Interaction` become the weights of the links. `values` are
    those of the parameters in the order of the nodes; ValueError for another shape, or where one is
    not finite. The title has the network's `name`, by default its sizes.
    """
    interaction = graph if hasattr(graph, "strength") else None
    graph = graph if interaction is None else interaction.graph
    if values is not None:
        values = np.asarray(values, float)
        if values.shape != (graph.n_nodes,) or not np.isfinite(values).all():
            raise ValueError(
                f"values must hold one finite number for each of the {graph.n_nodes} nodes, in "
                f"their order; got shape {values.shape}."
            )
    if not name:  # a perceptron's sizes are its name
        sizes = getattr(graph, "sizes", None)
        name = "-".join(map(str, sizes)) if sizes else f"a network of {graph.n_layers} layers"
    if graph.n_links <= MOST_DRAWN_LINKS and graph.n_nodes <= MOST_DRAWN_NODES:
        return _page_of_weights(graph, interaction, values, name)
    return _page_of_layers(graph, interaction, name)


def _page_of_weights(graph: Any, interaction: Any, values: Array | None, name: str) -> str:
    """Return the page on which every weight can be chosen."""
    links = graph.to_scipy("multiplicities", dtype=np.int64).tocoo()
    targets, sources = (np.asarray(c, np.int64) for c in links.coords)
    drawing = draw(graph, targets, sources)
    labels = [graph.index.label(node) for node in range(graph.n_nodes)]
    several = bool((links.data > 1).any())
    data = {
        **vars(drawing),
        "layers": _layers(graph),
        "labels": labels,
        "values": values,
        "links": {
            "source": sources,
            "target": targets,
            "multiplicity": links.data if several else None,
            # The matrix of strengths holds the graph's own links, in the same order.
            "strength": None if interaction is None else interaction.to_scipy().data,
        },
    }
    head, rows = _table_of_weights(graph, drawing, labels, values)
    return _page(
        name, "graph", graph, interaction, data, head=head, rows=rows, layers=data["layers"],
        circles=_circles(drawing), several=several, stacked=len(drawing.columns) > 7,
    )  # fmt: skip


def _circles(drawing: Drawing) -> str:
    """Say what the vertices of G_A are."""
    kinds = {kind for *_, kind, _ in drawing.vertices}
    found = "Circles are neurons, the input on the left."
    if "channel" in kinds:
        found = (
            "Circles are neurons, squares channels of a convolution, which slides the same weights "
            "over all positions: a small grid of edges is its kernel from one channel to another."
        )
    if "constant" in kinds:
        found += " Grey squares are the constants behind biases."
    if drawing.joints:
        found += " Dotted lines are paths without weights, such as pooling and flattening."
    return found


def _table_of_weights(
    graph: Any, drawing: Drawing, labels: list[str], values: Array | None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the headings, and a row for each node."""
    names = [name for *_, name in drawing.vertices]
    columns: dict[str, Any] = {"weight": labels}
    columns["layer"] = [graph.index.name(graph.index.locate(k)[0]) for k in range(len(labels))]
    columns["from"] = [names[edge[2]] for edge in drawing.edges]
    columns["to"] = [names[edge[3]] for edge in drawing.edges]
    if values is not None:
        columns["value"] = [f"{v:.4g}" for v in values.tolist()]
    columns["in-degree"] = graph.in_degree().tolist()
    columns["out-degree"] = graph.out_degree().tolist()
    return list(columns), list(zip(*columns.values(), strict=True))


def _layers(graph: Any) -> list[dict[str, Any]]:
    """Return each layer's name, what it is, and which nodes are its."""
    found = []
    for k, geometry in enumerate(layer_geometries(graph), start=1):
        nodes = graph.index.layer_slice(k)
        name, size = graph.index.name(k), nodes.stop - nodes.start
        found.append({"name": name, "text": describe(geometry), "first": nodes.start, "size": size})
    return found


def _page_of_layers(graph: Any, interaction: Any, name: str) -> str:
    """Return the page on which every layer can be chosen."""
    layers = _layers(graph)
    pairs = graph.layer_links()
    into, out = [0] * len(layers), [0] * len(layers)
    for target, source, n in pairs:
        into[target - 1] += n
        out[source - 1] += n
    for k, layer in enumerate(layers):
        size = max(layer["size"], 1)
        layer |= {"nodes": f"{layer['size']:,} weights", "mean_in": into[k] / size}
        layer |= {"links_in": f"{into[k]:,}", "links_out": f"{out[k]:,}", "mean_out": out[k] / size}
    if interaction is not None:
        degrees = {"in": interaction.in_degree(), "out": interaction.out_degree()}
        for k, layer in enumerate(layers, start=1):
            nodes = graph.index.layer_slice(k)
            layer |= {f"strength_{way}": float(d[nodes].sum()) for way, d in degrees.items()}
    data = {
        "layers": layers,
        "pairs": [(a - 1, b - 1, n, f"{n:,}") for a, b, n in pairs],
        "strength": None if interaction is None else interaction.strength,
        "degrees": {way: _shares(*graph.degree_distribution(way)) for way in ("in", "out")},
    }
    rows = [
        (k, v["name"], v["text"], f"{v['size']:,}", v["links_in"], v["links_out"])
        for k, v in enumerate(layers, start=1)
    ]
    return _page(
        name, "layers", graph, interaction, data, rows=rows,
        head=("layer", "name", "what", "nodes", "links in", "links out"),
        most_drawn=(MOST_DRAWN_LINKS, MOST_DRAWN_NODES),
    )  # fmt: skip


def _shares(degrees: Array, counts: Array) -> list[tuple[int, float]]:
    """Return (degree, share of the nodes with it or more), thinned out where there are many."""
    shares = np.cumsum(counts[::-1].astype(float))[::-1] / counts.sum(dtype=float)
    found = [(int(d), s) for d, s in zip(degrees, shares.tolist(), strict=True) if d > 0]
    step = max(1, -(-len(found) // MOST_DEGREES))
    return found[::-1][::step][::-1]


def _page(
    name: str, kind: str, graph: Any, interaction: Any, data: dict[str, Any], **values: Any
) -> str:
    """Return a page with D3 and one script of ours, of the same name as its template."""
    into = interaction.in_degree() if interaction is not None else np.zeros(1)
    # None where P is not known, or 0 all over.
    beta_by_p = float(interaction.out_degree() @ into / into.sum()) if into.sum() else None
    body = html.render(
        f"{kind}.html", name=name, graph=graph, interaction=interaction, beta_by_p=beta_by_p,
        data=html.data_block("data", data), **values,
    )  # fmt: skip
    return html.page(
        f"Line graph of {name}",
        body,
        scripts=[html.vendored("d3"), html.asset("common.js"), html.asset(f"{kind}.js")],
        styles=["common.css", "graph.css"],
    )
