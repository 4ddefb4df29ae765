"""Algorithm 1 on real data in under a minute, with perceptrons as candidates.

Source task: digits 0-4; target task: digits 5-9. Candidates are perceptrons of several widths and
depths, pre-trained for long, briefly or not at all. Each gets a frozen random probe on top and is
fine-tuned; beta_eff of the probe's line graph and the validation accuracy of the first epochs
predict the final test accuracy.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedyn import _data
from edgedyn._array import Array
from edgedyn._bits import pack_bits
from edgedyn.measure import neural_capacitance
from edgedyn.mlp import ReLUMLP
from edgedyn.predict import NeuralCapacitanceRegressor
from edgedyn.predict.choice import Choice
from edgedyn.predict.forecast import Forecast
from edgedyn.predict.rank import Ranking, rank
from edgedyn.studies.chosen import early_choice, forecasts
from edgedyn.studies.early import early_ranking
from edgedyn.studies.race import Raced, replay
from edgedyn.studies.record import EpochRecord, TrialRecord

if TYPE_CHECKING:
    import pandas as pd

WIDTHS = ((32,), (64,), (128,), (64, 32), (64, 64, 32))
PRETRAINING = {"long": 40, "brief": 2, "none": 0}
PROBE = (64, 32)
SEEDS = 3
EPOCHS = 40
OBSERVED = 5
N_TRAIN, N_VALIDATION = 100, 200
LEARNING_RATE, BATCH_SIZE = 2e-3, 8
METHODS = ("last_value", "capacitance", "pooled", "best_value")
RESAMPLINGS = 300


@dataclass(frozen=True)
class Demo:
    """Records, predictions and ranking quality of the demo.

    Parameters
    ----------
    ranking : edgedyn.Ranking
        Every run among those of its seed.
    choice : edgedyn.predict.choice.Choice
        Which candidates the early epochs name, means over seeds.
    forecasts : dict of str to Forecast
        Final accuracies, by candidate, from the early epochs.
    race : edgedyn.studies.race.Raced
        What a race over the same candidates would have named, and the epochs it would have taken.
    """

    seed: int
    settings: dict[str, Any]
    records: tuple[TrialRecord, ...]
    ranking: Ranking
    choice: Choice
    forecasts: dict[str, Forecast]
    race: Raced

    @property
    def chosen(self) -> tuple[str, ...]:
        """The candidate named first, and those that cannot be told apart from it."""
        return self.choice.chosen

    @property
    def regret(self) -> float:
        """How far the final test accuracy of the candidate named first is below the best."""
        final: dict[str, list[float]] = {}
        for r in self.records:
            final.setdefault(r.model, []).append(r.final_test_accuracy)
        means = {model: float(np.mean(values)) for model, values in final.items()}
        return max(means.values()) - means[self.chosen[0]]

    @property
    def verdict(self) -> str:
        """Whether beta_eff ranks better than the last observed value here, in one sentence."""
        rho = {m.method: m.rho for m in self.ranking.methods}
        ours, last = rho["capacitance"], rho["last_value"]
        if not (np.isfinite(ours) and np.isfinite(last)):
            return "Here the ranking by beta_eff could not be compared with the last value."
        word = "beats" if ours > last else "loses to" if ours < last else "ties with"
        both = f"rho {ours:.3f} against {last:.3f}"
        return f"Here beta_eff by the paper's rule {word} the last value: {both}."

    @property
    def cost(self) -> float:
        """Time for beta_eff over time for training, ``c = T_beta / T_train``."""
        trained = sum(r.train_seconds for r in self.records)
        return sum(r.beta_seconds for r in self.records) / trained if trained else nan

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values."""
        records = tuple(record.to_dict() for record in self.records)
        chosen = {"chosen": list(self.chosen), "regret": self.regret, "verdict": self.verdict}
        return {**asdict(self), "records": records, **chosen}

    def to_frame(self) -> "pd.DataFrame":
        """Return the predictions as a pandas DataFrame, one row a method and trial."""
        return self.ranking.to_frame()


@dataclass(frozen=True)
class _Split:
    """One seed's target task."""

    train: tuple[Array, Array]
    validation: tuple[Array, Array]
    test: tuple[Array, Array]


def run_demo(
    *,
    seed: int = 0,
    n_seeds: int = SEEDS,
    epochs: int = EPOCHS,
    progress: Callable[[float, str], None] | None = None,
) -> Demo:
    """Run all candidates and seeds of the `Demo`.

    Parameters
    ----------
    seed : int
        The seeds used are ``seed, seed + 1, ...``; equal seeds give equal results.
    n_seeds, epochs : int
        Epochs of fine-tuning are at least 5, which are observed.
    progress : callable, optional
        Called as ``progress(fraction, what)``.

    Raises
    ------
    ValueError
        For fewer epochs than are observed.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Algorithm 1, at the scale of a laptop.

    Examples
    --------
    >>> from edgedyn.studies import run_demo
    >>> demo = run_demo(n_seeds=1, epochs=5)
    >>> len(demo.records), [m.method for m in demo.ranking.methods]
    (15, ['last_value', 'capacitance', 'pooled', 'best_value'])
    """
    if epochs < OBSERVED:
        raise ValueError(f"epochs must be at least {OBSERVED}, which are observed; got {epochs}.")
    X, y = _data.digits()
    report = progress or (lambda fraction, what: None)
    records: list[TrialRecord] = []
    total = n_seeds * len(WIDTHS) * len(PRETRAINING)
    for s in range(seed, seed + n_seeds):
        split = _target_task(X, y, s)
        for widths in WIDTHS:
            for name, pretraining in PRETRAINING.items():
                model = f"{'-'.join(map(str, widths))} {name}"
                report(len(records) / total, f"{model}, seed {s}")
                backbone = _pretrained(X[y < 5], y[y < 5], widths, pretraining, s)
                records.append(_trial(model, backbone, split, epochs, s))
    report(1.0, "done")
    options = {"n_validation": N_VALIDATION, "n_bootstrap": RESAMPLINGS, "seed": seed}
    ranking = rank(records, METHODS, observed=OBSERVED, over="run", **options)
    settings = {
        "source": "digits 0-4",
        "target": "digits 5-9",
        "pretraining_epochs": PRETRAINING,
        "probe": list(PROBE),
        "epochs": epochs,
        "observed_epochs": OBSERVED,
        "n_train": N_TRAIN,
        "n_validation": N_VALIDATION,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "optimizer": "adam",
        "seeds": list(range(seed, seed + n_seeds)),
    }
    means = early_ranking(records, METHODS[:1], OBSERVED, N_VALIDATION, n_bootstrap=1)
    choice = early_choice(means, records)
    assert choice is not None  # every candidate has a last value
    expected = forecasts(records, OBSERVED, epochs, N_VALIDATION)
    return Demo(seed, settings, tuple(records), ranking, choice, expected, replay(records))


def _target_task(X: Array, y: Array, seed: int) -> _Split:
    """Split digits 5-9 into training, validation and test samples, classes mixed evenly."""
    from sklearn.model_selection import train_test_split

    def parts(X: Array, y: Array, n: int) -> Any:
        return train_test_split(X, y, train_size=n, stratify=y, random_state=seed)

    X_train, X_rest, y_train, y_rest = parts(X[y >= 5], y[y >= 5] - 5, N_TRAIN)
    X_val, X_test, y_val, y_test = parts(X_rest, y_rest, N_VALIDATION)
    return _Split((X_train, y_train), (X_val, y_val), (X_test, y_test))


def _pretrained(
    X: Array, y: Array, widths: tuple[int, ...], epochs: int, seed: int
) -> list[tuple[Array, Array]]:
    """Train on the source task with a head of its own and return the layers below the head."""
    rng = np.random.default_rng([seed, len(widths), widths[0]])
    net = ReLUMLP.random([X.shape[1], *widths, 5], seed=rng)
    if epochs:
        net.fit(X, y, epochs=epochs, batch_size=BATCH_SIZE, seed=rng)
    return [(W, b) for W, b in zip(net.weights[:-1], net.biases[:-1], strict=True) if b is not None]


def _trial(
    model: str, backbone: list[tuple[Array, Array]], split: _Split, epochs: int, seed: int
) -> TrialRecord:
    """Put a frozen random probe on a backbone, fine-tune, and observe every epoch."""
    probe = ReLUMLP.random([len(backbone[-1][1]), *PROBE, 5], seed=np.random.default_rng([seed, 7]))
    net = ReLUMLP(
        [*(W for W, _ in backbone), *probe.weights],
        [*(b for _, b in backbone), *probe.biases],
        frozen=probe.n_layers,
    )
    X, y = split.train
    observed: list[EpochRecord] = []
    trained = time.perf_counter()

    def observe(epoch: int, loss: float) -> None:
        nonlocal trained
        start = time.perf_counter()
        cap = neural_capacitance(probe, net.activations(X)[-1 - probe.n_layers], y)
        measured = time.perf_counter()
        right = net.predict(split.validation[0]) == split.validation[1]
        observed.append(
            EpochRecord(
                epoch=epoch,
                train_loss=loss,
                val_accuracy=float(right.mean()),
                test_accuracy=net.score(*split.test),
                beta_eff=cap.value,
                beta_status=cap.status,
                train_seconds=start - trained,
                beta_seconds=measured - start,
                measures={"train_accuracy": net.score(X, y)},
                val_correct=pack_bits(right),
            )
        )
        trained = time.perf_counter()

    options: dict[str, Any] = {"batch_size": BATCH_SIZE, "learning_rate": LEARNING_RATE}
    rng = np.random.default_rng([seed, 8])
    history = net.fit(X, y, epochs=epochs, **options, seed=rng, callback=observe)
    return TrialRecord(
        model=model,
        data="digits 5-9",
        seed=seed,
        settings={"sizes": list(net.sizes), "frozen": net.frozen, "epochs": epochs},
        epochs=tuple(observed),
        status=history.status,
        train_seconds=sum(e.train_seconds for e in observed),
        beta_seconds=sum(e.beta_seconds for e in observed),
    )


def fitted_line(demo: Demo) -> dict[str, Any]:
    """Return what a figure of one trial's fit needs: that of the best candidate, first seed.

    Keys are ``beta, accuracy`` (the observed epochs), ``line`` (grid from 0, mean, std of the
    mean), ``truth``, ``title`` and ``t0``, as `edgedyn.report.figures.accuracy_fit` takes them.
    """
    first = (r for r in demo.records if r.seed == demo.seed)
    record = max(first, key=lambda r: r.final_test_accuracy)
    beta, accuracy = record.observed(OBSERVED)
    fit = NeuralCapacitanceRegressor(n_validation=N_VALIDATION)
    fit.fit(np.array(beta)[:, None], accuracy)
    grid = np.linspace(0.0, 1.05 * max(beta), 50)
    return {
        "beta": beta,
        "accuracy": accuracy,
        "line": (grid, *fit.band(grid[:, None])),
        "truth": record.final_test_accuracy,
        "title": f"{record.model}, from epoch {fit.t0_} on",
        "t0": fit.t0_,
    }
