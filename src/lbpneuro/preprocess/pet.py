"""Raw PET images: motion between frames, rigid alignment to the T1w image, and one interpolation to its space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.images import Grid, Image, load_image
from lbpneuro.io.index import entities
from lbpneuro.io.pet import ScanFiles
from lbpneuro.io.pet_images import PetImage, read_series
from lbpneuro.io.transforms import itk_image
from lbpneuro.preprocess.coregister import matrix_of
from lbpneuro.preprocess.realign import mean_aligned, realign, sample, spline_coefficients

Array = NDArray[np.floating[Any]]

STEADY_FRAME_S = 60.0
"""Shorter frames, at the beginning, are too noisy to be aligned: they take the position of the first long one."""
SMOOTHING_MM = 8.0
WORKING_MM = 2.0
MARGIN_VOXELS = 2


def in_anatomy(scan: ScanFiles, *, duration_s: Array) -> PetImage:
    """Return a raw image in the space of the T1w image, resampled once (cubic splines), on every voxel of the brain.

    The frames are aligned to each other, their mean to the T1w image by mutual information within the brain.

    Raises
    ------
    InputError
        With reason ``no_derivative`` if there is no preprocessed T1w image with its brain mask.
    """
    values, affine = read_series(scan.main)
    head, mask = _anatomy(scan.anatomy, scan.main)
    series = np.nan_to_num(values)
    motion = frame_positions(series, affine, duration_s=duration_s)
    mean = _mean(series, motion, affine=affine, duration_s=duration_s)
    to_pet = to_anatomy(mean, affine, head=head, mask=mask)
    grid, inside = working_grid(mask)
    points = np.argwhere(inside) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    found = np.full((*grid.shape, values.shape[3]), np.nan, dtype=np.float32)
    for frame, position in enumerate(motion):
        to_voxel = np.linalg.inv(affine) @ position @ to_pet
        seen, known = sample(spline_coefficients(series[..., frame]), points, to_voxel=to_voxel, order=3)
        found[inside, frame] = np.where(known, seen, np.nan)
    centre = to_pet[:3, :3] @ points.mean(axis=0) + to_pet[:3, 3]
    return PetImage(values=found, grid=grid, space="T1w", motion=motion, centre_mm=centre)


def frame_positions(series: Array, affine: Array, *, duration_s: Array) -> NDArray[np.float64]:
    """Return where the head was at every frame (n_frame, 4, 4), relative to their mean.

    Frames of less than a minute take the position of the first longer one; a single frame has not moved.
    """
    long = np.flatnonzero(np.asarray(duration_s) >= STEADY_FRAME_S)
    if long.size < 2:
        return np.broadcast_to(np.eye(4), (series.shape[3], 4, 4)).copy()
    middle = len(long) // 2
    moved = realign(series[..., long], affine, start=middle, fwhm_mm=SMOOTHING_MM)
    nearest = np.abs(np.arange(series.shape[3])[:, None] - long).argmin(axis=1)
    return moved[nearest]


def _mean(series: Array, motion: Array, *, affine: Array, duration_s: Array) -> NDArray[np.float64]:
    """Return the mean of the aligned frames of a minute or more, or of all where there is none."""
    long = np.flatnonzero(np.asarray(duration_s) >= STEADY_FRAME_S)
    chosen = long if long.size else np.arange(series.shape[3])
    return mean_aligned(
        lambda k: spline_coefficients(series[..., chosen[k]]), motion[chosen], affine=affine, shape=series.shape[:3]
    )


def to_anatomy(mean: Array, affine: Array, *, head: Image, mask: Image) -> NDArray[np.float64]:
    """Return the rigid transform (4, 4) that takes points of the T1w image (mm) to the PET image.

    Mutual information within the dilated brain mask; the search starts from the coordinates of the scanner and from
    the centres of mass, and the better result is kept.
    """
    import ants

    moving = itk_image(mean.astype(np.float32), affine)
    near = ants.iMath(itk_image((mask.data > 0.5).astype(np.float32), mask.affine), "MD", MARGIN_VOXELS)
    fixed = itk_image(head.data, head.affine) * near
    found = []
    for start in (["Identity"], None):
        result = ants.registration(
            fixed=fixed,
            moving=moving,
            type_of_transform="Rigid",
            initial_transform=start,
            mask=near,
            aff_metric="mattes",
            aff_iterations=(500, 250, 100, 0),
        )
        cost = ants.image_similarity(
            fixed, result["warpedmovout"], metric_type="MattesMutualInformation", fixed_mask=near
        )
        found.append((float(cost), matrix_of(result["fwdtransforms"][0])))
    return min(found, key=lambda pair: pair[0])[1]


def working_grid(mask: Image) -> tuple[Grid, NDArray[np.bool_]]:
    """Return a grid of about 2 mm along the axes of the T1w image, and its voxels in the dilated brain."""
    from scipy import ndimage

    zooms = np.linalg.norm(mask.affine[:3, :3], axis=0)
    step = np.maximum(1, np.rint(WORKING_MM / zooms)).astype(int)
    affine = mask.affine @ np.diag([*step.astype(float), 1.0])
    inside = ndimage.binary_dilation(mask.data > 0.5, iterations=MARGIN_VOXELS)
    inside = inside[tuple(slice(None, None, size) for size in step)]
    return Grid(affine=affine, shape=inside.shape), inside


def _anatomy(files: Sequence[Path], pet: Path) -> tuple[Image, Image]:
    """Return the preprocessed T1w image and the brain mask among the anatomical files."""
    named = {path: entities(path) for path in files}
    native = [path for path, own in named.items() if own.get("space") in (None, "T1w") and ".nii" in own.get("ext", "")]
    heads = [path for path in native if (named[path].get("suffix"), named[path].get("desc")) == ("T1w", "preproc")]
    masks = [path for path in native if (named[path].get("suffix"), named[path].get("desc")) == ("mask", "brain")]
    if not heads or not masks:
        raise InputError(
            f"{pet}: a raw PET image needs the preprocessed T1w image and its brain mask (fMRIPrep, or the embedded "
            "path from a raw T1w image), or a derivative in the space of the T1w image or the template.",
            reason=Reason.NO_DERIVATIVE,
        )
    return load_image(heads[0]), load_image(masks[0])
