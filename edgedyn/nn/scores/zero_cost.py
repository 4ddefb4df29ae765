"""Training-free proxies of a Keras model: what the formulas of `edgedyn.predict.zero_cost` need.

The model is only read. Parameters that a proxy replaces (absolute ones, newly drawn ones) go into
the steps of the extracted graph as arguments, so that there is nothing to restore.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from time import perf_counter
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn import linegraph as lg
from edgedyn._array import Array
from edgedyn.capacitance import DivergedError
from edgedyn.nn.graph import sweeps
from edgedyn.nn.graph.autodiff import in_doubles, pull_back
from edgedyn.nn.graph.extract import extract
from edgedyn.nn.graph.graph import INPUT, Graph
from edgedyn.nn.graph.loss import OutputLoss, loss_of
from edgedyn.nn.graph.steps import ChannelAffine, Dense, Elementwise, Layer, Linear, Step, read
from edgedyn.nn.meter import Progress, check_samples
from edgedyn.predict import zero_cost as formulas
from edgedyn.predict.methods import method_named
from edgedyn.predict.transferability import Score

Tensor = Any
Call = Callable[[Any, list[Tensor]], Tensor]
_numpy: Callable[[Tensor], Array] = ops.convert_to_numpy

WITH_LABELS = ("grad_norm", "snip", "grasp", "fisher")
RECTIFIERS = ("relu", "relu6", "leakyrelu")
ZEN_NOISE = 0.01
ZEN_EPSILON = 1e-5  # of the published program's batch norms, whatever the model's


@dataclass(frozen=True)
class ZeroCostScores:
    """Training-free proxies of one model on one batch.

    Parameters
    ----------
    scores : dict
        A `Score` (a float with a status) for each proxy, in the order asked for.
    seconds : dict
        What each took, with the passes that it shares with others: the cost of that one alone.
    n_samples, n_weights : int
        Size of the batch, on which several proxies depend; kernel entries they sum over.
    """

    scores: dict[str, Score]
    seconds: dict[str, float]
    n_samples: int
    n_weights: int

    def __getitem__(self, proxy: str) -> Score:
        return self.scores[proxy]

    def __str__(self) -> str:
        lines = [f"{self.n_samples} samples, {self.n_weights} weights"]
        for name, score in self.scores.items():
            note = "" if method_named(name).higher_is_better else " (lower is better)"
            value = f"{name:<17}{float(score):>14.6g}  {score.status:<13}"
            lines.append(f"{value}{self.seconds[name]:>8.3f} s{note}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values, one entry a proxy under ``proxies``."""
        seconds = self.seconds
        rows = {n: {**score.to_dict(), "seconds": seconds[n]} for n, score in self.scores.items()}
        return {"n_samples": self.n_samples, "n_weights": self.n_weights, "proxies": rows}


def zero_cost(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    proxies: Sequence[str] | None = None,
    loss: Any = None,
    seed: int | np.random.Generator | None = 0,
    zen_repeats: int = 4,
    progress: Progress | None = None,
) -> ZeroCostScores:
    r"""Compute training-free proxies, `ZeroCostScores`, of a Keras model on one batch.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, of layers that the line graph knows; left as it is.
    x : array_like, shape (n_samples, \*input shape)
        One batch, at least two samples; all of it is in memory at once, in float64.
    y : array_like, optional
        Targets as the loss takes them; grad_norm, snip, grasp and fisher need them.
    proxies : sequence of str, optional
        Some of `edgedyn.predict.zero_cost.PROXIES`; by default all, without `y` those that need
        none.
    loss : str or keras.losses.Loss, optional
        By default the compiled one, else sparse categorical cross-entropy.
    seed : int or numpy.random.Generator, optional
        Decides the noise and the weights of ``zen``; nothing else is random.
    zen_repeats : int
        Draws that ``zen`` is averaged over.
    progress : callable, optional
        Called with the fraction done and the next proxy's name.

    Raises
    ------
    TypeError, ValueError
        For unknown proxies and layers, by name, and for data that do not fit.
    edgedyn.capacitance.DivergedError
        Where the network's output on these samples is not finite.

    Notes
    -----
    The formulas with their papers are in `edgedyn.predict.zero_cost`. What the papers leave open:

    - Everything is computed in float64, on a copy where the model has another precision.
    - Weights are kernels of dense and convolution layers, not biases or batch norms.
    - The model's own weights count, trained or not. Only ``zen`` draws standard normal weights
      (biases 0, batch norms as newly made) and forgets any training, as published.
    - Batch norms run in inference mode, so that samples do not influence each other: right for
      trained networks; in untrained ones they normalise nothing, and signals may vanish. They are
      left out in ``synflow`` and take the batch's statistics in ``zen``.
    - ``synflow`` and ``zen`` begin behind the model's preprocessing, with ones and with normal
      noise in the place of its output. ``synflow`` takes the cap off ReLU6, which would stop
      everything.
    - Derivatives are those of the logits, before a softmax.
    - ``naswot`` and ``te_nas_regions`` look at ReLU, ReLU6 and leaky ReLU; status ``no_relu``
      (value NaN) where there is none.
    - ``zen`` compares the last feature map before the last global pooling or flattening.

    Examples
    --------
    >>> import keras, numpy as np
    >>> from edgedyn import nn
    >>> inputs = keras.Input((6, 6, 1))
    >>> h = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation="relu")(inputs))
    >>> model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(h))
    >>> x = np.random.default_rng(0).standard_normal((4, 6, 6, 1))
    >>> found = nn.zero_cost(model, x, [0, 1, 0, 1], proxies=["snip", "te_nas_regions"])
    >>> found["te_nas_regions"], found["snip"].status
    (Score(4.0, status='saturated'), 'ok')
    """
    names = _proxies(proxies, y is not None)
    zen_repeats = check.positive_int(zen_repeats, "zen_repeats")
    extract(model)  # says what is not known before anything is copied
    x = check_samples(x, model)
    if len(x) < 2:
        raise ValueError("the proxies compare samples; give at least two, got one.")
    with in_doubles():
        return _scores(model, x, y, names, loss, zen_repeats, seed, progress)


def _scores(
    model: keras.Model,
    x: Array,
    y: ArrayLike | None,
    names: list[str],
    loss: Any,
    zen_repeats: int,
    seed: int | np.random.Generator | None,
    progress: Progress | None,
) -> ZeroCostScores:
    """Compute the proxies of a model, of which a copy in double precision is made."""
    graph = extract(in_float64(model))
    if any(len(uses) > 1 for uses in graph.uses.values()):
        raise ValueError(
            f"model {model.name!r} uses a layer more than once; the proxies take each once."
        )
    network_loss, targets = None, None
    if y is not None:
        network_loss = loss_of(model, loss, graph.head)
        targets = network_loss.targets(y, len(x), model.outputs[0].shape[-1], graph.dtype)
    draw = np.random.default_rng(seed)
    batch = Batch(graph, x, targets, network_loss, draw, zen_repeats)
    scores = {}
    for k, name in enumerate(names):
        if progress is not None:
            progress(k / len(names), name)
        scores[name] = batch.get(name)
    seconds = {name: batch.seconds(name) for name in names}
    n_weights = sum(int(np.prod(layer.kernel.shape)) for layer in batch.layers)
    return ZeroCostScores(scores, seconds, len(x), n_weights)


class Batch:
    """Computes proxies and what they share, each part once."""

    def __init__(
        self,
        graph: Graph,
        x: Array,
        targets: Array | None,
        loss: OutputLoss | None,
        draw: np.random.Generator,
        zen_repeats: int,
    ) -> None:
        self.graph, self.loss, self.draw, self.zen_repeats = graph, loss, draw, zen_repeats
        self.layers = [step for step in graph.steps if isinstance(step, Layer)]
        self.kernels = [read(layer.kernel) for layer in self.layers]
        self.x, self.targets = graph.tensors(x, targets)
        self._kept: dict[str, Any] = {}
        self._alone: dict[str, float] = {}
        self._needs: dict[str, set[str]] = {}
        self._touched: set[str] = set()
        self._within = 0.0

    def get(self, name: str) -> Any:
        """Return a part, computed at its first use."""
        if name not in self._kept:
            self._compute(name)
        self._touched |= self._needs[name]
        return self._kept[name]

    def seconds(self, name: str) -> float:
        """Return what a part and all it needs took."""
        return sum(self._alone[part] for part in self._needs[name])

    def _compute(self, name: str) -> None:
        """Note a part's own time, without that of parts computed inside it, and which it needs."""
        outer, self._touched = self._touched, {name}
        before, self._within = self._within, 0.0
        start = perf_counter()
        self._kept[name] = getattr(self, f"_{name}")()
        elapsed = perf_counter() - start
        self._alone[name] = elapsed - self._within
        self._needs[name], self._touched = self._touched, outer
        self._within = before + elapsed

    # What proxies share ------------------------------------------------------------------------

    def _values(self) -> sweeps.Values:
        """Return every tensor of a forward pass."""
        values = self.graph.forward(self.x)
        if not np.isfinite(_numpy(values[self.graph.logits])).all():
            raise DivergedError(
                "the network's output is not finite on these samples: its weights have diverged "
                "or the inputs are too large."
            )
        return values

    def _cotangents(self) -> sweeps.Values:
        """Return the mean loss's derivative by every tensor."""
        values = self.get("values")
        assert self.loss is not None
        error = self.loss.cotangent(values[self.graph.logits], self.targets) / len(self.x)
        return sweeps.cotangents(self.graph, values, error)

    def _gradients(self) -> list[Tensor]:
        """Return the mean loss's derivative by every kernel."""
        u, e = self.get("values"), self.get("cotangents")
        return [layer.gradient(u[layer.inputs[0]], e[layer.output]) for layer in self.layers]

    def _agreement(self) -> Array | None:
        """Return in how many units each pair of samples agrees; None without ReLU."""
        u = self.get("values")
        rectifiers = [step for step in self.graph.steps if _word(step) in RECTIFIERS]
        codes = [_numpy(u[step.inputs[0]] > 0) for step in rectifiers]
        return formulas.agreement(codes) if codes else None

    # The proxies -------------------------------------------------------------------------------

    def _grad_norm(self) -> Score:
        return formulas.grad_norm(map(_numpy, self.get("gradients")))

    def _snip(self) -> Score:
        kernels, gradients = self.kernels, self.get("gradients")
        return formulas.snip(map(_numpy, kernels), map(_numpy, gradients))

    def _grasp(self) -> Score:
        kernels, gradients = self.kernels, self.get("gradients")
        biases = [None if layer.bias is None else read(layer.bias) for layer in self.layers]
        one = ops.ones((), self.graph.dtype)

        def mean_loss(*given: Tensor) -> Tensor:
            pairs = zip(given, biases, strict=True)
            parameters: dict[Step, Any] = dict(zip(self.layers, pairs, strict=True))
            logits = self.graph.forward(self.x, parameters)[self.graph.logits]
            assert self.loss is not None
            return ops.mean(self.loss.per_sample(logits, self.targets))

        def slope(*given: Tensor) -> Tensor:
            found = pull_back(mean_loss, given, one)
            return sum(ops.sum(a * g) for a, g in zip(found, gradients, strict=True))

        # Reverse over reverse: forward over reverse takes four times as long without a graph.
        products = pull_back(slope, kernels, one)
        return formulas.grasp(map(_numpy, kernels), map(_numpy, products))

    def _fisher(self) -> Score:
        values, e = self.get("values"), self.get("cotangents")
        a = [_numpy(values[layer.output]) for layer in self.layers]
        many = [int(np.prod(k.shape)) // u.shape[-1] for k, u in zip(self.kernels, a, strict=True)]
        return formulas.fisher(a, (_numpy(e[layer.output]) for layer in self.layers), many)

    def _synflow(self) -> Score:
        kernels = [ops.abs(kernel) for kernel in self.kernels]
        numbers = {layer: k for k, layer in enumerate(self.layers)}
        start = self._instead(lambda shape: ops.ones((1, *shape), self.graph.dtype))

        def flow(*given: Tensor) -> Tensor:
            def call(step: Any, u: list[Tensor]) -> Tensor:
                if isinstance(step, Layer):
                    bias = None if step.bias is None else ops.abs(read(step.bias))
                    return step.forward(u[0], given[numbers[step]], bias)
                return _positive(step, u)

            return ops.sum(_run(self.graph, start, call)[self.graph.logits])

        gradients = pull_back(flow, kernels, ops.ones((), self.graph.dtype))
        return formulas.synflow(map(_numpy, kernels), map(_numpy, gradients))

    def _jacob_cov(self) -> Score:
        def logits(x: Tensor) -> Tensor:
            return self.graph.forward(x)[self.graph.logits]

        ones = ops.ones_like(self.get("values")[self.graph.logits])
        return formulas.jacob_cov(_numpy(pull_back(logits, [self.x], ones)[0]))

    def _naswot(self) -> Score:
        kernel = self.get("agreement")
        return Score(nan, "no_relu") if kernel is None else formulas.naswot(kernel)

    def _te_nas_regions(self) -> Score:
        kernel = self.get("agreement")
        return Score(nan, "no_relu") if kernel is None else formulas.te_nas_regions(kernel)

    def _te_nas_condition(self) -> Score:
        values = self.get("values")
        ones = ops.ones_like(values[self.graph.logits])
        e = sweeps.cotangents(self.graph, values, ones)
        ntk = np.zeros((len(self.x), len(self.x)))
        for layer in self.layers:
            ntk += _inner_products(layer, values[layer.inputs[0]], e[layer.output])
        return formulas.te_nas_condition(ntk)

    def _zen(self) -> Score:
        steps, end = self.graph.steps, _features(self.graph)
        last = next(k for k, step in enumerate(steps) if step.output == end)
        used = [step for step in steps[: last + 1] if isinstance(step, Layer)]
        scores = []
        for _ in range(self.zen_repeats):
            noise, change = (
                self._instead(lambda shape: self._normal((len(self.x), *shape))) for _ in range(2)
            )
            kernels = [self._normal(layer.kernel.shape) for layer in used]
            difference, first, _ = self.zen_passes(kernels, noise, change)
            scores.append(formulas.zen(difference, first))
        status = next((s.status for s in scores if s.status != "ok"), "ok")
        return Score(float(np.mean(scores)), status)

    def zen_passes(
        self, kernels: list[Tensor], noise: sweeps.Values, change: sweeps.Values
    ) -> tuple[float, list[Array], list[Array]]:
        """Return the mean difference of the features and the batch variances of both passes."""
        features = _features(self.graph)
        moved = {k: u + ZEN_NOISE * change[k] for k, u in noise.items()}
        maps, found = [], []
        for start in (noise, moved):
            variances: list[Array] = []
            rest = iter(kernels)

            def call(step: Any, u: list[Tensor], rest: Any = rest, seen: Any = variances) -> Tensor:
                if isinstance(step, Layer):
                    return step.apply(next(rest), u[0])
                if not isinstance(step, ChannelAffine):
                    return step.forward(*u)
                mean, variance = ops.moments(u[0], axes=list(range(u[0].ndim - 1)))
                seen.append(_numpy(variance))
                return (u[0] - mean) / ops.sqrt(variance + ZEN_EPSILON)

            maps.append(_numpy(_run(self.graph, start, call, until=features)[features]))
            found.append(variances)
        difference = np.abs(maps[0] - maps[1]).reshape(len(maps[0]), -1).sum(axis=1).mean()
        return float(difference), found[0], found[1]

    # Other inputs ------------------------------------------------------------------------------

    def _instead(self, make: Callable[[tuple[int, ...]], Tensor]) -> sweeps.Values:
        """Return what `make` gives for one sample's shape, in the place of preprocessed inputs."""
        entry = _entry(self.graph)
        shape = tuple(int(n) for n in self.get("values")[entry].shape[1:])
        return {entry: make(shape)}

    def _normal(self, shape: Sequence[int]) -> Tensor:
        """Draw a standard normal tensor."""
        return ops.convert_to_tensor(self.draw.standard_normal(tuple(shape)), self.graph.dtype)


def in_float64(model: keras.Model) -> keras.Model:
    """Return the model itself where it has that precision, or a copy in it."""
    if all(str(w.dtype) == "float64" for w in model.weights):
        return model

    def wider(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer, clone_function=wider)
        return type(layer).from_config({**layer.get_config(), "dtype": "float64"})

    try:
        copy = keras.models.clone_model(model, clone_function=wider)
        copy.set_weights(model.get_weights())
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"model {model.name!r} could not be copied in float64 ({error}); build it in float64 "
            "(keras.config.set_dtype_policy('float64'))."
        ) from error
    return copy


def _run(graph: Graph, start: sweeps.Values, call: Call, until: int | None = None) -> sweeps.Values:
    """Run the steps that follow from the tensors given, each as `call` says."""
    values = dict(start)
    for step in graph.steps:
        if until in values:
            break
        if step.output not in values and all(i in values for i in step.inputs):
            values[step.output] = call(step, [values[i] for i in step.inputs])
    return values


def _entry(graph: Graph) -> int:
    """Return the tensor behind the preprocessing: a chain of maps before the first layer."""
    entry = INPUT
    while True:
        readers = [step for step in graph.steps if entry in step.inputs]
        if len(readers) != 1 or readers[0].output in graph.downstream:
            return entry
        if not isinstance(readers[0].structure, lg.Identity | lg.Opaque):
            return entry  # padding belongs to the network
        entry = readers[0].output


def _features(graph: Graph) -> int:
    """Return the last tensor before the last pooling or flattening, or before the last layer."""
    inner = [s for s in graph.steps if graph.downstream.intersection(s.inputs)]
    for kinds in ((lg.GlobalPooling, lg.Flatten), (lg.Dense, lg.Conv1D, lg.Conv2D)):
        ends = [s for s in inner if isinstance(s.structure, kinds)]
        if ends:
            return ends[-1].inputs[0]
    return graph.logits


def _word(step: Any) -> str:
    """Return an elementwise function's name in small letters; nothing for other steps."""
    if not isinstance(step, Elementwise):
        return ""
    function = step.function
    name = str(getattr(function, "__name__", type(function).__name__))
    return name.lower().replace("_", "")


def _positive(step: Any, u: list[Tensor]) -> Tensor:
    """Apply a parameter-free step with absolute coefficients, batch norms and caps left out."""
    if isinstance(step, ChannelAffine):
        return u[0]
    if isinstance(step, Linear):
        return step.absolute(*u)
    if _word(step) == "relu6":
        return ops.relu(u[0])
    return step.forward(*u)


def _inner_products(layer: Layer, u: Tensor, e: Tensor) -> Array:
    """Return the inner products of the samples' kernel gradients."""
    if isinstance(layer, Dense) and u.ndim == 2:  # outer products: the factors' inner products do
        u, e = _numpy(u), _numpy(e)
        return (u @ u.T) * (e @ e.T)
    rows = [_numpy(layer.gradient(u[i : i + 1], e[i : i + 1])).ravel() for i in range(len(u))]
    G = np.stack(rows)
    return G @ G.T


def _proxies(given: Sequence[str] | None, labelled: bool) -> list[str]:
    """Return the proxies asked for; refuse unknown ones and those that lack labels."""
    if given is None:
        return [name for name in formulas.PROXIES if labelled or name not in WITH_LABELS]
    if isinstance(given, str) or not all(isinstance(name, str) for name in given):
        raise TypeError(f"proxies must be a sequence of names like ['snip']; got {given!r}.")
    names = list(dict.fromkeys(given))
    if not names:
        raise ValueError("proxies is empty; name at least one.")
    for name in names:
        check.choice(name, "each of proxies", formulas.PROXIES)
    missing = [name for name in names if name in WITH_LABELS and not labelled]
    if missing:
        raise ValueError(f"{', '.join(missing)} need labels; give y.")
    return names
