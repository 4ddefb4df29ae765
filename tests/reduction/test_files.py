"""Networks from files, written by other hands than ours, and the command that reads them."""

import base64
import json
import os
import zlib
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
from edgedyn.reduction.files import described

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


def test_nodes_are_names_and_weights_are_called_so(tmp_path):
    expected = [[0, 0, 0], [2, 0, 0], [0, 1.5, 0]]
    texts = (
        "source,target,weight\n1,2,2\n2,3,1.5\n",  # from 1: no node 0
        "source,target,Weight\n3000000000,3000000001,2\n3000000001,3000000002,1.5\n",
        "source;target;value\na;b;2\nb;c;1,5\n",
        "from\tto\tweight\na\tb\t2\nb\tc\t1,5\n",
        "weight,year,target,source\n2,1999,b,a\n1.5,2001,c,b\n",
        '\ufeff"source","target","weight"\n"a, b",c,2\nc,d,1.5\n',
    )
    for k, text in enumerate(texts):
        found = read_network(saved(tmp_path / f"{k}.csv", text)).toarray()
        np.testing.assert_array_equal(found, expected)
    path = saved(tmp_path / "n.tsv", texts[3])
    np.testing.assert_array_equal(read_network(path).toarray(), expected)


def test_links_without_direction(tmp_path):
    graph = nx.barabasi_albert_graph(60, 3, seed=0)
    lines = [f"{a},{b}" for a, b in graph.edges]
    path = saved(tmp_path / "ba.csv", "\n".join(["source,target", *lines]) + "\n")
    both = read_network(path, undirected=True)
    np.testing.assert_array_equal(both.toarray(), nx.to_numpy_array(graph, nodelist=range(60)))
    degree = np.array([d for _, d in graph.degree])
    assert ed.reduce(both).beta_eff == pytest.approx((degree**2).sum() / degree.sum(), rel=1e-12)
    assert described(both) == f"undirected, unweighted, 60 nodes, {2 * len(lines)} links"
    assert described(read_network(path)).endswith("none with an opposite")
    twice = saved(tmp_path / "t.csv", "source,target,weight\na,b,2\nb,a,2\nb,c,1\nc,c,3\n")
    found = read_network(twice, undirected=True).toarray()
    np.testing.assert_array_equal(found, [[0, 2, 0], [2, 0, 1], [0, 1, 3]])
    other = saved(tmp_path / "o.csv", "source,target,weight\na,b,2\nb,a,1\n")
    with pytest.raises(ValueError, match="one weight there and another back"):
        read_network(other, undirected=True)


def test_rows_and_columns_are_matched_by_name(tmp_path):
    text = "species,c,a,b\na,0,0,2\nb,1.5,0,0\nc,0,1,0\n"
    np.testing.assert_array_equal(read_network(saved(tmp_path / "n.csv", text)).toarray(), A)
    apart = saved(tmp_path / "m.csv", ",bee,fly\nrose,1,2\nlily,0,1\n")
    with pytest.raises(ValueError, match="other names .*, so it is bipartite; say project"):
        read_network(apart)
    expected = projection([[1, 2], [0, 1]], "columns").toarray()
    np.testing.assert_array_equal(read_network(apart, project="columns").toarray(), expected)
    headed = saved(tmp_path / "h.csv", "a,b,c\n0,2,0\n0,0,1.5\n1,0,0\n")
    np.testing.assert_array_equal(read_network(headed).toarray(), A)


def test_graphs_of_other_programs(tmp_path):
    graph = nx.DiGraph()
    graph.add_nodes_from("abc")
    for i, j in zip(*np.nonzero(A), strict=True):
        graph.add_edge("abc"[j], "abc"[i], Weight=float(A[i, j]))
    nx.write_graphml(graph, tmp_path / "w.graphml")
    text = (tmp_path / "w.graphml").read_text()
    key = 'attr.name="Weight" attr.type="double"'
    assert f"{key} />" in text
    text = text.replace(f"{key} />", f"{key}><default>2.0</default></key>")
    line = next(one for one in text.splitlines() if ">2.0</data>" in one)
    saved(tmp_path / "d.graphml", text.replace(line, ""))
    weighted = nx.DiGraph()
    weighted.add_nodes_from("abc")
    weighted.add_weighted_edges_from((a, b, d["Weight"]) for a, b, d in graph.edges(data=True))
    nx.write_gml(weighted, tmp_path / "g.gml")
    nx.write_pajek(weighted, tmp_path / "p.net")
    scipy.io.mmwrite(tmp_path / "m.mtx", scipy.sparse.csr_array(A))
    for kind in ("real", "pattern"):
        matrix = scipy.sparse.csr_array(A + A.T)
        scipy.io.mmwrite(tmp_path / f"{kind}.mtx", matrix, field=kind, symmetry="symmetric")
        found = read_network(tmp_path / f"{kind}.mtx").toarray()
        np.testing.assert_array_equal(found, scipy.io.mmread(tmp_path / f"{kind}.mtx").toarray())
    for name in ("w.graphml", "d.graphml", "g.gml", "p.net", "m.mtx"):
        np.testing.assert_array_equal(read_network(tmp_path / name).toarray(), A, err_msg=name)


def test_masked_and_complex_matrices_are_refused():
    with pytest.raises(TypeError, match="masked array"):
        ed.reduce(np.ma.masked_array(A, A > 1))
    with pytest.raises(TypeError, match="real numbers; got complex128"):
        ed.reduce(scipy.sparse.csr_array(A * 1j))


def files_of_all_kinds(folder):
    """Write a small network in every format; return the paths."""
    graph = nx.from_numpy_array(A.T, create_using=nx.DiGraph)
    nx.write_graphml(graph, folder / "g.graphml")
    nx.write_gml(graph, folder / "g.gml")
    nx.write_pajek(nx.relabel_nodes(graph, str), folder / "g.net")
    scipy.io.savemat(folder / "n.mat", {"W": A}, do_compression=True)
    scipy.sparse.save_npz(folder / "s.npz", scipy.sparse.csr_array(A))
    np.savez_compressed(folder / "d.npz", W=A)
    scipy.io.mmwrite(folder / "m.mtx", scipy.sparse.csr_array(A))
    saved(folder / "e.csv", "source,target,weight\na,b,2\nb,c,1.5\n")
    saved(folder / "n.tsv", "\ta\tb\tc\na\t0\t2\t0\nb\t0\t0\t1,5\nc\t1\t0\t0\n")
    return sorted(folder.iterdir())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_refused_in_a_sentence_or_read(tmp_path):
    """Bytes are changed, cut out or doubled at random: never another error than ValueError."""
    (tmp_path / "whole").mkdir()
    rng = np.random.default_rng(5)
    for path in files_of_all_kinds(tmp_path / "whole"):
        content = path.read_bytes()
        # A process each reads MATLAB's.
        for _ in range(30 if path.suffix == ".mat" else 400):
            damaged = bytearray(content)
            for _ in range(rng.integers(1, 6)):
                start = int(rng.integers(len(damaged) + 1))
                stop = start + int(rng.integers(0, 9))
                damaged[start:stop] = rng.integers(0, 256, rng.integers(0, 9), np.uint8).tobytes()
            other = tmp_path / path.name
            other.write_bytes(bytes(damaged))
            try:
                matrix = read_network(other)
            except ValueError as error:
                assert path.name in str(error)
            else:
                assert np.isfinite(matrix.data).all() and matrix.shape[0] == matrix.shape[1]
                ed.reduce(matrix)


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
    ("n.csv", "a,b\n1\n", "line 2: 1 cells, but all rows must have 2"),
    ("n.csv", "1,0\n0,x\n", "line 2: 'x' is no number"),
    ("n.csv", "1,0\n\n0,\n", "line 3: a cell is empty"),
    ("n.csv", "1,0\n0,1_0\n", "'1_0' is no number"),
    ("n.csv", "source,target,weight\na,b,0,5\n", "line 2: 4 cells.*decimal commas need ;"),
    ("n.csv", "source,target,weight\na,,5\n", "line 2: a link needs a source and a target"),
    ("n.csv", "source,target,year\na,b,1999\n", "call the one with the weights 'weight'"),
    ("n.csv", "source,target,weight,value\na,b,1,2\n", "call the one with the weights"),
    ("n.csv", "source,from,target\na,b,c\n", "has 2 columns called source or from"),
    ("n.csv", ",a,a\na,1,2\nb,1,2\n", "two columns are called 'a'"),
    ("n.mtx", "%%MatrixMarket matrix coordinate real general\n9999999999 9999999999 0\n", "states"),
    ("n.csv", "0,1,0\n1,0,1\n", "not square; if it is bipartite"),
    ("n.csv", "0,nan\n1,0\n", "holds NaN or infinity"),
    ("n.csv", "source,target,weight\na,b\n", "line 2: 2 cells"),
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
    words = " ".join(printed.split())
    assert "Above the tipping point at beta_eff = 6.973 (by 29 %), where the collapsed" in words
    assert "Read as directed, weighted, 6 nodes, 6 links, none with an opposite" in words
    assert "say --undirected" in words and "From a high start the full network" in words
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
    states, kind = {"states": [low, high], "critical": [fold]}, {"dynamics": "mutualistic"}
    assert verdict({"beta_eff": 3.5, **states, **kind}) == (
        "50 % below the tipping point at beta_eff = 7, where a collapsed state is stable beside "
        "the abundant one: it has 2 stable states, x = 0.1 and 5."
    )
    twice = {"states": [low, high], "critical": [{**fold, "beta": 3.0}, fold]}
    assert "where silence and activity are both stable" in verdict(
        {"beta_eff": 3.5, "dynamics": "neuronal", **twice}
    )
    none = {"beta_eff": 3.5, "dynamics": "linear_diffusion", "states": [high], "critical": []}
    assert verdict(none) == "This dynamics has no tipping point: it has one stable state, x = 5."
    unknown = {"states": [high], "full": [{"start": "high", "x_eff": 5.0, "status": "diverged"}]}
    assert agreement(unknown) == "The full network's steady state was not found (diverged)."
    assert agreement({"states": [high], "full": []}) == ""


# Damaged matrices --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("indptr", [0, -2, 2, 3]),
        ("indptr", [0, 1, 10**8, 3]),
        ("indptr", [0, 2, 1, 3]),
        ("indptr", [1, 2, 2, 3]),
        ("indptr", [0, 1, 3]),
        ("indptr", [0.0, 1.0, 2.0, 3.0]),
        ("indices", [0, 1, 10**9]),
        ("indices", [0, 1, -1]),
        ("indices", [0, 1]),
        ("shape", [3, 3, 3]),
        ("format", "bsr"),
    ],
)
def test_a_sparse_matrix_is_not_believed(tmp_path, kind, part, values):
    """Scipy's own conversion would read and write beyond its memory."""
    stored = {"format": kind, "shape": [3, 3], "data": [1.0, 2.0, 3.0]}
    stored |= {"indices": [0, 1, 2], "indptr": [0, 1, 2, 3]}
    np.savez(tmp_path / "whole.npz", **stored)
    np.testing.assert_array_equal(
        read_network(tmp_path / "whole.npz").toarray(), np.diag([1, 2, 3])
    )
    np.savez(tmp_path / "damaged.npz", **{**stored, part: values})
    with pytest.raises(ValueError, match=r"damaged.npz could not be read: "):
        read_network(tmp_path / "damaged.npz")


# Of MATLAB's version 5, with a few bytes cut out: scipy's reader ends its process.
CRASHES = (
    "eNrzdQzxcXRSMNUzUPB1DNFNy8xJVQjISSxJyy/KtVIoyC/OrNBRcC5KTSxJTVHIz7NS8M3PU/DLL1MwNlAwNLAy"
    "MbUyMVYwMjAyYyADMHr68gGpDSwMDGxAmoMBQoMAK5TPA8WMQIgV/C8UOJX28bl9g9XtBzlm1+2TcjrV6vtf26Or"
    "21An+ULFZp89A4Vg0Yul/+rzn8PNCSjZeYop8Ric3yxuLmLw9imGPS4JfzcnPbxEsf0dGWKHtJiPEDSnTmrLvv1s"
    "1+1nbev7fPzrGwz1HYf5Ngg4PbK/zS4i9EDvIVy+imGC7bx1N3CazxX51OH3txv2idtvN7q3P4GrO1YiK1N+5jph"
    "/53s+ZHmP4XscODp2zT7iMgFsvX3xCTEqzA9wdA/YXrqy/uhB+w5nnUKcjpuJmi+j9LfGpvXBzDUnbh5s1nD6Jn9"
    "guthseryD+xnHJeIZj5+wZ7nm/4DqeozGOqVfh5z8at9CRdfVx9xZUHnLXuJPRzTDQ/coDi94AImTXfr4rZetW84"
    "5ZD3PWeB/ZTkLcFzpF7bX1Nf1Kt07DJBewsKr/Vs/fLM/vblK3dzuV5TzZ2frZJWp7x/ADdvhbGPmyPXO5zmfzh2"
    "xyRH9yXJ9l+RNg/z1T4I16ew+KVOTt5CDHNmHXw3wcTrrT0AXy++sg=="
)


def test_a_reader_that_crashes_takes_nobody_along(tmp_path):
    (tmp_path / "m.mat").write_bytes(zlib.decompress(base64.b64decode(CRASHES)))
    with pytest.raises(ValueError, match=r"m.mat (could not be read|holds)"):
        read_network(tmp_path / "m.mat")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("general\n2 2 1\n1.7 2 1.0\n", "no whole numbers"),
        ("symmetric\n3 3 2\n2 1 1.0\n1 3 2.0\n", "on both sides of the diagonal"),
    ],
)
def test_a_matrix_market_file_that_contradicts_itself(tmp_path, body, words):
    (tmp_path / "m.mtx").write_text(f"%%MatrixMarket matrix coordinate real {body}")
    with pytest.raises(ValueError, match=words):
        read_network(tmp_path / "m.mtx")


def test_a_dense_matrix_market_file_is_named(tmp_path):
    text = "%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4\n"
    (tmp_path / "m.mtx").write_text(text)
    with pytest.raises(ValueError, match="array matrix of real values is not taken"):
        read_network(tmp_path / "m.mtx")


def test_links_whose_ends_are_called_otherwise_are_no_matrix(tmp_path):
    for head in ("node1,node2,weight", "i,j,Value"):
        (tmp_path / "m.csv").write_text(f"{head}\n1,2,0.5\n2,3,0.7\n3,1,0.9\n")
        with pytest.raises(ValueError, match="none called source and target"):
            read_network(tmp_path / "m.csv")


def test_a_header_without_names_of_rows_loses_no_column(tmp_path):
    (tmp_path / "m.csv").write_text("A,B,C\n1,0,2\n3,1,1\n")
    found = read_network(tmp_path / "m.csv", project="columns")
    np.testing.assert_array_equal(
        found.toarray(), projection([[1, 0, 2], [3, 1, 1]], "columns").toarray()
    )
    (tmp_path / "n.csv").write_text("id,a,b\n1,0,3\n2,1,0\n3,1,1\n")
    with pytest.raises(ValueError, match="it is bipartite"):
        read_network(tmp_path / "n.csv")


PAJEK = '*Vertices 3\n1 "a"\n2 "b b"\n3 "a"\n'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (PAJEK + "*Arcs\n1 2 2\n*Edges\n2 3 0.5\n", [[0, 0, 0], [2, 0, 0.5], [0, 0.5, 0]]),
        (PAJEK + "*Edges\n2 3\n*Arcs\n1 2\n", [[0, 0, 0], [1, 0, 1], [0, 1, 0]]),
        ("*Vertices 3\n*Arcslist\n1 2 3\n", [[0, 0, 0], [1, 0, 0], [1, 0, 0]]),
        ("*Network n\n*vertices 3\n% no\n*Edgeslist\n1 2 3\n", [[0, 1, 1], [1, 0, 0], [1, 0, 0]]),
        ('*Vertices 2\n2 "b"\n*Arcs :1 "r"\n1 1\n', [[1, 0], [0, 0]]),
    ],
)
def test_sections_of_pajek(tmp_path, body, expected):
    found = read_network(saved(tmp_path / "p.net", body))
    np.testing.assert_array_equal(found.toarray(), expected)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (PAJEK + "*Arcs\n1 9\n", "line 6: node 9 is not there, there are 3"),
        (PAJEK + "*Arcs\n0 1\n", "line 6: node 0 is not there"),
        (PAJEK + "*Arcs\n1 2 1,5\n", "line 6: could not convert"),
        (PAJEK + '*Arcs :2 "rel2"\n1 2\n', "several relations"),
        (PAJEK + "*Arcs\n1 2\n" + PAJEK, "a second network"),
        ("*Vertices 3 1\n*Arcs\n1 2\n", "two modes"),
        (PAJEK + "*Matrix\n0 1 0\n", "[*]Matrix is not taken"),
        ("1 2\n", "line 1: node 1 is not there"),
        ("*Vertices 99999999999\n", "it states 99999999999 nodes"),
        ("", "no [*]Vertices"),
    ],
)
def test_what_of_pajek_would_be_guessed_is_refused(tmp_path, body, words):
    with pytest.raises(ValueError, match=f"p.net could not be read as Pajek's network: .*{words}"):
        read_network(saved(tmp_path / "p.net", body))


GRAPHML = (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="w" for="{kind}" '
    'attr.name="weight" attr.type="{type}"><default>{default}</default></key>'
    '<graph edgedefault="directed"><node id="a"/><node id="b"/>'
    '<edge source="a" target="{target}"/></graph></graphml>'
)


def test_defaults_of_graphml_and_nodes_that_are_not_there(tmp_path):
    given = {"kind": "all", "type": "double", "default": "4", "target": "b"}
    found = read_network(saved(tmp_path / "g.graphml", GRAPHML.format(**given)))
    np.testing.assert_array_equal(found.toarray(), [[0, 0], [4, 0]])
    for change, words in [
        ({"target": "c"}, "a node that is not declared"),
        ({"kind": "edge", "type": "boolean", "default": "true"}, "true and false"),
    ]:
        text = GRAPHML.format(**given | change)
        with pytest.raises(ValueError, match=words):
            read_network(saved(tmp_path / "g.graphml", text))


def test_what_separates_cells_is_what_gives_equal_rows(tmp_path):
    for text, expected in [
        ('"0,5";1\n1;"0,5"\n', [[0.5, 1], [1, 0.5]]),
        ("0,5;1\n1;0,5\n", [[0.5, 1], [1, 0.5]]),
        (';"Apis, L.";"Bombus, L."\n"Apis, L.";0;2\n"Bombus, L.";1;0\n', [[0, 2], [1, 0]]),
        ("0,1\n1,0\n", [[0, 1], [1, 0]]),
    ]:
        found = read_network(saved(tmp_path / "m.csv", text))
        np.testing.assert_array_equal(found.toarray(), expected)
    with pytest.raises(ValueError, match="m.csv, line 2 could not be read as csv"):
        read_network(saved(tmp_path / "m.csv", '0,1\n"1"x,0\n'))


def test_tables_of_pandas_are_read_by_name():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(A, index=list("abc"), columns=list("abc"))
    expected = ed.reduce(A).beta_eff
    for one in (table, table[["c", "a", "b"]], pandas.DataFrame(A)):
        assert ed.reduce(one).beta_eff == expected
    with pytest.raises(ValueError, match="have other names .'a', 'x'.*bipartite"):
        ed.reduce(table.rename(columns={"a": "x"}))
    with pytest.raises(ValueError, match="names a row or a column twice"):
        ed.reduce(pandas.DataFrame(A, index=list("aab"), columns=list("abc")))
    with pytest.raises(TypeError, match="A must be a square matrix"):
        ed.reduce(np.array([["0", "1"], ["1", "0"]], object))
    with pytest.raises(TypeError, match="masked array"):
        ed.reduce([np.ma.masked_array(row, row > 1) for row in A])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("net.csv", "source,target,weight\na,b,2\na,b,3\nb,a,1\n"),
        ("net.net", "*Vertices 2\n*Arcs\n1 2 2\n1 2 3\n2 1 1\n"),
        (
            "net.gml",
            "graph [ directed 1 multigraph 1 node [ id 0 label 0 ] node [ id 1 label 1 ]"
            " edge [ source 0 target 1 weight 2 ] edge [ source 0 target 1 weight 3 ]"
            " edge [ source 1 target 0 weight 1 ] ]",
        ),
    ],
)
def test_links_that_are_there_twice_are_added_and_told_of(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.warns(UserWarning, match="has 3 links, 2 of them distinct: weights"):
        assert read_network(path).toarray().tolist() == [[0, 1], [5, 0]]


@pytest.mark.parametrize("dynamics", ["sis", "gene_regulation"])
def test_where_nothing_is_active_the_reduction_holds(tmp_path, capsys, dynamics):
    path = tmp_path / "weak.csv"
    path.write_text("source,target,weight\na,b,0.2\nb,c,0.2\nc,a,0.2\n")
    assert main(["reduce", str(path), "--dynamics", dynamics]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "settles at x_eff = 0, as the reduced" in said and "does not hold" not in said
