"""Region means and coverage by one product of the series with a matrix of weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.kernels._checks import check_length

Array = NDArray[np.float64]


def usable_voxels(series: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which columns of ``series`` (n_time, n_voxel) are finite throughout and not constant, shape (n_voxel,)."""
    with np.errstate(invalid="ignore"):
        varies = series.max(axis=0) > series.min(axis=0)
    return np.isfinite(series).all(axis=0) & varies


def region_means(
    series: NDArray[np.floating], *, weights: NDArray[np.floating], whole: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Return weighted region means and the share of every region that the data cover.

    Parameters
    ----------
    series : (n_time, n_voxel)
        Voxels inside the data; any float type, sums in float64.
    weights : (n_roi, n_voxel)
        Non-negative; regions may overlap. Only the columns with a weight are read.
    whole : (n_roi,), optional
        Whole weight of each region where it reaches beyond the ``n_voxel`` voxels; by default the sum of its weights.

    Returns
    -------
    means : (n_time, n_roi) float64
        ``sum_v w_v x_v / sum_v w_v`` over the usable voxels (finite, not constant); NaN for a region without any.
    coverage : (n_roi,) float64
        Usable weight / whole weight, in [0, 1]; NaN for a region of weight 0.
    """
    check_length("weights", weights, expected=series.shape[1], axis=1)
    touched = np.flatnonzero(weights.any(axis=0))
    inside = series[:, touched].astype(np.float64)
    usable = usable_voxels(inside)
    kept = weights[:, touched[usable]].astype(np.float64)
    whole = np.asarray(weights.sum(axis=1, dtype=np.float64) if whole is None else whole, dtype=np.float64)
    total = kept.sum(axis=1)
    means = inside[:, usable] @ kept.T / np.where(total > 0, total, np.nan)
    return means, total / np.where(whole > 0, whole, np.nan)
