"""Raw T1w images and BOLD runs into arrays, with what they must have to be processed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.images import Image, load_image, open_image
from lbpneuro.io.series import check_series, header_t_r, repetition_time, volumes
from lbpneuro.io.transforms import is_sheared

if TYPE_CHECKING:
    import nibabel as nib

FEWEST_SLICES = 8
FEWEST_VOLUMES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRun:
    """A BOLD run: ``series`` (n_x, n_y, n_z, n_time) float32, ``affine`` (4, 4) to mm, ``t_r`` in s."""

    path: Path
    series: NDArray[np.float32]
    affine: NDArray[np.float64]
    t_r: float


def read_head(path: Path) -> Image:
    """Return a T1w image; voxels that are NaN or infinite (as some masking tools write) become 0.

    Raises
    ------
    InputError
        If the file is no usable three-dimensional image or does not say where its voxels lie.
    """
    check_orientation(open_image(path), path)
    image = load_image(path)
    check_slices(image.data.shape, path)
    data = np.nan_to_num(image.data, nan=0.0, posinf=0.0, neginf=0.0)
    if data.min() == data.max():
        raise InputError(f"{path}: every voxel has the value {data.min():g}; the image holds no head.")
    return Image(path=path, data=data, affine=image.affine)


def read_run(path: Path) -> RawRun:
    """Return a BOLD run with its repetition time.

    Raises
    ------
    InputError
        If the file is no usable BOLD run: unreadable, cut short, not four-dimensional, too short, without
        orientation, NaN or constant, or if its repetition time is unknown or contradicts the header.
    """
    image = open_image(path)
    if len(image.shape) != 4 or image.shape[3] < FEWEST_VOLUMES:
        raise InputError(
            f"{path}: expected a BOLD run of at least {FEWEST_VOLUMES} volumes, found the shape {image.shape}.",
            reason=Reason.TOO_FEW_VOLUMES if len(image.shape) == 4 else None,
        )
    check_series(image, path)
    check_orientation(image, path)
    check_slices(image.shape[:3], path)
    t_r = repetition_time(path, header=header_t_r(image))
    return RawRun(path=path, series=run_values(image, path), affine=np.asarray(image.affine, dtype=float), t_r=t_r)


def run_values(image: nib.Nifti1Image, path: Path) -> NDArray[np.float32]:
    """Return the scaled values of a run as float32; InputError if they are cut short, not finite or constant."""
    series = np.empty(image.shape, dtype=np.float32, order="F")
    for index, volume in enumerate(volumes(image, path)):
        series[..., index] = volume.reshape(image.shape[:3], order="F")
    if not np.isfinite(series).all():
        raise InputError(f"{path}: {1 - np.isfinite(series).mean():.1%} of the values are NaN or infinite.")
    if not (series != series[..., :1]).any():
        raise InputError(f"{path}: no voxel changes over time; the run holds no signal.", reason=Reason.ZERO_VARIANCE)
    return series


def check_orientation(image: nib.Nifti1Image, path: Path) -> None:
    """Raise InputError if the header has neither qform nor sform (left and right are then unknown), or a shear."""
    if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
        raise InputError(
            f"{path}: the header has neither qform nor sform, so left and right are unknown; "
            "convert the scan again from its DICOM files."
        )
    if is_sheared(np.asarray(image.affine)):
        raise InputError(
            f"{path}: the axes of the image are not at right angles (sheared affine), which ITK cannot represent; "
            "convert the scan again from its DICOM files, or resample it to an upright grid."
        )


def check_slices(shape: tuple[int, ...], path: Path) -> None:
    """Raise InputError if the image is too thin to be registered."""
    if min(shape) < FEWEST_SLICES:
        raise InputError(
            f"{path}: expected at least {FEWEST_SLICES} voxels along every axis, found {shape}; "
            "a slab this thin cannot be registered to a head."
        )
