"""KerasHub's own layers, against the same network by hand and against dense differentiation."""

from itertools import product

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")
hub = pytest.importorskip("keras_hub", reason="install the extra 'hub'")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from dense_oracle import degrees  # noqa: E402
from keras import layers as kl  # noqa: E402
from keras_hub.src.models.swin_transformer import swin_transformer_layers as swin  # noqa: E402
from test_mixing import Mixed, MixedDense  # noqa: E402
from test_sweeps import compare, measured  # noqa: E402

import edgedyn as ed  # noqa: E402
from edgedyn import nn  # noqa: E402
from edgedyn.nn.graph.steps import Looked  # noqa: E402

# Swin's windows are called with what Keras takes for a mask, of which it warns.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore::UserWarning")]
SIDE, WIDTH, HEADS = 4, 4, 2


class Hub(Mixed):
    """Builds networks with KerasHub's blocks."""

    def swin(self, name, x, window, shift):
        layer = swin.SwinTransformerBlock(
            WIDTH,
            (SIDE, SIDE),
            HEADS,
            window_size=window,
            shift_size=shift,
            mlp_ratio=1.5,
            name=name,
        )
        out = layer(x)
        self.made[name] = layer
        for part in ("norm1", "norm2"):
            self.made[f"{name}/{part}"] = getattr(layer, part)
        self.made[f"{name}/attn/attention_qkv"] = layer.attn.qkv
        self.made[f"{name}/attn/attention_projection"] = layer.attn.proj
        for dense in (layer.mlp.fc1, layer.mlp.fc2):
            self.made[f"{name}/{dense.name}"] = dense
        return out


class HubDense(MixedDense):
    """Runs them as the paper of Swin describes them, window by window and pair by pair."""

    def swin(self, name, x, window, shift):
        layer = self.made[name]
        h = self.norm(f"{name}/norm1", x, "LayerNormalization")
        h = tf.roll(tf.reshape(h, (-1, SIDE, SIDE, WIDTH)), (-shift, -shift), (1, 2))
        corners = list(product(range(0, SIDE, window), repeat=2))
        places = list(product(range(window), repeat=2))
        h = tf.stack(
            [tf.stack([h[:, a + i, b + j] for i, j in places], 1) for a, b in corners], axis=1
        )
        h = self._layer(f"{name}/attn/attention_qkv", h)
        query, key, value = (
            tf.reshape(u, (-1, len(corners), len(places), HEADS, WIDTH // HEADS))
            for u in tf.split(h, 3, -1)
        )
        scale = (WIDTH // HEADS) ** -0.5
        scores = self._product("bwqhd,bwkhd->bwhqk", query * scale, key)
        scores = scores + self._positions(layer, window, shift, corners, places)
        h = self._product("bwhqk,bwkhd->bwqhd", self._primitive(tf.nn.softmax, scores), value)
        h = tf.reshape(h, (-1, len(corners), len(places), WIDTH))
        h = self._layer(f"{name}/attn/attention_projection", h)
        rows = [[None] * SIDE for _ in range(SIDE)]
        for w, (a, b) in enumerate(corners):
            for n, (i, j) in enumerate(places):
                rows[a + i][b + j] = h[:, w, n]
        h = tf.stack([tf.stack(row, axis=1) for row in rows], axis=1)
        h = tf.reshape(tf.roll(h, (shift, shift), (1, 2)), (-1, SIDE * SIDE, WIDTH))
        x = x + h
        h = self.norm(f"{name}/norm2", x, "LayerNormalization")
        first, second = (f"{name}/{dense.name}" for dense in (layer.mlp.fc1, layer.mlp.fc2))
        return x + self._layer(second, self.act("gelu", self._layer(first, h)))

    def parameters(self, name):
        layer = self.made[name]
        if not isinstance(layer, kl.Dense):
            return super().parameters(name)
        return layer.kernel.value, layer.bias.value

    def apply(self, name, kernel, bias, u):
        if not isinstance(self.made[name], kl.Dense):
            return super().apply(name, kernel, bias, u)
        out = tf.tensordot(u, kernel, 1)
        return out if bias is None else out + bias

    def _positions(self, layer, window, shift, corners, places):
        """Return what is added to scores: by offset, and -100 across a shift's seam."""
        table = layer.attn.relative_position_bias_table.numpy()
        added = np.zeros((len(corners), HEADS, len(places), len(places)))
        stripe = [0 if r < SIDE - window else 1 if r < SIDE - shift or not shift else 2
                  for r in range(SIDE)]  # fmt: skip
        for w, (a, b) in enumerate(corners):
            for (n, (i, j)), (m, (k, l)) in product(enumerate(places), repeat=2):  # noqa: E741
                row = (i - k + window - 1) * (2 * window - 1) + (j - l + window - 1)
                here, there = (stripe[a + i], stripe[b + j]), (stripe[a + k], stripe[b + l])
                added[w, :, n, m] = table[row] - 100.0 * (shift > 0 and here != there)
        return tf.constant(added)


def windows(L, x):
    x = kl.Reshape((SIDE * SIDE, WIDTH))(L.conv("c1", x, WIDTH, 2, strides=2))
    x = L.swin("b1", x, 2, 0)
    x = L.swin("b2", x, 2, 1)
    return L.dense("out", kl.GlobalAveragePooling1D()(x), 3)


@pytest.mark.slow
@pytest.mark.tensorflow_oracle
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("strength", ["magnitude", "signed"])
def test_attention_in_shifted_windows_by_dense_differentiation(strength):
    shape = (2 * SIDE, 2 * SIDE, 2)
    builder = Hub(0)
    model = builder.model(windows, shape)
    x, y = np.random.default_rng(0).standard_normal((2, *shape)), np.array([0, 1])
    cap, ours = measured(model, x, y, strength=strength, nodes="kernels")
    dense = degrees(windows, builder.made, x, np.eye(3)[y], strength, "kernels", HubDense)
    value = compare(ours, dense)
    if cap.status == "ok":
        assert cap.value == pytest.approx(value, rel=1e-9)
    else:
        assert strength == "signed"


@pytest.mark.usefixtures("float64")
def test_entries_of_a_table_are_those_of_all_places_that_look_them_up():
    rng = np.random.default_rng(0)
    index = rng.integers(0, 5, (3, 3))
    table = keras.Variable(rng.standard_normal((5, 2)), dtype="float64")
    step = Looked("positions", (0,), 1, table, index, structure=None)
    q = rng.standard_normal((4, 6, 2, 3, 3))
    placed, collected = np.zeros((2, 3, 3)), np.zeros((5, 2))
    for head, i, j in product(range(2), range(3), range(3)):
        placed[head, i, j] = np.asarray(table)[index[i, j], head]
        collected[index[i, j], head] += q[:, :, head, i, j].sum()
    numpy = keras.ops.convert_to_numpy
    np.testing.assert_allclose(numpy(step.placed(table.value)), placed, rtol=1e-12)
    np.testing.assert_allclose(numpy(step.collected(keras.ops.convert_to_tensor(q))), collected)
    u = rng.standard_normal((4, 6, 2, 3, 3))
    shifted = numpy(step.forward(keras.ops.convert_to_tensor(u)))
    np.testing.assert_allclose(shifted, u + placed, rtol=1e-12)


BODIES = {
    "ViT": lambda: hub.models.ViTBackbone(
        image_shape=(16, 16, 3),
        patch_size=(8, 8),
        num_layers=2,
        num_heads=2,
        hidden_dim=6,
        mlp_dim=8,
    ),
    "DeiT": lambda: hub.models.DeiTBackbone(
        image_shape=(16, 16, 3),
        patch_size=8,
        num_layers=2,
        num_heads=2,
        hidden_dim=6,
        intermediate_dim=8,
    ),
    "Swin": lambda: hub.models.SwinTransformerBackbone(
        image_shape=(16, 16, 3),
        patch_size=2,
        embed_dim=4,
        depths=(2, 2),
        num_heads=(2, 2),
        window_size=4,
    ),
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", BODIES)
def test_transformers_of_keras_hub_are_read(name):
    inputs = keras.Input((16, 16, 3))
    x = kl.GlobalAveragePooling1D()(BODIES[name]()(inputs))
    model = keras.Model(inputs, kl.Dense(3, activation="softmax")(x))
    x, y = np.random.default_rng(0).uniform(0, 1, (5, 16, 16, 3)), np.arange(5) % 3
    found = nn.neural_capacitance(model, x, y, scope="network", nodes="all")
    assert found.status == "ok" and found.n_nodes == model.count_params()
    with pytest.raises(ValueError, match="no line graph"):
        ed.line_graph(model)


# By name ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """Return a folder with a small transformer and its preprocessing."""
    folder = tmp_path_factory.mktemp("presets") / "small_vit"
    BODIES["ViT"]().save_to_preset(folder)
    scaling = {"scale": 1 / 127.5, "offset": -1.0}
    hub.layers.ViTImageConverter(image_size=(16, 16), **scaling).save_to_preset(folder)
    return folder


def test_a_preset_is_a_backbone(preset):
    body = nn.backbone(f"keras_hub:{preset}")
    x = np.random.default_rng(0).integers(0, 256, (5, 20, 24, 3))
    assert body.name == "small_vit" and body.output_shape == (None, 6)
    inner = hub.models.Backbone.from_preset(str(preset))
    resized = keras.ops.image.resize(x.astype("float32"), (16, 16))
    expected = inner(resized / 127.5 - 1)[:, 0]
    numpy = keras.ops.convert_to_numpy
    np.testing.assert_allclose(numpy(body(x)), numpy(expected), rtol=1e-4, atol=1e-5)
    keras.utils.set_random_seed(3)
    other = nn.backbone(f"keras_hub:{preset}", weights=None, input_shape=(16, 16, 3))
    assert not np.allclose(other.get_weights()[0], body.get_weights()[0])
    model = nn.attach_probe(other, n_classes=3, units=(8, 5), seed=0)
    for scope in ("probe", "network"):
        y = np.arange(5) % 3
        assert nn.neural_capacitance(model, x[:, :16, :16], y, scope=scope).status == "ok"


def test_presets_that_are_not_there_are_named(preset, monkeypatch, tmp_path):
    from edgedyn.nn.models import hub as module

    with pytest.raises(ValueError, match="no image preset 'vit_base_patch16_225_imagenet'.*224"):
        nn.backbone("keras_hub:vit_base_patch16_225_imagenet")
    with pytest.raises(ValueError, match="takes no options; got alpha"):
        nn.backbone(f"keras_hub:{preset}", alpha=0.25)
    with pytest.raises(
        module.PresetNotFound, match="could not be had .*give its folder, keras_hub"
    ):
        nn.backbone(f"keras_hub:{tmp_path}")

    def offline(preset, **options):
        raise ConnectionError("no network\nmore")

    monkeypatch.setattr(hub.models.Backbone, "from_preset", offline)
    with pytest.raises(
        module.PresetNotFound, match=r"\(ConnectionError: no network\); download it"
    ):
        nn.backbone("keras_hub:vit_base_patch16_224_imagenet", weights=None)
    monkeypatch.setitem(__import__("sys").modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'edgedyn\[hub\]'"):
        nn.backbone("keras_hub:vit_base_patch16_224_imagenet")
