"""When a run should stop: its predicted final accuracy is clearly below what others reached."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from edgedyn import _validate as check
from edgedyn.predict.regressor import MIN_OBSERVATIONS, NeuralCapacitanceRegressor


@dataclass(frozen=True)
class Run:
    """What is known of one candidate.

    Parameters
    ----------
    accuracy, beta_eff : sequence of float
        Validation accuracy, in [0, 1], and beta_eff after each epoch so far, one each; NaN where
        there is none.

    Raises
    ------
    ValueError
        For sequences of different lengths, or accuracies outside [0, 1].
    """

    accuracy: Sequence[float]
    beta_eff: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.accuracy) != len(self.beta_eff):
            raise ValueError(
                "accuracy and beta_eff must have one entry an epoch each; got "
                f"{len(self.accuracy)} and {len(self.beta_eff)}."
            )
        for value in self.accuracy:
            if isfinite(value) and not 0 <= value <= 1:
                raise ValueError(
                    f"accuracies must be in [0, 1]; got {value}: divide percentages by 100, and "
                    "give accuracies, not losses."
                )

    @property
    def reached(self) -> float:
        """The best accuracy so far; 0 without any."""
        return max((a for a in self.accuracy if isfinite(a)), default=0.0)


class StoppingRule:
    r"""Stop a run that is predicted to end clearly below what others have reached.

    .. math:: \max(A_i,\ U_i) < \max_{j \ne i} A_j, \qquad U_i = I^*_i + t\, s_i

    with the best accuracy :math:`A` that a run has reached so far, its predicted final accuracy
    :math:`I^*` (clipped to [0, 1]) and standard deviation :math:`s` from
    `edgedyn.NeuralCapacitanceRegressor` on all its epochs so far, and Student's quantile :math:`t`
    for the confidence and the fit's degrees of freedom: `U` is a one-sided bound. The rule is asked
    after every epoch from `observed` on.

    Parameters
    ----------
    observed : int
        Epochs of a run before its first prediction, at least 3.
    confidence : float
        Of the bound, between 0.5 and 1.
    keep : int
        How many others must be clearly better; with 3, the third best accuracy is compared with,
        so that the candidates that lead run to their end.
    n_validation : int, optional
        Validation samples behind each accuracy; gives the predictions at least that noise.

    Raises
    ------
    TypeError, ValueError
        For parameters out of range.

    Notes
    -----
    There is no prediction, and the run goes on,

    - where fewer than three epochs are left without those whose beta_eff is NaN or infinite (of a
      status other than "ok", "vanishing" or "converged");
    - where beta_eff does not change or 0 lies far from it, as the line's status says;
    - where the bound lies below the latest accuracy. The line then predicts a loss while the run
      gains, as it does in a transient in which beta_eff grows.

    A run whose latest accuracy is NaN or infinite has diverged: it is stopped at once.

    Others count with what they have reached, not with what they are predicted to reach: one
    prediction that is too good would stop all of them. A run that hardly moves along beta_eff has a
    wide bound and goes on, be it ever so bad. The bound holds as far as the prediction does: see
    the limits in the README. The prediction is that of Jiang et al., Nat. Commun. 15:5718 (2024);
    the rule around it is not in the paper.

    Examples
    --------
    >>> from edgedyn.predict.stopping import Run, StoppingRule
    >>> beta = [0.50, 0.40, 0.32, 0.26, 0.20]
    >>> good = Run([0.60, 0.67, 0.72, 0.75, 0.79], beta)
    >>> bad = Run([0.30, 0.34, 0.36, 0.40, 0.41], beta)
    >>> rule = StoppingRule()
    >>> round(rule.bound(good), 2), round(rule.bound(bad), 2)
    (0.93, 0.51)
    >>> rule.stops(bad, [good]), rule.stops(good, [bad])
    (True, False)
    """

    def __init__(
        self,
        *,
        observed: int = 5,
        confidence: float = 0.95,
        keep: int = 1,
        n_validation: int | None = None,
    ) -> None:
        self.observed = check.positive_int(observed, "observed")
        if self.observed < MIN_OBSERVATIONS:
            raise ValueError(f"observed must be at least {MIN_OBSERVATIONS}; got {observed}.")
        self.confidence = check.real_number(confidence, "confidence", above=0.5)
        if self.confidence >= 1:
            raise ValueError(f"confidence must be below 1; got {confidence}.")
        self.keep = check.positive_int(keep, "keep")
        if n_validation is not None:
            check.positive_int(n_validation, "n_validation")
        self.n_validation = n_validation

    def bound(self, run: Run) -> float:
        """Return the upper bound `U` of a run's final accuracy; infinite without a prediction."""
        from scipy.stats import t

        beta, accuracy = np.asarray(run.beta_eff, float), np.asarray(run.accuracy, float)
        usable = np.isfinite(beta) & np.isfinite(accuracy)
        if len(accuracy) < self.observed or usable.sum() < MIN_OBSERVATIONS:
            return inf
        line = NeuralCapacitanceRegressor(n_validation=self.n_validation)
        line.fit(beta[usable, None], accuracy[usable])
        if line.status_ in ("flat", "far_extrapolation"):
            return inf
        value, std = line.predict_final(return_std=True)
        bound = value + float(t.ppf(self.confidence, line.dof_)) * std
        return inf if bound < accuracy[-1] else bound

    def stops(self, run: Run, others: Iterable[Run]) -> bool:
        """Tell whether a run should be stopped, given the others."""
        if len(run.accuracy) and not isfinite(run.accuracy[-1]):
            return True
        best = sorted((other.reached for other in others), reverse=True)
        if len(best) < self.keep or not run.reached < best[self.keep - 1]:
            return False
        return self.bound(run) < best[self.keep - 1]
