"""Surfaces of maps without a grid: agreement with scikit-learn and scipy, planted walks, geometry."""

from __future__ import annotations

import numpy as np
import pytest
import scipy

from lbpneuro.kernels import map_surface, motor_map


def walk(seed, *, n_pulse=90, log_sd=0.5, width=12.0):
    """Positions (n_pulse, 2), amplitudes (2, n_pulse) around two hills, and the hills as a function of points."""
    rng = np.random.default_rng(seed)
    coords = rng.uniform(-30, 30, (n_pulse, 2))

    def truth(points):
        return np.stack([400 * np.exp(-((points - [x, 0]) ** 2).sum(axis=1) / (2 * width**2)) for x in (-5, 5)])

    common, own = rng.standard_normal(n_pulse), rng.standard_normal((2, n_pulse))
    size = np.exp(log_sd * np.sqrt(0.5) * (common + own) - log_sd**2 / 2)
    return coords, truth(coords) * size + 6 * rng.standard_normal((2, n_pulse)), truth


def test_lattice_covers_the_hull():
    coords = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points, covered = map_surface.lattice(coords, size=10)
    assert points.shape == (100, 2)
    np.testing.assert_array_equal(covered, points.sum(axis=1) < 10 + 1e-9)
    assert map_surface.cell_area_cm2(coords, size=10) == pytest.approx(0.01)
    rim = map_surface.rim(covered, size=10)
    inner = covered & (points > 1).all(axis=1) & (points.sum(axis=1) < 9.5)
    np.testing.assert_array_equal(rim, covered & ~inner)


def test_outlying_positions():
    distance = np.concatenate([np.linspace(1, 30, 60), [200.0]])
    np.testing.assert_array_equal(np.flatnonzero(map_surface.outlying(distance)), [60])


def test_kernel_agrees_with_scikit_learn():
    kernels = pytest.importorskip("sklearn.gaussian_process.kernels")
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0, 50, (20, 2)), rng.uniform(0, 50, (7, 2))
    expected = kernels.Matern(length_scale=13.0, nu=1.5)(first, second)
    np.testing.assert_allclose(map_surface.matern(first, second, length=13.0), expected, atol=1e-12)


def test_posterior_is_that_of_the_textbook():
    coords, amplitude, _ = walk(0, n_pulse=40)
    surface = map_surface.fit_surface(coords, amplitude[0])
    points = np.array([[0.0, 0.0], [12.0, -7.0]])
    data = surface.prior(coords, coords) + np.diag(surface.noise)
    across = surface.prior(points, coords)
    inverse = np.linalg.inv(data)
    mean = surface.level + across @ inverse @ (surface.working - surface.level)
    covariance = surface.prior(points, points) - across @ inverse @ across.T
    found, sd = surface.mean_and_sd(points)
    np.testing.assert_allclose(found, np.exp(mean), rtol=1e-8)
    np.testing.assert_allclose(sd, np.exp(mean) * np.sqrt(np.diag(covariance)), rtol=1e-5)


def test_draws_have_the_covariance_of_the_posterior():
    coords, amplitude, _ = walk(0, n_pulse=40)
    surfaces = tuple(map_surface.fit_surface(coords, each) for each in amplitude)
    points = np.array([[0.0, 0.0], [12.0, -7.0]])
    draws = map_surface.draw_surfaces(surfaces, points, n_draws=3000, rng=np.random.default_rng(1))
    sd = np.log(draws.plausible).std(axis=0, ddof=1)
    for m, surface in enumerate(surfaces):
        mean, error = surface.mean_and_sd(points)
        np.testing.assert_allclose(draws.fitted[m], mean, rtol=1e-8)
        np.testing.assert_allclose(sd[m], error / mean, rtol=0.12)
    assert draws.around.shape == (3000, map_surface.INNER_DRAWS, 2, 2)


def test_linear_surface_agrees_with_griddata():
    coords, amplitude, _ = walk(1)
    points, covered = map_surface.lattice(coords, size=20)
    found = map_surface.linear_surface(coords, amplitude, points)
    expected = scipy.interpolate.griddata(coords, amplitude[0], points, method="linear")
    np.testing.assert_allclose(found[0], expected)
    np.testing.assert_array_equal(np.isfinite(found[0]), covered)
    doubled = map_surface.linear_surface(
        np.concatenate([coords, coords]), np.concatenate([amplitude, amplitude + 10], axis=1), points
    )
    np.testing.assert_allclose(doubled, found + 5)


def test_resampled_linear_surfaces_scatter_around_the_surface():
    coords, amplitude, _ = walk(2)
    points = np.array([[0.0, 0.0], [5.0, 5.0]])
    draws = map_surface.resample_linear(coords, amplitude, points, n_draws=40, rng=np.random.default_rng(0))
    assert draws.resampled.shape == (40, 2, 2)
    assert (draws.resampled.std(axis=0, ddof=1) > 0).all()
    np.testing.assert_array_equal(draws.maps, map_surface.linear_surface(coords, amplitude, points))


def test_planted_walks_are_recovered():
    """Centre within 1 mm on average; area, volume and overlap within half a standard error, covered."""
    tau, errors = 0.25, {}
    for seed in range(8):
        coords, amplitude, truth = walk(seed)
        points, covered = map_surface.lattice(coords, size=16)
        points, cell = points[covered], map_surface.cell_area_cm2(coords, size=16)
        surfaces = tuple(map_surface.fit_surface(coords, each) for each in amplitude)
        draws = map_surface.draw_surfaces(surfaces, points, n_draws=60, rng=np.random.default_rng(seed))
        functionals = {
            "area": lambda m, cell=cell: motor_map.map_area(m[..., 0, :], tau=tau, cell_cm2=cell),
            "volume": lambda m, cell=cell: cell * motor_map.map_volume(m[..., 0, :], tau=tau),
            "x": lambda m, at=points: motor_map.centre_of_gravity(m[..., 0, :], at, tau=tau)[..., 0],
            "overlap": lambda m: motor_map.overlap_min(m[..., 0, :], m[..., 1, :], tau=tau),
        }
        for name, functional in functionals.items():
            value, error, (low, high) = draws.estimate(functional, bounds=(-np.inf, np.inf))
            planted = float(functional(truth(points)))
            errors.setdefault(name, []).append((value - planted, error, low <= planted <= high))
    for name, found in errors.items():
        deviation, error, covered = np.array(found, dtype=float).T
        assert abs(deviation.mean()) <= 0.5 * error.mean() + 2 * deviation.std() / np.sqrt(8), name
        assert covered.mean() >= 0.75, name
    assert np.abs(np.array(errors["x"])[:, 0]).mean() < 1.0
