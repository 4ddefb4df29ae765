"""The performance page: every figure from its results file, and what is missing said so."""

import json
import shutil
import sys
from pathlib import Path

import pytest

VALIDATION = Path(__file__).resolve().parents[1] / "validation"


@pytest.fixture(scope="module")
def performance():
    sys.path.insert(0, str(VALIDATION))
    try:
        import performance

        yield performance
    finally:
        sys.path.remove(str(VALIDATION))


@pytest.fixture
def results(tmp_path):
    """Copy the committed results, to be spoilt at will."""
    folder = tmp_path / "results"
    shutil.copytree(VALIDATION / "results", folder)
    return folder


def test_figures_are_those_of_the_results(performance, results):
    rows = performance.collect(results)
    (row,) = [r for r in rows if r["what"].endswith("default") and r["unit"] == "times faster"]
    stored = json.loads((results / "linegraph.json").read_text("utf-8"))
    faster = stored["results"][0]["faster_than_igraph"]["to_scipy float64"]
    assert row["ratio"] == faster and row["met"] == (faster >= 100) and row["issue"] == 2
    assert row["date"] == stored["environment"]["date"] and row["command"].endswith("linegraph.py")


def test_a_threshold_is_met_or_missed_by_what_was_measured(performance, results):
    path = results / "capacitance.json"
    stored = json.loads(path.read_text("utf-8"))
    for value, met in ((1.5, True), (1.51, False)):
        stored["gradient"]["times plain numpy gradient"]["direct"] = value
        path.write_text(json.dumps(stored), encoding="utf-8")
        rows = performance.collect(results)
        (row,) = [r for r in rows if r.get("ratio") == value and r["unit"] == "gradients"]
        assert row["met"] is met
        assert ("**missed**" in performance.table([row])) is not met
        assert (row["what"] in performance.counts([row])) is not met


def test_missing_and_broken_results_have_a_row_that_says_so(performance, results):
    (results / "linegraph.json").unlink()
    (results / "training.json").write_text("{", encoding="utf-8")
    (results / "capacitance.json").write_text("{}", encoding="utf-8")
    path = results / "studies.json"
    stored = json.loads(path.read_text("utf-8"))
    del stored["load"]
    path.write_text(json.dumps(stored), encoding="utf-8")
    rows = performance.collect(results)
    problems = {r["what"]: r["problem"] for r in rows if r["problem"]}
    assert problems["line graphs"] == "results/linegraph.json is missing"
    assert problems["stored records"] == "results/studies.json has no part 'load'"
    assert "training.json cannot be read" in problems["training"]
    assert "capacitance.json cannot be read (KeyError: 'gradient')" in problems["beta_eff"]
    page = performance.table(rows)
    assert all(what in page for what in problems) and page.count("not measured") == len(problems)
    assert f"{len(problems)} of {len(performance.BENCHES)} benchmarks have no results" in (
        performance.counts(rows)
    )
    assert any("Dask workers" in r["what"] for r in rows)  # the other parts are there


def test_every_row_has_the_columns_of_the_head(performance, results):
    (results / "linegraph.json").unlink()
    lines = performance.table(performance.collect(results)).splitlines()
    assert {line.count("|") for line in lines} == {9}


def test_only_what_stands_between_the_marks_is_replaced(performance):
    page = f"before\n{performance.BEGIN}\nold\n{performance.END}\nafter\n"
    new = performance.written_between(page, "new")
    assert new == page.replace("old", "new")
    assert performance.written_between(new, "new") == new


@pytest.mark.parametrize("page", ["no marks", "{e} {b}", "{b}", "{b} {e} {b} {e}", "{b} {b} {e}"])
def test_a_page_without_both_marks_is_refused(performance, page):
    page = page.format(b=performance.BEGIN, e=performance.END)
    with pytest.raises(ValueError, match="must have the marks"):
        performance.written_between(page, "new")


def test_every_benchmark_is_on_the_page_and_every_study_in_the_readme(performance):
    scripts = {bench.script.split()[0] for bench in performance.BENCHES}
    assert scripts == {path.name for path in VALIDATION.glob("bench_*.py")}
    readme = (VALIDATION / "README.md").read_text("utf-8")
    for path in VALIDATION.glob("*.py"):
        if path.name not in ("hub_networks.py", "speed_asked.py", "__init__.py"):
            assert f"`{path.name}`" in readme, path.name
    for path in (VALIDATION / "results").glob("*.json"):
        assert f"`{path.name}`" in readme, path.name


def test_the_committed_page_is_that_of_the_committed_results(performance):
    rows = performance.collect(VALIDATION / "results")
    stored = json.loads((VALIDATION / "results" / "performance.json").read_text("utf-8"))
    for row, known in zip(rows, stored["rows"], strict=True):
        row["older"] = known["older"]  # known when it was written only
    assert json.loads(performance.to_json(rows)) == stored["rows"]
    assert performance.table(rows) in (VALIDATION / "README.md").read_text("utf-8")


def test_rows_older_than_their_code_say_so(performance, results, monkeypatch):
    rows = performance.collect(results)
    monkeypatch.setattr(performance, "last_commit", lambda code: "9999" if code == "mlp" else "")
    aged = performance.with_ages(rows)
    older = {row["command"] for row in aged if row["older"]}
    assert older == {"python validation/bench_capacitance.py"}
    lines = [line for line in performance.table(aged).splitlines() if "older than its code" in line]
    assert lines and all("bench_capacitance" in line for line in lines)


def test_what_an_interrupted_run_has_measured_is_not_measured_again(
    performance, tmp_path, monkeypatch
):
    ran = []
    monkeypatch.setattr(performance, "BEGUN", tmp_path / "begun.txt")
    monkeypatch.setattr(performance, "since", lambda bench, begun: bench.title == "import")

    def run(command):
        ran.append(command[1])
        if len(ran) == 2:
            raise KeyboardInterrupt
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(performance.subprocess, "run", run)
    with pytest.raises(KeyboardInterrupt):
        performance.run_all()
    begun = (tmp_path / "begun.txt").read_text()
    assert performance.run_all() == []
    assert begun and not (tmp_path / "begun.txt").exists()
    assert len(ran) == 2 + len(performance.BENCHES) - 1
