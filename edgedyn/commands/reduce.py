"""``edgedyn reduce``: where a network stands on the resilience curve of its dynamics."""

import argparse
from pathlib import Path
from typing import Any

from edgedyn.commands.console import number_or_why, print_table

DYNAMICS = ("mutualistic", "gene_regulation", "sis", "neuronal", "linear_diffusion")
_ROUGH = 0.25  # relative error of x_eff beyond which the reduction is said not to hold
# What lies below the tipping point, above it, and between two of them.
_SIDES = {
    "mutualistic": (
        "where a collapsed state is stable beside the abundant one",
        "where the collapsed state is gone and only abundance is stable",
    ),
    "gene_regulation": (
        "where all activity dies out",
        "where an active state is stable beside the inactive one",
    ),
    "sis": ("where an infection dies out", "where an infection persists"),
    "neuronal": (
        "where only silence is stable",
        "where only activity is stable",
        "where silence and activity are both stable",
    ),
}
_NONE = 1e-6  # what steady states are found to; below, there is no activity
_PARTS = ("beta_eff", "mean_strength", "symmetry", "heterogeneity")
_MOST_LINKS = 5_000_000  # beyond, the full network's steady states take minutes


def add(commands: Any) -> None:
    """Add the command."""
    reduce = commands.add_parser(
        "reduce",
        help="reduce a network to one dimension and find its tipping point",
        epilog="example: edgedyn reduce network.csv --dynamics sis --out where.png",
    )
    reduce.add_argument(
        "file", type=Path, help="a .csv, .tsv, .mat, .npz, .mtx, .graphml, .gml or .net file"
    )
    reduce.add_argument("--dynamics", default="mutualistic", help=", ".join(DYNAMICS))
    reduce.add_argument("--variable", help="which matrix of a .mat or .npz file")
    reduce.add_argument(
        "--project", help="rows or columns: the network among one side of a bipartite matrix"
    )
    reduce.add_argument(
        "--rows", default="targets", help="targets (default) or sources: what a matrix's rows are"
    )
    reduce.add_argument(
        "--undirected", action="store_true", help="links of the file lead in both directions"
    )
    reduce.add_argument("--out", type=Path, help="draw the resilience curve: a .png or .svg file")
    reduce.add_argument("--json", action="store_true", help="print the results as JSON")
    reduce.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Reduce a network, say where it stands, draw it."""
    from edgedyn import _validate as check
    from edgedyn import reduction
    from edgedyn._environment import document
    from edgedyn._files import output_folder, to_json
    from edgedyn.reduction.files import described

    check.choice(arguments.dynamics, "--dynamics", DYNAMICS)
    if arguments.out is not None and arguments.out.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"--out must end in .png or .svg; got {arguments.out.name!r}.")
    options = {
        name: getattr(arguments, name) for name in ("variable", "project", "rows", "undirected")
    }
    matrix = reduction.read_network(arguments.file, **options)
    system = getattr(reduction, arguments.dynamics)()
    reduced = reduction.reduce(matrix)
    if reduced.status != "ok":
        raise ValueError(
            f"{arguments.file.name} cannot be reduced: {reduced.status} (total strength "
            f"{reduced.total:g}, conditioning {reduced.conditioning:.2g})."
        )
    result: dict[str, Any] = {
        "file": str(arguments.file),
        "dynamics": arguments.dynamics,
        "constants": dict(system.constants),
        "read_as": described(matrix),
        "n_nodes": reduced.n_nodes,
        "n_links": int(matrix.nnz),
        **{name: getattr(reduced, name) for name in _PARTS},
        "states": [
            {"x": x, "stable": stable}
            for x, stable in reduction.steady_points(system, reduced.beta_eff)
        ],
        "critical": [{"beta": p.beta, "x": p.x, "kind": p.kind} for p in system.critical_points()],
        "full": _full(matrix, system, reduced),
    }
    result["verdict"] = verdict(result)
    result["agreement"] = agreement(result)
    if arguments.out is not None:
        output_folder(arguments.out.parent)
        _draw(arguments.out, system, result)
        result["written"] = str(arguments.out)
    if arguments.json:
        print(to_json(document("reduce", result)))
        return
    _print(result)


def _full(matrix: Any, system: Any, reduced: Any) -> list[dict[str, Any]]:
    """Return the full network's steady states from low and high starts."""
    from edgedyn.reduction import steady_state

    if matrix.nnz > _MOST_LINKS:
        return []
    states = {start: steady_state(matrix, system, start) for start in ("low", "high")}
    return [
        {"start": start, "x_eff": reduced.x_eff(state.x), "status": state.status}
        for start, state in states.items()
    ]


def verdict(result: dict[str, Any]) -> str:
    """Say in a sentence where a network stands.

    Examples
    --------
    >>> verdict({"dynamics": "mutualistic", "beta_eff": 9.0,
    ...          "states": [{"x": 6.0, "stable": True}],
    ...          "critical": [{"beta": 6.0, "x": 0.2, "kind": "fold"}]})
    'Above the tipping point at beta_eff = 6 (by 50 %), where the collapsed state is gone and only
    abundance is stable: it has one stable state, x = 6.'
    """
    beta = result["beta_eff"]
    stable = [state["x"] for state in result["states"] if state["stable"]]
    states = " and ".join(f"{x:.4g}" for x in stable)
    if len(stable) > 1:
        many = f"it has {len(stable)} stable states, x = {states}"
    else:
        many = f"it has one stable state, x = {states}" if stable else "it has no stable state"
    below = [p["beta"] for p in result["critical"] if p["beta"] <= beta]
    above = [p["beta"] for p in result["critical"] if p["beta"] > beta]
    sides = _SIDES.get(result["dynamics"], ("", "", ""))
    if below and not above:
        edge = max(below)
        room = f"by {_percent(beta / edge - 1)}" if edge else "which is 0"
        return f"Above the tipping point at beta_eff = {edge:.4g} ({room}), {sides[1]}: {many}."
    if above:
        edge = min(above)
        far = _percent(1 - beta / edge) if beta >= 0 else f"At {beta:.4g},"
        gap = f"{far} below the tipping point at beta_eff = {edge:.4g}"
        between = f", above the one at {max(below):.4g}" if below else ""
        return f"{gap}{between}, {sides[-1] if below else sides[0]}: {many}."
    return f"This dynamics has no tipping point: {many}."


def _percent(share: float) -> str:
    """Return a share in per cent; one below 1 is not 0.

    Examples
    --------
    >>> _percent(0.5), _percent(0.0004)
    ('50 %', '0.04 %')
    """
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1g} %"


def agreement(result: dict[str, Any]) -> str:
    """Say whether the full network does what the reduction predicts; empty if it was not solved.

    Examples
    --------
    >>> agreement({"states": [{"x": 3.0, "stable": True}],
    ...            "full": [{"start": "high", "x_eff": 0.03, "status": "converged"}]})
    'From a high start the full network settles at x_eff = 0.03, not at 3: the reduction does not
    hold here.'
    """
    stable = [state["x"] for state in result["states"] if state["stable"]]
    ends = {state["start"]: state for state in result["full"]}
    if "high" not in ends or not stable:
        return ""
    if ends["high"]["status"] != "converged":
        return f"The full network's steady state was not found ({ends['high']['status']})."
    found, predicted = ends["high"]["x_eff"], max(stable)
    error = abs(found - predicted) / max(abs(predicted), _NONE)
    judged = f"{100 * error:.2g} % from the reduced"
    if max(abs(found), abs(predicted)) <= _NONE:
        found, judged = 0.0, "as the reduced"
    elif error > _ROUGH:
        judged = f"not at {predicted:.4g}: the reduction does not hold here"
    low = ends.get("low", {"status": ""})
    other = f"; from a low start at {low['x_eff']:.4g}" if low["status"] == "converged" else ""
    return f"From a high start the full network settles at x_eff = {found:.4g}, {judged}{other}."


def _draw(path: Path, system: Any, result: dict[str, Any]) -> None:
    """Draw the resilience curve and the network's place on it."""
    import numpy as np

    from edgedyn.report import figures

    edges = [p["beta"] for p in result["critical"]]
    top = 1.4 * max([result["beta_eff"], *edges])
    curve = system.resilience_curve(np.linspace(0, top, 600))
    with figures.saved_figure(path, width=7, height=5) as (_, axes):
        figures.resilience(axes[0], curve, result["beta_eff"], result["full"])
        axes[0].set_title(f"{Path(result['file']).name}, {result['dynamics'].replace('_', ' ')}")


def _print(result: dict[str, Any]) -> None:
    """Print the results as a table and the verdict."""
    rows = [
        [key.replace("_", " "), f"{result[key]:.6g}"] for key in ("n_nodes", "n_links", *_PARTS)
    ]
    for state in result["states"]:
        word = "stable" if state["stable"] else "unstable"
        rows.append([f"reduced state ({word})", f"{state['x']:.6g}"])
    for state in result["full"]:
        word = f"full network from {state['start']} ({state['status']})"
        rows.append([word, number_or_why(state["x_eff"], state["status"], ".6g")])
    rows += [[f"critical beta_eff ({p['kind']})", f"{p['beta']:.6g}"] for p in result["critical"]]
    if "written" in result:
        rows.append(["written", result["written"]])
    title = f"{Path(result['file']).name}, {result['dynamics'].replace('_', ' ')}"
    print_table(title, ["", "value"], rows)
    print(f"Read as {result['read_as']}.")
    if result["read_as"].endswith("opposite"):
        print("If its links have no direction, say --undirected.")
    print(f"{result['verdict']} {result['agreement']}".strip())
