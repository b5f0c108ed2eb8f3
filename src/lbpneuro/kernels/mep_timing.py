"""When a motor-evoked potential begins, and how long the silence of a contracted muscle after it lasts.

Epochs have shape (n_trial, n_channel, n_time), in volts; ``times`` has shape (n_time,), in seconds from the pulse.
Windows are pairs (first, last) in seconds, both ends included. NaN stays in its trial and channel.
"""

from __future__ import annotations

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Window = tuple[float, float]

SMOOTHING_S = 0.001
ONSET_RUN_S = 0.003
ONSET_SD = 3.0
ONSET_BACK_SD = 2.0
ONSET_SHARE = 0.02
ONSET_BACK_SHARE = 0.015
PRESENT_SD = 4.0
SILENT_SHARE = 0.5
SILENCE_MIN_S = 0.010
SILENCE_BEGINS_S = 0.040

DEFINED = ""
AT_REST = "at_rest"
NO_RESPONSE = "no_response"
NO_SILENCE = "no_silence"
NOT_RETURNED = "not_returned"


def within(times: Array, window: Window) -> Mask:
    """Return which ``times`` (n_time,) lie in ``window``, ends included to a nanosecond."""
    first, last = window
    return (times >= first - 1e-9) & (times <= last + 1e-9)


def smooth_rectified(epochs: Array, times: Array, *, quiet: Mask) -> Array:
    """Return the signal without its mean over the samples ``quiet``, rectified and smoothed over 1 ms."""
    width = max(1, round(SMOOTHING_S / float(times[1] - times[0])))
    kernel = np.full((1,) * (epochs.ndim - 1) + (width,), 1.0 / width)
    centred = epochs - epochs[..., quiet].mean(axis=-1, keepdims=True)
    return scipy.signal.oaconvolve(np.abs(centred), kernel, mode="same", axes=-1)


def _first_run(above: Mask, length: int) -> NDArray[np.intp]:
    """Index of the first sample that starts ``length`` true samples in a row; -1 without such a run."""
    counts = np.cumsum(np.pad(above, [(0, 0)] * (above.ndim - 1) + [(1, 0)]), axis=-1, dtype=np.intp)
    full = counts[..., length:] - counts[..., :-length] == length
    return np.where(full.any(axis=-1), full.argmax(axis=-1), -1)


def onset_latency(epochs: Array, times: Array, *, masks: Mask, background: Window, present: Mask) -> Array:
    """Return the onset of the response (n_trial, n_channel), in seconds from the pulse; NaN where not ``present``.

    Taken of the signal before the band-pass, which runs backwards too and would spread the response ahead of its
    onset. It is freed of the background mean, rectified and smoothed over 1 ms. The onset is where it first exceeds
    the background mean by 3 SD (``ddof=1``) and 2 % of the response's peak for at least 3 ms inside the response
    window, walked back to where it rose above 2 SD and 1.5 % (a large response rises from the tail of the
    artefact, not from the background).
    """
    quiet = within(times, background)
    onset, _ = _onset(smooth_rectified(epochs, times, quiet=quiet), times, masks=masks, quiet=quiet)
    return np.where(present, onset, np.nan)


def average_latency(
    epochs: Array, times: Array, *, masks: Mask, background: Window, weights: Array | None = None
) -> Array:
    """Return the onset of the average response (n_draw, n_channel), in seconds from the pulse.

    The rule of :func:`onset_latency`, on the rectified signal averaged over trials, in which the background of a
    contracted muscle is flat. NaN where the average does not exceed the mean of its background by 4 SD (``ddof=1``).

    Parameters
    ----------
    weights : (n_draw, n_trial)
        Weights of the trials in each average, with sum 1 per row: one row of equal weights for the estimate (the
        default), rows of resampled counts for a bootstrap. A trial with NaN must have no weight.
    """
    quiet = within(times, background)
    smooth = smooth_rectified(epochs, times, quiet=quiet)
    if weights is None:
        weights = np.full((1, len(epochs)), 1 / max(len(epochs), 1))
    used = (weights > 0).any(axis=0)
    onset, strong = _onset(
        np.einsum("di,ict->dct", weights[:, used], smooth[used], optimize=True), times, masks=masks, quiet=quiet
    )
    return np.where(strong, onset, np.nan)


def _onset(smooth: Array, times: Array, *, masks: Mask, quiet: Mask) -> tuple[Array, Mask]:
    """Onset of smoothed rectified signals (..., n_channel, n_time), NaN without one; and whether there is a peak."""
    calm = smooth[..., quiet]
    mean, sd = calm.mean(axis=-1, keepdims=True), calm.std(axis=-1, keepdims=True, ddof=1)
    excess = smooth - mean
    peak = np.max(excess, axis=-1, where=masks, initial=0.0, keepdims=True)
    begun = excess > np.maximum(ONSET_SD * sd, ONSET_SHARE * peak)
    start = _first_run(begun & masks, max(1, round(ONSET_RUN_S / float(times[1] - times[0]))))
    still = excess > np.maximum(ONSET_BACK_SD * sd, ONSET_BACK_SHARE * peak)
    low = ~(still & masks) & (np.arange(times.size) <= start[..., None])
    rise = times.size - np.argmax(low[..., ::-1], axis=-1)
    onset = np.where(start >= 0, times[np.clip(rise, 0, times.size - 1)], np.nan)
    return onset, (peak > PRESENT_SD * sd)[..., 0]


def silent_period(epochs: Array, times: Array, *, onset: Array, background: Window) -> tuple[Array, NDArray[np.str_]]:
    """Return how long a contracted muscle is silenced (n_trial, n_channel), in s, and why there is no value.

    From the onset of the response to the return of the background. With ``m`` the mean of the rectified background
    and ``x`` the rectified signal after the onset, the silence is the stretch over which ``sum(m / 2 - x)`` is
    largest: that is where its two ends are most likely if the signal steps between about nothing and the background
    (change points of a two-level signal), and needs neither smoothing nor a number of standard deviations. It begins
    within 40 ms of the onset. Take the band-passed signal; its ringing after a very large response can hide a short
    silence.

    Parameters
    ----------
    onset : (n_trial, n_channel)
        Of the response, in s; NaN without one.

    Returns
    -------
    duration : (n_trial, n_channel)
        NaN where the reason is not empty.
    reason : (n_trial, n_channel)
        ``no_response``; ``no_silence`` (none of 10 ms); ``not_returned`` (silent until the end of the epoch);
        empty where the silence is defined.
    """
    quiet = within(times, background)
    level = epochs[..., quiet].mean(axis=-1, keepdims=True)
    rectified = np.abs(epochs - level)
    half = SILENT_SHARE * rectified[..., quiet].mean(axis=-1, keepdims=True)
    after = times > onset[..., None]
    total = np.cumsum(np.where(after, half - rectified, 0.0), axis=-1)
    begins = np.where(after & (times <= onset[..., None] + SILENCE_BEGINS_S), total, np.inf)
    last = np.argmax(total - np.minimum.accumulate(begins, axis=-1), axis=-1)
    upto = np.arange(times.size) <= last[..., None]
    first = np.argmin(np.where(upto, begins, np.inf), axis=-1)
    length = times[last] - times[first]
    reason = np.full(onset.shape, DEFINED, dtype="<U16")
    reason[times[last] > times[-1] - SILENCE_MIN_S] = NOT_RETURNED
    reason[~(length >= SILENCE_MIN_S)] = NO_SILENCE
    reason[np.isnan(onset) | ~np.isfinite(epochs).all(axis=-1)] = NO_RESPONSE
    return np.where(reason == DEFINED, times[last] - onset, np.nan), reason
