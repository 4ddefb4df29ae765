"""Experiments of Ray Tune in a process of their own, which ends with all that Ray starts.

Run by test_stopping_ray.py, with Ray's environment set: it is read when Ray is imported.
"""

import doctest
import json
import sys
import tempfile

import numpy as np
import ray
from ray import tune

from edgedyn.predict import stopping_ray
from edgedyn.predict.stopping import CapacitanceStopper

EPOCHS = 8


def train(config):
    """Go straight to the final accuracy as beta_eff goes to 0."""
    rng = np.random.default_rng(0)
    for epoch in range(EPOCHS):
        beta = 0.6 ** (epoch + 1)
        accuracy = config["final"] - 0.3 * beta + 1e-4 * rng.standard_normal()
        tune.report({"val_accuracy": accuracy, "beta_eff": beta})


def experiment(finals, stopper, at_once):
    """Return how many epochs each candidate was given."""
    tuner = tune.Tuner(
        train,
        param_space={"final": tune.grid_search(finals)},
        tune_config=tune.TuneConfig(max_concurrent_trials=at_once),
        run_config=tune.RunConfig(stop=stopper, storage_path=tempfile.mkdtemp(), verbose=0),
    )
    return {str(r.config["final"]): r.metrics["training_iteration"] for r in tuner.fit()}


def main(folder):
    """Run everything on this machine alone, files under one folder; print the results."""
    tempfile.tempdir = folder
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=80 * 2**20,
        _node_ip_address="127.0.0.1",
        _temp_dir=folder,
    )
    example = doctest.testmod(stopping_ray, optionflags=doctest.NORMALIZE_WHITESPACE)
    found = {
        "one by one": experiment([0.9, 0.5, 0.93, 0.3], CapacitanceStopper(), 1),
        "at once": experiment([0.95, 0.3], CapacitanceStopper(observed=3), 2),
        "example": [example.attempted, example.failed],
    }
    ray.shutdown()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
