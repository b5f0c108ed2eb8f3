"""Tissue curves of a two-tissue compartment model under an arterial input, with known distribution volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.kernels.pet_models import frame_means

Array = NDArray[np.float64]
STEP_S = 1.0


@dataclass(frozen=True, slots=True)
class Frames:
    """Start and duration (s) of the frames of a dynamic scan."""

    start_s: Array
    duration_s: Array


@dataclass(frozen=True, slots=True)
class Input:
    """Arterial curves at ``times_s`` (every second): parent compound in plasma and whole blood (kBq/mL)."""

    times_s: Array
    plasma: Array
    blood: Array


def dynamic_frames() -> Frames:
    """Return frames of a 90-min scan: 10 s at the beginning, 6 min at the end."""
    duration = np.repeat([10.0, 20.0, 30.0, 60.0, 180.0, 360.0], [9, 3, 5, 6, 6, 10])
    extra = 5400.0 - duration.sum()
    duration = np.append(duration, extra) if extra > 0 else duration
    return Frames(np.concatenate([[0.0], np.cumsum(duration)[:-1]]), duration)


def arterial_input(*, scale: float = 1.0, slow_per_min: float = 0.012) -> Input:
    """Return an input that rises for 50 s, falls fast and then slowly; metabolites stay in the whole blood.

    ``scale`` multiplies both curves; ``slow_per_min`` is the rate of the slowest part of the plasma curve.
    """
    times = np.asarray(np.arange(0.0, 5400.0 + STEP_S, STEP_S), dtype=np.float64)
    minutes = np.clip(times - 50.0, 0.0, None) / 60
    falling = 70 * np.exp(-4.0 * minutes) + 12 * np.exp(-0.35 * minutes) + 2.2 * np.exp(-slow_per_min * minutes)
    plasma = scale * np.where(times < 50, falling[0] * times / 50, falling)
    metabolites = scale * 4.0 * (1 - np.exp(-0.08 * minutes)) * np.exp(-0.004 * minutes)
    return Input(times, np.asarray(plasma), np.asarray(0.65 * plasma + metabolites))


def distribution_volume(rates_per_min: ArrayLike) -> Array:
    """Return K1 / k2 (1 + k3 / k4) of rates (..., 4)."""
    k1, k2, k3, k4 = np.moveaxis(np.asarray(rates_per_min, dtype=np.float64), -1, 0)
    return np.asarray(k1 / k2 * (1 + k3 / k4))


def two_tissue_curves(rates_per_min: ArrayLike, *, given: Input, blood_volume: float = 0.0) -> Array:
    """Return the activity of tissue with its blood at every time of the input (n_region, n_time), in its unit.

    The response is a sum of two exponentials, convolved exactly with the input as it is between its samples (linear).

    Parameters
    ----------
    rates_per_min : (n_region, 4)
        K1 (mL/cm3/min), k2, k3, k4 (1/min).
    given
        Samples every ``STEP_S``.
    blood_volume : float
        Share of blood in the tissue.
    """
    rates = np.asarray(rates_per_min, dtype=np.float64) / 60
    k1, k2, k3, k4 = rates.T
    total = k2 + k3 + k4
    root = np.sqrt(total**2 - 4 * k2 * k4)
    slow, fast = (total - root) / 2, (total + root) / 2
    parts = ((slow, k3 + k4 - slow), (fast, fast - k3 - k4))
    tissue = sum(
        (k1 * share / root)[:, np.newaxis] * np.stack([_convolved(given.plasma, rate) for rate in speed])
        for speed, share in parts
    )
    return np.asarray((1 - blood_volume) * tissue + blood_volume * given.blood)


def _convolved(plasma: Array, rate_per_s: float) -> Array:
    """Return the convolution with ``exp(-rate t)`` of a curve that is linear between samples one step apart."""
    from scipy.signal import lfilter

    x = rate_per_s * STEP_S
    kept = np.exp(-x)
    late = (1 - (1 - kept) / x) / rate_per_s
    early = ((1 - kept) / x - kept) / rate_per_s
    return np.asarray(lfilter([late, early], [1.0, -kept], plasma))


def sampled(curves: Array, *, given: Input, frames: Frames) -> Array:
    """Return the means of curves (n_region, n_time) over frames (n_region, n_frame)."""
    at = {"start_s": frames.start_s, "duration_s": frames.duration_s}
    return np.stack([frame_means(given.times_s, values=curve, **at) for curve in curves])
