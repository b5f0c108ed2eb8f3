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
AVERAGE_SHARE = 0.05
FINE_HZ = 10_000.0
"""Averages are interpolated to this rate at least, so that their onset does not hang on the sampling."""
MARGIN_S = 0.002
PRESENT_SD = 4.0
SILENT_SHARE = 0.5
SILENCE_MIN_S = 0.010
SILENCE_BEGINS_S = 0.040
RETURNS = 8

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
    width = _width(float(times[1] - times[0]))
    kernel = np.full((1,) * (epochs.ndim - 1) + (width,), 1.0 / width)
    centred = epochs - epochs[..., quiet].mean(axis=-1, keepdims=True)
    return scipy.signal.oaconvolve(np.abs(centred), kernel, mode="same", axes=-1)


def _width(step: float) -> int:
    """Samples of ``step`` seconds in the smoothing window."""
    return max(1, round(SMOOTHING_S / step))


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
    artefact, not from the background), on the line between the samples on either side.
    """
    quiet = within(times, background)
    smooth = smooth_rectified(epochs, times, quiet=quiet)
    onset, _ = _onset(smooth, times, masks=masks, quiet=quiet, share=ONSET_SHARE, back_share=ONSET_BACK_SHARE)
    return np.where(present, onset, np.nan)


def average_latency(
    epochs: Array,
    times: Array,
    *,
    masks: Mask,
    background: Window,
    weights: Array | None = None,
    share: float = AVERAGE_SHARE,
) -> Array:
    """Return the onset of the average response (n_draw, n_channel), in seconds from the pulse.

    Trials are averaged with their sign, so that the background falls with their number; the average is interpolated to
    10 kHz or more (polyphase), freed of the background mean, rectified and smoothed over 1 ms. The onset is where it
    rises above ``share`` of its peak and the background mean by 2 SD (``ddof=1``), on the line between two samples,
    on the way to 3 ms above the same share and 3 SD. With 5 % that is up to 0.6 ms after the first departure of a
    response that begins without a step, and does not depend on the sampling rate. NaN where the average does not
    exceed the mean of its background by 4 SD.

    Parameters
    ----------
    weights : (n_draw, n_trial)
        Weights of the trials in each average, with sum 1 per row: one row of equal weights for the estimate (the
        default), rows of resampled counts for a bootstrap. A trial with NaN must have no weight.
    """
    if weights is None:
        weights = np.full((1, len(epochs)), 1 / max(len(epochs), 1))
    used = (weights > 0).any(axis=0)
    ends = times[masks.any(axis=0)]
    shown = within(times, (background[0] - MARGIN_S, float(ends[-1]) + MARGIN_S))
    mean = np.einsum("di,ict->dct", weights[:, used], epochs[used][..., shown], optimize=True)
    factor = int(np.ceil(FINE_HZ * float(times[1] - times[0]) - 1e-9))
    mean -= mean[..., within(times[shown], background)].mean(axis=-1, keepdims=True)
    fine = scipy.signal.resample_poly(mean, factor, 1, axis=-1)
    at = times[shown][0] + np.arange(fine.shape[-1]) * (float(times[1] - times[0]) / factor)
    bounds = [times[mask][[0, -1]] for mask in masks]
    inside = np.stack([within(at, (float(first), float(last))) for first, last in bounds])
    quiet = within(at, background)
    smooth = smooth_rectified(fine, at, quiet=quiet)
    onset, strong = _onset(smooth, at, masks=inside, quiet=quiet, share=share, back_share=share)
    return np.where(strong, onset, np.nan)


def _onset(
    smooth: Array, times: Array, *, masks: Mask, quiet: Mask, share: float, back_share: float
) -> tuple[Array, Mask]:
    """Onset of smoothed rectified signals (..., n_channel, n_time), NaN without one; and whether there is a peak."""
    calm = smooth[..., quiet]
    mean, sd = calm.mean(axis=-1, keepdims=True), calm.std(axis=-1, keepdims=True, ddof=1)
    excess = smooth - mean
    peak = np.max(excess, axis=-1, where=masks, initial=0.0, keepdims=True)
    begun = excess > np.maximum(ONSET_SD * sd, share * peak)
    step = float(times[1] - times[0])
    start = _first_run(begun & masks, max(1, round(ONSET_RUN_S / step)))
    level = np.maximum(ONSET_BACK_SD * sd, back_share * peak)
    low = ~((excess > level) & masks) & (np.arange(times.size) <= start[..., None])
    rise = np.clip(times.size - np.argmax(low[..., ::-1], axis=-1), 1, times.size - 1)[..., None]
    below, above = (np.take_along_axis(excess, rise - back, axis=-1) for back in (1, 0))
    crossed = (below <= level) & (above > level)
    back = np.where(crossed, (above - level) / np.where(crossed, above - below, 1.0), 0.0)
    if _width(step) % 2 == 0:
        back = back + 0.5  # the mean over an even number of samples belongs between two of them
    onset = np.where(start >= 0, times[rise[..., 0]] - step * back[..., 0], np.nan)
    return onset, (peak > PRESENT_SD * sd)[..., 0]


def silent_period(epochs: Array, times: Array, *, onset: Array, background: Window) -> tuple[Array, NDArray[np.str_]]:
    """Return how long a contracted muscle is silenced (n_trial, n_channel), in s, and why there is no value.

    From the onset of the response to the return of the background. With ``m`` the mean of the rectified background
    and ``x`` the rectified signal after the onset, the silence is the stretch over which ``sum(m / 2 - x)`` is
    largest: that is where its two ends are most likely if the signal steps between about nothing and the background
    (change points of a two-level signal), and needs neither smoothing nor a number of standard deviations. It ends
    midway between the last sample of that stretch and the next, less the delay of this rule (:func:`return_delay`),
    and begins within 40 ms of the onset. Take the band-passed signal; its ringing after a very large response can hide
    a short silence.

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
    end = times[last] + float(times[1] - times[0]) / 2 - return_delay(rectified[..., quiet], times, half=half)
    return np.where(reason == DEFINED, end - onset, np.nan), reason


def return_delay(background: Array, times: Array, *, half: Array) -> Array:
    """Return by how much the change point of :func:`silent_period` is late where a background returns (n_channel,), s.

    Activity that begins is small at times, and the sum still grows. If silence ends where a stretch of background
    begins, the change point lies where ``sum(m / 2 - x)`` of the stretch is largest. This is averaged over trials, and
    over eight beginnings in the first half of the background.

    Parameters
    ----------
    background : (n_trial, n_channel, n_quiet)
        Rectified; trials with NaN do not count.
    half : (n_trial, n_channel, 1)
        Half of its mean.
    """
    length = background.shape[-1] // 2
    known = np.isfinite(background).all(axis=(-1, -2))
    gain = (half - background)[known]
    if not len(gain):
        return np.full(background.shape[1], np.nan)
    first = np.unique(np.linspace(0, background.shape[-1] - length, RETURNS).astype(int))
    total = [np.cumsum(gain[..., start : start + length], axis=-1) for start in first]
    late = [np.where(each.max(axis=-1) > 0, each.argmax(axis=-1) + 1, 0) for each in total]
    return np.mean(late, axis=(0, 1)) * float(times[1] - times[0])
