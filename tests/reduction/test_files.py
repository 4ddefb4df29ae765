"""Networks from files, written by other hands than ours, and the command that reads them."""

import json
import os
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.io
import scipy.sparse

import edgedyn as ed
from edgedyn.cli import main
from edgedyn.commands.reduce import agreement, verdict
from edgedyn.linegraph.export import write
from edgedyn.reduction import projection, read_network

A = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 1.5], [1.0, 0.0, 0.0]])


def saved(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_edge_lists_lead_from_source_to_target(tmp_path):
    text = "source,target,weight\nb,a,2\nc,b,1.5\na,c,1\n"
    found = read_network(saved(tmp_path / "n.csv", text)).toarray()
    order = [1, 0, 2]  # nodes in order of appearance: b, a, c
    np.testing.assert_array_equal(found, A[np.ix_(order, order)])
    numbered = "source,target\n1,0\n2,1\n0,2\n"
    found = read_network(saved(tmp_path / "m.csv", numbered)).toarray()
    np.testing.assert_array_equal(found, A > 0)


def test_matrices_with_and_without_names(tmp_path):
    plain = "0,2,0\n0,0,1.5\n1,0,0\n"
    named = '"",a,b,c\na,0,2,0\nb,0,0,1.5\nc,1,0,0\n'
    for k, text in enumerate((plain, named)):
        found = read_network(saved(tmp_path / f"{k}.csv", text)).toarray()
        np.testing.assert_array_equal(found, A)


def test_rows_may_be_sources(tmp_path):
    path = saved(tmp_path / "n.csv", "0,2,0\n0,0,1.5\n1,0,0\n")
    np.testing.assert_array_equal(read_network(path, rows="sources").toarray(), A.T)
    with pytest.raises(ValueError, match="rows must be one of 'targets', 'sources'"):
        read_network(path, rows="links")


def test_mat_npz_and_graphml(tmp_path):
    scipy.io.savemat(tmp_path / "n.mat", {"W": A, "other": np.ones((3, 2))})
    scipy.sparse.save_npz(tmp_path / "s.npz", scipy.sparse.csr_array(A))
    np.savez(tmp_path / "d.npz", W=A)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(3))
    graph.add_weighted_edges_from((j, i, A[i, j]) for i, j in zip(*np.nonzero(A), strict=True))
    nx.write_graphml(graph, tmp_path / "g.graphml")
    for name, variable in (("n.mat", "W"), ("s.npz", None), ("d.npz", None), ("g.graphml", None)):
        found = read_network(tmp_path / name, variable=variable).toarray()
        np.testing.assert_array_equal(found, A)


@pytest.mark.slow
def test_exported_line_graphs_come_back(tmp_path):
    gb = ed.line_graph([4, 5, 3], bias=True)
    write(tmp_path / "gb.npz", gb)
    write(tmp_path / "gb.csv", gb)
    np.testing.assert_array_equal(
        read_network(tmp_path / "gb.npz").toarray(), gb.to_scipy().toarray()
    )
    assert ed.reduce(read_network(tmp_path / "gb.csv")).total == gb.n_links


@pytest.mark.parametrize("onto", ["columns", "rows"])
def test_projections_equal_the_sums_of_their_definition(onto):
    M = np.random.default_rng(0).poisson(0.6, (7, 5)).astype(float)
    matrix = M if onto == "columns" else M.T
    n = matrix.shape[1]
    expected = np.zeros((n, n))
    for i in range(matrix.shape[0]):
        for j in range(n):
            for k in range(n):
                if j != k and matrix[i, j] and matrix[i, k]:
                    expected[j, k] += (matrix[i, j] + matrix[i, k]) / matrix[i].sum()
    np.testing.assert_allclose(projection(M, onto).toarray(), expected, rtol=1e-12)


@pytest.mark.realdata
@pytest.mark.skipif("EDGEDYN_DATA" not in os.environ, reason="EDGEDYN_DATA is not set")
def test_stored_projections_of_real_networks_are_ours(tmp_path):
    from zipfile import ZipFile

    place = Path(os.environ["EDGEDYN_DATA"]) / "networks" / "NuRsE_gbb2016_real_networks.zip"
    with ZipFile(place) as archive:
        archive.extractall(tmp_path)
    files = sorted(tmp_path.rglob("PLANT_*.mat"))
    assert len(files) == 6
    for path in files:
        for side, onto in (("A", "columns"), ("B", "rows")):
            stored = read_network(path, variable=side)
            ours = read_network(path, variable="M", project=onto)
            np.testing.assert_allclose(ours.toarray(), stored.toarray(), atol=1e-12)


BAD = [
    ("n.txt", "0", "must end in one of .csv"),
    ("n.csv", "", "is empty"),
    ("n.csv", "a,b\n1\n", "all rows must have 2 cells"),
    ("n.csv", "1,0\n0,x\n", "could not convert"),
    ("n.csv", "0,1,0\n1,0,1\n", "not square; if it is bipartite"),
    ("n.csv", "0,nan\n1,0\n", "holds NaN or infinity"),
    ("n.csv", "source,target,weight\na,b\n", "every line needs 3 cells"),
    ("n.csv", "source,target\n", "holds no nodes"),
    ("n.mat", "no matlab", "could not be read"),
    ("n.npz", "no zip", "could not be read"),
    ("n.graphml", "<graphml", "could not be read as GraphML"),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD)
def test_files_that_are_no_networks(tmp_path, name, text, message):
    with pytest.raises(ValueError, match=message):
        read_network(saved(tmp_path / name, text))


def test_several_matrices_and_missing_files(tmp_path):
    scipy.io.savemat(tmp_path / "n.mat", {"A": A, "B": A})
    with pytest.raises(ValueError, match=r"several matrices or none \(A \(3, 3\), B \(3, 3\)\)"):
        read_network(tmp_path / "n.mat")
    with pytest.raises(ValueError, match="has no matrix 'C'; it holds A, B"):
        read_network(tmp_path / "n.mat", variable="C")
    with pytest.raises(ValueError, match="variable belongs to .mat and .npz"):
        read_network(saved(tmp_path / "n.csv", "0,1\n1,0\n"), variable="A")
    with pytest.raises(FileNotFoundError):
        read_network(tmp_path / "nowhere.csv")
    with pytest.raises(ValueError, match="not negative"):
        projection([[1, -1]])


# The command -------------------------------------------------------------------------------------


def test_the_command_says_where_a_network_stands(tmp_path, capsys):
    path = tmp_path / "ring.csv"
    np.savetxt(path, 9.0 * np.roll(np.eye(6), 1, axis=1), delimiter=",")
    out = tmp_path / "ring.png"
    assert main(["reduce", str(path), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "Past the tipping point at beta_eff = 6.973 (by 29 %)" in printed
    assert out.read_bytes().startswith(b"\x89PNG")
    assert main(["reduce", str(path), "--dynamics", "gene_regulation", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["beta_eff"] == pytest.approx(9, rel=1e-12)
    high = max(s["x"] for s in result["states"])
    assert high == pytest.approx((9 + np.sqrt(77)) / 2, rel=1e-12)  # x = 9 x^2 / (x^2 + 1)
    # On a ring all nodes are alike: the reduction is exact.
    assert result["full"][1]["x_eff"] == pytest.approx(high, rel=1e-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dynamics", "flu"], "--dynamics must be one of 'mutualistic'"),
        (["--out", "x.pdf"], "--out must end in .png or .svg; got 'x.pdf'"),
        (["--project", "diagonal"], "project must be one of 'rows', 'columns'"),
    ],
)
def test_bad_arguments_of_the_command(tmp_path, capsys, arguments, message):
    path = saved(tmp_path / "n.csv", "0,1\n1,0\n")
    assert main(["reduce", str(path), *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.out == ""
    assert len(printed.err.splitlines()) == 1


def test_networks_without_links_and_missing_files(tmp_path, capsys):
    assert main(["reduce", str(saved(tmp_path / "n.csv", "0,0\n0,0\n"))]) == 2
    assert "cannot be reduced: empty" in capsys.readouterr().err
    assert main(["reduce", str(tmp_path / "nowhere.csv")]) == 2
    assert "nowhere.csv" in capsys.readouterr().err


def test_verdicts():
    low, high = {"x": 0.1, "stable": True}, {"x": 5.0, "stable": True}
    fold = {"beta": 7.0, "x": 0.2, "kind": "fold"}
    below = verdict({"beta_eff": 3.5, "states": [low, high], "critical": [fold]})
    assert below == (
        "50 % below the tipping point at beta_eff = 7: it has 2 stable states, x = 0.1 and 5."
    )
    none = verdict({"beta_eff": 3.5, "states": [high], "critical": []})
    assert none == "This dynamics has no tipping point: it has one stable state, x = 5."
    unknown = {"states": [high], "full": [{"start": "high", "x_eff": 5.0, "status": "diverged"}]}
    assert agreement(unknown) == "The full network's steady state was not found (diverged)."
    assert agreement({"states": [high], "full": []}) == ""
