"""Correlation of projected series, Fisher z, and the number of dimensions that coloured signals really have."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.kernels._checks import check_length

Array = NDArray[np.float64]

EXPONENTS = np.linspace(-1, 3, 17)  # power laws f^-b that are weighed against each other


def unit_norm(projected: Array) -> Array:
    """Return the columns of ``projected`` (d, n_series) scaled to norm 1; a NaN or zero column is NaN."""
    norm = np.linalg.norm(projected, axis=0)
    return projected / np.where(norm > 0, norm, np.nan)


def correlation(projected: Array) -> Array:
    """Return the correlations of all pairs of projected series.

    ``r_ij = y_i'y_j / (|y_i| |y_j|)``, not centred: the constant belongs to the nuisance space, so this is Pearson's
    r of the cleaned series on the kept volumes.

    Parameters
    ----------
    projected : (d, n_series)
        From :func:`lbpneuro.kernels.nuisance.project`.

    Returns
    -------
    (n_series, n_series) float64
        In [-1, 1]; rows and columns of a NaN series are NaN.
    """
    unit = unit_norm(np.asarray(projected, dtype=np.float64))
    return np.clip(unit.T @ unit, -1, 1)


def seed_correlation(seed: Array, *, projected: Array) -> Array:
    """Return the correlation of one projected series with many.

    Parameters
    ----------
    seed : (d,)
    projected : (d, n_voxel)

    Returns
    -------
    (n_voxel,) float64
        A NaN voxel is NaN, the others do not change.
    """
    check_length("projected", projected, expected=len(seed))
    norm = np.sqrt(np.einsum("iv,iv->v", projected, projected))  # without a second matrix of that size
    return np.clip(unit_norm(seed[:, None])[:, 0] @ projected / np.where(norm > 0, norm, np.nan), -1, 1)


def fisher_z(r: ArrayLike) -> Array:
    """Return ``atanh(r)``; infinite at -1 and 1, NaN outside."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.arctanh(np.asarray(r, dtype=np.float64))


def fisher_z_se(dimension: ArrayLike) -> Array:
    """Return the standard error of Fisher z from an uncentred correlation in ``d`` dimensions.

    ``1 / sqrt(d - 2)``; NaN for ``d`` <= 2.

    Fisher's ``1 / sqrt(n - 3)`` is that of ``n`` independent pairs whose two means are removed. Removing the mean is
    itself a projection: on the complement of the constant, the ``n`` pairs become ``n - 1`` pairs of independent
    coordinates with mean zero, and r is their uncentred correlation. Hence ``d`` independent zero-mean coordinates give
    the distribution of r of ``n = d + 1`` pairs, and ``n - 3 = d - 2``.
    """
    d = np.asarray(dimension, dtype=np.float64)
    return 1 / np.sqrt(np.where(d > 2, d - 2, np.nan))


def effective_dimension(pair: Array, *, gain: Array, frequencies_hz: Array) -> float:
    """Return the number of white dimensions that would give Fisher z of this pair the same variance.

    Spectra fall with frequency even within the band, so the ``d`` coordinates of a cleaned series have unequal
    variances, and the strong ones decide r. With both series at unit norm, their sum u and difference v have the
    energies ``2 + 2r`` and ``2 - 2r``, hence ``z = (1/2) ln(|u|^2 / |v|^2)``. For a Gaussian u with covariance ``S_u``
    of trace 1, ``var ln |u|^2 = 2 tr(S_u^2)`` to first order, so that

        ``1 / d_eff = var z = (tr S_u^2 + tr S_v^2 - 2 tr X^2) / 2``

    where ``X = (S_1 - S_2) / 2 / sqrt((1 + r)(1 - r))`` is the cross-covariance of u and v, zero unless the two spectra
    differ in shape (the relative scale of the two series has no first-order effect on u/v). White series give ``d``;
    for independent ones this is ``1 / tr(S_1 S_2)``, the formula of Bartlett (1935, 10.2307/2342284) with spectra in
    the place of autocorrelations.

    Each covariance is ``gain diag(f^-b) gain'``, its exponent b weighed by the restricted likelihood of that series
    alone.

    Parameters
    ----------
    pair : (d, 2)
        Projected series.
    gain : (d, n_band)
        From :func:`lbpneuro.kernels.nuisance.band_gain`.
    frequencies_hz : (n_band,)
        Frequencies of ``gain`` (Hz), above 0.

    Returns
    -------
    float
        In [1, d]; NaN if a series is.
    """
    check_length("gain", gain, expected=len(pair))
    unit = unit_norm(np.asarray(pair, dtype=np.float64))
    if not np.isfinite(unit).all():
        return float("nan")
    r = float(np.clip(unit[:, 0] @ unit[:, 1], -1 + 1e-12, 1 - 1e-12))
    combined = np.column_stack([unit, unit[:, 0] + unit[:, 1], unit[:, 0] - unit[:, 1]])
    first, second, total, difference = coloured_covariances(combined, gain=gain, frequencies_hz=frequencies_hz)
    cross = np.sum((first - second) ** 2) / (4 * (1 - r**2))
    variance = (np.sum(total**2) + np.sum(difference**2) - 2 * cross) / 2
    return float(np.clip(1 / max(variance, 1e-12), 1, len(pair)))


def coloured_covariances(series: Array, *, gain: Array, frequencies_hz: Array) -> Array:
    """Return the covariance of every projected series under a power law of frequency, scaled to trace 1.

    Parameters
    ----------
    series : (d, n_series)
    gain, frequencies_hz
        As in :func:`effective_dimension`.

    Returns
    -------
    (n_series, d, d) float64
        The mean over the exponents ``EXPONENTS``, weighed by their likelihood with the scale profiled out.
    """
    spectra = (frequencies_hz / np.exp(np.log(frequencies_hz).mean())) ** -EXPONENTS[:, None]
    models = np.einsum("ik,bk,jk->bij", gain, spectra, gain, optimize=True)
    models /= np.trace(models, axis1=1, axis2=2)[:, None, None]
    # what leaks in from above the band lifts the weakest directions off zero
    models += 1e-6 * np.eye(len(gain)) / len(gain)
    root = np.linalg.cholesky(models)
    whitened = np.linalg.solve(root, np.broadcast_to(series, (len(root), *series.shape)))
    log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    # a series of nothing but zeros (the difference of equal ones) fits every exponent equally well
    energy = np.maximum(np.sum(whitened**2, axis=1), np.finfo(np.float64).tiny)
    log_likelihood = -0.5 * (log_det[:, None] + len(series) * np.log(energy))
    weight = np.exp(log_likelihood - log_likelihood.max(axis=0))
    return np.einsum("bs,bij->sij", weight / weight.sum(axis=0), models)


def pooled_z(z: ArrayLike, *, dimension: ArrayLike) -> tuple[float, float]:
    """Return the mean of the Fisher z of several runs and its standard error.

    Weights are the inverse variances ``d - 2``: ``z = sum (d_i - 2) z_i / sum (d_i - 2)``, and the error is that of one
    run of ``2 + sum (d_i - 2)`` dimensions (:func:`fisher_z_se`).

    Parameters
    ----------
    z, dimension : (n_run,)
        Fisher z and effective dimension; every dimension above 2.
    """
    z, weight = np.asarray(z, dtype=np.float64), np.asarray(dimension, dtype=np.float64) - 2
    return float(np.sum(weight * z) / np.sum(weight)), float(fisher_z_se(2 + np.sum(weight)))
