"""The training of papers/jiang2024 that is observed in more ways than a study's."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

from edgedyn.studies.protocol import Training  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]
N_TRAIN, BATCH = 80, 10
CANDIDATE = {
    "name": "mlp",
    "factory": "edgedyn.nn.models.small:mlp",
    "options": {"units": (8,)},
    "image_size": 8,
}


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """Return ablations/observe.py, and a file of random images whose brightness is their class."""
    file = tmp_path_factory.mktemp("data") / "task.npz"
    rng = np.random.default_rng(0)
    parts = {}
    for part, n in (("train", 1080), ("test", 30)):
        y = np.arange(n) % 2
        bright = rng.integers(0, 128, (n, 8, 8, 3)) + 100 * y[:, None, None, None]
        parts |= {f"x_{part}": bright.astype(np.uint8), f"y_{part}": y.astype(np.uint8)}
    np.savez(file, **parts)
    from papers.jiang2024.ablations import observe

    return observe, file


def observed(setting, **changes):
    observe, file = setting
    options = {"batch_size": BATCH, "epochs": 3, "early_epochs": 3, "batch_norm_momentum": 0.9}
    training = Training(**{**options, **changes})
    return observe.observe(CANDIDATE, "cifar100-a", file, training, n_train=N_TRAIN, fine_epochs=2)


def test_quarters_and_other_forms_stand_beside_the_default(setting):
    record = observed(setting)
    assert record.status == "completed" and len(record.epochs) == 3
    assert 0 <= record.final_test_accuracy <= 1
    for epoch in record.epochs[:2]:
        found = epoch.measures
        # There are fewer samples than the default takes: all of them are the same.
        assert found["beta_all_samples"] == pytest.approx(epoch.beta_eff, rel=1e-5)
        assert found["beta_network"] > 0
        quarters = [found[f"beta_q{q}"] for q in (1, 2, 3)] + [epoch.beta_eff]
        assert len(set(quarters)) == 4 and min(quarters) > 0
        assert all(0 <= found[f"accuracy_q{q}"] <= 1 for q in (1, 2, 3))
    assert record.epochs[2].measures == {} and np.isfinite(record.epochs[2].beta_eff)
    assert record.provenance["data"]["validation"] == 1000


def test_a_probe_of_one_hidden_layer_has_no_beta_eff_of_its_kernels():
    import keras

    from edgedyn import nn

    inputs = keras.Input((4,))
    for units, status in (((8,), "no_interior_layer"), ((8, 5), "ok")):
        model = nn.attach_probe(keras.Model(inputs, keras.layers.Dense(6)(inputs)), 3, units=units)
        x = np.random.default_rng(0).standard_normal((30, 4))
        assert nn.neural_capacitance(model, x, np.arange(30) % 3).status == status


def test_an_epoch_has_to_fall_into_quarters(setting):
    with pytest.raises(ValueError, match="do not fall into 4 equal parts"):
        observed(setting, batch_size=30)
