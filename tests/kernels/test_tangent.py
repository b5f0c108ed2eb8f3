"""The plane of navigated positions: hand-counted, against a direct minimisation, and on a sphere."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.kernels.tangent import tangent_plane


def grid(step=10.0):
    x, y = np.meshgrid(np.arange(-2.0, 3) * step - 40, np.arange(-3.0, 4) * step + 5)
    return np.column_stack([x.ravel(), y.ravel()])


def rotation(degrees, axis):
    angle = np.deg2rad(degrees)
    c, s = np.cos(angle), np.sin(angle)
    return {
        "roll": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "pitch": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
    }[axis]


def test_level_points_stay_where_they_are():
    points = np.column_stack([grid(), np.full(35, 7.0)])
    plane = tangent_plane(points)
    np.testing.assert_allclose(plane.project(points), grid(), atol=1e-12)
    np.testing.assert_allclose(plane.normal, [0, 0, 1], atol=1e-12)
    assert plane.rms == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("degrees", "axis"), [(-35, "roll"), (35, "roll"), (20, "pitch"), (-50, "pitch"), (85, "roll")]
)
def test_tilted_grid_is_laid_flat(degrees, axis):
    """Rotated about the centre of the grid, its distances and the sense of its axes come back."""
    flat = grid() - grid().mean(axis=0)
    points = np.column_stack([flat, np.zeros(35)]) @ rotation(degrees, axis).T
    plane = tangent_plane(points)
    np.testing.assert_allclose(plane.project(points), flat, atol=1e-9)
    assert np.linalg.det(np.vstack([plane.axes, plane.normal])) == pytest.approx(1)


def test_plane_is_that_of_least_squares():
    from scipy.optimize import minimize

    rng = np.random.default_rng(3)
    points = rng.normal(0, [20, 15, 2], (60, 3)) @ rotation(30, "roll").T + [-40, 10, 60]

    def residual(angles):
        a, b = angles
        normal = np.array([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)])
        return (((points - points.mean(axis=0)) @ normal) ** 2).mean()

    best = min(minimize(residual, start, tol=1e-12).fun for start in ((0.3, 0.1), (0.5, 3.0), (1.0, -2.0)))
    assert tangent_plane(points).rms == pytest.approx(np.sqrt(best), rel=1e-5)


def test_a_head_is_round():
    """Sites on a sphere of 85 mm, 30 mm around a point: chords are kept to the cosine of their slope."""
    x, y = np.meshgrid(np.arange(-30.0, 31, 10), np.arange(-30.0, 31, 10))
    points = np.column_stack([x.ravel(), y.ravel(), np.sqrt(85**2 - x.ravel() ** 2 - y.ravel() ** 2)])
    points = points @ rotation(-40, "roll").T
    plane = tangent_plane(points)
    np.testing.assert_allclose(
        plane.project(points), np.column_stack([x.ravel(), y.ravel()]) + plane.project(points.mean(axis=0)), atol=1e-6
    )
    assert 1 < plane.rms < 6


def test_points_that_fix_no_plane():
    single = np.array([[-45.0, 5.0, 80.0]])
    np.testing.assert_allclose(tangent_plane(single).project(single), [[-45, 5]])
    line = np.array([[-40.0, y, 80.0] for y in (0.0, 10, 20)])
    np.testing.assert_allclose(tangent_plane(line).project(line), line[:, :2])
    upright = np.array([[-40.0, 0.0, z] for z in (0.0, 10, 20)])
    flat = tangent_plane(upright).project(upright)
    assert np.linalg.norm(flat[2] - flat[0]) == pytest.approx(20)


def test_forehead_is_seen_from_the_front():
    """A plane that stands across the front axis: right stays right, and up becomes front."""
    points = np.column_stack([grid()[:, 0], np.full(35, 90.0), grid()[:, 1]])
    np.testing.assert_allclose(tangent_plane(points).project(points), grid(), atol=1e-9)
