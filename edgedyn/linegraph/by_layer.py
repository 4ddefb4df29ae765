"""The line graph of a large network as a small graph: one node a layer."""

from collections import Counter
from typing import TYPE_CHECKING

from edgedyn.linegraph.attributes import SPACING, WIDTH, text
from edgedyn.linegraph.counting import crossed, exact_dot, in_groups
from edgedyn.linegraph.index import NodeIndex
from edgedyn.linegraph.reach import Reach

if TYPE_CHECKING:
    import networkx as nx


def layer_graph(index: NodeIndex, reach: Reach) -> "nx.DiGraph":
    """See `LineGraph.layer_graph`."""
    import networkx as nx

    found: nx.DiGraph = nx.DiGraph()
    names = [index.name(layer) for layer in range(1, index.n_layers + 1)]
    often = Counter(names)
    edges = _sums(reach)
    total = sum(links for links, _, _ in edges.values())
    products = sum(product for _, _, product in edges.values())
    sent = dict.fromkeys(range(1, index.n_layers + 1), 0)
    for (_, source), (_, _, product) in edges.items():
        sent[source] += product
    for layer, name in enumerate(names, 1):
        distinct = name if often[name] == 1 else f"{name} ({layer})"
        found.add_node(
            layer,
            label=distinct,
            name=distinct,
            layer=layer,
            n_nodes=index.layer_nodes(layer),
            shape=text(index.layers[layer - 1].kernel_shape),
            beta_share=sent[layer] / products if products else 0.0,
            x=round(WIDTH * 10 * SPACING * (layer - 1), 1),
            y=float(_offset(layer, index.n_layers)),
        )
    for (target, source), (links, paths, product) in edges.items():
        found.add_edge(
            source,
            target,
            weight=float(links),
            links=links,
            link_share=links / total,
            multiplicity=paths,
            beta_share=product / products if products else 0.0,
        )
    return found


def _offset(layer: int, n_layers: int) -> int:
    """Return the height of a layer: on an arc, so that links past a layer do not hide behind it."""
    return 4 * SPACING * (layer - 1) * (n_layers - layer)


def _sums(reach: Reach) -> dict[tuple[int, int], tuple[int, int, int]]:
    """Return links, paths and the sum of the senders' in-degrees over the links, by layers.

    The last, over all pairs and divided by all links, is beta_eff. All are exact integers.
    """
    found: dict[tuple[int, int], tuple[int, int, int]] = {}
    into = in_groups(reach, "links")
    for block in reach.blocks:
        entries, target = block.source.entries, block.target.entries
        out = {v: block.counts(v).T @ target.ending for v in ("links", "multiplicities")}
        members = entries.members(entries.starts)
        received = into[block.source][entries.ends.of]
        product = crossed(entries.shape, received, out["links"][entries.starts.of])
        paths = exact_dot(out["multiplicities"], members)
        pair = (block.target.layer, block.source.layer)
        before = found.get(pair, (0, 0, 0))
        found[pair] = (before[0] + block.n_links, before[1] + paths, before[2] + product)
    return found
