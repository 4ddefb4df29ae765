"""Choice: which candidates a ranking names, and how surely, from the samples each got right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edgedyn._plain import Plain
from edgedyn.predict.pairs import Lead, chances, lead

NOT_PAIRED = "not paired: which validation samples were right is not recorded for all candidates"


@dataclass(frozen=True)
class Choice(Plain):
    """The candidates that a ranking names.

    Parameters
    ----------
    chosen : tuple of str
        The first one, then those that cannot be told apart from it, in the ranking's order.
    leads : mapping of str to Lead
        Of the first over each other candidate, on the same validation samples.
    chance : mapping of str to float
        How probable it is that a candidate is the best on samples and seeds like these.
    within : tuple of float
        How probable it is that the best is among the first 1, 2, ... of the ranking.
    epochs : int
        After how many epochs the candidates were compared.
    status : str
        ``ok``, or why nothing can be said: then only the first is chosen.
    """

    chosen: tuple[str, ...]
    leads: Mapping[str, Lead]
    chance: Mapping[str, float]
    within: tuple[float, ...]
    epochs: int = 0
    status: str = "ok"

    @property
    def is_clear(self) -> bool:
        """Whether one candidate is told apart from all others."""
        return self.status == "ok" and len(self.chosen) == 1

    def __str__(self) -> str:
        first, *others = self.chosen
        if self.status != "ok":
            return f"{first}; {self.status}"
        if not self.leads:
            return f"{first}, the only candidate"
        if others:
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            lead_words = f"lead {_said(self.leads[others[0]])}"
            return f"{first} and {others[0]}{more} cannot be told apart ({lead_words})"
        name, nearest = min(self.leads.items(), key=lambda one: one[1].low)
        word = "ahead of" if nearest.value >= 0 else "although behind"
        return f"{first}, {word} {name} by {_said(nearest)}"


def choose(
    order: Sequence[str],
    correct: Mapping[str, ArrayLike],
    *,
    epochs: int = 0,
    confidence: float = 0.95,
    n_draws: int = 2000,
    seed: int | np.random.Generator = 0,
) -> Choice:
    """Say which candidates a ranking names: its first, and all that cannot be told apart from it.

    `order` has the best first. `correct` tells which validation samples each got right at the
    deciding epoch: bool, shape (n_samples,) or (n_seeds, n_samples), the same of all; with
    candidates missing there the first is chosen, and the status says that nothing is known of how
    surely. `confidence` is that of the paired intervals; for `n_draws` and `seed` see
    `edgedyn.predict.pairs.chances`.

    What is compared is the accuracy at the deciding epoch, by whatever rule the candidates were
    ordered. That two candidates are told apart there does not say that they end in this order.
    TypeError or ValueError for no candidates, unequal shapes, a confidence outside (0, 1).
    """
    if not order:
        raise ValueError("order is empty; give at least one candidate.")
    first = order[0]
    if len(order) == 1:
        return Choice((first,), {}, {first: 1.0}, (1.0,), epochs)
    if any(name not in correct for name in order):
        return Choice((first,), {}, {}, (), epochs, NOT_PAIRED)
    right = {name: correct[name] for name in order}
    leads = {name: lead(right[first], right[name], confidence) for name in order[1:]}
    near = [name for name, one in leads.items() if not one.is_clear]
    places = chances(right, n_draws=n_draws, seed=seed)
    chance = {name: float(found[0]) for name, found in places.items()}
    within = np.cumsum([chance[name] for name in order])
    certain = tuple(np.minimum(within, 1.0).tolist())
    return Choice((first, *near), leads, chance, certain, epochs)


def _said(one: Lead) -> str:
    """Return a lead with its interval."""
    return f"{one.value:.3f} ({one.low:+.3f} .. {one.high:+.3f})"
