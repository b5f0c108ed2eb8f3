"""Gaussian smoothing inside a mask, as matrix products along the three axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lbpneuro.kernels._checks import check_length
from lbpneuro.kernels.voxels import as_volume

FWHM_PER_SD = float(np.sqrt(8 * np.log(2)))
CHUNK = 4  # images per product: bounds the memory of the volumes
TRUNCATE = 4.0  # standard deviations


def smooth_in_mask(
    values: NDArray[np.floating],
    *,
    mask: NDArray[np.bool_],
    fwhm_voxels: Sequence[float],
    out: NDArray[np.floating] | None = None,
) -> NDArray[np.floating]:
    """Return images smoothed by a Gaussian, of which only the part inside the mask counts.

    ``sum_w g(v - w) x_w / sum_w g(v - w)`` over the voxels ``w`` inside the mask: nothing leaks in from outside, and a
    constant image stays what it is. The Gaussian ends at 4 standard deviations. It is linear: smoothed coordinates of
    projected series are the coordinates of smoothed series.

    Parameters
    ----------
    values : (n_image, n_voxel)
        Voxels of each image, columns as in :mod:`lbpneuro.kernels.voxels`. A voxel that is NaN in any image is outside
        the mask.
    mask : (n_x, n_y, n_z) of bool
    fwhm_voxels : (3,)
        Full width at half maximum along each axis, in voxels; 0 leaves an axis alone.
    out : (n_image, n_voxel), optional
        Where the smoothed images are written; may be ``values``.

    Returns
    -------
    (n_image, n_voxel) of the type of ``values``
        NaN where ``values`` is.
    """
    check_length("values", values, expected=int(mask.sum()), axis=1)
    usable = np.isfinite(values).all(axis=0)
    inside = as_volume(usable, mask).T
    smoothed = np.empty_like(values) if out is None else out
    if not usable.all():
        smoothed[:, ~usable] = np.nan
    if not usable.any():
        return smoothed
    axes = ((1, 2), (0, 2), (0, 1))
    box = tuple(slice(found[0], found[-1] + 1) for found in (np.flatnonzero(inside.any(axis=axis)) for axis in axes))
    inside = inside[box]
    kernels = [_gaussian(inside.shape[k], fwhm_voxels[2 - k], dtype=values.dtype) for k in range(3)]
    weight = _along_axes(inside[None].astype(values.dtype), kernels)[0][inside]
    columns = slice(None) if usable.all() else np.flatnonzero(usable)
    places = np.flatnonzero(inside)  # a mask would take four times as long to fill and to read
    for start in range(0, len(values), CHUNK):
        rows = slice(start, start + CHUNK)
        volumes = np.zeros((len(values[rows]), *inside.shape), dtype=values.dtype)
        volumes.reshape(len(volumes), -1)[:, places] = values[rows, columns]
        found = _along_axes(volumes, kernels).reshape(len(volumes), -1)
        smoothed[rows, columns] = np.take(found, places, axis=1) / weight
    return smoothed


def _gaussian(size: int, fwhm: float, *, dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
    """Return the weights (size, size) of a Gaussian between the voxels of one axis; the scale does not matter."""
    distance = np.abs(np.arange(size)[:, None] - np.arange(size))
    if not fwhm > 0:
        return np.eye(size, dtype=dtype)
    sd = fwhm / FWHM_PER_SD
    reach = int(TRUNCATE * sd + 0.5)
    return np.where(distance <= reach, np.exp(-0.5 * (distance / sd) ** 2), 0).astype(dtype)


def _along_axes(volumes: NDArray[np.floating], kernels: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
    """Return ``volumes`` (n, n_z, n_y, n_x) multiplied by a symmetric matrix along each of the last three axes."""
    n, n_z, n_y, n_x = volumes.shape
    volumes = volumes @ kernels[2]
    volumes = np.matmul(kernels[1], volumes)
    return np.matmul(kernels[0], volumes.reshape(n, n_z, n_y * n_x)).reshape(n, n_z, n_y, n_x)
