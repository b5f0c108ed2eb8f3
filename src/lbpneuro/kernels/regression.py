"""Least squares over people with errors that allow unequal variances, and what a fit expects of someone new."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import QualityError, Reason

Array = NDArray[np.float64]

COLLINEAR = 1e-10


def ols_hc3(outcomes: ArrayLike, *, design: ArrayLike) -> tuple[Array, Array]:
    """Return the coefficients of outcomes on a design, and their covariance HC3.

    ``b = (X'X)^-1 X'y`` and ``C = (X'X)^-1 X' diag(e_i^2 / (1 - h_ii)^2) X (X'X)^-1`` with the residuals ``e`` and the
    leverages ``h`` (MacKinnon and White 1985, 10.1016/0304-4076(85)90158-7). A person whom the fit follows exactly
    (``h_ii = 1``) has no residual, so the covariance is NaN.

    Parameters
    ----------
    outcomes : (n_person, n_outcome)
        Without NaN.
    design : (n_person, n_regressor)
        Include a column of ones for the mean.

    Returns
    -------
    coefficients : (n_outcome, n_regressor)
    covariance : (n_outcome, n_regressor, n_regressor)

    Raises
    ------
    QualityError
        With the reason ``too_few_dof`` if there are no more people than regressors, or the regressors depend on each
        other.
    """
    y, x = np.asarray(outcomes, dtype=np.float64), np.asarray(design, dtype=np.float64)
    scale = np.linalg.norm(x, axis=0)
    left, size, right = np.linalg.svd(x / np.where(scale > 0, scale, 1.0), full_matrices=False)
    if len(x) <= x.shape[1] or size[-1] <= COLLINEAR * size[0]:
        raise QualityError(
            f"{len(x)} people and {x.shape[1]} regressors, of which {np.count_nonzero(size > COLLINEAR * size[0])} are "
            "independent: there must be more people, who differ in every regressor.",
            reason=Reason.TOO_FEW_DOF,
        )
    inverse = (right.T / size) @ left.T / scale[:, np.newaxis]
    coefficients = inverse @ y
    leverage = np.sum(left**2, axis=1)
    apart = np.where(leverage < 1 - 1e-12, 1 - leverage, np.nan)
    residuals = (y - x @ coefficients) / apart[:, np.newaxis]
    covariance = np.einsum("in,nk,jn->kij", inverse, residuals**2, inverse, optimize=True)
    return np.ascontiguousarray(coefficients.T), covariance


def departure(
    value: ArrayLike, *, value_se: ArrayLike, design: ArrayLike, design_se: ArrayLike, fit: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Return how far a new person's value lies from what a fit expects, and the standard error of that.

    ``d = value - x'b`` with variance ``value_se^2 + sum((b * design_se)^2) + x'Cx``: the measurement errors of the
    value and of the regressors, taken as independent, and the error of the fit. The spread of people around the fit is
    no part of it.

    Parameters
    ----------
    value : (...)
    value_se : (...)
        Standard error of the value.
    design : (..., n_regressor)
        The regressors of the person.
    design_se : (..., n_regressor)
        Their standard errors, 0 where they are known.
    fit
        Coefficients (..., n_regressor) and covariance (..., n_regressor, n_regressor) of :func:`ols_hc3`.

    Returns
    -------
    departure, se : (...)
        NaN where an input is NaN.
    """
    x, errors = np.asarray(design, dtype=np.float64), np.asarray(design_se, dtype=np.float64)
    coefficients, covariance = fit
    expected = np.sum(x * coefficients, axis=-1)
    of_fit = np.einsum("...i,...ij,...j->...", x, covariance, x)
    of_design = np.sum((coefficients * errors) ** 2, axis=-1)
    variance = np.asarray(value_se, dtype=np.float64) ** 2 + of_design + of_fit
    return np.asarray(np.asarray(value, dtype=np.float64) - expected), np.asarray(np.sqrt(variance))
