"""The paper's experiments in its own regime: tables from the committed records of close/run.py.

Writes ``results/close.json``: Table 1 in rank and in value (means over seeds and single runs; all
candidates and the close ones; 3, 5, 10 epochs), with fewer validation samples, ablations,
read-offs chosen on one task and judged on the others, coverage of `predict_final`, how far training
came, times; and ``close.md``, which says the same for people. Run:
``python -m papers.jiang2024.close.tables`` (some minutes on one core).
"""

from math import nan

import numpy as np
from scipy.stats import t as student

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from papers.jiang2024.close import readings
from papers.jiang2024.close import words as close_words
from papers.jiang2024.close.evidence import (
    SUBSETS,
    at_sizes,
    draws,
    family_of,
    groups,
    predictions,
    rank_and_value,
    sights,
    zoos,
)
from papers.jiang2024.close.rules import (
    CONTROLS,
    FORMS,
    LAST,
    MAIN,
    READ_OFFS,
    another,
    line_in,
    negative_beta,
)
from papers.jiang2024.close.rules import pooled_in as pooled
from papers.jiang2024.close.run import CANDIDATES, TASKS, VARIANTS, folder_of
from papers.jiang2024.judging import headline
from papers.jiang2024.judging.evidence import HERE, RESULTS

OBSERVED, MIDDLE = (3, 5, 10), 5
DRAWS, SEED = 1000, 0
N_VALIDATION = (500, 100, 50)
LEARNT = ("cl", "bgrn", "domhan")  # slow: from mean curves, only candidates are drawn
SCORES = ("logme", "h_score", "nce", "leep")
LEFT_OUT, LINES = "chosen, families left out", ("line (BIC)", "line, all epochs")
CHOICE = "cifar10"  # where read-offs are chosen; the other tasks judge
MEAN = "mean over tasks"
WINDOWS = {5: (1, 2, 3), 10: tuple(range(1, 9))}


def by_group(variant):
    """Return the studies of a variant by group of candidates."""
    found = {"all": [], "close": []}
    for zoo in zoos(variant):
        for group, part in groups(zoo):
            found[group].append(part)
    return {group: some for group, some in found.items() if some}


def judged(some, tables, labels, names=None):
    """Return a row for every rule, task by task and over all of them."""
    drawn = draws(some, DRAWS)
    parts = [([zoo], zoo.task) for zoo in some] + ([(some, MEAN)] if len(some) > 1 else [])
    rows = []
    for zoos_of, task in parts:
        cases = [(zoo, tables[zoo.task]) for zoo in zoos_of]
        for name in names or tables[some[0].task]:
            row = rank_and_value(cases, name, LAST, drawn)
            rows.append({**labels, "task": task, "method": name, **row})
    return rows


def table1(variant, over="mean"):
    """Return every rule's results beside the last value."""
    rows = []
    for group, some in by_group(variant).items():
        for k in OBSERVED:
            rules = {**MAIN, "negative_beta": negative_beta, **_scores(some[0])}
            tables = {zoo.task: predictions(zoo, rules, k, over) for zoo in some}
            labels = {"variant": variant, "group": group, "observed": k, "over": over}
            rows += judged(some, tables, labels)
    return rows


def _scores(zoo):
    """Return the training-free scores as rules; NaN for candidates without one."""
    return {name: (lambda s, n=name: s.scores[n]) for name in SCORES if name in zoo.scores}


def learnt(variant):
    """Return the results of methods that fit or learn curves, from curves averaged over seeds."""
    rows = []
    for group, some in by_group(variant).items():
        for k in OBSERVED:
            tables = {zoo.task: _ranked(zoo, k) for zoo in some}
            labels = {"variant": variant, "group": group, "observed": k, "over": "mean"}
            rows += judged(some, tables, labels, [n for n in LEARNT if n in tables[some[0].task]])
    return rows


def _ranked(zoo, observed):
    """Return what `edgedyn.rank` predicts, all seeds together."""
    names = [n for n in LEARNT if n != "domhan" or observed >= 5]
    ranking = ed.rank(
        zoo.records, names, observed=observed, n_validation=zoo.n_validation, n_bootstrap=1
    )
    truth = zoo.truth.mean(axis=0)
    found = {}
    for name in names:
        table = {r.model: r.prediction for r in ranking.rows if r.method == name}
        found[name] = {zoo.seeds: np.column_stack([[table[m] for m in zoo.models], truth])}
    found[LAST] = predictions(zoo, {LAST: MAIN[LAST]}, observed)[LAST]
    return found


def validation_sizes(variant):
    """Return the results on fewer validation samples: means over random parts of them."""
    rows = []
    names = ("capacitance", "capacitance, all epochs", "pooled")
    rules = {name: MAIN[name] for name in (*names, LAST)}
    for group, some in by_group(variant).items():
        drawn = draws(some, DRAWS // 4)
        for n in N_VALIDATION:
            for k in OBSERVED:
                rng = np.random.default_rng([SEED, n, k])
                found = {name: [] for name in rules}
                for _ in range(SUBSETS):
                    cases = []
                    for zoo in some:
                        part = zoo.subset(n, rng), n
                        cases.append((zoo, predictions(zoo, rules, k, accuracy=part)))
                    for name in rules:
                        found[name].append(rank_and_value(cases, name, LAST, drawn))
                for name, results in found.items():
                    row = {key: float(np.mean([r[key] for r in results])) for key in results[0]}
                    labels = {"variant": variant, "group": group, "observed": k, "n": n}
                    rows.append({**labels, "task": MEAN, "method": name, **row})
    return rows


def windows(variant):
    """Return the results of lines that begin at a fixed observation: Fig. 3b."""
    rows = []
    some = zoos(variant)
    for k, starts in WINDOWS.items():
        rules = {LAST: MAIN[LAST], "bic": line_in("beta_eff")}
        rules |= {str(t0): line_in("beta_eff", t0) for t0 in starts}
        tables = {zoo.task: predictions(zoo, rules, k) for zoo in some}
        rows += judged(some, tables, {"variant": variant, "group": "all", "observed": k})
    return rows


def sizes(variant):
    """Return the results on fewer training samples: Fig. 3c; the truth is that of all of them."""
    if variant != "identity":
        return []
    rows = []
    by_task = {zoo.task: at_sizes(zoo) for zoo in zoos(variant)}
    for n in sorted({n for found in by_task.values() for n in found}):
        some = [found[n] for found in by_task.values() if n in found]
        tables = {zoo.task: predictions(zoo, MAIN, MIDDLE) for zoo in some}
        rows += judged(some, tables, {"n_train": n})
    return rows


def ablations(variant):
    """Return the results of the line and of our rule in other regressors than beta_eff."""
    rows = []
    for group, some in by_group(variant).items():
        names = [n for n in (*FORMS, *CONTROLS) if all(n in zoo.measures for zoo in some)]
        for k in OBSERVED:
            rules = {LAST: MAIN[LAST]}
            for name in names:
                rules[f"line, {name}"] = line_in(name, 1)
                rules[f"pooled, {name}"] = pooled(name)
            rules["pooled, beta_eff, family left out"] = pooled("beta_eff", True)
            tables = {zoo.task: predictions(zoo, rules, k) for zoo in some}
            for zoo in some:
                tables[zoo.task]["line, another candidate's beta_eff"] = _others(zoo, k)
            labels = {"variant": variant, "group": group, "observed": k}
            rows += judged(some, tables, labels)
    return rows


def _others(zoo, observed):
    """Return the line's mean prediction over all other candidates' beta_eff."""
    shifts = range(1, len(zoo.models))
    found = [predictions(zoo, {"x": another(s, 1)}, observed)["x"] for s in shifts]
    return {choice: np.mean([f[choice] for f in found], axis=0) for choice in found[0]}


# Read-offs --------------------------------------------------------------------------------------


def read_offs(variant):
    """Choose a read-off on one task by its error, judge it on the others, families left out.

    A family's read-off is chosen by the candidates of the other families on the choosing task, over
    3, 5 and 10 epochs together.
    """
    some = {zoo.task: zoo for zoo in zoos(variant)}
    if CHOICE not in some or len(some) < 2:
        return {}
    chosen = _chosen(some[CHOICE])
    others = [zoo for task, zoo in some.items() if task != CHOICE]
    rows, beside, drawn = [], [], draws(others, DRAWS)
    for k in OBSERVED:
        tables = {}
        for zoo in others:
            found = predictions(zoo, READ_OFFS | {LAST: MAIN[LAST]}, k)
            found[LEFT_OUT] = {
                choice: np.vstack([found[chosen[family_of(m)]][choice][i]
                                   for i, m in enumerate(zoo.models)])
                for choice in found[LAST]
            }  # fmt: skip
            tables[zoo.task] = found
        rows += judged(others, tables, {"variant": variant, "observed": k})
        cases = [(zoo, tables[zoo.task]) for zoo in others]
        for line in LINES:
            row = rank_and_value(cases, LEFT_OUT, line, drawn)
            beside.append({"observed": k, "line": line, **row})
    errors = _choice_errors(some[CHOICE])
    return {"chosen": chosen, "on": CHOICE, "errors": errors, "rows": rows, "beside": beside}


def _choice_errors(zoo):
    """Return each read-off's error on the choosing task, mean over 3, 5 and 10 epochs."""
    return {
        name: float(np.mean([e.mean() for e in by_k]))
        for name, by_k in _errors_of(zoo).items()
    }  # fmt: skip


def _errors_of(zoo):
    """Return each read-off's absolute errors, by epochs observed, (n_models,)."""
    found = {name: [] for name in (*READ_OFFS, LAST)}
    for k in OBSERVED:
        whole = next(iter(sights(zoo, k)))
        _, sight, truth = whole
        for name in found:
            rule = READ_OFFS.get(name, MAIN[LAST])
            off = np.abs(np.clip(rule(sight), 0, 1) - truth)
            found[name].append(np.where(np.isfinite(off), off, 1.0))
    return found


def _chosen(zoo):
    """Return for each family the read-off with the least error on the other families."""
    errors = _errors_of(zoo)
    families = np.array([family_of(m) for m in zoo.models])
    chosen = {}
    for family in dict.fromkeys(families.tolist()):
        at = families != family
        score = {name: np.mean([e[at].mean() for e in by_k]) for name, by_k in errors.items()
                 if name != LAST}  # fmt: skip
        chosen[family] = min(score, key=score.get)
    return chosen


# What else --------------------------------------------------------------------------------------


def coverage(variant):
    """Return how often predict_final's intervals hold the final test accuracy, run by run.

    Student's t with the regressor's degrees of freedom; the truth's own sampling error is added.
    """
    rows = []
    for zoo in zoos(variant):
        n_test = zoo.records[0].provenance["data"]["test"]
        for k in OBSERVED:
            inside = {0.68: [], 0.95: []}
            for r in zoo.records:
                beta, accuracy = r.observed(k)
                if len(beta) < 3:
                    continue
                line = ed.NeuralCapacitanceRegressor(n_validation=zoo.n_validation)
                line.fit(np.array(beta)[:, None], accuracy)
                truth = r.final_test_accuracy
                spread = np.hypot(line.final_std_, np.sqrt(truth * (1 - truth) / n_test))
                for level, hits in inside.items():
                    reach = student.ppf(0.5 + level / 2, max(line.dof_, 1e-3)) * spread
                    hits.append(abs(line.final_ - truth) <= reach)
            rows.append(
                {"variant": variant, "task": zoo.task, "observed": k, "n": len(inside[0.68])}
                | {str(level): float(np.mean(hits)) for level, hits in inside.items()}
            )
    return rows


def convergence(variant):
    """Return how far training came: losses, accuracies and beta_eff at the end, per candidate."""
    rows = []
    for zoo in zoos(variant):
        m = zoo.measures
        for k, model in enumerate(zoo.models):
            beta = m["beta_eff"][:, k]
            rows.append(
                {
                    "variant": variant,
                    "task": zoo.task,
                    "model": model,
                    "train_loss": float(m["train_loss"][:, k, -1].mean()),
                    "sample_loss": float(m["sample_loss"][:, k, -1].mean()),
                    "sample_accuracy": float(m["sample_accuracy"][:, k, -1].mean()),
                    "beta_first": float(np.nanmean(beta[:, 0])),
                    "beta_last": float(np.nanmean(beta[:, -1])),
                    "validation": float(zoo.accuracy[:, k, -1].mean()),
                    "test": float(zoo.truth[:, k].mean()),
                    "seconds": _seconds(zoo, model),
                }
            )
    return rows


def _seconds(zoo, model):
    """Return medians over epochs and runs, the first epoch left out."""
    epochs = [e for r in zoo.records if r.model == model for e in r.epochs[1:]]
    train, beta = (
        float(np.median([getattr(e, name) for e in epochs])) if epochs else nan
        for name in ("train_seconds", "beta_seconds")
    )
    return {"train": train, "beta": beta, "c": beta / train}


def sources(variant):
    """Return which runs the numbers rest on."""
    return [
        {
            "variant": variant,
            "task": zoo.task,
            "models": zoo.models,
            "seeds": list(zoo.seeds),
            "epochs": zoo.n_epochs,
            "n_train": zoo.records[0].provenance["data"]["train"],
            "n_validation": zoo.n_validation,
            "n_test": zoo.records[0].provenance["data"]["test"],
            "folder": folder_of(zoo.task, variant),
        }
        for zoo in zoos(variant)
    ]


def all_run(rows):
    """Tell whether every task has all candidates: before that no page says anything of them."""
    main = [s for s in rows if s["variant"] == "identity"]
    return len(main) == len(TASKS) and all(len(s["models"]) == len(CANDIDATES) for s in main)


def main():
    """Compute everything and write both files."""
    output_folder(RESULTS)
    present = [v for v in VARIANTS if zoos(v)]
    if not present:
        raise SystemExit("there are no records yet; run close/run.py first.")
    result = {
        "environment": environment(),
        "bootstrap": {"draws": DRAWS, "seed": SEED, "subsets": SUBSETS},
        "sources": [row for v in present for row in sources(v)],
    }
    parts = {
        "table1": lambda v: table1(v) + table1(v, "run") + learnt(v),
        "validation": validation_sizes,
        "windows": windows,
        "sizes": sizes,
        "ablations": ablations,
        "coverage": coverage,
        "convergence": convergence,
    }
    for name, compute in parts.items():
        result[name] = []
        for variant in present:
            print(name, variant, flush=True)
            result[name] += compute(variant)
    result["readings"] = readings.compare(OBSERVED, DRAWS, MEAN)
    result["read_offs"] = {v: found for v in present if (found := read_offs(v))}
    write_text(RESULTS / "close.json", to_json(result) + "\n")
    write_text(HERE / "close.md", close_words.page(result))
    if all_run(result["sources"]):
        headline.write("close")
    if result["readings"]:
        headline.write("readings")


if __name__ == "__main__":
    main()
