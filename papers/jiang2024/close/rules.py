"""Rules that read the final accuracy off what is seen: the paper's line, ours, other read-offs.

Each takes a `close_evidence.Sight` and returns one prediction a candidate, NaN where there is none.
"""

import numpy as np

from edgedyn.predict import lines
from papers.jiang2024.close.evidence import family_of

LAST = "last_value"


def last_value(sight):
    """Return the last observed accuracy."""
    return sight.accuracy[:, -1]


def best_value(sight):
    """Return the best observed accuracy."""
    return sight.accuracy.max(axis=1)


def line_in(name, t0="bic"):
    """Return the paper's line in one regressor, read off at 0."""
    return lambda s: lines.fit(s.measures[name], s.accuracy, s.n_validation, t0).final


def negative_beta(sight):
    """Return minus the last beta_eff: a score for ranking, no accuracy."""
    return -sight.beta[:, -1]


def pooled_in(name, leave_family_out=False):
    """Return our rule, one slope for all candidates in relative units, read off at 0.

    With the family left out, a candidate's slope is learnt from other families alone.
    """

    def rule(s):
        x = s.measures[name]
        unit = x[:, -lines.RECENT :].mean(axis=1, keepdims=True)
        z = x / np.where(unit != 0, unit, 1.0)
        dz = z - z.mean(axis=1, keepdims=True)
        da = s.accuracy - s.accuracy.mean(axis=1, keepdims=True)
        sxy, sxx = (dz * da).sum(axis=1), (dz**2).sum(axis=1)
        if leave_family_out:
            families = np.array([family_of(m) for m in s.models])
            others = (families[:, None] != families[None, :]).astype(float)
        else:
            others = np.ones((len(z), len(z)))
        known = np.isfinite(sxy)
        sxy, sxx = np.where(known, sxy, 0), np.where(known, sxx, 0)
        below = others @ sxx
        slope = np.divide(others @ sxy, below, out=np.full(len(z), np.nan), where=below > 0)
        return s.accuracy[:, -1] - slope * z[:, -1]

    return rule


def another(shift, t0="bic"):
    """Return the paper's line of each candidate's accuracy against another one's beta_eff."""
    return lambda s: lines.fit(np.roll(s.beta, shift, axis=0), s.accuracy, s.n_validation, t0).final


def mean_with_last(rule):
    """Return the plain mean of a rule's prediction and the last value."""
    return lambda s: (rule(s) + last_value(s)) / 2


# Read-offs that may repair the line where it overshoots ----------------------------------------


def power(a, t0=1):
    """Return the line against ``beta^a``, read off at 0: convex for a < 1."""
    return lambda s: lines.fit(s.beta**a, s.accuracy, s.n_validation, t0).final


def where_training_is_perfect(x_of, error, t0=1):
    """Return the line against a function of beta_eff, read off where training accuracy is 1.

    The level of beta_eff there is that of a line of x against the training error, candidate by
    candidate, from the same epochs; it cannot lie above the last one seen.
    """

    def rule(s):
        x = x_of(s.beta)
        fitted = lines.fit(x, s.accuracy, s.n_validation, t0)
        level = _intercepts(1 - s.measures[error], x)
        level = np.minimum(level, x[:, -1])
        return fitted.final + fitted.slope * level

    return rule


def _intercepts(x, y):
    """Return the values at 0 of least squares lines, (n_models,)."""
    dx, dy = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    sxx = (dx**2).sum(axis=1)
    slope = np.divide((dx * dy).sum(axis=1), sxx, out=np.zeros(len(x)), where=sxx > 0)
    return y.mean(axis=1) - slope * x.mean(axis=1)


def rate(t0=1):
    """Return the line against the mean training error eps, which bounds beta_eff (Theorem 1)."""
    return lambda s: lines.fit(s.measures["mean_error"], s.accuracy, s.n_validation, t0).final


def saturating(t0=1):
    """Return the line against ``beta / (beta + first beta)``: a link that levels off."""
    return lambda s: (
        lines.fit(s.beta / (s.beta + s.beta[:, :1]), s.accuracy, s.n_validation, t0).final
    )


def log_odds(s):
    """Return the line of the log odds of accuracy against beta_eff; stays inside (0, 1)."""
    n = s.n_validation
    odds = np.log((s.accuracy * n + 0.5) / (n - s.accuracy * n + 0.5))
    return 1 / (1 + np.exp(-_intercepts(s.beta, odds)))


MAIN = {
    "capacitance": line_in("beta_eff"),
    "capacitance, all epochs": line_in("beta_eff", 1),
    "pooled": pooled_in("beta_eff"),
    LAST: last_value,
    "best_value": best_value,
}
READ_OFFS = {
    "line (BIC)": line_in("beta_eff"),
    "line, all epochs": line_in("beta_eff", 1),
    "mean of line and last value": mean_with_last(line_in("beta_eff", 1)),
    "beta^(1/2)": power(0.5),
    "beta^2": power(2.0),
    "log beta where training is perfect": where_training_is_perfect(np.log, "train_accuracy"),
    "log beta where the sample is perfect": where_training_is_perfect(np.log, "sample_accuracy"),
    "beta where training is perfect": where_training_is_perfect(lambda b: b, "train_accuracy"),
    "beta where the sample is perfect": where_training_is_perfect(lambda b: b, "sample_accuracy"),
    "mean error (Theorem 1's rate)": rate(),
    "saturating link": saturating(),
    "log odds": log_odds,
    "pooled": pooled_in("beta_eff"),
}
FORMS = {
    "beta_eff": "beta_eff, the default",
    "beta_absolute": "absolute strengths",
    "beta_full": "full coupling, signed",
    "beta_all_nodes": "all parameters as nodes",
}
CONTROLS = {
    "inverse_epoch": "1 / epoch: time alone",
    "log_epochs_left": "log of the share of epochs done: time alone",
    "train_loss": "training loss",
    "mean_error": "mean training error",
    "feature_norm": "norm of the features",
}
