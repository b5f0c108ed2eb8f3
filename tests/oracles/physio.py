"""RETROICOR by loops over volumes, for comparison."""

from __future__ import annotations

import math

import numpy as np


def cardiac_phase(peaks: list[float], times: list[float]) -> np.ndarray:
    """The share of the interval between the beats around each time."""
    found = []
    for time in times:
        before = max(peak for peak in peaks if peak <= time)
        after = min(peak for peak in peaks if peak > time)
        found.append(2 * math.pi * (time - before) / (after - before))
    return np.array(found)


def respiratory_phase(wave: np.ndarray, *, sampling_hz: float, times: list[float], bins: int) -> np.ndarray:
    """The histogram counted one sample at a time; times must be those of samples away from the ends."""
    low, high = min(wave), max(wave)

    def bin_of(value: float) -> int:
        return min(int((value - low) / (high - low) * bins), bins - 1)

    half = int(sampling_hz / 2)
    found = []
    for time in times:
        at = round(time * sampling_hz)
        below = sum(bin_of(value) <= bin_of(wave[at]) for value in wave)
        steps = range(-half, half + 1)
        slope = sum(step * wave[at + step] for step in steps)
        found.append((-1 if slope < 0 else 1) * math.pi * below / len(wave))
    return np.array(found)


def retroicor(cardiac: np.ndarray, respiratory: np.ndarray) -> np.ndarray:
    """Three cardiac and four respiratory orders and one interaction, one volume at a time."""
    rows = []
    for c, r in zip(cardiac, respiratory, strict=True):
        row = []
        for m in (1, 2, 3):
            row += [math.cos(m * c), math.sin(m * c)]
        for m in (1, 2, 3, 4):
            row += [math.cos(m * r), math.sin(m * r)]
        row += [math.cos(c + r), math.sin(c + r), math.cos(c - r), math.sin(c - r)]
        rows.append(row)
    return np.array(rows)
