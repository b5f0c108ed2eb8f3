"""Shares of trials with intervals, and their correction for guessing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Z95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A share ``value`` of ``n`` trials, its standard error and 95 % interval; NaN without trials."""

    value: float
    se: float
    ci_low: float
    ci_high: float
    n: int


def wilson(count: int, n: int) -> Proportion:
    """Return the share of ``count`` in ``n`` independent trials with Wilson's score interval.

    With ``z = 1.96``: ``(p + z^2/2n -/+ z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n)`` (Wilson 1927,
    10.1080/01621459.1927.10502953), which neither leaves 0 to 1 nor shrinks to nothing at 0 and n. The standard error
    is half the interval over z, so that it is not 0 there either.
    """
    if n == 0:
        return Proportion(value=np.nan, se=np.nan, ci_low=np.nan, ci_high=np.nan, n=0)
    p, z2 = count / n, Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    reach = Z95 * np.sqrt(p * (1 - p) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    low, high = max(middle - reach, 0.0), min(middle + reach, 1.0)
    return Proportion(value=p, se=float(reach / Z95), ci_low=float(min(low, p)), ci_high=float(max(high, p)), n=n)


def without_guessing(errors: Proportion, options: int) -> Proportion:
    """Return a share of errors with that of lucky guesses added: ``e k / (k - 1)`` for ``k`` equally likely options.

    A person who does not know guesses wrongly in ``1 - 1/k`` of the cases, so the share that was not known is the share
    of errors over that. It is cut at 1, which chance alone may exceed; interval and standard error are stretched alike.
    """
    factor = options / (options - 1)
    return Proportion(
        value=min(factor * errors.value, 1.0),
        se=factor * errors.se,
        ci_low=min(factor * errors.ci_low, 1.0),
        ci_high=min(factor * errors.ci_high, 1.0),
        n=errors.n,
    )
