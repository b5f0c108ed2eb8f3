"""Region means and coverage: bincount of a label image, or the product of the series with a sparse membership."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_length

Array = NDArray[np.float64]

BLOCK = 4096  # voxels at a time: bounds the float64 copy of a float32 matrix


def usable_voxels(series: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which columns of ``series`` (n_time, n_voxel) are finite throughout and not constant, shape (n_voxel,)."""
    with np.errstate(invalid="ignore"):
        high, low = series.max(axis=0), series.min(axis=0)  # NaN where any value is
        return np.isfinite(high) & np.isfinite(low) & (high > low)


def region_means(
    series: NDArray[np.floating],
    *,
    weights: NDArray[np.floating] | scipy.sparse.sparray,
    whole: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """Return weighted region means and the share of every region that the data cover.

    Parameters
    ----------
    series : (n_time, n_voxel)
        Voxels inside the data; any float type, sums in float64. Read once, in blocks of the voxels that have a weight.
    weights : (n_roi, n_voxel), dense or a sparse array of scipy
        Non-negative; regions may overlap. Hundreds of regions should be sparse (:func:`label_weights`).
    whole : (n_roi,), optional
        Whole weight of each region where it reaches beyond the ``n_voxel`` voxels; by default the sum of its weights.

    Returns
    -------
    means : (n_time, n_roi) float64
        ``sum_v w_v x_v / sum_v w_v`` over the usable voxels (finite, not constant); NaN for a region without any.
    coverage : (n_roi,) float64
        Usable weight / whole weight, in [0, 1]; NaN for a region of weight 0.
    """
    membership = scipy.sparse.csc_array(weights, dtype=np.float64, copy=True)
    check_length("weights", membership, expected=series.shape[1], axis=1)
    membership.eliminate_zeros()
    touched = np.flatnonzero(np.diff(membership.indptr))
    membership = membership[:, touched]
    sums, total = np.zeros((len(series), membership.shape[0])), np.zeros(membership.shape[0])
    for start in range(0, len(touched), BLOCK):
        block = series[:, touched[start : start + BLOCK]]
        usable = np.flatnonzero(usable_voxels(block))
        kept = membership[:, start + usable]
        sums += (kept @ np.ascontiguousarray(block[:, usable].T, dtype=np.float64)).T
        total += kept.sum(axis=1)
    whole = np.asarray(membership.sum(axis=1) if whole is None else whole, dtype=np.float64)
    return sums / np.where(total > 0, total, np.nan), total / np.where(whole > 0, whole, np.nan)


def label_weights(labels: NDArray[np.integer[Any]], *, ids: ArrayLike) -> scipy.sparse.csr_array:
    """Return which voxel belongs to which label, as the sparse weights of :func:`region_means`.

    Parameters
    ----------
    labels : (n_voxel,)
        Label of every voxel, of any integer type.
    ids : (n_label,)
        Labels that are wanted, in any order, each once; one that no voxel has gives an empty row.

    Returns
    -------
    (n_label, n_voxel) CSR float32
        1 for the voxels of the label.
    """
    row, n_label = _rows(labels, ids)
    voxel = np.flatnonzero(row >= 0)
    ones = np.ones(len(voxel), dtype=np.float32)
    return scipy.sparse.csr_array((ones, (row[voxel], voxel)), shape=(n_label, len(row)))


def label_sums(
    values: NDArray[np.generic], *, labels: NDArray[np.integer[Any]], ids: ArrayLike
) -> tuple[Array, NDArray[np.int64]]:
    """Return the sum of one volume over every label, and over how many voxels.

    Parameters
    ----------
    values : (n_voxel,)
        Sums are taken in float64; voxels that are NaN or infinite are left out.
    labels : (n_voxel,)
        Label of every voxel, of any integer type.
    ids : (n_label,)
        Labels that are wanted, each once.

    Returns
    -------
    sums : (n_label,) float64
        NaN for a label without a finite voxel. The mean is ``sums / count``.
    count : (n_label,) int64
        Finite voxels of each label; over all its voxels, that is its coverage.
    """
    row, n_label = _rows(labels, ids)
    check_length("values", values, expected=len(row))
    wanted = (row >= 0) & np.isfinite(values)
    count = np.bincount(row[wanted], minlength=n_label)
    sums = np.bincount(row[wanted], weights=values[wanted], minlength=n_label)
    return np.where(count > 0, sums, np.nan), count


def _rows(labels: NDArray[np.integer[Any]], ids: ArrayLike) -> tuple[NDArray[np.intp], int]:
    """Return the place in ``ids`` of the label of every voxel, -1 for none, and the number of ``ids``."""
    wanted = np.asarray(ids)
    for name, array in (("labels", labels), ("ids", wanted)):
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise InputError(f"`{name}` must be a row of whole numbers; got {array.dtype} of shape {array.shape}.")
    # both as int64: a label is never compared through a type that cannot hold it
    wanted, labels = wanted.astype(np.int64), labels.astype(np.int64, copy=False)
    order = np.argsort(wanted, kind="stable")
    if np.any(np.diff(wanted[order]) == 0):
        twice = wanted[order][1:][np.diff(wanted[order]) == 0][0]
        raise InputError(f"`ids` must hold every label once; {twice} is there twice.")
    place = np.minimum(np.searchsorted(wanted[order], labels), max(len(wanted) - 1, 0))
    found = wanted[order][place] == labels if len(wanted) else np.zeros(len(labels), dtype=bool)
    return np.where(found, order[place] if len(wanted) else 0, -1), len(wanted)
