"""Training-free proxies: formulas from weights, gradients and activation patterns to one number.

`edgedyn.nn.zero_cost` collects what they need from a Keras model. Each returns a `Score`, a float
with a status: ``ok``, ``overflow`` (value NaN: it is not finite) or what the function names. Lists
of arrays have one array a layer with weights.
"""

from collections.abc import Iterable, Sequence
from math import inf, isfinite, log, nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.predict.methods import measured_by
from edgedyn.predict.transferability import Score

PROXIES = measured_by("zero_cost")
_JACOB_COV_GUARD = 1e-5


def grad_norm(gradients: Iterable[ArrayLike]) -> Score:
    r"""Return the summed norms of the layers' weight gradients, at least 0.

    .. math:: \sum_l \| \partial L / \partial W_l \|_2

    Abdelfattah et al., ICLR 2021.

    Parameters
    ----------
    gradients : iterable of array_like
        One array a layer with weights, of any shape.

    Examples
    --------
    >>> grad_norm([[[3.0, 4.0]], [1.0]])
    Score(6.0)
    """
    return _finite(sum(float(np.linalg.norm(g)) for g in _arrays(gradients, "gradients")))


def snip(weights: Iterable[ArrayLike], gradients: Iterable[ArrayLike]) -> Score:
    r"""Return how much the loss feels the weights, one by one; at least 0.

    .. math:: \sum_l \sum | W_l \odot \partial L / \partial W_l |

    Lee, Ajanthan and Torr, ICLR 2019; as a proxy Abdelfattah et al., ICLR 2021.

    Parameters
    ----------
    weights, gradients : iterable of array_like
        One array a layer, of equal shapes.

    Examples
    --------
    >>> snip([[1.0, -2.0]], [[3.0, 4.0]])
    Score(11.0)
    """
    return _finite(sum(float(np.abs(w * g).sum()) for w, g in _pairs(weights, gradients)))


def grasp(weights: Iterable[ArrayLike], hessian_gradients: Iterable[ArrayLike]) -> Score:
    r"""Return how much removing the weights would keep of the gradient's flow; of either sign.

    .. math:: \sum_l \sum - W_l \odot (H g)_l

    with g the loss's gradient by all weights and H its second derivative. Wang, Zhang and Grosse,
    ICLR 2020; as a proxy Abdelfattah et al., ICLR 2021.

    Parameters
    ----------
    weights, hessian_gradients : iterable of array_like
        One array a layer, of equal shapes.

    Examples
    --------
    >>> grasp([[1.0, -2.0]], [[3.0, 4.0]])
    Score(5.0)
    """
    return _finite(-sum(float((w * h).sum()) for w, h in _pairs(weights, hessian_gradients)))


def synflow(weights: Iterable[ArrayLike], gradients: Iterable[ArrayLike]) -> Score:
    r"""Return the synaptic flow: `snip` of the summed output at absolute weights, inputs of ones.

    .. math:: \sum_l \sum | W_l \odot \partial R / \partial W_l |, \qquad
              R = 1^T f(1; |\theta|)

    Tanaka et al., NeurIPS 2020; as a proxy Abdelfattah et al., ICLR 2021. At least 0. Status
    ``no_flow``: it is 0, since activations stop every derivative; ``overflow`` (value NaN), as
    single precision does easily.

    Parameters
    ----------
    weights, gradients : iterable of array_like
        One array a layer, of equal shapes; batch norms off, biases absolute, too.

    Examples
    --------
    >>> synflow([[1.0, 2.0]], [[3.0, 4.0]])
    Score(11.0)
    """
    flow = snip(weights, gradients)
    return Score(0.0, "no_flow") if flow == 0 else flow


def fisher(
    activations: Iterable[ArrayLike],
    cotangents: Iterable[ArrayLike],
    weights_per_channel: Sequence[int],
) -> Score:
    r"""Return the Fisher information of the layers' channels, at least 0.

    .. math:: \sum_l w_l \sum_c \frac{1}{2N} \sum_n
              \Big( \sum_h a_{nhc} \frac{\partial L}{\partial a_{nhc}} \Big)^2

    Theis et al., 2018; Turner et al., ICLR 2020; as a proxy Abdelfattah et al., ICLR 2021.

    Parameters
    ----------
    activations, cotangents : iterable of array_like, shape (n_samples, ..., channels)
        Outputs a of each layer with weights, and the loss's derivative by them.
    weights_per_channel : sequence of int
        For each layer the number of weights ``w_l`` behind one channel.

    Examples
    --------
    >>> fisher([[[1.0], [2.0]]], [[[1.0], [1.0]]], [3])
    Score(3.75)
    """
    pairs = _pairs(activations, cotangents)
    if len(pairs) != len(weights_per_channel):
        raise ValueError(
            f"weights_per_channel has {len(weights_per_channel)} entries for {len(pairs)} layers."
        )
    total = 0.0
    for (a, e), many in zip(pairs, weights_per_channel, strict=True):
        if a.ndim < 2:
            raise ValueError(f"activations need samples and channels; got shape {a.shape}.")
        flow = (a * e).reshape(len(a), -1, a.shape[-1]).sum(axis=1)
        total += 0.5 * float((flow**2).mean(axis=0).sum()) * many
    return _finite(total)


def jacob_cov(jacobian: ArrayLike) -> Score:
    r"""Return how differently the network responds around different samples.

    .. math:: - \sum_i \Big[ \ln(v_i + 10^{-5}) + \frac{1}{v_i + 10^{-5}} \Big]

    with v the eigenvalues of the correlation matrix of the rows of J. Mellor et al., 2020 (first
    version of arXiv 2006.04647); as a proxy Abdelfattah et al., 2021. At most ``-n_samples``, there
    where all rows are uncorrelated. Status ``constant_rows`` (value NaN): a sample's derivative is
    constant, such as 0, and correlates with nothing.

    Parameters
    ----------
    jacobian : array_like, shape (n_samples, ...)
        The derivative of each sample's summed logits by its inputs; at least two samples.

    Examples
    --------
    >>> round(jacob_cov([[1.0, -1.0, 0.0], [1.0, 1.0, -2.0]]), 6)
    -2.0
    """
    J = np.asarray(jacobian, np.float64)
    if J.ndim < 2 or len(J) < 2:
        raise ValueError(f"jacobian needs one row for each of two samples; got shape {J.shape}.")
    J = J.reshape(len(J), -1)
    if not np.isfinite(J).all():
        return Score(nan, "overflow")
    J = J - J.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(J, axis=1, keepdims=True)
    if (norms == 0).any():
        return Score(nan, "constant_rows")
    J = J / norms
    v = np.maximum(np.linalg.eigvalsh(J @ J.T), 0.0) + _JACOB_COV_GUARD
    return _finite(-float(np.sum(np.log(v) + 1 / v)))


def agreement(codes: Iterable[ArrayLike]) -> Array:
    r"""Return in how many rectified units each pair of samples agrees, (n_samples, n_samples).

    .. math:: K = \sum_l c_l c_l^T + (1 - c_l)(1 - c_l)^T

    Whole numbers in float64; the number of units on the diagonal.

    Parameters
    ----------
    codes : iterable of array_like, shape (n_samples, ...)
        For each ReLU layer 1 (or True) where its input is positive.

    Examples
    --------
    >>> agreement([[[1, 0], [1, 1]]])
    array([[2., 1.],
           [1., 2.]])
    """
    total: Any = None
    for code in codes:
        c = np.asarray(code)
        if c.ndim < 2 or c.size == 0:
            raise ValueError(f"a code needs samples and units; got shape {c.shape}.")
        c = c.reshape(len(c), -1).astype(np.float64)
        if ((c != 0) & (c != 1)).any():  # also where c holds NaN
            raise ValueError("codes must hold 0 and 1 only.")
        if total is not None and len(c) != len(total):
            raise ValueError(f"codes of {len(total)} and {len(c)} samples cannot be added.")
        signs = 2 * c - 1  # agreeing minus disagreeing units is their product
        total = (0.0 if total is None else total) + (signs @ signs.T + c.shape[1]) / 2
    if total is None:
        raise ValueError("there are no codes; give those of at least one ReLU layer.")
    return total


def naswot(kernel: ArrayLike) -> Score:
    r"""Return the logarithm of the determinant of the samples' `agreement`.

    .. math:: \ln |\det K|

    Mellor et al., ICML 2021, there with batches of 128. Values for different numbers of samples
    cannot be compared: they are at most ``n_samples ln n_units``. Status ``singular`` (value minus
    infinity): two samples have one pattern, or the patterns depend linearly; equal images do.

    Parameters
    ----------
    kernel : array_like, shape (n_samples, n_samples)
        From `agreement`.

    Examples
    --------
    >>> round(naswot([[2.0, 1.0], [1.0, 2.0]]), 6)
    1.098612
    """
    K = _symmetric(kernel)
    values = np.linalg.eigvalsh(K)
    if values[0] <= len(K) * np.finfo(float).eps * values[-1]:
        return Score(-inf, "singular")
    return Score(float(np.log(values).sum()))


def te_nas_regions(kernel: ArrayLike) -> Score:
    """Return the number of linear regions that the samples meet: distinct ReLU patterns.

    A whole number in 1..n_samples. Status ``saturated``: every sample has a pattern of its own, and
    the count says nothing but the number of samples. Chen, Gong and Wang, ICLR 2021 (TE-NAS), who
    add the ranks by this and by `te_nas_condition`.

    Parameters
    ----------
    kernel : array_like, shape (n_samples, n_samples)
        From `agreement`.

    Examples
    --------
    >>> te_nas_regions([[4, 4, 1], [4, 4, 1], [1, 1, 4]])
    Score(2.0)
    """
    K = _symmetric(kernel)
    same = K == np.diag(K)[:, None]
    distinct = int((same.argmax(axis=1) == np.arange(len(K))).sum())
    return Score(distinct, "saturated" if distinct == len(K) else "ok")


def te_nas_condition(ntk: ArrayLike) -> Score:
    r"""Return the condition number of the neural tangent kernel; the **lower** the better.

    .. math:: \kappa = \lambda_{max}(\Theta) / \lambda_{min}(\Theta), \qquad
              \Theta_{ij} = \langle g_i, g_j \rangle

    At least 1. Status ``singular`` (value infinity): the smallest eigenvalue is not positive beyond
    rounding, as with equal images. Chen, Gong and Wang, ICLR 2021 (TE-NAS).

    Parameters
    ----------
    ntk : array_like, shape (n_samples, n_samples)
        Inner products of the samples' gradients g of the summed logits by the weights.

    Examples
    --------
    >>> te_nas_condition([[2.0, 0.0], [0.0, 4.0]])
    Score(2.0)
    """
    theta = np.asarray(ntk, np.float64)
    if theta.size and not np.isfinite(theta).all():
        return Score(nan, "overflow")
    values = np.linalg.eigvalsh(_symmetric(theta))
    if values[0] <= len(values) * np.finfo(float).eps * values[-1]:
        return Score(inf, "singular")
    return Score(float(values[-1] / values[0]))


def zen(difference: float, variances: Iterable[ArrayLike]) -> Score:
    r"""Return the Zen-score from a response to noise and the variances that batch norms removed.

    .. math:: \ln \frac{1}{N} \sum_n \| \phi(x_n) - \phi(x_n + 0.01 \epsilon_n) \|_1
              + \sum_l \frac{1}{2} \ln \overline{v_l}

    Lin et al., ICCV 2021. Their program reads the running variance after the two forward passes,
    ``0.81 + 0.09 v_1 + 0.1 v_2`` with unbiased batch variances, instead of the batch variance:
    `zen_running_variance`. Of either sign. Status ``no_response`` (value minus infinity): the noise
    changes nothing, or a variance is 0.

    Parameters
    ----------
    difference : float
        The mean over samples of the summed absolute differences of the last feature map phi.
    variances : iterable of array_like, shape (channels,)
        What each batch norm divided by, before the root.

    Examples
    --------
    >>> round(zen(1.0, [[4.0, 4.0]]), 6)
    0.693147
    """
    means = [float(np.mean(v)) for v in _arrays(variances, "variances")]
    if not isfinite(difference) or not all(isfinite(m) for m in means):
        return Score(nan, "overflow")
    if difference <= 0 or min(means, default=1.0) <= 0:
        return Score(-inf, "no_response")
    return Score(log(difference) + sum(0.5 * log(m) for m in means))


def zen_running_variance(first: ArrayLike, second: ArrayLike, n: int) -> Array:
    """Return the running variance that the published Zen-score takes for the batch variance.

    Parameters
    ----------
    first, second : array_like, shape (channels,)
        Biased variances of one batch norm in the two forward passes.
    n : int
        Number of values behind each: samples times positions.

    Examples
    --------
    >>> zen_running_variance([1.0], [1.0], 11)
    array([1.019])
    """
    n = check.positive_int(n, "n")
    if n < 2:
        raise ValueError("an unbiased variance needs n of at least 2.")
    unbiased = n / (n - 1)
    v1, v2 = np.asarray(first, np.float64), np.asarray(second, np.float64)
    return 0.81 + unbiased * (0.09 * v1 + 0.1 * v2)


def _finite(value: float) -> Score:
    """Return a score whose status tells an overflow."""
    return Score(value) if isfinite(value) else Score(nan, "overflow")


def _arrays(parts: Iterable[ArrayLike], name: str) -> list[Array]:
    """Return real arrays, in the precision they have."""
    arrays = [np.asarray(part) for part in parts]
    for array in arrays:
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{name} must be arrays of real numbers; got {array.dtype}.")
    return [a if a.dtype.kind == "f" else a.astype(np.float64) for a in arrays]


def _pairs(first: Iterable[ArrayLike], second: Iterable[ArrayLike]) -> list[tuple[Array, Array]]:
    """Return arrays of equal shapes in pairs."""
    a, b = _arrays(first, "the first arrays"), _arrays(second, "the second arrays")
    shapes, others = ([x.shape for x in arrays] for arrays in (a, b))
    if shapes != others:
        raise ValueError(
            f"the two lists must hold arrays of equal shapes; got {shapes} and {others}."
        )
    return list(zip(a, b, strict=True))


def _symmetric(kernel: ArrayLike) -> Array:
    """Return a finite symmetric matrix."""
    K = check.real_matrix(kernel, "the kernel").astype(np.float64, copy=False)
    if K.shape[0] != K.shape[1] or not np.allclose(K, K.T, rtol=1e-6, atol=0):
        raise ValueError(f"the kernel must be a symmetric matrix; got shape {K.shape}.")
    return K
