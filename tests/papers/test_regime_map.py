"""The regime map of papers/jiang2024: its vectorised pieces beside scipy and the regressor."""

import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

import edgedyn as ed
from edgedyn.mlp import ReLUMLP

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def paper():
    """Return the modules that are looked into."""
    from papers.jiang2024.judging import bootstrap
    from papers.jiang2024.regime import candidates as regime_candidates
    from papers.jiang2024.regime import cells as regime_cells
    from papers.jiang2024.regime import lines as regime_lines
    from papers.jiang2024.regime import map as regime_map
    from papers.jiang2024.regime import page as regime_page
    from papers.jiang2024.regime import runs as regime_runs

    return SimpleNamespace(
        bootstrap=bootstrap,
        candidates=regime_candidates,
        cells=regime_cells,
        lines=regime_lines,
        map=regime_map,
        page=regime_page,
        runs=regime_runs,
    )


# Lines and ranks --------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [3, 5, 10])
@pytest.mark.parametrize("noise", [0.003, 0.03])
def test_lines_agree_with_the_regressor(paper, K, noise):
    rng = np.random.default_rng(K)
    beta = np.sort(rng.uniform(0.05, 1, (80, K)))[:, ::-1].copy()
    true = rng.uniform(0.5, 0.9, (80, 1)) - rng.uniform(-0.1, 0.4, (80, 1)) * beta
    accuracy = (true + rng.normal(0, noise, beta.shape)).clip(0, 1)
    beta[0], accuracy[1] = 0.3, 0.7  # nothing to learn a slope from
    expected = [
        ed.NeuralCapacitanceRegressor(n_validation=200).fit(x[:, None], y).final_
        for x, y in zip(beta, accuracy, strict=True)
    ]
    found = paper.lines.lines(beta[:, None], accuracy[:, None], 200)[:, 0]
    # The difference is what scikit-learn's priors leave of slopes lost in the noise.
    assert np.abs(found - expected).max() < 0.003
    assert np.median(np.abs(found - expected)) < 1e-5


def test_a_straight_line_is_read_off_exactly_and_nan_stays(paper):
    beta = np.array([[0.5, 0.4, 0.3, 0.1], [0.5, np.nan, 0.3, 0.1]])
    found = paper.lines.lines(beta, 0.8 - 0.4 * np.nan_to_num(beta), 100)
    assert found[0] == pytest.approx(0.8, abs=1e-12)
    assert np.isnan(found[1])


def test_rank_correlations_are_scipys_on_repeated_values(paper):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, (3, 9)).astype(float), rng.normal(size=(3, 9))
    weights = rng.multinomial(9, np.full(9, 1 / 9), size=4)
    ours = paper.lines.rank_correlation(
        *(paper.lines.mean_ranks(v, weights[:, None]) for v in (x, y)), weights[:, None]
    )
    for d, g in np.ndindex(4, 3):
        pairs = [np.repeat(v[g], weights[d]) for v in (x, y)]
        assert ours[d, g] == pytest.approx(spearmanr(*pairs).statistic, abs=1e-5)
        theirs = paper.bootstrap.weighted_rho(x[g], y[g], weights[d : d + 1])[0]
        assert ours[d, g] == pytest.approx(theirs, abs=1e-5)


def test_a_constant_side_has_no_rank_correlation(paper):
    ones = np.ones((1, 5))
    ranks = paper.lines.mean_ranks(np.arange(5.0)[None], ones)
    flat = paper.lines.mean_ranks(ones, ones)
    assert np.isnan(paper.lines.rank_correlation(ranks, flat, ones)).all()


def test_partial_correlation_is_that_of_residuals(paper):
    z, noise = np.random.default_rng(1).normal(size=(2, 30))
    x, y = z + noise, z - 0.5 * noise + np.arange(30) / 20
    a, b, c = (rankdata(v) - 15.5 for v in (x, y, z))
    left = [v - c * (v @ c) / (c @ c) for v in (a, b)]
    rho = {
        k: spearmanr(*v).statistic for k, v in {"xy": (x, y), "xz": (x, z), "yz": (y, z)}.items()
    }
    found = paper.lines.partial(*(np.array(rho[k]) for k in ("xy", "xz", "yz")))
    assert found == pytest.approx(np.corrcoef(*left)[0, 1], abs=1e-12)
    assert np.isnan(paper.lines.partial(np.array(1.0), np.array(1.0), np.array(0.5)))


# Draws and cells --------------------------------------------------------------------------------


def test_seeds_drawn_are_cut_into_groups(paper):
    drawn = paper.cells.Draws({}, np.array([[0, 1, 2, 3], [2, 2, 0, 1]]))
    shares = drawn.groups(2)
    assert shares[1].tolist() == [[0, 0, 1, 0], [0.5, 0.5, 0, 0]]
    values = np.arange(8.0).reshape(2, 4)  # two candidates
    assert paper.cells.averaged(values, shares)[1].tolist() == [[2, 6], [0.5, 4.5]]
    assert drawn.groups(4)[0].tolist() == [[0.25] * 4]


def test_lagging_is_a_moving_average_from_chance(paper):
    found = paper.cells.lagging(np.array([[0.5, 0.9]]), 0.7, 0.1)
    assert found[0] == pytest.approx([0.7 * 0.1 + 0.3 * 0.5, 0.7 * 0.22 + 0.3 * 0.9])
    assert paper.cells.lagging(np.array([[0.5, 0.9]]), 0.0, 0.1).tolist() == [[0.5, 0.9]]


@pytest.fixture
def digits_alone(paper, monkeypatch):
    """Leave the one task that needs no data from outside."""
    for name in ("fashion", "cifar10"):
        monkeypatch.delitem(paper.candidates.TASKS, name)


def invented(paper, n_seeds):
    """Return runs whose line is exact and whose last value ranks backwards."""
    n = len(paper.candidates.CANDIDATES)
    shape = (len(paper.candidates.TASKS), 2, 2, n, n_seeds)
    rng = np.random.default_rng(0)
    truth = np.broadcast_to(np.linspace(0.6, 0.9, n)[:, None], shape)
    beta = np.linspace(1, 0.5, 10) + 0.002 * rng.uniform(size=(*shape, 1))
    slope = np.broadcast_to(np.linspace(0.1, 0.9, n)[:, None, None], (*shape, 1))
    accuracy = truth[..., None] - slope * beta
    return {
        "beta": beta,
        "accuracy": np.repeat(accuracy[..., None, :], 3, axis=-2),
        "loss": beta,
        "test_early": truth,
        "test_late": truth,
    }


def test_an_exact_line_is_ahead_in_every_cell_of_the_wide_pool(paper, digits_alone):
    drawn = paper.cells.draw(5, n=50)
    rows = paper.cells.cells(invented(paper, 5), ["digits"], drawn)
    exact = [r for r in rows if r["lag"] == 0 and r["pool"] == "wide"]
    assert len(rows) == 2 * 2 * 3 * 2 * 2 * 3 * 3 * 2  # repeats of 20 do not fit five seeds
    for row in exact:
        assert row["rho_line"] == pytest.approx(1)
        assert row["rho_last"] == pytest.approx(-1)
        assert row["mae_line"] == pytest.approx(0, abs=1e-9)
        assert paper.cells.verdict(row, "lead") == paper.cells.verdict(row, "gain") == 1


def test_the_ranking_by_beta_is_judged_as_scipy_does(paper, digits_alone):
    runs = invented(paper, 5)
    rows = paper.cells.by_beta(runs, paper.cells.draw(5, n=3))
    row = next(r for r in rows if r["pool"] == "all" and r["repeats"] == 5 and r["observed"] == 10)
    rho = [
        spearmanr(-one[0, 0, :, :, 9].mean(axis=1), np.arange(one.shape[2])).statistic
        for one in runs["beta"]
    ]
    assert row["beta"] == pytest.approx(np.mean(rho), abs=1e-5)
    assert row["lead"] == pytest.approx(row["beta"] - row["last"])
    width = paper.cells.sizes()["width"]
    assert row["width"] == pytest.approx(
        spearmanr(width, np.arange(len(width))).statistic, abs=1e-5
    )


def test_what_is_left_with_the_width_held_is_said_plainly(paper):
    said = paper.page._only_width
    assert "no ranking" in said(12, 12, 0.1, 0.1) and "hides" in said(12, 9, 0.1, 0.5)
    assert said(12, 0, 0.8, 0.1).endswith("**the width**")
    assert said(12, 12, 0.8, 0.5).endswith("**in part** with the width")
    assert said(12, 12, 0.8, 0.8).endswith("little away")
    assert said(12, 2, 0.8, 0.8).endswith("not sure")


# Data and runs ----------------------------------------------------------------------------------


def test_data_are_read_and_missing_ones_named(paper, tmp_path, monkeypatch):
    monkeypatch.delenv("EDGEDYN_DATA", raising=False)
    with pytest.raises(ValueError, match="EDGEDYN_DATA is not set"):
        paper.candidates.folder()
    monkeypatch.setenv("EDGEDYN_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="no images/fashion.*no images/cifar10"):
        paper.candidates.folder()
    (tmp_path / "images").mkdir()
    head = ",".join([*(f"V{k}" for k in range(784)), "y"])
    with zipfile.ZipFile(tmp_path / paper.candidates.FILES["fashion"], "w") as archive:
        for part in ("test", "train"):
            row = ",".join(["16"] * 784 + ["7"])
            archive.writestr(f"{part}.csv", "\n".join([head, row, row]))
    with pytest.raises(ValueError, match="no images/cifar10.npz"):
        paper.candidates.folder()
    color = np.zeros((2, 32, 32, 3), np.uint8)
    color[..., 1] = 100
    np.savez(tmp_path / paper.candidates.FILES["cifar10"], x_train=color, x_test=color,
             y_train=[[1], [2]], y_test=[[3], [4]])  # fmt: skip
    X, y = paper.candidates._fashion()
    assert X.shape == (4, 64)
    assert X[0, 0] == 4 and X[0, 27] == 16 and set(y) == {7}  # a corner is padded by half twice
    X, y = paper.candidates._cifar10()
    assert np.allclose(X, 58.7) and y.tolist() == [1, 2, 3, 4]


def test_starts_do_what_they_are_called(paper):
    X = np.random.default_rng(0).normal(size=(50, 64))
    for name, start in paper.candidates.STARTS.items():
        net = ReLUMLP.random([64, 32, 5], seed=0)
        before = net.weights[0].copy()
        start(net, X, np.random.default_rng(0))
        W = net.weights[0]
        if name == "he":
            assert (W == before).all()
        elif name == "components":
            assert np.allclose(W @ W.T, 2 * np.kron([[1, -1], [-1, 1]], np.eye(16)))
        elif name == "patches":
            assert ((W != 0).sum(axis=1) == 16).all()
        else:
            assert np.allclose(W, before * {"small": 0.2, "large": 3.0}[name])


def test_a_run_is_observed_and_a_frozen_probe_stays(paper, monkeypatch):
    monkeypatch.setattr(paper.runs, "LATEST", 25)
    parts = paper.candidates.split("digits", 0)
    assert [len(y) for _, y in parts] == [100, 400, 396]
    layers = paper.candidates.backbone("16 none", "digits", 0, parts[0][0])
    found = paper.runs.run(layers, parts, "trained", 4e-3, 16, 0)
    assert found["epochs"] == 20 and found["interpolated"] == 1
    assert np.isfinite(found["beta"]).all()
    assert found["accuracy"][2, 9] * 400 == pytest.approx(round(found["accuracy"][2, 9] * 400))
    frozen = paper.runs.run(layers, parts, "frozen", 8e-4, 16, 0)
    assert frozen["epochs"] == 25 and frozen["interpolated"] == 0
    assert frozen["loss"][9] > found["loss"][9]


@pytest.fixture
def few(paper, monkeypatch):
    """Leave three candidates a pool."""
    for pool in paper.candidates.POOLS.values():
        for name in list(pool)[3:]:
            monkeypatch.delitem(pool, name)
            for where in (paper.candidates.CANDIDATES, paper.candidates.SCRATCH):
                monkeypatch.delitem(where, name, raising=False)


def test_the_command_end_to_end_and_again(paper, digits_alone, few, tmp_path, monkeypatch, capsys):
    digits = paper.candidates.TASKS["digits"]
    source = ("digits", paper.candidates.TEN[:5])
    small = paper.candidates.Task(source, digits.source, digits.target, 100, 400, 50)
    monkeypatch.setitem(paper.candidates.TASKS, "digits", small)
    monkeypatch.setattr(paper.runs, "EARLY", 10)
    monkeypatch.setattr(paper.runs, "LATEST", 11)
    monkeypatch.setattr(paper.cells, "LAGS", (0.7,))
    monkeypatch.setattr(paper.map, "folder", lambda: None)
    arguments = ["--tasks", "digits", "--seeds", "2", "--draws", "20", "--home", str(tmp_path)]
    assert paper.map.main(arguments) == 0
    first = capsys.readouterr().out
    assert "digits/0: " in first and "digits/1: " in first
    result = json.loads((tmp_path / "results" / "regime_map.json").read_text("utf-8"))
    assert result["runs"] == 2 * 4 * 9 and result["seed"] == 0 and result["environment"]["date"]
    assert result["lines"]["curves"] == 200 and result["lines"]["largest"] < 0.05
    cells = (tmp_path / "results" / "regime_cells.csv").read_text("utf-8").splitlines()
    assert len(cells) == 1 + result["cells"]["cells"] == 1 + 2 * 2 * 3 * 3 * 3 * 2
    for name in ("regime_map.png", "regime_beta.png"):
        assert (tmp_path / "figures" / name).read_bytes()[:4] == b"\x89PNG"
    assert "no batch norm" in (tmp_path / "regime_map.md").read_text("utf-8")
    for drawing in ("regime_figure", "beta_figure"):
        monkeypatch.setattr(paper.map, drawing, lambda *given: None)
    assert paper.map.main(arguments) == 0  # trains nothing again, and finds the same
    assert "digits/0: " not in capsys.readouterr().out
    assert (tmp_path / "results" / "regime_cells.csv").read_text("utf-8").splitlines() == cells
    monkeypatch.setattr(paper.runs, "LATEST", 12)
    assert paper.map.main(arguments) == 2
    assert "runs of other settings" in capsys.readouterr().err
    assert paper.map.main(["--seeds", "0"]) == 2
