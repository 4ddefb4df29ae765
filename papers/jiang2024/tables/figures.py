"""The paper's figures, from the committed records and the results of tables/tables.py.

Fig. 2, 3a-c, 4 and Supplementary S1 and S3, as PNG in figures/. Draws only; run tables/tables.py
first:
``python -m papers.jiang2024.tables.figures``
"""

import json

import numpy as np

from edgedyn._files import output_folder
from edgedyn.predict import lines
from edgedyn.predict.methods import method_named
from edgedyn.report import figures
from papers.jiang2024.judging.evidence import (
    FIGURES,
    RESULTS,
    accuracy_and_beta,
    all_evidence,
    truth,
)
from papers.jiang2024.tables.tables import MAIN, MEAN

COLUMNS = 4  # candidates of Fig. 2
GRID = 50
SHOWN = ("capacitance", "pooled", "last_value")  # methods of Fig. 4; S1 has all
SINGLE = "capacitance"
GROUPS = {"all": "all candidates", "pretrained": "pretrained alone"}


def results(name):
    """Return a results file, null as NaN."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise SystemExit(f"there is no {path.name} in results/; run tables/tables.py first.")
    return json.loads(path.read_text("utf-8"))


def those(rows, **fields):
    """Return the rows that have these values."""
    return [row for row in rows if all(row[name] == value for name, value in fields.items())]


def tasks_of(rows):
    """Return the tasks of rows, the mean over them left out."""
    return [task for task in dict.fromkeys(row["task"] for row in rows) if task != MEAN]


# Curves -----------------------------------------------------------------------------------------


def column(found, accuracy, beta, final):
    """Return what Fig. 2 draws of a candidate."""
    line = lines.fit(beta[None, :MAIN], accuracy[None, :MAIN], found.n_validation)
    drawn, t0 = None, 1
    if line.n[0]:
        grid = np.linspace(0, 1.05 * np.nanmax(beta[:MAIN]), GRID)
        mean, band = line.band(grid[None])
        drawn, t0 = (grid, mean[0], band[0]), int(line.t0[0])
    return {"accuracy": accuracy, "beta": beta, "line": drawn, "truth": final, "t0": t0}


def figure2(found, folder=FIGURES):
    """Draw candidates from the worst to the best final accuracy, in even steps; mean curves."""
    curves, final = accuracy_and_beta(found, found.seeds), truth(found, found.seeds)
    steps = np.linspace(0, len(final) - 1, min(COLUMNS, len(final))).round().astype(int)
    chosen = np.argsort(final, kind="stable")[steps]
    models = {found.models[k]: column(found, *curves[found.models[k]], final[k]) for k in chosen}
    path = folder / f"fig2_{found.task}.png"
    n = len(models)
    with figures.saved_figure(path, n, 3, width=2.5 * n + 0.4, height=5.8) as (_, axes):
        figures.model_columns(axes, models, observed=MAIN)


# Predictions ------------------------------------------------------------------------------------


def figure3a(supplement, folder=FIGURES):
    """Draw predictions from single runs, all candidates."""
    rows = those(supplement["run_predictions"], method=SINGLE)
    names = tasks_of(rows)
    size = {"width": 3.8 * len(names), "height": 4.9}
    with figures.saved_figure(folder / "fig3a.png", len(names), **size) as (_, axes):
        for ax, task in zip(axes, names, strict=True):
            (judged,) = those(supplement["runs"], task=task, group="all", method=SINGLE)
            some = those(rows, task=task)
            (panel,) = figures.predicted_by_method([ax], {"rows": some, "methods": [judged]})
            label = method_named(SINGLE).label
            panel.set_title(panel.get_title().replace(label, task))
            panel.set_ylabel(f"predicted by {label}, single runs")


def figure4(table, folder=FIGURES):
    """Draw predictions from mean curves by the main methods, all candidates, one row a task."""
    names, n = tasks_of(table["rows"]), len(SHOWN)
    size = {"width": 2.6 * n, "height": 2.9 * len(names) + 0.9}
    with figures.saved_figure(folder / "fig4.png", n, len(names), **size) as (_, axes):
        for task, row in zip(names, axes.reshape(len(names), n), strict=True):
            judged = those(table["rows"], task=task, group="all", observed=MAIN)
            judged = [m for name in SHOWN for m in those(judged, method=name)]
            ranking = {"rows": those(table["predictions"], task=task), "methods": judged}
            figures.predicted_by_method(row, ranking)
            row[0].set_ylabel(f"{task}\npredicted")


# Rank correlations ------------------------------------------------------------------------------


def curve(rows, x):
    """Return a curve of rho with its band."""
    return tuple([row[name] for row in rows] for name in (x, "rho", "rho_low", "rho_high"))


def figure3b(supplement, folder=FIGURES):
    """Draw rho against the line's first observation, one panel a number of epochs."""
    rows = [{**r, "t0": int(r["t0"])} for r in supplement["windows"] if r["t0"] != "bic"]
    counts = list(dict.fromkeys(r["observed"] for r in rows))
    with figures.saved_figure(folder / "fig3b.png", len(counts)) as (_, axes):
        for ax, n in zip(axes, counts, strict=True):
            some = those(rows, observed=n)
            series = {task: curve(those(some, task=task), "t0") for task in tasks_of(some)}
            figures.rho_against_t0(ax, series).set_title(f"{n} epochs observed")


def figure3c(supplement, folder=FIGURES):
    """Draw rho against the number of training samples, one panel a task."""
    rows = supplement["sizes"]
    names = tasks_of(rows)
    if not names:
        print("Fig. 3c: no records with fewer training samples, not drawn")
        return
    with figures.saved_figure(folder / "fig3c.png", len(names)) as (_, axes):
        for ax, task in zip(axes, names, strict=True):
            some = those(rows, task=task)
            methods = list(dict.fromkeys(r["method"] for r in some))
            series = {
                method_named(m).label: curve(those(some, method=m), "n_train") for m in methods
            }
            figures.rho_against_training_size(ax, series).set_title(task)


def figure_s1(table, folder=FIGURES):
    """Draw all methods' rho and lead, among all candidates and among the pretrained ones."""
    rows = those(table["rows"], observed=MAIN)
    groups = list(dict.fromkeys(row["group"] for row in rows))
    size = {"width": 10, "height": 5 * len(groups)}
    with figures.saved_figure(folder / "s1.png", 2, len(groups), **size) as (_, axes):
        for pair, group in zip(axes.reshape(-1, 2), groups, strict=True):
            some = those(rows, group=group)
            judged = {task: those(some, task=task) for task in tasks_of(some)}
            left, right = figures.methods_compared(pair, judged)
            left.set_title(GROUPS[group])
            if group != groups[0] and right.get_legend() is not None:
                right.get_legend().remove()  # that of the first row serves all


def figure_s3(supplement, folder=FIGURES):
    """Draw the seconds an epoch takes, one panel a task."""
    rows = supplement["seconds_per_epoch"]
    names = tasks_of(rows)
    size = {"width": 4.5 * len(names), "height": 5.3}
    with figures.saved_figure(folder / "s3.png", len(names), **size) as (_, axes):
        for ax, task in zip(axes, names, strict=True):
            some = those(rows, task=task)
            figures.time_per_epoch(ax, *([r[k] for r in some] for k in ("model", "train", "beta")))
            ax.set_title(task, loc="left")  # the legend is on the right


def main():
    """Draw everything."""
    output_folder(FIGURES)
    table, supplement = results("table1"), results("supplementary")
    for found in all_evidence():
        figure2(found)
    for draw in (figure3a, figure3b, figure3c, figure_s3):
        draw(supplement)
    for draw in (figure4, figure_s1):
        draw(table)


if __name__ == "__main__":
    main()
