"""ITK transforms and images: template space brought into a person's own space by the transforms that fMRIPrep writes.

A transform maps the points of the target image to those of the source image (antsApplyTransforms pulls values), so
``from-<template>_to-T1w`` brings template images to the T1w image.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import product
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
Transform = Any  # ants.ANTsTransform: the package carries no types
AntsImage = Any

LPS = np.diag([-1.0, -1.0, 1.0])  # ITK counts left and posterior as positive, NIfTI right and anterior
SHEAR_TOLERANCE = 1e-3
SPACING_TOLERANCE = 1e-3
COARSE_VOXELS = 4
PADDING_MM = 80.0
COORDINATE_REACH_MM = 600.0
COORDINATE_STEP_MM = 25.0
FIELD, LINEAR = "DisplacementFieldTransform", "AffineTransform"


def read_transform(path: Path, *, arriving: tuple[Array, Array] | None = None) -> Transform:
    """Return an ITK transform: a composite (.h5), an affine (.txt, .mat) or a displacement field (.nii.gz).

    Parameters
    ----------
    path
        File of the transform.
    arriving
        Lowest and highest corner (3,) in mm (RAS) of the part of the source space that is asked for. A displacement
        field of a composite is then cut to the points that arrive there, if it is what is applied last; all others
        arrive outside of that part, with the field or without it.

    Raises
    ------
    InputError
        If the file is absent or a link to nothing (reason ``file_missing``), or no spatial transform.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file, or the link leads to none.", reason=Reason.FILE_MISSING)
    import ants

    try:
        transform = _field_composite(path, arriving) or ants.read_transform(str(path), precision="double")
    except Exception as error:  # ITK raises RuntimeError, antspyx KeyError or ValueError, by what it stumbles over
        raise InputError(
            f"{path}: expected an ITK transform (.h5, .txt, .mat, .nii.gz), which this file is not; "
            "copy it again from the derivative."
        ) from error
    if transform.dimension != 3:
        raise InputError(f"{path}: expected a transform in three dimensions, found {transform.dimension}.")
    return transform


def _field_composite(path: Path, arriving: tuple[Array, Array] | None) -> Transform | None:
    """Return a composite of affines and displacement fields, as normalisations are; None for everything else.

    ITK takes twice as long to read a field of full size, and holds it in double precision.
    """
    import ants

    if path.suffix != ".h5":
        return None
    records = read_composite(path)
    kinds = [record.kind.partition("_")[0] for record in records]
    if FIELD not in kinds or not {*kinds} <= {FIELD, LINEAR}:
        return None
    parts = [_single(record, arriving if number == 0 else None) for number, record in enumerate(records)]
    return ants.compose_ants_transforms(parts[::-1])


def _single(record: TransformRecord, arriving: tuple[Array, Array] | None) -> Transform:
    """Return an affine or a displacement field as a transform of single precision."""
    import ants
    from ants.internal import get_lib_fn

    if record.kind.startswith(LINEAR):
        numbers = {"parameters": record.parameters.tolist(), "fixed_parameters": record.fixed.tolist()}
        return ants.new_ants_transform(precision="float", dimension=3, transform_type=LINEAR, **numbers)
    size, origin, spacing = record.fixed[:9].reshape(3, 3)
    direction = record.fixed[9:].reshape(3, 3)
    vectors = record.parameters.reshape(*size[::-1].astype(int), 3)
    if arriving is not None:
        start, stop = _arriving(vectors, arriving, origin=origin, axes=direction * spacing)
        vectors = vectors[tuple(slice(*ends) for ends in zip(start[::-1], stop[::-1], strict=True))]
        origin = origin + direction * spacing @ start
    empty = ants.from_numpy(np.zeros(vectors.shape[2::-1], dtype=np.float32))
    field = ants.merge_channels([empty] * 3)
    field.view()[...] = vectors.T
    field.set_origin(tuple(origin))
    field.set_spacing(tuple(spacing))
    field.set_direction(direction)
    # what transform_from_displacement_field does, without its three copies of the field
    pointer = get_lib_fn("antsTransformFromDisplacementField")(field.pointer)
    return ants.ANTsTransform(precision="float", dimension=3, transform_type=FIELD, pointer=pointer)


def _arriving(
    vectors: Array, bounds: tuple[Array, Array], *, origin: Array, axes: Array
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first voxel, and the one after the last, of the box of a field (LPS) that may arrive in a box (RAS).

    A point that arrives there is no farther from it than the longest way along each axis.
    """
    ends = [LPS @ corner for corner in bounds]
    low, high = np.minimum(*ends), np.maximum(*ends)
    size = np.array(vectors.shape[2::-1])
    start, stop = np.zeros(3, dtype=np.intp), size.astype(np.intp)
    inverse = np.linalg.inv(axes)
    for _ in range(2):  # the longest way may be shorter among the points that are left
        part = vectors[tuple(slice(*ends) for ends in zip(start[::-1], stop[::-1], strict=True))]
        way = np.array([max(part[..., k].max(), -part[..., k].min()) for k in range(3)])
        corners = np.array(list(product(*zip(low - way, high + way, strict=True))))
        voxels = (corners - origin) @ inverse.T
        start = np.clip(np.floor(voxels.min(axis=0)) - 1, 0, size - 1).astype(np.intp)
        stop = np.clip(np.ceil(voxels.max(axis=0)) + 2, start + 1, size).astype(np.intp)
    return start, stop


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
    times = _subsamples(target, spacing_mm)
    fine = _refined(target, times)
    empty = np.zeros(fine.shape, dtype=np.float32)
    if not empty.size:
        return empty
    moved = transform.apply_to_image(
        itk_image(data, source.affine), itk_image(empty, fine.affine), interpolation="linear"
    )
    split = [number for pair in zip(target.shape, times, strict=True) for number in pair]
    return np.asarray(moved.numpy().reshape(split).mean(axis=(1, 3, 5)), dtype=np.float32)


def source_coordinates(transform: Transform, *, target: Grid) -> NDArray[np.float32]:
    """Return where the voxels of a target grid lie in the source space: (3, n_x, n_y, n_z) in mm."""
    source = _reach()
    line = np.linspace(-COORDINATE_REACH_MM, COORDINATE_REACH_MM, source.shape[0])
    ramps = np.meshgrid(line, line, line, indexing="ij")
    return np.stack([resample(ramp, transform, source=source, target=target) for ramp in ramps])


def coarse_coordinates(transform: Transform, *, grid: Grid) -> NDArray[np.float32]:
    """Return ``source_coordinates`` at every fourth voxel of a grid that is extended by 80 mm on all sides.

    NaN where a point arrives farther away than coordinates are known, which would else look like the origin.
    """
    coarse = _coarse(grid)
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


def itk_image(data: NDArray[Any], affine: Array) -> AntsImage:
    """Return the ITK image of ``data`` (n_x, n_y, n_z) on the grid of ``affine`` (voxel to mm).

    Raises
    ------
    InputError
        If the affine is sheared, which ITK cannot represent.
    """
    import ants

    if is_sheared(affine):
        raise InputError("The axes of the image are not at right angles (sheared affine); resample it first.")
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


def _subsamples(grid: Grid, spacing_mm: float) -> tuple[int, int, int]:
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
