"""Motor-evoked potentials: planted responses, loop oracles, invariants, and published amplitudes of real recordings."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.kernels import mep, mep_timing
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


def test_each_muscle_has_its_own_window():
    """The same response at 20 to 28 ms in two channels: in one it lies before the window."""
    epochs, times = oracle.synthetic_epochs(np.random.default_rng(0), amplitudes_uv=np.full(40, 400.0))
    both = np.repeat(epochs, 2, axis=1)
    found = mep.measure_responses(both, times, sfreq=4000.0, settings=settings(windows=[WINDOW, (0.035, 0.050)]))
    early, late = found.p2p_corrected.mean(axis=0) * 1e6
    assert early == pytest.approx(400, rel=0.05)
    assert abs(late) < 20
    assert np.isfinite(found.latency).mean(axis=0).tolist() == [1, 0]


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
    spans = mep_timing.within(times, (0.015, 0.050))[None]
    unit = np.ptp(wave)
    np.testing.assert_allclose(mep.shape_amplitude(epochs, spans)[:, 0] / unit, [3, 2, -1])


def test_noise_is_judged_in_a_window_as_long_as_that_of_the_response():
    times = np.arange(-100, 101) / 1000.0
    epochs = np.where(times < 0, times, 0.0)[None, None]
    masks = np.stack([mep_timing.within(times, (0.010, 0.029)), mep_timing.within(times, (0.010, 0.049))])
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
    masks = mep_timing.within(times, (0.015, 0.017))[None]
    flat = np.where(mep_timing.within(times, BACKGROUND), epochs, 0.0)
    np.testing.assert_array_equal(mep.response_span(flat, times, masks=masks, background=BACKGROUND), masks)


@pytest.mark.parametrize("seed", range(20))
def test_measures_agree_with_loops(seed):
    rng = np.random.default_rng(seed)
    times = np.arange(-60, 121) / 1000.0
    epochs = rng.standard_normal((4, 2, times.size))
    windows = [(0.015, 0.050), (0.010, 0.055)]
    masks = np.stack([mep_timing.within(times, window) for window in windows])
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


def test_rejection_reasons():
    amplitudes = np.full(6, 300.0)
    epochs, times = oracle.synthetic_epochs(np.random.default_rng(1), amplitudes_uv=amplitudes)
    epochs[1, 0, 100] = np.nan
    epochs[2] = 0.0
    epochs[3, 0, mep_timing.within(times, WINDOW)] *= 40
    epochs[4] += 30e-6 * np.random.default_rng(2).standard_normal(times.size)
    limits = np.array([[-5e-3, 5e-3]])
    found = mep.measure_responses(epochs, times, sfreq=4000.0, settings=settings(), limits=limits)
    expected = [mep.KEPT, mep.INCOMPLETE, mep.FLAT, mep.CLIPPED, mep.BACKGROUND_HIGH, mep.KEPT]
    assert found.rejected[:, 0].tolist() == expected


def test_background_far_from_that_of_the_run():
    background = np.array([[3.0], [3.1], [2.9], [3.0], [4.0], [np.nan]]) * 1e-6
    assert not np.any(mep.background_reasons(background, settings())[:5])
    reasons = mep.background_reasons(background, settings(background_mads=2.5))
    assert reasons[:, 0].tolist() == ["", "", "", "", mep.BACKGROUND_HIGH, ""]


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


@pytest.mark.parametrize("seed", range(20))
def test_area_agrees_with_a_loop(seed):
    rng = np.random.default_rng(seed)
    times = np.arange(-60, 121) / 1000.0
    epochs = rng.standard_normal((3, 2, times.size))
    windows, background = [(0.015, 0.050), (0.010, 0.055)], (-0.05, -0.005)
    spans = np.stack([mep_timing.within(times, window) for window in windows])
    mean = mep.rectified_mean(epochs, mep_timing.within(times, background))
    area = mep.area_above_background(epochs, times, spans=spans, background_mean=mean)
    for trial in range(3):
        for channel, window in enumerate(windows):
            expected = oracle.response_area_by_loop(epochs[trial, channel], times, window, background)
            assert area[trial, channel] == pytest.approx(expected)


def test_area_of_a_known_response():
    """A rectified sine period of peak-to-peak a and 8 ms has the area a / pi x 8 ms; noise has none on average."""
    found = measured(np.full(100, 1000.0), hum_uv=0.0, artefact_uv=0.0, noise_uv=1.0, change={"band": None})
    assert np.mean(found.area) * 1e9 == pytest.approx(1000 / np.pi * 8, rel=0.03)
    nothing = measured(np.zeros(400))
    assert abs(np.mean(nothing.area)) * 1e9 < 20


def test_tail_of_the_artefact_is_noticed():
    """A tail that neither the blanking nor the fit of an exponential removes."""
    epochs, times = oracle.synthetic_epochs(np.random.default_rng(1), amplitudes_uv=np.full(20, 300.0))
    assert measured(np.full(20, 300.0)).tail.mean() < 0.2
    slow = np.where(times >= 0, 400e-6 * np.maximum(0, 1 - times / 0.04), 0.0) * np.where(times < 0.0075, 4, 1)
    spoilt = mep.measure_responses(epochs + slow, times, sfreq=4000.0, settings=settings())
    assert spoilt.tail.mean() > 0.9


def paired_epochs(rng, *, interval_s, amplitude_uv=300.0, conditioning_uv=900.0, n_trial=40, sfreq=4000.0):
    """Pairs of pulses: each has an artefact, and the first a response of its own where there is time for one."""
    start = round((-0.35 - interval_s) * sfreq)
    times = np.arange(start, round(0.2 * sfreq) + 1) / sfreq
    signal = 3 * rng.standard_normal((n_trial, times.size))
    signal += 5 * np.sin(2 * np.pi * 50 * times + rng.uniform(0, 2 * np.pi, (n_trial, 1)))
    for pulse, size in ((-interval_s, conditioning_uv), (0.0, amplitude_uv)):
        after = times - pulse
        signal += np.where(after >= 0, 1500 * np.exp(-np.maximum(after, 0) / 0.002), 0.0)
        signal += size * oracle.biphasic(after) if interval_s > 0.03 or pulse == 0 else 0.0
    return signal[:, None] * 1e-6, times


@pytest.mark.parametrize("interval_s", [0.003, 0.010, 0.015, 0.100, 0.150])
def test_pairs_are_measured_as_single_pulses_are(interval_s):
    """Background before the first pulse, response after the second, hum taken off at the phase of the response."""
    epochs, times = paired_epochs(np.random.default_rng(3), interval_s=interval_s)
    intervals = np.full(len(epochs), interval_s)
    found = mep.measure_responses(epochs, times, sfreq=4000.0, settings=settings(), intervals=intervals)
    assert (found.rejected == mep.KEPT).all()
    assert np.mean(found.p2p_corrected) * 1e6 == pytest.approx(300, rel=0.05)
    assert np.median(found.latency) * 1e3 == pytest.approx(20, abs=1)
    assert found.times[0] == pytest.approx(-0.35)


def test_single_pulses_among_pairs_are_not_changed():
    rng = np.random.default_rng(3)
    epochs, times = paired_epochs(rng, interval_s=0.1, n_trial=10)
    single, _ = paired_epochs(rng, interval_s=0.1, conditioning_uv=0.0, n_trial=10)
    intervals = np.repeat([0.1, 0.0], 10)
    cut, left = mep.without_interval(np.concatenate([epochs, single]), times, intervals=intervals)
    np.testing.assert_array_equal(cut[10:], single[..., times >= left[0] - 1e-9])
    np.testing.assert_array_equal(cut[:10, :, left >= 0], epochs[..., times >= 0])
    before = (times >= left[0] - 0.1 - 1e-9) & (times < -0.1 - 1e-9)
    np.testing.assert_array_equal(cut[:10, :, left < 0], epochs[..., before])


def test_a_trial_that_one_muscle_lacks_leaves_the_silence_of_its_others():
    epochs, times = oracle.contracted_epochs(np.random.default_rng(0), n_trial=30, silence_s=0.06)
    two = np.concatenate([epochs, epochs], axis=1)
    two[4, 0] = np.nan
    choice = settings(windows=[WINDOW, WINDOW], hum=None, background_max=None, background_range=(0.2, 3.0))
    found = mep.measure_responses(two, times, sfreq=4000.0, settings=choice).silent_period
    assert np.isnan(found[4, 0])
    others = np.arange(30) != 4
    assert np.isfinite(found[others, 0]).mean() > 0.9
    np.testing.assert_allclose(found[others, 0], found[others, 1], atol=5e-4)


def test_silence_only_of_contracted_muscles():
    epochs, times = oracle.contracted_epochs(np.random.default_rng(0), n_trial=30, silence_s=0.06)
    contracted = {"background_max": None, "background_range": (0.2, 3.0)}
    found = mep.measure_responses(epochs, times, sfreq=4000.0, settings=settings(hum=None, **contracted))
    assert np.nanmedian(found.silent_period) * 1e3 == pytest.approx(60, abs=3)
    rest = mep.measure_responses(epochs, times, sfreq=4000.0, settings=settings(hum=None, background_max=1.0))
    assert np.isnan(rest.silent_period).all()
    assert set(rest.silent_reason.ravel()) == {"at_rest"}


def test_cross_correlation_finds_the_lagged_copy():
    rng = np.random.default_rng(0)
    first = rng.standard_normal((20, 200))
    copied = np.roll(first, 2, axis=1) + rng.standard_normal((20, 200))
    assert mep.cross_correlation_peak(first, copied, max_lag=3) == pytest.approx(0.7, abs=0.05)
    assert mep.cross_correlation_peak(first, copied, max_lag=1) < 0.1
    assert np.isnan(mep.cross_correlation_peak(first, np.zeros_like(first), max_lag=1))


REAL_WINDOWS_MS = {
    "ID01": (10, 60),
    "ID02": (10, 60),
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
