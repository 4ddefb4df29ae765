"""What a study names, from records with known accuracies and samples."""

from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest
from msgspec import structs
from report_cases import record, write_study

from edgedyn._bits import pack_bits
from edgedyn.predict.choice import NOT_PAIRED
from edgedyn.predict.forecast import forecast, learn, shipped
from edgedyn.studies.chosen import (
    completed_curves,
    early_choice,
    forecasts,
    right_after,
    study_choice,
    taught_by,
)
from edgedyn.studies.early import early_ranking

SEEN = np.arange(100)


def run(model, *right, seed=0, status="early", training=nan, test=nan):
    """Return a record whose k-th epoch gets the first `right[k]` validation samples right."""
    made = record(model, 0.9, len(right), seed=seed)
    epochs = tuple(
        structs.replace(
            epoch,
            val_accuracy=n / 100,
            val_correct=pack_bits(n > SEEN),
            measures={} if isnan(training) else {"train_accuracy": training},
            test_accuracy=test if k == len(right) - 1 else nan,
        )
        for k, (epoch, n) in enumerate(zip(made.epochs, right, strict=True))
    )
    return replace(made, epochs=epochs, status=status)


def ranked(records):
    return early_ranking(records, ["last_value"], 3, 100, n_bootstrap=1)


def test_the_early_choice_is_paired_by_samples_and_seeds():
    records = [run(m, 20, 30, n, seed=s) for m, n in (("a", 60), ("b", 59), ("c", 30))
               for s in (0, 1)]  # fmt: skip
    found = early_choice(ranked(records), records)
    assert found.chosen == ("a", "b") and found.epochs == 3
    assert found.leads["c"].value == pytest.approx(0.3) and found.leads["c"].n_seeds == 2


def test_only_shared_seeds_are_paired():
    records = [run("a", 20, 30, 60, seed=0), run("a", 20, 30, 60, seed=1),
               run("b", 20, 30, 30, seed=1)]  # fmt: skip
    right = right_after(records, ["a", "b"], 3)
    assert {m: u.shape for m, u in right.items()} == {"a": (1, 100), "b": (1, 100)}
    alone = [run("a", 20, 30, 60, seed=0), run("b", 20, 30, 30, seed=1)]
    assert right_after(alone, ["a", "b"], 3) == {}
    assert early_choice(ranked(alone), alone).status == NOT_PAIRED


def test_those_trained_to_the_end_are_named_by_their_end():
    early = run("a", 20, 30, 60)
    ended = [run("b", 20, 30, 50, 70, status="completed"),
             run("c", 20, 30, 55, 90, status="completed")]  # fmt: skip
    records = [early, *ended]
    assert study_choice(ranked(records), records, 4, "finish").chosen == ("c",)
    assert study_choice(ranked(records), records, 4, "finish").epochs == 4
    # A full study judges its early choice.
    assert study_choice(ranked(records), records, 4, "full").chosen[0] == "a"
    # One that ended was named before: there is nothing to compare it with at the end.
    for alone in ([early], [early, ended[0]]):
        found = study_choice(ranked(alone), alone, 4, "finish")
        assert (found.chosen[0], found.epochs) == ("a", 3)
    assert study_choice(None, [], 4, "finish") is None


def test_those_whose_finish_ended_early_are_compared_at_their_end():
    records = [
        run("b", 20, 30, 50, 70, status="completed", test=0.7),
        replace(run("c", 20, 30, 90, status="completed", test=0.9), settings={"patience": 1}),
    ]
    found = study_choice(ranked(records), records, 4, "finish")
    assert found.chosen == ("c",) and found.epochs == 4
    assert found.leads["b"].value == pytest.approx(0.2)
    truth = {row.model: row.truth for row in ranked(records).rows}
    assert truth == {"b": 0.7, "c": 0.9}


def test_completed_curves_are_whole_ones():
    records = [
        run("a", 20, 30, 60, 70, status="completed", test=0.68),
        run("short", 20, 30, 60, status="completed", test=0.6),
        run("early", 20, 30, 60, 70, test=0.7),
        run("odd", 20, 30, 60, 70, status="completed", test=1.2),
        run("untested", 20, 30, 60, 70, status="completed"),
    ]
    (curve,) = completed_curves(records, 100)
    assert (curve.family, curve.truth, curve.training) == ("a", 0.68, None)
    np.testing.assert_array_equal(curve.accuracy, [0.2, 0.3, 0.6, 0.7])
    assert curve.n_samples == records[0].provenance["data"]["validation"]


@pytest.mark.parametrize("training", [nan, 0.7])
def test_forecasts_learn_from_the_others(training):
    records = [run(m, 20, 30, 40 + k, 50, 55, 60 + k, status="completed", test=0.6 + k / 100,
                   training=training) for k, m in enumerate("abcdef")]  # fmt: skip
    found = forecasts(records, 3, 6, 100)
    others = [c for c in completed_curves(records, 100) if c.family != "a"]
    lesson = learn(others, shipped(not isnan(training)), (3,))
    expected = forecast([0.2, 0.3, 0.4], 6, training=training, n_samples=100, lesson=lesson)
    assert found["a"] == expected and list(found) == list("abcdef")


def test_forecasts_of_several_runs_are_of_their_mean():
    records = [run("a", 20, 30, n, seed=s, training=0.5) for s, n in enumerate((40, 60))]
    found = forecasts([*records, run("a", 20, seed=2)], 3, 30, 100)
    expected = forecast([0.2, 0.3, 0.5], 30, training=0.5, n_samples=200)
    assert found == {"a": expected}


def test_other_folders_teach(tmp_path):
    done = [run(m, 20, 30, 40, 50, 55, 60, status="completed", test=0.6) for m in "abc"]
    write_study(tmp_path, done)
    taught = taught_by([str(tmp_path)])
    assert [c.family for c in taught] == list("abc")
    early = run("a", 20, 30, 40)
    found = forecasts([early], 3, 6, 100, taught)["a"]
    # A curve of the same name in another study is another run.
    lesson = learn(taught, shipped(False), (3,))
    assert found == forecast([0.2, 0.3, 0.4], 6, n_samples=100, lesson=lesson)
    # Curves that are too short to be looked at after so many epochs teach nothing.
    assert forecasts([early], 3, 6, 100, taught_by([]))["a"] == forecast([0.2, 0.3, 0.4], 6,
                                                                         n_samples=100)  # fmt: skip
