"""Train the zoo's small networks on 10 000 images of CIFAR-10.

Adam, batches of 64, a learning rate that falls from 2e-3 to 0 along a cosine, mirrored images and
shifts by up to four pixels; seeded. A network whose weights and results are there is left as it
is, so that an interrupted run can be taken up. Writes ``weights/NAME.npz`` and
``results/pretraining.json`` (accuracies are those of the weights as stored, kernels in half
precision, read back into a new model). Run:
``EDGEDYN_DATA=... python -m papers.jiang2024.zoo.pretrain`` (half an hour on one core).
"""

import argparse
import json
import math
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from papers.jiang2024.zoo import networks as zoo
from papers.jiang2024.zoo import weights as zoo_weights

HERE = Path(__file__).resolve().parents[1]
RESULTS = HERE / "results" / "pretraining.json"
SEED, BATCH, RATE, SHIFT = 0, 64, 2e-3, 4
EPOCHS = {
    "mlp": 40,
    "cnn4": 40,
    "cnn2": 25,
    "vgg": 25,
    "densenet": 25,
    "mobilenetv2": 18,
    "resnet10": 12,
}


def cifar10():
    """Return training images, labels, test images and labels."""
    with np.load(zoo_weights.data_file("images", "cifar10.npz")) as stored:
        return tuple(stored[key] for key in ("x_train", "y_train", "x_test", "y_test"))


def augmented(images, rng):
    """Mirror every other image at random, and shift each by up to four pixels."""
    n, height, width, _ = images.shape
    wide = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="reflect")
    rows = rng.integers(0, 2 * SHIFT + 1, n)[:, None] + np.arange(height)
    columns = rng.integers(0, 2 * SHIFT + 1, n)[:, None] + np.arange(width)
    mirrored = rng.random(n) < 0.5
    columns[mirrored] = columns[mirrored, ::-1]
    return wide[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def trained(name, data, epochs):
    """Return a network trained from scratch, and its loss after each epoch."""
    x, y = data[:2]
    keras.utils.set_random_seed(SEED)
    rng = np.random.default_rng(SEED)
    model = zoo.small_network(name, weights=None)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    losses = []
    for epoch in range(epochs):
        rate = RATE * (1 + math.cos(math.pi * epoch / epochs)) / 2
        model.optimizer.learning_rate.assign(rate)
        images = augmented(x, rng).astype(np.float32)
        order = rng.permutation(len(x))
        fit = model.fit(images[order], y[order], batch_size=BATCH, shuffle=False, verbose=0)
        losses.append(fit.history["loss"][0])
        print(f"  {name} epoch {epoch + 1}/{epochs}: loss {losses[-1]:.4f}", flush=True)
    return model, losses


def accuracy(model, images, labels):
    """Return the share of images that are classified rightly."""
    scores = model.predict(images.astype(np.float32), batch_size=256, verbose=0)
    return float((scores.argmax(axis=1) == labels).mean())


def measured(name, data, epochs, folder):
    """Train one network, write its weights, and return what is told of it."""
    began = time.perf_counter()
    model, losses = trained(name, data, epochs)
    seconds = time.perf_counter() - began
    zoo_weights.write_pretrained(model, folder / f"{name}.npz")
    again = zoo.small_network(name, weights=None)
    zoo_weights.fill_pretrained(again, name, folder)
    x, y, x_test, y_test = data
    row = {
        "parameters": model.count_params(),
        "epochs": epochs,
        "seed": SEED,
        "seconds": seconds,
        "losses": losses,
        "train_accuracy": accuracy(again, x, y),
        "test_accuracy": accuracy(again, x_test, y_test),
        "test_accuracy_before_rounding": accuracy(model, x_test, y_test),
        "environment": environment(),
    }
    print(f"{name}: test accuracy {row['test_accuracy']:.4f}, {seconds:.0f} s", flush=True)
    return row


def main():
    """Train what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=zoo_weights.PRETRAINED)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--networks", nargs="+", choices=EPOCHS, default=list(EPOCHS))
    parser.add_argument("--epochs", type=int, help="in place of each network's own")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    data = cifar10()
    folder = output_folder(given.out)
    output_folder(given.results.parent)
    rows = json.loads(given.results.read_text("utf-8")) if given.results.is_file() else {}
    for name in given.networks:
        epochs = given.epochs or EPOCHS[name]
        done = rows.get(name, {}).get("epochs") == epochs and (folder / f"{name}.npz").is_file()
        if done:
            print(f"{name}: is there, test accuracy {rows[name]['test_accuracy']:.4f}")
            continue
        rows[name] = {**measured(name, data, epochs, folder), "threads": given.threads}
        write_text(given.results, to_json(rows) + "\n")


if __name__ == "__main__":
    main()
