"""The command line as a user meets it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse

import edgedyn as ed
from edgedyn._data import load_table
from edgedyn._files import output_folder
from edgedyn.cli import main


def rejected(capsys, *arguments):
    """Run a command that must fail with exit code 2 and one sentence."""
    try:
        code = main([str(a) for a in arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert "Traceback" not in captured.err
    return captured.err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == f"edgedyn {ed.__version__}"


def test_alone_it_prints_its_help(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("usage: edgedyn")


def test_as_a_module_and_into_a_reader_that_has_seen_enough():
    command = [sys.executable, "-m", "edgedyn", "linegraph", "4", "5", "3"]
    assert subprocess.run(command, capture_output=True, check=True).stdout
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 0)


def test_linegraph_table_and_json(capsys):
    assert main(["linegraph", "4", "5", "3"]) == 0
    assert "60" in capsys.readouterr().out
    assert main(["linegraph", "4", "5", "3", "--bias", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["n_nodes"] == 4 * 5 + 5 + 5 * 3 + 3
    assert main(["linegraph", "4", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["beta_eff"] is None


def test_linegraph_files(tmp_path, capsys):
    gb = ed.line_graph([4, 5, 3])
    for suffix in ("png", "svg", "html", "graphml", "npz", "gexf"):
        assert main(["linegraph", "4", "5", "3", "--out", str(tmp_path / f"gb.{suffix}")]) == 0
    assert (tmp_path / "gb.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "gb.html").read_text(encoding="utf-8")
    assert page.count("<tr>") == 1 + gb.n_nodes and "Line graph of 4-5-3" in page
    stored = scipy.sparse.load_npz(tmp_path / "gb.npz")
    np.testing.assert_array_equal(stored.toarray(), gb.to_scipy().toarray())
    graph = nx.read_graphml(tmp_path / "gb.graphml", node_type=int)
    assert set(graph.edges()) == set(gb.to_networkx().edges())
    assert graph.nodes[7]["position"] == "1 3"
    assert set(nx.read_gexf(tmp_path / "gb.gexf", node_type=int).edges()) == set(graph.edges())
    assert len(list(tmp_path.iterdir())) == 6  # no temporary files are left


def test_linegraph_writes_layers_and_strengths(tmp_path, capsys):
    layers, strengths = tmp_path / "layers.gexf", tmp_path / "P.graphml"
    assert main(["linegraph", "4", "5", "3", "2", "--layers", "--out", str(layers)]) == 0
    found = nx.read_gexf(layers, node_type=int)
    assert {(a, b): d["links"] for a, b, d in found.edges(data=True)} == {(2, 1): 60, (3, 2): 30}
    arguments = ["linegraph", "64", "3", "10", "--data", "digits", "--out", str(strengths)]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["n_samples"] == 1797
    graph = nx.read_graphml(strengths, node_type=int)
    X, y = load_table("digits")
    P = ed.ReLUMLP.random([64, 3, 10], bias=False, seed=0).interaction(X, y)
    dense = nx.to_numpy_array(graph, nodelist=range(len(graph)))
    np.testing.assert_allclose(dense.T, P.to_scipy().toarray(), rtol=1e-12)


@pytest.mark.parametrize("bias", [False, True])
def test_linegraph_on_data(bias, tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", X=rng.standard_normal((20, 4)), y=np.arange(20) % 3)
    arguments = ["linegraph", "4", "5", "3", "--json", "--data", str(tmp_path / "data.npz")]
    arguments += ["--bias"] * bias + ["--out", str(tmp_path / "gb.html")]
    assert main(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["n_samples"] == 20 and printed["network"] == "4-5-3, random weights, on data.npz"
    page = (tmp_path / "gb.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    net = ed.ReLUMLP.random([4, 5, 3], bias=bias, seed=0)
    np.testing.assert_array_equal(data["values"], net.parameters)
    X, y = load_table(str(tmp_path / "data.npz"))
    expected = net.interaction(X, y, nodes="all" if bias else "kernels").to_scipy()
    np.testing.assert_allclose(data["links"]["strength"], expected.data, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["linegraph", "4", "0", "3"], "at least 1; got 0"),
        (["linegraph", "4"], "at least an input and an output layer"),
        (["linegraph", "4", "x"], "invalid int value"),
        (["linegraph"], "either neurons per layer"),
        (["linegraph", "4", "5", "--model", "VGG16"], "either neurons per layer"),
        (["linegraph", "4", "5", "--nodes", "all"], "--nodes belongs to --model"),
        (["linegraph", "--model", "VGG16", "--bias"], "--bias belongs to sizes"),
        (["linegraph", "4", "5", "--out", "gb.pdf"], "must end in one of"),
        (
            ["linegraph", "64", "9", "10", "--data", "digits"],
            "--data belongs to an .html page or an export",
        ),
        (["linegraph", "64", "9", "10", "--data", "digits", "--out", "gb.png"], "an .html page"),
        (["linegraph", "4", "5", "3", "--layers"], "say --out layers.gexf"),
        (["linegraph", "4", "5", "3", "--layers", "--out", "gb.png"], "say --out layers.gexf"),
        (["linegraph", "4", "5", "--layers", "--data", "digits", "--out", "a.gml"], "leave one"),
        (
            ["linegraph", "4", "5", "3", "--data", "digits", "--out", "gb.html"],
            "64 features and 10 classes; the sizes must begin with 64",
        ),
        (["linegraph", "64", "9", "9", "--data", "digits", "--out", "gb.html"], "at least 10; got"),
        (["linegraph", "4", "5", "--data", "no.csv", "--out", "gb.html"], "no file"),
        (["linegraph", "100000", "100000", "100000", "--out", "gb.npz"], "add --layers"),
        (["draw"], "invalid choice"),
        (["theorem1", "--data", "nowhere.csv"], "no file"),
        (["theorem1", "--data", "data.txt"], "must be 'digits'"),
        (["theorem1", "--layers", "64", "10"], "at least four sizes"),
        (["theorem1", "--layers", "63", "8", "8", "10"], "64 features, but layers begins with 63"),
        (["theorem1", "--layers", "64", "8", "8", "9"], r"labels must be integers in 0..8"),
        (["theorem1", "--epochs", "0"], "at least 1; got 0"),
        (["demo", "--seed", "-1"], "--seed must be in 0..2**32-1"),
    ],
)
def test_bad_input(arguments, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sentence in rejected(capsys, *arguments)


@pytest.mark.parametrize("command", ["demo", "theorem1"])
def test_an_output_folder_that_is_a_file(command, capsys, tmp_path):
    blocked = tmp_path / "taken"
    blocked.write_text("mine")
    assert "cannot write to the output folder" in rejected(capsys, command, "--out", blocked)
    assert blocked.read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
def test_a_folder_nobody_can_write():
    with pytest.raises(ValueError, match="cannot write to the output folder"):
        output_folder(Path("/proc/edgedyn"))


def test_text_in_a_csv(capsys, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("1,2,0\n3,four,1\n")
    sentence = rejected(capsys, "theorem1", "--data", path, "--out", tmp_path / "out")
    assert "row 2, column 2 holds 'four'" in sentence


@pytest.mark.slow
def test_theorem1_writes_its_results(capsys, tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    X = rng.standard_normal((60, 4)) + y[:, None]
    np.savez(tmp_path / "data.npz", X=X, y=y)
    out = tmp_path / "out"
    arguments = ["theorem1", "--data", str(tmp_path / "data.npz"), "--epochs", "20"]
    arguments += ["--layers", "4", "12", "8", "6", "3", "--out", str(out)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    for letter in "acdef":
        assert f"({letter})" in printed
    results = json.loads((out / "results.json").read_text())
    assert results["environment"]["edgedyn"] == ed.__version__
    assert results["sizes"] == [4, 12, 8, 6, 3]
    assert {p.name for p in out.iterdir()} == {"results.json", "results.csv", "theorem1.png"}
    assert results["verdict"] in printed and "nan" not in printed


def test_theorem1_takes_a_table_as_it_is(capsys, tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        ",".join([*map(str, rng.standard_normal(3)), "yes" if k % 2 else "no"]) for k in range(30)
    ]
    (tmp_path / "mine.csv").write_text("\n".join(["height,width,age,answer", *rows]) + "\n")
    arguments = ["theorem1", "--data", str(tmp_path / "mine.csv"), "--epochs", "3"]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["sizes"], found["n_samples"]) == ([3, 48, 32, 24, 2], 30)


def test_values_that_are_none_say_why(capsys, tmp_path):
    assert main(["linegraph", "4", "5"]) == 0
    out = capsys.readouterr().out
    assert out.count("none (no links)") == 3 and "nan" not in out  # S, H and beta_eff


def test_an_interrupt_leaves_nothing_half_written(capsys, tmp_path, monkeypatch):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgedyn.studies.run_demo", interrupt)
    assert main(["demo", "--json", "--out", str(tmp_path)]) == 130
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence(capsys, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", str(tmp_path / "gb.npz"))

    monkeypatch.setattr("edgedyn.linegraph.export.row_pieces", full)
    assert "No space left" in rejected(capsys, "linegraph", 4, 5, 3, "--out", tmp_path / "gb.npz")
    assert list(tmp_path.iterdir()) == []


def test_names_in_tables_are_not_cut_in_two(capsys, monkeypatch):
    from edgedyn.commands.console import print_table

    monkeypatch.setenv("COLUMNS", "80")
    header = ["layer", "nodes", "sum of in-degrees", "sum of out-degrees", "share"]
    print_table("t", header, [["probe_batch_norm_1", "1000", *["1.234e-05"] * 3]])
    assert "probe_batch_norm_1" in capsys.readouterr().out
    print_table("t", header, [["x" * 100, "1000", *["1.234e-05"] * 3]])  # all of it, on some lines
    assert capsys.readouterr().out.count("x") == 100


def test_an_error_without_words_of_the_system_says_its_own(monkeypatch, capsys):
    from edgedyn.commands import linegraph as command

    def lost(arguments):
        raise ConnectionError("the connection to the scheduler is lost")

    monkeypatch.setattr(command, "run", lost)
    assert main(["linegraph", "4", "5", "3"]) == 2
    assert "None" not in (err := capsys.readouterr().err) and "scheduler is lost" in err


def test_no_cell_of_a_table_is_a_formula():
    import pandas as pd

    from edgedyn._files import csv_text, no_formula

    frame = pd.DataFrame({"model": ["=1+1", "@a", "b-c"], "value": [-1.5, 2.0, 3.0]})
    assert no_formula(" =1") == "' =1" and no_formula("\uff1d1") == "'\uff1d1"
    assert csv_text(frame).splitlines() == ["model,value", "'=1+1,-1.5", "'@a,2.0", "b-c,3.0"]


def test_words_are_completed_and_examples_shown(capsys):
    for shell in ("bash", "zsh"):
        with pytest.raises(SystemExit) as end:
            main(["--print-completion", shell])
        assert end.value.code == 0 and "theorem1" in capsys.readouterr().out
    for command in ("demo", "linegraph", "theorem1", "beta", "select", "report", "reduce"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert f"example: edgedyn {command}" in " ".join(capsys.readouterr().out.split())


def test_values_stay_whole_in_narrow_terminals_and_brackets_are_text(capsys, monkeypatch):
    from edgedyn.commands.console import print_table

    for width in (20, 40, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        rows = [["1  [bold]long name/of a model", "0.8123+-0.012", "0.812"]]
        print_table("[red]x.csv", ["candidate", "neural capacitance", "last value"], rows)
        lines = capsys.readouterr().out.splitlines()
        assert any("0.8123+-0.012" in line and "0.812  " in line for line in lines)
        text = "".join("".join(lines).split())
        assert "[red]x.csv" in text and "capacitance" in text and "value" in text
        assert "[bold]" in text


def test_a_failed_run_leaves_no_folder(tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("a,b\nx,y\n")
    for arguments in (
        ["theorem1", "--data", str(tmp_path / "bad.csv")],
        ["theorem1", "--epochs", "0"],
    ):
        assert main([*arguments, "--out", str(tmp_path / "new" / "deep")]) == 2
        assert not (tmp_path / "new").exists()
    (tmp_path / "there").mkdir()
    assert main(["theorem1", "--epochs", "0", "--out", str(tmp_path / "there")]) == 2
    assert (tmp_path / "there").is_dir()
