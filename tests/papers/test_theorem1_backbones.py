"""The bound of theorem1.md (g): with batch norms as scale layers, on tiny probes and by hand."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn.mlp import Affine, ChainLayer, ReLUChain, degree_accumulator  # noqa: E402
from edgedyn.nn.graph.chain import to_chain  # noqa: E402
from edgedyn.nn.meter import CapacitanceMeter  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def script():
    from papers.jiang2024.theorem1 import backbones as theorem1_backbones

    return theorem1_backbones


def probe(seed, batch_norm="identity"):
    """Return a tiny model with a probe whose every parameter and statistic is drawn, and data."""
    rng = np.random.default_rng(seed)
    inputs = keras.Input((4,))
    backbone = keras.Model(inputs, keras.layers.Dense(6, activation="relu")(inputs))
    model = nn.attach_probe(backbone, 3, units=(7, 5), batch_norm=batch_norm, seed=seed)
    for weight in model.weights:
        drawn = rng.standard_normal(weight.shape)  # gammas of either sign
        weight.assign(0.2 + drawn**2 if "variance" in weight.name else drawn)
    return model, rng.standard_normal((40, 4)).astype(np.float32), np.arange(40) % 3


def largest_out_degree(chain, features, targets, nodes):
    """Return the largest out-degree of interior layers, which the proof bounds."""
    accumulator = degree_accumulator(chain, nodes=nodes)
    accumulator.update(features, targets)
    interior = accumulator.degrees()[1:-1]
    return max(float(layer.flat()[1].max()) for layer in interior)


@pytest.mark.parametrize("batch_norm", ["identity", "none"])
@pytest.mark.parametrize("nodes", ["kernels", "all"])
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_holds_for_the_value_and_for_every_out_degree(script, seed, nodes, batch_norm):
    model, x, y = probe(seed, batch_norm)
    meter = CapacitanceMeter(model, nodes=nodes)
    features = meter.features(x)
    chain = to_chain(meter.graph, "cross_entropy")
    assert ("scale" in chain.kinds) == (nodes == "all" and batch_norm == "identity")
    K, eps = script.bound(chain, features, y, nodes)
    largest = largest_out_degree(chain, features, y, nodes)
    value = meter.measure(*meter.check_data(x, y)).value
    assert 0 < value <= largest <= K * eps


@pytest.mark.parametrize("seed", range(3))
def test_one_neuron_a_layer_and_one_sample_reach_the_bound(script, seed):
    """Then no estimate of the proof loses anything, and K eps is an out-degree."""
    rng = np.random.default_rng(seed)
    one, nothing = np.ones(1), np.zeros(1)

    def layer(dense, segment=()):
        weight = rng.uniform(0.5, 2, (1, 1) if dense else 1)
        return ChainLayer(weight, rng.uniform(0, 1, 1), segment)

    divide = (Affine(rng.uniform(0.3, 3) * one, nothing),)
    chain = ReLUChain(
        [
            layer(True, divide),
            layer(False, ("relu",)),
            layer(True, (Affine(rng.uniform(0.3, 3) * one, nothing), "relu")),
            layer(False),
            layer(True),
        ],
        loss="squared_error",
    )
    x, y = np.array([[1.7]]), np.array([[0.1]])
    for nodes in ("kernels", "all"):
        K, eps = script.bound(chain, x, y, nodes)
        assert K * eps == pytest.approx(largest_out_degree(chain, x, y, nodes), rel=1e-12)


def test_the_bound_of_dense_layers_is_that_of_the_perceptron(script):
    from edgedyn import ReLUMLP
    from edgedyn.mlp import capacitance_bound

    net = ReLUMLP.random([4, 7, 6, 5, 3], seed=0)
    x, y = np.random.default_rng(0).standard_normal((30, 4)), np.arange(30) % 3
    layers = [
        ChainLayer(W, b, () if k == 3 else ("relu",))
        for k, (W, b) in enumerate(zip(net.weights, net.biases, strict=True))
    ]
    for nodes in ("kernels", "all"):
        found = script.bound(ReLUChain(layers), x, y, nodes)
        assert found == pytest.approx(capacitance_bound(net, x, y, nodes=nodes), rel=1e-12)


def test_noise_moves_a_fifth_of_the_labels_and_no_image(script):
    x, y = np.random.default_rng(1).standard_normal((100, 2)), np.arange(100) % 10
    same, noisy, least = script.relabelled(x, y, "noise", np.random.default_rng(0))
    assert (same == x).all() and (noisy != y).sum() == 20 and least == 0
    assert (0 <= noisy).all() and (noisy < 10).all()


def test_twins_differ_in_their_labels_and_keep_half_their_share_of_the_error(script):
    x, y = np.random.default_rng(1).standard_normal((100, 2)), np.arange(100) % 10
    twins, labels, least = script.relabelled(x, y, "contradiction", np.random.default_rng(0))
    assert (labels == y).all() and least == pytest.approx(0.1)
    alike = [np.flatnonzero((twins == row).all(axis=1)) for row in np.unique(twins, axis=0)]
    pairs = [group for group in alike if len(group) > 1]
    assert len(pairs) == 10 and all(len(pair) == 2 for pair in pairs)
    assert all(y[a] != y[b] for a, b in pairs)
    # whatever is predicted for the twins, the two largest errors sum to at least 1
    for p in np.random.default_rng(2).dirichlet(np.full(10, 0.2), 200):
        for a, b in pairs:
            errors = [np.abs(p - np.eye(10)[k]).max() for k in (y[a], y[b])]
            assert sum(errors) >= 1 - 1e-12


def test_the_page_tells_where_the_bound_fails_and_a_run_does_not_interpolate(script):
    model, x, y = probe(0)
    meters = {
        (nodes, s): CapacitanceMeter(model, nodes=nodes, strength=s)
        for nodes in script.NODES
        for s in ("magnitude", "signed")
    }
    features = meters["kernels", "magnitude"].features(x)
    points = [{"epoch": k, **script.point(meters, features, y)} for k in range(2)]
    assert points[0]["kernels"]["signed_status"] == "gauge_degenerate"
    points[1]["eps"] /= 2

    def page():
        runs = [
            {
                "backbone": name,
                "labels": kind,
                "least_eps": 0.1 * (kind == "contradiction"),
                "points": points,
                "settings": script.settings(name),
                "summary": script.summary(points, 0.1 * (kind == "contradiction")),
            }
            for name in script.EPOCHS
            for kind in script.LABELS
        ]
        return script.page(runs, script.INTERPOLATES)

    good = page()
    assert "24 of 24 points" in good and "NOT" in good and "NOT at all" not in good
    points[1]["all"]["beta"] = 2 * points[1]["all"]["bound"]
    assert "18 of 24 points" in page() and "NOT at all" in page()
