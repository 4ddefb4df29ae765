"""Which rule should choose by default: a comparison written down before it was run.

Rules are the package's own (`edgedyn.predict.methods`), as `edgedyn.rank` calls them: last value,
level (the shrunken last value), best value, the paper's line (``capacitance``), the pooled rule,
and, where the records carry the score, the rank sum of last value and NASWOT
(``last_value_naswot``).

1. *Sources.* All committed zoos, candidate by candidate: weak candidates (17, three tasks, three
   seeds), close zoo (10, up to three tasks) with either reading of the probe and with a trained
   probe, cells of NAS-Bench-201 (samples of 30 and 20, one seed, seen in a small network; their
   truth is the benchmark's after 200 epochs of the full one), perceptrons of the regime map (26,
   three tasks, 20 seeds, either probe, either rate, trained until they interpolate). Validation
   accuracy on 50 to 1000 samples: where records keep which samples were right, random subsets of
   these; nested subsets as recorded for perceptrons; full size otherwise. After 2, 3, 5 and 10
   epochs; after one there is only the last value and, for cells, the rank sum.
2. *Choice.* On the tasks ``TUNED_ON`` (CIFAR-100's first half in all its zoos, perceptrons on
   digits) the rule with the largest mean lead over the last value, cells weighing the same, in the
   share of pairs in order. Scores that only NAS has do not take part.
3. *Verdict.* On all other tasks, cell by cell (source, validation size, epochs seen): single runs,
   mean over tasks, seeds and subsets; rho, share of pairs in order, regret; differences to the last
   value are paired, with bootstrap intervals over candidates and seeds. The chosen rule becomes the
   default if in every cell its interval of pairs in order lies above -``TOLERANCE`` and in one lies
   above 0. Otherwise the default is the last value. Families: no rule here learns anything from
   candidates outside the case at hand; rules that look at all candidates (level, pooled) are also
   judged with the candidate's own family hidden from them.

Writes ``chooser.md``, ``results/chooser.json`` and its sentence in ``docs/claims/verdicts.md``. Run
from the project's root, five minutes on a core: ``python -m validation.chooser``
"""

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import edgedyn as ed
from edgedyn._bits import unpack_bits
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.predict.bootstrap import interval, weighted_regret, weighted_rho, weighted_tau
from edgedyn.predict.methods import Curve, Sight, method_named
from papers.jiang2024.judging import headline

ROOT = Path(__file__).resolve().parents[1]
PAPER = ROOT / "papers" / "jiang2024"
HERE = Path(__file__).parent

YARDSTICK = "last_value"
RULES = ("last_value", "level", "best_value", "capacitance", "pooled")
NAS = "NAS cells"
WITH_SCORES = "last_value_naswot"  # judged where every record has the score
HIDDEN = ("level", "pooled")  # rules that look at all candidates
TUNED_ON = ("cifar100-a", "digits")
TOLERANCE = 0.02
OBSERVED = (1, 2, 3, 5, 10)
SIZES = (50, 100, 1000)
SUBSETS, DRAWS, SEED = 5, 300, 0
FAMILIES = ("mobilenetv2", "mobilenet", "squeezenet", "resnet", "vgg", "densenet", "cnn", "mlp")
METRICS = ("rho", "pairs", "regret")


@dataclass(frozen=True)
class Case:
    """Candidates side by side: one run of each, seen on so many validation samples."""

    source: str
    task: str
    seed: int
    n_validation: int
    curves: tuple
    families: tuple


def family_of(model):
    """Return what siblings share."""
    return next((f for f in FAMILIES if model.startswith(f)), model)


# Sources ----------------------------------------------------------------------------------------


def studies():
    """Yield cases of the committed studies, run by run."""
    for folder in sorted((PAPER / "records").iterdir()):
        name = folder.name
        if name.startswith("ablation") or name.endswith("-sizes"):
            continue
        runs = [r for r in ed.load_records(folder) if r.status == "completed"]
        longest = max((len(r.epochs) for r in runs), default=0)
        runs = [r for r in runs if len(r.epochs) == longest]
        if name == "nas":
            yield from nas_cells(runs)
            continue
        for seed in sorted({r.seed for r in runs}):
            of_seed = [r for r in runs if r.seed == seed]
            if len(of_seed) >= 5:
                yield from _of_seed(source_of(name), task_of(name), seed, of_seed)


def nas_cells(runs):
    """Yield both samples of cells; what is to be predicted is what the benchmark says of them."""
    samples = json.loads((PAPER / "results" / "nas.json").read_text())["samples"]
    for task, sample in samples.items():
        truth = sample["truth"]
        for case in _of_seed(NAS, task, 0, [r for r in runs if r.model in truth]):
            curves = tuple(replace(c, truth=truth[c.model]) for c in case.curves)
            yield replace(case, curves=curves)


def source_of(name):
    """Return the regime a study stands for."""
    kind = "close" if name.startswith("close-") else "weak"
    probe = next((p for p in ("statistics", "trained") if p in name), "identity")
    return f"{kind} candidates, {probe} probe"


def task_of(name):
    """Return the data set of a study."""
    name = name.removeprefix("close-")
    for part in ("-trained-probe", "-statistics", "-trained", "-slow"):
        name = name.removesuffix(part)
    return name


def _of_seed(source, task, seed, runs):
    """Yield one case a validation size and subset."""
    n = runs[0].provenance["data"]["validation"]
    families = tuple(family_of(r.model) for r in runs)
    curves = tuple(_curve(r) for r in runs)
    yield Case(source, task, seed, n, curves, families)
    if not all(e.val_correct for r in runs for e in r.epochs):
        return
    bits = [np.array([unpack_bits(e.val_correct) for e in r.epochs]) for r in runs]
    rng = np.random.default_rng([SEED, seed])
    for size in (s for s in SIZES if s < n):
        for _ in range(SUBSETS):
            at = rng.choice(n, size, replace=False)
            seen = tuple(
                replace(c, accuracy=b[:, at].mean(axis=1))
                for c, b in zip(curves, bits, strict=True)
            )
            yield Case(source, task, seed, size, seen, families)


def _curve(record):
    """Return a record's curve."""
    epochs = record.epochs
    return Curve(
        record.model,
        np.array([e.val_accuracy for e in epochs], float),
        np.array([e.beta_eff for e in epochs], float),
        record.scores,
        record.seed,
        float(epochs[-1].test_accuracy),
        training=np.array([e.measures.get("train_accuracy", np.nan) for e in epochs], float),
    )


def perceptrons():
    """Yield cases of the regime map's runs."""
    from papers.jiang2024.regime.candidates import CANDIDATES
    from papers.jiang2024.regime.runs import PROBES, RATES
    from papers.jiang2024.regime.runs import SIZES as NESTED

    names = list(CANDIDATES)
    families = tuple(f"{'-'.join(map(str, CANDIDATES[n].widths))}" for n in names)
    with np.load(PAPER / "results" / "regime_runs.npz") as file:
        keys = sorted({k.rsplit("/", 1)[0] for k in file if k.count("/") == 2})
        for key in keys:
            task, seed = key.split("/")
            block = {f: file[f"{key}/{f}"].astype(float) for f in ("accuracy", "beta", "test_late")}
            for p, probe in enumerate(PROBES):
                for k in range(len(RATES)):
                    for s, size in enumerate(NESTED):
                        curves = tuple(
                            Curve(name, block["accuracy"][p, k, c, s], block["beta"][p, k, c],
                                  truth=float(block["test_late"][p, k, c]))
                            for c, name in enumerate(names)
                        )  # fmt: skip
                        kept = 400 if task == "digits" and size == 1000 else size
                        yield Case(
                            f"perceptrons, {probe} probe", task, int(seed), kept, curves, families
                        )


# Judging ----------------------------------------------------------------------------------------


def predicted(case, observed, rule, hidden=False):
    """Return a rule's predictions; with `hidden`, siblings are hidden from it."""
    sight = Sight(observed, len(case.curves[0].accuracy), case.n_validation)
    at = range(len(case.curves))
    method = method_named(rule)
    if not hidden:
        return np.array([one.value for one in method.predict(case.curves, list(at), sight)])
    found = np.empty(len(case.curves))
    for k in at:
        kept = [k, *(j for j in at if case.families[j] != case.families[k])]
        some = [case.curves[j] for j in kept]
        found[k] = method.predict(some, [0], sight)[0].value
    return found


def measured(values, truth, weights):
    """Return the three metrics of every draw, higher is better; the regret with its sign turned."""
    kept = np.isfinite(values) & np.isfinite(truth)
    v, t, w = values[kept], truth[kept], weights[:, kept]
    return np.stack([weighted_rho(v, t, w), (1 + weighted_tau(v, t, w)) / 2,
                     -weighted_regret(np.where(kept, values, np.nan), truth, weights)])  # fmt: skip


def observations(cases):
    """Return what each rule reaches in each cell, draw by draw, and the seed it is of.

    Returns
    -------
    dict
        (part, source, n_validation, observed, rule) -> list of (task, seed, metrics)
    """
    found, drawn = defaultdict(list), {}
    for case in cases:
        n = len(case.curves)
        if (case.task, n) not in drawn:
            rng = np.random.default_rng([SEED, n, len(drawn)])
            some = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS)
            drawn[case.task, n] = np.vstack([np.ones(n, int), some])
        weights = drawn[case.task, n]
        truth = np.array([c.truth for c in case.curves])
        part = "tuned on" if case.task in TUNED_ON else "judged"
        longest = len(case.curves[0].accuracy)
        nas = case.source == NAS
        ahead = longest + nas  # the truth of cells lies beyond all epochs seen
        for observed in (k for k in OBSERVED if k < ahead):
            scored = all("naswot" in c.scores for c in case.curves)
            if observed == 1 and not scored:
                continue
            rules = (*(RULES if observed > 1 else (YARDSTICK,)), *([WITH_SCORES] if scored else []))
            by = {rule: predicted(case, observed, rule) for rule in rules}
            by |= {f"{rule}, family hidden": predicted(case, observed, rule, True)
                   for rule in HIDDEN if rule in rules and n <= 20 and not nas}  # fmt: skip
            for rule, values in by.items():
                cell = part, case.source, case.n_validation, observed, rule
                found[cell].append((case.task, case.seed, measured(values, truth, weights)))
    return found


def cells(found):
    """Return every cell's means and leads over the last value with intervals."""
    rows = []
    for (part, source, n, observed, rule), own in found.items():
        base = found[part, source, n, observed, YARDSTICK]
        own_mean, lead = _mean(own), _mean(own, base)
        row = {"part": part, "source": source, "n_validation": n, "observed": observed,
               "rule": rule, "cases": len(own)}  # fmt: skip
        for k, name in enumerate(METRICS):
            row[name] = float(own_mean[k, 0])
            row[f"{name}_lead"] = [float(lead[k, 0]), *interval(lead[k, 1:])]
        rows.append(row)
    return rows


def _mean(own, base=None):
    """Return the mean over tasks, and over seeds drawn task by task, of every draw."""
    rng = np.random.default_rng(SEED)
    by_task = defaultdict(lambda: defaultdict(list))
    for k, (task, seed, values) in enumerate(own):
        by_task[task][seed].append(values if base is None else values - base[k][2])
    means = []
    for by_seed in by_task.values():
        values = np.array([_known_mean(np.array(v)) for v in by_seed.values()])
        n = len(values)
        drawn = np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), size=DRAWS)])
        weights = drawn.T[:, None, :] * np.isfinite(values)
        total = (weights * np.nan_to_num(values)).sum(axis=0)
        means.append(total / np.where(weights.sum(axis=0) > 0, weights.sum(axis=0), np.nan))
    return _known_mean(np.array(means))


def _known_mean(values):
    """Return the mean along the first axis; a constant prediction has no rho, and is left out."""
    known = np.isfinite(values)
    n = known.sum(axis=0)
    return np.where(known, values, 0).sum(axis=0) / np.where(n > 0, n, np.nan)


# The verdict ------------------------------------------------------------------------------------


def choice(rows):
    """Return the rule chosen on the tuning tasks, and its mean lead in pairs there."""
    leads = defaultdict(list)
    for row in rows:
        if row["part"] == "tuned on" and row["rule"] in RULES and row["rule"] != YARDSTICK:
            leads[row["rule"]].append(row["pairs_lead"][0])
    means = {rule: float(np.mean(found)) for rule, found in leads.items()}
    return max(means, key=means.get), means


def verdict(rows, rule):
    """Return whether a rule becomes the default, and the cells for and against it."""
    judged = [r for r in rows if r["part"] == "judged" and r["rule"] == rule]
    against = [r for r in judged if not r["pairs_lead"][1] > -TOLERANCE]
    ahead = [r for r in judged if r["pairs_lead"][1] > 0]
    return not against and bool(ahead), against, ahead, judged


def sentence(result):
    """Say which rule is the default and why."""
    rule, word = result["chosen"], result["default"]
    n, against, ahead = result["n_cells"], result["n_against"], result["n_ahead"]
    start = (
        f"The rule with the largest lead on the tasks set apart for the choice is `{rule}`. On the "
        f"other tasks its lead over the last value in pairs in order is surely above 0 in {ahead} "
        f"of {n} cells, and not surely above -{TOLERANCE} in {against}"
    )
    return f"{start}: the default is `{word}`."


def of_rank_sum(rows):
    """Say, source by source, what the rank sum with NASWOT gains over the last value."""
    leads = defaultdict(list)
    for row in rows:
        if row["part"] == "judged" and row["rule"] == WITH_SCORES:
            leads[row["source"]].append(row["pairs_lead"])
    said = []
    for source, found in leads.items():
        means, lows, highs = zip(*found, strict=True)
        ahead, behind = sum(low > 0 for low in lows), sum(high < 0 for high in highs)
        said.append(
            f"{source} {min(means):+z.3f} to {max(means):+z.3f}, surely ahead in {ahead} of "
            f"{len(found)} and surely behind in {behind}"
        )
    return (
        f"`{WITH_SCORES}` adds the ranks by last value and by NASWOT; it is there by name. Lead in "
        f"pairs in order where records have the score: {'; '.join(said)}."
    )


def headline_of(result):
    """Return the sentence of the page of verdicts."""
    return (
        f"**Which rule chooses.** {sentence(result)} Every cell: "
        "[chooser.md](../../validation/chooser.md)."
    )


def run():
    """Judge all rules."""
    found = observations([*studies(), *perceptrons()])
    rows = cells(found)
    rule, means = choice(rows)
    passed, against, ahead, judged = verdict(rows, rule)
    return {"chosen": rule, "default": rule if passed else YARDSTICK, "tuning": means,
            "n_cells": len(judged), "n_against": len(against), "n_ahead": len(ahead),
            "rows": rows}  # fmt: skip


def page(result):
    """Return chooser.md."""
    rows = result["rows"]
    tuning = ", ".join(f"{r} {v:+.4f}" for r, v in sorted(result["tuning"].items(),
                                                          key=lambda one: -one[1]))  # fmt: skip
    parts = [
        "# Which rule chooses by default",
        "Made by `python -m validation.chooser` from committed records; what is done, and was "
        f"written down before, stands at its head. {sentence(result)}",
        f"Mean lead in pairs in order on the tuning tasks: {tuning}.",
        of_rank_sum(rows),
    ]
    for part in ("judged", "tuned on"):
        for source in dict.fromkeys(r["source"] for r in rows if r["part"] == part):
            some = [r for r in rows if r["part"] == part and r["source"] == source]
            parts += [f"## {source} ({part})", table(some)]
    return "\n\n".join(parts) + "\n"


def table(rows):
    """Return a source's cells as Markdown: last value, and the leads over it."""
    rules = list(dict.fromkeys(r["rule"] for r in rows if r["rule"] != YARDSTICK))
    keys = sorted({(r["n_validation"], r["observed"]) for r in rows})
    by = {(r["n_validation"], r["observed"], r["rule"]): r for r in rows}
    head = ["samples", "epochs", "pairs in order, last value", "its regret",
            *(f"{rule}: pairs; regret" for rule in rules)]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---:|" * len(head)]
    for n, k in keys:
        base = by[n, k, YARDSTICK]
        cells_ = [str(n), str(k), f"{base['pairs']:.3f}", f"{-base['regret']:z.3f}"]
        for rule in rules:
            row = by.get((n, k, rule))
            cells_.append("-" if row is None else _lead(row))
        lines.append("| " + " | ".join(cells_) + " |")
    return "\n".join(lines)


def _lead(row):
    """Return a lead in pairs with its interval, bold where sure, and the regret saved."""
    value, low, high = row["pairs_lead"]
    text = f"{value:+z.3f} ({low:+z.3f} .. {high:+z.3f})"
    text = f"**{text}**" if low > 0 or high < 0 else text
    return f"{text}; {-row['regret_lead'][0]:+z.3f}"


def main():
    """Run, write, print."""
    result = run()
    found = {**result, "environment": environment(), "seed": SEED}
    write_text(HERE / "results" / "chooser.json", to_json(found))
    write_text(HERE / "chooser.md", page(result))
    headline.put("chooser", headline_of(result))
    print(sentence(result))


if __name__ == "__main__":
    main()
