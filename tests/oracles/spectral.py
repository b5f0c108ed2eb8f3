"""Band power as it is defined, by loops: Slepian sequences, spectra frequency by frequency, expectations by sums."""

from __future__ import annotations

import numpy as np


def slepian_sequences(keep: np.ndarray, nw: float) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors (full length, 0 on censored volumes) of the band-limiting matrix of the kept volumes."""
    n_time = len(keep)
    w, kept = nw / n_time, np.flatnonzero(keep)
    matrix = np.empty((len(kept), len(kept)))
    for i, t in enumerate(kept):
        for j, s in enumerate(kept):
            matrix[i, j] = 2 * w if t == s else np.sin(2 * np.pi * w * (t - s)) / (np.pi * (t - s))
    shares, vectors = np.linalg.eigh(matrix)
    n_taper = int(2 * nw) - 1
    sequences = np.zeros((n_taper, n_time))
    for place in range(n_taper):
        sequences[place, kept] = vectors[:, -1 - place]
    return sequences, shares[::-1][:n_taper]


def multitaper_density(series: np.ndarray, keep: np.ndarray, *, f: float, t_r: float, nw: float) -> float:
    """One-sided power per Hz at one frequency: mean of the tapered periodograms, weighed by concentration."""
    sequences, shares = slepian_sequences(keep, nw)
    wave = np.exp(-2j * np.pi * f * t_r * np.arange(len(series)))
    eigenspectra = [2 * t_r * abs(np.sum(taper[keep] * series[keep] * wave[keep])) ** 2 for taper in sequences]
    return float(np.sum(shares * eigenspectra) / np.sum(shares))


def multitaper_band_power(
    series: np.ndarray, keep: np.ndarray, *, band: tuple[float, float], t_r: float, nw: float, steps: int = 60
) -> float:
    """Integral of the density over a band, by the midpoint rule."""
    width = (band[1] - band[0]) / steps
    middles = band[0] + width * (np.arange(steps) + 0.5)
    return width * sum(multitaper_density(series, keep, f=f, t_r=t_r, nw=nw) for f in middles)
