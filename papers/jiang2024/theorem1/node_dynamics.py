"""Node dynamics (Eq. 3) beside edge dynamics (Eq. 4) of a trained perceptron: theorem1.md (h).

A perceptron is trained on scikit-learn's digits. Given its weights, all neurons start at random
near to, and far from, their activations and relax; the way is compared with what is proved of it.
Then the gradient that the edge dynamics follows is computed from the relaxed neurons, and compared
with that of the forward pass. Writes results/node_dynamics.json and node_dynamics.md. Run:
``python -m papers.jiang2024.theorem1.node_dynamics`` (seconds).
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from edgedyn.mlp import node_dynamics
from edgedyn.mlp.loss import output_cotangent

HERE = Path(__file__).resolve().parents[1]
NAME = "node_dynamics"
SIZES, EPOCHS, SAMPLES, SEED = (64, 48, 32, 24, 10), 5, 20, 0
STARTS = {"near": 1e-6, "far": 100.0}
SHOWN = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)


def main():
    """Train, relax, write."""
    folder = output_folder(HERE / "results")
    X, y = load_digits(return_X_y=True)
    net = ed.ReLUMLP.random(SIZES, seed=SEED)
    net.fit(X / 16, y, epochs=EPOCHS, seed=SEED)
    X, y = X[:SAMPLES] / 16, y[:SAMPLES]
    ways = {
        name: node_dynamics(net, X, distance=distance, times=SHOWN, seed=SEED)
        for name, distance in STARTS.items()
    }
    found = {}
    for name, way in ways.items():
        found[name] = way.to_dict()
        del found[name]["state"]
    result = {
        "settings": {"sizes": SIZES, "epochs": EPOCHS, "samples": SAMPLES, "seed": SEED},
        "starts": found,
        "gradient_difference": gradient_difference(net, X, y, ways["far"].state),
        "environment": environment(),
    }
    write_text(folder / f"{NAME}.json", to_json(result) + "\n")
    write_text(HERE / f"{NAME}.md", page(result))


def gradient_difference(net, X, y, state):
    """Return how far the gradient at the relaxed neurons is from that of the forward pass."""
    _, slope = net.gradient(X, y)
    kernels, biases = net.views(slope)
    e, worst = output_cotangent(state[-1], y, net.loss), 0.0
    for k in range(net.n_layers - 1, -1, -1):
        own = e.T @ (state[k - 1] if k else X) / len(X)
        worst = max(worst, float(np.abs(own - kernels[k]).max()))
        worst = max(worst, float(np.abs(e.mean(axis=0) - biases[k]).max()))
        if k:  # a neuron that is off rests at e^-t times what it started with, not at 0 exactly
            before = state[k - 2] if k > 1 else X
            e = (e @ net.weights[k]) * (before @ net.weights[k - 1].T + net.biases[k - 1] > 0)
    return worst / float(np.abs(slope).max())


def page(result):
    """Return the results as Markdown."""
    s = result["settings"]
    parts = [
        f"""# Node dynamics beside edge dynamics

Made by `python papers/jiang2024/{NAME}.py`, which writes `results/{NAME}.json`; what is proved is
in [theorem1.md](theorem1.md) (h). A perceptron {"-".join(map(str, s["sizes"]))}, {s["epochs"]}
epochs on digits, {s["samples"]} images, seed {s["seed"]}. "distance": of all neurons from the
activations; "bound": what it cannot exceed; "linear": distance between the true and the linearised
way, which from near is no more than the error of the integration."""
    ]
    for name, way in result["starts"].items():
        lines = ["| t | distance | bound | linear |", "| ---: | ---: | ---: | ---: |"]
        columns = [way[key] for key in ("times", "distance", "bound", "linear_distance")]
        for t, *values in zip(*columns, strict=True):
            lines.append(f"| {t:g} | " + " | ".join(f"{v:.2e}" for v in values) + " |")
        steps = ", ".join(f"{d:.2e}" for d in way["map_distance"])
        parts.append(
            f"## From {name}: a distance of {STARTS[name]:g}\n\n"
            + "\n".join(lines)
            + f"\n\nThe synchronous map, after 0 to {len(s['sizes']) - 1} steps: {steps}."
        )
    parts.append(
        "## Eq. 4 at the fixed point of Eq. 3\n\nThe gradient from the neurons relaxed from far "
        f"differs from that of the forward pass by {result['gradient_difference']:.1e} of its "
        "largest entry: given the weights, the relaxed neurons are all that the edge dynamics sees."
    )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
