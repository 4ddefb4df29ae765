"""Pages about studies: what they say, that nothing in them becomes markup, how large they are."""

import csv
import io
import re
from base64 import b64decode
from dataclasses import replace
from math import nan

import numpy as np
import pytest
from page_reader import Reader, data_of
from report_cases import MARKUP, nasty, record, three, write_study

from edgedyn.predict.choice import choose
from edgedyn.predict.forecast import Forecast
from edgedyn.report.study import words
from edgedyn.report.study.drawings import Scale, interval
from edgedyn.report.study.page import study_page
from edgedyn.studies.summary import summary
from edgedyn.studies.summary_types import (
    CandidateCurves,
    MethodValue,
    Provenance,
    RankingRow,
    SizeSummary,
    StudySummary,
)

MEGABYTE = 2**20


def page_of(folder):
    return study_page(summary(folder))


def csv_of(page):
    (link,) = [a for tag, a in Reader(page).elements if tag == "a" and "download" in a]
    text = b64decode(link["href"].split("base64,", 1)[1]).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def visible(page):
    """Return the texts of a page, without scripts and styles."""
    return " ".join(text for tag, text in Reader(page).texts if tag not in ("script", "style"))


def rows_with(**fields):
    """Return rows of a ranking, best first: name to (by capacitance, last value, test)."""
    return [
        RankingRow(
            CandidateCurves(name, [], [], [], [], last, nan, test, 1, 1, 0, None),
            float(k), last, nan, "ok",
            {"last_value": MethodValue(last, nan, "ok"),
             "capacitance": MethodValue(value, 0.1, "ok")},
            Forecast(0.8, 0.7, 0.88, 0.6, 0.93, "ok"), 5, 1, [], [],
        )
        for k, (name, (value, last, test)) in enumerate(fields.items(), start=1)
    ]  # fmt: skip


def told(rows, choice, method="last_value", head_after=0):
    ranking = SizeSummary(None, rows, choice, [])
    origin = Provenance("", [], [0], [], {}, "", "", None)
    whole = StudySummary(
        "study", "", "", "", 5, 8, method, "probe", "mean", head_after, [], [ranking], [], [],
        origin,
    )  # fmt: skip
    return words.verdict(ranking, whole), " ".join(words.notes(ranking, whole))


SEEN = np.arange(200)
RIGHT = {
    "a": SEEN < 160,
    "b": (SEEN < 158) | (SEEN > 197),  # cannot be told apart from a
    "c": SEEN < 120,
}


def choice_of(order, **options):
    return choose(order, RIGHT, epochs=5, **options)


# Words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "sure"),
    [
        ("ac", "a is named after 5 epochs, ahead of c by 0.200 (0.144 to 0.256) of validation"),
        ("ab", "a and b cannot be told apart after 5 epochs: a is the best with probability 0."),
        ("abc", "a and b cannot be told apart after 5 epochs"),
        ("ca", "c is named after 5 epochs, though behind a by −0.200 (−0.256 to −0.144) of"),
        ("a", "a is the only candidate after 5 epochs"),
    ],
)
def test_how_sure_the_verdict_is(order, sure):
    rows = rows_with(**{name: (0.9, 0.5, nan) for name in order})
    verdict, _ = told(rows, choice_of(order))
    assert verdict.startswith(sure)
    assert "its accuracy after 8 epochs is forecast as 0.800 (0.700 to 0.880)" in verdict
    assert verdict.endswith("It was not trained to the end, so that nobody knows yet.")


def test_without_the_samples_it_is_not_known_how_sure():
    verdict, _ = told(rows_with(a=(0.9, 0.5, nan), b=(0.9, 0.5, nan)), choose("ab", {}, epochs=5))
    assert verdict.startswith("a is named after 5 epochs, without a measure of how sure that is")


def test_what_the_next_best_would_cost():
    verdict, _ = told(rows_with(a=(0.9, 0.5, nan), b=(0.9, 0.5, nan)), choice_of("ab"))
    one = choice_of("ab").leads["b"]
    cost = f"would cost {one.value:.3f} ({one.low:.3f} to {one.high:.3f})".replace("-", "−")
    assert f"b in its place {cost} of validation accuracy" in verdict.replace("-", "−")
    assert "accuracy, how other seeds would do not counted" in verdict
    several = choose("ab", {name: np.stack([u, u]) for name, u in RIGHT.items()}, epochs=5)
    verdict, _ = told(rows_with(a=(0.9, 0.5, nan), b=(0.9, 0.5, nan)), several)
    assert "other seeds" not in verdict


@pytest.mark.parametrize(
    ("tests", "outcome"),
    [
        ((0.9, 0.8, 0.7), "That came true: with 0.900 it has the best test accuracy of 3"),
        ((0.8, 0.7, 0.9), "a has a test accuracy of 0.800, number 2 of 3, and c is best with 0.9"),
        ((0.8, 0.9, 0.7), "number 2 of 3, and the best, b with 0.900, is among those named"),
        ((0.8, nan, nan), "it reached a test accuracy of 0.800; as no other candidate was"),
        ((nan, 0.8, nan), "It was not trained to the end, though others were"),
    ],
)
def test_whether_it_came_true(tests, outcome):
    rows = rows_with(**{name: (0.9, 0.5, test) for name, test in zip("abc", tests, strict=True)})
    assert outcome in told(rows, choice_of("abc"))[0]


def test_a_rule_that_chooses_is_named():
    rows = rows_with(a=(0.9, 0.5, nan), c=(0.9, 0.5, nan))
    assert "a is named by pooled capacitance after 5" in told(rows, choice_of("ac"), "pooled")[0]


def test_notes_name_what_the_references_would_choose():
    _, notes = told(rows_with(a=(0.7, 0.5, nan), b=(1.8, 0.6, nan)), choice_of("ab"))
    assert notes == (
        "The paper's rule, the line read off at β_eff = 0, would name b, by a value that is no "
        "accuracy."
    )
    _, notes = told(rows_with(a=(0.9, 0.7, nan), b=(0.7, 0.6, nan)), choice_of("ab"), "pooled")
    assert "line read off at β_eff = 0, would name it too." in notes
    assert "the last accuracy that was observed, would name it too." in notes
    _, notes = told(rows_with(a=(nan, 0.7, nan), b=(nan, 0.6, nan)), choice_of("ab"))
    assert notes == ""
    _, notes = told(rows_with(a=(nan, 0.7, nan)), choice_of("a"), head_after=5)
    assert notes.startswith("Forecasts are of training with the probe; the ordinary head")


def test_no_candidate():
    nobody = [replace(row, rank=nan) for row in rows_with(a=(nan, nan, nan))]
    assert told(nobody, None)[0].startswith("No candidate could be ranked")


# Pages -------------------------------------------------------------------------------------------


def test_the_ranking_comes_first_and_is_plain_html(tmp_path):
    page = page_of(three(tmp_path))
    places = [page.index(f'<section id="{name}"') for name in "ranking meaning".split()]
    assert page.index('class="verdict"') < places[0] < places[1]
    table = page[places[0] : places[1]]
    assert re.findall(r'<th scope="row">.*?>([^<]+)</a>', table) == ["vgg", "resnet", "mlp"]
    text = visible(page)
    assert "test accuracy of 0.880, number 2 of 3, and resnet is best" in text
    assert "doi:10.1038/s41467-024-48069-8" in text
    assert "2024-07-08" in text and "sha256:0123" in text and "edgedyn select study.toml" in text


def test_the_csv_is_the_ranking(tmp_path):
    folder = three(tmp_path)
    rows = summary(folder).rankings[0].rows
    found = csv_of(page_of(folder))
    assert [row["model"] for row in found] == ["vgg", "resnet", "mlp"]
    for one, row in zip(found, rows, strict=True):
        for name in ("rank", "prediction", "std"):
            assert float(one[name]) == getattr(row, name)
        for name in ("last_value", "validation", "test"):
            assert float(one[name]) == getattr(row.curves, name)
        assert float(one["pooled_prediction"]) == row.by_method["pooled"].prediction
        assert one["pooled_status"] == row.by_method["pooled"].status
        assert float(one["forecast"]) == row.forecast.value
        assert float(one["forecast_high_95"]) == row.forecast.high_95


def test_markup_stays_text(tmp_path):
    page = page_of(nasty(tmp_path))
    plain = page_of(three(tmp_path / "plain"))

    def kinds(text):
        return {tag for tag, _ in Reader(text).elements}

    assert kinds(page) - kinds(plain) <= {"small", "ul", "li"}  # reasons and warnings
    scripts = [a for tag, a in Reader(page).elements if tag == "script"]
    assert len(scripts) == len([1 for tag, _ in Reader(plain).elements if tag == "script"])
    names = {name for _, attributes in Reader(page).elements for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    text = visible(page)
    for part in ("Which model for ", "Failed", "Degenerate"):
        assert MARKUP in text.split(part, 1)[1]
    assert MARKUP in {model["model"] for model in data_of(page)["rankings"][0]["models"]}


def test_no_spreadsheet_takes_a_name_for_a_formula(tmp_path):
    found = {row["model"] for row in csv_of(page_of(nasty(tmp_path)))}
    assert found == {MARKUP, "'=1+1", "plain", "failed"}


@pytest.mark.parametrize("case", ["interrupted", "failures", "degenerate", "alone", "score"])
def test_what_is_not_known_is_no_number(case, tmp_path):
    fields = {}
    if case == "interrupted":
        records, fields["candidates"] = [record("vgg", 0.9)], ["vgg", "later"]
    elif case == "failures":
        records = [record(n, 0.5, 0, status="failed", reason="boom") for n in "ab"]
    elif case == "degenerate":
        records = [record(n, 0.5, betas=[nan] * 5, statuses=["ill_conditioned"] * 5) for n in "ab"]
    elif case == "alone":
        records = [record("vgg", 0.9, provenance={})]
    else:
        records = [record("vgg", 0.9, scores={"zen": -12.5}), record("mlp", 0.9, scores={})]
        fields["methods"] = ["zen"]
    folder = write_study(tmp_path, records, **fields)
    if case == "alone":
        (folder / "study.json").unlink()
    page = page_of(folder)
    body = page.split("<body>", 1)[1].split("<script", 1)[0]
    assert not re.search(r"\b(nan|NaN|inf|None|null)\b", body)
    text = visible(page)
    assert {
        "interrupted": "not run yet",
        "failures": "No candidate could be ranked",
        "degenerate": "epochs 1–5: it is a small difference of large terms",
        "alone": "holds no study.json",
        "score": "vgg is the only candidate by Zen-score after 5 epochs",
    }[case] in text


def test_a_value_above_one_is_no_accuracy(tmp_path):
    records, methods = [record("vgg", 1.1), record("mlp", 0.7)], ["last_value", "capacitance"]
    page = page_of(write_study(tmp_path, records, methods=methods))
    table = page.split('<section id="ranking"')[1].split("</section>")[0]
    assert "no accuracy" in table and "1.1" not in visible(table)
    assert "Outside 0 to 1" in page and "by a value that is no accuracy" in visible(page)


def test_training_sizes_have_a_table_each(tmp_path):
    records = [
        record(name, final, n_train=n)
        for n in (100, 400)
        for name, final in (("vgg", 0.8), ("mlp", 0.6))
    ]
    page = page_of(write_study(tmp_path, records, n_train=(100, 400)))
    assert re.findall(r"<h3>(With.*?)</h3>", page) == [
        "With 400 training samples",
        "With 100 training samples",
    ]
    assert [row["n_train"] for row in csv_of(page)] == ["400", "400", "100", "100"]


def test_methods_are_compared_where_truths_are(tmp_path):
    table = page_of(three(tmp_path / "full")).split('<section id="methods"')[1]
    assert "neural capacitance" in table.split("</section>")[0]
    records = [record(name, 0.8) for name in "abc"]
    page = page_of(write_study(tmp_path / "early", records))
    assert "here no candidate was" in page.split('<section id="methods"')[1]


@pytest.mark.slow
def test_pages_of_large_studies_stay_small(tmp_path):
    records = [
        record(f"model {k}", 0.5 + k / 1000, 8, test=0.5, seed=s)
        for k in range(150)
        for s in range(3)
    ]
    found = summary(write_study(tmp_path, records, seeds=range(3)))
    (ranking,) = found.rankings
    for model in (row.curves for row in ranking.rows):  # as if trained for 400 epochs
        for curve in (model, *model.runs):
            curve.accuracy[:], curve.beta[:] = curve.accuracy * 50, curve.beta * 50
        model.statuses[:] *= 50
    page = study_page(found)
    assert len(page.encode()) < 6 * MEGABYTE
    drawn = data_of(page)["rankings"][0]["models"]
    assert len(drawn) == 150 and not any(model["runs"] for model in drawn)
    ranking.rows[:] *= 4
    page = study_page(found)
    assert len(page.encode()) < 6 * MEGABYTE
    drawn = len(data_of(page)["rankings"][0]["models"])
    assert 150 < drawn < 600
    assert f"single seeds are not drawn and only the first {drawn} of 600 panels are here" in page
    assert page.count('<th scope="row"') >= 600


# Drawings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[0.5], [0.1, 0.9], [-3.0, 30.0], [nan], [0.123, 0.1231]])
def test_scales_hold_their_values_and_round_ticks(values):
    scale = Scale(values)
    assert scale(scale.low) == 9 and scale(scale.high) == scale.width - 9
    assert 2 <= len(scale.ticks) <= 7
    assert all(scale.low - 1e-9 <= tick <= scale.high + 1e-9 for tick in scale.ticks)
    for value in values:
        if -0.15 <= value <= 1.3:
            assert scale.low < value < scale.high


@pytest.mark.parametrize("high", [0.05, 0.35, 0.45, 0.9, 1.2])
@pytest.mark.parametrize("width", [150, 260])
def test_labels_of_ticks_do_not_touch(width, high):
    scale = Scale([-high, high], (-2, 2), width)
    places = [scale(tick) for tick in scale.ticks]
    # Twelve pixels a line: about seven a character, and room between two labels.
    widths = [7 * len(f"{tick:.10g}") for tick in scale.ticks]
    for at, after, label, following in zip(places, places[1:], widths, widths[1:], strict=False):
        assert after - at > (label + following) / 2 + 4


def test_values_beyond_the_scale_become_arrows():
    scale = Scale([0.2, 0.8])
    assert "<circle" in interval(scale, 0.5, 0.4, 0.6, "x")
    for value in (5.0, -5.0):
        assert "<circle" not in interval(scale, value, value - 1, value + 1, "x")
    assert "&lt;" in interval(scale, 0.5, nan, nan, "<b>")
