"""Properties of beta_eff, its statuses, its standard error and what it refuses."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from cases import TARGETS, random_case
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles import direct_matrix, exact_spread

import edgedyn as ed
from edgedyn._files import to_json
from edgedyn.capacitance import LayerDegrees, Provenance, chain_structure, from_degrees
from edgedyn.mlp import coupling_block, coupling_matrix, degree_accumulator

KINDS = [
    *({"coupling": "direct", "strength": s} for s in ("magnitude", "absolute", "signed")),
    {"coupling": "full", "strength": "signed"},
]
ONE = [[1.0]]
random_nets = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10_000),
        "sizes": st.tuples(
            st.lists(st.integers(1, 5), min_size=3, max_size=5), st.integers(2, 4)
        ).map(lambda parts: (*parts[0], parts[1])),
        "bias": st.booleans(),
        "targets": st.sampled_from(TARGETS),
    }
)
kinds = st.builds(
    lambda kind, nodes: {**kind, "nodes": nodes},
    st.sampled_from(KINDS),
    st.sampled_from(["kernels", "all"]),
)
quick = settings(max_examples=60, deadline=None, derandomize=True)


def contraction(P):
    """1'PP1 / 1'P1 and a bound of its rounding error, in units of machine epsilon."""
    ins, outs = P.sum(axis=1), P.sum(axis=0)
    total, size = ins.sum(), np.abs(P).sum()
    spread = np.abs(P).sum(axis=0) @ np.abs(P).sum(axis=1)
    return outs @ ins / total, spread / abs(total) * size / abs(total) + size


def chain(*weights, loss="squared_error", **options):
    return ed.ReLUMLP([[[w]] for w in weights], loss=loss, **options)


@quick
@given(random_nets, kinds)
def test_value_and_moments_equal_those_of_the_explicit_matrix(case, kind):
    net, X, y, _ = random_case(**case)
    cap = ed.neural_capacitance(net, X, y, **kind)
    P = coupling_matrix(net, X, y, **kind).toarray()
    assert cap.n_nodes == len(P)
    assume(cap.status == "ok" and cap.conditioning > 1e-4)
    expected, scale = contraction(P)
    transposed, _ = contraction(P.T)
    assert cap.value == pytest.approx(expected, abs=1e-12 * scale)
    assert cap.value == pytest.approx(transposed, abs=1e-12 * scale)
    ins, outs = P.sum(axis=1), P.sum(axis=0)
    mean = ins.mean()
    assert cap.mean_strength == pytest.approx(mean, abs=1e-12 * np.abs(P).sum())
    identity = cap.mean_strength + cap.symmetry * cap.heterogeneity
    assert cap.value == pytest.approx(identity, abs=1e-12 * scale)
    covariance = ((ins - mean) * (outs - mean)).mean()
    assert cap.symmetry * cap.heterogeneity * mean == pytest.approx(
        covariance, abs=1e-12 * scale * abs(mean)
    )
    if min(ins.std(), outs.std()) > 1e-3 * abs(mean):
        assert cap.heterogeneity == pytest.approx(ins.std() * outs.std() / mean, rel=1e-7)
        assert cap.symmetry == pytest.approx(np.corrcoef(ins, outs)[0, 1], abs=1e-7)
        assert np.sign(cap.heterogeneity) == np.sign(mean)


@quick
@given(random_nets, kinds)
def test_layers_contributions_add_up(case, kind):
    net, X, y, _ = random_case(**case)
    cap = ed.neural_capacitance(net, X, y, **kind)
    assume(cap.status == "ok" and cap.conditioning > 1e-4)
    parts = [layer.contribution for layer in cap.per_layer]
    scale = sum(abs(part) for part in parts)
    assert sum(parts) == pytest.approx(cap.value, abs=1e-13 * scale)
    assert parts[0] == parts[-1] == 0
    assert sum(layer.n_nodes for layer in cap.per_layer) == cap.n_nodes
    total = sum(layer.in_total for layer in cap.per_layer)
    size = sum(abs(layer.in_total) for layer in cap.per_layer) / cap.conditioning
    assert total == pytest.approx(sum(layer.out_total for layer in cap.per_layer), abs=1e-12 * size)


@quick
@given(random_nets, kinds)
def test_hidden_neurons_may_change_places(case, kind):
    net, X, y, _ = random_case(**case)
    rng = np.random.default_rng(case["seed"] + 1)
    orders = [np.arange(net.sizes[0]), *(rng.permutation(n) for n in net.sizes[1:-1])]
    orders.append(np.arange(net.sizes[-1]))
    pairs = list(zip(orders[:-1], orders[1:], strict=True))
    weights = [W[np.ix_(o, i)] for W, (i, o) in zip(net.weights, pairs, strict=True)]
    biases = [None if b is None else b[o] for b, (_, o) in zip(net.biases, pairs, strict=True)]
    shuffled = ed.ReLUMLP(weights, biases, loss=net.loss)
    before = ed.neural_capacitance(net, X, y, **kind)
    assume(before.status == "ok" and before.conditioning > 1e-4)
    after = ed.neural_capacitance(shuffled, X, y, **kind)
    size = before.mean_strength * before.n_nodes / before.conditioning
    scale = max(abs(before.value), abs(size)) / before.conditioning
    assert after.value == pytest.approx(before.value, abs=1e-12 * scale)
    assert after.mean_strength == pytest.approx(before.mean_strength, abs=1e-12 * scale)
    if abs(before.heterogeneity) > 1e-3 * abs(before.mean_strength):
        assert after.heterogeneity == pytest.approx(before.heterogeneity, rel=1e-7)
        assert after.symmetry == pytest.approx(before.symmetry, abs=1e-7)


@quick
@given(random_nets, st.sampled_from(["kernels", "all"]))
def test_magnitude_is_an_average_of_out_degrees(case, nodes):
    net, X, y, _ = random_case(**case)
    cap = ed.neural_capacitance(net, X, y, nodes=nodes)
    assume(cap.status == "ok")
    P = coupling_matrix(net, X, y, nodes=nodes).toarray()
    highest = min(P.sum(axis=0).max(), P.sum(axis=1).max())
    assert 0 <= cap.value <= highest * (1 + 1e-12)
    assert cap.conditioning == 1.0


@quick
@given(random_nets, kinds, st.integers(1, 20))
def test_chunks_and_sample_order_do_not_matter(case, kind, batch_size):
    net, X, y, _ = random_case(**case, n_samples=17)
    whole = ed.neural_capacitance(net, X, y, **kind)
    assume(whole.status == "ok" and whole.conditioning > 1e-4)
    order = np.random.default_rng(0).permutation(17)
    other = ed.neural_capacitance(net, X[order], y[order], batch_size=batch_size, **kind)
    P = coupling_matrix(net, X, y, **kind).toarray()
    scale = contraction(P)[1] / whole.conditioning
    assert other.value == pytest.approx(whole.value, abs=1e-12 * scale)
    assert other.conditioning == pytest.approx(whole.conditioning, rel=1e-10, abs=1e-12)


@quick
@given(random_nets, kinds, st.floats(1e-6, 1e6))
def test_homogeneous_of_degree_one(case, kind, factor):
    net, X, y, _ = random_case(**case)
    accumulator = net.degree_accumulator(**kind)
    accumulator.update(X, y)
    structure = chain_structure(net.n_layers, net.loss == "cross_entropy")
    provenance = Provenance(**kind, **structure, n_samples=len(X), magnitude_total=0.0,
                            largest_error=1.0, epsilon=2.2e-16)  # fmt: skip
    layers = accumulator.degrees()
    total = sum(np.abs(layer.flat()[0]).sum() for layer in layers)
    before = from_degrees(layers, replace(provenance, magnitude_total=total))
    assume(before.status == "ok" and before.conditioning > 1e-4)
    scaled = [
        LayerDegrees(
            layer.layer,
            tuple(part * factor for part in layer.in_degree),
            tuple(part * factor for part in layer.out_degree),
        )
        for layer in layers
    ]
    after = from_degrees(scaled, replace(provenance, magnitude_total=total * factor))
    assert after.value == pytest.approx(factor * before.value, rel=1e-8, abs=1e-10 * factor)
    assert after.mean_strength == pytest.approx(factor * before.mean_strength, rel=1e-8)
    assert after.symmetry == pytest.approx(before.symmetry, abs=1e-6)


@pytest.mark.parametrize("factor", [0.5, 4.0])
def test_scaling_last_weights_and_targets_scales_the_upper_strengths(factor):
    X = np.array([[1.0], [2.0]])
    plain = ed.neural_capacitance(chain(1.0, 2.0, 3.0), X, [1.0, 2.0])
    scaled = ed.neural_capacitance(chain(1.0, 2.0, 3.0 * factor), X, factor * np.array([1.0, 2.0]))
    # e^3 grows by the factor, e^2 by its square; out-degree of layer 2 is that of e^2
    a, b = plain.per_layer[:2]
    assert scaled.per_layer[0].in_total == pytest.approx(factor**2 * a.in_total)
    assert scaled.per_layer[1].in_total == pytest.approx(factor * b.in_total)


@given(st.tuples(*[st.floats(0.1, 10)] * 4), st.floats(-10, 10))
@quick
def test_one_sample_chain(positive, target):
    w1, w2, w3, x = positive
    error = w1 * w2 * w3 * x - target
    assume(abs(error) > 1e-3)
    cap = ed.neural_capacitance(chain(w1, w2, w3), [[x]], [target])
    assert cap.value == pytest.approx(abs(error) * x * w1 * w3 / (w1 + w3), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
def test_float32_is_close_to_float64(kind):
    net, X, y, _ = random_case(3, (5, 8, 7, 6, 3), n_samples=50)
    single = ed.ReLUMLP(net.weights, net.biases, dtype="float32")
    exact, rough = (ed.neural_capacitance(n, X, y, **kind) for n in (net, single))
    assert rough.status == exact.status == "ok"
    assert rough.value == pytest.approx(exact.value, rel=1e-4)
    assert rough.conditioning == pytest.approx(exact.conditioning, rel=1e-4)


# Symmetry and heterogeneity of degrees that hardly differ ----------------------------------------


def degrees_around_one(deviations):
    """Degrees of three layers around 1; every third node has another's out-degree."""
    ins = 1 + np.asarray(deviations)
    outs = ins.copy()
    outs[::3] = np.roll(outs[::3], 1)
    parts = zip(ins.reshape(3, 2, -1), outs.reshape(3, 2, -1), strict=True)
    return ins, outs, [LayerDegrees(k, (a,), (b,)) for k, (a, b) in enumerate(parts, start=1)]


def provenance(epsilon):
    return Provenance(
        coupling="direct",
        strength="magnitude",
        nodes="kernels",
        n_samples=1,
        magnitude_total=1.0,
        largest_error=1.0,
        n_interior=1,
        n_informative=1,
        epsilon=epsilon,
    )


@pytest.mark.parametrize("size", [0.5, 1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("n", [60, 240_000])
def test_moments_keep_their_digits_where_degrees_hardly_differ(n, size):
    ins, outs, layers = degrees_around_one(size * np.random.default_rng(1).uniform(-1, 1, n))
    cap = from_degrees(layers, provenance(2.2e-16))
    # The mean is known to a rounding, about 1e-16 / size of what the degrees differ by.
    exact = pytest.approx(exact_spread(ins, outs), rel=1e-13 + 1e-16 / size, abs=0)
    assert (cap.symmetry, cap.heterogeneity) == exact


@pytest.mark.parametrize("epsilon", [2.0**-52, 2.0**-23])
def test_degrees_that_differ_by_64_roundings_are_constant(epsilon):
    for k, spread in ((64, False), (65, True)):
        deviations = k * epsilon * np.where(np.arange(60) % 6 < 3, 1.0, -1.0)
        _, _, layers = degrees_around_one(deviations)
        cap = from_degrees(layers, provenance(epsilon))
        assert cap.heterogeneity == pytest.approx((k * epsilon) ** 2 * spread, rel=1e-9, abs=0)
        assert (cap.symmetry != 0) is spread


# Statuses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
@pytest.mark.parametrize("nodes", ["kernels", "all"])
@pytest.mark.parametrize("sizes", [(3, 2), (3, 4, 2)], ids=str)
def test_no_interior_layer(sizes, nodes, kind):
    net, X, y, _ = random_case(1, sizes, n_samples=20)
    cap = ed.neural_capacitance(net, X, y, nodes=nodes, stderr=True, **kind)
    assert cap.status == "no_interior_layer"
    assert np.isnan(cap.value)
    assert np.isnan(cap.stderr)
    assert all(np.isnan(layer.contribution) for layer in cap.per_layer)


@pytest.mark.parametrize("targets", ["labels", "smoothed"])
@pytest.mark.parametrize("coupling", ["direct", "full"])
def test_softmax_gauge(coupling, targets):
    net, X, y, _ = random_case(1, (4, 5, 5, 3), True, targets, n_samples=30)
    kind = {"coupling": coupling, "strength": "signed"}
    for nodes in ("kernels", "all"):
        cap = ed.neural_capacitance(net, X, y, nodes=nodes, **kind)
        assert cap.status == "gauge_degenerate"
        assert np.isnan(cap.value)
        block = coupling_block(net, X, y, 2, nodes=nodes, **kind).toarray()
        assert np.abs(block.sum(axis=1)).max() < 1e-14 * np.abs(block).sum()
    assert ed.neural_capacitance(net, X, y).status == "ok"
    squared = ed.ReLUMLP(net.weights, net.biases, loss="squared_error")
    assert ed.neural_capacitance(squared, X, y, **kind).status == "ok"


@pytest.mark.parametrize("strength", ["magnitude", "absolute", "signed"])
def test_converged_squared_error(strength):
    cap = ed.neural_capacitance(chain(1, 1, 1), [[1.0], [2.0]], [1.0, 2.0], strength=strength)
    assert (cap.value, cap.status) == (0.0, "converged")
    assert [layer.contribution for layer in cap.per_layer] == [0, 0, 0]
    assert cap.mean_strength == 0
    assert np.isnan(cap.symmetry)
    assert np.isnan(cap.heterogeneity)


def test_converged_cross_entropy():
    net = ed.ReLUMLP([[[2e3], [-2e3]], np.eye(2), np.eye(2)])
    cap = ed.neural_capacitance(net, [[1.0], [-1.0]], [0, 1])
    assert (cap.value, cap.status) == (0.0, "converged")


def test_full_coupling_of_an_interpolating_chain_is_one_half():
    cap = ed.neural_capacitance(chain(1, 1, 1), ONE, [1.0], coupling="full", strength="signed")
    assert (cap.value, cap.status, cap.conditioning) == (0.5, "ok", 1.0)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
def test_a_dead_network_says_so(kind):
    net = ed.ReLUMLP([[[-1.0]], ONE, [[1.0], [2.0]]])
    cap = ed.neural_capacitance(net, [[1.0], [2.0]], [0, 1], **kind)
    expected = "gauge_degenerate" if kind["strength"] == "signed" else "dead"
    assert cap.status == expected
    assert np.isnan(cap.value)
    assert cap.conditioning == 0


@pytest.mark.parametrize("eta", [0.25, 1e-3])
def test_contradicting_targets(eta):
    X, y, net = [[1.0], [1.0]], [1 - eta, 1 + eta], chain(1, 1, 1)
    assert ed.neural_capacitance(net, X, y).value == pytest.approx(eta / 2, rel=1e-12)
    for strength in ("absolute", "signed"):
        cap = ed.neural_capacitance(net, X, y, strength=strength)
        assert cap.status == "ill_conditioned"
        assert np.isnan(cap.value)


# The standard error ------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", ["kernels", "all"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
def test_jackknife_equals_leaving_out_by_hand(kind, nodes):
    net, X, y, _ = random_case(2, (3, 5, 4, 4, 3), n_samples=47)
    cap = ed.neural_capacitance(net, X, y, nodes=nodes, stderr=True, batch_size=11, **kind)
    rest = [np.arange(47) % 10 != g for g in range(10)]
    values = [ed.neural_capacitance(net, X[r], y[r], nodes=nodes, **kind).value for r in rest]
    assert cap.stderr == pytest.approx(np.sqrt(9) * np.std(values), rel=1e-8)
    plain = ed.neural_capacitance(net, X, y, nodes=nodes, **kind)
    assert plain.stderr is None
    assert cap.value == pytest.approx(plain.value, rel=1e-11)


def test_standard_error_is_nan_where_one_group_carries_everything():
    X, y = np.ones((10, 1)), np.ones(10)
    y[4] = 2.0  # the others are fitted exactly
    cap = ed.neural_capacitance(chain(1, 1, 1), X, y, stderr=True)
    assert cap.status == "ok"
    assert np.isnan(cap.stderr)


# Output and refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(3, 4, 4, 2), (3, 2)], ids=str)
def test_output(sizes):
    net, X, y, _ = random_case(1, sizes, n_samples=20)
    cap = ed.neural_capacitance(net, X, y, stderr=True)
    read = json.loads(to_json(cap.to_dict()))
    assert read["value"] == (None if np.isnan(cap.value) else cap.value)
    assert [layer["layer"] for layer in read["per_layer"]] == list(range(1, len(sizes)))
    assert set(read) == set(vars(cap))
    frame = cap.to_frame()
    assert list(frame.index) == list(range(1, len(sizes)))
    assert frame["n_nodes"].sum() == cap.n_nodes
    assert str(cap).startswith("beta_eff = ")
    assert cap.status in str(cap)
    assert "+-" in str(cap)
    assert "+-" not in str(replace(cap, stderr=None))


NET, GOOD_X, GOOD_Y, _ = random_case(1, (3, 4, 4, 2))


def with_value(array, value):
    changed = np.array(array, float)
    changed.flat[1] = value
    return changed


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"X": with_value(GOOD_X, np.nan)}, ValueError, "X contains nan at sample 0, feature 1"),
        ({"X": with_value(GOOD_X, np.inf)}, ValueError, "all values must be finite"),
        ({"X": GOOD_X[:, :2]}, ValueError, "X has 2 features; this network takes 3 inputs"),
        ({"X": GOOD_X[0]}, ValueError, "must have shape"),
        ({"X": GOOD_X[:0], "y": GOOD_Y[:0]}, ValueError, "X is empty"),
        ({"X": GOOD_X.astype(str)}, TypeError, "must hold real numbers"),
        ({"y": GOOD_Y + 1}, ValueError, r"labels must be integers in 0\.\.1; y contains 2"),
        ({"y": GOOD_Y - 1}, ValueError, r"labels must be integers in 0\.\.1; y contains -1"),
        ({"y": with_value(GOOD_Y, 0.5)}, ValueError, "labels must be integers.*contains 0.5"),
        ({"y": with_value(GOOD_Y, np.nan)}, ValueError, "labels must be integers.*contains nan"),
        ({"y": GOOD_Y[:-1]}, ValueError, "one entry or row for each of the 6 samples"),
        ({"y": np.zeros(6, int)}, ValueError, "one class only"),
        ({"y": np.full((6, 2), 0.7)}, ValueError, "must be probabilities"),
        ({"y": np.full((6, 3), 1 / 3)}, ValueError, "3 columns; this network has 2 outputs"),
        ({"y": ["a"] * 6}, TypeError, "y must hold integer labels"),
        ({"coupling": "indirect"}, ValueError, "coupling must be one of 'direct', 'full'"),
        ({"strength": "weak"}, ValueError, "strength must be one of 'magnitude'"),
        ({"nodes": "biases"}, ValueError, "nodes must be one of 'kernels', 'all'"),
        ({"coupling": "full"}, ValueError, "full coupling has signed strengths only"),
        ({"stderr": True}, ValueError, "at least 10 samples; got 6"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be an integer"),
        ({"scope": "network"}, ValueError, "scope and loss are for Keras models"),
        ({"loss": "mse"}, ValueError, "scope and loss are for Keras models"),
        ({"source": [GOOD_X]}, TypeError, "accepts a ReLUMLP, .* Keras model; got list"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(change, error, sentence):
    arguments = {"source": NET, "X": GOOD_X, "y": GOOD_Y, **change}
    with pytest.raises(error, match=sentence) as raised:
        ed.neural_capacitance(**arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("power", [-500, -1000, 450, 900])
def test_degrees_of_any_size_scale_the_value_exactly(power):
    net, X, y = ed.ReLUMLP.random([3, 5, 4, 2], seed=0), np.eye(3), [0, 1, 0]
    sums = degree_accumulator(net)
    sums.update(X, y)
    layers, factor = sums.degrees(), 2.0**power
    what = {"coupling": "direct", "strength": "magnitude", "nodes": "kernels", "epsilon": 2.2e-16}
    what |= {**chain_structure(3, softmax=True), "largest_error": 1e-3}
    once = from_degrees(layers, Provenance(**what))
    scaled = [
        replace(
            one,
            in_degree=tuple(p * factor for p in one.in_degree),
            out_degree=tuple(p * factor for p in one.out_degree),
        )
        for one in layers
    ]
    found = from_degrees(scaled, Provenance(**what))
    assert found.value == once.value * factor and found.symmetry == once.symmetry
    assert found.heterogeneity == once.heterogeneity * factor
    assert [one.contribution for one in found.per_layer] == [
        one.contribution * factor for one in once.per_layer
    ]
    assert once.status == "ok" and found.status == ("vanishing" if power < 0 else "ok")


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_what_overflows_is_no_value(bad):
    what = {"coupling": "direct", "strength": "magnitude", "nodes": "kernels", "epsilon": 2.2e-16}
    what |= {**chain_structure(3, softmax=False), "largest_error": 1.0}
    zero = np.zeros((1, 1))
    ends = [(np.array([[bad]]), zero), (np.ones((1, 1)), np.ones((1, 1))), (zero, np.ones((1, 1)))]
    layers = [LayerDegrees(k, (i,), (o,)) for k, (i, o) in enumerate(ends, start=1)]
    cap = from_degrees(layers, Provenance(**what))
    assert cap.status == "not_finite" and np.isnan(cap.value)


def test_a_numerator_of_rounding_noise_is_no_value():
    """In a chain into a softmax of three, gauge and dead units leave a numerator of 0."""
    rng, seen = np.random.default_rng(0), 0
    for _ in range(300):
        sizes = [1, 1, 1, 1, 1, 3]
        W = [rng.standard_normal((b, a)) for a, b in pairwise(sizes)]
        net = ed.ReLUMLP(W, [rng.standard_normal(b) for b in sizes[1:]])
        X, y = rng.standard_normal((3, 1)), [0, 1, 2]
        cap = ed.neural_capacitance(net, X, y, strength="signed", nodes="all")
        P = direct_matrix(net.weights, net.biases, X, np.eye(3), "cross_entropy", "signed", "all")
        numerator, size = P.sum(0) @ P.sum(1), np.abs(P).sum(0) @ np.abs(P).sum(1)
        if size and abs(numerator) < 1e-15 * size:
            seen += 1
            assert cap.status != "ok", (cap, numerator, size)
    assert seen > 10


@pytest.mark.parametrize("seed", range(3))
def test_parts_of_the_absolute_strength_are_those_of_the_dense_matrices(seed):
    net, X, y, dense = random_case(seed, (3, 4, 3, 2), True, TARGETS[0], n_samples=4)
    arguments = (net.weights, net.biases, X, dense, net.loss)
    absolute, magnitude = (
        np.abs(direct_matrix(*arguments, strength, "all")) for strength in ("absolute", "magnitude")
    )
    cap = ed.neural_capacitance(net, X, y, strength="absolute", nodes="all")
    assert cap.conditioning == pytest.approx(absolute.sum() / magnitude.sum(), rel=1e-12)
    assert [one.layer for one in cap.per_layer] == [1, 2, 3]
