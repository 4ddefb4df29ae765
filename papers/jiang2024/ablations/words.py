"""The page of the ablations: what `ablation_tables` found, in words and tables."""

from math import isfinite

from papers.jiang2024.ablations.retraining import retraining_page
from papers.jiang2024.ablations.trained import trained_page
from papers.jiang2024.judging.evidence import GROUPS, with_interval

OBSERVED, DEFAULT = (5, 10), "beta_eff"
FORMS = {
    DEFAULT: "magnitude, direct, kernels, 1024 samples (the default)",
    "beta_absolute": "absolute",
    "beta_signed": "signed",
    "beta_full": "full coupling (signed)",
    "beta_all_nodes": "all parameters as nodes",
    "beta_n256": "256 samples",
    "beta_n64": "64 samples",
}
CONTROLS = {
    "train_loss": "training loss",
    "train_error": "training error, 1 - accuracy",
    "val_loss": "validation loss",
    "mean_error": "mean prediction error",
    "gradient": "gradient norm",
    "feature_norm": "norm of the backbone's features",
    "inverse_epoch": "1/epoch: time alone",
    "log_epochs_left": "log(last epoch/epoch): time alone",
}
# What beta_eff may follow within a run.
SCALES = {
    "the norm of the backbone's features": ("feature_norm",),
    "the mean prediction error": ("mean_error",),
    "both": ("feature_norm", "mean_error"),
    "the gradient's norm": ("gradient",),
}
TITLES = {"line": "The paper's line", "pooled": "The pooled rule"}

HEAD = """# Ablations: which form of beta_eff carries information

Made by `python -m papers.jiang2024.ablations.tables`; numbers in `results/ablations.json`. Task
{task}, {n} candidates ({pretrained} of them pretrained), seeds {seeds}, {epochs} epochs. rho is
Spearman's against the final test accuracy, with its 95 % bootstrap interval over candidates and
seeds; the lead is over the last observed accuracy, on the same draws. Intervals are not widened
for the number of rows: of twenty that say nothing, one will look as if it did. A dash: no number,
because the form is degenerate (signed strengths into a softmax layer cancel, see theorem1.md (e)).
The pooled rule in time alone adds the same to all candidates, so that it ranks as the last value.
"""


def page(result):
    """Return the page."""
    source = result["sources"]
    parts = [
        HEAD.format(
            task=source["task"],
            n=len(source["models"]),
            pretrained=result["n_pretrained"],
            seeds=", ".join(map(str, source["seeds"])),
            epochs=source["epochs"],
        ),
        plain(result["rows"]),
        recommendation(result["verdict"]),
    ]
    for k in OBSERVED:
        for rule, title in TITLES.items():
            parts.append(f"## {title}, {k} epochs observed\n\n{_table(result['rows'], rule, k)}")
    parts.append(why_page(result))
    parts.append(trained_page(result["trained"]))
    parts.append(retraining_page(result["retraining"]))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def plain(rows):
    """Say in words what beats the last value, and what beats beta_eff in the same regression."""
    lines = []
    for row in rows:
        if row["name"] != DEFAULT or row["group"] != "all":
            continue
        k, rule = row["observed"], row["rule"]
        others = [r for r in rows if (r["group"], r["observed"], r["rule"]) == ("all", k, rule)]
        words = (
            f"In its place, better than it: {_those(others, 'over_default_low')}; better than the "
            f"last value: {_those(others, 'lead_low')}."
        )
        lines.append(
            f"- {TITLES[rule]} after {k} epochs {against_last(row)} (rho {with_interval(row)}, "
            f"lead {with_interval(row, 'lead')}). {words}"
        )
    return "With the default beta_eff, all candidates:\n\n" + "\n".join(lines)


def _those(rows, low):
    """Name the regressors with a lead whose interval is above 0."""
    names = [{**FORMS, **CONTROLS}[r["name"]] for r in rows if r[low] > 0]
    return "; ".join(names) or "nothing"


def against_last(row):
    """Return what the interval of a lead over the last value says."""
    if not isfinite(row["lead"]):
        return "has no prediction"
    if row["lead_low"] > 0:
        return "ranks better than the last value"
    if row["lead_high"] < 0:
        return "**ranks worse than the last value**"
    return "is not told apart from the last value"


def recommendation(found):
    """Return what the tables say of the default."""
    words = {
        "better": "better than the default",
        "worse": "worse",
        "same": "not told apart from it",
        "none": "without numbers in the zoo",
    }
    lines = [f"- {words[k]}: {', '.join(FORMS[n] for n in v)}" for k, v in found.items() if v]
    if found["better"]:
        advice = "**The default should change** to what is better in the list."
    else:
        advice = (
            "**The default stays**: magnitude strengths, direct coupling, kernels, 1024 samples. "
            "No other form beats it, and Theorem 1 is proved for magnitude strengths alone."
        )
    return (
        f"{advice} By the leads over the default for all candidates, with both rules, at "
        f"{OBSERVED[0]} epochs:\n\n" + "\n".join(lines)
    )


def _table(rows, rule, k):
    """Return forms and controls under one rule."""
    lines = [
        "| regressor | rho, all | lead | rho, pretrained | lead |",
        "|---|---|---|---|---|",
    ]
    wanted = {
        (r["name"], r["group"]): r for r in rows if r["observed"] == k and r["rule"] in (rule, None)
    }
    for name, words in {"last_value": "*last value*", **FORMS, **CONTROLS}.items():
        cells = [words]
        for group in GROUPS:
            row = wanted.get((name, group))
            cells += ["-", "-"] if row is None else [with_interval(row), with_interval(row, "lead")]
        if name == "last_value":
            cells[2] = cells[4] = ""
        if any(key[0] == name for key in wanted):
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def why_page(result):
    """Return the tests of explanations, one sentence each with what it finds."""
    parts = ["## Why: explanations, each tested"]
    for k, found in result["why"].items():
        lines = [f"After {k} epochs, all candidates, mean curves:\n"]
        lines += [f"- {line}" for line in _sentences(found)]
        parts.append("\n".join(lines))
        parts.append(_gain_table(found["gain"], k))
    scales = result["scale"]
    parts.append(
        "What beta_eff follows within a run (share of the variance of its logarithm that a line in "
        "the other's logarithm takes away, all epochs): "
        + ", ".join(f"{name} {share:.2f}" for name, share in scales.items())
        + "."
    )
    return "\n\n".join(parts)


def _sentences(found):
    """Yield one line a test: the question, and the answer in numbers."""
    fall, errors = found["fall"]["medians"], found["errors"]
    yield (
        "*Does beta_eff go to 0?* By the median candidate it is at "
        f"{fall['observed_to_first']:.2f} of its first value now and at "
        f"{fall['last_to_first']:.2f} after the last epoch, which is "
        f"{fall['last_to_observed']:.2f} of now; it is least in epoch {fall['epoch_of_least']:.0f}"
        f". The mean prediction error, which the theorem needs to vanish, ends at "
        f"{fall['last_mean_error']:.2f}."
    )
    yield (
        f"*Does accuracy rise as beta_eff falls?* In {errors['falling_slopes']} of "
        f"{errors['n_models']} candidates. Mean error of prediction (mean absolute error): "
        + ", ".join(
            f"{n.replace('_', ' ')} {errors['mean'][n]:+.3f} ({v:.3f})"
            for n, v in errors["mean_absolute"].items()
        )
        + "."
    )
    turned = found["falling"]
    yield (
        "*Is it the lines that slope the other way?* With the last value in their place: rho "
        f"{with_interval(turned)}, over the last value {with_interval(turned, 'lead')}, over the "
        f"lines as they are {with_interval(turned['over_line'], 'lead')}, which "
        + _gained(turned["over_line"])
        + "."
    )
    yield (
        "*Is it the distance of the extrapolation?* Rank correlation of last beta_eff in units of "
        f"its observed range with the line's absolute error: {with_interval(found['distance'])}."
    )
    oracle = found["oracle"]
    yield (
        "*Is reading off at 0 the fault?* With an oracle that reads off where beta_eff will end: "
        + "; ".join(
            f"{n} rho {with_interval(r)}, over the last value {with_interval(r, 'lead')}, over the "
            f"same rule read off at 0 {with_interval(r['over_zero'], 'lead')}, which "
            + _gained(r["over_zero"])
            for n, r in oracle.items()
        )
        + "."
    )
    yield (
        "*Does it matter whose beta_eff it is?* rho with every candidate's own beta_eff, and with "
        "another's (mean and central 95 % of shuffles; share of shuffles that do as well): "
        + "; ".join(
            f"{n} {s['own']:.2f} against {s['mean']:.2f} ({s['low']:.2f} .. {s['high']:.2f}; "
            f"{s['at_least']:.2f}), so that one's own beta_eff "
            + (
                "is better than another's"
                if s["at_least"] < 0.05
                else "is no better than another's"
            )
            for n, s in found["shuffled"].items()
        )
        + "."
    )


def _gained(judged):
    """Return what the interval of a lead over the same rule as it is says."""
    if judged["lead_high"] < 0:
        return "is a loss"
    return "is a gain" if judged["lead_low"] > 0 else "is not told apart from none"


def _gain_table(gains, k):
    """Return what tells how much accuracy is still to come."""
    names = {**FORMS, **CONTROLS, "accuracy": "accuracy itself; its rise since the first epoch"}
    lines = [
        f"*Does anything tell what is still to come after epoch {k}?* Rank correlation with final "
        "test accuracy minus last value, the only thing a rule can add. The last value's noise "
        "is in that difference, too, so that accuracy itself leans to the negative.\n",
        "| | last value of it | last over first |",
        "|---|---|---|",
    ]
    for name, kinds in gains.items():
        cells = [with_interval(kinds[kind]) for kind in ("level", "relative")]
        lines.append(f"| {names[name]} | {' | '.join(cells)} |")
    return "\n".join(lines)
