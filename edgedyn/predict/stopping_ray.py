"""The stopping rule as a stopper of Ray Tune; import it from `edgedyn.predict.stopping`."""

from typing import Any

from ray.tune import Stopper

from edgedyn.predict.stopping_rule import Run, StoppingRule


class CapacitanceStopper(Stopper):
    """Stop trials whose predicted final accuracy is clearly below what others have reached.

    The rule, its formula and its treatment of NaN are those of
    `edgedyn.predict.stopping.StoppingRule`; one result counts as one epoch. A stopped trial counts
    as terminated and keeps its results. A trial that goes back to a checkpoint takes back the
    results after it.

    Parameters
    ----------
    accuracy, beta_eff : str
        Names under which trials report the validation accuracy and beta_eff. The defaults are those
        of Keras' logs with a `edgedyn.nn.CapacitanceCallback`.
    observed, confidence, keep, n_validation
        As for `edgedyn.predict.stopping.StoppingRule`.

    Raises
    ------
    TypeError, ValueError
        For parameters out of range. While Tune runs: for a result without one of the two numbers,
        by name, and accuracies outside [0, 1].

    Examples
    --------
    >>> import tempfile
    >>> from edgedyn.predict.stopping import CapacitanceStopper
    >>> from ray import tune
    >>> def train(config):  # in place of training and `edgedyn.neural_capacitance`
    ...     for epoch in range(12):
    ...         beta = 0.8**epoch
    ...         accuracy = config["final"] - 0.2 * beta
    ...         tune.report({"val_accuracy": accuracy, "beta_eff": beta})
    >>> tuner = tune.Tuner(
    ...     train,
    ...     param_space={"final": tune.grid_search([0.9, 0.5])},
    ...     tune_config=tune.TuneConfig(max_concurrent_trials=1),
    ...     run_config=tune.RunConfig(
    ...         stop=CapacitanceStopper(), storage_path=tempfile.mkdtemp(), verbose=0
    ...     ),
    ... )
    >>> [result.metrics["training_iteration"] for result in tuner.fit()]
    [12, 5]
    """

    def __init__(
        self,
        accuracy: str = "val_accuracy",
        beta_eff: str = "beta_eff",
        *,
        observed: int = 5,
        confidence: float = 0.95,
        keep: int = 1,
        n_validation: int | None = None,
    ) -> None:
        self.accuracy, self.beta_eff = accuracy, beta_eff
        self.rule = StoppingRule(
            observed=observed, confidence=confidence, keep=keep, n_validation=n_validation
        )
        self._results: dict[str, dict[int, tuple[float, float]]] = {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Take a trial's latest result; tell whether the trial should be stopped."""
        for name in (self.accuracy, self.beta_eff):
            if name not in result:
                raise ValueError(
                    f"trial {trial_id} reported no {name!r}; report it after each epoch, or name "
                    "what is reported: CapacitanceStopper(accuracy=..., beta_eff=...)."
                )
        epoch = int(result["training_iteration"])
        known = self._results.get(trial_id, {})
        earlier = {k: numbers for k, numbers in known.items() if k < epoch}
        latest = (float(result[self.accuracy]), float(result[self.beta_eff]))
        self._results[trial_id] = {**earlier, epoch: latest}
        others = [self._run(other) for other in self._results if other != trial_id]
        return self.rule.stops(self._run(trial_id), others)

    def stop_all(self) -> bool:
        """Tell whether all trials should stop: never."""
        return False

    def _run(self, trial_id: str) -> Run:
        """Return what a trial has reported."""
        accuracy, beta_eff = zip(*self._results[trial_id].values(), strict=True)
        return Run(accuracy, beta_eff)
