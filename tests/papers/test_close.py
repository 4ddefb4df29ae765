"""The close zoo's arrays, rules and pages on records whose answers are known."""

import importlib
import json

import numpy as np
import pytest

import edgedyn as ed
from edgedyn._bits import pack_bits
from edgedyn.studies import EpochRecord, TrialRecord, pack_records
from edgedyn.studies.store import Store
from papers.jiang2024.judging import headline

pytestmark = pytest.mark.slow

N, EPOCHS = 200, 12
# Candidates of three families, their final accuracies and the slopes of their lines.
FINAL = {"mobilenet-0.5": 0.80, "mobilenet-0.75": 0.85, "mobilenetv2": 0.70, "squeezenet": 0.60}
SLOPE = {"mobilenet-0.5": -0.30, "mobilenet-0.75": -0.40, "mobilenetv2": -0.1, "squeezenet": -0.2}


@pytest.fixture
def scripts(monkeypatch, tmp_path):
    """Return the modules that are looked into; they read and write the test's folder."""
    found = {
        name: importlib.import_module(f"papers.jiang2024.close.{name}")
        for name in ("evidence", "rules", "tables", "words", "run", "figures")
    }
    found["headline"] = headline
    monkeypatch.setattr(found["evidence"], "HERE", tmp_path)
    monkeypatch.setattr(found["evidence"], "SUBSETS", 2)
    for name, value in {"HERE": tmp_path, "RESULTS": tmp_path / "results", "DRAWS": 20,
                        "SUBSETS": 2, "N_VALIDATION": (100,)}.items():  # fmt: skip
        monkeypatch.setattr(found["tables"], name, value)
    for name in ("RESULTS", "FIGURES"):
        monkeypatch.setattr(found["figures"], name, tmp_path / "results")
    monkeypatch.setattr(found["headline"], "write", lambda name: None)
    return found


def trial(model, seed, n_train=500, status="completed", truth=FINAL):
    """Return a run that lies on its line exactly; accuracies are whole numbers of samples."""
    rng = np.random.default_rng([seed, list(FINAL).index(model)])
    epochs = []
    for k in range(1, (EPOCHS if status == "completed" else 5) + 1):
        wanted = round(N * (FINAL[model] + SLOPE[model] / k))
        bits = np.zeros(N, bool)
        bits[rng.permutation(N)[:wanted]] = True
        beta = (wanted / N - FINAL[model]) / SLOPE[model]
        measures = {
            "train_accuracy": 1 - 0.5 / k,
            "sample_accuracy": 1 - 0.2 / k,
            "sample_loss": 0.5 / k,
            "mean_error": 0.3 / k,
            "feature_norm": 1.0 + k,
            "beta_absolute": beta / 2,
        }
        last = k == EPOCHS
        epochs.append(
            EpochRecord(
                k,
                1 / k,
                wanted / N,
                truth[model] if last else np.nan,
                beta,
                "ok",
                1.0,
                0.1,
                measures,
                pack_bits(bits),
            )  # fmt: skip
        )
    provenance = {"data": {"train": n_train, "validation": N, "test": 1000}}
    return TrialRecord(model, "npz:data/x.npz", seed, {}, tuple(epochs), status, 1.0, 0.1,
                       {"logme": FINAL[model]}, n_train, "", provenance)  # fmt: skip


def write(scripts, task, variant="identity", seeds=(0, 1), models=tuple(FINAL), **options):
    zoo = scripts["run"]
    store = Store(scripts["evidence"].HERE / zoo.folder_of(task, variant))
    for model in models:
        for seed in seeds:
            run = trial(model, seed, **options)
            store.write(f"{model}-n{run.n_train}-s{seed}", run)
    return store.folder


def test_arrays_are_those_of_the_records_packed_or_not(scripts):
    folder = write(scripts, "cifar10")
    zoo = scripts["evidence"].load("cifar10")
    pack_records(folder)
    again = scripts["evidence"].load("cifar10")
    assert zoo.models == list(FINAL) and zoo.seeds == (0, 1)
    assert np.array_equal(zoo.correct, again.correct)
    records = {(r.model, r.seed): r for r in ed.load_records(folder)}
    for s in zoo.seeds:
        for k, model in enumerate(zoo.models):
            expected = [e.val_accuracy for e in records[model, s].epochs]
            assert zoo.accuracy[s, k].tolist() == expected
    assert zoo.truth.tolist() == [list(FINAL.values())] * 2


def test_incomplete_candidates_are_left_out(scripts):
    write(scripts, "cifar10")
    write(scripts, "cifar10", seeds=(2,), models=("squeezenet",))
    zoo = scripts["evidence"].load("cifar10")
    assert zoo.seeds == (0, 1) and len(zoo.models) == 4
    assert scripts["evidence"].load("fashion-mnist") is None


def test_a_part_of_the_validation_samples_is_the_same_for_all_candidates(scripts):
    write(scripts, "cifar10")
    zoo = scripts["evidence"].load("cifar10")
    some = zoo.subset(50, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    for s in range(2):
        at = rng.choice(N, 50, replace=False)
        assert np.array_equal(some[s], zoo.correct[s][:, :, at].mean(axis=-1))
    assert np.array_equal(zoo.subset(N, rng), zoo.accuracy)


def test_lines_and_the_reference_regressor_find_the_end(scripts):
    write(scripts, "cifar10")
    evidence, rules = scripts["evidence"], scripts["rules"]
    zoo = evidence.load("cifar10")
    tables = evidence.predictions(zoo, rules.MAIN, 5)
    for name in ("capacitance", "capacitance, all epochs"):
        p, t = tables[name][zoo.seeds].T
        assert t.tolist() == list(FINAL.values())
        assert np.abs(p - t).max() < 2e-3
    last = tables["last_value"][zoo.seeds][:, 0]
    assert last == pytest.approx([zoo.accuracy[:, k, 4].mean() for k in range(4)])


def test_rank_and_value_of_a_perfect_and_of_a_constant_rule(scripts):
    write(scripts, "cifar10")
    evidence = scripts["evidence"]
    zoo = evidence.load("cifar10")
    rules = {
        "perfect": lambda s: np.array([FINAL[m] for m in s.models]),
        "half": lambda s: np.full(len(s.models), 0.5) + 1e-3 * np.arange(len(s.models)),
        "last_value": lambda s: s.accuracy[:, -1],
    }
    tables = evidence.predictions(zoo, rules, 5)
    drawn = evidence.draws([zoo], 50)
    row = evidence.rank_and_value([(zoo, tables)], "perfect", "half", drawn)
    assert (row["rho"], row["error"]) == (1.0, 0.0)
    off = np.mean([abs(v - 0.5 - 1e-3 * k) for k, v in enumerate(FINAL.values())])
    assert row["gain"] == pytest.approx(off) and row["gain_low"] > 0
    assert row["lead"] == pytest.approx(1 - (-0.8))  # the order of "half" against the truth


def test_a_pooled_slope_without_the_family_is_learnt_from_the_others(scripts):
    write(scripts, "cifar10")
    evidence, rules = scripts["evidence"], scripts["rules"]
    zoo = evidence.load("cifar10")
    _, sight, _ = next(iter(evidence.sights(zoo, 5)))
    ours = rules.pooled_in("beta_eff", True)(sight)
    for k, model in enumerate(zoo.models):
        family = evidence.family_of(model)
        others = [m for m in zoo.models if evidence.family_of(m) != family]
        _, part, _ = next(iter(evidence.sights(zoo.only([*others, model]), 5)))
        z = part.beta / part.beta[:, -3:].mean(axis=1, keepdims=True)
        rest = [i for i, m in enumerate(part.models) if m != model]
        dz = z[rest] - z[rest].mean(axis=1, keepdims=True)
        da = part.accuracy[rest] - part.accuracy[rest].mean(axis=1, keepdims=True)
        at = part.models.index(model)
        slope = (dz * da).sum() / (dz**2).sum()
        assert ours[k] == pytest.approx(part.accuracy[at, -1] - slope * z[at, -1])


def test_the_page_and_the_figures_say_what_is_known(scripts, tmp_path):
    for task in ("cifar10", "fashion-mnist"):
        write(scripts, task)
    write(scripts, "cifar10", "statistics")
    for n in (125, 250):
        write(scripts, "cifar10", "sizes", n_train=n, status="early")
    scripts["tables"].LEARNT, kept = ("cl",), scripts["tables"].LEARNT
    try:
        scripts["tables"].main()
    finally:
        scripts["tables"].LEARNT = kept
    result = json.loads((tmp_path / "results" / "close.json").read_text("utf-8"))
    wanted = {"variant": "identity", "task": "mean over tasks", "group": "all", "observed": 5}
    rows = [r for r in result["table1"] if all(r[k] == v for k, v in wanted.items())]
    line = next(r for r in rows if r["method"] == "capacitance" and r["over"] == "mean")
    assert line["error"] < 2e-3 and line["gain_low"] > 0 and line["rho"] == pytest.approx(1.0)
    page = (tmp_path / "close.md").read_text("utf-8")
    for words in ("Did they converge?", "Fewer validation samples", "Coverage of", "read-offs"):
        assert words in page
    assert "in value it is nearer in" in page and {r["n_train"] for r in result["sizes"]} == {
        125, 250, 500,
    }  # fmt: skip
    assert "mean over tasks" in scripts["headline"].SENTENCES["close"](result)
    same = {"name": "identity", "comparisons": 24, "better": 0, "worse": 0}
    assert result["readings"]["default"] == {**same, "tasks": 1, "seeds": 2}
    assert "the default is `identity`" in page
    assert "Beside the lines themselves, paired, the chosen read-off is" in page
    scripts["figures"].main()
    drawn = {p.name for p in (tmp_path / "results").glob("close_*.png")}
    assert {"close_fig2_cifar10_identity.png", "close_fig3a.png", "close_fig3b.png",
            "close_fig3c.png", "close_fig4.png", "close_s1.png", "close_s3.png",
            "close_errors.png", "close_overshoot.png"} <= drawn  # fmt: skip


def test_the_default_reading_follows_from_what_is_sure():
    from papers.jiang2024.close.readings import default

    def row(lead, gain, method="capacitance", task="mean", seeds=3):
        ends = {f"{name}_{end}": value for name, pair in (("lead", lead), ("gain", gain))
                for end, value in zip(("low", "high"), pair, strict=True)}  # fmt: skip
        return {"method": method, "task": task, "seeds": seeds, **ends}

    unsure, better, worse = (-0.1, 0.1), (0.1, 0.2), (-0.2, -0.1)
    rows = [row(unsure, better), row(worse, better), row(worse, worse, method="pooled"),
            row(worse, worse, task="cifar10", seeds=2)]  # fmt: skip
    assert default(rows, "mean") == {
        "name": "statistics", "comparisons": 4, "better": 2, "worse": 1, "tasks": 1, "seeds": 2,
    }  # fmt: skip
    assert default([row(worse, better)], "mean")["name"] == "identity"


def test_readings_are_judged_by_their_own_ends(scripts):
    from papers.jiang2024.close import readings

    write(scripts, "cifar10")
    # The same curves, but ends in the reverse order: 0.9 where the line says 0.1.
    reverse = {model: 1 - end for model, end in FINAL.items()}
    write(scripts, "cifar10", "statistics", truth=reverse)
    line = next(row for row in readings.compare([5], 50, "mean")["rows"]
                if (row["method"], row["group"]) == ("capacitance", "all"))  # fmt: skip
    off = np.mean([abs(1 - 2 * end) for end in FINAL.values()])
    assert line["identity_rho"] == pytest.approx(1) and line["rho"] == pytest.approx(-1)
    assert line["lead"] == pytest.approx(-2) and line["seeds"] == 2
    assert line["identity_error"] < 2e-3 and line["error"] == pytest.approx(off, abs=2e-3)
    assert line["gain"] == pytest.approx(line["identity_error"] - line["error"])


def test_studies_of_all_variants_can_be_read(scripts):
    zoo = scripts["run"]
    for variant in zoo.VARIANTS:
        plan = zoo.study("cifar10", variant, seeds=[0])
        assert len(plan.trials) == len(zoo.CANDIDATES) * len(plan.data.n_train)
    assert sorted(m for members in zoo.FAMILIES.values() for m in members) == sorted(zoo.CANDIDATES)
    assert set(zoo.CLOSE) < set(zoo.CANDIDATES)
