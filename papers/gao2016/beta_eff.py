"""beta_eff of the real networks of Gao et al. (2016).

Both projections of seven mutualistic ones, and the regulation of E. coli and yeast. Run:
``EDGEDYN_DATA=... python papers/gao2016/beta_eff.py`` (seconds).
"""

from networks import finish, gao_networks

import edgedyn as ed


def main():
    """Reduce every network and print its parts."""
    rows = []
    for kind, name, matrix in gao_networks():
        r = ed.reduce(matrix)
        rows.append({"name": name, "dynamics": kind, "n_links": matrix.nnz, **r.to_dict()})
        for heavy in ("in_degree", "out_degree"):
            rows[-1].pop(heavy, None)
        print(f"{name:20s} {r.n_nodes:5d} nodes  beta_eff {r.beta_eff:9.4f} = {r.mean_strength:.4f}"
              f" + {r.symmetry:.4f} x {r.heterogeneity:.4f}")  # fmt: skip
    finish("beta_eff", {"numbers": {row["name"]: row["beta_eff"] for row in rows}, "rows": rows})


if __name__ == "__main__":
    main()
