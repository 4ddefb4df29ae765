"""The network and its training against plain loops, finite differences and a reference in numpy."""

import copy
import pickle

import numpy as np
import oracles
import pytest
from cases import TARGETS, random_case

import edgedyn as ed
from edgedyn._data import digits

SIZES = (4, 5, 3, 2)


def flat(net, kernels, biases):
    vector = np.zeros(net.n_parameters)
    views = net.views(vector)
    for view, value in zip(views[0], kernels, strict=True):
        view[...] = value
    for view, value in zip(views[1], biases, strict=True):
        if view is not None:
            view[...] = value
    return vector


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("targets", TARGETS)
def test_forward_gradient_and_records_equal_loops(targets, bias):
    net, X, y, dense = random_case(0, SIZES, bias, targets)
    runs = [oracles.forward(net.weights, net.biases, x) for x in X]
    for layer, z in enumerate(net.activations(X)):
        np.testing.assert_allclose(z, [run[1][layer] for run in runs], atol=1e-13)
    logits = net.logits(X)
    losses = [oracles.loss_value(a, t, net.loss) for a, t in zip(logits, dense, strict=True)]
    loss, vector = net.gradient(X, y)
    assert loss == pytest.approx(np.mean(losses), rel=1e-13)
    assert net.evaluate(X, y) == loss
    expected = flat(net, *oracles.gradient(net.weights, net.biases, X, dense, net.loss))
    np.testing.assert_allclose(vector, expected, atol=1e-13)
    errors = [
        oracles.cotangents(net.weights, a, t, net.loss)
        for (a, _), t in zip(runs, dense, strict=True)
    ]
    for layer, record in enumerate(net.records(X, y)):
        np.testing.assert_allclose(record.cotangent, [e[layer] for e in errors], atol=1e-13)
        np.testing.assert_allclose(record.activation, [z[layer] for _, z in runs], atol=1e-13)
        last = layer == net.n_layers - 1
        masks = [np.ones(2) if last else a[layer] > 0 for a, _ in runs]
        np.testing.assert_array_equal(record.mask, masks)


@pytest.mark.parametrize("targets", TARGETS)
def test_gradient_equals_finite_differences(targets):
    net, X, y, _ = random_case(1, SIZES, True, targets)
    _, vector = net.gradient(X, y)
    numeric, theta = np.empty_like(vector), net.parameters
    for p in range(theta.size):
        kept = theta[p]
        theta[p] = kept + 1e-6
        above = net.evaluate(X, y)
        theta[p] = kept - 1e-6
        numeric[p] = (above - net.evaluate(X, y)) / 2e-6
        theta[p] = kept
    np.testing.assert_allclose(vector, numeric, atol=1e-7)


def test_predictions():
    net, X, y, _ = random_case(2, SIZES)
    p = net.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(net.predict(X), p.argmax(axis=1))
    assert net.score(X, y) == np.mean(net.predict(X) == y)


def test_error_of_the_true_class_survives_below_rounding():
    net = ed.ReLUMLP([np.diag([50.0, 50.0])])
    error = net.records(np.eye(2), [0, 1])[0].cotangent
    np.testing.assert_allclose(error, np.exp(-50) * np.array([[-1, 1], [1, -1]]), rtol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_tail_is_the_last_layers(bias):
    net, X, y, _ = random_case(3, (4, 5, 3, 6, 2), bias)
    for n in range(1, net.n_layers + 1):
        tail = net.tail(n)
        assert tail.sizes == net.sizes[-1 - n :]
        features = net.activations(X)[-1 - n]
        np.testing.assert_allclose(tail.logits(features), net.logits(X), rtol=1e-13)
    tail.parameters[...] = 0
    assert net.parameters.any()
    for n in (0, 5):
        with pytest.raises(ValueError, match="n_layers must be at"):
            net.tail(n)


def test_parameters_are_one_vector_in_node_order():
    net = ed.ReLUMLP([[[1, 2], [3, 4]], [[5, 6]]], [[7, 8], None], loss="squared_error")
    np.testing.assert_array_equal(net.parameters, [1, 2, 3, 4, 7, 8, 5, 6])
    net.parameters[4] = 9
    assert net.biases[0][0] == 9
    twin = net.copy()
    twin.parameters[...] = 0
    assert net.parameters[0] == 1
    assert repr(net) == "ReLUMLP(2-2-1, some biases, squared_error, float64)"


def test_he_initialisation():
    net = ed.ReLUMLP.random([400, 300, 200, 10], seed=0)
    for W, n_in in zip(net.weights[:2], net.sizes, strict=False):
        assert W.var() == pytest.approx(2 / n_in, rel=0.03)
        assert abs(W.mean()) < 4 * np.sqrt(2 / n_in / W.size)
    assert not any(b.any() for b in net.biases)
    again = ed.ReLUMLP.random([400, 300, 200, 10], seed=0)
    np.testing.assert_array_equal(again.parameters, net.parameters)
    assert ed.ReLUMLP.random([3, 2], bias=False).biases == (None,)


# Training ---------------------------------------------------------------------------------------


def reference_training(net, X, dense, epochs, batch, rate, decay, optimizer, seed, learning):
    """Mini-batch SGD or Adam with explicit loops over samples; returns the parameter vector."""
    theta = net.parameters.astype(float)
    m, v, step = np.zeros_like(theta), np.zeros_like(theta), 0
    rng, losses = np.random.default_rng(seed), []
    is_kernel = flat(net, [np.ones_like(W) for W in net.weights], [0] * net.n_layers)
    learns = flat(net, *[[float(k < learning) for k in range(net.n_layers)]] * 2)
    for _ in range(epochs):
        order, total = rng.permutation(len(X)), 0.0
        for start in range(0, len(X), batch):
            rows = order[start : start + batch]
            weights, biases = net.views(theta)
            for x, t in zip(X[rows], dense[rows], strict=True):
                a, _ = oracles.forward(weights, biases, x)
                total += oracles.loss_value(a[-1], t, net.loss)
            g = flat(net, *oracles.gradient(weights, biases, X[rows], dense[rows], net.loss))
            g = learns * (g + decay * is_kernel * theta)
            step += 1
            if optimizer == "sgd":
                theta = theta - rate * g
                continue
            m = 0.9 * m + 0.1 * g
            v = 0.999 * v + 0.001 * g**2
            unbiased = m / (1 - 0.9**step), v / (1 - 0.999**step)
            theta = theta - rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
        losses.append(total / len(X))
    return theta, losses


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_steps_equal_a_plain_reference(optimizer, targets, bias):
    net, X, y, dense = random_case(4, SIZES, bias, targets, n_samples=23)
    net.frozen = 1
    settings = {"epochs": 3, "batch_size": 5, "learning_rate": 0.02, "weight_decay": 0.1}
    expected, losses = reference_training(net, X, dense, 3, 5, 0.02, 0.1, optimizer, 7, 2)
    history = net.fit(X, y, optimizer=optimizer, seed=7, **settings)
    np.testing.assert_allclose(net.parameters, expected, atol=1e-9)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-9)
    assert history.status == "completed"
    assert history.to_dict() == {"loss": history.loss, "status": "completed"}


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_frozen_layers_stay(frozen):
    net, X, y, _ = random_case(5, SIZES, n_samples=20)
    net = ed.ReLUMLP(net.weights, net.biases, frozen=frozen)
    before = net.copy()
    net.fit(X, y, epochs=2, weight_decay=0.1, seed=0)
    for layer in range(net.n_layers):
        same = np.array_equal(net.weights[layer], before.weights[layer])
        assert same == (layer >= net.n_layers - frozen)
        same = np.array_equal(net.biases[layer], before.biases[layer])
        assert same == (layer >= net.n_layers - frozen)


def test_seeds_decide_and_float32_follows_float64():
    net, X, y, _ = random_case(6, SIZES, n_samples=40)
    runs = []
    for dtype, seed in (("float64", 0), ("float64", 0), ("float64", 1), ("float32", 0)):
        run = ed.ReLUMLP(net.weights, net.biases, dtype=dtype)
        run.fit(X, y, epochs=5, batch_size=7, optimizer="sgd", learning_rate=0.05, seed=seed)
        runs.append(run.parameters)
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
    assert runs[3].dtype == np.float32
    np.testing.assert_allclose(runs[3], runs[0], atol=1e-4)


def test_callback_and_batches_longer_than_the_data():
    net, X, y, _ = random_case(7, SIZES)
    seen = []
    history = net.fit(
        X, y, epochs=3, batch_size=100, seed=0, callback=lambda *args: seen.append(args)
    )
    assert seen == list(enumerate(history.loss, start=1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_divergence_is_told(dtype):
    net, X, y, _ = random_case(8, SIZES, True, "squared_error", n_samples=20)
    net = ed.ReLUMLP(net.weights, net.biases, loss=net.loss, dtype=dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        history = net.fit(X, y, epochs=400, optimizer="sgd", learning_rate=10.0, seed=0)
    assert history.status == "diverged"
    assert len(history.loss) < 400
    assert not np.isfinite(history.loss[-1]) or not np.isfinite(net.parameters).all()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_learning_digits(optimizer):
    X, y = digits()
    net = ed.ReLUMLP.random([64, 32, 10], seed=0, dtype="float32")
    rate = {"adam": 1e-3, "sgd": 0.1}[optimizer]
    history = net.fit(
        X[:1200], y[:1200], epochs=15, optimizer=optimizer, learning_rate=rate, seed=0
    )
    assert net.score(X[1200:], y[1200:]) > 0.85
    assert history.loss[-1] < 0.3 * history.loss[0]


# Refusals ---------------------------------------------------------------------------------------

W = [np.ones((4, 3)), np.ones((2, 4))]


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"weights": []}, ValueError, "weights is empty"),
        ({"weights": [np.ones(3)]}, ValueError, r"weights\[0\] must have shape"),
        ({"weights": [np.ones((3, 4)), np.ones((4, 2))]}, ValueError, "W_l must have shape"),
        ({"weights": [W[0], W[1] * np.nan]}, ValueError, r"weights\[1\] contains nan"),
        ({"weights": [[["a"]]]}, TypeError, "must hold real numbers"),
        ({"biases": [np.ones(4)]}, ValueError, "biases has 1 entries; this network has 2 layers"),
        ({"biases": [None, np.ones(3)]}, ValueError, r"biases\[1\] has shape .*needs \(2,\)"),
        ({"biases": [None, [np.inf, 0]]}, ValueError, r"biases\[1\] contains inf"),
        ({"loss": "hinge"}, ValueError, "loss must be one of 'cross_entropy', 'squared_error'"),
        ({"frozen": 2}, ValueError, r"frozen must be in 0\.\.1; got 2"),
        ({"frozen": True}, TypeError, "frozen must be a number of layers"),
        ({"dtype": "int32"}, ValueError, "dtype must be 'float32' or 'float64'"),
        ({"dtype": "nonsense"}, ValueError, "dtype must be 'float32' or 'float64'"),
    ],
)
def test_bad_networks_are_refused(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        ed.ReLUMLP(**{"weights": W, **arguments})


@pytest.mark.parametrize(
    ("sizes", "error", "sentence"),
    [
        ([3], ValueError, "at least an input and an output layer"),
        ([3, 0], ValueError, r"sizes\[1\] must be at least 1"),
        ([3, 2.5], TypeError, r"sizes\[1\] must be an integer"),
        ("34", TypeError, "sizes must be a sequence of integers"),
    ],
)
def test_bad_sizes_are_refused(sizes, error, sentence):
    with pytest.raises(error, match=sentence):
        ed.ReLUMLP.random(sizes)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"optimizer": "lion"}, ValueError, "optimizer must be one of 'adam', 'sgd'"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be above 0"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate must be finite"),
        ({"weight_decay": -1}, ValueError, "weight_decay must be at least 0"),
        ({"y": np.zeros(6, int)}, ValueError, "one class only"),
        ({"y": np.full(6, 2)}, ValueError, "y contains 2"),
        ({"X": np.full((6, 4), np.nan)}, ValueError, "X contains nan"),
        ({"X": np.ones((6, 3))}, ValueError, "X has 3 features; this network takes 4 inputs"),
    ],
)
def test_bad_training_is_refused_and_nothing_changes(change, error, sentence):
    net, X, y, _ = random_case(9, SIZES)
    before = net.parameters.copy()
    with pytest.raises(error, match=sentence):
        net.fit(**{"X": X, "y": y, **change})
    np.testing.assert_array_equal(net.parameters, before)


def test_a_pickled_network_still_learns_and_its_accumulator_travels():
    net, X, y, _ = random_case(1, (3, 4, 3, 2), n_samples=12)
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        before = twin.weights[0].copy()
        twin.fit(X, y, epochs=1, seed=0)
        assert not np.array_equal(twin.weights[0], before)
        assert np.shares_memory(twin.weights[0], twin.parameters)
    accumulator = net.degree_accumulator()
    accumulator.update(X, y)
    sent = pickle.loads(pickle.dumps(accumulator))
    assert sent.capacitance() == accumulator.capacitance()
