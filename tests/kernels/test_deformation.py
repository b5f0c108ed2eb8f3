"""The Jacobian determinant of a mapping."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.kernels.deformation import jacobian_determinant


def points(affine, shape=(7, 6, 5)):
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    return np.einsum("ij,jxyz->ixyz", affine[:3, :3], voxels) + affine[:3, 3][:, None, None, None]


@pytest.mark.parametrize("voxels", [(2.0, 2.0, 2.0), (-1.0, 2.0, 3.0)])
def test_an_affine_has_its_determinant_everywhere_whatever_the_grid(voxels):
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    grid = np.eye(4)
    grid[:3, :3] = turn @ np.diag(voxels)
    linear = np.array([[1.1, 0.1, 0.0], [0.0, 0.9, 0.05], [0.02, 0.0, 1.2]])
    moved = np.einsum("ij,jxyz->ixyz", linear, points(grid))
    assert jacobian_determinant(moved, affine=grid) == pytest.approx(
        np.full((7, 6, 5), np.linalg.det(linear)), rel=1e-4
    )


def test_a_quadratic_mapping_by_hand():
    """x -> x + 0.05 x^2: the determinant is 1 + 0.1 x, which central differences give exactly."""
    at = points(np.eye(4))
    moved = at.copy()
    moved[0] += 0.05 * at[0] ** 2
    found = jacobian_determinant(moved, affine=np.eye(4))
    assert found[1:-1] == pytest.approx((1 + 0.1 * at[0])[1:-1], rel=1e-5)


def test_a_reflection_is_negative_and_unknown_points_stay_alone():
    at = points(np.eye(4))
    at[0] *= -1
    at[:, 3, 3, 2] = np.nan
    found = jacobian_determinant(at, affine=np.eye(4))
    assert found[0, 0, 0] == -1
    assert np.isnan(found).sum() == 6  # the neighbours along the axes; central differences skip the voxel itself
