"""Region means and coverage."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.kernels.labels import region_means, usable_voxels
from tests.oracles.functional import slow_region_means


def test_by_hand():
    # three voxels, two volumes; second region shares the middle voxel and weighs it double
    series = np.array([[1.0, 2, 6], [3, 6, 10]])
    weights = np.array([[1.0, 1, 0], [0, 2, 1]])
    means, coverage = region_means(series, weights=weights)
    assert means == pytest.approx(np.array([[1.5, 10 / 3], [4.5, 22 / 3]]))
    assert coverage == pytest.approx([1, 1])


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_loops(seed):
    rng = np.random.default_rng(seed)
    series = 1000 + rng.standard_normal((6, 15))
    weights = rng.random((4, 15)) * (rng.random((4, 15)) > 0.6)
    series[2, 3], series[:, 5] = np.nan, 7.0
    means, coverage = region_means(series, weights=weights)
    expected_means, expected_coverage = slow_region_means(series, weights)
    np.testing.assert_allclose(means, expected_means, rtol=1e-12)
    np.testing.assert_allclose(coverage, expected_coverage, rtol=1e-12)


def test_coverage_counts_what_lies_beyond_the_data():
    _, coverage = region_means(np.array([[1.0, 2], [2, 3]]), weights=np.array([[1.0, 1.0]]), whole=[8.0])
    assert coverage == pytest.approx([0.25])


def test_nan_stays_local_and_regions_swap_with_their_rows(rng):
    series = rng.standard_normal((10, 8)).astype(np.float32)
    weights = np.kron(np.eye(4), np.ones(2))
    for array in (series, weights):
        array.setflags(write=False)
    expected, _ = region_means(series, weights=weights)
    spoilt = series.copy()
    spoilt[:, :2] = np.nan
    found, coverage = region_means(spoilt, weights=weights)
    assert np.isnan(found[:, 0]).all()
    assert coverage.tolist() == [0, 1, 1, 1]
    np.testing.assert_array_equal(found[:, 1:], expected[:, 1:])
    np.testing.assert_array_equal(region_means(series, weights=weights[::-1])[0], expected[:, ::-1])
    assert found.dtype == np.float64


def test_shift_in_float32(rng):
    series = rng.standard_normal((50, 30)).astype(np.float32)
    weights = rng.random((2, 30))
    shifted = series + np.float32(1e4)
    low, _ = region_means(shifted - np.float32(1e4), weights=weights)
    high, _ = region_means(shifted, weights=weights)
    np.testing.assert_allclose(high - 1e4, low, atol=1e-10)


def test_usable_voxels():
    series = np.array([[1.0, 1, np.nan, np.inf, 0], [2, 1, 2, 2, 0]])
    assert usable_voxels(series).tolist() == [True, False, False, False, False]


def test_weights_must_fit():
    with pytest.raises(InputError, match="`weights` must have 3 entries along axis 1"):
        region_means(np.ones((2, 3)), weights=np.ones((1, 4)))
