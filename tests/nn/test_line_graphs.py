"""Line graphs of Keras models: against dense double differentiation, and Keras' own counts."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
from dense_oracle import CASES, NETWORKS, NODES, case, degrees  # noqa: E402
from keras import layers as kl  # noqa: E402

import edgedyn as ed  # noqa: E402
from edgedyn import nn  # noqa: E402
from edgedyn.nn.meter import CapacitanceMeter  # noqa: E402
from edgedyn.nn.models.backbones import architecture  # noqa: E402

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("float64")]


@pytest.mark.tensorflow_oracle
@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize(("name", "strength"), CASES)
def test_weighted_degrees_are_those_of_dense_double_differentiation(name, strength, nodes):
    made, model, x, y = case(name)
    P = nn.interaction(model, x, y, strength=strength, nodes=nodes, batch_size=1)
    dense = degrees(NETWORKS[name], made, x, np.eye(3)[y], strength, nodes)
    names = [layer.name for layer in P.graph.index.layers]
    assert names == [layer.name for layer in P.graph.index.layers if layer.name in dense]
    ins = np.concatenate([dense[name][0] for name in names])
    outs = np.concatenate([dense[name][1] for name in names])
    scale = max(np.abs(ins).max(), np.abs(outs).max())
    np.testing.assert_allclose(P.in_degree(), ins, rtol=1e-10, atol=1e-12 * scale)
    np.testing.assert_allclose(P.out_degree(), outs, rtol=1e-10, atol=1e-12 * scale)


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize(
    "name",
    ["branches", *(pytest.param(n, marks=pytest.mark.slow) for n in ("plain", "mobile", "gated"))],
)
def test_the_explicit_matrix_is_the_operator(name, nodes):
    _, model, x, y = case(name)
    P = nn.interaction(model, x, y, strength="signed", nodes=nodes)
    matrix = P.to_scipy()
    assert matrix.nnz == P.graph.n_links  # no strength lies off the links
    n = P.graph.n_nodes
    rng = np.random.default_rng(0)
    for _ in range(3):
        v = rng.standard_normal(n)
        np.testing.assert_allclose(matrix @ v, P.operator @ v, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(matrix.T @ v, P.operator.T @ v, rtol=1e-9, atol=1e-12)
    weights = {(s, t): w for s, t, w in P.to_networkx().edges(data="weight")}
    links = matrix.tocoo()
    for row, column, value in zip(links.row[:50], links.col[:50], links.data[:50], strict=True):
        assert weights[column, row] == value


def positive(model, seed=0):
    """Make every parameter positive and different, so that no strength can cancel."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(rng.uniform(0.5, 1.0, weight.shape))
    return model


def linear_networks():
    """Networks without masks, and without neurons that nothing reads.

    There a strength is zero only where there is no link.
    """
    i = keras.Input((7, 5, 3))
    x = kl.Conv2D(2, 3, strides=2, padding="same", use_bias=True)(i)
    x = kl.Conv2D(4, 2, padding="same", dilation_rate=2, groups=2)(x)
    yield "grouped", keras.Model(i, kl.Dense(2)(kl.Flatten()(kl.AveragePooling2D((2, 1))(x))))
    i = keras.Input((9, 2))
    x = kl.Conv1D(3, 4, strides=3)(i)
    x = kl.ZeroPadding1D((2, 1))(x)
    x = kl.Conv1D(2, 2, dilation_rate=2, padding="same")(x)
    x = kl.UpSampling1D(2)(kl.Cropping1D(1)(x))
    yield "1d", keras.Model(i, kl.Dense(2)(kl.GlobalAveragePooling1D()(kl.Conv1D(2, 3)(x))))
    for padding in ("same", "valid"):
        for kernel, strides in ((3, 2), (2, 3), (4, 1)):
            i = keras.Input((3, 4, 2))
            x = kl.Conv2D(2, 2, padding="same")(i)
            x = kl.Conv2DTranspose(2, kernel, strides=strides, padding=padding)(x)
            x = kl.Conv2D(2, 3, padding="same")(x)
            name = f"transposed {padding} {kernel}/{strides}"
            yield name, keras.Model(i, kl.Dense(2)(kl.GlobalAveragePooling2D()(x)))
    i = keras.Input((6, 5, 2))
    a = kl.Conv2D(2, 1)(kl.ZeroPadding2D(((2, 0), (0, 1)))(i))
    b = kl.AveragePooling2D(3, strides=1, padding="same")(a)
    c = kl.AveragePooling2D(2, strides=1, padding="same")(a)
    x = kl.Add()([b, c])
    x = kl.Concatenate(axis=1)([x, kl.Cropping2D(((1, 0), (0, 0)))(a)])
    x = kl.SeparableConv2D(3, 3, depth_multiplier=2, padding="same")(x)
    x = kl.Permute((3, 1, 2))(x)
    x = kl.Conv2D(2, 3, strides=(1, 2))(x)
    yield "branches", keras.Model(i, kl.Dense(2)(kl.Flatten()(x)))
    i = keras.Input((4, 4, 3))
    x = kl.DepthwiseConv2D(2, depth_multiplier=2)(i)
    gate = kl.Dense(6)(kl.GlobalAveragePooling2D(keepdims=True)(x))
    x = kl.Multiply()([x, gate])
    for size, interpolation in (((2, 1), "nearest"), ((2, 3), "bilinear")):
        x = kl.Conv2D(2, 2)(kl.UpSampling2D(size, interpolation=interpolation)(x))
    yield "gate and up-sampling", keras.Model(i, kl.Dense(2)(kl.GlobalAveragePooling2D()(x)))


LINEAR = ["grouped", "1d", "branches", "gate and up-sampling"]
LINEAR += [f"transposed {p} {k}" for p in ("same", "valid") for k in ("3/2", "2/3", "4/1")]
QUICK = ("branches", "transposed same 3/2")
FEW = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in LINEAR]


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("name", FEW)
def test_links_are_where_strengths_of_a_linear_network_are_not_zero(name, nodes):
    model = positive(dict(linear_networks())[name])
    x = np.random.default_rng(0).uniform(0.5, 1, (1, *model.input_shape[1:]))
    y = np.array([[-100.0, -100.0]])  # so far off that no error is zero
    P = nn.interaction(model, x, y, strength="signed", nodes=nodes, loss="mean_squared_error")
    n = P.graph.n_nodes
    dense = np.column_stack([P.operator @ column for column in np.eye(n)])
    found = np.abs(dense) > 1e-12 * np.abs(dense).max()
    np.testing.assert_array_equal(found, P.graph.to_scipy().toarray() > 0)
    assert n == sum(int(np.prod(w.shape)) for w in model.trainable_weights) or nodes == "kernels"


def test_a_batch_norm_changes_nodes_not_paths():
    i = keras.Input((5, 5, 2))
    x = kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(3, 3)(i)))
    model = keras.Model(i, kl.Dense(2, activation="softmax")(kl.Flatten()(x)))
    kernels, everything = ed.line_graph(model), ed.line_graph(model, nodes="all")
    assert kernels.pairs == [(1, 2)] and everything.pairs == [(1, 2), (2, 3)]
    assert everything.n_nodes == model.count_params() - 6  # without the moving statistics


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (kl.LSTM(3), "recurrent layers use each parameter at every time step"),
        (kl.LayerNormalization(), "the sample's own statistics mixes all its features"),
    ],
)
def test_other_layers_are_refused_by_name_with_the_reason(layer, message):
    i = keras.Input((4, 2))
    x = layer(kl.Dense(3)(i))
    model = keras.Model(i, kl.Dense(2)(kl.Flatten()(x)))
    with pytest.raises(ValueError, match=f"{layer.name}.*{message}"):
        ed.line_graph(model)


def test_attention_is_refused_by_name_with_the_reason():
    i = keras.Input((4, 2))
    x = kl.Dense(4)(i)
    x = kl.MultiHeadAttention(2, 2, name="heads")(x, x)
    model = keras.Model(i, kl.Dense(2)(kl.Flatten()(x)))
    with pytest.raises(ValueError, match="heads.*no line graph"):
        ed.line_graph(model)


def test_sizes_must_be_fixed_and_bias_belongs_to_sizes():
    i = keras.Input((None, None, 3))
    x = kl.GlobalAveragePooling2D()(kl.Conv2D(2, 3)(i))
    model = keras.Model(i, kl.Dense(2)(x))
    with pytest.raises(ValueError, match="inputs of a fixed size"):
        ed.line_graph(model)
    with pytest.raises(TypeError, match="bias belongs to sizes"):
        ed.line_graph(model, bias=True)


@pytest.mark.parametrize(
    "name",
    [
        "MobileNetV2",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("DenseNet121", "Xception")),
    ],
)
def test_nodes_of_real_models_are_their_trainable_parameters(name):
    model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3))
    everything, kernels = ed.line_graph(model, nodes="all"), ed.line_graph(model)
    assert everything.n_nodes == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    named = [w for w in model.trainable_weights if "kernel" in w.name]
    assert kernels.n_nodes == sum(int(np.prod(w.shape)) for w in named)


def test_published_networks_have_no_values_and_leave_none_behind():
    model = architecture("MobileNet", (96, 96, 3))
    assert ed.line_graph(model, nodes="all").n_nodes == 4231976  # Keras' own count of trainables
    kernel = next(layer for layer in model.layers if layer.weights).weights[0]
    assert kernel._value is None
    keras.Model(i := keras.Input((4,)), kl.Dense(2)(i))  # Keras fills in values when it builds
    assert kernel._value is None


@pytest.mark.parametrize("strength", ["magnitude", pytest.param("signed", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FEW)
def test_degrees_by_kernels_of_ones_are_those_of_the_operator(name, strength):
    # The sweeps for beta_eff take channel sums and box filters where the operator takes any kernel.
    model = dict(linear_networks())[name]
    x = np.random.default_rng(0).standard_normal((3, *model.input_shape[1:]))
    y = np.random.default_rng(1).standard_normal((3, 2))
    options = {"strength": strength, "nodes": "all", "loss": "mean_squared_error"}
    P = nn.interaction(model, x, y, **options)
    meter = CapacitanceMeter(model, scope="network", **options)
    _, found = meter.by_differentiation(*meter.check_data(x, y))
    into, out = (np.concatenate(parts) for parts in zip(*(v.flat() for v in found), strict=True))
    scale = np.abs(into).max()
    np.testing.assert_allclose(P.in_degree(), into, rtol=1e-10, atol=1e-12 * scale)
    np.testing.assert_allclose(P.out_degree(), out, rtol=1e-10, atol=1e-12 * scale)
