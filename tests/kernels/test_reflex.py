"""The withdrawal reflex: hand-counted scores, one sampling rate for all, staircases and trains."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.kernels import reflex

TIMES = np.arange(-300, 400) / 1000.0
WINDOW, BASELINE = (0.090, 0.150), (-0.065, -0.005)


def scores(epochs, **more):
    return reflex.interval_scores(epochs, TIMES, window=WINDOW, baseline=BASELINE, early=0.04, **more)


def by_loop(trace):
    """Mean and SD of the rectified baseline, then the three scores, one number at a time; d with its bias."""
    quiet = [v for v, t in zip(trace, TIMES, strict=True) if -0.0650001 <= t <= -0.0049999]
    level = sum(quiet) / len(quiet)
    before = [abs(v - level) for v in quiet]
    after = [abs(v - level) for v, t in zip(trace, TIMES, strict=True) if 0.0899999 <= t <= 0.1500001]
    mean, late = sum(before) / len(before), sum(after) / len(after)
    variances = [sum((v - m) ** 2 for v in part) / (len(part) - 1) for part, m in ((before, mean), (after, late))]
    sd = variances[0] ** 0.5
    return (max(after) - mean) / sd, (late - mean) / sd, (late - mean) / (sum(variances) / 2) ** 0.5


@pytest.mark.parametrize("seed", range(10))
def test_scores_agree_with_loops(seed):
    rng = np.random.default_rng(seed)
    epochs = rng.standard_normal((3, TIMES.size)) * 2e-6
    epochs[1] += 30e-6 * np.sin(400 * TIMES) * ((TIMES > 0.1) & (TIMES < 0.14))
    found = scores(epochs)
    for trial in range(3):
        peak, mean, size = by_loop(epochs[trial])
        np.testing.assert_allclose((found.peak_z[trial], found.interval_z[trial]), (peak, mean), rtol=1e-9)
        assert found.magnitude[trial] == pytest.approx(size, rel=0.06, abs=0.03)
    assert found.onset[1] == pytest.approx(0.1, abs=0.006)
    assert np.isnan(found.onset[0])
    epochs[1] += 30e-6 * np.sin(400 * TIMES) * ((TIMES > -0.2) & (TIMES < -0.1))
    assert scores(epochs).onset[1] == found.onset[1]  # what was before the stimulus is no response


def moments_by_loop(values, alike):
    """What the bias is made of, one sum after the other."""
    n = len(values)
    share = (1 + 2 * sum((1 - (k + 1) / n) * rho for k, rho in enumerate(alike))) / n
    mean, square, cube, fourth = (sum(v**p for v in values) / n for p in (1, 2, 3, 4))
    variance = sum((v - mean) ** 2 for v in values) / (n - 1)
    of_mean = (1 - 2 / np.pi) * square * share
    of_variance = share * (2 / 3 * fourth - 2 * mean * cube) + 4 * mean**2 * of_mean
    return mean, variance, of_variance, share * cube / 2 - 2 * mean * of_mean, variance / n - of_mean


def test_bias_agrees_with_loops():
    rng = np.random.default_rng(4)
    after, before = np.abs(rng.standard_normal((3, 41))) * 7e-6, np.abs(rng.standard_normal((3, 31))) * 2e-6
    alike = np.array([0.5, 0.2, 0.05])
    found = reflex.without_small_sample_bias(after, before, alike=alike)
    for trial in range(3):
        (a, va, vva, ca, oa), (b, vb, vvb, cb, ob) = (moments_by_loop(x[trial], alike) for x in (after, before))
        v = (va + vb) / 2
        size, covariance, variance, offset = (a - b) / v**0.5, (ca - cb) / 2, (vva + vvb) / 4, (oa + ob) / 2
        bias = 3 / 8 * variance / v**2 - covariance / (2 * (a - b) * v) - offset / (2 * v)
        assert found[trial] == pytest.approx(size * (1 - bias), rel=1e-9)
    assert np.isnan(reflex.without_small_sample_bias(np.ones((1, 9)), np.ones((1, 9)), alike=alike)).all()


def test_autocorrelation_of_moving_averages():
    """Means of three samples next to each other: correlations of 2/3 and 1/3, then none; a flat trial is left out."""
    rng = np.random.default_rng(5)
    quiet = np.lib.stride_tricks.sliding_window_view(rng.standard_normal((3000, 63)), 3, axis=-1).mean(axis=-1)
    quiet[0] = 1.0
    found = reflex.squared_correlation(quiet)
    assert found.shape == (19,)
    np.testing.assert_allclose(found, [4 / 9, 1 / 9, *[0.0] * 17], atol=0.05)


@pytest.mark.parametrize("strength", [6.0, 15.0])
def test_size_is_that_of_endless_windows(strength):
    """Bursts of muscle activity: plain d of single windows is 1 to 4 % too large, here it is by less than 1 %."""
    rng = np.random.default_rng(6)
    hertz = np.fft.rfftfreq(TIMES.size, 0.001)
    gain = (hertz / 60) ** 2 / (1 + (hertz / 60) ** 2) / np.hypot(1, (hertz / 160) ** 2)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal((2, 4000, TIMES.size))) * gain, TIMES.size)
    noise /= noise.std()
    envelope = strength * np.sin(np.pi * np.clip((TIMES - 0.095) / 0.05, 0, 1)) ** 2
    found = scores((noise[0] + envelope * noise[1]) * 1e-6)
    sd = np.sqrt(1 + envelope**2)[(TIMES > 0.0895) & (TIMES < 0.1505)]
    level = np.sqrt(2 / np.pi)
    variances = np.mean(sd**2) - (level * sd.mean()) ** 2, 1 - level**2
    truth = level * (sd.mean() - 1) / np.sqrt(np.mean(variances))
    plain = [by_loop(trace)[2] for trace in (noise[0] + envelope * noise[1])[:800]]
    assert 1.01 < np.mean(plain) / truth < 1.05
    assert found.magnitude.mean() / truth == pytest.approx(1, abs=0.01)


def test_flat_baseline_has_no_score():
    found = scores(np.zeros((1, TIMES.size)))
    assert np.isnan([found.peak_z[0], found.interval_z[0], found.magnitude[0], found.onset[0]]).all()


def test_peak_does_not_depend_on_the_sampling_rate():
    rng = np.random.default_rng(3)
    fine = np.arange(-1200, 1600) / 4000.0
    noise = rng.standard_normal((200, fine.size))
    means = []
    for step in (1, 4):
        epochs, times = noise[:, ::step] if step == 1 else noise, fine
        out, at = reflex.at_one_kilohertz(epochs, times)
        means.append(np.mean(reflex.interval_scores(out, at, window=WINDOW, baseline=BASELINE, early=0.04).peak_z))
        assert at[1] - at[0] == pytest.approx(0.001)
    kept, same = reflex.at_one_kilohertz(noise[:, ::4], fine[::4])
    direct = np.mean(reflex.interval_scores(kept, same, window=WINDOW, baseline=BASELINE, early=0.04).peak_z)
    assert means[0] == pytest.approx(direct, rel=0.05)
    raw = np.mean(reflex.interval_scores(noise, fine, window=WINDOW, baseline=BASELINE, early=0.04).peak_z)
    assert raw > 1.1 * direct


def test_staircase_by_hand():
    """Up to 8 answered, down to 6 not, up to 8, down to 4 not: turns at 8, 6, 8, 4."""
    intensity = [2, 4, 6, 8, 6, 8, 6, 4, 6]
    answered = [0, 0, 0, 1, 0, 1, 1, 0, 0]
    value, se, n = reflex.staircase_threshold(intensity, answered)
    assert (value, n) == (6.5, 4)
    assert se == pytest.approx(np.std([8, 6, 8, 4], ddof=1) / 2)
    assert np.isnan(reflex.staircase_threshold([1.0, 2.0], [0, 1])[0])
    assert np.isnan(reflex.staircase_threshold([1.0, 2.0, 1.0], [0, 1, 0])[1])
    with pytest.raises(InputError, match="shape"):
        reflex.staircase_threshold([1.0], [0, 1])


def test_slope_agrees_with_scipy():
    from scipy import stats

    rng = np.random.default_rng(1)
    x = np.tile(np.arange(1.0, 6), 4)
    y = 0.5 * x + rng.standard_normal(20)
    expected = stats.linregress(x, y)
    found = reflex.train_slope(np.append(x, np.nan), np.append(y, 3.0))
    np.testing.assert_allclose(found, (expected.slope, expected.stderr, 20))
    assert np.isnan(reflex.train_slope([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])[0])
