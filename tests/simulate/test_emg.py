"""Surface EMG: response, artefact, hum and background are what they are said to be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lbpneuro.simulate.emg import HAND, TRUNK, background, hum, recording, response_shape
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.stimulation import PlasticitySettings, plasticity_pulses
from lbpneuro.simulate.stimulation_files import write_bdf

QUIET = dataclasses.replace(HAND, background_uv=0.0, noise_uv=0.0, hum_uv=0.0, latency_jitter_s=0.0, restless_uv=0.0)


@pytest.fixture
def pulses():
    return plasticity_pulses(Visit(person(1, seed=2, effect=1.0), 0, 2), PlasticitySettings(trials_per_block=4))


def epochs(signal: np.ndarray, pulses, sfreq: float, length_s: float = 0.1) -> np.ndarray:
    starts = np.rint(pulses.onset_s * sfreq).astype(int)
    return np.stack([signal[0, start : start + int(length_s * sfreq)] for start in starts])


def test_response_has_unit_size_and_its_duration():
    time = np.linspace(-0.01, 0.03, 40001)
    wave = response_shape(time, 0.01)
    assert np.ptp(wave) == pytest.approx(1, rel=1e-6)
    assert np.abs(wave[(time <= 0) | (time >= 0.01)]).max() == 0


def test_amplitude_and_latency_without_noise(pulses):
    fine = dataclasses.replace(QUIET, artefact_uv=0.0, sfreq=20000.0)
    found = epochs(recording(np.random.default_rng(1), pulses, settings=fine), pulses, fine.sfreq)
    np.testing.assert_allclose(np.ptp(found, axis=1), pulses.amplitude_uv[0], rtol=1e-3)
    onset = (np.abs(found) > 1e-3 * np.abs(found).max(axis=1, keepdims=True)).argmax(axis=1) / fine.sfreq
    np.testing.assert_allclose(onset, fine.latency_s, atol=1e-3)


def test_artefact_decays_with_its_time_constant(pulses):
    silent = dataclasses.replace(pulses, amplitude_uv=np.zeros_like(pulses.amplitude_uv))
    found = epochs(recording(np.random.default_rng(1), silent, settings=QUIET), silent, QUIET.sfreq)
    np.testing.assert_allclose(found[:, 4] / found[:, 0], np.exp(-0.002 / QUIET.artefact_tau_s))
    assert found[:, 0].min() > 500


def test_background_has_its_size_and_hum_its_frequency():
    trunk = background(np.random.default_rng(1), 20000, settings=TRUNK)
    assert trunk.std(ddof=0) == pytest.approx(np.hypot(TRUNK.background_uv, TRUNK.noise_uv), rel=0.05)
    power = np.abs(np.fft.rfft(hum(np.random.default_rng(1), 20000, settings=TRUNK)))
    assert np.fft.rfftfreq(20000, 1 / TRUNK.sfreq)[power.argmax()] == TRUNK.hum_hz


def test_restless_pulses_have_a_loud_background(pulses):
    restless = np.arange(len(pulses.onset_s)) == 7
    signal = recording(np.random.default_rng(1), dataclasses.replace(pulses, restless=restless), settings=HAND)
    starts = np.rint(pulses.onset_s * HAND.sfreq).astype(int)
    before = np.array([signal[0, start - 190 : start - 10].std(ddof=0) for start in starts])
    assert before[7] > 15
    assert np.delete(before, 7).max() < 10


def test_recordings_are_written_in_microvolts(tmp_path, rng):
    edfio = pytest.importorskip("edfio")
    signal = rng.normal(0, 100, (2, 6000))
    write_bdf(tmp_path / "a.bdf", signal, muscles=("left", "right"), sfreq=2000.0)
    write_bdf(tmp_path / "b.bdf", signal, muscles=("left", "right"), sfreq=2000.0)
    read = edfio.read_bdf(tmp_path / "a.bdf")
    assert [(one.label, one.physical_dimension, one.sampling_frequency) for one in read.signals] == [
        ("left", "uV", 2000),
        ("right", "uV", 2000),
    ]
    np.testing.assert_allclose([one.data for one in read.signals], signal, atol=0.01)
    assert (tmp_path / "a.bdf").read_bytes() == (tmp_path / "b.bdf").read_bytes()
