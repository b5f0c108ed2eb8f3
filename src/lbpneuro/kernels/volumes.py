"""Volumes from tissue probability maps: of the whole image, of a region, and how much of a region was measured.

Maps are (..., n_x, n_y, n_z) with free leading axes; sums are taken in float64; a NaN empties only what it enters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating[Any]]
Values = NDArray[np.float64]

VOXELS = (-3, -2, -1)
MM3_PER_ML = 1000.0


def tissue_volume(probability: Map, *, voxel_mm3: float) -> Values:
    """Return the volume of a tissue in mL: ``sum(probability) * voxel_mm3 / 1000``.

    Parameters
    ----------
    probability
        Tissue probability (..., n_x, n_y, n_z), 0 to 1.
    voxel_mm3
        Volume of a voxel (mm³).

    Returns
    -------
    NDArray
        Volumes (...); NaN where a probability is NaN.

    Examples
    --------
    >>> tissue_volume(np.full((2, 2, 2), 0.5), voxel_mm3=250.0)
    array(1.)
    """
    return np.asarray(np.sum(probability, axis=VOXELS, dtype=np.float64)) * voxel_mm3 / MM3_PER_ML


def regional_volume(probability: Map, weights: Map, *, voxel_mm3: float) -> Values:
    """Return the volume of a tissue within a region in mL: ``sum(probability * weights) * voxel_mm3 / 1000``.

    Parameters
    ----------
    probability
        Tissue probability (..., n_x, n_y, n_z), 0 to 1.
    weights
        Share of every voxel that belongs to the region (..., n_x, n_y, n_z), 0 to 1.
    voxel_mm3
        Volume of a voxel (mm³).

    Returns
    -------
    NDArray
        Volumes (...); NaN only where the region holds a NaN: what lies outside it does not matter.
    """
    member = np.asarray(weights) != 0
    product = np.multiply(probability, weights, dtype=np.float64, where=member, out=_zeros(probability, weights))
    return np.asarray(product.sum(axis=VOXELS)) * voxel_mm3 / MM3_PER_ML


def regional_mean(probability: Map, weights: Map) -> Values:
    """Return the mean of a map over a region: ``sum(probability * weights) / sum(weights)``.

    Parameters
    ----------
    probability
        Tissue probability (..., n_x, n_y, n_z), 0 to 1.
    weights
        Share of every voxel that belongs to the region (..., n_x, n_y, n_z), 0 to 1.

    Returns
    -------
    NDArray
        Means (...); NaN for a region without volume, or that holds a NaN.
    """
    total = np.asarray(np.sum(weights, axis=VOXELS, dtype=np.float64))
    inner = regional_volume(probability, weights, voxel_mm3=MM3_PER_ML)
    total = np.broadcast_to(total, inner.shape)
    return np.divide(inner, total, where=total > 0, out=np.full(inner.shape, np.nan))


def coverage(weights: Map, inside: NDArray[np.bool_]) -> Values:
    """Return the share of a region's volume that lies inside a mask: ``sum(weights * inside) / sum(weights)``.

    Parameters
    ----------
    weights
        Share of every voxel that belongs to the region (..., n_x, n_y, n_z).
    inside
        Mask of what was measured (..., n_x, n_y, n_z).

    Returns
    -------
    NDArray
        Shares (...) between 0 and 1; NaN for a region without volume.
    """
    total = np.asarray(np.sum(weights, axis=VOXELS, dtype=np.float64))
    covered = np.sum(np.where(inside, weights, 0), axis=VOXELS, dtype=np.float64)
    return np.divide(covered, total, where=total > 0, out=np.full(total.shape, np.nan))


def segmented(*, gm: Map, wm: Map, csf: Map) -> NDArray[np.bool_]:
    """Return where the brain was segmented: the three tissue probabilities add up to more than one half."""
    return np.asarray(gm + wm + csf) > 0.5


def without_background(probability: Map, background: NDArray[np.bool_]) -> Map:
    """Return a map whose NaN in the background are zero (some programs write NaN outside the brain)."""
    return np.where(background & np.isnan(probability), 0, probability).astype(probability.dtype, copy=False)


def ratio_se(ratio: float, *, numerator_cv: float, denominator_cv: float) -> float:
    """Return the standard error of a ratio of two independent quantities.

    First-order propagation: ``|ratio| * sqrt(numerator_cv² + denominator_cv²)``, where a coefficient of variation is
    the standard error of a quantity as a share of it.
    """
    return float(abs(ratio) * np.hypot(numerator_cv, denominator_cv))


def _zeros(*arrays: Map) -> Values:
    return np.zeros(np.broadcast_shapes(*(np.shape(array) for array in arrays)))
