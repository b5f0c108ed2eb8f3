"""The plane that touches the head where a map was stimulated: navigated coordinates as a flat map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RIGHT, FRONT, UP = np.eye(3)
UNCERTAIN = 1e-6
UPRIGHT = 0.05
"""Cosine below which a plane stands across the front axis; up is then what is drawn as front."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TangentPlane:
    """A plane through the sites of a map.

    Attributes
    ----------
    normal : (3,)
        Unit vector out of the plane, upwards.
    axes : (2, 3)
        Unit vectors in the plane: to the right, and to the front.
    rms : float
        Root mean square distance of the sites from the plane, in the unit of the coordinates.
    """

    normal: Array
    axes: Array
    rms: float

    def project(self, points: Array) -> Array:
        """Return the coordinates (..., 2) in the plane of ``points`` (..., 3); the origin stays where it was."""
        return points @ self.axes.T


def tangent_plane(points: Array) -> TangentPlane:
    """Return the plane that ``points`` (n, 3; right, front, up) lie closest to: least squares, by principal components.

    Distances in the plane are true to those between the points but for the curvature, of which ``rms`` tells. Points
    that lie level give a level plane, in which x and y are what they were. Where the points do not fix a plane (fewer
    than three, or on a line) it is the most level one through them.
    """
    centred = points - points.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred, full_matrices=True)
    spread = np.pad(spread, (0, 3 - spread.size))
    flat = spread[1] > UNCERTAIN * max(spread[0], 1.0)
    normal = directions[2] if flat else _most_level(directions[0], known=spread[0] > UNCERTAIN)
    ahead = FRONT if np.linalg.norm(_in_plane(FRONT, normal)) > UPRIGHT else UP
    front = _in_plane(ahead, normal)
    front /= np.linalg.norm(front)
    right = np.cross(front, normal)
    right *= 1.0 if right @ RIGHT >= 0 else -1.0
    rms = float(np.sqrt(np.mean((centred @ normal) ** 2)))
    upwards = np.asarray(np.cross(right, front), dtype=np.float64)
    return TangentPlane(normal=upwards, axes=np.stack([right, front]), rms=rms)


def _in_plane(vector: Array, normal: Array) -> Array:
    return vector - (vector @ normal) * normal


def _most_level(line: Array, *, known: bool) -> Array:
    """The normal, as upright as it can be, of a plane through a line; upright where there is no line."""
    if not known:
        return UP.copy()
    across = _in_plane(UP, line)
    size = np.linalg.norm(across)
    return across / size if size > UNCERTAIN else RIGHT.copy()
