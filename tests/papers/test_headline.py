"""The README's sentences about the studies are those of the committed results."""

import importlib
import json
from pathlib import Path

import pytest

PAPER = Path(__file__).resolve().parents[2] / "papers" / "jiang2024"


@pytest.fixture
def headline(monkeypatch):
    """Return the module that writes into the README."""
    return importlib.import_module("papers.jiang2024.judging.headline")


@pytest.mark.parametrize("name", ["table1", "close", "readings", "nas"])
def test_the_readme_says_what_the_committed_results_say(headline, name):
    file = headline.RESULTS.get(name, name)
    result = json.loads((PAPER / "results" / f"{file}.json").read_text("utf-8"))
    readme = headline.README.read_text("utf-8")
    assert headline.placed(readme, name, headline.SENTENCES[name](result)) == readme


def test_the_words_follow_the_numbers(headline):
    row = {"lead": 0.2, "lead_low": 0.1, "lead_high": 0.3}
    assert headline._beside(row) == "better than the last value"
    assert headline._beside(row | {"lead_low": -0.1}) == "above the last value, not surely"
    assert headline._beside(row | {"lead": 0.0}) == "as good as the last value"
    below = {"lead": -0.2, "lead_low": -0.3, "lead_high": -0.1}
    assert headline._beside(below) == "worse than the last value"


def test_a_readme_without_the_place_is_refused(headline):
    with pytest.raises(ValueError, match="one place for the results of nas; it has 0"):
        headline.placed("# a readme", "nas", "words")
    text = headline.placed("a\n<!-- results: nas -->\n<!-- end -->\nb", "nas", "some words")
    assert text == "a\n<!-- results: nas -->\n- some words\n<!-- end -->\nb"
    assert headline.placed(text, "nas", "some words") == text
