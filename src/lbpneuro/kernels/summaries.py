"""What one voxel's correlations with all others come to, without the matrix of voxels by voxels.

Mean and mean square have closed forms on the series ``u_i`` at unit norm, exact but for rounding:

    ``sum_j r_ij = u_i' sum_j u_j`` and ``sum_j r_ij^2 = u_i' (sum_j u_j u_j') u_i``

of one vector and one d x d matrix. The degree has none; its products are taken block by block. A series that is NaN or
zero is NaN and is no partner of any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_option
from lbpneuro.kernels.correlation import inverse_norm

Array = NDArray[np.float64]
Floating = NDArray[Any]

BLOCK = 4096  # series per block: what is scaled to unit norm at a time
SQUARE = 1024  # voxels per side of a block of correlations; below 65536, since a row is counted in 16 bits


def mean_correlation(projected: Floating) -> Array:
    """Return the mean correlation of every series with all others: global brain connectivity.

    Parameters
    ----------
    projected : (d, n_voxel)
        From :func:`lbpneuro.kernels.nuisance.project`; products in its precision, sums over voxels in float64.

    Returns
    -------
    (n_voxel,) float64
        ``(u_i' sum_j u_j - 1) / (n - 1)`` over the ``n`` usable series; NaN where ``n`` < 2.
    """
    scale = inverse_norm(projected)
    total = np.zeros(len(projected))
    for _, unit in _unit_blocks(projected, scale):
        total += unit.sum(axis=1)
    found = np.empty(len(scale))
    for columns, unit in _unit_blocks(projected, scale):
        found[columns] = total.astype(unit.dtype) @ unit
    return _of_others(found, scale)


def mean_squared_correlation(projected: Floating) -> Array:
    """Return the mean squared correlation of every series with all others: intrinsic connectivity contrast.

    Noise raises it: independent white series have ``E r^2 = 1 / d``, and more if their spectra are coloured
    (:func:`without_noise`).

    Parameters
    ----------
    projected : (d, n_voxel)
        From :func:`lbpneuro.kernels.nuisance.project`; products in its precision, sums over voxels in float64.

    Returns
    -------
    (n_voxel,) float64
        ``(u_i' G u_i - 1) / (n - 1)`` with ``G = sum_j u_j u_j'`` over the ``n`` usable series; NaN where ``n`` < 2.
    """
    scale = inverse_norm(projected)
    gram = np.zeros((len(projected), len(projected)))
    for _, unit in _unit_blocks(projected, scale):
        gram += unit @ unit.T
    found = np.empty(len(scale))
    for columns, unit in _unit_blocks(projected, scale):
        found[columns] = np.einsum("ds,ds->s", gram.astype(unit.dtype) @ unit, unit)
    return _of_others(found, scale)


def without_noise(mean_square: ArrayLike, *, dimension: float) -> Array:
    """Return a mean squared correlation less what noise alone gives: ``(d m - 1) / (d - 1)``.

    Its expectation is 0 for independent series of ``d`` (effective) dimensions and 1 stays 1, as in the adjusted
    coefficient of determination. Single values may be negative.

    Parameters
    ----------
    mean_square : (...)
    dimension : float
        Above 1.
    """
    if not dimension > 1:
        raise InputError(f"`dimension` must be above 1; got {dimension}.")
    return (dimension * np.asarray(mean_square, dtype=np.float64) - 1) / (dimension - 1)


def degree(projected: Floating, *, threshold: float, sign: str, weighted: bool = False) -> Array:
    """Return with how many others every series correlates above a threshold.

    Parameters
    ----------
    projected : (d, n_voxel)
        In single precision, a correlation within about 1e-6 of the threshold may fall on either side.
    threshold : float
        In [0, 1[; a correlation must be above it.
    sign : {"positive", "absolute"}
        Whether ``r`` or its absolute value is compared.
    weighted : bool
        Sum up the (absolute) correlations above the threshold instead of counting them.

    Returns
    -------
    (n_voxel,) float64
        NaN for a series that is NaN or zero. Memory: the series at unit norm and a square of ``SQUARE`` voxels.
    """
    check_option("sign", sign, allowed=("positive", "absolute"))
    if not 0 <= threshold < 1:
        raise InputError(f"`threshold` must be in [0, 1[; got {threshold}.")
    scale = inverse_norm(projected)
    unit = np.empty_like(projected)
    for columns, block in _unit_blocks(projected, scale):
        unit[:, columns] = block
    found = np.zeros(len(scale))
    starts = range(0, len(scale), SQUARE)
    for row in starts:
        rows = np.ascontiguousarray(unit[:, row : row + SQUARE].T)
        for column in starts[row // SQUARE :]:
            r = rows @ unit[:, column : column + SQUARE]
            if sign == "absolute":
                np.abs(r, out=r)
            if row == column:
                np.fill_diagonal(r, 0)
            own, partner = _above(r, threshold=threshold, weighted=weighted)
            found[row : row + SQUARE] += own
            if row != column:
                found[column : column + SQUARE] += partner
    return np.where(np.isfinite(scale), found, np.nan)


def _above(r: Floating, *, threshold: float, weighted: bool) -> tuple[Floating, Floating]:
    """Return the count, or the sum, of the values above the threshold in every row and every column."""
    above = r > r.dtype.type(threshold)
    if weighted:
        r *= above
        return r.sum(axis=1, dtype=np.float64), r.sum(axis=0, dtype=np.float64)
    bits = above.view(np.uint8)
    return bits.sum(axis=1, dtype=np.uint16), bits.sum(axis=0, dtype=np.uint16)


def _unit_blocks(projected: Floating, scale: Floating) -> Iterator[tuple[slice, Floating]]:
    """Yield the columns and the series at unit norm, block by block; unusable series are zero."""
    for start in range(0, len(scale), BLOCK):
        columns = slice(start, start + BLOCK)
        unit = projected[:, columns] * scale[columns]
        unit[:, ~np.isfinite(scale[columns])] = 0
        yield columns, unit


def _of_others(total: Array, scale: Floating) -> Array:
    """Return the mean over the other usable series, of sums that hold every series' 1 with itself."""
    usable = np.isfinite(scale)
    others = np.count_nonzero(usable) - 1
    return np.where(usable, (total - 1) / (others if others > 0 else np.nan), np.nan)
