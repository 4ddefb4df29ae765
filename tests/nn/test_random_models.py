"""Random networks of all supported layers against dense double differentiation."""

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("float64")]

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from random_models import PROGRAMS, Builder, dense_betas, network  # noqa: E402

from edgedyn import nn  # noqa: E402

SHAPE = (4, 4, 2)


def check(program, nodes, seed):
    builder, net = Builder(seed), network(program)
    model = builder.model(net, SHAPE)
    x = np.random.default_rng(seed).standard_normal((1, *SHAPE))
    dense = dense_betas(net, builder.made, x, np.eye(3)[:1], nodes)
    for strength, (numerator, total) in dense.items():
        found = nn.neural_capacitance(
            model, x, [0], scope="network", strength=strength, nodes=nodes
        )
        mean = total / found.n_nodes
        assert found.mean_strength == pytest.approx(mean, rel=1e-9, abs=1e-12), strength
        if found.status in ("ok", "vanishing"):
            assert found.value == pytest.approx(numerator / total, rel=1e-7, abs=1e-10), strength
        else:
            assert strength == "signed" or total == 0, found.status


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch):
    monkeypatch.setattr("edgedyn.nn.graph.degrees.compiled", lambda function, state: function)


@pytest.mark.tensorflow_oracle
@settings(max_examples=2, deadline=None)
@given(PROGRAMS, st.sampled_from(["kernels", "all"]), st.integers(0, 100))
def test_a_few_random_networks(program, nodes, seed):
    check(program, nodes, seed)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(PROGRAMS, st.sampled_from(["kernels", "all"]), st.integers(0, 100))
def test_random_networks_equal_dense_double_differentiation(program, nodes, seed):
    check(program, nodes, seed)
