"""How the error of the reduction grows with heterogeneity, on 236 real ecological networks.

Both projections of every network of the Web of Life (who meets whom, weights as the paper's
supplementary Eq. 25 makes them), mutualistic dynamics from a high start: the full steady state's
x_eff against the one-dimensional state at beta_eff, relative error against ``H / <s>``. Run:
``EDGEDYN_DATA=... python papers/gao2016/heterogeneity.py`` (a minute on two cores).
"""

import numpy as np
from networks import RESULTS, ecological_networks, finish
from scipy.stats import spearmanr

from edgedyn import reduction
from edgedyn.report import figures


def draw(spread, error):
    """Draw the errors against the heterogeneity."""
    with figures.saved_figure(RESULTS / "heterogeneity.png", width=6, height=4.5) as (_, axes):
        axes[0].plot(spread, error, ".", color=figures.COLOURS[0], alpha=0.6)
        axes[0].set(xlabel=r"heterogeneity $H / \langle s \rangle$", yscale="log",
                    ylabel="relative error of the reduction")  # fmt: skip
        axes[0].set_title(f"{len(error)} projections of 236 ecological networks")


def main():
    """Solve every network, full and reduced."""
    system = reduction.mutualistic()
    rows = []
    for name, matrix in ecological_networks():
        reduced = reduction.reduce(matrix)
        if reduced.status != "ok":
            rows.append({"name": name, "status": reduced.status})
            continue
        full = reduction.steady_state(matrix, system, "high")
        predicted = reduction.steady_state_1d(reduced.beta_eff, system, "high")
        found = reduced.x_eff(full.x)
        rows.append(
            {
                "name": name,
                "status": full.status,
                "n_nodes": reduced.n_nodes,
                "beta_eff": reduced.beta_eff,
                "relative_heterogeneity": reduced.heterogeneity / reduced.mean_strength,
                "x_eff": found,
                "x_predicted": predicted,
                "error": abs(found - predicted) / max(predicted, 1.0),
            }
        )
    solved = [r for r in rows if r["status"] == "converged"]
    error, spread = (np.array([r[k] for r in solved]) for k in ("error", "relative_heterogeneity"))
    numbers = {
        "networks": float(len(rows)),
        "share solved": len(solved) / len(rows),
        "median error": float(np.median(error)),
        "share within 15 %": float(np.mean(error < 0.15)),
        "rho of error and heterogeneity": float(spearmanr(error, spread).statistic),
    }
    RESULTS.mkdir(exist_ok=True)
    draw(spread, error)
    finish("heterogeneity", {"numbers": numbers, "rows": rows})


if __name__ == "__main__":
    main()
