"""A small study on bundled digits."""

import pytest
from study_cases import TESTS, candidate


@pytest.fixture
def fields(tmp_path, monkeypatch):
    """Fields of a study with one candidate; its processes find the tests' candidates."""
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    return {
        "data": {"spec": "digits", "n_train": [130]},
        "candidates": [candidate("good")],
        "training": {"epochs": 4, "early_epochs": 3, "batch_size": 64},
        "probe": {"units": [8, 6]},
        "stage": "full",
        "output": str(tmp_path / "study"),
    }
