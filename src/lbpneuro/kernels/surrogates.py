"""Series without dynamics: surrogates that keep the spectra and the static correlation of measured ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import QualityError, Reason
from lbpneuro.kernels._checks import check_finite, check_positive

Array = NDArray[np.float64]


def filled(series: ArrayLike) -> Array:
    """Return the series with NaN volumes interpolated linearly between their neighbours, held at the ends.

    Parameters
    ----------
    series : (n_time, n_node)
        A series that is NaN throughout stays NaN.
    """
    given = np.array(series, dtype=np.float64)
    time = np.arange(len(given))
    for column in given.T:
        known = np.isfinite(column)
        if known.any():
            column[~known] = np.interp(time[~known], time[known], column[known])
    return given


def phase_randomised(series: ArrayLike, *, rng: np.random.Generator) -> Array:
    """Return a surrogate whose phases are random, the same shift for all series.

    ``X_k -> X_k exp(i phi_k)`` with one ``phi_k`` per frequency: the power spectrum of every series and all cross
    spectra, so the static correlation at every lag, stay exactly as they are; what is left is stationary and
    linear (Prichard 1994, 10.1103/PhysRevLett.73.951).

    Parameters
    ----------
    series : (n_time, n_node)
        Without NaN; see :func:`filled`.
    rng : Generator

    Returns
    -------
    (n_time, n_node) float64
    """
    given = np.asarray(series, dtype=np.float64)
    check_finite("series", given)
    n_time = len(given)
    spectrum = np.fft.rfft(given, axis=0)
    phase = rng.uniform(0, 2 * np.pi, len(spectrum))
    phase[0] = 0
    if n_time % 2 == 0:
        phase[-1] = 0  # that coefficient is real
    return np.fft.irfft(spectrum * np.exp(1j * phase)[:, None], n_time, axis=0)


def autocovariances(series: ArrayLike, *, order: int) -> Array:
    """Return ``G_l = 1/n sum_t x_{t+l} x_t'`` of the centred series for lags 0 to ``order``.

    The divisor is always n, which makes the model of Yule and Walker stable.

    Parameters
    ----------
    series : (n_time, n_node)
        Without NaN.

    Returns
    -------
    (order + 1, n_node, n_node) float64
    """
    given = np.asarray(series, dtype=np.float64)
    check_finite("series", given)
    centred, n_time = given - given.mean(axis=0), len(given)
    return np.stack([centred[lag:].T @ centred[: n_time - lag] / n_time for lag in range(order + 1)])


def var_model(series: ArrayLike, *, order: int) -> tuple[Array, Array]:
    """Return the vector autoregression of Yule and Walker: ``x_t = sum_l A_l x_{t-l} + e_t``.

    Parameters
    ----------
    series : (n_time, n_node)
        Without NaN; the mean is taken out.
    order : int
        Number of lags, at least 1.

    Returns
    -------
    coefficients : (order, n_node, n_node) float64
    innovations : (n_node, n_node) float64
        Covariance of ``e``.

    Raises
    ------
    QualityError
        ``too_few_volumes`` if the run is too short for the order, or series are linearly dependent.
    """
    check_positive("order", order)
    given = np.asarray(series, dtype=np.float64)
    n_node = given.shape[1]
    if len(given) <= n_node * (order + 1):
        raise QualityError(
            f"{len(given)} volumes are too few for {order} lags of {n_node} series; use a lower order.",
            reason=Reason.TOO_FEW_VOLUMES,
        )
    lags = autocovariances(given, order=order)
    blocks = [
        [lags[j - i] if j >= i else lags[i - j].T for j in range(order)] for i in range(order)
    ]  # E[x_{t-i} x_{t-j}'] with i, j counted from 1
    past = np.block(blocks)
    try:
        solved = np.linalg.solve(past, np.hstack(list(lags[1:])).T).T
    except np.linalg.LinAlgError as error:
        raise QualityError(
            "The series are linearly dependent; leave out one of them.", reason=Reason.ZERO_VARIANCE
        ) from error
    coefficients = solved.reshape(n_node, order, n_node).transpose(1, 0, 2)
    return coefficients, lags[0] - np.einsum("lij,lkj->ik", coefficients, lags[1:])


def var_surrogate(series: ArrayLike, *, order: int, rng: np.random.Generator) -> Array:
    """Return a run of the Gaussian vector autoregression fitted to the series: stationary, the same correlation.

    Compared with :func:`phase_randomised` the spectra vary from surrogate to surrogate, as those of repeated
    measurements do.

    Parameters
    ----------
    series : (n_time, n_node)
        Without NaN.
    order : int
        Number of lags.
    rng : Generator

    Returns
    -------
    (n_time, n_node) float64
        With the mean of ``series``; a run-in as long as the series is thrown away.

    Raises
    ------
    QualityError
        As :func:`var_model`.
    """
    given = np.asarray(series, dtype=np.float64)
    coefficients, innovations = var_model(given, order=order)
    n_time, n_node = given.shape
    values, vectors = np.linalg.eigh(innovations)
    noise = rng.standard_normal((2 * n_time, n_node)) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    made = np.zeros((2 * n_time + order, n_node))
    stacked = np.hstack(list(coefficients[::-1]))
    for time in range(2 * n_time):
        made[time + order] = stacked @ made[time : time + order].ravel() + noise[time]
    return made[-n_time:] + given.mean(axis=0)
