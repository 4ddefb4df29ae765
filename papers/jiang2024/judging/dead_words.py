"""The dead runs of the zoo, and Table 1 without them, as Markdown."""

from edgedyn.report.figures._inputs import words
from papers.jiang2024.judging.bootstrap import with_interval

MAIN = 5  # epochs observed in the comparison side by side
GROUPS = {"all": "all", "pretrained": "pretrained"}


def section(table, markdown):
    """Return the section of tables.md; `markdown` makes a table of columns and rows."""
    found = table["dead"]
    if not found["runs"]:
        return ""
    parts = ["## Dead networks, and Table 1 without them", _runs(found["runs"], table, markdown)]
    parts += [_beside(table["rows"], found["rows"], markdown), _denominator(found)]
    return "\n\n".join(parts)


def _runs(runs, table, markdown):
    """Name the dead runs."""
    n = sum(len(s["models"]) * len(s["seeds"]) for s in table["sources"])
    lines = [
        [f"{r['task']}, {r['model']}, seed {r['seed']}", r["since_epoch"],
         f"{r['loss_difference']:+.1e}", f"{r['val_accuracy']:.3f}", f"{r['test_accuracy']:.3f}",
         r["no_beta"]]
        for r in runs
    ]  # fmt: skip
    columns = ["run", "loss is ln C since epoch", "last loss - ln C", "validation accuracy",
               "test accuracy", "epochs without beta_eff"]  # fmt: skip
    return (
        f"Of {n} runs {len(runs)} end as dead networks: the output is uniform whatever the image, "
        "as where all ReLUs of a layer are off, and no gradient is left. `judging/dead.py` tells "
        "them by the last five epochs: a training loss of ln C to single precision, and a "
        "validation accuracy that does not move.\n\n" + markdown(columns, lines)
    )


def _beside(rows, alive, markdown):
    """Return rho and lead with the dead runs and without them."""
    known = {_key(r): r for r in rows}
    lines = [
        [r["task"], GROUPS[r["group"]], r["observed"], words(r["method"])]
        + [_cell(one, name) for name in ("rho", "lead") for one in (known[_key(r)], r)]
        for r in alive
        if _key(r) in known and r["observed"] == MAIN
    ]
    columns = ["task", "candidates", "epochs", "method", "rho, all runs", "without dead ones",
               "lead, all runs", "without dead ones"]  # fmt: skip
    return (
        f"After {MAIN} epochs; results/table1.json has 3 and 10, too. A candidate's curve and its "
        "final accuracy are then means over the seeds that are left; in a draw where none is left "
        "it does not count. That a run dies is known at its end only: the second columns are a "
        "choice after the fact.\n\n" + markdown(columns, lines)
    )


def _cell(row, name):
    """Return a number with its interval; the last value's lead over itself is 0."""
    itself = name == "lead" and row["method"] == "last_value"
    return "0" if itself else with_interval(row, name)


def _key(row):
    """Return what tells a row of Table 1 from others."""
    return row["task"], row["group"], row["observed"], row["method"]


def _denominator(found):
    """Say what a small value in the denominator of beta_eff would change."""
    d, dead = found["denominator"], sum(r["no_beta"] for r in found["runs"])
    whose = "all" if dead == d["to_zero"] else dead
    return (
        "The paper adds a small value to the denominator of beta_eff, edgedyn does not. With "
        f"{d['epsilon']:.0e} it would change the median of the {d['ok']} values in these records "
        f"by less than {d['median_change']:.0e} of itself, the smallest ({d['smallest']:.1e}) by "
        f"less than {d['most_change']:.0e}: beta_eff never exceeds the total strength T, and "
        f"becomes beta_eff T / (T + epsilon). In {d['to_zero']} of {d['epochs']} epochs T is 0, "
        f"{whose} of them of the dead runs: there beta_eff has no value here, and would be 0 "
        "there, as if the network had converged."
    )
