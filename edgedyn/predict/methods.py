"""All methods that rank candidates: what each is called, what it is, and how it predicts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import NamedTuple

import numpy as np

from edgedyn._array import Array
from edgedyn.predict import lines
from edgedyn.predict.level import levels

NO_SCORE = "no score in the record"
NOT_SHRUNK = "not shrunk: how many samples validate is not known"


@dataclass(frozen=True, eq=False)
class Curve:
    """One candidate's epochs, and what became of it; mean over seeds or one run.

    Parameters
    ----------
    model : str
    accuracy, beta : ndarray
        After each epoch that was run; beta_eff is NaN where degenerate.
    scores : mapping
        Training-free scores; higher is better.
    seed : int or None
    truth : float
        NaN unless completed.
    failed : str
        Why there is nothing to predict from; empty if there is.
    training : ndarray or None
        Training accuracy after each epoch, NaN where it was not recorded.
    n_runs : int
        Runs behind each accuracy.
    """

    model: str
    accuracy: Array
    beta: Array
    scores: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None
    truth: float = nan
    failed: str = ""
    training: Array | None = None
    n_runs: int = 1


class Sight(NamedTuple):
    """What a method may see: so many epochs, of runs of `last`; samples behind each accuracy."""

    observed: int
    last: int
    n_validation: int | None = None


class Prediction(NamedTuple):
    """A final accuracy or a score, its standard deviation (NaN without one), and a status."""

    value: float
    std: float
    status: str


# (all candidates, which of them to predict, what may be seen) -> one prediction for each of these
Predict = Callable[[Sequence[Curve], Sequence[int], Sight], list[Prediction]]


@dataclass(frozen=True)
class Method:
    """A way to rank candidates.

    Parameters
    ----------
    name, label : str
        As records, studies and `edgedyn.rank` have it, and for people.
    kind : {"curve", "learned", "score", "ranks"}
        ``curve``: predicts the final accuracy from the first epochs; ``learned``: likewise, from
        completed curves of other candidates, too; ``score``: measured before training; ``ranks``: a
        sum of ranks among the candidates, which is no accuracy.
    predict : callable
        Takes the curves of all candidates, the positions of those to predict, and a `Sight`.
    higher_is_better : bool
        Of a score as it is measured; in records those where the opposite holds have changed sign.
    measured_by : str
        The function of `edgedyn.nn` that measures a score.
    needs : str
        A score that it takes from the records, empty for none.
    """

    name: str
    label: str
    kind: str
    predict: Predict
    higher_is_better: bool = True
    measured_by: str = ""
    needs: str = ""

    @property
    def is_accuracy(self) -> bool:
        """Whether its predictions are accuracies."""
        return self.kind in ("curve", "learned")


def method_named(name: str) -> Method:
    """Return a method by its name; any other name stands for a score that records carry.

    Examples
    --------
    >>> method_named("naswot").label, method_named("my_score").label, method_named("pooled").kind
    ('NASWOT', 'my score', 'curve')
    """
    known = METHODS.get(name)
    return known or Method(name, name.replace("_", " "), "score", _score(name))


def measured_by(function: str) -> tuple[str, ...]:
    """Return the names of the scores that a function of `edgedyn.nn` measures.

    Examples
    --------
    >>> measured_by("transfer_scores")
    ('nce', 'leep', 'logme', 'h_score', 'h_score_shrunk')
    """
    return tuple(m.name for m in METHODS.values() if m.measured_by == function)


# How they predict -------------------------------------------------------------------------------


def _capacitance(curves: Sequence[Curve], at: Sequence[int], sight: Sight) -> list[Prediction]:
    """Read the paper's line of each candidate off at beta_eff = 0."""
    asked = [curves[k] for k in at]
    beta = np.array([curve.beta[: sight.observed] for curve in asked])
    accuracy = np.array([curve.accuracy[: sight.observed] for curve in asked])
    found = lines.fit(beta, accuracy, sight.n_validation)
    rows = zip(asked, found.final, found.std, found.n, found.statuses(), strict=True)
    return [
        Prediction(float(value), float(std), word if n else _degenerate(curve, sight))
        for curve, value, std, n, word in rows
    ]


def _pooled(curves: Sequence[Curve], at: Sequence[int], sight: Sight) -> list[Prediction]:
    """Read off at beta_eff = 0 along the slope all candidates share in their first epochs."""
    seen = {k: _usable(one, sight) for k, one in enumerate(curves) if not one.failed}
    seen = {k: points for k, points in seen.items() if len(points[0])}
    found: dict[int, Prediction] = {}
    if sum(len(beta) for beta, _ in seen.values()) > 1:
        rule = lines.pool([b[:, None] for b, _ in seen.values()], [a for _, a in seen.values()])
        falls = rule.final < rule.last  # on the way to 0
        for k, value, std, wrong in zip(seen, rule.final, rule.std, falls, strict=True):
            word = lines.status_of(rule.flat, bool(wrong), nan, float(value))
            found[k] = Prediction(float(value), float(std), word)
    return [found.get(k) or Prediction(nan, nan, _degenerate(curves[k], sight)) for k in at]


def _usable(curve: Curve, sight: Sight) -> tuple[Array, Array]:
    """Return beta_eff and accuracy of the first epochs, where both are finite."""
    beta, accuracy = curve.beta[: sight.observed], curve.accuracy[: sight.observed]
    kept = np.isfinite(beta) & np.isfinite(accuracy)
    return beta[kept], accuracy[kept]


def _degenerate(curve: Curve, sight: Sight) -> str:
    """Say how many epochs are of no use."""
    return f"beta_eff degenerate in {(~np.isfinite(curve.beta[: sight.observed])).sum()} epochs"


def _level(curves: Sequence[Curve], at: Sequence[int], sight: Sight) -> list[Prediction]:
    """Shrink the last accuracies; without the number of samples behind them they stay."""
    if sight.n_validation is None:
        return [one._replace(status=NOT_SHRUNK) for one in _LAST(curves, at, sight)]
    whole = [k for k, one in enumerate(curves) if not one.failed]
    last, before = (
        [curves[k].accuracy[max(sight.observed - back, 0)] for k in whole] for back in (1, 2)
    )
    trained = [curves[k].training for k in whole]
    training = [nan if one is None else one[sight.observed - 1] for one in trained]
    n = [curves[k].n_runs * sight.n_validation for k in whole]
    found = levels(last, before, n, training)
    of = {k: (float(a), float(s)) for k, a, s in zip(whole, found.accuracy, found.std, strict=True)}
    return [Prediction(*of[k], "ok") for k in at]


def _observed(choose: Callable[[Array], float]) -> Predict:
    """Return a method that takes one of the observed accuracies."""
    return lambda curves, at, sight: [
        Prediction(float(choose(curves[k].accuracy[: sight.observed])), nan, "ok") for k in at
    ]


def _predictor(name: str) -> Predict:
    """Return a predictor of `edgedyn.predict.curves`, fitted on the others' completed curves."""

    def predict(curves: Sequence[Curve], at: Sequence[int], sight: Sight) -> list[Prediction]:
        done = [c for c in curves if not c.failed and len(c.accuracy) == sight.last]
        return [
            _from_others(name, one, [c.accuracy for c in done if c.model != one.model], sight)
            for one in (curves[k] for k in at)
        ]

    return predict


def _from_others(name: str, curve: Curve, done: list[Array], sight: Sight) -> Prediction:
    """Predict one candidate by a predictor of `edgedyn.predict.curves`."""
    from edgedyn.predict import curves

    observed, last, _ = sight
    predictor = getattr(curves, name)()
    if predictor.needs_completed_curves and not done:
        return Prediction(nan, nan, "no completed curve of another candidate")
    if last <= observed:
        return Prediction(nan, nan, "nothing left to predict")
    if observed < predictor.min_epochs:
        return Prediction(nan, nan, f"needs {predictor.min_epochs} observed epochs")
    predictor.fit(np.array(done)) if done else predictor.fit()
    early = curve.accuracy[None, :observed]
    _, std = predictor.predict_final(early, target_epoch=last, return_std=True)
    return Prediction(float(predictor.raw_[0]), float(std[0]), str(predictor.status_[0]))


def _score(name: str) -> Predict:
    """Return a training-free score that the records carry."""

    def predict(curves: Sequence[Curve], at: Sequence[int], sight: Sight) -> list[Prediction]:
        values = [float(curves[k].scores.get(name, nan)) for k in at]
        words = ["ok" if isfinite(value) else NO_SCORE for value in values]
        return [Prediction(value, nan, word) for value, word in zip(values, words, strict=True)]

    return predict


_LAST = _observed(lambda values: values[-1])


def _places(values: Sequence[float]) -> Array:
    """Return ranks from 1 for the lowest, mean ranks where tied."""
    v = np.asarray(values, float)
    below, equal = (v[:, None] > v).sum(axis=1), (v[:, None] == v).sum(axis=1)
    return np.asarray(below + (equal + 1) / 2)


def _with_score(name: str) -> Predict:
    """Add ranks by the last value and by a score, from 1 for the worst, mean ranks where tied."""

    def predict(curves: Sequence[Curve], at: Sequence[int], sight: Sight) -> list[Prediction]:
        whole = [k for k, one in enumerate(curves) if not one.failed]
        scores = _score(name)(curves, whole, sight)
        known = [k for k, one in zip(whole, scores, strict=True) if isfinite(one.value)]
        last = [one.value for one in _LAST(curves, known, sight)]
        both = _places(last) + _places([one.value for one in scores if isfinite(one.value)])
        found = dict(zip(known, both.tolist(), strict=True))
        absent = Prediction(nan, nan, NO_SCORE)
        return [Prediction(found[k], nan, "ok") if k in found else absent for k in at]

    return predict


# The registry -----------------------------------------------------------------------------------


def _transfer(name: str, label: str) -> Method:
    return Method(name, label, "score", _score(name), measured_by="transfer_scores")


def _proxy(name: str, label: str, higher_is_better: bool = True) -> Method:
    return Method(name, label, "score", _score(name), higher_is_better, "zero_cost")


def _ranks(name: str, label: str, score: str) -> Method:
    return Method(name, label, "ranks", _with_score(score), needs=score)


METHODS: dict[str, Method] = {
    one.name: one
    for one in (
        Method("capacitance", "neural capacitance", "curve", _capacitance),
        Method("pooled", "pooled capacitance", "curve", _pooled),
        Method("level", "shrunk last value", "curve", _level),
        Method("last_value", "last value", "curve", _LAST),
        Method("best_value", "best value", "curve", _observed(np.max)),
        _ranks("last_value_naswot", "last value and NASWOT", "naswot"),
        Method("bgrn", "BGRN", "learned", _predictor("BGRN")),
        Method("cl", "CL", "learned", _predictor("CL")),
        Method("domhan", "Domhan (to .01)", "curve", _predictor("Domhan")),
        _transfer("nce", "NCE"),
        _transfer("leep", "LEEP"),
        _transfer("logme", "LogME"),
        _transfer("h_score", "H-score"),
        _transfer("h_score_shrunk", "shrunk H-score"),
        _proxy("grad_norm", "gradient norm"),
        _proxy("snip", "SNIP"),
        _proxy("grasp", "GraSP"),
        _proxy("fisher", "Fisher"),
        _proxy("synflow", "SynFlow"),
        _proxy("jacob_cov", "Jacobian covariance"),
        _proxy("naswot", "NASWOT"),
        _proxy("zen", "Zen-score"),
        _proxy("te_nas_condition", "TE-NAS condition", higher_is_better=False),
        _proxy("te_nas_regions", "TE-NAS regions"),
    )
}
