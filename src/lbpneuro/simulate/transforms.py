"""Spatial transforms as fMRIPrep writes them: ITK composites in HDF5, point maps in LPS+ millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.files import atomic
from lbpneuro.simulate.grids import Array, Grid, Volume, sample_all

LPS = np.diag([-1.0, -1.0, 1.0])


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


def write_composite(path: Path, point_map: PointMap) -> None:
    """Write ``point_map`` as an ITK composite transform; equal maps give equal bytes.

    ITK applies the transform that was added last first, and antsApplyTransforms pulls: the map from T1w points to
    template points brings template images to T1w space and has the file name from-<template>_to-T1w. The ITK writer
    itself is not used because it stamps times and the name of the system into the file.
    """
    import h5py

    parts = [_affine_record(point_map), _field_record(point_map)]
    with atomic(path) as temporary, h5py.File(temporary, "w", libver="earliest") as file:
        _text(file, "ITKVersion", text="5.4.0")
        _text(file, "HDFVersion", text="1.12")
        _text(file, "OSName", text="n/a")
        _text(file, "OSVersion", text="n/a")
        group = file.create_group("TransformGroup")
        _text(group.create_group("0"), "TransformType", text="CompositeTransform_double_3_3")
        for number, (kind, values, fixed) in enumerate(parts[::-1] if point_map.affine_first else parts, start=1):
            record = group.create_group(str(number))
            _text(record, "TransformType", text=kind)
            record.create_dataset("TransformFixedParameters", data=fixed)
            packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if values.size > 100 else {}
            record.create_dataset("TransformParameters", data=values, **packing)


def _text(group: object, name: str, *, text: str) -> None:
    import h5py

    group.create_dataset(name, data=[text], dtype=h5py.string_dtype("ascii"))  # type: ignore[attr-defined]


def _affine_record(point_map: PointMap) -> tuple[str, NDArray[np.floating], Array]:
    matrix = LPS @ point_map.affine[:3, :3] @ LPS
    values = np.concatenate([matrix.ravel(), LPS @ point_map.affine[:3, 3]])
    return "AffineTransform_double_3_3", values, np.zeros(3)


def _field_record(point_map: PointMap) -> tuple[str, NDArray[np.floating], Array]:
    """Type, parameters (x fastest, components together) and fixed parameters (size, origin, spacing, direction)."""
    grid = point_map.grid
    lps = point_map.displacement * np.diag(LPS)[:, None, None, None]
    values = np.ascontiguousarray(lps.transpose(3, 2, 1, 0), dtype=np.float32).ravel()
    fixed = np.concatenate([grid.shape, LPS @ grid.affine[:3, 3], [grid.voxel_mm] * 3, LPS.ravel()])
    return "DisplacementFieldTransform_double_3_3", values, fixed.astype(float)
