"""Degrees summed in parts against one pass: partitions, batches, threads, processes, clusters."""

import multiprocessing
import os
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import numpy as np
import pytest
from cases import random_case
from hypothesis import given, settings
from hypothesis import strategies as st

import edgedyn as ed
from edgedyn.mlp import Affine, ChainLayer, ReLUChain
from edgedyn.studies.spread import spread_capacitance

da = pytest.importorskip("dask.array", reason="install the extra 'dask'")
dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed", reason="install the extra 'dask'")

N = 40
KINDS = [
    ("direct", "magnitude"),
    ("direct", "absolute"),
    ("direct", "signed"),
    ("full", "signed"),
]
CUTS = (13, 14, 29)


@pytest.fixture(scope="module")
def case():
    net, X, y, _ = random_case(6, (3, 4, 3, 4, 2), n_samples=N)
    return net, X, y


@pytest.fixture(autouse=True)
def here(request):
    """Keep clusters to the tests that ask for one, which outlive them."""
    scheduler = None if "client" in request.fixturenames else "synchronous"
    with dask.config.set(scheduler=scheduler):
        yield


def options(kind, nodes="kernels"):
    return {"coupling": kind[0], "strength": kind[1], "nodes": nodes}


def cut(X, y, cuts=CUTS):
    return list(zip(np.split(X, cuts), np.split(y, cuts), strict=True))


def partitions(X, y, cuts=CUTS):
    sizes = tuple(np.diff([0, *cuts, len(X)]).tolist())
    across = tuple((n,) for n in X.shape[1:]), tuple((n,) for n in y.shape[1:])
    return da.from_array(X, chunks=(sizes, *across[0])), da.from_array(y, (sizes, *across[1]))


def assert_same(actual, expected, rtol=1e-12):
    """Compare all fields; rounding counts on the scale of what is summed."""
    ours, theirs = actual.to_dict(), expected.to_dict()
    scale = rtol / max(expected.conditioning, 1e-3)
    layers, others = ours.pop("per_layer"), theirs.pop("per_layer")
    size = max(abs(layer["in_total"]) for layer in others) / scale * rtol
    for mine, other in zip(layers, others, strict=True):
        assert (mine["layer"], mine["name"]) == (other["layer"], other["name"])
        for name in ("in_total", "out_total", "contribution"):
            assert mine[name] == pytest.approx(
                other[name], rel=scale, abs=scale * size, nan_ok=True
            )
    for name, value in theirs.items():
        if isinstance(value, float):
            bound = 1e3 * scale if name == "stderr" else 10 * scale
            assert ours[name] == pytest.approx(value, rel=bound, abs=scale, nan_ok=True), name
        else:
            assert ours[name] == value, name


# Equal to one pass -----------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [pytest.param("kernels", marks=pytest.mark.slow), "all"])
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@given(cuts=st.lists(st.integers(0, N), max_size=9).map(sorted), batch_size=st.integers(1, N))
@settings(max_examples=15, deadline=None)
def test_any_partitions_give_one_pass(case, kind, nodes, cuts, batch_size):
    net, X, y = case
    once = ed.neural_capacitance(net, X, y, stderr=True, **options(kind, nodes))
    spread = spread_capacitance(
        net, *partitions(X, y, cuts), stderr=True, batch_size=batch_size, **options(kind, nodes)
    )
    assert_same(spread, once)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@pytest.mark.parametrize("targets", ["labels", "smoothed", "squared_error"])
def test_losses(kind, targets):
    net, X, y, _ = random_case(3, (4, 5, 3, 3), targets=targets, n_samples=30)
    with ThreadPoolExecutor(3) as executor:
        spread = spread_capacitance(net, cut(X, y), executor=executor, **options(kind))
    assert_same(spread, ed.neural_capacitance(net, X, y, **options(kind)))
    assert_same(spread_capacitance(net, *partitions(X, y), **options(kind)), spread)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_chain_with_scale_layers(kind):
    rng = np.random.default_rng(0)
    norm = Affine(rng.uniform(0.5, 2, 5), rng.standard_normal(5))
    net = ReLUChain(
        [
            ChainLayer(rng.standard_normal((5, 4)), rng.standard_normal(5), (norm, "relu")),
            ChainLayer(rng.standard_normal(5), rng.standard_normal(5), ("relu",)),
            ChainLayer(rng.standard_normal((3, 5)), rng.standard_normal(3), ("relu",)),
            ChainLayer(rng.standard_normal((3, 3)), rng.standard_normal(3)),
        ]
    )
    X, y = rng.standard_normal((30, 4)), np.arange(30) % 3
    once = ed.neural_capacitance(net, X, y, **options(kind, "all"))
    assert_same(spread_capacitance(net, *partitions(X, y), **options(kind, "all")), once)


def test_more_partitions_than_join_at_a_time(case):
    net, X, y = case
    parts = da.from_array(X, chunks=(1, -1)), da.from_array(y, chunks=1)
    once = ed.neural_capacitance(net, X, y, stderr=True)
    assert_same(spread_capacitance(net, *parts, stderr=True), once)


def test_partitions_of_unknown_size_and_empty_ones(case):
    net, X, y = case
    first, second = partitions(X, y, (0, 7, 7, 30, N))
    whole = first[first[:, 0] < np.inf], second[first[:, 0] < np.inf]
    assert np.isnan(whole[0].chunks[0]).all()
    once = ed.neural_capacitance(net, X, y, stderr=True)
    assert_same(spread_capacitance(net, *whole, stderr=True), once)


def test_a_partition_may_be_of_one_class(case):
    net, X, y = case
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    parts = partitions(X, y, (int(np.sum(y == 0)),))
    assert_same(spread_capacitance(net, *parts), ed.neural_capacitance(net, X, y))


def test_a_converged_network_stays_converged():
    net, X, _, _ = random_case(1, (3, 4, 3, 2), targets="squared_error", n_samples=20)
    spread = spread_capacitance(net, *partitions(X, net.logits(X), (8,)))
    assert (spread.status, spread.value) == ("converged", 0.0)


# Who does it -----------------------------------------------------------------------------------


def spawn():
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


def load(X, y):
    """Stand for a reader of files that a worker calls."""
    return X, y


@pytest.mark.parametrize(
    "make",
    [partial(ThreadPoolExecutor, 3), pytest.param(spawn, marks=pytest.mark.slow)],
    ids=["threads", "spawn"],
)
def test_batches_on_an_executor(case, make):
    net, X, y = case
    batches = cut(X, y)
    with make() as executor:
        for kind in KINDS:
            once = ed.neural_capacitance(net, X, y, stderr=True, **options(kind))
            for given_ in (iter(batches), [partial(load, *pair) for pair in batches]):
                spread = spread_capacitance(
                    net, given_, executor=executor, stderr=True, **options(kind)
                )
                assert_same(spread, once)


class Backwards(Executor):
    """Runs what it was given last first, and counts what is under way."""

    def __init__(self):
        self.waiting, self.most = [], 0

    def submit(self, function, *arguments):
        future = Later(self)
        self.waiting.append((future, function, arguments))
        self.most = max(self.most, len(self.waiting))
        return future


class Later(Future):
    """Ends when it is asked for its result."""

    def __init__(self, executor):
        super().__init__()
        self.executor = executor

    def result(self):
        while self.executor.waiting:
            future, function, arguments = self.executor.waiting.pop()
            future.set_result(function(*arguments))
        return super().result()


def test_the_order_in_which_batches_end_does_not_matter(case):
    net, X, y = case
    backwards, found = Backwards(), []
    with ThreadPoolExecutor(1) as forwards:
        for executor in (forwards, backwards):
            batches = cut(X, y, range(4, N, 4))
            found.append(spread_capacitance(net, batches, executor=executor, in_flight=3))
    assert found[0] == found[1]  # to the last bit
    assert backwards.most == 3


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["threads", "processes", "synchronous"])
def test_schedulers_of_dask(case, scheduler):
    net, X, y = case
    with dask.config.set(scheduler=scheduler):
        spread = spread_capacitance(net, *partitions(X, y), stderr=True)
    assert_same(spread, ed.neural_capacitance(net, X, y, stderr=True))


@pytest.fixture(scope="module", params=["threads", "processes"])
def client(request):
    kind = {"processes": True, "host": "127.0.0.1"}
    if request.param == "threads":
        kind = {"processes": False}
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", **kind
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_cluster(case, client, kind):
    net, X, y = case
    once = ed.neural_capacitance(net, X, y, stderr=True, **options(kind))
    assert_same(spread_capacitance(net, *partitions(X, y), stderr=True, **options(kind)), once)
    spread = spread_capacitance(
        net, cut(X, y), executor=client.get_executor(), stderr=True, **options(kind)
    )
    assert_same(spread, once)


@pytest.mark.slow
def test_an_error_on_a_cluster_names_the_partition(case, client):
    net, X, y = case
    X = X.copy()
    X[20, 1] = np.nan
    sentence = r"partition 2 \(its samples counted from 0\): X contains nan at sample 6, feature 1"
    with pytest.raises(ValueError, match=sentence):
        spread_capacitance(net, *partitions(X, y))
    with pytest.raises(ValueError, match=sentence.replace("partition", "batch")):
        spread_capacitance(net, cut(X, y), executor=client.get_executor())


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_neither_accumulator_changes_where_one_is_appended(case, kind):
    net, X, y = case
    parts = []
    for Xk, yk in cut(X, y, (12, 14, 29)):
        parts.append(net.degree_accumulator(groups=10, **options(kind)))
        parts[-1].update(Xk, yk)
    before = [str(part.capacitance()) for part in parts]
    first = parts[0].append(parts[1]).append(parts[2]).append(parts[3])
    again = parts[0].append(parts[1].append(parts[2].append(parts[3])))
    assert_same(again.capacitance(), first.capacitance())
    first.update(X, y)
    assert [str(part.capacitance()) for part in parts] == before


# Refused ---------------------------------------------------------------------------------------


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield executor


def test_wrong_data_of_one_part_are_named(case, threads):
    net, X, y = case
    wrong = [
        (X, np.where(np.arange(N) == 30, 7, y), "3 .*integers in 0..1; y contains 7"),
        (X, np.where(np.arange(N) == 5, -1, y), "0 .*y contains -1"),
        (X, y + 0.5 * (np.arange(N) < 9), "0 .*labels must be integers"),
        (np.where(np.arange(N)[:, None] == 13, np.inf, X), y, "1 .*inf at sample 0, feature 0"),
    ]
    for bad_X, bad_y, sentence in wrong:
        with pytest.raises(ValueError, match="partition " + sentence):
            spread_capacitance(net, *partitions(bad_X, bad_y))
        with pytest.raises(ValueError, match="batch " + sentence):
            spread_capacitance(net, cut(bad_X, bad_y), executor=threads)


def test_what_only_the_whole_shows(case):
    net, X, y = case
    parts = partitions(X, np.zeros(N, int))
    with pytest.raises(ValueError, match=r"one class only \(0\) over all parts"):
        spread_capacitance(net, *parts)
    with pytest.raises(ValueError, match="at least 10 samples; got 9"):
        spread_capacitance(net, *partitions(X[:9], y[:9], (4,)), stderr=True)
    with pytest.raises(ValueError, match="no samples: every part is empty"):
        spread_capacitance(net, *partitions(X[:0], y[:0], ()))


def test_no_batches_are_refused(case, threads):
    with pytest.raises(ValueError, match="no samples"):
        spread_capacitance(case[0], [], executor=threads)


def test_a_diverged_network_is_told_apart(case, threads):
    from edgedyn.capacitance import DivergedError

    net, X, y = case
    net = net.copy()
    net.parameters[...] = 1e200
    with pytest.raises(DivergedError, match="batch 0 .*output is not finite"):
        spread_capacitance(net, cut(X, y), executor=threads)


def test_partitions_that_do_not_match(case):
    net, X, y = case
    ours, theirs = partitions(X, y)
    with pytest.raises(ValueError, match="X has 4 partitions along the samples and y 2"):
        spread_capacitance(net, ours, theirs.rechunk(20))
    with pytest.raises(ValueError, match="partition 1 of X has 1 samples and that of y 2; cut"):
        spread_capacitance(net, ours, partitions(X, y, (13, 15, 29))[1])
    with pytest.raises(ValueError, match=r"X is cut along other axes .*X.rechunk\("):
        spread_capacitance(net, ours.rechunk({1: 2}), theirs)
    with pytest.raises(ValueError, match="no axis of samples"):
        spread_capacitance(net, ours.sum(), theirs)
    unknown = ours[ours[:, 0] < 10.0], theirs[theirs < 1]
    with pytest.raises(ValueError, match=r"partition \d .*one entry or row for each of the"):
        spread_capacitance(net, *unknown)


def test_shapes_are_refused_before_any_partition_is_loaded(case):
    net, X, y = case

    def fail(*_, **__):
        raise AssertionError("a partition was loaded")

    def lazy(shape, dtype):
        return da.from_array(X, (20, -1)).map_blocks(
            fail,
            chunks=((20, 20), *((n,) for n in shape[1:])),
            dtype=dtype,
            meta=np.empty(0, dtype),
        )

    labels = da.from_array(y, 20)
    with pytest.raises(ValueError, match="X has 5 features; this network takes 3"):
        spread_capacitance(net, lazy((N, 5), float), labels)
    with pytest.raises(TypeError, match="X must hold real numbers"):
        spread_capacitance(net, lazy((N, 3), "U4"), labels)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"coupling": "none"}, ValueError, "coupling must be one of"),
        ({"strength": "big"}, ValueError, "strength must be one of"),
        ({"coupling": "full"}, ValueError, "full coupling has signed strengths only"),
        ({"nodes": "some"}, ValueError, "nodes must be one of"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"in_flight": 0.5}, TypeError, "in_flight must be an integer"),
        ({"scope": "network"}, ValueError, "scope and loss are for Keras models"),
        ({"loss": "mse"}, ValueError, "scope and loss are for Keras models"),
    ],
)
def test_options_are_refused(case, options, error, sentence):
    net, X, y = case
    with pytest.raises(error, match=sentence):
        spread_capacitance(net, *partitions(X, y), **options)


def test_what_is_no_network_is_refused(case):
    with pytest.raises(TypeError, match="a ReLUMLP, a ReLUChain or a Keras model; got str"):
        spread_capacitance("net", *partitions(*case[1:]))


def test_data_of_other_kinds_are_refused(case, threads):
    net, X, y = case
    ours, theirs = partitions(X, y)
    for given_ in ((X, y), (ours, y), (X, theirs), (cut(X, y), y)):
        with pytest.raises(TypeError, match=r"give two dask arrays \(pip install 'edgedyn\[dask\]"):
            spread_capacitance(net, *given_, executor=threads)
    with pytest.raises(TypeError, match="X is a dask array and y is missing"):
        spread_capacitance(net, ours, executor=threads)
    for given_ in (X, "digits", 3, {"X": X}):
        with pytest.raises(TypeError, match="without y it must be an iterable of batches"):
            spread_capacitance(net, given_, executor=threads)
    with pytest.raises(ValueError, match="leave executor out"):
        spread_capacitance(net, ours, theirs, executor=threads)


def test_executors_of_other_kinds_are_refused(case):
    net, X, y = case
    with pytest.raises(TypeError, match=r"got None: pass executor=ProcessPoolExecutor\(\)"):
        spread_capacitance(net, cut(X, y))

    class Client:
        get_executor = submit = None

    with pytest.raises(TypeError, match=r"got Client: pass executor=client.get_executor\(\)"):
        spread_capacitance(net, cut(X, y), executor=Client())


def missing():
    raise FileNotFoundError("part-1.npz")


def killed():
    os._exit(1)


def test_what_is_no_batch_is_refused(case, threads):
    net, X, y = case
    first = (X[:5], y[:5])
    for wrong, sentence in (
        (X, "batch 1 is ndarray of shape"),
        ((X,), "batch 1 is tuple; each batch must be a pair"),
        (lambda: None, "batch 1 is None"),
    ):
        with pytest.raises(TypeError, match=sentence):
            spread_capacitance(net, [first, wrong], executor=threads)
    with pytest.raises(RuntimeError, match="batch 1 failed: FileNotFoundError: part-1.npz"):
        spread_capacitance(net, [first, missing], executor=threads)
    with pytest.raises(ValueError, match="batch 1 .*one entry or row for each of the 5 samples"):
        spread_capacitance(net, [first, (X[:5], y)], executor=threads)


@pytest.mark.slow
def test_errors_in_other_processes_come_back(case):
    net, X, y = case
    first = (X[:5], y[:5])
    with spawn() as executor:
        with pytest.raises(RuntimeError, match="batch 1 failed: FileNotFoundError: part-1.npz"):
            spread_capacitance(net, [first, missing], executor=executor)
        with pytest.raises(ValueError, match=r"batch 0 .*y contains 9"):
            spread_capacitance(net, [(X, y + 9)], executor=executor)
        with pytest.raises(BrokenProcessPool, match="terminated abruptly"):
            spread_capacitance(net, [first, killed], executor=executor)


def test_what_is_left_is_cancelled_after_an_error(case):
    net, X, y = case
    done = []

    def late(k):
        done.append(k)
        return X, y

    with ThreadPoolExecutor(1) as executor:
        batches = [missing, *(partial(late, k) for k in range(200))]
        with pytest.raises(RuntimeError, match="batch 0 failed"):
            spread_capacitance(net, batches, executor=executor)
    assert len(done) < 32
