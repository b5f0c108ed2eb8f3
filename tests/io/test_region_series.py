"""What a run measures in its regions, against loops over regions and voxels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from lbpneuro.io import region_series as module
from lbpneuro.io.images import Image
from lbpneuro.io.region_grid import GridRegions
from lbpneuro.io.region_series import gray_mean, region_series
from lbpneuro.io.series import Series
from lbpneuro.kernels.quality import block_jackknife_se, tsnr
from lbpneuro.kernels.voxels import as_volume


def a_series(rng, *, n_time=80):
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[1:] = True
    bold = (1000 + 25 * rng.standard_normal((n_time, mask.sum()))).astype(np.float32)
    mean = as_volume(bold.mean(axis=0), mask)
    return Series(path=Path("bold.nii"), bold=bold, mask=mask, mean=mean, affine=np.eye(4), t_r=2.0)


def test_agrees_with_loops(rng, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 7)
    series = a_series(rng)
    series.bold[:, 3] = 900.0  # constant
    series.bold[5, 9] = np.nan
    weights = np.zeros((4, 48), dtype=np.float32)
    weights[0, :12] = 1
    weights[1, 8:30] = rng.uniform(0.1, 1, 22)
    weights[2, 40:44] = 0.3  # no voxel is half inside
    found = GridRegions(
        names=tuple((name, "n/a") for name in "abcd"),
        weights=sparse.csr_array(weights),
        whole=np.array([15.0, weights[1].sum(), 1.2, 5.0]),
        csf_excluded=np.zeros(4, dtype=bool),
    )
    keep = rng.random(80) > 0.1
    measured = region_series(series, found, keep=keep)
    usable = np.ones(48, dtype=bool)
    usable[[3, 9]] = False
    brain = np.median(series.mean[series.mask])
    for row, weight in enumerate(weights[:3].astype(float)):
        inside = weight * usable
        mean = np.where(usable, series.bold, 0).astype(float) @ inside / inside.sum()
        np.testing.assert_allclose(measured.means[:, row], mean, rtol=1e-6)
        np.testing.assert_allclose(measured.size[row], inside.sum(), rtol=1e-6)
        np.testing.assert_allclose(measured.coverage[row], inside.sum() / found.whole[row], rtol=1e-6)
        np.testing.assert_allclose(measured.signal[row], mean[keep].mean() / brain, rtol=1e-6)
        core = np.flatnonzero(weight >= 0.5) if (weight >= 0.5).any() else np.flatnonzero(weight)
        assert measured.n_voxels[row] == core.size
        core = core[usable[core]]
        values = series.bold[np.ix_(keep, core)]

        def median(volumes, values=values):
            return float(np.median(tsnr(values[volumes], keep=np.ones(len(volumes), dtype=bool))))

        np.testing.assert_allclose(measured.tsnr[row], median(np.arange(len(values))), rtol=1e-9)
        np.testing.assert_allclose(measured.tsnr_se[row], block_jackknife_se(median, n_time=len(values)), rtol=1e-6)
    assert np.isnan(measured.means[:, 3]).all()
    assert measured.size[3] == measured.n_voxels[3] == 0
    assert np.isnan(measured.tsnr[3])


def gray_map(data: np.ndarray, *, shift: float = 0.0) -> Image:
    """A map with voxels of half the size on the grid of :func:`a_series`, moved along x."""
    affine = np.diag([0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = [shift - 0.25, -0.25, -0.25]
    fine = data.repeat(2, 0).repeat(2, 1).repeat(2, 2).astype(np.float32)
    return Image(path=Path("gm.nii"), data=fine, affine=affine)


def test_the_reference_is_the_mean_of_the_gray_matter(rng):
    series = a_series(rng)
    gray = np.zeros((4, 4, 4))
    gray[:3, 1:3] = 0.9  # a plane of it outside the mask
    expected = series.mean[1:3, 1:3].mean()
    assert gray_mean(series, gray_map(gray)) == pytest.approx(expected)
    assert gray_mean(series, gray_map(np.where(gray > 0, 0.9, np.nan))) == pytest.approx(expected)
    found = GridRegions(
        names=(("a", "n/a"),),
        weights=sparse.csr_array(np.ones((1, 48), dtype=np.float32)),
        whole=np.array([48.0]),
        csf_excluded=np.zeros(1, dtype=bool),
    )
    keep = np.ones(80, dtype=bool)
    measured = region_series(series, found, keep=keep, reference=2000.0)
    np.testing.assert_allclose(measured.signal, series.bold.mean(dtype=float) / 2000, rtol=1e-6)


def test_a_map_that_lies_elsewhere_is_no_reference(rng):
    assert gray_mean(a_series(rng), gray_map(np.ones((4, 4, 4)), shift=50.0)) is None
    assert gray_mean(a_series(rng), gray_map(np.zeros((4, 4, 4)))) is None
