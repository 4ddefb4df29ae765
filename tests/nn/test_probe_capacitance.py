"""The probe's closed form against automatic differentiation, on every probe variant."""

import itertools

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
from dense_oracle import NODES  # noqa: E402
from oracles import direct_matrix, finite_difference_full  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn.nn.crosscheck import cross_check  # noqa: E402
from edgedyn.nn.meter import CapacitanceMeter  # noqa: E402

pytestmark = pytest.mark.tensorflow
KINDS = [("direct", "magnitude"), ("direct", "signed"), ("full", "signed")]
LOSSES = {
    "labels": (None, False),
    "smoothed": (keras.losses.CategoricalCrossentropy(label_smoothing=0.1), True),
    "squared": ("mean_squared_error", True),
}


def probe_model(n_features=5, n_classes=4, seed=0, randomise=True, **options):
    inputs = keras.Input((n_features,))
    features = keras.layers.Dense(7, activation="relu")(inputs)
    options = {"units": (9, 6), "seed": seed, **options}
    model = nn.attach_probe(keras.Model(inputs, features), n_classes, **options)
    rng = np.random.default_rng(seed)
    for weight in model.weights if randomise else ():
        value = rng.standard_normal(weight.shape) * 0.6
        weight.assign(np.abs(value) + 0.3 if "variance" in weight.path else value)
    x = rng.standard_normal((23, n_features))
    return model, x, np.arange(23) % n_classes


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("units", [(8,), pytest.param((9, 6), marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "batch_norm",
    ["statistics", *(pytest.param(b, marks=pytest.mark.slow) for b in ("identity", "none"))],
)
def test_closed_form_agrees_with_autodiff(batch_norm, units, nodes, loss):
    given, rows = LOSSES[loss]
    model, x, y = probe_model(units=units, batch_norm=batch_norm)
    for coupling, strength in KINDS:
        meter = CapacitanceMeter(
            model, coupling=coupling, strength=strength, nodes=nodes, loss=given, batch_size=23
        )
        x, targets = meter.check_data(x, np.eye(4)[y] if rows else y)
        result = cross_check(meter, meter.features(x), targets)
        assert result.passed and result.tolerance == 1e-10, (coupling, strength, str(result))


@pytest.mark.slow
def test_closed_form_agrees_with_autodiff_in_float32():
    norms = ["identity", "statistics", "none"]
    for batch_norm, dropout, nodes in itertools.product(norms, [0.0, 0.4], ["all"]):
        model, x, y = probe_model(batch_norm=batch_norm, dropout=dropout, randomise=False)
        meter = CapacitanceMeter(model, nodes=nodes)
        x, targets = meter.check_data(x, y)
        result = cross_check(meter, meter.features(x), targets)
        assert result.passed and result.tolerance == 1e-4, str(result)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("strength", ["magnitude", "signed", "absolute"])
@pytest.mark.parametrize("nodes", ["kernels", "all"])
def test_probe_without_batch_norm_is_the_brute_force_matrix(strength, nodes):
    model, x, y = probe_model(batch_norm="none")
    P = direct_matrix(*parts(model, x), np.eye(4)[y], "cross_entropy", strength, nodes)
    cap = nn.neural_capacitance(model, x, y, strength=strength, nodes=nodes)
    if cap.status == "ok":
        assert cap.value == pytest.approx(P.sum(0) @ P.sum(1) / P.sum(), rel=1e-10)
    else:
        assert strength == "signed" and cap.status == "gauge_degenerate"
    assert cap.mean_strength == pytest.approx(P.sum() / len(P), rel=1e-10)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("nodes", ["kernels", "all"])
def test_full_coupling_of_a_probe_is_the_finite_difference(nodes):
    model, x, y = probe_model(batch_norm="none")
    weights, biases, features = parts(model, x)
    P = finite_difference_full(weights, biases, features, np.eye(4)[y], "cross_entropy", nodes)
    cap = nn.neural_capacitance(model, x, y, coupling="full", strength="signed", nodes=nodes)
    assert cap.mean_strength == pytest.approx(P.sum() / len(P), rel=1e-6)


def parts(model, x):
    """Kernels as (outputs, inputs), biases, and features, from Keras itself."""
    dense = [layer for layer in model.layers if layer.name.startswith("probe_")]
    dense = [layer for layer in dense if isinstance(layer, keras.layers.Dense)]
    weights = [np.asarray(layer.kernel.value).T for layer in dense]
    biases = [np.asarray(layer.bias.value) for layer in dense]
    features = keras.Model(model.inputs, dense[0].input).predict(x, verbose=0)
    return weights, biases, features


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("nodes", ["kernels", "all"])
@pytest.mark.parametrize("batch_norm", ["identity", "statistics"])
def test_absolute_strengths_of_a_probe_with_batch_norms(nodes, batch_norm):
    """The dense matrix, entry by entry, from Keras' own forward values."""
    model, x, y = probe_model(units=(4, 3), batch_norm=batch_norm)
    P = dense_probe_matrix(model, x, np.eye(4)[y], nodes)
    value = P.sum(0) @ P.sum(1) / P.sum()
    cap = nn.neural_capacitance(model, x, y, strength="absolute", nodes=nodes)
    assert cap.value == pytest.approx(value, rel=1e-10)
    assert cap.conditioning <= 1


def dense_probe_matrix(model, x, targets, nodes):
    """|mean_s P| of dense and scale layers by explicit loops over nodes."""
    layers = {layer.name: layer for layer in model.layers}
    features = keras.Model(model.inputs, layers["probe_dense_1"].input).predict(x, verbose=0)
    chain = []  # (kernel or gamma, bias, then the segment as a function with its derivative)
    for k in (1, 2):
        dense, norm = layers[f"probe_dense_{k}"], layers[f"probe_batch_norm_{k}"]
        gamma, beta, mean, variance = (np.asarray(w.value) for w in norm.weights)
        sd = np.sqrt(variance + norm.epsilon)
        kernel, bias = (np.asarray(w.value) for w in dense.weights)
        if nodes == "all":
            chain += [(kernel.T, bias, 1 / sd, -mean / sd, False), (gamma, beta, 1, 0, True)]
        else:
            chain += [(kernel.T, bias, gamma / sd, beta - mean * gamma / sd, True)]
    kernel, bias = (np.asarray(w.value) for w in layers["probe_output"].weights)
    chain.append((kernel.T, bias, 1, 0, False))
    names = [
        (m, i, j)
        for m, (w, *_) in enumerate(chain)
        for i in range(len(w))
        for j in (range(w.shape[1]) if w.ndim == 2 else [i])
    ]
    if nodes == "all":
        names += [(m, i, None) for m, (w, *_) in enumerate(chain) for i in range(len(w))]
    P = np.zeros((len(names), len(names)))
    for z, t in zip(features, targets, strict=True):
        zs, slopes = [z], []
        for w, b, scale, shift, relu in chain:
            a = (w @ zs[-1] if w.ndim == 2 else w * zs[-1]) + b
            s = scale * a + shift
            slopes.append(np.ones(len(a)) * scale * ((s > 0) if relu else 1))
            zs.append(np.maximum(s, 0) if relu else s)
        p = np.exp(zs[-1] - zs[-1].max())
        es = [p / p.sum() - t]
        for (w, *_), slope in zip(chain[:0:-1], slopes[-2::-1], strict=True):
            es.insert(0, slope * (w.T @ es[0] if w.ndim == 2 else w * es[0]))
        for row, (m, i, j) in enumerate(names):
            for column, (n, k, i2) in enumerate(names):
                if n == m + 1 and i2 == i:
                    P[row, column] += es[n][k] * slopes[m][i] * (1 if j is None else zs[m][j])
    return np.abs(P / len(features))
