from __future__ import annotations

import pytest

from lbpneuro.simulate.cohort import simulate_cohort


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory):
    """A study of two people at the test resolution, made once."""
    folder = tmp_path_factory.mktemp("study")
    simulate_cohort(folder, participants=2, seed=4)
    return folder
