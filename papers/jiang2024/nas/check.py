"""Build every tabulated cell of NAS-Bench-201 in Keras, count its parameters, make its line graph.

Networks of one cell a stage, which all depends on: the benchmark's has five equal ones, so that
five times what the three cells add to the network of the empty cell must give the tabulated number
of parameters. Writes results/nas_check.json:
``EDGEDYN_DATA=... python -m papers.jiang2024.nas.check`` (four minutes on one core).
"""

import numpy as np

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from edgedyn.nn.graph.extract import without_values
from papers.jiang2024.nas import run as nas

EMPTY = (1,) * 6  # zeros on all edges
CELLS_A_STAGE = 5


def built(cell):
    """Return a cell's network and its number of trainable parameters."""
    with without_values():
        model = ed.nn.nas201(cell, n_cells=1)
    return model, sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def main() -> None:
    """Go through all cells, and write."""
    table = nas.table()
    _, bare = built(EMPTY)
    rows, differing = [], []
    for cell, stated in zip(table.cells, table.parameters.tolist(), strict=True):
        model, parameters = built(cell)
        graph = ed.line_graph(model)
        whole = bare + CELLS_A_STAGE * (parameters - bare)
        if whole != stated:
            differing.append(nas.name(cell))
        rows.append(
            {
                "cell": nas.name(cell),
                "parameters": whole,
                "nodes": graph.n_nodes,
                "links": graph.n_links,
            }
        )
    result = {
        "cells": len(rows),
        "parameters_differ": differing,
        "line_graphs": {"channels": 16, "n_cells": 1, "rows": rows},
        "environment": environment(),
    }
    write_text(output_folder(nas.HERE / "results") / "nas_check.json", to_json(result) + "\n")
    print(f"{len(rows)} cells, {len(differing)} with other parameters than the table's")


if __name__ == "__main__":
    main()
