"""The paper's figures in its own regime, from the records and results of the close zoo.

Figs. 2, 3a-c, 4, S1 and S3 as ``figures/close_*.png``, and what tells the two readings of the
frozen probe apart. Draws only; run close/tables.py first:
``python -m papers.jiang2024.close.figures``
"""

import json

import numpy as np

import edgedyn as ed
from edgedyn._files import output_folder
from edgedyn.predict import lines
from edgedyn.report import figures
from papers.jiang2024.close.evidence import predictions, zoos
from papers.jiang2024.close.rules import LAST, MAIN
from papers.jiang2024.close.words import MEAN, name_of
from papers.jiang2024.judging.evidence import FIGURES, RESULTS
from papers.jiang2024.judging.pages import those

SHOWN = ("mobilenet-0.5", "mobilenet-1.0", "mobilenetv2", "mobilenetv2-birds")
MIDDLE, GRID = 5, 50
FIG4 = ("capacitance", "capacitance, all epochs", LAST)


def results():
    """Return the results file, null as NaN."""
    path = RESULTS / "close.json"
    if not path.is_file():
        raise SystemExit("there is no close.json in results/; run close/tables.py first.")
    return json.loads(path.read_text("utf-8"))


def nan_for_null(row):
    """Return a row with NaN where JSON has null."""
    return {k: float("nan") if v is None else v for k, v in row.items()}


def figure2(zoo):
    """Draw four candidates: accuracy, beta_eff, and one against the other with the line."""
    models = {}
    for name in (m for m in SHOWN if m in zoo.models):
        k = zoo.models.index(name)
        accuracy = zoo.accuracy[:, k].mean(axis=0)
        beta = zoo.measures["beta_eff"][:, k].mean(axis=0)
        line = ed.NeuralCapacitanceRegressor(n_validation=zoo.n_validation)
        line.fit(beta[:MIDDLE, None], accuracy[:MIDDLE])
        grid = np.linspace(0, 1.05 * beta[:MIDDLE].max(), GRID)
        mean, band = line.band(grid[:, None])
        models[name] = {"accuracy": accuracy, "beta": beta, "line": (grid, mean, band),
                        "truth": zoo.truth[:, k].mean(), "t0": line.t0_}  # fmt: skip
    n = len(models)
    path = FIGURES / f"close_fig2_{zoo.task}_{zoo.variant}.png"
    with figures.saved_figure(path, n, 3, width=2.5 * n + 0.4, height=5.8) as (_, axes):
        figures.model_columns(axes, models, observed=MIDDLE)


def predicted(some, rule, over):
    """Return predictions and truths of one rule on several tasks."""
    found = {}
    for zoo in some:
        table = predictions(zoo, {rule: MAIN[rule]}, MIDDLE, over)[rule]
        keys = [zoo.seeds] if over == "mean" else [(s,) for s in zoo.seeds]
        found[zoo.task] = np.concatenate([table[key] for key in keys])
    return found


def figure3a(some):
    """Draw predictions from single runs."""
    found = predicted(some, "capacitance", "run")
    n = len(found)
    with figures.saved_figure(FIGURES / "close_fig3a.png", n, width=3.8 * n, height=4.6) as (_, ax):
        for panel, (task, table) in zip(ax, found.items(), strict=True):
            figures.predicted_against_true(panel, *table.T, task)
            panel.set_ylabel("predicted, single runs")


def figure4(some):
    """Draw predictions from mean curves by the main rules, one row a task."""
    n, rows = len(FIG4), len(some)
    size = {"width": 2.9 * n, "height": 3.0 * rows + 0.6}
    with figures.saved_figure(FIGURES / "close_fig4.png", n, rows, **size) as (_, axes):
        grid = axes.reshape(rows, n)
        for column, rule in zip(grid.T, FIG4, strict=True):
            for panel, (task, table) in zip(column, predicted(some, rule, "mean").items(),
                                            strict=True):  # fmt: skip
                figures.predicted_against_true(panel, *table.T, rule.replace("_", " "))
                panel.set_ylabel(f"{task}\npredicted" if column is grid.T[0] else "predicted")


def figure3b(result):
    """Draw rho against the line's first observation."""
    rows = [r for r in result["windows"] if r["method"].isdigit() and r["variant"] == "identity"]
    counts = list(dict.fromkeys(r["observed"] for r in rows))
    if not counts:
        return
    with figures.saved_figure(FIGURES / "close_fig3b.png", len(counts)) as (_, axes):
        for ax, n in zip(axes, counts, strict=True):
            series = {}
            for task in dict.fromkeys(r["task"] for r in rows if r["task"] != MEAN):
                some = [nan_for_null(r) for r in those(rows, observed=n, task=task)]
                series[task] = (
                    [int(r["method"]) for r in some],
                    *([r[name] for r in some] for name in ("rho", "rho_low", "rho_high")),
                )
            figures.rho_against_t0(ax, series).set_title(f"{n} epochs observed")


def figure3c(result):
    """Draw rho against the number of training samples."""
    rows = [nan_for_null(r) for r in result["sizes"]]
    tasks = list(dict.fromkeys(r["task"] for r in rows if r["task"] != MEAN))
    if not tasks:
        print("Fig. 3c: no records with fewer training samples, not drawn")
        return
    with figures.saved_figure(FIGURES / "close_fig3c.png", len(tasks)) as (_, axes):
        for ax, task in zip(axes, tasks, strict=True):
            series = {}
            for method in FIG4:
                some = those(rows, task=task, method=method)
                names = ("n_train", "rho", "rho_low", "rho_high")
                series[name_of(method)] = tuple([r[name] for r in some] for name in names)
            figures.rho_against_training_size(ax, series).set_title(task)


def errors(result):
    """Draw the error of the line and of the last value by epochs observed, one panel a variant."""
    rows = [r for r in result["table1"] if r["over"] == "mean" and r["group"] == "all"]
    variants = list(dict.fromkeys(r["variant"] for r in rows))
    n = len(variants)
    with figures.saved_figure(FIGURES / "close_errors.png", n, width=3.6 * n, height=3.8) as (
        _,
        ax,
    ):
        for panel, variant in zip(ax, variants, strict=True):
            some = those(rows, variant=variant)
            tasks = list(dict.fromkeys(r["task"] for r in some))
            some = those(some, task=MEAN if MEAN in tasks else tasks[0])
            for k, method in enumerate(FIG4):
                mine = those(some, method=method)
                x = [r["observed"] + 0.12 * (k - 1) for r in mine]
                y = np.array([r["error"] for r in mine])
                low, high = (np.array([r[f"error_{e}"] for r in mine]) for e in ("low", "high"))
                panel.errorbar(x, y, [y - low, high - y], marker="osD"[k], capsize=2,
                               color=figures.COLOURS[k], label=name_of(method))  # fmt: skip
            panel.set(title=variant, xlabel="epochs observed", ylabel="mean absolute error",
                      ylim=(0, None), xticks=[3, 5, 10])  # fmt: skip
        ax[0].legend(fontsize="small")


def figure_s1(result):
    """Draw all methods' rho and lead."""
    rows = [nan_for_null(r) for r in result["table1"]]
    rows = those(rows, variant="identity", over="mean", observed=MIDDLE)
    groups = list(dict.fromkeys(r["group"] for r in rows))
    size = {"width": 10, "height": 4.6 * len(groups)}
    with figures.saved_figure(FIGURES / "close_s1.png", 2, len(groups), **size) as (_, axes):
        for pair, group in zip(axes.reshape(-1, 2), groups, strict=True):
            some = those(rows, group=group)
            tasks = [t for t in dict.fromkeys(r["task"] for r in some) if t != MEAN]
            judged = {task: [{"status": "ok", **r} for r in those(some, task=task)]
                      for task in tasks}  # fmt: skip
            left, _ = figures.methods_compared(pair, judged)
            left.set_title(f"{group} candidates")


def figure_s3(result):
    """Draw the seconds an epoch takes."""
    rows = those(result["convergence"], variant="identity")
    tasks = list(dict.fromkeys(r["task"] for r in rows))
    n = len(tasks)
    with figures.saved_figure(FIGURES / "close_s3.png", n, width=4.5 * n, height=4.6) as (_, axes):
        for ax, task in zip(axes, tasks, strict=True):
            some = those(rows, task=task)
            took = [[r["seconds"][k] for r in some] for k in ("train", "beta")]
            figures.time_per_epoch(ax, [r["model"] for r in some], *took)
            ax.set_title(task, loc="left")


def overshoot(some):
    """Draw accuracy against beta_eff over all epochs, one panel a reading: where lines bend."""
    n = len(some)
    size = {"width": 4.2 * n, "height": 4.2}
    with figures.saved_figure(FIGURES / "close_overshoot.png", n, **size) as (_, axes):
        for ax, (variant, zoo) in zip(axes, some.items(), strict=True):
            for k, name in enumerate(m for m in SHOWN if m in zoo.models):
                at = zoo.models.index(name)
                beta = zoo.measures["beta_eff"][:, at].mean(axis=0)
                accuracy = zoo.accuracy[:, at].mean(axis=0)
                fit = lines.fit(beta[None, :MIDDLE], accuracy[None, :MIDDLE], zoo.n_validation, 1)
                colour = figures.COLOURS[k]
                ax.plot(beta, accuracy, "o-", markersize=3, color=colour, label=name)
                ends = np.array([0.0, beta[0]])
                ax.plot(ends, fit.final + fit.slope * ends, "--", linewidth=0.9, color=colour)
                ax.plot(0, zoo.truth[:, at].mean(), "*", color=colour, clip_on=False, markersize=9)
            ax.set(title=f"{variant}, {zoo.task}", xlabel="beta_eff", ylabel="validation accuracy")
            ax.set_xlim(0, None)
        axes[0].legend(fontsize="small", title="dashed: line of 5 epochs; star: test")


def main():
    """Draw everything."""
    output_folder(FIGURES)
    result = results()
    some = zoos("identity")
    for zoo in (*some, *zoos("statistics")[:1]):
        figure2(zoo)
    figure3a(some)
    figure4(some)
    for draw in (figure3b, figure3c, errors, figure_s1, figure_s3):
        draw(result)
    first = {v: found[0] for v in ("identity", "statistics", "trained") if (found := zoos(v))}
    overshoot(first)


if __name__ == "__main__":
    main()
