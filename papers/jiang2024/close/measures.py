"""What is recorded beside beta_eff after every epoch of the close zoo: errors, other forms.

Named by a study's ``capacitance.measures``; everything is computed from the features that beta_eff
was measured on, without another forward pass.
"""

import keras
import numpy as np

from edgedyn.nn.meter import CapacitanceMeter
from edgedyn.nn.models.probe import probe_input
from papers.jiang2024.zoo.measuring import once_a_model

FORMS = {
    "absolute": {"strength": "absolute"},
    "full": {"strength": "signed", "coupling": "full"},
    "all_nodes": {"nodes": "all"},
}


class Measures:
    """One model's measures, compiled once."""

    def __init__(self, model):
        self.forms = {name: CapacitanceMeter(model, **kind) for name, kind in FORMS.items()}
        self.head = keras.Model(probe_input(model), model.output)

    def __call__(self, y, features):
        """Return the numbers of one epoch."""
        found = {
            f"beta_{name}": meter.of_features(features, y).value
            for name, meter in self.forms.items()
        }
        probabilities = np.asarray(self.head(features, training=False), dtype=np.float64)
        right = probabilities[np.arange(len(y)), y]
        errors = np.abs(probabilities - np.eye(probabilities.shape[1])[y]).max(axis=1)
        found["mean_error"] = float(errors.mean())
        found["sample_loss"] = float(-np.log(np.maximum(right, 1e-12)).mean())
        found["sample_accuracy"] = float((probabilities.argmax(axis=1) == y).mean())
        found["feature_norm"] = float(np.abs(features).sum(axis=1).mean())
        return found


_of = once_a_model(Measures)


def measures(model, x, y, features):
    """Return the numbers of one epoch, on the training samples of beta_eff, in inference mode.

    Parameters
    ----------
    model : keras.Model
        With the probe.
    x, y : ndarray
        The samples of beta_eff.
    features : ndarray, shape (n_samples, n_features)
        What the probe receives for them.

    Returns
    -------
    dict of str to float
        ``beta_<form>``, NaN where degenerate; ``mean_error``, the mean over samples of the largest
        error of a probability (eps of Theorem 1); ``sample_loss`` (nats), ``sample_accuracy``;
        ``feature_norm``, the mean 1-norm of the features.
    """
    return _of(model)(np.asarray(y), features)
