"""Motor-evoked potentials: from EMG epochs around TMS pulses to amplitudes and latencies.

Epochs have shape (n_trial, n_channel, n_time), in volts; ``times`` has shape (n_time,), in seconds from the pulse.
Windows are pairs (first, last) in seconds, both ends included. NaN stays in its trial and channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy  # loads each submodule at its first use, so that the registry costs little to import
from numpy.typing import NDArray

from lbpneuro.kernels.mep_timing import (
    AT_REST,
    ONSET_SHARE,
    Array,
    Mask,
    Window,
    average_latency,
    onset_latency,
    silent_period,
    smooth_rectified,
    within,
)

Correction = Literal["quadrature", "linear"]

HUM_HARMONICS = 3
SPAN_SD = 4.0
SPAN_SHARE = 0.1
CLIPPING_SHARE = 0.99
ARTEFACT_DECAYS_S = (0.0005, 0.001, 0.002, 0.003, 0.004, 0.006)
DECAY_FIT_S = 0.004
TAIL_S = (0.008, 0.010)
TAIL_SD = 3.0

KEPT = ""
INCOMPLETE = "incomplete_epoch"
FLAT = "flat_signal"
CLIPPED = "clipped"
BACKGROUND_HIGH = "background_high"
BACKGROUND_OFF_LEVEL = "background_off_level"


def subtract_hum(epochs: Array, times: Array, *, frequency: float, window: Window) -> Array:
    """Return epochs without mains hum, fitted on ``window`` before the pulse and extrapolated.

    The fit is least squares on a constant, a drift and sine and cosine of the mains frequency (Hz) and its next
    harmonics; only the periodic part is subtracted. Unlike a notch filter it cannot ring around the artefact.
    """
    fitted = within(times, window)
    phases = 2 * np.pi * frequency * np.outer(times, np.arange(1, HUM_HARMONICS + 1))
    waves = np.concatenate([np.sin(phases), np.cos(phases)], axis=1)
    trend = np.stack([np.ones_like(times), times], axis=1)
    weights = np.linalg.pinv(np.concatenate([waves, trend], axis=1)[fitted])[: waves.shape[1]]
    return epochs - (epochs[..., fitted] @ weights.T) @ waves.T


def without_interval(epochs: Array, times: Array, *, intervals: Array) -> tuple[Array, Array]:
    """Return epochs of paired pulses without the time between the two pulses, and the times that are left.

    ``times`` count from the second pulse, which evokes the response that is measured. What stands before time 0
    afterwards is what was before the first pulse, so that the background holds neither its artefact nor its response,
    and all that follows is the same for single and paired pulses.

    Parameters
    ----------
    intervals : (n_trial,)
        Time from the first to the second pulse (s), 0 for single pulses. ``times`` must begin early enough.
    """
    shifts = np.round(intervals / float(times[1] - times[0])).astype(np.intp)
    if not shifts.any():
        return epochs, times
    kept = np.arange(shifts.max(), times.size)
    sources = kept - np.where(times[kept] < 0, shifts[:, None], 0)
    return np.take_along_axis(epochs, sources[:, None, :], axis=-1), times[kept]


def blank_pulse(epochs: Array, times: Array, *, window: Window) -> Array:
    """Return epochs whose samples in ``window`` are a straight line between the samples on either side.

    Comes before any filter, because a filter smears the artefact into the response.
    """
    blanked = np.flatnonzero(within(times, window))
    if blanked.size == 0:
        return epochs.copy()
    before, after = max(blanked[0] - 1, 0), min(blanked[-1] + 1, times.size - 1)
    share = (times[blanked] - times[before]) / (times[after] - times[before])
    out = epochs.copy()
    out[..., blanked] = epochs[..., [before]] * (1 - share) + epochs[..., [after]] * share
    return out


def subtract_decay(epochs: Array, times: Array, *, start: float, baseline: Window) -> Array:
    """Return epochs without the tail of the TMS artefact that outlasts the blanked window.

    A tail ``a exp(-(t - start) / tau)`` above the mean of ``baseline`` is fitted to the few milliseconds after
    ``start`` (s), ``tau`` being the best of a short list per channel over all trials, ``a`` per trial.
    """
    fitted = within(times, (start, start + DECAY_FIT_S))
    level = epochs[..., within(times, baseline)].mean(axis=-1, keepdims=True)
    early = epochs[..., fitted] - level
    elapsed = np.maximum(times - start, 0.0)
    shapes = np.where(times >= start, np.exp(-elapsed / np.array(ARTEFACT_DECAYS_S)[:, None]), 0.0)
    part = shapes[:, fitted] / (shapes[:, fitted] ** 2).sum(axis=1, keepdims=True)
    sizes = early @ part.T
    explained = np.nansum(sizes**2 * (shapes[:, fitted] ** 2).sum(axis=1), axis=0)
    best = explained.argmax(axis=-1)
    size = np.take_along_axis(sizes, best[None, :, None], axis=-1)
    return epochs - size * shapes[best]


def band_pass(epochs: Array, *, sfreq: float, band: Window) -> Array:
    """Return epochs after a zero-phase Butterworth band-pass (Hz), fourth order in effect.

    A second-order filter runs forwards and backwards; the upper limit is lowered to 0.45 ``sfreq``. Epochs with
    NaN come out NaN.
    """
    low, high = band[0], min(band[1], 0.45 * sfreq)
    sos = scipy.signal.butter(2, (low, high), btype="bandpass", fs=sfreq, output="sos")
    padding = min(epochs.shape[-1] - 1, round(1.5 * sfreq / low))
    return scipy.signal.sosfiltfilt(sos, epochs, axis=-1, padlen=padding)


def peak_to_peak(epochs: Array, mask: Mask) -> Array:
    """Return maximum minus minimum over the samples of ``mask`` ((n_channel, n_time) or (n_time,)), in volts."""
    high = np.max(epochs, axis=-1, where=mask, initial=-np.inf)
    low = np.min(epochs, axis=-1, where=mask, initial=np.inf)
    return high - low


def root_mean_square(epochs: Array, mask: Mask) -> Array:
    """Return the RMS over the samples of ``mask``, the mean not subtracted, in volts."""
    return np.sqrt(np.mean(epochs**2, axis=-1, where=mask))


def rectified_mean(epochs: Array, mask: Mask) -> Array:
    """Return the mean of the rectified signal over the samples of ``mask``, in volts."""
    return np.mean(np.abs(epochs), axis=-1, where=mask)


def area_above_background(epochs: Array, times: Array, *, spans: Mask, background_mean: Array) -> Array:
    """Return the area of the rectified response above the background (n_trial, n_channel), in volt seconds, signed.

    ``integral of |x| over the span - background_mean * duration``, with the spans (n_channel, n_time) between onset and
    offset of the average response and the mean of the rectified background (n_trial, n_channel).
    """
    duration = spans.sum(axis=-1) * float(times[1] - times[0])
    return (rectified_mean(epochs, spans) - background_mean) * duration


def has_artefact_tail(epochs: Array, times: Array, *, background: Window, blank: Window) -> Mask:
    """Return in which trials the artefact of the pulse lasts into the response (n_trial, n_channel).

    The median of 2 ms of signal, from 8 ms on or from the end of the blanked window, is further than 3 SD (``ddof=1``)
    of the background from its mean. Taken before the band-pass, which turns a tail into a slow wave.
    """
    start = max(TAIL_S[0], blank[1] + float(times[1] - times[0]))
    quiet = epochs[..., within(times, background)]
    late = np.median(epochs[..., within(times, (start, start + TAIL_S[1] - TAIL_S[0]))], axis=-1)
    return np.abs(late - quiet.mean(axis=-1)) > TAIL_SD * quiet.std(axis=-1, ddof=1)


def shape_amplitude(epochs: Array, spans: Mask) -> Array:
    """Return how much of the average response each trial holds, as peak-to-peak in volts, signed.

    Least-squares scale of the mean over trials in the samples ``spans`` (n_channel, n_time), times the
    peak-to-peak of that mean. Linear in the signal, so background activity adds noise but no bias, whereas RMS and
    peak-to-peak of single trials lose or gain where the response is not far above the background of a contracted
    muscle. It presumes that the response has one shape at all sites.
    """
    template = np.where(spans, np.nanmean(epochs, axis=0), 0.0)
    power = (template**2).sum(axis=-1)
    scale = np.einsum("ict,ct->ic", np.where(spans, epochs, 0.0), template) / np.where(power > 0, power, np.nan)
    return scale * peak_to_peak(template, spans)


def above_background(amplitude: Array, background: Array, *, correction: Correction) -> Array:
    """Return what ``amplitude`` has above ``background``: signed, so that trials of noise average to about zero.

    ``linear`` is the difference (the convention of the mapping literature). ``quadrature`` is
    ``sign(d) sqrt(|d|)`` with ``d = amplitude**2 - background**2``, because independent sources add in power: it
    takes nothing noticeable off a response far above the background, where ``linear`` takes too much.
    """
    if correction == "linear":
        return amplitude - background
    power = amplitude**2 - background**2
    return np.sign(power) * np.sqrt(np.abs(power))


def response_span(epochs: Array, times: Array, *, masks: Mask, background: Window) -> Mask:
    """Return the samples between onset and offset of the average response, (n_channel, n_time).

    The rectified signal, smoothed over 1 ms and averaged over trials, is above its background mean by 4 SD
    (``ddof=1``) and by a tenth of its peak from onset to offset, inside the response window ``masks``. A channel
    without such samples keeps the whole window. The RMS of a wide window is mostly background; the span is
    that of the averaged trace, which is the convention of the mapping literature.
    """
    quiet = within(times, background)
    average = np.nanmean(smooth_rectified(epochs, times, quiet=quiet), axis=0)
    mean, sd = average[:, quiet].mean(axis=-1, keepdims=True), average[:, quiet].std(axis=-1, keepdims=True, ddof=1)
    excess = average - mean
    peak = np.max(excess, axis=-1, where=masks, initial=0.0, keepdims=True)
    above = (excess > np.maximum(SPAN_SD * sd, SPAN_SHARE * peak)) & masks
    begun = np.cumsum(above, axis=-1) > 0
    not_over = np.cumsum(above[:, ::-1], axis=-1)[:, ::-1] > 0
    return np.where(above.any(axis=-1, keepdims=True), begun & not_over, masks)


def noise_peak_to_peak(epochs: Array, times: Array, *, masks: Mask, background: Window) -> Array:
    """Return the peak-to-peak that noise alone gives in a window as long as the response window, (n_channel,).

    Median over trials of the peak-to-peak in the samples that end with the ``background`` window.
    """
    last = np.flatnonzero(within(times, background))[-1]
    lengths = masks.sum(axis=-1, keepdims=True)
    samples = np.arange(times.size)
    before = (samples > last - lengths) & (samples <= last)
    return np.nanmedian(peak_to_peak(epochs, before), axis=0)


def touches_limits(epochs: Array, mask: Mask, *, limits: Array) -> Mask:
    """Return which trials reach 99 % of the recordable range ``limits`` (n_channel, 2), in volts, inside ``mask``."""
    centre, half = limits.mean(axis=-1)[:, None], np.diff(limits, axis=-1) / 2
    return np.any((np.abs(epochs - centre) >= CLIPPING_SHARE * half) & mask, axis=-1)


def cross_correlation_peak(first: Array, second: Array, *, max_lag: int) -> float:
    """Return the largest absolute correlation of two channels (n_trial, n_time) at lags up to ``max_lag`` samples.

    Means are taken off per trial and products are pooled over trials; NaN without variance.
    """
    a = first - first.mean(axis=-1, keepdims=True)
    b = second - second.mean(axis=-1, keepdims=True)
    whole = np.isfinite(a).all(axis=-1) & np.isfinite(b).all(axis=-1)
    a, b = a[whole], b[whole]
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    if not scale > 0:
        return float("nan")
    n = a.shape[-1]
    shifts = range(-max_lag, max_lag + 1)
    products = [(a[:, max(0, -s) : n - max(0, s)] * b[:, max(0, s) : n - max(0, -s)]).sum() for s in shifts]
    return float(np.abs(products).max() / scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class MepSettings:
    """How responses are measured; times in seconds, amplitudes in volts, frequencies in Hz.

    ``windows`` has one response window per channel. ``band`` None leaves the signal unfiltered, ``hum`` None
    leaves the mains hum. ``background_max`` and ``background_mads`` (at rest: a level, and a number of median absolute
    deviations above the median of the run) or ``background_range`` (share of that median, for contracted muscles)
    decide which trials are kept.
    """

    windows: Sequence[Window]
    background: Window
    blank: Window
    band: Window | None
    hum: float | None
    correction: Correction
    background_max: float | None = None
    background_mads: float | None = None
    background_range: tuple[float, float] | None = None

    @property
    def contracted(self) -> bool:
        """Whether the muscles are contracted."""
        return self.background_range is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Responses:
    """Measures per trial and channel, each (n_trial, n_channel), in volts and seconds.

    ``epochs`` is the clean signal at ``times``, ``unfiltered`` the same before the band-pass. ``spans`` (n_channel,
    n_time) are the samples that RMS and area were taken of. ``rejected`` and ``silent_reason`` hold why a trial is not
    kept and why it has no silent period, else they are empty; measures of rejected trials are kept for inspection.
    """

    times: Array
    epochs: Array
    unfiltered: Array
    p2p: Array
    p2p_corrected: Array
    rms: Array
    background_rms: Array
    background_mean: Array
    rms_corrected: Array
    area: Array
    shape: Array
    latency: Array
    silent_period: Array
    silent_reason: NDArray[np.str_]
    tail: Mask
    spans: Mask
    rejected: NDArray[np.str_]


def without_artefact(
    epochs: Array, times: Array, *, settings: MepSettings, intervals: Array | None = None
) -> tuple[Array, Array]:
    """Return epochs after hum subtraction, subtraction of the artefact's tail, and blanking of the pulse; their times.

    ``intervals`` (n_trial,) are those of paired pulses (s); see :func:`without_interval`. The hum is fitted before the
    first pulse.
    """
    out = epochs
    if intervals is None:
        intervals = np.zeros(len(epochs))
    if settings.hum is not None:
        out = np.empty_like(epochs)
        for interval in np.unique(intervals):
            quiet = (float(times[0]), settings.background[1] - interval)
            same = intervals == interval
            out[same] = subtract_hum(epochs[same], times, frequency=settings.hum, window=quiet)
    out, times = without_interval(out, times, intervals=intervals)
    out = subtract_decay(out, times, start=settings.blank[1], baseline=settings.background)
    return blank_pulse(out, times, window=settings.blank), times


def background_reasons(background_rms: Array, settings: MepSettings) -> NDArray[np.str_]:
    """Return why trials are rejected for their background (n_trial, n_channel); empty where they are not."""
    reasons = np.full(background_rms.shape, KEPT, dtype="<U24")
    if settings.background_max is not None:
        reasons[background_rms > settings.background_max] = BACKGROUND_HIGH
    if settings.background_mads is not None:
        level = np.nanmedian(background_rms, axis=0)
        spread = np.nanmedian(np.abs(background_rms - level), axis=0)
        reasons[background_rms > level + settings.background_mads * spread] = BACKGROUND_HIGH
    if settings.background_range is not None:
        low, high = settings.background_range
        level = np.nanmedian(background_rms, axis=0)
        share = background_rms / np.where(level > 0, level, np.nan)
        reasons[(share < low) | (share > high)] = BACKGROUND_OFF_LEVEL
    return reasons


def rejection(raw: Array, masks: Mask, *, reasons: NDArray[np.str_], limits: Array | None) -> NDArray[np.str_]:
    """Return the gravest reason per trial and channel: incomplete, flat, clipped, then those of the background."""
    out = reasons.copy()
    if limits is not None:
        out[touches_limits(raw, masks, limits=limits)] = CLIPPED
    out[np.ptp(raw, axis=-1) == 0] = FLAT
    out[~np.isfinite(raw).all(axis=-1)] = INCOMPLETE
    return out


def measure_responses(
    epochs: Array,
    times: Array,
    *,
    sfreq: float,
    settings: MepSettings,
    limits: Array | None = None,
    intervals: Array | None = None,
) -> Responses:
    """Return amplitude, background, timing and rejection of every trial and channel.

    Parameters
    ----------
    epochs : (n_trial, n_channel, n_time)
        EMG in volts; an epoch that leaves the recording holds NaN.
    times : (n_time,)
        Seconds from the pulse, of a pair from the second.
    sfreq
        Sampling rate (Hz).
    settings
        Windows, filter and gates; one response window per channel.
    limits : (n_channel, 2)
        Recordable range (V); trials that reach it are rejected.
    intervals : (n_trial,)
        Of paired pulses (s), 0 for single ones. The times before the pulse of the result are then those before the
        first pulse.

    Notes
    -----
    A latency is given where the response is there: ``p2p_corrected`` above 50 uV at rest, or above four
    background RMS in a contracted muscle. The silent period is that of a contracted muscle.
    """
    unfiltered, clean_times = without_artefact(epochs, times, settings=settings, intervals=intervals)
    raw = epochs if intervals is None else without_interval(epochs, times, intervals=intervals)[0]
    times = clean_times
    masks = np.stack([within(times, window) for window in settings.windows])
    signals = unfiltered if settings.band is None else band_pass(unfiltered, sfreq=sfreq, band=settings.band)
    spans = response_span(signals, times, masks=masks, background=settings.background)
    p2p, rms = peak_to_peak(signals, masks), root_mean_square(signals, spans)
    noise = noise_peak_to_peak(signals, times, masks=masks, background=settings.background)
    quiet = within(times, settings.background)
    background_rms, background_mean = root_mean_square(signals, quiet), rectified_mean(signals, quiet)
    p2p_corrected = above_background(p2p, noise, correction=settings.correction)
    threshold = 4 * background_rms if settings.contracted else 50e-6
    latency = onset_latency(
        unfiltered, times, masks=masks, background=settings.background, present=p2p_corrected > threshold
    )
    silence, silent_reason = _silence(signals, unfiltered, times, latency=latency, masks=masks, settings=settings)
    reasons = background_reasons(background_rms, settings)
    return Responses(
        times=times,
        epochs=signals,
        unfiltered=unfiltered,
        p2p=p2p,
        p2p_corrected=p2p_corrected,
        rms=rms,
        background_rms=background_rms,
        background_mean=background_mean,
        rms_corrected=above_background(rms, background_rms, correction=settings.correction),
        area=area_above_background(signals, times, spans=spans, background_mean=background_mean),
        shape=shape_amplitude(signals, spans),
        latency=latency,
        silent_period=silence,
        silent_reason=silent_reason,
        tail=has_artefact_tail(unfiltered, times, background=settings.background, blank=settings.blank),
        spans=spans,
        rejected=rejection(raw, masks, reasons=reasons, limits=limits),
    )


def _silence(
    signals: Array, unfiltered: Array, times: Array, *, latency: Array, masks: Mask, settings: MepSettings
) -> tuple[Array, NDArray[np.str_]]:
    """The silent period of trials with a response, from the onset of their average; a muscle at rest has none.

    In the background of a contracted muscle the onset of single responses is found the later, the smaller they are.
    """
    if not settings.contracted:
        return np.full(latency.shape, np.nan), np.full(latency.shape, AT_REST, dtype="<U16")
    there = np.isfinite(latency)
    onsets = average_latency(
        np.where(there[..., None], unfiltered, 0.0),  # NaN times a weight of 0 is NaN
        times,
        masks=masks,
        background=settings.background,
        weights=(there / np.maximum(there.sum(axis=0), 1)).T,
        share=ONSET_SHARE,
    )
    return silent_period(
        signals, times, onset=np.where(there, np.diagonal(onsets), np.nan), background=settings.background
    )


def response_windows(muscles: Sequence[str], windows_ms: Mapping[str, Sequence[float]]) -> list[Window]:
    """Return the response window of each of ``muscles`` in seconds, from settings in milliseconds; KeyError if none."""
    return [(windows_ms[muscle][0] / 1000, windows_ms[muscle][1] / 1000) for muscle in muscles]
