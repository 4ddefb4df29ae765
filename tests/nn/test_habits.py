"""What real models are like: every case has the value of an equal plain model, or is refused."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers as kl  # noqa: E402

import edgedyn as ed  # noqa: E402
from edgedyn import nn  # noqa: E402

SLOW = pytest.mark.slow
HALVES = ("mixed_bfloat16", "mixed_float16", "bfloat16", "float16")


def model_of(build, shape=(4,), head="softmax"):
    keras.utils.set_random_seed(1)
    inputs = keras.Input(shape)
    return keras.Model(inputs, kl.Dense(3, activation=head)(build(inputs)))


def beta(model, seed=0, **options):
    x = np.random.default_rng(seed).standard_normal((6, *model.input_shape[1:]))
    options = {"scope": "network", **options}
    return nn.neural_capacitance(model, x, np.arange(6) % 3, **options)


def deep(x):
    return kl.Dense(4, activation="relu")(kl.Dense(5)(x))


# Max pooling that keeps the shape ----------------------------------------------------------------


def chain(pool, flat):
    def build(x):
        x = (kl.Conv1D if flat else kl.Conv2D)(4, 2, activation="relu", name="a")(x)
        x = (kl.Conv1D if flat else kl.Conv2D)(4, 1, name="b")(pool(x))
        return kl.Dense(4, activation="relu", name="c")(kl.Flatten()(x))

    return build


POOLS = {
    "1d": (kl.MaxPool1D(3, 1, "same"), (6, 2)),
    "2d": (kl.MaxPool2D((2, 3), 1, "same"), (4, 4, 2)),
    "window of one": (kl.MaxPool2D(1, 1), (4, 4, 2)),
    "on one position": (kl.MaxPool2D(3, 2, "same"), (2, 2, 2)),
    "one position, 1d": (kl.MaxPool1D(2, 2, "same"), (2, 2)),
}


@pytest.mark.tensorflow_oracle
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "name", [p if p == "window of one" else pytest.param(p, marks=SLOW) for p in POOLS]
)
def test_shape_keeping_pools_have_the_value_of_padded_ones(name):
    pool, shape = POOLS[name]
    flat = len(shape) == 2

    def padded(x):
        """Take the same maxima, over explicit margins of a number below all."""
        size, strides = np.array(pool.pool_size), np.array(pool.strides)
        if pool.padding == "same":
            sides = np.array(x.shape[1:-1])
            need = (-(-sides // strides) - 1) * strides + size - sides
            margins = [(0, 0), *((int(m) // 2, int(m) - int(m) // 2) for m in need), (0, 0)]
            x = kl.Lambda(lambda u: tf.pad(u, margins, constant_values=-1e9))(x)
        windows = tuple(size.tolist()), tuple(strides.tolist())
        return (kl.MaxPool1D if flat else kl.MaxPool2D)(*windows)(x)

    model = model_of(chain(type(pool).from_config(pool.get_config()), flat), shape)
    for kind in ({}, {"strength": "signed"}, {"strength": "signed", "coupling": "full"}):
        values = {beta(model, **kind).value for _ in range(3)}
        assert len(values) == 1, kind
    # By finite differences of the gradient, whatever TensorFlow's second derivative does.
    other = model_of(chain(padded, flat), shape)
    other.set_weights(model.get_weights())
    x = np.random.default_rng(0).standard_normal((6, *shape))
    np.testing.assert_allclose(other(x), model(x), atol=1e-12)
    assert values.pop() == pytest.approx(full_by_differences(other, x), rel=1e-5)


def full_by_differences(model, x, step=1e-6):
    """Return signed beta_eff of the full coupling from differences of plain gradients."""
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    y = np.arange(len(x)) % 3

    def gradient():
        with tf.GradientTape() as tape:
            value = keras.losses.SparseCategoricalCrossentropy()(y, model(x))
        return [g.numpy() for g in tape.gradient(value, [k.value for k in kernels])]

    ins, outs = ([np.zeros(k.shape) for k in kernels] for _ in range(2))
    for k, kernel in enumerate(kernels):  # H 1 of one layer, read at its neighbours
        start = kernel.numpy()
        kernel.assign(start + step)
        up = gradient()
        kernel.assign(start - step)
        down = gradient()
        kernel.assign(start)
        for other, total in ((k - 1, ins), (k + 1, outs)):
            if 0 <= other < len(kernels):
                total[other] += (up[other] - down[other]) / (2 * step)
    total = sum(i.sum() for i in ins)
    return sum((i * o).sum() for i, o in zip(ins, outs, strict=True)) / total


# Inference mode ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["network", "probe"])
def test_layers_that_are_random_in_training_are_not_there(scope):
    keras.utils.set_random_seed(0)
    inputs, h = keras.Input((6, 6, 3)), None
    for random in (True, False):
        h = inputs
        if random:
            h = kl.GaussianNoise(0.5)(kl.RandomContrast(0.9)(kl.RandomFlip()(h)))
        h = kl.Conv2D(4, 3, activation="relu")(h)
        if random:
            h = kl.RandomFlip()(kl.SpatialDropout2D(0.5)(kl.GaussianDropout(0.5)(h)))
        h = kl.Flatten()(h)
        model = nn.attach_probe(keras.Model(inputs, h), 3, units=(6, 5), seed=0)
        if random:
            weights, first = model.get_weights(), [beta(model, scope=scope) for _ in range(3)]
            weights = [w for w in weights if w.dtype.kind == "f"]  # seeds' states are integers
        else:
            model.set_weights(weights)
            assert [cap.value for cap in first] == [beta(model, scope=scope).value] * 3


# Layers of one's own -----------------------------------------------------------------------------


class Squared(kl.Dense):
    """Computes otherwise."""

    def call(self, x):
        return super().call(x) ** 2


class Own(kl.Conv2D):
    """Convolves otherwise."""

    def convolution_op(self, x, kernel):
        return super().convolution_op(x, 2 * kernel)


class Doubled(kl.Dense):
    """What Keras documents for normalised weights: the kernel is computed."""

    @property
    def kernel(self):
        return 2 * self._kernel


class Plain(kl.Dense):
    """A dense layer but for its name."""

    def __init__(self, units, **options):
        super().__init__(units, **options)

    def get_config(self):
        return super().get_config()


def test_a_layer_that_computes_otherwise_is_refused_by_name():
    with pytest.raises(ValueError, match="'odd' of type Squared is a Dense with its own call"):
        beta(model_of(lambda x: Squared(4, name="odd")(kl.Dense(4)(x))))
    own = model_of(lambda x: kl.Flatten()(Own(3, 2, name="odd")(x)), (4, 4, 2))
    with pytest.raises(ValueError, match="'odd' of type Own is a Conv2D with its own convol"):
        ed.line_graph(own)
    layer = kl.Dense(4, name="odd")
    layer.call = lambda x: x @ layer.kernel
    with pytest.raises(ValueError, match="'odd' of type Dense is a Dense with its own call"):
        beta(model_of(lambda x: layer(kl.Dense(4)(x))))


def relu(x):
    return x * x


@pytest.mark.tensorflow_oracle
def test_a_function_that_only_has_a_known_name_is_refused():
    with pytest.raises(ValueError, match="'relu' of layer 'odd' is not elementwise or not Keras"):
        beta(model_of(lambda x: kl.Dense(4, activation=relu, name="odd")(kl.Dense(4)(x))))
    same = [model_of(lambda x, f=f: kl.Dense(4, activation=f)(kl.Dense(4)(x)))
            for f in ("relu", tf.nn.relu, kl.ReLU(), keras.activations.relu)]  # fmt: skip
    assert len({beta(m).value for m in same}) == 1


@pytest.mark.parametrize("base", [keras.Model, keras.Sequential])
def test_a_model_with_its_own_call_is_refused(base):
    class Twice(base):
        def call(self, inputs, training=None, mask=None):
            return 2 * super().call(inputs, training=training, mask=mask)

    if base is keras.Model:
        plain = model_of(deep)
        model = Twice(plain.inputs, plain.outputs)
    else:
        model = Twice([keras.Input((4,)), kl.Dense(4), kl.Dense(3, activation="softmax")])
    with pytest.raises(TypeError, match=r"call\(\) of its own|a call\(\)"):
        beta(model)


def test_computed_kernels_count_as_they_are():
    def other(model, kernel):
        plain = model_of(lambda x: kl.Dense(4, activation="relu")(kl.Dense(5)(x)))
        plain.set_weights(model.get_weights()[: len(plain.weights)])
        plain.layers[1].kernel.assign(kernel)
        return beta(plain, nodes="all").value

    doubled = model_of(lambda x: kl.Dense(4, activation="relu")(Doubled(5)(x)))
    assert beta(doubled, nodes="all").value == pytest.approx(
        other(doubled, doubled.layers[1].kernel), rel=1e-6
    )
    plain = model_of(lambda x: kl.Dense(4, activation="relu")(Plain(5)(x)))
    assert beta(plain, nodes="all").value == other(plain, plain.layers[1].kernel)
    before = beta(plain).value
    plain.layers[2].enable_lora(2)
    assert beta(plain).value == before  # its second factor is 0 yet
    plain.layers[2].lora_kernel_b.assign(np.ones((2, 4)))
    changed = model_of(deep)
    for mine, theirs in zip(changed.layers[1:], plain.layers[1:], strict=True):
        mine.kernel.assign(theirs.kernel)
        mine.bias.assign(theirs.bias)
    assert beta(plain).value == beta(changed).value != before


def test_quantised_layers_are_refused_by_name():
    model = model_of(deep)
    model.layers[1].quantize("int8")
    with pytest.raises(ValueError, match=r"is quantised \(int8\)"):
        beta(model)


# Precision ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy", [p if p == "bfloat16" else pytest.param(p, marks=pytest.mark.slow) for p in HALVES]
)
def test_half_precision_is_measured_in_single(policy, monkeypatch):
    if policy != "bfloat16":  # compiled once, and the numbers of the others without
        monkeypatch.setattr("edgedyn.nn.graph.degrees.compiled", lambda function, state: function)

    def build(x):
        x = kl.MaxPool1D(2, 1, "same")(kl.ReLU(negative_slope=0.1)(kl.Conv1D(3, 2)(x)))
        x = kl.Rescaling(0.5)(kl.BatchNormalization()(x))
        return kl.Dense(4, activation="gelu")(kl.Flatten()(x))

    keras.config.set_dtype_policy(policy)
    try:
        half = model_of(build, (5, 2))
        probe = nn.attach_probe(keras.Model(half.input, half.layers[-2].output), 3, seed=0)
    finally:
        keras.config.set_dtype_policy("float32")
    single = model_of(build, (5, 2))
    single.set_weights([np.asarray(w, np.float32) for w in half.get_weights()])
    full = {"coupling": "full", "strength": "signed", "nodes": "all"}
    for kind in ({}, {"nodes": "all"}, full):
        assert beta(half, **kind).value == beta(single, **kind).value, kind
    assert ed.line_graph(half).n_links == ed.line_graph(single).n_links
    own = [la for la in probe.layers if la.name.startswith("probe_")]
    assert {la.compute_dtype for la in own} == {"float32"}
    assert beta(probe, scope="probe").status == "ok"


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_preprocessing_that_is_adapted_again_is_measured_as_it_is(policy):
    keras.config.set_dtype_policy(policy)
    try:
        scale = kl.Normalization()
        model = model_of(lambda x: deep(scale(x)))
    finally:
        keras.config.set_dtype_policy("float32")
    plain, x = model_of(deep), np.random.default_rng(0).standard_normal((6, 4))
    found = []
    for size in (1, 4, 1):
        scale.adapt(size * np.array([[-1.0], [1.0]], np.float32).repeat(4, axis=1))
        for mine, theirs in zip(plain.layers[-3:], model.layers[-3:], strict=True):
            mine.set_weights(theirs.get_weights())
        scaled = np.asarray(keras.ops.cast(scale(x), "float32"))
        kind = {"scope": "network"}
        expected = nn.neural_capacitance(plain, scaled, np.arange(6) % 3, **kind).value
        found.append(nn.neural_capacitance(model, x, np.arange(6) % 3, **kind).value)
        assert found[-1] == pytest.approx(expected, rel=1e-6)
    assert found[0] == found[2] != found[1]


# Outputs and losses ------------------------------------------------------------------------------


def test_outputs_must_be_one_row_a_sample():
    forgotten = model_of(lambda x: kl.Conv2D(3, 1)(kl.Conv2D(3, 1)(x)), (4, 4, 2))
    with pytest.raises(ValueError, match=r"outputs of shape \(None, 4, 4, 3\); losses take"):
        beta(forgotten)
    assert ed.line_graph(forgotten).n_links > 0  # a line graph needs no loss
    sideways = model_of(lambda x: kl.Flatten()(kl.Softmax(axis=1)(kl.Dense(3)(x))), (2, 2))
    with pytest.raises(ValueError, match="runs along axis 1; only the last is known"):
        beta(sideways)


def dense_full(model, x, loss):
    """Return signed beta_eff of the full coupling, from the dense Hessian of Keras' own loss."""
    kernels = [layer.kernel.value for layer in model.layers if hasattr(layer, "kernel")]
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape() as inner:
            value = loss(model(x, training=False))
        gradients = inner.gradient(value, kernels)
        gradients = [tf.convert_to_tensor(g) for g in gradients]
    ins, outs = ([np.zeros(k.shape) for k in kernels] for _ in range(2))
    for k in range(len(kernels) - 1):
        H = outer.jacobian(gradients[k], kernels[k + 1], experimental_use_pfor=False).numpy()
        split = kernels[k].shape.rank
        ins[k] += H.sum(axis=tuple(range(split, H.ndim)))
        outs[k + 1] += H.sum(axis=tuple(range(split)))
    total = sum(i.sum() for i in ins)
    return sum((i * o).sum() for i, o in zip(ins, outs, strict=True)) / total


BINARY = keras.losses.BinaryCrossentropy
LOSSES = [
    ("sigmoid", 1, "binary_crossentropy", BINARY()),
    ("sigmoid", 3, BINARY(label_smoothing=0.2), BINARY(label_smoothing=0.2)),
    (None, 3, BINARY(from_logits=True), BINARY(from_logits=True)),
    ("sigmoid", 3, ["mse"], keras.losses.MeanSquaredError()),
    ("sigmoid", 1, None, BINARY()),
]


@pytest.mark.tensorflow_oracle
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("head", "outputs", "given", "own"),
    [*LOSSES[:2], *(pytest.param(*case, marks=SLOW) for case in LOSSES[2:])],
)
def test_sigmoid_heads_have_the_hessian_of_keras_own_loss(head, outputs, given, own):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((4,))
    h = kl.Dense(4, activation="tanh")(kl.Dense(5, activation="tanh")(inputs))
    model = keras.Model(inputs, kl.Dense(outputs, activation=head)(h))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 4)), rng.integers(0, 2, (7, outputs))
    model.compile("sgd", given)
    kind = {"scope": "network", "coupling": "full", "strength": "signed"}
    found = nn.neural_capacitance(model, x, y[:, 0] if outputs == 1 else y, **kind)
    assert found.value == pytest.approx(dense_full(model, x, lambda p: own(y, p)), rel=1e-6)


def test_a_cast_after_the_head_changes_nothing():
    inputs = keras.Input((4,))
    h = deep(inputs)
    heads = {
        "softmax": kl.Activation("linear", dtype="float32")(kl.Dense(3, activation="softmax")(h)),
        "logits": kl.Activation("linear", dtype="float32")(kl.Dense(3)(h)),
    }
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for name, output in heads.items():
        model = keras.Model(inputs, output)
        plain = keras.Model(inputs, model.layers[-2].output)
        loss = logits if name == "logits" else None
        assert beta(model, loss=loss).value == beta(plain, loss=loss).value


def test_one_output_in_a_list():
    model = model_of(deep)
    listed = keras.Model(model.inputs, [model.outputs[0]])
    assert beta(listed).value == beta(model).value
    backbone = keras.Model(model.inputs, [model.layers[-2].output])
    assert nn.attach_probe(backbone, 3, seed=0).output_shape == (None, 3)


def test_a_classifier_is_no_backbone():
    inner, inputs = model_of(deep), keras.Input((4,))
    layer = model_of(lambda x: kl.Softmax()(kl.Dense(3)(x)))
    for model in (
        inner,
        keras.Model(inputs, inner(inputs)),
        keras.Model(layer.input, layer.layers[-2].output),
    ):
        with pytest.raises(ValueError, match="ends in a softmax: its outputs are probabilities"):
            nn.attach_probe(model, 3)


# Layers that are not known, and one tensor twice ------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(lambda: kl.LSTM(3), (5, 2)), (lambda: kl.RepeatVector(2), (4,)),
     (lambda: kl.Conv3DTranspose(3, 2), (3, 3, 3, 2))],
)  # fmt: skip
def test_layers_that_are_not_known_are_named(layer, shape):
    odd = layer()
    model = model_of(lambda x: kl.Dense(4)(kl.Flatten()(odd(kl.Dense(2)(x)))), shape)
    with pytest.raises(ValueError, match=f"{odd.name!r} of type {type(odd).__name__} is not"):
        beta(model)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("strength", ["magnitude", "signed"])
def test_a_square_is_the_square_however_it_is_written(strength):
    ways = (lambda h: h * h, lambda h: kl.Multiply()([h, h]),
            lambda h: kl.Multiply()([h, kl.Activation("linear")(h)]))  # fmt: skip
    found = []
    for way in ways:
        model = model_of(lambda x, way=way: kl.Dense(3)(way(kl.Dense(4)(kl.Dense(5)(x)))))
        found.append(beta(model, strength=strength).value)
    apart = model_of(lambda x: kl.Dense(3)(kl.Identity()(kl.Dense(4)(kl.Dense(5)(x)))))
    assert found[0] == found[1] == found[2] != beta(apart, strength=strength).value


# The compiled meter stays with the model ---------------------------------------------------------


def test_a_second_call_measures_the_model_as_it_is():
    model, traced = model_of(deep), []
    first = beta(model)
    from edgedyn.nn import meter as module

    original = module.CapacitanceMeter
    try:
        module.CapacitanceMeter = lambda *a, **k: traced.append(1) or original(*a, **k)
        assert beta(model) == first and not traced
        kernel = model.layers[1].kernel
        kernel.assign(kernel * 2)
        moved = beta(model)
        assert moved.value != first.value and not traced
        fresh = model_of(deep)
        fresh.set_weights(model.get_weights())
        assert beta(fresh).value == moved.value and len(traced) == 1
        beta(model, nodes="all")
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy())
        beta(model)
        assert len(traced) == 3
        model.layers[2].activation = keras.activations.tanh
        assert beta(model).value != moved.value
    finally:
        module.CapacitanceMeter = original
    assert len(vars(model)["_edgedyn_meters"].by_key) == module.KEPT


@pytest.mark.tensorflow_oracle
def test_a_measured_model_is_saved_loaded_and_copied_as_before(tmp_path):
    # Keras walks through a model's attributes when it reads and writes weights.
    model = nn.attach_probe(model_of(deep, head="relu"), 3, units=(5, 4), seed=0)
    for scope in ("probe", "network"):
        value = beta(model, scope=scope).value
        model.save(tmp_path / "model.keras")
        model.save_weights(tmp_path / "own.weights.h5")
        other = keras.models.load_model(tmp_path / "model.keras")
        for weight in model.weights:
            weight.assign(weight + 1)
        model.load_weights(tmp_path / "own.weights.h5")
        assert beta(model, scope=scope).value == value == beta(other, scope=scope).value
        assert beta(keras.models.clone_model(model), scope=scope).value != value
        tf.train.Checkpoint(model).save(str(tmp_path / "checkpoint"))
    model.export(tmp_path / "exported", verbose=False)
