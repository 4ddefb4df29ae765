"""Critical points of the one-dimensional dynamics of Gao et al. (2016), by root finding.

Run: ``python papers/gao2016/critical.py`` (a second).
"""

from networks import finish

from edgedyn.reduction import gene_regulation, mutualistic, neuronal, sis


def main():
    """Print where steady states appear or vanish."""
    numbers, rows = {}, []
    for system in (mutualistic(), gene_regulation(), sis(), neuronal()):
        for k, point in enumerate(system.critical_points(), start=1):
            print(f"{system.name}: {point.kind} at beta_eff = {point.beta:.6f}, x = {point.x:.5f}")
            rows.append({"system": system.name, "beta": point.beta, "x": point.x,
                         "kind": point.kind})  # fmt: skip
            numbers[f"{system.name} {k}"] = point.beta
            numbers[f"{system.name} {k}, x"] = point.x
    finish("critical", {"numbers": numbers, "rows": rows})


if __name__ == "__main__":
    main()
