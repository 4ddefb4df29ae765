"""The named dynamics, with their constants and units."""

from math import inf

import numpy as np

from edgedyn import _validate as check
from edgedyn.reduction.pair import Array
from edgedyn.reduction.systems import System


def mutualistic(
    B: float = 0.1, C: float = 1.0, K: float = 5.0, D: float = 5.0, E: float = 0.9, H: float = 0.1
) -> System:
    r"""Abundances of species that help each other.

    .. math:: x_i' = B + x_i \left(1 - \frac{x_i}{K}\right)\left(\frac{x_i}{C} - 1\right)
              + \sum_j A_{ij} \frac{x_i x_j}{D + E x_i + H x_j}

    Abundances are >= 0, "low" is 0. Fold at beta_eff = 6.97253, x = 0.20388 with the constants of
    Gao, Barzel and Barabasi, Nature 530:307 (2016), the defaults: above it no low state is left.

    Parameters
    ----------
    B : float
        Immigration, abundance per time.
    C, K : float
        Allee constant and carrying capacity, abundances: growth is negative below C and above K.
    D, E, H : float
        Saturation of the mutual gain: D in abundance, E and H without unit.

    Raises
    ------
    TypeError, ValueError
        For constants that are not positive numbers; B, E and H may be 0.

    Examples
    --------
    >>> import edgedyn as ed
    >>> round(ed.reduction.mutualistic().critical_beta(), 4)
    6.9725
    """
    _positive(C=C, K=K, D=D)
    for name, value in (("B", B), ("E", E), ("H", H)):
        check.real_number(value, name, at_least=0)
    from edgedyn.reduction._kernels import mutualistic_linear, mutualistic_rate

    return System(
        lambda x: B + x * (1 - x / K) * (x / C - 1),
        lambda x, y: x * y / (D + E * x + H * y),
        "mutualistic",
        domain=(0.0, inf),
        constants={"B": B, "C": C, "K": K, "D": D, "E": E, "H": H},
        kernels=(mutualistic_rate, mutualistic_linear),
    )


def gene_regulation(B: float = 1.0, f: float = 1.0, h: float = 2.0) -> System:
    r"""Expression levels of genes that activate each other, Michaelis-Menten kinetics.

    .. math:: x_i' = -B x_i^f + \sum_j A_{ij} \frac{x_j^h}{x_j^h + 1}

    Levels are >= 0, in units of half activation; "low" is 0, which always is a steady state, and a
    stable one for h > 1. Fold at beta_eff = 2, x = 1 with the constants of Gao, Barzel and
    Barabasi, Nature 530:307 (2016), the defaults: above it the active state lives.

    Parameters
    ----------
    B, f : float
        Rate of the degradation, per time for f = 1, and its order: 1 for simple decay, 2 for pairs.
    h : float
        Hill coefficient, the cooperation of the activation.

    Raises
    ------
    TypeError, ValueError
        For constants that are not positive numbers.

    Examples
    --------
    >>> import edgedyn as ed
    >>> round(ed.reduction.gene_regulation().critical_beta(), 9)
    2.0
    """
    _positive(B=B, f=f, h=h)

    def activation(x: Array) -> Array:
        power = x**h
        return power / (power + 1)

    return System(
        lambda x: -B * x**f,
        lambda x, y: activation(y),
        "gene_regulation",
        domain=(0.0, inf),
        terms=((np.ones_like, activation),),
        constants={"B": B, "f": f, "h": h},
    )


def sis(B: float = 1.0) -> System:
    r"""Probabilities of being infected, susceptible-infected-susceptible.

    .. math:: x_i' = -B x_i + \sum_j A_{ij} (1 - x_i) x_j

    In [0, 1]; "low" is 0.001, since nobody infected stays so. Transcritical at beta_eff = B. Gao,
    Barzel and Barabasi, Nature 530:307 (2016), supplementary information; Pastor-Satorras and
    Vespignani, Phys. Rev. Lett. 86:3200 (2001).

    Parameters
    ----------
    B : float
        Recovery rate, per time; A holds infection rates in the same unit.

    Raises
    ------
    TypeError, ValueError
        For a rate that is not a positive number.

    Examples
    --------
    >>> import edgedyn as ed
    >>> round(ed.reduction.sis(B=0.5).critical_beta(), 9)
    0.5
    """
    _positive(B=B)
    return System(
        lambda x: -B * x,
        lambda x, y: (1 - x) * y,
        "sis",
        low=1e-3,
        domain=(0.0, 1.0),
        terms=((lambda x: 1 - x, lambda y: y),),
        constants={"B": B},
    )


def neuronal(tau: float = 1.0, mu: float = 3.0) -> System:
    r"""Activities of neurons or of populations of them, Wilson-Cowan.

    .. math:: x_i' = -x_i + \sum_j A_{ij} \frac{1}{1 + e^{\tau (\mu - x_j)}}

    Wilson and Cowan, Biophys. J. 12:1 (1972). Time is in units of the decay time; "low" is 0. With
    the constants of Laurence et al., Phys. Rev. X 9, 011042 (2019), the defaults, both an idle and
    an active state live for beta_eff between two folds, 5.4643 and 8.4640; `critical_beta` is the
    upper one.

    Parameters
    ----------
    tau, mu : float
        Steepness of the response, per activity, and its threshold, an activity.

    Raises
    ------
    TypeError, ValueError
        For a steepness that is not a positive number, a threshold that is not a number.

    Examples
    --------
    >>> import edgedyn as ed
    >>> [(round(p.beta, 3), p.kind) for p in ed.reduction.neuronal().critical_points()]
    [(5.464, 'fold'), (8.464, 'fold')]
    """
    _positive(tau=tau)
    check.real_number(mu, "mu")
    from scipy.special import expit

    def response(x: Array) -> Array:
        return expit(tau * (x - mu))

    return System(
        lambda x: -x,
        lambda x, y: response(y),
        "neuronal",
        terms=((np.ones_like, response),),
        constants={"tau": tau, "mu": mu},
    )


def linear_diffusion(B: float = 1.0, F: float = 1.0) -> System:
    r"""Something that is fed, decays and diffuses: linear, for checking.

    .. math:: x_i' = F - B x_i + \sum_j A_{ij} (x_j - x_i)

    With weights >= 0 the one steady state is F / B at every node, on any network, so that the
    reduction is exact, and ``x(t) = F/B + exp(-(B + L) t)(x(0) - F/B)`` with the Laplacian
    ``L = diag(A 1) - A``. No critical point.

    Parameters
    ----------
    B, F : float
        Decay rate, per time, and feed, amount per time.

    Raises
    ------
    TypeError, ValueError
        For a rate that is not a positive number, a feed that is not a number.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> ed.reduction.steady_state(np.ones((3, 3)), ed.reduction.linear_diffusion(B=2)).x
    array([0.5, 0.5, 0.5])
    """
    _positive(B=B)
    check.real_number(F, "F")
    return System(
        lambda x: F - B * x,
        lambda x, y: y - x,
        "linear_diffusion",
        terms=((np.ones_like, lambda y: y), (lambda x: -x, np.ones_like)),
        constants={"B": B, "F": F},
    )


def _positive(**constants: float) -> None:
    """Refuse constants that are not above 0."""
    for name, value in constants.items():
        check.real_number(value, name, above=0)
