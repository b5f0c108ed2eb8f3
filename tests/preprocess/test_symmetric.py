"""The symmetric registration: exact antisymmetry, known deformations, bias fields."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from lbpneuro.preprocess.symmetric import (
    Middle,
    Round,
    Scan,
    determinant,
    halves,
    moved,
    velocity_between,
)

SIZE = 40
MIDDLE = Middle(shape=(SIZE,) * 3, origin_mm=np.zeros(3), voxel_mm=2.0)
TO_VOXEL = np.diag([0.5, 0.5, 0.5, 1.0])
ROUNDS = (
    Round(voxel_mm=4.0, steps=2, solves=8, membrane=1.0, bending=100.0, bias_degree=2),
    Round(voxel_mm=2.0, steps=3, solves=10, membrane=1.0, bending=100.0, bias_degree=2),
)
POINTS = np.stack(np.meshgrid(*[np.arange(SIZE) * 2.0] * 3, indexing="ij"))
RADIUS = np.sqrt(((POINTS - 39.0) ** 2).sum(axis=0))


def scene(radius_mm: float = 16.0, *, seed: int | None = None) -> np.ndarray:
    """A dark ball in white matter with some structure around it, and noise."""
    edge = 1 / (1 + np.exp((RADIUS - radius_mm) / 1.0))
    texture = 8 * np.sin(POINTS[0] / 4) * np.sin(POINTS[1] / 5) * (RADIUS > 24)
    image = 95 - 25 * edge + texture
    if seed is not None:
        image = image + np.random.default_rng(seed).normal(0, 1, image.shape)
    return image.astype(np.float32)


def between(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, Middle]:
    scans = [Scan(values=values, to_voxel=TO_VOXEL) for values in (first, second)]
    weight = np.zeros(MIDDLE.shape, dtype=np.float32)
    weight[4:-4, 4:-4, 4:-4] = 1
    return velocity_between(*scans, weight, middle=MIDDLE, rounds=ROUNDS)


def ball_change(first: np.ndarray, second: np.ndarray) -> float:
    velocity, grid = between(first, second)
    ball = RADIUS < 16
    sides = [determinant(half, voxel_mm=grid.voxel_mm)[ball].sum() for half in halves(velocity, voxel_mm=2.0)]
    return float(200 * (sides[1] - sides[0]) / sum(sides))


def test_exchanging_the_scans_changes_the_sign_of_every_number():
    first, second = scene(16.0, seed=1), scene(15.5, seed=2)
    forth, back = between(first, second)[0], between(second, first)[0]
    assert np.abs(forth).max() > 0.2
    np.testing.assert_array_equal(forth, -back)


def test_a_scan_and_itself_are_the_same():
    image = scene(seed=3)
    assert not between(image, image)[0].any()


@pytest.mark.parametrize("percent", [-10.0, -5.0, 6.0])
def test_the_volume_of_a_ball(percent):
    """Balls of radius r (1 - c/6) and r (1 + c/6): a change of c, of which voxels of 2 mm find nine tenths."""
    low, high = 16 * (1 - percent / 600), 16 * (1 + percent / 600)
    assert ball_change(scene(low, seed=4), scene(high, seed=5)) == pytest.approx(percent, rel=0.15)


def test_a_smooth_ratio_of_intensities_is_no_change():
    bias = np.exp(0.004 * (POINTS[0] - 39) - 0.00005 * (POINTS[2] - 39) ** 2)
    assert abs(ball_change(scene(seed=6), scene(seed=7) * bias)) < 0.5


def test_rounds_are_needed():
    scan = Scan(values=scene(), to_voxel=TO_VOXEL)
    with pytest.raises(ValueError, match="one round"):
        velocity_between(scan, scan, np.ones(MIDDLE.shape, np.float32), middle=MIDDLE, rounds=())


def test_determinant_of_a_known_map():
    np.testing.assert_allclose(determinant(0.1 * POINTS, voxel_mm=2.0), 1.1**3, rtol=1e-6)
    shear = np.stack([0.3 * POINTS[1], np.zeros_like(RADIUS), 0.2 * POINTS[0]])
    np.testing.assert_allclose(determinant(shear, voxel_mm=2.0), 1.0, rtol=1e-6)


def test_the_halves_are_inverse():
    smooth = ndimage.gaussian_filter(np.random.default_rng(8).standard_normal((3, *MIDDLE.shape)), (0, 5, 5, 5))
    velocity = (smooth / smooth.std(ddof=0)).astype(np.float32)
    first, second = halves(velocity, voxel_mm=2.0)
    at = np.indices(MIDDLE.shape) + second / 2.0
    returned = second + np.stack([ndimage.map_coordinates(part, at, order=1, mode="nearest") for part in first])
    assert np.abs(returned[:, 5:-5, 5:-5, 5:-5]).max() < 0.03 * np.abs(second).max()


def test_a_scan_is_read_where_it_lies():
    values = np.zeros((12, 12, 12), dtype=np.float32)
    values[7, 5, 6] = 1
    shifted = Scan(values=values, to_voxel=np.array([[1.0, 0, 0, 2], [0, 1, 0, -1], [0, 0, 1, 0], [0, 0, 0, 1]]))
    grid = Middle(shape=(12, 12, 12), origin_mm=np.zeros(3), voxel_mm=1.0)
    found = moved(shifted, None, middle=grid)
    assert np.unravel_index(found.argmax(), found.shape) == (5, 6, 6)
    assert found[5, 6, 6] == pytest.approx(1, abs=1e-4)
    further = moved(shifted, np.ones((3, 12, 12, 12), np.float32), middle=grid)
    assert np.unravel_index(further.argmax(), further.shape) == (4, 5, 5)


def test_a_coarser_grid_covers_the_same_box():
    coarse = MIDDLE.coarser(4.0)
    assert coarse.shape == (20, 20, 20)
    np.testing.assert_allclose(coarse.origin_mm, 1.0)
