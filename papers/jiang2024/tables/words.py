"""The results files of tables/tables.py as Markdown; every number comes from them."""

from math import isfinite

from edgedyn.predict.methods import method_named
from papers.jiang2024.judging import dead_words
from papers.jiang2024.judging.bootstrap import with_interval
from papers.jiang2024.judging.pages import distinct, markdown

GROUPS = {
    "all": "all candidates",
    "pretrained": "pretrained candidates alone",
    "source": "candidates with a source head",
}
FEW = 10  # candidates below which a bootstrap of a rank correlation says little
ROUNDING = 1e-12  # of a difference of equal rhos


def page(table, supplement, title="The paper's experiments at our scale", made="zoo/run.py"):
    """Return tables.md.

    Parameters
    ----------
    table, supplement : dict
    title : str
    made : str
        What the records come from.
    """
    parts = [
        _head(table, title, made),
        _worse(table["rows"], supplement["runs"]),
        _table1(table),
    ]
    parts += [
        dead_words.section(table, markdown),
        _improvement(table["rows"]),
        _runs(supplement["runs"], table["rows"]),
        _windows(supplement["windows"]),
        _sizes(supplement["sizes"]),
        _times(supplement),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(table, title, made):
    """Say what was run and how the intervals were made."""
    where, level = table["environment"], table["bootstrap"]["level"]
    draws, version = table["bootstrap"]["draws"], where["edgedyn"]
    lines = [
        f"""# {title}: tables

Made by `tables/tables.py` from the records of `{made}` (edgedyn {version}, {where["date"][:10]});
do not edit. "rho" is Spearman's rank correlation of predicted and true final test accuracy of the
candidates, "lead" rho minus that of the last observed validation accuracy, both of curves averaged
over seeds. In brackets: {100 * level:.0f} % bootstrap intervals, {draws} draws of candidates and,
apart from them, of seeds; methods are paired, they see the same draws. Three things to know:

- `bgrn` and `domhan` are slow: only candidates were drawn for them, not seeds, and among the
  pretrained candidates `bgrn` has still learnt from all.
- The mean over tasks draws the same candidates in all tasks.
- Many numbers stand here: of twenty intervals one is expected to miss by chance.

`capacitance` is the paper's rule, `pooled` ours; the others are baselines. A dash: no prediction
(Domhan's curves need five epochs)."""
    ]
    columns = ["task", "candidates", "seeds", "epochs", "training", "validation", "left out (runs)"]
    rows = [
        [
            s["task"],
            len(s["models"]),
            len(s["seeds"]),
            s["epochs"],
            s["n_train"],
            s["n_validation"],
            ", ".join(f"{m} ({n})" for m, n in s["left_out"].items()) or "none",
        ]
        for s in table["sources"]
    ]
    lines.append(markdown(columns, rows))
    if any(len(s["seeds"]) == 1 for s in table["sources"]):
        lines.append("Where there is one seed, the intervals know nothing of the seeds' spread.")
    few = min((r["n_models"] for r in table["rows"] if r["status"] == "ok"), default=FEW)
    if few < FEW:
        lines.append(
            f"Some rows have as few as {few} candidates. Below {FEW}, resampling sees too little: "
            "take such intervals for too narrow."
        )
    return "\n\n".join(lines)


# Where ours lose --------------------------------------------------------------------------------


def verdict(row):
    """Return ``better``, ``worse`` (``surely`` if the interval excludes 0), or ``equal``."""
    if abs(row["lead"]) < ROUNDING:
        return "equal"
    side = "better" if row["lead"] > 0 else "worse"
    sure = row["lead_low"] > 0 if row["lead"] > 0 else row["lead_high"] < 0
    return f"{side}, surely" if sure else side


def _worse(rows, runs):
    """Say in words where our rules rank worse than the last value."""
    lines = ["## Against the last value, in words"]
    for method in ("capacitance", "pooled"):
        ours = [r for r in rows if r["method"] == method and isfinite(r["lead"])]
        counts = {}
        for row in ours:
            counts[verdict(row)] = counts.get(verdict(row), 0) + 1
        better = counts.get("better", 0) + counts.get("better, surely", 0)
        worse = counts.get("worse", 0) + counts.get("worse, surely", 0)
        lines.append(
            f"In {len(ours)} comparisons of Table 1 (tasks and their mean, groups, epochs), "
            f"`{method}` ranks better than the last value in {better}, worse in {worse} and "
            f"equally in {counts.get('equal', 0)}. The interval of the lead excludes 0 in "
            f"{counts.get('better, surely', 0)} of the better and {counts.get('worse, surely', 0)} "
            "of the worse ones."
        )
        lost = [r for r in ours if verdict(r).startswith("worse")]
        if lost:
            lines.append(
                f"`{method}` ranks worse than the last value:\n\n"
                + "\n".join(f"- {_sentence(row)}" for row in lost)
            )
    return "\n\n".join(lines)


def _sentence(row):
    """Say how much worse a method is than the last value."""
    n, lead = row["observed"], with_interval(row, "lead")
    last = row["rho"] - row["lead"]
    sure = "" if verdict(row).endswith("surely") else "; these runs do not tell them apart"
    return (
        f"{row['task']}, {GROUPS[row['group']]}, {n} epochs: rho {row['rho']:.2f} against "
        f"{last:.2f}, lead {lead}{sure}."
    )


# Tables -----------------------------------------------------------------------------------------


def _table1(table):
    """Return Table 1: task by task, all candidates, the pretrained and those with a source head."""
    source = table["source"] or {"rows": [], "without": {}}
    rows = [*table["rows"], *source["rows"]]
    observed = distinct(rows, "observed")
    columns = ["method", *[f"{word}, {n} epochs" for n in observed for word in ("rho", "lead")]]
    parts = ["## Table 1: how well every method ranks"]
    if source["rows"]:
        parts.append(_no_source(source["without"]))
    tasks = distinct(rows, "task")
    for task in [tasks[-1], *tasks[:-1]]:  # the mean over tasks, where there is one, first
        for group, word in GROUPS.items():
            some = [r for r in rows if r["task"] == task and r["group"] == group]
            if not some:
                continue
            n = max(r["n_models"] for r in some)
            count = f"{n} or more" if task.startswith("mean") else n
            lines = []
            for method in distinct(some, "method"):
                found = {r["observed"]: r for r in some if r["method"] == method}
                cells = [with_interval(found[k], w) for k in observed for w in ("rho", "lead")]
                if method == "last_value":
                    cells[1::2] = ["0"] * len(observed)
                lines.append([method_named(method).label, *cells])
            parts.append(f"### {task}, {word} ({count})\n\n" + markdown(columns, lines))
    return "\n\n".join(parts)


def _no_source(without):
    """Say who has no NCE and LEEP, and why."""
    reasons = {}
    for model, reason in without.items():
        reasons.setdefault(reason, []).append(model)
    said = "; ".join(f"{', '.join(models)} ({reason})" for reason, models in reasons.items())
    return (
        "NCE and LEEP ask the classifier of the source task what it sees in the new task's images. "
        "They stand in tables of their own, of the candidates that have one, with the other "
        "methods (but the two slow ones) among the same candidates beside them. Left out there: "
        f"{said}."
    )


def _improvement(rows):
    """Return the paper's relative improvement over the best baseline."""
    lines = []
    for row in rows:
        best = row.get("best_baseline")
        if best is None:
            continue
        lines.append(
            [
                row["task"],
                row["group"],
                row["observed"],
                method_named(row["method"]).label,
                f"{row['rho']:.2f}",
                f"{method_named(best['method']).label}, {best['rho']:.2f}",
                with_interval(best, "lead"),
                percent(best),
            ]
        )
    columns = ["task", "candidates", "epochs", "rule", "rho", "best baseline, its rho",
               "lead over it", "improvement"]  # fmt: skip
    return (
        "## Relative improvement over the best baseline\n\n"
        "The best baseline is the one with the highest rho in the same comparison, chosen after "
        "the fact, which favours it. The improvement is the lead over it divided by its rho, on "
        "the candidates both predict; a dash where that rho is not positive.\n\n"
        + markdown(columns, lines)
    )


def percent(found):
    """Return the improvement in per cent with its interval."""
    ends = [found[f"improvement{end}"] for end in ("", "_low", "_high")]
    if not all(map(isfinite, ends)):
        return "-"
    value, low, high = (100 * v for v in ends)
    return f"{value:+.0f} % ({low:+.0f} .. {high:+.0f})"


def _runs(runs, rows):
    """Return Supplementary S2: single runs beside means."""
    observed = runs[0]["observed"]
    known = {(r["task"], r["group"], r["method"]): r for r in rows if r["observed"] == observed}
    lines = []
    for run in runs:
        mean = known[run["task"], run["group"], run["method"]]
        label = method_named(run["method"]).label
        lines.append([run["task"], run["group"], label, with_interval(run),
                      with_interval(run, "lead"), with_interval(mean)])  # fmt: skip
    columns = ["task", "candidates", "method", "rho, single runs", "lead", "rho, mean curves"]
    return (
        f"## Supplementary S2: ranking from single runs, {observed} epochs\n\n"
        "Each run is ranked among those of its seed, against its own final accuracy; rho is the "
        "mean over seeds. The slow methods are left out.\n\n" + markdown(columns, lines)
    )


def _windows(rows):
    """Return Fig. 3b's numbers."""
    lines = [
        [r["task"], r["observed"], r["t0"], with_interval(r), with_interval(r, "lead")]
        for r in rows
    ]
    return (
        "## Fig. 3b: the line's first observation, all candidates\n\n"
        'With "bic" it is chosen for every curve, as in Table 1.\n\n'
        + markdown(["task", "epochs", "t0", "rho", "lead over the last value"], lines)
    )


def _sizes(rows):
    """Return Fig. 3c's numbers."""
    if not rows:
        return ""
    lines = [
        [r["task"], r["n_train"], method_named(r["method"]).label, r["n_models"], with_interval(r),
         with_interval(r, "lead")]
        for r in rows
    ]  # fmt: skip
    columns = ["task", "training samples", "method", "candidates", "rho", "lead"]
    return (
        "## Fig. 3c: fewer training samples, five epochs\n\n"
        "The truth is the final accuracy after training on all samples; candidates and seeds are "
        "the same at all sizes.\n\n" + markdown(columns, lines)
    )


def _times(supplement):
    """Return Supplementary Table S1."""
    lines = [
        [r["task"], r["model"], f"{r['train']:.2f}", f"{r['beta']:.3f}", f"{r['c']:.3f}",
         f"{r['observation']:.2f}", f"{r['with_training']:.2f}"]
        for r in supplement["seconds_per_epoch"]
    ]  # fmt: skip
    columns = ["task", "candidate", "training, s", "beta_eff, s", "c", "5 c", "5 (1 + c)"]
    took = supplement["seconds_per_method"]
    methods = [[method_named(r["method"]).label, seconds(r["seconds"])] for r in took["rows"]]
    where = supplement["environment"]
    return (
        "## Supplementary S3 and Table S1: what it costs\n\n"
        "Seconds an epoch, medians over epochs and runs without the first epoch, on a shared "
        "machine. c = T_beta / T_train; five observations of beta_eff cost 5 c epochs of training, "
        "with the training in between 5 (1 + c).\n\n"
        + markdown(columns, lines)
        + f"\n\nOne prediction from five epochs ({took['task']}, {where['cpu']}), fitting "
        "included; of training-free scores, the score itself:\n\n"
        + markdown(["method", "seconds"], methods)
    )


def seconds(value):
    """Return a time with two digits."""
    return f"{value:.2g}"
