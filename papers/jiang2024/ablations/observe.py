"""One training that is observed in more ways than a study does: for ablations/run.py.

Four observations an epoch while a rule would look on, beta_eff on all training samples, and
beta_eff of the whole network, beside the default. The protocol is the zoo's.
"""

from dataclasses import asdict
from math import nan
from time import perf_counter

import keras
import msgspec
import numpy as np

from edgedyn import nn
from edgedyn._environment import environment
from edgedyn.nn.data.sampling import stratified_indices
from edgedyn.nn.meter import CapacitanceMeter
from edgedyn.nn.training.trial import factory
from edgedyn.studies import EpochRecord, TrialRecord
from papers.jiang2024.zoo.candidates import IMAGE_SIZE, TASKS

QUARTERS = 4
N_SAMPLES = 1024  # the default's; also of the whole network


def observe(candidate, task, data_file, training, *, n_train, fine_epochs):
    """Train a candidate with a frozen probe; return its record.

    Parameters
    ----------
    candidate : dict
        From `zoo_candidates.candidate`.
    task : str
    data_file : Path
    training : edgedyn.studies.protocol.Training
        With one seed.
    n_train : int
    fine_epochs : int
        How many first epochs are observed in all ways; later ones as in a study.

    Returns
    -------
    TrialRecord
        ``measures`` of the first epochs have ``beta_all_samples`` and ``beta_network``, and
        ``beta_q1..3`` and ``accuracy_q1..3`` of the quarters before the epoch's end.
    """
    (seed,) = training.seeds
    data = nn.load_dataset(
        f"npz:{data_file}",
        image_size=candidate.get("image_size", IMAGE_SIZE),
        validation_size=TASKS[task]["validation_size"],
        n_train=n_train,
        seed=seed,
    )
    model = _model(candidate, data, training, seed)
    began = perf_counter()
    epochs = _train(model, data, training, fine_epochs)
    seconds = perf_counter() - began
    test = data.test.batches(training.batch_size)
    accuracy = model.evaluate(test, verbose=0, return_dict=True)["accuracy"]
    epochs[-1] = msgspec.structs.replace(epochs[-1], test_accuracy=float(accuracy))
    return TrialRecord(
        model=candidate["name"],
        data=f"npz:data/{task}.npz",
        seed=seed,
        settings={"candidate": candidate, "training": asdict(training), "fine_epochs": fine_epochs},
        epochs=tuple(epochs),
        status="completed",
        train_seconds=seconds,
        beta_seconds=nan,  # not told apart here
        n_train=n_train,
        provenance={"environment": environment(), "data": data.to_dict()},
    )


def _model(candidate, data, training, seed):
    """Return the candidate with the probe, compiled, as a study builds it."""
    keras.utils.set_random_seed(seed)
    build = factory(candidate["factory"])
    body = nn.backbone(build(**candidate["options"], input_shape=data.image_shape))
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = training.batch_norm_momentum
    model = nn.attach_probe(body, data.n_classes, seed=seed)
    model.compile(
        keras.optimizers.Adam(training.learning_rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _train(model, data, training, fine_epochs):
    """Train, first in epochs of four parts, then in whole ones; return the epochs' records."""
    train, size = data.train, training.batch_size
    steps = -(-len(train) // size)
    if steps % QUARTERS:
        raise ValueError(f"{steps} steps an epoch do not fall into {QUARTERS} equal parts.")
    watch = nn.CapacitanceCallback(train.x, train.y, n_samples=N_SAMPLES, seed=training.seeds[0])
    more = _More(train.x, train.y, fine_epochs)
    options = {
        "x": train.batches(size, shuffle_seed=training.seeds[0]).repeat(),
        "validation_data": data.validation.batches(size),
        "verbose": 0,
        "shuffle": False,  # the pipeline does
        "callbacks": [watch, more],
    }
    parts = QUARTERS * fine_epochs
    quarters = model.fit(epochs=parts, steps_per_epoch=steps // QUARTERS, **options).history
    epochs = _fine(quarters, more.found)
    left = training.epochs - fine_epochs
    rest = model.fit(epochs=left, steps_per_epoch=steps, **options).history if left else {}
    for k in range(left):
        one = {name: rest[name][k] for name in ("loss", "val_accuracy", "beta_eff")}
        epochs.append(_epoch(len(epochs) + 1, **one))
    return epochs


class _More(keras.callbacks.Callback):
    """beta_eff on all samples and of the whole network, at the end of each fine epoch."""

    def __init__(self, x, y, epochs):
        super().__init__()
        self.x, self.y, self.epochs = x, y, epochs
        self.chosen = stratified_indices(y, min(N_SAMPLES, len(y)), np.random.default_rng(0))
        self.found = []
        self.meters = {}

    def on_epoch_end(self, epoch, logs=None):
        """Measure after every fourth quarter."""
        if (epoch + 1) % QUARTERS or len(self.found) == self.epochs:
            return
        if not self.meters:
            for scope in ("probe", "network"):
                self.meters[scope] = CapacitanceMeter(self.model, scope=scope)
        probe, network = self.meters["probe"], self.meters["network"]
        some = self.chosen
        self.found.append(
            {
                "beta_all_samples": probe.measure(*probe.check_data(self.x, self.y)).value,
                "beta_network": network.measure(
                    *network.check_data(self.x[some], self.y[some])
                ).value,
            }
        )


def _fine(quarters, more):
    """Return the records of the epochs that were observed in quarters."""
    epochs = []
    for k, measures in enumerate(more):
        part = slice(QUARTERS * k, QUARTERS * (k + 1))
        betas, accuracies = quarters["beta_eff"][part], quarters["val_accuracy"][part]
        for q in range(QUARTERS - 1):
            measures[f"beta_q{q + 1}"] = betas[q]
            measures[f"accuracy_q{q + 1}"] = accuracies[q]
        loss = float(np.mean(quarters["loss"][part]))
        epochs.append(_epoch(k + 1, loss, accuracies[-1], betas[-1], measures))
    return epochs


def _epoch(number, loss, val_accuracy, beta_eff, measures=None):
    """Return an epoch's record; the test accuracy follows at the end."""
    status = "ok" if np.isfinite(beta_eff) else "diverged"
    return EpochRecord(number, loss, val_accuracy, nan, beta_eff, status, measures=measures or {})
