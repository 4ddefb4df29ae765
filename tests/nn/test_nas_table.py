"""Tables of cells: NASLib's JSON, a csv of one's own, the official packages by stand-ins."""

import json
import os
import sys
from ast import literal_eval
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

from edgedyn import nn  # noqa: E402
from edgedyn.nn.models.nas import cell_string  # noqa: E402

pytestmark = pytest.mark.tensorflow

CELLS = [(2, 2, 2, 2, 2, 2), (0, 2, 3, 2, 3, 1), (1, 1, 1, 1, 1, 1)]
ENTRY = {
    "val_accuracy": 86.06,
    "params": {"score": 0.615386, "time": 0.47},
    "flops": {"score": 88.307392, "time": 0.49},
    "synflow": {"score": 41.9, "time": 0.5},
    "idx": "534",
    "arch": "(0, 2, 3, 2, 3, 1)",
}


def written(folder, text, name="table.csv"):
    """Write a file and return its path."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def as_json(folder, stored):
    return written(folder, json.dumps(stored), "table.json")


# NASLib's file ----------------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "ImageNet16-120"])
def test_naslibs_724_cells(dataset):
    folder = os.environ.get("EDGEDYN_DATA")
    if not folder:
        pytest.skip("set EDGEDYN_DATA to the folder of the shared real data")
    path = Path(folder) / "nas" / "nasbench201_724_archs_proxies_accuracy.json"
    rows = json.loads(path.read_text(encoding="utf-8"))[dataset]
    table = nn.load_nas_table(path, dataset)
    assert table.dataset == dataset and len(table) == len(rows)
    assert len(set(table.cells)) == len(rows) >= 724
    # The file counts parameters and flops among its twelve proxies.
    assert len(table.proxies) == 10
    for text, row in rows.items():
        k = table.index(literal_eval(text))
        assert table.accuracy[k] == row["val_accuracy"] / 100
        assert table.parameters[k] == round(row["params"]["score"] * 1e6)
        assert table.flops[k] == row["flops"]["score"] * 1e6
        for name, values in table.proxies.items():
            assert values[k] == row[name]["score"]
            assert table.seconds[name][k] == row[name]["time"]
    if dataset == "cifar10":
        assert table.parameters[table.index((0, 2, 3, 2, 3, 1))] == 615_386
        assert nn.load_nas_table(path).accuracy.tolist() == table.accuracy.tolist()


def test_json_of_one_data_set_needs_no_name(tmp_path):
    table = nn.load_nas_table(as_json(tmp_path, {"svhn": {"(0, 2, 3, 2, 3, 1)": ENTRY}}))
    assert table.dataset == "svhn" and table.cells == (CELLS[1],)
    assert table.accuracy.tolist() == [0.8606]
    assert table.parameters.tolist() == [615_386] and table.parameters.dtype == np.int64
    assert table.proxies.keys() == {"synflow"} and table.proxies["synflow"].tolist() == [41.9]
    assert table.seconds["synflow"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ([], r"must hold \{data set"),
        ({"cifar10": []}, r"must hold \{data set"),
        ({"a": {}, "b": {}}, "no data set 'cifar10'; give dataset= one of a, b"),
        ({"cifar10": {}}, "holds no cell"),
        ({"cifar10": {"(0, 2, 3, 2, 3, 1)": 0.9}}, r"cell \(0, .* must hold \{name: value\}"),
        ({"cifar10": {"(0, 2, 3)": ENTRY}}, "there is no cell"),
        ({"cifar10": {"(0, 2, 3, 2, 3, 1)": {}}}, "has no 'accuracy'"),
        (
            {"cifar10": {"(0, 2, 3, 2, 3, 1)": {**ENTRY, "val_accuracy": "high"}}},
            r"accuracy of cell \(0, .* must be a number; got 'high'",
        ),
        (
            {"cifar10": {"(0, 2, 3, 2, 3, 1)": {**ENTRY, "val_accuracy": 860.6}}},
            "accuracy 8.606; accuracies lie in",
        ),
        (
            {"cifar10": {"(0, 2, 3, 2, 3, 1)": {**ENTRY, "synflow": {"time": 1.0}}}},
            "synflow of cell .* must be a number; got None",
        ),
        (
            {"cifar10": {"(0, 2, 3, 2, 3, 1)": {**ENTRY, "params": {"score": float("inf")}}}},
            "parameters of cell .* must be a number; got inf",
        ),
        (
            {"cifar10": {"(0, 2, 3, 2, 3, 1)": ENTRY, "0,2,3,2,3,1": ENTRY}},
            r"cell 0,2,3,2,3,1 occurs twice, first as \(0, 2",
        ),
        (
            {"cifar10": {str(CELLS[0]): {"val_accuracy": 90.0}, str(CELLS[1]): ENTRY}},
            "alone has 'parameters'",
        ),
        (
            {"cifar10": {str(CELLS[0]): ENTRY, str(CELLS[1]): {"val_accuracy": 90.0}}},
            "has no 'parameters'",
        ),
    ],
)
def test_json_that_is_refused(tmp_path, stored, words):
    refused(as_json(tmp_path, stored), words)


def refused(path, words, dataset=None, error=ValueError):
    """Expect one sentence that names the file."""
    with pytest.raises(error, match=words) as found:
        nn.load_nas_table(path, dataset)
    text = str(found.value)
    assert str(path) in text and text.endswith(".") and "\n" not in text


def test_json_that_is_none(tmp_path):
    refused(written(tmp_path, "{", "a.json"), "could not be read as JSON")
    refused(written(tmp_path, "[" * 100_000, "b.json"), "could not be read as JSON")
    (tmp_path / "c.json").write_bytes(b"\xff\xfe\x00")
    refused(tmp_path / "c.json", "could not be read as JSON")
    (tmp_path / "d.json").mkdir()
    refused(tmp_path / "d.json", "could not be read as JSON")
    entry = json.dumps(ENTRY)
    twice = f'{{"cifar10": {{"{CELLS[1]}": {entry}, "{CELLS[1]}": {entry}}}}}'
    refused(written(tmp_path, twice, "e.json"), "occurs twice")
    known = as_json(tmp_path, {"cifar10": {str(CELLS[1]): ENTRY}})
    refused(known, "no data set 'mnist'; give dataset= one of cifar10", "mnist")


# A csv of one's own -----------------------------------------------------------------------------

OWN = """cell, accuracy, parameters, flops, synflow
"(2, 2, 2, 2, 2, 2)", 0.9, 1531546, 2.2e8, 60.5
"(0, 2, 3, 2, 3, 1)", 0.86, 615386, 8.8e7, 41.9
"(1, 1, 1, 1, 1, 1)", 0.1, 73306, 7.8e6, -inf
"""


def test_a_csv_of_ones_own(tmp_path):
    table = nn.load_nas_table(written(tmp_path, OWN))
    assert table.dataset == "" and table.cells == tuple(CELLS)
    np.testing.assert_array_equal(table.accuracy, [0.9, 0.86, 0.1])
    np.testing.assert_array_equal(table.parameters, [1_531_546, 615_386, 73_306])
    np.testing.assert_array_equal(table.proxies["synflow"], [60.5, 41.9, -np.inf])
    assert not table.seconds
    assert [table.index(c) for c in CELLS] == [table.index(cell_string(c)) for c in CELLS]
    with pytest.raises(ValueError, match="does not hold"):
        table.index((0,) * 6)
    assert nn.load_nas_table(tmp_path / "table.csv", "birds").dataset == "birds"
    marked = nn.load_nas_table(written(tmp_path, f"\ufeff{OWN}\n\n", "of a spreadsheet.csv"))
    assert marked.cells == table.cells


def test_a_csv_with_official_text_and_no_more_than_it_needs(tmp_path):
    lines = ["arch,accuracy", *(f"{cell_string(c)},0.{k + 1}" for k, c in enumerate(CELLS))]
    table = nn.load_nas_table(str(written(tmp_path, "\n".join(lines))))
    assert table.cells == tuple(CELLS) and table.parameters is None and table.flops is None
    assert table.accuracy.tolist() == [0.1, 0.2, 0.3]


def test_a_table_prints_and_becomes_a_frame(tmp_path):
    table = nn.load_nas_table(written(tmp_path, OWN), "mine")
    assert str(table).splitlines() == [
        "3 cells on mine: accuracy 0.1000 to 0.9000, median 0.8600",
        "parameters 73,306 to 1,531,546",
        "flops 7,800,000 to 220,000,000",
        "proxies: synflow",
        f"best: (2, 2, 2, 2, 2, 2) {cell_string(CELLS[0])}",
    ]
    frame = table.to_frame()
    assert list(frame.index) == [cell_string(c) for c in CELLS]
    assert list(frame.columns) == ["accuracy", "parameters", "flops", "synflow"]
    assert frame["synflow"].tolist() == [60.5, 41.9, -np.inf]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no cell"),
        ("cell,accuracy\n", "holds no cell"),
        ('cell,score\n"(2, 2, 2, 2, 2, 2)",1', "has no 'accuracy'"),
        ("name,accuracy\na,0.5", "has no 'cell'"),
        ("cell,accuracy\n(2;2),0.5", "there is no cell"),
        ("cell,accuracy\n,0.5", "there is no cell"),
        ('cell,accuracy\n"(2, 2, 2, 2, 2, 2)",90', "divide per cent by 100"),
        ('cell,accuracy\n"(2, 2, 2, 2, 2, 2)",-0.1', "accuracies lie in"),
        ('cell,accuracy\n"(2, 2, 2, 2, 2, 2)",good', "must be a number; got 'good'"),
        ('cell,accuracy\n"(2, 2, 2, 2, 2, 2)",', "must be a number; got ''"),
        ('cell,accuracy\n"(2, 2, 2, 2, 2, 2)",nan', "must be a number; got nan"),
        ('cell,accuracy,x\n"(2, 2, 2, 2, 2, 2)",0.9,', "x of cell .* must be a number"),
        ('cell,accuracy,x\n"(2, 2, 2, 2, 2, 2)",0.9,True', "x of cell .* must be a number"),
        ('cell,accuracy,flops\n"(2, 2, 2, 2, 2, 2)",0.9,inf', "flops of cell .* must be a"),
        ('cell,accuracy\n"(2, 2, 2, 2, 2, 2)",0.9\n"2,2,2,2,2,2",0.8', "occurs twice"),
        ("cell,accuracy\n2,2,2,2,2,2,0.9", "the line of '2' has 7 values for 2 columns"),
        ('cell,accuracy\n"(2, 2, 2, 2, 2, 2)"', "has 1 values for 2 columns"),
        ('cell,accuracy,accuracy\n"(2, 2, 2, 2, 2, 2)",0.9,0.8', "two columns 'accuracy'"),
        ('cell,arch,accuracy\n"2,2,2,2,2,2","2,2,2,2,2,2",0.8', "two columns 'cell'"),
        ('cell,accuracy\n"(2, 2, 2, 2, 2, 2),0.9', "could not be read as csv"),
    ],
)
def test_csv_that_is_refused(tmp_path, text, words):
    refused(written(tmp_path, text), words)


# The official files -----------------------------------------------------------------------------

# Mean over runs, in per cent; parameters and flops in millions, as both packages answer.
ANSWERS = [
    {"cifar10-valid": 91.0, "cifar100": 73.0, "ImageNet16-120": 46.0, "params": 1.531546},
    {"cifar10-valid": 86.0, "cifar100": 61.0, "ImageNet16-120": 34.0, "params": 0.615386},
    {"cifar10-valid": 10.0, "cifar100": 1.0, "ImageNet16-120": 0.8, "params": 0.073306},
]


class StandIn:
    """Answers the calls of either package, and refuses all others."""

    def __len__(self):
        return len(CELLS)

    def arch(self, k):
        return cell_string(CELLS[k])

    def get_more_info(self, index, dataset, iepoch=None, hp="12", is_random=True):
        assert hp == "200" and is_random is False and iepoch is None
        return {"valid-accuracy": ANSWERS[index][dataset], "test-accuracy": 0.0}

    def get_cost_info(self, index, dataset, hp="12"):
        assert hp == "200" and dataset in ANSWERS[index]
        return {"params": ANSWERS[index]["params"], "flops": 100.0 + index, "latency": 0.1}


def nats(calls):
    """Return a stand-in for the package nats_bench."""

    def create(file_path_or_dict, search_space, fast_mode=False, verbose=True):
        calls.append((file_path_or_dict, search_space, fast_mode, verbose))
        return StandIn()

    return SimpleNamespace(create=create)


@pytest.fixture(params=["NATS-tss-v1_0-3ffb9-simple", "NATS-tss-v1_0-3ffb9.pickle.pbz2", "x.pth"])
def official(request, tmp_path, monkeypatch):
    """Return an official file, or folder, whose package is installed."""
    path = tmp_path / request.param
    if "." in path.name:
        path.touch()
    else:
        path.mkdir()
    calls = []
    monkeypatch.setitem(sys.modules, "nats_bench", nats(calls))

    def api(file_path_or_dict=None, verbose=True):
        calls.append((file_path_or_dict, verbose))
        return StandIn()

    monkeypatch.setitem(sys.modules, "nas_201_api", SimpleNamespace(NASBench201API=api))
    return path, calls


@pytest.mark.parametrize(
    ("dataset", "stored"),
    [(None, "cifar10-valid"), ("cifar10", "cifar10-valid"), ("cifar100", "cifar100")],
)
def test_official_files_are_read_by_their_packages(official, dataset, stored):
    path, calls = official
    table = nn.load_nas_table(path, dataset)
    assert table.dataset == (dataset or "cifar10") and table.cells == tuple(CELLS)
    np.testing.assert_allclose(table.accuracy, [a[stored] / 100 for a in ANSWERS])
    assert table.parameters.tolist() == [1_531_546, 615_386, 73_306]
    assert table.flops.tolist() == [100e6, 101e6, 102e6]
    if path.suffix == ".pth":
        assert calls == [(str(path), False)]
    else:
        assert calls == [(str(path), "tss", path.is_dir(), False)]


def test_official_files_have_three_data_sets(official):
    words = "no data set 'svhn'; give dataset= one of cifar10, cifar100, ImageNet16-120"
    refused(official[0], words, "svhn")


def test_official_files_that_their_package_cannot_read(official, monkeypatch):
    def fails(*args, **kwargs):
        raise KeyError("meta_archs")

    monkeypatch.setitem(sys.modules, "nats_bench", SimpleNamespace(create=fails))
    monkeypatch.setitem(sys.modules, "nas_201_api", SimpleNamespace(NASBench201API=fails))
    refused(official[0], "could not read .*meta_archs")


def test_official_files_without_an_answer(official, monkeypatch):
    monkeypatch.setattr(StandIn, "get_more_info", lambda *args, **kwargs: {"test-accuracy": 1.0})
    refused(official[0], "could not read .*valid-accuracy")


def test_official_files_without_their_package(tmp_path, monkeypatch):
    for name, package in (("NATS-tss-a", "nats_bench"), ("a.pth", "nas_201_api")):
        monkeypatch.setitem(sys.modules, package, None)
        (tmp_path / name).touch()
        refused(tmp_path / name, f"the package {package}.*pip install", error=ImportError)


# Paths ------------------------------------------------------------------------------------------


def test_paths_that_are_none(tmp_path):
    refused(tmp_path / "a.csv", "there is no file")
    refused(tmp_path / "a.parquet", "is of no known kind; known are .json and .csv")
    with pytest.raises(TypeError, match="path must be the path of a table; got 7"):
        nn.load_nas_table(7)
