"""The sentences about the studies, on the site and in the README, are those of the results."""

import importlib

import pytest


@pytest.fixture
def headline(monkeypatch):
    """Return the module that writes the sentences."""
    return importlib.import_module("papers.jiang2024.judging.headline")


@pytest.mark.parametrize("name", ["table1", "close", "readings", "nas"])
def test_the_verdicts_say_what_the_committed_results_say(headline, name):
    page = headline.VERDICTS.read_text("utf-8")
    said = headline.bullet(headline.SENTENCES[name](headline.results(name)))
    assert headline.placed(page, name, said) == page


@pytest.fixture
def found(headline):
    return {name: headline.results(name) for name in ("table1", "close", "nas")}


def test_the_readme_answers_with_the_committed_results(headline, found):
    readme = headline.README.read_text("utf-8")
    assert headline.placed(readme, headline.SHORT, headline.short(found)) == readme


def test_the_answer_follows_the_numbers(headline, found):
    answer = " ".join(headline.short(found).split())
    assert "**No.** In ranking candidates it is surely better in 0 and surely worse in 1" in answer
    for row in found["table1"]["rows"]:
        row |= {"lead": 0.2, "lead_low": 0.1, "lead_high": 0.3}
    for row in found["close"]["table1"]:
        row |= {"gain_low": -0.1}
    answer = " ".join(headline.short(found).split())
    assert "**Somewhere.**" in answer and "surely better in 1 and" in answer
    assert "it is not surely nearer" in answer


def test_the_words_follow_the_numbers(headline):
    row = {"lead": 0.2, "lead_low": 0.1, "lead_high": 0.3}
    assert headline._beside(row) == "better than the last value"
    assert headline._beside(row | {"lead_low": -0.1}) == "above the last value, not surely"
    assert headline._beside(row | {"lead": 0.0}) == "as good as the last value"
    below = {"lead": -0.2, "lead_low": -0.3, "lead_high": -0.1}
    assert headline._beside(below) == "worse than the last value"


def test_a_page_without_the_place_is_refused(headline):
    with pytest.raises(ValueError, match="one place for the results of nas; it has 0"):
        headline.placed("# a page", "nas", "words")
    text = headline.placed("a\n<!-- results: nas -->\n<!-- end -->\nb", "nas", "some words")
    assert text == "a\n<!-- results: nas -->\nsome words\n<!-- end -->\nb"
    assert headline.placed(text, "nas", "some words") == text
    assert headline.bullet("some words") == "- some words"
