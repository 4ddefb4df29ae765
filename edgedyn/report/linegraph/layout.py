"""Where G_A and G_B are drawn: neurons or channels in columns, nodes at the middles of edges.

G_A is drawn as it is connected by parameters. Each layer has a column of input channels and one of
output channels (neurons, where a layer has no positions), and each parameter is an edge between a
channel of either; a kernel's taps fan out into a small grid. Where the outputs of one layer are
the inputs of the next, one column serves both, as in a perceptron; elsewhere dotted joints show
which outputs the parameter-free operations between the layers lead to which inputs.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from edgedyn.report.linegraph.channels import Array, kernel_ends, layer_geometries

WIDTH, GAP, JOINT_GAP = 640.0, 3.0, 1.6  # pixels; widths of a layer and of a joint, relative
MARGIN, HEADER, LOWEST, HIGHEST = 24.0, 50.0, 150.0, 350.0
NODE_GAP, SPREAD = 14.0, 0.32  # between nodes side by side; their distance from the middle, at most


@dataclass(frozen=True)
class Drawing:
    """Places of everything in one coordinate system that both graphs share."""

    width: float
    height: float
    # Of G_A: x, y, radius, kind (neuron, channel or constant) and name.
    vertices: list[tuple[float, float, float, str, str]]
    # Headings of G_A: x, name, size, and whether above; those of inputs apart stand below.
    columns: list[tuple[float, str, str, bool]]
    bands: list[tuple[float, str, str]]  # headings of the layers of G_B: x, name, size
    # One a node of G_B: its place, the vertices its edge connects, whether that bends to pass here.
    edges: list[tuple[float, float, int, int, bool]]
    joints: list[tuple[int, int]]  # vertices connected by parameter-free operations
    radii: list[float]  # of the nodes of each layer


def draw(graph: Any, targets: Array, sources: Array) -> Drawing:
    """Place a line graph, whose links lead from `sources` to `targets`, and its network."""
    return _Layout(graph, targets, sources).drawing()


class _Column(NamedTuple):
    """Vertices of G_A above one another, layer by layer, and whether they are inputs alone."""

    head: str
    groups: list[list[int]]
    inputs: bool


class _Layout:
    """Gives numbers to vertices, then places to vertices, edges and columns."""

    def __init__(self, graph: Any, targets: Array, sources: Array) -> None:
        self.index = graph.index
        self.geometries = layer_geometries(graph)
        self.ends = [kernel_ends(g) for g in self.geometries]
        self.names = [graph.index.name(k + 1) for k in range(len(self.geometries))]
        self.biases = [self.index.layers[k].n_bias for k in range(len(self.names))]
        # Of each layer's nodes, the kernel first: input channel, -1 for a bias; output channel.
        both = list(zip(self.ends, self.biases, strict=True))
        self.sources = [np.append(ends.source, np.full(n, -1)) for ends, n in both]
        self.targets = [np.append(ends.target, np.arange(n)) for ends, n in both]
        self.layer = np.repeat(np.arange(len(both)), [len(nodes) for nodes in self.targets])
        links = [self.layer[targets], self.layer[sources]]
        links += [np.concatenate(self.targets)[targets], np.concatenate(self.sources)[sources]]
        # Which output channels of layer a lead to which input channels of layer b.
        self.pairs: dict[tuple[int, int], set[tuple[int, int]]] = {}
        for a, b, output, source in np.unique(np.column_stack(links), axis=0).tolist():
            self.pairs.setdefault((a, b), set()).add((output, source))
        self.before = {b: [a for a, c in self.pairs if c == b] for b in range(len(self.names))}
        self.after = {a: [b for c, b in self.pairs if c == a] for a in range(len(self.names))}
        depths = self._depths()
        # The layers of each column, from left to right.
        self.stages = [
            [k for k, d in enumerate(depths) if d == depth] for depth in range(max(depths) + 1)
        ]
        # Layers whose inputs are the outputs of another, one by one.
        self.merged = {
            b: a
            for (a, b), pairs in self.pairs.items()
            if self.before[b] == [a] and self.after[a] == [b]
            if self.geometries[a].n_out == self.geometries[b].n_in
            if all(i == j for i, j in pairs)
        }
        self.vertices: list[list[Any]] = []
        self.inputs: dict[int, list[int]] = {}
        self.outputs: dict[int, list[int]] = {}
        self.columns: list[_Column] = []
        self._number_vertices()

    def _depths(self) -> list[int]:
        """Return in which column of layers each layer stands."""
        kernels = [bool(g.kernel) for g in self.geometries]
        depth: list[int] = []
        for b in range(len(kernels)):
            least = -1 if not self.before[b] else 0
            depth.append(1 + max((depth[a] for a in self.before[b] if kernels[a]), default=least))
        for a in range(len(kernels)):  # a lone shift follows nothing; what it leads to, it precedes
            if not kernels[a]:
                depth[a] = min((depth[b] - 1 for b in self.after[a]), default=max(depth))
        return depth

    def _number_vertices(self) -> None:
        """Make the vertices, column by column: inputs and outputs of the layers of each depth."""
        for layers in self.stages:
            apart = [k for k in layers if k not in self.merged]
            if apart:
                first = not any(self.before[k] for k in apart)
                names = "input" if first else "into " + ", ".join(self.names[k] for k in apart)
                self.columns.append(_Column(names, [self._inputs_of(k) for k in apart], True))
            names = ", ".join(self.names[k] for k in layers)
            self.columns.append(_Column(names, [self._outputs_of(k) for k in layers], False))

    def _inputs_of(self, k: int) -> list[int]:
        """Make a layer's inputs, and the constant behind its biases."""
        kind, n = self._kind(k), self.geometries[k].n_in if self.geometries[k].kernel else 0
        name = f"{kind} {{}} into {self.names[k]}" if self.before[k] else "input {}"
        return self._read(k, self._new(kind, [name.format(j) for j in range(n)]))

    def _outputs_of(self, k: int) -> list[int]:
        """Make a layer's outputs; they may be the inputs of the next layer, too."""
        kind, n = self._kind(k), self.geometries[k].n_out
        new = self._new(kind, [f"{kind} {i} of {self.names[k]}" for i in range(n)])
        self.outputs[k] = new
        reader = next((b for b in self.after[k] if self.merged.get(b) == k), None)
        return new if reader is None else self._read(reader, new)

    def _read(self, k: int, inputs: list[int]) -> list[int]:
        """Set a layer's inputs, with the constant neuron behind its biases if these are nodes."""
        if self.biases[k]:
            inputs = inputs + self._new("constant", [f"the constant 1 of {self.names[k]}"])
        self.inputs[k] = inputs
        return inputs

    def _kind(self, k: int) -> str:
        """Tell neurons from channels, which have positions."""
        return "channel" if self.geometries[k].windows else "neuron"

    def _new(self, kind: str, names: list[str]) -> list[int]:
        """Append vertices; return their numbers."""
        start = len(self.vertices)
        self.vertices += [[0.0, 0.0, 0.0, kind, name] for name in names]
        return list(range(start, len(self.vertices)))

    # Places -------------------------------------------------------------------------------------

    def drawing(self) -> Drawing:
        """Place everything."""
        height = self._place_vertices()
        at = np.array([vertex[:2] for vertex in self.vertices])
        layers = [self._edges(k, at) for k in range(len(self.names))]
        edges = [edge for layer in layers for edge in layer]
        joints = {
            (self.outputs[a][i], self.inputs[b][j])
            for (a, b), pairs in self.pairs.items()
            if self.merged.get(b) != a
            for i, j in pairs
        }
        return Drawing(
            width=WIDTH,
            height=height,
            vertices=[tuple(vertex) for vertex in self.vertices],
            columns=self._headings(),
            bands=self._bands(np.array([edge[:2] for edge in edges])),
            edges=edges,
            joints=sorted(joints),
            radii=[
                _clipped(0.38 * _pitch(np.array([edge[:2] for edge in layer]), 18.0), 1.4, 7.0)
                for layer in layers
            ],
        )

    def _place_vertices(self) -> float:
        """Spread the columns over the width and each over the height; return that."""
        slots = [sum(map(len, c.groups)) + len(c.groups) - 1 for c in self.columns]
        grids = any(max(ends.taps) > 1 for ends in self.ends)
        inner = _clipped(62.0 * (max(slots) - 1), 250.0 if grids else LOWEST, HIGHEST)
        steps = [inner / max(n - 1, 1) for n in slots]
        least = min(steps)
        steps = [min(step, max(2.5 * least, 0.6 * step), 90.0) for step in steps]
        x = self._columns_x()
        for place, column, step, n in zip(x, self.columns, steps, slots, strict=True):
            y = HEADER + MARGIN + inner / 2 - step * (n - 1) / 2
            for group in column.groups:
                for vertex in group:
                    self.vertices[vertex][:3] = [place, round(y, 2), _clipped(0.33 * step, 2, 10)]
                    y += step
                y += step
        below = any(column.inputs for column in self.columns[1:])
        return inner + HEADER + (3 if below else 2) * MARGIN

    def _columns_x(self) -> list[float]:
        """Return the columns' places: wide gaps for parameters, narrow ones for joints."""
        at = [0.0]
        for column in self.columns[1:]:
            at.append(at[-1] + (JOINT_GAP if column.inputs else GAP))
        inner = WIDTH - 2 * (MARGIN + 14)
        return [round(MARGIN + 14 + inner * a / at[-1], 2) for a in at]

    def _edges(self, k: int, at: Array) -> list[tuple[float, float, int, int, bool]]:
        """Return a layer's edges in the order of its nodes: the kernel, then the biases."""
        ends, inputs, outputs = self.ends[k], np.array(self.inputs[k]), np.array(self.outputs[k])
        # The constant behind biases is the last of the inputs.
        source, target = self.sources[k] % max(len(inputs), 1), self.targets[k]
        a, b = at[inputs[source]], at[outputs[target]]
        # Beside the middle, else edges that cross there have their nodes in one place.
        lean = (target + 0.5) / len(outputs) - (source + 0.5) / len(inputs)
        gap = float(b[0, 0] - a[0, 0]) if len(a) else 0.0
        beside = min(SPREAD * gap, NODE_GAP / 2 * max(len(inputs), len(outputs)) * ends.taps[1])
        places = (a + b) / 2
        places[:, 0] += beside * lean * (min(len(inputs), len(outputs)) > 1)
        bent = np.zeros(len(places), bool)
        if max(ends.taps) > 1:
            kernel = len(ends.source)
            room = _pitch(np.unique(places.round(6), axis=0), 130.0)
            grid = (ends.tap - (np.array(ends.taps) - 1) / 2)[:, ::-1]
            places[:kernel] += grid * min(0.86 * room / max(ends.taps), 20.0)
            bent[:kernel] = True
        return [
            (round(x, 2), round(y, 2), int(inputs[s]), int(outputs[t]), bool(c))
            for (x, y), s, t, c in zip(places.tolist(), source, target, bent, strict=True)
        ]

    def _headings(self) -> list[tuple[float, str, str, bool]]:
        """Return what stands above each column of G_A, or below it."""
        found = []
        for number, column in enumerate(self.columns):
            members = [self.vertices[v] for group in column.groups for v in group]
            kinds = [kind for *_, kind, _ in members if kind != "constant"]
            kind = kinds[0] if len(set(kinds)) == 1 else "unit"
            size = f"{len(kinds)} {kind}{'' if len(kinds) == 1 else 's'}"
            above = number == 0 or not column.inputs
            found.append((members[0][0], _shortened(column.head), size, above))
        return found

    def _bands(self, places: Array) -> list[tuple[float, str, str]]:
        """Return what stands above the nodes of each depth in G_B."""
        found = []
        for layers in self.stages:
            here = places[np.isin(self.layer, layers), 0]
            names = ", ".join(self.names[k] for k in layers)
            found.append((round(float(here.mean()), 2), _shortened(names), f"{len(here):,} nodes"))
        return found


def _pitch(places: Array, most: float) -> float:
    """Return a distance below which few places have a neighbour, but not more than `most`."""
    from scipy.spatial import cKDTree

    if len(places) < 2:
        return most
    distances, _ = cKDTree(places).query(places, k=2)
    return min(float(np.quantile(distances[:, 1], 0.05)), most)


def _clipped(x: float, least: float, most: float) -> float:
    """Return a number within limits, to two decimals."""
    return round(min(max(x, least), most), 2)


def _shortened(name: str, most: int = 18) -> str:
    """Cut a long name."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
