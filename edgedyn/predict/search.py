"""Search among candidates by successive halving, with a predicted accuracy as the fidelity."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.predict.lines import MIN_OBSERVATIONS
from edgedyn.predict.methods import Curve, Sight, method_named
from edgedyn.predict.stopping import Run

if TYPE_CHECKING:
    import optuna

# (the candidate's epochs so far, those of the others) -> its worth; NaN where there is none
Rule = Callable[[Run, Sequence[Run]], float]
Epochs = Callable[[Any], Iterable[tuple[float, float]]]
HALVING = 2


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found, epoch by epoch.

    Parameters
    ----------
    best : hashable
        The candidate with the highest worth at the end.
    chosen : tuple
        The candidate with the highest worth after each epoch spent.
    accuracy : ndarray, shape (n_epochs_spent,)
        Their tabulated accuracies.
    epochs : dict of hashable to int
        Epochs spent on each candidate that was tried, in the order they were.
    """

    best: Hashable
    chosen: tuple[Hashable, ...]
    accuracy: Array
    epochs: dict[Hashable, int]

    def __repr__(self) -> str:
        """Say what was found, and after how long."""
        spent = len(self.accuracy)
        return (
            f"{self.best} of {len(self.epochs)} tried: accuracy {self.accuracy[-1]:.4f} after "
            f"{spent} epochs, {self.accuracy[(spent - 1) // 2]:.4f} after half of them"
        )


def search(
    table: Mapping[Any, float],
    curve: Epochs,
    rule: str | Rule = "pooled",
    *,
    epochs: int = 5,
    first: int = MIN_OBSERVATIONS,
    budget: int | None = None,
    seed: int = 0,
) -> SearchResult:
    """Look for the best candidate of a table, training each no longer than it deserves.

    Candidates come in a random order. After `first`, 2 `first`, 4 `first`, ... epochs one goes on
    only if its worth by the rule is among the upper half of all that have come so far: Optuna's
    asynchronous successive halving (Li et al., A system for massively parallel hyperparameter
    tuning, MLSys 2020).

    Parameters
    ----------
    table : mapping of hashable to float
        Candidates, such as cells of `edgedyn.nn.nas201`, and the accuracies that choices are
        judged by; in [0, 1]. Never an input of a choice.
    curve : callable
        ``curve(candidate)`` gives (beta_eff, accuracy) of one epoch after the other. A generator
        may train; only as many epochs are asked for as are needed. Stored curves replay a search,
        among the candidates that have them.
    rule : {"pooled", "capacitance", "last_value"} or callable
        A candidate's worth. ``pooled``: `edgedyn.predict.PooledCapacitanceRegressor` on the epochs
        of all candidates so far; ``capacitance``: the paper's line, the last accuracy before the
        third epoch; ``last_value``: the last accuracy. Or a function of two arguments, the
        candidate's `edgedyn.predict.stopping.Run` and the list of the others'.
    epochs, first : int
        Of a candidate, at most, and after which the first decision is made.
    budget : int, optional
        Epochs to spend altogether; by default as many as it takes to see every candidate.
    seed : int
        Decides the order.

    Raises
    ------
    ImportError
        Without Optuna.
    TypeError, ValueError
        For an empty table, accuracies outside [0, 1], unknown rules, counts that cannot be, curves
        that are shorter than asked for.

    Examples
    --------
    >>> import edgedyn as ed
    >>> table = {name: final for name, final in zip("abcdef", (0.5, 0.6, 0.9, 0.7, 0.8, 0.4))}
    >>> def curve(name):
    ...     for epoch in range(1, 6):  # accuracy is a line in beta_eff, which goes to 0
    ...         yield 1 / epoch, table[name] - 0.3 / epoch
    >>> found = ed.search(table, curve, "capacitance", seed=0)
    >>> found.best, sum(found.epochs.values()) < 30
    ('c', True)
    """
    optuna = _optuna()
    if not table:
        raise ValueError("table is empty; give at least one candidate and its accuracy.")
    for name, value in table.items():
        if not 0 <= check.real_number(value, f"table[{name!r}]") <= 1:
            raise ValueError(f"table[{name!r}] must be an accuracy in [0, 1]; got {value}.")
    worth = _rule(rule)
    epochs = check.positive_int(epochs, "epochs")
    first = check.positive_int(first, "first")
    left = len(table) * epochs
    left = left if budget is None else min(left, check.positive_int(budget, "budget"))
    state = _State(left)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(
            min_resource=first, reduction_factor=HALVING, min_early_stopping_rate=0
        ),
    )
    names = list(table)
    for k in np.random.default_rng(seed).permutation(len(names)).tolist():
        if state.left:
            _try(study.ask(), state, names[k], curve, worth, epochs)
    return SearchResult(
        state.chosen[-1],
        tuple(state.chosen),
        np.array([table[name] for name in state.chosen]),
        {name: len(run.accuracy) for name, run in state.runs.items()},
    )


class _State:
    """Epochs so far, what each candidate is worth by them, and who leads."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.runs: dict[Any, Run] = {}
        self.worth: dict[Any, float] = {}
        self.chosen: list[Any] = []

    def add(self, name: Any, beta: float, accuracy: float, worth: Rule) -> float:
        """Take an epoch in; return what the candidate is worth now."""
        before = self.runs.get(name, Run([], []))
        run = Run([*before.accuracy, accuracy], [*before.beta_eff, beta])
        self.runs[name] = run
        value = float(worth(run, [r for other, r in self.runs.items() if other != name]))
        self.worth[name] = value
        self.left -= 1
        ranked = {n: w for n, w in self.worth.items() if isfinite(w)}
        self.chosen.append(max(ranked, key=ranked.__getitem__) if ranked else name)
        return value


def _try(
    trial: "optuna.Trial", state: _State, name: Any, curve: Epochs, worth: Rule, epochs: int
) -> None:
    """Train one candidate until it is done, pruned, or the budget is spent."""
    steps = iter(curve(name))
    for epoch in range(1, epochs + 1):
        if state.left == 0:
            return
        try:
            beta, accuracy = next(steps)
        except StopIteration:
            raise ValueError(
                f"the curve of {name!r} ends after {epoch - 1} epochs; {epochs} are asked for."
            ) from None
        trial.report(state.add(name, float(beta), float(accuracy), worth), epoch)
        if trial.should_prune():
            return


def _optuna() -> Any:
    """Import Optuna, whose own log of every trial is switched off, or name the extra."""
    if find_spec("optuna") is None:
        raise ImportError(
            "edgedyn.search needs the package 'optuna'; install it with the extra 'optuna': pip "
            "install 'edgedyn[optuna]'."
        )
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


# Rules ------------------------------------------------------------------------------------------


def _rule(rule: str | Rule) -> Rule:
    """Return the function that a rule's name stands for."""
    if callable(rule):
        return rule
    named = check.choice(rule, "rule", ("pooled", "capacitance", "last_value"))
    predict = method_named(named).predict
    shared = rule == "pooled"

    def worth(run: Run, others: Sequence[Run]) -> float:
        curves = [
            Curve("", np.asarray(one.accuracy, float), np.asarray(one.beta_eff, float))
            for one in ([run, *others] if shared else [run])
        ]
        usable = [int(np.isfinite(c.beta + c.accuracy).sum()) for c in curves]
        if shared and not usable[0]:
            return nan
        # Before there are enough epochs for a line, the last accuracy stands for it.
        if (sum(usable) if shared else len(run.accuracy)) < MIN_OBSERVATIONS:
            return float(run.accuracy[-1])
        longest = max(len(c.accuracy) for c in curves)
        return predict(curves, [0], Sight(longest, longest))[0].value

    return worth
