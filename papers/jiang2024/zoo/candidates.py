"""What is run: the zoo's candidates as a study has them, and the tasks. Needs no Keras."""

import zipfile

import numpy as np

from papers.jiang2024.zoo import weights as zoo_weights

NETWORKS = "papers.jiang2024.zoo.networks"
IMAGE_SIZE, IMAGENET_SIZE = 32, 64  # networks that know ImageNet see larger images
SMALL = ("vgg", "densenet", "mobilenetv2", "mlp", "cnn2", "cnn4", "resnet10")
DEPTHS = (20, 32, 56)
TWINS = ("resnet8", "resnet20", "mobilenet", "squeezenet", "vgg", "densenet", "mlp", "cnn4")


def _pretrained():
    """Return the candidates with trained weights: factory, options, image size."""
    found = {"resnet8": ("resnet8", {"weights": "cifar10"}, None)}
    for depth in DEPTHS:
        found[f"resnet{depth}"] = ("cifar_resnet", {"depth": depth, "weights": "cifar10"}, None)
    for name in ("mobilenet", "squeezenet"):
        found[name] = (name, {"weights": "imagenet"}, IMAGENET_SIZE)
    for name in SMALL:
        found[name] = ("small_network", {"name": name, "weights": "cifar10"}, None)
    return found


def _scratch():
    """Return their twins with random weights."""
    pretrained = _pretrained()
    found = {}
    for name in TWINS:
        function, options, size = pretrained[name]
        found[f"{name}-scratch"] = (function, {**options, "weights": None}, size)
    return found


PRETRAINED, SCRATCH = _pretrained(), _scratch()
ZOO = {**PRETRAINED, **SCRATCH}


def candidate(name):
    """Return a candidate as `edgedyn.select` takes it."""
    function, options, size = ZOO[name]
    table = {
        "name": name,
        "factory": f"{NETWORKS}:{function}",
        "options": options,
    }
    return table if size is None else {**table, "image_size": size}


def image_size(name):
    """Return the side of the images that a candidate sees."""
    return ZOO[name][2] or IMAGE_SIZE


# Tasks ------------------------------------------------------------------------------------------

# What load_dataset is asked for; images that only validate are drawn from the training part.
TASKS = {
    "cifar100-a": {"validation_size": 1000, "n_train": [2000]},
    "cifar100-b": {"validation_size": 1000, "n_train": [2000]},
    "fashion-mnist": {"validation_size": 500},
}
TRAINED = "-trained-probe"  # ends the names of folders of records where the probe is trained
FASHION_TEST = 500  # of the 1000 test images; the others join the training part


def write_task(task, path):
    """Write a task's images as an npz of x_train, y_train, x_test, y_test, uint8 RGB."""
    arrays = _fashion() if task == "fashion-mnist" else _half(upper=task == "cifar100-b")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    np.savez_compressed(unfinished, **arrays)
    unfinished.replace(path)


def _half(*, upper):
    """Return the lower or upper 20 of the 40 classes of CIFAR-100, in alphabetical order."""
    first = 20 if upper else 0
    found = {}
    with np.load(zoo_weights.data_file("images", "cifar100_40classes.npz")) as stored:
        for part in ("train", "test"):
            y = stored[f"y_{part}"].astype(np.int64)
            chosen = (y >= first) & (y < first + 20)
            found[f"x_{part}"] = stored[f"x_{part}"][chosen]
            found[f"y_{part}"] = (y[chosen] - first).astype(np.uint8)
        found["class_names"] = stored["class_names"][first : first + 20]
    return found


def _fashion():
    """Return Fashion-MNIST, 1500 images to train and validate, 500 to test; labels come last."""
    path = zoo_weights.data_file("images", "fashion_mnist_1000train_1000test_csv.zip")
    with zipfile.ZipFile(path) as archive:
        tables = {}
        for part in ("train", "test"):
            with archive.open(f"fashion_{part}.csv") as file:
                tables[part] = np.loadtxt(file, delimiter=",", skiprows=1, dtype=np.uint8)
    train = np.concatenate([tables["train"], tables["test"][FASHION_TEST:]])
    test = tables["test"][:FASHION_TEST]
    return {
        "x_train": _rgb(train[:, :-1]),
        "y_train": train[:, -1],
        "x_test": _rgb(test[:, :-1]),
        "y_test": test[:, -1],
    }


def _rgb(rows):
    """Return grey images of 28x28 pixels as RGB."""
    return rows.reshape(-1, 28, 28, 1).repeat(3, axis=3)
