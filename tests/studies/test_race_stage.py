"""The stage "race" of a study: who is trained how far, taken up again, and what is named."""

from dataclasses import replace
from math import isfinite, nan
from types import SimpleNamespace

import numpy as np
import pytest
from msgspec import structs
from report_cases import record
from study_cases import candidate

import edgedyn as ed
from edgedyn._bits import pack_bits
from edgedyn.report.study.page import study_page
from edgedyn.studies import selection
from edgedyn.studies.summary import summary

# Validation accuracy after each of eight epochs; n = 1000 samples, nested.
CURVES = {
    "slow": (0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.85, 0.90),
    "best": (0.30, 0.45, 0.60, 0.70, 0.75, 0.80, 0.81, 0.82),
    "near": (0.30, 0.45, 0.60, 0.68, 0.70, 0.71, 0.72, 0.73),
    "fast": (0.40, 0.46, 0.50, 0.52, 0.53, 0.54, 0.55, 0.56),
    "poor": (0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.17),
}
SEEN = np.arange(1000)
STEER = SimpleNamespace(backwards=False, stop_after=None, broken=())


def curve(name, seed, n, status):
    """Return a record of n epochs of a known curve."""
    made = record(name, 0.9, n, seed=seed)
    epochs = tuple(
        structs.replace(
            e, val_accuracy=v, val_correct=pack_bits(1000 * v > SEEN), measures={},
            test_accuracy=v if k == len(CURVES[name]) else nan,
        )
        for k, (e, v) in enumerate(zip(made.epochs, CURVES[name], strict=False), start=1)
    )  # fmt: skip
    return replace(made, epochs=epochs, status=status, data="digits",
                   provenance={"data": {"validation": 1000}}, settings={})  # fmt: skip


@pytest.fixture
def trained(monkeypatch):
    """Let trials follow known curves; return (candidate, seed, first epoch, last) as they ran."""
    ran = []

    def run(self, due, target, stage):
        for trial in sorted(due, key=lambda t: t.key, reverse=STEER.backwards):
            if STEER.stop_after is not None and len(ran) >= STEER.stop_after:
                raise KeyboardInterrupt
            name, known = trial.candidate.name, self.records.get(trial.key)
            before = len(known.epochs) if known and known.status != "failed" else 0
            status = "completed" if target == self.study.training.epochs else "early"
            found = curve(name, trial.seed, target, status)
            if name in STEER.broken:
                found = replace(found, epochs=(), status="failed", reason="broken")
            if status == "completed":
                self.store.model_path(trial.key).parent.mkdir(exist_ok=True)
                self.store.model_path(trial.key).write_text(name)
            self.store.write(trial.key, found)
            self.records[trial.key] = found
            ran.append((name, trial.seed, before, target))

    for name, value in {"backwards": False, "stop_after": None, "broken": ()}.items():
        monkeypatch.setattr(STEER, name, value)
    monkeypatch.setattr(selection._Run, "_run", run)
    seen = {"n_validation": 1000, "source_fingerprint": ""}
    monkeypatch.setattr(selection, "_checked", lambda study, task, cache: seen)
    monkeypatch.setattr(selection, "_needs_keras", lambda: None)
    return ran


def study(folder, **race):
    return {
        "data": "digits",
        "candidates": [candidate("good", name) for name in CURVES],
        "training": {"epochs": 8, "early_epochs": 3},
        "stage": "race",
        "race": {"rungs": [1, 2, 4], **race},
        "output": str(folder),
    }


def test_candidates_are_left_behind_and_the_last_is_trained(tmp_path, trained):
    found = ed.select(study(tmp_path))
    # After epoch 1 the better three of five go on, after 2 two, after 4 one; best and near cannot
    # be told apart after 1 and 2.
    assert [(name, to) for name, _, _, to in trained] == [
        ("best", 1), ("fast", 1), ("near", 1), ("poor", 1), ("slow", 1),
        ("best", 2), ("fast", 2), ("near", 2),
        ("best", 4), ("fast", 4), ("near", 4),
        ("best", 8),
    ]  # fmt: skip
    assert found.chosen == ("best",) and found.best_model.read_text() == "best"
    assert found.choice.epochs == 4  # the last that two of them had
    assert found.choice.leads["near"].is_clear
    status = {r.model: (r.status, len(r.epochs)) for r in found.records}
    assert status["best"] == ("completed", 8) and status["poor"] == ("early", 1)
    rows = {r.model: r for r in found.ranking.rows if r.method == "last_value"}
    assert rows["poor"].status == "stopped after 1 epochs" and not isfinite(rows["poor"].rank)
    assert set(found.forecasts) == {"best", "near", "fast"}


def test_whatever_the_order_of_ends_and_interruptions(tmp_path, trained):
    expected = ed.select(study(tmp_path / "whole"))
    whole = list(trained)
    for stop in range(len(whole)):
        trained.clear()
        folder = tmp_path / f"stopped-{stop}"
        STEER.stop_after = stop
        with pytest.raises(KeyboardInterrupt):
            ed.select(study(folder))
        STEER.stop_after, STEER.backwards = None, True
        found = ed.select(study(folder))
        assert sorted(trained) == sorted(whole)  # nothing twice, nothing left out
        assert found.chosen == expected.chosen
        assert found.choice.to_dict() == expected.choice.to_dict()
        assert [r.epochs for r in found.records] == [r.epochs for r in expected.records]
        STEER.backwards = False
    before = len(trained)
    assert ed.select(study(folder)).chosen == expected.chosen and len(trained) == before


def test_a_candidate_that_fails_is_out(tmp_path, trained):
    STEER.broken = ("best",)
    found = ed.select(study(tmp_path))
    assert found.chosen[0] == "near" and found.best_model.read_text() == "near"
    assert [r.model for r in found.failed] == ["best"]


def test_where_all_fail_nothing_is_named(tmp_path, trained):
    STEER.broken = tuple(CURVES)
    found = ed.select(study(tmp_path))
    assert found.choice is None and found.ranking is None and found.best_model is None


@pytest.mark.parametrize(("budget", "epochs"), [(17, 16), (19, 18)])
def test_a_budget_is_kept_for_every_seed(tmp_path, trained, budget, epochs):
    fields = study(tmp_path, budget=budget)
    fields["training"]["seeds"] = [0, 1]
    found = ed.select(fields)
    spent = sum(to - start for _, seed, start, to in trained if seed == 0)
    assert spent == epochs  # 5 + 3 + 2 * 2 + 4, and one more to epoch 4 takes 2
    assert found.chosen == ("best",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"race": {"budget": 8}},
            "race.budget = 8 epochs is less than the 12 that the race",
        ),
        ({"race": {"budget": 15, "reduction": 2}}, "race.budget = 15 epochs is less than the 16"),
        ({"finish": {"top": 2}}, "in a race its plan says how many go on; got finish.top = 2"),
        ({"race": {"rungs": [2, 1]}}, r"race.rungs must ascend; got \[2, 1\]"),
        ({"race": {"rungs": [0, 1]}}, "race.rungs.* must be at least 1"),
        ({"race": {"reduction": 1}}, "race.reduction must be above 1"),
        ({"race": {"confidence": 1}}, "race.confidence must be below 1"),
        ({"race": {"rung": [1]}}, "race.rung; did you mean 'rungs'"),
        ({"data": {"n_train": [50, 100]}}, "a race is run at one training size"),
    ],
)
def test_bad_races_are_refused(tmp_path, change, words):
    fields = study(tmp_path)
    fields["data"] = {"spec": "digits", **change.get("data", {})}
    fields["race"] |= change.get("race", {})
    fields["finish"] = change.get("finish", {})
    with pytest.raises(ValueError, match=words):
        ed.select(fields)
    assert not list(tmp_path.iterdir())


def test_the_page_tells_of_the_race(tmp_path, trained):
    found = ed.select(study(tmp_path))
    seen = summary(tmp_path)
    assert seen.rankings[0].choice.to_dict() == found.choice.to_dict()
    # Those that came farthest first.
    assert [row.model for row in seen.rankings[0].rows][:2] == ["best", "near"]
    assert [row.n_epochs for row in seen.rankings[0].rows] == [8, 4, 4, 1, 1]
    page = study_page(seen)
    assert "The candidates ran a race to epoch 8: after epochs 1, 2, 4 the better" in page
    assert "best is named after 4 epochs, ahead of near by" in page
    assert "a race to 8 epochs" in page and "1 of 8 epochs; no prediction: stopped after 1" in page
