"""The paper's full-scale experiment: its study files, a miniature of it, its table and figures."""

import json
from pathlib import Path

import pytest
from report_cases import DATA, record, write_study

import edgedyn as ed
from edgedyn.cli import main
from edgedyn.studies.study_file import load_study

pytestmark = pytest.mark.slow

FULL = Path(__file__).resolve().parents[2] / "papers" / "jiang2024" / "full"
TASKS = {"cifar10": "cifar10", "cifar100": "cifar100", "fashion-mnist": "fashion_mnist",
         "svhn": "svhn:data/svhn", "birds": "birds:data/birds"}  # fmt: skip
FIGURES = ("fig3a", "fig3b", "fig4")
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def script():
    """Return the script."""
    from papers.jiang2024.full import table_and_figures

    return table_and_figures


def rows(folder, name="table1", part="rows", **fields):
    """Return those rows of a results file that have these values."""
    found = json.loads((folder / f"{name}.json").read_text())[part]
    return [row for row in found if all(row[k] == v for k, v in fields.items())]


# Study files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_a_study_is_the_papers(task):
    study = load_study(FULL / f"{task}.toml", {})
    training = study.training
    assert study.data.spec == TASKS[task] and study.stage == "full"
    assert (training.epochs, training.batch_size, training.learning_rate) == (50, 64, 1e-3)
    assert training.seeds == tuple(range(20)) and len(study.trials) == 17 * 20
    assert study.probe.units == (256, 128) and study.probe.frozen
    own = task == "birds"  # it has a validation part, and maybe fewer images
    assert (study.data.n_train, study.data.validation_size) == (
        ((), None) if own else ((35_000,), 15_000)
    )


@pytest.mark.parametrize("task", TASKS)
def test_the_sizes_differ_from_it_in_nothing_else(task):
    whole, sizes = (load_study(FULL / f"{task}{end}.toml", {}).to_dict() for end in ("", "-sizes"))
    assert sizes["data"].pop("n_train") == tuple(range(10_000, 30_001, 5_000))
    del whole["data"]["n_train"]
    assert (sizes.pop("stage"), whole.pop("stage")) == ("early", "full")
    assert sizes.pop("output") == f"{whole.pop('output')}-sizes"
    assert sizes == whole


@pytest.mark.tensorflow
def test_the_candidates_are_the_papers_networks():
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    from edgedyn import nn

    candidates = load_study(FULL / "svhn.toml", {}).candidates
    assert [c.backbone for c in candidates] == [row.name for row in nn.list_backbones()]
    assert [c.name for c in candidates if c.weights != "imagenet"] == ["AlexNet"]


# Table and figures ------------------------------------------------------------------------------

FINAL = {"a": 0.9, "b": 0.5, "c": 0.7, "d": 0.3}


def on_lines(slope, weights="imagenet", **options):
    """Return runs on lines that end at their true final accuracy, steeper for the better ones."""
    settings = {"candidate": {"file": None, "weights": weights}}
    return [
        record(m, 0.8 + final / 10, 8, test=0.8 + final / 10, slope=slope * final / 10, wiggle=0.0,
               settings=settings, scores={"logme": -final}, **options)
        for m, final in FINAL.items()
    ]  # fmt: skip


def test_any_folder_of_studies_will_do(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script.tables, "METHODS", ("capacitance", "last_value", "logme", "naswot"))
    monkeypatch.setitem(DATA, "class_names", list("abcd"))
    write_study(tmp_path / "in" / "one", on_lines(-6.0))
    write_study(tmp_path / "in" / "two", on_lines(-0.1, weights="none"))
    write_study(tmp_path / "in" / "two-sizes", on_lines(-0.1)[:3])
    (tmp_path / "in" / "begun").mkdir()
    write_study(tmp_path / "in" / "begun", on_lines(-0.1)[:1])
    script.main([str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    assert "left out: begun has 1 complete candidates" in capsys.readouterr().out
    out = tmp_path / "out"
    found = {(r["task"], r["method"]): r["rho"] for r in rows(out, observed=5, group="all")}
    assert found == {
        ("one", "capacitance"): 1, ("one", "last_value"): -1, ("one", "logme"): -1,
        ("two", "capacitance"): 1, ("two", "last_value"): 1, ("two", "logme"): -1,
        ("mean over tasks", "capacitance"): 1, ("mean over tasks", "last_value"): 0,
        ("mean over tasks", "logme"): -1,
    }  # fmt: skip
    assert {r["task"] for r in rows(out, group="pretrained")} == {"one"}
    assert {r["observed"] for r in rows(out)} == {3, 5}  # of eight epochs
    for name in ("fig2_one", "fig2_two", *FIGURES):
        assert (out / f"{name}.png").read_bytes().startswith(PNG)
    assert (out / "tables.md").read_text().startswith("# The paper's experiment: tables")


def test_studies_that_say_nothing_are_refused(script, tmp_path):
    with pytest.raises(SystemExit, match="holds no study with finished trials"):
        script.main([str(tmp_path)])
    runs = [record(m, 0.5, 5, test=0.5) for m in FINAL]
    write_study(tmp_path / "short", runs)
    with pytest.raises(SystemExit, match="short must have more than 5 epochs"):
        script.main([str(tmp_path)])


# A miniature ------------------------------------------------------------------------------------

MINIATURE = """
stage = "{stage}"
output = "records/{name}"
methods = ["capacitance", "last_value", "logme"]
candidates = [
    {{ name = "mlp", factory = "edgedyn.nn.models.small:mlp" }},
    {{ name = "cnn", factory = "edgedyn.nn.models.small:cnn" }},
]
data = {{ spec = "digits", n_train = [{n_train}] }}
training = {{ epochs = 6, early_epochs = 5, seeds = {seeds} }}
probe = {{ units = [16, 8] }}
"""


@pytest.mark.tensorflow
def test_a_miniature_goes_from_study_files_to_the_figures(script, tmp_path):
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    files = {
        "mini": {"stage": "full", "n_train": 300, "seeds": [0, 1]},
        "mini-sizes": {"stage": "early", "n_train": 100, "seeds": [0]},
    }
    for name, fields in files.items():
        path = tmp_path / f"{name}.toml"
        path.write_text(MINIATURE.format(name=name, **fields))
        assert main(["select", str(path)]) == 0
    out = tmp_path / "out"
    script.main([str(tmp_path / "records"), "--out", str(out)])
    for name in ("fig2_mini", "fig3c", *FIGURES):
        assert (out / f"{name}.png").read_bytes().startswith(PNG)
    methods = ["capacitance", "pooled", "last_value", "best_value", "bgrn", "cl", "domhan", "logme"]
    for n in (3, 5):
        found = rows(out, observed=n, group="all")
        assert [r["method"] for r in found] == methods
        assert all(r["task"] == "mini" and r["rho"] is None for r in found)  # of two candidates
    runs = ed.load_records(tmp_path / "records" / "mini")
    assert len(runs) == 4
    for model in ("mlp", "cnn"):
        (row,) = rows(out, part="predictions", model=model, method="last_value", seeds=[0, 1])
        some = [r for r in runs if r.model == model]
        assert row["truth"] == pytest.approx(sum(r.final_test_accuracy for r in some) / 2)
        assert row["prediction"] == pytest.approx(sum(r.epochs[4].val_accuracy for r in some) / 2)
    sizes = rows(out, name="supplementary", part="sizes", method="last_value")
    assert [(r["n_train"], r["models"], r["seeds"]) for r in sizes] == [
        (100, ["mlp", "cnn"], [0]),
        (300, ["mlp", "cnn"], [0]),
    ]
    words = (out / "tables.md").read_text()
    assert "### mini, all candidates" in words and "| mini | 2 | 2 | 6 | 300 |" in words
