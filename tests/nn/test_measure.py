"""One `neural_capacitance` for perceptrons and Keras models, with its standard error."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
from cases import random_case  # noqa: E402
from dense_oracle import NETWORKS, case, degrees  # noqa: E402
from oracles import direct_matrix  # noqa: E402

import edgedyn as ed  # noqa: E402
from edgedyn import nn  # noqa: E402
from edgedyn.nn.meter import CapacitanceMeter  # noqa: E402

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("float64")]
GROUPS = 10


def deviation(values):
    """Jackknife standard error from the values without one group each."""
    return np.sqrt((GROUPS - 1) * np.mean((values - np.mean(values)) ** 2))


def left_out(n):
    return [np.flatnonzero(np.arange(n) % GROUPS != g) for g in range(GROUPS)]


def keras_twin(net):
    """Return the perceptron as a Keras model with logits; no code of edgedyn builds it."""
    layers = [keras.Input((net.sizes[0],))]
    for k, width in enumerate(net.sizes[1:], start=1):
        layers.append(keras.layers.Dense(width, "relu" if k < net.n_layers else "softmax"))
    model = keras.Sequential(layers)
    model.set_weights(
        [v for w, b in zip(net.weights, net.biases, strict=True) for v in (np.asarray(w).T, b)]
    )
    return model


@pytest.mark.parametrize("nodes", ["kernels", "all"])
@pytest.mark.parametrize(
    "kind",
    [
        {"strength": "magnitude"},
        {"strength": "signed"},
        {"coupling": "full", "strength": "signed"},
    ],
    ids=lambda kind: "-".join(kind.values()),
)
def test_a_keras_model_has_the_value_of_its_perceptron(kind, nodes):
    net, X, y, _ = random_case(3, (3, 5, 4, 4, 3), n_samples=33)
    kind = {"nodes": nodes, "stderr": True, **kind}
    ours = ed.neural_capacitance(net, X, y, **kind)
    theirs = ed.neural_capacitance(keras_twin(net), X, y, scope="network", batch_size=4, **kind)
    assert theirs.status == ours.status == "ok"
    rtol = 1e-10 / ours.conditioning
    assert theirs.value == pytest.approx(ours.value, rel=rtol)
    assert theirs.stderr == pytest.approx(ours.stderr, rel=100 * rtol)


def test_both_rooms_have_the_same_function():
    assert nn.neural_capacitance is ed.neural_capacitance


@pytest.mark.parametrize("nodes", ["kernels", "all"])
@pytest.mark.parametrize("strength", ["magnitude", "absolute", "signed"])
def test_standard_error_of_a_probe_is_that_of_the_dense_matrices(strength, nodes):
    inputs = keras.Input((5,))
    model = nn.attach_probe(
        keras.Model(inputs, keras.layers.Dense(4, "relu")(inputs)),
        3,
        units=(9, 8, 8),
        batch_norm="none",
        seed=0,
    )
    x, y = np.random.default_rng(0).standard_normal((23, 5)), np.arange(23) % 3
    dense = [a for a in model.layers if isinstance(a, keras.layers.Dense)][1:]
    features = keras.Model(model.inputs, dense[0].input).predict(x, verbose=0)
    weights, biases = ([np.asarray(p.value) for p in ps] for ps in zip(
        *((a.kernel, a.bias) for a in dense), strict=True))  # fmt: skip
    weights = [w.T for w in weights]

    def value(rows):
        P = direct_matrix(
            weights, biases, features[rows], np.eye(3)[y[rows]], "cross_entropy", strength, nodes
        )
        return P.sum(0) @ P.sum(1) / P.sum()

    cap = nn.neural_capacitance(model, x, y, strength=strength, nodes=nodes, stderr=True)
    assert cap.value == pytest.approx(value(np.arange(23)), rel=1e-9)
    assert cap.stderr == pytest.approx(deviation([value(r) for r in left_out(23)]), rel=1e-7)


@pytest.mark.slow
def test_standard_error_of_a_network_is_that_of_the_dense_degrees():
    made, model, x, _ = case("plain")
    x, y = np.random.default_rng(1).standard_normal((11, *x.shape[1:])), np.arange(11) % 3
    ins, outs = [], []
    for s in range(11):
        own = degrees(NETWORKS["plain"], made, x[[s]], np.eye(3)[y[[s]]], "magnitude", "kernels")
        for found, way in ((ins, 0), (outs, 1)):
            found.append(np.concatenate([pair[way] for pair in own.values()]))

    def value(rows):
        into, out_of = (np.mean([found[s] for s in rows], axis=0) for found in (ins, outs))
        return into @ out_of / into.sum()

    cap = ed.neural_capacitance(model, x, y, scope="network", stderr=True, batch_size=5)
    assert cap.value == pytest.approx(value(np.arange(11)), rel=1e-9)
    assert cap.stderr == pytest.approx(deviation([value(r) for r in left_out(11)]), rel=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("coupling", ["direct", "full"])
def test_standard_error_of_a_branching_network_is_leaving_out_by_hand(coupling):
    _, model, x, _ = case("residual")
    x, y = np.random.default_rng(1).standard_normal((23, *x.shape[1:])), np.arange(23) % 3
    options = {"scope": "network", "coupling": coupling, "strength": "signed", "nodes": "all"}
    cap = ed.neural_capacitance(model, x, y, stderr=True, batch_size=2, **options)
    meter = CapacitanceMeter(model, batch_size=20, **options)  # compiled once
    values = [meter.measure(*meter.check_data(x[r], y[r])).value for r in left_out(23)]
    assert cap.stderr == pytest.approx(deviation(values), rel=1e-7)
    assert ed.neural_capacitance(model, x, y, **options).stderr is None


@pytest.mark.parametrize("scope", ["probe", "network"])
def test_a_standard_error_needs_ten_samples(scope):
    inputs = keras.Input((5,))
    backbone = keras.Model(inputs, keras.layers.Dense(4, "relu")(inputs))
    model = nn.attach_probe(backbone, 3, units=(5, 4), seed=0)
    with pytest.raises(ValueError, match="at least 10 samples; got 9"):
        ed.neural_capacitance(model, np.ones((9, 5)), np.arange(9) % 3, scope=scope, stderr=True)


def test_what_has_no_capacitance_is_refused_by_name():
    with pytest.raises(TypeError, match="a ReLUMLP, a ReLUChain or a Keras model; got Dense"):
        ed.neural_capacitance(keras.layers.Dense(3), np.ones((2, 2)), [0, 1])


@pytest.mark.parametrize("scope", ["probe", "network"])
@pytest.mark.parametrize("place", [0, -1])
def test_weights_that_are_not_finite_are_told_of_though_a_relu_hides_them(scope, place):
    inputs = keras.Input((5,))
    body = keras.Model(inputs, keras.layers.Dense(4, "relu")(inputs))
    model = nn.attach_probe(body, 3, units=(6, 5), batch_norm="none", seed=0)
    x, y = np.random.default_rng(0).standard_normal((12, 5)), np.arange(12) % 3
    assert ed.neural_capacitance(model, x, y, scope=scope).status != "dead"
    kernel = [w for w in model.weights if "kernel" in w.path][place]
    value = np.array(keras.ops.convert_to_numpy(kernel))
    value[0, 0] = np.nan
    kernel.assign(value)
    with pytest.raises(ed.capacitance.DivergedError, match="weights are not all finite"):
        ed.neural_capacitance(model, x, y, scope=scope)
