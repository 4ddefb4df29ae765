"""Learning-curve predictors with one interface: the final accuracy from the first epochs.

=============  =================  ===========  =====================================================
class          completed curves   epochs       method
=============  =================  ===========  =====================================================
`LastValue`    not needed         at least 1   the last accuracy
`BestValue`    not needed         at least 1   the best accuracy
`BGRN`         needed             at least 3   support vector regression on values and differences
`CL`           needed             at least 1   completed curves, scaled and shifted onto this one
`Domhan`       not needed         at least 5   eleven parametric families, averaged
=============  =================  ===========  =====================================================

Not here: LCNet (Klein et al., ICLR 2017), a Bayesian neural network, and LCRankNet (Wistuba &
Pedapati, ICML 2020), which learns to rank from curves of other data sets.

Examples
--------
>>> import numpy as np
>>> from edgedyn.predict import curves
>>> t = np.arange(1, 31)
>>> height = np.linspace(0.6, 0.9, 12)[:, None]
>>> done = height - 0.5 * t ** -np.linspace(0.5, 1.0, 12)[:, None]
>>> for method in (curves.LastValue(), curves.BGRN(), curves.CL(), curves.Domhan()):
...     value = method.fit(done[:-1]).predict_final(done[-1:, :10], target_epoch=30)
...     print(f"{type(method).__name__:10}{value[0]:.2f}, truth {done[-1, -1]:.2f}")
LastValue 0.85, truth 0.88
BGRN      0.88, truth 0.88
CL        0.92, truth 0.88
Domhan    0.86, truth 0.88
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn._array import Array
from edgedyn.predict.bgrn import BGRN
from edgedyn.predict.cl import CL
from edgedyn.predict.curve_base import CurvePredictor, by_curve
from edgedyn.predict.domhan import Domhan

__all__ = ["BGRN", "CL", "BestValue", "CurvePredictor", "Domhan", "LastValue", "exceedance"]


class LastValue(CurvePredictor):
    r"""The last observed accuracy.

    .. math:: \hat y_T = y_\tau

    The order in which successive halving keeps candidates. States no standard deviation (NaN).
    `status_` is ``ok``; ``masked``: some epochs are NaN, the last of the others counts;
    ``missing``: all are.

    Examples
    --------
    >>> LastValue().predict_final([[0.5, 0.7, 0.6]], target_epoch=10)
    array([0.6])
    """

    def _predict(self, observed: Array, target: int) -> tuple[Array, Array, Array]:
        return by_curve(observed, 1, lambda seen, y: (y[-1], np.nan, "ok"))


class BestValue(CurvePredictor):
    r"""The best observed accuracy.

    .. math:: \hat y_T = \max_{t \le \tau} y_t

    States no standard deviation (NaN). `status_` is ``ok``; ``masked``: some epochs are NaN and
    left out; ``missing``: all are.

    Examples
    --------
    >>> BestValue().predict_final([[0.5, 0.7, 0.6]], target_epoch=10)
    array([0.7])
    """

    def _predict(self, observed: Array, target: int) -> tuple[Array, Array, Array]:
        return by_curve(observed, 1, lambda seen, y: (y.max(), np.nan, "ok"))


def exceedance(value: ArrayLike, std: ArrayLike, threshold: ArrayLike) -> Any:
    r"""Return the probability that the final accuracy exceeds a threshold.

    .. math:: P(y_T > y) = 1 - \Phi\left(\frac{y - \hat y_T}{\sigma}\right)

    Early stopping by any of the methods: stop a run whose probability of beating the best so far
    is below 0.05. NaN where an input is; 0, 0.5 or 1 where the deviation is 0.

    Parameters
    ----------
    value, std, threshold : array_like
        What ``predict_final(..., return_std=True)`` returns, and the accuracy to beat.

    Raises
    ------
    ValueError
        For a negative deviation.

    Examples
    --------
    >>> round(exceedance(0.66, 0.04, 0.7), 3)
    0.159
    """
    from scipy.special import ndtr

    mean, spread, best = (np.asarray(v, np.float64) for v in (value, std, threshold))
    if (spread < 0).any():
        raise ValueError(f"std must not be negative; got {spread.min():g}.")
    lead = mean - best
    with np.errstate(divide="ignore", invalid="ignore"):
        # Without spread only the side counts, and on the threshold neither.
        z = np.where((spread == 0) & (lead == 0), 0.0, lead / spread)
    found = ndtr(z)
    return float(found) if found.ndim == 0 else found
