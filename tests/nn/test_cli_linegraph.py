"""``edgedyn linegraph`` on Keras models: pages with the strengths and values of their weights."""

import json
import re

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn._data import digits  # noqa: E402
from edgedyn.cli import main  # noqa: E402
from edgedyn.nn.data.sampling import sample_dataset  # noqa: E402

pytestmark = pytest.mark.tensorflow


def cnn():
    inputs = keras.Input((8, 8, 3))
    h = keras.layers.Conv2D(2, 3, activation="relu", name="<b>first")(inputs)
    h = keras.layers.BatchNormalization()(keras.layers.MaxPooling2D(2)(h))
    h = keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(h))
    return keras.Model(inputs, h, name="tiny")


def dense():
    inputs = keras.Input((64,))
    h = keras.layers.Dense(6, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(h))


@pytest.mark.parametrize("nodes", ["kernels", pytest.param("all", marks=pytest.mark.slow)])
@pytest.mark.parametrize("build", [cnn, pytest.param(dense, marks=pytest.mark.slow)])
def test_a_model_file_on_data(build, nodes, tmp_path, capsys):
    keras.utils.set_random_seed(0)
    model = build()
    model.save(tmp_path / "model.keras")
    arguments = ["linegraph", "--model", str(tmp_path / "model.keras"), "--nodes", nodes]
    assert main([*arguments, "--data", "digits", "--out", str(tmp_path / "gb.html")]) == 0
    capsys.readouterr()
    page = (tmp_path / "gb.html").read_text(encoding="utf-8")
    assert "256 samples" in page and f"Line graph of {model.name} on digits" in page
    assert "<b>first" not in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    kept = [w for w in model.trainable_variables if nodes == "all" or w.name == "kernel"]
    values = np.concatenate([np.ravel(keras.ops.convert_to_numpy(w)) for w in kept])
    np.testing.assert_array_equal(np.float32(data["values"]), values)

    train = nn.load_dataset("digits").train
    x, y = digits() if build is dense else (train.x, train.y)
    x, y = sample_dataset(x, y, 256, np.random.default_rng(0))
    expected = nn.interaction(model, x, y, nodes=nodes).to_scipy().data
    np.testing.assert_allclose(data["links"]["strength"], expected, rtol=1e-5, atol=1e-9)


def test_data_need_values(tmp_path, capsys):
    arguments = ["linegraph", "--model", "VGG16", "--data", "digits"]
    assert main([*arguments, "--out", str(tmp_path / "gb.html")]) == 2
    assert "--data needs weights with values" in capsys.readouterr().err


def test_a_published_network_is_drawn_layer_by_layer(tmp_path, capsys):
    assert main(["linegraph", "--model", "VGG16", "--out", str(tmp_path / "gb.html")]) == 0
    capsys.readouterr()
    page = (tmp_path / "gb.html").read_text(encoding="utf-8")
    assert "138,344,128 nodes" in page and "is shown layer by layer" in page
    assert page.count("<tr>") == 1 + 16


def test_the_layers_of_a_published_network(tmp_path, capsys):
    nx = pytest.importorskip("networkx")
    path = tmp_path / "layers.gexf"
    assert main(["linegraph", "--model", "VGG16", "--layers", "--out", str(path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    graph = nx.read_gexf(path, node_type=int)
    assert len(graph) == printed["n_layers"] == 16
    edges = [data for *_, data in graph.edges(data=True)]
    assert sum(data["links"] for data in edges) == printed["n_links"]
    assert sum(data["beta_share"] for data in edges) == pytest.approx(1)
    assert graph.edges[16, 15]["links"] == 4096 * 4096 * 1000  # its last two dense layers
