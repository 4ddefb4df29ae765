"""``edgedyn beta``: measure beta_eff of a Keras model."""

import argparse
import os
from functools import partial
from typing import Any

from edgedyn.commands.console import check_seed, number_or_why, print_table, progress_bar


def add(commands: Any) -> None:
    """Add the command."""
    beta = commands.add_parser(
        "beta",
        help="measure beta_eff of a Keras model on data",
        epilog="example: edgedyn beta --model MobileNetV2 --weights none --data digits",
    )
    beta.add_argument(
        "--model",
        required=True,
        help="a backbone's name (MobileNetV2), or a .keras, .h5 or .hdf5 file",
    )
    beta.add_argument(
        "--data",
        default="digits",
        help="digits, cifar10, cifar100, fashion_mnist, svhn:PATH, birds:PATH, folder:PATH or "
        "npz:PATH (default digits)",
    )
    beta.add_argument(
        "--weights", default="imagenet", help="of a named backbone: imagenet, none, or a file"
    )
    beta.add_argument("--alpha", type=float, help="width multiplier of MobileNet and MobileNetV2")
    beta.add_argument("--image-size", type=int, help="resize images to this (default as stored)")
    beta.add_argument("--samples", type=int, default=1024, help="training samples (default 1024)")
    beta.add_argument("--scope", default="probe", help="probe (default) or network")
    beta.add_argument("--coupling", default="direct", help="direct (default) or full")
    beta.add_argument("--strength", default="magnitude", help="magnitude, absolute or signed")
    beta.add_argument("--nodes", default="kernels", help="kernels (default) or all")
    beta.add_argument("--batch-size", type=int, default=64, help="default 64")
    beta.add_argument("--seed", type=int, default=0, help="of probe and sample (default 0)")
    beta.add_argument(
        "--check", action="store_true", help="compare closed form and automatic differentiation"
    )
    beta.add_argument("--json", action="store_true", help="print the results as JSON")
    beta.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure beta_eff of a Keras model; print it with a table per layer."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notes are not results
    import numpy as np

    from edgedyn._environment import document
    from edgedyn._files import to_json
    from edgedyn._validate import positive_int
    from edgedyn.nn.crosscheck import cross_check
    from edgedyn.nn.data.images import as_taken
    from edgedyn.nn.data.sampling import sample_dataset
    from edgedyn.nn.meter import CapacitanceMeter, check_kind

    check_seed(arguments.seed)
    positive_int(arguments.samples, "--samples")
    positive_int(arguments.batch_size, "--batch-size")
    kind = {name: getattr(arguments, name) for name in ("scope", "coupling", "strength", "nodes")}
    check_kind(**kind)
    if arguments.check and (arguments.scope != "probe" or arguments.strength == "absolute"):
        raise ValueError(
            "--check compares the probe's magnitude or signed strengths; got --scope "
            f"{arguments.scope} --strength {arguments.strength}."
        )
    data, model = _inputs(arguments)
    rng = np.random.default_rng(arguments.seed)
    x, y = sample_dataset(data.train.x, data.train.y, arguments.samples, rng)
    x = as_taken(x, model)
    meter = CapacitanceMeter(model, batch_size=arguments.batch_size, **kind)
    x, targets = meter.check_data(x, y)
    with progress_bar(arguments.json) as progress:
        cap = meter.measure(x, targets, progress=progress)
        check = cross_check(meter, meter.features(x), targets) if arguments.check else None
        progress(1.0, "done")
    if arguments.json:
        settings = {k: v for k, v in vars(arguments).items() if k not in ("run", "json")}
        result = {"settings": settings, "capacitance": cap.to_dict()}
        if check is not None:
            result["check"] = check.to_dict()
        print(to_json(document("beta", result)))
    else:
        _layers_table(cap, f"{model.name} on {data.name}, {arguments.scope} scope")
        if check is not None:
            print(f"Check: {check}")
    return 0 if check is None or check.passed else 1


def _inputs(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """Load the data, then the model, with a probe if it has none and needs one."""
    from edgedyn import nn
    from edgedyn.nn.models.probe import has_probe
    from edgedyn.nn.models.weights import is_model_file, load_model

    load = partial(nn.load_dataset, arguments.data, seed=arguments.seed)
    if not is_model_file(arguments.model):
        data = load(image_size=arguments.image_size)
        options = {} if arguments.alpha is None else {"alpha": arguments.alpha}
        weights = None if arguments.weights.lower() == "none" else arguments.weights
        backbone = nn.backbone(
            arguments.model, weights=weights, input_shape=data.image_shape, **options
        )
        return data, nn.attach_probe(backbone, data.n_classes, seed=arguments.seed)
    model = load_model(arguments.model)
    data = load(image_size=arguments.image_size or _size_of(model))
    if has_probe(model) or arguments.scope == "network":
        return data, model
    backbone = nn.backbone(model)
    return data, nn.attach_probe(backbone, data.n_classes, seed=arguments.seed)


def _size_of(model: Any) -> tuple[int, int] | None:
    """Return height and width of the images a model takes; None where it takes any."""
    shape = model.inputs[0].shape[1:]
    return shape[:2] if len(shape) == 3 and None not in shape[:2] else None


def _layers_table(cap: Any, title: str) -> None:
    """Print a capacitance and its layers."""
    rows = [
        [
            *(v.name, v.n_nodes),
            *(f"{x:.4g}" for x in (v.in_total, v.out_total)),
            number_or_why(v.contribution, cap.status, ".4g"),
        ]
        for v in cap.per_layer
    ]
    print_table(title, ["layer", "nodes", "sum of in-degrees", "sum of out-degrees", "share"], rows)
    print(cap)
