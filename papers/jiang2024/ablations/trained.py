"""Does the rule work where the probe is trained? The zoo with either probe, side by side.

Theorem 1 wants interpolation, which a frozen random probe prevents; a trained one lets beta_eff
fall. From the records of ``zoo/run.py`` with ``--probe frozen`` and ``--probe trained``, the same
candidates and seeds of both. `ablation_tables` writes what is found.
"""

import numpy as np

from papers.jiang2024.ablations.explanations import fall, oracle
from papers.jiang2024.judging.evidence import FEWEST, evidence, judge, with_interval
from papers.jiang2024.judging.rules import (
    applied,
    by_choice,
    groups_of,
    last_value,
    line,
    mean_curves,
    pooled,
)
from papers.jiang2024.zoo.candidates import TRAINED

OBSERVED, SEED = (3, 5, 10), 0
RULES = {"last_value": last_value, "line": line, "pooled": pooled}
NAMES = {"last_value": "last value", "line": "the paper's line", "pooled": "the pooled rule"}


def trained_probe(task):
    """Return what methods are worth with either probe.

    Returns
    -------
    dict
        ``probes`` with a list of rows by kind; ``models``, ``seeds`` and ``pretrained`` that both
        have. Empty where fewer than three candidates have both.
    """
    try:
        both = {"frozen": evidence(task), "trained": evidence(task + TRAINED)}
    except ValueError as error:
        print(f"left out: {error}")
        return {}
    seeds = sorted(set.intersection(*(set(one.seeds) for one in both.values())))
    models = set.intersection(*(set(one.models) for one in both.values()))
    if len(models) < FEWEST:
        return {}
    both = {kind: one.only(seeds, models) for kind, one in both.items()}
    one = both["trained"]
    return {
        "task": task,
        "models": one.models,
        "seeds": seeds,
        "epochs": len(one.records[0].epochs),
        "n_pretrained": len(one.group("pretrained").models),
        "probes": {kind: {"end": end(one), "rows": rows(one)} for kind, one in both.items()},
    }


def end(found):
    """Return how far training and beta_eff have come after the last epoch; mean and median."""
    whole = mean_curves(found)[tuple(found.seeds)]
    falls = {k: fall(found.models, whole, k)["medians"] for k in OBSERVED}
    return {
        "test_accuracy": float(whole.truth.mean()),
        "train_loss": float(whole.measures["train_loss"][:, -1].mean()),
        "last_to_first": falls[OBSERVED[0]]["last_to_first"],
        "last_to_observed": {k: medians["last_to_observed"] for k, medians in falls.items()},
    }


def rows(found):
    """Return rho, lead over the last value, and errors of every rule, group and number of epochs.

    ``oracle`` is the lead of the rule that reads off where beta_eff will end, not at 0.
    """
    result = []
    for group, part, curves in groups_of(found):
        ends = {choice: c.measures["beta_eff"][:, -1] for choice, c in curves.items()}
        for k in OBSERVED:
            early = {choice: c.first(k) for choice, c in curves.items()}
            last = by_choice(early, applied(last_value))
            known = oracle(early, ends, part.seeds, np.random.default_rng(SEED))
            for name, rule in RULES.items():
                mine = by_choice(early, applied(rule))
                judged = judge(mine, last, part.seeds, np.random.default_rng(SEED))
                row = {"group": group, "observed": k, "rule": name, **judged}
                row |= _errors(mine[tuple(part.seeds)], last[tuple(part.seeds)])
                if name in known:
                    row["oracle"] = known[name]
                result.append(row)
    return result


def _errors(mine, last):
    """Return the mean absolute error, and how many candidates are nearer than the last value."""
    missed, yardstick = (abs(np.subtract(*table.T)) for table in (mine, last))
    return {"mae": float(np.nanmean(missed)), "nearer": int(np.sum(missed < yardstick))}


# Its part of the page ---------------------------------------------------------------------------


def trained_page(result):
    """Return the comparison, or that there is nothing yet."""
    title = "## The whole zoo with a trained probe"
    if not result:
        command = "python -m papers.jiang2024.zoo.run --task cifar100-a --probe trained"
        return f"{title}\n\nNot run yet: `{command}`."
    seeds = ", ".join(map(str, result["seeds"]))
    seeds = f"seeds {seeds}" if len(result["seeds"]) > 1 else f"seed {seeds}"
    parts = [
        f"{title}\n\n{result['task']}, {len(result['models'])} candidates "
        f"({result['n_pretrained']} pretrained), {seeds}, {result['epochs']} epochs; the "
        "frozen rows are of the same candidates and seeds. mae: mean absolute error of the "
        "unclipped prediction.",
        "\n".join(f"- {line}" for line in ends(result)),
        "\n".join(f"- {line}" for line in verdicts(result)),
        _table(result),
    ]
    return "\n\n".join(parts)


def ends(result):
    """Yield how far either probe lets training and beta_eff come."""
    for kind, probe in result["probes"].items():
        e = probe["end"]
        left = ", ".join(f"{v:.2f} of epoch {k}'s" for k, v in e["last_to_observed"].items())
        yield (
            f"Probe **{kind}**: mean test accuracy {e['test_accuracy']:.3f}, training loss "
            f"{e['train_loss']:.2f}; the median candidate's beta_eff ends at "
            f"{e['last_to_first']:.2f} of its first value ({left})."
        )


def verdicts(result):
    """Yield what the trained probe's leads over the last value say."""
    wanted = [r for r in result["probes"]["trained"]["rows"] if r["rule"] != "last_value"]
    for rule in ("line", "pooled"):
        leads = [r for r in wanted if r["rule"] == rule]
        better = sum(r["lead_low"] > 0 for r in leads)
        worse = sum(r["lead_high"] < 0 for r in leads)
        yield (
            f"With the trained probe, {NAMES[rule]} ranks better than the last value, interval "
            f"above 0, in {better} of {len(leads)} comparisons, worse in {worse}, and is not told "
            f"apart in {len(leads) - better - worse}; read off where beta_eff will end, it is "
            f"better in {sum(r['oracle']['lead_low'] > 0 for r in leads)} and worse in "
            f"{sum(r['oracle']['lead_high'] < 0 for r in leads)}."
        )


def _table(result):
    """Return a row a probe, group, number of epochs and rule."""
    lines = [
        "| probe | candidates | epochs | rule | rho | lead | lead, read off at the end | mae "
        "| nearer than last value |",
        "|---|---|---:|---|---|---|---|---:|---:|",
    ]
    sizes = {"all": len(result["models"]), "pretrained": result["n_pretrained"]}
    for kind, probe in result["probes"].items():
        for row in probe["rows"]:
            lead = known = nearer = ""
            if row["rule"] != "last_value":
                lead, known = (with_interval(r, "lead") for r in (row, row["oracle"]))
                nearer = f"{row['nearer']} of {sizes[row['group']]}"
            lines.append(
                f"| {kind} | {row['group']} | {row['observed']} | {NAMES[row['rule']]} "
                f"| {with_interval(row)} | {lead} | {known} | {row['mae']:.3f} | {nearer} |"
            )
    return "\n".join(lines)
