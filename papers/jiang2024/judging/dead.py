"""Runs whose network is dead: it says the same of every image, and no gradient can wake it.

Where all ReLUs of a layer are off for every image, the frozen probe's output is uniform whatever
the image and whatever dropout takes away, so that the training loss is ln C to the last digit and
every gradient is 0: what the run shows then, it shows to its end. The rule asks for just that, at
the end of a run: over the last `LAST` epochs the loss is ln C up to the rounding of single
precision, and the validation accuracy, one class's share, does not move. The tests add a sign that
the rule does not use: the total strength of P is exactly 0, so that beta_eff has no value.
A network that learns next to nothing is not dead: its loss differs from ln C in the fifth digit,
and its accuracy moves.

Nothing of this can be seen after the first epochs for sure. To leave dead runs out is a choice made
after the fact, so tables have rows with them and without. Needs no TensorFlow.
"""

from dataclasses import replace
from math import log

import numpy as np

LAST = 5
ROUNDING = 4 * float(np.finfo(np.float32).eps)  # of a mean of losses, relative


def is_dead(record):
    """Tell whether a run ends as a dead network."""
    uniform = log(len(record.provenance["data"]["class_names"]))
    last = record.epochs[-LAST:]
    return (
        len(last) == LAST
        and all(abs(e.train_loss - uniform) <= ROUNDING * uniform for e in last)
        and len({e.val_accuracy for e in last}) == 1
    )


def dead_runs(found):
    """Return candidate and seed of the dead runs of a task's evidence, in the zoo's order."""
    dead = {(r.model, r.seed) for r in found.records if is_dead(r)}
    return [(m, s) for m in found.models for s in found.seeds if (m, s) in dead]


def alive(found):
    """Return the evidence without its dead runs; a candidate's mean is over the seeds left."""
    return replace(found, records=tuple(r for r in found.records if not is_dead(r)))


def described(found):
    """Return what a results file says of a task's dead runs."""
    runs = {(r.model, r.seed): r for r in found.records}
    rows = []
    for model, seed in dead_runs(found):
        epochs = runs[model, seed].epochs
        uniform = log(len(runs[model, seed].provenance["data"]["class_names"]))
        off = [abs(e.train_loss - uniform) > ROUNDING * uniform for e in epochs]
        rows.append(
            {
                "task": found.task,
                "model": model,
                "seed": seed,
                "since_epoch": max((e.epoch for e, o in zip(epochs, off, strict=True) if o),
                                   default=0) + 1,
                "loss_difference": epochs[-1].train_loss - uniform,
                "val_accuracy": epochs[-1].val_accuracy,
                "test_accuracy": runs[model, seed].final_test_accuracy,
                "no_beta": sum(not np.isfinite(e.beta_eff) for e in epochs),
            }
        )  # fmt: skip
    return rows


def denominator(all_found, epsilon=1e-8):
    """Return what a small value in beta_eff's denominator would change in the records.

    With the total strength T, beta becomes beta T / (T + epsilon). Magnitude strengths have
    beta <= T (an average of out-degrees, none of which exceeds their sum T), so that the relative
    change is below epsilon / beta. Where T is 0 there is no value; with epsilon it is 0.
    """
    epochs = [e for found in all_found for r in found.records for e in r.epochs]
    known = np.array([e.beta_eff for e in epochs if e.beta_status in ("ok", "vanishing")])
    return {
        "epsilon": epsilon,
        "epochs": len(epochs),
        "ok": len(known),
        "smallest": float(known.min()),
        "median": float(np.median(known)),
        "most_change": epsilon / float(known.min()),
        "median_change": epsilon / float(np.median(known)),
        "to_zero": sum(e.beta_status in ("ill_conditioned", "dead") for e in epochs),
    }
