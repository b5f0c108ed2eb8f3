"""Slow and plain versions of correlations, whole-brain summaries, shifts and label statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def uncentred_r(x: Array, y: Array) -> float:
    """Correlation of two series without removing a mean; NaN where one is NaN or zero."""
    norm = float(np.sqrt(np.sum(x * x)) * np.sqrt(np.sum(y * y)))
    return float(np.sum(x * y)) / norm if norm > 0 else float("nan")


def slow_summaries(projected: Array, threshold: float) -> dict[str, Array]:
    """Mean r, mean r squared and degrees of every series with all others, pair by pair."""
    series = projected.astype(np.float64)
    n = series.shape[1]
    usable = [i for i in range(n) if np.isfinite(series[:, i]).all() and np.any(series[:, i])]
    names = ("mean", "squared", "positive", "absolute", "weighted")
    found = {name: np.full(n, np.nan) for name in names}
    for i in usable:
        r = np.array([uncentred_r(series[:, i], series[:, j]) for j in usable if j != i])
        found["mean"][i] = r.mean()
        found["squared"][i] = np.mean(r**2)
        found["positive"][i] = np.sum(r > threshold)
        found["absolute"][i] = np.sum(np.abs(r) > threshold)
        found["weighted"][i] = np.sum(r[r > threshold])
    return found


def slow_ledoit_wolf(series: Array) -> tuple[Array, float]:
    """Shrinkage by the definition: squared error of the sample covariance over its squared distance to the target."""
    d, n = series.shape
    sample = sum(np.outer(row, row) for row in series) / d
    target = np.trace(sample) / n * np.eye(n)
    error = sum(np.sum((np.outer(row, row) - sample) ** 2) for row in series) / d**2
    distance = np.sum((sample - target) ** 2)
    shrinkage = min(error / distance, 1.0)
    return (1 - shrinkage) * sample + shrinkage * target, shrinkage


def slow_partial(covariance: Array) -> Array:
    """Correlation of the residuals of two series after regression on all others, from their covariance."""
    n = len(covariance)
    partial = np.eye(n)
    for i in range(n):
        for j in range(i):
            others = [k for k in range(n) if k not in (i, j)]
            pair = [i, j]
            left = covariance[np.ix_(pair, pair)] - covariance[np.ix_(pair, others)] @ np.linalg.solve(
                covariance[np.ix_(others, others)], covariance[np.ix_(others, pair)]
            )
            partial[i, j] = partial[j, i] = left[0, 1] / np.sqrt(left[0, 0] * left[1, 1])
    return partial


def slow_jackknife(statistic: Callable[[Array], Any], series: Array) -> float:
    """Delete-one standard error, one call for each left-out coordinate."""
    d = len(series)
    values = np.array([statistic(np.delete(series, k, axis=0)) for k in range(d)])
    return float(np.sqrt((d - 1) / d * np.sum((values - values.mean()) ** 2)))


def slow_z_covariance(r: Array, first: tuple[int, int], second: tuple[int, int]) -> float:
    """Covariance of two Fisher z per dimension: Pearson and Filon's of the r, over (1 - r^2) of each."""
    (j, k), (h, m) = first, second
    covariance = 0.5 * (
        (r[j, h] - r[j, k] * r[k, h]) * (r[k, m] - r[k, h] * r[h, m])
        + (r[j, m] - r[j, h] * r[h, m]) * (r[k, h] - r[k, j] * r[j, h])
        + (r[j, h] - r[j, m] * r[m, h]) * (r[k, m] - r[k, j] * r[j, m])
        + (r[j, m] - r[j, k] * r[k, m]) * (r[k, h] - r[k, m] * r[m, h])
    )
    return float(covariance / (1 - r[j, k] ** 2) / (1 - r[h, m] ** 2))


def slow_autocorrelated_variance(x: Array, y: Array) -> float:
    """Variance of r over (1 - r^2)^2, lag by lag, every correlation cut at its first lag within the noise."""
    n = len(x)
    x, y = x - x.mean(), y - y.mean()
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)

    def cut(one: Array, other: Array) -> Array:
        values = np.array([np.sum(one[k:] * other[: n - k]) for k in range(n)])
        for k in range(1, n):
            if abs(values[k]) <= 1.96 / np.sqrt(n):
                values[k:] = 0
                break
        return values

    a, b, forward, backward = cut(x, x), cut(y, y), cut(x, y), cut(y, x)
    r, total = forward[0], 0.0
    for lag in range(-n + 1, n):
        k = abs(lag)
        here, there = (forward[k], backward[k]) if lag >= 0 else (backward[k], forward[k])
        total += a[k] * b[k] + here * there - 2 * r * (a[k] * here + b[k] * there)
        total += r**2 * (a[k] ** 2 + b[k] ** 2 + 2 * here**2) / 2
    return float(total / n / (1 - r**2) ** 2)


def slow_shift_p(series: tuple[Array, Array], *, clean: Callable[[Array], Array], shifts: list[int]) -> float:
    """Share of shifts of a seed that go with a target as closely, shift by shift; ``clean`` gives coordinates."""
    seed, target = series

    def closeness(one: Array, other: Array) -> float:
        products = one * other
        return abs(float(np.sum(products))) / float(np.sqrt(np.sum(products**2)))

    other = clean(target)
    observed = closeness(clean(seed), other)
    as_close = 0
    for shift in shifts:
        moved = np.empty_like(seed)
        for t in range(len(seed)):
            moved[(t + shift) % len(seed)] = seed[t]
        as_close += closeness(clean(moved), other) >= observed
    return (1 + as_close) / (1 + len(shifts))
