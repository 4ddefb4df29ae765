"""results/close.json as Markdown; every number comes from it."""

from math import isfinite

from edgedyn.predict.methods import method_named
from papers.jiang2024.judging.bootstrap import with_interval
from papers.jiang2024.judging.pages import distinct, markdown, those
from papers.jiang2024.tables.words import verdict

GROUPS = {"all": "all candidates", "close": "close candidates"}
PROBES = {
    "identity": "frozen probe, batch norms as the identity",
    "statistics": "frozen probe, batch norms whose statistics follow the batches",
    "trained": "trained probe",
    "slow": "frozen probe (identity), learning rate 2e-4",
}
LAST, MEAN = "last_value", "mean over tasks"
SEEDS, PLANNED = 5, 150  # asked for, with three tasks and ten candidates
MAIN = ("capacitance", "capacitance, all epochs", "pooled", "negative_beta")
CONVERGED = 0.3  # nats: below it a run counts as converged
ROUNDING = 1e-12


def page(result):
    """Return close.md."""
    parts = [
        _head(result),
        _convergence(result["convergence"]),
        _verdict(result["table1"]),
        _readings(result["readings"]),
        _table1(result["table1"], "mean"),
        _table1(result["table1"], "run"),
        _validation(result["validation"]),
        _windows(result["windows"]),
        _sizes(result["sizes"]),
        _ablations(result["ablations"]),
        _read_offs(result["read_offs"]),
        _coverage(result["coverage"]),
        _times(result["convergence"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def tasks_of(rows):
    """Return the tasks of rows; the mean over them first, where there is one."""
    found = distinct(rows, "task")
    return sorted(found, key=lambda task: task != MEAN)


def value(row, name, digits=3):
    """Return ``0.049 (0.031 .. 0.070)``; gains and leads with a sign."""
    numbers = [row[name + end] for end in ("", "_low", "_high")]
    if any(v is None or not isfinite(v) for v in numbers):
        return "-"
    sign = "+" if name in ("gain", "lead") else ""
    one, low, high = (f"{v:{sign}.{digits}f}" for v in numbers)
    return f"{one} ({low} .. {high})"


def nearer(row):
    """Return ``nearer`` or ``further``, with ``surely`` where the interval excludes 0."""
    if abs(row["gain"]) < ROUNDING:
        return "equal"
    side = "nearer" if row["gain"] > 0 else "further"
    sure = row["gain_low"] > 0 if row["gain"] > 0 else row["gain_high"] < 0
    return f"{side}, surely" if sure else side


def _head(result):
    """Say what was run and how the intervals were made."""
    where, draws = result["environment"], result["bootstrap"]["draws"]
    columns = ["probe", "task", "candidates", "seeds", "epochs", "training", "validation", "test"]
    rows = [
        [s["variant"], s["task"], len(s["models"]), len(s["seeds"]), s["epochs"], s["n_train"],
         s["n_validation"], s["n_test"]]
        for s in result["sources"]
    ]  # fmt: skip
    said = "\n".join(f"- `{name}`: {text}" for name, text in PROBES.items())
    return f"""# The paper's own regime: real backbones that train to convergence

Made by `close/tables.py` from the records of `close/run.py` (edgedyn {where["edgedyn"]},
{where["date"][:10]}); do not edit. "rho" is Spearman's rank correlation of predicted and true final
test accuracy, "lead" rho minus that of the last observed validation accuracy; "error" is the mean
absolute error of the clipped values, "gain" the last value's error minus it (positive: the rule is
nearer). In brackets 95 % bootstrap intervals, {draws} draws of candidates and, apart from them, of
seeds, paired. `capacitance` is the paper's rule with the window that the BIC chooses,
`capacitance, all epochs` its line through all observations, `pooled` ours, `negative_beta` the
ranking by minus the last beta_eff (no accuracy, so that it has no error). Below ten candidates a
bootstrap sees too little: take the intervals for too narrow.

{said}

{_cut(result["sources"])}{markdown(columns, rows)}"""


def _cut(rows):
    """Say what was cut of the plan: seeds, images, the other probes and the rate on all tasks."""
    main = [s for s in rows if s["variant"] == "identity"]
    runs = sum(len(s["models"]) * len(s["seeds"]) for s in main)
    few = [f"{s['task']} has {len(s['seeds'])}" for s in main if len(s["seeds"]) < SEEDS]
    seeds = f" ({', '.join(few)} of {SEEDS} seeds)" if few else ""
    return (
        f"**Cut**, for two cores: {main[0]['n_train']} training images a task (the pilot had "
        f"1500), {runs} of {PLANNED} runs of `identity`{seeds}, the other probes and the low rate "
        "on the tasks and seeds below; ResNet-56 was left out. With one or two seeds the "
        "intervals see how candidates differ, hardly how seeds do.\n\n"
    )


def _convergence(rows):
    """Say how far training came."""
    parts = ["## Did they converge?"]
    for variant in distinct(rows, "variant"):
        some = those(rows, variant=variant)
        n = sum(r["sample_loss"] < CONVERGED for r in some)
        fall = sorted(r["beta_last"] / r["beta_first"] for r in some)
        parts.append(
            f"`{variant}`: in {n} of {len(some)} pairs of candidate and task the training loss "
            f"(inference mode) ends below {CONVERGED}; beta_eff ends at {fall[len(fall) // 2]:.3f} "
            "of its first value (median)."
        )
    columns = ["probe", "task", "candidate", "loss, dropout on", "loss", "training accuracy",
               "beta_eff, first", "last", "validation", "test"]  # fmt: skip
    lines = [
        [r["variant"], r["task"], r["model"], f"{r['train_loss']:.2f}", f"{r['sample_loss']:.3f}",
         f"{r['sample_accuracy']:.3f}", f"{r['beta_first']:.3g}", f"{r['beta_last']:.3g}",
         f"{r['validation']:.3f}", f"{r['test']:.3f}"]
        for r in rows
    ]  # fmt: skip
    return "\n\n".join([*parts, "After the last epoch, means over seeds:",
                        markdown(columns, lines)])  # fmt: skip


def _verdict(rows):
    """Count in how many comparisons the paper's rule ranks better and is nearer."""
    parts = ["## Against the last value, in words"]
    for variant in distinct(rows, "variant"):
        for method in ("capacitance", "capacitance, all epochs", "pooled"):
            some = [r for r in those(rows, variant=variant, method=method, over="mean")
                    if isfinite(r["lead"]) and isfinite(r["gain"])]  # fmt: skip
            if not some:
                continue
            rank = [verdict(r) for r in some]
            near = [nearer(r) for r in some]
            parts.append(
                f"- `{variant}`, `{method}`: of {len(some)} comparisons (tasks and their mean, "
                f"groups, epochs) it ranks {_count(rank, 'better')}, {_count(rank, 'worse')}; in "
                f"value it is {_count(near, 'nearer')}, {_count(near, 'further')}."
            )
    return parts[0] + "\n\n" + "\n".join(parts[1:])


def _readings(compared):
    """Return how the two readings of the frozen probe compare."""
    if compared is None:
        return ""
    rows, found = compared["rows"], compared["default"]
    columns = ["task", "candidates", "seeds", "epochs", "method", "rho, identity",
               "rho, statistics", "lead", "error, identity", "error, statistics",
               "gain"]  # fmt: skip
    lines = []
    for row in sorted(rows, key=lambda r: r["task"] != MEAN):
        cells = [row["task"], GROUPS[row["group"]], row["seeds"], row["observed"]]
        cells += [name_of(row["method"]), f"{row['identity_rho']:.2f}", f"{row['rho']:.2f}"]
        cells += [with_interval(row, "lead"), f"{row['identity_error']:.3f}"]
        lines.append([*cells, f"{row['error']:.3f}", value(row, "gain")])
    return (
        "## Which reading of the frozen probe?\n\nThe same trials with both: lead and gain are "
        "those of `statistics` over `identity`, each judged by its own final accuracies. Of "
        f"{found['comparisons']} comparisons of the two lines (mean over tasks, in rank and in "
        f"value) `statistics` is surely better in {found['better']}, surely worse in "
        f"{found['worse']}: the default is `{found['name']}` (the rule for this is in "
        "`close/readings.py`).\n\n" + markdown(columns, lines)
    )


def _count(said, word):
    """Return ``better in 3 (1 surely)``."""
    sure = sum(s == f"{word}, surely" for s in said)
    return f"{word} in {sum(s.startswith(word) for s in said)} ({sure} surely)"


def _table1(rows, over):
    """Return Table 1, in rank and in value."""
    rows = those(rows, over=over)
    title = {
        "mean": "## Table 1: curves averaged over seeds",
        "run": "## Supplementary S2: single runs",
    }
    parts = [title[over]]
    for variant in distinct(rows, "variant"):
        for task in tasks_of(those(rows, variant=variant)):
            for group, word in GROUPS.items():
                some = those(rows, variant=variant, task=task, group=group)
                if not some or (over == "run" and task != MEAN and len(tasks_of(rows)) > 1):
                    continue
                parts.append(
                    f"### `{variant}`, {task}, {word} ({some[0]['n_models']})\n\n" + _table(some)
                )
    return "\n\n".join(parts)


def _table(some):
    """Return one table: rank and value of every method by epochs observed."""
    ks = distinct(some, "observed")
    columns = ["method", *[f"{what}, {k} epochs" for k in ks for what in ("rho", "lead", "error",
                                                                          "gain")]]  # fmt: skip
    lines = []
    for method in distinct(some, "method"):
        found = {r["observed"]: r for r in some if r["method"] == method}
        cells = []
        for k in ks:
            row = found.get(k)
            if row is None:
                cells += ["-"] * 4
                continue
            no_accuracy = method in ("negative_beta", "logme", "h_score", "nce", "leep")
            cells += [with_interval(row), with_interval(row, "lead") if method != LAST else "0"]
            cells += ["-", "-"] if no_accuracy else [value(row, "error"), value(row, "gain")]
            if method == LAST:
                cells[-1] = "0"
        if all(c == "-" for c in cells):
            continue
        lines.append([name_of(method), *cells])
    return markdown(columns, lines)


def name_of(method):
    """Return a method's name for people."""
    head, comma, rest = method.partition(", ")
    return method_named(head).label + comma + rest


def _validation(rows):
    """Return the table of fewer validation samples."""
    parts = [
        "## Fewer validation samples\n\nAccuracies on random parts of the validation samples, the "
        "same for all candidates and epochs of a seed; means over 20 parts, over tasks."
    ]
    for variant in distinct(rows, "variant"):
        for group, word in GROUPS.items():
            some = those(rows, variant=variant, group=group)
            if not some:
                continue
            columns = ["samples", "epochs", "method", "rho", "lead", "error", "gain"]
            lines = [
                [r["n"], r["observed"], name_of(r["method"]), with_interval(r),
                 with_interval(r, "lead"), value(r, "error"), value(r, "gain")]
                for r in some
            ]  # fmt: skip
            parts.append(f"### `{variant}`, {word}\n\n" + markdown(columns, lines))
    return "\n\n".join(parts)


def _windows(rows):
    """Return Fig. 3b's numbers."""
    lines = [
        [r["variant"], r["task"], r["observed"], r["method"], with_interval(r),
         with_interval(r, "lead"), value(r, "gain")]
        for r in rows
        if r["method"] != LAST and r["task"] == (MEAN if any(q["task"] == MEAN for q in rows)
                                                 else r["task"])
    ]  # fmt: skip
    columns = ["probe", "task", "epochs", "first observation", "rho", "lead", "gain"]
    return "## Fig. 3b: the line's first observation\n\n" + markdown(columns, lines)


def _sizes(rows):
    """Return Fig. 3c's numbers."""
    if not rows:
        return ""
    lines = [
        [r["task"], r["n_train"], name_of(r["method"]), with_interval(r), with_interval(r, "lead"),
         value(r, "error"), value(r, "gain")]
        for r in rows
    ]  # fmt: skip
    columns = ["task", "training samples", "method", "rho", "lead", "error", "gain"]
    return (
        "## Fig. 3c: fewer training samples, five epochs\n\nThe truth is the final accuracy after "
        "training on all samples; candidates and seeds are the same at all sizes.\n\n"
        + markdown(columns, lines)
    )


def _ablations(rows):
    """Return the table of other regressors."""
    has_mean = any(r["task"] == MEAN for r in rows)
    some = [r for r in rows if not has_mean or r["task"] == MEAN]
    parts = [
        "## Other regressors than beta_eff\n\nThe line through all epochs, and the pooled rule, "
        "in other forms of beta_eff and in what is no beta_eff at all."
    ]
    for variant in distinct(some, "variant"):
        for group, word in GROUPS.items():
            kept = those(some, variant=variant, group=group)
            if kept:
                parts.append(f"### `{variant}`, {word}\n\n" + _table(kept))
    return "\n\n".join(parts)


def _read_offs(found):
    """Return what other read-offs do."""
    if not found:
        return ""
    parts = ["## Other read-offs: does one repair the line?"]
    for variant, one in found.items():
        ranked = sorted(one["errors"].items(), key=lambda item: item[1])
        best = ", ".join(f"{name} {error:.3f}" for name, error in ranked)
        chosen = "; ".join(f"{family}: {name}" for family, name in one["chosen"].items())
        parts.append(
            f"### `{variant}`\n\nMean absolute error on {one['on']} (3, 5 and 10 epochs together), "
            f"where the choice is made: {best}. Chosen without the family itself: {chosen}. On the "
            "other tasks, which played no part:"
        )
        rows = one["rows"]
        has_mean = any(r["task"] == MEAN for r in rows)
        parts.append(_table([r for r in rows if not has_mean or r["task"] == MEAN]))
        parts.append(_beside_the_line(one["beside"]))
    return "\n\n".join(parts)


def _beside_the_line(rows):
    """Say whether the chosen read-off wins: surely nearer than both lines after 3, 5, 10 epochs."""
    near = [nearer(row) for row in rows]
    said = [f"{value(row, 'gain')} against {row['line']} after {row['observed']} epochs"
            for row in rows]  # fmt: skip
    wins = all(one == "nearer, surely" for one in near)
    end = "it wins" if wins else "it does not win in every one and stays on this page"
    return (
        f"Beside the lines themselves, paired, the chosen read-off is {_count(near, 'nearer')} and "
        f"{_count(near, 'further')} of {len(rows)}, so that {end}; gains: {'; '.join(said)}."
    )


def _coverage(rows):
    """Return how often the intervals hold."""
    lines = [
        [r["variant"], r["task"], r["observed"], r["n"], f"{r['0.68']:.2f}", f"{r['0.95']:.2f}"]
        for r in rows
    ]
    return (
        "## Coverage of `predict_final`\n\nShare of single runs whose final test accuracy lies in "
        "the interval that the line states (Student's t, the test's own sampling error added). "
        "Too low a share means: the interval holds only where the line does.\n\n"
        + markdown(["probe", "task", "epochs", "runs", "68 %", "95 %"], lines)
    )


def _times(rows):
    """Return what an epoch and its beta_eff take."""
    lines = [
        [r["variant"], r["task"], r["model"], f"{r['seconds']['train']:.2f}",
         f"{r['seconds']['beta']:.3f}", f"{r['seconds']['c']:.3f}"]
        for r in rows
    ]  # fmt: skip
    return (
        "## S3: what it costs\n\nSeconds an epoch on one core of a shared machine, medians; c is "
        "beta_eff's share of the training's time.\n\n"
        + markdown(["probe", "task", "candidate", "training", "beta_eff", "c"], lines)
    )
