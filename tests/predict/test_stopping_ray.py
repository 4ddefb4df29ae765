"""The stopper in real experiments of Ray Tune, on candidates whose end is known."""

import json
import os
import pickle
import secrets
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

tune = pytest.importorskip("ray.tune", reason="pip install 'ray[tune]'", exc_type=ImportError)

from edgedyn.predict.stopping import CapacitanceStopper  # noqa: E402

EPOCHS = 8


@pytest.fixture(scope="module")
def experiments(tmp_path_factory):
    """Run Ray in another process: what it starts, writes and warns of stays there."""
    environment = {
        **os.environ,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AIR_NEW_OUTPUT": "0",  # else Tune prints whatever the verbosity
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),  # else Ray writes one to the home folder
    }
    script = Path(__file__).with_name("ray_experiment.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path_factory.mktemp("ray"))],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_stopper_is_one_of_tune():
    assert isinstance(CapacitanceStopper(), tune.Stopper)


def test_hopeless_trials_end_after_the_observed_epochs(experiments):
    assert experiments["one by one"] == {"0.9": 8, "0.5": 5, "0.93": 8, "0.3": 5}


def test_trials_in_parallel(experiments):
    found = experiments["at once"]
    assert found["0.95"] == 8 and 3 <= found["0.3"] <= 8


def test_the_example_of_the_docstring(experiments):
    attempted, failed = experiments["example"]
    assert attempted > 5 and not failed


# Tune calls the stopper in its own process, one result after the other ----------------------------


def feed(stopper, trial, final, epochs=EPOCHS, start=1):
    """Return how many results it took until the trial was stopped; None if it was not."""
    for epoch in range(start, start + epochs):
        beta = 0.6**epoch
        result = {
            "val_accuracy": final - 0.3 * beta + 1e-4 * (-1) ** epoch,
            "beta_eff": beta,
            "training_iteration": epoch,
        }
        if stopper(trial, result):
            return epoch
    stopper(trial, {**result, "done": True})  # as Tune repeats the last result at the end
    return None


def test_the_leading_trials_run_to_their_end():
    stopper = CapacitanceStopper(keep=2, observed=4)
    found = [feed(stopper, str(final), final) for final in (0.9, 0.5, 0.4, 0.95, 0.3)]
    assert found == [None, None, 4, None, 4]
    assert stopper.stop_all() is False


def test_a_stopper_is_pickled_with_what_it_knows():
    stopper = CapacitanceStopper()
    feed(stopper, "a", 0.9)
    assert feed(pickle.loads(pickle.dumps(stopper)), "b", 0.5) == 5


def test_a_trial_that_goes_back_takes_back_what_came_after():
    stopper = CapacitanceStopper()
    feed(stopper, "a", 0.9)
    feed(stopper, "b", 0.95, epochs=3)
    # Back to the first epoch, now with another end; the good epochs 2 and 3 are gone.
    assert feed(stopper, "b", 0.5, start=1) == 5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_a_number(bad):
    stopper = CapacitanceStopper()
    feed(stopper, "a", 0.9)
    for epoch in range(1, 9):
        result = {"val_accuracy": 0.2, "beta_eff": bad, "training_iteration": epoch}
        assert not stopper("b", result)
    assert stopper("b", {**result, "val_accuracy": bad, "training_iteration": 9})
    assert CapacitanceStopper()("c", {**result, "val_accuracy": bad})


def test_names_of_the_numbers():
    stopper = CapacitanceStopper("acc", "beta")
    assert not stopper("a", {"acc": 0.5, "beta": 0.4, "training_iteration": 1})
    with pytest.raises(ValueError, match="trial a reported no 'beta'"):
        stopper("a", {"acc": 0.5, "beta_eff": 0.4, "training_iteration": 2})


def test_percentages_are_refused():
    with pytest.raises(ValueError, match="divide percentages by 100"):
        CapacitanceStopper()("a", {"val_accuracy": 87, "beta_eff": 1, "training_iteration": 1})


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ValueError, match="observed must be at least 3"):
        CapacitanceStopper(observed=2)
