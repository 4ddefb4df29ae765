"""The NAS study of papers/jiang2024: samples, what is compared at equal compute, replays."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

pytest.importorskip("optuna", reason="install the extra 'optuna'")
pytest.importorskip("h5py", reason="install the extra 'tf'")

from edgedyn.studies import EpochRecord, TrialRecord  # noqa: E402

pytestmark = pytest.mark.slow

NAMES = [f"c{k:02d}" for k in range(12)]
TRUTH = {name: 0.5 + 0.03 * k for k, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def paper():
    """Return the modules that are looked into."""
    from papers.jiang2024.nas import page as nas_page
    from papers.jiang2024.nas import run as nas
    from papers.jiang2024.nas import search as nas_search
    from papers.jiang2024.nas import tables as nas_tables

    return {"nas": nas, "page": nas_page, "search": nas_search, "tables": nas_tables}


def record(name, seed=0, epochs=5):
    """Return a record whose accuracy follows the truth, with beta_eff in the other order."""
    rise = TRUTH[name] + 0.001 * seed
    found = tuple(
        EpochRecord(
            e,
            1.0,
            0.5 * rise - 0.1 / e,
            nan,
            rise / e,
            "ok",
            train_seconds=2.0,
            beta_seconds=1.0,
            measures={"beta_network": -rise / e, "network_seconds": 3.0},
        )
        for e in range(1, epochs + 1)
    )
    provenance = {"score_seconds": {"naswot": 0.5, "synflow": 7.0}}
    scores = {"naswot": -rise, "synflow": rise}
    return TrialRecord(
        name, "images", seed, {}, found, "completed", 10.0, 5.0, scores, provenance=provenance
    )


def test_samples_are_stratified_and_seeded(paper):
    nas = paper["nas"]
    accuracy = np.random.default_rng(0).permutation(724) / 1000
    found = nas.samples(accuracy)
    assert found == nas.samples(accuracy)
    assert {k: len(v) for k, v in found.items()} == {"range": 30, "best third": 20}
    ranks = np.sort((1000 * accuracy[found["range"]]).round())
    assert all(k * 724 / 30 - 1 <= rank <= (k + 1) * 724 / 30 + 1 for k, rank in enumerate(ranks))
    assert min(1000 * accuracy[found["best third"]]) >= 724 * 2 / 3 - 1
    assert len(set(found["best third"])) == 20


def test_methods_and_their_seconds(paper):
    records = [record(name, seed) for seed in (0, 1) for name in NAMES]
    tables = paper["tables"]
    lasts = [tables._last_value(records, k) for k in (1, 2, 3)]
    assert [m.seconds for m in lasts] == [2.0, 4.0, 6.0]
    mean = TRUTH["c03"] + 0.0005
    assert lasts[1].values["c03"] == pytest.approx(0.5 * mean - 0.05)
    probe, network = (tables._by_beta(records, 3, scope) for scope in ("probe", "network"))
    assert [m.name for m in network] == [
        "capacitance, network",
        "pooled, network",
        "-beta_eff, network",
    ]
    assert {m.seconds for m in probe} == {9.0} and {m.seconds for m in network} == {15.0}
    assert probe[2].values["c03"] == pytest.approx(-mean / 3)
    assert network[2].values["c03"] == pytest.approx(mean / 3)


def test_every_method_is_compared_with_what_its_time_buys(paper, monkeypatch):
    tables = paper["tables"]
    monkeypatch.setattr(tables, "DRAWS", 50)
    records = [record(name) for name in NAMES]
    lasts = [tables._last_value(records, k) for k in range(1, 6)]
    noise = np.random.default_rng(0).normal(size=len(NAMES))
    values = dict(zip(NAMES, noise, strict=True))
    made = [tables.Method("x", "proxy", 0, values, s) for s in (0.5, 2.0, 7.9, 99.0)]
    rows = tables.judged([*lasts, *made], TRUTH)
    assert [r["against_epochs"] for r in rows] == [1, 2, 3, 4, 5, 1, 1, 3, 5]
    assert all(r["rho"] == 1.0 and r["lead"] == 0.0 for r in rows[:5])
    truths = list(TRUTH.values())
    assert rows[5]["rho"] == pytest.approx(spearmanr(noise, truths).statistic)
    assert rows[5]["tau"] == pytest.approx(kendalltau(noise, truths).statistic)
    assert rows[5]["lead"] == pytest.approx(rows[5]["rho"] - 1)
    assert rows[5]["rho_low"] < rows[5]["rho"] < rows[5]["rho_high"]


def test_verdicts_follow_the_interval(paper):
    verdict = paper["page"]._verdict
    row = {"lead": 0.1}
    assert "ahead" in verdict({**row, "lead_low": 0.01, "lead_high": 0.2})
    assert "behind" in verdict({**row, "lead_low": -0.2, "lead_high": -0.01})
    assert "cannot be told apart" in verdict({**row, "lead_low": -0.1, "lead_high": 0.2})
    assert "no interval" in verdict({**row, "lead_low": None, "lead_high": None})


def test_searches_are_replayed_from_mean_curves(paper, monkeypatch):
    search = paper["search"]
    records = [record(name, seed) for seed in (0, 1) for name in NAMES]
    records.append(replace(record("c00", 2), status="failed"))
    curve = search.curves(records)
    np.testing.assert_allclose(curve["c00"][1], [0.5005 / 2, 0.5 * 0.5005 - 0.05])
    monkeypatch.setattr(search, "SEEDS", 4)
    rows = search.compared(TRUTH, curve, first=3)
    assert len(rows) == len(search.RULES) * len(search.SHARES)
    last = [r for r in rows if r["rule"] == "last_value"]
    assert all(r["lead"] == {"mean": 0.0, "low": 0.0, "high": 0.0} for r in last)
    # Accuracies follow the truth, so that the best cell leads once all have been seen.
    assert last[-1]["epochs"] == 60 and last[-1]["accuracy"]["mean"] == TRUTH["c11"]
    assert last[-1]["spent"] < 60
    chance = [r["accuracy"]["mean"] for r in rows if r["rule"] == "random"]
    assert chance[-1] < TRUTH["c11"]
