"""Whole-network degrees against dense double differentiation of small networks."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from dense_oracle import CASES, NETWORKS, NODES, case, degrees, full_degrees  # noqa: E402
from keras import layers as kl  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn.nn.meter import CapacitanceMeter  # noqa: E402

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("float64")]


# Signed values that are rounding: of three layers two blocks go into the softmax; of two
# convolutions of one tensor whose difference is taken, the strengths into one cancel the other's.
ZERO = {"plain": "gauge_degenerate", "grouped": "ill_conditioned"}


def measured(model, x, y, **kind):
    meter = CapacitanceMeter(model, scope="network", batch_size=2, **kind)
    cap, degrees = meter.by_differentiation(*meter.check_data(x, y))
    return cap, {layer.name: layer.flat() for layer in degrees}


def compare(ours, oracle):
    assert set(ours) == set(oracle)
    scale = max(np.abs(v).max() for pair in oracle.values() for v in pair)
    for name, (ins, outs) in oracle.items():
        np.testing.assert_allclose(ours[name][0], ins, rtol=1e-10, atol=1e-12 * scale, err_msg=name)
        np.testing.assert_allclose(ours[name][1], outs, rtol=1e-10, atol=1e-12 * scale)
    return sum(i @ o for i, o in oracle.values()) / sum(i.sum() for i, _ in oracle.values())


@pytest.mark.tensorflow_oracle
@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize(("name", "strength"), CASES)
def test_direct_degrees_are_those_of_the_dense_matrix(name, strength, nodes):
    made, model, x, y = case(name)
    cap, ours = measured(model, x, y, strength=strength, nodes=nodes)
    dense = degrees(NETWORKS[name], made, x, np.eye(3)[y], strength, nodes)
    value = compare(ours, dense)
    if name in ZERO and strength == "signed":
        assert cap.status == ZERO[name] and abs(value) < 1e-10
        return
    assert cap.status == "ok"
    assert cap.value == pytest.approx(value, rel=1e-10)


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) for n in ("plain", "residual", "branches")]
)
def test_full_degrees_are_those_of_the_dense_hessian(name, nodes):
    made, model, x, y = case(name)
    cap, ours = measured(model, x, y, coupling="full", strength="signed", nodes=nodes)
    compare(ours, full_degrees(NETWORKS[name], made, model, x, np.eye(3)[y], nodes))
    assert cap.status == ("gauge_degenerate" if name == "plain" else "ok")


@pytest.mark.slow
def test_shape_keeping_max_pools_give_the_same_result_every_time():
    # TensorFlow may compute a shape-keeping max pooling's second derivative in place.
    _, model, x, y = case("branches")
    meter = CapacitanceMeter(model, scope="network", batch_size=2, coupling="full",
                             strength="signed", nodes="all")  # fmt: skip
    results = []
    for _ in range(30):
        _, found = meter.by_differentiation(*meter.check_data(x, y))
        results.append(np.concatenate([np.concatenate(layer.flat()) for layer in found]))
    scale = np.abs(results[0]).max()
    np.testing.assert_allclose(np.ptp(results, axis=0), 0, atol=1e-12 * scale)


def probed(L, x):
    """Run a small backbone under a probe of two hidden layers, as the oracle reads networks."""
    x = tf.reduce_mean(tf.nn.relu(L.conv("body", x, 4, 3)), axis=[1, 2])
    for k in (1, 2):
        x = tf.nn.relu(L.bn(f"probe_batch_norm_{k}", L.dense(f"probe_dense_{k}", x, 6 - k)))
    return L.dense("probe_output", x, 3)


@pytest.mark.slow
@pytest.mark.parametrize("nodes", ["kernels", "all"])
@pytest.mark.parametrize("strength", ["magnitude", "signed"])
def test_a_probe_whose_statistics_follow_the_batches(strength, nodes):
    inputs = keras.Input((4, 4, 2))
    features = kl.GlobalAveragePooling2D()(kl.Conv2D(4, 3, activation="relu", name="body")(inputs))
    options = {"units": (5, 4), "batch_norm": "statistics", "seed": 0}
    model = nn.attach_probe(keras.Model(inputs, features), 3, **options)
    rng = np.random.default_rng(3)
    for weight in model.weights:
        value = rng.standard_normal(weight.shape) * 0.6
        weight.assign(np.abs(value) + 0.3 if "variance" in weight.path else value)
    x, y = rng.standard_normal((5, 4, 4, 2)), np.arange(5) % 3
    cap, ours = measured(model, x, y, strength=strength, nodes=nodes)
    made = {layer.name: layer for layer in model.layers}
    value = compare(ours, degrees(probed, made, x, np.eye(3)[y], strength, nodes))
    assert cap.status == "ok" and cap.value == pytest.approx(value, rel=1e-10)
