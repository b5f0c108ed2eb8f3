"""ITK images on their grids, and an ANTs session whose results do not depend on threads, seeds or leftovers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lbpneuro.io.transforms import LPS, AntsImage


@contextmanager
def ants_session(seed: int = 1) -> Iterator[Path]:
    """Run ANTs and BLAS with one thread and a fixed seed; files of ANTs vanish with the yielded folder.

    antspyx never deletes the transforms that it puts into the temporary folder.
    """
    import scipy.linalg  # noqa: F401  # its own BLAS can be limited only once it is loaded
    from threadpoolctl import threadpool_limits

    os.environ["ANTS_RANDOM_SEED"] = str(seed)
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="lbpneuro_") as folder, threadpool_limits(limits=1):
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before


def grid_affine(image: AntsImage) -> np.ndarray:
    """Return the 4 x 4 affine (voxel to RAS mm) of an ITK image."""
    affine = np.eye(4)
    affine[:3, :3] = LPS @ image.direction @ np.diag(image.spacing)
    affine[:3, 3] = LPS @ np.asarray(image.origin)
    return affine


def on_grid(array: np.ndarray, like: AntsImage) -> AntsImage:
    """Return ``array`` as an ITK image on the grid of ``like``."""
    return like.new_image_like(np.ascontiguousarray(array, dtype=np.float32))


def voxel_ml(image: AntsImage) -> float:
    """Return the volume of a voxel in mL."""
    return float(np.prod(image.spacing)) / 1000.0
