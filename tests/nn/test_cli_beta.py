"""``edgedyn beta``: tables, JSON, the check, saved models, and bad input."""

import json

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn.cli import main  # noqa: E402

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def saved(tmp_path):
    """Save a small compiled model with a probe for digits."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    backbone = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="small")
    model = nn.attach_probe(backbone, 10, units=(12, 7), seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.save(tmp_path / "model.keras")
    return model, str(tmp_path / "model.keras")


def run(capsys, *arguments):
    code = main(["beta", *arguments])
    return code, capsys.readouterr()


def test_a_saved_model_gives_the_librarys_number(saved, capsys):
    model, path = saved
    code, out = run(capsys, "--model", path, "--samples", "200", "--seed", "3", "--json", "--check")
    result = json.loads(out.out)
    from edgedyn.nn.data.sampling import sample_dataset

    train = nn.load_dataset("digits", seed=3).train
    x, y = sample_dataset(train.x, train.y, 200, np.random.default_rng(3))
    value = nn.neural_capacitance(model, x, y).value
    assert code == 0
    assert result["capacitance"]["value"] == pytest.approx(value, rel=1e-6)
    assert result["check"]["passed"] and result["settings"]["seed"] == 3
    assert result["environment"]["packages"]["tensorflow"]
    names = [layer["name"] for layer in result["capacitance"]["per_layer"]]
    assert names == ["probe_dense_1", "probe_dense_2", "probe_output"]


def test_tables_show_every_layer(saved, capsys):
    code, out = run(capsys, "--model", saved[1], "--samples", "64", "--scope", "network")
    assert code == 0
    for word in ("conv2d", "probe_output", "in-degrees", "beta_eff ="):
        assert word in out.out
    code, out = run(capsys, "--model", saved[1], "--samples", "64", "--check", "--nodes", "all")
    assert code == 0 and "agree" in out.out
    assert "probe_batch_norm_1" in out.out


def test_a_named_backbone_gets_a_probe(capsys):
    options = ["--weights", "none", "--alpha", "0.25", "--image-size", "32", "--samples", "32"]
    code, out = run(capsys, "--model", "MobileNet", *options, "--json")
    assert code == 0
    assert json.loads(out.out)["capacitance"]["n_samples"] == 32


def test_a_failed_check_is_an_exit_code_of_its_own(saved, capsys, monkeypatch):
    monkeypatch.setattr("edgedyn.nn.crosscheck.TOLERANCES", {"float32": 0.0})
    code, out = run(capsys, "--model", saved[1], "--samples", "64", "--check")
    assert code == 1 and "DISAGREE" in out.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "MobileNett", "--weights", "none"], "did you mean MobileNet"),
        (["--model", "nowhere.keras"], "there is no file 'nowhere.keras'"),
        (["--model", "MobileNet", "--data", "digitz"], "data must be digits"),
        (["--model", "MobileNet", "--data", "folder:/nowhere"], "there is no folder '/nowhere'"),
        (["--model", "MobileNet", "--scope", "all"], "scope must be one of"),
        (["--model", "MobileNet", "--coupling", "full"], "signed strengths only"),
        (["--model", "MobileNet", "--seed", "-1"], "--seed must be in 0.."),
        (["--model", "MobileNet", "--check", "--scope", "network"], "--check compares"),
        (
            ["--model", "MobileNet", "--samples", "0", "--weights", "none"],
            "--samples must be at least 1",
        ),
        (["--model", "VGG16", "--alpha", "0.5", "--weights", "none"], "takes no option alpha"),
        (["--model", "AlexNet"], "no ImageNet weights of AlexNet"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, words, capsys):
    code, out = run(capsys, *arguments)
    assert code == 2
    assert words in out.err and len(out.err.strip().splitlines()) == 1
    assert "Traceback" not in out.err and not out.out


def test_a_file_that_is_no_model(tmp_path, capsys):
    for name in ("broken.keras", "broken.h5"):
        (tmp_path / name).write_bytes(b"no model at all")
        code, out = run(capsys, "--model", str(tmp_path / name))
        assert code == 2 and name in out.err and len(out.err.strip().splitlines()) == 1


# What models take --------------------------------------------------------------------------------


def small(channels, side=6):
    inputs = keras.Input((side, side, channels))
    h = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    h = keras.layers.Dense(5, activation="relu")(keras.layers.Flatten()(h))
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(h), name="small")


@pytest.mark.parametrize("ending", [".keras", ".h5", ".hdf5"])
def test_images_are_loaded_as_the_file_takes_them(ending, tmp_path, capsys):
    model = small(1)
    path = tmp_path / f"grey{ending}"
    model.save(tmp_path / f"m{'.keras' if ending == '.keras' else '.h5'}")
    next(tmp_path.glob("m.*")).rename(path)
    given = ("--model", str(path), "--samples", "100", "--scope", "network", "--json")
    code, out = run(capsys, *given)
    from edgedyn.nn.data.sampling import sample_dataset

    train = nn.load_dataset("digits", image_size=6, seed=0).train
    x, y = sample_dataset(train.x, train.y, 100, np.random.default_rng(0))
    grey = x[..., :1].astype(np.float32)  # the three channels are one
    value = nn.neural_capacitance(model, grey, y, scope="network").value
    assert code == 0
    assert json.loads(out.out)["capacitance"]["value"] == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("scope", ["network", "probe"])
def test_other_channels_and_saved_models_are_named(scope, tmp_path, capsys):
    small(4).save(tmp_path / "four.keras")
    code, out = run(capsys, "--model", str(tmp_path / "four.keras"), "--scope", scope)
    assert code == 2 and "takes images of 4 channels; 1 and 3 are known" in out.err
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"")
    code, out = run(capsys, "--model", str(tmp_path / "saved"), "--scope", scope)
    assert code == 2 and "in TensorFlow's SavedModel format" in out.err
