"""Algorithm 1 on real weights and images, and the routes against each other there."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402

import edgedyn as ed  # noqa: E402
from edgedyn import nn  # noqa: E402
from edgedyn.nn.crosscheck import cross_check  # noqa: E402
from edgedyn.nn.meter import CapacitanceMeter  # noqa: E402

FOLDER = Path(os.environ.get("EDGEDYN_DATA", "."))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.realdata,
    pytest.mark.skipif("EDGEDYN_DATA" not in os.environ, reason="EDGEDYN_DATA is not set"),
]


def mobilenet(shape=(32, 32, 3)):
    path = FOLDER / "weights" / "imagenet_mobilenet_v1_0.25_224.h5"
    return nn.backbone("MobileNet", alpha=0.25, weights=path, input_shape=shape)


def cifar(n_train):
    spec = f"npz:{FOLDER / 'images' / 'cifar10.npz'}"
    return nn.load_dataset(spec, n_train=n_train, validation_size=500)


def test_three_epochs_of_mobilenet_and_a_prediction():
    data = cifar(800)
    keras.utils.set_random_seed(0)
    model = nn.attach_probe(mobilenet(), n_classes=10, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    watch = nn.CapacitanceCallback(data.train.x, data.train.y, seed=0)
    history = model.fit(
        data.train.batches(64, shuffle_seed=0),
        validation_data=data.validation.batches(64),
        epochs=3,
        callbacks=[watch],
        shuffle=False,
        verbose=0,
    ).history
    assert history["beta_eff"] == watch.beta_eff.tolist()
    assert {record.status for record in watch.records} == {"ok"}
    assert history["loss"][-1] < history["loss"][0]
    reg = ed.NeuralCapacitanceRegressor(t0="bic", n_validation=500)
    reg.fit(watch.beta_eff[:, None], history["val_accuracy"])
    value, std = reg.predict_final(return_std=True)
    assert 0 <= value <= 1 and std > 0


@pytest.mark.parametrize(("coupling", "strength"), [("direct", "magnitude"), ("full", "signed")])
def test_closed_form_and_autodiff_agree_on_real_features(coupling, strength):
    data = cifar(100)
    model = nn.attach_probe(mobilenet(), n_classes=10, seed=0)
    meter = CapacitanceMeter(model, coupling=coupling, strength=strength, nodes="all")
    x, targets = meter.check_data(data.train.x, data.train.y)
    assert cross_check(meter, meter.features(x), targets).passed


def test_the_whole_resnet8_of_tinyml():
    data = cifar(128)
    model = nn.backbone(FOLDER / "weights" / "cifar10_resnet8.h5")
    whole = nn.detach_probe(nn.attach_probe(model, 10, seed=0), 10, seed=0)
    values = [
        nn.neural_capacitance(whole, data.train.x, data.train.y, scope="network", batch_size=b)
        for b in (32, 128)
    ]
    assert values[0].status in ("ok", "vanishing")
    assert values[0].value == pytest.approx(values[1].value, rel=1e-4)
    assert len(values[0].per_layer) == 10  # nine convolutions, two of them shortcuts, and the head
    assert np.isfinite([layer.contribution for layer in values[0].per_layer]).all()
