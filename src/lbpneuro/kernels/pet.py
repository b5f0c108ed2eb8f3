"""Uptake of a radiotracer: decay, standardised uptake, averages over a time window, and how uptake is distributed.

Activity concentrations are in Bq/mL, times in seconds after the injection. A curve is an array whose last axis is the
frame; a frame has a start and a duration.
"""

from __future__ import annotations

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_length, check_option, check_positive

Array = NDArray[np.float64]

HALF_LIFE_S = {"C11": 20.34 * 60, "F18": 109.734 * 60}
"""Half-lives (s): NUBASE2020 (https://doi.org/10.1088/1674-1137/abddae), that of carbon-11 rounded to 0.01 min."""
NORMAL_SHARE = 0.95
TREND_FRAMES = 4
"""From this many frames on, a linear trend within the window is no noise."""


def decay_constant(radionuclide: str) -> float:
    """Return ln 2 / half-life (1/s) of ``"C11"`` or ``"F18"``, the nuclides of TSPO tracers.

    Raises
    ------
    InputError
        If it is another nuclide.
    """
    check_option("radionuclide", radionuclide, allowed=tuple(HALF_LIFE_S))
    return float(np.log(2) / HALF_LIFE_S[radionuclide])


def decay_factors(start_s: ArrayLike, *, duration_s: ArrayLike, decay_per_s: float) -> Array:
    """Return what the mean activity of a frame is multiplied with to be as if nothing had decayed since the injection.

    ``lambda D exp(lambda t) / (1 - exp(-lambda D))`` with the start t and the duration D of the frame, which knows that
    activity decays within a frame; ``exp(lambda t)`` for a frame without duration.

    Parameters
    ----------
    start_s : (n_frame,)
        Start of the frames after the time to which is corrected (s); negative values are allowed.
    duration_s : (n_frame,)
    decay_per_s : float
        From :func:`decay_constant`; 0 gives 1 everywhere.

    Returns
    -------
    (n_frame,) float64
    """
    start, duration = np.asarray(start_s, dtype=np.float64), np.asarray(duration_s, dtype=np.float64)
    check_length("duration_s", duration, expected=len(start))
    passed = decay_per_s * duration
    lost = -np.expm1(-passed)
    within = np.divide(passed, lost, out=np.ones_like(passed), where=lost > 0)
    return np.asarray(np.exp(decay_per_s * start) * within)


def standardised_uptake(activity_bq_ml: ArrayLike, *, dose_bq: float, mass_g: float) -> Array:
    """Return the standardised uptake value (g/mL): activity times body mass over injected activity.

    Both activities are corrected to the same time. NaN stays where it is.

    Parameters
    ----------
    activity_bq_ml : any shape
    dose_bq, mass_g : float
        Injected radioactivity (Bq) and body mass (g).

    Returns
    -------
    float64, the shape of ``activity_bq_ml``
    """
    check_positive("dose_bq", dose_bq)
    check_positive("mass_g", mass_g)
    return np.asarray(np.asarray(activity_bq_ml, dtype=np.float64) * (mass_g / dose_bq))


def window_overlap(start_s: ArrayLike, *, duration_s: ArrayLike, window_s: tuple[float, float]) -> Array:
    """Return how long (s) each frame lies inside a window of time, shape (n_frame,)."""
    start, duration = np.asarray(start_s, dtype=np.float64), np.asarray(duration_s, dtype=np.float64)
    check_length("duration_s", duration, expected=len(start))
    low, high = window_s
    if not low < high:
        raise InputError(f"`window_s` must be (from, to) with from < to; got ({low:g}, {high:g}).")
    return np.asarray(np.clip(np.minimum(start + duration, high) - np.maximum(start, low), 0, None))


def window_mean(curves: ArrayLike, *, overlap_s: ArrayLike) -> Array:
    """Return the average of curves over a window, frames weighted with their time inside it.

    Parameters
    ----------
    curves : (..., n_frame)
    overlap_s : (n_frame,)
        From :func:`window_overlap`.

    Returns
    -------
    (...) float64
        NaN for a curve with NaN in a frame of the window, and for all curves if no frame lies in it.
    """
    values, weight = np.asarray(curves, dtype=np.float64), np.asarray(overlap_s, dtype=np.float64)
    check_length("curves", values, expected=len(weight), axis=values.ndim - 1)
    used = weight > 0
    if not used.any():
        return np.full(values.shape[:-1], np.nan)
    return np.asarray(values[..., used] @ (weight[used] / weight[used].sum()))


def window_ratio(target: ArrayLike, *, reference: ArrayLike, overlap_s: ArrayLike) -> tuple[Array, Array, Array]:
    """Return the ratio of two curves' averages over a window, its standard error and degrees of freedom.

    The error is that of a ratio of means, ``sqrt(sum w_i^2 (t_i - R r_i)^2 n / (n - p)) / mean(r)``, from the frames of
    the window with weights ``w`` that add up to 1. From four frames on a linear trend of the residuals, which is
    kinetics and no noise, is removed (p = 2, else 1). It is the noise of the frames, and says nothing about a rescan.

    Parameters
    ----------
    target : (..., n_frame)
    reference : (n_frame,)
    overlap_s : (n_frame,)

    Returns
    -------
    tuple of (...) float64
        NaN where the ratio is not defined; the error and its freedom are NaN with fewer than two frames.
    """
    weight = np.asarray(overlap_s, dtype=np.float64)
    used = np.flatnonzero(weight > 0)
    top = np.asarray(target, dtype=np.float64)[..., used]
    bottom = np.asarray(reference, dtype=np.float64)[..., used]
    means = window_mean(top, overlap_s=weight[used]), window_mean(bottom, overlap_s=weight[used])
    level = np.where(means[1] > 0, means[1], np.nan)
    ratio = means[0] / level
    order = 2 if used.size >= TREND_FRAMES else 1
    if used.size <= order:
        return ratio, np.full_like(ratio, np.nan), np.full_like(ratio, np.nan)
    share = weight[used] / weight[used].sum()
    residual = top - np.multiply.outer(ratio, np.ones(used.size)) * bottom
    trend, _ = np.linalg.qr(np.vander(np.arange(used.size) * 1.0, order) * np.sqrt(share)[:, np.newaxis])
    scaled = residual * np.sqrt(share)
    left = scaled - (scaled @ trend) @ trend.T
    variance = np.sum(share * left**2, axis=-1) * used.size / (used.size - order)
    return ratio, np.sqrt(variance) / level, np.full_like(ratio, used.size - order)


def weighted_means(values: ArrayLike, *, weights: ArrayLike) -> Array:
    """Return the means of voxel curves over regions.

    Parameters
    ----------
    values : (n_voxel, n_frame)
    weights : (n_region, n_voxel)
        Share of a voxel in a region.

    Returns
    -------
    (n_region, n_frame) float64
        A voxel that is NaN in a frame is left out of that frame; NaN without any voxel.
    """
    values, weights = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    known = np.isfinite(values)
    size = weights @ known
    total = weights @ np.where(known, values, 0.0)
    return np.asarray(np.divide(total, size, out=np.full(size.shape, np.nan), where=size > 0))


def spread(values: ArrayLike) -> dict[str, float]:
    """Return standard deviation (``ddof`` 1), largest value, and kurtosis of voxel values.

    Kurtosis is that of Fisher (0 for a normal distribution), corrected for bias.

    Parameters
    ----------
    values : (n_voxel,)
        NaN are left out.

    Returns
    -------
    dict
        ``sd``, ``max``, ``kurtosis``; NaN with fewer than 4 voxels or without spread.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if known.size < 4 or np.ptp(known) == 0:
        return {"sd": np.nan, "max": np.nan, "kurtosis": np.nan}
    kurtosis = scipy.stats.kurtosis(known, fisher=True, bias=False)
    return {"sd": float(known.std(ddof=1)), "max": float(known.max()), "kurtosis": float(kurtosis)}


def entropy(values: ArrayLike, *, bin_width: float) -> float:
    """Return the Shannon entropy (bit) of voxel values in bins of a fixed width, whose edges are multiples of it.

    Parameters
    ----------
    values : (n_voxel,)
        NaN are left out.
    bin_width : float

    Returns
    -------
    float
        NaN without any value.
    """
    check_positive("bin_width", bin_width)
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return float("nan")
    _, counts = np.unique(np.floor(known / bin_width), return_counts=True)
    share = counts / counts.sum()
    return float(abs(np.sum(share * np.log2(share))))


def displacement_mm(motion: ArrayLike, *, centre_mm: ArrayLike, radius_mm: float) -> Array:
    """Return how far each position of the head is from the first: RMS over a sphere around its centre (mm).

    ``sqrt(R^2 / 5 tr(M'M) + |t + M c|^2)`` with ``[M, t]`` the rigid change less identity (Jenkinson 1999, FMRIB
    technical report TR99MJ1).

    Parameters
    ----------
    motion : (n_frame, 4, 4)
        ``motion[i]`` takes a point of the reference (mm) to where it is at frame i.
    centre_mm : (3,)
    radius_mm : float

    Returns
    -------
    (n_frame,) float64
        0 for the first; NaN where the position is not known.
    """
    matrices = np.asarray(motion, dtype=np.float64)
    centre = np.asarray(centre_mm, dtype=np.float64)
    check_positive("radius_mm", radius_mm)
    change = matrices @ np.linalg.inv(matrices[:1]) - np.eye(4)
    turn = np.sum(change[:, :3, :3] ** 2, axis=(1, 2))
    shift = change[:, :3, :3] @ centre + change[:, :3, 3]
    return np.asarray(np.sqrt(radius_mm**2 / 5 * turn + np.sum(shift**2, axis=1)))
