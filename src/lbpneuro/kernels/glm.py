"""Least squares of a few series on a few regressors, with errors that know the noise is coloured.

Everything happens in the coordinates of a nuisance basis (:mod:`lbpneuro.kernels.nuisance`), so that confounds, drift
and censoring are exact. The effects are those of ordinary least squares, which are linear in the series: the effect in
a region is the mean of the effects of its voxels, and that of a difference of two series the difference of their
effects. Colour changes their error only. It is that of ``(1 - w) rho^|lag| + w [lag = 0]``, autoregressive noise of
order 1 with a share ``w`` of white noise, averaged over a grid of ``rho`` and ``w`` with the restricted likelihood of
the series as weights; a lag counts the volumes between two kept ones, censored or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import QualityError, Reason
from lbpneuro.kernels._checks import as_mask, check_length

Array = NDArray[np.float64]

RHO = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
WHITE = (0.0, 0.3, 0.6)
COLLINEAR = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Effects of the regressors on the series.

    Attributes
    ----------
    effect : (n_regressor, n_series)
        Units of the series per unit of the regressor.
    covariance : (n_series, n_regressor, n_regressor)
        Sampling covariance of the effects on each series.
    weights : (n_regressor, d)
        ``effect = weights @ series`` in the coordinates of the basis.
    dof : int
        Residual degrees of freedom, ``d - n_regressor``.
    """

    effect: Array
    covariance: Array
    weights: Array
    dof: int


def noise_covariances(basis: Array, *, keep: ArrayLike) -> Array:
    """Return the covariances of noise of unit variance in the coordinates of a basis, for a grid of colours.

    Parameters
    ----------
    basis : (n_kept, d)
        From :func:`lbpneuro.kernels.nuisance.residual_basis`.
    keep : (n_time,) of bool

    Returns
    -------
    (1 + n_rho n_white, d, d) float64
        ``Q' V Q``, white noise first.
    """
    keep = as_mask("keep", keep, expected=len(np.asarray(keep)))
    check_length("basis", basis, expected=int(keep.sum()))
    kept = np.flatnonzero(keep)
    lags = np.abs(kept[:, None] - kept)
    identity = basis.T @ basis
    coloured = [basis.T @ np.power(rho, np.arange(len(keep)))[lags] @ basis for rho in RHO]
    return np.stack([identity, *((1 - white) * one + white * identity for one in coloured for white in WHITE)])


def fit_effects(projected: Array, *, regressors: Array, noise: Array) -> Fit:
    """Return the effects of regressors on series, and their covariance under coloured noise.

    ``effect = (X'X)^-1 X' y``; its covariance is the mean over noise models ``M``, weighed by their restricted
    likelihood, of ``s^2 X^+ M X^+'`` with ``s^2 = e' M_e^-1 e / dof``, where ``e`` are the coordinates of the series
    that are orthogonal to ``X``.

    Parameters
    ----------
    projected : (d, n_series)
        Series in the coordinates of a nuisance basis.
    regressors : (d, n_regressor)
        Regressors in the same coordinates.
    noise : (n_model, d, d)
        From :func:`noise_covariances` for the same basis.

    Returns
    -------
    Fit
        A NaN series has NaN effects; the others do not change.

    Raises
    ------
    QualityError
        ``too_few_dof`` if fewer than 2 degrees of freedom are left; ``zero_variance`` if the regressors are collinear.
    """
    check_length("projected", projected, expected=len(regressors))
    check_length("noise", noise, expected=len(regressors), axis=1)
    n_regressor = regressors.shape[1]
    dof = len(regressors) - n_regressor
    if dof < 2:
        raise QualityError(f"{dof} degrees of freedom are left; at least 2 are needed.", reason=Reason.TOO_FEW_DOF)
    left, sigma, _ = np.linalg.svd(regressors / np.maximum(np.linalg.norm(regressors, axis=0), 1e-300))
    if sigma[-1] < COLLINEAR:
        raise QualityError("The regressors are constant or collinear.", reason=Reason.ZERO_VARIANCE)
    weights = np.asarray(np.linalg.pinv(regressors), dtype=np.float64)
    rest = left[:, n_regressor:]
    known = np.isfinite(projected).all(axis=0)
    covariance = np.full((projected.shape[1], n_regressor, n_regressor), np.nan)
    share, variance = _restricted(rest.T @ projected[:, known], noise=rest.T @ noise @ rest)
    covariance[known] = np.einsum("ms,mij->sij", share * variance, weights @ noise @ weights.T)
    return Fit(effect=weights @ projected, covariance=covariance, weights=weights, dof=dof)


def _restricted(series: Array, *, noise: Array) -> tuple[Array, Array]:
    """Return the weight and the noise variance of every model, for every series (n_model, n_series)."""
    factors = [scipy.linalg.cho_factor(one, lower=True) for one in noise]
    energy = np.array([np.sum(series * scipy.linalg.cho_solve(factor, series), axis=0) for factor in factors])
    log_det = np.array([2 * np.log(np.diagonal(factor)).sum() for factor, _ in factors])
    energy = np.maximum(energy, np.finfo(np.float64).tiny)
    log_likelihood = -0.5 * (log_det[:, None] + len(series) * np.log(energy))
    weight = np.exp(log_likelihood - log_likelihood.max(axis=0, initial=-np.inf))
    return weight / weight.sum(axis=0), energy / len(series)
