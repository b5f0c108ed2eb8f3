"""The brain of a T1w image: of a whole head, or of an image that has lost its skull already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.transforms import AntsImage, itk_image
from lbpneuro.preprocess.itk import coarsened, on_grid, unbiased, voxel_ml
from lbpneuro.preprocess.levels import Level
from lbpneuro.preprocess.raw_images import placed, read_head
from lbpneuro.preprocess.templates import Template, fwhm_to_sigma

STRIPPED_SHARE = 0.05
STRIPPED_MOST_ML = 2500.0
NEAR_MM = 12.0
METRIC_MM = 5.0
BACKGROUND_SHARE = 0.5
CONTENT_SHARE = 0.05
INTENSITY_RANGE = (0.001, 0.999)
EVERY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A T1w image on the grid of a level, its background at 0.

    ``content`` (n_x, n_y, n_z) tells where the original image, on the grid of ``affine``, holds more than background: a
    twentieth of its brightest values, as resampling leaves ripples around a brain without its skull. ``centred`` tells
    whether both grids share their centre, or their first voxel; ``image_affine`` is that of the image before ITK
    rounds it.
    """

    image: AntsImage
    content: NDArray[np.bool_]
    affine: NDArray[np.float64]
    image_affine: NDArray[np.float64]
    centred: bool = False

    @property
    def content_ml(self) -> float:
        """Volume (mL) of what is not background."""
        return np.count_nonzero(self.content) * float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0


def working_head(path: Path, spacing_mm: float, *, centred: bool = False) -> Head:
    """Read a T1w image onto a ``spacing_mm`` grid, which begins at its first voxel, or has its centre (``centred``).

    The value of an empty background becomes 0, and intensities beyond the 0.1 and 99.9 % are cut.
    """
    image = read_head(path)
    affine, data = image.affine, image.data
    del image  # a head of 40 million voxels: every copy counts
    empty = background(data)
    every = 1 if centred else EVERY  # a mirror image must have the same values
    sample = data[::every, ::every, ::every]
    low, high = np.quantile(sample[sample != empty], INTENSITY_RANGE)
    content = data > empty + CONTENT_SHARE * (high - empty)
    data = np.clip(data, min(low, empty), high, out=data)
    data -= empty
    data, sampled = on_spacing(data, affine, spacing_mm, centred=centred)
    return Head(image=itk_image(data, sampled), content=content, affine=affine, image_affine=sampled, centred=centred)


def on_spacing(
    data: NDArray[np.float32], affine: NDArray[np.float64], spacing_mm: float, *, centred: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return an image and its affine smoothed to and sampled at ``spacing_mm``; axes that are as coarse already stay.

    The first voxel stays where it is, or the centre of the image (``centred``): the mirror image is then sampled at the
    mirrored points. ``data`` is overwritten.
    """
    from scipy.ndimage import affine_transform, gaussian_filter

    old = np.linalg.norm(affine[:3, :3], axis=0)
    new = np.maximum(old, spacing_mm)
    if np.allclose(old, new):
        return data, affine
    step = new / old
    shape = tuple(int(np.ceil((n - 1) / each)) + 1 for n, each in zip(data.shape, step, strict=True))
    gaussian_filter(data, fwhm_to_sigma(1.0) * np.sqrt(step**2 - 1.0), output=data, truncate=3.0)
    start = (np.array(data.shape) - 1 - (np.array(shape) - 1) * step) / 2 if centred else np.zeros(3)
    found = affine_transform(data, np.diag(step), start, output_shape=shape, order=1, mode="nearest")
    sampled = affine @ np.diag([*step, 1.0])
    sampled[:3, 3] = affine[:3, :3] @ start + affine[:3, 3]
    return found, placed(sampled, shape)


def background(data: np.ndarray) -> float:
    """Return the value that most of the outer faces of an image have; 0 if there is no such value.

    Tools that strip the skull leave 0, or whatever 0 became by a shift of the intensities.
    """
    faces = [np.take(data, at, axis=axis).ravel() for axis in range(3) for at in (0, -1)]
    values, counts = np.unique(np.concatenate(faces), return_counts=True)
    most = counts.argmax()
    return float(values[most]) if counts[most] > BACKGROUND_SHARE * counts.sum() else 0.0


def extract_brain(head: Head, *, target: Template, level: Level) -> tuple[AntsImage, bool]:
    """Return the brain mask on the grid of the head, and whether the image had been stripped of its skull.

    The template has no skull; registering a whole head to it works because the metric is taken only inside the
    (dilated) brain mask of the template.
    """
    import ants

    coarse = unbiased(coarsened(head.image, level.extraction_mm), spacing_mm=level.head_bias_mm, level=level)
    near = widened(target.mask, NEAR_MM)
    affine = ants.registration(
        fixed=target.brain, moving=coarse, type_of_transform="antsRegistrationSyNQuickRepro[a]", mask=near
    )["fwdtransforms"]
    near = ants.apply_transforms(coarse, near, affine, whichtoinvert=[True])
    if head.content_ml < STRIPPED_MOST_ML and is_skull_stripped(coarse, near=near):
        own = head.content.astype(np.float32)
        content = itk_image(*on_spacing(own, head.affine, level.anat_mm, centred=head.centred))
        return filled(content.numpy() > 0.5, like=head.image), True
    warps = ants.registration(
        fixed=target.brain,
        moving=coarse,
        type_of_transform="SyNOnly",
        initial_transform=affine[0],
        mask=widened(target.mask, METRIC_MM),
        syn_metric="CC",
        syn_sampling=2,
        reg_iterations=level.extraction_iterations,
    )["invtransforms"]
    moved = ants.apply_transforms(head.image, target.mask, warps, whichtoinvert=[True, False])
    return filled(moved.numpy() > 0.5, like=head.image), False


def widened(mask: AntsImage, reach_mm: float) -> AntsImage:
    """Return a mask that reaches ``reach_mm`` farther, by at least one voxel."""
    import ants

    return ants.iMath(mask, "MD", max(1, round(reach_mm / min(mask.spacing))))


def is_skull_stripped(head: AntsImage, *, near: AntsImage) -> bool:
    """Tell whether almost no intensity lies outside ``near``, the dilated brain."""
    return intensity_outside(head, near=near) < STRIPPED_SHARE


def intensity_outside(head: AntsImage, *, near: AntsImage) -> float:
    """Return the share of the intensity of a head that lies outside ``near``, the dilated brain."""
    values = np.clip(head.numpy(), 0.0, None)
    return float(values[near.numpy() < 0.5].sum() / values.sum())


def filled(mask: np.ndarray, *, like: AntsImage) -> AntsImage:
    """Return the largest piece of ``mask`` with its holes filled, on the grid of ``like``."""
    from scipy.ndimage import binary_fill_holes, label

    pieces, _ = label(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return on_grid(binary_fill_holes(pieces == sizes.argmax()), like)


def mask_ml(mask: AntsImage) -> float:
    """Return the volume of a mask in mL."""
    return float(mask.sum()) * voxel_ml(mask)
