"""beta_eff of whatever has one: a perceptron, or a Keras model."""

from typing import Any

from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn.capacitance import Capacitance, Coupling, Nodes, Scope, Strength
from edgedyn.mlp.accumulator import chain_capacitance
from edgedyn.mlp.records import RecordedChain


def neural_capacitance(
    source: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    coupling: Coupling = "direct",
    strength: Strength = "magnitude",
    nodes: Nodes = "kernels",
    stderr: bool = False,
    scope: Scope = "probe",
    loss: Any = None,
    batch_size: int | None = None,
) -> Capacitance:
    r"""Compute the neural capacitance :math:`\beta_{eff}` of a network on a data set.

    .. math:: \beta_{eff} = \frac{\sum \delta_{out} \delta_{in}}{\sum \delta_{in}}

    with the degrees of the weighted line graph, whose strengths are the mixed second derivatives
    of the loss between consecutive layers, without building the matrix P: in closed form for a
    perceptron and a model's probe, by two sweeps for a whole Keras network. The degrees are summed
    over all samples before the ratio is formed.

    Parameters
    ----------
    source : ReLUMLP, ReLUChain or keras.Model
        A Keras model with a probe from `edgedyn.nn.attach_probe`, or with ``scope="network"``.
        Its dropout is off, its batch norms are in inference mode, and its frozen parameters are
        nodes like any others.
    X : array_like, shape (n_samples, n_0) or (n_samples, \*input shape)
    y : array_like
        Targets as the network's loss takes them.
    coupling : {"direct", "full"}
        ``direct``: the effect of a layer's weights on the gradient of the layer before it, the
        errors held fixed (paper, Eqs. 5-6); ``full``: the mixed second derivative (Eq. 7), one
        Hessian-vector product a layer and batch in network scope.
    strength : {"magnitude", "absolute", "signed"}
        ``magnitude``: every sample's contribution by its absolute value; ``absolute``: entries by
        their absolute value after the mean over samples, which keeps all samples' records in
        memory, not in network scope; ``signed``: as it stands. The full coupling is ``signed``
        only.
    nodes : {"kernels", "all"}
        Whether biases are nodes of the line graph, too. With ``all`` the batch norms of a Keras
        model become scale layers with gamma and beta as nodes, else they are parameter-free.
    stderr : bool
        Also compute the jackknife standard error over ten groups of samples, assigned by
        sample index modulo ten; holds ten sets of degrees.
    scope : {"probe", "network"}
        Of Keras models. ``probe``: the line graph of the probe alone, on the features that the
        backbone gives; ``network``: that of the whole network.
    loss : str or keras.losses.Loss, optional
        Of Keras models; a perceptron has its own. By default the one the model is compiled with,
        else sparse categorical cross-entropy. Known: sparse and plain categorical cross-entropy,
        from probabilities or logits, with label smoothing; mean squared error. Regularisers,
        sample and class weights are left out.
    batch_size : int, optional
        Samples taken at a time, by default 1024, for Keras models 64, and up to 256 of small
        images; bounds the memory and does not change the value.

    Returns
    -------
    Capacitance
        ``per_layer`` names the layers of Keras models.

    Raises
    ------
    TypeError, ValueError
        For anything but the above, before any work: unknown names, layers and losses, data with
        NaN or infinity, wrong shapes, labels that are not integers or out of range, labels of one
        class only, fewer than ten samples where a standard error is asked for.

    Notes
    -----
    Source: Jiang et al., Nat. Commun. 15:5718 (2024), Eqs. 2 and 5-7 and Algorithm 1. With
    ``S = sum_i z_i`` of the layer in between, the direct in-degree of weight (l; i, j) is
    ``mean D_i z_j sum_k e_k`` and the out-degree of (l+1; k, i) is ``mean e_k D_i S``. The network
    scope costs about two training gradients on the same samples, whatever the number of layer
    pairs; the first call on a Keras model also traces and compiles, which the model then keeps. A
    batch takes at most one and a half times the memory of a gradient on it; the sums take two
    doubles a parameter, on the device, from where they are brought over once a call. Half
    precision is measured in single precision.

    Difference from the paper: it adds a small epsilon to the denominator, here none is added. With
    the total strength ``T = 1' P 1`` it would turn beta_eff into ``beta_eff T / (T + epsilon)``;
    magnitude strengths have ``beta_eff <= T``, so the relative change is below
    ``epsilon / beta_eff``: nothing for 1e-8 and an ordinary value. It matters where T is 0 only:
    0/epsilon would be 0, as if converged, although the network may be dead (``dead``
    here, with NaN). For signed strengths, whose T crosses 0, it moves a pole and removes none.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> net = ed.ReLUMLP.random([3, 5, 4, 2], seed=0)
    >>> X = np.random.default_rng(0).standard_normal((20, 3))
    >>> cap = ed.neural_capacitance(net, X, np.arange(20) % 2, stderr=True)
    >>> cap.value > 0, cap.status, cap.stderr > 0
    (True, 'ok', True)
    """
    options: dict[str, Any] = dict(coupling=coupling, strength=strength, nodes=nodes, stderr=stderr)
    if batch_size is not None:
        options["batch_size"] = batch_size
    if check.is_keras_model(source):
        from edgedyn.nn.meter import meter_of

        meter = meter_of(source, scope=scope, loss=loss, **options)
        return meter.measure(*meter.check_data(X, y))
    if not isinstance(source, RecordedChain):
        raise TypeError(
            "neural_capacitance accepts a ReLUMLP, a ReLUChain or a Keras model; got "
            f"{type(source).__name__}."
        )
    if scope != "probe" or loss is not None:
        raise ValueError("scope and loss are for Keras models; a perceptron has its own loss.")
    return chain_capacitance(source, X, y, **options)
