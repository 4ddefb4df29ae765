"""The node dynamics A: given the weights, activations are the fixed point it relaxes to.

``dx_i/dt = -x_i + sigma(sum_j W_ij x_j + b_i)`` on the network G_A (paper, Eq. 3), the inputs held.
The edge dynamics B of `edgedyn.mlp.dynamics` (Eq. 4) moves the weights; its gradient is taken at
this fixed point.
"""

from dataclasses import asdict, dataclass
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array

if TYPE_CHECKING:
    from edgedyn.mlp.network import ReLUMLP

Layers = list[Array]  # of shape (n_samples, n_l), first hidden layer to logits
RELATIVE, ABSOLUTE = 1e-12, 1e-14  # tolerances of the integration
MAX_NEURONS = 100_000  # times samples: the state is held at every time


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class NodeDynamics:
    """The way of all neurons from one start to the activations.

    Parameters
    ----------
    times : tuple of float
        In units of a neuron's own relaxation.
    distance, bound : tuple of float
        ``|x(t) - x*|`` over all neurons and samples, x* the activations of the forward pass; and
        what it cannot exceed, from any start: e^-t times a polynomial of degree L - 1.
    linear_distance : tuple of float
        ``|x_lin(t) - x(t)|``, x_lin the flow linearised at x*.
    map_distance : tuple of float
        ``|x - x*|`` after 0..L steps of the synchronous map ``x <- sigma(W x + b)``; the last is 0
        up to rounding.
    state : tuple of ndarray, shape (n_samples, n_l)
        Hidden outputs and logits at the last time, a layer each.
    """

    times: tuple[float, ...]
    distance: tuple[float, ...]
    bound: tuple[float, ...]
    linear_distance: tuple[float, ...]
    map_distance: tuple[float, ...]
    state: tuple[Array, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values."""
        return {**asdict(self), "state": [layer.tolist() for layer in self.state]}


def node_dynamics(
    net: "ReLUMLP",
    X: ArrayLike,
    *,
    distance: float = 1.0,
    times: ArrayLike | None = None,
    seed: int | np.random.Generator | None = None,
) -> NodeDynamics:
    """Let all neurons relax to the activations, and compare with what is proved of the way.

    Parameters
    ----------
    net : ReLUMLP
        In float64; its last layer is linear.
    X : array_like, shape (n_samples, n_inputs)
        Held fixed.
    distance : float
        The start is ``x* + distance * u``, u a random unit vector; above 0.
    times : array_like, optional
        Increasing and positive; by default 1, 2, ..., 40.
    seed : int, numpy.random.Generator or None
        Direction of the start.

    Raises
    ------
    TypeError, ValueError
        For bad data, times or distances, float32, or too many neurons.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Eq. 3. A layer sees the layer before it only, so the
    linearisation at x* is ``-1 + N`` with ``N^L = 0``: all eigenvalues are -1, and
    ``x_lin(t) - x* = e^-t sum_{r < L} t^r / r! N^r (x(0) - x*)``. Because a ReLU's slopes are 0 or
    1, the same sum with ``|W|`` for N and ``|x(0) - x*|`` bounds the true way, entry by entry.

    Examples
    --------
    >>> import edgedyn as ed
    >>> net = ed.ReLUMLP([[[1.0, -1.0]], [[2.0]]])
    >>> way = ed.mlp.node_dynamics(net, [[3.0, 1.0]], seed=0)
    >>> [layer.round(9).tolist() for layer in way.state], way.map_distance[-1]
    ([[[2.0]], [[4.0]]], 0.0)
    >>> way.distance[0] <= way.bound[0]
    True
    """
    distance = check.real_number(distance, "distance", above=0.0)
    grid = check.increasing_times(np.arange(1.0, 41.0) if times is None else times)
    X = net.check_inputs(X)
    if net.dtype != np.float64:
        raise ValueError("node_dynamics needs a network in float64; got float32.")
    n = len(X) * sum(net.sizes[1:])
    if n > MAX_NEURONS:
        raise ValueError(f"neurons times samples must be at most {MAX_NEURONS}; got {n}.")
    fixed = net.activations(X)[1:]
    rng = np.random.default_rng(seed)
    offset = [rng.standard_normal(z.shape) for z in fixed]
    offset = [u * (distance / _norm(offset)) for u in offset]
    ways = _integrate(net, X, fixed, offset, grid)
    slopes = [np.sign(z) for z in fixed[:-1]] + [np.ones_like(fixed[-1])]
    linear = _flow(offset, net.weights, slopes, grid)
    ones = [np.ones_like(slope) for slope in slopes]
    limits = _flow(list(map(np.abs, offset)), list(map(np.abs, net.weights)), ones, grid)
    steps = [[z + u for z, u in zip(fixed, offset, strict=True)]]
    for _ in range(net.n_layers):
        steps.append(image(net, X, steps[-1]))
    return NodeDynamics(
        times=tuple(grid.tolist()),
        distance=tuple(map(_norm, ways)),
        bound=tuple(map(_norm, limits)),
        linear_distance=tuple(map(_norm, map(_difference, linear, ways))),
        map_distance=tuple(_norm(_difference(x, fixed)) for x in steps),
        state=tuple(z + u for z, u in zip(fixed, ways[-1], strict=True)),
    )


def image(net: "ReLUMLP", X: Array, x: Layers) -> Layers:
    """Return ``sigma(W x + b)``: what every neuron makes of the state of all, at once.

    Its fixed point is the forward pass; after L steps every start is there.

    Examples
    --------
    >>> import edgedyn as ed
    >>> net = ed.ReLUMLP([[[1.0]], [[2.0]]])
    >>> x = [np.array([[5.0]]), np.array([[7.0]])]
    >>> [layer.tolist() for layer in image(net, np.array([[3.0]]), x)]
    [[[3.0]], [[10.0]]]
    """
    layers = zip([X, *x[:-1]], net.weights, net.biases, strict=True)
    found = [z @ W.T if b is None else z @ W.T + b for z, W, b in layers]
    return [*(np.maximum(a, 0) for a in found[:-1]), found[-1]]


def _integrate(
    net: "ReLUMLP", X: Array, fixed: Layers, offset: Layers, times: Array
) -> list[Layers]:
    """Return ``x(t) - x*`` at the given times, by a Runge-Kutta method of order 8."""
    from scipy.integrate import solve_ivp

    ends = np.cumsum([z.size for z in fixed])[:-1]

    def layers(u: Array) -> Layers:
        return [a.reshape(z.shape) for a, z in zip(np.split(u, ends), fixed, strict=True)]

    # The distance itself is integrated, so that tolerances are relative to it, not to x.
    def velocity(_: float, u: Array) -> Array:
        x = [z + a for z, a in zip(fixed, layers(u), strict=True)]
        return _joined(_difference(image(net, X, x), fixed)) - u

    span = (0.0, times[-1])
    options = {"method": "DOP853", "rtol": RELATIVE, "atol": ABSOLUTE}
    found = solve_ivp(velocity, span, _joined(offset), t_eval=times, **options)
    return [layers(u) for u in found.y.T]


def _flow(offset: Layers, weights: Any, slopes: Layers, times: Array) -> list[Layers]:
    """Return ``e^-t sum_r t^r / r! N^r u`` at the given times, N one layer's step."""
    term, found = offset, [[np.exp(-t) * u for u in offset] for t in times]
    for r in range(1, len(offset)):  # N^L = 0
        moved = [d * (u @ W.T) for u, W, d in zip(term, weights[1:], slopes[1:], strict=False)]
        term = [np.zeros_like(term[0]), *moved]
        for t, x in zip(times, found, strict=True):
            for total, u in zip(x, term, strict=True):
                total += np.exp(-t) * t**r / factorial(r) * u
    return found


def _difference(x: Layers, y: Layers) -> Layers:
    """Return x - y."""
    return [a - b for a, b in zip(x, y, strict=True)]


def _joined(x: Layers) -> Array:
    """Return all neurons as one vector."""
    return np.concatenate([a.ravel() for a in x])


def _norm(x: Layers) -> float:
    """Return the 2-norm over all neurons and samples."""
    return float(np.linalg.norm(_joined(x)))
