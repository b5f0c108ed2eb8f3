"""Raw T1w images and BOLD runs into arrays, with what they must have to be processed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.images import Image, load_image, open_image
from lbpneuro.io.index import entities
from lbpneuro.io.series import check_series, volumes
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.io.transforms import is_sheared
from lbpneuro.preprocess.timing import run_timing

if TYPE_CHECKING:
    import nibabel as nib

FEWEST_SLICES = 8
FEWEST_VOLUMES = 20
PLACE_DECIMALS = 3
HEAD_MM = (100.0, 500.0)  # the second longest side of a field of view that may hold a brain, and the longest


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRun:
    """A BOLD run: ``series`` (n_x, n_y, n_z, n_time) float32, ``affine`` (4, 4) to mm, ``t_r`` in s.

    ``metadata`` is its JSON sidecar, ``warnings`` are what should be looked at.
    """

    path: Path
    series: NDArray[np.float32]
    affine: NDArray[np.float64]
    t_r: float
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read_head(path: Path) -> Image:
    """Return a T1w image along the axes right, anterior, superior (as nearly as its own lie), finite everywhere.

    Voxels that are NaN or infinite, as some masking tools write, become 0. In which order and direction a file stores
    its axes does not matter then; its centre is taken to the micrometre.

    Raises
    ------
    InputError
        If the file is no usable three-dimensional image or does not say where its voxels lie.
    """
    check_orientation(open_image(path), path)
    image = along_axes(load_image(path))
    check_slices(image.data.shape, path)
    data = np.nan_to_num(image.data, nan=0.0, posinf=0.0, neginf=0.0)
    if data.min() == data.max():
        raise InputError(f"{path}: every voxel has the value {data.min():g}; the image holds no head.")
    return Image(path=path, data=data, affine=image.affine)


def along_axes(image: Image) -> Image:
    """Return an image with its axes reordered and reversed to those of space, and ``placed``; no value changes."""
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    turn = io_orientation(image.affine)
    affine = image.affine @ inv_ornt_aff(turn, image.data.shape)
    data = apply_orientation(image.data, turn)
    return replace(image, data=data, affine=placed(affine, data.shape))


def placed(affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return an affine with the centre of its grid at a whole micrometre.

    A header keeps a place in single precision, from whichever corner the axes begin, and a registration makes percents
    of the last digit of a position. The centre is that of all orders of the axes and of the mirror image, whose
    corners then are the same to the last bit.
    """
    middle = (np.array(shape) - 1) / 2
    centre = np.round(affine[:3, :3] @ middle + affine[:3, 3], PLACE_DECIMALS)
    found = affine.copy()
    found[:3, 3] = centre - affine[:3, :3] @ middle
    return found


def read_run(path: Path) -> RawRun:
    """Return a BOLD run with its repetition time.

    Raises
    ------
    InputError
        If the file is no usable BOLD run: unreadable, cut short, not four-dimensional, too short, a single echo,
        without orientation or of an implausible size, NaN or constant, or if its repetition time is unknown or
        contradicts the header or the events.
    """
    image = open_image(path)
    check_run_shape(image.shape, path)
    check_single_echo(path)
    check_series(image, path)
    check_orientation(image, path)
    check_slices(image.shape[:3], path)
    check_field_of_view(image, path)
    metadata = read_metadata(path)
    timing = run_timing(path, image, metadata)
    return RawRun(
        path=path,
        series=run_values(image, path),
        affine=np.asarray(image.affine, dtype=float),
        t_r=timing.t_r,
        metadata=metadata,
        warnings=timing.warnings,
    )


def check_run_shape(shape: tuple[int, ...], path: Path) -> None:
    """Raise InputError unless an image has four dimensions and enough volumes."""
    if len(shape) != 4:
        kind = "a single volume" if len(shape) == 3 else f"{len(shape)} dimensions"
        raise InputError(f"{path}: expected a BOLD run of at least {FEWEST_VOLUMES} volumes, found {kind}, {shape}.")
    if shape[3] < FEWEST_VOLUMES:
        raise InputError(
            f"{path}: expected a BOLD run of at least {FEWEST_VOLUMES} volumes, found {shape[3]}.",
            reason=Reason.TOO_FEW_VOLUMES,
        )


def check_single_echo(path: Path) -> None:
    """Raise InputError if a run is one of several echoes, by its name."""
    if "echo" in entities(path):
        raise InputError(
            f"{path}: this is a single echo; run fMRIPrep, which combines the echoes, or combine them with tedana and "
            "name the result without the entity echo."
        )


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
            f"{path}: the header has neither qform nor sform, so left and right are unknown{_bare(image)}; "
            "convert the scan again from its DICOM files."
        )
    if is_sheared(np.asarray(image.affine)):
        raise InputError(
            f"{path}: the axes of the image are not at right angles (sheared affine), which ITK cannot represent; "
            "convert the scan again from its DICOM files, or resample it to an upright grid."
        )


def _bare(image: nib.Nifti1Image) -> str:
    """Return in words whether the header has voxel sizes of 1 without a unit: those of software that lost them."""
    unit = image.header.get_xyzt_units()[0]
    sizes = np.asarray(image.header.get_zooms()[:3])
    return " (nor a voxel size: all are 1, without a unit)" if unit == "unknown" and (sizes == 1).all() else ""


def check_slices(shape: tuple[int, ...], path: Path) -> None:
    """Raise InputError if the image is too thin to be registered."""
    if min(shape) < FEWEST_SLICES:
        what = "a single slice" if min(shape) == 1 else "a slab this thin"
        raise InputError(
            f"{path}: expected at least {FEWEST_SLICES} voxels along every axis, found {shape}; "
            f"{what} cannot be registered to a head."
        )


def check_field_of_view(image: nib.Nifti1Image, path: Path) -> None:
    """Raise InputError if the voxel sizes make an image that no head fits into, or that is far larger than one."""
    sizes = np.linalg.norm(np.asarray(image.affine)[:3, :3], axis=0)
    sides = np.sort(sizes * image.shape[:3])
    if HEAD_MM[0] <= sides[1] and sides[2] <= HEAD_MM[1]:
        return
    unit = image.header.get_xyzt_units()[0]
    raise InputError(
        f"{path}: the voxel sizes of {' x '.join(f'{size:g}' for size in sizes)} mm (unit in the header: {unit}) make "
        f"a field of view of {' x '.join(f'{side:.3g}' for side in sizes * image.shape[:3])} mm, which is not that of "
        "a head; the voxel size is wrong or in another unit: convert the scan again from its DICOM files."
    )
