"""Spatial transforms as fMRIPrep writes them: ITK composites in HDF5, point maps in LPS+ millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lbpneuro.io.composites import TransformRecord, write_composite
from lbpneuro.io.transforms import LPS
from lbpneuro.simulate.grids import Array, Grid, Volume, sample_all


@dataclass(frozen=True, slots=True)
class PointMap:
    """A map of points in RAS+ mm: an affine and a displacement field, in the order that ``affine_first`` says.

    ``affine`` is (4, 4); ``displacement`` is (3, nx, ny, nz) in mm on ``grid``, zero outside it.
    """

    affine: Array
    displacement: Volume
    grid: Grid
    affine_first: bool

    def __call__(self, points: Array) -> Array:
        """Return where ``points`` (n, 3) go."""
        steps = (self._linear, self._displace)
        for step in steps if self.affine_first else reversed(steps):
            points = step(points)
        return points

    def _linear(self, points: Array) -> Array:
        return points @ self.affine[:3, :3].T + self.affine[:3, 3]

    def _displace(self, points: Array) -> Array:
        return points + np.stack(sample_all(self.displacement, points, grid=self.grid), axis=1)


def write_point_map(path: Path, point_map: PointMap) -> None:
    """Write ``point_map`` as an ITK composite transform; equal maps give equal bytes.

    antsApplyTransforms pulls: the map from T1w points to template points brings template images to T1w space and has
    the file name from-<template>_to-T1w.
    """
    records = [_affine_record(point_map), _field_record(point_map)]
    write_composite(path, records[::-1] if point_map.affine_first else records)


def _affine_record(point_map: PointMap) -> TransformRecord:
    matrix = LPS @ point_map.affine[:3, :3] @ LPS
    values = np.concatenate([matrix.ravel(), LPS @ point_map.affine[:3, 3]])
    return TransformRecord(kind="AffineTransform_double_3_3", parameters=values, fixed=np.zeros(3))


def _field_record(point_map: PointMap) -> TransformRecord:
    """Parameters are x fastest, components together; fixed ones are size, origin, spacing, direction."""
    grid = point_map.grid
    lps = point_map.displacement * np.diag(LPS)[:, None, None, None]
    values = np.ascontiguousarray(lps.transpose(3, 2, 1, 0), dtype=np.float32).ravel()
    fixed = np.concatenate([grid.shape, LPS @ grid.affine[:3, 3], [grid.voxel_mm] * 3, LPS.ravel()])
    return TransformRecord(kind="DisplacementFieldTransform_double_3_3", parameters=values, fixed=fixed.astype(float))
