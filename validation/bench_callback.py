"""What the callback costs: c = T_beta / T_train per epoch, on real images.

MobileNet, MobileNetV2 and ResNet50 with the probe at 32x32, random weights, batches of 64, on
CIFAR-10 images (10 000 training samples; 4000 for ResNet50): the default callback of 1024 samples
and one with all training samples, both in the same run. Two epochs; the second is reported, since
the first compiles. T_train is the epoch without either callback. Run:
``EDGEDYN_DATA=... python validation/bench_callback.py`` (about ten minutes on two cores).
"""

import os
import sys
from pathlib import Path
from time import perf_counter

import keras
import numpy as np

from edgedyn import nn
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text

SAMPLES = {"MobileNet": 10_000, "MobileNetV2": 10_000, "ResNet50": 4000}
BATCH, EPOCHS = 64, 2


class Clock(keras.callbacks.Callback):
    """Times each epoch's training alone: it must come before the other callbacks."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.start = perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stop it before any other callback works."""
        self.seconds.append(perf_counter() - self.start)


def cost(name, x, y):
    """Train and measure; return seconds and ratios."""
    keras.utils.set_random_seed(0)
    backbone = nn.backbone(name, weights=None, input_shape=(32, 32, 3))
    model = nn.attach_probe(backbone, n_classes=10, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    clock = Clock()
    watches = {
        "default, 1024 samples": nn.CapacitanceCallback(x, y, seed=0),
        "all training samples": nn.CapacitanceCallback(x, y, n_samples=len(x), seed=0),
    }
    model.fit(
        x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[clock, *watches.values()]
    )
    train = clock.seconds[-1]
    return {
        "network": name,
        "training_samples": len(x),
        "train_seconds": train,
        "beta_seconds": {way: float(w.seconds[-1]) for way, w in watches.items()},
        "first_beta_seconds": {way: float(w.seconds[0]) for way, w in watches.items()},
        "c": {way: float(w.seconds[-1]) / train for way, w in watches.items()},
        # The sample is fixed, so its cost per epoch is, while training grows with the data.
        "c_at_10000_samples": float(watches["default, 1024 samples"].seconds[-1])
        / (train * 10_000 / len(x)),
        "beta_eff": {way: w.beta_eff.tolist() for way, w in watches.items()},
    }


def main():
    """Measure, write the results and print the ratios."""
    folder = os.environ.get("EDGEDYN_DATA")
    if folder is None:
        sys.exit("set EDGEDYN_DATA to the folder of real data")
    with np.load(Path(folder) / "images" / "cifar10.npz") as data:
        x, y = data["x_train"], data["y_train"].ravel().astype(int)
    rows = []
    for name, n in SAMPLES.items():
        rows.append(cost(name, x[:n].astype("f4"), y[:n]))
        row = rows[-1]
        print(
            f"{name}, {n} samples: epoch {row['train_seconds']:.1f} s, c = {row['c']}", flush=True
        )
    path = Path(__file__).parent / "results" / "callback.json"
    settings = {"batch": BATCH, "image": [32, 32, 3], "seed": 0}
    write_text(path, to_json({"environment": environment(), "settings": settings, "rows": rows}))


if __name__ == "__main__":
    main()
