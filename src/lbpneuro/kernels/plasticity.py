"""Homeostatic plasticity: change of motor-evoked potentials between blocks of trials, on the log scale.

Single-trial amplitudes are right-skewed with a log SD between 0.5 and 0.9, so block means and their errors are
taken of ``log(amplitude + 1 uV)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import NDArray

Array = NDArray[np.float64]

OFFSET_UV = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRatio:
    """Difference of two block means of log amplitude, with Welch's standard error and degrees of freedom."""

    value: float
    se: float
    dof: float
    n: int

    def interval(self, level: float) -> tuple[float, float]:
        """Return the two-sided confidence interval at ``level`` (e.g. 0.95), from Student's t."""
        reach = float(scipy.special.stdtrit(self.dof, 0.5 + level / 2)) * self.se
        return self.value - reach, self.value + reach

    def times(self, sign: float) -> LogRatio:
        """Return the ratio multiplied by +1 or -1."""
        return LogRatio(value=sign * self.value, se=self.se, dof=self.dof, n=self.n)


def log_amplitude(p2p_uv: Array) -> Array:
    """Return ``log(p2p_uv + 1)`` of amplitudes in microvolts, any shape; NaN stays NaN."""
    return np.log(np.asarray(p2p_uv, dtype=np.float64) + OFFSET_UV)


def log_ratio(block_uv: Array, reference_uv: Array) -> LogRatio:
    """Return the log ratio of two blocks of single-trial amplitudes (n_trial,) in uV, NaN left out.

    ``value = mean log(block + 1) - mean log(reference + 1)``, ``se = sqrt(s_b^2 / n_b + s_r^2 / n_r)`` with ``ddof=1``,
    Welch-Satterthwaite degrees of freedom; ``n`` counts both blocks. Two trials per block are needed at least,
    otherwise everything is NaN.
    """
    means, variances, counts = zip(*(_moments(log_amplitude(block)) for block in (block_uv, reference_uv)), strict=True)
    share = np.array(variances) / np.array(counts)
    total = share.sum()
    dof = total**2 / (share**2 / (np.array(counts) - 1)).sum() if total > 0 else float(sum(counts) - 2)
    return LogRatio(value=means[0] - means[1], se=float(np.sqrt(total)), dof=float(dof), n=int(sum(counts)))


def _moments(logs: Array) -> tuple[float, float, int]:
    kept = logs[np.isfinite(logs)]
    if kept.size < 2:
        return np.nan, np.nan, int(kept.size)
    return float(kept.mean()), float(kept.var(ddof=1)), int(kept.size)
