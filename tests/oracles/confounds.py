"""Slow versions of the nuisance measures: one voxel, one volume at a time."""

from __future__ import annotations

import numpy as np


def dvars(series):
    """DVARS and standardised DVARS of a (n_time, n_voxel) series, in loops."""
    series = np.asarray(series, dtype=float) * 1000.0 / np.median(series)
    n_time, n_voxel = series.shape
    kept, expected = [], []
    for v in range(n_voxel):
        ordered = sorted(series[:, v])
        spread = (ordered[int(0.75 * (n_time - 1))] - ordered[int(0.25 * (n_time - 1))]) / 1.349
        if spread == 0:
            continue
        centred = series[:, v] - sum(series[:, v]) / n_time
        ar = sum(centred[t] * centred[t - 1] for t in range(1, n_time)) / sum(c * c for c in centred)
        kept.append(v)
        expected.append(np.sqrt(2 * (1 - ar)) * spread)
    plain = [np.nan]
    plain += [np.sqrt(np.mean([(series[t, v] - series[t - 1, v]) ** 2 for v in kept])) for t in range(1, n_time)]
    return np.array(plain), np.array(plain) / np.mean(expected)
