"""beta_eff in other forms, and controls, after every epoch of a study.

Named by a study's ``capacitance.measures``; the numbers go into the records' measures. Everything
is computed from the features that the frozen probe receives on the samples of beta_eff (one forward
pass), so that no training has to be repeated; only the gradient's norm takes a backward pass, over
256 of them.
"""

import keras
import numpy as np
import tensorflow as tf

from edgedyn.nn.data.sampling import stratified_indices
from edgedyn.nn.meter import CapacitanceMeter
from edgedyn.nn.models.probe import probe_input
from papers.jiang2024.zoo.measuring import once_a_model

FORMS = {
    "absolute": {"strength": "absolute"},
    "signed": {"strength": "signed"},
    "full": {"strength": "signed", "coupling": "full"},
    "all_nodes": {"nodes": "all"},
}
SAMPLES = (64, 256)
GRADIENT_SAMPLES = 256


class Measures:
    """One model's measures, compiled once."""

    def __init__(self, model):
        self.meter = CapacitanceMeter(model)
        self.forms = {name: CapacitanceMeter(model, **kind) for name, kind in FORMS.items()}
        self.head = keras.Model(probe_input(model), model.output)
        self.loss = keras.losses.SparseCategoricalCrossentropy()

        @tf.function
        def gradient(x, y):
            with tf.GradientTape() as tape:
                value = self.loss(y, model(x, training=False))
            parts = tape.gradient(value, model.trainable_weights)
            return tf.linalg.global_norm([g for g in parts if g is not None])

        self.gradient = gradient

    def __call__(self, x, y):
        """Return the numbers of one epoch."""
        x, targets = self.meter.check_data(x, y)
        features = self.meter.features(x)
        found = {}
        for name, meter in self.forms.items():
            cap = meter.of_features(features, targets)
            found[f"beta_{name}"] = cap.value
            if name == "signed":
                found["conditioning"] = cap.conditioning
        for n in SAMPLES:
            chosen = stratified_indices(y, n, np.random.default_rng(0))
            found[f"beta_n{n}"] = self.meter.of_features(features[chosen], targets[chosen]).value
        probabilities = self.head.predict_on_batch(features)
        errors = np.abs(probabilities - np.eye(probabilities.shape[1])[y]).max(axis=1)
        found["mean_error"] = float(errors.mean())
        found["feature_norm"] = float(np.abs(features).sum(axis=1).mean())
        chosen = stratified_indices(y, GRADIENT_SAMPLES, np.random.default_rng(0))
        found["gradient"] = float(self.gradient(tf.cast(x[chosen], tf.float32), y[chosen]))
        return found


_of = once_a_model(Measures)


def measures(model, x, y):
    """Return the numbers of one epoch.

    Parameters
    ----------
    model : keras.Model
        With the probe.
    x, y : ndarray
        The samples of beta_eff.

    Returns
    -------
    dict of str to float
        ``beta_<form>`` and ``beta_n<samples>``, NaN where degenerate; ``conditioning`` of the
        signed form; ``mean_error``, the mean over samples of the largest prediction error;
        ``feature_norm``, the mean 1-norm of the features; ``gradient``, the Euclidean norm of the
        loss's gradient by all trained weights, inference mode.
    """
    return _of(model)(x, y)
