"""The axis of the cerebral aqueduct in a person's CSF probability map, near that of the template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # loads each submodule at its first use
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_length

Array = NDArray[np.float64]

SLICE_MM = 1.0
SEARCH_MM = 6.0
SEARCH_STEP_MM = 0.5
RING_MM = 3.5
RING_POINTS = 12
REFINE_SD_MM = 1.0
REFINE_REACH_MM = 2.0
REFINE_STEPS = 8
REFINE_MAX_MM = 1.5
CLEAR_SHARE = 0.5
MARGIN_MM = 16.0
SMOOTH_SLICES = 3
SMOOTH_MM = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The axis that was found.

    Attributes
    ----------
    points : (n_slice, 3)
        One point per axial slice (mm), from low to high.
    distance_mm
        Distance of the points from those of the template in their slices, median over the slices.
    contrast
        CSF probability on the axis less that on a ring 3.5 mm around it, mean over the slices: near 0 where the map
        shows no aqueduct.
    """

    points: Array
    distance_mm: float
    contrast: float


def aqueduct_axis(csf: ArrayLike, *, affine: ArrayLike, template: ArrayLike) -> Axis:
    """Return the axis of the aqueduct in a CSF probability map.

    In axial slices 1 mm apart between the ends of the template axis: (1) the shift (x, y) of the whole axis, up to 6 mm
    in either direction, that gives the largest contrast between the axis and a ring around it; (2) in every slice the
    centroid of the CSF above the mean of the ring, under a Gaussian of 1 mm around the point, taken again until it
    stands still and no farther than 1.5 mm from the shifted axis; (3) slices with less than half the median contrast
    (where the aqueduct opens into a ventricle) follow the nearest others, and the median over three slices is taken. A
    shift along the axis cannot be seen and changes nothing.

    Parameters
    ----------
    csf : (n_x, n_y, n_z)
        CSF probability, 0 to 1; NaN counts as 0. Points outside the image are 0.
    affine : (4, 4)
        Voxel indices to mm, in the space of ``template``.
    template : (n_vertex, 3)
        Vertices of the axis of the template (mm), monotonous in z.

    Raises
    ------
    InputError
        If the vertices are not monotonous in z.
    """
    start = _resliced(_ascending(template))
    smooth, to_voxel = _part_around(csf, start, affine=np.asarray(affine, dtype=np.float64))
    shifted = start + np.append(_best_shift(smooth, start, to_voxel), 0.0)
    points = start + _followed(smooth, _refined(smooth, shifted, to_voxel), start, to_voxel)
    return Axis(
        points=points,
        distance_mm=float(np.median(np.linalg.norm(points - start, axis=1))),
        contrast=float(_contrast(smooth, points, to_voxel).mean()),
    )


def axis_at(points: ArrayLike, *, height_mm: ArrayLike) -> Array:
    """Return where an axis (n_slice, 3) is at some heights z (n,): (n, 3); beyond its ends the end slopes go on."""
    axis, height = _ascending(points), np.asarray(height_mm, dtype=np.float64)
    segment = np.clip(np.searchsorted(axis[:, 2], height) - 1, 0, len(axis) - 2)
    low, high = axis[segment], axis[segment + 1]
    share = (height - low[:, 2]) / (high[:, 2] - low[:, 2])
    found = low + share[:, np.newaxis] * (high - low)
    found[:, 2] = height
    return np.asarray(found)


def _ascending(vertices: ArrayLike) -> Array:
    axis = np.asarray(vertices, dtype=np.float64)
    check_length("template", axis, expected=3, axis=1)
    axis = axis[::-1] if axis[0, 2] > axis[-1, 2] else axis
    if len(axis) < 2 or not np.all(np.diff(axis[:, 2]) > 0):
        raise InputError("`template` must be two or more points that rise (or fall) in z.")
    return axis


def _resliced(vertices: Array) -> Array:
    low, high = vertices[[0, -1], 2]
    n_slice = round((high - low) / SLICE_MM) + 1
    return axis_at(vertices, height_mm=np.linspace(low, high, n_slice))


def _part_around(csf: ArrayLike, axis: Array, *, affine: Array) -> tuple[Array, Array]:
    """Return the part of a map around an axis, smoothed a little, and mm to voxel indices of that part."""
    corners = np.stack([axis.min(axis=0) - MARGIN_MM, axis.max(axis=0) + MARGIN_MM])
    grid = np.stack(np.meshgrid(*corners.T, indexing="ij"), axis=-1).reshape(-1, 3)
    to_voxel = np.linalg.inv(affine)
    voxels = grid @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    low, high = np.floor(voxels.min(axis=0)).astype(int), np.ceil(voxels.max(axis=0)).astype(int) + 1
    whole = np.asarray(csf)
    part = tuple(
        slice(int(np.clip(first, 0, size)), int(np.clip(last, 0, size)))
        for first, last, size in zip(low, high, whole.shape, strict=True)
    )
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ [piece.start for piece in part]
    found = np.nan_to_num(whole[part].astype(np.float64))
    smooth = scipy.ndimage.gaussian_filter(found, SMOOTH_MM / np.linalg.norm(affine[:3, :3], axis=0))
    return np.asarray(smooth), np.asarray(np.linalg.inv(moved), dtype=np.float64)


def _sampled(image: Array, points: Array, to_voxel: NDArray[Any]) -> Array:
    """Return an image at points (..., 3) in mm, by linear interpolation; zero outside."""
    if not image.size:
        return np.zeros(points.shape[:-1])
    voxels = points @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    return np.asarray(scipy.ndimage.map_coordinates(image, np.moveaxis(voxels, -1, 0), order=1, mode="constant"))


def _ring() -> Array:
    angles = 2 * np.pi * np.arange(RING_POINTS) / RING_POINTS
    return RING_MM * np.stack([np.cos(angles), np.sin(angles), np.zeros(RING_POINTS)], axis=1)


def _contrast(image: Array, axes: Array, to_voxel: NDArray[Any]) -> Array:
    """Return the contrast of points (..., n_slice, 3) with a ring around each: (..., n_slice)."""
    around = _sampled(image, axes[..., np.newaxis, :] + _ring(), to_voxel).mean(axis=-1)
    return np.asarray(_sampled(image, axes, to_voxel) - around)


def _best_shift(image: Array, start: Array, to_voxel: NDArray[Any]) -> Array:
    """Return the shift (x, y) of the whole axis with the largest contrast; of equals the smallest."""
    steps = np.arange(-SEARCH_MM, SEARCH_MM + SEARCH_STEP_MM / 2, SEARCH_STEP_MM)
    shifts = np.stack(np.meshgrid(steps, steps, [0.0], indexing="ij"), axis=-1).reshape(-1, 3)
    shifts = shifts[np.argsort(np.linalg.norm(shifts, axis=1), kind="stable")]
    contrast = _contrast(image, start + shifts[:, np.newaxis], to_voxel).mean(axis=-1)
    return np.asarray(shifts[int(np.argmax(contrast)), :2])


def _refined(image: Array, shifted: Array, to_voxel: NDArray[Any]) -> Array:
    """Return the axis with the centroid of the CSF in every slice."""
    steps = np.arange(-REFINE_REACH_MM, REFINE_REACH_MM + 0.2, 0.25)
    window = np.stack(np.meshgrid(steps, steps, [0.0], indexing="ij"), axis=-1).reshape(-1, 3)
    weight = np.exp(-0.5 * (window[:, :2] ** 2).sum(axis=1) / REFINE_SD_MM**2)
    points = shifted.copy()
    for _ in range(REFINE_STEPS):
        around = _sampled(image, points[:, np.newaxis] + _ring(), to_voxel).mean(axis=1, keepdims=True)
        bright = weight * np.maximum(_sampled(image, points[:, np.newaxis] + window, to_voxel) - around, 0)
        total = bright.sum(axis=1, keepdims=True)
        points = points + np.divide(bright @ window, total, out=np.zeros_like(points), where=total > 0)
        away = points - shifted
        far = np.linalg.norm(away, axis=1, keepdims=True)
        points = shifted + away * np.minimum(1, REFINE_MAX_MM / np.maximum(far, 1e-9))
    return points


def _followed(image: Array, points: Array, start: Array, to_voxel: NDArray[Any]) -> Array:
    """Return how far (n_slice, 3) the axis is from the template; slices of little contrast follow the others."""
    contrast, away = _contrast(image, points, to_voxel), points - start
    clear = contrast >= CLEAR_SHARE * np.median(contrast)
    height = start[:, 2]
    followed = np.stack([np.interp(height, height[clear], column[clear]) for column in away.T], axis=1)
    return np.asarray(scipy.ndimage.median_filter(followed, size=(SMOOTH_SLICES, 1), mode="nearest"))
