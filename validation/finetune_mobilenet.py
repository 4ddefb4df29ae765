"""Algorithm 1 on a real model: a pre-trained MobileNet, three epochs, a prediction.

The ImageNet MobileNet (alpha 0.25) with the frozen probe is fine-tuned on 2000 CIFAR-10 images at
32x32; after each epoch beta_eff on 1024 of them and the accuracy on 1000 others are noted; the line
through them, read off at beta_eff = 0, predicts the final accuracy. The same on the bundled digits.
Keras' batch norms average their statistics over about 100 steps (momentum 0.99), three epochs here:
the validation accuracy lags behind, even below chance. The third run has momentum 0.9.
Whether the prediction is any good takes longer runs and many candidates to say. Run:
``EDGEDYN_DATA=... python validation/finetune_mobilenet.py`` (under two minutes on two cores).
"""

import os
import sys
from pathlib import Path

import keras

import edgedyn as ed
from edgedyn import nn
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text

EPOCHS, SEED = 3, 0


def finetune(data, weights, momentum):
    """Fine-tune, print every epoch, predict."""
    keras.utils.set_random_seed(SEED)
    backbone = nn.backbone("MobileNet", alpha=0.25, weights=weights, input_shape=data.image_shape)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
    model = nn.attach_probe(backbone, n_classes=data.n_classes, seed=SEED)
    model.compile(
        keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    watch = nn.CapacitanceCallback(data.train.x, data.train.y, seed=SEED)
    history = model.fit(
        data.train.batches(64, shuffle_seed=SEED),
        validation_data=data.validation.batches(64),
        epochs=EPOCHS,
        callbacks=[watch],
        shuffle=False,
        verbose=0,
    ).history
    for k in range(EPOCHS):
        print(
            f"  epoch {k + 1}: beta_eff {watch.beta_eff[k]:.5g}, validation accuracy "
            f"{history['val_accuracy'][k]:.3f}, {watch.seconds[k]:.2f} s for beta_eff"
        )
    reg = ed.NeuralCapacitanceRegressor(t0="bic", n_validation=len(data.validation))
    reg.fit(watch.beta_eff[:, None], history["val_accuracy"])
    value, std = reg.predict_final(return_std=True)
    print(f"  predicted final accuracy {value:.3f} +- {std:.3f} ({reg.status_})")
    return {
        "data": data.to_dict(),
        "beta_eff": watch.beta_eff.tolist(),
        "status": [record.status for record in watch.records],
        "val_accuracy": history["val_accuracy"],
        "loss": history["loss"],
        "accuracy": history["accuracy"],
        "prediction": value,
        "prediction_std": std,
        "unclipped": reg.final_,
    }


def main():
    """Run on both data sets and write the results."""
    folder = os.environ.get("EDGEDYN_DATA")
    if folder is None:
        sys.exit("set EDGEDYN_DATA to the folder of real data")
    weights = Path(folder) / "weights" / "imagenet_mobilenet_v1_0.25_224.h5"
    cifar = nn.load_dataset(
        f"npz:{Path(folder) / 'images' / 'cifar10.npz'}", n_train=2000, validation_size=1000
    )
    digits = nn.load_dataset("digits", image_size=32)
    results = {}
    runs = (("cifar10, 2000 images", cifar, 0.99), ("digits", digits, 0.99))
    for name, data, momentum in (*runs, ("cifar10, 2000 images, momentum 0.9", cifar, 0.9)):
        print(f"{name}:")
        results[name] = finetune(data, weights, momentum)
        results[name]["data"]["name"] = name
    path = Path(__file__).parent / "results" / "finetune_mobilenet.json"
    write_text(path, to_json({"environment": environment(), "seed": SEED, **results}))


if __name__ == "__main__":
    main()
