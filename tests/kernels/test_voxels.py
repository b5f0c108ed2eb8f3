"""The order of the voxels of a mask."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.kernels.voxels import as_volume, columns_of, in_mask, places_in_file, voxels_of


@pytest.fixture
def mask(rng):
    return rng.random((3, 4, 5)) < 0.6


def test_two_voxels_by_hand():
    """The first axis runs fastest: (1, 0, 0) comes before (0, 1, 0)."""
    mask = np.zeros((2, 2, 1), dtype=bool)
    mask[1, 0, 0] = mask[0, 1, 0] = True
    assert voxels_of(mask).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert places_in_file(mask).tolist() == [1, 2]
    assert columns_of(mask)[..., 0].tolist() == [[-1, 1], [0, -1]]
    assert in_mask(np.array([[[10], [20]], [[30], [40]]]), mask).tolist() == [30, 20]


def test_all_ways_agree_on_the_order(rng, mask):
    volume = rng.standard_normal(mask.shape)
    values = in_mask(volume, mask)
    np.testing.assert_array_equal(values, volume[tuple(voxels_of(mask).T)])
    np.testing.assert_array_equal(values, volume.ravel(order="F")[places_in_file(mask)])
    np.testing.assert_array_equal(values[columns_of(mask)[mask]], volume[mask])
    np.testing.assert_array_equal(as_volume(values, mask), np.where(mask, volume, 0))
    outside = as_volume(values.astype(np.float32), mask, outside=np.nan)
    assert np.isnan(outside[~mask]).all()
    assert outside.dtype == np.float32
    assert outside.flags.f_contiguous
