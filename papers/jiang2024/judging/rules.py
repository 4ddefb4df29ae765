"""Curves of the zoo's candidates, and rules that read the final accuracy off their first epochs.

A rule takes a regressor ``x`` and the validation accuracies of the same epochs, both of shape
(n_models, n_observed), and the number of validation samples; it returns one prediction a
candidate, NaN where there is none. beta_eff is one regressor among others. Needs no TensorFlow.
"""

from dataclasses import dataclass, replace
from math import nan

import numpy as np

from edgedyn.predict import lines
from papers.jiang2024.judging.evidence import FEWEST, GROUPS, choices_of, truth


@dataclass(frozen=True)
class Curves:
    """Means over seeds of all candidates.

    Parameters
    ----------
    accuracy : ndarray, shape (n_models, n_epochs)
        Validation accuracy.
    truth : ndarray, shape (n_models,)
        Test accuracy after the last epoch.
    measures : dict of str to ndarray, shape (n_models, n_epochs)
        beta_eff, the training loss and what else was measured after every epoch.
    n_validation : int
    """

    accuracy: np.ndarray
    truth: np.ndarray
    measures: dict[str, np.ndarray]
    n_validation: int

    def first(self, observed):
        """Return the curves of the first epochs; the truth stays."""
        cut = {name: values[:, :observed] for name, values in self.measures.items()}
        return replace(self, accuracy=self.accuracy[:, :observed], measures=cut)

    def those(self, kept):
        """Return the curves of some candidates."""
        some = {name: values[kept] for name, values in self.measures.items()}
        return replace(self, accuracy=self.accuracy[kept], truth=self.truth[kept], measures=some)


def mean_curves(found):
    """Return the curves by every choice of seeds, as `evidence.judge` draws them.

    Parameters
    ----------
    found : evidence.Evidence

    Returns
    -------
    dict of tuple to Curves
        A seed may be drawn twice; the first key has every seed once.
    """
    runs = {(r.model, r.seed): _run(r) for r in found.records}
    names = set.intersection(*(set(measures) for _, measures in runs.values()))
    result = {}
    for choice in choices_of(found.seeds):
        rows = [[runs[m, s] for s in choice] for m in found.models]
        result[choice] = Curves(
            np.array([np.mean([a for a, _ in row], axis=0) for row in rows]),
            truth(found, choice),
            {
                name: np.array([np.mean([m[name] for _, m in row], axis=0) for row in rows])
                for name in sorted(names)
            },
            found.n_validation,
        )
    return result


def _run(record):
    """Return accuracy and measures of one run."""
    epochs = record.epochs
    names = set.intersection(*(set(e.measures) for e in epochs))
    measures = {name: np.array([e.measures[name] for e in epochs], float) for name in names}
    if "train_accuracy" in measures:
        measures["train_error"] = 1 - measures["train_accuracy"]
    number = np.arange(1.0, len(epochs) + 1)
    return (
        np.array([e.val_accuracy for e in epochs], float),
        {
            **measures,
            "beta_eff": np.array([e.beta_eff for e in epochs], float),
            "train_loss": np.array([e.train_loss for e in epochs], float),
            # Time alone: both are 0 where training ends, or would end.
            "inverse_epoch": 1 / number,
            "log_epochs_left": np.log(len(epochs) / number),
        },
    )


def by_choice(curves, predict):
    """Return predictions and truths as `evidence.judge` takes them.

    Parameters
    ----------
    curves : dict of tuple to Curves
        From `mean_curves`.
    predict : callable
        Takes a `Curves`, returns one prediction a candidate.
    """
    return {choice: np.column_stack([predict(c), c.truth]) for choice, c in curves.items()}


def groups_of(found):
    """Yield each group's name, evidence and curves; those with too few candidates are left out."""
    for group in GROUPS:
        part = found.group(group)
        if len(part.models) >= FEWEST:
            yield group, part, mean_curves(part)


def applied(rule, name="beta_eff"):
    """Return a function of curves that applies a rule to one regressor."""
    return lambda c: rule(c.measures[name], c.accuracy, c.n_validation)


# Rules ------------------------------------------------------------------------------------------


def line(x, accuracy, n_validation, at=None):
    """Return the paper's line, candidate by candidate, read off at 0 or at `at`, (n_models,)."""
    found = lines.fit(x, accuracy, n_validation)
    return found.final if at is None else found.final + found.slope * at


def falling(x, accuracy, n_validation):
    """Return the paper's line where accuracy rises as `x` falls, the last value elsewhere."""
    found = lines.fit(x, accuracy, n_validation)
    return np.where(found.slope >= 0, last_value(x, accuracy), found.final)


def pooled(x, accuracy, n_validation=None, at=None, step=1.0):
    """Return our rule, one slope for all candidates, read off at 0 or at `at`, (n_models,).

    ``step`` is the share of the way from the last value to there that is gone. `x` may have
    several regressors, shape (n_regressors, n_models, n_observed).
    """
    x = np.moveaxis(x[None] if x.ndim == 2 else x, 0, -1)
    kept = np.isfinite(x).all(axis=2)
    found = np.full(len(x), nan)
    known = kept.any(axis=1)
    if kept.sum() < 2:
        return found
    rows = np.flatnonzero(known)
    rule = lines.pool([x[k, kept[k]] for k in rows], [accuracy[k, kept[k]] for k in rows])
    target = 0.0 if at is None else at[known, None] / rule.units
    found[known] = rule.last + step * ((target - rule.anchor) @ rule.slope)
    return found


def last_value(x, accuracy, n_validation=None):
    """Return the last observed accuracy."""
    return accuracy[:, -1].copy()
