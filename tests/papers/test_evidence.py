"""The tables of papers/jiang2024 on records whose rankings are known."""

import json
from dataclasses import replace
from itertools import product
from math import isnan, nan

import numpy as np
import pytest
from msgspec import structs
from report_cases import BETA, DATA, record, write_study
from scipy.stats import spearmanr

from edgedyn.studies import pack_records

pytestmark = pytest.mark.slow

TASK = "cifar100-a"
# Candidates of the zoo, two of them not pretrained, and their final test accuracies.
FINAL = {"vgg": 0.9, "mlp": 0.5, "cnn2": 0.6, "cnn4": 0.7, "mlp-scratch": 0.3, "cnn4-scratch": 0.4}


@pytest.fixture(scope="module")
def paper():
    """Return the modules that are looked into."""
    from papers.jiang2024.judging import bootstrap, dead, evidence
    from papers.jiang2024.tables import tables
    from papers.jiang2024.tables import words as tables_words

    return {
        "bootstrap": bootstrap,
        "dead": dead,
        "evidence": evidence,
        "tables": tables,
        "words": tables_words,
    }


@pytest.fixture
def records(paper, tmp_path, monkeypatch):
    """Let the scripts read and write a folder of the test."""
    for module in (paper["evidence"], paper["tables"]):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(paper["evidence"], "RECORDS", tmp_path / "records")
    monkeypatch.setattr(paper["tables"], "HERE", tmp_path)
    monkeypatch.setitem(DATA, "class_names", list("abcd"))
    return tmp_path / "records"


def on_a_line(model, seed=0, final=None, slope=-0.4, **options):
    """Return a run on a line that ends exactly at its true final accuracy."""
    final = FINAL[model] if final is None else final
    test = options.pop("test", final)
    return record(model, final, 8, seed=seed, slope=slope, wiggle=0.0, test=test, **options)


def all_lines(seeds=(0,), **options):
    return [on_a_line(m, s, **options) for m in FINAL for s in seeds]


# Intervals --------------------------------------------------------------------------------------

TRUTH = np.array([0.1, 0.2, 0.3, 0.4])


def table(*values):
    return np.column_stack([values, TRUTH])


GOOD, BAD = table(1, 2, 3, 4), table(4, 3, 2, 1)


def test_perfect_and_reversed_predictions(paper):
    good, bad = {(0,): GOOD}, {(0,): BAD}
    found = paper["bootstrap"].judge(good, bad, (0,), np.random.default_rng(0), 500)
    assert [found[k] for k in ("rho", "rho_low", "rho_high")] == [1, 1, 1]
    assert [found[k] for k in ("lead", "lead_low", "lead_high")] == [2, 2, 2]
    assert found["n_models"] == 4 and found["status"] == "ok"


def test_the_draws_of_candidates_have_the_exact_expectation(paper):
    bootstrap = paper["bootstrap"]
    mixed = table(1, 3, 2, 4)
    exact = []
    for drawn in product(range(4), repeat=4):
        p, t = mixed[list(drawn)].T
        if np.ptp(p) > 0:
            exact.append(spearmanr(p, t).statistic)
    n, rng = 20_000, np.random.default_rng(0)
    weights = bootstrap.candidates_drawn(4, n, rng)
    own, _ = bootstrap.paired({(0,): mixed}, {(0,): mixed}, weights, [(0,)] * (n + 1))
    drawn = own[1:][np.isfinite(own[1:])]
    assert own[0] == pytest.approx(0.8)
    assert abs(drawn.mean() - np.mean(exact)) < 4 * np.std(exact) / np.sqrt(len(drawn))
    # 4 of 256 draws are one candidate alone
    share = np.isnan(own[1:]).mean()
    assert abs(share - 4 / 256) < 4 * np.sqrt(4 / 256 / n)


def test_seeds_are_drawn_too(paper):
    # Both seeds the second (a quarter of the draws): the ranking is reversed.
    tables = {(0, 1): GOOD, (0, 0): GOOD, (1, 1): BAD}
    found = paper["bootstrap"].judge(tables, tables, (0, 1), np.random.default_rng(0), 500)
    assert (found["rho"], found["rho_low"], found["rho_high"]) == (1, -1, 1)
    assert (found["lead_low"], found["lead_high"]) == (0, 0)
    alone = {(0, 1): GOOD}  # a slow method: all seeds, always
    found = paper["bootstrap"].judge(alone, tables, (0, 1), np.random.default_rng(0), 500)
    assert (found["rho_low"], found["lead_low"], found["lead_high"]) == (1, 0, 0)


def test_many_seeds_are_drawn_from_a_few_choices(paper):
    bootstrap = paper["bootstrap"]
    few = bootstrap.choices_of(range(6))
    assert len(few) == 462 and few[0] == (0, 1, 2, 3, 4, 5)  # all multisets: 11 over 6
    many = bootstrap.choices_of(range(20))
    assert many[0] == tuple(range(20)) and len(set(many)) == len(many) == bootstrap.CHOICES
    drawn = bootstrap.seeds_drawn(tuple(range(20)), 3000, np.random.default_rng(0))
    assert drawn[0] == many[0] and set(drawn) <= set(many) and len(drawn) == 3001
    assert abs(np.mean(drawn[1:]) - 9.5) < 0.2  # every seed as often as the others


def test_single_runs_count_by_their_mean(paper):
    tables = {(0,): GOOD, (1,): BAD}
    found = paper["bootstrap"].judge(tables, tables, (0, 1), np.random.default_rng(0), 500)
    assert (found["rho"], found["rho_low"], found["rho_high"]) == (0, -1, 1)


def test_the_lead_is_on_the_candidates_that_both_predict(paper):
    ours, last = {(0,): table(1, 2, 3, nan)}, {(0,): table(1, 2, 3, 0)}
    found = paper["bootstrap"].judge(ours, last, (0,), np.random.default_rng(0), 100)
    assert (found["rho"], found["lead"], found["n_models"]) == (1, 0, 3)
    nothing = {(0,): table(nan, nan, nan, nan)}
    found = paper["bootstrap"].judge(nothing, last, (0,), np.random.default_rng(0), 100)
    assert isnan(found["rho"]) and isnan(found["rho_low"]) and found["status"] == "no prediction"
    assert paper["bootstrap"].with_interval(found) == "-"


# Records ----------------------------------------------------------------------------------------


def test_the_most_runs_that_can_be_compared_are_taken(paper):
    complete = paper["evidence"].complete
    names = ["vgg", "mlp", "cnn2"]
    runs = [(m, s) for m in names for s in (0, 1)]
    assert complete(runs)[1] == (0, 1) and set(complete(runs)[0]) == set(names)
    # One candidate's third seed: three by two runs are more than one by three.
    assert complete([*runs, ("vgg", 2)])[1] == (0, 1)
    # Second seeds of one of three alone: three by one are more than one by two.
    assert complete([*[(m, 0) for m in names], ("vgg", 1)])[1] == (0,)
    # A candidate without the first seed cannot be compared.
    assert "cnn4" not in complete([*runs, ("cnn4", 1)])[0]


def test_incomplete_candidates_are_left_out_by_name(paper, records):
    short = on_a_line("cnn2", 0)
    late = [on_a_line(m, 1) for m in FINAL if m not in ("vgg", "mlp-scratch")]
    failed = record("mlp-scratch", 0.5, 2, seed=0, status="failed", reason="memory")
    runs = [on_a_line(m) for m in FINAL if m not in ("cnn2", "mlp-scratch")]
    write_study(records / TASK, [*runs, short, *late, failed], seeds=(0, 1))
    found = paper["evidence"].evidence(TASK)
    assert found.seeds == (0, 1)
    assert set(found.models) == set(FINAL) - {"vgg", "mlp-scratch"}
    assert found.left_out == {"vgg": 1}
    assert set(found.group("pretrained").models) == {"mlp", "cnn2", "cnn4"}
    assert (found.n_train, found.n_validation) == (100, 200)


def test_too_few_candidates_are_refused_by_name(paper, records):
    write_study(records / TASK, all_lines()[:2])
    with pytest.raises(ValueError, match="cifar100-a has 2 complete candidates; it takes 3"):
        paper["evidence"].evidence(TASK)
    with pytest.raises(SystemExit, match="run zoo/run.py first"):
        paper["evidence"].all_evidence()


# Predictions ------------------------------------------------------------------------------------


def test_every_choice_of_seeds_is_averaged(paper, records, monkeypatch):
    monkeypatch.setattr(paper["evidence"], "SLOW", ("cl",))
    runs = [on_a_line(m, s, FINAL[m] + 0.03 * s) for m in FINAL for s in (0, 1, 2)]
    write_study(records / TASK, runs, seeds=(0, 1, 2))
    found = paper["evidence"].evidence(TASK)
    tables = paper["evidence"].predictions(found, ["last_value", "capacitance", "cl"], 5)
    assert len(tables["last_value"]) == 10 and next(iter(tables["last_value"])) == (0, 1, 2)
    assert list(tables["cl"]) == [(0, 1, 2)]
    k = found.models.index("cnn4")
    # Seed 0 twice, seed 2 once: the mean of three runs.
    final = 0.7 + 0.03 * 2 / 3
    p, t = tables["last_value"][0, 0, 2][k]
    assert t == pytest.approx(final) and p == pytest.approx(final - 0.4 * BETA[4])
    p, t = tables["capacitance"][0, 0, 2][k]
    assert p == pytest.approx(t, abs=1e-3)


def test_single_runs_are_predicted_one_by_one(paper, records):
    write_study(
        records / TASK, [on_a_line(m, s, FINAL[m] + 0.03 * s) for m in FINAL for s in (0, 1)]
    )
    found = paper["evidence"].evidence(TASK)
    tables = paper["evidence"].predictions(found, ["last_value"], 5, over="run")
    assert list(tables["last_value"]) == [(0,), (1,)]
    k = found.models.index("mlp")
    assert tables["last_value"][1,][k] == pytest.approx((0.53 - 0.4 * BETA[4], 0.53))


def test_slow_methods_learn_from_all_and_others_from_their_group(paper, records, monkeypatch):
    monkeypatch.setattr(paper["evidence"], "SLOW", ("cl",))
    write_study(records / TASK, all_lines())
    groups = paper["evidence"].by_group(paper["evidence"].evidence(TASK), ["cl", "pooled"], 5)
    (everyone, whole), (alone, part) = groups["all"], groups["pretrained"]
    rows = [everyone.models.index(m) for m in alone.models]
    np.testing.assert_array_equal(part["cl"][0,], whole["cl"][0,][rows])
    own = paper["evidence"].predictions(alone, ["pooled"], 5)
    np.testing.assert_array_equal(part["pooled"][0,], own["pooled"][0,])


def test_a_fixed_window_leaves_the_first_epochs_out(paper, records):
    # The first epoch is far off the line of the others.
    betas = (5.0, *BETA[1:])
    write_study(records / TASK, all_lines(betas=betas))
    found = paper["evidence"].evidence(TASK)
    late = paper["evidence"].from_window(found, 5, 2)[0,]
    np.testing.assert_allclose(late[:, 0], late[:, 1], atol=1e-3)
    early = paper["evidence"].from_window(found, 5, 1)[0,]
    assert (abs(early[:, 0] - early[:, 1]) > 0.05).all()
    assert np.isnan(paper["evidence"].from_window(found, 5, 4)[0,][:, 0]).all()


def test_fewer_samples_are_judged_by_the_full_runs(paper, records):
    write_study(records / TASK, all_lines())
    names = list(FINAL)[:4]
    few = [record(m, FINAL[m] - 0.2, 5, wiggle=0.0, slope=-0.4, n_train=50) for m in names]
    write_study(records / f"{TASK}-sizes", few)
    for folder in (TASK, f"{TASK}-sizes"):  # as committed
        pack_records(records / folder)
    assert paper["evidence"].tasks() == [TASK]
    found = paper["evidence"].evidence(TASK)
    by_size = paper["evidence"].at_sizes(found)
    assert list(by_size) == [50, 100]
    assert all(set(one.models) == set(names) for one in by_size.values())
    tables = paper["evidence"].predictions(by_size[50], ["capacitance"], 5, full=found)
    for model, (p, t) in zip(by_size[50].models, tables["capacitance"][0,], strict=True):
        assert t == FINAL[model] and p == pytest.approx(FINAL[model] - 0.2, abs=1e-3)


# Tables -----------------------------------------------------------------------------------------


@pytest.fixture
def fast(paper, monkeypatch):
    """Leave out the slow methods and what these records do not have."""
    tables = paper["tables"]
    monkeypatch.setattr(tables, "METHODS", ("capacitance", "pooled", "last_value", "best_value"))
    monkeypatch.setattr(tables, "BASELINES", ("last_value", "best_value"))
    monkeypatch.setattr(tables, "SCORES", ())
    monkeypatch.setattr(tables, "OBSERVED", (5,))
    monkeypatch.setattr(tables, "WINDOWS", {5: (1, 2)})


def row(rows, **fields):
    """Return the only row with these values."""
    (found,) = [r for r in rows if all(r[k] == v for k, v in fields.items())]
    return found


def test_a_task_whose_study_has_only_begun_does_not_count(paper, records, capsys):
    write_study(records / TASK, all_lines())
    with pytest.raises(SystemExit, match="no task has enough records yet"):
        paper["evidence"].all_evidence()
    assert f"{TASK} has {len(FINAL)} complete candidates, not 8 yet" in capsys.readouterr().out


def test_tables_of_records_whose_ranking_is_known(paper, records, fast, monkeypatch):
    monkeypatch.setattr(paper["evidence"], "ENOUGH", len(FINAL))
    # Slopes such that the last value ranks the first task in reverse, the line perfectly; in the
    # second task the line is misled, and the last value is right.
    order = sorted(FINAL, key=FINAL.get)
    close = {m: 0.8 + FINAL[m] / 10 for m in FINAL}
    first = [on_a_line(m, final=close[m], slope=-k / 4, data="a") for k, m in enumerate(order)]
    second = [
        on_a_line(m, final=close[m], slope=-k / 4, test=close[m] - k / 4 * BETA[4], data="b")
        for k, m in enumerate(order)
    ]
    write_study(records / TASK, first)
    write_study(records / "cifar100-b", second)
    paper["tables"].main()
    folder = records.parent
    rows = json.loads((folder / "results" / "table1.json").read_text())["rows"]
    key = {"observed": 5, "group": "all"}
    good = row(rows, task=TASK, method="capacitance", **key)
    assert (good["rho"], good["rho_low"], good["lead"], good["n_models"]) == (1, 1, 2, 6)
    bad = row(rows, task="cifar100-b", method="capacitance", **key)
    assert (bad["rho"], bad["lead"], bad["lead_high"]) == (-1, -2, -2)
    assert bad["best_baseline"]["improvement"] == -2  # from 1 to -1
    assert good["best_baseline"]["improvement"] is None  # the best baseline is at -1
    mean = row(rows, task="mean over tasks", method="capacitance", **key)
    assert (mean["rho"], mean["rho_low"], mean["rho_high"], mean["lead"]) == (0, 0, 0, 0)
    assert (
        row(rows, task=TASK, method="last_value", group="pretrained", observed=5)["n_models"] == 4
    )
    text = (folder / "tables.md").read_text()
    assert "cifar100-b, all candidates, 5 epochs: rho -1.00 against 1.00, lead -2.00" in text
    assert "- cifar100-a, all candidates, 5 epochs" not in text
    assert "take such intervals for too narrow" in text


# Dead networks ----------------------------------------------------------------------------------

# Seen by eye before there was a rule: losses of exactly ln C.
DEAD = {
    "cifar100-a": [("squeezenet", 1)],
    "cifar100-b": [("squeezenet", 2)],
    "fashion-mnist": [("mlp", 0), ("mlp", 1), ("squeezenet", 1), ("squeezenet", 2)],
}


@pytest.mark.parametrize("task", DEAD)
def test_the_dead_runs_of_the_committed_records_are_known(paper, task):
    found = paper["evidence"].evidence(task)
    assert len(found.records) == 51
    assert sorted(paper["dead"].dead_runs(found)) == DEAD[task]
    # A sign that the rule does not use: without strengths there is no beta_eff at the end.
    silent = {(r.model, r.seed) for r in found.records if not np.isfinite(r.epochs[-1].beta_eff)}
    assert sorted(silent) == DEAD[task]


def dead_record(model, seed=0, **options):
    """Return a run whose loss is ln 4 and whose accuracy is 0.25, but for what is changed."""
    made = on_a_line(model, seed, 0.25, slope=0.0, test=0.25)
    changes = {"train_loss": float(np.float32(np.log(4))), **options}
    epochs = tuple(structs.replace(e, **changes) for e in made.epochs)
    return replace(made, epochs=epochs)


def test_a_network_that_learns_slowly_is_not_dead(paper, records):
    is_dead = paper["dead"].is_dead
    assert is_dead(dead_record("vgg"))
    assert not is_dead(dead_record("vgg", train_loss=np.log(4) - 1e-5))
    assert not is_dead(on_a_line("vgg"))
    slow = dead_record("vgg")
    moved = (*slow.epochs[:-1], structs.replace(slow.epochs[-1], val_accuracy=0.26))
    assert not is_dead(replace(slow, epochs=moved))
    early = (structs.replace(slow.epochs[0], train_loss=3.0), *slow.epochs[1:])
    assert is_dead(replace(slow, epochs=early))  # the end counts


def test_without_dead_runs_means_are_over_the_seeds_left(paper, records):
    runs = [on_a_line(m, s, FINAL[m] + 0.03 * s) for m in FINAL for s in (0, 1)]
    runs[list(FINAL).index("mlp") * 2 + 1] = dead_record("mlp", 1)
    write_study(records / TASK, runs, seeds=(0, 1))
    found = paper["evidence"].evidence(TASK)
    assert paper["dead"].dead_runs(found) == [("mlp", 1)]
    alive = paper["dead"].alive(found)
    k = alive.models.index("mlp")
    assert alive.models == found.models and len(alive.records) == len(found.records) - 1
    tables = paper["evidence"].predictions(alive, ["last_value"], 5)["last_value"]
    assert tables[0, 1][k] == pytest.approx((0.5 - 0.4 * BETA[4], 0.5))
    assert np.isnan(tables[1, 1][k]).all() and np.isfinite(np.delete(tables[1, 1], k, 0)).all()
    whole = paper["evidence"].predictions(found, ["last_value"], 5)["last_value"]
    assert whole[0, 1][k][1] == pytest.approx((0.5 + 0.25) / 2)


def test_a_small_value_in_the_denominator_matters_where_nothing_is_left(paper, records):
    betas = [*BETA[:-1], nan]
    silent = on_a_line("mlp", betas=betas, statuses=["ok"] * 7 + ["ill_conditioned"])
    runs = [silent, *[on_a_line(m) for m in FINAL if m != "mlp"]]
    write_study(records / TASK, runs)
    said = paper["dead"].denominator([paper["evidence"].evidence(TASK)], epsilon=1e-3)
    assert (said["epochs"], said["ok"], said["to_zero"]) == (48, 47, 1)
    assert said["smallest"] == BETA[-1] and said["most_change"] == pytest.approx(1e-3 / BETA[-1])


def test_tables_name_dead_runs_and_candidates_without_a_source_head(
    paper, records, fast, monkeypatch
):
    monkeypatch.setattr(paper["evidence"], "ENOUGH", len(FINAL))
    # The dead run is predicted best and is worst: without it the last value ranks perfectly.
    slopes = {m: (0.0 if m != "cnn4" else -0.1) for m in FINAL}
    runs = [on_a_line(m, s, slope=slopes[m]) for m in FINAL for s in (0, 1)]
    runs[list(FINAL).index("vgg") * 2 + 1] = dead_record("vgg", 1)
    write_study(records / TASK, runs, seeds=(0, 1))
    heads = [m for m in FINAL if "scratch" not in m]
    scores = [
        {"task": TASK, "model": m, "seed": s, "nce": -FINAL[m], "leep": FINAL[m]}
        for m in heads
        for s in (0, 1)
    ]
    without = {m: "random weights" for m in FINAL if "scratch" in m}
    folder = records.parent / "results"
    folder.mkdir()
    (folder / "source_scores.json").write_text(json.dumps({"rows": scores, "without": without}))
    paper["tables"].main()
    table = json.loads((folder / "table1.json").read_text())
    key = {"task": TASK, "observed": 5}
    rows = table["source"]["rows"]
    assert {r["group"] for r in rows} == {"source"} and {r["n_models"] for r in rows} == {4}
    truths = [FINAL[m] if m != "vgg" else (0.9 + 0.25) / 2 for m in heads]
    wanted = spearmanr([FINAL[m] for m in heads], truths).statistic
    assert row(rows, method="leep", **key)["rho"] == pytest.approx(wanted)
    assert row(rows, method="nce", **key)["rho"] == pytest.approx(-wanted)
    assert [(r["model"], r["seed"]) for r in table["dead"]["runs"]] == [("vgg", 1)]
    alive = row(table["dead"]["rows"], method="last_value", group="all", **key)
    assert alive["rho"] == 1
    text = (records.parent / "tables.md").read_text()
    assert "mlp-scratch, cnn4-scratch (random weights)" in text
    assert "Of 12 runs 1 end as dead networks" in text and f"| {TASK}, vgg, seed 1 |" in text
    scores.pop()
    (folder / "source_scores.json").write_text(json.dumps({"rows": scores, "without": without}))
    with pytest.raises(ValueError, match="lacks cnn4, seed 1, .* run zoo/source_scores"):
        paper["tables"].main()


# Costs ------------------------------------------------------------------------------------------


def test_costs_leave_out_the_first_epoch(paper, records, fast):
    write_study(records / TASK, all_lines())
    (cost, *_) = paper["tables"].times([paper["evidence"].evidence(TASK)])
    assert (cost["train"], cost["beta"], cost["c"]) == (2.0, 0.5, 0.25)
    assert (cost["observation"], cost["with_training"]) == (1.25, 6.25)


def test_the_studies_of_fewer_samples_can_be_read(paper):
    from argparse import Namespace

    from papers.jiang2024.zoo import run_sizes

    names = ["mlp", "squeezenet"]
    given = Namespace(task="fashion-mnist", n_train=[250, 500], seeds=[0, 1], candidates=names,
                      workers=1, threads=1, epochs=30, split="stratified")  # fmt: skip
    plan = run_sizes.study(given)
    assert len(plan.trials) == 8 and {t.n_train for t in plan.trials} == {250, 500}
    assert plan.stage == "early" and plan.output == "records/fashion-mnist-sizes"
    given.split = "ordered"
    plan = run_sizes.study(given)
    assert plan.data.split == "ordered" and plan.output == "records/fashion-mnist-sizes-ordered"
