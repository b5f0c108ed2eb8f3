"""Who improved enough, and how the shares of two groups differ: risk difference, risk ratio, number needed to treat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError

Array = NDArray[np.float64]


def responders(
    before: ArrayLike, after: ArrayLike, *, mic: float, share: float = 0.0, lower_is_better: bool = True
) -> Array:
    """Return 1 for people who improved by the minimal important change and by a share of their baseline, else 0.

    Both must hold: ``improvement >= mic`` and ``improvement >= share |before|``. NaN where a measurement is. A person
    at 0 before cannot improve by a share of it; there the absolute change alone decides.

    Parameters
    ----------
    before, after : (n_person, ...)
    mic
        In the unit of the outcome, 0 or more.
    share
        For example 0.3; 0 leaves it out.
    lower_is_better
        Whether a fall is an improvement, as of pain.
    """
    if not (mic >= 0 and share >= 0) or mic == share == 0:
        raise InputError(f"`mic` and `share` must be 0 or more, and one of them above 0; got {mic} and {share}.")
    first, last = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    improvement = first - last if lower_is_better else last - first
    # a decimal fraction of a decimal baseline must not fail by its rounding
    slack = 1e-9 * np.maximum(1.0, np.abs(first))
    enough = (improvement >= mic - slack) & (improvement >= share * np.abs(first) - slack)
    return np.where(np.isfinite(improvement), enough.astype(np.float64), np.nan)


def wilson(count: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> tuple[Array, Array]:
    """Return the score interval of a share (Wilson 1927, 10.1080/01621459.1927.10502953).

    Parameters
    ----------
    count, n : (...)
        Of ``n`` people ``count`` have it.
    level
        Between 0 and 1.
    """
    k, size = _counts(count, n)
    if not 0 < level < 1:
        raise InputError(f"`level` must lie between 0 and 1, as 0.95; got {level}.")
    z = scipy.stats.norm.isf((1 - level) / 2)
    middle = (k + z**2 / 2) / (size + z**2)
    reach = z / (size + z**2) * np.sqrt(k * (size - k) / size + z**2 / 4)
    # exactly 0 and 1 at the ends, where rounding would leave a trace
    return np.where(k == 0, 0.0, middle - reach), np.where(k == size, 1.0, middle + reach)


def _counts(count: ArrayLike, n: ArrayLike) -> tuple[Array, Array]:
    k, size = np.asarray(count, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if (size < 1).any() or ((k < 0) | (k > size)).any():
        raise InputError(
            f"`count` must lie between 0 and `n`, and `n` be 1 or more; got {k.tolist()} of {size.tolist()}."
        )
    return k, size


@dataclass(frozen=True, slots=True)
class Bounded:
    """A value and the limits of its interval, (...) each."""

    value: Array
    low: Array
    high: Array


def risk_difference(count: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Bounded:
    """Return the difference of two shares, first minus second, with Newcombe's hybrid score interval.

    Method 10 of Newcombe 1998 (10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I): the distances of
    the Wilson limits from the shares, added in squares.

    Parameters
    ----------
    count, n : (2, ...)
        Of ``n`` people in each group ``count`` have it.
    level
        Between 0 and 1.
    """
    k, size = _counts(count, n)
    share = k / size
    low, high = wilson(k, size, level=level)
    value = np.asarray(share[0] - share[1])
    below = np.hypot(share[0] - low[0], high[1] - share[1])
    above = np.hypot(high[0] - share[0], share[1] - low[1])
    return Bounded(value, value - below, value + above)


def risk_ratio(count: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Bounded:
    """Return the ratio of two shares, first over second, with an interval from the Wilson limits.

    The recovery of variance estimates for a ratio (Donner & Zou 2012, Stat Methods Med Res 21:347), which needs no
    added halves: nobody in the first group gives 0 with a finite upper limit, nobody in the second an infinite ratio
    with a finite lower one. Nobody in either: NaN.

    Parameters
    ----------
    count, n : (2, ...)
        Of ``n`` people in each group ``count`` have it.
    level
        Between 0 and 1.
    """
    k, size = _counts(count, n)
    share = k / size
    low, high = wilson(k, size, level=level)
    product = share[0] * share[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = share[0] / share[1]
        under = product**2 - low[0] * high[1] * (2 * share[0] - low[0]) * (2 * share[1] - high[1])
        over = product**2 - high[0] * low[1] * (2 * share[0] - high[0]) * (2 * share[1] - low[1])
        lower = (product - np.sqrt(under)) / (high[1] * (2 * share[1] - high[1]))
        upper = (product + np.sqrt(over)) / (low[1] * (2 * share[1] - low[1]))
    limits = (value, np.where(k[0] == 0, 0.0, lower), np.where(k[1] == 0, np.inf, upper))
    nobody = np.all(k == 0, axis=0)
    return Bounded(*(np.where(nobody, np.nan, part) for part in limits))


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberNeeded:
    """Number needed to treat for one more to benefit, or negative for one more to be harmed.

    ``low`` and ``high`` are the reciprocals of the limits of the risk difference. If ``through_infinity``, the values
    between them are not in the interval but those beyond: from ``high`` up to infinity, and on from minus infinity to
    ``low``.
    """

    value: float
    low: float
    high: float
    through_infinity: bool

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "n/a"
        if self.through_infinity:
            return f"{_named(self.value)} [{_named(self.high)} to infinity to {_named(self.low)}]"
        near, far = sorted((self.low, self.high), key=abs)
        return f"{_named(self.value)} [{_named(near)} to {_named(far)}]"


def _named(number: float) -> str:
    if math.isinf(number):
        return "infinity"
    return f"{'benefit' if number > 0 else 'harm'} {abs(number):.1f}"


def number_needed(difference: Bounded) -> NumberNeeded:
    """Return the number needed to treat of one risk difference of a good outcome, treated minus control.

    The reciprocal of the difference and of its limits. Where the interval of the difference holds 0, that of the
    number passes through infinity: some who are treated, or harm to some (Altman 1998, 10.1136/bmj.317.7168.1309).
    """
    parts = [float(part) for part in (difference.value, difference.low, difference.high)]
    value, from_low, from_high = (1 / part if part else math.inf for part in parts)
    through = parts[1] <= 0 <= parts[2]
    low, high = (from_low, from_high) if through else sorted((from_low, from_high))
    return NumberNeeded(value=value, low=low, high=high, through_infinity=through)
