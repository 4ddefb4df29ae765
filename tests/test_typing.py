"""What a user's type checker and editor see: names, keywords, results; and what they refuse."""

import importlib.util
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import edgedyn
from edgedyn.studies import given, protocol
from edgedyn.studies.study import Study

TABLES = {
    "Data": "DataFields",
    "Candidate": "CandidateFields",
    "Probe": "ProbeFields",
    "Training": "TrainingFields",
    "Watch": "CapacitanceFields",
    "Finish": "FinishFields",
    "Race": "RaceFields",
    "Lessons": "ForecastFields",
    "Engine": "EngineFields",
}
SNIPPET = """
from typing import Any

import edgedyn as ed
from edgedyn import nn

found = ed.select(
    data={"spec": "digits", "n_train": [50]},
    candidates=["MobileNet", {"name": "mlp", "factory": "edgedyn.nn.models.small:mlp"}],
    training={"epochs": 3, "early_epochs": 3, "seeds": [0, 1]},
    forecast={"from": ["older-study"]},
    engine={"workers": 2},
    stage="race",
)
reveal_type(found)
reveal_type(found.best_model)
reveal_type(ed.line_graph([4, 5, 3], bias=True))
reveal_type(ed.line_graph([4, 5, 3]).n_links)
reveal_type(ed.neural_capacitance(ed.ReLUMLP.random([4, 5, 4, 3]), [[1.0] * 4], [0]).value)
reveal_type(ed.reduce([[0, 1], [1, 0]]).beta_eff)
reveal_type(ed.reduction.sis().critical_beta())
reveal_type(ed.predict.curves.LastValue())
reveal_type(nn.load_dataset("digits", image_size=32))
reveal_type(nn.CapacitanceCallback([[0.0]], [0]).beta_eff)
reveal_type(nn.list_backbones())
model: Any = None
reveal_type(nn.interaction(model, [[0.0]], [0]))
"""
TYPES = [
    "Selection",
    "Path | None",
    "LineGraph",
    "int",
    "float",
    "float",
    "float",
    "LastValue",
    "Dataset",
    "ndarray",
    "BackboneTable",
    "Interaction",
]
WRONG = """
import edgedyn as ed
from edgedyn import nn

ed.select(stages="race")
ed.select(stage="sprint")
ed.select(training={"epoch": 3})
ed.line_graph([4, 5, 3], biases=True)
ed.line_grpah([4, 5, 3])
nn.load_dataset("digits", image_sice=32)
nn.load_dataset("digits", split="random")
ed.neural_capacitance(None, [[0.0]], [0], strength="magnitud")
"""


def test_keywords_are_the_fields_of_the_tables():
    for table, name in TABLES.items():
        found = fields(getattr(protocol, table))
        keys = {one.metadata.get("key", one.name) for one in found}
        assert getattr(given, name).__annotations__.keys() == keys, name
    names = {one.name for one in fields(Study)} - {"folder"}
    assert given.StudyFields.__annotations__.keys() == names


def test_the_package_says_that_it_is_typed():
    assert (Path(edgedyn.__file__).parent / "py.typed").is_file()


def check(tool, folder, text):
    """Return the lines of a type checker about a user's file, outside the package's folder."""
    (folder / "user.py").write_text(text)
    commands = {
        "mypy": ["mypy", "--strict", f"--cache-dir={folder / 'cache'}", "user.py"],
        "pyright": ["pyright", "--pythonpath", sys.executable, "user.py"],
    }
    command = [sys.executable, "-m", *commands[tool]]
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    return [line for line in found.stdout.splitlines() if "user.py:" in line]


def require(tool):
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed: pip install {tool}")


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_users_see_types(tool, tmp_path):
    require(tool)
    lines = check(tool, tmp_path, SNIPPET)
    assert not [line for line in lines if "error" in line]
    shown = [
        re.sub(r"\b\w+\.(?=\w)", "", line.split(" is ", 1)[1]) for line in lines if " is " in line
    ]
    assert len(shown) == len(TYPES)
    for text, wanted in zip(shown, TYPES, strict=True):
        assert wanted in text and "Unknown" not in text, text


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["mypy", "pyright"])
def test_users_are_told_of_misspelt_names(tool, tmp_path):
    require(tool)
    lines = [line for line in check(tool, tmp_path, WRONG) if "error" in line]
    places = {int(re.search(r"user\.py:(\d+)", line)[1]) for line in lines}
    first = WRONG[: WRONG.index("ed.select")].count("\n") + 1
    assert places == set(range(first, first + 8))
