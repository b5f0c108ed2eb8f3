"""Effect sizes of two groups from what a paper prints: means, counts, or an adjusted difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike

from lbpneuro.errors import InputError
from lbpneuro.kernels.effect_size import (
    Effect,
    Groups,
    cohen_d,
    d_of_change,
    d_of_difference,
    dppc2,
    effect_interval,
    glass_delta,
    groups,
    hedges_g,
)
from lbpneuro.kernels.responders import Bounded, number_needed, risk_difference, risk_ratio

Pair = Sequence[float]
Sizes = Mapping[str, Mapping[str, Any]]
GROUP_NAMES = ("first", "second")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """How intervals are made: ``method`` is ``noncentral_t`` or ``wald``, ``level`` between 0 and 1."""

    method: str = "noncentral_t"
    level: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Means and standard deviations of both groups before treatment, and their correlation with the follow-up."""

    mean: Pair
    sd: Pair
    r: float


def sizes_of_means(
    data: Groups, *, control: int = 1, before: Groups | None = None, r: ArrayLike = np.nan, how: Intervals | None = None
) -> dict[str, dict[str, Any]]:
    """Return the difference of two groups, first minus second, raw and standardised.

    Parameters
    ----------
    data
        Summaries at follow-up, of one outcome.
    control
        0 or 1: the group whose standard deviation is Glass's.
    before, r
        Summaries at baseline and their correlation with the follow-up; add ``d_change`` and ``dppc2``.
    how
        Intervals; by default noncentral t, 95 %.

    Returns
    -------
    dict
        ``difference``, ``d``, ``g``, ``glass_delta`` and, with a baseline, ``d_change``, ``dppc2``; each with value,
        se, ci_low, ci_high, and what it was divided by.
    """
    how = how or Intervals()
    within = "standard deviation within groups"
    found = {
        "difference": mean_difference(data, level=how.level),
        "d": _standardised(cohen_d(data), how, by=within),
        "g": _standardised(hedges_g(data), how, by=within),
        "glass_delta": _standardised(
            glass_delta(data, standardiser=control), how, by=f"standard deviation of the {GROUP_NAMES[control]} group"
        ),
    }
    if before is not None:
        found["d_change"] = _standardised(d_of_change(before, data, r=r), how, by="standard deviation of the change")
        found["dppc2"] = _standardised(dppc2(before, data, r=r), how, by="standard deviation at baseline")
    return found


def sizes_of_summaries(
    *,
    mean: Pair,
    sd: Pair,
    n: Pair,
    control: int = 1,
    baseline: Baseline | None = None,
    how: Intervals | None = None,
) -> dict[str, dict[str, Any]]:
    """Return what :func:`sizes_of_means` does, from printed numbers (first, second); InputError if they cannot be."""
    _finite(mean=mean, sd=sd, n=n)
    data = groups(mean=mean, sd=sd, n=n)
    if baseline is None:
        return sizes_of_means(data, control=control, how=how)
    _finite(baseline=baseline.mean, baseline_sd=baseline.sd, r=[baseline.r])
    before = groups(mean=baseline.mean, sd=baseline.sd, n=n)
    return sizes_of_means(data, control=control, before=before, r=baseline.r, how=how)


def _finite(**numbers: Pair) -> None:
    for name, values in numbers.items():
        if not np.isfinite(values).all():
            raise InputError(f"`{name}` must be finite numbers; got {' '.join(map(str, values))}.")


def mean_difference(data: Groups, *, level: float = 0.95) -> dict[str, Any]:
    """Return the difference of two means with Welch's interval, which lets variances differ."""
    value = float(data.mean[0] - data.mean[1])
    parts = data.sd**2 / data.n
    se = float(np.sqrt(parts.sum()))
    df = float(parts.sum() ** 2 / np.sum(parts**2 / (data.n - 1)))
    reach = float(scipy.stats.t.isf((1 - level) / 2, df)) * se
    return {"value": value, "se": se, "ci_low": value - reach, "ci_high": value + reach, "df": df}


def _standardised(effect: Effect, how: Intervals, *, by: str) -> dict[str, Any]:
    low, high = effect_interval(effect, method=how.method, level=how.level)
    return {
        "value": float(effect.value),
        "se": float(effect.se),
        "ci_low": float(low),
        "ci_high": float(high),
        "standardiser": float(effect.standardiser),
        "standardised_by": by,
        "correction": float(effect.correction),
    }


def sizes_of_difference(
    difference: float, *, interval: tuple[float, float], n: Pair, level: float = 0.95
) -> dict[str, dict[str, Any]]:
    """Return the effect that a published (adjusted) difference and its interval imply; see the kernel."""
    _finite(difference=[difference, *interval], n=n)
    effect = d_of_difference(difference, interval=interval, n=n, level=level)
    sd = float(effect.standardiser)
    se = (interval[1] - interval[0]) / 2 / float(scipy.stats.norm.isf((1 - level) / 2))
    implied = {
        "value": float(effect.value),
        "se": se / sd,
        "ci_low": interval[0] / sd,
        "ci_high": interval[1] / sd,
        "standardiser": sd,
        "standardised_by": "standard deviation implied by the interval",
        "correction": 1.0,
    }
    raw = {"value": difference, "se": se, "ci_low": interval[0], "ci_high": interval[1]}
    return {"difference": raw, "d_implied": implied}


def sizes_of_counts(count: Pair, *, n: Pair, level: float = 0.95) -> dict[str, dict[str, Any]]:
    """Return risk difference, risk ratio and number needed to treat of a good outcome, first group minus second."""
    _finite(events=count, n=n)
    if any(number != round(number) for number in (*count, *n)):
        raise InputError(f"`events` and `n` must be whole numbers; got {list(count)} and {list(n)}.")
    difference, ratio = risk_difference(count, n, level=level), risk_ratio(count, n, level=level)
    needed = number_needed(difference)
    return {
        "risk_difference": _limits(difference),
        "risk_ratio": _limits(ratio),
        "number_needed": {
            "value": needed.value,
            "ci_low": needed.low,
            "ci_high": needed.high,
            "through_infinity": needed.through_infinity,
            "text": str(needed),
        },
    }


def _limits(found: Bounded) -> dict[str, float]:
    return {"value": float(found.value), "ci_low": float(found.low), "ci_high": float(found.high)}
