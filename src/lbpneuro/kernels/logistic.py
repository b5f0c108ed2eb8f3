"""The intensity at which half of the stimuli are answered: logistic regression that survives separated data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_length

Array = NDArray[np.float64]

Counts = tuple[Array, Array, Array]

N_WIDTHS = 48
WIDTHS = (0.004, 4.0)
"""Narrowest and widest logistic that is considered, as shares of the range of the intensities."""
N_THRESHOLDS = 41
ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The 50 % point with its interval, and the width of the logistic, in the unit of the intensity.

    NaN where there is none. ``answered`` of ``n`` stimuli were answered; ``falling`` says that answers became rarer
    with intensity.
    """

    value: float
    ci_low: float
    ci_high: float
    width: float
    n: int
    answered: int
    falling: bool = False

    @property
    def se(self) -> float:
        """Standard error, from the width of the 95 % interval."""
        return (self.ci_high - self.ci_low) / (2 * 1.959964)


def logistic_threshold(
    intensity: ArrayLike, answered: ArrayLike, *, limits: tuple[float, float], level: float = 0.95
) -> Threshold:
    """Return the intensity that is answered half of the time, by penalised logistic regression.

    ``P(answer | x) = 1 / (1 + exp(-(x - t) / w))``. The likelihood is multiplied by the square root of the determinant
    of the information matrix (Firth 1993, 10.1093/biomet/80.1.27), so that there is an estimate where the answered and
    the unanswered intensities do not overlap; the interval is that of the penalised profile likelihood of ``t`` (Heinze
    & Schemper 2002, 10.1002/sim.1047). Both are found on a grid that is refined, so nothing has to converge.

    Parameters
    ----------
    intensity : (n_trial,)
    answered : (n_trial,)
        True or 1 where there was a response.
    limits
        Smallest and largest intensity that is possible; the interval ends there if the data do not end it.
    level
        Of the interval.

    Returns
    -------
    Threshold
        NaN if all or none were answered, at a single intensity, or if answers became rarer with intensity.

    Raises
    ------
    InputError
        If the two arrays differ in length.
    """
    x, y = np.asarray(intensity, dtype=np.float64), np.asarray(answered, dtype=np.float64)
    check_length("answered", y, expected=x.size)
    if limits[0] >= limits[1]:
        raise InputError(f"`limits` must be (smallest, largest); got {limits}.")
    n, count = x.size, int(y.sum())
    nothing = Threshold(value=np.nan, ci_low=np.nan, ci_high=np.nan, width=np.nan, n=n, answered=count)
    if count in (0, n) or np.ptp(x) == 0:
        return nothing
    levels, place = np.unique(x, return_inverse=True)
    data: Counts = (levels, np.bincount(place, weights=y).astype(float), np.bincount(place).astype(float))
    if _falls(x, y):
        return Threshold(value=np.nan, ci_low=np.nan, ci_high=np.nan, width=np.nan, n=n, answered=count, falling=True)
    widths = np.ptp(x) * np.geomspace(*WIDTHS, N_WIDTHS)
    value, best, width = _maximum(data, widths, limits=limits)
    drop = best - 0.5 * float(scipy.special.chdtri(1, 1 - level))
    low, high = (_crossing(data, widths, inside=value, outside=end, height=drop) for end in limits)
    return Threshold(value=value, ci_low=low, ci_high=high, width=width, n=n, answered=count)


def _falls(x: Array, y: Array) -> bool:
    """Whether answers became rarer with intensity: the sign of the slope is that of the covariance."""
    return bool(np.mean((x - x.mean()) * (y - y.mean())) <= 0)


def _profile(data: Counts, widths: Array, thresholds: Array) -> tuple[Array, Array]:
    """Penalised log likelihood at ``thresholds`` (n,), maximal over the width; and the widths (n,) of the maxima."""
    levels, answered, total = data
    z = (levels - thresholds[:, None, None]) / widths[:, None]
    likelihood = answered * scipy.special.log_expit(z) + (total - answered) * scipy.special.log_expit(-z)
    weight = total * scipy.special.expit(z) * scipy.special.expit(-z)
    offset = levels - levels.mean()
    sums = [(weight * offset**power).sum(axis=-1) for power in range(3)]
    determinant = np.maximum(sums[0] * sums[2] - sums[1] ** 2, np.finfo(np.float64).tiny)
    height = likelihood.sum(axis=-1) + 0.5 * np.log(determinant)
    best = height.argmax(axis=-1)
    return np.take_along_axis(height, best[:, None], axis=-1)[:, 0], widths[best]


def _maximum(data: Counts, widths: Array, *, limits: tuple[float, float]) -> tuple[float, float, float]:
    """The threshold of the highest profile, its height, and the width there."""
    low, high = limits
    for _ in range(ROUNDS):
        grid = np.linspace(low, high, N_THRESHOLDS)
        height, found = _profile(data, widths, grid)
        best = int(height.argmax())
        low, high = grid[max(best - 2, 0)], grid[min(best + 2, N_THRESHOLDS - 1)]
    return float(grid[best]), float(height[best]), float(found[best])


def _crossing(data: Counts, widths: Array, *, inside: float, outside: float, height: float) -> float:
    """Where the profile falls below ``height`` on the way from ``inside`` to ``outside``; there if it does not."""
    for _ in range(ROUNDS):
        grid = np.linspace(inside, outside, N_THRESHOLDS)
        below = _profile(data, widths, grid)[0] < height
        if not below.any():
            return outside
        first = max(int(below.argmax()), 1)
        inside, outside = float(grid[first - 1]), float(grid[first])
    return (inside + outside) / 2
