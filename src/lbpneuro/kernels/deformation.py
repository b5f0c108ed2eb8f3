"""How a mapping between two spaces changes volumes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def jacobian_determinant(coordinates: Array, *, affine: Array) -> Array:
    """Return the Jacobian determinant of a mapping: volume in the source per volume in the target.

    ``det(d coordinates / d voxel) / det(affine)``, the linear part of the mapping included, by central differences
    (one-sided at the edge of the grid).

    Parameters
    ----------
    coordinates
        Where the voxels of the target grid lie in the source space (3, n_x, n_y, n_z), mm; at least two voxels along
        each axis.
    affine
        Affine of the target grid (4, 4) or its linear part (3, 3), voxel to mm.

    Returns
    -------
    NDArray
        Determinants (n_x, n_y, n_z) in the precision of the coordinates, negative where the mapping folds or mirrors;
        NaN where a difference meets a NaN.

    Examples
    --------
    >>> double = 2.0 * np.indices((3, 3, 3))
    >>> float(jacobian_determinant(double, affine=np.eye(3))[1, 1, 1])
    8.0
    """
    rows = [[np.gradient(part, axis=axis) for axis in range(3)] for part in np.asarray(coordinates)]
    (a, b, c), (d, e, f), (g, h, i) = rows
    volume = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return np.asarray(volume / float(np.linalg.det(np.asarray(affine)[:3, :3])))
