"""Change of one person against measurement error: counted by hand, and how often chance alone looks like change."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.kernels.reliable_change import (
    change_classes,
    cutoff_between,
    minimal_detectable_change,
    reliable_change_index,
    standard_error_of_measurement,
)


def test_pain_from_six_to_three() -> None:
    sem = standard_error_of_measurement(sd=1.6, reliability=0.8)
    assert float(reliable_change_index(6, 3, sem=sem)) == pytest.approx(-2.965, abs=5e-4)
    assert float(minimal_detectable_change(sem)) == pytest.approx(1.983, abs=5e-4)


def test_classes_by_hand() -> None:
    """With an error of 1 a change above 2.77 is reliable; 3 and below counts as well."""
    before = [8.0, 8, 8, 4, 4, 3, np.nan]
    after = [3.0, 4, 6, 7, 1, 0, 2]
    found = change_classes(before, after, sem=1.0, lower_is_better=True, cutoff=3)
    assert found.tolist() == [
        "recovered", "improved", "unchanged", "deteriorated", "recovered", "improved", "unknown",
    ]  # fmt: skip
    assert change_classes(before, after, sem=1.0, lower_is_better=True)[0] == "improved", "no cut-off, no recovery"


def test_direction_mirrors_the_classes() -> None:
    before, after = np.array([8.0, 4, 5]), np.array([2.0, 8, 5.5])
    down = change_classes(before, after, sem=1.0, lower_is_better=True, cutoff=3)
    up = change_classes(-before, -after, sem=1.0, lower_is_better=False, cutoff=-3)
    assert down.tolist() == up.tolist() == ["recovered", "deteriorated", "unchanged"]


def test_error_alone_looks_like_change_in_five_percent() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(0, 2, 200_000)
    before, after = (true + rng.normal(0, 1.5, true.size) for _ in range(2))
    sem = standard_error_of_measurement(sd=2.5, reliability=4 / 6.25)
    assert float(sem) == pytest.approx(1.5)
    found = change_classes(before, after, sem=float(sem), lower_is_better=True)
    assert np.mean(found != "unchanged") == pytest.approx(0.05, abs=0.002)


def test_a_measurement_without_error_has_no_index() -> None:
    assert np.isnan(reliable_change_index(6, 3, sem=0.0))
    assert change_classes([6.0], [3.0], sem=0.0, lower_is_better=True).tolist() == ["unknown"]


def test_cutoff_halfway_in_standard_deviations() -> None:
    """(1 x 6 + 2 x 0) / 3: two deviations of 2 below the ill, two of 1 above the well."""
    assert cutoff_between(mean=(6, 0), sd=(2, 1)) == pytest.approx(2)


def test_impossible_errors_are_named() -> None:
    with pytest.raises(InputError, match="`sd` must be above 0"):
        standard_error_of_measurement(sd=0, reliability=0.8)
    with pytest.raises(InputError, match="`reliability` is an intraclass correlation"):
        standard_error_of_measurement(sd=1, reliability=1.2)
    with pytest.raises(InputError, match="level"):
        minimal_detectable_change(1.0, level=95)
    with pytest.raises(InputError, match="both groups"):
        cutoff_between(mean=(1, 2), sd=(0, 1))
