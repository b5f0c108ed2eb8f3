"""Motor maps: hand-counted vectors, loop oracles, recovery of planted maps, invariants."""

from __future__ import annotations

import time

import numpy as np
import pytest
import scipy

from lbpneuro.kernels import map_fit, motor_map
from tests.oracles import neurophysiology as oracle

MAP_A = np.array([[0, 10, 20, 5], [10, 60, 100, 30], [5, 40, 80, 20], [0, 10, 15, 0]], dtype=float)
MAP_B = np.array([[0, 5, 10, 5], [5, 20, 40, 30], [10, 50, 100, 60], [5, 20, 40, 20]], dtype=float)
ROWS_FROM_TOP = np.array([3.0, 2.0, 1.0, 0.0])
COORDS = np.array([(x, y) for y in ROWS_FROM_TOP for x in range(4)], dtype=float)


@pytest.mark.parametrize(
    ("grid", "tau", "area", "volume", "centre"),
    [
        (MAP_A, 0.25, 5, 3.10, (1.7742, 1.6129)),
        (MAP_A, 0.10, 11, 3.95, (1.7722, 1.5949)),
        (MAP_A, 0.0, 13, 4.05, (1.7654, 1.6049)),
        (MAP_B, 0.25, 6, 3.20, (2.1250, 1.0938)),
        (MAP_B, 0.10, 11, 4.00, (2.0000, 1.0750)),
        (MAP_B, 0.0, 15, 4.20, (1.9524, 1.1190)),
    ],
)
def test_functionals_of_the_hand_counted_maps(grid, tau, area, volume, centre):
    means = grid.ravel()
    assert motor_map.map_area(means, tau=tau, cell_cm2=1.0) == area
    assert motor_map.map_volume(means, tau=tau) == pytest.approx(volume, abs=1e-12)
    np.testing.assert_allclose(motor_map.centre_of_gravity(means, COORDS, tau=tau), centre, atol=5e-5)


@pytest.mark.parametrize(("tau", "overlap"), [(0.0, 0.6936), (0.25, 0.6058)])
def test_overlap_of_the_hand_counted_maps(tau, overlap):
    value = motor_map.overlap_min(MAP_A.ravel(), MAP_B.ravel(), tau=tau)
    assert value == pytest.approx(overlap, abs=5e-5)
    assert motor_map.overlap_min(MAP_B.ravel(), MAP_A.ravel(), tau=tau) == value


def test_other_overlaps_of_the_hand_counted_maps():
    a, b = MAP_A.ravel(), MAP_B.ravel()
    for tau, coefficient, dice in ((0.0, 0.9109, 0.9286), (0.25, 0.7220, 0.7273)):
        assert motor_map.overlap_bhattacharyya(a, b, tau=tau) == pytest.approx(coefficient, abs=5e-5)
        assert motor_map.overlap_dice(a, b, tau=tau) == pytest.approx(dice, abs=5e-5)
    assert motor_map.overlap_share(a, b, tau=0.25) == 4 / 5
    assert motor_map.overlap_share(b, a, tau=0.25) == 4 / 6
    assert np.isnan(motor_map.overlap_share(a, 0 * a, tau=0.25))


def test_shape_and_distance_of_the_hand_counted_maps():
    a, b = MAP_A.ravel(), MAP_B.ravel()
    assert motor_map.map_entropy(a) == pytest.approx(2.1719, abs=5e-5)
    assert motor_map.effective_sites(a) == pytest.approx(6.870, abs=5e-4)
    apart = motor_map.centre_of_gravity(a, COORDS, tau=0.25) - motor_map.centre_of_gravity(b, COORDS, tau=0.25)
    assert np.linalg.norm(apart) == pytest.approx(0.6266, abs=5e-5)
    assert motor_map.map_area_above(a, threshold=30.0, cell_cm2=0.5) == 2.5
    assert motor_map.map_volume_absolute(a, cell_cm2=0.5) == 0.5 * MAP_A.sum()


@pytest.mark.parametrize("seed", range(5))
def test_shape_agrees_with_scipy_and_numpy(seed):
    rng = np.random.default_rng(seed)
    means, other, coords = rng.gamma(0.6, 100.0, 30), rng.gamma(0.6, 100.0, 30), rng.uniform(-50, 50, (30, 2))
    assert motor_map.map_entropy(means) == pytest.approx(scipy.stats.entropy(means))
    covariance = np.cov(coords.T, aweights=means, ddof=0)
    assert motor_map.map_spread(means, coords) == pytest.approx(np.sqrt(np.trace(covariance)))
    hellinger = np.linalg.norm(np.sqrt(means / means.sum()) - np.sqrt(other / other.sum())) / np.sqrt(2)
    assert motor_map.overlap_bhattacharyya(means, other, tau=0.0) == pytest.approx(1 - hellinger**2)
    active = [motor_map.active_map(each, tau=0.3) > 0 for each in (means, other)]
    dissimilarity = scipy.spatial.distance.dice(*active)
    assert motor_map.overlap_dice(means, other, tau=0.3) == pytest.approx(1 - dissimilarity)


def test_equal_sites_are_worth_their_number():
    means = np.array([5.0, 5.0, 5.0, 5.0, np.nan, -3.0])
    assert motor_map.effective_sites(means) == pytest.approx(4)
    assert motor_map.map_entropy(means) == pytest.approx(np.log(4))


def test_missing_sites_are_filled_by_the_plane_through_their_neighbours():
    plane = COORDS @ [3.0, -2.0] + 7.0
    present = np.ones(16, dtype=bool)
    present[[5, 0]] = False  # inside, and at a corner
    weights, kept = motor_map.imputation(COORDS, present)
    np.testing.assert_array_equal(np.flatnonzero(~kept), [0])
    np.testing.assert_allclose(weights @ plane[present], plane[kept])
    np.testing.assert_array_equal((weights @ np.arange(14.0))[kept[1:5].sum() + 1 :], np.arange(4.0, 14.0))
    nothing, same = motor_map.imputation(COORDS, present, neighbours_min=9)
    np.testing.assert_array_equal(nothing, np.eye(14))
    np.testing.assert_array_equal(same, present)


def test_a_turned_grid_has_the_same_neighbours():
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    near = motor_map.neighbours(COORDS)
    np.testing.assert_array_equal(motor_map.neighbours(COORDS @ turn * 7.63), near)
    assert sorted(near.sum(axis=1)) == [3] * 4 + [5] * 8 + [8] * 4


def test_asymmetry_of_the_hemispheres():
    value, error = motor_map.asymmetry((12.0, 1.0), (8.0, 2.0))
    assert value == pytest.approx(0.2)
    draws = np.random.default_rng(1).normal([12, 8], [1, 2], (200_000, 2))
    assert error == pytest.approx(np.std((draws[:, 0] - draws[:, 1]) / draws.sum(axis=1)), rel=0.05)
    assert np.isnan(motor_map.asymmetry((0.0, 1.0), (0.0, 1.0))).all()


@pytest.mark.parametrize("true_mm", [0.0, 2.0, 5.0, 10.0, 20.0])
def test_debiased_distance_is_unbiased_and_covered(true_mm):
    """Of normal errors of 1.4 and 0.8 mm on the axes: the square is unbiased, the interval holds the truth."""
    rng = np.random.default_rng(3)
    spread = np.array([1.4, 0.8])
    direction = np.array([0.6, 0.8])
    found = []
    for _ in range(800):
        vector = true_mm * direction + spread * rng.standard_normal(2)
        value, error, (low, high) = motor_map.debiased_length(vector, spread * rng.standard_normal((400, 2)))
        assert low <= value <= high
        found.append((np.sign(value) * value**2, error, low <= true_mm <= high, np.linalg.norm(vector), value))
    square, _, covered, raw, value = np.array(found, dtype=float).T
    assert square.mean() == pytest.approx(true_mm**2, abs=3 * square.std() / np.sqrt(800))
    assert covered.mean() >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 800)
    assert abs(value.mean() - true_mm) < 0.8
    assert true_mm > 0 or raw.mean() > 1.0


@pytest.mark.parametrize("seed", range(20))
def test_functionals_agree_with_loops(seed):
    rng = np.random.default_rng(seed)
    maps = rng.gamma(0.5, 100.0, (2, 3, 30)) - 20
    maps[rng.random(maps.shape) < 0.1] = np.nan
    coords = rng.uniform(-50, 50, (30, 2))
    for a, b in zip(*maps, strict=True):
        tau = rng.uniform(0, 0.6)
        assert motor_map.map_area(a, tau=tau, cell_cm2=0.8) == pytest.approx(oracle.area_by_loop(a, tau, 0.8))
        assert motor_map.map_volume(a, tau=tau) == pytest.approx(oracle.volume_by_loop(a, tau))
        np.testing.assert_allclose(
            motor_map.centre_of_gravity(a, coords, tau=tau), oracle.centre_by_loop(a, coords, tau)
        )
        assert motor_map.overlap_min(a, b, tau=tau) == pytest.approx(oracle.overlap_by_loop(a, b, tau))


def test_leading_axes_are_free():
    stacked = np.stack([MAP_A.ravel(), MAP_B.ravel()])
    areas = motor_map.map_area(np.stack([stacked, stacked[::-1]]), tau=0.25, cell_cm2=2.0)
    np.testing.assert_array_equal(areas, [[10, 12], [12, 10]])
    assert areas.dtype == np.float64


def test_map_without_response_has_no_value():
    silent = np.array([0.0, -3.0, 0.0, np.nan])
    coords = np.zeros((4, 2))
    assert motor_map.map_area(silent, tau=0.25, cell_cm2=1.0) == 0
    assert np.isnan(motor_map.map_volume(silent, tau=0.25))
    assert np.isnan(motor_map.centre_of_gravity(silent, coords, tau=0.25)).all()
    assert np.isnan(motor_map.overlap_min(silent, np.ones(4), tau=0.25))
    assert np.isnan(motor_map.share_of_maximum(silent)).all()


def test_missing_site_changes_nothing_else():
    means = MAP_A.ravel().copy()
    without = np.delete(means, 3)
    means[3] = np.nan
    assert motor_map.map_volume(means, tau=0.1) == motor_map.map_volume(without, tau=0.1)
    np.testing.assert_array_equal(
        motor_map.centre_of_gravity(means, COORDS, tau=0.1),
        motor_map.centre_of_gravity(without, np.delete(COORDS, 3, axis=0), tau=0.1),
    )


def test_negative_means_are_inactive():
    means = np.array([-50.0, 10.0, 100.0])
    np.testing.assert_array_equal(motor_map.active_map(means, tau=0.0), [0.0, 10.0, 100.0])


def test_border_and_spacing_of_a_grid():
    border = motor_map.border_sites(COORDS * 7.63).reshape(4, 4)
    assert not border[1:3, 1:3].any()
    assert border.sum() == 12
    assert motor_map.grid_spacing(COORDS * 7.63) == pytest.approx(7.63)


def test_site_means_need_trials():
    trials = np.array([[1.0, 3.0, np.nan], [5.0, np.nan, np.nan], [np.nan] * 3])
    np.testing.assert_array_equal(motor_map.site_means(trials, min_trials=2), [2.0, np.nan, np.nan])


def test_trial_noise_finds_both_parts():
    rng = np.random.default_rng(3)
    mean = np.geomspace(1, 1000, 300)[:, None]
    trials = mean + rng.standard_normal((300, 40)) * np.sqrt(15.0**2 + (0.4 * mean) ** 2)
    additive, relative = map_fit.trial_noise(trials)
    assert np.sqrt(additive) == pytest.approx(15, rel=0.1)
    assert np.sqrt(relative) == pytest.approx(0.4, rel=0.05)


def test_trial_noise_is_unbiased_with_few_trials():
    rng = np.random.default_rng(3)
    mean = np.geomspace(10, 1000, 3000)[:, None]
    trials = mean * (1 + 0.3 * rng.standard_normal((3000, 3)))
    assert map_fit.trial_noise(trials)[1] == pytest.approx(0.09, rel=0.12)


def test_joint_map_has_the_noise_and_the_posterior_of_the_textbook():
    coords, means = oracle.planted_maps(np.random.default_rng(5))
    trials = oracle.planted_trials(np.random.default_rng(6), means, n_trial=6, log_sd=0.5)
    fits = []
    for muscle in trials:
        additive, relative = map_fit.trial_noise(muscle)
        noise = {"additive": np.full(42, additive / 6), "relative": np.full(42, relative / 6)}
        fits.append(map_fit.fit_map(muscle.mean(axis=-1), coords, **noise))
    joint = map_fit.fit_trials(trials, coords)
    noise = joint.noise_root @ joint.noise_root.T
    r = map_fit.residual_correlation(trials)[0, 1]
    assert r == pytest.approx(0.5, abs=0.2)
    np.testing.assert_allclose(np.diag(noise), np.concatenate([fit.noise for fit in fits]))
    np.testing.assert_allclose(np.diag(noise[:42, 42:]), r * np.sqrt(fits[0].noise * fits[1].noise))
    prior = np.zeros((84, 84))
    prior[:42, :42], prior[42:, 42:] = fits[0].prior, fits[1].prior
    posterior = prior - prior @ np.linalg.inv(prior + noise) @ prior
    np.testing.assert_allclose(joint.spread @ joint.spread.T, posterior, atol=1e-6)
    apart = np.diag(np.diag(noise))
    np.testing.assert_allclose(joint.gain, prior @ np.linalg.inv(prior + apart), atol=1e-6)


def test_residual_correlation_is_that_of_the_pulses():
    rng = np.random.default_rng(4)
    means = np.full((2, 200), 100.0)
    trials = oracle.planted_trials(rng, means, n_trial=20, log_sd=0.3, shared=0.7, noise=0.0)
    assert map_fit.residual_correlation(trials)[0, 1] == pytest.approx(0.7, abs=0.05)


def test_fit_returns_the_map_where_there_is_no_noise():
    coords, means = oracle.planted_maps(np.random.default_rng(2))
    fit = map_fit.fit_map(means[0], coords, additive=np.full(42, 1e-4), relative=np.full(42, 1e-6))
    np.testing.assert_allclose(np.exp(fit.log_map)[means[0] > 10], means[0][means[0] > 10], rtol=0.01)


def test_fit_survives_silent_sites():
    """Four fifths of the sites of a resting hand map are exactly 0 in published tables."""
    coords, means = oracle.planted_maps(np.random.default_rng(2))
    trials = oracle.planted_trials(np.random.default_rng(1), means, n_trial=10, log_sd=0.6, noise=0.0)
    trials[trials < 50] = 0.0
    joint = map_fit.fit_trials(trials, coords)
    assert np.isfinite(joint.log_map).all()
    fitted = np.exp(joint.log_map)
    assert np.corrcoef(fitted.ravel(), means.ravel())[0, 1] > 0.95


def _bootstrap(seed, *, n_trial=5, log_sd=0.6, n_draws=300):
    rng = np.random.default_rng(seed)
    coords, means = oracle.planted_maps(rng)
    trials = oracle.planted_trials(rng, means, n_trial=n_trial, log_sd=log_sd)
    joint = map_fit.fit_trials(trials, coords)
    return coords, means, map_fit.draw_maps(joint, n_draws=n_draws, rng=rng)


def _functionals(coords, tau=0.25):
    return {
        "overlap_min": lambda maps: motor_map.overlap_min(maps[..., 0, :], maps[..., 1, :], tau=tau),
        "map_area": lambda maps: motor_map.map_area(maps[..., 0, :], tau=tau, cell_cm2=1.0),
        "map_volume": lambda maps: motor_map.map_volume(maps[..., 0, :], tau=tau),
        "cog_x": lambda maps: motor_map.centre_of_gravity(maps[..., 0, :], coords, tau=tau)[..., 0],
        "cog_y": lambda maps: motor_map.centre_of_gravity(maps[..., 0, :], coords, tau=tau)[..., 1],
    }


@pytest.mark.parametrize("seed", range(5))
def test_calibration_agrees_with_loops(seed):
    coords, _, draws = _bootstrap(seed, n_draws=15)
    for functional in _functionals(coords).values():
        value, error, interval = draws.estimate(functional, bounds=(-np.inf, np.inf))
        expected = oracle.calibrated_by_loop(functional, draws)
        assert (value, error) == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(interval, [value - 1.959964 * error, value + 1.959964 * error])


def test_interval_stays_within_bounds():
    coords, _, draws = _bootstrap(0, n_draws=50)
    value, _, interval = draws.estimate(_functionals(coords)["overlap_min"], bounds=(0.6, 0.61))
    assert 0.6 <= interval[0] <= value <= interval[1] <= 0.61


BINOMIAL_ERROR = np.sqrt(0.95 * 0.05 / 150)


@pytest.mark.slow
@pytest.mark.parametrize(("n_trial", "log_sd"), [(5, 0.6), (10, 0.9)])
def test_planted_maps_are_recovered(n_trial, log_sd):
    """Bias within a quarter of the standard error, 95 % intervals that cover 90-98 %, over 150 planted maps."""
    errors: dict[str, list[tuple[float, float, bool]]] = {}
    for seed in range(150):
        coords, means, draws = _bootstrap(1000 + seed, n_trial=n_trial, log_sd=log_sd, n_draws=200)
        for name, functional in _functionals(coords).items():
            bounds = (0.0, 1.0) if name == "overlap_min" else (-np.inf, np.inf)
            value, error, (low, high) = draws.estimate(functional, bounds=bounds)
            truth = float(functional(means))
            errors.setdefault(name, []).append((value - truth, error, low <= truth <= high))
    for name, found in errors.items():
        deviation, error, covered = np.array(found, dtype=float).T
        assert abs(deviation.mean()) <= error.mean() / 4, name
        assert 0.90 - BINOMIAL_ERROR <= covered.mean() <= 0.98 + BINOMIAL_ERROR, (name, covered.mean())


@pytest.mark.slow
def test_plain_functionals_of_noisy_means_are_biased():
    """Why a smooth map is fitted at all: the plain overlap of five trials per site is too small by an SE or more."""
    deviations = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        coords, means = oracle.planted_maps(rng)
        trials = oracle.planted_trials(rng, means, n_trial=5, log_sd=0.6)
        overlap = _functionals(coords)["overlap_min"]
        deviations.append(overlap(trials.mean(axis=-1)) - overlap(means))
    assert np.mean(deviations) < -0.03


def test_a_thousand_draws_take_well_below_a_second():
    rng = np.random.default_rng(0)
    coords, means = oracle.planted_maps(rng)
    trials = oracle.planted_trials(rng, means, n_trial=10, log_sd=0.6)
    start = time.perf_counter()
    draws = map_fit.draw_maps(map_fit.fit_trials(trials, coords), n_draws=1000, rng=rng)
    for functional in _functionals(coords).values():
        draws.estimate(functional, bounds=(-np.inf, np.inf))
    assert time.perf_counter() - start < 2.0


def test_inputs_are_not_changed():
    rng = np.random.default_rng(8)
    coords, means = oracle.planted_maps(rng)
    trials = oracle.planted_trials(rng, means, n_trial=5, log_sd=0.6)
    trials[0, 3, 1] = trials[1, 3, 1] = np.nan
    for array in (coords, means, trials):
        array.setflags(write=False)
    once, twice = (map_fit.fit_trials(trials, coords).log_map for _ in range(2))
    np.testing.assert_array_equal(once, twice)
    for functional in _functionals(coords).values():
        functional(means)


def test_scale_of_the_amplitudes_does_not_matter():
    rng = np.random.default_rng(8)
    coords, means = oracle.planted_maps(rng)
    trials = oracle.planted_trials(rng, means, n_trial=5, log_sd=0.6)
    one, other = (map_fit.fit_trials(scale * trials, coords).log_map for scale in (1.0, 1e3))
    np.testing.assert_allclose(one + np.log(1e3), other, atol=1e-6)


def test_mirrored_positions_give_mirrored_maps():
    rng = np.random.default_rng(9)
    coords, means = oracle.planted_maps(rng)
    trials = oracle.planted_trials(rng, means, n_trial=5, log_sd=0.6)
    one = map_fit.fit_trials(trials, coords).log_map
    other = map_fit.fit_trials(trials, coords * [-1, 1]).log_map
    np.testing.assert_allclose(one, other, atol=1e-8)
