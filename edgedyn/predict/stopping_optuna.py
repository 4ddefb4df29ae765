"""The stopping rule as an Optuna pruner; import it from `edgedyn.predict.stopping`."""

from math import isfinite, nan

from optuna import Study, Trial
from optuna.pruners import BasePruner
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from edgedyn.predict.stopping_rule import Run, StoppingRule

ATTRIBUTE = "beta_eff"
_COUNTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


class CapacitancePruner(BasePruner):
    """Prune trials whose predicted final accuracy is clearly below what others have reached.

    The rule, its formula and its treatment of NaN are those of
    `edgedyn.predict.stopping.StoppingRule`; running, completed and pruned trials count, failed ones
    do not. ``trial.report`` keeps one number a step; `report_epoch` reports the accuracy and keeps
    beta_eff beside it, as the user attribute ``beta_eff``.

    Parameters
    ----------
    observed, confidence, keep, n_validation
        As for `edgedyn.predict.stopping.StoppingRule`.

    Raises
    ------
    TypeError, ValueError
        For parameters out of range. From ``trial.should_prune()``: for a study that does not
        maximize, accuracies outside [0, 1], and trials that do not report beta_eff.

    Examples
    --------
    >>> import optuna
    >>> from edgedyn.predict.stopping import CapacitancePruner, report_epoch
    >>> def objective(trial):  # in place of training and `edgedyn.neural_capacitance`
    ...     final = trial.suggest_float("final", 0.0, 1.0)
    ...     for epoch in range(12):
    ...         beta = 0.8**epoch
    ...         report_epoch(trial, epoch, accuracy=final - 0.2 * beta, beta_eff=beta)
    ...         if trial.should_prune():
    ...             raise optuna.TrialPruned
    ...     return final
    >>> study = optuna.create_study(direction="maximize", pruner=CapacitancePruner())
    >>> for final in (0.9, 0.5):  # these two first
    ...     study.enqueue_trial({"final": final})
    >>> study.optimize(objective, n_trials=2)
    >>> [(trial.state.name, trial.last_step) for trial in study.trials]
    [('COMPLETE', 11), ('PRUNED', 4)]
    """

    def __init__(
        self,
        *,
        observed: int = 5,
        confidence: float = 0.95,
        keep: int = 1,
        n_validation: int | None = None,
    ) -> None:
        self.rule = StoppingRule(
            observed=observed, confidence=confidence, keep=keep, n_validation=n_validation
        )

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Tell whether a trial should be pruned; Optuna calls it for ``trial.should_prune()``."""
        if study.direction != StudyDirection.MAXIMIZE:
            raise ValueError(
                "CapacitancePruner compares accuracies; got a study that minimizes: create it with "
                "direction='maximize' and report accuracies."
            )
        n = len(trial.intermediate_values)
        if n >= self.rule.observed and ATTRIBUTE not in trial.user_attrs:
            raise ValueError(
                f"trial {trial.number} has reported {n} values and no "
                "beta_eff; report both with edgedyn.predict.stopping.report_epoch."
            )
        others = study.get_trials(deepcopy=False, states=_COUNTED)
        return self.rule.stops(_run(trial), [_run(t) for t in others if t.number != trial.number])


def report_epoch(trial: Trial, step: int, *, accuracy: float, beta_eff: float) -> None:
    """Report an epoch's validation accuracy to Optuna and keep beta_eff beside it.

    Parameters
    ----------
    trial : optuna.Trial
    step : int
        The epoch. As ``trial.report`` has it, only a step's first report counts.
    accuracy : float
        In [0, 1]; NaN where the run has diverged.
    beta_eff : float
        NaN or infinite where it is degenerate.

    Raises
    ------
    TypeError, ValueError
        For an accuracy outside [0, 1], and what ``trial.report`` refuses.

    Examples
    --------
    >>> import optuna
    >>> from edgedyn.predict.stopping import report_epoch
    >>> trial = optuna.create_study(direction="maximize").ask()
    >>> report_epoch(trial, 0, accuracy=0.6, beta_eff=0.5)
    >>> report_epoch(trial, 1, accuracy=0.7, beta_eff=0.4)
    >>> trial.user_attrs
    {'beta_eff': {'0': 0.5, '1': 0.4}}
    """
    accuracy, beta_eff = float(accuracy), float(beta_eff)
    Run([accuracy], [beta_eff])  # refuses percentages before they are stored
    trial.report(accuracy, step)
    known = trial.user_attrs.get(ATTRIBUTE, {})
    # JSON has no NaN: None stands for it in every storage.
    found = beta_eff if isfinite(beta_eff) else None
    trial.set_user_attr(ATTRIBUTE, {**known, str(step): known.get(str(step), found)})


def _run(trial: FrozenTrial) -> Run:
    """Return what a trial has reported, in the order of its steps."""
    steps = sorted(trial.intermediate_values)
    betas = trial.user_attrs.get(ATTRIBUTE, {})
    found = [betas.get(str(step)) for step in steps]
    accuracies = [trial.intermediate_values[step] for step in steps]
    return Run(accuracies, [nan if beta is None else beta for beta in found])
