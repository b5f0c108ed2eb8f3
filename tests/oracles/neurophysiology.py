"""Slow, plain versions of the neurophysiology kernels, and recordings whose content is known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

# ---------------------------------------------------------------------------------------------------------- motor maps


def active_by_loop(means, tau):
    present = [value for value in means if not math.isnan(value)]
    peak = max([0.0, *present])
    return [value if math.isnan(value) else (value if value > 0 and value >= tau * peak else 0.0) for value in means]


def area_by_loop(means, tau, cell_cm2):
    return sum(cell_cm2 for value in active_by_loop(means, tau) if value > 0)


def volume_by_loop(means, tau):
    active = [value for value in active_by_loop(means, tau) if not math.isnan(value)]
    return sum(value / max(active) for value in active)


def centre_by_loop(means, coords, tau):
    active = active_by_loop(means, tau)
    total = sum(value for value in active if not math.isnan(value))
    centre = [0.0, 0.0]
    for value, place in zip(active, coords, strict=True):
        if not math.isnan(value):
            centre = [c + value * p / total for c, p in zip(centre, place, strict=True)]
    return centre


def overlap_by_loop(first, second, tau):
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if not (math.isnan(a) or math.isnan(b))]
    a = active_by_loop([pair[0] for pair in pairs], tau)
    b = active_by_loop([pair[1] for pair in pairs], tau)
    return sum(min(x / sum(a), y / sum(b)) for x, y in zip(a, b, strict=True))


def calibrated_by_loop(functional, draws):
    """The estimate, and the root mean square error of the estimates of the refitted maps, one draw at a time."""
    estimate = 2 * functional(draws.fitted) - np.mean([functional(one) for one in draws.plausible])
    squares = []
    for truth, refit, around in zip(draws.plausible, draws.refitted, draws.around, strict=True):
        again = 2 * functional(refit) - np.mean([functional(one) for one in around])
        squares.append((again - functional(truth)) ** 2)
    return float(estimate), math.sqrt(np.mean(squares))


def resampled_means_by_loop(trials, *, n_draws, rng):
    """Trials of the kept pulses of each site drawn with replacement, one site and draw at a time."""
    n_muscle, n_site, n_trial = trials.shape
    uniform = rng.random((n_site, n_draws, n_trial))
    found = np.empty((n_draws, n_muscle, n_site))
    for site in range(n_site):
        kept = [trials[:, site, t] for t in range(n_trial) if not np.isnan(trials[:, site, t]).any()]
        for draw in range(n_draws):
            picked = [kept[int(u * len(kept))] for u in uniform[site, draw, : len(kept)]]
            found[draw, :, site] = sum(picked) / len(picked)
    return found


def studentised_interval_by_loop(block, reference, *, level, n_draws, rng):
    """Bootstrap-t of the difference of mean logs, one resample at a time."""
    logs = [np.log(np.array(block) + 1), np.log(np.array(reference) + 1)]
    picks = [rng.integers(0, one.size, (n_draws, one.size)) for one in logs]

    def difference(a, b):
        return a.mean() - b.mean(), math.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)

    value, error = difference(*logs)
    pivots = []
    for draw in range(n_draws):
        again, own = difference(*(one[pick[draw]] for one, pick in zip(logs, picks, strict=True)))
        if own > 0:
            pivots.append((again - value) / own)
    low, high = np.quantile(pivots, [(1 - level) / 2, (1 + level) / 2])
    return value - high * error, value - low * error


def prominent_peaks_by_flood(means, near, *, share, threshold):
    """Sites above ``threshold`` from which every way to a higher site goes down by ``share`` of the maximum."""
    top, peaks = max(means), set()
    for start, height in enumerate(means):
        if height <= threshold * top:
            continue
        reached, waiting = {start}, [start]
        while waiting:
            here = waiting.pop()
            for other in np.flatnonzero(near[here]):
                if other not in reached and means[other] > height - share * top:
                    reached.add(int(other))
                    waiting.append(int(other))
        if all(means[other] <= height for other in reached):
            peaks.add(start)
    return peaks


def published_peaks_by_loop(means, near):
    """More than half the maximum, and at least seven of eight neighbours lower by 5 %; a missing one is lower."""
    peaks = set()
    for site, value in enumerate(means):
        around = [means[other] for other in np.flatnonzero(near[site])]
        lower = sum(other <= 0.95 * value for other in around) + 8 - len(around)
        if value > 0.5 * max(means) and lower >= 7:
            peaks.add(site)
    return peaks


def planted_maps(rng, *, spacing_mm=10.0):
    """Coordinates (42, 2) in mm and two hills (2, 42) with random centres, widths and separation."""
    x, y = np.meshgrid(np.arange(6.0) * spacing_mm - 60, np.arange(7.0) * spacing_mm - 30)
    coords = np.column_stack([x.ravel(), y.ravel()])
    angle, apart = rng.uniform(0, 2 * np.pi), rng.uniform(0, 25)
    half = np.array([np.cos(angle), np.sin(angle)]) * apart / 2
    middle = np.array([-35.0, 0.0]) + rng.uniform(-7, 7, 2)
    widths = rng.uniform(10, 17, 2)
    hills = [
        np.exp(-((coords - middle - sign * half) ** 2).sum(axis=1) / (2 * width**2))
        for sign, width in zip((1, -1), widths, strict=True)
    ]
    return coords, 300 * np.stack(hills)


def planted_trials(rng, means, *, n_trial, log_sd, shared=0.5, noise=6.0):
    """Log-normal single trials (2, n_site, n_trial) around ``means``, partly shared by the muscles, plus noise."""
    n_site = means.shape[1]
    common, own = rng.standard_normal((1, n_site, n_trial)), rng.standard_normal((2, n_site, n_trial))
    deviation = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    size = means[..., None] * np.exp(log_sd * deviation - log_sd**2 / 2)
    return size + noise * rng.standard_normal((2, n_site, n_trial))


# ------------------------------------------------------------------------------------------------------------------ EMG


def peak_to_peak_by_loop(trace, times, window):
    inside = [value for value, time in zip(trace, times, strict=True) if window[0] - 1e-9 <= time <= window[1] + 1e-9]
    return max(inside) - min(inside)


def rms_by_loop(trace, times, window):
    inside = [value for value, time in zip(trace, times, strict=True) if window[0] - 1e-9 <= time <= window[1] + 1e-9]
    return math.sqrt(sum(value * value for value in inside) / len(inside))


def hum_by_loop(trace, times, frequency, window, harmonics=3):
    """Least squares on one trace with the normal design spelled out; returns the trace without its hum."""
    columns = [np.ones_like(times), times]
    for k in range(1, harmonics + 1):
        columns += [np.sin(2 * np.pi * k * frequency * times), np.cos(2 * np.pi * k * frequency * times)]
    design = np.stack(columns, axis=1)
    fitted = (times >= window[0] - 1e-9) & (times <= window[1] + 1e-9)
    weights = np.linalg.lstsq(design[fitted], trace[fitted], rcond=None)[0]
    return trace - design[:, 2:] @ weights[2:]


def response_area_by_loop(trace, times, window, background):
    inside = [abs(v) for v, t in zip(trace, times, strict=True) if window[0] - 1e-9 <= t <= window[1] + 1e-9]
    quiet = [abs(v) for v, t in zip(trace, times, strict=True) if background[0] - 1e-9 <= t <= background[1] + 1e-9]
    return (sum(inside) - len(inside) * sum(quiet) / len(quiet)) * (times[1] - times[0])


def smoothed_by_loop(trace, times, background, width_s=0.001):
    quiet = [v for v, t in zip(trace, times, strict=True) if background[0] - 1e-9 <= t <= background[1] + 1e-9]
    level = sum(quiet) / len(quiet)
    width = max(1, round(width_s / (times[1] - times[0])))
    before, after = width // 2, (width - 1) // 2
    padded = [0.0] * before + [abs(v - level) for v in trace] + [0.0] * after
    return [sum(padded[i : i + width]) / width for i in range(len(trace))]


def onset_by_loop(trace, times, window, background):
    """The first of three milliseconds above 3 SD and 2 % of the peak, walked back to 2 SD and 1.5 %; None without."""
    smooth = smoothed_by_loop(trace, times, background)
    calm = [v for v, t in zip(smooth, times, strict=True) if background[0] - 1e-9 <= t <= background[1] + 1e-9]
    mean = sum(calm) / len(calm)
    sd = math.sqrt(sum((v - mean) ** 2 for v in calm) / (len(calm) - 1))
    inside = [window[0] - 1e-9 <= t <= window[1] + 1e-9 for t in times]
    peak = max([0.0, *(v - mean for v, there in zip(smooth, inside, strict=True) if there)])
    length = max(1, round(0.003 / (times[1] - times[0])))
    for start in range(len(times) - length + 1):
        run = range(start, start + length)
        if all(inside[i] and smooth[i] - mean > max(3 * sd, 0.02 * peak) for i in run):
            place, level = start, max(2 * sd, 0.015 * peak)
            while inside[place - 1] and smooth[place - 1] - mean > level:
                place -= 1
            below, above = smooth[place - 1] - mean, smooth[place] - mean
            step = times[1] - times[0]
            back = (above - level) / (above - below) if below <= level else 0.0
            width = max(1, round(0.001 / step))
            return times[place] - step * back - (step / 2 if width % 2 == 0 else 0.0)
    return None


def silence_by_search(trace, times, onset, background):
    """Every pair of a beginning and an end after the onset, one at a time; returns both times."""
    quiet = [v for v, t in zip(trace, times, strict=True) if background[0] - 1e-9 <= t <= background[1] + 1e-9]
    level = sum(quiet) / len(quiet)
    half = sum(abs(v - level) for v in quiet) / len(quiet) / 2
    gains = [half - abs(v - level) if t > onset else 0.0 for v, t in zip(trace, times, strict=True)]
    best, found = -math.inf, (math.nan, math.nan)
    for first in range(len(times)):
        if not onset < times[first] <= onset + 0.04:
            continue
        total = 0.0
        for last in range(first + 1, len(times)):
            total += gains[last]
            if total > best:
                best, found = total, (times[first], times[last])
    return found


def return_delay_by_loop(traces, times, background):
    """How late the largest sum of half the mean less the signal is, over eight beginnings of every background."""
    delays, step = [], times[1] - times[0]
    for trace in traces:
        quiet = [v for v, t in zip(trace, times, strict=True) if background[0] - 1e-9 <= t <= background[1] + 1e-9]
        level = sum(quiet) / len(quiet)
        rectified = [abs(v - level) for v in quiet]
        half, length = sum(rectified) / len(rectified) / 2, len(quiet) // 2
        for start in np.linspace(0, len(quiet) - length, 8).astype(int):
            total, best, late = 0.0, 0.0, 0
            for place in range(length):
                total += half - rectified[start + place]
                if total > best:
                    best, late = total, place + 1
            delays.append(late * step)
    return sum(delays) / len(delays)


def muscle_gain(hertz):
    """Amplitude spectrum of the activity of a muscle: a band around 80 Hz."""
    return (hertz / 60) ** 2 / (1 + (hertz / 60) ** 2) / np.sqrt(1 + (hertz / 160) ** 4)


def contracted_epochs(rng, *, n_trial, silence_s, amplitude_uv=500.0, background_uv=25.0, sfreq=4000.0):
    """Epochs (n_trial, 1, n_time) of a contracted muscle in volts: a response at 20 ms and a silence from there on."""
    times = np.arange(round(-0.35 * sfreq), round(0.35 * sfreq) + 1) / sfreq
    frequencies = np.fft.rfftfreq(times.size, 1 / sfreq)
    gain = muscle_gain(frequencies)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal((2, n_trial, times.size))) * gain, times.size)
    active, rest = noise / noise.std(ddof=0)
    silent = (times >= 0.020) & (times < 0.020 + silence_s)
    signal = np.where(silent, 0.0, background_uv * active) + 1.5 * rest + amplitude_uv * biphasic(times)
    return signal[:, None] * 1e-6, times


def biphasic(times, *, onset_s=0.020, duration_s=0.008):
    """A response of peak-to-peak 1 between onset and onset + duration."""
    share = (times - onset_s) / duration_s
    wave = np.where((share > 0) & (share < 1), np.sin(2 * np.pi * share), 0.0)
    return wave / 2


def synthetic_epochs(rng, *, amplitudes_uv, sfreq=4000.0, noise_uv=3.0, hum_uv=5.0, artefact_uv=1500.0):
    """Epochs (n_trial, 1, n_time) in volts: response, 1/f noise, 50 Hz hum, TMS artefact of time constant 2 ms."""
    times = np.arange(round(-0.35 * sfreq), round(0.2 * sfreq) + 1) / sfreq
    n_trial = len(amplitudes_uv)
    frequencies = np.fft.rfftfreq(times.size, 1 / sfreq)
    gain = 1 / np.sqrt(np.maximum(frequencies, 5.0))
    pink = np.fft.irfft(np.fft.rfft(rng.standard_normal((n_trial, times.size)), axis=-1) * gain, times.size, axis=-1)
    pink *= noise_uv / pink.std(ddof=0)
    phases = rng.uniform(0, 2 * np.pi, (n_trial, 1))
    hum = hum_uv * np.sin(2 * np.pi * 50 * times + phases)
    artefact = np.where(times >= 0, artefact_uv * np.exp(-np.maximum(times, 0) / 0.002), 0.0)
    signal = np.asarray(amplitudes_uv)[:, None] * biphasic(times) + pink + hum + artefact
    return signal[:, None] * 1e-6, times


# ---------------------------------------------------------------------------------------------------------- recordings


def write_emg_run(
    folder: Path,
    *,
    task="motormap",
    muscles=("multifidus_deep", "longissimus"),
    sites=((-30.0, 10.0),),
    blocks=("map",),
    trials=6,
    amplitude=None,
    sfreq=2000.0,
    units="uV",
    metadata=None,
    coordinate_unit="mm",
    extension=".bdf",
    background_uv=4.0,
):
    """Write a small EMG-BIDS run of sub-01 with NIBS positions; return the files a step is given.

    ``amplitude(muscle, site, block)`` gives the planted peak-to-peak in uV; every combination of block and site is
    stimulated ``trials`` times.
    """
    import edfio

    rng = np.random.default_rng(5)
    emg, nibs = folder / "sub-01" / "emg", folder / "sub-01" / "nibs"
    for each in (emg, nibs):
        each.mkdir(parents=True, exist_ok=True)
    pulses = [(block, site) for block in blocks for _ in range(trials) for site in range(len(sites))]
    onsets = [1.0 + 0.7 * number for number in range(len(pulses))]
    n_sample = int(np.ceil(onsets[-1] + 1.0) * sfreq)
    signal = background_uv * rng.standard_normal((len(muscles), n_sample))
    after = np.arange(int(0.1 * sfreq)) / sfreq
    for onset, (block, site) in zip(onsets, pulses, strict=True):
        start = round(onset * sfreq)
        for row, muscle in zip(signal, muscles, strict=True):
            size = 500.0 if amplitude is None else amplitude(muscle, site, block)
            row[start : start + after.size] += size * biphasic(after) + 300 * np.exp(-after / 0.001)
    stem = f"sub-01_task-{task}"
    kind, container = (edfio.BdfSignal, edfio.Bdf) if extension == ".bdf" else (edfio.EdfSignal, edfio.Edf)
    factor = {"uV": 1.0, "mV": 1e-3, "V": 1e-6}.get(units, 1.0)
    dimension = units if units in ("uV", "mV", "V") else "uV"
    limits = (-8000.0 * factor, 8000.0 * factor)
    signals = [
        kind(row * factor, sfreq, label=f"EMG{number}", physical_dimension=dimension, physical_range=limits)
        for number, row in enumerate(signal, start=1)
    ]
    container(signals, data_record_duration=1).write(emg / f"{stem}_emg{extension}")
    sidecar = {"TaskName": task, "SamplingFrequency": sfreq, "PowerLineFrequency": 50, **(metadata or {})}
    (emg / f"{stem}_emg.json").write_text(json.dumps(sidecar))
    rows = ["name\ttype\tunits\ttarget_muscle"]
    rows += [f"EMG{number}\tEMG\t{units}\t{muscle}" for number, muscle in enumerate(muscles, start=1)]
    (emg / f"{stem}_channels.tsv").write_text("\n".join(rows) + "\n")
    rows = ["onset\tduration\ttrial_type\tnibs_position_id\tblock\tintensity_mso"]
    rows += [f"{onset}\t0\tTMS\tp{site}\t{block}\t60" for onset, (block, site) in zip(onsets, pulses, strict=True)]
    (emg / f"{stem}_events.tsv").write_text("\n".join(rows) + "\n")
    rows = ["nibs_position_id\tx\ty\tz", *(f"p{number}\t{x}\t{y}\t0" for number, (x, y) in enumerate(sites))]
    (nibs / f"{stem}_markers.tsv").write_text("\n".join(rows) + "\n")
    (nibs / f"{stem}_coordsystem.json").write_text(json.dumps({"NIBSCoordinateUnits": coordinate_unit}))
    names = [f"emg{extension}", "channels.tsv", "events.tsv"]
    return [*(emg / f"{stem}_{name}" for name in names), nibs / f"{stem}_markers.tsv"]
