"""The template and its tissue priors at the resolution of a level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lbpneuro.io.images import Grid
from lbpneuro.io.template_maps import BRAIN_FILE, SPACE, template_brain, tissue_maps
from lbpneuro.io.transforms import AntsImage, box_grid, itk_image

__all__ = [
    "BRAIN_FILE",
    "SPACE",
    "TISSUES",
    "Template",
    "fwhm_to_sigma",
    "subsample",
    "template",
    "template_box",
    "template_grid",
]

TISSUES = ("CSF", "GM", "WM")
MARGIN_MM = 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Brain, brain mask and tissue priors as ITK images on one grid, which is that of the template around its brain."""

    brain: AntsImage
    mask: AntsImage
    priors: dict[str, AntsImage]


def template(spacing_mm: int, *, priors: bool = True) -> Template:
    """Return the template on every ``spacing_mm``-th voxel of its 1-mm grid, smoothed to that resolution.

    Only the part around the brain is there: registration takes half as long. Without ``priors`` there are none.
    """
    brain = template_brain()
    maps = {"brain": brain.data, "mask": (brain.data > 0).astype(np.float32)}
    if priors:
        maps |= tissue_maps(brain)
    grid = template_grid(spacing_mm)
    start, shape = template_box(spacing_mm)
    fine = tuple(slice(first * spacing_mm, (first + n) * spacing_mm) for first, n in zip(start, shape, strict=True))
    affine = box_grid(grid, start=start, shape=shape).affine
    coarse = {name: itk_image(subsample(array[fine], spacing_mm), affine) for name, array in maps.items()}
    mask = coarse["mask"].threshold_image(0.5, 2.0)
    found = {tissue: coarse[tissue] for tissue in TISSUES if tissue in coarse}
    return Template(brain=coarse["brain"] * mask, mask=mask, priors=found)


def template_grid(spacing_mm: int) -> Grid:
    """Return the whole grid of the template, every ``spacing_mm``-th voxel of its 1-mm grid."""
    brain = template_brain()
    affine = brain.affine @ np.diag([spacing_mm, spacing_mm, spacing_mm, 1])
    return Grid(affine=affine, shape=tuple(-(-size // spacing_mm) for size in brain.data.shape))


def template_box(spacing_mm: int) -> tuple[list[int], list[int]]:
    """Return the first voxel and the shape of the part of ``template_grid`` around the brain."""
    brain = template_brain()
    inside = np.argwhere(brain.data > 0)
    start = [max(int((first - MARGIN_MM) // spacing_mm), 0) for first in inside.min(axis=0)]
    stop = [
        min(int((last + MARGIN_MM) // spacing_mm) + 1, -(-size // spacing_mm))
        for last, size in zip(inside.max(axis=0), brain.data.shape, strict=True)
    ]
    return start, [last - first for first, last in zip(start, stop, strict=True)]


def subsample(array: np.ndarray, step: int) -> np.ndarray:
    """Return every ``step``-th voxel of ``array`` after smoothing to that resolution (FWHM = step; step 1: as is)."""
    from scipy.ndimage import gaussian_filter

    if step == 1:
        return array
    return gaussian_filter(array, fwhm_to_sigma(step))[::step, ::step, ::step]


def fwhm_to_sigma(fwhm: float) -> float:
    """Return the standard deviation of a Gaussian of the given full width at half maximum."""
    return fwhm / float(np.sqrt(8.0 * np.log(2.0)))
