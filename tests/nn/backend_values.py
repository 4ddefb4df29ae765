"""Degrees and values of the tests' networks under one Keras backend: a process of its own.

``python backend_values.py OUT.npz [IN.npz]`` builds the networks and writes parameters, samples and
results; with a second file, parameters and samples are read from it, so that two backends can be
compared.
"""

import sys
from pathlib import Path

import numpy as np

KINDS = [
    ("direct", "magnitude", "kernels"),
    ("full", "signed", "all"),
]


def plain(kl, x):
    x = kl.Conv2D(3, 3, padding="same", activation="relu")(x)
    x = kl.MaxPooling2D(2)(kl.BatchNormalization()(x))
    return kl.GlobalAveragePooling2D()(kl.Conv2D(4, 2, activation="elu")(x))


def mobile(kl, x):
    x = kl.ReLU(6.0)(kl.BatchNormalization()(kl.Conv2D(4, 2, use_bias=False)(x)))
    x = kl.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)(x)
    x = kl.Conv2D(6, 2, groups=2)(kl.ReLU(negative_slope=0.125)(x))
    g = kl.Activation("sigmoid")(kl.Conv2D(6, 1)(kl.GlobalAveragePooling2D(keepdims=True)(x)))
    return kl.Flatten()(kl.Multiply()([x, g]))


def branches(kl, x):
    x = kl.Conv2D(2, 2, activation="tanh")(x)
    parts = [
        kl.MaxPooling2D(3, strides=1, padding="same")(x),
        kl.AveragePooling2D(3, strides=1, padding="same")(x),
        kl.Conv2D(2, 3)(kl.ZeroPadding2D(1)(x)),
        kl.Conv2DTranspose(2, 3, padding="same")(x),
    ]
    x = kl.SeparableConv2D(3, 2)(kl.Concatenate()(parts))
    return kl.GlobalMaxPooling2D()(kl.UpSampling2D(2)(x))


def transformer(kl, x):
    x = kl.Reshape((4, 4))(kl.Conv2D(4, 2, strides=2)(kl.Cropping2D(((0, 1), (0, 2)))(x)))
    h = kl.LayerNormalization()(x)
    x = kl.Add()([x, kl.MultiHeadAttention(2, 3)(h, h)])
    h = kl.Dense(5, activation="silu")(kl.RMSNormalization()(x))
    shared = kl.Dense(5, activation="softplus")
    x = kl.Subtract()([x, kl.Dense(4)(shared(shared(h)))])
    return kl.GlobalAveragePooling1D()(kl.GroupNormalization(2)(x))


NETWORKS = {f.__name__: f for f in (plain, mobile, branches, transformer)}
SHAPE = (5, 6, 2)


def built(name):
    import keras

    inputs = keras.Input(SHAPE)
    x = NETWORKS[name](keras.layers, inputs)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x), name=name)


def filled(rng, model):
    values = []
    for weight in model.weights:
        value = rng.standard_normal(weight.shape)
        if "variance" in weight.path:
            value = np.abs(value) + 0.5
        elif "kernel" in weight.path:
            value /= np.sqrt(np.prod(weight.shape[:-1]))
        values.append(value)
    return values


def results(model, x, y):
    """Values and degrees in every kind, and products with P."""
    from edgedyn import nn
    from edgedyn.nn.meter import CapacitanceMeter

    if model.name == "plain":
        scores = nn.zero_cost(model, x, y, seed=0).scores
        return {f"zero_cost/{name}": np.array([0.0, float(s)]) for name, s in scores.items()}
    found = {}
    for kind in KINDS:
        options = dict(zip(("coupling", "strength", "nodes"), kind, strict=True))
        meter = CapacitanceMeter(model, scope="network", batch_size=3, **options)
        for _ in range(2):  # what is compiled must read the parameters anew
            cap, degrees = meter.by_differentiation(*meter.check_data(x, y))
            model.set_weights([1.5 * w for w in model.get_weights()])
        model.set_weights([w / 2.25 for w in model.get_weights()])
        flat = [part for layer in degrees for part in layer.flat()]
        found["/".join(kind)] = np.concatenate([[cap.value, cap.mean_strength], *flat])
    if model.name != "mobile":
        return found
    P = nn.interaction(model, x, y, nodes="all")
    v = np.random.default_rng(0).standard_normal(P.graph.n_nodes)
    operator = P.operator
    found["P v"], found["P' v"] = operator @ v, operator.rmatvec(v)
    return found


def main(out, given=None):
    import keras

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    rng = np.random.default_rng(0)
    known = None if given is None else np.load(given)
    saved = {}
    for name in NETWORKS:
        model = built(name)
        values = filled(rng, model)
        x, y = rng.standard_normal((5, *SHAPE)), np.arange(5) % 3
        if known is not None:
            values = [known[f"{name}/weight/{k}"] for k in range(len(model.weights))]
            x = known[f"{name}/x"]
        model.set_weights(values)
        saved |= {f"{name}/weight/{k}": v for k, v in enumerate(values)}
        saved[f"{name}/x"] = x
        saved |= {f"{name}/result/{k}": v for k, v in results(model, x, y).items()}
    np.savez(out, **saved)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
