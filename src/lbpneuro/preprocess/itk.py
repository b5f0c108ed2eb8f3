"""ITK images from and to NIfTI, and an ANTs session whose results do not depend on threads, seeds or leftovers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

# ITK looks at this once, when it is first used; results are reproducible to the bit only with a single thread
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

LPS = np.diag([-1.0, -1.0, 1.0])  # ITK counts left and posterior as positive, NIfTI right and anterior
AntsImage = Any


@contextmanager
def ants_session(seed: int = 1) -> Iterator[Path]:
    """Run ANTs and BLAS with one thread and a fixed seed; files of ANTs vanish with the yielded folder.

    antspyx never deletes the transforms that it puts into the temporary folder.
    """
    from threadpoolctl import threadpool_limits

    os.environ["ANTS_RANDOM_SEED"] = str(seed)
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="lbpneuro_") as folder, threadpool_limits(limits=1):
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before


def itk_image(array: np.ndarray, affine: np.ndarray) -> AntsImage:
    """Return the ITK image of ``array`` (x, y, z) on the grid ``affine`` (voxel to RAS mm, without shear)."""
    import ants

    lps = LPS @ affine[:3, :3]
    spacing = np.linalg.norm(lps, axis=0)
    return ants.from_numpy(
        np.ascontiguousarray(array, dtype=np.float32),
        origin=tuple(LPS @ affine[:3, 3]),
        spacing=tuple(spacing),
        direction=orthonormal(lps / spacing),
    )


def orthonormal(matrix: np.ndarray) -> np.ndarray:
    """Return the orthonormal 3 x 3 matrix nearest to ``matrix`` (headers store rounded direction cosines)."""
    left, _, right = np.linalg.svd(matrix)
    return left @ right


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
