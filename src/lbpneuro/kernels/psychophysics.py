"""Psychophysics: units and scales, thresholds from repeated trials, trains of ratings, and z-scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import NDArray

Array = NDArray[np.float64]

KPA_PER_KGF_CM2 = 98.0665
KPA_PER_N_CM2 = 10.0
PRESSURE_UNITS = {"kPa": 1.0, "kgf/cm2": KPA_PER_KGF_CM2, "kg/cm2": KPA_PER_KGF_CM2}
FORCE_UNITS = {"N": KPA_PER_N_CM2, "kgf": KPA_PER_KGF_CM2}


def pressure_kpa(value: Array, unit: str, *, probe_cm2: Array | float = np.nan) -> Array:
    """Return pressures in kPa; ``value`` of any shape in kPa, kgf/cm2, kg/cm2, N or kgf.

    1 kgf/cm2 = 98.0665 kPa; a force (N, kgf) is divided by ``probe_cm2``, the area of the probe (1 N/cm2 = 10 kPa), and
    is NaN where that is NaN. KeyError for another unit.
    """
    values = np.asarray(value, dtype=np.float64)
    if unit in FORCE_UNITS:
        return values * FORCE_UNITS[unit] / probe_cm2
    return values * PRESSURE_UNITS[unit]


def rating_100(rating: Array, *, low: float, high: float) -> Array:
    """Return ratings (any shape) on a scale from ``low`` to ``high`` as ratings from 0 to 100."""
    return 100.0 * (np.asarray(rating, dtype=np.float64) - low) / (high - low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean with its standard error (NaN: not known), degrees of freedom of that error, and number of observations."""

    value: float
    se: float
    dof: float
    n: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the two-sided confidence interval at ``level`` from Student's t; NaN without standard error."""
        if not np.isfinite(self.se):
            return np.nan, np.nan
        reach = float(scipy.special.stdtrit(self.dof, 0.5 + level / 2)) * self.se
        return self.value - reach, self.value + reach

    def times(self, factor: float) -> Mean:
        """Return the mean multiplied by a number."""
        return Mean(value=factor * self.value, se=abs(factor) * self.se, dof=self.dof, n=self.n)


def mean(values: Array) -> Mean:
    """Return the mean of ``values`` (n,), NaN left out: ``se = s / sqrt(n)`` with ``ddof=1`` and ``n - 1`` df.

    One value has no standard error, none no mean.
    """
    kept = _kept(values)
    if not kept.size:
        return Mean(value=np.nan, se=np.nan, dof=np.nan, n=0)
    se = float(kept.std(ddof=1) / np.sqrt(kept.size)) if kept.size > 1 else np.nan
    return Mean(value=float(kept.mean()), se=se, dof=kept.size - 1.0, n=int(kept.size))


def combination(means: Sequence[Mean], weights: Sequence[float]) -> Mean:
    """Return the weighted sum of independent means.

    ``value = sum w m``, ``se = sqrt(sum w^2 se^2)`` with Welch-Satterthwaite degrees of freedom
    ``(sum v)^2 / sum(v^2 / df)``, ``v = w^2 se^2``; ``n`` counts all observations. One unknown error makes the error
    unknown.
    """
    shares = np.array([(weight * each.se) ** 2 for weight, each in zip(weights, means, strict=True)])
    dofs = np.array([each.dof for each in means])
    total = shares.sum()
    dof = float(total**2 / (shares**2 / dofs).sum()) if total > 0 else float(dofs.sum())
    value = sum(weight * each.value for weight, each in zip(weights, means, strict=True))
    return Mean(value=float(value), se=float(np.sqrt(total)), dof=dof, n=sum(each.n for each in means))


def average(means: Sequence[Mean]) -> Mean:
    """Return the unweighted mean of independent means; see :func:`combination`."""
    return combination(means, [1.0 / len(means)] * len(means))


def log10_mean(values: Array) -> Mean:
    """Return log10 of the mean of positive trials (n,) without NaN; delta method: ``se = se(mean) / (mean ln 10)``."""
    raw = mean(values)
    if not raw.value > 0:
        return Mean(value=np.nan, se=np.nan, dof=np.nan, n=raw.n)
    return Mean(value=float(np.log10(raw.value)), se=raw.se / (raw.value * np.log(10)), dof=raw.dof, n=raw.n)


def coefficient_of_variation(values: Array) -> float:
    """Return SD (``ddof=1``) over mean of positive trials (n,), NaN left out; NaN for fewer than two."""
    kept = _kept(values)
    return float(kept.std(ddof=1) / kept.mean()) if kept.size > 1 and kept.mean() > 0 else np.nan


# ---------------------------------------------------------------------------------------------- temporal summation


def train_differences(ratings: Array) -> Array:
    """Return last minus first rating of every train, ``ratings`` (n_train, n_stimulus); (n_train,).

    The last is the last that was rated; a train without a first or any later rating is NaN. Never clipped: a rating
    that falls over a train is a negative difference.
    """
    rated = np.isfinite(ratings)
    last = ratings.shape[1] - 1 - np.argmax(rated[:, ::-1], axis=1)
    difference = ratings[np.arange(len(ratings)), last] - ratings[:, 0]
    return np.where(last > 0, difference, np.nan)


def train_slopes(ratings: Array) -> Array:
    """Return the least-squares slope of every train per stimulus, ``ratings`` (n_train, n_stimulus), NaN left out.

    ``sum (k - mean k)(r - mean r) / sum (k - mean k)^2`` over the rated stimuli ``k``; NaN with fewer than two.
    """
    slopes, _ = _line(ratings)
    return slopes


def line_errors(ratings: Array) -> tuple[Mean, Mean]:
    """Return difference and slope of one train (n_stimulus,) with errors from the scatter about its straight line.

    With the residual SD ``s`` (``n - 2`` df) of the line: ``se(slope) = s / sqrt(sum (k - mean k)^2)`` and
    ``se(last - first) = sqrt(2) s``. Where ratings level off the line does not fit, and both are too large rather than
    too small.
    """
    train = np.asarray(ratings, dtype=np.float64)[np.newaxis]
    slopes, residual_ss = _line(train)
    stimuli = np.flatnonzero(np.isfinite(train[0]))
    dof = max(stimuli.size - 2, 0)
    s = np.sqrt(residual_ss[0] / dof) if dof else np.nan
    spread = np.sqrt(np.sum((stimuli - stimuli.mean()) ** 2)) if stimuli.size else np.nan
    known = partial(Mean, dof=float(dof), n=int(stimuli.size))
    difference = known(value=float(train_differences(train)[0]), se=float(np.sqrt(2) * s))
    return difference, known(value=float(slopes[0]), se=float(s / spread))


def _line(ratings: Array) -> tuple[Array, Array]:
    """Slopes and residual sums of squares of the trains (n_train, n_stimulus) over what was rated."""
    rated = np.isfinite(ratings)
    count = rated.sum(axis=1, keepdims=True)
    enough = count[:, 0] > 1
    divisor = np.maximum(count, 1)
    stimuli = np.where(rated, np.arange(ratings.shape[1], dtype=np.float64), 0.0)
    values = np.where(rated, ratings, 0.0)
    x = np.where(rated, stimuli - stimuli.sum(axis=1, keepdims=True) / divisor, 0.0)
    y = np.where(rated, values - values.sum(axis=1, keepdims=True) / divisor, 0.0)
    spread = (x**2).sum(axis=1)
    slopes = np.full(len(ratings), np.nan)
    slopes[enough] = (x * y).sum(axis=1)[enough] / spread[enough]
    residual = np.where(enough, (y**2).sum(axis=1) - np.where(enough, slopes, 0.0) ** 2 * spread, np.nan)
    return slopes, np.maximum(residual, 0.0)


def ratio_of_means(numerator: Array, denominator: Array, *, offset: float = 0.0) -> tuple[float, float, int]:
    """Return the ratio of two means of pairs (n,), its standard error, and the number of pairs; NaN pairs left out.

    ``R = (mean a + c) / (mean b + c)`` with ``c = offset``. Delta method over the pairs:
    ``se = sqrt(s_a^2 + R^2 s_b^2 - 2 R s_ab) / (sqrt(n) (mean b + c))``, ``ddof=1``; NaN for one pair. A denominator of
    zero gives NaN.
    """
    both = np.isfinite(numerator) & np.isfinite(denominator)
    a, b = np.asarray(numerator)[both], np.asarray(denominator)[both]
    n = int(both.sum())
    if not n or b.mean() + offset == 0:
        return np.nan, np.nan, n
    ratio = float((a.mean() + offset) / (b.mean() + offset))
    if n < 2:
        return ratio, np.nan, n
    spread = float((a - a.mean() - ratio * (b - b.mean())).std(ddof=1))
    return ratio, spread / np.sqrt(n) / abs(b.mean() + offset), n


# ------------------------------------------------------------------------------------------------------- norm


def z_score(
    value: float, *, se: float, norm_mean: float, norm_sd: float, norm_n: int, sign: float
) -> tuple[float, float]:
    """Return a z-score and its standard error.

    ``z = sign (x - m) / s``; ``se^2 = se(x)^2 / s^2 + 1 / n + z^2 / (2 (n - 1))``: the error of the person, of the mean
    and of the SD of the ``norm_n`` people of the norm.
    """
    z = sign * (value - norm_mean) / norm_sd
    of_norm = 1 / norm_n + z**2 / (2 * (norm_n - 1))
    return z, float(np.sqrt((se / norm_sd) ** 2 + of_norm))


def _kept(values: Array) -> Array:
    flat = np.asarray(values, dtype=np.float64).ravel()
    return flat[np.isfinite(flat)]
