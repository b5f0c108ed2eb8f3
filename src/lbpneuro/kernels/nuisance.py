"""Confound regression, detrending, band-pass and censoring as ONE orthogonal projection.

The cleaned series of least squares is the projection of the data on what is left when the nuisance space is taken
out of the kept volumes. Its orthonormal basis ``Q`` (n_kept, d) is computed once per run, and everything later is done
on the ``d`` coefficients ``Y = Q' X``: inner products in ``Y`` equal those of the cleaned series.

The frequencies are those of the orthonormal DCT-II, ``f_k = k / (2 n_time t_r)``: it continues a series evenly at its
ends, so that a drift does not leak over the whole spectrum as it does in a Fourier basis, which joins the last volume
to the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError, QualityError, Reason
from lbpneuro.kernels._checks import as_mask, check_band, check_finite, check_length, check_positive

Array = NDArray[np.float64]

COLLINEAR = 1e-8  # share of a unit-norm regressor that must be new for it to count
EDGE = 1e-9  # share of a limit within which a frequency is on it
BLOCK = 2048  # series per block: the centred copy stays in the cache
# share of the norm of a series, mean included, below which what is left is rounding
ROUNDING = {np.dtype(np.float32): 5e-7, np.dtype(np.float64): 1e-9}


def frequencies_hz(n_time: int, *, t_r: float) -> Array:
    """Return the DCT frequencies ``k / (2 n_time t_r)`` (Hz), shape (n_time,)."""
    return np.arange(n_time) / (2 * n_time * t_r)


def cosines(n_time: int, *, orders: NDArray[np.int64]) -> Array:
    """Return the orthonormal DCT-II vectors of the given ``orders``, shape (n_time, n_orders)."""
    phase = np.pi * (np.arange(n_time)[:, None] + 0.5) * orders / n_time
    return np.cos(phase) * np.where(orders == 0, np.sqrt(1 / n_time), np.sqrt(2 / n_time))


def orders_in(band_hz: tuple[float, float], *, n_time: int, t_r: float) -> NDArray[np.int64]:
    """Return the DCT orders whose frequency lies in ``band_hz``, both limits included."""
    f = frequencies_hz(n_time, t_r=t_r)
    return np.flatnonzero((f >= band_hz[0] * (1 - EDGE)) & (f <= band_hz[1] * (1 + EDGE)))


def legendre(n_time: int, *, degree: int) -> Array:
    """Return the Legendre polynomials 0..``degree`` on the volumes of a run, shape (n_time, degree + 1)."""
    return np.asarray(np.polynomial.legendre.legvander(np.linspace(-1, 1, n_time), degree), dtype=np.float64)


def residual_basis(
    confounds: ArrayLike,
    *,
    t_r: float,
    band_hz: tuple[float, float],
    polynomial: int,
    keep: ArrayLike,
    band_share: float = 0.5,
) -> Array:
    """Return an orthonormal basis of what the nuisance space leaves on the kept volumes.

    Parameters
    ----------
    confounds : (n_time, n_confounds)
        Regressors in any unit and scale; collinear and constant ones are allowed. Rows of censored volumes are
        not looked at.
    t_r : float
        Repetition time (s).
    band_hz : (low, high)
        Pass band (Hz), inclusive. Cosines below ``low`` are nuisance regressors like any other, and so removed exactly.
    polynomial : int
        Degree of the drift polynomial, at least 0: the constant always belongs to the nuisance space.
    keep : (n_time,) of bool
        Volumes that are kept.
    band_share : float
        In ]0, 1]. With every volume kept, each direction lies wholly below ``high`` or wholly above, and this number
        has no effect. On part of the volumes, a direction (set to 0 elsewhere) lies partly in both; it stays if at
        least this share of its energy is below ``high``. 1 is plain regression on all stop-band cosines, which costs
        one dimension of the band per censored volume; one half costs about the share of the censored time (the Slepian
        count ``2 high T_kept``).

    Returns
    -------
    (n_kept, d) float64
        Orthonormal columns, orthogonal on the kept volumes to every confound, polynomial and slow cosine, in ascending
        order of frequency (:func:`by_frequency`).

    Raises
    ------
    InputError
        If a confound is NaN on a kept volume or the shapes do not fit.
    QualityError
        ``too_few_dof`` if fewer than 3 dimensions are left.
    """
    confounds = np.asarray(confounds, dtype=np.float64)
    n_time = confounds.shape[0]
    check_positive("t_r", t_r)
    check_band(band_hz)
    keep = as_mask("keep", keep, expected=n_time)
    check_finite("confounds on the kept volumes", confounds[keep])
    first = int(np.sum(frequencies_hz(n_time, t_r=t_r) < band_hz[0] * (1 - EDGE)))
    slow = cosines(n_time, orders=np.arange(1, first))
    nuisance = np.column_stack([legendre(n_time, degree=polynomial), slow, confounds])[keep]
    low_pass = low_pass_basis(n_time, t_r=t_r, high_hz=band_hz[1], keep=keep, band_share=band_share)
    basis = complement(low_pass, nuisance=unit_columns(nuisance))
    if basis.shape[1] < 3:
        raise QualityError(
            f"The nuisance model leaves {basis.shape[1]} of {low_pass.shape[1]} dimensions below {band_hz[1]} Hz on "
            f"{keep.sum()} kept volumes of {t_r} s; at least 3 are needed: use fewer confounds or a longer run.",
            reason=Reason.TOO_FEW_DOF,
        )
    return by_frequency(basis, keep=keep)


def by_frequency(basis: ArrayLike, *, keep: ArrayLike) -> Array:
    """Return the one orthonormal basis of span(``basis``) that is ordered by frequency.

    They are the eigenvectors of ``Q' F Q`` with ``F = sum_k k c_k c_k'`` over the DCT vectors ``c_k`` on the kept
    volumes: without confounds and censoring the cosines themselves. The coordinates of a stationary series are nearly
    independent in it, as its cosine coefficients are, and no result depends on which of all bases LAPACK returned.

    Parameters
    ----------
    basis : (n_kept, d)
        Orthonormal columns.
    keep : (n_time,) of bool

    Returns
    -------
    (n_kept, d) float64
        In ascending order of mean frequency; the largest DCT coefficient of every direction is positive.
    """
    basis, keep = np.asarray(basis, dtype=np.float64), np.asarray(keep)
    check_length("basis", basis, expected=int(keep.sum()))
    orders = np.arange(len(keep))
    spectrum = cosines(len(keep), orders=orders)[keep].T @ basis
    rotation = np.linalg.eigh(spectrum.T @ (orders[:, None] * spectrum))[1]
    spectrum = spectrum @ rotation
    largest = np.take_along_axis(spectrum, np.abs(spectrum).argmax(axis=0)[None], axis=0)
    return basis @ (rotation * np.sign(largest))


def low_pass_basis(n_time: int, *, t_r: float, high_hz: float, keep: NDArray[np.bool_], band_share: float) -> Array:
    """Return orthonormal directions on the kept volumes with at least ``band_share`` of their energy up to ``high_hz``.

    They are the left singular vectors of the kept rows of the low-pass cosines; the squared singular value is that
    share. They are taken from the eigenvectors of the product: LAPACK's singular values do not converge where a wide
    band makes them all equal.
    """
    orders = orders_in((0, high_hz), n_time=n_time, t_r=t_r)
    if len(orders) == n_time:
        return np.eye(int(keep.sum()))
    below = cosines(n_time, orders=orders)
    if keep.all():
        return below
    share, vectors = np.linalg.eigh(below[keep].T @ below[keep])
    kept = share >= band_share - 1e-9
    return below[keep] @ (vectors[:, kept] / np.sqrt(share[kept]))


def unit_columns(columns: Array) -> Array:
    """Return the columns centred (the first, the constant, excepted) and of unit norm; constant ones become 0.

    Centring changes nothing in a space that holds the constant, and keeps a large mean from hiding a small variation.
    """
    centred = np.column_stack([columns[:, :1], columns[:, 1:] - columns[:, 1:].mean(axis=0)])
    norm = np.linalg.norm(centred, axis=0)
    varies = norm > COLLINEAR * np.linalg.norm(columns, axis=0)
    return np.where(varies, centred / np.where(varies, norm, 1.0), 0.0)


def complement(basis: Array, *, nuisance: Array) -> Array:
    """Return an orthonormal basis of the part of span(``basis``) that is orthogonal to ``nuisance``."""
    vectors, sigma, _ = scipy.linalg.svd(basis.T @ nuisance, full_matrices=True, lapack_driver="gesvd")
    return basis @ vectors[:, int(np.sum(sigma > COLLINEAR)) :]


def band_gain(basis: Array, *, t_r: float, band_hz: tuple[float, float], keep: ArrayLike) -> tuple[Array, Array]:
    """Return how much of each in-band cosine each basis direction holds.

    Returns
    -------
    frequencies : (n_band,)
        DCT frequencies in the band (Hz), above 0.
    gain : (d, n_band)
        ``Q' C`` with the orthonormal cosines ``C`` on the kept volumes: a signal of independent cosine coefficients
        with variances ``s`` has covariance ``gain diag(s) gain'`` in the coordinates of ``Q``.
    """
    keep = np.asarray(keep)
    n_time = len(keep)
    orders = orders_in(band_hz, n_time=n_time, t_r=t_r)
    orders = orders[orders > 0]
    return frequencies_hz(n_time, t_r=t_r)[orders], basis.T @ cosines(n_time, orders=orders)[keep]


def project(basis: Array, series: NDArray[Any], *, keep: ArrayLike) -> NDArray[Any]:
    """Return ``Q' X``, the coordinates of the cleaned series.

    Parameters
    ----------
    basis : (n_kept, d)
        From :func:`residual_basis`.
    series : (n_time, n_series)
        Any real type. Rounded means are taken off before the product, in blocks of series: a matrix of single
        precision, or of small integers, is multiplied in single precision, loses no digits to its mean, and is never
        copied whole.
    keep : (n_time,) of bool
        The kept volumes of ``basis``.

    Returns
    -------
    (d, n_series) float32 for series that it holds exactly (float32, integers of two bytes), float64 for others
        A series that holds NaN on a kept volume, or of which nothing is left (constant, or a confound itself: less than
        1e-9 of its norm, 5e-7 in single precision), is NaN; the others do not change.
    """
    return project_each([basis], series, keep=keep)[0]


def project_each(
    bases: Sequence[Array], series: NDArray[Any], *, keep: ArrayLike, out: NDArray[np.floating] | None = None
) -> tuple[NDArray[Any], ...]:
    """Return :func:`project` for several bases on the same kept volumes, in one pass over the series.

    Parameters
    ----------
    bases : sequence of (n_kept, d_i)
    series, keep
        As in :func:`project`.
    out : (d_1 + d_2 + ..., n_series) of the type of the coordinates, optional
        Where they are written. It may be the first rows of ``series``, which is then spent: a block of columns is
        copied before its coordinates take its place, and a large matrix needs no memory beside its own.

    Returns
    -------
    tuple of (d_i, n_series)
        Views of one array, each contiguous. A series that nothing is left of in one basis is NaN there alone.
    """
    keep = as_mask("keep", keep, expected=len(series))
    for basis in bases:
        check_length("basis", basis, expected=int(keep.sum()))
    dtype = np.dtype(np.float32 if np.can_cast(series.dtype, np.float32) else np.float64)
    stacked = np.ascontiguousarray(np.hstack(bases).T, dtype=dtype)
    projected = np.empty((len(stacked), series.shape[1]), dtype=dtype) if out is None else out
    check_length("out", projected, expected=len(stacked))
    each = np.split(projected, np.cumsum([basis.shape[1] for basis in bases])[:-1])
    kept = None if keep.all() else np.flatnonzero(keep)
    average = np.full(stacked.shape[1], 1 / stacked.shape[1], dtype=dtype)
    # memory that every block uses again: to be given new pages for each costs as much as a third of the product
    copied = np.empty((stacked.shape[1], min(BLOCK, series.shape[1])), dtype=dtype)
    picked = np.empty(copied.shape, dtype=series.dtype)
    for start in range(0, series.shape[1], BLOCK):
        columns = slice(start, min(start + BLOCK, series.shape[1]))
        width = columns.stop - start
        with np.errstate(invalid="ignore", over="ignore"):
            block, source = copied[:, :width], series[:, columns]
            if kept is not None:
                source = np.take(source, kept, axis=0, out=picked[:, :width], mode="clip")
            np.copyto(block, source)
            mean = average @ block
            block -= mean
            np.matmul(stacked, block, out=projected[:, columns])
            norm = np.sqrt(len(block) * mean**2 + np.einsum("ts,ts->s", block, block))
            for part in each:
                left = np.sqrt(np.einsum("ds,ds->s", part[:, columns], part[:, columns]))
                part[:, columns][:, ~(left > ROUNDING[dtype] * norm)] = np.nan
    return tuple(each)


def cleaned(basis: Array, projected: NDArray[np.floating], *, keep: ArrayLike) -> Array:
    """Return the cleaned series ``Q Y`` in time, shape (n_time, n_series), NaN on the censored volumes."""
    keep = np.asarray(keep)
    if basis.shape[1] != projected.shape[0]:
        raise InputError(f"`projected` must have {basis.shape[1]} rows; got shape {projected.shape}.")
    series = np.full((len(keep), projected.shape[1]), np.nan)
    series[keep] = basis @ projected
    return series
