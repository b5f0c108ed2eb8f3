"""Surface EMG around TMS pulses: what an amplifier would have recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lbpneuro.simulate.grids import Array
from lbpneuro.simulate.stimulation import Pulses


@dataclass(frozen=True, slots=True)
class EmgSettings:
    """Recording and noise; amplitudes in uV, times in s.

    ``background_uv`` is the root mean square of the muscle's own activity, of a contracting trunk muscle or of a hand
    muscle at rest; ``latency_s`` the onset of the response.
    """

    latency_s: float
    background_uv: float
    contracting: bool
    sfreq: float = 2000.0
    latency_jitter_s: float = 0.0004
    response_s: float = 0.010
    noise_uv: float = 1.5
    hum_uv: float = 3.0
    hum_hz: float = 50.0
    artefact_uv: float = 1000.0
    artefact_tau_s: float = 0.002
    tail_s: float = 1.0
    restless_uv: float = 25.0


TRUNK = EmgSettings(latency_s=0.016, background_uv=25.0, contracting=True)
HAND = EmgSettings(latency_s=0.022, background_uv=2.0, contracting=False)
LEG = EmgSettings(latency_s=0.095, background_uv=3.0, contracting=False, noise_uv=0.5, hum_uv=0.2, restless_uv=50.0)

EPOCH_S = 0.12


def recording(rng: np.random.Generator, pulses: Pulses, *, settings: EmgSettings) -> Array:
    """Return the recording (n_muscle, n_sample) in uV; it lasts a whole number of seconds."""
    n_sample = int(np.ceil(pulses.onset_s[-1] + settings.tail_s) * settings.sfreq)
    signal = np.stack([background(rng, n_sample, settings=settings) for _ in pulses.muscles])
    signal += hum(rng, n_sample, settings=settings)
    for muscle, amplitudes in zip(signal, pulses.amplitude_uv, strict=True):
        add_responses(muscle, rng, onset_s=pulses.onset_s, amplitude_uv=amplitudes, settings=settings)
        add_artefacts(muscle, rng, onset_s=pulses.onset_s, settings=settings)
    add_restlessness(signal, rng, pulses=pulses, settings=settings)
    return signal


def background(rng: np.random.Generator, n_sample: int, *, settings: EmgSettings) -> Array:
    """Return muscle activity (a band around 80 Hz) plus 1/f noise of electrode and amplifier."""
    muscle = muscle_activity(rng, n_sample, settings=settings)
    pink = _shaped(rng, _pink_gain, n_sample=n_sample, settings=settings)
    return settings.background_uv * muscle + settings.noise_uv * pink


def muscle_activity(rng: np.random.Generator, n_sample: int, *, settings: EmgSettings) -> Array:
    """Return muscle activity of unit root mean square."""
    return _shaped(rng, _muscle_gain, n_sample=n_sample, settings=settings)


def _muscle_gain(frequencies: Array) -> Array:
    return (frequencies / 60) ** 2 / (1 + (frequencies / 60) ** 2) / np.sqrt(1 + (frequencies / 160) ** 4)


def _pink_gain(frequencies: Array) -> Array:
    return 1 / np.sqrt(np.maximum(frequencies, 1.0))


def _shaped(rng: np.random.Generator, gain: Callable[[Array], Array], *, n_sample: int, settings: EmgSettings) -> Array:
    """Noise of unit root mean square with the amplitude spectrum ``gain`` (of Hz)."""
    from scipy import fft

    length = fft.next_fast_len(n_sample, real=True)
    frequencies = np.asarray(np.fft.rfftfreq(length, 1 / settings.sfreq), dtype=float)
    spectrum = fft.rfft(rng.standard_normal(length)) * gain(frequencies)
    shaped = fft.irfft(spectrum, length)[:n_sample]
    return shaped / shaped.std(ddof=0)


def hum(rng: np.random.Generator, n_sample: int, *, settings: EmgSettings) -> Array:
    """Return mains hum with its third harmonic, the same in all channels."""
    phase = 2 * np.pi * settings.hum_hz * np.arange(n_sample) / settings.sfreq
    first, third = rng.uniform(0, 2 * np.pi, 2)
    return settings.hum_uv * (np.sin(phase + first) + 0.3 * np.sin(3 * phase + third))


def response_shape(time_s: Array, duration_s: float) -> Array:
    """Return a biphasic response of peak-to-peak 1 that starts at 0 and lasts ``duration_s``; 0 elsewhere."""
    share = time_s / duration_s
    wave = np.where((share > 0) & (share < 1), np.sin(2 * np.pi * share) * np.sin(np.pi * share) ** 2, 0.0)
    return wave / (2 * 0.6495190528383290)  # the extremes are at one and two thirds: sin(120 deg) sin(60 deg)^2


def add_responses(
    muscle: Array, rng: np.random.Generator, *, onset_s: Array, amplitude_uv: Array, settings: EmgSettings
) -> None:
    """Add the response to every pulse to ``muscle`` (n_sample,) in place."""
    after = np.arange(int(EPOCH_S * settings.sfreq)) / settings.sfreq
    latencies = settings.latency_s + rng.normal(0, settings.latency_jitter_s, len(onset_s))
    for onset, latency, amplitude in zip(onset_s, latencies, amplitude_uv, strict=True):
        start = round(onset * settings.sfreq)
        muscle[start : start + len(after)] += amplitude * response_shape(after - latency, settings.response_s)


def add_artefacts(muscle: Array, rng: np.random.Generator, *, onset_s: Array, settings: EmgSettings) -> None:
    """Add the decaying artefact of every pulse to ``muscle`` (n_sample,) in place."""
    after = np.arange(int(EPOCH_S * settings.sfreq)) / settings.sfreq
    decay = np.exp(-after / settings.artefact_tau_s)
    sizes = settings.artefact_uv * np.exp(rng.normal(0, 0.2, len(onset_s)))
    for onset, size in zip(onset_s, sizes, strict=True):
        start = round(onset * settings.sfreq)
        muscle[start : start + len(after)] += size * decay


def add_restlessness(signal: Array, rng: np.random.Generator, *, pulses: Pulses, settings: EmgSettings) -> None:
    """Add muscle activity before the pulses that the participant did not keep still for, in place."""
    length = int(0.3 * settings.sfreq)
    for onset in pulses.onset_s[pulses.restless]:
        start = round(onset * settings.sfreq) - int(0.2 * settings.sfreq)
        signal[:, start : start + length] += settings.restless_uv * rng.standard_normal((len(signal), length))
