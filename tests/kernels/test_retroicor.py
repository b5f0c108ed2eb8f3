"""RETROICOR: phases from recordings, and their Fourier series."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lbpneuro.errors import InputError
from lbpneuro.kernels.retroicor import (
    cardiac_phase,
    peak_times,
    respiratory_phase,
    retroicor,
    retroicor_names,
    rhythm,
)
from lbpneuro.simulate.physio import physiology, planted_noise
from tests.oracles import physio as oracle

HEART = (0.5, 3.0)
T_R = 2.0


def beats(phase: np.ndarray, clock: np.ndarray) -> np.ndarray:
    """The times at which an unwrapped phase is a multiple of 2 pi."""
    turns = np.arange(np.ceil(phase[0] / 2 / np.pi), np.floor(phase[-1] / 2 / np.pi) + 1)
    return np.interp(2 * np.pi * turns, phase, clock)


def explained(noise: np.ndarray, regressors: np.ndarray) -> float:
    model = np.column_stack([np.ones(len(noise)), regressors])
    left = noise - model @ np.linalg.lstsq(model, noise, rcond=None)[0]
    return 1 - left.var() / noise.var()


def phases_of(made, times):
    peaks = peak_times(made.pulse, sampling_hz=made.sampling_hz, rate_hz=HEART)
    since = times - made.clock[0]
    breath = respiratory_phase(made.belt, sampling_hz=made.sampling_hz, times_s=since)
    return cardiac_phase(peaks, times_s=since), breath


def test_cardiac_phase_by_hand():
    phase = cardiac_phase([1.0, 2.0, 4.0], times_s=[0.75, 1.0, 1.25, 3.0, 4.0, 4.5])
    assert_allclose(phase, 2 * np.pi * np.array([0.75, 0.0, 0.25, 0.5, 0.0, 0.25]), atol=1e-12)


def test_cardiac_phase_is_that_of_a_loop(rng):
    peaks = np.cumsum(rng.uniform(0.6, 1.2, 200))
    times = np.sort(rng.uniform(peaks[0], peaks[-1] - 1e-9, 300))
    assert_allclose(cardiac_phase(peaks, times_s=times), oracle.cardiac_phase(list(peaks), list(times)), atol=1e-9)


def test_respiratory_phase_is_that_of_a_loop(rng):
    made = physiology(rng, start_s=0, stop_s=90, sampling_hz=25)
    times = np.arange(2, 88, 2.0)
    found = respiratory_phase(made.belt, sampling_hz=25, times_s=times, bins=20)
    expected = oracle.respiratory_phase(made.belt, sampling_hz=25, times=list(times), bins=20)
    assert_allclose(found, expected, atol=1e-9)


def test_respiratory_phase_of_a_triangle():
    wave = np.concatenate([np.arange(10), np.arange(10, 0, -1)]).astype(float)  # one breath, rising then falling
    wave = np.tile(wave, 20)
    found = respiratory_phase(wave, sampling_hz=5, times_s=[4 + 2 / 5, 4 + 8 / 5, 4 + 12 / 5, 4 + 18 / 5], bins=10)
    # 20 samples a breath: value 0 once, 1 to 9 twice, 10 once; the last bin holds 9 and 10
    assert_allclose(found, np.pi * np.array([5, 17, -17, -5]) / 20, atol=1e-12)


def test_eighteen_regressors_in_their_order(rng):
    cardiac, respiratory = rng.uniform(0, 2 * np.pi, 50), rng.uniform(-np.pi, np.pi, 50)
    found = retroicor(cardiac, respiratory=respiratory)
    assert found.shape == (50, 18)
    assert_allclose(found, oracle.retroicor(cardiac, respiratory), atol=1e-12)
    names = retroicor_names(cardiac=True, respiratory=True)
    assert len(names) == 18
    assert names[0] == "cardiac1_cos"
    assert names[-3:] == ("sum1_1_sin", "difference1_1_cos", "difference1_1_sin")


def test_one_recording_alone_gives_its_own_regressors(rng):
    phase = rng.uniform(0, 6, 9)
    assert retroicor(phase, respiratory=None).shape == (9, 6)
    assert retroicor(None, respiratory=phase).shape == (9, 8)
    assert len(retroicor_names(cardiac=False, respiratory=True)) == 8
    with pytest.raises(InputError, match="both"):
        retroicor(None, respiratory=None)
    with pytest.raises(InputError, match="respiratory"):
        retroicor(phase, respiratory=phase[:4])


@pytest.mark.parametrize("sampling_hz", [10, 40, 250])
def test_every_beat_is_found_and_no_dicrotic_wave(sampling_hz):
    for seed in range(4):
        made = physiology(np.random.default_rng(seed), start_s=0, stop_s=300, sampling_hz=sampling_hz)
        found = peak_times(made.pulse, sampling_hz=sampling_hz, rate_hz=HEART)
        true = beats(made.heart, made.clock)
        inside = true[(true > 1) & (true < 299)]
        nearest = np.abs(found[:, None] - inside).min(axis=0)
        assert nearest.max() < 0.12
        assert np.median(nearest) < 0.02
        assert abs(len(found) - len(true)) <= 2


def test_noise_has_no_rhythm(rng):
    for sampling_hz in (10, 100):
        found = peak_times(rng.standard_normal(sampling_hz * 300), sampling_hz=sampling_hz, rate_hz=HEART)
        assert rhythm(found, rate_hz=HEART)[1] > 0.4


def test_rhythm_by_hand():
    peaks = np.cumsum(np.concatenate([np.ones(10), [2.5], np.ones(9)]))
    rate, implausible = rhythm(peaks, rate_hz=HEART)
    assert rate == 1.0
    assert implausible == pytest.approx(1 / 19)
    assert np.isnan(rhythm([1.0, 2.0], rate_hz=HEART)).all()
    assert rhythm(np.arange(20) * 3.0, rate_hz=HEART)[1] == 1.0


def test_the_right_recording_takes_the_noise_and_a_wrong_one_does_not():
    times = (np.arange(240) + 0.5) * T_R
    right, wrong = [], []
    for seed in range(10):
        made, other = (
            physiology(np.random.default_rng(number), start_s=-3, stop_s=490) for number in (seed, 1000 + seed)
        )
        noise = planted_noise(made, times_s=times)
        right.append(explained(noise, retroicor(phases_of(made, times)[0], respiratory=phases_of(made, times)[1])))
        wrong.append(explained(noise, retroicor(phases_of(other, times)[0], respiratory=phases_of(other, times)[1])))
    assert min(right) > 0.9
    assert np.mean(wrong) == pytest.approx(18 / 239, abs=0.03)  # its dimensions, no more


def test_what_cannot_be_a_recording_is_refused():
    with pytest.raises(InputError, match="sampling_hz"):
        peak_times(np.zeros(100), sampling_hz=5, rate_hz=HEART)
    with pytest.raises(InputError, match="finite"):
        peak_times([0, np.nan, 1], sampling_hz=50, rate_hz=HEART)
    with pytest.raises(InputError, match="ascending"):
        cardiac_phase([2.0, 1.0], times_s=[1.5])
    with pytest.raises(InputError, match="vary"):
        respiratory_phase(np.ones(50), sampling_hz=10, times_s=[1.0])
