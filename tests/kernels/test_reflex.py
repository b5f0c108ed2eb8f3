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
    """Mean and SD of the rectified baseline, then the three scores, one number at a time."""
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
        expected = by_loop(epochs[trial])
        np.testing.assert_allclose(
            (found.peak_z[trial], found.interval_z[trial], found.magnitude[trial]), expected, rtol=1e-9
        )
    assert found.onset[1] == pytest.approx(0.1, abs=0.006)
    assert np.isnan(found.onset[0])


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
