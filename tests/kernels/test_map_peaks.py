"""Peaks: hand-drawn maps, a flood oracle, the rates of a single and of a double hill."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.kernels import map_peaks, motor_map
from lbpneuro.kernels.map_peaks import PeakRule
from tests.oracles import neurophysiology as oracle

RULE = PeakRule()
COORDS = np.array([(x, y) for y in range(7) for x in range(6)], dtype=float)
NEAR = motor_map.neighbours(COORDS)


def on_grid(rows):
    values = np.array(rows, dtype=float)
    coords = np.array([(x, y) for y in range(values.shape[0]) for x in range(values.shape[1])], dtype=float)
    return values.ravel(), motor_map.neighbours(coords)


def hill(centre, sigma=1.5, height=1.0):
    return height * np.exp(-((COORDS - centre) ** 2).sum(axis=1) / (2 * sigma**2))


def noisy(rng, means, *, n_map, n_trial, log_sd=0.6):
    deviation = log_sd * rng.standard_normal((n_map, means.size, n_trial)) - log_sd**2 / 2
    return (means[:, None] * np.exp(deviation)).mean(axis=-1)


def test_a_shoulder_is_a_published_peak_but_no_strict_one():
    means, near = on_grid([[10, 10, 10, 10], [10, 100, 80, 10], [10, 10, 10, 10]])
    np.testing.assert_array_equal(np.flatnonzero(map_peaks.published_peaks(means, near, rule=RULE)), [5, 6])
    np.testing.assert_array_equal(np.flatnonzero(map_peaks.strict_peaks(means, near, rule=RULE)), [5])


def test_a_low_peak_counts_nowhere_and_one_in_the_corner_with_the_border():
    means, near = on_grid([[90, 10, 10, 10], [10, 10, 10, 49], [10, 10, 10, 10], [10, 100, 10, 10]])
    for rule in (map_peaks.published_peaks, map_peaks.strict_peaks):
        np.testing.assert_array_equal(np.flatnonzero(rule(means, near, rule=RULE)), [0, 13])
    strict_border = PeakRule(border_lower=False)
    assert not map_peaks.published_peaks(means, near, rule=strict_border).any()


def test_prominence_is_what_must_be_climbed_down():
    means, near = on_grid([[100, 92, 96, 92, 98], [10, 10, 10, 10, 10]])
    shallow, deep = PeakRule(drop=0.03), PeakRule(drop=0.05)
    np.testing.assert_array_equal(np.flatnonzero(map_peaks.strict_peaks(means, near, rule=shallow)), [0, 2, 4])
    np.testing.assert_array_equal(np.flatnonzero(map_peaks.strict_peaks(means, near, rule=deep)), [0, 4])


def test_a_plateau_is_one_peak():
    means, near = on_grid([[0, 0, 0, 0, 0], [0, 9, 9, 9, 0], [0, 9, 0, 9, 0], [0, 0, 0, 0, 0]])
    assert map_peaks.strict_peaks(means, near, rule=RULE).sum() == 1


def test_missing_sites_and_silent_maps():
    means, near = on_grid([[np.nan, 10, 10], [10, 100, 10], [10, 10, np.nan]])
    for rule in (map_peaks.published_peaks, map_peaks.strict_peaks):
        np.testing.assert_array_equal(np.flatnonzero(rule(means, near, rule=RULE)), [4])
        assert not rule(np.zeros(9), near, rule=RULE).any()
        assert not rule(np.full(9, -2.0), near, rule=RULE).any()


@pytest.mark.parametrize("seed", range(10))
def test_strict_peaks_agree_with_a_flood(seed):
    rng = np.random.default_rng(seed)
    maps = rng.gamma(2.0, 100.0, (6, 42))
    found = map_peaks.strict_peaks(maps, NEAR, rule=RULE)
    for one, peaks in zip(maps, found, strict=True):
        assert set(np.flatnonzero(peaks)) == oracle.prominent_peaks_by_flood(one, NEAR, share=0.05, threshold=0.5)


@pytest.mark.parametrize("seed", range(10))
def test_published_peaks_agree_with_a_loop(seed):
    maps = np.random.default_rng(seed).gamma(2.0, 100.0, (6, 42))
    found = map_peaks.published_peaks(maps, NEAR, rule=RULE)
    for one, peaks in zip(maps, found, strict=True):
        assert set(np.flatnonzero(peaks)) == oracle.published_peaks_by_loop(one, NEAR)


def test_counts_of_a_single_hill():
    """Monte Carlo: 2.5 to 2.6 published peaks at five trials, 2.1 at ten; strict 1.28 and 1.09 (all +-0.1)."""
    rng = np.random.default_rng(0)
    for n_trial, published, strict in ((5, 2.55, 1.28), (10, 2.1, 1.09)):
        maps = noisy(rng, hill([2.5, 3.0]), n_map=1500, n_trial=n_trial)
        assert map_peaks.published_peaks(maps, NEAR, rule=RULE).sum(axis=1).mean() == pytest.approx(published, abs=0.1)
        assert map_peaks.strict_peaks(maps, NEAR, rule=RULE).sum(axis=1).mean() == pytest.approx(strict, abs=0.1)


def test_two_hills_have_two_strict_peaks_and_merged_ones_one():
    rng = np.random.default_rng(1)
    two = hill([1, 1], 0.8) + hill([4, 5], 0.8)
    merged = hill([2, 2.5], 1.3) + hill([3, 3.5], 1.3)
    counts = [
        map_peaks.strict_peaks(noisy(rng, means, n_map=600, n_trial=10), NEAR, rule=RULE).sum(axis=1)
        for means in (two, merged)
    ]
    assert (counts[0] == 2).mean() > 0.85
    assert (counts[1] == 1).mean() > 0.85


def test_support_counts_peaks_nearby():
    means, near = on_grid([[10] * 6, [10, 100, 10, 10, 90, 10], [10] * 6])
    peaks = map_peaks.strict_peaks(means, near, rule=RULE)
    again = np.zeros((4, 18), dtype=bool)
    again[:, 7] = True  # at the first peak
    again[0, 11] = again[1, 5] = True  # beside the second
    again[2, 8] = True  # two cells from the second
    support = map_peaks.peak_support(peaks, again, near)
    assert support[[7, 10]].tolist() == [1.0, 0.5]
    assert support.sum() == 1.5
