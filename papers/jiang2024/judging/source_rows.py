"""NCE and LEEP from results/source_scores.json, as scores of the records. Needs no TensorFlow."""

import json
from dataclasses import replace

SCORES = ("nce", "leep")
GROUP = "source"  # candidates with a source head


def read(folder):
    """Return what zoo/source_scores.py wrote; None where it has not run."""
    path = folder / "source_scores.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def scored(found, scores):
    """Return the evidence of the candidates with a source head, their records with both scores.

    Raises
    ------
    ValueError
        Where a run has neither scores nor a reason for having none.
    """
    known = {(row["task"], row["model"], row["seed"]): row for row in scores["rows"]}
    kept = []
    for r in found.records:
        if r.model in scores["without"]:
            continue
        row = known.get((found.task, r.model, r.seed))
        if row is None:
            raise ValueError(
                f"source_scores.json lacks {r.model}, seed {r.seed}, of {found.task}; run "
                "zoo/source_scores.py again."
            )
        kept.append(replace(r, scores={**r.scores, **{name: row[name] for name in SCORES}}))
    return replace(found, records=tuple(kept))
