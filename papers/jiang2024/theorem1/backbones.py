"""Theorem 1 on real backbones: beta_eff of the probe along fine-tuning, clean and noisy labels.

Pretrained candidates of the zoo with the frozen probe are fine-tuned on a few images of ten classes
of CIFAR-100, by Adam with falling steps, until the training error is nearly 0. The probe has no
dropout: it acts in training only and would keep the errors from vanishing. Three kinds of labels:

- ``clean``;
- ``noise``: a fifth of the labels moved to another class. The network can memorise them;
- ``contradiction``: a fifth of the images are twins, two and two alike with different labels. No
  function of the image fits both: the mean error is at least half of their share.

After every epoch, on all training images in inference mode: loss, mean error, beta_eff, the proved
bound K eps (theorem1.md (g), with the proof for batch norms) and the signed value, each with
kernels and with all parameters as nodes. One seed. Writes ``results/theorem1_backbones.json``,
``figures/theorem1_backbones.png`` and ``theorem1_backbones.md``. Run, on one thread:
``EDGEDYN_DATA=... TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 python
papers/jiang2024/theorem1/backbones.py``. Runs that are in the results already, with the same
settings, are not run again; the results tell the processor's seconds of each.
"""

import argparse
import json
from math import nan
from pathlib import Path
from time import process_time

import keras
import numpy as np

from edgedyn import nn
from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from edgedyn.mlp import Affine
from edgedyn.mlp.theorem1 import log_log_slope
from edgedyn.nn.graph.chain import to_chain
from edgedyn.nn.meter import CapacitanceMeter
from papers.jiang2024.theorem1.page import draw, page
from papers.jiang2024.zoo import networks as zoo
from papers.jiang2024.zoo import weights as zoo_weights

HERE = Path(__file__).resolve().parents[1]
NAME = "theorem1_backbones"
RESULTS = HERE / "results" / f"{NAME}.json"
LABELS = ("clean", "noise", "contradiction")
NODES = ("kernels", "all")
N_CLASSES, PER_CLASS = 10, 20
SHARE = 0.2  # of the images that are mislabelled, or have a twin
EPOCHS = {"resnet8": 40, "mobilenetv2": 60}
LEARNING_RATE = {"resnet8": 3e-3, "mobilenetv2": 1e-2}
# Adam's usual .999 remembers early gradients for 1000 steps: as errors vanish its steps do, too.
BETA_2 = 0.95
BATCH, MOMENTUM = 20, 0.9
INTERPOLATES = 1e-3  # a training loss below which a run counts as interpolating
SEED = 0


# The bound ---------------------------------------------------------------------------------------


def bound(chain, features, targets, nodes):
    """Return K and eps of the bound ``beta_eff <= K eps`` (magnitude), scale layers included.

    The proof is in theorem1.md (g); for dense layers and ReLUs alone the bound is that of
    `edgedyn.mlp.capacitance_bound`.

    Parameters
    ----------
    chain : ReLUChain
    features : ndarray, shape (n_samples, n_features)
    targets : ndarray
        As the chain's loss takes them.
    nodes : {"kernels", "all"}
        Whether biases are nodes.

    Returns
    -------
    K, eps : float
    """
    records = chain.records_unchecked(*chain.check_data(features, targets))
    steepest = [steepness(layer.segment) for layer in chain.layers]
    K, product = 0.0, 1.0
    for m in range(chain.n_layers - 1, 1, -1):  # numbers as in the theorem: layer m is layers[m-1]
        product *= norm(chain.weights[m]) * steepest[m - 1]
        z = np.abs(records[m - 2].activation)  # z^{m-2}, which layer m-1 receives
        joined = z.sum(axis=1) if chain.kinds[m - 2] == "dense" else z
        Z = float(joined.max()) + (nodes == "all" and chain.layer_biases[m - 2])
        K = max(K, product * steepest[m - 2] * Z)
    return K, float(np.abs(records[-1].cotangent).max(axis=1).mean())


def norm(weight):
    """Return the largest column sum of absolute values; of a scale layer its largest |gamma|."""
    absolute = np.abs(weight)
    return float((absolute if absolute.ndim == 1 else absolute.sum(axis=0)).max())


def steepness(segment):
    """Return the largest slope that affine maps and ReLUs, neuron by neuron, can have."""
    scales = [np.abs(part.scale) for part in segment if isinstance(part, Affine)]
    return float(np.prod(scales, axis=0).max()) if scales else 1.0


# One run -----------------------------------------------------------------------------------------


def images():
    """Return the first images of the first classes of CIFAR-100, and their labels."""
    with np.load(zoo_weights.data_file("images", "cifar100_40classes.npz")) as stored:
        x, y = stored["x_train"], stored["y_train"].astype(np.int64)
        chosen = [np.flatnonzero(y == k)[:PER_CLASS] for k in range(N_CLASSES)]
    chosen = np.concatenate(chosen)
    return x[chosen].astype(np.float32), y[chosen]


def relabelled(x, y, kind, rng):
    """Return images and labels of one of the three kinds, and the least mean error there can be.

    Twins have the same probabilities p but different labels a and b; their largest errors are at
    least 1 - p_a and 1 - p_b, and p_a + p_b <= 1: together at least 1.
    """
    n = round(SHARE * len(y) / 2) * 2
    x, y = x.copy(), y.copy()
    if kind == "noise":
        moved = rng.permutation(len(y))[:n]
        y[moved] = (y[moved] + rng.integers(1, N_CLASSES, n)) % N_CLASSES
    elif kind == "contradiction":
        order = rng.permutation(len(y))
        first = order[: n // 2]
        others = list(order[n // 2 :])
        for k in first:  # the next image that is not of its class takes its place beside it
            twin = next(j for j in others if y[j] != y[k])
            others.remove(twin)
            x[twin] = x[k]
    return x, y, n / len(y) / 2 if kind == "contradiction" else 0.0


def network(name):
    """Return a pretrained candidate with the frozen probe, compiled."""
    keras.utils.set_random_seed(SEED)
    whole = zoo.resnet8() if name == "resnet8" else zoo.small_network(name)
    backbone = nn.backbone(whole)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM  # Keras' 0.99 averages over ten epochs of these few images
    model = nn.attach_probe(backbone, N_CLASSES, dropout=0.0, seed=SEED)
    steps = EPOCHS[name] * (N_CLASSES * PER_CLASS // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE[name], steps)
    optimizer = keras.optimizers.Adam(rate, beta_2=BETA_2)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


class Watch(keras.callbacks.Callback):
    """Measures the theorem's quantities before training and after every epoch."""

    def __init__(self, model, x, y):
        super().__init__()
        self.meters = {
            (nodes, strength): CapacitanceMeter(model, nodes=nodes, strength=strength)
            for nodes in NODES
            for strength in ("magnitude", "signed")
        }
        self.x, self.y = self.meters["kernels", "magnitude"].check_data(x, y)
        self.points = []

    def on_train_begin(self, logs=None):
        """Measure the network as it is given."""
        self.measure()

    def on_epoch_end(self, epoch, logs=None):
        """Measure."""
        self.measure()

    def measure(self):
        """Append a point."""
        features = self.meters["kernels", "magnitude"].features(self.x)
        new = {"epoch": len(self.points), **point(self.meters, features, self.y)}
        self.points.append(new)
        if new["epoch"] % 10 == 0:
            print(
                f"  epoch {new['epoch']:3}: loss {new['loss']:.3g}, eps {new['eps']:.3g}",
                flush=True,
            )


def point(meters, features, targets):
    """Return the theorem's quantities on given features.

    Returns
    -------
    dict
        ``loss``, ``accuracy``, ``eps`` (mean largest error), ``features`` (largest 1-norm), and for
        each kind of nodes ``beta``, ``K``, ``bound``, ``signed`` (None where degenerate),
        ``signed_status``, ``conditioning``.
    """
    found = {}
    for nodes in NODES:
        magnitude, signed = (meters[nodes, s] for s in ("magnitude", "signed"))
        chain = to_chain(magnitude.graph, magnitude.loss.name)
        K, eps = bound(chain, features, targets, nodes)
        cap = signed.of_features(features, targets)
        found[nodes] = {
            "beta": magnitude.of_features(features, targets).value,
            "K": K,
            "bound": K * eps,
            "signed": cap.value,
            "signed_status": cap.status,
            "conditioning": cap.conditioning,
        }
    return {
        "loss": chain.evaluate(features, targets),
        "accuracy": float((chain.logits(features).argmax(axis=1) == targets).mean()),
        "eps": eps,
        "features": float(np.abs(features).sum(axis=1).max()),
        **found,
    }


def run(name, kind):
    """Fine-tune one backbone on one kind of labels."""
    x, y, floor = relabelled(*images(), kind, np.random.default_rng(SEED))
    start = process_time()
    model = network(name)
    watch = Watch(model, x, y)
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS[name], callbacks=[watch], verbose=0)
    return {
        "backbone": name,
        "labels": kind,
        "least_eps": floor,
        "settings": settings(name),
        "seconds_of_processor": process_time() - start,
        "environment": environment(),
        "points": watch.points,
    }


def settings(name):
    """Return all that decides a run but its labels."""
    return {
        "seed": SEED,
        "classes": N_CLASSES,
        "images_a_class": PER_CLASS,
        "share": SHARE,
        "epochs": EPOCHS[name],
        "batch": BATCH,
        "learning_rate": LEARNING_RATE[name],
        "beta_2": BETA_2,
        "dropout": 0.0,
        "batch_norm_momentum": MOMENTUM,
    }


def finished():
    """Return the runs in the results that have the present settings, in order."""
    if not RESULTS.is_file():
        return []
    found = {
        (r["backbone"], r["labels"]): r for r in json.loads(RESULTS.read_text("utf-8"))["runs"]
    }
    order = [(name, kind) for name in EPOCHS for kind in LABELS]
    return [
        found[key] for key in order if key in found and found[key]["settings"] == settings(key[0])
    ]


# What came out -----------------------------------------------------------------------------------


def summary(points, floor):
    """Return what a run says of the theorem."""
    last, eps = points[-1], np.array([p["eps"] for p in points])
    found = {
        "interpolates": last["loss"] < INTERPOLATES,
        "eps_at_least_the_floor": bool((eps >= floor * (1 - 1e-6)).all()),
    }
    for nodes in NODES:
        rows = [p[nodes] for p in points]
        beta = np.array([r["beta"] for r in rows])
        signed = [r["signed"] for r in rows if r["signed_status"] == "ok"]
        slope, stderr = log_log_slope(eps, beta) if (beta > 0).all() else (nan, nan)
        found[nodes] = {
            "slope": slope,
            "slope_stderr": stderr,
            "fall": float(beta.max() / beta[-1]),
            "holds": all(r["beta"] <= r["bound"] for r in rows),
            "signed_holds": all(
                abs(r["signed"]) * r["conditioning"] <= r["bound"]
                for r in rows
                if r["signed_status"] == "ok"
            ),
            "K_over_first": rows[-1]["K"] / rows[0]["K"],
            "bound_over_beta": [float(f(r["bound"] / r["beta"] for r in rows)) for f in (min, max)],
            "signed_ok": len(signed),
            "sign_changes": int(np.sum(np.sign(signed[1:]) != np.sign(signed[:-1]))),
        }
    return found


def main():
    """Run what is not there yet, and write the results, the page and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", choices=EPOCHS, default=list(EPOCHS))
    chosen = parser.parse_args().backbones
    output_folder(RESULTS.parent)
    for name in chosen:
        for kind in LABELS:
            if (name, kind) in [(r["backbone"], r["labels"]) for r in finished()]:
                continue
            print(f"{name}, {kind}", flush=True)
            new = run(name, kind)
            write_text(RESULTS, to_json({"runs": [*finished(), new]}) + "\n")
            keras.backend.clear_session()
    runs = [{**r, "summary": summary(r["points"], r["least_eps"])} for r in finished()]
    if len(runs) < len(EPOCHS) * len(LABELS):
        print("no page yet: runs of other backbones are missing.")
        return
    result = {
        "runs": runs,
        "interpolates_below": INTERPOLATES,
        "seconds_of_processor": sum(r["seconds_of_processor"] for r in runs),
        "environment": environment(),
    }
    write_text(RESULTS, to_json(result) + "\n")
    write_text(HERE / f"{NAME}.md", page(runs, INTERPOLATES))
    draw(runs, output_folder(HERE / "figures") / f"{NAME}.png")


if __name__ == "__main__":
    main()
