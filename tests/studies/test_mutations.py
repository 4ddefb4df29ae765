"""Files that were changed at random: a sentence, or what they said; never another ranking."""

import json
import shutil
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_cases import record, three, write_study

import edgedyn as ed
from edgedyn._job import Job
from edgedyn.cli import main
from edgedyn.studies.journal import Journal, record_of
from edgedyn.studies.store import Store
from edgedyn.studies.study_file import example, load_study

pytestmark = pytest.mark.slow
QUIET = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS)
# Where bytes are taken out, and what comes in their place.
CUTS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=8)), min_size=1, max_size=3
)


def cut(content, cuts):
    damaged = bytearray(content)
    for where, length, other in cuts:
        start = int(where * len(damaged))
        damaged[start : start + length] = other
    return bytes(damaged)


def replaced(tree, path, value):
    """Return a tree of JSON with one value replaced; the path is walked as far as it leads."""
    if not path or not isinstance(tree, dict | list) or not tree:
        return value
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    key = keys[path[0] % len(keys)]
    other = dict(tree) if isinstance(tree, dict) else list(tree)
    other[key] = replaced(tree[key], path[1:], value)
    return other


PATHS = st.lists(st.integers(0, 50), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = three(tmp_path_factory.mktemp("studied"))
    return Path(folder), str(ed.rank(ed.load_records(folder)))


@QUIET
@given(CUTS, st.booleans())
def test_records(studied, tmp_path_factory, cuts, packed):
    source, ranking = studied
    folder = shutil.copytree(source, tmp_path_factory.mktemp("records") / "study")
    path = next((folder / "records").iterdir())
    if packed:
        path = ed.studies.pack_records(folder)
    path.write_bytes(cut(path.read_bytes(), cuts))
    try:
        found = str(ed.rank(ed.load_records(folder)))
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert found == ranking


@QUIET
@given(PATHS, VALUES)
def test_records_of_another_hand(studied, tmp_path_factory, path, value):
    """Without a digest, as older ones: what they say is checked, and whatever reads it holds."""
    source, _ = studied
    folder = shutil.copytree(source, tmp_path_factory.mktemp("others") / "study")
    own = next((folder / "records").iterdir())
    values = json.loads(own.read_bytes())
    del values["digest"]
    own.write_text(json.dumps(replaced({**values, "schema": 4}, path, value)))
    try:
        records = ed.load_records(folder)
        ed.rank(records)
        records.to_frame()
    except ValueError:
        return
    assert main(["report", str(folder), "--out", str(folder / "page.html")]) in (0, 2)


@QUIET
@given(st.sampled_from(["study.json", "selection.json"]), PATHS, VALUES, CUTS | st.none())
def test_what_the_report_reads_beside_the_records(
    studied, tmp_path_factory, name, path, value, cuts
):
    source, _ = studied
    folder = shutil.copytree(source, tmp_path_factory.mktemp("beside") / "study")
    content = json.loads((source / "study.json").read_bytes())
    content = json.dumps(replaced(content, path, value)).encode()
    (folder / name).write_bytes(content if cuts is None else cut(content, cuts))
    assert main(["report", str(folder), "--out", str(folder / "page.html")]) in (0, 2)


@QUIET
@given(CUTS, st.sampled_from(["epochs.jsonl", "meta.json"]))
def test_journals(tmp_path_factory, cuts, name):
    journal = Journal(tmp_path_factory.mktemp("journal"))
    epochs = record("vgg", 0.9, 5).epochs
    journal.write_meta({"settings": {"a": 1}, "provenance": {"parameters": 7}})
    for one in epochs:
        journal.append(msgspec.structs.asdict(one) | {"diverged": False})
    path = journal.folder / name
    path.write_bytes(cut(path.read_bytes(), cuts))
    again, job = Journal(journal.folder), Job("vgg", "digits", 0, None, last=9)
    made = record_of(again, job, "")
    assert repr(made.epochs) == repr(epochs[: len(made.epochs)])  # whole lines from the first
    assert made.provenance.get("parameters", 7) == 7
    again.cut(len(again.epochs))
    again.append({"epoch": len(again.epochs) + 1, "val_accuracy": 0.5})
    assert len(Journal(journal.folder).lines) >= len(made.epochs)


@QUIET
@given(CUTS)
def test_study_files(tmp_path_factory, cuts):
    path = tmp_path_factory.mktemp("file") / "study.toml"
    content = cut(example().encode(), cuts)
    path.write_bytes(content)
    try:
        study = load_study(path, {})
    except (ValueError, TypeError) as error:
        assert str(error)
        return
    tomllib.loads(content.decode("utf-8-sig"))
    assert study.trials and isinstance(study.settings(study.trials[0]), dict)


@QUIET
@given(PATHS, VALUES)
def test_fields_of_a_study(path, value):
    fields = tomllib.loads(example())
    try:
        study = load_study(replaced(fields, path, value), {})
    except (ValueError, TypeError) as error:
        assert str(error)
        return
    assert study.trials


def test_deeply_nested_files_are_refused(tmp_path, capsys):
    deep = "[" * 50_000 + "]" * 50_000
    folder = write_study(tmp_path / "study", [record("vgg", 0.9)])
    (tmp_path / "deep.toml").write_text(f"data = {deep}\n")
    assert main(["select", str(tmp_path / "deep.toml")]) == 2
    for name in ("study.json", "records/trial-0.json"):
        (Path(folder) / name).write_text(deep)
        assert main(["report", str(folder)]) == 2
    assert all("\n" not in line for line in capsys.readouterr().err.splitlines())
    assert Store(folder).read(["trial-0"]) == {}
