"""Smoothing inside a mask against its definition, scipy, and its own linearity."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lbpneuro.kernels.nuisance import project, residual_basis
from lbpneuro.kernels.smoothing import CHUNK, FWHM_PER_SD, smooth_in_mask
from lbpneuro.kernels.voxels import as_volume, in_mask, voxels_of


@pytest.fixture
def mask(rng):
    found = np.zeros((9, 11, 8), dtype=bool)
    found[1:-1, 2:-1, 1:-2] = True
    return found & (rng.random(found.shape) > 0.15)


def test_agrees_with_scipy(rng, mask):
    values = rng.standard_normal((3, mask.sum()))
    fwhm = (3.0, 2.0, 4.0)
    found = smooth_in_mask(values, mask=mask, fwhm_voxels=fwhm)
    options = {"sigma": np.array(fwhm) / FWHM_PER_SD, "mode": "constant"}
    for image, one in zip(values, found, strict=True):
        volume = as_volume(image, mask)
        expected = ndimage.gaussian_filter(volume, **options) / ndimage.gaussian_filter(mask.astype(float), **options)
        np.testing.assert_allclose(one, in_mask(expected, mask), atol=1e-12)


def test_two_voxels_by_hand():
    """Two neighbours, FWHM of 2 voxels: the weight of the other is 2^-1, so x becomes (x + y / 2) / 1.5."""
    mask = np.zeros((5, 3, 3), dtype=bool)
    mask[1:3, 1, 1] = True
    found = smooth_in_mask(np.array([[1.0, 4.0]]), mask=mask, fwhm_voxels=(2, 0, 0))
    np.testing.assert_allclose(found, [[(1 + 2) / 1.5, (0.5 + 4) / 1.5]])


def test_constant_images_and_no_smoothing_change_nothing(rng, mask):
    values = rng.standard_normal((2, mask.sum())).astype(np.float32)
    np.testing.assert_array_equal(smooth_in_mask(values, mask=mask, fwhm_voxels=(0, 0, 0)), values)
    level = np.full((1, mask.sum()), 7.0, dtype=np.float32)
    found = smooth_in_mask(level, mask=mask, fwhm_voxels=(3, 3, 3))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 7, rtol=1e-6)


def test_nan_voxels_stay_alone(rng, mask):
    values = rng.standard_normal((2, mask.sum()))
    values[1, 5] = np.nan
    found = smooth_in_mask(values, mask=mask, fwhm_voxels=(3, 3, 3))
    assert np.argwhere(np.isnan(found)).tolist() == [[0, 5], [1, 5]]
    fewer = mask.copy()
    fewer[tuple(voxels_of(mask)[5])] = False
    np.testing.assert_allclose(
        np.delete(found, 5, axis=1),
        smooth_in_mask(np.delete(values, 5, axis=1), mask=fewer, fwhm_voxels=(3, 3, 3)),
    )
    nothing = np.full((2, mask.sum()), np.nan)
    assert np.isnan(smooth_in_mask(nothing, mask=mask, fwhm_voxels=(3, 3, 3))).all()


def test_smoothing_and_projecting_may_be_exchanged(rng, mask):
    series = 1000 + rng.standard_normal((60, mask.sum()))
    keep = np.ones(60, dtype=bool)
    basis = residual_basis(rng.standard_normal((60, 3)), t_r=2.0, band_hz=(0.01, 0.1), polynomial=1, keep=keep)
    fwhm = {"mask": mask, "fwhm_voxels": (2.5, 2.5, 2.5)}
    first = smooth_in_mask(np.asarray(project(basis, series, keep=keep)), **fwhm)
    np.testing.assert_allclose(first, project(basis, smooth_in_mask(series, **fwhm), keep=keep), atol=1e-9)


def test_smoothing_in_place(rng):
    mask = rng.random((9, 8, 7)) < 0.7
    values = rng.standard_normal((CHUNK + 3, int(mask.sum())))
    values[2, 5] = np.nan
    expected = smooth_in_mask(values, mask=mask, fwhm_voxels=(3, 3, 3))
    found = smooth_in_mask(values, mask=mask, fwhm_voxels=(3, 3, 3), out=values)
    assert found is values
    np.testing.assert_array_equal(found, expected)
