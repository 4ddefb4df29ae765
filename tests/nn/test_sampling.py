"""Stratified samples: shares, nested orders, one pass over pipelines, and what is refused."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from edgedyn.nn.data.sampling import nested_order, sample_dataset, stratified_indices  # noqa: E402

pytestmark = pytest.mark.tensorflow

label_lists = st.lists(st.integers(-3, 6), min_size=1, max_size=60)


def rng(seed=0):
    return np.random.default_rng(seed)


def numbered(labels):
    """Make samples that tell their own number: sample k is the row (k, 2 k)."""
    k = np.arange(len(labels), dtype=np.float32)
    return np.stack([k, 2 * k], axis=1)


def largest_remainder(counts, n):
    """Hamilton's method in exact fractions, ties to the first class."""
    total = sum(counts)
    exact = [Fraction(n * c, total) for c in counts]
    sizes = [int(e) for e in exact]
    order = sorted(range(len(counts)), key=lambda k: sizes[k] - exact[k])
    for k in order[: n - sum(sizes)]:
        sizes[k] += 1
    return sizes


# stratified_indices


@given(label_lists, st.integers(1, 70), st.integers(0, 5))
def test_a_sample_is_sorted_without_repeats_and_near_each_share(labels, n, seed):
    labels = np.array(labels)
    chosen = stratified_indices(labels, n, rng(seed))
    assert len(chosen) == min(n, len(labels))
    assert (np.diff(chosen) > 0).all()
    counts, taken = Counter(labels.tolist()), Counter(labels[chosen].tolist())
    if n >= len(counts):
        assert set(taken) == set(counts)
    for label, count in counts.items():
        exact = n * count / len(labels)
        lifted = len(counts)  # places that small classes may have taken from this one
        assert taken[label] <= count
        if n < len(labels):
            assert exact - lifted < taken[label] < exact + 1 or taken[label] == 1


@pytest.mark.parametrize(
    ("counts", "n", "expected"),
    [
        ([20, 1], 2, [1, 1]),
        ([20, 1, 1, 1], 4, [1, 1, 1, 1]),
        ([97, 1, 1, 1], 10, [7, 1, 1, 1]),
        ([50, 30, 20], 10, [5, 3, 2]),
        ([20, 1, 1], 2, [2, 0, 0]),
    ],
)
def test_small_classes_have_a_sample_where_there_are_places(counts, n, expected):
    labels = np.repeat(np.arange(len(counts)), counts)
    taken = np.bincount(labels[stratified_indices(labels, n, rng())], minlength=len(counts))
    assert taken.tolist() == expected
    if 0 not in expected:
        y = sample_dataset(pipeline(numbered(labels), labels, 4), None, n, rng())[1]
        assert np.bincount(y, minlength=len(counts)).tolist() == expected


@given(st.lists(st.integers(10, 40), min_size=2, max_size=6), st.integers(20, 60))
def test_shares_are_hamiltons_where_no_class_is_tiny(counts, n):
    labels = np.repeat(np.arange(len(counts)), counts)
    n = min(n, len(labels))
    expected = largest_remainder(counts, n)
    assert min(expected) >= 1
    taken = np.bincount(labels[stratified_indices(labels, n, rng())], minlength=len(counts))
    # Among equal remainders either class may have the place; the multiset of errors is the same.
    errors = [
        abs(Fraction(n * c, sum(counts)) - int(t)) for c, t in zip(counts, taken, strict=True)
    ]
    wanted = [abs(Fraction(n * c, sum(counts)) - e) for c, e in zip(counts, expected, strict=True)]
    assert sorted(errors) == sorted(wanted)


def test_each_member_of_a_class_is_equally_likely():
    labels = np.array([0] * 10 + [1] * 5)
    hits = np.zeros(15)
    generator = rng(1)
    for _ in range(3000):
        hits[stratified_indices(labels, 6, generator)] += 1
    # Four of ten and two of five: every sample 0.4, standard error 0.009.
    np.testing.assert_allclose(hits / 3000, 0.4, atol=0.045)


def test_the_generator_decides_and_the_global_state_is_left_alone():
    labels = np.arange(60) % 3
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = stratified_indices(labels, 12, rng(4))
    np.testing.assert_array_equal(first, stratified_indices(labels, 12, rng(4)))
    assert not np.array_equal(first, stratified_indices(labels, 12, rng(5)))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


# nested_order


@given(label_lists, st.integers(0, 5))
def test_every_beginning_is_as_balanced_as_the_data_allow(labels, seed):
    labels = np.array(labels)
    order = nested_order(labels, rng(seed))
    assert sorted(order.tolist()) == list(range(len(labels)))
    counts = Counter(labels.tolist())
    for n in range(1, len(labels) + 1):
        taken = Counter(labels[order[:n]].tolist())
        most = max(taken.values())
        # Whoever has fewer than the largest less one has nothing left to give.
        assert all(taken[c] >= most - 1 or taken[c] == counts[c] for c in counts)


# sample_dataset


def one_hot(y, n_classes=4):
    return np.eye(n_classes, dtype=np.float32)[y]


LABELS = rng(2).choice(4, size=400, p=[0.5, 0.3, 0.15, 0.05])
FORMS = {
    "labels": LABELS,
    "column": LABELS[:, None],
    "one-hot": one_hot(LABELS),
    "soft": (0.8 * one_hot(LABELS) + 0.05).astype(np.float32),
    "float labels": LABELS.astype(np.float32),
}


def pipeline(x, y, batch):
    data = tf.data.Dataset.from_tensor_slices((x, y))
    return data if batch is None else data.batch(batch)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch", ["arrays", None, 7, 64, 400, 1000])
def test_targets_keep_their_form_and_their_samples(form, batch):
    y = FORMS[form]
    x = numbered(LABELS)
    given_x, given_y = (x, y) if batch == "arrays" else (pipeline(x, y, batch), None)
    got_x, got_y = sample_dataset(given_x, given_y, 40, rng(), 4)
    assert got_x.shape == (40, 2) and got_y.dtype == y.dtype
    number = got_x[:, 0].astype(int)
    assert len(set(number.tolist())) == 40
    np.testing.assert_array_equal(got_x, x[number])
    np.testing.assert_array_equal(got_y, y[number])
    expected = largest_remainder([Counter(LABELS.tolist())[c] for c in range(4)], 40)
    assert np.bincount(LABELS[number], minlength=4).tolist() == expected


@settings(deadline=None, max_examples=30)
@given(label_lists, st.integers(1, 20), st.integers(1, 9))
def test_a_pipeline_gives_the_shares_of_the_arrays(labels, n, batch):
    labels = np.array(labels) + 3
    if len(set(labels.tolist())) < 2:
        return
    x = numbered(labels)
    if n < 2:  # a sample of one has one class; it is allowed
        n = 2
    got_x, got_y = sample_dataset(x, labels, n, rng(1))
    try:
        piped_x, piped_y = sample_dataset(pipeline(x, labels, batch), None, n, rng(1))
    except ValueError as error:  # fewer places than classes, and all fell to one of them
        assert "one class only" in str(error) and n < len(set(labels.tolist()))
        return
    assert Counter(piped_y.tolist()) == Counter(got_y.tolist())
    np.testing.assert_array_equal(labels[piped_x[:, 0].astype(int)], piped_y)


def test_sorted_data_are_sampled_evenly():
    """Classes in blocks are the hardest case: the shares change all along the pass."""
    labels = np.repeat([0, 1, 2], [3000, 600, 2400])
    x = numbered(labels)
    data = pipeline(x, labels, 50)
    halves = []
    for seed in range(15):
        got_x, got_y = sample_dataset(data, None, 50, rng(seed))
        assert np.bincount(got_y).tolist() == [25, 5, 20]
        halves.append(got_x[got_y == 2, 0] >= 4800)
    # Of class 2, the second half of the block has its half of the sample, standard error 0.03.
    assert np.mean(halves) == pytest.approx(0.5, abs=0.12)


def test_memory_stays_in_proportion_to_the_sample(monkeypatch):
    import edgedyn.nn.data.sampling as module

    seen = []
    prune = module._prune

    def spy(held, counts, n):
        seen.append(sum(map(len, held.values())))
        prune(held, counts, n)
        seen.append(sum(map(len, held.values())))
        # Copies: no view that keeps its whole batch alive.
        assert all(entry[1].base is None for entries in held.values() for entry in entries)

    monkeypatch.setattr(module, "_prune", spy)
    labels = np.arange(5000) % 10
    sample_dataset(pipeline(numbered(labels), labels, 25), None, 30, rng())
    assert len(seen) > 20
    assert max(seen) <= 4 * 30 + 25 and max(seen[1::2]) <= 1.5 * 30 + 2 * 10


def test_a_pipeline_is_read_once():
    passes = []

    def samples():
        passes.append(1)
        for k in range(30):
            yield np.float32([k, k]), k % 3

    signature = (tf.TensorSpec((2,), tf.float32), tf.TensorSpec((), tf.int64))
    data = tf.data.Dataset.from_generator(samples, output_signature=signature)
    x, y = sample_dataset(data.batch(4), None, 9, rng())
    assert passes == [1] and Counter(y.tolist()) == {0: 3, 1: 3, 2: 3}


@pytest.mark.parametrize("size", [3, 4, 5])
def test_rows_as_long_as_the_image_is_high_are_no_batch(size):
    """An unbatched one-hot row and a batch of labels may have the same shape."""
    labels = np.arange(60) % 3
    x = rng().random((60, size, 4, 1), dtype=np.float32)
    got = sample_dataset(pipeline(x, one_hot(labels, size), None), None, 12, rng())
    assert got[0].shape == (12, size, 4, 1) and got[1].shape == (12, size)
    whole = tf.data.Dataset.from_tensor_slices((x, labels)).batch(size, drop_remainder=True)
    got = sample_dataset(whole, None, 12, rng())
    assert got[0].shape == (12, size, 4, 1) and got[1].shape == (12,)


def test_all_samples_where_there_are_not_more():
    labels = np.array([0, 1, 1])
    for x, y in ((numbered(labels), labels), (pipeline(numbered(labels), labels, 2), None)):
        got_x, got_y = sample_dataset(x, y, 10, rng())
        assert sorted(got_x[:, 0].tolist()) == [0, 1, 2] and sorted(got_y.tolist()) == [0, 1, 1]


def test_weights_of_samples_are_passed_over():
    labels = np.arange(20) % 2
    data = tf.data.Dataset.from_tensor_slices((numbered(labels), labels, np.ones(20))).batch(4)
    assert sample_dataset(data, None, 4, rng())[0].shape == (4, 2)


def test_tensors_are_arrays_too():
    labels = np.arange(20) % 2
    x, y = sample_dataset(tf.constant(numbered(labels)), tf.constant(labels), 4, rng())
    assert isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and len(x) == 4


X, Y = numbered(range(8)), np.arange(8) % 2


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "words"),
    [
        (X, None, {}, TypeError, "y is missing"),
        (pipeline(X, Y, 2), Y, {}, TypeError, "y must be None"),
        (X, Y[:5], {}, ValueError, "one entry a sample; got shapes (8, 2) and (5,)"),
        (1.0, Y, {}, ValueError, "one entry a sample"),
        (X[:0], Y[:0], {}, ValueError, "x is empty"),
        (X, Y * 0 + 3, {}, ValueError, "one class only (3)"),
        (X, one_hot(Y * 0), {}, ValueError, "one class only (0)"),
        (X, Y + 0.5, {}, ValueError, "integer labels"),
        (X, Y * np.nan, {}, ValueError, "integer labels"),
        (X, np.array(list("abababab")), {}, TypeError, "y must hold numbers"),
        (X, np.zeros((8, 2, 2)), {}, ValueError, "got shape (8, 2, 2)"),
        (X, Y + 1, {"n_classes": 2}, ValueError, "labels must be in 0..1; got 1..2"),
        (X, Y - 1, {"n_classes": 2}, ValueError, "labels must be in 0..1; got -1..0"),
        (X, one_hot(Y), {"n_classes": 3}, ValueError, "rows of y have 4 entries for 3 classes"),
        (X, Y, {"n": 0}, ValueError, "n must be at least 1; got 0"),
        (X, Y, {"n": 2.5}, TypeError, "n must be an integer; got 2.5"),
        (pipeline(X, Y, 2).repeat(), None, {}, ValueError, "infinite"),
        (pipeline(X, Y, 2).take(0), None, {}, ValueError, "the data set is empty"),
        (pipeline(X, Y * 0, 2), None, {}, ValueError, "one class only"),
        (tf.data.Dataset.from_tensor_slices(X), None, {}, TypeError, "pairs (x, y)"),
        (pipeline({"a": X, "b": X}, Y, 2), None, {}, TypeError, "pairs (x, y)"),
    ],
)
def test_what_is_refused(x, y, options, error, words):
    options = {"n": 4, "rng": rng(), **options}
    with pytest.raises(error) as caught:
        sample_dataset(x, y, **options)
    message = str(caught.value)
    assert words in message and len(message.splitlines()) == 1


def test_a_data_set_of_keras_gives_the_sample_of_its_arrays():
    x, y = numbered(np.arange(60) % 3), np.arange(60) % 3

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 8

        def __getitem__(self, k):
            return x[8 * k : 8 * k + 8], y[8 * k : 8 * k + 8]

    found = sample_dataset(Batches(), None, 30, rng(2))
    expected = sample_dataset(pipeline(x, y, 8), None, 30, rng(2))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_what_may_never_end_is_refused_or_cut():
    def endless():
        k = 0
        while True:
            yield np.full(3, k, np.float32), k % 2
            k += 1

    with pytest.raises(TypeError, match="x is a generator, whose end is not known"):
        sample_dataset(endless(), None, 5, rng())
    spec = tf.TensorSpec((3,), tf.float32), tf.TensorSpec((), tf.int32)
    data = tf.data.Dataset.from_generator(endless, output_signature=spec)  # of unknown length
    x, y = sample_dataset(data, None, 5, rng())
    assert x.max() < 500 and len(y) == 5

    class Endless(keras.utils.PyDataset):
        def __getitem__(self, k):
            return np.zeros((2, 3)), np.array([0, 1])

        @property
        def num_batches(self):
            return None

    with pytest.raises(ValueError, match="infinite"):
        sample_dataset(Endless(), None, 5, rng())
