"""ITK transforms and images: template space brought into a person's own space by the transforms that fMRIPrep writes.

A transform maps the points of the target image to those of the source image (antsApplyTransforms pulls values), so
``from-<template>_to-T1w`` brings template images to the T1w image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.composites import TransformRecord, read_composite
from lbpneuro.io.images import Grid

# ITK looks at this once, when it is first used; its results are the same everywhere only with a single thread
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

Array = NDArray[np.floating[Any]]
Transform = Any  # Composite, or an ants.ANTsTransform: the package carries no types
AntsImage = Any

LPS = np.diag([-1.0, -1.0, 1.0])  # ITK counts left and posterior as positive, NIfTI right and anterior
SHEAR_TOLERANCE = 1e-3
SPACING_TOLERANCE = 1e-3
COARSE_VOXELS = 4
POINTS_AT_ONCE = 2**16
PADDING_MM = 80.0
COORDINATE_REACH_MM = 600.0
COORDINATE_STEP_MM = 25.0
FIELD, LINEAR = "DisplacementFieldTransform", "AffineTransform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """A point x goes to ``matrix @ x + shift`` (LPS mm)."""

    matrix: Array
    shift: Array

    def moved(self, points: Array) -> Array:
        """Return where points (3, n) arrive."""
        return np.asarray(self.matrix @ points + self.shift[:, None])


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacements:
    """A displacement field as ITK stores it: ``vectors`` (n_z, n_y, n_x, 3) in LPS mm, and what leads to its voxels.

    Points are taken to voxels (x, y, z) by ``to_voxel``; beyond half a voxel around the field nothing moves.
    """

    vectors: Array
    to_voxel: Affine

    def moved(self, points: Array) -> Array:
        """Return where points (3, n) arrive, by linear interpolation of the field."""
        return np.asarray(points + interpolated(self.vectors, self.to_voxel.moved(points)[::-1]).T)


@dataclass(frozen=True, slots=True)
class Composite:
    """Affines and displacement fields, in the order in which they are applied to a point."""

    parts: tuple[Affine | Displacements, ...]

    def moved(self, points: Array) -> Array:
        """Return where points (3, n) in RAS mm arrive."""
        found: Array = LPS @ points
        for part in self.parts:
            found = part.moved(found)
        return np.asarray(LPS @ found)


def read_transform(path: Path) -> Transform:
    """Return a transform: a composite (.h5), an affine (.txt, .mat) or a displacement field (.nii.gz).

    Composites of affines and displacement fields are read and applied without ITK, whose Python package copies a field
    of full size several times; all others are transforms of ITK.

    Raises
    ------
    InputError
        If the file is absent or a link to nothing (reason ``file_missing``), or no spatial transform.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file, or the link leads to none.", reason=Reason.FILE_MISSING)
    try:
        transform = _field_composite(path) or _by_itk(path)
    except Exception as error:  # ITK raises RuntimeError, antspyx KeyError or ValueError, by what it stumbles over
        raise InputError(
            f"{path}: expected an ITK transform (.h5, .txt, .mat, .nii.gz), which this file is not; "
            "copy it again from the derivative."
        ) from error
    if not isinstance(transform, Composite) and transform.dimension != 3:
        raise InputError(f"{path}: expected a transform in three dimensions, found {transform.dimension}.")
    return transform


def _by_itk(path: Path) -> Any:
    import ants

    return ants.read_transform(str(path), precision="double")


def _field_composite(path: Path) -> Composite | None:
    """Return a composite of affines and displacement fields, as normalisations are; None for everything else."""
    if path.suffix != ".h5":
        return None
    records = read_composite(path)
    kinds = [record.kind.partition("_")[0] for record in records]
    if FIELD not in kinds or not {*kinds} <= {FIELD, LINEAR}:
        return None
    return Composite(tuple(_single(record) for record in reversed(records)))


def _single(record: TransformRecord) -> Affine | Displacements:
    """Return an affine or a displacement field.

    An affine is a matrix by rows, then a translation, around a centre; a field has size, origin, spacing and direction.
    """
    if record.kind.startswith(LINEAR):
        matrix, centre = record.parameters[:9].reshape(3, 3), record.fixed
        return Affine(matrix=matrix, shift=record.parameters[9:] + centre - matrix @ centre)
    size, origin, spacing = record.fixed[:9].reshape(3, 3)
    vectors = record.parameters.reshape(*size[::-1].astype(int), 3)
    inverse = np.linalg.inv(record.fixed[9:].reshape(3, 3) * spacing)
    return Displacements(vectors=vectors, to_voxel=Affine(matrix=inverse, shift=-inverse @ origin))


def interpolated(data: Array, at: Array) -> NDArray[np.float32]:
    """Return an image at voxel coordinates, linearly; zero farther than half a voxel outside, as in ITK.

    Parameters
    ----------
    data
        Image (n_1, n_2, n_3, ...).
    at
        Voxel coordinates (3, n) along its first three axes.

    Returns
    -------
    NDArray
        Values (n, ...).
    """
    from scipy import ndimage

    size = np.array(data.shape[:3])[:, None]
    found = np.empty((at.shape[1], *data.shape[3:]), dtype=np.float32)
    for part in np.ndindex(*data.shape[3:]):
        of_part = (..., *part)
        ndimage.map_coordinates(data[of_part], at, order=1, mode="nearest", output=found[of_part])
    found[((at < -0.5) | (at >= size - 0.5)).any(axis=0)] = 0
    return found


def resample(
    data: Array, transform: Transform, *, source: Grid, target: Grid, spacing_mm: float = np.inf
) -> NDArray[np.float32]:
    """Return an image on the grid of another space, by linear interpolation; zero outside the source image.

    Parameters
    ----------
    data
        Image (n_x, n_y, n_z), such as a probability, on the grid ``source``.
    transform
        What ``read_transform`` returned; maps points of the target space to the source space.
    source, target
        Grids of the two images.
    spacing_mm
        Voxels of the target that are larger are sampled at evenly spread points, at most this far apart, and take
        their mean; by default a voxel is sampled at its centre.

    Raises
    ------
    InputError
        If a grid is sheared, which ITK cannot represent.
    """
    times = subsamples(target, spacing_mm)
    fine = _refined(target, times)
    if not np.prod(fine.shape):
        return np.zeros(fine.shape, dtype=np.float32)
    refuse_sheared(source.affine)
    refuse_sheared(fine.affine)
    moved = _applied(data, transform, source=source, fine=fine)
    split = [number for pair in zip(target.shape, times, strict=True) for number in pair]
    return np.asarray(moved.reshape(split).mean(axis=(1, 3, 5)), dtype=np.float32)


def _applied(data: Array, transform: Transform, *, source: Grid, fine: Grid) -> NDArray[np.float32]:
    """Return an image at the voxels of another grid."""
    if not isinstance(transform, Composite):
        empty = np.zeros(fine.shape, dtype=np.float32)
        images = (itk_image(data, source.affine), itk_image(empty, fine.affine))
        return np.asarray(transform.apply_to_image(*images, interpolation="linear").numpy())
    to_voxel, values = np.linalg.inv(source.affine), np.asfortranarray(data, dtype=np.float32)
    found = np.empty(fine.shape, dtype=np.float32)
    for planes, points in _points(fine):
        at = to_voxel[:3, :3] @ transform.moved(points) + to_voxel[:3, 3:]
        part = found[..., planes].T
        part[...] = interpolated(values, at).reshape(part.shape)
    return found


def _points(grid: Grid) -> Iterator[tuple[slice, Array]]:
    """Yield some planes of the last axis of a grid at a time, and their voxels (3, n) in mm, the first axis fastest.

    Fields and images lie in memory in this order: in the reverse one most of the time goes into waiting for memory.
    """
    thick = max(1, POINTS_AT_ONCE // max(1, grid.shape[0] * grid.shape[1]))
    affine = np.asarray(grid.affine, dtype=np.float64)
    for first in range(0, grid.shape[2], thick):
        planes = slice(first, min(first + thick, grid.shape[2]))
        index = np.mgrid[planes, 0 : grid.shape[1], 0 : grid.shape[0]][::-1].reshape(3, -1)
        yield planes, affine[:3, :3] @ index + affine[:3, 3:]


def source_coordinates(transform: Transform, *, target: Grid) -> NDArray[np.float32]:
    """Return where the voxels of a target grid lie in the source space: (3, n_x, n_y, n_z) in mm."""
    refuse_sheared(target.affine)
    if isinstance(transform, Composite):
        found = np.empty((3, *target.shape), dtype=np.float32)
        for planes, points in _points(target):
            part = found[..., planes].transpose(0, 3, 2, 1)
            part[...] = transform.moved(points).reshape(part.shape)
        return found
    source = _reach()
    line = np.linspace(-COORDINATE_REACH_MM, COORDINATE_REACH_MM, source.shape[0])
    ramps = np.meshgrid(line, line, line, indexing="ij")
    return np.stack([resample(ramp, transform, source=source, target=target) for ramp in ramps])


def coarse_coordinates(transform: Transform, *, grid: Grid) -> NDArray[np.float32]:
    """Return ``source_coordinates`` at every fourth voxel of a grid that is extended by 80 mm on all sides.

    NaN where a point arrives farther away than coordinates are known, which would else look like the origin.
    """
    coarse = _coarse(grid)
    if isinstance(transform, Composite):
        return source_coordinates(transform, target=coarse)
    known = resample(np.ones(_reach().shape), transform, source=_reach(), target=coarse) > 0
    return np.where(known, source_coordinates(transform, target=coarse), np.float32(np.nan))


def target_box(
    coordinates: Array, *, bounds: tuple[Array, Array], grid: Grid
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return first voxel and shape of the part of a target grid where a box of the source space arrives.

    The part may begin before the first voxel of the grid or end after its last: what a scan cut off still counts
    when the coverage of a region is taken.

    Parameters
    ----------
    coordinates
        ``coarse_coordinates`` of the grid (3, n_x, n_y, n_z).
    bounds
        Lowest and highest corner (3,) of the box in the source space (mm).
    grid
        Grid of the target image.

    Returns
    -------
    tuple
        First voxel and shape; the shape is (0, 0, 0) if the box does not arrive anywhere near the image.
    """
    margin = 1.5 * COARSE_VOXELS * np.linalg.norm(grid.affine[:3, :3], axis=0).max()
    low, high = (np.reshape(corner, (3, 1, 1, 1)) for corner in bounds)
    hit = np.argwhere(np.all((coordinates >= low - margin) & (coordinates <= high + margin), axis=0))
    if not len(hit):
        return (0, 0, 0), (0, 0, 0)
    start = hit.min(axis=0) * COARSE_VOXELS - _padding(grid)
    stop = hit.max(axis=0) * COARSE_VOXELS - _padding(grid) + 1
    return _triple(start), _triple(stop - start)


def box_grid(grid: Grid, *, start: Sequence[int], shape: Sequence[int]) -> Grid:
    """Return the grid of the box of ``shape`` voxels that begins at the voxel ``start`` of a grid."""
    affine = np.array(grid.affine, dtype=np.float64)
    affine[:3, 3] += affine[:3, :3] @ np.asarray(start)
    return Grid(affine=affine, shape=tuple(shape))


def is_sheared(affine: Array) -> bool:
    """Tell whether the axes of an affine (4, 4) are not at right angles, beyond rounding in the header."""
    direction = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(direction - orthonormal(direction)).max() > SHEAR_TOLERANCE)


def refuse_sheared(affine: Array) -> None:
    """Raise InputError if the axes of an affine (4, 4) are not at right angles."""
    if is_sheared(affine):
        raise InputError("The axes of the image are not at right angles (sheared affine); resample it first.")


def itk_image(data: NDArray[Any], affine: Array) -> AntsImage:
    """Return the ITK image of ``data`` (n_x, n_y, n_z) on the grid of ``affine`` (voxel to mm).

    Raises
    ------
    InputError
        If the affine is sheared, which ITK cannot represent.
    """
    import ants

    refuse_sheared(affine)
    lps = LPS @ affine[:3, :3]
    spacing = np.linalg.norm(lps, axis=0)
    return ants.from_numpy(
        np.ascontiguousarray(data, dtype=np.float32),
        origin=tuple(LPS @ affine[:3, 3]),
        spacing=tuple(spacing),
        direction=orthonormal(lps / spacing),
    )


def orthonormal(matrix: Array) -> NDArray[np.float64]:
    """Return the orthonormal 3 x 3 matrix nearest to ``matrix`` (headers store rounded direction cosines)."""
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right, dtype=np.float64)


def subsamples(grid: Grid, spacing_mm: float) -> tuple[int, int, int]:
    """Return how many points along each axis of a voxel are no farther apart than ``spacing_mm``."""
    voxel_mm = np.linalg.norm(grid.affine[:3, :3], axis=0)
    return _triple(np.maximum(1, np.ceil(voxel_mm / spacing_mm - SPACING_TOLERANCE)).astype(int))


def _refined(grid: Grid, times: tuple[int, int, int]) -> Grid:
    """Return the grid whose voxels are those of a grid, cut ``times`` along each axis."""
    affine = np.array(grid.affine, dtype=np.float64)
    affine[:3, :3] /= times
    affine[:3, 3] += affine[:3, :3] @ ((1 - np.array(times)) / 2)
    return Grid(affine=affine, shape=tuple(size * n for size, n in zip(grid.shape, times, strict=True)))


def _coarse(grid: Grid) -> Grid:
    """Return a grid with every fourth voxel, extended on all sides."""
    padding = _padding(grid)
    shape = [-(-(size + 2 * pad) // COARSE_VOXELS) + 1 for size, pad in zip(grid.shape, padding, strict=True)]
    padded = box_grid(grid, start=[-int(pad) for pad in padding], shape=shape)
    affine = padded.affine.copy()
    affine[:3, :3] *= COARSE_VOXELS
    return Grid(affine=affine, shape=padded.shape)


def _reach() -> Grid:
    """Return the grid on which coordinates are known."""
    n_point = int(2 * COORDINATE_REACH_MM / COORDINATE_STEP_MM) + 1
    affine = np.diag([COORDINATE_STEP_MM, COORDINATE_STEP_MM, COORDINATE_STEP_MM, 1.0])
    affine[:3, 3] = -COORDINATE_REACH_MM
    return Grid(affine=affine, shape=(n_point,) * 3)


def _padding(grid: Grid) -> NDArray[np.intp]:
    """Return by how many voxels a grid is extended along each axis."""
    return np.ceil(PADDING_MM / np.linalg.norm(grid.affine[:3, :3], axis=0) - SPACING_TOLERANCE).astype(np.intp)


def _triple(numbers: NDArray[np.integer[Any]]) -> tuple[int, int, int]:
    x, y, z = (int(number) for number in numbers)
    return x, y, z
