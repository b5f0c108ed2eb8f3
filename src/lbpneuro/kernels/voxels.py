"""The voxels of a mask as columns of a matrix, in the order in which a file holds them: the first axis runs fastest.

To fetch the voxels of a volume in that order is to read it from front to back; in the order of ``array[mask]``, the
last axis fastest, they lie all over it (docs/decisions/0011-reading.md tells what that costs).
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def places_in_file(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return where the voxels of a mask (n_x, n_y, n_z) lie in the volume as a file holds it, ascending."""
    return np.flatnonzero(mask.ravel(order="F"))


def voxels_of(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the indices (n_voxel, 3) of the voxels of a mask."""
    return np.argwhere(mask.T)[:, ::-1]


def in_mask(volume: NDArray[Scalar], mask: NDArray[np.bool_]) -> NDArray[Scalar]:
    """Return the values (n_voxel,) of a volume inside a mask of its shape."""
    return volume.T[mask.T]


def columns_of(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the column of every voxel (n_x, n_y, n_z), -1 outside the mask."""
    return as_volume(np.arange(np.count_nonzero(mask)), mask, outside=-1)


def as_volume(values: NDArray[Scalar], mask: NDArray[np.bool_], *, outside: Any = 0) -> NDArray[Scalar]:
    """Return values (n_voxel,) at the voxels of a mask as a volume, ``outside`` elsewhere, in the order of a file."""
    volume = np.full(mask.shape, outside, dtype=values.dtype, order="F")
    volume.T[mask.T] = values
    return volume
