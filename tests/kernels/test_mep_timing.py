"""Onset and silent period: planted times, plain loops, and how often there is one where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.kernels import mep, mep_timing
from lbpneuro.simulate.emg import response_shape
from tests.oracles import neurophysiology as oracle

WINDOW = (0.015, 0.050)
BACKGROUND = (-0.105, -0.005)


def test_first_run():
    above = np.array([[0, 1, 0, 1, 1, 1], [0, 0, 1, 1, 0, 1], [1, 1, 1, 0, 0, 0]], dtype=bool)
    np.testing.assert_array_equal(mep_timing._first_run(above, 3), [3, -1, 0])


@pytest.mark.parametrize("seed", range(5))
def test_onset_agrees_with_a_loop(seed):
    rng = np.random.default_rng(seed)
    epochs, times = oracle.synthetic_epochs(rng, amplitudes_uv=rng.uniform(0, 400, 6), artefact_uv=0.0, hum_uv=0.0)
    masks = mep_timing.within(times, WINDOW)[None]
    found = mep_timing.onset_latency(epochs, times, masks=masks, background=BACKGROUND, present=np.ones((6, 1), bool))
    expected = [oracle.onset_by_loop(trace, times, WINDOW, BACKGROUND) for trace in epochs[:, 0]]
    np.testing.assert_allclose(found[:, 0], [np.nan if each is None else each for each in expected])
    assert np.isfinite(found).sum() >= 3


@pytest.mark.parametrize("seed", range(5))
def test_silence_agrees_with_a_search(seed):
    rng = np.random.default_rng(seed)
    silence = rng.uniform(0.03, 0.1)
    epochs, times = oracle.contracted_epochs(rng, n_trial=3, silence_s=silence, sfreq=1000.0)
    onset = np.full((3, 1), 0.02)
    found, reason = mep_timing.silent_period(epochs, times, onset=onset, background=BACKGROUND)
    assert (reason == "").all()
    for trial in range(3):
        _, last = oracle.silence_by_search(epochs[trial, 0], times, 0.02, BACKGROUND)
        late = oracle.return_delay_by_loop(epochs[:, 0], times, BACKGROUND)
        assert found[trial, 0] == pytest.approx(last + 0.0005 - late - 0.02)


@pytest.mark.parametrize("silence_ms", [30, 50, 80, 120])
@pytest.mark.parametrize("amplitude_uv", [200.0, 500.0])
def test_planted_silence(silence_ms, amplitude_uv):
    rng = np.random.default_rng(silence_ms)
    epochs, times = oracle.contracted_epochs(rng, n_trial=80, silence_s=silence_ms / 1e3, amplitude_uv=amplitude_uv)
    signals = mep.band_pass(epochs, sfreq=4000.0, band=(20.0, 1000.0))
    found, reason = mep_timing.silent_period(signals, times, onset=np.full((80, 1), 0.02), background=BACKGROUND)
    assert (reason == "").mean() > 0.9
    assert np.nanmean(found) * 1e3 == pytest.approx(silence_ms, abs=1.0)
    assert np.nanstd(found, ddof=1) * 1e3 < 5


def test_no_silence_where_there_is_none():
    epochs, times = oracle.contracted_epochs(np.random.default_rng(9), n_trial=300, silence_s=0.0)
    signals = mep.band_pass(epochs, sfreq=4000.0, band=(20.0, 1000.0))
    found, reason = mep_timing.silent_period(signals, times, onset=np.full((300, 1), 0.02), background=BACKGROUND)
    assert np.isfinite(found).mean() < 0.06
    assert (reason == "no_silence").mean() > 0.94


def test_reasons_why_a_silence_is_not_defined():
    epochs, times = oracle.contracted_epochs(np.random.default_rng(2), n_trial=3, silence_s=0.5)
    epochs[2, 0, 100] = np.nan
    onset = np.array([[0.02], [np.nan], [0.02]])
    found, reason = mep_timing.silent_period(epochs, times, onset=onset, background=BACKGROUND)
    assert np.isnan(found).all()
    assert reason[:, 0].tolist() == ["not_returned", "no_response", "no_response"]


def test_average_is_timed_where_single_trials_are_not():
    """Responses of 90 uV in a background of 25 uV RMS: few single trials show them, the average of 100 does."""
    epochs, times = oracle.contracted_epochs(np.random.default_rng(4), n_trial=100, silence_s=0.0, amplitude_uv=90.0)
    masks = mep_timing.within(times, WINDOW)[None]
    single = mep_timing.onset_latency(
        epochs, times, masks=masks, background=BACKGROUND, present=np.ones((100, 1), dtype=bool)
    )
    assert np.mean(np.abs(single * 1e3 - 20) < 1.5) < 0.3
    found = mep_timing.average_latency(epochs, times, masks=masks, background=BACKGROUND)
    assert found.shape == (1, 1)
    assert found[0, 0] * 1e3 == pytest.approx(20, abs=1.5)
    none, times = oracle.contracted_epochs(np.random.default_rng(4), n_trial=60, silence_s=0.0, amplitude_uv=0.0)
    assert np.isnan(mep_timing.average_latency(none, times, masks=masks, background=BACKGROUND)).all()


@pytest.mark.parametrize("sfreq", [1000.0, 2000.0, 5000.0])
def test_onset_lies_between_samples(sfreq):
    """Responses that begin anywhere between two samples: the onset of the average follows, at any sampling rate."""
    times = np.arange(round(-0.15 * sfreq), round(0.1 * sfreq) + 1) / sfreq
    begins = 0.022 + np.linspace(0, 0.002, 9)
    epochs = 1e-4 * response_shape(times - begins[:, None], 0.010)[None]
    masks = np.repeat(mep_timing.within(times, WINDOW)[None], 9, axis=0)
    found = mep_timing.average_latency(epochs, times, masks=masks, background=BACKGROUND)[0]
    fine = np.arange(-0.005, 0.015, 1e-5)
    smooth = np.convolve(np.abs(response_shape(fine, 0.010)), np.ones(101) / 101, "same")
    expected = begins + fine[np.argmax(smooth > 0.05 * smooth.max())]
    np.testing.assert_allclose(found, expected, atol=3e-5)
    present = np.ones((1, 9), dtype=bool)
    single = mep_timing.onset_latency(epochs, times, masks=masks, background=BACKGROUND, present=present)[0]
    assert np.abs(single - begins).max() < 0.0007
    assert np.unique(np.round(single * 1e6)).size == 9


def test_weights_choose_the_trials_of_an_average():
    rng = np.random.default_rng(4)
    epochs, times = oracle.synthetic_epochs(rng, amplitudes_uv=np.full(6, 400.0), artefact_uv=0.0, hum_uv=0.0)
    epochs[0] = np.nan
    masks = mep_timing.within(times, WINDOW)[None]
    rest = {"masks": masks, "background": BACKGROUND}
    weights = np.array([[0, 0.2, 0.2, 0.2, 0.2, 0.2], [0, 1.0, 0, 0, 0, 0]])
    found = mep_timing.average_latency(epochs, times, weights=weights, **rest)
    np.testing.assert_allclose(found[0], mep_timing.average_latency(epochs[1:], times, **rest)[0])
    np.testing.assert_allclose(found[1], mep_timing.average_latency(epochs[1:2], times, **rest)[0])
