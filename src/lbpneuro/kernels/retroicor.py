"""RETROICOR: Fourier series of the cardiac and respiratory phase of every volume, from peripheral recordings.

Glover 2000 (10.1002/1522-2594(200007)44:1<162::AID-MRM23>3.0.CO;2-E); orders of Harvey 2008 (10.1002/jmri.21623). Times
are in seconds from the first sample of a recording unless said otherwise; waves are (n_sample,), evenly sampled.
"""

from __future__ import annotations

import numpy as np
import scipy  # loads each submodule at its first use: scipy.signal takes a third of a second
from numpy.typing import ArrayLike, NDArray

from lbpneuro.errors import InputError
from lbpneuro.kernels._checks import check_band, check_finite, check_length, check_positive

Array = NDArray[np.float64]

AMPLITUDE_BINS = 100
PROMINENCE_SHARE = 0.4
SLOPE_WINDOW_S = 1.0
NEIGHBOURS = 7
LARGEST_DEVIATION = 0.3


def peak_times(wave: ArrayLike, *, sampling_hz: float, rate_hz: tuple[float, float]) -> Array:
    """Return the times of the peaks of a wave, such as heart beats (s from the first sample).

    The wave is filtered to the band from half the lowest to three times the highest rate (zero phase; up to 0.45 of the
    sampling rate). A peak is a local maximum, no nearer than half the shortest period to a higher one, whose prominence
    is at least 0.4 of the 75th percentile of the prominences: the dicrotic wave of a pulse is less. Between samples,
    the time is that of the parabola through three of them. Noise gives peaks that follow too soon, which
    :func:`rhythm` counts.

    Parameters
    ----------
    wave : (n_sample,)
    sampling_hz
        At least three times the highest rate.
    rate_hz
        Lowest and highest rate that the source can have.

    Raises
    ------
    InputError
        If the wave is not finite or sampled too slowly.
    """
    wave = np.asarray(wave, dtype=np.float64)
    check_finite("wave", wave)
    check_band(rate_hz)
    low, high = rate_hz[0] / 2, min(3 * rate_hz[1], 0.45 * sampling_hz)
    if sampling_hz < 3 * rate_hz[1]:
        raise InputError(f"`sampling_hz` must be at least {3 * rate_hz[1]:g} for this rate; got {sampling_hz:g}.")
    sections = scipy.signal.butter(2, (low, high), btype="bandpass", fs=sampling_hz, output="sos")
    smooth = scipy.signal.sosfiltfilt(sections, wave, padlen=min(len(wave) - 1, int(3 * sampling_hz / low)))
    found, about = scipy.signal.find_peaks(smooth, distance=max(1.0, 0.5 * sampling_hz / rate_hz[1]), prominence=0)
    if not len(found):
        return np.empty(0)
    high_enough = about["prominences"] >= PROMINENCE_SHARE * np.percentile(about["prominences"], 75)
    return (found + _vertex(smooth, found))[high_enough] / sampling_hz


def _vertex(wave: Array, peaks: NDArray[np.intp]) -> Array:
    """Return where the parabola through each peak and its neighbours is highest, in samples from the peak."""
    before, at, after = wave[peaks - 1], wave[peaks], wave[peaks + 1]
    bend = before - 2 * at + after
    return np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1), 0.0)


def rhythm(peaks_s: ArrayLike, *, rate_hz: tuple[float, float]) -> tuple[float, float]:
    """Return the rate of a rhythm and the share of its intervals that are implausible.

    Parameters
    ----------
    peaks_s : (n_peak,)
        Ascending times of beats or breaths (s).
    rate_hz
        Lowest and highest plausible rate.

    Returns
    -------
    rate : float
        1 / median interval (Hz); NaN with fewer than three peaks.
    implausible : float
        Share of the intervals outside the plausible periods, or more than 30 % away from the median of the seven around
        them; NaN with fewer than three peaks.
    """
    intervals = np.diff(np.asarray(peaks_s, dtype=np.float64))
    if len(intervals) < 2:
        return float("nan"), float("nan")
    padded = np.pad(intervals, NEIGHBOURS // 2, mode="reflect" if len(intervals) > NEIGHBOURS // 2 else "edge")
    local = np.median(np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS), axis=1)
    odd = np.abs(intervals - local) > LARGEST_DEVIATION * local
    outside = (intervals < 1 / rate_hz[1]) | (intervals > 1 / rate_hz[0])
    return float(1 / np.median(intervals)), float(np.mean(odd | outside))


def cardiac_phase(peaks_s: ArrayLike, *, times_s: ArrayLike) -> Array:
    """Return the cardiac phase at some times: ``2 pi (t - t_before) / (t_after - t_before)``, 0 at a beat.

    Before the first and after the last beat the nearest interval goes on.

    Parameters
    ----------
    peaks_s : (n_peak,)
        Ascending times of the beats (s), two or more.
    times_s : (n_time,)

    Returns
    -------
    (n_time,) float64
        Phase in [0, 2 pi).
    """
    peaks, times = np.asarray(peaks_s, dtype=np.float64), np.asarray(times_s, dtype=np.float64)
    if peaks.ndim != 1 or len(peaks) < 2 or not np.all(np.diff(peaks) > 0):
        raise InputError("`peaks_s` must be two or more ascending times.")
    before = np.clip(np.searchsorted(peaks, times, side="right") - 1, 0, len(peaks) - 2)
    share = (times - peaks[before]) / (peaks[before + 1] - peaks[before])
    return np.asarray(2 * np.pi * (share - np.floor(share)))


def respiratory_phase(wave: ArrayLike, *, sampling_hz: float, times_s: ArrayLike, bins: int = AMPLITUDE_BINS) -> Array:
    """Return the respiratory phase at some times from the histogram of the amplitude.

    ``sign(dR/dt) pi sum_{b <= bin(R(t))} H(b) / sum_b H(b)`` with the histogram ``H`` of the wave ``R`` in equal bins
    between its extremes: 0 at the end of an expiration, ``+pi`` and ``-pi`` at the end of an inspiration; a deep breath
    gets farther than a shallow one. The slope is that of a straight line fitted to one second around each sample.

    Parameters
    ----------
    wave : (n_sample,)
        Chest expansion, larger when breathed in (the opposite sign only shifts the phase).
    sampling_hz
    times_s : (n_time,)
        From the first sample; between samples the wave is interpolated linearly.
    bins
        Number of bins of the histogram.

    Returns
    -------
    (n_time,) float64
        Phase in [-pi, pi].
    """
    wave, times = np.asarray(wave, dtype=np.float64), np.asarray(times_s, dtype=np.float64)
    check_finite("wave", wave)
    check_positive("sampling_hz", sampling_hz)
    low, high = wave.min(), wave.max()
    if not high > low:
        raise InputError("`wave` must vary; got a constant.")
    clock = np.arange(len(wave)) / sampling_hz
    counts, _ = np.histogram(wave, bins=bins, range=(low, high))
    reached = np.interp(times, clock, wave)
    nearest = np.clip(((reached - low) / (high - low) * bins).astype(int), 0, bins - 1)
    slope = np.interp(times, clock, _slope(wave, sampling_hz))
    return np.pi * np.cumsum(counts)[nearest] / len(wave) * np.where(slope < 0, -1.0, 1.0)


def _slope(wave: Array, sampling_hz: float) -> Array:
    """Return the slope of the straight line fitted to a second around each sample."""
    length = min(2 * int(SLOPE_WINDOW_S * sampling_hz / 2) + 1, 2 * ((len(wave) - 1) // 2) + 1)
    return np.asarray(scipy.signal.savgol_filter(wave, max(length, 3), 1, deriv=1, mode="interp"))


def retroicor(
    cardiac: ArrayLike | None,
    *,
    respiratory: ArrayLike | None,
    cardiac_order: int = 3,
    respiratory_order: int = 4,
    interaction_order: int = 1,
) -> Array:
    """Return the RETROICOR regressors of the phases of every volume.

    In this order ``cos m c, sin m c`` for m = 1 ... cardiac order, ``cos m r, sin m r`` for m = 1 ... respiratory
    order, and ``cos(m c + n r), sin(m c + n r), cos(m c - n r), sin(m c - n r)`` for m, n = 1 ... interaction order;
    3, 4 and 1 give 18 columns (Harvey 2008, 10.1002/jmri.21623).

    Parameters
    ----------
    cardiac, respiratory : (n_time,)
        Phases (rad); None for what was not recorded, which leaves out its columns and the interaction.
    cardiac_order, respiratory_order, interaction_order
        Highest harmonics; 0 for none.

    Returns
    -------
    (n_time, n_regressor) float64
        NaN in the rows where a phase is NaN.
    """
    phases = [None if phase is None else np.asarray(phase, dtype=np.float64) for phase in (cardiac, respiratory)]
    known = [phase for phase in phases if phase is not None]
    if not known:
        raise InputError("`cardiac` and `respiratory` must not both be None.")
    check_length("respiratory", known[-1], expected=len(known[0]))
    angles = []
    for phase, order in zip(phases, (cardiac_order, respiratory_order), strict=True):
        angles += [] if phase is None else [m * phase for m in range(1, order + 1)]
    beat, breath = phases
    if beat is not None and breath is not None:
        pairs = [(m, n) for m in range(1, interaction_order + 1) for n in range(1, interaction_order + 1)]
        angles += [m * beat + sign * n * breath for m, n in pairs for sign in (1, -1)]
    waves = [wave(angle) for angle in angles for wave in (np.cos, np.sin)]
    return np.stack(waves, axis=1) if waves else np.empty((len(known[0]), 0))


def retroicor_names(
    *, cardiac: bool, respiratory: bool, cardiac_order: int = 3, respiratory_order: int = 4, interaction_order: int = 1
) -> tuple[str, ...]:
    """Return the names of the columns of :func:`retroicor`: ``cardiac1_cos``, ``respiratory4_sin``, ``sum1_1_cos``."""
    terms = [f"cardiac{m}" for m in range(1, cardiac_order + 1)] if cardiac else []
    terms += [f"respiratory{m}" for m in range(1, respiratory_order + 1)] if respiratory else []
    if cardiac and respiratory:
        orders = range(1, interaction_order + 1)
        terms += [f"{kind}{m}_{n}" for m in orders for n in orders for kind in ("sum", "difference")]
    return tuple(f"{term}_{wave}" for term in terms for wave in ("cos", "sin"))
