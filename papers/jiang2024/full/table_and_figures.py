"""From records to Table 1 and Figs. 2-4: of any folder of studies.

A sub-folder with finished trials is a task; ``NAME-sizes`` beside ``NAME`` holds the same
candidates on fewer training images (Fig. 3c). A thin user of tables/tables.py and tables/figures.py
one folder up. Writes tables.md, table1.json, supplementary.json and the figures. Needs no
TensorFlow:
``python -m papers.jiang2024.full.table_and_figures papers/jiang2024/full/records --out results``
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from edgedyn._files import output_folder, to_json, write_text
from papers.jiang2024.judging.evidence import evidence
from papers.jiang2024.tables import figures as paper_figures
from papers.jiang2024.tables import tables
from papers.jiang2024.tables import words as tables_words

SIZES = "-sizes"
FEWEST = 2  # below three there is no rank correlation, but curves can be drawn
NO_WEIGHTS = ("none", "own")


def evidence_of(folder):
    """Return the evidence of all studies in a folder.

    Raises
    ------
    SystemExit
        Where there is none, or a study has too few epochs.
    """
    found = []
    for path in sorted(folder.glob("*/study.json")):
        if path.parent.name.endswith(SIZES):
            continue
        study = json.loads(path.read_text("utf-8"))["study"]
        names = [one["name"] for one in study["candidates"]]
        try:
            one = evidence(path.parent.name, path.parent, order=names, fewest=FEWEST)
        except ValueError as error:
            print(f"left out: {error}")
            continue
        if len(one.records[0].epochs) <= tables.MAIN:
            raise SystemExit(f"{one.task} must have more than {tables.MAIN} epochs.")
        found.append(replace(one, pretrained=frozenset(filter(None, map(trained, one.records)))))
    if not found:
        raise SystemExit(f"{folder} holds no study with finished trials; run edgedyn select first.")
    return found


def trained(record):
    """Return the candidate's name if its weights had been trained before, else None."""
    candidate = record.settings["candidate"]
    known = candidate["file"] is not None or candidate["weights"] not in NO_WEIGHTS
    return record.model if known else None


def results(found):
    """Return what tables/tables.py computes, as far as the records reach."""
    epochs = min(len(one.records[0].epochs) for one in found)
    scored = set.intersection(*(set(r.scores) for one in found for r in one.records))
    methods = [m for m in tables.METHODS if m not in tables.SCORES or m in scored]
    observed = [n for n in tables.OBSERVED if n < epochs]
    starts = {n: s for n, s in tables.WINDOWS.items() if n < epochs}
    return tables.results(found, methods, observed, starts)


def draw(found, table, supplement, folder):
    """Draw Figs. 2, 3a-c, 4, S1 and S3."""
    for one in found:
        paper_figures.figure2(one, folder)
    for figure in (
        paper_figures.figure3a,
        paper_figures.figure3b,
        paper_figures.figure3c,
        paper_figures.figure_s3,
    ):
        figure(supplement, folder)
    for figure in (paper_figures.figure4, paper_figures.figure_s1):
        figure(table, folder)


def main(given=None):
    """Read, compute, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, help="a folder of studies' folders")
    parser.add_argument("--out", type=Path, default=Path("full-results"), help="where to write")
    arguments = parser.parse_args(given)
    found = evidence_of(arguments.records)
    table, supplement = results(found)
    folder = output_folder(arguments.out)
    write_text(folder / "table1.json", to_json(table) + "\n")
    write_text(folder / "supplementary.json", to_json(supplement) + "\n")
    words = tables_words.page(table, supplement, "The paper's experiment", "edgedyn select")
    write_text(folder / "tables.md", words)
    draw(found, table, supplement, folder)
    print(f"Written to {folder}/")


if __name__ == "__main__":
    main()
