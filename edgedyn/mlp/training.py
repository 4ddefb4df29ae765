"""Mini-batch training of a `ReLUMLP`: SGD and Adam on one parameter vector."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn._plain import Plain
from edgedyn.mlp.forward import Perceptron
from edgedyn.mlp.loss import mean_loss, output_cotangent

OPTIMIZERS = ("adam", "sgd")


@dataclass(frozen=True)
class TrainingHistory(Plain):
    """What training left behind.

    Parameters
    ----------
    loss : tuple of float
        Mean training loss of each epoch, taken batch by batch as the weights change, without the
        weight-decay term.
    status : {"completed", "diverged"}
        ``diverged``: the loss became infinite or NaN; training stopped after that epoch.
    """

    loss: tuple[float, ...]
    status: str


def fit(
    net: Perceptron,
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int = 1,
    batch_size: int = 32,
    optimizer: str = "adam",
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    seed: int | np.random.Generator | None = None,
    callback: Callable[[int, float], None] | None = None,
) -> TrainingHistory:
    """Train by mini-batches, in place; the last ``net.frozen`` layers stay as they are.

    Parameters
    ----------
    net : ReLUMLP
        Of which this is a method, too.
    X, y : array_like
        As for `ReLUMLP.check_data`.
    epochs, batch_size : int
        Passes over the data, each in a new order; samples per step (the last step of an epoch
        takes the rest).
    optimizer : {"adam", "sgd"}
        Adam with its published constants, or plain gradient steps.
    learning_rate, weight_decay : float
        Positive; ``lambda >= 0`` of the penalty ``lambda/2 sum W^2`` on the kernels that learn.
    seed : int, numpy.random.Generator or None
        Order of the samples.
    callback : callable, optional
        Called as ``callback(epoch, loss)`` after each epoch, epochs counted from 1.

    Raises
    ------
    TypeError, ValueError
        For bad data or settings, before the first step.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from edgedyn import ReLUMLP
    >>> X, y = load_digits(return_X_y=True)
    >>> net = ReLUMLP.random([64, 32, 10], seed=0)
    >>> history = net.fit(X / 16, y, epochs=5, seed=0)
    >>> history.status, net.score(X / 16, y) > 0.9
    ('completed', True)
    """
    X, y = net.check_data(X, y)
    if y.ndim == 1 and (y == y[0]).all():
        raise ValueError(f"y holds one class only ({y[0]}); training needs at least two classes.")
    epochs = check.positive_int(epochs, "epochs")
    batch_size = min(check.positive_int(batch_size, "batch_size"), len(X))
    check.choice(optimizer, "optimizer", OPTIMIZERS)
    learning_rate = check.real_number(learning_rate, "learning_rate", above=0.0)
    weight_decay = check.real_number(weight_decay, "weight_decay", at_least=0.0)
    rng = np.random.default_rng(seed)
    trainer = _Trainer(net, batch_size, optimizer, learning_rate, weight_decay)
    losses: list[float] = []
    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(X))
        total = 0.0
        for start in range(0, len(X), batch_size):
            total += trainer.step(X, y, order[start : start + batch_size])
        losses.append(total / len(X))
        if callback is not None:
            callback(epoch, losses[-1])
        if not (np.isfinite(losses[-1]) and np.isfinite(net.parameters).all()):
            return TrainingHistory(tuple(losses), "diverged")
    return TrainingHistory(tuple(losses), "completed")


class _Trainer:
    """Buffers and optimiser state, allocated once; a step allocates nothing of batch size."""

    def __init__(
        self, net: Perceptron, batch_size: int, optimizer: str, rate: float, decay: float
    ) -> None:
        from edgedyn.mlp import _kernels

        self.kernels, self.net, self.optimizer, self.rate = _kernels, net, optimizer, rate
        self.decay = net.dtype.type(decay)
        self.learning = net.n_layers - net.frozen
        arrays = (*net.weights[: self.learning], *net.biases[: self.learning])
        n_learning = sum(a.size for a in arrays if a is not None)
        self.theta = net.parameters[:n_learning]  # frozen layers come last, so this is a prefix
        gradient = np.zeros(net.n_parameters, net.dtype)
        self.gradient = gradient[:n_learning]
        self.gradient_views = net.views(gradient)
        self.moments = np.zeros((2, n_learning if optimizer == "adam" else 0), net.dtype)
        self.z = [np.empty((batch_size, n), net.dtype) for n in net.sizes]
        self.e = [np.empty((batch_size, n), net.dtype) for n in net.sizes[1:-1]]
        self.zero_bias = [np.zeros(n, net.dtype) for n in net.sizes[1:]]
        self.ones = np.ones(batch_size, net.dtype)
        self.steps = 0

    def step(self, X: Array, y: Array, rows: Array) -> float:
        """Take one optimiser step on the given rows; return their summed loss."""
        n = len(rows)
        z = [buffer[:n] for buffer in self.z]
        np.take(X, rows, axis=0, out=z[0], mode="clip")  # "clip" writes into out unbuffered
        self._forward(z)
        loss, e = self._output(z[-1], y[rows])
        e *= self.net.dtype.type(1 / n)
        self._backward(z, e)
        self.steps += 1
        if self.optimizer == "adam":
            m, v = self.moments
            self.kernels.adam_step(self.theta, self.gradient, m, v, self.steps, self.rate)
        else:
            self.kernels.sgd_step(self.theta, self.gradient, self.net.dtype.type(self.rate))
        return loss

    def _forward(self, z: list[Array]) -> None:
        """Fill the hidden outputs and logits."""
        net = self.net
        for k, (W, b) in enumerate(zip(net.weights, net.biases, strict=True)):
            np.matmul(z[k], W.T, out=z[k + 1])
            if k < net.n_layers - 1:
                self.kernels.add_bias_relu(z[k + 1], self.zero_bias[k] if b is None else b)
            elif b is not None:
                z[k + 1] += b

    def _output(self, logits: Array, y: Array) -> tuple[float, Array]:
        """Return the summed loss and e^L, which overwrites the logits where it can."""
        if self.net.loss == "cross_entropy" and y.ndim == 1:
            return self.kernels.softmax_error(logits, y), logits
        loss = mean_loss(logits, y, self.net.loss) * len(y)
        return loss, output_cotangent(logits, y, self.net.loss)

    def _backward(self, z: list[Array], e: Array) -> None:
        """Fill the gradient of the layers that learn."""
        kernels, biases = self.gradient_views
        for k in range(self.net.n_layers - 1, -1, -1):
            if k < self.learning:
                kernel = np.matmul(e.T, z[k], out=kernels[k])
                if self.decay:
                    kernel += self.decay * self.net.weights[k]
                bias = biases[k]
                if bias is not None:
                    np.dot(self.ones[: len(e)], e, out=bias)
            if k:
                below = self.e[k - 1][: len(e)]
                np.matmul(e, self.net.weights[k], out=below)
                self.kernels.relu_backward(below, z[k])
                e = below
