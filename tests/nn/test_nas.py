"""NAS-Bench-201 in Keras: the coding, counts, values against plain numpy, links and beta_eff."""

import itertools
import json
import os
from ast import literal_eval
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
from dense_oracle import degrees  # noqa: E402
from keras import layers as kl  # noqa: E402

import edgedyn as ed  # noqa: E402
from edgedyn import nn  # noqa: E402
from edgedyn.nn.graph.extract import without_values  # noqa: E402
from edgedyn.nn.models.nas import cell_coding, cell_string  # noqa: E402

pytestmark = pytest.mark.tensorflow

EDGES = [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]
IDENTITY, ZERO, CONV3, CONV1, POOL = range(5)
ALL_CONV3 = (CONV3,) * 6
# Extreme cells: one operation alone, nodes that nothing reaches, nodes that lead nowhere.
EXTREME = [(k,) * 6 for k in range(5)] + [
    (2, 1, 1, 1, 1, 1),  # a convolution that leads nowhere
    (1, 1, 1, 2, 0, 3),  # no input at all, but parameters
    (1, 1, 0, 2, 2, 2),  # a path beside nodes that see zeros
    (1, 2, 1, 3, 4, 0),
    (0, 3, 4, 1, 2, 1),
]
STRATIFIED = [  # one for each number of convolutions and more, written by hand
    (0, 4, 1, 4, 0, 0),
    (2, 0, 4, 1, 0, 4),
    (3, 1, 0, 4, 2, 0),
    (2, 3, 0, 0, 1, 2),
    (3, 3, 1, 2, 4, 2),
    (2, 2, 3, 0, 3, 2),
    (3, 3, 3, 3, 3, 2),
]
# As Keras' Rescaling holds them: single precision.
SCALE = (1 / np.array([63.0, 62.1, 66.7])).astype("float32").astype(float)
OFFSET = (-np.array([125.3, 123.0, 113.9]) / [63.0, 62.1, 66.7]).astype("float32").astype(float)
SMALL = {"channels": 4, "n_cells": 1, "input_shape": (8, 8, 3)}
TINY = {"n_classes": 3, "channels": 1, "n_cells": 1, "input_shape": (4, 4, 3)}


def counts(cell, side=32, n_classes=10, channels=16, n_cells=5):
    """Trainable parameters and operations by hand, as the benchmark's tables count them.

    A multiply-add is one; a batch norm two an element, a ReLU one, an average pooling its window;
    the global pooling (side + 1)^2 a channel; no biases, no sums.
    """
    c, pixels = channels, side * side
    parameters, operations = 27 * c + 2 * c, (27 + 2) * c * pixels
    for stage in range(3):
        if stage:
            wide, few = 2 * c, pixels // 4
            parameters += 9 * c * wide + 9 * wide * wide + c * wide + 4 * wide
            operations += (9 * c * wide + 9 * wide * wide + c * wide) * few  # convolutions
            operations += 4 * wide * few + (c * pixels + wide * few) + 4 * c * few
            c, pixels = wide, few
        for taps in (9 if op == CONV3 else 1 for op in cell if op in (CONV3, CONV1)):
            parameters += n_cells * (taps * c * c + 2 * c)
            operations += n_cells * (taps * c * c + 3 * c) * pixels
        operations += cell.count(POOL) * n_cells * 9 * c * pixels
    parameters += 2 * c + (c + 1) * n_classes
    operations += 3 * c * pixels + c * n_classes + c * (side // 4 + 1) ** 2
    return parameters, operations


def counted(model):
    """Count the same of a Keras model, layer by layer."""
    parameters = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    operations = 0
    for layer in model.layers:
        _, *pixels, c = layer.output.shape
        elements = c * int(np.prod(pixels))
        if isinstance(layer, kl.Conv2D | kl.Dense):
            operations += int(np.prod(layer.kernel.shape[:-1])) * elements
        elif isinstance(layer, kl.BatchNormalization):
            operations += 2 * elements
        elif isinstance(layer, kl.ReLU):
            operations += elements
        elif isinstance(layer, kl.AveragePooling2D):
            operations += int(np.prod(layer.pool_size)) * elements
        elif isinstance(layer, kl.GlobalAveragePooling2D):
            operations += (layer.input.shape[1] + 1) ** 2 * c
    return parameters, operations


def random_values(model, seed=0, low=-1.0):
    """Give every parameter and statistic a value of its own."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = rng.uniform(low, 1.0, weight.shape)
        if "variance" in weight.path:
            value = 0.5 + np.abs(value)
        elif "mean" in weight.path and low > 0:
            value = np.zeros(weight.shape)
        elif "kernel" in weight.path:
            value = 2 * value / np.sqrt(np.prod(weight.shape[:-1]))
        weight.assign(value)
    return model


def leads_through(cell, operations=(IDENTITY, CONV3, CONV1, POOL)):
    """Whether a path of such operations leads from a cell's input to its output."""
    open_edges = {edge for edge, op in zip(EDGES, cell, strict=True) if op in operations}
    paths = ([(1, 4)], [(1, 2), (2, 4)], [(1, 3), (3, 4)], [(1, 2), (2, 3), (3, 4)])
    return any(open_edges.issuperset(path) for path in paths)


# The coding -------------------------------------------------------------------------------------

BY_HAND = [
    (
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|",
        (2, 1, 4, 0, 3, 1),
    ),
    (
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        (4, 3, 0, 1, 2, 2),
    ),
    ("|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|", (1, 1, 1, 1, 1, 2)),
    ("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|", (1, 1, 2, 1, 1, 1)),
    ("|none~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|none~2|", (1, 1, 1, 2, 1, 1)),
]


@pytest.mark.parametrize(("text", "numbers"), BY_HAND)
def test_both_forms_of_a_cell(text, numbers):
    assert cell_coding(text) == cell_coding(f" {text}\n") == numbers
    assert cell_string(numbers) == cell_string(text) == text
    for same in (list(numbers), np.array(numbers), str(numbers), str(list(numbers))):
        assert cell_coding(same) == numbers


def test_all_cells_go_round():
    cells = list(itertools.product(range(5), repeat=6))
    texts = [cell_string(cell) for cell in cells]
    assert len(set(texts)) == 15_625
    assert [cell_coding(text) for text in texts] == cells


BAD = [
    ((0, 1, 2), ValueError),
    ((0, 1, 2, 3, 4, 5), ValueError),
    ((0, 1, 2, 3, 4, -1), ValueError),
    ((0, 1, 2, 3, 4, 1.0), TypeError),
    ((0, 1, 2, 3, 4, True), TypeError),
    (7, TypeError),
    (None, TypeError),
    ("", ValueError),
    ("resnet", ValueError),
    ("(0, 1, 2, 3, 4, 5)", ValueError),
    ("|none~0|+|none~0|none~1|+|none~0|none~1|", ValueError),
    ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", ValueError),
    ("|none~0|+|none~0|none~1|+|none~0|none~1|max_pool~2|", ValueError),
    ("|none~0|none~0|+|none~1|+|none~0|none~1|none~2|", ValueError),
]


@pytest.mark.parametrize(("cell", "error"), BAD)
def test_what_is_no_cell_is_refused_in_one_sentence(cell, error):
    for ask in (nn.nas201, cell_coding, cell_string):
        with pytest.raises(error, match="there is no cell .*; give six numbers from 0 to 4") as e:
            ask(cell)
        assert repr(cell) in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_classes": 1}, ValueError, "n_classes must be at least 2; got 1"),
        ({"channels": 0}, ValueError, "channels must be at least 1"),
        ({"n_cells": 2.0}, TypeError, "n_cells must be an integer"),
        ({"input_shape": (30, 32, 3)}, ValueError, "multiples of 4; got"),
        ({"input_shape": (32, 32, 1)}, ValueError, "multiples of 4; got"),
        ({"input_shape": (None, None, 3)}, TypeError, "input_shape must be an integer; got None"),
        ({"input_shape": 32}, TypeError, "input_shape must be .height, width, 3.; got 32"),
    ],
)
def test_sizes_that_cannot_be(options, error, message):
    with pytest.raises(error, match=message):
        nn.nas201(ALL_CONV3, **options)


# Counts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", EXTREME + STRATIFIED)
def test_counts_of_one_cell_a_stage(cell):
    with without_values():
        model = nn.nas201(cell, 100, 8, 1, input_shape=(16, 16, 3))
    assert counted(model) == counts(cell, 16, 100, 8, 1)


@pytest.mark.parametrize(
    "cell", [ALL_CONV3, pytest.param((1, 1, 1, 2, 0, 3), marks=pytest.mark.slow), EXTREME[-1]]
)
def test_counts_and_line_graph_of_full_networks(cell):
    with without_values():
        model = nn.nas201(cell)
    assert model.output_shape == (None, 10)
    assert counted(model) == counts(cell)
    kernels = [w for w in model.weights if w.path.endswith("kernel")]
    assert ed.line_graph(model).n_nodes == sum(int(np.prod(w.shape)) for w in kernels)


def test_published_counts():
    assert counts(ALL_CONV3)[0] == 1_531_546  # Dong and Yang, ICLR 2020
    assert counts((0, 2, 3, 2, 3, 1)) == (615_386, 88_307_392)  # the table of NASLib


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("dataset", "side", "n_classes"),
    [("cifar10", 32, 10), ("cifar100", 32, 100), ("ImageNet16-120", 16, 120)],
)
def test_counts_are_those_of_the_whole_table(dataset, side, n_classes):
    folder = os.environ.get("EDGEDYN_DATA")
    if not folder:
        pytest.skip("set EDGEDYN_DATA to the folder of the shared real data")
    path = Path(folder) / "nas" / "nasbench201_724_archs_proxies_accuracy.json"
    rows = json.loads(path.read_text(encoding="utf-8"))[dataset]
    assert len(rows) >= 724
    for text, row in rows.items():
        cell = literal_eval(text)
        stated = (row["params"]["score"] * 1e6, row["flops"]["score"] * 1e6)
        assert counts(cell, side, n_classes) == pytest.approx(stated, rel=1e-12)
        if not leads_through(cell):  # the network knows nothing of the image
            assert row["val_accuracy"] == pytest.approx(100 / n_classes, rel=1e-6)


# Values -----------------------------------------------------------------------------------------


class Plain:
    """The published network in numpy, with a model's parameters."""

    def __init__(self, model, cell, n_cells=1):
        self.layers = {layer.name: layer for layer in model.layers}
        self.cell, self.n_cells = dict(zip(EDGES, cell, strict=True)), n_cells

    def conv(self, name, x, strides=1):
        kernel = self.layers[f"{name}_conv"].kernel.numpy()
        margin = len(kernel) // 2
        n, m = x.shape[1:3]
        x = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
        taps = itertools.product(range(len(kernel)), repeat=2)
        return sum(x[:, a : a + n : strides, b : b + m : strides] @ kernel[a, b] for a, b in taps)

    def bn(self, name, x):
        gamma, beta, mean, variance = (w.numpy() for w in self.layers[f"{name}_bn"].weights)
        return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    def relu_conv_bn(self, name, x, strides=1):
        return self.bn(name, self.conv(name, np.maximum(x, 0), strides))

    @staticmethod
    def pool(x):
        """Average over those of the nine neighbours that exist."""
        n, m = x.shape[1:3]
        out = np.empty_like(x)
        for i, j in itertools.product(range(n), range(m)):
            window = x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            out[:, i, j] = window.mean(axis=(1, 2))
        return out

    def node_sum(self, name, x):
        nodes = {1: x}
        for target in (2, 3, 4):
            nodes[target] = np.zeros_like(x)
            for source in range(1, target):
                op, edge = self.cell[source, target], f"{name}_{source}{target}"
                if op in (CONV3, CONV1):
                    nodes[target] += self.relu_conv_bn(edge, nodes[source])
                elif op != ZERO:
                    nodes[target] += self.pool(nodes[source]) if op == POOL else nodes[source]
        return nodes[4]

    def __call__(self, x):
        x = x * SCALE + OFFSET
        x = self.bn("stem", self.conv("stem", x))
        for stage in (1, 2, 3):
            if stage > 1:
                name = f"reduction{stage - 1}"
                y = self.relu_conv_bn(f"{name}_a", x, strides=2)
                y = self.relu_conv_bn(f"{name}_b", y)
                half = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
                x = self.conv(f"{name}_shortcut", half) + y
            for k in range(1, self.n_cells + 1):
                x = self.node_sum(f"stage{stage}_cell{k}", x)
        x = np.maximum(self.bn("last", x), 0).mean(axis=(1, 2))
        classifier = self.layers["classifier"]
        z = x @ classifier.kernel.numpy() + classifier.bias.numpy()
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("cell", [*EXTREME, (2, 3, 0, 4, 2, 0)])
def test_values_are_those_of_the_published_network(cell):
    n_cells = 2 if cell == EXTREME[-1] else 1
    model = random_values(nn.nas201(cell, **(SMALL | {"n_cells": n_cells})))
    x = np.random.default_rng(1).uniform(0, 255, (3, 8, 8, 3))
    found = keras.ops.convert_to_numpy(model(x, training=False))
    np.testing.assert_allclose(found, Plain(model, cell, n_cells)(x), rtol=1e-10)
    assert (np.ptp(found, axis=0).max() > 1e-3) == leads_through(cell)


def test_weights_are_drawn_as_in_the_published_training():
    keras.utils.set_random_seed(0)
    model = nn.nas201(ALL_CONV3, channels=8, n_cells=1, input_shape=(8, 8, 3))
    for layer in model.layers:
        if isinstance(layer, kl.Conv2D | kl.Dense):
            kernel = layer.kernel.numpy()
            limit = 1 / np.sqrt(np.prod(kernel.shape[:-1]))
            assert 0.9 * limit < np.abs(kernel).max() <= limit
    kernels = {w.numpy().ravel()[0] for w in model.weights if "kernel" in w.path}
    assert len(kernels) == sum("kernel" in w.path for w in model.weights)


def test_a_model_is_saved_and_loaded(tmp_path):
    model = nn.nas201(EXTREME[-3], **SMALL)
    x = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x), model(x))


# The line graph and beta_eff --------------------------------------------------------------------


def as_oracle(cell):
    """Return the network of one stage as `dense_oracle` reads it; zero edges are plain zeros."""
    operations = dict(zip(EDGES, cell, strict=True))

    def step(L, name, x):
        return L.bn(f"{name}_bn", L.conv(f"{name}_conv", kl.ReLU()(x), None, None))

    def one_cell(L, x, name):
        nodes = {1: x}
        for target in (2, 3, 4):
            nodes[target] = 0.0 * keras.ops.stop_gradient(x)
            for source in range(1, target):
                op, edge = operations[source, target], f"{name}_{source}{target}"
                if op in (CONV3, CONV1):
                    nodes[target] += step(L, edge, nodes[source])
                elif op == POOL:
                    nodes[target] += kl.AveragePooling2D(3, 1, "same")(nodes[source])
                elif op == IDENTITY:
                    nodes[target] += nodes[source]
        return nodes[4]

    def network(L, x):
        x = x * SCALE + OFFSET
        x = L.bn("stem_bn", L.conv("stem_conv", x, None, None))
        x = one_cell(L, x, "stage1_cell1")
        x = kl.GlobalAveragePooling2D()(kl.ReLU()(L.bn("last_bn", x)))
        return L.dense("classifier", x, None)

    return network


@pytest.mark.tensorflow_oracle
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("cell", [(0, 4, 3, 2, 1, 0), (1, 1, 4, 3, 0, 1)])
def test_degrees_are_those_of_dense_double_differentiation(cell, monkeypatch):
    monkeypatch.setattr(
        "edgedyn.nn.models.nas.STAGES", 1
    )  # the oracle is slow for each pair of layers
    model = random_values(nn.nas201(cell, **TINY))
    made = {layer.name: layer for layer in model.layers}
    x, y = np.random.default_rng(1).uniform(0, 255, (1, 4, 4, 3)), np.array([1])
    dense = degrees(as_oracle(cell), made, x, np.eye(3)[y], "magnitude", "kernels")
    P = nn.interaction(model, x, y, strength="magnitude", nodes="kernels", batch_size=1)
    names = [layer.name for layer in P.graph.index.layers]
    assert set(names) == set(dense)
    ins, outs = (np.concatenate([dense[name][k] for name in names]) for k in (0, 1))
    scale = max(ins.max(), outs.max())
    np.testing.assert_allclose(P.in_degree(), ins, rtol=1e-10, atol=1e-12 * scale)
    np.testing.assert_allclose(P.out_degree(), outs, rtol=1e-10, atol=1e-12 * scale)
    cap = nn.neural_capacitance(model, x, y, scope="network")
    assert cap.status in ("ok", "vanishing")
    assert cap.value == pytest.approx((ins * outs).sum() / ins.sum(), rel=1e-10)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("cell", [(0, 0, 0, 4, 4, 0), (1, 1, 0, 3, 0, 4), (3, 1, 4, 1, 1, 1)])
def test_links_are_where_strengths_are_not_zero(cell, monkeypatch):
    """With positive parameters nothing cancels and no ReLU is closed."""
    monkeypatch.setattr("edgedyn.nn.models.nas.STAGES", 2)
    model = random_values(nn.nas201(cell, **TINY), low=0.5)
    classifier = model.get_layer("classifier")
    classifier.kernel.assign(1e-6 * classifier.kernel)  # no probability is near zero
    x, y = np.random.default_rng(0).uniform(200, 255, (1, 4, 4, 3)), np.array([0])
    P = nn.interaction(model, x, y, strength="magnitude", nodes="kernels")
    dense = np.column_stack([P.operator @ column for column in np.eye(P.graph.n_nodes)])
    links = P.graph.to_scipy().toarray() > 0
    dead = np.concatenate(  # what leads nowhere is linked, but no error comes back from there
        [
            np.full(layer.n_nodes, cell[0] == CONV1 and "_12_" in layer.name)
            for layer in P.graph.index.layers
        ]
    )
    assert not dense[:, dead].any() and not links[dead].any()
    np.testing.assert_array_equal(dense[:, ~dead] > 1e-12 * dense.max(), links[:, ~dead])
    assert ed.line_graph(model).n_links == links.sum()


@pytest.mark.slow
@pytest.mark.parametrize("cell", EXTREME)
def test_which_layers_are_linked(cell):
    with without_values():
        model = nn.nas201(cell, **(SMALL | {"n_cells": 2}))
    graph = ed.line_graph(model)
    names = [layer.name for layer in graph.index.layers]
    pairs = {(names[a - 1], names[b - 1]) for a, b in graph.pairs}
    # Paths of identities and poolings lead past the convolutions of all cells of a stage.
    passes = leads_through(cell, (IDENTITY, POOL))
    assert (("stem_conv", "reduction1_a_conv") in pairs) == passes
    assert any(a == "stem_conv" for a, _ in pairs) or not leads_through(cell)
    last = {a for a, b in pairs if b == "classifier"}
    assert last or not leads_through(cell)
    assert all("stage3" in name for name in last) or passes


@pytest.mark.slow
@pytest.mark.parametrize("cell", [c for c in EXTREME if not leads_through(c)])
def test_a_cut_network_says_so(cell):
    """Nothing before the last cell influences the output: beta_eff is undefined, not a number."""
    model = random_values(nn.nas201(cell, **SMALL))
    x = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3))
    cap = nn.neural_capacitance(model, x, np.arange(6) % 3, scope="network")
    assert cap.status in ("ok", "vanishing") or np.isnan(cap.value)
    np.testing.assert_allclose(np.ptp(model.predict(x, verbose=0), axis=0), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "nodes"),
    [
        ((IDENTITY,) * 6, "kernels"),
        pytest.param(EXTREME[-1], "all", marks=pytest.mark.slow),
        pytest.param((POOL,) * 6, "kernels", marks=pytest.mark.slow),
        pytest.param((1, 1, 0, 2, 2, 2), "kernels", marks=pytest.mark.slow),
        pytest.param(EXTREME[-1], "kernels", marks=pytest.mark.slow),
    ],
)
def test_beta_eff_of_the_whole_network(cell, nodes):
    keras.utils.set_random_seed(0)
    model = nn.nas201(cell, **SMALL)
    x = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3))
    cap = nn.neural_capacitance(model, x, np.arange(6) % 3, scope="network", nodes=nodes)
    assert cap.status in ("ok", "vanishing") and np.isfinite(cap.value) and cap.value > 0
