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


def kept_volumes(fd_mm: ArrayLike, *, steady: ArrayLike, threshold_mm: float) -> NDArray[np.bool_]:
    """Return the volumes in the steady state whose displacement is not above ``threshold_mm``, shape (n_time,)."""
    moved = spikes(fd_mm, threshold_mm=threshold_mm)
    return as_mask("steady", steady, expected=len(moved)) & ~moved


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
