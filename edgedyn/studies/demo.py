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
from numpy.typing import NDArray

from edgedyn import _data
from edgedyn.capacitance import neural_capacitance
from edgedyn.mlp import ReLUMLP
from edgedyn.predict import NeuralCapacitanceRegressor
from edgedyn.predict.ranking import regret, spearman
from edgedyn.studies.record import EpochRecord, TrialRecord

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]

WIDTHS = ((32,), (64,), (128,), (64, 32), (64, 64, 32))
PRETRAINING = {"long": 40, "brief": 2, "none": 0}
PROBE = (64, 32)
SEEDS = 3
EPOCHS = 40
OBSERVED = 5
N_TRAIN, N_VALIDATION = 100, 200
LEARNING_RATE, BATCH_SIZE = 2e-3, 8
METHODS = ("capacitance", "last_value", "best_value")


@dataclass(frozen=True)
class Prediction:
    """What the first epochs say about one trial.

    Parameters
    ----------
    model : str
    seed : int
    truth : float
        Test accuracy after the last epoch.
    capacitance, last_value, best_value : float
        Predicted final accuracy, not clipped; NaN where fewer than three epochs can be used.
    capacitance_std : float
        Standard deviation of the first.
    t0 : int
        First epoch of the window that was used, among those that were kept; 0 where none was.
    dropped : int
        Observed epochs whose beta_eff was degenerate.
    """

    model: str
    seed: int
    truth: float
    capacitance: float
    capacitance_std: float
    last_value: float
    best_value: float
    t0: int
    dropped: int


@dataclass(frozen=True)
class MethodResult:
    """How one method ranks the candidates.

    Parameters
    ----------
    method : str
    rho : float
        Spearman's rho against the true final test accuracy, mean over seeds.
    rho_low, rho_high : float
        Lowest and highest of the seeds.
    regret : float
        Accuracy lost by taking the method's first choice instead of the best candidate, mean over
        seeds.
    mean_absolute_error : float
        Of the predicted accuracies, clipped to [0, 1].
    """

    method: str
    rho: float
    rho_low: float
    rho_high: float
    regret: float
    mean_absolute_error: float


@dataclass(frozen=True)
class Demo:
    """Records, predictions and ranking quality of the demo.

    Parameters
    ----------
    seed : int
    settings : dict
    records : tuple of TrialRecord
    predictions : tuple of Prediction
    methods : tuple of MethodResult
    """

    seed: int
    settings: dict[str, Any]
    records: tuple[TrialRecord, ...]
    predictions: tuple[Prediction, ...]
    methods: tuple[MethodResult, ...]

    @property
    def verdict(self) -> str:
        """Whether beta_eff ranks better than the last observed value here, in one sentence."""
        by_name = {m.method: m for m in self.methods}
        ours, last = by_name["capacitance"].rho, by_name["last_value"].rho
        if not (np.isfinite(ours) and np.isfinite(last)):
            return "Here the ranking by beta_eff could not be compared with the last value."
        word = "beats" if ours > last else "loses to" if ours < last else "ties with"
        return f"Here beta_eff {word} the last value: rho {ours:.3f} against {last:.3f}."

    @property
    def cost(self) -> float:
        """Time for beta_eff over time for training, ``c = T_beta / T_train``."""
        trained = sum(r.train_seconds for r in self.records)
        return sum(r.beta_seconds for r in self.records) / trained if trained else nan

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values."""
        return {**asdict(self), "verdict": self.verdict}

    def to_frame(self) -> "pd.DataFrame":
        """Return the predictions as a pandas DataFrame, one row a trial."""
        import pandas as pd

        return pd.DataFrame([asdict(p) for p in self.predictions])


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
    """Run all candidates and seeds.

    Parameters
    ----------
    seed : int
        The seeds used are ``seed, seed + 1, ...``; equal seeds give equal results.
    n_seeds : int
    epochs : int
        Of fine-tuning; at least 5, which are observed.
    progress : callable, optional
        Called as ``progress(fraction, what)``.

    Returns
    -------
    Demo

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
    >>> len(demo.records), [m.method for m in demo.methods]
    (15, ['capacitance', 'last_value', 'best_value'])
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
    predictions = tuple(_predict(record) for record in records)
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
    methods = tuple(_judge(method, predictions) for method in METHODS)
    return Demo(seed, settings, tuple(records), predictions, methods)


def _target_task(X: Array, y: Array, seed: int) -> _Split:
    """Split digits 5-9 into training, validation and test samples, classes mixed evenly."""
    from sklearn.model_selection import train_test_split

    X, y = X[y >= 5], y[y >= 5] - 5
    X_train, X_rest, y_train, y_rest = train_test_split(
        X, y, train_size=N_TRAIN, stratify=y, random_state=seed
    )
    X_val, X_test, y_val, y_test = train_test_split(
        X_rest, y_rest, train_size=N_VALIDATION, stratify=y_rest, random_state=seed
    )
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
    beta_seconds = 0.0
    watch_seconds = 0.0

    def observe(epoch: int, loss: float) -> None:
        nonlocal beta_seconds, watch_seconds
        start = time.perf_counter()
        features = net.activations(X)[-1 - probe.n_layers]
        cap = neural_capacitance(probe, features, y)
        beta_seconds += time.perf_counter() - start
        observed.append(
            EpochRecord(
                epoch=epoch,
                train_loss=loss,
                val_accuracy=net.score(*split.validation),
                test_accuracy=net.score(*split.test),
                beta_eff=cap.value,
                beta_status=cap.status,
            )
        )
        watch_seconds += time.perf_counter() - start

    began = time.perf_counter()
    history = net.fit(
        X,
        y,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        seed=np.random.default_rng([seed, 8]),
        callback=observe,
    )
    train_seconds = time.perf_counter() - began - watch_seconds
    return TrialRecord(
        model=model,
        data="digits 5-9",
        seed=seed,
        settings={"sizes": list(net.sizes), "frozen": net.frozen, "epochs": epochs},
        epochs=tuple(observed),
        status=history.status,
        train_seconds=train_seconds,
        beta_seconds=beta_seconds,
    )


def _predict(record: TrialRecord) -> Prediction:
    """Predict the final accuracy of one trial from its first epochs."""
    beta, accuracy = record.observed(OBSERVED)
    value = std = nan
    t0 = 0
    if len(beta) >= 3:
        line = NeuralCapacitanceRegressor(n_validation=N_VALIDATION)
        line.fit(np.array(beta)[:, None], accuracy)
        value, std, t0 = line.final_, line.final_std_, line.t0_
    early = [e.val_accuracy for e in record.epochs[:OBSERVED]]
    return Prediction(
        model=record.model,
        seed=record.seed,
        truth=record.final_test_accuracy,
        capacitance=value,
        capacitance_std=std,
        last_value=early[-1],
        best_value=max(early),
        t0=t0,
        dropped=OBSERVED - len(beta),
    )


def fitted_line(demo: Demo) -> dict[str, Any]:
    """Return what a figure of one trial's fit needs: that of the best candidate, first seed.

    Returns
    -------
    dict
        Keys ``beta, accuracy`` (the observed epochs), ``line`` (grid from 0, mean, std of the
        mean), ``truth`` and ``title``, as `edgedyn.report.figures.accuracy_fit` takes them.
    """
    record = max(
        (r for r in demo.records if r.seed == demo.seed), key=lambda r: r.final_test_accuracy
    )
    beta, accuracy = record.observed(OBSERVED)
    fit = NeuralCapacitanceRegressor(n_validation=N_VALIDATION)
    fit.fit(np.array(beta)[:, None], accuracy)
    grid = np.linspace(0.0, 1.05 * max(beta), 50)
    mean, spread = fit.predict(grid[:, None], return_std=True)
    std = np.sqrt(np.maximum(spread**2 - fit.noise_std_**2, 0.0))
    return {
        "beta": beta,
        "accuracy": accuracy,
        "line": (grid, mean, std),
        "truth": record.final_test_accuracy,
        "title": f"{record.model}, from epoch {fit.t0_} on",
    }


def _judge(method: str, predictions: tuple[Prediction, ...]) -> MethodResult:
    """Compare one method's ranking with the truth, seed by seed."""
    rhos, regrets = [], []
    for seed in sorted({p.seed for p in predictions}):
        rows = [p for p in predictions if p.seed == seed]
        values, truths = [getattr(p, method) for p in rows], [p.truth for p in rows]
        rhos.append(spearman(values, truths))
        regrets.append(regret(values, truths))
    errors = [abs(np.clip(getattr(p, method), 0, 1) - p.truth) for p in predictions]
    return MethodResult(
        method=method,
        rho=float(np.mean(rhos)),
        rho_low=min(rhos),
        rho_high=max(rhos),
        regret=float(np.mean(regrets)),
        mean_absolute_error=float(np.mean(errors)),
    )
