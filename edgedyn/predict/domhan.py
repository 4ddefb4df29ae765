"""Domhan's ensemble: eleven parametric families of learning curves."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.predict.curve_base import CurvePredictor, by_curve

Fits = dict[str, Array]  # parameters of each family

GRID = 100  # points of [2, T] on which "hard" looks
START_WEIGHT, START_NOISE = 10.0, 1e-6
# No quantity in [0, 1] has a larger standard deviation. Published without an end, walkers drift to
# any noise and take the mean along.
MOST_NOISE = 0.5

# name: (f(x, *theta), starting values)
FAMILIES: dict[str, tuple[Callable[..., Array], tuple[float, ...]]] = {
    "vap": (lambda x, a, b, c: np.exp(a + b / x + c * np.log(x)), (-0.622028, -0.47005, 0.042322)),
    "ilog2": (lambda x, c, a: c - a / np.log(x + 1), (0.78, 0.43)),
    "weibull": (
        lambda x, alpha, beta, kappa, delta: (
            alpha - (alpha - beta) * np.exp(-((kappa * x) ** delta))
        ),
        (0.7, 0.1, 0.01, 1.0),
    ),
    "pow3": (lambda x, c, a, alpha: c - a * x**-alpha, (0.84, 0.52, 0.01)),
    "pow4": (lambda x, c, a, b, alpha: c - (a * x + b) ** -alpha, (0.8, 200.0, 0.0, 0.1)),
    "loglog_linear": (lambda x, a, b: np.log(a * np.log(x) + b), (1.0, 1.0)),
    "mmf": (
        lambda x, alpha, beta, kappa, delta: alpha - (alpha - beta) / (1 + (kappa * x) ** delta),
        (0.7, 0.1, 0.01, 5.0),
    ),
    "janoschek": (
        lambda x, a, beta, k, delta: a - (a - beta) * np.exp(-k * x**delta),
        (0.73, 0.07, 0.355, 0.46),
    ),
    "hill3": (
        lambda x, theta, eta, kappa: theta * x**eta / (kappa**eta + x**eta),
        (0.77232, 0.586449, 2.460843),
    ),
    "log_power": (lambda x, a, b, c: a / (1 + (x / np.exp(b)) ** c), (0.77, 2.98, -0.51)),
    "exp4": (lambda x, c, a, b, alpha: c - np.exp(-a * x**alpha + b), (0.7, 0.8, -0.8, 0.3)),
}


@dataclass(eq=False, repr=False)
class Domhan(CurvePredictor):
    r"""Weighted mean of eleven parametric families fitted to the observed epochs.

    .. math:: y_t \sim N\Big(\sum_k w_k f_k(t; \theta_k) / \sum_k w_k,\ \sigma^2\Big)

    Families that do not fit, leave [0, 1] at the target epoch or are not monotone there are
    dropped.

    Parameters
    ----------
    mode : {"least_squares", "mcmc"}
        ``least_squares``: each family by its own least squares, then averaged. ``mcmc``: all
        parameters, weights and the noise sampled from the posterior, started there; needs the extra
        ``mcmc`` and seconds a curve, and mixes badly.
    families : sequence of str, optional
        Names from `FAMILIES`; all by default.
    monotone : {"soft", "hard"}
        ``soft``: f(T) >= f(2); ``hard``: f does not fall on 100 points of [2, T].
    weights : {"equal", "bic"}
        Of the families in ``least_squares``: ``bic`` takes ``exp(-BIC/2)``.
    recency : bool
        Weight the log-likelihood of the i-th of m epochs (from 0) by ``10^(i/m)``; ``mcmc`` only.
    n_walkers, n_steps, burn_in, thin : int
        Of the sampler; at least two walkers a dimension are taken.
    seed : int
        Of the sampler; each curve gets the same draws, whatever else is predicted with it.

    Attributes
    ----------
    status_ : ndarray of str, shape (n,)
        ``ok``; ``masked``: NaN epochs were left out; ``fallback``: no family was left, the value is
        the best observed one, without standard deviation; ``missing``: NaN, as fewer than five
        epochs were observed.

    Notes
    -----
    Domhan, Springenberg & Hutter, IJCAI 2015. Each family is fitted by Levenberg-Marquardt from
    fixed starting values, and by L-BFGS-B where that does not end. Flat valleys end where rounding
    has it: predictions differ by up to .01 between processors, as the name in tables says. The
    variance is that of the residuals of the mean curve plus that between the families (``mcmc``: of
    the mean curve over the samples, plus the square of its median noise).

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> t = np.arange(1, 21)
    >>> y = 0.80 - 0.60 * t**-0.5
    >>> value, std = ed.predict.curves.Domhan().predict_final([y[:10]], 20, return_std=True)
    >>> print(f"{value[0]:.2f} +- {std[0]:.2f}, truth {y[-1]:.2f}")
    0.64 +- 0.05, truth 0.67
    """

    min_epochs: ClassVar[int] = 5  # families have up to four parameters

    mode: str = "least_squares"
    _: KW_ONLY
    families: Sequence[str] | None = None
    monotone: str = "soft"
    weights: str = "equal"
    recency: bool = True
    n_walkers: int = 100
    n_steps: int = 2500
    burn_in: int = 500
    thin: int = 10
    seed: int = 0

    def predict_final(self, partial: ArrayLike, target_epoch: int, return_std: bool = False) -> Any:
        """Predict the accuracy at a later epoch; see `CurvePredictor.predict_final`.

        With ``mode="mcmc"`` and no emcee: an ImportError.
        """
        from threadpoolctl import threadpool_limits

        self._check_parameters()
        if self.mode == "mcmc":
            _emcee()  # before any work
        # L-BFGS-B hands matrices of four rows to all threads: 50 times slower on a busy machine.
        with threadpool_limits(1, "blas"):
            return super().predict_final(partial, target_epoch, return_std)

    def _check_parameters(self) -> None:
        """Refuse parameters out of range."""
        check.choice(self.mode, "mode", ("least_squares", "mcmc"))
        check.choice(self.monotone, "monotone", ("soft", "hard"))
        check.choice(self.weights, "weights", ("equal", "bic"))
        for name in ("n_walkers", "n_steps", "burn_in", "thin"):
            check.positive_int(getattr(self, name), name)
        if self.n_steps < self.burn_in + self.thin:
            raise ValueError(
                f"n_steps must leave at least one of every {self.thin} samples after burn_in "
                f"({self.burn_in}); got {self.n_steps}."
            )
        if not self._names():
            raise ValueError("families must name at least one family.")
        for name in self._names():
            check.choice(name, "families", tuple(FAMILIES))

    def _names(self) -> tuple[str, ...]:
        """Return the families that are used."""
        return tuple(FAMILIES if self.families is None else self.families)

    def _predict(self, observed: Array, target: int) -> tuple[Array, Array, Array]:
        """Predict curve by curve."""

        def predict_one(seen: Array, y: Array) -> tuple[float, float, str]:
            x = seen + 1.0
            fits = self._plausible(fit_families(x, y, self._names()), target)
            if not fits:
                return float(y.max()), np.nan, "fallback"
            predict = self._sample if self.mode == "mcmc" else self._average
            value, std = predict(x, y, fits, target)
            if not 0 <= value <= 1:  # also NaN: no sample was left
                return float(y.max()), np.nan, "fallback"
            return value, std, "ok"

        return by_curve(observed, self.min_epochs, predict_one)

    def _plausible(self, fits: Fits, target: int) -> Fits:
        """Keep the families that stay in [0, 1] and are monotone."""
        x = np.linspace(2.0, target, GRID)
        shapes = {name: evaluate(name, x, theta) for name, theta in fits.items()}
        kept = [k for k, f in shapes.items() if np.isfinite(f).all() and 0 <= f[-1] <= 1]
        return {name: fits[name] for name in kept if self._rises(shapes[name])}

    def _rises(self, f: Array) -> Any:
        """Tell which curves, along the last axis, are monotone enough."""
        if self.monotone == "soft":
            return f[..., -1] >= f[..., 0]
        return (np.diff(f, axis=-1) >= 0).all(axis=-1)

    def _average(self, x: Array, y: Array, fits: Fits, target: int) -> tuple[float, float]:
        """Return mean and deviation of the families at the target."""
        at = np.append(x, target)
        f = np.array([evaluate(name, at, theta) for name, theta in fits.items()])
        w = np.ones(len(f))
        if self.weights == "bic":
            size = np.array([len(theta) for theta in fits.values()])
            # Residuals below rounding say nothing of the family.
            rss = np.maximum(np.sum((f[:, :-1] - y) ** 2, axis=1), 1e-20)
            bic = len(y) * np.log(rss / len(y)) + size * np.log(len(y))
            w = np.exp(-(bic - bic.min()) / 2)
        w = w / w.sum()
        mean = w @ f
        noise = np.mean((mean[:-1] - y) ** 2)
        between = w @ (f[:, -1] - mean[-1]) ** 2
        return float(mean[-1]), float(np.sqrt(noise + between))

    def _sample(self, x: Array, y: Array, fits: Fits, target: int) -> tuple[float, float]:
        """Return mean and deviation of the posterior at the target."""
        emcee = _emcee()
        posterior = _Posterior(x, y, fits, target, self._rises, self.recency)
        rng = np.random.RandomState(self.seed)  # noqa: NPY002 - emcee takes this kind only
        start = posterior.start()
        walkers = max(self.n_walkers, 2 * len(start))
        first = start + START_NOISE * rng.standard_normal((walkers, len(start)))
        sampler = emcee.EnsembleSampler(walkers, len(start), posterior, vectorize=True)
        state = emcee.State(first, random_state=rng.get_state())
        with np.errstate(invalid="ignore"):  # from one place that is not allowed to another
            # The initial state is not checked: the walkers start close together on purpose.
            sampler.run_mcmc(state, self.n_steps, skip_initial_state_check=True)
        chain = sampler.get_chain(discard=self.burn_in, thin=self.thin, flat=True)
        chain = chain[np.isfinite(posterior(chain))]
        if not len(chain):
            return np.nan, np.nan
        final = posterior.curve(chain, np.array([float(target)]))[:, 0]
        # The flat prior gives large noise a long tail: the median, not the mean.
        noise = np.median(chain[:, posterior.sigma]) ** 2
        return float(final.mean()), float(np.sqrt(final.var() + noise))


@dataclass(eq=False)
class _Posterior:
    """Log posterior density of [theta of each family, sigma, weights], flat priors."""

    x: Array
    y: Array
    fits: Fits
    target: int
    rises: Callable[[Array], Any]
    recency: bool

    def __post_init__(self) -> None:
        self.grid = np.linspace(2.0, self.target, GRID)
        m = len(self.y)
        self.importance = 10.0 ** (np.arange(m) / m) if self.recency else np.ones(m)
        self.sigma = sum(len(theta) for theta in self.fits.values())

    def start(self) -> Array:
        """Return the least-squares parameters, their noise and equal weights."""
        theta = np.concatenate(list(self.fits.values()))
        weights = np.full(len(self.fits), START_WEIGHT)
        at = np.concatenate([theta, [1.0], weights])
        at[self.sigma] = max(np.std(self.curve(at[None], self.x)[0] - self.y), 1e-4)
        return at

    def curve(self, samples: Array, x: Array) -> Array:
        """Return the weighted mean curves, shape (samples, epochs)."""
        weights = samples[:, self.sigma + 1 :]
        total = np.zeros((len(samples), len(x)))
        first = 0
        with np.errstate(all="ignore"):
            for k, (name, theta) in enumerate(self.fits.items()):
                columns = samples[:, first : first + len(theta), None]
                total += weights[:, k, None] * FAMILIES[name][0](x, *columns.swapaxes(0, 1))
                first += len(theta)
            return np.asarray(total / weights.sum(axis=1, keepdims=True))

    def __call__(self, samples: Array) -> Array:
        """Return the log densities, -inf where not allowed."""
        sigma, weights = samples[:, self.sigma], samples[:, self.sigma + 1 :]
        with np.errstate(all="ignore"):
            residuals = (self.curve(samples, self.x) - self.y) / sigma[:, None]
            density = -(residuals**2 / 2 + np.log(sigma)[:, None]) @ self.importance
            shape = self.curve(samples, self.grid)
            allowed = (sigma > 0) & (sigma <= MOST_NOISE) & (weights >= 0).all(axis=1)
            allowed &= (shape[:, -1] >= 0) & (shape[:, -1] <= 1) & self.rises(shape)
            allowed &= np.isfinite(density)
        return np.where(allowed, density, -np.inf)


def evaluate(name: str, x: Array, theta: Sequence[float] | Array) -> Array:
    """Return a family's curve; NaN or infinite where it is not defined."""
    with np.errstate(all="ignore"):
        return np.asarray(FAMILIES[name][0](x, *theta))


def fit_families(x: Array, y: Array, names: Sequence[str] = tuple(FAMILIES)) -> Fits:
    """Return the least-squares parameters of each family that can be fitted; x are epochs, from 1.

    Examples
    --------
    >>> x = np.arange(1.0, 11.0)
    >>> fit_families(x, 0.8 - 0.6 * x**-0.5, ["pow3"])["pow3"].round(6)
    array([0.8, 0.6, 0.5])
    """
    found = {name: _fit_family(name, x, y) for name in names}
    return {name: theta for name, theta in found.items() if theta is not None}


def _fit_family(name: str, x: Array, y: Array) -> Array | None:
    """Fit by Levenberg-Marquardt, else by L-BFGS-B, from the starting values."""
    from scipy.optimize import curve_fit, minimize

    f, start = FAMILIES[name]
    # The solvers try parameters at which a family overflows or is not defined.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theta = curve_fit(f, x, y, start, method="lm", maxfev=200 * (len(start) + 1))[0]
            if np.isfinite(f(x, *theta)).all():
                return np.asarray(theta)
        except (RuntimeError, ValueError):
            pass
        theta = minimize(
            lambda at: np.sum((f(x, *at) - y) ** 2), np.array(start), method="L-BFGS-B"
        ).x
        return theta if np.isfinite(f(x, *theta)).all() else None


def _emcee() -> Any:
    """Return the sampler's package, or say where it comes from."""
    try:
        return import_module("emcee")
    except ImportError:
        raise ImportError(
            "Domhan(mode='mcmc') needs emcee; install it with the extra 'mcmc': "
            "pip install 'edgedyn[mcmc]'."
        ) from None
