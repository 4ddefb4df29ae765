"""A small study on bundled digits."""

import pytest
from study_cases import TESTS, study_fields


@pytest.fixture
def fields(tmp_path, monkeypatch):
    """Fields of a study with one candidate; its processes find the tests' candidates."""
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    return study_fields(tmp_path / "study")
