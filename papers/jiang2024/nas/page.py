"""The results of nas/tables.py and nas/search.py as nas.md; every number comes from them."""

import json
from math import nan
from pathlib import Path

from edgedyn._files import write_text

HERE = Path(__file__).resolve().parents[1]
KINDS = {"curve": "early epochs", "proxy": "ours", "table": "tabulated", "count": "counted"}


def write():
    """Write nas.md from the results that are there."""
    found = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name in ("nas", "nas_search")
        if (path := HERE / "results" / f"{name}.json").is_file()
    }
    parts = [_head(found["nas"])] if "nas" in found else []
    if "nas" in found:
        for sample, one in found["nas"]["samples"].items():
            parts += [f"## Sample: {sample}", _sample(one), _winners(one), _table(one["rows"])]
    if "nas_search" in found:
        parts.append(_search(found["nas_search"]))
    write_text(HERE / "nas.md", "\n\n".join(parts) + "\n")


# The study --------------------------------------------------------------------------------------


def _head(found):
    """Say what was run."""
    images, skeleton, where = found["images"], found["skeleton"], found["training"]
    seeds = ", ".join(map(str, found["seeds"]))
    return f"""# The sixth benchmark: cells of NAS-Bench-201

Made by `nas/tables.py` and `nas/search.py` from the records of `nas/run.py` and NASLib's table of
724 cells (Dong and Yang, ICLR 2020; Krishnakumar et al., NeurIPS 2022); do not edit. A cell's truth
is its tabulated validation accuracy on CIFAR-10 after the benchmark's 200 epochs. What is seen of
it here: {found["epochs"]} epochs from random weights of a network with {skeleton["channels"]}
channels and {skeleton["n_cells"]} cell a stage (the benchmark has 16 and 5), on {images["train"]}
images of {images["size"]}x{images["size"]} pixels, through the frozen probe; validation on
{images["validation"]}; seeds: {seeds}. beta_eff of the network is that of all its layers on
{found["network_samples"]} images.

rho and tau are Spearman's and Kendall's rank correlations with the truth; "lead" is rho minus that
of the last value after as many epochs as the method's time allows (at least one). In brackets 95 %
intervals over cells, {found["bootstrap"]["draws"]} draws. Seconds are the median cell's, as they
passed on {where["cpu"]}, compilation in the first epoch and in every
proxy included; those of the tabulated proxies are their authors', on the full network. Signs are
as published: a negative rho may be a good proxy upside down."""


def _sample(one):
    """Say which cells there are."""
    low, high = one["accuracy"]
    reached = one["reached"]
    text = (
        f"{one['cells']} cells with true accuracies from {low:.4f} to {high:.4f}; here they "
        f"reached {reached[0]:.3f} to {reached[1]:.3f}."
    )
    if one["without_beta"]:
        text += f" {one['without_beta']} never had a finite beta_eff; no rule ranks them."
    if one["missing"]:
        text += f" Without records: {', '.join(one['missing'])}."
    return text


def _winners(one):
    """Say in plain words who wins at equal compute."""
    rows = [r for r in one["rows"] if r["status"] == "ok"]
    lasts = {r["epochs"]: r for r in rows if r["method"] == "last_value"}
    lines = ["Who wins at equal compute:", ""]
    free = [r for r in rows if r["kind"] in ("proxy", "table", "count")]
    if free and lasts:
        best = max(free, key=lambda r: r["rho"])
        lines.append(
            f"- *Before training*: of {len(free)}, {_named(best)} orders best, which was not known "
            f"before: rho {best['rho']:.2f}; the last value after "
            f"{_epochs(best['against_epochs'])} has {_against(best, lasts):.2f}. {_verdict(best)}"
        )
    for k in sorted({r["epochs"] for r in rows if _rule(r)}):
        group = [r for r in rows if _rule(r) and r["epochs"] == k]
        best = max(group, key=lambda r: r["rho"])
        paper = next((r for r in group if r["method"] == "capacitance, probe"), None)
        for row in [best] if paper in (None, best) else [paper, best]:
            lines.append(
                f"- *{k} epochs with beta_eff*: {_named(row)} has rho {row['rho']:.2f}, the last "
                f"value after {_epochs(row['against_epochs'])}, in no more time, "
                f"{_against(row, lasts):.2f}. {_verdict(row)}"
            )
    whole = max(rows, key=lambda r: r["rho"], default=None)
    if whole is not None:
        lines.append(
            f"- Of all methods here, {_named(whole)} orders these cells best: rho "
            f"{_interval(whole)}, for {whole['seconds']:.1f} s a cell."
        )
    return "\n".join(lines)


def _rule(row):
    """Whether a row reads beta_eff."""
    return row["kind"] == "curve" and row["method"] != "last_value"


def _named(row):
    """Return a method's name in words."""
    name = row["method"].replace("_", " ").replace("beta eff", "beta_eff")
    return f"`{name}`" + (f" after {_epochs(row['epochs'])}" if row["epochs"] else "")


def _epochs(n):
    """Return a number of epochs in words."""
    return f"{n} epoch" if n == 1 else f"{n} epochs"


def _against(row, lasts):
    """Return the last value's rho at equal compute."""
    return lasts[row["against_epochs"]]["rho"] if row["against_epochs"] in lasts else nan


def _verdict(row):
    """Say what the lead's interval allows to say."""
    low, high = row["lead_low"], row["lead_high"]
    if low is None or high is None:
        return "There is no interval."
    where = f"lead {_interval(row, 'lead')}"
    if low > 0:
        return f"It is ahead ({where})."
    if high < 0:
        return f"It is behind ({where})."
    return f"The two cannot be told apart ({where})."


def _table(rows):
    """Return all numbers of a sample."""
    lines = [
        "| method | epochs | kind | seconds | cells | rho | tau | lead | regret of the first 3 |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        name = row["method"].replace("_", " ").replace("beta eff", "beta_eff")
        cells = [name, row["epochs"], KINDS[row["kind"]], f"{row['seconds']:.1f}", row["n_models"]]
        if row["status"] == "ok":
            cells += [_interval(row), _interval(row, "tau"), _interval(row, "lead")]
            cells.append(f"{row['regret_top3']:.4f}")
        else:
            cells += [row["status"], "", "", ""]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _interval(row, name="rho"):
    """Return ``0.71 (0.40 .. 0.88)``."""
    values = [row[name + end] for end in ("", "_low", "_high")]
    if None in values:
        return "-"
    sign = "+" if name == "lead" else ""
    value, low, high = (f"{v:{sign}.2f}" for v in values)
    return f"{value} ({low} .. {high})"


# The search -------------------------------------------------------------------------------------


def _search(found):
    """Return the section about the searches."""
    parts = [
        f"""## Search

`ed.search`, Optuna's successive halving, replayed {found["seeds"]} times among the cells that have
records: a seed decides the order of the cells, so that the intervals (95 %, over seeds) say nothing
of other cells or other trainings. Halving begins after the first or after the third epoch (the
paper's line needs three, and is the last value before); `random` lets chance decide. Accuracy is
the tabulated one of the cell that leads when so many epochs have been spent; "lead" is against the
last value with the same order."""
    ]
    for sample, one in found["samples"].items():
        parts += [
            f"### Sample: {sample}",
            f"{one['cells']} cells; the best has {one['best']:.4f}, the mean is {one['mean']:.4f}.",
            _search_words(one["rows"]),
            _search_table(one["rows"]),
        ]
    return "\n\n".join(parts)


def _search_words(rows):
    """Say which rules find better cells than the last value, at half of the epochs."""
    lines = []
    for row in rows:
        if row["share"] == 0.5 and row["rule"] != "last_value":
            low, high = row["lead"]["low"], row["lead"]["high"]
            word = "better than" if low > 0 else "worse than" if high < 0 else "no different from"
            name = row["rule"].replace("_", " ")
            lines.append(
                f"- Halving from epoch {row['first']}, after {row['epochs']} epochs: `{name}` is "
                f"{word} the last value ({_mean(row['lead'], '+')})."
            )
    return "\n".join(lines)


def _search_table(rows):
    """Return accuracies by rule and epochs spent."""
    shares = list(dict.fromkeys(r["share"] for r in rows))
    spent = [next(r["epochs"] for r in rows if r["share"] == s) for s in shares]
    columns = ["rule", "halving from", "epochs in all", *(f"after {n}" for n in spent)]
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    for rule, first in dict.fromkeys((r["rule"], r["first"]) for r in rows):
        own = [r for r in rows if (r["rule"], r["first"]) == (rule, first)]
        cells = [rule.replace("_", " "), first, f"{own[0]['spent']:.0f}"]
        cells += [_mean(r["accuracy"]) for r in own]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _mean(found, sign=""):
    """Return a mean and its interval."""
    value, low, high = (f"{found[k]:{sign}.4f}" for k in ("mean", "low", "high"))
    return f"{value} ({low} .. {high})"
