"""The axis of the aqueduct in a CSF map."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lbpneuro.errors import InputError
from lbpneuro.kernels.aqueduct import aqueduct_axis, axis_at

TEMPLATE = np.array([[0, -27.5, -5], [0, -31, -8], [0, -33, -10], [0, -36, -16.0]])


def lattice(voxel_mm: float, *, offset=(0.0, 0.0, 0.0)) -> tuple[np.ndarray, np.ndarray]:
    """Affine and voxel centres (n, n, n, 3) of a box around the midbrain."""
    affine = np.diag([voxel_mm] * 3 + [1.0])
    affine[:3, 3] = np.array([-20, -52, -32]) + offset
    shape = np.ceil(np.array([40, 46, 44]) / voxel_mm).astype(int)
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    return affine, voxels @ affine[:3, :3].T + affine[:3, 3]


def csf_map(points: np.ndarray, *, shift=(0.0, 0.0, 0.0), radius: float = 1.3) -> np.ndarray:
    """A soft tube of CSF along the shifted template axis, a cistern behind, a ventricle below."""
    at = points.reshape(-1, 3) - shift
    centre = axis_at(TEMPLATE, height_mm=np.clip(at[:, 2], -16, -5))
    away = np.linalg.norm(at[:, :2] - centre[:, :2], axis=1)
    tube = 1 / (1 + np.exp((away - radius) / 0.3))
    cistern = 1 / (1 + np.exp((at[:, 1] + 0.6 * at[:, 2] + 48.0) / 0.4))
    ventricle = 1 / (1 + np.exp((np.linalg.norm((at - [0, -41, -26]) / [1.2, 0.8, 1.0], axis=1) - 7) / 0.5))
    return np.clip(tube + cistern + ventricle, 0, 1).reshape(points.shape[:-1])


def off_axis(points: np.ndarray, shift) -> np.ndarray:
    """Distance of each point from the planted axis in its slice."""
    planted = axis_at(TEMPLATE + shift, height_mm=points[:, 2])
    return np.linalg.norm(points - planted, axis=1)


def test_the_axis_is_interpolated_and_goes_on_beyond_its_ends():
    axis = [[0, 0, 0], [1, 2, 1], [1, 2, 2.0]]
    found = axis_at(axis, height_mm=[-1, 0.5, 2.0, 3.0])
    assert_allclose(found, [[-1, -2, -1], [0.5, 1, 0.5], [1, 2, 2], [1, 2, 3]])
    assert_allclose(axis_at(axis[::-1], height_mm=[0.5]), [[0.5, 1, 0.5]])
    with pytest.raises(InputError, match="rise"):
        axis_at([[0, 0, 0], [1, 1, 0.0]], height_mm=[0.0])


@pytest.mark.parametrize("voxel_mm", [1.0, 2.0])
@pytest.mark.parametrize("shift", [(0, 0, 0), (1.3, 0, 0), (-2, 1.5, 0), (0.7, -2.6, 0), (0, 3, 0)])
def test_a_planted_shift_is_recovered_within_half_a_millimetre(voxel_mm, shift):
    affine, points = lattice(voxel_mm, offset=(0.3, 0.8, 0.1))
    noise = 0.03 * np.random.default_rng(4).standard_normal(points.shape[:-1])
    found = aqueduct_axis(np.clip(csf_map(points, shift=shift) + noise, 0, 1), affine=affine, template=TEMPLATE)
    error = off_axis(found.points, np.array(shift))
    assert np.median(error) < 0.5
    assert error.max() < 1.0
    assert found.contrast > 0.2
    assert found.distance_mm == pytest.approx(np.hypot(*shift[:2]), abs=0.5)


def test_a_larger_shift_is_seen_as_such():
    affine, points = lattice(1.0)
    assert aqueduct_axis(csf_map(points, shift=(0, 5, 0)), affine=affine, template=TEMPLATE).distance_mm > 4.0
    assert aqueduct_axis(csf_map(points, shift=(-5, 0, 0)), affine=affine, template=TEMPLATE).distance_mm > 4.0


def test_a_map_without_an_aqueduct_has_no_contrast(rng):
    affine, points = lattice(1.0)
    blurred = 0.1 + 0.03 * rng.standard_normal(points.shape[:-1])
    assert aqueduct_axis(blurred, affine=affine, template=TEMPLATE).contrast < 0.1
    nothing = aqueduct_axis(np.zeros((4, 4, 4)), affine=np.eye(4), template=TEMPLATE)  # another part of the head
    assert nothing.contrast == 0
    assert nothing.distance_mm == 0


def test_the_order_and_direction_of_the_voxels_do_not_matter():
    affine, points = lattice(1.0)
    csf = csf_map(points, shift=(1, 1, 0))
    turned = np.array(affine)
    turned[:3, 0] *= -1
    turned[:3, 3] += affine[:3, 0] * (csf.shape[0] - 1)
    found = aqueduct_axis(csf, affine=affine, template=TEMPLATE)
    other = aqueduct_axis(csf[::-1], affine=turned, template=TEMPLATE[::-1])
    assert_allclose(other.points, found.points, atol=1e-6)
    swapped = aqueduct_axis(csf.transpose(2, 0, 1), affine=affine[:, [2, 0, 1, 3]], template=TEMPLATE)
    assert_allclose(swapped.points, found.points, atol=1e-6)
