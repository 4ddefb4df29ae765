"""The edge dynamics B and its linearisations around an equilibrium: what the line graph captures.

``dW/dt = -grad C`` (paper, Eqs. 4 and 6) is compared, from the same start, with the linear flows
``w' = -grad C(w*) - A (w - w*)`` for several matrices A (Eq. 8 keeps the adjacent blocks).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn._plain import Plain
from edgedyn.mlp.coupling import coupling_matrix
from edgedyn.mlp.loss import loss_curvature
from edgedyn.mlp.network import ReLUMLP

FLOWS = (
    "complete Hessian",
    "adjacent blocks, both directions",
    "adjacent blocks, one direction",
    "direct coupling",
)
MAX_PARAMETERS = 2000


def hessian(net: ReLUMLP, X: ArrayLike, y: ArrayLike) -> Array:
    """Return the Hessian of the mean loss in all parameters, shape (n_parameters, n_parameters).

    Column by column: the derivative of the backward pass along one parameter (Pearlmutter, Neural
    Computation 6:147, 1994), exact inside the linear region of the ReLUs. More than 2000 parameters
    are a ValueError: the matrix is dense.
    """
    if net.n_parameters > MAX_PARAMETERS:
        raise ValueError(
            f"the dense Hessian is for at most {MAX_PARAMETERS} parameters; this network has "
            f"{net.n_parameters}: take a smaller one."
        )
    X, y = net.check_data(X, y)
    records = net.records_unchecked(X, y)
    unit = np.eye(net.n_parameters, dtype=net.dtype)
    return np.stack([_hessian_vector(net, records, direction) for direction in unit], axis=1)


def _hessian_vector(net: ReLUMLP, records: list[Any], direction: Array) -> Array:
    """Return the derivative of the gradient along `direction`."""
    V, v = net.views(direction)
    n = len(records[0].activation)
    moved = [np.zeros_like(records[0].activation)]
    for record, kernel, bias, W in zip(records, V, v, net.weights, strict=True):
        a = record.activation @ kernel.T + moved[-1] @ W.T
        moved.append((a if bias is None else a + bias) * record.mask)
    logits = records[-1].activation @ net.weights[-1].T
    if net.biases[-1] is not None:
        logits = logits + net.biases[-1]
    e = loss_curvature(logits, moved[-1], net.loss)
    result = np.empty_like(direction)
    kernels, biases = net.views(result)
    for k in range(net.n_layers - 1, -1, -1):
        record = records[k]
        kernels[k][...] = (e.T @ record.activation + record.cotangent.T @ moved[k]) / n
        target = biases[k]
        if target is not None:
            target[...] = e.sum(axis=0) / n
        if k:
            e = (record.cotangent @ V[k] + e @ net.weights[k]) * records[k - 1].mask
    return result


def layer_of_parameter(net: ReLUMLP) -> Array:
    """Return the layer, from 1, that owns each entry of the parameter vector."""
    pairs = zip(net.weights, net.biases, strict=True)
    sizes = [w.size + (0 if b is None else b.size) for w, b in pairs]
    return np.repeat(np.arange(1, net.n_layers + 1), sizes)


@dataclass(frozen=True)
class EdgeDynamics(Plain):
    """True and linearised edge dynamics from one start near an equilibrium.

    Parameters
    ----------
    times : tuple of float
        Of the gradient flow ``w' = -grad C``; a gradient step takes one learning rate of time.
    start_distance, equilibrium_gradient, equilibrium_loss : float
        ``|w(0) - w*|``; norm of the gradient, and the loss, at w*.
    true_distance : tuple of float
        ``|w(t) - w*|`` of the true flow.
    integration_error : float
        Largest change of the true flow on doubling the step, on the scale of `deviations`.
    deviations : dict of str to tuple of float
        For each linear flow, ``|w_lin(t) - w(t)| / |w(t) - w(0)|``: the error as a fraction of how
        far the true flow has moved.
    parting_time : dict of str to float
        First time at which the deviation exceeds 10 %; infinity where it does not in the times
        computed.
    growth_rate : dict of str to float
        Largest real part of the eigenvalues of -A: above 0 the linear flow is unstable.
    nilpotent_residual, direct_norm : float
        ``|P^L| / |P|^L`` of the one-directional matrix: 0, since P only links layer l + 1 to l; and
        the Frobenius norm of the direct coupling at w*, 0 if w* interpolates.
    """

    times: tuple[float, ...]
    start_distance: float
    equilibrium_gradient: float
    equilibrium_loss: float
    true_distance: tuple[float, ...]
    integration_error: float
    deviations: dict[str, tuple[float, ...]]
    parting_time: dict[str, float]
    growth_rate: dict[str, float]
    nilpotent_residual: float
    direct_norm: float


def edge_dynamics(
    net: ReLUMLP,
    X: ArrayLike,
    y: ArrayLike,
    *,
    distance: float = 0.01,
    times: ArrayLike | None = None,
    seed: int | np.random.Generator | None = None,
) -> EdgeDynamics:
    """Compare the edge dynamics with its linearisations around an equilibrium near `net`.

    The equilibrium ``w*`` is found by minimising the loss from the network's parameters (BFGS);
    the flows start at ``w* + distance * u``, u a random unit vector.

    Parameters
    ----------
    net : ReLUMLP
        Small (at most 2000 parameters), float64; left as it is.
    X, y : array_like
    distance : float
        Of the start from w*, above 0.
    times : array_like, optional
        Increasing and positive; by default 26 of them, from 0.01 to 1000 in units of
        the inverse of the Hessian's largest eigenvalue, evenly in the logarithm.
    seed : int, numpy.random.Generator or None
        Direction of the start.

    Raises
    ------
    TypeError, ValueError
        For bad data, times or distances, or too large a network.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Eqs. 4, 6-8. With P = +d^2 C the linear flow is
    ``w' = -grad C(w*) - P (w - w*)``. The one-directional P is nilpotent, so its flow is a
    polynomial in t and never decays; both directions without the diagonal blocks have trace 0,
    hence an unstable direction; the decay comes from the diagonal blocks.

    Examples
    --------
    >>> import edgedyn as ed
    >>> net = ed.ReLUMLP([[[1.1]], [[0.9]], [[1.0]]], loss="squared_error")
    >>> result = ed.mlp.edge_dynamics(net, [[1.0], [0.5]], [1.0, 0.5], seed=0)
    >>> result.growth_rate["adjacent blocks, both directions"] > 0
    True
    >>> result.growth_rate["complete Hessian"] < 1e-6
    True
    """
    distance = check.real_number(distance, "distance", above=0.0)
    if times is not None:
        times = check.increasing_times(times)
    X, y = net.check_data(X, y)
    if net.dtype != np.float64:
        raise ValueError("edge_dynamics needs a network in float64; got float32.")
    equilibrium = _equilibrium(net, X, y)
    A = linear_operators(equilibrium, X, y)
    loss, slope = equilibrium.gradient(X, y)
    direction = np.random.default_rng(seed).standard_normal(net.n_parameters)
    offset = distance * direction / np.linalg.norm(direction)
    centre = equilibrium.parameters.copy()
    moving = _loss_and_gradient(equilibrium.copy(), X, y)

    # Two steps of different length: the adaptive integrators of scipy stall where the flow slides
    # along a ReLU's kink, which minima of such networks like to lie on.
    curvature = max(float(np.abs(np.linalg.eigvalsh(A[FLOWS[0]])).max()), 1e-3)
    grid = np.logspace(-2, 3, 26) / curvature if times is None else times
    step = 0.5 / curvature
    flow, coarse = (
        _runge_kutta(lambda w: -moving(w)[1], centre + offset, grid, h) for h in (step, 2 * step)
    )
    true = flow - centre
    moved = np.maximum(np.linalg.norm(true - offset, axis=1), np.finfo(float).tiny)
    deviations, parting, growth = {}, {}, {}
    for name, matrix in A.items():
        linear = _linear_flow(matrix, slope, offset, grid)
        with np.errstate(over="ignore"):  # an unstable flow may leave the numbers' range
            error = np.linalg.norm(linear - true, axis=1) / moved
        deviations[name] = tuple(error.tolist())
        apart = np.flatnonzero(error > 0.1)
        parting[name] = float(grid[apart[0]]) if apart.size else float("inf")
        growth[name] = float(np.linalg.eigvals(-matrix).real.max())
    integration = np.linalg.norm(flow - coarse, axis=1) / moved
    P = A["adjacent blocks, one direction"]
    scale = np.linalg.norm(P) ** net.n_layers
    power = np.linalg.norm(np.linalg.matrix_power(P, net.n_layers))
    # Nilpotency is exact, so eigenvalues of P (rounding to the power 1/L) would mislead.
    for name in ("adjacent blocks, one direction", "direct coupling"):
        growth[name] = 0.0
    return EdgeDynamics(
        times=tuple(grid.tolist()),
        start_distance=distance,
        equilibrium_gradient=float(np.linalg.norm(slope)),
        equilibrium_loss=loss,
        true_distance=tuple(np.linalg.norm(true, axis=1).tolist()),
        integration_error=float(integration.max()),
        deviations=deviations,
        parting_time=parting,
        growth_rate=growth,
        nilpotent_residual=float(power / scale) if scale else 0.0,
        direct_norm=float(np.linalg.norm(A["direct coupling"])),
    )


def linear_operators(net: ReLUMLP, X: ArrayLike, y: ArrayLike) -> dict[str, Array]:
    """Return the matrix A of each linear flow, by the names in ``FLOWS``."""
    H = hessian(net, X, y)
    layer = layer_of_parameter(net)
    step = layer[None, :] - layer[:, None]
    direct = coupling_matrix(net, X, y, strength="signed", nodes="all").toarray()
    matrices = (H, np.where(abs(step) == 1, H, 0.0), np.where(step == 1, H, 0.0), direct)
    return dict(zip(FLOWS, matrices, strict=True))


def _equilibrium(net: ReLUMLP, X: Array, y: Array) -> ReLUMLP:
    """Minimise the loss from the network's parameters."""
    from scipy.optimize import minimize

    probe = net.copy()
    value = _loss_and_gradient(probe, X, y)
    options = {"gtol": 1e-10, "maxiter": 2000}
    found = minimize(value, net.parameters, jac=True, method="BFGS", options=options)
    probe.parameters[...] = found.x
    return probe


def _loss_and_gradient(net: ReLUMLP, X: Array, y: Array) -> Callable[[Array], tuple[float, Array]]:
    """Return the loss and its gradient as a function of the parameters, which moves the network."""

    def value(w: Array) -> tuple[float, Array]:
        net.parameters[...] = w
        return net.gradient(X, y)

    return value


def _runge_kutta(
    velocity: Callable[[Array], Array], start: Array, times: Array, step: float
) -> Array:
    """Integrate by the classical fourth-order method with steps of at most `step`."""
    w, t, path = start.copy(), 0.0, []
    for end in times:
        n = int(np.ceil((end - t) / step))
        h = (end - t) / n
        for _ in range(n):
            k1 = velocity(w)
            k2 = velocity(w + h / 2 * k1)
            k3 = velocity(w + h / 2 * k2)
            k4 = velocity(w + h * k3)
            w = w + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        t = end
        path.append(w)
    return np.stack(path)


def _linear_flow(A: Array, slope: Array, offset: Array, times: Array) -> Array:
    """Solve ``d' = -slope - A d`` exactly at the given times, by the augmented exponential."""
    from scipy.linalg import expm

    n = len(offset)
    generator = np.block([[-A, -slope[:, None]], [np.zeros((1, n + 1))]])
    start = np.append(offset, 1.0)
    return np.stack([(expm(generator * t) @ start)[:n] for t in times])
