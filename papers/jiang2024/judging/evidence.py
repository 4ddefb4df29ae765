"""The committed records of the zoo, and what methods predict from them.

``records/TASK/`` comes from zoo/run.py. A run that was cut short leaves candidates without some
seeds; a table must compare like with like, so it takes the first k seeds and the candidates that
have all of them, with k such that the most runs remain. Needs no TensorFlow.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import edgedyn as ed
from edgedyn.predict import lines
from papers.jiang2024.judging.bootstrap import choices_of as choices_of
from papers.jiang2024.judging.bootstrap import interval as interval
from papers.jiang2024.judging.bootstrap import judge as judge
from papers.jiang2024.judging.bootstrap import with_interval as with_interval
from papers.jiang2024.zoo.candidates import PRETRAINED, TASKS, ZOO

HERE = Path(__file__).resolve().parents[1]
RECORDS, RESULTS, FIGURES = HERE / "records", HERE / "results", HERE / "figures"
GROUPS = ("all", "pretrained")
# A second a candidate: predicted once, from the mean over all seeds and among all candidates.
SLOW = ("bgrn", "domhan")
FEWEST = 3  # candidates that a rank correlation takes
ENOUGH = 8  # ... and that a task needs to count beside others: its study may have only begun


@dataclass(frozen=True)
class Evidence:
    """The runs of one task that are compared.

    Parameters
    ----------
    task : str
    records : tuple of TrialRecord
        The same seeds for every candidate.
        Fewer where `dead.alive` has taken runs out.
    seeds : tuple of int
    n_validation : int
    left_out : dict of str to int
        Candidates without all seeds, and how many of their runs are left out.
    folder : Path, optional
        The study's.
    pretrained : frozenset of str
        Candidates with trained weights.
    """

    task: str
    records: tuple
    seeds: tuple[int, ...]
    n_validation: int
    left_out: dict[str, int]
    folder: Path | None = None
    pretrained: frozenset[str] = frozenset(PRETRAINED)

    @property
    def models(self):
        """Return the candidates' names, in the zoo's order."""
        return list(dict.fromkeys(r.model for r in self.records))

    @property
    def n_train(self):
        """Return the number of training samples."""
        return self.records[0].provenance["data"]["train"]

    def group(self, name):
        """Return the evidence of ``all`` candidates, or of the ``pretrained`` ones alone."""
        return self if name == "all" else self.only(self.seeds, self.pretrained)

    def only(self, seeds, models):
        """Return the evidence of some seeds and candidates."""
        kept = tuple(r for r in self.records if r.model in models and r.seed in seeds)
        return replace(self, records=kept, seeds=tuple(seeds))


def tasks():
    """Return the tasks that have records."""
    return [task for task in TASKS if has_records(RECORDS / task)]


def has_records(folder):
    """Tell whether a study's folder holds records, packed into one file or single ones."""
    return (folder / "records.jsonl").is_file() or any((folder / "records").glob("*.json"))


def all_evidence():
    """Return the evidence of every task that has enough candidates; say which have too few."""
    found = []
    for task in tasks():
        try:
            one = evidence(task)
        except ValueError as error:
            print(f"left out: {error}")
            continue
        if len(one.models) < ENOUGH:
            print(f"left out: {task} has {len(one.models)} complete candidates, not {ENOUGH} yet.")
            continue
        found.append(one)
    if not found:
        raise SystemExit("no task has enough records yet; run zoo/run.py first.")
    return found


def evidence(task, folder=None, *, order=tuple(ZOO), fewest=FEWEST):
    """Return the runs of a task that are compared.

    Parameters
    ----------
    task : str
    folder : Path, optional
        The study's; by default the task's among the committed records.
    order : sequence of str
        All candidates there may be.
    fewest : int

    Raises
    ------
    ValueError
        Where fewer candidates than `fewest` are complete.
    """
    folder = RECORDS / task if folder is None else folder
    done = [r for r in ed.load_records(folder) if r.status == "completed"]
    runs = {(r.model, r.seed): r for r in done}
    models, seeds = complete(runs, order)
    if len(models) < fewest:
        raise ValueError(f"{task} has {len(models)} complete candidates; it takes {fewest}.")
    gone = [m for m, s in runs if m not in models or s not in seeds]
    left_out = {m: gone.count(m) for m in dict.fromkeys(gone)}
    return _evidence(task, runs, models, seeds, left_out, folder)


def _evidence(task, runs, models, seeds, left_out, folder):
    """Return the evidence of some candidates and seeds."""
    kept = tuple(runs[m, s] for m in models for s in seeds)
    return Evidence(task, kept, seeds, kept[0].provenance["data"]["validation"], left_out, folder)


def complete(runs, order=tuple(ZOO)):
    """Return the candidates that have all of the first k seeds, and these, with the most runs.

    Parameters
    ----------
    runs : iterable of (str, int)
        Candidates and seeds.
    order : sequence of str
        All candidates there may be.
    """
    runs = set(runs)
    seeds = sorted({s for _, s in runs})
    models = sorted({m for m, _ in runs}, key=list(order).index)
    choices = []
    for k in range(1, len(seeds) + 1):
        whole = [m for m in models if all((m, s) in runs for s in seeds[:k])]
        choices.append((k * len(whole), k, whole))
    _, k, whole = max(choices, default=(0, 0, []))
    return whole, tuple(seeds[:k])


def at_sizes(found):
    """Return the evidence on fewer training samples, from the folder beside, ``TASK-sizes/``.

    Returns
    -------
    dict of int to Evidence
        By training samples, the full number included; the same candidates and seeds in all. Empty
        where there are no such records.
    """
    folder = found.folder.with_name(f"{found.folder.name}-sizes")
    if not has_records(folder):
        return {}
    by_size = {found.n_train: {(r.model, r.seed): r for r in found.records}}
    for r in ed.load_records(folder):
        if r.status == "early" and r.model in found.models and r.seed in found.seeds:
            by_size.setdefault(r.n_train, {})[r.model, r.seed] = r
    shared = set.intersection(*(set(runs) for runs in by_size.values()))
    models, seeds = complete(shared, found.models)
    return {
        n: _evidence(found.task, by_size[n], models, seeds, {}, folder) for n in sorted(by_size)
    }


# Predictions ------------------------------------------------------------------------------------


def truth(found, choice):
    """Return each candidate's final test accuracy, mean over the seeds of a choice.

    Runs that were left out do not count; NaN where none is left.
    """
    known = {(r.model, r.seed): r.final_test_accuracy for r in found.records}
    kept = [[known[m, s] for s in choice if (m, s) in known] for m in found.models]
    return np.array([np.mean(values) if values else np.nan for values in kept])


def predictions(found, methods, observed, *, over="mean", full=None):
    """Return what methods predict from the first epochs.

    Parameters
    ----------
    found : Evidence
    methods : sequence of str
    observed : int
    over : {"mean", "run"}
        From mean curves, for every choice of seeds (one may be drawn twice), or from each run.
    full : Evidence, optional
        Where the final accuracies come from; by default `found`.

    Returns
    -------
    dict of str to dict of tuple to ndarray, shape (n_models, 2)
        By method, then by the seeds that were averaged: prediction and truth of each candidate. Of
        mean curves, slow methods have the mean over all seeds only.
    """
    full = found if full is None else full.only(found.seeds, set(found.models))
    choices = choices_of(found.seeds) if over == "mean" else [(s,) for s in found.seeds]
    result = {method: {} for method in methods}
    for choice in choices:
        asked = [m for m in methods if m not in SLOW or choice == found.seeds or over == "run"]
        runs = [r for s in choice for r in found.records if r.seed == s]
        ranking = ed.rank(
            runs, asked, observed=observed, n_validation=found.n_validation, n_bootstrap=1
        )
        final = truth(full, choice)
        for method in asked:
            table = {r.model: r.prediction for r in ranking.rows if r.method == method}
            predicted = [table.get(m, np.nan) for m in found.models]
            result[method][choice] = np.column_stack([predicted, final])
    return result


def by_group(found, methods, observed, *, over="mean"):
    """Return the predictions among all candidates and among the pretrained ones alone.

    Methods that see the other candidates see those of the group; slow ones see all.

    Returns
    -------
    dict of str to (Evidence, dict)
        By group, those with too few candidates left out.
    """
    tables = predictions(found, methods, observed, over=over)
    result = {"all": (found, tables)}
    alone = found.group("pretrained")
    if len(alone.models) >= FEWEST:
        own = predictions(alone, [m for m in methods if m not in SLOW], observed, over=over)
        rows = [found.models.index(m) for m in alone.models]
        for method in set(methods) & set(SLOW):
            own[method] = {choice: t[rows] for choice, t in tables[method].items()}
        result["pretrained"] = (alone, own)
    return result


def accuracy_and_beta(found, choice):
    """Return each candidate's validation accuracy and beta_eff, mean over the seeds of a choice."""
    runs = {(r.model, r.seed): r.epochs for r in found.records}
    return {
        m: tuple(
            np.mean([[getattr(e, name) for e in runs[m, s]] for s in choice], axis=0)
            for name in ("val_accuracy", "beta_eff")
        )
        for m in found.models
    }


def from_window(found, observed, t0):
    """Return predictions of lines that begin at a fixed observation, as `predictions` does."""
    result = {}
    for choice in choices_of(found.seeds):
        curves = accuracy_and_beta(found, choice).values()
        accuracy, beta = (np.array(values)[:, :observed] for values in zip(*curves, strict=True))
        values = lines.fit(beta, accuracy, found.n_validation, t0).final
        result[choice] = np.column_stack([values, truth(found, choice)])
    return result


def seconds_per_epoch(found):
    """Return what an epoch's training and its beta_eff take, of each candidate.

    Medians over epochs and runs; the first epoch, which compiles, is left out.
    """
    rows = {}
    for model in found.models:
        epochs = [e for r in found.records if r.model == model for e in r.epochs[1:]]
        train, beta = (
            float(np.median([getattr(e, name) for e in epochs]))
            for name in ("train_seconds", "beta_seconds")
        )
        rows[model] = {"train": train, "beta": beta, "c": beta / train}
    return rows


def sources(found):
    """Return what a results file says of the records behind it."""
    study = json.loads((found.folder / "study.json").read_text("utf-8"))
    return {
        "task": found.task,
        "models": found.models,
        "seeds": list(found.seeds),
        "left_out": found.left_out,
        "epochs": len(found.records[0].epochs),
        "n_train": found.n_train,
        "n_validation": found.n_validation,
        "command": study["environment"]["command"],
    }
