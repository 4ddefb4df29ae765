"""The networks of the 2016 paper: published values of beta_eff."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

import edgedyn as ed

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif("EDGEDYN_DATA" not in os.environ, reason="set EDGEDYN_DATA to the folder"),
]
MUTUALISTIC = "figure2/M_real_data/PLANT_POLLINATOR_Robertson_1929.mat"
GENES = "simulation_real/R_simulation_code/R_real_data/"


def stored(member, key):
    path = Path(os.environ["EDGEDYN_DATA"]) / "networks" / "NuRsE_gbb2016_real_networks.zip"
    with zipfile.ZipFile(path) as archive:
        return loadmat(io.BytesIO(archive.read(member)))[key]


@pytest.mark.parametrize(
    ("member", "key", "n", "published", "digits"),
    [
        (GENES + "TECB.mat", "A", 1550, 1.169, 3),
        (GENES + "TYB.mat", "A", 4441, 3.432, 3),
        (MUTUALISTIC, "B", 1428, 80.04, 2),
        (MUTUALISTIC, "A", 456, 65.45, 2),
    ],
)
def test_published_values(member, key, n, published, digits):
    r = ed.reduce(stored(member, key))
    assert r.n_nodes == n
    assert round(r.beta_eff, digits) == published
    np.testing.assert_allclose(
        r.mean_strength + r.symmetry * r.heterogeneity, r.beta_eff, rtol=1e-12
    )


def test_the_bees_are_far_beyond_their_tipping_point():
    A = stored(MUTUALISTIC, "B")
    system = ed.reduction.mutualistic()
    r = ed.reduce(A)
    assert r.beta_eff > 10 * system.critical_beta()
    full = ed.reduction.steady_state(A, system, "low")
    assert full.status == "converged"
    predicted = ed.reduction.steady_state_1d(r.beta_eff, system, "low")
    np.testing.assert_allclose(r.x_eff(full.x), predicted, rtol=0.15)
