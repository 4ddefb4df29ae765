"""The universal collapse: full networks under three perturbations on the curve of one dimension.

Every mutualistic network (both projections) loses nodes or links or has its weights lowered, three
draws each; its full steady state from a low and a high start, averaged to x_eff, is compared with
the one-dimensional state at its beta_eff. The same for gene regulation on E. coli and yeast.
Relative error: ``|x_eff - x_predicted| / max(x_predicted, 1)``. Run:
``EDGEDYN_DATA=... python papers/gao2016/collapse.py`` (a minute on two cores).
"""

import numpy as np
from networks import RESULTS, finish, gao_networks

from edgedyn import reduction
from edgedyn.report import figures

FRACTIONS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)
COLUMNS = ("perturbation", "fraction", "start", "beta_eff", "x_eff", "x_predicted", "status")


def records():
    """Perturb every network; return one row a steady state."""
    rows = []
    for kind, name, matrix in gao_networks():
        study = reduction.perturb(
            matrix, getattr(reduction, kind)(), fractions=FRACTIONS, n_realisations=3, seed=0
        )
        rows += [
            {"name": name, "dynamics": kind, **{c: getattr(r, c) for c in COLUMNS}}
            for r in study.records
        ]
        print(f"{name}: {len(study.records)} states", flush=True)
    return rows


def errors(rows, kind, start):
    """Return the relative errors of converged states."""
    chosen = [
        r for r in rows
        if r["dynamics"] == kind and r["start"] == start and r["status"] == "converged"
    ]  # fmt: skip
    x, p = (np.array([r[key] for r in chosen]) for key in ("x_eff", "x_predicted"))
    return np.abs(x - p) / np.maximum(p, 1.0)


def draw(rows):
    """Draw all states on the two curves."""
    with figures.saved_figure(RESULTS / "collapse.png", columns=2, width=12, height=5) as (_, axes):
        for ax, kind in zip(axes, ("mutualistic", "gene_regulation"), strict=True):
            chosen = [r for r in rows if r["dynamics"] == kind and r["status"] == "converged"]
            curve = getattr(reduction, kind)().resilience_curve(
                np.linspace(0, 1.05 * max(r["beta_eff"] for r in chosen), 500)
            )
            figures.collapse(ax, curve, chosen)
            ax.set_title(kind.replace("_", " "))


def main():
    """Compute, draw, compare."""
    rows = records()
    numbers = {}
    for kind in ("mutualistic", "gene_regulation"):
        for start in ("low", "high"):
            found = errors(rows, kind, start)
            numbers[f"{kind}, {start}: median error"] = float(np.median(found))
            numbers[f"{kind}, {start}: share within 15 %"] = float(np.mean(found < 0.15))
    numbers["share converged"] = float(np.mean([r["status"] == "converged" for r in rows]))
    RESULTS.mkdir(exist_ok=True)
    draw(rows)
    finish("collapse", {"numbers": numbers, "rows": rows})


if __name__ == "__main__":
    main()
