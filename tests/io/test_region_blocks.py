"""Regions placed block by block are those of the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lbpneuro.errors import InputError
from lbpneuro.io.images import Grid, place
from lbpneuro.io.region_blocks import Source, placed_regions
from lbpneuro.io.transforms import Affine, Composite, Displacements, box_grid, resample

FIELD = Grid(affine=np.array([[2.0, 0, 0, -60], [0, 2, 0, -60], [0, 0, 2, -60], [0, 0, 0, 1]]), shape=(61, 61, 61))


def way(stretch):
    """A turn, then a smooth field whose steepest derivative is ``stretch``."""
    rng = np.random.default_rng(8)
    vectors = np.stack([gaussian_filter(rng.standard_normal(FIELD.shape), 4) for _ in range(3)], axis=-1)
    steepest = max(np.abs(np.diff(vectors, axis=axis)).max() / 2.0 for axis in range(3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)) + 6 * np.eye(3))
    return Composite(
        (
            Affine(matrix=turn * 1.05, shift=np.array([2.0, -3.0, 1.0])),
            Displacements(
                vectors=(vectors * stretch / steepest).astype(np.float32),
                to_voxel=Affine(matrix=np.eye(3) / 2, shift=np.full(3, 30.0)),
            ),
        )
    )


def shell(centre, radius, *, inner=0.0):
    """A ball, or a thin shell like the cortex, on a 1-mm grid around it."""
    low = np.floor(np.array(centre) - radius - 3)
    affine = np.eye(4)
    affine[:3, 3] = low
    shape = (int(2 * radius + 8),) * 3
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) + low
    distance = np.linalg.norm(voxels - centre, axis=-1)
    weights = ((distance <= radius) & (distance >= inner)).astype(np.float32)
    bounds = (np.array(centre) - radius - 0.5, np.array(centre) + radius + 0.5)
    return Source(weights=weights, grid=Grid(affine=affine, shape=shape), bounds=bounds)


REGIONS = [shell((6.0, -5.0, 4.0), 5.0), shell((0.0, 0.0, 0.0), 16.0, inner=13.0), shell((-12.0, 9.0, 3.0), 2.0)]


def image(voxel_mm):
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)) + 4 * np.eye(3))
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(voxel_mm)
    shape = tuple(int(24 // size) for size in voxel_mm)
    affine[:3, 3] = affine[:3, :3] @ (-np.array(shape) / 2)
    return Grid(affine=affine, shape=shape)


@pytest.mark.parametrize("voxel_mm", [(1.0, 1.0, 1.0), (0.8, 1.0, 1.3), (3.0, 2.0, 2.5), (5.0, 4.0, 3.0)])
@pytest.mark.parametrize("stretch", [0.1, 0.6])
def test_blocks_give_what_the_whole_grid_gives(voxel_mm, stretch):
    """The image cuts the larger region; its box goes on beyond the image."""
    grid, transform = image(voxel_mm), way(stretch)
    margin = [int(18 // size) for size in voxel_mm]
    wide = box_grid(
        grid, start=[-n for n in margin], shape=[n + 2 * m for n, m in zip(grid.shape, margin, strict=True)]
    )
    for source, (weights, start) in zip(
        REGIONS, placed_regions(REGIONS, transform, grid=grid, spacing_mm=1.0), strict=True
    ):
        whole = resample(source.weights, transform, source=source.grid, target=wide, spacing_mm=1.0)
        at = [first + m for first, m in zip(start, margin, strict=True)]
        np.testing.assert_allclose(place(np.zeros_like(whole), weights, start=at), whole, atol=1e-6)
        assert weights.sum(dtype=float) == pytest.approx(whole.sum(dtype=float), rel=1e-6)
        for axis in range(3):  # no empty margin
            assert weights.take(0, axis=axis).any()
            assert weights.take(-1, axis=axis).any()


def test_a_region_that_does_not_arrive_is_empty():
    far = shell((900.0, 0.0, 0.0), 5.0)
    near, away = placed_regions([REGIONS[0], far], way(0.1), grid=image((2.0, 2.0, 2.0)), spacing_mm=1.0)
    assert near[0].size
    assert (away[0].shape, away[0].dtype) == ((0, 0, 0), np.float32)


def test_no_regions_are_no_boxes():
    assert placed_regions([], way(0.1), grid=image((2.0, 2.0, 2.0)), spacing_mm=1.0) == []


def test_sheared_images_are_refused():
    grid = image((2.0, 2.0, 2.0))
    sheared = grid.affine.copy()
    sheared[:3, 0] += 0.4 * sheared[:3, 1]
    with pytest.raises(InputError, match="not at right angles"):
        placed_regions(REGIONS, way(0.1), grid=Grid(affine=sheared, shape=grid.shape), spacing_mm=1.0)
