"""The regime map's two figures. Draws only."""

from itertools import product

import numpy as np

from edgedyn.report.figures.style import COLOURS, legend_below, saved_figure
from papers.jiang2024.judging.pages import those
from papers.jiang2024.regime.candidates import POOLS
from papers.jiang2024.regime.cells import BETA_POOLS, ENDS, ENDS_IN_WORDS, OBSERVED, REPEATS
from papers.jiang2024.regime.page import counted
from papers.jiang2024.regime.runs import PROBES, RATES

SHORT = {"interpolated": "interp.", "early": "early"}
MEASURES = {
    "lead": ("median lead in rank", 0.8),
    "gain": ("median gain in mean absolute error", 0.25),
}
RANKED = {
    "beta": r"$-\beta_{eff}$",
    "last": "last value",
    "loss": "-training loss",
    "width": "width alone",
    "beta_given_width": r"$-\beta_{eff}$, width held",
}


def regime_figure(path, rows):
    """Draw the median lead and gain, and in how many cells the line is ahead and behind."""
    repeats = [m for m in REPEATS if any(row["repeats"] == m for row in rows)]
    across = list(product(repeats, OBSERVED))
    down = list(product(PROBES, ENDS, RATES))
    with saved_figure(path, len(POOLS), 2, width=15, height=8.5) as (figure, axes):
        for ax, (name, pool) in zip(axes, product(MEASURES, POOLS), strict=True):
            label, top = MEASURES[name]
            found = [
                [
                    counted(those(rows, pool=pool, probe=p, end=e, rate=r, repeats=m, observed=K))
                    for m, K in across
                ]
                for p, e, r in down
            ]
            shade = np.array([[one[name] for one in line] for line in found])
            image = ax.imshow(shade, cmap="PuOr", vmin=-top, vmax=top, aspect="auto")
            for (i, line), (j, _) in product(enumerate(found), enumerate(across)):
                one = line[j]
                ax.text(j, i, f"{one[f'{name}_ahead']}|{one[f'{name}_behind']}", ha="center",
                        va="center", fontsize="x-small",
                        color="white" if abs(shade[i, j]) > 0.7 * top else "black")  # fmt: skip
            ax.set_title(f"{pool} candidates")
            ax.set_xticks(range(len(across)), [f"{K}" for _, K in across])
            for edge in range(len(OBSERVED), len(across), len(OBSERVED)):
                ax.axvline(edge - 0.5, color="black", linewidth=0.8)
            for k, m in enumerate(repeats):
                ax.text((k + 0.5) / len(repeats), -0.13, f"{m} run{'s' * (m > 1)}", ha="center",
                        transform=ax.transAxes, fontsize="small")  # fmt: skip
            first = pool == next(iter(POOLS))
            names = [f"{p}, {SHORT[e]}, {r:g}" for p, e, r in down] if first else [""] * len(down)
            ax.set_yticks(range(len(down)), names)
            ax.spines[:].set_visible(False)
            if pool == list(POOLS)[-1]:
                figure.colorbar(image, ax=ax, label=label)
        figure.supxlabel("epochs seen, by runs averaged; in each field: cells ahead | behind")


def beta_figure(path, rows):
    """Draw how -beta_eff ranks with a trained probe, beside the yardsticks."""
    most = max(row["repeats"] for row in rows)
    chosen = those(rows, probe="trained", observed=max(OBSERVED), repeats=most)
    pools = list(BETA_POOLS)
    with saved_figure(path, 2, 2, width=11, height=7.5) as (_, axes):
        for ax, (end, rate) in zip(axes, product(ENDS, RATES), strict=True):
            for k, name in enumerate(RANKED):
                for j, pool in enumerate(pools):
                    (row,) = those(chosen, pool=pool, end=end, rate=rate)
                    below, above = row[name] - row[f"{name}_low"], row[f"{name}_high"] - row[name]
                    ends = np.fmax([[below], [above]], 0)  # a value can lie outside its interval
                    ax.errorbar(
                        j + (k - 2) * 0.15, row[name], yerr=ends, fmt="osD^v"[k],
                        color=COLOURS[k], label=RANKED[name] if not j else None,
                    )  # fmt: skip
            ax.axhline(0, color="0.6", linewidth=0.8)
            ax.set_xticks(range(len(pools)), pools)
            ax.set_ylim(-1.05, 1.05)
            ax.set_title(f"{ENDS_IN_WORDS[end]}, learning rate {rate:g}")
            ax.set_ylabel("rank correlation")
        handles, labels = axes[-1].get_legend_handles_labels()
        for ax in axes[2:]:
            legend_below(ax, handles, labels, ncols=3)
