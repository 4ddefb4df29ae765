"""Check that the zoo's loaded weights are what they are said to be.

On 4000 test images of CIFAR-10, every candidate with loaded weights that has its own classifier
must reach the stated accuracy (of the source's README on 10 000 images, or of
``results/pretraining.json``, there to rounding). And for every candidate a linear head (logistic
regression on 1000 training images' standardised features, tested on 1000 test images) must do
clearly better than on the features of the same network with random weights; ImageNet's, which have
no classifier here, have only this. Writes ``results/zoo_check.json``; ends with code 1 where a
check fails. Run: ``EDGEDYN_DATA=... python -m papers.jiang2024.zoo.check`` (a few minutes).
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from edgedyn import nn
from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from edgedyn.nn.data.images import resize_images
from papers.jiang2024.zoo import networks as zoo
from papers.jiang2024.zoo import weights as zoo_weights
from papers.jiang2024.zoo.candidates import PRETRAINED, image_size

RESULTS = Path(__file__).resolve().parents[1] / "results"
STATED = {"resnet8": 0.872, "resnet20": 0.917, "resnet32": 0.926, "resnet56": 0.934}
FOUR_ERRORS = 4.0  # a stated accuracy must lie within so many standard errors of ours
ROUNDING = 1e-3  # of accuracies that were measured on the same images with the same weights
N_HEAD = 1000  # images that train a linear head, and that test it
SEED = 0


def build(name, *, trained):
    """Return a candidate with its weights, or with random ones."""
    function, options, _ = PRETRAINED[name]
    options = options if trained else {**options, "weights": None}
    side = image_size(name)
    keras.utils.set_random_seed(SEED)
    return getattr(zoo, function)(**options, input_shape=(side, side, 3))


def images(stored, part, name, n):
    """Return the first images of a part in the candidate's size, and their labels."""
    side = image_size(name)
    x = resize_images(stored[f"x_{part}"][:n], (side, side))
    return x.astype(np.float32), stored[f"y_{part}"][:n]


def own_head(model, stored, name):
    """Return the accuracy of a model's own classifier on all test images."""
    x, y = images(stored, "test", name, None)
    return float((model.predict(x, batch_size=250, verbose=0).argmax(axis=1) == y).mean())


def linear_head(model, stored, name):
    """Return the accuracy of a linear head on a model's features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = nn.backbone(model)
    parts = [images(stored, part, name, N_HEAD) for part in ("train", "test")]
    (f, y), (f_test, y_test) = [
        (features.predict(x, batch_size=250, verbose=0), y) for x, y in parts
    ]
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    return float(head.fit(f, y).score(f_test, y_test))


def stated(pretraining, name):
    """Return the stated accuracy and how far ours may be off; None where there is none."""
    if name in pretraining:
        return pretraining[name]["test_accuracy"], ROUNDING
    if name not in STATED:
        return None
    p = STATED[name]
    return p, FOUR_ERRORS * float(np.sqrt(p * (1 - p) / 4000))


def check(name, stored, pretraining):
    """Return what was measured of one candidate, and whether it is as it should be."""
    model = build(name, trained=True)
    row = {
        "linear_head": linear_head(model, stored, name),
        "linear_head_random": linear_head(build(name, trained=False), stored, name),
    }
    # Two independent shares of 1000 images differ by less than this but for chance.
    row["least_lead"] = FOUR_ERRORS * float(np.sqrt(2 * 0.25 / N_HEAD))
    row["passed"] = row["linear_head"] - row["linear_head_random"] > row["least_lead"]
    claim = stated(pretraining, name)
    if claim is not None:
        accuracy = own_head(model, stored, name)
        row.update(accuracy=accuracy, stated=claim[0], tolerance=claim[1])
        row["passed"] = row["passed"] and abs(accuracy - claim[0]) <= claim[1]
    return row


def main():
    """Check all candidates with loaded weights."""
    path = RESULTS / "pretraining.json"
    pretraining = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    with np.load(zoo_weights.data_file("images", "cifar10.npz")) as file:
        stored = dict(file)
    rows = {}
    print(f"{'candidate':14}{'stated':>8}{'found':>8}{'linear':>8}{'random':>8}")
    for name in PRETRAINED:
        row = rows[name] = check(name, stored, pretraining)
        shown = [row.get(key) for key in ("stated", "accuracy")]
        shown += [row["linear_head"], row["linear_head_random"]]
        cells = "".join(f"{'' if v is None else f'{v:.4f}':>8}" for v in shown)
        print(f"{name:14}{cells}  {'passed' if row['passed'] else 'FAILED'}", flush=True)
    folder = output_folder(RESULTS)
    result = {"candidates": rows, "environment": environment()}
    write_text(folder / "zoo_check.json", to_json(result) + "\n")
    return 0 if all(row["passed"] for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
