"""Resampled maps: the same as a loop, unequal numbers of trials, the same pulses for both muscles."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.kernels import map_bootstrap, motor_map
from tests.oracles import neurophysiology as oracle


def trials(seed=0, *, n_trial=5, missing=0.1):
    rng = np.random.default_rng(seed)
    coords, means = oracle.planted_maps(rng)
    found = oracle.planted_trials(rng, means, n_trial=n_trial, log_sd=0.6)
    found[:, rng.random(found.shape[1:]) < missing] = np.nan
    return coords, found


def test_agrees_with_a_loop_on_the_same_random_numbers():
    _, amplitude = trials()
    found = map_bootstrap.resample_means(amplitude, n_draws=7, rng=np.random.default_rng(3))
    expected = oracle.resampled_means_by_loop(amplitude, n_draws=7, rng=np.random.default_rng(3))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_standard_error_is_that_of_a_mean():
    _, amplitude = trials(n_trial=8, missing=0.0)
    again = map_bootstrap.resample_means(amplitude, n_draws=4000, rng=np.random.default_rng(1))
    plugin = amplitude.std(axis=-1, ddof=0) / np.sqrt(8)
    np.testing.assert_allclose(again.std(axis=0, ddof=1), plugin, rtol=0.08)
    np.testing.assert_allclose(again.mean(axis=0), amplitude.mean(axis=-1), atol=4 * plugin.max() / np.sqrt(4000))


def test_both_muscles_have_the_same_pulses():
    amplitude = np.arange(60.0).reshape(1, 10, 6) + np.array([0.0, 1000.0])[:, None, None]
    again = map_bootstrap.resample_means(amplitude, n_draws=50, rng=np.random.default_rng(0))
    np.testing.assert_allclose(again[:, 1] - again[:, 0], 1000.0)


def test_muscles_of_different_runs_are_drawn_apart():
    amplitude = np.full((2, 3, 4), np.nan)
    amplitude[0, :, :2], amplitude[1, :, 2:] = [[1.0, 3.0]] * 3, [[1.0, 3.0]] * 3
    again = map_bootstrap.resample_means(amplitude, n_draws=400, rng=np.random.default_rng(0))
    assert np.isfinite(again).all()
    assert abs(np.corrcoef(again[:, 0, 0], again[:, 1, 0])[0, 1]) < 0.2


def test_a_plain_estimate_is_the_functional_of_the_means():
    coords, amplitude = trials()
    means = motor_map.site_means(amplitude, min_trials=1)
    again = map_bootstrap.resample_means(amplitude, n_draws=500, rng=np.random.default_rng(1))
    draws = map_bootstrap.ResampledMaps(maps=means, resampled=again)
    value, error, (low, high) = draws.estimate(
        lambda maps: motor_map.map_volume(maps[..., 0, :], tau=0.25), bounds=(0.0, 42.0)
    )
    assert value == motor_map.map_volume(means[0], tau=0.25)
    each = [motor_map.map_volume(one[0], tau=0.25) for one in again]
    assert error == pytest.approx(np.std(each, ddof=1))
    assert low <= np.percentile(each, 2.5)
    assert high >= np.percentile(each, 97.5)
    assert low <= value <= high
    centre, errors = draws.corrected(lambda maps: motor_map.centre_of_gravity(maps[..., 0, :], coords, tau=0.25))
    assert (centre.shape, errors.shape) == ((2,), (500, 2))


def test_shuffled_maps_overlap_by_chance():
    coords, _ = trials()
    a = np.exp(-((coords - [-50, -20]) ** 2).sum(axis=1) / 200)
    b = np.exp(-((coords - [-20, 20]) ** 2).sum(axis=1) / 200)
    null = map_bootstrap.shuffled_overlap(np.stack([a, b]), tau=0.25, n_draws=400, rng=np.random.default_rng(0))
    apart, same = motor_map.overlap_min(a, b, tau=0.25), motor_map.overlap_min(a, a, tau=0.25)
    assert apart <= np.median(null) < same
    rng = np.random.default_rng(1)
    by_loop = [motor_map.overlap_min(a, rng.permutation(b), tau=0.25) for _ in range(400)]
    assert null.mean() == pytest.approx(np.mean(by_loop), abs=4 * np.std(by_loop) / 20)
