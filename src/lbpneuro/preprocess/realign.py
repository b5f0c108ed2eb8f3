"""Rigid realignment of an fMRI series by inverse-compositional Gauss-Newton steps.

The gradient of the reference is computed once; every step then solves a 7 x 7 system (three translations, three
rotations, an intensity factor). See Baker & Matthews 2004, https://doi.org/10.1023/B:VISI.0000011205.11775.fd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lbpneuro.kernels.quality import rigid_matrices

Array = NDArray[np.floating]
SIGMA_PER_FWHM = 1.0 / np.sqrt(8.0 * np.log(2.0))
MEAN_OF = 30  # volumes, spread over the run, that make the reference of the second pass
POINTS_MM = 4.0  # apart: finer images, smoothed as they are, tell nothing more between
ROUGH, FINE = 2e-2, 1e-3  # mm: the last step of the first and of the second pass
RADIAN_MM = 100.0  # a step of rotation moves a point that far away by 1 mm per 0.01 rad


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The reference volume as the realigner needs it, at ``n`` points inside the head.

    ``points_mm`` (n, 3) are scanner coordinates, ``values`` (n,) the smoothed intensities there, ``jacobian`` (n, 7)
    the change of the values with tx, ty, tz (mm), rx, ry, rz (rad) about ``centre_mm`` and with the intensity factor,
    ``normal`` (7, 7) its product with itself.
    """

    points_mm: Array
    values: Array
    jacobian: Array
    normal: Array
    centre_mm: Array


def realign(
    series: Array, affine: Array, *, start: int = 0, fwhm_mm: float = 5.0, iterations: int = 12
) -> NDArray[np.float64]:
    """Return the rigid motion of every volume of ``series``.

    A first pass with linear interpolation aligns all volumes to volume ``start``, a second one with cubic splines
    to the mean of the aligned volumes.

    Parameters
    ----------
    series : array, shape (n_x, n_y, n_z, n_time)
    affine : array, shape (4, 4)
        Voxel to scanner coordinates in mm.
    fwhm_mm : float
        Smoothing of the copies that are compared.

    Returns
    -------
    array, shape (n_time, 4, 4)
        ``motion[t]`` takes a point of the reference (mm) to where the head was at volume t.
    """
    sigma = fwhm_mm * SIGMA_PER_FWHM / np.linalg.norm(affine[:3, :3], axis=0)
    inside = thinned(head_mask(series[..., start]), affine)
    n_time = series.shape[-1]

    def smooth(time: int) -> Array:
        return ndimage.gaussian_filter(np.asarray(series[..., time], dtype=np.float32), sigma, mode="nearest")

    def spline(time: int) -> Array:
        return spline_coefficients(smooth(time))

    first = reference(smooth(start), affine, inside=inside)
    known = {"affine": affine, "n_time": n_time, "iterations": iterations}
    rough = align_all(first, smooth, guesses=None, order=1, least_mm=ROUGH, **known)
    chosen = np.unique(np.linspace(0, n_time - 1, min(n_time, MEAN_OF)).astype(int))
    mean = mean_aligned(lambda k: spline(chosen[k]), rough[chosen], affine=affine, shape=series.shape[:3])
    second = reference(mean, affine, inside=inside)
    return align_all(second, spline, guesses=rough, order=3, least_mm=FINE, **known)


def spline_coefficients(volume: Array) -> NDArray[np.float32]:
    """Return the cubic-spline coefficients that ``sample`` takes with ``order=3``."""
    return np.asarray(ndimage.spline_filter(volume, order=3, mode="mirror", output=np.float32))


def head_mask(volume: Array) -> NDArray[np.bool_]:
    """Return the voxels brighter than a quarter of the 98th percentile (head against air)."""
    return np.asarray(volume > 0.25 * np.quantile(volume, 0.98))


def thinned(mask: NDArray[np.bool_], affine: Array) -> NDArray[np.bool_]:
    """Return the voxels of ``mask`` that lie on a lattice of at most ``POINTS_MM``."""
    steps = np.maximum(1, np.floor(POINTS_MM / np.linalg.norm(affine[:3, :3], axis=0) + 1e-3).astype(int))
    lattice = np.zeros_like(mask)
    lattice[tuple(slice(None, None, step) for step in steps)] = True
    return mask & lattice


def reference(volume: Array, affine: Array, *, inside: NDArray[np.bool_]) -> Reference:
    """Return ``volume`` with its derivatives by the motion parameters, at the voxels ``inside``."""
    gradient = np.stack([part[inside] for part in np.gradient(volume.astype(np.float64))], axis=1)
    points = np.argwhere(inside) @ affine[:3, :3].T + affine[:3, 3]
    gradient_mm = gradient @ np.linalg.inv(affine[:3, :3])
    centre = points.mean(axis=0)
    values = volume[inside].astype(np.float64)
    jacobian = np.column_stack([gradient_mm, np.cross(gradient_mm, points - centre), values])
    return Reference(
        points_mm=points, values=values, jacobian=jacobian, normal=product(jacobian, jacobian), centre_mm=centre
    )


def product(first: Array, second: Array) -> NDArray[np.float64]:
    """Return first' second; einsum, unlike a BLAS product, adds in an order that no number of threads changes."""
    return np.asarray(np.einsum("ni,n...->i...", first, second))


def align_all(
    target: Reference,
    volume_at: Callable[[int], Array],
    *,
    affine: Array,
    guesses: Array | None,
    n_time: int,
    order: int,
    iterations: int,
    least_mm: float,
) -> NDArray[np.float64]:
    """Return the motion of every volume; each starts from its guess, or else from the volume before it."""
    motion = np.empty((n_time, 4, 4))
    previous = np.eye(4)
    for time in range(n_time):
        guess = previous if guesses is None else guesses[time]
        motion[time] = previous = align(
            target,
            volume_at(time),
            affine=affine,
            guess=guess,
            order=order,
            iterations=iterations,
            least_mm=least_mm,
        )
    return motion


def align(
    target: Reference,
    volume: Array,
    *,
    affine: Array,
    guess: Array,
    order: int = 1,
    iterations: int = 12,
    least_mm: float = FINE,
) -> NDArray[np.float64]:
    """Return the rigid 4 x 4 transform from the reference to ``volume`` (smoothed alike; see ``sample``)."""
    to_voxel = np.linalg.inv(affine)
    motion, factor = np.array(guess, dtype=np.float64), 1.0
    for _ in range(iterations):
        sampled, seen = sample(volume, target.points_mm, to_voxel=to_voxel @ motion, order=order)
        error = np.where(seen, sampled - factor * target.values, 0.0)
        unseen = target.jacobian[~seen]
        step = np.linalg.solve(target.normal - product(unseen, unseen), product(target.jacobian, error))
        motion = motion @ np.linalg.inv(rigid(step[None, :6] / factor, target.centre_mm)[0])
        factor += step[6]
        if max(np.abs(step[:3]).max(), RADIAN_MM * np.abs(step[3:6]).max()) < least_mm:
            break
    return motion


def sample(volume: Array, points_mm: Array, *, to_voxel: Array, order: int = 1) -> tuple[Array, NDArray[np.bool_]]:
    """Return ``volume`` at ``points_mm`` (n, 3) and which of the points lie inside its grid.

    ``order`` 1 is trilinear; for 3, cubic, ``volume`` must be what ``spline_coefficients`` returned.
    """
    voxels = to_voxel[:3, :3] @ points_mm.T + to_voxel[:3, 3:]
    last = np.array(volume.shape)[:, None] - 1
    seen = np.all((voxels >= 0) & (voxels <= last), axis=0)
    values = ndimage.map_coordinates(volume, voxels, order=order, mode="mirror", output=np.float64, prefilter=False)
    return values, seen


def rigid(motion_parameters: Array, centre_mm: Array) -> NDArray[np.float64]:
    """Return the 4 x 4 transforms of tx, ty, tz (mm), rx, ry, rz (rad) about ``centre_mm``.

    Parameters
    ----------
    motion_parameters : array, shape (n_time, 6)
        In the convention of ``kernels.quality.rigid_matrices``, which is that of FSL and fMRIPrep.

    Returns
    -------
    array, shape (n_time, 4, 4)
    """
    to_centre, back = np.eye(4), np.eye(4)
    to_centre[:3, 3], back[:3, 3] = -centre_mm, centre_mm
    return np.asarray(back @ rigid_matrices(motion_parameters) @ to_centre)


def parameters(motion: Array, centre_mm: Array) -> NDArray[np.float64]:
    """Return tx, ty, tz (mm) and rx, ry, rz (rad) of rigid transforms: the inverse of ``rigid``.

    Parameters
    ----------
    motion : array, shape (n_time, 4, 4)
    centre_mm : array, shape (3,)

    Returns
    -------
    array, shape (n_time, 6)
    """
    rotation = motion[:, :3, :3]
    about_x = np.arctan2(rotation[:, 1, 2], rotation[:, 2, 2])
    about_y = -np.arcsin(np.clip(rotation[:, 0, 2], -1.0, 1.0))
    about_z = np.arctan2(rotation[:, 0, 1], rotation[:, 0, 0])
    shift = motion[:, :3, 3] - centre_mm + rotation @ centre_mm
    return np.column_stack([shift, about_x, about_y, about_z])


def mean_aligned(
    spline_at: Callable[[int], Array], motion: Array, *, affine: Array, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return the mean over time of the volumes brought back to the reference.

    Parameters
    ----------
    spline_at : callable
        Gives the ``spline_coefficients`` of a volume by its number.
    motion : array, shape (n_time, 4, 4)
    """
    points = np.argwhere(np.ones(shape, dtype=bool)) @ affine[:3, :3].T + affine[:3, 3]
    total = np.zeros(len(points))
    for time, transform in enumerate(motion):
        total += sample(spline_at(time), points, to_voxel=np.linalg.inv(affine) @ transform, order=3)[0]
    return (total / len(motion)).reshape(shape)
