"""The same networks under JAX, PyTorch and TensorFlow, each in a process of its own."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("backend_values.py")
BACKENDS = ("jax", "torch")


def run(backend, *words, **environ):
    """Run a script under a backend, in double precision where JAX must be told so."""
    options = {"KERAS_BACKEND": backend, "JAX_ENABLE_X64": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if backend == "jax":  # optimising takes longer than the tests
        options["XLA_FLAGS"] = (
            "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
        )
    return subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | options | environ,
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Results under TensorFlow, which the dense oracles know."""
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    path = tmp_path_factory.mktemp("values") / "tensorflow.npz"
    done = run("tensorflow", SCRIPT, path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_degrees_products_and_proxies_agree_in_double_precision(backend, reference):
    if find_spec(backend) is None:
        pytest.skip(f"install the extra {backend!r}")
    path = reference.with_name(f"{backend}.npz")
    done = run(backend, SCRIPT, path, reference)
    assert done.returncode == 0, done.stderr
    with np.load(reference) as expected, np.load(path) as found:
        names = [name for name in expected.files if "/result/" in name]
        assert len(names) > 15 and set(names) <= set(found.files)
        for name in names:
            one, other = expected[name], found[name]
            # The first is beta_eff, which may not be one; so may a proxy.
            scale = np.max(np.abs(np.nan_to_num(one[1:])))
            np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-11 * scale, err_msg=name)


TRAINING = """
import edgedyn as ed
from edgedyn import nn
import keras, numpy as np
keras.utils.set_random_seed(0)
data = nn.load_dataset("digits")
inputs = keras.Input((8, 8, 3))
x = keras.layers.Rescaling(1 / 255)(inputs)
x = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, activation="relu")(x))
x = keras.layers.GlobalAveragePooling2D()(x)
model = nn.attach_probe(keras.Model(inputs, x), n_classes=10, units=(16, 12), seed=0)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
watch = nn.CapacitanceCallback(data.train.x, data.train.y, seed=0)
history = model.fit(
    data.train.batches(64, shuffle_seed=0), validation_data=data.validation.batches(64),
    epochs=2, verbose=0, shuffle=False, callbacks=[watch],
).history
assert history["beta_eff"] == watch.beta_eff.tolist() and (watch.beta_eff > 0).all()
again = ed.neural_capacitance(model, watch.x, watch.y)
assert abs(again.value - watch.beta_eff[-1]) < 1e-6 * again.value, again
whole = ed.neural_capacitance(model, watch.x, watch.y, scope="network")
assert whole.status == "ok" and nn.detach_probe(model, 10).output_shape == (None, 10)
scores = nn.transfer_scores(model, watch.x[:200], watch.y[:200])
assert np.isfinite(scores.logme)
print(keras.backend.backend())
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_probe_is_trained_and_measured(backend, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"install the extra {backend!r}")
    script = tmp_path / "training.py"
    script.write_text(TRAINING)
    done = run(backend, script, JAX_ENABLE_X64="0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == backend


STUDY = """
import sys
import edgedyn as ed

def study(folder, epochs):
    found = ed.select(
        data={"spec": "digits", "n_train": [200]},
        candidates=[{"name": "mlp", "factory": "edgedyn.nn.models.small:mlp"}],
        training={"epochs": epochs, "early_epochs": 3, "augmentation": ["flip"]},
        output=folder, stage="full",
    )
    (record,) = found.records
    assert record.status == "completed", record.reason
    return record, [(e.train_loss, e.val_accuracy, e.beta_eff) for e in record.epochs]

record, whole = study(sys.argv[1] + "/whole", 5)
assert record.provenance["backend"] == sys.argv[2] and record.provenance["device"]
assert study(sys.argv[1] + "/again", 5)[1] == whole
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_study_is_run_and_gives_the_same_again(backend, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"install the extra {backend!r}")
    script = tmp_path / "study.py"
    script.write_text(STUDY)
    done = run(backend, script, tmp_path, backend, JAX_ENABLE_X64="0")
    assert done.returncode == 0, done.stderr


def test_a_backend_that_is_absent_is_named():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "try: import edgedyn.nn\n"
        "except ImportError as error: print(error)"
    )
    done = run("torch", "-c", code)
    assert done.stdout.startswith("KERAS_BACKEND is 'torch', which is not installed; install the")


SINGLE = """
import os, sys
from pathlib import Path
import numpy as np
from edgedyn import nn

weights = Path(os.environ["EDGEDYN_DATA"]) / "weights" / "imagenet_mobilenet_v2_1.0_224.npz"
body = nn.backbone("MobileNetV2", weights=weights, input_shape=(32, 32, 3))
model = nn.attach_probe(body, n_classes=10, seed=0)
probe = [w for w in model.weights if "probe" in w.path]
if len(sys.argv) > 2:
    with np.load(sys.argv[2]) as given:
        for k, variable in enumerate(probe):
            variable.assign(given[f"probe{k}"])
data = nn.load_dataset("digits", image_size=32).train.first(32)
values = [
    nn.neural_capacitance(model, data.x, data.y, scope=scope, strength=strength).value
    for scope in ("probe", "network") for strength in ("magnitude", "signed")
]
model.compile("sgd", "sparse_categorical_crossentropy")
saved = {f"probe{k}": np.array(v.numpy()) for k, v in enumerate(probe)}
np.savez(sys.argv[1], values=values, **saved)
"""


@pytest.mark.realdata
def test_a_real_network_agrees_in_single_precision(tmp_path):
    if "EDGEDYN_DATA" not in os.environ:
        pytest.skip("set EDGEDYN_DATA to the shared data")
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    script = tmp_path / "single.py"
    script.write_text(SINGLE)
    first = tmp_path / "tensorflow.npz"
    done = run("tensorflow", script, first)
    assert done.returncode == 0, done.stderr
    with np.load(first) as stored:
        expected = stored["values"]
    assert np.isfinite(expected[[0, 2]]).all()
    for backend in filter(find_spec, BACKENDS):
        path = tmp_path / f"{backend}.npz"
        done = run(backend, script, path, first, JAX_ENABLE_X64="0")
        assert done.returncode == 0, done.stderr
        with np.load(path) as stored:
            np.testing.assert_allclose(stored["values"], expected, rtol=1e-4, err_msg=backend)
