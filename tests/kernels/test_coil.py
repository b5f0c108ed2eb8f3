"""Angles of the coil to the usual ones: by hand, on a round head, and which are out of the way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.kernels import coil

CENTRE, RADIUS = np.array([0.0, -18.0, 12.0]), 85.0


def walk(rng, n=80):
    """Places on a round head over 6 x 6 cm, and the normals of a coil that lies flat on it."""
    x, y = rng.uniform(-60, 0, n), rng.uniform(-30, 30, n)
    places = np.column_stack([x, y, np.sqrt(RADIUS**2 - x**2 - (y + 18) ** 2) + 12])
    normals = (CENTRE - places) / RADIUS
    return places, normals


def tilted(normals, which, degrees):
    """The normals with some turned about an axis across them."""
    turned = normals.copy()
    for row in which:
        across = np.cross(normals[row], [0.0, 0.0, 1.0])
        across /= np.linalg.norm(across)
        angle = math.radians(degrees)
        turned[row] = math.cos(angle) * normals[row] + math.sin(angle) * np.cross(across, normals[row])
    return turned


def test_one_place_by_hand():
    """Nine axes along z and one across: the others of it are all along z; of the nine they are (1, 0, 8) / 9."""
    axes = np.array([[0.0, 0, 2]] * 9 + [[3.0, 0, 0]])
    found = coil.deviations(axes, np.full((10, 3), 5.0))
    np.testing.assert_allclose(found, [math.degrees(math.atan2(1, 8))] * 9 + [90])


def test_agrees_with_a_regression_without_the_pulse():
    rng = np.random.default_rng(4)
    places = np.column_stack([rng.uniform(-30, 30, (40, 2)), np.zeros(40)])
    axes = np.array([0.0, 0.0, -1.0]) + 0.05 * rng.standard_normal((40, 3)) + 0.01 * places[:, [1, 0, 2]]
    unit = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    design = np.column_stack([np.ones(40), places[:, :2]])
    expected = []
    for row in range(40):
        x, y = np.delete(design, row, axis=0), np.delete(unit, row, axis=0)
        usual = design[row] @ np.linalg.solve(x.T @ x, x.T @ y)
        expected.append(math.degrees(math.acos(unit[row] @ usual / np.linalg.norm(usual))))
    np.testing.assert_allclose(coil.deviations(axes, places), expected, rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_flat_coil_on_a_round_head_deviates_little_and_tilts_are_found(seed):
    rng = np.random.default_rng(seed)
    places, normals = walk(rng)
    jitter = normals + math.radians(2) * rng.standard_normal(normals.shape)
    assert coil.deviations(normals, places).max() < 6
    found = coil.deviations(tilted(jitter, [3, 40], 25), places)
    assert set(np.flatnonzero(coil.outlying(found, sd=3.5, least=5))) == {3, 40}
    np.testing.assert_allclose(found[[3, 40]], 25, atol=6)


def test_false_alarms_are_rare():
    rng = np.random.default_rng(9)
    shares = []
    for _ in range(200):
        places, normals = walk(rng)
        angles = coil.deviations(normals + math.radians(4) * rng.standard_normal(normals.shape), places)
        shares.append(coil.outlying(angles, sd=3.5, least=5).mean())
    assert np.mean(shares) < 0.003


def test_what_is_not_known_stays_unknown():
    places, normals = walk(np.random.default_rng(1), n=30)
    normals[2], normals[5] = np.nan, 0.0
    found = coil.deviations(normals, places)
    assert np.flatnonzero(np.isnan(found)).tolist() == [2, 5]
    assert not coil.outlying(np.full(30, np.nan), sd=3.5, least=5).any()
    assert np.isnan(coil.deviations(normals[6:15], places[6:15])).all()
    without_height = np.column_stack([places[:, :2], np.full(30, np.nan)])
    assert np.isfinite(coil.deviations(normals, without_height)[0])
    with pytest.raises(InputError, match=r"must be \(n_pulse, 3\)"):
        coil.deviations(normals[:, :2], places)


def test_small_angles_are_never_left_out():
    angles = np.append(np.full(40, 0.1), 2.0)
    assert not coil.outlying(angles, sd=3.5, least=5).any()
    assert coil.outlying(angles, sd=3.5, least=1).tolist() == [False] * 40 + [True]
