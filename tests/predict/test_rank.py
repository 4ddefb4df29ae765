"""Rankings by several methods: against scipy, by hand, and where something is missing."""

from dataclasses import replace
from math import isnan, nan

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

import edgedyn as ed
from edgedyn.predict.level import levels
from edgedyn.predict.rank_quality import regret, regret_of_first, spearman
from edgedyn.studies import EpochRecord, TrialRecord


def record(model, accuracies, truth, *, seed=0, betas=None, status="completed", scores=None):
    betas = betas if betas is not None else [1 - 0.1 * k for k in range(len(accuracies))]
    epochs = [
        EpochRecord(k + 1, 1.0, a, truth if k + 1 == len(accuracies) else a, b, "ok")
        for k, (a, b) in enumerate(zip(accuracies, betas, strict=True))
    ]
    return TrialRecord(model, "task", seed, {}, tuple(epochs), status, 1.0, 0.1, scores or {})


def curves(n=6, epochs=12, seed=0, spread=0.02):
    """Candidates whose order by their early values is nearly that of their ends."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(n):
        final = 0.5 + 0.06 * k
        t = np.arange(1, epochs + 1)
        values = final - 0.3 * t**-0.8 + rng.normal(0, spread, epochs)
        found.append(record(f"m{k}", np.clip(values, 0, 1).tolist(), final, seed=seed))
    return found


def test_predictions_and_ranks_of_the_simple_methods():
    ranking = ed.rank(curves(), ["last_value", "best_value"], observed=4)
    rows = {(r.method, r.model): r for r in ranking.rows}
    for run in curves():
        early = [e.val_accuracy for e in run.epochs[:4]]
        assert rows["last_value", run.model].prediction == early[-1]
        assert rows["best_value", run.model].prediction == max(early)
    by_value = sorted(ranking.rows[:6], key=lambda r: -r.prediction)
    assert [r.rank for r in by_value] == [1, 2, 3, 4, 5, 6]
    assert ranking.best("last_value", top=2) == [r.model for r in by_value[:2]]


def test_the_capacitance_rule_is_the_estimator():
    runs = curves()
    ranking = ed.rank(runs, ["capacitance"], observed=5)
    for run, row in zip(runs, ranking.rows, strict=True):
        beta, accuracy = run.observed(5)
        line = ed.NeuralCapacitanceRegressor().fit(np.array(beta)[:, None], accuracy)
        assert (row.prediction, row.std) == pytest.approx((line.final_, line.final_std_), rel=1e-12)


def test_judgements_are_those_of_scipy():
    runs = curves(n=8, spread=0.08)
    ranking = ed.rank(runs, ["capacitance", "last_value"], observed=5, n_bootstrap=50)
    for judged in ranking.methods:
        rows = [r for r in ranking.rows if r.method == judged.method]
        p, t = [r.prediction for r in rows], [r.truth for r in rows]
        assert judged.rho == pytest.approx(spearmanr(p, t).statistic, rel=1e-12)
        assert judged.tau == pytest.approx(kendalltau(p, t).statistic, rel=1e-12)
        assert judged.rho_low <= judged.rho <= judged.rho_high
        assert judged.regret == pytest.approx(max(t) - t[int(np.argmax(p))], abs=1e-12)
    ours, last = ranking.methods
    assert ours.lead == pytest.approx(ours.rho - last.rho, abs=1e-12)
    assert (last.lead, last.lead_low, last.lead_high) == (0, 0, 0)
    assert ours.improvement == pytest.approx((ours.rho - last.rho) / last.rho, rel=1e-12)
    assert isnan(last.improvement)


def test_over_runs_is_the_mean_over_seeds_and_over_means_averages_curves():
    runs = curves(seed=0, spread=0.1) + curves(seed=1, spread=0.1)
    each = ed.rank(runs, ["last_value"], over="run", n_bootstrap=20)
    rhos = []
    for seed in (0, 1):
        rows = [r for r in each.rows if r.seed == seed]
        rhos.append(spearmanr([r.prediction for r in rows], [r.truth for r in rows]).statistic)
    assert each.methods[0].rho == pytest.approx(np.mean(rhos), rel=1e-12)
    mean = ed.rank(runs, ["last_value"], over="mean", n_bootstrap=20)
    first = [r.epochs[4].val_accuracy for r in runs if r.model == "m0"]
    assert mean.rows[0].prediction == pytest.approx(np.mean(first), rel=1e-12)
    assert mean.rows[0].seed is None and len(mean.rows) == 6


@pytest.mark.parametrize("method", [pytest.param("bgrn", marks=pytest.mark.slow), "cl"])
def test_methods_that_learn_never_see_the_candidate_itself(method):
    runs = curves(n=8)
    honest = ed.rank(runs, [method], observed=4)
    # The candidate's own later epochs are changed: its prediction must not be.
    values = [e.val_accuracy for e in runs[3].epochs]
    forged = record("m3", values[:4] + [0.01] * 8, 0.01)
    changed = ed.rank([*runs[:3], forged, *runs[4:]], [method], observed=4)
    assert honest.rows[3].prediction == changed.rows[3].prediction
    assert honest.rows[3].status in ("ok", "weak") and np.isfinite(honest.rows[3].prediction)


def test_methods_that_need_completed_curves_say_so():
    early = [record(f"m{k}", [0.1, 0.2 + 0.1 * k, 0.3 + 0.1 * k], nan) for k in range(4)]
    ranking = ed.rank(early, ["bgrn", "cl", "last_value"], observed=3)
    assert {r.status for r in ranking.rows if r.method == "bgrn"} <= {
        "no completed curve of another candidate",
        "nothing left to predict",
    }
    assert [m.status for m in ranking.methods] == ["no truth to judge by"] * 3
    assert ranking.best("last_value") == ["m3"]
    with pytest.raises(ValueError, match="'bgrn' has ranked no candidate"):
        ranking.best("bgrn")


def test_methods_that_need_more_epochs_say_so():
    ranking = ed.rank(curves(), ["domhan"], observed=3, n_bootstrap=5)
    assert {r.status for r in ranking.rows} == {"needs 5 observed epochs"}


def test_ties_missing_and_failed_candidates_stay_visible():
    runs = [
        record("a", [0.2, 0.5, 0.5, 0.6], 0.6),
        record("b", [0.2, 0.4, 0.5, 0.7], 0.7),
        record("c", [0.2, 0.3, 0.4, 0.5], 0.5),
        record("dies", [0.2, 0.1], nan, status="diverged"),
        record("blind", [0.2, 0.3, 0.3, 0.3], 0.9, betas=[nan, nan, 1.0, 1.0]),
    ]
    ranking = ed.rank(runs, ["last_value", "capacitance"], observed=3, n_bootstrap=20)
    rows = {(r.method, r.model): r for r in ranking.rows}
    assert rows["last_value", "a"].rank == rows["last_value", "b"].rank == 1.5
    assert rows["last_value", "dies"].status == "diverged after 2 epochs"
    assert isnan(rows["last_value", "dies"].rank)
    assert rows["capacitance", "blind"].status == "beta_eff degenerate in 2 epochs"
    by_name = {m.method: m for m in ranking.methods}
    assert by_name["capacitance"].n_models == 3 and by_name["last_value"].n_models == 4
    # Not predicting the best candidate costs, too.
    assert by_name["capacitance"].regret >= 0.2 - 1e-12
    assert "last_value" in str(ranking) and len(ranking.to_frame()) == 10
    assert ranking.to_dict()["rows"][0]["model"] == "a"


def test_scores_of_the_records_are_methods():
    runs = [record(f"m{k}", [0.1, 0.2, 0.3], 0.3 + 0.1 * k, scores={"logme": float(k)})
            for k in range(4)]  # fmt: skip
    ranking = ed.rank(runs, ["logme"], observed=3, n_bootstrap=20)
    assert ranking.methods[0].rho == 1.0
    with pytest.raises(ValueError, match="method must be one of .*'logme'; got 'leep'"):
        ed.rank(runs, ["leep"], observed=3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"records": []}, ValueError, "records is empty"),
        ({"records": [1, 2]}, TypeError, "records must be TrialRecords; got int"),
        ({"observed": 2}, ValueError, "observed must be at least 3; got 2"),
        ({"observed": 13}, ValueError, r"observed=13 epochs are more than any run has \(12\)"),
        ({"over": "seeds"}, ValueError, "over must be one of 'mean', 'run'"),
        ({"n_bootstrap": 0}, ValueError, "n_bootstrap must be at least 1"),
        ({"methods": ["magic"]}, ValueError, "method must be one of"),
    ],
)
def test_bad_arguments(change, error, message):
    with pytest.raises(error, match=message):
        ed.rank(**{"records": curves(), **change})


def test_one_task_at_a_time():
    other = TrialRecord("x", "other", 0, {}, curves()[0].epochs, "completed", 1.0, 0.1)
    with pytest.raises(ValueError, match=r"several tasks \(other, task\)"):
        ed.rank([*curves(), other])


def test_equal_seeds_give_equal_intervals():
    runs = curves(spread=0.1)
    first, again = (ed.rank(runs, ["last_value"], n_bootstrap=30, seed=3) for _ in range(2))
    assert first.methods[0].rho_low == again.methods[0].rho_low


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8))
def test_the_rank_correlation_is_scipys(pairs):
    p, t = np.array(pairs, float).T
    if len(p) < 3 or np.ptp(p) == 0 or np.ptp(t) == 0:
        assert isnan(spearman(p, t))
    else:
        assert spearman(p, t) == pytest.approx(spearmanr(p, t).statistic, abs=1e-12)


def test_what_is_no_number_is_left_out_of_a_rank_correlation():
    p, t = [1.0, nan, 3.0, 2.0, 9.0], [1.0, 5.0, 3.0, 2.0, nan]
    assert spearman(p, t) == 1.0 and regret(p, t) == 2.0
    with pytest.raises(ValueError, match=r"vectors of one length; got \(3,\), \(4,\)"):
        spearman(np.ones(3), np.ones(4))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=7))
def test_regret_of_the_first_one_is_regret_and_falls_with_more(pairs):
    p, t = np.array(pairs, float).T
    values = [regret_of_first(p, t, n) for n in range(1, len(p) + 1)]
    assert values[0] == pytest.approx(regret(p, t), abs=1e-12)
    assert values[-1] == 0
    assert all(a >= b - 1e-12 for a, b in zip(values, values[1:], strict=False))


def test_a_run_that_diverged_at_its_last_epoch_has_no_truth():
    runs = [*curves(4), record("lost", [0.1, 0.2, 0.3, 0.4] * 3, 0.4, status="diverged")]
    (row,) = (r for r in ed.rank(runs, ["last_value"], observed=4).rows if r.model == "lost")
    assert isnan(row.truth) and row.prediction == 0.4


def test_the_level_of_several_runs_rests_on_all_of_their_samples():
    """Means over seeds, training accuracies too; so many samples times so many runs."""
    runs, n = [], 7
    for seed in range(3):
        for run in curves(n, seed=seed, spread=0.05):
            trained = 0.2 + 0.1 * seed + 0.01 * len(run.epochs)
            kept = [
                msgspec.structs.replace(e, measures={"train_accuracy": trained + 0.02 * e.epoch})
                for e in run.epochs
            ]
            runs.append(replace(run, epochs=tuple(kept)))
    ranking = ed.rank(runs, ["level"], observed=4, n_validation=50)
    by_model = {f"m{k}": [r for r in runs if r.model == f"m{k}"] for k in range(n)}

    def mean(get):
        return np.array([np.mean([get(r) for r in own]) for own in by_model.values()])

    found = levels(
        mean(lambda r: r.epochs[3].val_accuracy),
        mean(lambda r: r.epochs[2].val_accuracy),
        [150] * n,
        mean(lambda r: r.epochs[3].measures["train_accuracy"]),
    )
    np.testing.assert_allclose([r.prediction for r in ranking.rows], found.accuracy, rtol=1e-12)
    np.testing.assert_allclose([r.std for r in ranking.rows], found.std, rtol=1e-12)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"provenance": {"source_fingerprint": "sha256:%s"}}, "data"),
        ({"provenance": {"data_fingerprint": "sha256:%s"}}, "data"),
    ],
)
def test_runs_of_different_data_are_not_ranked(fields, what):
    def run(model, letter):
        ((name, inner),) = fields.items()
        one = record(model, [0.5, 0.6, 0.7, 0.75, 0.8, 0.82], 0.8)
        return replace(one, **{name: {key: value % letter for key, value in inner.items()}})

    ed.rank([run("a", "x"), run("b", "x")], methods=["last_value"], observed=5)
    words = rf"a, seed 0 and b, seed 0 were run with different {what} \(fingerprints sha256:x and"
    with pytest.raises(ValueError, match=words):
        ed.rank([run("a", "x"), run("b", "y")], methods=["last_value"], observed=5)


def test_one_candidate_s_runs_are_of_one_file():
    runs = [
        replace(
            record("a", [0.5, 0.6, 0.7, 0.75, 0.8, 0.82], 0.8, seed=k),
            settings={"candidate": {"file": f"sha256:{k}"}},
        )
        for k in (0, 1)
    ]
    with pytest.raises(ValueError, match="were run with different candidates' files"):
        ed.rank(runs, methods=["last_value"], observed=5)
