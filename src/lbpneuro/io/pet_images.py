"""PET images: curves of regions from an image in the template or in the space of the T1w image, and what is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.anatomy import native_regions, template_transform
from lbpneuro.io.files import read_tsv, write_json, write_nifti, write_tsv
from lbpneuro.io.images import Grid, open_image, place
from lbpneuro.io.pet import TEMPLATE, Frames, ScanFiles, read_frames
from lbpneuro.io.pet_curves import wanted_parts
from lbpneuro.io.regions import Name, Region, grid_around, region_bounds, region_weights
from lbpneuro.kernels.pet import displacement_mm, weighted_means
from lbpneuro.kernels.quality import rigid_matrices
from lbpneuro.markers.bold import region_label
from lbpneuro.markers.pet import WHOLE_BRAIN, Place, level_of

if TYPE_CHECKING:
    import nibabel as nib

Array = NDArray[np.float64]
Weights = NDArray[np.float32]

HEAD_RADIUS_MM = 80.0
MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
BRIGHT_SHARE = 0.2
HALF = 0.5
TEMPLATE_VOXEL_MM = 2.0


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class PetImage:
    """Frames on a grid in the template or in the space of the T1w image.

    ``values`` (n_x, n_y, n_z, n_frame) float32 are as in the file, NaN where a frame did not see the voxel;
    ``motion`` (n_frame, 4, 4) takes a point of the reference (mm) to where it was, None if not known, ``centre_mm`` is
    the centre of the head.
    """

    values: NDArray[np.float32]
    grid: Grid
    space: str
    motion: Array | None
    centre_mm: Array


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RegionUptake:
    """What an image gives: curves, coverage, the voxels of one region, and the share of the brain with uptake."""

    curves: dict[Place, Array]
    coverage: dict[Place, float]
    voxels: Array
    brain_with_signal: float


def read_series(path: Path) -> tuple[NDArray[np.float32], Array]:
    """Return the frames of an image (n_x, n_y, n_z, n_frame) and its affine (4, 4); a static image has one frame.

    Raises
    ------
    InputError
        If the image is unreadable, has other dimensions, or holds no activity.
    """
    image = open_image(path)
    try:
        values = np.asarray(image.dataobj, dtype=np.float32)
    except Exception as error:  # gzip, zlib, mmap and nibabel each raise their own for missing bytes
        raise InputError(f"{path}: its header declares {image.shape} voxels, but the data are cut off.") from error
    if values.ndim == 3:
        values = values[..., np.newaxis]
    if values.ndim != 4 or not values.size:
        raise InputError(f"{path}: expected an image of three dimensions and frames, found the shape {image.shape}.")
    if not np.any(np.nan_to_num(values)):
        raise InputError(f"{path}: every voxel of every frame is zero or NaN; the image holds no activity.")
    return values, np.asarray(image.affine, dtype=np.float64)


def read_image(scan: ScanFiles) -> PetImage:
    """Return an image that is in the template or in the space of the T1w image already.

    Head motion is that of the table of confounds beside it (``trans_x`` ... ``rot_z``), if there is one.
    """
    values, affine = read_series(scan.main)
    motion = _motion(scan.confounds, n_frame=values.shape[3])
    centre = affine[:3, :3] @ ((np.array(values.shape[:3]) - 1) / 2) + affine[:3, 3]
    return PetImage(
        values=values,
        grid=Grid(affine=affine, shape=values.shape[:3]),
        space=scan.space,
        motion=motion,
        centre_mm=centre if motion is None else np.zeros(3),
    )


def _motion(path: Path | None, *, n_frame: int) -> Array | None:
    if path is None:
        return None
    table = read_tsv(path)
    if not set(MOTION) <= set(table.columns):
        return None
    if len(table) != n_frame:
        raise InputError(f"{path}: {len(table)} rows for {n_frame} frames; one for each is expected.")
    return rigid_matrices(table[list(MOTION)].to_numpy(dtype=np.float64))


def largest_displacement(image: PetImage, overlap_s: Array) -> float:
    """Return how far the head moved between the frames of a window, the largest (mm); NaN if that is not known."""
    used = np.flatnonzero(overlap_s > 0)
    if image.motion is None or not used.size:
        return float("nan")
    moved = displacement_mm(image.motion[used], centre_mm=image.centre_mm, radius_mm=HEAD_RADIUS_MM)
    return float(moved.max())


def frames_of(scan: ScanFiles, image: PetImage) -> Frames:
    """Return the frames of an image, by the metadata of the scan."""
    return read_frames(scan.metadata, n_frame=image.values.shape[3], where=str(scan.main))


# ------------------------------------------------------------------------------------------------------------- regions


def region_uptake(
    image: PetImage,
    *,
    factor: Array,
    overlap_s: Array,
    regions: Mapping[Name, Region],
    anatomy: Sequence[Path],
    settings: Mapping[str, Any],
) -> RegionUptake:
    """Return the curves of all regions and references of the settings.

    Parameters
    ----------
    image
        Of :func:`read_image`, or a raw image brought to the space of the T1w image.
    factor : (n_frame,)
        Makes activity Bq/mL at the injection.
    overlap_s : (n_frame,)
        Time of each frame inside the window.
    regions
        From :func:`lbpneuro.io.regions.read_regions`.
    anatomy
        Files that hold the transform from the template, for an image in the space of the T1w image.
    settings
        Section ``pet``.

    Raises
    ------
    InputError
        With reason ``no_transform`` if the way from the template is not there.
    """
    parts_of_level = wanted_parts(settings, regions)
    needed = {part: regions[part] for parts in parts_of_level.values() for part in parts}
    weights, whole = _part_weights(image, needed, anatomy)
    order = {part: row for row, part in enumerate(needed)}
    union = np.stack([weights[[order[part] for part in parts]].max(axis=0) for parts in parts_of_level.values()])
    inside = union.max(axis=0) > 0
    values = image.values.reshape(-1, image.values.shape[3])[inside].astype(np.float64) * factor
    union = union[:, inside]
    window = values[:, overlap_s > 0] if np.any(overlap_s > 0) else values
    seen = np.isfinite(window).all(axis=1)
    means = weighted_means(values, weights=union)
    levels = list(parts_of_level)
    expected = [sum(whole[part] for part in parts) for parts in parts_of_level.values()]
    texture = levels.index(level_of(settings["texture"]["region"]))
    brain = union[levels.index((WHOLE_BRAIN, "n/a"))] >= HALF
    return RegionUptake(
        curves=dict(zip(levels, means, strict=True)),
        coverage={
            level: float(min(1.0, row @ seen / size)) if size > 0 else 0.0
            for level, row, size in zip(levels, union, expected, strict=True)
        },
        voxels=values[(union[texture] >= HALF) & seen],
        brain_with_signal=_bright(window[brain].mean(axis=1)),
    )


def _bright(uptake: Array) -> float:
    """Return the share of voxels with more than a fifth of their median; unseen ones have no signal."""
    known = np.nan_to_num(uptake, nan=0.0)
    return float((known > BRIGHT_SHARE * np.median(known)).mean()) if known.size else float("nan")


def _part_weights(
    image: PetImage, regions: Mapping[Name, Region], anatomy: Sequence[Path]
) -> tuple[Weights, dict[Name, float]]:
    """Return the share of every voxel in each region (n_region, n_voxel), and how many voxels it has in all."""
    if image.space == TEMPLATE:
        return _template_weights(image.grid, regions)
    transform = template_transform(anatomy, space=TEMPLATE)
    if transform is None:
        raise InputError(
            f"The PET image in the space of the T1w image needs the transform from-{TEMPLATE}_to-T1w_mode-image_xfm.h5 "
            "of fMRIPrep or of the embedded path; give that derivative.",
            reason=Reason.NO_TRANSFORM,
        )
    found = native_regions(regions, transform, grid=image.grid)
    empty = np.zeros(image.grid.shape, dtype=np.float32)
    weights = np.stack([place(empty.copy(), found[name].weights, start=found[name].start).ravel() for name in regions])
    return weights, {name: float(region.weights.sum(dtype=np.float64)) for name, region in found.items()}


def _template_weights(grid: Grid, regions: Mapping[Name, Region]) -> tuple[Weights, dict[Name, float]]:
    voxel_mm3 = abs(np.linalg.det(grid.affine[:3, :3]))
    weights, whole = [], {}
    for name, region in regions.items():
        weights.append(region_weights(region, affine=grid.affine, shape=grid.shape).ravel())
        own = grid_around(region_bounds(region), voxel_mm=TEMPLATE_VOXEL_MM, margin_mm=TEMPLATE_VOXEL_MM)
        volume = region_weights(region, affine=own.affine, shape=own.shape).sum(dtype=np.float64) * TEMPLATE_VOXEL_MM**3
        whole[name] = float(volume / voxel_mm3)
    return np.stack(weights), whole


# ------------------------------------------------------------------------------------------------------------- outputs


def write_curves(path: Path, *, curves: Mapping[Place, Array], frames: Frames, window_min: Sequence[float]) -> None:
    """Write the curves of the regions, in kBq/mL at the injection, with a row per frame, and their sidecar."""
    import pandas as pd

    columns = {region_label(level): np.asarray(curve) / 1e3 for level, curve in curves.items()}
    times = {"frame_start": frames.start_s, "frame_end": frames.start_s + frames.duration_s}
    write_tsv(path, pd.DataFrame({**times, **columns}))
    about = {
        "frame_start": {"Description": "Start of the frame after the injection.", "Units": "s"},
        "frame_end": {"Description": "End of the frame after the injection.", "Units": "s"},
        **{name: {"Description": f"Mean activity of {name}.", "Units": "kBq/mL"} for name in columns},
        "DecayCorrectedTo": "injection",
        "WindowMinutes": list(window_min),
    }
    write_json(path.with_suffix(".json"), about)


def write_ratio_map(path: Path, image: PetImage, *, factor: Array, overlap_s: Array, reference: float) -> None:
    """Write the average over the window divided by the activity of the reference, and its sidecar."""
    weight = overlap_s * factor / overlap_s.sum()
    used = overlap_s > 0
    ratio = image.values[..., used] @ (weight[used] / reference).astype(np.float32)
    write_nifti(path, _as_image(ratio.astype(np.float32), image))
    text = "Activity over that of the occipital cortex, averaged over the window of uptake."
    write_json(path.with_name(path.name.removesuffix(".nii.gz") + ".json"), {"Description": text, "Units": "1"})


def _as_image(values: NDArray[np.float32], image: PetImage) -> nib.Nifti1Image:
    import nibabel as nib

    found = nib.Nifti1Image(values, image.grid.affine)
    found.set_sform(image.grid.affine, code="mni" if image.space == TEMPLATE else "aligned")
    found.set_qform(image.grid.affine, code="unknown", strip_shears=True)
    found.header.set_xyzt_units("mm")
    return found
