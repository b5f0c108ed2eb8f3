"""The modulated gray-matter map of one person, smoothed: what voxelwise comparisons of a group start from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io import anatomy
from lbpneuro.io.images import Grid, Image, load_image
from lbpneuro.io.transforms import read_transform, resample

if TYPE_CHECKING:
    import nibabel as nib

TEMPLATE = "MNI152NLin2009cAsym"
MADE = f"_space-{TEMPLATE}_label-GM_desc-modulated_probseg.nii"
CAT12_MAP = re.compile(r"(?:mw)?mwp1.*\.nii(\.gz)?")
OUT_MM = 2.0
FWHM_PER_SD = 2 * np.sqrt(2 * np.log(2))
TRUNCATE_SD = 4.0
MNI_START_MM = (-96.0, -132.0, -78.0)
MNI_SHAPE = (97, 115, 97)


def modulated_gm(files: Sequence[Path], *, source: str) -> tuple[NDArray[np.float32], Grid] | None:
    """Return gray matter per volume of the template, and its grid; None where the files do not tell it.

    A modulated map that the source wrote is taken as it is. Tissue maps in the person's own space are read where the
    transform leads to from the voxels of the template (2 mm) and multiplied by its Jacobian determinant.

    Parameters
    ----------
    files
        Files of one person and session.
    source
        Which program they are of, as in ``Structural.source``.
    """
    names = {path: path.name for path in files}
    made = [path for path, name in names.items() if MADE in name or (source == "cat12" and CAT12_MAP.fullmatch(name))]
    if made:
        image = load_image(sorted(made)[0])
        return np.nan_to_num(image.data), Grid(affine=image.affine, shape=image.data.shape)
    way = anatomy.to_template_transform(files, space=TEMPLATE)
    if way is None or not anatomy.has_native_tissues(files):
        return None
    return _brought(anatomy.read_tissues(files).gm, way)


def _brought(gm: Image, way: Path) -> tuple[NDArray[np.float32], Grid]:
    """Return a map of the person's own space at the voxels of the template, times the Jacobian determinant."""
    affine = np.diag([OUT_MM, OUT_MM, OUT_MM, 1.0])
    affine[:3, 3] = MNI_START_MM
    grid = Grid(affine=affine, shape=MNI_SHAPE)
    own = Grid(affine=gm.affine, shape=gm.data.shape)
    return resample(gm.data, read_transform(way), source=own, target=grid) * anatomy.jacobian(way, grid=grid), grid


def smoothed(
    values: NDArray[np.floating[Any]], grid: Grid, *, fwhm_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return a map smoothed by a Gaussian, and its affine: every 2 mm where the grid is finer.

    The sum over the map, which is the volume of gray matter, stays: what lies beyond the image counts as 0.
    """
    from scipy.ndimage import gaussian_filter

    voxel_mm = np.linalg.norm(grid.affine[:3, :3], axis=0)
    wide = fwhm_mm / FWHM_PER_SD / voxel_mm
    smooth = gaussian_filter(values.astype(np.float32), wide, mode="constant", truncate=TRUNCATE_SD)
    wanted = min(OUT_MM, fwhm_mm / 2)  # a smooth map has no detail between these points
    steps = np.maximum(1, np.floor(wanted / voxel_mm + 1e-3)).astype(int)
    affine = np.array(grid.affine, dtype=np.float64)
    affine[:3, :3] *= steps
    return np.ascontiguousarray(smooth[:: steps[0], :: steps[1], :: steps[2]]), affine


def nifti(values: NDArray[np.float32], affine: NDArray[np.float64]) -> nib.Nifti1Image:
    """Return the image of a map in template space."""
    import nibabel as nib

    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code="mni")
    image.set_qform(affine, code="mni")
    return image


def sidecar(*, fwhm_mm: float, sources: Sequence[str]) -> dict[str, Any]:
    """Return what the sidecar of the map says."""
    return {
        "Description": "Gray matter per volume of the template (modulated), smoothed, for voxelwise tests of groups.",
        "Units": "mL of gray matter per mL of template",
        "SmoothingFWHM": fwhm_mm,
        "SmoothingFWHMUnits": "mm",
        "SpatialReference": TEMPLATE,
        "Sources": list(sources),
        "Use": "Put intracranial volume, age, sex and head motion into the model; mask at the group mean.",
    }
