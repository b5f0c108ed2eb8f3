"""Head motion of a simulated run: six rigid-body time courses and the displacement they mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lbpneuro.simulate.anatomy import rigid_affine
from lbpneuro.simulate.grids import Array

MOTION_COLUMNS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
POWER_RADIUS_MM = 50.0
JENKINSON_RADIUS_MM = 80.0


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """Slow drift of the head (a random walk that is pulled back) and sudden, short movements.

    ``step_mm`` is the standard deviation of a translation step, rotations are of the same size on a sphere of 50 mm;
    ``restlessness_sd`` is the spread of its logarithm over people.
    """

    step_mm: float = 0.014
    pull: float = 0.02
    restlessness_sd: float = 0.3
    spikes_per_run: float = 3.0
    spike_mm: float = 0.5


def motion_parameters(rng: np.random.Generator, *, n_time: int, settings: MotionSettings) -> Array:
    """Return (n_time, 6): translations in mm, rotations in radian, relative to the first volume."""
    scale = settings.step_mm * np.exp(rng.normal(0, settings.restlessness_sd))
    steps = rng.normal(0, scale, (n_time, 6))
    for time in rng.integers(5, n_time - 5, rng.poisson(settings.spikes_per_run)):
        jerk = rng.normal(0, settings.spike_mm / 2, 6)
        steps[time] += jerk
        steps[time + 1] -= 0.9 * jerk
    path = np.zeros((n_time, 6))
    for time in range(1, n_time):
        path[time] = (1 - settings.pull) * path[time - 1] + steps[time]
    path[:, 3:] /= POWER_RADIUS_MM
    return path


def framewise_displacement(parameters: Array) -> Array:
    """Return Power's framewise displacement in mm (n_time,), NaN first (10.1016/j.neuroimage.2011.10.018)."""
    steps = np.abs(np.diff(parameters, axis=0))
    steps[:, 3:] *= POWER_RADIUS_MM
    return np.concatenate([[np.nan], steps.sum(axis=1)])


def jenkinson_displacement(parameters: Array) -> Array:
    """Return the root-mean-square displacement in mm (n_time,), NaN first: the `rmsd` of fMRIPrep.

    For the change M = T_t inv(T_t-1) - I with linear part A and translation d, it is sqrt(R^2 / 5 trace(A'A) + d'd)
    over a sphere of R = 80 mm around the origin (Jenkinson 1999, FMRIB technical report TR99MJ1).
    """
    affines = rigid_affine(parameters)
    change = affines[1:] @ np.linalg.inv(affines[:-1]) - np.eye(4)
    linear, shift = change[:, :3, :3], change[:, :3, 3]
    square = JENKINSON_RADIUS_MM**2 / 5 * (linear**2).sum(axis=(1, 2)) + (shift**2).sum(axis=1)
    return np.concatenate([[np.nan], np.sqrt(square)])
