"""The ablations and the choice of a rule of papers/jiang2024, on records with known answers."""

import argparse
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec import structs

import edgedyn as ed
from edgedyn.predict import PooledCapacitanceRegressor
from edgedyn.studies import EpochRecord, TrialRecord

pytestmark = pytest.mark.slow

PAPER = Path(__file__).resolve().parents[2] / "papers" / "jiang2024"
EPOCHS, N_VALIDATION = 12, 10_000
MODELS = ("mlp", "cnn2", "cnn4", "vgg", "resnet8", "densenet", "mlp-scratch", "cnn4-scratch")


@pytest.fixture(scope="module")
def paper():
    """Return the modules that are looked into."""
    with pytest.MonkeyPatch.context() as patch:
        from papers.jiang2024.ablations import explanations, improved_rule
        from papers.jiang2024.ablations import retraining as retraining_tables
        from papers.jiang2024.ablations import tables as ablation_tables
        from papers.jiang2024.ablations import trained as trained_tables
        from papers.jiang2024.ablations import words as ablation_words
        from papers.jiang2024.judging import evidence, rules

        patch.setattr(explanations, "SHUFFLES", 40)
        for module in (ablation_tables, ablation_words):
            patch.setattr(module, "OBSERVED", (5,))
        yield SimpleNamespace(
            tables=ablation_tables,
            words=ablation_words,
            evidence=evidence,
            explanations=explanations,
            improved=improved_rule,
            retraining=retraining_tables,
            rules=rules,
            trained=trained_tables,
        )


# Records ----------------------------------------------------------------------------------------


def record(model, seed, beta, accuracy, truth, **measures):
    """Return a run of given curves; measures that are not given are constant."""
    ordinary = ("train_accuracy", "val_loss", "mean_error", "feature_norm", "gradient")
    columns = {**dict.fromkeys(ordinary, np.full(len(beta), 0.5)), **measures}
    epochs = tuple(
        EpochRecord(
            k + 1,
            1.0 / (k + 1),
            float(accuracy[k]),
            truth if k == len(beta) - 1 else float("nan"),
            float(beta[k]),
            "ok",
            measures={name: float(values[k]) for name, values in columns.items()},
        )
        for k in range(len(beta))
    )
    size = {"data": {"validation": N_VALIDATION, "train": 100}}
    return TrialRecord(
        model, "task", seed, {}, epochs, "completed", 1.0, 0.1, n_train=100, provenance=size
    )


def found_of(paper, records, task="cifar100-a"):
    """Return records as evidence."""
    seeds = tuple(sorted({r.seed for r in records}))
    kept = tuple(sorted(records, key=lambda r: (MODELS.index(r.model), r.seed)))
    return paper.evidence.Evidence(task, kept, seeds, N_VALIDATION, {})


def noise(seed=0, missing=True, seeds=(0, 1)):
    """Return random records; some beta_eff missing."""
    rng = np.random.default_rng(seed)
    found = []
    for model in MODELS:
        for s in seeds:
            beta = rng.uniform(0.5, 2, EPOCHS)
            if missing and model == "cnn2":
                beta[1] = np.nan
            if missing and model == "vgg":
                beta[:] = np.nan
            values = {"beta_absolute": beta + rng.uniform(0, 1, EPOCHS)}
            accuracy = rng.uniform(0.2, 0.8, EPOCHS)
            found.append(record(model, s, beta, accuracy, float(rng.uniform()), **values))
    return found


def straight(end=0.0):
    """Return lines that cross: the last value ranks the other way round than what is at ``end``.

    beta_eff has another course in every candidate and comes to ``end`` in the last epoch.
    """
    found = []
    for k, model in enumerate(MODELS):
        fall = np.linspace(1, 0, EPOCHS) ** (1.5 - k / 16)
        beta = end + (1 + k) * fall
        truth = 0.5 + 0.002 * k
        accuracy = truth - 0.4 * (1 + k) * fall / 8
        found.append(record(model, 0, beta, accuracy, truth))
    return found


# Rules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("observed", [3, 10])
def test_rules_are_those_of_rank(paper, observed):
    found = found_of(paper, noise())
    rules = {"capacitance": paper.rules.line, "pooled": paper.rules.pooled}
    expected = paper.evidence.predictions(found, list(rules), observed)
    for choice, curves in paper.rules.mean_curves(found).items():
        c = curves.first(observed)
        for name, rule in rules.items():
            mine = rule(c.measures["beta_eff"], c.accuracy, c.n_validation)
            np.testing.assert_allclose(mine, expected[name][choice][:, 0], rtol=1e-12)
            np.testing.assert_array_equal(c.truth, expected[name][choice][:, 1])
            assert np.isnan(mine[found.models.index("vgg")])


def test_rules_are_read_off_where_they_are_told(paper):
    rng = np.random.default_rng(1)
    beta, accuracy, at = rng.uniform(1, 2, (4, 5)), rng.uniform(0, 1, (4, 5)), rng.uniform(0, 1, 4)
    mine = paper.rules.line(beta, accuracy, 100, at)
    for k in range(4):
        line = ed.NeuralCapacitanceRegressor(n_validation=100).fit(beta[k, :, None], accuracy[k])
        assert mine[k] == pytest.approx(line.predict([[at[k]]])[0], rel=1e-12)
    mine = paper.rules.pooled(beta, accuracy, at=at)
    for k in range(4):  # predict() is for the first candidate
        order = [k, *(j for j in range(4) if j != k)]
        rule = PooledCapacitanceRegressor().fit(
            beta[order].reshape(-1, 1), accuracy[order].ravel(), groups=np.repeat(range(4), 5)
        )
        assert mine[k] == pytest.approx(rule.predict([[at[k]]])[0], rel=1e-9)


def test_lines_that_slope_the_wrong_way_give_way_to_the_last_value(paper):
    beta = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [np.nan, np.nan, np.nan]])
    accuracy = np.tile([0.1, 0.2, 0.3], (3, 1))
    found = paper.rules.falling(beta, accuracy, 10**9)
    np.testing.assert_allclose(found, [0.4, 0.3, np.nan], atol=1e-6)


def test_half_a_step_is_half_way_from_the_last_value(paper):
    c = paper.rules.mean_curves(found_of(paper, noise(missing=False)))[0, 1].first(5)
    beta = c.measures["beta_eff"]
    whole, half = (paper.rules.pooled(beta, c.accuracy, step=step) for step in (1.0, 0.5))
    np.testing.assert_allclose(half, (whole + c.accuracy[:, -1]) / 2)


def test_time_alone_pooled_adds_the_same_to_all(paper):
    c = paper.rules.mean_curves(found_of(paper, noise()))[0, 1].first(5)
    for name in ("inverse_epoch", "log_epochs_left"):
        added = paper.rules.pooled(c.measures[name], c.accuracy) - c.accuracy[:, -1]
        assert np.ptp(added) < 1e-12


def test_curves_average_the_seeds_that_were_drawn(paper):
    found = found_of(paper, noise(missing=False))
    curves = paper.rules.mean_curves(found)
    assert list(curves) == [(0, 1), (0, 0), (1, 1)]
    for name in ("beta_eff", "beta_absolute", "train_loss"):
        twice = (curves[0, 0].measures[name] + curves[1, 1].measures[name]) / 2
        np.testing.assert_allclose(curves[0, 1].measures[name], twice)


# Ablations --------------------------------------------------------------------------------------


def test_where_the_line_is_right_it_leads_over_the_last_value(paper):
    found = found_of(paper, straight())
    rows = paper.tables.compare(found)
    of = {(r["name"], r["rule"], r["observed"], r["group"]): r for r in rows}
    last, line = of["last_value", None, 5, "all"], of["beta_eff", "line", 5, "all"]
    assert last["rho"] == -1 and last["lead"] == 0
    assert line["rho"] == 1 and line["lead"] == 2 and line["lead_low"] == 2
    assert line["over_default"] == 0
    # The training loss is the same function of time in all candidates, and not their beta_eff.
    assert of["train_loss", "line", 5, "all"]["over_default_high"] <= 0
    assert of["inverse_epoch", "pooled", 5, "all"]["lead"] == 0
    assert ("beta_eff", "line", 5, "pretrained") in of
    assert "ranks better than the last value" in paper.words.plain(rows)


def test_an_oracle_helps_where_zero_is_the_wrong_place(paper):
    # Read off at 0, candidates with steep lines are overrated; the truth is where beta_eff ends.
    found = found_of(paper, [_steep(r, k) for k, r in enumerate(straight(end=3.0))])
    why = paper.explanations.explain(found, 5, np.random.default_rng(0))
    assert why["oracle"]["line"]["rho"] == 1
    assert why["oracle"]["line"]["over_zero"]["lead_low"] > 0
    assert why["errors"]["falling_slopes"] == len(MODELS)
    first = found.models.index(MODELS[0])  # from 4 to 3
    assert why["fall"]["last_to_first"][first] == pytest.approx(3 / 4)
    assert why["fall"]["epoch_of_least"] == [EPOCHS] * len(MODELS)
    right = paper.explanations.explain(found_of(paper, straight()), 5, np.random.default_rng(0))
    assert right["falling"]["rho"] == 1 and right["falling"]["over_line"]["lead"] == 0
    assert right["oracle"]["line"]["over_zero"]["lead"] == 0
    assert right["errors"]["mean_absolute"]["line"] < 0.01


def _steep(run, k):
    """Make accuracy fall with beta_eff the faster the lower the truth is."""
    slope = 0.02 * (len(MODELS) - k) / len(MODELS)
    epochs = tuple(
        structs.replace(e, val_accuracy=run.final_test_accuracy - slope * (e.beta_eff - 3.0))
        for e in run.epochs
    )
    return replace(run, epochs=epochs)


def test_shuffles_tell_whose_beta_eff_it_is(paper):
    c = paper.rules.mean_curves(found_of(paper, straight()))[(0,)].first(5)
    found = paper.explanations.shuffled(c, np.random.default_rng(0), 40)
    assert found["line"]["own"] == 1 and found["line"]["at_least"] < 0.05
    same = {**c.measures, "beta_eff": np.tile([5.0, 4, 3, 2, 1.5], (len(MODELS), 1))}
    found = paper.explanations.shuffled(replace(c, measures=same), np.random.default_rng(0), 40)
    for one in found.values():
        assert one["mean"] == one["own"] and one["at_least"] == 1


def test_shuffles_leave_nothing_in_its_place(paper):
    rng = np.random.default_rng(0)
    for n in (2, 3, 7):
        order = paper.explanations._derangement(n, rng)
        assert sorted(order) == list(range(n)) and (order != np.arange(n)).all()
    with pytest.raises(ValueError, match="at least 2 candidates"):
        paper.explanations._derangement(1, rng)


def test_gain_is_what_the_last_value_lacks(paper):
    runs = noise(missing=False)
    # The rise of the feature norm is exactly what is still to come.
    kept = []
    for run in runs:
        rest = run.final_test_accuracy - run.epochs[4].val_accuracy
        epochs = tuple(
            structs.replace(
                e, measures={**e.measures, "feature_norm": 1.0 if e.epoch == 1 else 2 + rest}
            )
            for e in run.epochs
        )
        kept.append(replace(run, epochs=epochs))
    curves = paper.rules.mean_curves(found_of(paper, kept))
    early = {choice: c.first(5) for choice, c in curves.items()}
    found = paper.explanations.gain(early, "feature_norm", (0, 1), np.random.default_rng(0))
    assert found["relative"]["rho"] == 1 and found["level"]["rho_low"] == 1


def test_scale_finds_what_beta_eff_is_made_of(paper):
    rng = np.random.default_rng(0)
    runs = []
    for model in MODELS:
        norm, error = rng.uniform(0.1, 2, (2, EPOCHS))
        scale = 10 ** rng.uniform(-8, 8)  # another one in every candidate
        beta = scale * norm**2 * error
        runs.append(record(model, 0, beta, beta, 0.5, feature_norm=norm, mean_error=error))
    found = found_of(paper, runs)
    both = paper.explanations.scale(found, ("feature_norm", "mean_error"))
    one = paper.explanations.scale(found, ("feature_norm",))
    assert both == pytest.approx(1) and 0.5 < one < 0.95
    assert np.isnan(paper.explanations.scale(found, ("nothing",)))


@pytest.mark.parametrize(
    "leads, word",
    [
        ([(0.1, 0.3), (0.2, 0.4)], "better"),
        ([(-0.1, 0.3), (0.2, 0.4)], "same"),
        ([(-0.4, -0.1), (-0.3, -0.2)], "worse"),
    ],
)
def test_a_new_default_has_to_win_with_both_rules(paper, leads, word):
    base = {"group": "all", "observed": 5, "rho": 0.5}
    rows = [{**base, "name": "beta_eff"}]
    for low, high in leads:
        row = {**base, "name": "beta_absolute", "over_default_low": low, "over_default_high": high}
        rows.append(row)
    nothing = {**base, "name": "beta_signed", "rho": float("nan")}
    found = paper.tables.verdict([*rows, nothing])
    assert found[word] == ["beta_absolute"] and found["none"] == ["beta_signed"]
    assert ("should change" in paper.words.recommendation(found)) == (word == "better")


def test_the_page_says_what_was_found(paper, monkeypatch, tmp_path):
    monkeypatch.setattr(paper.evidence, "RECORDS", tmp_path)
    found = found_of(paper, noise(seeds=(0,)))
    rows = paper.tables.compare(found)
    text = paper.words.page(
        {
            "sources": {"task": found.task, "models": MODELS, "seeds": (0,), "epochs": EPOCHS},
            "n_pretrained": 6,
            "verdict": paper.tables.verdict(rows),
            "rows": rows,
            "why": {5: paper.explanations.explain(found, 5, np.random.default_rng(0))},
            "scale": {"gradient": 0.123},
            "trained": paper.trained.trained_probe(found.task),
            "retraining": paper.retraining.retraining(),
        }
    )
    assert "| absolute |" in text and "signed" not in text.split("## The paper's line")[1][:600]
    assert "gradient 0.12" in text and text.count("Not run yet") == 2 and "nan" not in text


# Retraining -------------------------------------------------------------------------------------


def test_quarters_come_in_the_order_of_training(paper):
    quarter = {f"beta_q{q}": np.arange(EPOCHS) + q / 4 for q in (1, 2, 3)}
    quarter |= {f"accuracy_q{q}": (np.arange(EPOCHS) + q / 4) / 100 for q in (1, 2, 3)}
    end = np.arange(EPOCHS) + 1.0
    runs = [record(m, 0, end, end / 100, 0.5, **quarter) for m in MODELS]
    whole = paper.rules.mean_curves(found_of(paper, runs))[(0,)]
    beta, accuracy = paper.retraining._points(whole, "quarters")
    expected = np.arange(1, 4 * paper.retraining.OBSERVED + 1) / 4
    np.testing.assert_allclose(beta, np.tile(expected, (len(MODELS), 1)))
    np.testing.assert_allclose(accuracy, beta / 100)
    recent, _ = paper.retraining._points(whole, "recent_quarters")
    np.testing.assert_array_equal(recent, beta[:, 10:])


def test_probes_are_compared_on_the_same_candidates(paper, monkeypatch, tmp_path):
    from edgedyn.studies.store import Store

    monkeypatch.setattr(paper.evidence, "RECORDS", tmp_path)
    for name, n in (("baseline", 5), ("trained-probe", 4), ("probe-64-32", 2)):
        for run in straight()[:n]:
            epochs = tuple(
                structs.replace(e, measures={**e.measures, **_looks(e)}) for e in run.epochs
            )
            Store(tmp_path / f"ablation-{name}").write(run.model, replace(run, epochs=epochs))
    found = paper.retraining.retraining()
    assert list(found["probes"]) == ["baseline", "trained-probe"]  # the third has too few
    for probe in found["probes"].values():
        assert probe["n_models"] == 4
        assert probe["line"]["mae"] < 0.01 and probe["line"]["rho"] == 1
        assert probe["last_value"]["rho"] == -1
    assert found["looks"]["all_samples"]["line"]["mae"] < 0.01  # twice beta_eff: the same line
    text = paper.retraining.retraining_page(found)
    assert "| trained, 256 and 128 |" in text and "whole network" in text
    assert "in 4 of 4 candidates (4 of 4). The frozen probe" in text
    better = {"line": {**found["probes"]["baseline"]["line"], "rho_low": 0.9, "nearer": 3}}
    worse = {"line": {**better["line"], "rho_high": 0.5}}
    both = [{**found["probes"]["baseline"], **one} for one in (worse, better)]
    assert "**The probe should be trained**" in paper.retraining.frozen_or_trained(*both)


def _looks(epoch):
    """Return what only the baseline of the retraining has."""
    found = {"beta_all_samples": 2 * epoch.beta_eff, "beta_network": 3 * epoch.beta_eff}
    for q in (1, 2, 3):
        found |= {f"beta_q{q}": epoch.beta_eff, f"accuracy_q{q}": epoch.val_accuracy}
    return found


def test_every_ablation_changes_one_thing(paper):
    from papers.jiang2024.ablations import run as run_ablations

    given = argparse.Namespace(
        seeds=[0],
        epochs=15,
        n_train=2000,
        candidates=["mlp", "vgg"],
        threads=1,
        records=PAPER / "records",
    )
    base = run_ablations.study(given, "baseline").to_dict()
    for name, change in run_ablations.PROBES.items():
        one = run_ablations.study(given, name).to_dict()
        assert one.pop("output") == f"records/ablation-{name}"
        assert one["probe"] == {**base["probe"], **change} != base["probe"]
        assert all(one[k] == base[k] for k in one if k != "probe")
    assert set(paper.retraining.PROBES) == {"baseline", *run_ablations.PROBES}


# The whole zoo with a trained probe -------------------------------------------------------------


def test_both_probes_are_judged_on_the_same_runs(paper, monkeypatch, tmp_path):
    from edgedyn.studies.store import Store

    monkeypatch.setattr(paper.evidence, "RECORDS", tmp_path)
    frozen = [replace(run, seed=seed) for run in straight(end=3.0) for seed in (0, 1)]
    for name, runs in (("", frozen), ("-trained-probe", straight()[:7])):
        for run in runs:
            Store(tmp_path / f"task{name}").write(f"{run.model}-s{run.seed}", run)
    found = paper.trained.trained_probe("task")
    assert found["seeds"] == [0] and found["models"] == sorted(
        MODELS[:7], key=list(paper.evidence.ZOO).index
    )
    ends = {kind: probe["end"] for kind, probe in found["probes"].items()}
    assert ends["trained"]["last_to_first"] == 0 < ends["frozen"]["last_to_first"]
    rows = {
        kind: {(r["group"], r["observed"], r["rule"]): r for r in probe["rows"]}
        for kind, probe in found["probes"].items()
    }
    # beta_eff ends at 0 with one probe: reading off at 0 is right there, and only there.
    for k in (3, 5, 10):
        right, wrong = rows["trained"]["all", k, "line"], rows["frozen"]["all", k, "line"]
        assert right["rho"] == right["oracle"]["rho"] == wrong["oracle"]["rho"] == 1
        assert right["mae"] < 0.01 < 0.1 < wrong["mae"]
        assert right["lead"] == pytest.approx(2) and right["nearer"] == 7
        assert rows["trained"]["all", k, "last_value"]["rho"] == pytest.approx(-1)
    text = paper.trained.trained_page(found)
    assert "the paper's line ranks better than the last value, interval above 0, in 6 of 6" in text
    assert "| trained | pretrained | 5 | last value |" in text and "nan" not in text


# The better rule --------------------------------------------------------------------------------


def test_the_rule_is_chosen_by_its_mean_over_epochs(paper):
    rows = {
        "last value": {"mean": 0.9},
        "the paper's line": {"mean": 0.5},
        "pooled rule": {"mean": 0.7 + 1e-16},
        "mean of line and last value": {"mean": 0.7 + 1e-13},
        "line on the logit scale": {"mean": float("nan")},
    }
    assert paper.improved.choose(rows) == ("last value", "pooled rule")


def test_a_rule_that_is_right_is_chosen_and_wins_elsewhere(paper):
    found = found_of(paper, straight())
    rows = paper.improved.compare(found)
    assert set(rows) == set(paper.improved.RULES)
    assert rows["last value"]["mean"] == -1 and rows["the paper's line"]["mean"] == 1
    best, ours = paper.improved.choose(rows)
    assert best == ours == "the paper's line"
    names = ["last value", best]
    report = paper.improved.report(found_of(paper, straight(), "cifar100-b"), names)
    assert {r["group"] for r in report} == {"all", "pretrained"}
    for row in report:
        if row["rule"] == best:
            assert row["rho"] == 1 and row["lead_low"] > 0 and row["over_paper"] == 0
            assert paper.improved.verdict(row) == "is better"
    source = {"models": MODELS, "seeds": (0,)}
    text = paper.improved.page(
        {
            "sources": {"cifar100-a": source, "cifar100-b": source},
            "chosen": best,
            "chosen_with_beta": ours,
            "choice": rows,
            "report": {"cifar100-b": report},
        }
    )
    assert "Chosen: **the paper's line**" in text and "it is better (lead +2.00" in text


def test_every_rule_predicts_for_every_candidate(paper):
    c = paper.rules.mean_curves(found_of(paper, noise(missing=False)))[0, 1].first(5)
    for name, rule in paper.improved.RULES.items():
        assert np.isfinite(rule(c)).all(), name
        assert rule(c).shape == (len(MODELS),)
    line, last = (paper.improved.RULES[n](c) for n in ("the paper's line", "last value"))
    mean = paper.improved.RULES["mean of line and last value"](c)
    np.testing.assert_allclose(mean, (line + last) / 2)
    shrunk = paper.improved.shrunk(c, 1e9)
    np.testing.assert_allclose(shrunk, line)
    np.testing.assert_allclose(paper.improved.shrunk(c, 1e-12), last)
