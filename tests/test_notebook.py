"""What a notebook shows: small cards without scripts, whatever names there are, in its colours."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_cases import record

import edgedyn as ed
from edgedyn import _notebook as notebook
from edgedyn.linegraph import Dense, Network
from edgedyn.reduction import sis, steady_state

MARKUP = '<script>alert("x")</script> & <img src="//example.org/x">'
HOSTILE = "\ud800" + MARKUP


class Reader(HTMLParser):
    """Collects text, and checks elements on the way: closed, plain, with no address and no code."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.styles = [], [], []

    def handle_starttag(self, tag, attributes):
        assert tag in {"div", "strong", "table", "thead", "tbody", "tr", "td", "th"}
        assert {name for name, _ in attributes} <= {"style"}
        self.styles += [value for _, value in attributes]
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    for style in reader.styles:
        assert "url(" not in style and "#" not in style  # nothing to fetch, no colours of its own
    assert len(text) < 30_000
    return "|".join(reader.text)


def perceptron():
    net = ed.ReLUMLP.random([3, 5, 4, 2], seed=0)
    X = np.random.default_rng(0).standard_normal((20, 3))
    return net, X, np.arange(20) % 2


def selection(names=("vgg", "mlp")):
    from edgedyn.predict.forecast import forecast
    from edgedyn.studies.chosen import early_choice
    from edgedyn.studies.selection import Selection
    from edgedyn.studies.store import RecordTable
    from edgedyn.studies.study_file import load_study

    plan = load_study({"data": {"spec": "digits"}, "candidates": ["MobileNet"]}, {})
    records = RecordTable(record(name, 0.9 - 0.1 * k, 8, test=0.8) for k, name in enumerate(names))
    failed = record("broken", 0.5, 2, status="failed", reason=MARKUP)
    ranking = ed.rank(records, ["last_value", "capacitance"], observed=5)
    return Selection(
        folder=Path("study"),
        study=plan,
        records=RecordTable([*records, failed]),
        rankings={None: ranking},
        choice=early_choice(ranking, records),
        forecasts={names[0]: forecast([0.5, 0.6, 0.7], 8)},
        best_model=None,
        n_validation=200,
        seconds=1.0,
    )


def test_a_capacitance_shows_its_value_and_layers():
    net, X, y = perceptron()
    cap = ed.neural_capacitance(net, X, y, stderr=True)
    text = read(cap._repr_html_())
    assert f"{cap.value:.6g}" in text and "± " in text and "layer 3" in text
    assert f"{cap.per_layer[1].contribution:.4g}" in text and "status|ok" in text


def test_a_degenerate_capacitance_says_why():
    net = ed.ReLUMLP.random([3, 4, 2], seed=0)
    text = read(ed.neural_capacitance(net, np.ones((5, 3)), np.arange(5) % 2)._repr_html_())
    assert "nan" in text and "no_interior_layer" in text


def test_line_graphs_and_interactions_show_their_counts():
    net, X, y = perceptron()
    text = read(ed.line_graph([784, 300, 100, 10])._repr_html_())
    assert "23,520,000" in text and "266,200" in text and "layer 2|layer 1" in text
    P = net.interaction(X, y)
    text = read(P._repr_html_())
    assert f"{ed.neural_capacitance(net, X, y).value:.4g}" in text and "magnitude" in text
    empty = ed.ReLUMLP([np.zeros((2, 2))] * 3).interaction(np.ones((2, 2)), [0, 1])
    assert "β_eff, weighted by P|-" in read(empty._repr_html_())


def test_many_layers_are_cut():
    text = read(ed.line_graph([3] * 40)._repr_html_())
    assert f"and {40 - 2 - notebook.MOST_ROWS} more" in text


def test_reductions_and_steady_states_show_their_result():
    star = np.zeros((4, 4))
    star[0, 1:] = star[1:, 0] = 1
    assert "β_eff = 2" in read(ed.reduce(star)._repr_html_())
    state = steady_state(star, sis(), "high")
    assert repr(state).startswith("SteadyState(converged, x = ")
    low, high = state.x.min(), state.x.max()
    assert f"{low:.4g} .. {high:.4g}, mean {state.x.mean():.4g}, on 4 nodes)" in repr(state)
    assert f"{high:.4g}" in read(state._repr_html_())
    open_ended = replace(state, status="not_converged", residual=0.25)
    assert "residual 0.25" in repr(open_ended)
    one = steady_state([[2.0]], sis(), "high")
    assert repr(one) == "SteadyState(converged, x = 0.5 on all 1 node)"


def test_rankings_and_selections_show_who_is_first():
    found = selection()
    ranking = found.ranking
    assert "2 candidates after 5 epochs; first by last_value: vgg" in repr(ranking)
    text = read(ranking._repr_html_())
    assert "last value|vgg, mlp" in text.lower()
    text = read(found._repr_html_())
    assert "vgg" in text and "2, 1 failed" not in text and "3, 1 failed" in text
    assert "forecast for vgg" in text and "broken" in text
    assert repr(found).startswith("Selection(3 trials, 1 failed: vgg")
    bare = replace(found, choice=None, rankings={}, forecasts={})
    assert "no candidate named" in repr(bare) and read(bare._repr_html_())


@pytest.mark.parametrize("name", [MARKUP, HOSTILE], ids=["markup", "surrogate"])
def test_names_are_text(name):
    network = Network(3)
    hidden = network.add(Dense(4), network.input, name=name)
    network.add(Dense(2), hidden)
    for shown in (ed.line_graph(network), selection((name, "mlp"))):
        text = shown._repr_html_()
        assert MARKUP in read(text) and "<script" not in text and "<img" not in text
        text.encode("utf-8")


def test_regressors_have_scikit_learn_s_own():
    assert "sk-" in ed.NeuralCapacitanceRegressor()._repr_html_()
