"""Slow and plain versions of what the sensory markers compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats


def jackknife(statistic: Callable[[np.ndarray], float], values: np.ndarray) -> float:
    """The standard error from leaving out one observation after the other."""
    left = np.array([statistic(np.delete(values, i, axis=0)) for i in range(len(values))])
    return float(np.sqrt((len(left) - 1) * np.mean((left - left.mean()) ** 2)))


def slopes(trains: np.ndarray) -> list[float]:
    found = []
    for train in trains:
        kept = np.flatnonzero(np.isfinite(train))
        found.append(stats.linregress(kept, train[kept]).slope if len(kept) > 1 else np.nan)
    return found


def differences(trains: np.ndarray) -> list[float]:
    found = []
    for train in trains:
        rated = [rating for rating in train[1:] if np.isfinite(rating)]
        found.append(rated[-1] - train[0] if rated else np.nan)
    return found


def modulation(
    applications: Sequence[tuple[int, Sequence[float], Sequence[float]]], sign: float
) -> tuple[float, float, float]:
    """Inhibition, its standard error over repeats, and percent of the baseline, one loop after the other."""
    by_repeat: dict[int, list[tuple[float, float]]] = {}
    for repeat, base, conditioned in applications:
        b, c = sum(base) / len(base), sum(conditioned) / len(conditioned)
        by_repeat.setdefault(repeat, []).append((sign * (c - b), b))
    changes = [sum(change for change, _ in places) / len(places) for places in by_repeat.values()]
    bases = [sum(base for _, base in places) / len(places) for places in by_repeat.values()]
    value = sum(changes) / len(changes)
    spread = np.sqrt(sum((change - value) ** 2 for change in changes) / (len(changes) - 1))
    return value, float(spread / np.sqrt(len(changes))), 100 * value / (sum(bases) / len(bases))
