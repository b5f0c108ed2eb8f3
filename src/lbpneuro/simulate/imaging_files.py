"""Writes the images of a visit: raw BIDS and what fMRIPrep would have made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lbpneuro.io.files import write_json, write_nifti, write_tsv
from lbpneuro.io.images import load_probability
from lbpneuro.io.series import mean_in_voxels
from lbpneuro.markers.bold import BRAINSTEM
from lbpneuro.markers.edges import EDGE_REGIONS
from lbpneuro.simulate.anatomy import Anatomy, anatomy, anatomy_truth, t1w_intensity, template_space
from lbpneuro.simulate.bold import BoldSettings, Courses, Maps, Matrix, bold_mm, raw_run, template_run
from lbpneuro.simulate.bold_truth import bold_truth
from lbpneuro.simulate.confounds import confounds
from lbpneuro.simulate.grids import Grid, Volume, mni_grid
from lbpneuro.simulate.people import Visit
from lbpneuro.simulate.structural_files import write_structural
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.template import TISSUES, region_shares
from lbpneuro.simulate.transforms import write_point_map
from lbpneuro.simulate.truth import TruthRow

if TYPE_CHECKING:
    import nibabel as nib

SPACE = "MNI152NLin2009cAsym"
SCANNER_CODE, TEMPLATE_CODE = 1, 4
ECHO_TIME_S = 0.03


def write_imaging(study: Study, visit: Visit) -> list[TruthRow]:
    """Write T1w and resting BOLD of a visit, raw and preprocessed; return the planted values."""
    head = anatomy(visit, voxel_mm=study.voxel_mm, settings=study.anatomy)
    write_raw_anatomy(study.raw / visit.folder / "anat", visit, head=head)
    write_derived_anatomy(study.fmriprep / visit.folder / "anat", visit, head=head)
    for program in study.structural:
        write_structural(study.root / program, program, visit, head=head)
    return anatomy_truth(visit, head) + write_functional(study, visit, head=head)


def write_raw_anatomy(folder: Path, visit: Visit, *, head: Anatomy) -> None:
    """Write the raw T1w image."""
    image = t1w_intensity(head, visit.passing("t1w"), raw=True)
    write_nifti(folder / f"{visit.prefix}_T1w.nii.gz", nifti(image * 10, head.grid, dtype=np.int16))
    write_json(folder / f"{visit.prefix}_T1w.json", {"MagneticFieldStrength": 3, "Modality": "MR"})


def write_derived_anatomy(folder: Path, visit: Visit, *, head: Anatomy) -> None:
    """Write tissue probabilities, masks and transforms under the names of fMRIPrep."""
    start = f"{visit.prefix}_space-{SPACE}"
    t1w = t1w_intensity(head, visit.passing("t1w"), raw=False)
    native = {
        "desc-preproc_T1w": (t1w * 10, np.int16),
        "desc-brain_mask": (head.probabilities.sum(axis=0) > 0.5, np.uint8),
        **{
            f"label-{name}_probseg": (share, np.float32)
            for name, share in zip(TISSUES, head.probabilities, strict=True)
        },
    }
    target = mni_grid(head.grid.voxel_mm)
    for name, (volume, dtype) in native.items():
        write_nifti(folder / f"{visit.prefix}_{name}.nii.gz", nifti(volume, head.grid, dtype=dtype))
        warped = template_space(np.asarray(volume, dtype=np.float32), head)
        if dtype is np.uint8:
            warped = (warped > 0.5).astype(np.float32)
        write_nifti(folder / f"{start}_{name}.nii.gz", nifti(warped, target, dtype=dtype, code=TEMPLATE_CODE))
    for prefix in (visit.prefix, start):
        write_json(folder / f"{prefix}_desc-brain_mask.json", {"Type": "Brain", "RawSources": [_raw_t1w(visit)]})
        write_json(folder / f"{prefix}_desc-preproc_T1w.json", {"SkullStripped": False})
    write_point_map(folder / f"{visit.prefix}_from-{SPACE}_to-T1w_mode-image_xfm.h5", head.to_template)
    write_point_map(folder / f"{visit.prefix}_from-T1w_to-{SPACE}_mode-image_xfm.h5", head.from_template)


def write_functional(study: Study, visit: Visit, *, head: Anatomy) -> list[TruthRow]:
    """Write the resting run, raw and preprocessed, and its confounds; return the planted values."""
    voxel_mm, settings = bold_mm(study.voxel_mm), study.bold
    grid, maps, time, series = template_run(visit, voxel_mm=voxel_mm, settings=settings)
    folder = study.fmriprep / visit.folder / "func"
    run = f"{visit.prefix}_task-rest"
    write_raw_bold(study.raw / visit.folder / "func" / f"{run}_bold", visit, head=head, time=time, study=study)
    write_confounds(
        folder / f"{run}_desc-confounds_timeseries", series, maps=maps, time=time, grid=grid, settings=settings
    )
    start = f"{run}_space-{SPACE}"
    mean = series[:, len(settings.dummy) :].mean(axis=1, keepdims=True)
    for name, values, dtype in (
        ("boldref", mean, np.int16),
        ("desc-brain_mask", np.ones_like(mean), np.uint8),
        ("desc-preproc_bold", series, np.int16),
    ):
        image = series_image(values, maps.inside, grid=grid, dtype=dtype, code=TEMPLATE_CODE, t_r=settings.t_r)
        write_nifti(folder / f"{start}_{name}.nii.gz", image)
    write_json(folder / f"{start}_desc-preproc_bold.json", {**bold_metadata(settings), "SkullStripped": True})
    write_json(folder / f"{start}_desc-brain_mask.json", {"Type": "Brain", "RawSources": [_raw_bold(visit)]})
    tissue = study.fmriprep / visit.folder / "anat" / f"{visit.prefix}_space-{SPACE}_label-CSF_probseg.nii.gz"
    csf = csf_of_seed(tissue, grid, voxel_mm=voxel_mm)
    return bold_truth(visit, maps, csf=csf, voxel_mm=voxel_mm, settings=settings)


def csf_of_seed(path: Path, grid: Grid, *, voxel_mm: float) -> Volume:
    """Return the CSF probability of a map in the voxels of the brainstem regions of connectivity, 0 elsewhere."""
    shares = [region_shares((roi, hemi), voxel_mm) for roi, hemi in EDGE_REGIONS if roi in BRAINSTEM]
    touched = np.argwhere(np.sum(shares, axis=0) > 0)
    csf = np.zeros(grid.shape, dtype=np.float32)
    csf[tuple(touched.T)] = mean_in_voxels(load_probability(path), affine=grid.affine, voxels=touched)
    return csf


def write_raw_bold(path: Path, visit: Visit, *, head: Anatomy, time: Courses, study: Study) -> None:
    """Write the raw run and its sidecar; ``path`` is without extension."""
    settings = study.bold
    grid, inside, series = raw_run(visit, head, time=time, voxel_mm=bold_mm(study.voxel_mm), settings=settings)
    image = series_image(series, inside, grid=grid, dtype=np.int16, code=SCANNER_CODE, t_r=settings.t_r)
    write_nifti(path.with_name(f"{path.name}.nii.gz"), image)
    scanner = {"MagneticFieldStrength": 3, "EchoTime": ECHO_TIME_S, "FlipAngle": 80, "Modality": "MR"}
    instructions = {"Instructions": "Keep still with your eyes open and think of nothing in particular."}
    write_json(path.with_name(f"{path.name}.json"), {**bold_metadata(settings), **instructions, **scanner})


def bold_metadata(settings: BoldSettings) -> dict[str, Any]:
    """Return the metadata that raw and preprocessed run share."""
    return {"TaskName": "rest", "RepetitionTime": settings.t_r, "SliceTimingCorrected": False}


def write_confounds(
    path: Path, series: Matrix, *, maps: Maps, time: Courses, grid: Grid, settings: BoldSettings
) -> None:
    """Write the confounds table and its sidecar; ``path`` is without extension."""
    table, sidecar = confounds(series, maps, time=time, grid=grid, settings=settings)
    write_tsv(path.with_name(f"{path.name}.tsv"), table)
    write_json(path.with_name(f"{path.name}.json"), sidecar)


def nifti(values: NDArray[Any], grid: Grid, *, dtype: DTypeLike, code: int = SCANNER_CODE) -> nib.Nifti1Image:
    """Return the image of ``values`` (nx, ny, nz) on ``grid``; rounded if ``dtype`` is an integer."""
    import nibabel as nib

    whole = np.issubdtype(dtype, np.integer)
    image = nib.Nifti1Image((np.rint(values) if whole else values).astype(dtype), grid.affine)
    _describe(image, grid, code=code)
    return image


def series_image(
    series: Matrix, inside: NDArray[np.bool_], *, grid: Grid, dtype: DTypeLike, code: int, t_r: float
) -> nib.Nifti1Image:
    """Return the image of ``series`` (n_inside, n_time), rounded, 0 outside; a single volume gives (nx, ny, nz).

    The array is laid out as NIfTI stores it (x fastest), so that writing copies nothing but the bytes.
    """
    import nibabel as nib

    n_time = series.shape[1]
    place = np.ravel_multi_index(np.unravel_index(np.flatnonzero(inside), grid.shape), grid.shape, order="F")
    flat = np.zeros((n_time, inside.size), dtype=dtype)
    flat[:, place] = np.rint(series).astype(dtype).T
    volumes = flat.reshape(n_time, *grid.shape[::-1]).T
    image = nib.Nifti1Image(volumes if n_time > 1 else volumes[..., 0], grid.affine)
    _describe(image, grid, code=code)
    if n_time > 1:
        image.header.set_zooms((*[grid.voxel_mm] * 3, t_r))
    return image


def _describe(image: nib.Nifti1Image, grid: Grid, *, code: int) -> None:
    """Set units and the two affines, whose ``code`` tells scanner from template space."""
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(grid.affine, code=code)
    image.set_qform(grid.affine, code=code)


def _raw_t1w(visit: Visit) -> str:
    return f"bids:raw:{visit.folder}/anat/{visit.prefix}_T1w.nii.gz"


def _raw_bold(visit: Visit) -> str:
    return f"bids:raw:{visit.folder}/func/{visit.prefix}_task-rest_bold.nii.gz"
