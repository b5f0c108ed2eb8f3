"""Slow versions of the PET computations: one frame, one voxel, one person at a time."""

from __future__ import annotations

import itertools
import math


def decayed_mean(start, duration, *, decay):
    """Mean over a frame of what is left of activity 1, by adding up a thousand pieces."""
    steps = 1000
    return sum(math.exp(-decay * (start + (k + 0.5) * duration / steps)) for k in range(steps)) / steps


def window_mean(curve, starts, durations, *, window):
    """Average of one curve over a window, second by second."""
    total = seconds = 0.0
    for value, start, duration in zip(curve, starts, durations, strict=True):
        for second in range(int(start), int(start + duration)):
            if window[0] <= second < window[1]:
                total += value
                seconds += 1
    return total / seconds


def integral_to(times, values, at):
    """Integral of a piecewise linear curve from 0, rising from 0 at time 0 to its first sample, by small steps."""
    points = list(zip(times, values, strict=True))
    if points[0][0] > 0:
        points = [(0.0, 0.0), *points]
    area, steps = 0.0, 4000
    for k in range(steps):
        t = (k + 0.5) * at / steps
        area += value_at(points, t) * at / steps
    return area


def value_at(points, t):
    if t >= points[-1][0]:
        return points[-1][1]
    for (t0, v0), (t1, v1) in itertools.pairwise(points):
        if t0 <= t <= t1:
            return v0 + (v1 - v0) * (t - t0) / (t1 - t0)
    raise ValueError(t)


def tissue_integral(curve, starts, durations):
    """Integral to the middle of each frame, with straight lines through gaps."""
    found, area, before, end = [], 0.0, 0.0, 0.0
    for value, start, duration in zip(curve, starts, durations, strict=True):
        area += (start - end) * (before + value) / 2
        found.append(area + value * duration / 2)
        area += value * duration
        before, end = value, start + duration
    return found


def two_tissue(rates_per_min, plasma, *, step_s):
    """Tissue curve of a two-tissue model by Euler steps: independent of any formula for its response."""
    k1, k2, k3, k4 = (rate / 60 for rate in rates_per_min)
    free = bound = 0.0
    found = [0.0]
    for before, after in itertools.pairwise(plasma):
        for part in range(20):
            level = before + (after - before) * (part + 0.5) / 20
            change = k1 * level - (k2 + k3) * free + k4 * bound, k3 * free - k4 * bound
            free, bound = free + change[0] * step_s / 20, bound + change[1] * step_s / 20
        found.append(free + bound)
    return found


def entropy(values, bin_width):
    counts = {}
    for value in values:
        counts[math.floor(value / bin_width)] = counts.get(math.floor(value / bin_width), 0) + 1
    return -sum(n / len(values) * math.log2(n / len(values)) for n in counts.values())
