"""NIfTI images into arrays, with plain words for what is wrong with a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason

if TYPE_CHECKING:
    import nibabel as nib

AFFINE_TOLERANCE_MM = 1e-3
PROBABILITY_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A lattice of voxels: ``affine`` (4, 4) from voxel indices to mm, and ``shape`` (n_x, n_y, n_z)."""

    affine: NDArray[np.floating[Any]]
    shape: tuple[int, ...]


def mirrored_grid(grid: Grid) -> Grid:
    """Return the grid of the mirror image (x becomes -x) whose first axis is read backwards."""
    affine = np.array(grid.affine, dtype=np.float64)
    affine[0] *= -1
    affine[:3, 3] += (grid.shape[0] - 1) * affine[:3, 0]
    affine[:3, 0] *= -1
    return Grid(affine=affine, shape=grid.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A three-dimensional image: ``data`` (n_x, n_y, n_z) float32, ``affine`` (4, 4) from voxel indices to mm."""

    path: Path
    data: NDArray[np.float32]
    affine: NDArray[np.float64]

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel (mm³)."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))


def open_image(path: Path) -> nib.Nifti1Image:
    """Return the opened NIfTI image, its data not yet read.

    Raises
    ------
    InputError
        If the file is absent or a link to nothing (reason ``file_missing``), empty, or no NIfTI image.
    """
    import nibabel as nib

    _check_present(path)
    try:
        image = nib.load(path)
    except Exception as error:  # nibabel, gzip and zlib have no common base for what a broken file raises
        raise InputError(
            f"{path}: expected a NIfTI image, found {_content(path)}; copy or download it again."
        ) from error
    if not isinstance(image, nib.Nifti1Image):
        raise InputError(f"{path}: expected a NIfTI image, found {type(image).__name__}; convert it to .nii.gz.")
    return image


def load_image(path: Path) -> Image:
    """Return a three-dimensional image as float32; a fourth dimension of one volume is dropped.

    Raises
    ------
    InputError
        If the file is absent, unreadable or truncated, has another number of dimensions, or holds no value
        other than zero, or none that is finite.
    """
    image = open_image(path)
    data = _read_data(image, path)
    if data.ndim == 4 and data.shape[3] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        raise InputError(f"{path}: expected a three-dimensional image, found the shape {data.shape}.")
    _check_values(data, path)
    return Image(path=path, data=data, affine=_affine(image, path))


def load_probability(path: Path) -> Image:
    """Return a tissue probability map; InputError if a value lies outside 0 to 1."""
    image = load_image(path)
    low, high = float(np.nanmin(image.data)), float(np.nanmax(image.data))
    if low < -PROBABILITY_TOLERANCE or high > 1 + PROBABILITY_TOLERANCE:
        raise InputError(
            f"{path}: expected probabilities from 0 to 1, found values from {low:g} to {high:g}; "
            "give the probability map, not a label or intensity image."
        )
    return image


def check_same_grid(images: Sequence[Image]) -> None:
    """Raise InputError naming two files if the images do not share shape and affine."""
    first, *others = images
    for other in others:
        if first.data.shape != other.data.shape:
            found = f"{first.data.shape} and {other.data.shape} voxels"
        elif not np.allclose(first.affine, other.affine, rtol=0, atol=AFFINE_TOLERANCE_MM):
            found = "different affines"
        else:
            continue
        raise InputError(f"{first.path} and {other.path} must lie on the same grid, found {found}; resample one.")


def block(data: NDArray[Any], *, start: Sequence[int], shape: Sequence[int]) -> NDArray[Any]:
    """Return the box of ``shape`` that begins at the voxel ``start``; what lies outside the image is zero."""
    found = np.zeros(tuple(shape), dtype=data.dtype)
    inner, outer = _overlap(data.shape, start=start, shape=shape)
    found[inner] = data[outer]
    return found


def place(data: NDArray[Any], part: NDArray[Any], *, start: Sequence[int]) -> NDArray[Any]:
    """Return a copy of ``data`` with ``part`` put at the voxel ``start``; what falls outside is dropped."""
    whole = data.copy()
    inner, outer = _overlap(data.shape, start=start, shape=part.shape)
    whole[outer] = part[inner]
    return whole


def _overlap(
    size: Sequence[int], *, start: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where a box and an image meet, as slices of the box and of the image."""
    inner, outer = [], []
    for n_voxel, first, extent in zip(size, start, shape, strict=True):
        low, high = min(max(first, 0), n_voxel), max(min(first + extent, n_voxel), 0)
        high = max(low, high)
        inner.append(slice(low - first, high - first) if high > low else slice(0, 0))
        outer.append(slice(low, high))
    return tuple(inner), tuple(outer)


def _check_present(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise InputError(
            f"{path}: the link leads to no file; fetch its content (for example with datalad get).",
            reason=Reason.FILE_MISSING,
        )
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.", reason=Reason.FILE_MISSING)
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes); copy or download it again.")


def _content(path: Path) -> str:
    """Return in words what the first bytes of a file that is no image look like."""
    with path.open("rb") as stream:
        head = stream.read(512).lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page (an HTML document saved under this name)"
    if head.startswith(b"version https://git-lfs") or b"annex/objects" in head:
        return "a pointer to a file that was not fetched"
    if head.startswith(b"\x1f\x8b"):
        return "a damaged gzip file or something else inside it"
    return "something else"


def _read_data(image: nib.Nifti1Image, path: Path) -> NDArray[np.float32]:
    """Return all values; InputError if there are fewer bytes than the header declares."""
    from isal import igzip  # unpacks in half the time of nibabel

    try:
        if path.suffix != ".gz":
            return np.asarray(image.dataobj, dtype=np.float32)
        with igzip.open(path) as stream:
            return np.asarray(type(image).from_stream(stream).dataobj, dtype=np.float32)
    except Exception as error:  # gzip, zlib, mmap and nibabel each raise their own for missing bytes
        raise InputError(
            f"{path}: the header declares {image.shape} voxels, but the data are missing or cut off; "
            "copy or download the file again."
        ) from error


def _check_values(data: NDArray[np.float32], path: Path) -> None:
    if data.size == 0:
        raise InputError(f"{path}: the image has no voxels (shape {data.shape}).")
    finite = np.isfinite(data)
    if not finite.any():
        raise InputError(f"{path}: no voxel has a finite value; the image holds only NaN.")
    if not np.any(data, where=finite):
        raise InputError(f"{path}: every voxel is zero; the image holds no data.")


def _affine(image: nib.Nifti1Image, path: Path) -> NDArray[np.float64]:
    """Return the affine; InputError if it does not map voxels to space one to one."""
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(f"{path}: the affine of the header is not usable; set the orientation of the image again.")
    return affine
