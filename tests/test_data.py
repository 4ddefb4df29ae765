"""Reading the user's tables: what is accepted, and one clear sentence for what is not."""

import numpy as np
import pytest

from edgedyn._data import digits, load_table, standardise

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((12, 3)) * 5 + 2, np.arange(12) % 3


def write_npz(folder, **arrays):
    path = folder / "table.npz"
    np.savez(path, **arrays)
    return str(path)


def write_csv(folder, text):
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def csv_text(header=""):
    rows = [",".join(map(repr, [*map(float, x), int(y)])) for x, y in zip(X, Y, strict=True)]
    return header + "\n".join(rows) + "\n"


def test_digits():
    samples, labels = load_table("digits")
    assert samples.shape == (1797, 64)
    assert labels.dtype == np.int64
    assert (samples.min(), samples.max()) == (0.0, 1.0)
    assert np.array_equal(np.unique(labels), np.arange(10))
    np.testing.assert_array_equal(samples, digits()[0])


def test_npz_is_standardised_and_its_labels_numbered(tmp_path):
    samples, labels = load_table(write_npz(tmp_path, X=X, y=Y * 10 - 7))
    np.testing.assert_allclose(samples, (X - X.mean(axis=0)) / X.std(axis=0))
    np.testing.assert_array_equal(labels, Y)


def test_npz_may_hold_other_things_that_are_not_read(tmp_path):
    samples, _ = load_table(write_npz(tmp_path, X=X, y=Y, notes=np.array([{}], object)))
    assert samples.shape == X.shape


def test_npz_images_become_rows(tmp_path):
    samples, _ = load_table(write_npz(tmp_path, X=np.arange(48.0).reshape(12, 2, 2), y=Y))
    assert samples.shape == (12, 4)


@pytest.mark.parametrize("header", ["", "a,b,c,label\n"])
def test_csv_with_and_without_header(tmp_path, header):
    samples, labels = load_table(write_csv(tmp_path, csv_text(header)))
    np.testing.assert_allclose(samples, standardise(X), rtol=1e-12)
    np.testing.assert_array_equal(labels, Y)


def test_constant_columns_become_zero(tmp_path):
    constant = X.copy()
    constant[:, 1] = 7.0
    samples, _ = load_table(write_npz(tmp_path, X=constant, y=Y))
    assert (samples[:, 1] == 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(tmp_path, value):
    broken = X.copy()
    broken[3, 2] = value
    with pytest.raises(ValueError, match="at sample 3, feature 2; all values must be finite"):
        load_table(write_npz(tmp_path, X=broken, y=Y))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"X": X, "y": Y * 0}, "one class only"),
        ({"X": X, "y": Y[:5]}, r"y must have shape \(12,\)"),
        ({"X": X, "y": Y + 0.5}, "labels must be integers"),
        ({"X": X, "y": np.where(Y == 0, np.nan, Y)}, "labels must be integers"),
        ({"X": X, "y": Y.astype(complex)}, "labels must be integers or text; got complex"),
        ({"X": X.astype(str), "y": Y}, "X must hold real numbers"),
        ({"X": X[:0], "y": Y[:0]}, "X is empty"),
        ({"X": X[:, 0], "y": Y}, "X must have shape"),
        ({"X": X}, "holds X; it must hold X and y"),
        ({"data": X}, "holds data; it must hold X and y"),
        ({}, "holds nothing; it must hold X and y"),
        ({"X": np.array([{}], object), "y": Y}, "could not be read as a .npz file of plain"),
    ],
)
def test_bad_npz(tmp_path, arrays, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_table(write_npz(tmp_path, **arrays))


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 torn"])
def test_damaged_npz(tmp_path, content):
    path = tmp_path / "table.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="could not be read as a .npz file"):
        load_table(str(path))


def test_torn_npz(tmp_path):
    path = tmp_path / "table.npz"
    np.savez_compressed(path, X=X, y=Y)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="could not be read as a .npz file"):
        load_table(str(path))
    path.write_bytes(whole[:60] + bytes(40) + whole[100:])
    with pytest.raises(ValueError, match="could not be read as a .npz file"):
        load_table(str(path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,2,0\n3,cat,1\n", "row 2, column 2 holds 'cat'; all entries but the label"),
        ("a,b,label\n1,2,0\n3,cat,1\n", "row 3, column 2 holds 'cat'"),
        ("1,2,a\n3,4,5\n", "all numbers or all text; row 2 has '5', others have text such as 'a'"),
        ("1,2,a\n3,4,\n", "all numbers or all text; row 2 has none"),
        ("1,x,a\n3,4,b\n", "row 1, column 2 holds 'x'"),
        ("1,2,0\n3,,1\n", "X contains nan at sample 1, feature 1"),
        ("1,2,0\n3,4,\n", "labels must be integers"),
        ("1,2,0\n3,4,0\n", "one class only"),
        ("1,2,0\n3,4,0.5\n", "labels must be integers"),
        ("1\n2\n", "at least one feature and a label"),
        ("a,b\n", "at least one feature and a label"),
        ("", "could not be read as csv"),
        ("1,2,0\n3,4,5,6,7\n", "could not be read as csv"),
    ],
)
def test_bad_csv(tmp_path, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_table(write_csv(tmp_path, text))


def test_csv_that_is_no_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xff\xfe\x00\x81,\xff\n")
    with pytest.raises(ValueError, match="could not be read as csv"):
        load_table(str(path))


def test_missing_file_and_unknown_kinds(tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        load_table(str(tmp_path / "nowhere.npz"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match="there is no file"):
        load_table(str(tmp_path / "folder.csv"))
    for spec in ("table.xlsx", "iris", ""):
        with pytest.raises(ValueError, match=r"must be 'digits', a \.npz or a \.csv file"):
            load_table(spec)


# Header lines and labels in words -----------------------------------------------------------------

WORDS = "1.5,2,setosa\n3,4,virginica\n5,7,setosa\n"


@pytest.mark.parametrize(
    "header", ["", "a,b,species\n", "0,1,species\n", "1,2,species\n", ",b,c\n"]
)
def test_labels_may_be_words(header, tmp_path):
    samples, labels = load_table(write_csv(tmp_path, header + WORDS))
    np.testing.assert_allclose(samples, standardise(np.array([[1.5, 2], [3, 4], [5, 7]])))
    assert labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("0,1,a\n2,3,b\n4,4,a\n", 3),  # counts the columns, but ends in no word for labels
        ("1,2,label\n2,3,b\n4,4,label\n", 3),  # whose label is another row's, too
        ("0,2,a\n2,3,b\n4,4,b\n", 3),  # counts nothing
        ("0,a\n1,b\n2,b\n", 3),  # a single feature that happens to be 0
        ("0,label\n1,7\n2,8\n", 2),  # its column counted, and no label
        ("0,1,2\n2,3,4\n4,4,2\n", 3),  # numbers alone
        ("a,b\n1,x\n2,y\n", 2),
        ("\n1,2,x\n\n3,4,y\n", 2),  # blank lines are none
        ("\ufeffa,b,c\n1,2,x\n3,4,y\n", 2),  # as some editors begin a file
    ],
)
def test_no_sample_is_taken_for_a_header_and_no_header_for_a_sample(text, n, tmp_path):
    samples, labels = load_table(write_csv(tmp_path, text))
    assert len(samples) == len(labels) == n


def test_an_empty_first_row_is_no_header(tmp_path):
    with pytest.raises(ValueError, match="X contains nan at sample 0"):
        load_table(write_csv(tmp_path, ",,0\n1,2,0\n3,4,1\n"))


def test_npz_labels_may_be_words(tmp_path):
    _, labels = load_table(write_npz(tmp_path, X=X, y=np.array(["b", "a", "c"])[Y]))
    np.testing.assert_array_equal(labels, np.array([1, 0, 2])[Y])
