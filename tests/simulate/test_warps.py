"""Deformations: inverse, divergence and the volume change they were made for."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.simulate.anatomy import FIELD_MM, regional_velocity
from lbpneuro.simulate.grids import mni_grid
from lbpneuro.simulate.template import ATROPHY_REGIONS, region_shares, template
from lbpneuro.simulate.warps import divergence_velocity, exponential, jacobian, random_velocity, symmetrised


@pytest.fixture(scope="module")
def smooth_field():
    from scipy import ndimage

    rng = np.random.default_rng(3)
    inside = np.zeros((30, 32, 28), dtype=np.float32)
    inside[8:-8, 8:-8, 8:-8] = 1
    inside = ndimage.gaussian_filter(inside, 2)
    return random_velocity(rng, inside, voxel_mm=4, sd_mm=3, smooth_mm=20)


def test_divergence_is_the_wanted_one(rng):
    from scipy import ndimage

    wanted = ndimage.gaussian_filter(rng.standard_normal((24, 20, 22)), 2, mode="wrap")
    velocity = divergence_velocity(wanted, voxel_mm=3)
    central = sum((np.roll(v, -1, axis=a) - np.roll(v, 1, axis=a)) / 6 for a, v in enumerate(velocity))
    np.testing.assert_allclose(central, wanted - wanted.mean(), atol=1e-5)


def test_the_exponential_of_the_negative_field_is_the_inverse(smooth_field):
    from scipy import ndimage

    there, back = exponential(smooth_field, voxel_mm=4), exponential(-smooth_field, voxel_mm=4)
    at = np.indices(there.shape[1:]) + there / 4
    returned = there + np.stack([ndimage.map_coordinates(part, at, order=1) for part in back])
    assert np.abs(there).max() > 5
    assert np.abs(returned).max() < 0.25


def test_symmetry_shares_the_variance(rng):
    velocity = rng.standard_normal((3, 20, 20, 20)).astype(np.float32)
    found = symmetrised(velocity, share=0.9)
    mirrored = found[:, ::-1] * np.array([-1, 1, 1])[:, None, None, None]
    assert np.corrcoef(found.ravel(), mirrored.ravel())[0, 1] == pytest.approx(0.8, abs=0.02)
    assert found.std(ddof=0) == pytest.approx(velocity.std(ddof=0), rel=0.02)


def test_no_fold(smooth_field):
    assert jacobian(exponential(smooth_field, voxel_mm=4), voxel_mm=4).min() > 0


def test_jacobian_of_a_known_map():
    x = np.indices((9, 9, 9), dtype=np.float32) * 2.0
    np.testing.assert_allclose(jacobian(0.1 * x, voxel_mm=2.0), 1.1**3, rtol=1e-5)


@pytest.mark.parametrize("key", ATROPHY_REGIONS)
@pytest.mark.parametrize("change", [-0.1, 0.06])
def test_the_jacobian_integrates_to_the_planted_volume(key, change):
    displacement = exponential(np.float32(change) * regional_velocity(key), voxel_mm=FIELD_MM)
    shares = region_shares(key, FIELD_MM)
    found = np.log((shares * jacobian(displacement, voxel_mm=FIELD_MM)).sum() / shares.sum())
    assert found == pytest.approx(change, rel=0.12)


def test_atrophy_stays_on_its_side():
    displacement = exponential(np.float32(-0.1) * regional_velocity(("dlpfc", "L")), voxel_mm=FIELD_MM)
    log_volume = np.log(jacobian(displacement, voxel_mm=FIELD_MM))
    x = mni_grid(FIELD_MM).points()[:, 0].reshape(mni_grid(FIELD_MM).shape)
    assert np.abs(log_volume[(x > 10) & (template(FIELD_MM).brain > 0.5)]).max() < 0.01
    assert log_volume[x < -10].min() < -0.08
