"""Training-free proxies of Keras models: reference vectors, direct oracles, nothing is changed."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers as kl  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn.capacitance import DivergedError  # noqa: E402
from edgedyn.nn.graph.autodiff import in_doubles  # noqa: E402
from edgedyn.nn.graph.extract import extract  # noqa: E402
from edgedyn.nn.scores import zero_cost as module  # noqa: E402
from edgedyn.predict import zero_cost as formulas  # noqa: E402

pytestmark = pytest.mark.tensorflow
# BASELINES section 3.
REFERENCE = {
    "grad_norm": 0.9021773687,
    "snip": 1.2666004988,
    "grasp": -0.6903327050,
    "fisher": 0.0293512205,
    "synflow": 410.8349740992,
    "jacob_cov": -8.8448313661,
    "naswot": 46.6322991164,
    "te_nas_condition": 136.2179638236,
    "te_nas_regions": 8,
}


def channels_last(kernel):
    return kernel.transpose(2, 3, 1, 0)


def reference_net(softmax=True):
    """Return the small network and the batch of BASELINES section 3."""
    rng = np.random.default_rng(0)
    sn = rng.standard_normal
    W1, b1 = 0.3 * sn((4, 3, 3, 3)), 0.1 * sn(4)
    W2, b2 = 0.3 * sn((5, 4, 3, 3)), 0.1 * sn(5)
    W3, b3 = 0.3 * sn((3, 5)), 0.1 * sn(3)
    x, y = sn((8, 3, 8, 8)), rng.integers(0, 3, 8)
    inputs = keras.Input((8, 8, 3))
    h = kl.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    h = kl.ReLU()(kl.Conv2D(5, 3, padding="same")(h))
    h = kl.Dense(3, activation="softmax" if softmax else None)(kl.GlobalAveragePooling2D()(h))
    model = keras.Model(inputs, h)
    model.set_weights([channels_last(W1), b1, channels_last(W2), b2, W3.T, b3])
    return model, x.transpose(0, 2, 3, 1), y


def small(units=4, activation="relu", batch_norm=False):
    """Return an untrained network on 6 x 6 images and a batch."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2))
    h = kl.Conv2D(units, 3)(inputs)
    h = kl.BatchNormalization()(h) if batch_norm else h
    h = kl.Flatten()(kl.Activation(activation)(h))
    model = keras.Model(inputs, kl.Dense(3, activation="softmax")(h))
    x = np.random.default_rng(0).standard_normal((6, 6, 6, 2))
    return model, x, np.arange(6) % 3


@pytest.mark.usefixtures("float64")
def test_reference_values():
    model, x, y = reference_net()
    assert y.tolist() == [2, 1, 1, 0, 0, 1, 0, 1]
    assert x[7, 7, 7, 2] == pytest.approx(0.511907622021, abs=1e-12)
    with in_doubles():
        p = keras.ops.convert_to_numpy(model(x))
    assert -np.log(p[np.arange(8), y]).mean() == pytest.approx(1.1527656423, abs=1e-10)
    found = nn.zero_cost(model, x, y)
    for name, value in REFERENCE.items():
        assert found[name] == pytest.approx(value, rel=0, abs=1e-10), name  # as many as printed
    assert {name for name, s in found.scores.items() if s.status != "ok"} == {"te_nas_regions"}
    assert found["te_nas_regions"].status == "saturated"
    batch = module.Batch(extract(model), x, None, None, np.random.default_rng(0), 1)
    kernel = batch.get("agreement")
    assert (kernel[0, 0], kernel[0, 1]) == (576, 313)


@pytest.mark.usefixtures("float64")
def test_reference_zen():
    rng = np.random.default_rng(0)
    sn = rng.standard_normal
    kernels = [sn((4, 3, 3, 3)), sn((5, 4, 3, 3))]
    sn((3, 5))
    x, change = sn((8, 3, 8, 8)).transpose(0, 2, 3, 1), sn((8, 3, 8, 8)).transpose(0, 2, 3, 1)
    inputs = h = keras.Input((8, 8, 3))
    for units in (4, 5):
        h = kl.Conv2D(units, 3, padding="same", use_bias=False)(h)
        h = kl.ReLU()(kl.BatchNormalization()(h))
    model = keras.Model(inputs, kl.Dense(3)(kl.GlobalAveragePooling2D()(h)))
    batch = module.Batch(extract(model), x, None, None, rng, 1)
    tensors = [keras.ops.convert_to_tensor(channels_last(kernel)) for kernel in kernels]
    given = ({0: keras.ops.convert_to_tensor(part)} for part in (x, change))
    difference, first, second = batch.zen_passes(tensors, *given)
    assert np.log(difference) == pytest.approx(0.3319331314, abs=1e-10)
    terms = [0.5 * np.log(v.mean()) for v in first]
    assert terms == pytest.approx([1.5037654027, 1.2920465198], abs=1e-10)
    assert formulas.zen(difference, first) == pytest.approx(3.1277450540, abs=1e-10)
    pairs = zip(first, second, strict=True)
    running = [formulas.zen_running_variance(a, b, 8 * 64) for a, b in pairs]
    assert formulas.zen(difference, running) == pytest.approx(1.7037710012, abs=1e-10)


def test_single_precision_gives_the_same_by_a_copy():
    model, x, y = reference_net()
    assert model.dtype_policy.name == "float32"
    found = nn.zero_cost(model, x, y)
    for name, value in REFERENCE.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name


@pytest.mark.tensorflow_oracle
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradients_and_hessian_by_tensorflow_directly(activation):
    model, x, y = small(activation=activation, batch_norm=True)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        spread = 0.5 + rng.random(weight.shape)
        weight.assign(spread if "variance" in weight.path else 0.3 * spread * np.sign(spread - 1))
    kernels = [w.value for w in model.trainable_weights if w.name == "kernel"]
    loss = keras.losses.SparseCategoricalCrossentropy()
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            value = loss(y, model(x, training=False))
        gradients = inner.gradient(value, kernels)
        product = sum(tf.reduce_sum(g * tf.stop_gradient(g)) for g in gradients)
    products = outer.gradient(product, kernels)
    found = nn.zero_cost(model, x, y, proxies=["snip", "grasp", "grad_norm"])
    assert found["snip"] == pytest.approx(formulas.snip(kernels, gradients), rel=1e-6)
    assert found["grad_norm"] == pytest.approx(formulas.grad_norm(gradients), rel=1e-6)
    assert found["grasp"] == pytest.approx(formulas.grasp(kernels, products), rel=1e-6)


@pytest.mark.tensorflow_oracle
@pytest.mark.usefixtures("float64")
def test_jacobian_and_tangent_kernel_by_tensorflow_directly():
    model, x, _ = reference_net(softmax=False)
    t = tf.constant(x)
    kernels = [w.value for w in model.trainable_weights if w.name == "kernel"]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(t)
        sums = tf.reduce_sum(model(t), axis=1)
    rows = tape.jacobian(sums, kernels)
    G = np.concatenate([r.numpy().reshape(8, -1) for r in rows], axis=1)
    found = nn.zero_cost(model, x, proxies=["te_nas_condition", "jacob_cov"])
    assert found["te_nas_condition"] == pytest.approx(formulas.te_nas_condition(G @ G.T), rel=1e-9)
    gradient = tape.gradient(sums, t).numpy()
    assert found["jacob_cov"] == pytest.approx(formulas.jacob_cov(gradient), rel=1e-9)


def test_weights_stay_also_when_a_proxy_fails(monkeypatch):
    model, x, y = small(batch_norm=True)
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = [w.copy() for w in model.get_weights()]
    nn.zero_cost(model, x, y)

    def broken(*arguments):
        raise RuntimeError("broken")

    monkeypatch.setattr(formulas, "zen", broken)
    with pytest.raises(RuntimeError, match="broken"):
        nn.zero_cost(model, x, y)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert model.compiled and keras.config.floatx() == "float32"


def test_seed_decides_zen_and_nothing_else():
    model, x, y = small(batch_norm=True)
    first, again, other = (nn.zero_cost(model, x, y, seed=seed) for seed in (1, 1, 2))
    assert first.scores == again.scores
    changed = {name for name in first.scores if first[name] != other[name]}
    assert changed == {"zen"}
    for weight in model.weights:
        weight.assign(weight * 0.5)
    assert nn.zero_cost(model, x, proxies=["zen"], seed=1)["zen"] == first["zen"]


@pytest.mark.usefixtures("float64")
def test_synflow_leaves_preprocessing_batch_norms_and_caps_out():
    values = []
    for batch_norm, activation in ((False, "relu"), (True, "relu6")):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6, 6, 2))
        h = kl.Rescaling(1 / 127.5, offset=-1.0)(inputs) if batch_norm else inputs
        h = kl.Conv2D(9, 3, use_bias=False)(kl.ZeroPadding2D(1)(h))
        h = kl.BatchNormalization()(h) if batch_norm else h
        h = kl.Activation(activation)(h)
        model = keras.Model(inputs, kl.Dense(3)(kl.Flatten()(h)))
        rng = np.random.default_rng(0)
        for weight in model.trainable_weights:
            weight.assign(rng.standard_normal(weight.shape) if weight.name == "kernel" else weight)
        x = np.random.default_rng(0).standard_normal((3, 6, 6, 2))
        values.append(nn.zero_cost(model, x, proxies=["synflow"])["synflow"])
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_degenerate_batches_and_networks_are_told():
    model, x, y = small()
    twins = np.concatenate([x[:2], x[:2]])
    found = nn.zero_cost(model, twins, proxies=["naswot", "te_nas_condition", "te_nas_regions"])
    assert (found["naswot"], found["naswot"].status) == (-np.inf, "singular")
    assert (found["te_nas_condition"], found["te_nas_condition"].status) == (np.inf, "singular")
    assert (found["te_nas_regions"], found["te_nas_regions"].status) == (2, "ok")
    smooth = nn.zero_cost(small(activation="tanh")[0], x, proxies=["naswot", "te_nas_regions"])
    assert {s.status for s in smooth.scores.values()} == {"no_relu"}
    dead, _, _ = small()
    dead.layers[-1].set_weights([0 * w for w in dead.layers[-1].get_weights()])
    found = nn.zero_cost(dead, x, proxies=["jacob_cov", "synflow"])
    assert found["jacob_cov"].status == "constant_rows" and found["synflow"].status == "no_flow"


def test_result_prints_and_becomes_plain():
    model, x, y = small()
    seen = []
    found = nn.zero_cost(model, x, y, progress=lambda done, word: seen.append((done, word)))
    assert [word for _, word in seen] == list(formulas.PROXIES)
    assert [done for done, _ in seen] == pytest.approx(np.arange(10) / 10)
    text = str(found)
    assert "6 samples, 264 weights" in text and "(lower is better)" in text
    plain = found.to_dict()
    assert set(plain["proxies"]["snip"]) == {"value", "status", "seconds"}
    assert plain["n_weights"] == 264 and min(found.seconds.values()) > 0
    assert list(nn.zero_cost(model, x).scores) == [
        name for name in formulas.PROXIES if name not in module.WITH_LABELS
    ]


@pytest.mark.parametrize(
    "build",
    [
        lambda i: kl.Dense(3)(kl.Flatten()(i)),
        lambda i: kl.Dense(3)(kl.Dense(4, activation="relu")(kl.Flatten()(i))),
        lambda i: kl.GlobalAveragePooling2D()(kl.Conv2D(3, 3)(i)),
        lambda i: kl.Flatten()(kl.DepthwiseConv2D(3)(i)),
    ],
)
def test_networks_of_other_forms(build):
    inputs = keras.Input((6, 6, 2))
    model = keras.Model(inputs, build(inputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    found = nn.zero_cost(model, small()[1], small()[2], loss=loss)
    assert all(s.status != "ok" or np.isfinite(s) for s in found.scores.values())
    assert found["zen"].status == "ok"


def test_a_nested_model_with_a_probe():
    inputs = keras.Input((6, 6, 2))
    h = kl.GlobalAveragePooling2D()(kl.BatchNormalization()(kl.Conv2D(4, 3)(inputs)))
    outer = keras.Input((6, 6, 2))
    backbone = keras.Model(outer, keras.Model(inputs, h)(kl.Rescaling(0.5)(outer)))
    model = nn.attach_probe(backbone, 3, units=(5,), seed=0)
    assert nn.zero_cost(model, *small()[1:], proxies=["snip", "zen"])["zen"].status == "ok"


X, Y = np.zeros((4, 6, 6, 2)), [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("x", "y", "options", "kind", "words"),
    [
        (X, Y, {"proxies": ["snap"]}, ValueError, "each of proxies must be one of .* got 'snap'"),
        (X, Y, {"proxies": "snip"}, TypeError, "sequence of names"),
        (X, Y, {"proxies": []}, ValueError, "empty"),
        (X, None, {"proxies": ["snip", "zen"]}, ValueError, "snip need labels"),
        (X[:1], Y[:1], {}, ValueError, "at least two"),
        (X[:, :4], Y, {}, ValueError, "the model takes"),
        (X, Y[:3], {}, ValueError, "y of shape"),
        (X, Y, {"loss": "hinge"}, ValueError, "'hinge' is not known"),
        (X, Y, {"zen_repeats": 0}, ValueError, "zen_repeats"),
        (np.full_like(X, np.nan), Y, {}, ValueError, "x contains nan"),
    ],
)
def test_refusals(x, y, options, kind, words):
    with pytest.raises(kind, match=words):
        nn.zero_cost(small()[0], x, y, **options)


def test_unknown_layers_and_diverged_networks_are_refused():
    inputs = keras.Input((6, 4))
    model = keras.Model(inputs, kl.Dense(2)(kl.LSTM(3)(inputs)))
    with pytest.raises(ValueError, match="LSTM is not known"):
        nn.zero_cost(model, np.zeros((2, 6, 4)))
    with pytest.raises(TypeError, match="Keras models can be read"):
        nn.zero_cost("model", np.zeros((2, 6, 4)))
    model, x, y = small()
    model.layers[-1].bias.assign([np.nan, 0, 0])
    with pytest.raises(DivergedError, match="not finite"):
        nn.zero_cost(model, x, y)
