"""The close zoo's records as arrays, and judgements of rules in rank and in value.

A rule takes a `Sight`, what is seen of some candidates after the first epochs, and returns one
prediction a candidate. Sights are means over every choice of seeds, or single runs; validation
accuracy is that of all validation samples or of a random part of them. Needs no TensorFlow.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

import edgedyn as ed
from edgedyn._bits import unpack_bits
from papers.jiang2024.close.run import CANDIDATES, CLOSE, FAMILIES, TASKS, folder_of
from papers.jiang2024.judging.bootstrap import Draws, draw, interval, keys_of, paired
from papers.jiang2024.judging.evidence import HERE, choices_of, complete

FEWEST = 3
SUBSETS = 20  # random parts of the validation samples


@dataclass(frozen=True)
class Zoo:
    """The complete candidates of one study, the same seeds of each.

    Parameters
    ----------
    task, variant : str
    models : list of str
    seeds : tuple of int
    correct : ndarray of bool, shape (n_seeds, n_models, n_epochs, n_validation)
    measures : dict of str to ndarray, shape (n_seeds, n_models, n_epochs)
        ``beta_eff``, ``train_loss`` and what else was measured after every epoch.
    truth : ndarray, shape (n_seeds, n_models)
        Final test accuracy.
    scores : dict of str to ndarray, shape (n_seeds, n_models)
        Training-free scores.
    records : tuple of TrialRecord
    """

    task: str
    variant: str
    models: list
    seeds: tuple
    correct: np.ndarray
    measures: dict
    truth: np.ndarray
    scores: dict
    records: tuple

    @property
    def n_validation(self):
        """Return the number of validation samples."""
        return self.correct.shape[-1]

    @property
    def n_epochs(self):
        """Return the number of epochs."""
        return self.correct.shape[2]

    @cached_property
    def accuracy(self):
        """Return the validation accuracy on all samples, (n_seeds, n_models, n_epochs)."""
        return self.correct.mean(axis=-1)

    def only(self, models):
        """Return some of the candidates."""
        at = [self.models.index(m) for m in self.models if m in models]
        return replace(
            self,
            models=[self.models[k] for k in at],
            correct=self.correct[:, at],
            measures={name: values[:, at] for name, values in self.measures.items()},
            truth=self.truth[:, at],
            scores={name: values[:, at] for name, values in self.scores.items()},
            records=tuple(r for r in self.records if r.model in models),
        )

    def subset(self, n, rng):
        """Return the accuracies on n validation samples, drawn anew for each seed."""
        if n == self.n_validation:
            return self.accuracy
        drawn = [rng.choice(self.n_validation, n, replace=False) for _ in self.seeds]
        return np.stack([c[..., at].mean(axis=-1) for c, at in zip(self.correct, drawn,
                                                                   strict=True)])  # fmt: skip


@dataclass(frozen=True)
class Sight:
    """What is seen of some candidates after the first epochs.

    Parameters
    ----------
    models : list of str
    accuracy : ndarray, shape (n_models, observed)
    measures : dict of str to ndarray, shape (n_models, observed)
    n_validation : int
        Of one run, as `edgedyn.rank` has it.
    epochs : int
        At which training ends.
    scores : dict of str to ndarray, shape (n_models,)
    """

    models: list
    accuracy: np.ndarray
    measures: dict
    n_validation: int
    epochs: int
    scores: dict

    @property
    def beta(self):
        """Return beta_eff."""
        return self.measures["beta_eff"]


def load(task, variant="identity"):
    """Return the complete candidates of a study; None where there are too few.

    "Complete": all of the first k seeds, with k such that the most runs remain.
    """
    return load_runs(task, variant, completed(task, variant))


def completed(task, variant, status="completed"):
    """Return a study's records of one status; none where there is no study yet."""
    folder = HERE / folder_of(task, variant)
    if not folder.exists():
        return []
    return [r for r in ed.load_records(folder) if r.status == status]


def load_runs(task, variant, records):
    """Return the complete candidates among some records; None where there are too few."""
    runs = {(r.model, r.seed): r for r in records}
    models, seeds = complete(runs, list(CANDIDATES))
    if len(models) < FEWEST:
        return None
    kept = [[runs[m, s] for m in models] for s in seeds]
    return Zoo(
        task,
        variant,
        models,
        seeds,
        np.array([[[unpack_bits(e.val_correct) for e in r.epochs] for r in row] for row in kept]),
        _measures(kept),
        np.array([[r.final_test_accuracy for r in row] for row in kept]),
        {
            name: np.array([[r.scores[name] for r in row] for row in kept])
            for name in kept[0][0].scores
        },
        tuple(r for row in kept for r in row),
    )


def _measures(kept):
    """Return all numbers of every epoch as arrays."""
    names = set.intersection(*(set(e.measures) for row in kept for r in row for e in r.epochs))
    found = {
        name: np.array([[[e.measures[name] for e in r.epochs] for r in row] for row in kept], float)
        for name in sorted(names)
    }
    for name in ("beta_eff", "train_loss"):
        found[name] = np.array(
            [[[getattr(e, name) for e in r.epochs] for r in row] for row in kept], float
        )
    number = np.arange(1.0, found["beta_eff"].shape[-1] + 1)
    # Time alone: both are 0 where training ends, or would end.
    found["inverse_epoch"] = np.broadcast_to(1 / number, found["beta_eff"].shape)
    found["log_epochs_left"] = np.broadcast_to(np.log(number[-1] / number), found["beta_eff"].shape)
    return found


def zoos(variant="identity"):
    """Return the studies of a variant that have enough runs, in the tasks' order."""
    return [zoo for task in TASKS if (zoo := load(task, variant)) is not None]


def at_sizes(zoo):
    """Return a study on fewer training samples, by their number; the full one included.

    The same candidates and seeds in all, and the truth of the full one.
    """
    by_size = {}
    for r in completed(zoo.task, "sizes", "early"):
        by_size.setdefault(r.n_train, []).append(r)
    if not by_size:
        return {}
    by_size[zoo.records[0].n_train] = list(zoo.records)
    common = set.intersection(*({(r.model, r.seed) for r in rs} for rs in by_size.values()))
    found = {}
    for n in sorted(by_size):
        kept = [r for r in by_size[n] if (r.model, r.seed) in common]
        found[n] = load_runs(zoo.task, zoo.variant, kept)
    if any(one is None for one in found.values()):
        return {}
    full = found[max(found)]
    return {n: replace(one, truth=full.truth) for n, one in found.items()}


def groups(zoo):
    """Yield all candidates, and the close ones."""
    yield "all", zoo
    near = zoo.only(CLOSE)
    if len(near.models) >= FEWEST:
        yield "close", near


def family_of(model):
    """Return a candidate's family."""
    return next(name for name, members in FAMILIES.items() if model in members)


# Predictions ------------------------------------------------------------------------------------


def sights(zoo, observed, over="mean", accuracy=None):
    """Yield every choice of seeds, what is seen of it, and the truth.

    Parameters
    ----------
    zoo : Zoo
    observed : int
    over : {"mean", "run"}
        Means over all ways to draw as many seeds, or single runs.
    accuracy : ndarray, optional
        In place of the zoo's, from `Zoo.subset`, with the number of samples behind it.
    """
    values, n = (zoo.accuracy, zoo.n_validation) if accuracy is None else accuracy
    choices = choices_of(zoo.seeds) if over == "mean" else [(s,) for s in zoo.seeds]
    for choice in choices:
        at = [zoo.seeds.index(s) for s in choice]
        measures = {
            name: values[at, :, :observed].mean(axis=0) for name, values in zoo.measures.items()
        }
        sight = Sight(
            zoo.models,
            values[at, :, :observed].mean(axis=0),
            measures,
            n,
            zoo.n_epochs,
            {name: values[at].mean(axis=0) for name, values in zoo.scores.items()},
        )
        yield choice, sight, zoo.truth[at].mean(axis=0)


def predictions(zoo, rules, observed, over="mean", accuracy=None):
    """Return what rules predict.

    Parameters
    ----------
    rules : dict of str to callable
        Each takes a `Sight`.

    Returns
    -------
    dict of str to dict of tuple to ndarray, shape (n_models, 2)
        By rule, then by the seeds that were averaged: prediction and truth of each candidate.
    """
    found = {name: {} for name in rules}
    for choice, sight, truth in sights(zoo, observed, over, accuracy):
        for name, rule in rules.items():
            found[name][choice] = np.column_stack([rule(sight), truth])
    return found


# Judgements -------------------------------------------------------------------------------------


def draws(found, n):
    """Draw candidates and seeds for several zoos."""
    return draw(found, n)


def rank_and_value(cases, name, yardstick, drawn: Draws):
    """Judge a rule over tasks, in rank and in value, beside another.

    Parameters
    ----------
    cases : sequence of (Zoo, dict)
        Of each task, and the predictions of all rules.
    name, yardstick : str
    drawn : bootstrap.Draws

    Returns
    -------
    dict
        ``rho``, ``lead``; ``error``, the mean absolute error of the clipped values, ``gain``, the
        yardstick's error minus it (positive: nearer); each with ``_low`` and ``_high``, paired.
        Means over tasks; of single runs, means over the seeds drawn.
    """
    rho, lead, error, gain = [], [], [], []
    for zoo, tables in cases:
        at = [drawn.models.index(m) for m in zoo.models]
        weights, choices = drawn.weights[:, at], drawn.choices[zoo.task]
        ours, other = paired(tables[name], tables[yardstick], weights, choices)
        rho.append(ours)
        lead.append(ours - other)
        ours, other = _errors(tables[name], tables[yardstick], weights, choices)
        error.append(ours)
        gain.append(other - ours)
    values = {"rho": rho, "lead": lead, "error": error, "gain": gain}
    result = {"n_models": min(len(zoo.models) for zoo, _ in cases)}
    for key, parts in values.items():
        drawn_values = np.mean(parts, axis=0)
        result[key] = float(drawn_values[0])
        result[f"{key}_low"], result[f"{key}_high"] = interval(drawn_values[1:])
    return result


def _errors(ours, other, weights, choices):
    """Return the mean absolute errors of two rules in every draw, where both predict."""
    rows = {}
    for k, choice in enumerate(choices):
        rows.setdefault(choice, []).append(k)
    result = np.full((2, len(weights)), np.nan)
    for choice, at in rows.items():
        parts = []
        for key in keys_of(choice, choices[0], ours, other):
            (p, t), (q, u) = ours[key].T, other[key].T
            kept = np.isfinite(p) & np.isfinite(q)
            w = weights[at][:, kept]
            off = [np.abs(np.clip(v, 0, 1) - true)[kept] for v, true in ((p, t), (q, u))]
            size = np.where(w.sum(axis=1) > 0, w.sum(axis=1), np.nan)
            parts.append([w @ v / size for v in off])
        result[:, at] = np.mean(parts, axis=0)
    return result
