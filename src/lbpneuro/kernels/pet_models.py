"""Total distribution volume of a radiotracer from tissue curves and the arterial plasma: Logan plot and MA1.

Curves are (n_region, n_frame) in any unit that plasma and blood share, corrected for decay; times are in seconds after
the injection. Both methods turn the differential equations of a reversible tracer into a straight line that holds from
a time t* on, without a number of compartments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_finite, check_length, check_option

Array = NDArray[np.float64]
LEAST_FRAMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Distribution volumes of all regions.

    Attributes
    ----------
    v_t, se : (n_region,)
        mL of plasma per cm3 of tissue, and its standard error.
    misfit : (n_region,)
        Largest deviation from the line over the fitted frames, as a share of the observed value.
    n : int
        Fitted frames.
    """

    v_t: Array
    se: Array
    misfit: Array
    n: int


def integral_to(times_s: ArrayLike, *, values: ArrayLike, at_s: ArrayLike) -> Array:
    """Return the integral from 0 to ``at_s`` of a curve that is linear between its samples.

    The curve rises from 0 at time 0 to its first sample, and keeps the value of its last sample.

    Parameters
    ----------
    times_s, values : (n_sample,)
        Increasing times, none negative.
    at_s : (n_time,)

    Returns
    -------
    (n_time,) float64
    """
    times, samples = _with_origin(times_s, values)
    at = np.asarray(at_s, dtype=np.float64)
    area = np.concatenate([[0.0], np.cumsum(np.diff(times) * (samples[1:] + samples[:-1]) / 2)])
    place = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 1)
    step = at - times[place]
    return np.asarray(area[place] + step * (samples[place] + np.interp(at, times, samples)) / 2)


def frame_means(times_s: ArrayLike, *, values: ArrayLike, start_s: ArrayLike, duration_s: ArrayLike) -> Array:
    """Return the mean of a sampled curve over each frame (n_frame,); its value at a frame without duration."""
    start, duration = np.asarray(start_s, dtype=np.float64), np.asarray(duration_s, dtype=np.float64)
    whole = integral_to(times_s, values=values, at_s=start + duration) - integral_to(times_s, values=values, at_s=start)
    times, samples = _with_origin(times_s, values)
    instant = np.interp(start, times, samples)
    return np.asarray(np.divide(whole, duration, out=instant, where=duration > 0))


def _with_origin(times_s: ArrayLike, values: ArrayLike) -> tuple[Array, Array]:
    times, samples = np.asarray(times_s, dtype=np.float64), np.asarray(values, dtype=np.float64)
    check_length("values", samples, expected=len(times))
    check_finite("values", samples)
    if not len(times) or times[0] < 0 or np.any(np.diff(times) <= 0):
        raise InputError("`times_s` must be increasing numbers from 0 on; sort the samples and join repeated ones.")
    return (times, samples) if times[0] == 0 else (np.append(0.0, times), np.append(0.0, samples))


def tissue_integral(curves: ArrayLike, *, start_s: ArrayLike, duration_s: ArrayLike) -> Array:
    """Return the integral of frame means from 0 to the middle of each frame.

    A frame adds its mean times its duration, half of it to its own middle; between frames, and before the first, the
    curve is linear (from 0 at time 0).

    Parameters
    ----------
    curves : (..., n_frame)
    start_s, duration_s : (n_frame,)
        In the order of time.

    Returns
    -------
    (..., n_frame) float64
        NaN from the first frame on that is NaN.
    """
    values = np.asarray(curves, dtype=np.float64)
    start, duration = np.asarray(start_s, dtype=np.float64), np.asarray(duration_s, dtype=np.float64)
    check_length("duration_s", duration, expected=len(start))
    check_length("curves", values, expected=len(start), axis=values.ndim - 1)
    if np.any(np.diff(start) < 0):
        raise InputError("`start_s` must be in the order of time.")
    gap = np.clip(start - np.append(0.0, (start + duration)[:-1]), 0, None)
    before = np.concatenate([np.zeros_like(values[..., :1]), values[..., :-1]], axis=-1)
    between = gap * (before + values) / 2
    inside = values * duration
    return np.asarray(np.cumsum(between + inside, axis=-1) - inside / 2)


def without_blood(curves: ArrayLike, *, blood: ArrayLike, fraction: float) -> Array:
    """Return curves of tissue alone, ``(C - v C_blood) / (1 - v)``, with the blood volume fraction ``v`` (0 to < 1).

    ``curves`` is (..., n_frame), ``blood`` (n_frame,) the mean activity of whole blood in each frame.
    """
    if not 0 <= fraction < 1:
        raise InputError(f"`fraction` must be from 0 to below 1; got {fraction!r}.")
    values = np.asarray(curves, dtype=np.float64)
    return np.asarray((values - fraction * np.asarray(blood, dtype=np.float64)) / (1 - fraction))


def distribution_volume(
    curves: ArrayLike,
    *,
    start_s: ArrayLike,
    duration_s: ArrayLike,
    plasma_integral: ArrayLike,
    used: ArrayLike,
    noise: ArrayLike,
    method: str,
) -> Fit:
    """Return the total distribution volume of every region.

    ``"logan"`` (https://doi.org/10.1038/jcbfm.1990.127): ``int C / C(T) = V_T int C_p / C(T) + b`` from t* on; V_T is
    the slope. The noise of C(T) is on both sides, which biases V_T downwards where curves are noisy.
    ``"ma1"`` (https://doi.org/10.1097/01.WCB.0000038000.34930.4E): ``C(T) = -V_T / b int C_p + 1 / b int C``; V_T is
    minus the ratio of the coefficients. Both by ordinary least squares.

    Integrals share the noise of all earlier frames, which the error of a regression does not know. The error is instead
    propagated: ``sum_j (dV_T / dC_j)^2 s^2 noise_j`` over all frames, with ``s`` from the residuals of MA1.

    Parameters
    ----------
    curves : (n_region, n_frame)
        Tissue without blood (:func:`without_blood`), corrected for decay.
    start_s, duration_s : (n_frame,)
    plasma_integral : (n_frame,)
        Integral of the parent compound in plasma to the middle of each frame (:func:`integral_to`).
    used : (n_frame,) of bool
        The frames of the fit, from t* on.
    noise : (n_frame,)
        Variance of a frame relative to others (:func:`relative_noise`).
    method : {"logan", "ma1"}

    Returns
    -------
    Fit
        NaN for a region with NaN, with "logan" also if it is not above 0 in a fitted frame; with under three frames.
    """
    check_option("method", method, allowed=("logan", "ma1"))
    tissue, keep, relative = np.asarray(curves, float), np.asarray(used, bool), np.asarray(noise, float)
    plasma = np.asarray(plasma_integral, dtype=np.float64)
    n_frame = len(keep)
    if tissue.ndim != 2 or tissue.shape[1] != n_frame:
        raise InputError(f"`curves` must be (n_region, {n_frame}); got shape {tissue.shape}.")
    for name, array in (("plasma_integral", plasma), ("noise", relative)):
        check_length(name, array, expected=n_frame)
    frames = {"start_s": start_s, "duration_s": duration_s}
    estimate = {"logan": _logan, "ma1": _ma1}[method]
    area = tissue_integral(tissue, **frames)
    v_t, misfit, _ = estimate(tissue[:, keep], area[:, keep], plasma[keep])
    residual = _ma1(tissue[:, keep], area[:, keep], plasma[keep])[2]
    freedom = max(keep.sum() - 2, 0)
    scale = np.sqrt(np.sum(residual**2 / relative[keep], axis=1) / (freedom or np.nan))
    # one region more per frame: the same curve with that frame a little higher
    step = 1e-3 * np.abs(tissue).max(axis=1, initial=0)
    moved = (tissue[:, None, :] + step[:, None, None] * np.eye(n_frame)).reshape(-1, n_frame)
    other = estimate(moved[:, keep], tissue_integral(moved, **frames)[:, keep], plasma[keep])[0]
    slope = (other.reshape(len(tissue), n_frame) - v_t[:, None]) / np.where(step > 0, step, np.nan)[:, None]
    return Fit(v_t=v_t, se=scale * np.sqrt(slope**2 @ relative), misfit=misfit, n=int(keep.sum()))


def _logan(tissue: Array, area: Array, plasma: Array) -> tuple[Array, Array, Array]:
    positive = np.where(np.all(tissue > 0, axis=1, keepdims=True), tissue, np.nan)
    x, y = plasma / positive, area / positive
    beta, residual = _least_squares(y, np.stack([x, np.ones_like(x)], axis=-1))
    return beta[:, 0], _largest(residual, y), residual


def _ma1(tissue: Array, area: Array, plasma: Array) -> tuple[Array, Array, Array]:
    beta, residual = _least_squares(tissue, np.stack([np.broadcast_to(plasma, area.shape), area], axis=-1))
    return -beta[:, 0] / np.where(beta[:, 1] != 0, beta[:, 1], np.nan), _largest(residual, tissue), residual


def _least_squares(y: Array, design: Array) -> tuple[Array, Array]:
    """Return coefficients (r, 2) and residuals (r, n); NaN for a region that has any, and with too few frames."""
    good = np.isfinite(y).all(axis=1) & np.isfinite(design).all(axis=(1, 2)) & (y.shape[1] >= LEAST_FRAMES)
    beta = np.full((len(y), 2), np.nan)
    if good.any():
        # unit columns: integrals and the constant are many orders of magnitude apart
        size = np.linalg.norm(design[good], axis=1)
        q, r = np.linalg.qr(design[good] / size[:, None])
        beta[good] = np.linalg.solve(r, np.einsum("rni,rn->ri", q, y[good])[..., None])[..., 0] / size
    return beta, y - np.einsum("rni,ri->rn", design, beta)


def _largest(residual: Array, y: Array) -> Array:
    """Return the largest deviation over the frames as a share of the observed value (n_region,)."""
    share = np.abs(residual) / np.where(y != 0, np.abs(y), np.nan)
    return np.asarray(share.max(axis=1) if share.shape[1] else np.full(len(share), np.nan))


def relative_noise(mean: ArrayLike, *, start_s: ArrayLike, duration_s: ArrayLike, decay_per_s: float) -> Array:
    """Return the variance of the frames of a decay-corrected curve, up to a factor: that of counted decays.

    ``C_i exp(lambda t_i) / D_i`` with the middle t and the duration D of the frame, 1 on average over the frames.

    Parameters
    ----------
    mean : (n_frame,)
        A curve with little noise, such as that of the whole brain; below a hundredth of its maximum it counts as that.
    start_s, duration_s : (n_frame,)
        Durations above 0.
    decay_per_s : float

    Returns
    -------
    (n_frame,) float64
        All 1 if the curve is nowhere above 0.
    """
    level = np.asarray(mean, dtype=np.float64)
    start, duration = np.asarray(start_s, dtype=np.float64), np.asarray(duration_s, dtype=np.float64)
    check_length("duration_s", duration, expected=len(level))
    check_length("start_s", start, expected=len(level))
    if np.any(duration <= 0):
        raise InputError("`duration_s` must be above 0; leave out frames without duration.")
    highest = np.nanmax(level, initial=0)
    if not highest > 0:
        return np.ones(len(level))
    floor = np.where(np.isfinite(level), np.maximum(level, highest / 100), highest)
    variance = floor * np.exp(decay_per_s * (start + duration / 2)) / duration
    return np.asarray(variance / variance.mean())


def linear_from(middle_s: ArrayLike, *, starts_s: ArrayLike, misfit: ArrayLike, limit: float) -> float:
    """Return t*: the earliest of ``starts_s`` from which every fit deviates less than ``limit``; NaN if there is none.

    Parameters
    ----------
    middle_s : (n_frame,)
        Middles of the frames; a start with fewer than three frames after it is not considered.
    starts_s : (n_start,)
    misfit : (n_start,)
        Largest deviation of a fit that begins there (:class:`Fit`).
    limit : float
        As a share, e.g. 0.1.
    """
    middle, starts = np.asarray(middle_s, dtype=np.float64), np.asarray(starts_s, dtype=np.float64)
    off = np.asarray(misfit, dtype=np.float64)
    check_length("misfit", off, expected=len(starts))
    enough = np.array([(middle >= start).sum() >= LEAST_FRAMES for start in starts], dtype=bool)
    good = np.sort(starts[enough & (off < limit)])
    return float(good[0]) if good.size else float("nan")
