"""Homeostatic plasticity: change of motor-evoked potentials between blocks of trials, on the log scale.

Single-trial amplitudes are right-skewed with a log SD between 0.5 and 0.9, so block means and their errors are
taken of ``log(amplitude + 1 uV)``. Everything here is a sum of block means with weights: a ratio to the baseline has +1
and -1, an area under the time course a weight per block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import NDArray

Array = NDArray[np.float64]

OFFSET_UV = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRatio:
    """A weighted sum of block means of log amplitude, with its standard error and Welch's degrees of freedom.

    ``logs`` are the kept log amplitudes per block, ``weights`` those of the blocks.
    """

    value: float
    se: float
    dof: float
    n: int
    logs: tuple[Array, ...] = field(default=(), compare=False, repr=False)
    weights: tuple[float, ...] = ()

    def interval(self, level: float) -> tuple[float, float]:
        """Return the two-sided confidence interval at ``level`` (e.g. 0.95), from Student's t."""
        reach = self.quantile(0.5 + level / 2) * self.se
        return self.value - reach, self.value + reach

    def quantile(self, p: float) -> float:
        """Return the ``p`` quantile of Student's t at the degrees of freedom."""
        return float(scipy.special.stdtrit(self.dof, p))

    def bootstrap_interval(self, level: float, *, n_draws: int, rng: np.random.Generator) -> tuple[float, float]:
        """Return the studentised bootstrap interval at ``level``: trials are drawn with replacement within blocks.

        Each resample is compared with the value in units of its own standard error (Welch), so that few or skewed
        trials do not make the interval too short, as percentiles would. NaN where there is no error.
        """
        value, variance = np.zeros(n_draws), np.zeros(n_draws)
        for logs, weight in zip(self.logs, self.weights, strict=True):
            drawn = logs[rng.integers(0, logs.size, (n_draws, logs.size))]
            value += weight * drawn.mean(axis=1)
            variance += weight**2 * drawn.var(axis=1, ddof=1) / logs.size
        known = variance > 0
        if not known.any():
            return np.nan, np.nan
        pivot = (value[known] - self.value) / np.sqrt(variance[known])
        low, high = np.quantile(pivot, [0.5 - level / 2, 0.5 + level / 2])
        return float(self.value - high * self.se), float(self.value - low * self.se)

    def probability_positive(self) -> float:
        """Return the probability that the true value is above 0 if all were as likely before: ``T(value / se)``."""
        if not self.se > 0:
            return float(np.heaviside(self.value, 0.5))
        return float(scipy.special.stdtr(self.dof, self.value / self.se))

    def detectable(self, *, power: float = 0.8, level: float = 0.95) -> float:
        """Return the smallest true value that a two-sided test at ``1 - level`` finds with ``power``, to first order.

        ``(t_(1 + level)/2 + t_power) se``: from the scatter and number of the trials at hand, not from the value.
        """
        return (self.quantile(0.5 + level / 2) + self.quantile(power)) * self.se

    def times(self, sign: float) -> LogRatio:
        """Return the sum multiplied by +1 or -1."""
        return LogRatio(
            value=sign * self.value,
            se=self.se,
            dof=self.dof,
            n=self.n,
            logs=self.logs,
            weights=tuple(sign * weight for weight in self.weights),
        )

    def plus(self, other: LogRatio) -> LogRatio:
        """Return the sum with one of other trials."""
        return _weighted((*self.logs, *other.logs), (*self.weights, *other.weights))


def log_amplitude(p2p_uv: Array) -> Array:
    """Return ``log(p2p_uv + 1)`` of amplitudes in microvolts, any shape; NaN stays NaN."""
    return np.log(np.asarray(p2p_uv, dtype=np.float64) + OFFSET_UV)


def log_ratio(block_uv: Array, reference_uv: Array) -> LogRatio:
    """Return the log ratio of two blocks of single-trial amplitudes (n_trial,) in uV, NaN left out.

    ``value = mean log(block + 1) - mean log(reference + 1)``, ``se = sqrt(s_b^2 / n_b + s_r^2 / n_r)`` with ``ddof=1``,
    Welch-Satterthwaite degrees of freedom; ``n`` counts both blocks. Two trials per block are needed at least,
    otherwise everything is NaN.
    """
    return log_contrast([block_uv, reference_uv], [1.0, -1.0])


def log_contrast(blocks_uv: Sequence[Array], weights: Sequence[float]) -> LogRatio:
    """Return the sum of the mean log amplitudes of blocks (n_trial,) in uV, times ``weights``; NaN left out.

    ``se^2 = sum w^2 s^2 / n`` with ``ddof=1``, Welch-Satterthwaite degrees of freedom; ``n`` counts all blocks.
    """
    logs = tuple(each[np.isfinite(each)] for each in map(log_amplitude, blocks_uv))
    return _weighted(logs, tuple(float(weight) for weight in weights))


def _weighted(logs: tuple[Array, ...], weights: tuple[float, ...]) -> LogRatio:
    counts = np.array([each.size for each in logs])
    enough = counts.min() >= 2
    means = np.array([each.mean() for each in logs]) if enough else np.full(len(logs), np.nan)
    variances = np.array([each.var(ddof=1) for each in logs]) if enough else np.full(len(logs), np.nan)
    share = np.array(weights) ** 2 * variances / counts
    total = share.sum()
    dof = total**2 / (share**2 / (counts - 1)).sum() if total > 0 else float((counts - 1).sum())
    return LogRatio(
        value=float(np.array(weights) @ means),
        se=float(np.sqrt(total)),
        dof=float(dof),
        n=int(counts.sum()),
        logs=logs,
        weights=weights,
    )


def trapezoid_weights(minutes: Sequence[float]) -> Array:
    """Return the weights (n,) of points at increasing ``minutes`` in the mean of the line through them; their sum is 1.

    The mean is the area under the line (trapezoids) over its length.
    """
    gaps = np.diff(np.asarray(minutes, dtype=np.float64))
    return (np.append(gaps, 0.0) + np.insert(gaps, 0, 0.0)) / (2 * gaps.sum())
