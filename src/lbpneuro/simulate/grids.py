"""Voxel grids and points in millimetres (RAS+ world coordinates)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Volume = NDArray[np.float32]

MNI_CORNER_MM = (-96.0, -132.0, -78.0)
MNI_SHAPE_1MM = (193, 229, 193)


@dataclass(frozen=True, slots=True)
class Grid:
    """A voxel grid: ``affine`` (4, 4) from voxel indices to mm, and ``shape`` (3)."""

    affine: Array
    shape: tuple[int, int, int]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in mL."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)

    @property
    def voxel_mm(self) -> float:
        """Edge of the (isotropic) voxel in mm."""
        return float(abs(self.affine[0, 0]))

    def points(self) -> Array:
        """Return the centres of all voxels, (n_voxel, 3), in mm."""
        indices = np.indices(self.shape).reshape(3, -1).T
        return indices @ self.affine[:3, :3].T + self.affine[:3, 3]


def centred_grid(centre_mm: Array, extent_mm: tuple[float, float, float], *, voxel_mm: float) -> Grid:
    """Return the isotropic grid that covers ``extent_mm`` around ``centre_mm``."""
    shape = np.ceil(np.asarray(extent_mm) / voxel_mm).astype(int)
    affine = np.diag([voxel_mm] * 3 + [1.0])
    affine[:3, 3] = centre_mm - voxel_mm * (shape - 1) / 2
    return Grid(affine, (int(shape[0]), int(shape[1]), int(shape[2])))


def mni_grid(voxel_mm: float) -> Grid:
    """Return the grid of MNI152NLin2009cAsym at ``voxel_mm``: the field of view of the 1-mm template."""
    extent = np.asarray(MNI_SHAPE_1MM, dtype=float)
    centre = np.asarray(MNI_CORNER_MM) + (extent - 1) / 2
    return centred_grid(centre, MNI_SHAPE_1MM, voxel_mm=voxel_mm)


def sample(volume: NDArray[np.floating], points: Array, *, grid: Grid, order: int = 1) -> Volume:
    """Return ``volume`` on ``grid`` at ``points`` (n, 3) in mm, 0 outside; ``order`` 0 is nearest, 1 linear."""
    return sample_all([volume], points, grid=grid, order=order)[0]


def sample_all(volumes: Iterable[NDArray[np.floating]], points: Array, *, grid: Grid, order: int = 1) -> list[Volume]:
    """Return each of the ``volumes`` on one grid at ``points`` (n, 3) in mm, as ``sample`` does."""
    from scipy import ndimage

    inverse = np.linalg.inv(grid.affine)
    indices = inverse[:3, :3] @ points.T + inverse[:3, 3:]
    return [
        ndimage.map_coordinates(volume, indices, order=order, mode="constant", cval=0.0, output=np.float32)
        for volume in volumes
    ]


def resampled(volume: NDArray[np.floating], *, source: Grid, target: Grid, order: int = 1) -> Volume:
    """Return ``volume`` of one axis-aligned grid on another, 0 outside."""
    import warnings

    from scipy import ndimage

    scale = np.full(3, target.voxel_mm / source.voxel_mm)
    offset = (target.affine[:3, 3] - source.affine[:3, 3]) / source.voxel_mm
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The behavior of affine_transform with a 1-D array")
        return ndimage.affine_transform(
            volume, scale, offset, output_shape=target.shape, output=np.float32, order=order, mode="constant"
        )
