"""The demo: deterministic, honest about the comparison, and its files are what they say."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from edgedyn.cli import main
from edgedyn.predict.rank_quality import regret, spearman
from edgedyn.studies import TrialRecord, run_demo
from edgedyn.studies.demo import OBSERVED


@pytest.fixture(scope="module")
def demo():
    return run_demo(seed=3, n_seeds=2, epochs=8)


def without_seconds(demo):
    values = demo.to_dict()
    for record in values["records"]:
        for timed in (record, *record["epochs"]):
            del timed["train_seconds"], timed["beta_seconds"]
    for method in values["ranking"]["methods"]:
        del method["seconds"]
    return values


@pytest.mark.slow
def test_equal_seeds_give_equal_results(demo):
    assert without_seconds(run_demo(seed=3, n_seeds=2, epochs=8)) == without_seconds(demo)


@pytest.mark.slow
def test_other_seeds_give_other_results(demo):
    other = run_demo(seed=5, n_seeds=1, epochs=8)
    assert other.records[0].epochs != demo.records[0].epochs


def test_fifteen_candidates_with_a_frozen_probe(demo):
    assert len({r.model for r in demo.records}) == 15
    assert all(r.settings["frozen"] == 3 and len(r.epochs) == 8 for r in demo.records)
    assert all(e.beta_status == "ok" for r in demo.records for e in r.epochs)


def test_the_table_equals_scipy_on_the_records(demo):
    for method in demo.ranking.methods:
        rhos = []
        for seed in (3, 4):
            rows = [r for r in demo.ranking.rows if (r.method, r.seed) == (method.method, seed)]
            values = [r.prediction for r in rows]
            rhos.append(spearmanr(values, [r.truth for r in rows]).statistic)
        assert method.rho == pytest.approx(np.mean(rhos), abs=1e-12)


def test_baselines_see_the_observed_epochs_only(demo):
    rows = {(r.method, r.model, r.seed): r for r in demo.ranking.rows}
    for record in demo.records:
        early = [e.val_accuracy for e in record.epochs[:OBSERVED]]
        for method, value in (("last_value", early[-1]), ("best_value", max(early))):
            row = rows[method, record.model, record.seed]
            assert (row.prediction, row.truth) == (value, record.epochs[-1].test_accuracy)


def test_the_verdict_follows_the_numbers(demo):
    by_name = {m.method: m.rho for m in demo.ranking.methods}
    ours, last = by_name["capacitance"], by_name["last_value"]
    expected = "beats" if ours > last else "loses to" if ours < last else "ties with"
    assert expected in demo.verdict


def test_records_survive_json(demo):
    stored = json.loads(json.dumps(demo.records[0].to_dict()))
    assert TrialRecord.from_dict(stored) == demo.records[0]


@pytest.mark.parametrize("change", [{"schema": 99}, {"surprise": 1}])
def test_other_schemas_are_refused(demo, change):
    with pytest.raises(ValueError, match="schema"):
        TrialRecord.from_dict({**demo.records[0].to_dict(), **change})


def test_degenerate_epochs_are_dropped(demo):
    values = demo.records[0].to_dict()
    values["epochs"][1]["beta_eff"] = None
    beta, accuracy = TrialRecord.from_dict(values).observed(5)
    assert len(beta) == len(accuracy) == 4


def test_too_few_epochs():
    with pytest.raises(ValueError, match="at least 5"):
        run_demo(epochs=4)


def test_ranking_quality_of_ties_and_gaps():
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert np.isnan(spearman([1, np.nan, 3], [1, 2, 3]))
    assert regret([1, 1, 0], [0.5, 0.7, 0.9]) == pytest.approx(0.3)
    assert np.isnan(regret([np.nan], [1.0]))
    with pytest.raises(ValueError, match="one length"):
        regret([1, 2], [1])


def test_the_command_writes_its_folder(capsys, tmp_path, monkeypatch):
    short = run_demo

    def quick(**kinds):
        return short(n_seeds=1, epochs=6, **kinds)

    monkeypatch.setattr("edgedyn.studies.run_demo", quick)
    assert main(["demo", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "Spearman rho" in printed and "Here beta_eff" in printed
    table = pd.read_csv(tmp_path / "results.csv")
    assert len(table) == 4 * 15
    stored = json.loads((tmp_path / "results.json").read_text())
    assert len(stored["records"]) == 15 and "date" in stored["environment"]
    pictures = sorted(p.name for p in tmp_path.glob("*.png"))
    assert pictures == [
        "accuracy_against_beta.png",
        "beta_curves.png",
        "graphs.png",
        "learning_curves.png",
        "predicted_against_true.png",
    ]
