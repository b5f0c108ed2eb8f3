"""Motor-evoked potentials: planted responses, loop oracles, invariants, and published amplitudes of real recordings."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.kernels import mep
from tests.oracles import neurophysiology as oracle

WINDOW = (0.015, 0.050)
BACKGROUND = (-0.105, -0.005)


def settings(**changes):
    values = {
        "windows": [WINDOW],
        "background": BACKGROUND,
        "blank": (-0.002, 0.005),
        "band": (20.0, 1000.0),
        "hum": 50.0,
        "correction": "quadrature",
        "background_max": 10e-6,
    }
    return mep.MepSettings(**{**values, **changes})


def measured(amplitudes_uv, *, seed=0, change=None, **recording):
    epochs, times = oracle.synthetic_epochs(np.random.default_rng(seed), amplitudes_uv=amplitudes_uv, **recording)
    sfreq = recording.get("sfreq", 4000.0)
    return mep.measure_responses(epochs, times, sfreq=sfreq, settings=settings(**(change or {})))


@pytest.mark.parametrize("planted_uv", [100, 200, 500, 1000, 2000])
def test_amplitude_of_planted_responses(planted_uv):
    """Bias below 5 % from 100 uV on, with 1/f noise, mains hum and the tail of the artefact."""
    found = measured(np.full(200, float(planted_uv)))
    assert np.mean(found.p2p_corrected) * 1e6 == pytest.approx(planted_uv, rel=0.05)
    assert np.mean(found.shape) * 1e6 == pytest.approx(planted_uv, rel=0.05)


def test_latency_of_planted_responses():
    """Error below 1 ms where the response is five times the background and more."""
    found = measured(np.full(200, 400.0))
    error_ms = found.latency * 1e3 - 20.0
    assert np.isfinite(error_ms).all()
    assert abs(np.median(error_ms)) < 0.5
    assert np.mean(np.abs(error_ms) < 1.0) > 0.95


def test_no_response_where_there_is_none():
    """Fewer than 5 % of the trials without response look like one, and the mean of what is found is about nothing."""
    found = measured(np.zeros(400))
    assert np.mean(found.p2p_corrected > 50e-6) < 0.05
    assert np.mean(np.isfinite(found.latency)) < 0.05
    assert abs(np.mean(found.rms_corrected)) < 1e-6
    assert np.median(found.p2p_corrected) == pytest.approx(0, abs=3e-6)


def test_shape_amplitude_is_linear_in_contracted_muscle():
    """Small responses in a background of 25 uV keep their size relative to large ones; RMS and p2p do not."""
    planted = np.repeat([40.0, 80.0, 160.0, 640.0], 200)
    contracted = {"background_max": None, "background_range": (0.5, 1.5)}
    found = measured(planted, noise_uv=25.0, change=contracted)
    sizes = [found.shape[planted == each].mean() * 1e6 for each in (40.0, 80.0, 160.0, 640.0)]
    ratios = np.array(sizes) / [40.0, 80.0, 160.0, 640.0]
    np.testing.assert_allclose(ratios / ratios[-1], 1.0, atol=0.08)


def test_shape_amplitude_keeps_its_sign():
    """A trial that holds the opposite of the average response is negative, so that noise averages out."""
    times = np.arange(100) / 1000.0
    wave = oracle.biphasic(times)[None, None]
    epochs = np.concatenate([3 * wave, 2 * wave, -wave])
    spans = mep.within(times, (0.015, 0.050))[None]
    unit = np.ptp(wave)
    np.testing.assert_allclose(mep.shape_amplitude(epochs, spans)[:, 0] / unit, [3, 2, -1])


def test_noise_is_judged_in_a_window_as_long_as_that_of_the_response():
    times = np.arange(-100, 101) / 1000.0
    epochs = np.where(times < 0, times, 0.0)[None, None]
    masks = np.stack([mep.within(times, (0.010, 0.029)), mep.within(times, (0.010, 0.049))])
    both = np.repeat(epochs, 2, axis=1)
    found = mep.noise_peak_to_peak(both, times, masks=masks, background=(-0.090, -0.005))
    np.testing.assert_allclose(found, [0.019, 0.039])


def test_span_of_the_average_response():
    found = measured(np.full(100, 300.0))
    times = np.arange(found.spans.shape[1]) / 4000.0 - 0.35
    first, last = times[found.spans[0]][[0, -1]] * 1e3
    assert first == pytest.approx(20, abs=2)
    assert last == pytest.approx(28, abs=3)


def test_span_without_response_is_the_whole_window():
    epochs, times = oracle.synthetic_epochs(np.random.default_rng(0), amplitudes_uv=np.zeros(50), artefact_uv=0.0)
    masks = mep.within(times, (0.015, 0.017))[None]
    flat = np.where(mep.within(times, BACKGROUND), epochs, 0.0)
    np.testing.assert_array_equal(mep.response_span(flat, times, masks=masks, background=BACKGROUND), masks)


@pytest.mark.parametrize("seed", range(20))
def test_measures_agree_with_loops(seed):
    rng = np.random.default_rng(seed)
    times = np.arange(-60, 121) / 1000.0
    epochs = rng.standard_normal((4, 2, times.size))
    windows = [(0.015, 0.050), (0.010, 0.055)]
    masks = np.stack([mep.within(times, window) for window in windows])
    p2p, rms = mep.peak_to_peak(epochs, masks), mep.root_mean_square(epochs, masks)
    hum = mep.subtract_hum(epochs, times, frequency=50.0, window=(-0.060, -0.005))
    for trial in range(4):
        for channel, window in enumerate(windows):
            trace = epochs[trial, channel]
            assert p2p[trial, channel] == pytest.approx(oracle.peak_to_peak_by_loop(trace, times, window))
            assert rms[trial, channel] == pytest.approx(oracle.rms_by_loop(trace, times, window))
            expected = oracle.hum_by_loop(trace, times, 50.0, (-0.060, -0.005))
            np.testing.assert_allclose(hum[trial, channel], expected, atol=1e-8)


def test_hum_of_a_pure_sine_is_removed():
    times = np.arange(-700, 400) / 2000.0
    wave = 7e-6 * np.sin(2 * np.pi * 50 * times + 0.4)[None, None]
    left = mep.subtract_hum(wave, times, frequency=50.0, window=(-0.35, -0.005))
    assert np.abs(left).max() < 1e-12


def test_blanking_is_a_straight_line():
    times = np.arange(-5, 11) / 1000.0
    epochs = np.where(np.abs(times) < 0.003, 99.0, times)[None, None]
    np.testing.assert_allclose(mep.blank_pulse(epochs, times, window=(-0.003, 0.003))[0, 0], times, atol=1e-15)
    np.testing.assert_array_equal(mep.blank_pulse(epochs, times, window=(1.0, 2.0)), epochs)


def test_tail_of_the_artefact_is_subtracted():
    times = np.arange(-400, 400) / 4000.0
    tail = np.where(times >= 0, 2e-3 * np.exp(-np.maximum(times, 0) / 0.002), 0.0)[None, None]
    left = mep.subtract_decay(tail, times, start=0.005, baseline=(-0.1, -0.005))
    assert np.abs(left[..., times >= 0.005]).max() < 1e-9
    np.testing.assert_array_equal(left[..., times < 0.005], tail[..., times < 0.005])


@pytest.mark.parametrize(
    ("amplitude", "background", "linear", "quadrature"), [(5, 3, 2, 4), (3, 5, -2, -4), (2, 2, 0, 0)]
)
def test_background_correction(amplitude, background, linear, quadrature):
    values = np.array(float(amplitude)), np.array(float(background))
    assert mep.above_background(*values, correction="linear") == linear
    assert mep.above_background(*values, correction="quadrature") == quadrature


def test_first_run():
    above = np.array([[0, 1, 0, 1, 1, 1], [0, 0, 1, 1, 0, 1], [1, 1, 1, 0, 0, 0]], dtype=bool)
    np.testing.assert_array_equal(mep._first_run(above, 3), [3, -1, 0])


def test_rejection_reasons():
    amplitudes = np.full(6, 300.0)
    epochs, times = oracle.synthetic_epochs(np.random.default_rng(1), amplitudes_uv=amplitudes)
    epochs[1, 0, 100] = np.nan
    epochs[2] = 0.0
    epochs[3, 0, mep.within(times, WINDOW)] *= 40
    epochs[4] += 30e-6 * np.random.default_rng(2).standard_normal(times.size)
    limits = np.array([[-5e-3, 5e-3]])
    found = mep.measure_responses(epochs, times, sfreq=4000.0, settings=settings(), limits=limits)
    expected = [mep.KEPT, mep.INCOMPLETE, mep.FLAT, mep.CLIPPED, mep.BACKGROUND_HIGH, mep.KEPT]
    assert found.rejected[:, 0].tolist() == expected


def test_contracted_muscles_are_judged_by_their_own_level():
    background = np.array([[20e-6], [21e-6], [9e-6], [19e-6], [33e-6]])
    judged = settings(background_max=None, background_range=(0.5, 1.5))
    reasons = mep.background_reasons(background, judged)
    assert [bool(reason) for reason in reasons[:, 0]] == [False, False, True, False, True]


def test_silent_channel_is_flat_and_spares_the_others():
    epochs, times = oracle.synthetic_epochs(np.random.default_rng(1), amplitudes_uv=np.full(5, 300.0))
    both = np.concatenate([np.zeros_like(epochs), epochs], axis=1)
    judged = settings(windows=[WINDOW, WINDOW], background_max=None, background_range=(0.5, 1.5))
    found = mep.measure_responses(both, times, sfreq=4000.0, settings=judged)
    assert set(found.rejected[:, 0]) == {mep.FLAT}
    assert set(found.rejected[:, 1]) == {mep.KEPT}
    alone = mep.measure_responses(epochs, times, sfreq=4000.0, settings=settings())
    np.testing.assert_allclose(found.p2p[:, 1], alone.p2p[:, 0])


def test_nan_stays_in_its_trial():
    epochs, times = oracle.synthetic_epochs(np.random.default_rng(1), amplitudes_uv=np.full(8, 300.0))
    whole = mep.measure_responses(np.delete(epochs, 3, axis=0), times, sfreq=4000.0, settings=settings())
    broken = epochs.copy()
    broken[3, 0, 50] = np.nan
    found = mep.measure_responses(broken, times, sfreq=4000.0, settings=settings())
    others = np.delete(np.arange(8), 3)
    for name in ("p2p", "p2p_corrected", "rms", "background_rms", "rms_corrected", "shape", "latency"):
        np.testing.assert_allclose(getattr(found, name)[others], getattr(whole, name), rtol=1e-9, err_msg=name)
        assert np.isnan(getattr(found, name)[3]).all()
    assert found.rejected[3, 0] == mep.INCOMPLETE


def test_inputs_are_not_changed_and_results_are_float64():
    epochs, times = oracle.synthetic_epochs(np.random.default_rng(1), amplitudes_uv=np.full(4, 300.0))
    epochs.setflags(write=False)
    times.setflags(write=False)
    once, twice = (mep.measure_responses(epochs, times, sfreq=4000.0, settings=settings()) for _ in range(2))
    np.testing.assert_array_equal(once.p2p, twice.p2p)
    assert once.p2p.dtype == once.latency.dtype == np.float64


def test_constant_offset_does_not_matter():
    epochs, times = oracle.synthetic_epochs(np.random.default_rng(1), amplitudes_uv=np.full(4, 300.0))
    one, other = (
        mep.measure_responses(epochs + offset, times, sfreq=4000.0, settings=settings()) for offset in (0.0, 0.01)
    )
    np.testing.assert_allclose(one.p2p, other.p2p, rtol=1e-6)
    np.testing.assert_allclose(one.rms_corrected, other.rms_corrected, rtol=1e-5)


def test_cross_correlation_finds_the_lagged_copy():
    rng = np.random.default_rng(0)
    first = rng.standard_normal((20, 200))
    copied = np.roll(first, 2, axis=1) + rng.standard_normal((20, 200))
    assert mep.cross_correlation_peak(first, copied, max_lag=3) == pytest.approx(0.7, abs=0.05)
    assert mep.cross_correlation_peak(first, copied, max_lag=1) < 0.1
    assert np.isnan(mep.cross_correlation_peak(first, np.zeros_like(first), max_lag=1))


REAL_WINDOWS_MS = {
    "ID01": (10, 60),
    "ID03": (20, 60),
    "ID04": (20, 90),
    "ID05": (20, 90),
    "ID06": (20, 90),
    "ID10_1": (10, 50),
}


@pytest.mark.real
@pytest.mark.parametrize("name", REAL_WINDOWS_MS)
def test_published_amplitudes_of_real_recordings(name, real_data):
    """MEPFeatX (FDI, ECR and tibialis anterior, 3 kHz): every published amplitude above 50 uV within 1 %."""
    import pandas as pd
    from scipy.io import loadmat

    folder = real_data("mepfeatx")
    epochs = loadmat(folder / "data" / f"{name}.mat")["meps"].T[:, None] * 1e-6
    features = pd.read_csv(folder / "features" / f"{name}_features.csv")
    times = np.arange(epochs.shape[-1]) / 3000.0 - 0.050
    low, high = REAL_WINDOWS_MS[name]
    choice = settings(
        windows=[(low / 1e3, high / 1e3)], background=(-0.050, -0.005), band=None, hum=None, background_max=1e-3
    )
    found = mep.measure_responses(np.ascontiguousarray(epochs, dtype=float), times, sfreq=3000.0, settings=choice)
    published = features["Amplitude"].to_numpy()
    shown = published > 50
    assert shown.sum() >= 19
    np.testing.assert_allclose(found.p2p[shown, 0] * 1e6, published[shown], rtol=0.01)
    latency = found.latency[shown, 0] * 1e3 - features["Latency"].to_numpy()[shown]
    assert abs(np.nanmedian(latency)) < 1.0
