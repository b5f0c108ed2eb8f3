"""The nociceptive withdrawal reflex: how far the EMG after a stimulus stands out from that before it.

Epochs have shape (n_trial, n_time), in volts at 1000 Hz; ``times`` (n_time,) are seconds from the stimulus. Windows are
pairs (first, last) in seconds, both ends included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels.mep_timing import within

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Window = tuple[float, float]

SFREQ = 1000.0
ONSET_SD = 3.0
ONSET_RUN_S = 0.005
SMOOTHING_S = 0.005
ALIKE_S = 0.020
"""Samples further apart than this are not alike in the activity of a muscle."""
SPREAD = 1 - 2 / np.pi
"""Variance of rectified Gaussian activity of unit mean square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Measures per trial (n_trial,): interval peak z, interval z, size as d, onset (s), baseline mean and SD (V)."""

    peak_z: Array
    interval_z: Array
    magnitude: Array
    onset: Array
    baseline_mean: Array
    baseline_sd: Array


def at_one_kilohertz(epochs: Array, times: Array) -> tuple[Array, Array]:
    """Return epochs (..., n_time) and times at 1000 Hz, low-pass filtered first (polyphase).

    The largest of many samples grows with their number, so that a cut on the interval peak z holds for one sampling
    rate only.
    """
    sfreq = 1.0 / float(times[1] - times[0])
    if abs(sfreq - SFREQ) < 1e-6 * SFREQ:
        return epochs, times
    up, down = round(SFREQ), round(sfreq)
    common = int(np.gcd(up, down))
    out = scipy.signal.resample_poly(epochs, up // common, down // common, axis=-1)
    return np.asarray(out), times[0] + np.arange(out.shape[-1]) / SFREQ


def interval_scores(epochs: Array, times: Array, *, window: Window, baseline: Window, early: float) -> Scores:
    """Return how the rectified EMG in ``window`` compares with that of ``baseline``.

    ``ipz = (max in window - mean of baseline) / SD of baseline``, ``iz = (mean in window - mean of baseline) / SD`` and
    ``d`` the same over the SD pooled over both (Rhudy & France 2007, 10.1016/j.pain.2006.09.024); SD with ``ddof=1``.
    From ``d`` is taken what the few independent samples of such windows add to it (:func:`without_small_sample_bias`).
    The onset is the first time from ``early`` (s) on at which the signal, smoothed over 5 ms, stays above the mean of
    the baseline by 3 of its SD for 5 ms; NaN without one. A baseline without variance gives NaN.
    """
    rectified = np.abs(epochs - epochs[..., within(times, baseline)].mean(axis=-1, keepdims=True))
    before, after = rectified[..., within(times, baseline)], rectified[..., within(times, window)]
    mean, sd = before.mean(axis=-1), before.std(axis=-1, ddof=1)
    sd = np.where(sd > 0, sd, np.nan)
    width = round(SMOOTHING_S * SFREQ)
    smooth = scipy.ndimage.uniform_filter1d(rectified, width, axis=-1)
    above = (smooth > (mean + ONSET_SD * sd)[..., None]) & (times >= early) & (times <= window[1])
    return Scores(
        peak_z=(after.max(axis=-1) - mean) / sd,
        interval_z=(after.mean(axis=-1) - mean) / sd,
        magnitude=without_small_sample_bias(
            after, before, alike=squared_correlation(epochs[..., within(times, baseline)])
        ),
        onset=_first_of_run(above, times, length=round(ONSET_RUN_S * SFREQ)),
        baseline_mean=mean,
        baseline_sd=sd,
    )


def squared_correlation(quiet: Array) -> Array:
    """Return the squared autocorrelation (n_lag,) of quiet activity (n_trial, n_time), lags 1 up to 20 ms.

    Rectified Gaussian signals, and their squares, have it as their own autocorrelation. NaN if no trial varies.
    """
    centred = quiet - quiet.mean(axis=-1, keepdims=True)
    power = (centred**2).mean(axis=-1)
    unit = centred[power > 0] / np.sqrt(power[power > 0])[:, None]
    if not len(unit):
        return np.full(1, np.nan)
    lags = range(1, min(round(ALIKE_S * SFREQ), quiet.shape[-1] // 2))
    return np.array([(unit[:, :-lag] * unit[:, lag:]).mean() for lag in lags]) ** 2


def without_small_sample_bias(after: Array, before: Array, *, alike: Array) -> Array:
    """Return Cohen's d (n_trial,) of rectified activity after against before a stimulus, without small-sample bias.

    ``d = a / sqrt(v)``, ``a`` the difference of the means, ``v`` the mean of the variances (``ddof=1``), is too large
    where ``v`` is uncertain, too small where ``a`` and ``v`` err together, and too large where samples are alike,
    which makes ``v`` small. To second order

        ``E[d] = D (1 + 3/8 Var(v) / V^2 - Cov(a, v) / (2 A V) - bias(v) / (2 V))``,

    with the moments of Gaussian activity whose strength changes in time: a sample of ``x = s |g|`` has
    ``Var(x) = (1 - 2 / pi) E x^2``, ``Var(x^2) = 2/3 E x^4``, ``Cov(x, x^2) = 1/2 E x^3``, and a mean of ``n`` has the
    ``n``th part of these times ``1 + 2 sum_k (1 - k / n) rho_k^2``.

    Parameters
    ----------
    after, before : (n_trial, n_time)
        Rectified.
    alike : (n_lag,)
        ``rho_k^2``, from :func:`squared_correlation`.

    Returns
    -------
    (n_trial,)
        NaN where nothing varies.
    """
    mean, variance, of_variance, together, offset = _moments(after, alike)
    mean_0, variance_0, of_variance_0, together_0, offset_0 = _moments(before, alike)
    pooled = (variance + variance_0) / 2
    pooled = np.where(pooled > 0, pooled, np.nan)
    plain = (mean - mean_0) / np.sqrt(pooled)
    uncertain = 3 / 8 * (of_variance + of_variance_0) / 4 / pooled**2
    small = (offset + offset_0) / 4 / pooled
    return np.asarray(plain * (1 - uncertain + small) + (together - together_0) / 4 / pooled**1.5)


def _moments(rectified: Array, alike: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Mean and variance (n_trial,), variance of the latter, covariance of both, and the bias of the variance."""
    n = rectified.shape[-1]
    share = (1 + 2 * np.sum((1 - np.arange(1, alike.size + 1) / n) * alike)) / n
    mean, square, cube, fourth = (np.mean(rectified**power, axis=-1) for power in range(1, 5))
    variance = rectified.var(axis=-1, ddof=1)
    of_mean = share * SPREAD * square
    of_variance = share * (2 / 3 * fourth + 4 * mean**2 * SPREAD * square - 2 * mean * cube)
    together = share * (cube / 2 - 2 * mean * SPREAD * square)
    return mean, variance, of_variance, together, variance / n - of_mean


def _first_of_run(above: Mask, times: Array, *, length: int) -> Array:
    """The first time (n_trial,) at which ``length`` samples in a row are true; NaN without such a run."""
    windows = np.lib.stride_tricks.sliding_window_view(above, length, axis=-1).all(axis=-1)
    return np.where(windows.any(axis=-1), times[windows.argmax(axis=-1)], np.nan)


def staircase_threshold(intensity: ArrayLike, answered: ArrayLike) -> tuple[float, float, int]:
    """Return the mean of the peaks and troughs of a staircase, its standard error, and their number.

    A peak is the intensity at which the series turns down, a trough that at which it turns up again. NaN with fewer
    than two turns; the standard error needs three.

    Parameters
    ----------
    intensity, answered : (n_trial,)
        In the order of the trials.
    """
    x, y = np.asarray(intensity, dtype=np.float64), np.asarray(answered, dtype=bool)
    if x.shape != y.shape:
        raise InputError(f"`answered` must have the shape of `intensity` {x.shape}; got {y.shape}.")
    turns = x[1:][y[1:] != y[:-1]]
    if turns.size < 2:
        return np.nan, np.nan, int(turns.size)
    se = float(turns.std(ddof=1) / np.sqrt(turns.size)) if turns.size > 2 else np.nan
    return float(turns.mean()), se, int(turns.size)


def train_slope(position: ArrayLike, magnitude: ArrayLike) -> tuple[float, float, int]:
    """Return the slope of magnitude on the position in a train, its standard error, and the number of responses.

    Least squares over all trains; NaN where there are fewer than three responses or one position.
    """
    x, y = np.asarray(position, dtype=np.float64), np.asarray(magnitude, dtype=np.float64)
    used = np.isfinite(x) & np.isfinite(y)
    x, y = x[used], y[used]
    if x.size < 3 or np.ptp(x) == 0:
        return np.nan, np.nan, int(x.size)
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    residuals = y - y.mean() - slope * centred
    return slope, float(np.sqrt(residuals @ residuals / (x.size - 2) / (centred @ centred))), int(x.size)
