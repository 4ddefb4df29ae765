"""The pages about choosing say what their committed results say; so does the page of verdicts."""

import importlib
import json
from math import nan

import numpy as np
import pytest

from edgedyn.predict.methods import Curve
from papers.jiang2024.judging import headline

NAMES = ("chooser", "forecast", "race")


def whole(value):
    """Return a result with null as NaN."""
    if isinstance(value, dict):
        return {key: whole(one) for key, one in value.items()}
    if isinstance(value, list):
        return [whole(one) for one in value]
    return nan if value is None else value


@pytest.fixture(params=NAMES)
def study(request):
    module = importlib.import_module(f"validation.{request.param}")
    path = module.HERE / "results" / f"{request.param}.json"
    return request.param, module, whole(json.loads(path.read_text("utf-8")))


def test_page_and_verdict_follow_the_results(study):
    name, module, result = study
    assert (module.HERE / f"{name}.md").read_text("utf-8") == module.page(result)
    verdicts = headline.VERDICTS.read_text("utf-8")
    said = headline.bullet(module.headline_of(result))
    assert headline.placed(verdicts, name, said) == verdicts


def test_the_readme_says_what_a_race_costs():
    race = importlib.import_module("validation.race")
    result = whole(json.loads((race.HERE / "results" / "race.json").read_text("utf-8")))
    readme = headline.README.read_text("utf-8")
    assert headline.placed(readme, "race", headline.filled(race.verdict(result))) == readme


@pytest.fixture
def chooser():
    return importlib.import_module("validation.chooser")


def row(rule, low, part="judged", value=0.0):
    return {"rule": rule, "part": part, "pairs_lead": [value, low, 0.1]}


@pytest.mark.parametrize(
    ("lows", "passed"),
    [((-0.01, 0.001), True), ((-0.01, 0.0), False), ((-0.02, 0.01), False), ((0.01, 0.01), True)],
)
def test_a_rule_must_be_behind_nowhere_and_ahead_somewhere(chooser, lows, passed):
    rows = [row("level", low) for low in lows] + [row("pooled", -1.0)]
    assert chooser.verdict(rows, "level")[0] is passed


def test_the_choice_is_made_on_the_tuning_tasks_alone(chooser):
    rows = [row("level", 0, "tuned on", 0.02), row("pooled", 0, "tuned on", 0.01),
            row("pooled", 0, "judged", 0.9), row("last_value", 0, "tuned on", 0.5)]  # fmt: skip
    assert chooser.choice(rows) == ("level", {"level": 0.02, "pooled": 0.01})


def test_siblings_are_hidden(chooser):
    # Level shrinks towards all candidates; with siblings hidden, towards the others alone.
    def case(sibling):
        values = {"resnet8": 0.4, "resnet20": sibling, "a": 0.5, "b": 0.55, "c": 0.45, "d": 0.6}
        curves = tuple(
            Curve(m, np.array([v - 0.05, v - 0.02 * (v > 0.5), v]), np.full(3, nan), truth=v)
            for m, v in values.items()
        )
        families = tuple(chooser.family_of(m) for m in values)
        return chooser.Case("x", "t", 0, 50, curves, families)

    seen, other = (chooser.predicted(case(v), 3, "level", True)[0] for v in (0.3, 0.8))
    assert seen == other
    seen, other = (chooser.predicted(case(v), 3, "level")[0] for v in (0.3, 0.8))
    assert seen != other


def test_metrics_of_a_known_order(chooser):
    truth, weights = np.array([0.1, 0.2, 0.3, 0.4]), np.ones((1, 4), int)
    rho, pairs, regret = chooser.measured(np.array([1.0, 2.0, 4.0, 3.0]), truth, weights)[:, 0]
    assert pairs == pytest.approx(5 / 6) and rho == pytest.approx(0.8)
    assert regret == pytest.approx(-0.1)
