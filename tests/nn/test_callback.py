"""The callback: what it writes, keeps, refuses, and that it measures what it says."""

import csv

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402

from edgedyn import nn  # noqa: E402

pytestmark = pytest.mark.tensorflow


def task(n=60, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 4)).astype("f4"), np.arange(n) % n_classes


def compiled_model(optimizer="sgd", loss="sparse_categorical_crossentropy", **options):
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(6, activation="relu", kernel_initializer=seeded())(inputs)
    model = nn.attach_probe(keras.Model(inputs, hidden), 3, units=(8, 5), seed=0, **options)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def seeded():
    return keras.initializers.HeNormal(seed=1)


def fit(model, watch, x, y=None, epochs=2, **options):
    shuffle = y is not None  # Keras warns where a pipeline is to be shuffled
    return model.fit(x, y, epochs=epochs, verbose=0, callbacks=[watch], shuffle=shuffle, **options)


def test_later_callbacks_see_beta_eff(tmp_path):
    x, y = task()
    model, watch = compiled_model(), nn.CapacitanceCallback(x, y, seed=0)
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    board = keras.callbacks.TensorBoard(tmp_path / "board")
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[watch, log, board])
    assert history.history["beta_eff"] == watch.beta_eff.tolist()
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(r["beta_eff"]) for r in rows] == pytest.approx(watch.beta_eff.tolist())
    events = [tf.data.TFRecordDataset(str(p)) for p in tmp_path.rglob("*tfevents*")]
    tags = {
        value.tag
        for records in events
        for record in records
        for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value
    }
    assert "epoch_beta_eff" in tags
    assert len(watch.seconds) == 3 and (watch.seconds > 0).all()
    assert watch.to_frame().shape == (3, 6)


@pytest.mark.parametrize("scope", ["probe", "network"])
def test_it_measures_the_model_as_it_is_after_the_epoch(scope):
    x, y = task()
    model, watch = compiled_model(), nn.CapacitanceCallback(x, y, scope=scope, seed=0)
    fit(model, watch, x, y)
    direct = nn.neural_capacitance(model, x, y, scope=scope)
    assert watch.beta_eff[-1] == pytest.approx(direct.value, rel=1e-6)
    assert watch.beta_eff[0] != watch.beta_eff[1]


def test_the_sample_is_stratified_fixed_and_seeded():
    x, y = task(300)
    first, second = (nn.CapacitanceCallback(x, y, n_samples=30, seed=7) for _ in range(2))
    assert np.array_equal(first.x, second.x)
    assert np.bincount(first.y).tolist() == [10, 10, 10]
    state = np.random.get_state()[1].copy()  # noqa: NPY002  (that it stays untouched)
    nn.CapacitanceCallback(x, y, n_samples=30)
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("batch", [None, 7])
def test_pipelines_give_the_same_kind_of_sample(batch):
    x, y = task(300)
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(300, seed=0)
    watch = nn.CapacitanceCallback(data.batch(batch) if batch else data, n_samples=30, seed=0)
    assert np.bincount(watch.y).tolist() == [10, 10, 10]
    rows = {tuple(row): label for row, label in zip(x, y, strict=True)}
    assert [rows[tuple(row)] for row in watch.x] == watch.y.tolist()
    model = compiled_model()
    fit(model, watch, data.batch(32))
    assert np.isfinite(watch.beta_eff).all()


def test_repeated_fits_keep_all_records_and_show_the_latest():
    x, y = task()
    model, watch = compiled_model(), nn.CapacitanceCallback(x, y)
    fit(model, watch, x, y, epochs=2)
    history = fit(model, watch, x, y, epochs=3)
    assert len(watch.beta_eff) == len(history.history["beta_eff"]) == 3
    assert [(r.fit, r.epoch) for r in watch.records] == [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    other = compiled_model(loss="mean_squared_error")
    with pytest.raises(ValueError, match="one row of targets"):
        fit(other, watch, x, np.eye(3)[y])


def test_an_interrupted_fit_keeps_what_it_has():
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    x, y = task()
    model, watch = compiled_model(), nn.CapacitanceCallback(x, y)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=3, verbose=0, callbacks=[watch, Stop()])
    assert len(watch.records) == 1
    fit(model, watch, x, y)
    assert len(watch.beta_eff) == 2


def test_a_finite_loss_beside_an_output_that_is_not():
    x, y = task()
    model, watch = compiled_model(), nn.CapacitanceCallback(x, y)
    watch.set_model(model)
    watch.on_train_begin()
    model.get_layer("probe_output").kernel.assign(np.full((5, 3), np.inf))
    logs = {"loss": 1.0}
    watch.on_epoch_end(0, logs)
    assert watch.records[-1].status == "diverged" and np.isnan(logs["beta_eff"])


@pytest.mark.parametrize("layer", ["probe_dense_1", "probe_output"])
def test_a_diverged_run_is_recorded(layer):
    x, y = task()
    model, watch = compiled_model(), nn.CapacitanceCallback(x, y)
    model.get_layer(layer).kernel.assign(model.get_layer(layer).kernel * np.nan)
    history = fit(model, watch, x, y, epochs=2)
    last = watch.records[-1]
    assert last.status == "diverged" and np.isnan(last.beta_eff) and last.capacitance is None
    assert not np.isfinite(last.loss)
    assert np.isnan(history.history["beta_eff"][-1])
    assert last.to_dict()["capacitance"] is None


def test_a_degenerate_value_is_nan_in_the_logs():
    x, y = task()
    model, watch = compiled_model(), nn.CapacitanceCallback(x, y, strength="signed")
    history = fit(model, watch, x, y)
    assert np.isnan(history.history["beta_eff"]).all()
    assert {r.status for r in watch.records} == {"gauge_degenerate"}


def test_features_are_reused_only_for_a_frozen_backbone():
    x, y = task()
    model, watch = compiled_model(frozen=False), nn.CapacitanceCallback(x, y, source="features")
    with pytest.raises(ValueError, match="freeze it"):
        fit(model, watch, x, y)
    for layer in model.layers:
        layer.trainable = layer.name.startswith("probe_")
    model.compile("sgd", "sparse_categorical_crossentropy")
    fit(model, watch, x, y)
    assert watch.beta_eff[-1] == pytest.approx(nn.neural_capacitance(model, x, y).value, rel=1e-6)
    assert watch.beta_eff[0] != watch.beta_eff[1]


def test_bad_input_is_refused_before_training():
    x, y = task()
    with pytest.raises(ValueError, match="one class only"):
        nn.CapacitanceCallback(x, np.zeros(60, int))
    with pytest.raises(ValueError, match="x and y"):
        nn.CapacitanceCallback(x, y[:-1])
    with pytest.raises(ValueError, match="source must be one of"):
        nn.CapacitanceCallback(x, y, source="images")
    with pytest.raises(ValueError, match="network scope needs x"):
        nn.CapacitanceCallback(x, y, source="features", scope="network")
    with pytest.raises(ValueError, match="n_samples must be at least 1"):
        nn.CapacitanceCallback(x, y, n_samples=0)
    endless = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).repeat()
    with pytest.raises(ValueError, match="infinite"):
        nn.CapacitanceCallback(endless)
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    plain.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="has no probe"):
        fit(plain, nn.CapacitanceCallback(x, y), x, y)
    wrong = nn.CapacitanceCallback(x, y + 1)
    with pytest.raises(ValueError, match=r"labels must be integers in 0\.\.2"):
        fit(compiled_model(), wrong, x, y)
    spoiled = x.copy()
    spoiled[3, 2] = np.nan
    with pytest.raises(ValueError, match="contains nan"):
        fit(compiled_model(), nn.CapacitanceCallback(spoiled, y), x, y)


def test_a_model_that_has_changed_between_fits_is_measured_as_it_is():
    x, y = task()
    model, watch = compiled_model(), nn.CapacitanceCallback(x, y, seed=0, scope="network")
    fit(model, watch, x, y, epochs=1)
    dense = model.get_layer("probe_dense_2")
    dense.enable_lora(1)
    dense.lora_kernel_b.assign(np.ones(dense.lora_kernel_b.shape))
    model.compile(keras.optimizers.SGD(0.0), model.loss)
    fit(model, watch, x, y, epochs=1)
    fresh = compiled_model()
    for mine, theirs in zip(fresh.layers, model.layers, strict=True):
        if hasattr(theirs, "kernel"):
            mine.kernel.assign(theirs.kernel)
            mine.bias.assign(theirs.bias)
    expected = nn.neural_capacitance(fresh, watch.x, watch.y, scope="network")
    assert watch.beta_eff[-1] == pytest.approx(expected.value, rel=1e-5)
    assert watch.records[0].beta_eff != watch.beta_eff[-1]


def test_a_sample_in_another_range_than_what_is_fitted_is_told(recwarn):
    x = np.random.default_rng(0).integers(0, 256, (60, 6)).astype("float32")
    y = np.arange(60) % 3

    def fitted(sample, model, **options):
        recwarn.clear()
        watch = nn.CapacitanceCallback(sample, y, seed=0)
        model.fit(x, y, epochs=2, verbose=0, batch_size=20, callbacks=[watch], **options)
        return [str(w.message) for w in recwarn if "mean |x|" in str(w.message)]

    model = range_model()
    assert fitted(x, model) == []
    (said,) = fitted(x / 255, model)  # the training step is the same
    assert "mean |x| of 0.5" in said and "give CapacitanceCallback the data that fit" in said
    assert len(fitted(x / 16, range_model())) == 1
    assert len(fitted(x / 2, range_model())) == 1
    assert fitted(x[:, ::-1] * 1.5, range_model()) == []
    centred = x / 127.5 - 1
    assert len(fitted(centred, range_model())) == 1
    late = range_model()
    late.fit(x, y, verbose=0)  # compiled without: nothing is known
    assert fitted(x / 255, late) == []


def test_watching_inputs_changes_no_number_of_a_training():
    x = np.random.default_rng(0).standard_normal((60, 6)).astype("float32")
    y = np.arange(60) % 3
    losses = []
    for callbacks in ([], [nn.CapacitanceCallback(x, y)]):
        history = range_model().fit(x, y, epochs=3, verbose=0, shuffle=False, callbacks=callbacks)
        losses.append(history.history["loss"])
    assert losses[0] == losses[1]


def range_model():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    backbone = keras.Model(inputs, keras.layers.Dense(5, activation="relu")(inputs))
    model = nn.attach_probe(backbone, 3, units=(8, 5), dropout=0.0, seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model
