"""Summaries of study folders: against what the records were made of."""

import json
import subprocess
import sys
import tomllib
from math import isfinite, isnan, nan

import numpy as np
import pytest
from report_cases import BETA, record, three, write_study

from edgedyn._files import to_json
from edgedyn.predict import NeuralCapacitanceRegressor
from edgedyn.studies import load_records, run_demo
from edgedyn.studies.early import early_ranking
from edgedyn.studies.study import read_study
from edgedyn.studies.study_file import study_toml
from edgedyn.studies.summary import summary
from edgedyn.studies.summary_models import fit_line
from edgedyn.studies.summary_types import LineFit


def kinds(found):
    return {(one.kind, one.model) for one in found.problems}


def test_lines_read_off_at_zero_rank_the_candidates(tmp_path):
    found = summary(three(tmp_path))
    (ranking,) = found.rankings
    rows = {row.model: row for row in ranking.rows}
    assert list(rows) == ["vgg", "resnet", "mlp"]
    assert [row.rank for row in rows.values()] == [1, 2, 3]
    for (name, final), test in zip(
        {"vgg": 0.9, "resnet": 0.8, "mlp": 0.7}.items(), (0.88, 0.91, 0.66), strict=True
    ):
        row = rows[name]
        assert row.prediction == pytest.approx(final, abs=0.01)
        assert row.curves.last_value == pytest.approx(final - 0.8 * BETA[4] + 0.002)
        assert row.curves.validation == pytest.approx(final - 0.8 * BETA[7] - 0.002)
        assert (row.curves.test, row.status, row.curves.n_completed) == (test, "ok", 1)
    rho = next(m.rho for m in ranking.methods if m.method == "capacitance")
    assert rho == pytest.approx(0.5)  # ranks 1, 2, 3 against 2, 1, 3
    assert (found.observed, found.epochs, found.method) == (5, 8, "capacitance")
    assert found.problems == []


def test_a_study_that_has_just_ranked_is_not_ranked_again(tmp_path, monkeypatch):
    folder = three(tmp_path)
    again = summary(folder)
    methods = [m.method for m in again.rankings[0].methods]
    ranking = early_ranking(load_records(folder), methods, 5, 200)
    monkeypatch.setattr("edgedyn.studies.summary.early_ranking", None)
    given = summary(folder, {None: ranking})
    told = [one.to_dict() for one in (again, given)]
    for judged in (m for one in told for m in one["rankings"][0]["methods"]):
        del judged["seconds"]
    assert to_json(told[0]) == to_json(told[1])
    assert not isfinite(summary(folder, {}).rankings[0].rows[0].rank)


def test_where_no_method_can_be_served_the_last_value_ranks(tmp_path):
    records = load_records(three(tmp_path))
    ranking = early_ranking(records, ["logme"], 5, None, n_bootstrap=1)
    assert [m.method for m in ranking.methods] == ["last_value"]
    assert early_ranking(records, ["capacitance"], 99, None) is None


def test_the_line_is_the_one_that_ranks(tmp_path):
    found = summary(three(tmp_path)).rankings[0]
    for row in found.rows:
        model = row.curves
        fit = model.fit
        assert (fit.value, fit.std) == (row.prediction, row.std)
        window = slice(fit.first - 1, 5)
        slope, intercept = np.polyfit(BETA[window], model.accuracy[window], 1)
        assert (fit.slope, fit.value) == pytest.approx((slope, intercept), abs=5e-3)
        np.testing.assert_allclose(fit.mean, fit.value + fit.slope * np.array(fit.grid))
        assert fit.grid[0] == 0 and fit.band[0] == pytest.approx(fit.std)
        used = np.array(BETA[window])
        assert fit.reach == pytest.approx(used.min() / np.ptp(used))


def test_degenerate_epochs_leave_the_line_and_are_told(tmp_path):
    betas = [0.5, nan, 0.32, nan, 0.2]
    odd = ["ok", "ill_conditioned", "ok", "ill_conditioned", "ok"]
    few = [0.5, nan, nan, nan, 0.2]
    records = [
        record("some", 0.9, betas=betas, statuses=odd),
        record("few", 0.9, betas=few, statuses=["ok", "dead", "dead", "dead", "ok"]),
    ]
    found = summary(write_study(tmp_path, records))
    (ranking,) = found.rankings
    models = {row.model: row.curves for row in ranking.rows}
    kept = [0, 2, 4]
    line = NeuralCapacitanceRegressor(n_validation=200)
    line.fit(np.array(betas)[kept, None], [records[0].epochs[k].val_accuracy for k in kept])
    assert models["some"].fit.value == line.final_
    assert models["few"].fit is None
    rows = {row.model: row for row in ranking.rows}
    assert isnan(rows["few"].prediction) and "degenerate" in rows["few"].status
    told = [one for one in found.problems if one.kind == "degenerate"]
    assert [(one.model, one.status, one.epochs) for one in told] == [
        ("some", "ill_conditioned", (2, 4)),
        ("few", "dead", (2, 3, 4)),
    ]


def test_vanishing_values_stay_in_the_line_and_are_told(tmp_path):
    betas, odd = [5e-9, 4e-9, 3e-9, 2e-9, 1e-9], ["vanishing"] * 5
    found = summary(write_study(tmp_path, [record("deep", 0.9, betas=betas, statuses=odd)]))
    assert found.rankings[0].rows[0].curves.fit is not None
    told = [(one.kind, one.status, one.epochs) for one in found.problems]
    assert told == [("vanishing", "vanishing", (1, 2, 3, 4, 5))]


def test_a_line_read_off_far_away_is_told_once(tmp_path):
    betas = [0.449, 0.448, 0.447, 0.446, 0.445]
    found = summary(write_study(tmp_path, [record("flat", 0.9, betas=betas)]))
    (row,) = found.rankings[0].rows
    assert row.curves.fit.status == row.by_method["capacitance"].status == "far_extrapolation"
    told = {(one.kind, round(one.value, 6)) for one in found.problems if one.kind != "outside"}
    assert told == {("far", round(0.445 / 0.004, 6))}


def test_the_window_s_first_epoch_counts_dropped_ones():
    fit = fit_line([nan, 0.9, 0.5, 0.4, 0.3], [0.1, 0.9, 0.5, 0.6, 0.7], None)
    assert fit.n in (3, 4) and fit.first == 6 - fit.n


def test_means_over_seeds_leave_failed_runs_out(tmp_path):
    records = [
        record("vgg", 0.9, 8, test=0.8, seed=0),
        record("vgg", 0.7, 8, test=0.6, seed=1),
        record("vgg", 0.5, 2, seed=2, status="failed", reason="out of memory"),
        record("mlp", 0.5, 8, test=0.5, seed=0),
        record("mlp", 0.5, 5, seed=1),
    ]
    found = summary(write_study(tmp_path, records, seeds=(0, 1, 2)))
    (ranking,) = found.rankings
    first, second = ranking.rows
    assert (first.model, first.curves.n_runs, first.n_planned) == ("vgg", 3, 3)
    assert first.prediction == pytest.approx(0.8, abs=0.01)
    assert first.curves.test == pytest.approx(0.7)
    assert (first.failed, first.reasons) == (["failed"], ["out of memory"])
    curves = np.array([[e.val_accuracy for e in r.epochs] for r in records[:2]])
    np.testing.assert_allclose(ranking.rows[0].curves.accuracy, curves.mean(axis=0))
    assert [run.seed for run in ranking.rows[0].curves.runs] == [0, 1]
    assert (
        isnan(second.curves.test) and second.curves.n_completed == 1
    )  # not all of its runs have ended
    assert {("failed", "vgg"), ("missing", "mlp")} == kinds(found)


def test_an_interrupted_study(tmp_path):
    records = [
        record("odd", 0.5, 0, status="failed", reason="no such layer"),
        record("mlp", 0.7),
        record("vgg", 0.9),
    ]
    found = summary(write_study(tmp_path, records, ["odd", "later", "mlp", "vgg"]))
    rows = {row.model: row for row in found.rankings[0].rows}
    assert list(rows) == ["vgg", "mlp", "odd", "later"]
    assert isnan(rows["odd"].rank) and rows["later"].curves.n_runs == 0
    assert kinds(found) == {("failed", "odd"), ("missing", "later")}
    assert all(isnan(m.rho) for m in found.rankings[0].methods)
    assert [row.model for row in found.cost] == ["mlp", "vgg"]


def test_nothing_but_failures(tmp_path):
    records = [record(name, 0.5, 2, status="failed", reason="boom") for name in "ab"]
    found = summary(write_study(tmp_path, records))
    assert [row.model for row in found.rankings[0].rows] == ["a", "b"]
    assert found.rankings[0].methods == []
    assert len(found.rankings[0].rows[0].curves.accuracy) == 2


def test_one_ranking_for_each_training_size_the_largest_first(tmp_path):
    records = [
        record(name, final + 0.1 * (n > 100), n_train=n, seed=seed)
        for n in (100, 400)
        for seed in (0, 1)
        for name, final in (("vgg", 0.6), ("mlp", 0.5))
    ]
    found = summary(write_study(tmp_path, records, n_train=(100, 400), seeds=(0, 1)))
    assert [ranking.n_train for ranking in found.rankings] == [400, 100]
    best = [ranking.rows[0] for ranking in found.rankings]
    assert [row.curves.n_runs for row in best] == [2, 2]
    assert [row.prediction for row in best] == pytest.approx([0.7, 0.6], abs=0.01)
    assert found.provenance.data[0].seeds == [0, 1]


def test_values_that_should_not_be_trusted(tmp_path):
    records = [
        record("above", 1.1),
        record("rising", 0.3, slope=0.5),
        record("flat", 0.5, betas=[0.3] * 5),
    ]
    found = summary(write_study(tmp_path, records))
    assert kinds(found) == {("outside", "above"), ("slope", "rising"), ("flat", "flat")}
    flat = next(r.curves for r in found.rankings[0].rows if r.model == "flat")
    assert flat.fit.std == float("inf") and isnan(flat.fit.reach)


@pytest.mark.parametrize(
    ("std", "slope", "told"),
    [
        (0.5, 1.0, False),  # the last value, 0.5, lies within the error of the line's 0.25
        (0.25, 1.0, False),  # on its edge
        (0.125, 1.0, True),
        (0.125, -1.0, False),
    ],
)
def test_a_wrong_slope_is_told_where_more_than_the_error_was_seen(
    std, slope, told, tmp_path, monkeypatch
):
    fit = LineFit(0.25, std, slope, 1, 5, "ok", nan, [], [], [])
    monkeypatch.setattr("edgedyn.studies.summary_models.fit_line", lambda *_: fit)
    found = summary(write_study(tmp_path, [record("vgg", 0.5, slope=0.0, wiggle=0.0)]))
    assert found.rankings[0].rows[0].curves.last_value == 0.5
    slopes = [one.value for one in found.problems if one.kind == "slope"]
    assert slopes == ([slope] if told else [])


def test_records_of_other_trials_are_left_out(tmp_path):
    records = [record("vgg", 0.9), record("gone", 0.8), record("vgg", 0.9, seed=7)]
    found = summary(write_study(tmp_path, records, ["vgg"]))
    (row,) = found.rankings[0].rows
    assert (row.model, row.curves.n_runs) == ("vgg", 1)


def test_a_folder_of_records_alone(tmp_path):
    three(tmp_path)
    expected = {row.model: row for row in summary(tmp_path).rankings[0].rows}
    (tmp_path / "study.json").unlink()
    found = summary(tmp_path)
    for row in found.rankings[0].rows:  # by the default, the last value
        same = expected[row.model]
        assert row.by_method["capacitance"] == same.by_method["capacitance"]
        assert row.forecast == same.forecast and row.prediction == row.curves.last_value
    assert (found.observed, found.epochs, found.provenance.study) == (5, 8, "")


def test_cost_adds_up(tmp_path):
    records = [record("vgg", 0.9, seed=0), record("vgg", 0.8, 3, seed=1, status="failed")]
    (row,) = summary(write_study(tmp_path, records, seeds=(0, 1))).cost
    assert (row.runs, row.epochs, row.train_seconds, row.beta_seconds) == (2, 8, 16, 4)
    assert (row.ratio, row.peak_memory_mib) == (0.25, 500)


def test_scores_rank_too(tmp_path):
    records = [record(n, 0.9, scores={"logme": s}) for n, s in (("vgg", 2.0), ("mlp", 3.0))]
    found = summary(write_study(tmp_path, records, methods=["logme", "last_value"]))
    assert [row.prediction for row in found.rankings[0].rows] == [3.0, 2.0]
    assert found.method == "logme" and found.problems == []


@pytest.mark.slow
def test_the_demo_s_folder(tmp_path):
    demo = run_demo(n_seeds=2, epochs=6)
    values = {"environment": {"date": "2024"}, **demo.to_dict()}
    (tmp_path / "results.json").write_text(to_json(values))
    found = summary(tmp_path)
    assert (found.kind, found.over, found.epochs) == ("demo", "run", 6)
    (ranking,) = found.rankings
    for one, expected in zip(ranking.methods, demo.ranking.methods, strict=True):
        assert one.rho == pytest.approx(expected.rho)
    for row in ranking.rows:
        own = [r for r in demo.records if r.model == row.model]
        last = np.mean([r.epochs[4].val_accuracy for r in own])
        assert row.curves.last_value == pytest.approx(last)
        assert row.curves.test == pytest.approx(np.mean([r.final_test_accuracy for r in own]))


@pytest.mark.slow
def test_a_demo_s_file_with_a_wrong_type_is_named(tmp_path):
    demo = run_demo(n_seeds=1, epochs=5)
    values = json.loads(to_json({"environment": {"date": "2024"}, **demo.to_dict()}))
    values["records"][0]["seed"] = "zero"
    (tmp_path / "results.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"results.json' holds no results .*`int`, got `str`"):
        summary(tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (None, "there is no folder"),
        ({}, "there are no records"),
        ({"results.json": "{}"}, "holds no results of edgedyn demo"),
        ({"results.json": "[]"}, "holds no JSON object"),
        ({"results.json": "{"}, "cannot be read"),
        ({"study.json": "{", "records/a.json": None}, "cannot be read"),
        ({"study.json": '{"study": {}}', "records/a.json": None}, "holds no study"),
        ({"records/a.json": "{}"}, "cannot be read"),
    ],
)
def test_folders_that_are_none(files, words, tmp_path):
    folder = tmp_path / "study"
    if files is not None:
        write_study(folder, [record("vgg", 0.9)])
        good = (folder / "records" / "trial-0.json").read_text()
        for path in [folder / "study.json", *folder.glob("records/*")]:
            path.unlink()
        for name, text in files.items():
            (folder / name).write_text(good if text is None else text)
    with pytest.raises(ValueError, match=words):
        summary(folder)


def test_a_study_none_of_whose_trials_has_a_record(tmp_path):
    write_study(tmp_path, [record("vgg", 0.9)], ["other"])
    with pytest.raises(ValueError, match="holds no record of the study's trials"):
        summary(tmp_path)


def test_no_tensorflow_is_needed(tmp_path):
    three(tmp_path)
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from edgedyn.commands.report import write_report\n"
        f"print(write_report(__import__('pathlib').Path({str(tmp_path)!r})).name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "report.html"


def test_study_files_come_back():
    text = 'a "quoted" \\ back\u007f\n\t\u2028 name=\U0001f600'
    values = {
        "data": {"spec": "digits", "image_size": 16, "n_train": [100, 400]},
        "candidates": [
            "MobileNet",
            {"name": text, "factory": "m:f", "options": {"units": [1, 2], text: {"a": 0.5}}},
        ],
        "training": {
            "optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True},
            "learning_rate": 1e-05,
            "epochs": 12,
        },
        "finish": {"top": 2},
        "output": text,
    }
    study = read_study(values)
    again = read_study(tomllib.loads(study_toml(json.loads(json.dumps(study.to_dict())))))
    assert again == study


def test_every_row_is_finite_or_nan_and_records_stay(tmp_path):
    three(tmp_path)
    before = load_records(tmp_path).to_frame()
    found = summary(tmp_path)
    assert load_records(tmp_path).to_frame().equals(before)
    numbers = [v for row in found.cost for v in vars(row).values() if isinstance(v, float)]
    assert numbers and all(isfinite(v) for v in numbers)
