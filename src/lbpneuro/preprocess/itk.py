"""ITK images on their grids, filters of them, and ANTs sessions that repeat to the byte and leave nothing behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lbpneuro.io.transforms import LPS, AntsImage
from lbpneuro.preprocess.levels import Level
from lbpneuro.preprocess.templates import fwhm_to_sigma

Box = tuple[list[int], list[int]]  # first voxel, and the one after the last


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


def coarsened(image: AntsImage, spacing_mm: float) -> AntsImage:
    """Return ``image`` smoothed to and sampled at ``spacing_mm``; axes that are as coarse already stay."""
    import ants

    old = np.asarray(image.spacing)
    new = np.maximum(old, spacing_mm)
    if np.allclose(old, new):
        return image
    sigma = fwhm_to_sigma(1.0) * np.sqrt(new**2 - old**2)
    smooth = ants.smooth_image(image, tuple(sigma), sigma_in_physical_coordinates=True)
    return ants.resample_image(smooth, tuple(new), use_voxels=False, interp_type=0)


def unbiased(image: AntsImage, *, spacing_mm: float, level: Level, mask: AntsImage | None = None) -> AntsImage:
    """Return ``image`` without its smooth multiplicative bias field (N4; https://doi.org/10.1109/TMI.2010.2046908).

    The field is estimated on voxels of about ``spacing_mm``.
    """
    import ants

    return ants.n4_bias_field_correction(
        image,
        mask=mask,
        shrink_factor=max(1, round(spacing_mm / min(image.spacing))),
        convergence={"iters": list(level.bias_iterations), "tol": 1e-7},
    )


def box_around(mask: AntsImage, *, margin: int) -> Box:
    """Return the first voxel of the box around a mask, widened by ``margin`` voxels, and the one after its last."""
    inside = np.argwhere(mask.numpy() > 0)
    low = np.maximum(inside.min(axis=0) - margin, 0)
    high = np.minimum(inside.max(axis=0) + margin + 1, mask.shape)
    return [int(first) for first in low], [int(last) for last in high]


def cropped(image: AntsImage, box: Box) -> AntsImage:
    """Return the part of an image within a box."""
    import ants

    return ants.crop_indices(image, *box)


def uncropped(image: AntsImage, box: Box, *, like: AntsImage) -> AntsImage:
    """Return an image of a box on the whole grid of ``like``, 0 outside."""
    whole = np.zeros(like.shape, dtype=np.float32)
    whole[tuple(slice(start, stop) for start, stop in zip(*box, strict=True))] = image.numpy()
    return on_grid(whole, like)
