"""Tactile tests by loops, and a psychometric posterior by brute force, written independently."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def midpoint(distances: Sequence[float], answers: Sequence[int], *, ascending: bool) -> float:
    first, second = (1, 2) if ascending else (2, 1)
    last_first = max(i for i, answer in enumerate(answers) if answer == first)
    first_second = min(i for i, answer in enumerate(answers) if answer == second)
    return (distances[last_first] + distances[first_second]) / 2


def mean_distance(actual: Sequence[Sequence[float]], felt: Sequence[Sequence[float]]) -> float:
    lengths = [math.sqrt((fx - ax) ** 2 + (fy - ay) ** 2) for (ax, ay), (fx, fy) in zip(actual, felt, strict=True)]
    return sum(lengths) / len(lengths)


def posterior_threshold(
    x: np.ndarray, y: np.ndarray, *, lapse: float, normal: bool = False
) -> tuple[float, float, float]:
    """Median and 95 % points of the threshold on one fine grid, every cell by itself."""
    span = x.max() - x.min()
    places = np.linspace(x.min() - 2 * span, x.max() + 2 * span, 801)
    widths = np.geomspace(0.01 * span, 3 * span, 24)
    mass = np.zeros(places.size)
    for width in widths:
        for i, place in enumerate(places):
            z = (x - place) / width
            if normal:
                rise = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in z])
                steep = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
            else:
                rise = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
                steep = rise * (1 - rise)
            p = np.clip((1 - lapse) * rise, 1e-12, 1 - 1e-12)
            weight = ((1 - lapse) * steep) ** 2 / (p * (1 - p))
            design = np.column_stack([np.ones_like(x), x - x.mean()])
            information = np.linalg.det(design.T @ (weight[:, None] * design))
            likelihood = np.prod(np.where(y == 1, p, 1 - p))
            mass[i] += likelihood * math.sqrt(max(information, 0.0)) / width
    total = np.cumsum(mass) / mass.sum()
    low, middle, high = np.interp([0.025, 0.5, 0.975], total, places)
    return float(middle), float(low), float(high)
