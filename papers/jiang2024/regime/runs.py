"""Training runs of the regime map, kept in one file that an interrupted call takes up again.

A run is a candidate of a task with a probe of three layers on top, fine-tuned with one learning
rate and one seed. One training serves many cells: it is observed after each of its first epochs, on
nested validation samples; its test accuracy is taken where it would be stopped early, and again
where it interpolates.
"""

import json
from dataclasses import asdict
from time import perf_counter

import numpy as np

from edgedyn._environment import environment
from edgedyn._files import atomic, to_json
from edgedyn.measure import neural_capacitance
from edgedyn.mlp import ReLUMLP
from papers.jiang2024.regime.candidates import CANDIDATES, TASKS, backbone, split

PROBE = (64, 32)
PROBES = ("frozen", "trained")
RATES = (4e-3, 8e-4)
OBSERVED = 10
SIZES = (50, 200, 1000)  # the last is all there are, where there are fewer
EARLY, LATEST = 20, 150
INTERPOLATED = 0.02  # the epoch's mean loss, with every training label right
FIELDS = {
    "beta": (OBSERVED,),
    "accuracy": (len(SIZES), OBSERVED),
    "loss": (OBSERVED,),
    "features": (OBSERVED,),
    "test_early": (),
    "test_late": (),
    "loss_late": (),
    "beta_late": (),
    "epochs": (),
    "interpolated": (),
}


class _Interpolated(Exception):
    """Ends a training: the network has learnt every label."""


def run(layers, parts, probe_kind, rate, batch, seed):
    """Fine-tune a backbone with a probe and return what `FIELDS` names.

    Parameters
    ----------
    layers : list of (ndarray, ndarray)
        Of the backbone.
    parts : list of (ndarray, ndarray)
        Training, validation and test samples.
    probe_kind : {"frozen", "trained"}
        Whether the probe's layers stay as they are.
    rate : float
    batch, seed : int
    """
    (X, y), (Xv, yv), test = parts
    classes = int(max(part[1].max() for part in parts)) + 1
    width = len(layers[-1][1])
    probe = ReLUMLP.random(
        [width, *PROBE, classes], seed=np.random.default_rng([seed, 3]), dtype="float32"
    )
    kernels = [*(W for W, _ in layers), *probe.weights]
    biases = [*(b for _, b in layers), *probe.biases]
    frozen = probe.n_layers if probe_kind == "frozen" else 0
    net = ReLUMLP(kernels, biases, frozen=frozen)
    found = {name: np.full(shape, np.nan, np.float32) for name, shape in FIELDS.items()}

    def watch(epoch, loss):
        if epoch <= OBSERVED:
            found["beta"][epoch - 1], found["features"][epoch - 1] = measured(net, X, y)
            right = net.predict(Xv) == yv
            found["accuracy"][:, epoch - 1] = [right[:n].mean() for n in SIZES]
            found["loss"][epoch - 1] = loss
        if epoch == EARLY:
            found["test_early"][...] = net.score(*test)
        found["loss_late"][...], found["epochs"][...] = loss, epoch
        if epoch >= EARLY and loss < INTERPOLATED and net.score(X, y) == 1:
            raise _Interpolated

    try:
        net.fit(X, y, epochs=LATEST, batch_size=batch, learning_rate=rate,
                seed=np.random.default_rng([seed, 4]), callback=watch)  # fmt: skip
        found["interpolated"][...] = 0
    except _Interpolated:
        found["interpolated"][...] = 1
    found["test_late"][...] = net.score(*test)
    found["beta_late"][...] = measured(net, X, y)[0]
    return found


def measured(net, X, y):
    """Return beta_eff of the probe on the training samples, and the features' mean 1-norm."""
    probe = net.tail(len(PROBE) + 1)
    features = net.activations(X)[-1 - probe.n_layers]
    return neural_capacitance(probe, features, y).value, np.abs(features).sum(axis=1).mean()


def block(task, seed):
    """Run every candidate of a task with one seed.

    Returns
    -------
    dict of str to ndarray, shape (n_probes, n_rates, n_candidates, ...)
    """
    parts, batch = split(task, seed), TASKS[task].batch
    shape = (len(PROBES), len(RATES), len(CANDIDATES))
    found = {name: np.empty((*shape, *rest), np.float32) for name, rest in FIELDS.items()}
    for c, name in enumerate(CANDIDATES):
        layers = backbone(name, task, seed, parts[0][0])
        for p, probe in enumerate(PROBES):
            for k, rate in enumerate(RATES):
                for field, value in run(layers, parts, probe, rate, batch, seed).items():
                    found[field][p, k, c] = value
    return found


# The file ---------------------------------------------------------------------------------------


def settings():
    """Return what the runs depend on; a file of other settings is not taken up."""
    return {
        "candidates": {
            name: [list(c.widths), c.pretraining, c.source, c.start]
            for name, c in CANDIDATES.items()
        },
        "probe": list(PROBE),
        "probes": list(PROBES),
        "rates": list(RATES),
        "tasks": {name: asdict(task) for name, task in TASKS.items()},
        "optimizer": "adam",
        "observed": OBSERVED,
        "sizes": list(SIZES),
        "early": EARLY,
        "latest": LATEST,
        "interpolated": INTERPOLATED,
    }


def stored(path):
    """Return the blocks of a file, by ``task/seed/field``, and its notes; nothing where none is.

    Raises
    ------
    ValueError
        For runs of other settings.
    """
    if not path.is_file():
        return {}, {"settings": settings(), "blocks": {}}
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != "notes"}
        notes = json.loads(str(file["notes"]))
    if notes["settings"] != json.loads(to_json(settings())):
        raise ValueError(f"{path.name} holds runs of other settings: move it away to start anew.")
    return arrays, notes


def complete(path, tasks, seeds, report=print):
    """Run what a file lacks, block by block, and write it after each.

    Parameters
    ----------
    path : Path
    tasks : iterable of str
    seeds : sequence of int
    report : callable
        Takes a line of progress.

    Returns
    -------
    arrays, notes : dict
        As `stored` returns them.
    """
    arrays, notes = stored(path)
    for task in tasks:
        for seed in seeds:
            name = f"{task}/{seed}"
            if name in notes["blocks"]:
                continue
            started = perf_counter()
            for field, values in block(task, seed).items():
                arrays[f"{name}/{field}"] = values
            seconds = round(perf_counter() - started, 1)
            notes["blocks"][name] = {"seconds": seconds, **environment()}
            with atomic(path) as temporary:
                np.savez_compressed(temporary, notes=np.array(to_json(notes)), **arrays)
            report(f"{name}: {seconds} s")
    return arrays, notes


def together(arrays, tasks, seeds):
    """Return each field as one array, (n_tasks, n_probes, n_rates, n_candidates, n_seeds, ...)."""
    return {
        field: np.stack(
            [np.stack([arrays[f"{t}/{s}/{field}"] for s in seeds], axis=3) for t in tasks]
        ).astype(float)
        for field in FIELDS
    }
