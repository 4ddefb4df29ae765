"""What commands print and write has a number, an environment, and the layout its schema says."""

import json
from pathlib import Path

import numpy as np
import pytest
from study_cases import study_fields

from edgedyn._environment import SCHEMAS
from edgedyn.cli import main
from validation.schemas import FOLDER, schemas

jsonschema = pytest.importorskip(
    "jsonschema", reason="schemas are checked with jsonschema: the extra 'test'"
)

ALL = schemas()


def strict(schema):
    """Return a schema that allows no field it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(value) for name, value in schema.items()}
    if isinstance(found.get("properties"), dict) and "type" in found:
        found.setdefault("additionalProperties", False)
    return found


def check(kind, text):
    """Check a document; return it."""
    values = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    jsonschema.Draft202012Validator(strict(ALL[kind])).validate(values)
    assert values["schema"] == SCHEMAS[kind]
    return values


def printed(capsys, *arguments, code=0):
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == code
    return capsys.readouterr().out


@pytest.mark.parametrize("kind", SCHEMAS)
def test_committed_schemas_are_those_of_the_types(kind):
    path = FOLDER / f"{kind}.json"
    assert json.loads(path.read_text(encoding="utf-8")) == ALL[kind], "python -m validation.schemas"
    jsonschema.Draft202012Validator.check_schema(ALL[kind])


def test_there_is_no_other_schema():
    assert {path.stem for path in FOLDER.iterdir()} == set(SCHEMAS)


def test_line_graphs(capsys, tmp_path):
    check("linegraph", printed(capsys, "linegraph", 4, 5, 3))
    found = check("linegraph", printed(capsys, "linegraph", 4, 5))
    assert found["beta_eff"] is None  # NaN
    page = tmp_path / "gb.html"
    check("linegraph", printed(capsys, "linegraph", 64, 3, 10, "--data", "digits", "--out", page))


@pytest.mark.parametrize("dynamics", ["mutualistic", "linear_diffusion"])
def test_reductions(dynamics, capsys, tmp_path):
    path = tmp_path / "ring.csv"
    np.savetxt(path, np.roll(8 * np.eye(5), 1, axis=0), delimiter=",")
    out = printed(capsys, "reduce", path, "--dynamics", dynamics, "--out", tmp_path / "a.svg")
    check("reduce", out)


def test_theorem_1(capsys, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", X=rng.standard_normal((40, 5)), y=np.arange(40) % 2)
    arguments = ["theorem1", "--data", tmp_path / "data.npz", "--layers", 5, 6, 5, 4, 2]
    out = printed(capsys, *arguments, "--epochs", 3, "--out", tmp_path / "out")
    assert check("theorem1", out) == check(
        "theorem1", (tmp_path / "out" / "results.json").read_text()
    )


@pytest.mark.slow
def test_the_demo(capsys, tmp_path):
    out = printed(capsys, "demo", "--out", tmp_path / "demo")
    assert check("demo", out) == check("demo", (tmp_path / "demo" / "results.json").read_text())


@pytest.mark.slow
@pytest.mark.tensorflow
def test_beta(capsys, tmp_path):
    keras = pytest.importorskip("keras", reason="install the extra 'tf'")
    from edgedyn.nn.models.small import mlp

    model = mlp((8, 8, 3), [6])
    model.save(tmp_path / "model.keras")
    arguments = ["beta", "--model", tmp_path / "model.keras", "--samples", 64]
    check("beta", printed(capsys, *arguments, "--check"))
    check("beta", printed(capsys, *arguments, "--strength", "signed", "--nodes", "all"))
    keras.backend.clear_session()


@pytest.mark.slow
@pytest.mark.tensorflow
def test_studies(capsys, tmp_path):
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    import tomli_w

    fields = study_fields(tmp_path / "out") | {
        "stage": "early",
        "candidates": [
            {"name": name, "factory": "edgedyn.nn.models.small:mlp", "options": {"units": units}}
            for name, units in {"one": [8], "two": [8, 8], "none": [-1]}.items()
        ],
    }
    (tmp_path / "study.toml").write_text(tomli_w.dumps(fields))
    check("rehearsal", printed(capsys, "select", tmp_path / "study.toml", "--dry-run"))
    found = check("selection", printed(capsys, "select", tmp_path / "study.toml", code=3))
    assert found["failed"][0]["reason"]
    folder = Path(found["folder"])
    check("selection", (folder / "selection.json").read_text())
    check("study", (folder / "study.json").read_text())
    records = list(folder.glob("records/*.json"))
    assert len(records) == 3
    for path in records:
        check("record", path.read_text())
