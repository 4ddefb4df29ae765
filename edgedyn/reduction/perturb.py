"""The perturbations of the 2016 paper: nodes lost, links lost, weights weakened."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedyn import _validate as check
from edgedyn.reduction.matrices import as_csr
from edgedyn.reduction.operator import reduce
from edgedyn.reduction.solve import steady_state, steady_state_1d
from edgedyn.reduction.systems import System

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_array

Progress = Callable[[float, str], None]
PERTURBATIONS = ("nodes", "links", "weights")


@dataclass(frozen=True)
class PerturbationRecord:
    """One network after one perturbation, full and reduced.

    Parameters
    ----------
    perturbation : {"nodes", "links", "weights"}
    fraction : float
        Of nodes or links removed, or by which all weights are lowered.
    realisation : int
        Number of the random draw, from 0.
    start : {"low", "high"}
    n_nodes, n_links : int
        What is left.
    beta_eff : float
        Of what is left; NaN where no links are.
    x_eff : float
        Effective state of the full system's steady state, ``1' A x / 1' A 1``.
    x_predicted : float
        Steady state of the one-dimensional equation with `beta_eff`, from the same start.
    residual : float
    status : str
        Of the full system's steady state; "empty" where no links are left.
    """

    perturbation: str
    fraction: float
    realisation: int
    start: str
    n_nodes: int
    n_links: int
    beta_eff: float
    x_eff: float
    x_predicted: float
    residual: float
    status: str


@dataclass(frozen=True)
class PerturbationStudy:
    """Many perturbed realisations of one network under the dynamics named `system`."""

    system: str
    records: tuple[PerturbationRecord, ...]

    def to_frame(self) -> "pd.DataFrame":
        """Return the records as a pandas DataFrame, one row each."""
        import pandas as pd

        return pd.DataFrame([asdict(record) for record in self.records])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values."""
        return {"system": self.system, "records": [asdict(record) for record in self.records]}

    def __repr__(self) -> str:
        return f"PerturbationStudy({self.system}, {len(self.records)} records)"


def remove_nodes(A: Any, fraction: float, rng: np.random.Generator) -> "csr_array":
    """Return the network without a random fraction of its nodes, rounded to whole nodes.

    The others keep their order. Gao, Barzel and Barabasi, Nature 530:307 (2016), Fig. 2.

    Parameters
    ----------
    A : array_like, scipy.sparse, networkx graph, LineGraph or Interaction
        As for `edgedyn.reduce`.
    fraction : float
        In [0, 1); one node stays at least.
    rng : numpy.random.Generator

    Raises
    ------
    TypeError, ValueError
        For another fraction or generator, or a network that is not one.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> ed.reduction.remove_nodes(np.ones((10, 10)), 0.3, np.random.default_rng(0)).shape
    (7, 7)
    """
    _check_fraction(fraction)
    matrix = as_csr(A)
    n = matrix.shape[0]
    kept = max(1, n - round(fraction * n))
    nodes = np.sort(_generator(rng).choice(n, kept, replace=False))
    return matrix[nodes][:, nodes]


def remove_links(A: Any, fraction: float, rng: np.random.Generator) -> "csr_array":
    """Return the network without a random fraction of its links, rounded to whole links.

    A symmetric matrix is an undirected network: both directions of a link go together. All nodes
    stay. Gao, Barzel and Barabasi, Nature 530:307 (2016), Fig. 2.

    Parameters
    ----------
    A, rng
        As for `remove_nodes`, with the same errors.
    fraction : float
        In [0, 1].

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> left = ed.reduction.remove_links(np.ones((4, 4)), 0.5, np.random.default_rng(0)).toarray()
    >>> bool((left == left.T).all()), int(np.triu(left).sum())  # 5 of 10 undirected links
    (True, 5)
    """
    from scipy.sparse import csr_array

    if check.real_number(fraction, "fraction", at_least=0) > 1:
        raise ValueError(f"fraction must be at most 1; got {fraction!r}.")
    matrix = as_csr(A)
    links = matrix.tocoo()
    row, column, weight = links.row, links.col, links.data
    undirected = abs(matrix - matrix.T).nnz == 0
    if undirected:
        upper = row <= column
        row, column, weight = row[upper], column[upper], weight[upper]
    kept = len(row) - round(fraction * len(row))
    stay = _generator(rng).choice(len(row), kept, replace=False) if kept else np.zeros(0, np.int64)
    row, column, weight = row[stay], column[stay], weight[stay]
    if undirected:
        other = row != column
        row, column = np.append(row, column[other]), np.append(column, row[other])
        weight = np.append(weight, weight[other])
    return csr_array((weight, (row, column)), shape=matrix.shape)


def weaken(A: Any, fraction: float) -> "csr_array":
    """Return ``(1 - fraction) A``, all weights lowered by a fraction; beta_eff is, too.

    Gao, Barzel and Barabasi, Nature 530:307 (2016), Fig. 2: changes of conditions that act on all
    links alike.

    Parameters
    ----------
    A
        As for `remove_nodes`, with the same errors.
    fraction : float
        At most 1, where nothing is left; negative values strengthen.

    Examples
    --------
    >>> import edgedyn as ed
    >>> ed.reduce(ed.reduction.weaken([[0, 4], [4, 0]], 0.25)).beta_eff
    3.0
    """
    if check.real_number(fraction, "fraction") > 1:
        raise ValueError(f"fraction must be at most 1; got {fraction!r}.")
    return (1 - fraction) * as_csr(A)


def perturb(
    A: Any,
    system: System,
    *,
    perturbations: Sequence[str] = PERTURBATIONS,
    fractions: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8),
    starts: Sequence[str] = ("low", "high"),
    n_realisations: int = 10,
    seed: int | np.random.Generator = 0,
    progress: Progress | None = None,
) -> PerturbationStudy:
    """Perturb a network many times and compare the full steady states with the reduced ones.

    Gao, Barzel and Barabasi, Nature 530:307 (2016), Fig. 2 and 3: whatever is done to a network,
    its state depends on beta_eff.

    Parameters
    ----------
    A : array_like, scipy.sparse, networkx graph, LineGraph or Interaction
        As for `edgedyn.reduce`.
    system : System
    perturbations : sequence of {"nodes", "links", "weights"}
        What is removed or weakened, see `remove_nodes`, `remove_links`, `weaken`.
    fractions : sequence of float
        In [0, 1).
    starts : sequence of {"low", "high"}
        As for `steady_state`.
    n_realisations : int
        Random draws for each fraction; 1 is made where nothing is random (weights, fraction 0).
    seed : int or numpy.random.Generator
        Every realisation draws from a generator of its own, spawned in order: more realisations
        do not change the first ones.
    progress : callable, optional
        Called with the fraction done and a word.

    Raises
    ------
    TypeError, ValueError
        For anything but the above, before any work.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> ring = 4.0 * np.roll(np.eye(6), 1, axis=1)
    >>> genes = ed.reduction.gene_regulation()
    >>> study = ed.reduction.perturb(ring, genes, perturbations=["weights"], fractions=[0, 0.45])
    >>> print(study.to_frame()[["fraction", "start", "beta_eff", "x_eff", "x_predicted"]].round(4))
       fraction start  beta_eff   x_eff  x_predicted
    0      0.00   low       4.0  0.0000       0.0000
    1      0.00  high       4.0  3.7321       3.7321
    2      0.45   low       2.2  0.0000       0.0000
    3      0.45  high       2.2  1.5583       1.5583
    """
    for word in perturbations:
        check.choice(word, "a perturbation", PERTURBATIONS)
    for fraction in fractions:
        _check_fraction(fraction)
    for start in starts:
        check.choice(start, "a start", ("low", "high"))
    n_realisations = check.positive_int(n_realisations, "n_realisations")
    matrix = as_csr(A)
    rng = np.random.default_rng(seed)
    apply: dict[str, Callable[..., csr_array]] = {
        "nodes": remove_nodes,
        "links": remove_links,
        "weights": lambda A, fraction, _: weaken(A, fraction),
    }
    records = []
    cases = [(word, float(fraction)) for word in perturbations for fraction in fractions]
    for done, (word, fraction) in enumerate(cases):
        times = 1 if word == "weights" or fraction == 0 else n_realisations
        # One parent a case, so that the number of realisations of one leaves the next alone.
        for k, child in enumerate(rng.spawn(1)[0].spawn(times)):
            changed = apply[word](matrix, fraction, child)
            for start in starts:
                records.append(_record(changed, system, word, fraction, k, start))
        if progress is not None:
            progress((done + 1) / len(cases), word)
    return PerturbationStudy(system.name, tuple(records))


def _record(
    matrix: Any, system: System, word: str, fraction: float, realisation: int, start: str
) -> PerturbationRecord:
    """Solve one perturbed network, full and reduced."""
    reduced = reduce(matrix)
    case = (word, fraction, realisation, start, reduced.n_nodes, int(matrix.nnz), reduced.beta_eff)
    if reduced.status != "ok":
        return PerturbationRecord(*case, nan, nan, nan, status=reduced.status)
    full = steady_state(matrix, system, start)
    predicted = steady_state_1d(reduced.beta_eff, system, start)
    x_eff = reduced.x_eff(full.x)
    return PerturbationRecord(*case, x_eff, predicted, full.residual, full.status)


def _check_fraction(fraction: float) -> None:
    """Refuse what is not in [0, 1)."""
    if check.real_number(fraction, "fraction", at_least=0) >= 1:
        raise ValueError(f"fraction must be below 1, so that something is left; got {fraction!r}.")


def _generator(rng: Any) -> np.random.Generator:
    """Refuse what is not a generator: nothing here draws from global state."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng must be a numpy.random.Generator, as numpy.random.default_rng(0) is; got "
            f"{type(rng).__name__}."
        )
    return rng
