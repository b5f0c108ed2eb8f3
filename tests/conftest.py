"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20210709)


@pytest.fixture(scope="session")
def real_data():
    """Return the folder of a real data set that lies beside the checkout, or skip the test."""

    def folder(name: str) -> Path:
        path = REAL_DATA / name
        if not path.exists():
            pytest.skip(f"the real data set {name} is not beside this checkout")
        return path

    return folder
