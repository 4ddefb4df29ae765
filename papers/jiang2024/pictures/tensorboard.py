"""Picture of beta_eff in TensorBoard: two small networks fine-tuned on digits.

    python -m papers.jiang2024.pictures.tensorboard

Trains, starts TensorBoard on this machine and photographs its page with a headless Chromium; writes
figures/tensorboard.png. Needs the extras tf and test, and a Chromium.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import keras

from edgedyn import nn
from edgedyn.nn.models import small

PICTURE = Path(__file__).resolve().parents[1] / "figures" / "tensorboard.png"
EPOCHS = 12


def train(folder):
    """Fine-tune two networks; the callback comes before TensorBoard's in the list."""
    data = nn.load_dataset("digits", image_size=16)
    for build in (small.vgg, small.resnet):
        keras.utils.set_random_seed(0)
        model = nn.attach_probe(build(data.image_shape), data.n_classes, seed=0)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.9
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        watch = nn.CapacitanceCallback(data.train.x, data.train.y)
        board = keras.callbacks.TensorBoard(folder / build.__name__)
        model.fit(
            data.train.batches(64, shuffle_seed=0),
            shuffle=False,
            validation_data=data.validation.batches(64),
            epochs=EPOCHS,
            verbose=0,
            callbacks=[watch, board],
        )


def photograph(folder):
    """Open the page of TensorBoard with the charts of beta_eff and accuracy."""
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    server = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(port)])
    page_at = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(page_at, timeout=2).close()
                break
            except OSError:
                time.sleep(0.5)
        with sync_playwright() as play:
            path = shutil.which("chromium") or shutil.which("google-chrome")
            browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1300, "height": 480})
            page.goto(f"{page_at}?smoothing=0&tagFilter=beta_eff%7Cepoch_accuracy#timeseries")
            page.get_by_text("Ignore outliers in chart scaling").click()
            page.get_by_text("Enable step selection and data table").click()
            page.get_by_label("Close side pane").click()
            page.wait_for_timeout(3_000)  # the charts' lines move into place
            page.screenshot(path=str(PICTURE))
            browser.close()
    finally:
        server.terminate()
        server.wait()


def main():
    """Train and photograph."""
    with tempfile.TemporaryDirectory() as scratch:
        train(Path(scratch))
        photograph(Path(scratch))


if __name__ == "__main__":
    main()
