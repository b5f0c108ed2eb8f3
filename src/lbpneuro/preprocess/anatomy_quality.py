"""What a segmentation must be like to be believed, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lbpneuro.errors import QualityError
from lbpneuro.io.anatomy import native_regions
from lbpneuro.io.regions import Name, Region, read_regions
from lbpneuro.io.resources import workflow_folder
from lbpneuro.io.transforms import AntsImage, Grid
from lbpneuro.preprocess.itk import grid_affine, voxel_ml
from lbpneuro.preprocess.templates import TISSUES, Template

THALAMI = (("thalamus", "L"), ("thalamus", "R"))
CONTRAST = 1.08
PLAUSIBLE = {
    "brain_ml": (1000.0, 2000.0),
    "template_correlation": (0.6, 1.0),
    "template_dice": (0.9, 1.0),
    "csf_share": (0.05, 0.35),
    "gm_share": (0.35, 0.55),
    "wm_share": (0.22, 0.45),
    "thalamus_ratio": (0.8, 1.25),
    "gm_to_csf": (CONTRAST, np.inf),
    "wm_to_gm": (CONTRAST, np.inf),
}
WORDS = {
    "brain_ml": "volume of the brain mask (mL)",
    "template_correlation": "correlation with the template",
    "template_dice": "overlap with the brain of the template (Dice)",
    "csf_share": "CSF as a share of the intracranial volume",
    "gm_share": "gray matter as a share of the intracranial volume",
    "wm_share": "white matter as a share of the intracranial volume",
    "thalamus_ratio": "left to right thalamus",
    "gm_to_csf": "brightness of gray matter relative to CSF",
    "wm_to_gm": "brightness of white relative to gray matter",
}
Numbers = dict[str, float]


class AnatomyError(QualityError):
    """The image was segmented, and the result is not believed; ``quality`` are the numbers."""

    def __init__(self, message: str, *, quality: Mapping[str, float]) -> None:
        super().__init__(message)
        self.quality = dict(quality)


def tissue_quality(tissues: Mapping[str, AntsImage], *, t1w: AntsImage, mask: AntsImage) -> Numbers:
    """Return volumes (mL), shares of the brain mask, and the ratios of the mean intensities of the tissues."""
    brain_ml = float(mask.sum()) * voxel_ml(mask)
    volumes = {tissue: float(tissues[tissue].sum()) * voxel_ml(mask) for tissue in TISSUES}
    mean = {tissue: float(np.average(t1w.numpy(), weights=tissues[tissue].numpy() + 1e-9)) for tissue in TISSUES}
    return {
        "brain_ml": brain_ml,
        **{f"{tissue}_ml": volume for tissue, volume in volumes.items()},
        **{f"{tissue.lower()}_share": volume / brain_ml for tissue, volume in volumes.items()},
        "gm_to_csf": mean["GM"] / mean["CSF"],
        "wm_to_gm": mean["WM"] / mean["GM"],
    }


def template_quality(brain: AntsImage, mask: AntsImage, *, target: Template) -> Numbers:
    """Return how the brain and its mask, brought to the template, agree with it: correlation and Dice overlap."""
    inside, found = target.mask.numpy() > 0, mask.numpy() > 0.5
    correlation = np.corrcoef(brain.numpy()[inside], target.brain.numpy()[inside])[0, 1]
    dice = 2.0 * np.count_nonzero(inside & found) / (np.count_nonzero(inside) + np.count_nonzero(found))
    return {"template_correlation": float(correlation), "template_dice": float(dice)}


def thalamus_quality(transform: Path, *, like: AntsImage) -> Numbers:
    """Return the volumes of the thalamus labels in the person's own space (mL), and left to right."""
    shipped = read_regions(workflow_folder() / "config" / "rois.tsv")
    wanted: dict[Name, Region] = {level: shipped[level] for level in THALAMI}
    regions = native_regions(wanted, transform, grid=Grid(affine=grid_affine(like), shape=like.shape))
    left, right = (float(regions[level].weights.sum(dtype=np.float64)) * voxel_ml(like) for level in THALAMI)
    return {"thalamus_L_ml": left, "thalamus_R_ml": right, "thalamus_ratio": left / right if right else np.nan}


def check_anatomy(quality: Mapping[str, float], *, path: Path) -> None:
    """Raise AnatomyError if a number that is there lies outside its plausible range, or is NaN."""
    wrong = {
        name: limits
        for name, limits in PLAUSIBLE.items()
        if name in quality and not limits[0] <= quality[name] <= limits[1]
    }
    if not wrong:
        return
    found = "; ".join(f"{WORDS[name]} is {quality[name]:.2f}, {expected(wrong[name])}" for name in wrong)
    raise AnatomyError(f"{path}: the segmentation is not believed: {found}. {advice(wrong)}", quality=quality)


def expected(limits: tuple[float, float]) -> str:
    """Return a range in words."""
    low, high = limits
    return f"expected at least {low:g}" if np.isinf(high) else f"expected {low:g} to {high:g}"


def advice(wrong: Mapping[str, tuple[float, float]]) -> str:
    """Return what to look for first, by what is wrong."""
    if {"gm_to_csf", "wm_to_gm"} & set(wrong):
        return "In a T1w image fluid is darker than gray and gray darker than white matter: is this a T1w image?"
    if {"template_correlation", "template_dice"} & set(wrong):
        return "Look at the image: is the head cut off, or is there a lesion? Or supply fMRIPrep derivatives."
    return "Look at the image and its brain mask, or supply fMRIPrep derivatives."
