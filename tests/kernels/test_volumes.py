"""Volumes, regional volumes and coverage."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.kernels.volumes import (
    coverage,
    ratio_se,
    regional_mean,
    regional_volume,
    segmented,
    tissue_volume,
    without_background,
)
from tests.oracles import structural as oracle

VOXEL_MM3 = 8.0


@pytest.fixture
def labels():
    """A 4 x 4 x 4 atlas with ids beyond 8 bits: each of four slabs has one id."""
    atlas = np.empty((4, 4, 4), dtype=np.uint16)
    for slab, number in enumerate((3, 127, 128, 300)):
        atlas[slab] = number
    return atlas


def test_tissue_volume_counted_by_hand():
    gm = np.zeros((4, 4, 4), dtype=np.float32)
    gm[0] = 1.0
    gm[1, 0] = 0.5
    # 16 whole and 4 half voxels of 8 mm3
    assert tissue_volume(gm, voxel_mm3=VOXEL_MM3) == pytest.approx(0.144)


def test_regional_volume_counted_by_hand(labels):
    gm = np.zeros(labels.shape)
    gm[0], gm[1], gm[2], gm[3] = 1.0, 0.5, 0.25, 0.0
    volumes = {n: float(regional_volume(gm, labels == n, voxel_mm3=VOXEL_MM3)) for n in (3, 127, 128, 300, 999)}
    assert volumes == {3: 0.128, 127: 0.064, 128: 0.032, 300: 0.0, 999: 0.0}


def test_coverage_counted_by_hand(labels):
    inside = np.zeros(labels.shape, dtype=bool)
    inside[0], inside[1, :3], inside[2, :2], inside[3, :1] = True, True, True, True
    shares = [float(coverage((labels == n).astype(float), inside)) for n in (3, 127, 128, 300)]
    assert shares == [1.0, 0.75, 0.5, 0.25]


def test_absent_label_has_no_coverage(labels):
    assert np.isnan(coverage((labels == 999).astype(float), np.ones(labels.shape, dtype=bool)))


@pytest.mark.parametrize("seed", range(20))
def test_agreement_with_the_slow_loops(seed):
    rng = np.random.default_rng(seed)
    gm, weights = rng.random((2, 3, 4, 5)) * (rng.random((2, 3, 4, 5)) > 0.3)
    inside = rng.random((3, 4, 5)) > 0.4
    expected = oracle.regional_volume(gm, weights, voxel_mm3=VOXEL_MM3)
    assert regional_volume(gm, weights, voxel_mm3=VOXEL_MM3) == pytest.approx(expected, rel=1e-12)
    assert coverage(weights, inside) == pytest.approx(oracle.coverage(weights, inside), rel=1e-12)


def test_leading_axes_are_free(rng):
    maps = rng.random((5, 3, 4, 5))
    weights = rng.random((3, 4, 5))
    together = regional_volume(maps, weights, voxel_mm3=VOXEL_MM3)
    alone = [float(regional_volume(one, weights, voxel_mm3=VOXEL_MM3)) for one in maps]
    assert together.shape == (5,)
    assert together == pytest.approx(alone)
    assert tissue_volume(maps, voxel_mm3=VOXEL_MM3).shape == (5,)


def test_nan_stays_local(rng, labels):
    gm = rng.random(labels.shape)
    clean = [float(regional_volume(gm, labels == n, voxel_mm3=VOXEL_MM3)) for n in (3, 127, 128, 300)]
    gm[1, 2, 2] = np.nan
    spoilt = [float(regional_volume(gm, labels == n, voxel_mm3=VOXEL_MM3)) for n in (3, 127, 128, 300)]
    assert np.isnan(spoilt[1])
    assert [spoilt[i] for i in (0, 2, 3)] == [clean[i] for i in (0, 2, 3)]
    maps = np.stack([rng.random(labels.shape), gm])
    assert np.isnan(tissue_volume(maps, voxel_mm3=VOXEL_MM3)).tolist() == [False, True]


def test_inputs_are_only_read(rng):
    gm, weights = rng.random((2, 3, 4, 5))
    inside = rng.random((3, 4, 5)) > 0.5
    for array in (gm, weights, inside):
        array.setflags(write=False)
    first = regional_volume(gm, weights, voxel_mm3=1.0), coverage(weights, inside)
    assert (regional_volume(gm, weights, voxel_mm3=1.0), coverage(weights, inside)) == first
    without_background(gm, inside)
    segmented(gm=gm, wm=gm, csf=gm)


def test_single_precision_maps_lose_no_digits():
    gm = np.full((200, 200, 100), 0.1, dtype=np.float32)
    assert tissue_volume(gm, voxel_mm3=1.0) == pytest.approx(float(np.float32(0.1)) * 4000, rel=1e-12)
    assert tissue_volume(gm, voxel_mm3=1.0).dtype == np.float64


def test_volume_scales_with_the_voxel(rng):
    gm = rng.random((3, 4, 5))
    assert tissue_volume(gm, voxel_mm3=3.0) == pytest.approx(3 * tissue_volume(gm, voxel_mm3=1.0))


def test_segmented_where_the_tissues_add_up():
    gm, wm, csf = np.array([[[0.2, 0.2, 0.1]], [[0.2, 0.2, 0.1]], [[0.2, 0.1, 0.1]]])[:, None]
    assert segmented(gm=gm, wm=wm, csf=csf).ravel().tolist() == [True, False, False]


def test_background_nan_become_zero_and_inner_nan_stay():
    gm = np.array([[[np.nan, np.nan, 0.5]]], dtype=np.float32)
    background = np.array([[[True, False, True]]])
    found = without_background(gm, background)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([[[0.0, np.nan, 0.5]]], dtype=np.float32))


def test_ratio_se_is_the_spread_of_the_ratio():
    rng = np.random.default_rng(1)
    volume = 12 * (1 + 0.02 * rng.standard_normal(200_000))
    total = 1500 * (1 + 0.005 * rng.standard_normal(200_000))
    spread = np.std(volume / total * 1000, ddof=1)
    assert ratio_se(8.0, numerator_cv=0.02, denominator_cv=0.005) == pytest.approx(spread, rel=0.01)
    assert ratio_se(-8.0, numerator_cv=0.03, denominator_cv=0.04) == pytest.approx(0.4)


def test_regional_mean_counted_by_hand(labels):
    gm = np.zeros(labels.shape)
    gm[0, :2], gm[1] = 1.0, 0.25
    weights = (labels == 3) + 0.5 * (labels == 127)
    # 8 of 16 voxels are gray; 16 half voxels of a quarter
    assert regional_mean(gm, weights) == pytest.approx((8 + 8 * 0.25) / 24)
    assert np.isnan(regional_mean(gm, weights * 0))
    assert np.isnan(regional_mean(np.full(labels.shape, np.nan), weights))


def test_regional_mean_is_that_of_numpy(rng):
    gm, weights = rng.random((2, 3, 4, 5, 6)).astype(np.float32)
    expected = [np.average(one, weights=weight) for one, weight in zip(gm, weights, strict=True)]
    np.testing.assert_allclose(regional_mean(gm, weights), expected, rtol=1e-6)
