"""Tactile acuity: thresholds of runs of two-point discrimination, errors of localisation, and judgement times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.kernels.proportions import Z95, Proportion

Array = NDArray[np.float64]

ONE, TWO = 1, 2
LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The threshold of one run, or the bound that is all it tells: ``low`` if it lies above it, ``high`` if below."""

    value: float = np.nan
    low: float = -np.inf
    high: float = np.inf


def run_threshold(distance: ArrayLike, response: ArrayLike, *, ascending: bool) -> Crossing:
    """Return where one run changes: midway between the last "one" and the first "two"; the other way if descending.

    ``distance`` (n,) in mm and ``response`` (n,), 1 or 2, in the order of testing. A run in which everything felt like
    one point tells no more than that the threshold lies above its largest distance; like two, below its smallest.
    """
    d, felt = np.asarray(distance, dtype=np.float64), np.asarray(response)
    if not (felt == TWO).any():
        return Crossing(low=float(d.max()))
    if not (felt == ONE).any():
        return Crossing(high=float(d.min()))
    before, after = (ONE, TWO) if ascending else (TWO, ONE)
    last, first = d[np.flatnonzero(felt == before)[-1]], d[np.flatnonzero(felt == after)[0]]
    return Crossing(value=float((last + first) / 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMean:
    """Mean threshold of ascending and of descending runs, and of both; ``hysteresis`` is descending minus ascending."""

    ascending: float
    descending: float
    value: float
    hysteresis: float
    se: float
    dof: float
    n: int

    def interval(self, value: float, se: float) -> tuple[float, float]:
        """Return the 95 % interval of a value with the degrees of freedom of the runs."""
        reach = float(scipy.special.stdtrit(self.dof, 0.975)) * se
        return value - reach, value + reach


def run_mean(ascending: ArrayLike, descending: ArrayLike, *, step_mm: float) -> RunMean:
    """Return the mean of the run thresholds (n_ascending,) and (n_descending,) in mm, at least one of each.

    ``value`` is the mean of both directions, so that a different number of runs does not shift it. The variance of a
    run is pooled within the directions, with ``n - 2`` degrees of freedom, and is never taken smaller than that of a
    threshold that may lie anywhere within a step, ``step^2 / 12``: runs that stop at the same step do not make it
    certain. With one run of each it is that of the two, with one degree of freedom, and includes the hysteresis.
    ``se = sqrt(s^2 (1/n_a + 1/n_d)) / 2``; that of the hysteresis is twice as large.
    """
    up, down = (np.asarray(each, dtype=np.float64) for each in (ascending, descending))
    n = up.size + down.size
    groups = [up, down] if n > 2 else [np.concatenate([up, down])]
    dof = n - len(groups)
    variance = sum(float(((each - each.mean()) ** 2).sum()) for each in groups) / dof
    variance = max(variance, step_mm**2 / 12)
    first, second = float(up.mean()), float(down.mean())
    return RunMean(
        ascending=first,
        descending=second,
        value=(first + second) / 2,
        hysteresis=second - first,
        se=float(np.sqrt(variance * (1 / up.size + 1 / down.size)) / 2),
        dof=float(dof),
        n=n,
    )


def usual_step(distance: ArrayLike) -> float:
    """Return the smallest difference between the tested distances (n,), 0 if there is only one."""
    steps = np.diff(np.unique(np.asarray(distance, dtype=np.float64)))
    return float(steps.min()) if steps.size else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Localisation:
    """Errors of localisation in mm: mean distance, mean error (2,) on x and y, and scatter about the mean error.

    ``sd`` is pooled over the axes, with ``2 (n - 1)`` degrees of freedom.
    """

    error: float
    error_se: float
    bias: Array
    bias_se: Array
    sd: float
    sd_ci: tuple[float, float]
    n: int

    def reach(self, se: float) -> float:
        """Half the length of the 95 % interval of a mean with this standard error."""
        return float(scipy.special.stdtrit(self.n - 1, 0.975)) * se

    @property
    def sd_se(self) -> float:
        """Standard error of the scatter, ``sd / sqrt(2 dof)``."""
        return self.sd / float(np.sqrt(4 * (self.n - 1)))


def localisation(actual_mm: ArrayLike, perceived_mm: ArrayLike) -> Localisation:
    """Return the errors of localisation of points (n, 2) in mm, at least two.

    ``error`` is the mean Euclidean distance, ``bias`` the mean of perceived minus actual, and ``sd`` the square root of
    the mean of both variances of the rest (``ddof=1``), with the interval of a variance from chi-squared.
    """
    difference = np.asarray(perceived_mm, dtype=np.float64) - np.asarray(actual_mm, dtype=np.float64)
    n = len(difference)
    distance = np.hypot(difference[:, 0], difference[:, 1])
    bias = difference.mean(axis=0)
    sd = float(np.sqrt(difference.var(axis=0, ddof=1).mean()))
    dof = 2 * (n - 1)
    ends = [float(np.sqrt(dof / scipy.special.chdtri(dof, tail))) * sd for tail in (0.025, 0.975)]
    return Localisation(
        error=float(distance.mean()),
        error_se=float(distance.std(ddof=1) / np.sqrt(n)),
        bias=bias,
        bias_se=difference.std(axis=0, ddof=1) / np.sqrt(n),
        sd=sd,
        sd_ci=(ends[0], ends[1]),
        n=n,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """A time with its 95 % interval, and half its width over 1.96 as standard error."""

    value: float
    se: float
    ci: tuple[float, float]


def median_time(times: ArrayLike) -> Timing:
    """Return the median of times (n,), n > 0, with an interval that takes no distribution.

    Its ends are interpolated between two order statistics, so that about 95 % of such intervals hold the median of
    the population (Hettmansperger & Sheather 1986, Statistics & Probability Letters 4:75-79): with ``g_k = 1 -
    2 P(B < k)``, B binomial (n, 1/2), and k the largest for which ``g_k >= 0.95``, they lie the share
    ``(n - k) i / (k + (n - 2k) i)``, ``i = (g_k - 0.95) / (g_k - g_(k+1))``, of the way from the k-th value from
    either end to the next. Fewer than six values have their extremes as interval, which holds the median less often.
    """
    t = np.sort(np.asarray(times, dtype=np.float64))
    n = t.size
    held = 1 - 2 * scipy.stats.binom.cdf(np.arange(n // 2 + 1) - 1, n, 0.5)  # by the k-th value from either end
    k = int(np.flatnonzero(held >= LEVEL)[-1])
    if k == 0:
        low, high = t[0], t[-1]
    else:
        short = (held[k] - LEVEL) / (held[k] - held[k + 1])
        share = (n - k) * short / (k + (n - 2 * k) * short)
        low, high = (1 - share) * t[k - 1] + share * t[k], (1 - share) * t[n - k] + share * t[n - k - 1]
    return _timing(float(np.median(t)), float(low), float(high))


def inverse_efficiency(median: Timing, correct: Proportion) -> Timing:
    """Return a median time over the share of correct answers, with an interval that holds the errors of both.

    On the scale of logarithms the two intervals are combined by the method of variance estimates recovery (Zou & Donner
    2008, 10.1002/sim.2917).
    """
    time, time_low, time_high = np.log([median.value, *median.ci])
    share, share_low, share_high = np.log([correct.value, correct.ci_low, correct.ci_high])
    low = time - share - np.hypot(time - time_low, share_high - share)
    high = time - share + np.hypot(time_high - time, share - share_low)
    return _timing(median.value / correct.value, float(np.exp(low)), float(np.exp(high)))


def _timing(value: float, low: float, high: float) -> Timing:
    return Timing(value=value, se=(high - low) / (2 * Z95), ci=(low, high))
