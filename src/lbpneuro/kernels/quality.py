"""Head motion, censoring and temporal signal-to-noise ratio of a BOLD run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.kernels._checks import as_mask, check_length

Array = NDArray[np.float64]


def fd_power(motion: ArrayLike, *, radius_mm: float = 50.0) -> Array:
    """Return the framewise displacement of Power (mm).

    ``sum |d translation| + radius sum |d rotation|``, the sum of six absolute backward differences
    (Power 2012, 10.1016/j.neuroimage.2011.10.018).

    Parameters
    ----------
    motion : (n_time, 6)
        Translations x, y, z (mm), then rotations x, y, z (rad).

    Returns
    -------
    (n_time,) float64
        NaN for the first volume, which has no predecessor.
    """
    motion = np.asarray(motion, dtype=np.float64)
    check_length("motion", motion, expected=6, axis=1)
    step = np.abs(np.diff(motion, axis=0))
    return np.concatenate([[np.nan], step[:, :3].sum(axis=1) + radius_mm * step[:, 3:].sum(axis=1)])


def rigid_matrices(motion: ArrayLike) -> Array:
    """Return the rigid transforms of six motion parameters, shape (n_time, 4, 4).

    Rotation ``Rx Ry Rz`` in the sign convention of FSL (mcflirt), which fMRIPrep keeps, then the translation; about the
    origin.
    """
    motion = np.asarray(motion, dtype=np.float64)
    (cx, cy, cz), (sx, sy, sz) = np.cos(motion[:, 3:]).T, np.sin(motion[:, 3:]).T
    zero, one = np.zeros(len(motion)), np.ones(len(motion))
    rx = np.array([[one, zero, zero], [zero, cx, sx], [zero, -sx, cx]])
    ry = np.array([[cy, zero, -sy], [zero, one, zero], [sy, zero, cy]])
    rz = np.array([[cz, sz, zero], [-sz, cz, zero], [zero, zero, one]])
    matrices = np.tile(np.eye(4), (len(motion), 1, 1))
    matrices[:, :3, :3] = np.einsum("ijt,jkt,klt->til", rx, ry, rz)
    matrices[:, :3, 3] = motion[:, :3]
    return matrices


def fd_jenkinson(motion: ArrayLike, *, radius_mm: float = 80.0) -> Array:
    """Return the framewise displacement of Jenkinson (mm): the RMS shift inside a sphere.

    With ``M = T_t T_{t-1}^{-1} - I`` of rotation part ``A`` and translation part ``b``:
    ``sqrt(radius^2 / 5 trace(A'A) + b'b)`` (Jenkinson 1999, FMRIB technical report TR99MJ1; the `rmsd` of fMRIPrep).

    Parameters
    ----------
    motion : (n_time, 6)
        Translations x, y, z (mm), then rotations x, y, z (rad).

    Returns
    -------
    (n_time,) float64
        NaN for the first volume.
    """
    matrices = rigid_matrices(motion)
    change = matrices[1:] @ np.linalg.inv(matrices[:-1]) - np.eye(4)
    turn = np.sum(change[:, :3, :3] ** 2, axis=(1, 2))
    shift = np.sum(change[:, :3, 3] ** 2, axis=1)
    return np.concatenate([[np.nan], np.sqrt(radius_mm**2 / 5 * turn + shift)])


def spikes(fd_mm: ArrayLike, *, threshold_mm: float) -> NDArray[np.bool_]:
    """Return the volumes with displacement strictly above ``threshold_mm``; an unknown displacement is no spike."""
    with np.errstate(invalid="ignore"):
        return np.asarray(fd_mm, dtype=np.float64) > threshold_mm


def kept_volumes(
    fd_mm: ArrayLike,
    *,
    steady: ArrayLike,
    threshold_mm: float,
    std_dvars: ArrayLike | None = None,
    std_dvars_max: float = np.inf,
    segment_min: int = 1,
) -> NDArray[np.bool_]:
    """Return the volumes that connectivity is computed of.

    They are in the steady state, their displacement is not above ``threshold_mm``, their standardised DVARS is not
    above ``std_dvars_max``, and they stand in a stretch of at least ``segment_min`` such volumes. Unknown displacements
    and DVARS are no reason to leave a volume out.

    Parameters
    ----------
    fd_mm : (n_time,)
    steady : (n_time,) of bool
    threshold_mm : float
        Strict: a displacement of exactly this is kept.
    std_dvars : (n_time,), optional
    std_dvars_max : float
    segment_min : int
        Number of volumes; 1 keeps every stretch.

    Returns
    -------
    (n_time,) of bool
    """
    moved = spikes(fd_mm, threshold_mm=threshold_mm)
    keep = as_mask("steady", steady, expected=len(moved)) & ~moved
    if std_dvars is not None:
        std_dvars = np.asarray(std_dvars, dtype=np.float64)
        check_length("std_dvars", std_dvars, expected=len(moved))
        keep &= ~(std_dvars > std_dvars_max)
    return long_segments(keep, shortest=segment_min)


def long_segments(keep: ArrayLike, *, shortest: int) -> NDArray[np.bool_]:
    """Return ``keep`` without the stretches of fewer than ``shortest`` true values in a row, shape (n_time,)."""
    keep = np.asarray(keep, dtype=bool)
    number = np.cumsum(np.diff(keep, prepend=False))
    length = np.bincount(number, minlength=1)
    return keep & (length[number] >= shortest)


def tsnr(series: NDArray[np.floating], *, keep: ArrayLike) -> Array:
    """Return the temporal signal-to-noise ratio of every voxel.

    Mean / SD (``ddof`` = 1) over the kept volumes, in float64, two passes.

    Parameters
    ----------
    series : (n_time, n_voxel)
        Preprocessed BOLD, not cleaned of confounds.
    keep : (n_time,) of bool

    Returns
    -------
    (n_voxel,) float64
        NaN for a voxel that is NaN, constant, or seen in fewer than two kept volumes.
    """
    kept = series[as_mask("keep", keep, expected=len(series))].astype(np.float64)
    if len(kept) < 2:
        return np.full(series.shape[1], np.nan)
    sd = kept.std(axis=0, ddof=1)
    return kept.mean(axis=0) / np.where(sd > 0, sd, np.nan)


def block_jackknife_se(statistic: Callable[[NDArray[np.intp]], float], *, n_time: int, n_blocks: int = 20) -> float:
    """Return the standard error of a statistic of a time series that is not independent from volume to volume.

    The delete-one-block jackknife: ``sqrt((b-1)/b sum_i (s_i - mean s)^2)`` where ``s_i`` leaves out the i-th of ``b``
    runs of adjacent volumes (Kunsch 1989, 10.1214/aos/1176347265).

    Parameters
    ----------
    statistic : callable
        Gets the indices of the volumes to use, returns a number.
    n_time : int
        Number of volumes.
    n_blocks : int
        Number of blocks; fewer than 3 volumes per block give NaN.
    """
    if n_time < 3 * n_blocks:
        return float("nan")
    blocks = np.array_split(np.arange(n_time), n_blocks)
    left_out = [statistic(np.concatenate(blocks[:i] + blocks[i + 1 :])) for i in range(n_blocks)]
    return float(np.sqrt((n_blocks - 1) * np.var(left_out, ddof=0)))


def tsnr_left_out(series: NDArray[np.floating], *, keep: ArrayLike, n_blocks: int = 20) -> tuple[Array, Array]:
    """Return the temporal signal-to-noise ratio of every voxel, and that without each of some blocks of volumes.

    Sums and sums of squares of the centred series are taken once per block, so that leaving one out costs no pass over
    the data; for :func:`block_jackknife_se` of any function of the ratios.

    Parameters
    ----------
    series : (n_time, n_voxel)
        Preprocessed BOLD, not cleaned of confounds.
    keep : (n_time,) of bool
    n_blocks : int
        Number of runs of successive kept volumes.

    Returns
    -------
    whole : (n_voxel,) float64
        As :func:`tsnr`.
    left_out : (n_blocks, n_voxel) float64
        Without the i-th block; NaN for a voxel that is NaN in any kept volume, and throughout for fewer than 3 volumes
        per block.
    """
    kept = series[as_mask("keep", keep, expected=len(series))].astype(np.float64)
    n_time, n_voxel = kept.shape
    if n_time < 2:
        return np.full(n_voxel, np.nan), np.full((n_blocks, n_voxel), np.nan)
    first = kept[0]  # a constant voxel becomes 0 exactly, as it would not with its rounded mean
    kept = kept - first
    parts = np.array_split(kept, min(n_blocks, n_time))
    # not by a matrix product, whose last digits depend on the number of threads
    sums = np.stack([part.sum(axis=0) for part in parts])
    squares = np.stack([np.square(part).sum(axis=0) for part in parts])
    count = np.array([[len(part)] for part in parts], dtype=np.float64)
    whole = _ratio(first, n_time, sums.sum(axis=0), squares.sum(axis=0))
    if n_time < 3 * n_blocks:
        return whole, np.full((n_blocks, n_voxel), np.nan)
    return whole, _ratio(first, n_time - count, sums.sum(axis=0) - sums, squares.sum(axis=0) - squares)


def _ratio(origin: Array, count: float | Array, sums: Array, squares: Array) -> Array:
    """Return mean / SD (``ddof`` = 1) of ``count`` values whose distances from ``origin`` have these sums."""
    variance = (squares - sums**2 / count) / (count - 1)
    sd = np.sqrt(np.where(variance > 0, variance, np.nan))
    return np.asarray((origin + sums / count) / sd)


def jackknife_spread(left_out: ArrayLike) -> Array:
    """Return the delete-one jackknife error ``sqrt((b - 1) / b sum_i (s_i - mean s)^2)`` over the first of the axes."""
    left_out = np.asarray(left_out, dtype=np.float64)
    return np.sqrt((len(left_out) - 1) * np.var(left_out, axis=0, ddof=0))
