"""BOLD series: one streaming read that masks while it decompresses, the repetition time, and what lies at a voxel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.images import Image, load_image, open_image
from lbpneuro.io.sidecars import read_metadata
from lbpneuro.kernels.voxels import places_in_file

if TYPE_CHECKING:
    import nibabel as nib

GRID_TOLERANCE_MM = 1e-2
SAME_TIME = 0.01
MEAN_OF = 32
GZIP = b"\x1f\x8b"
NIFTI_HEADER_SIZES = tuple(size.to_bytes(4, order) for size in (348, 540) for order in ("little", "big"))
SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6, "unknown": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The voxels of a BOLD run inside a mask.

    ``bold`` (n_time, n_voxel), columns as in :mod:`lbpneuro.kernels.voxels`: float32, or the integers of one or two
    bytes that are stored where there is nothing to scale, which are as exact in half the memory; ``mean``
    (n_x, n_y, n_z) float32 of up to 32 volumes spread over the run, masked or not: what the run looks like, and how
    bright it is; ``t_r`` is that of the header (s), None where it has none.
    """

    path: Path
    bold: NDArray[Any]
    mask: NDArray[np.bool_]
    mean: NDArray[np.float32]
    affine: NDArray[np.float64]
    t_r: float | None


def read_series(path: Path, mask: Path) -> Series:
    """Return the voxels of a four-dimensional image that lie inside ``mask``, read in one pass.

    One volume at a time is decompressed (or mapped, if the file is not compressed), masked, scaled in float64 and
    stored: beside the matrix of the result there is one volume as it is stored, and one sum of some. Any integer or
    float type, either byte order, scaling factors, NIfTI-1 and NIfTI-2.

    Parameters
    ----------
    path
        BOLD image, .nii or .nii.gz.
    mask
        Brain mask on the same grid; a voxel above 0.5 is inside.

    Raises
    ------
    InputError
        If a file is absent, empty, no NIfTI image, truncated or corrupt (size and checksum), not four-dimensional,
        without a place in its header, or if the grids differ.
    """
    image = open_image(path)
    brain = load_image(mask)
    check_series(image, path)
    _check_grid(image, brain, path=path)
    inside = brain.data > 0.5
    bold, mean = _masked(image, path, places=places_in_file(inside))
    affine = np.asarray(image.affine, dtype=np.float64)
    return Series(path=path, bold=bold, mask=inside, mean=mean, affine=affine, t_r=header_t_r(image))


def _masked(
    image: nib.Nifti1Image, path: Path, *, places: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Return the voxels at the flat indices ``places`` (n_time, n_voxel), and the mean of some volumes (x, y, z).

    What is scaled is what the mask leaves, and the mean once at the end.
    """
    n_time, dtype = image.shape[3], image.get_data_dtype()
    scaling = _scaling(image)
    bold = np.empty((n_time, len(places)), dtype=_matrix_type(dtype, scaling))
    as_stored = bold.dtype == dtype and scaling == (1, 0)
    picked = np.empty(len(places), dtype=dtype)
    total = np.zeros(int(np.prod(image.shape[:3])), dtype=_sum_type(dtype))
    every = -(-n_time // MEAN_OF)
    for index, volume in enumerate(_stored_volumes(image, path)):
        row = bold[index] if as_stored else picked
        np.take(volume, places, out=row, mode="clip")  # the default mode would fill a copy of `out` first
        if not as_stored:
            bold[index] = _scaled(row, scaling)
        if index % every == 0:
            total += volume
    mean = _scaled(total / len(range(0, n_time, every)), scaling).reshape(image.shape[:3], order="F")
    return bold, mean.astype(np.float32)


def _matrix_type(dtype: np.dtype[Any], scaling: tuple[float, float]) -> np.dtype[Any]:
    """Return the type of the matrix of a series: that of small integers as they are stored, else float32."""
    as_stored = scaling == (1, 0) and dtype.kind in "iu" and dtype.itemsize <= 2
    return dtype.newbyteorder("=") if as_stored else np.dtype(np.float32)


def _sum_type(dtype: np.dtype[Any]) -> type[np.generic]:
    """Return a type that holds the sum of some volumes: integers of two bytes add up exactly in half the time."""
    return np.int32 if dtype.kind in "iu" and dtype.itemsize <= 2 else np.float64


def check_series(image: nib.Nifti1Image, path: Path) -> None:
    """Raise InputError unless an opened image has four dimensions, two volumes or more, and real values."""
    if len(image.shape) != 4 or image.shape[3] < 2:
        raise InputError(f"{path}: expected a four-dimensional BOLD series, found the shape {image.shape}.")
    if image.get_data_dtype().kind not in "iuf":
        raise InputError(
            f"{path}: expected integer or real values, found the data type {image.get_data_dtype()}; convert the image."
        )


def _check_grid(image: nib.Nifti1Image, brain: Image, *, path: Path) -> None:
    """Raise InputError naming both grids unless ``image`` has a place and shares shape and affine with the mask."""
    if not (image.header["sform_code"] or image.header["qform_code"]):
        raise InputError(
            f"{path}: the header has neither sform nor qform (codes 0), so nothing says where its voxels lie; "
            "take the image as the preprocessing wrote it."
        )
    same = image.shape[:3] == brain.data.shape
    if same and np.allclose(image.affine, brain.affine, rtol=0, atol=GRID_TOLERANCE_MM):
        return
    raise InputError(
        f"{path}: the grid is {image.shape[:3]}, affine {_rows(image.affine)}, but that of the mask "
        f"{brain.path} is {brain.data.shape}, affine {_rows(brain.affine)}; "
        "give the mask of the same space and resolution."
    )


def _rows(affine: NDArray[np.floating[Any]]) -> str:
    return str(np.round(np.asarray(affine)[:3], 3).tolist())


def volumes(image: nib.Nifti1Image, path: Path) -> Iterator[NDArray[Any]]:
    """Yield the volumes of a series (see ``check_series``) as flat, scaled arrays in file (Fortran) order.

    One volume at a time is decompressed, or mapped. A yielded array holds until the next one is asked for, and may be
    read-only.

    Raises
    ------
    InputError
        If the file is truncated or corrupt (size and checksum).
    """
    scaling = _scaling(image)
    for volume in _stored_volumes(image, path):
        yield _scaled(volume, scaling)


def _scaling(image: nib.Nifti1Image) -> tuple[float, float]:
    """Return slope and intercept of a header; those of a header without are 1 and 0."""
    return float(image.dataobj.slope), float(image.dataobj.inter)


def _scaled(stored: NDArray[Any], scaling: tuple[float, float]) -> NDArray[Any]:
    """Return stored values scaled in float64, or themselves where there is nothing to scale."""
    slope, inter = scaling
    return stored if scaling == (1, 0) else stored * np.float64(slope) + inter


def _stored_volumes(image: nib.Nifti1Image, path: Path) -> Iterator[NDArray[Any]]:
    """Yield the volumes as they are stored; InputError if the file is truncated, corrupt or compressed otherwise."""
    with path.open("rb") as stream:
        head = stream.read(4)
    if head[:2] == GZIP:
        yield from _unpacked_volumes(image, path)
    elif head in NIFTI_HEADER_SIZES:
        yield from _mapped_volumes(image, path)
    else:
        raise InputError(f"{path}: expected .nii or .nii.gz, found another kind of compression; store it as .nii.gz.")


def _mapped_volumes(image: nib.Nifti1Image, path: Path) -> Iterator[NDArray[Any]]:
    """Yield the volumes of an uncompressed file without reading them.

    Each has its own map, which goes with it: pages of one map of the whole file would count as memory of the process.
    """
    dtype, n_voxel, n_time = image.get_data_dtype(), int(np.prod(image.shape[:3])), image.shape[3]
    first, n_bytes = image.dataobj.offset, n_voxel * dtype.itemsize
    n_whole = (path.stat().st_size - first) // n_bytes
    if n_whole < n_time:
        raise _truncated(path, found="the header" if n_whole < 0 else f"{n_whole} of {n_time} volumes")
    for index in range(n_time):
        start = first + index * n_bytes
        yield np.asarray(np.memmap(path, dtype=dtype, mode="r", offset=start, shape=(n_voxel,)))


def _unpacked_volumes(image: nib.Nifti1Image, path: Path) -> Iterator[NDArray[Any]]:
    """Yield the volumes of a gzip file, and check what follows the last."""
    from isal import igzip

    dtype, n_bytes = image.get_data_dtype(), int(np.prod(image.shape[:3])) * image.get_data_dtype().itemsize
    with igzip.open(path, "rb") as stream:
        _read(stream, image.dataobj.offset, path=path, found="the header")
        for index in range(image.shape[3]):
            stored = _read(stream, n_bytes, path=path, found=f"{index} of {image.shape[3]} volumes")
            yield np.frombuffer(stored, dtype=dtype)
        _drain(stream, path)


def _read(stream: BinaryIO, n_bytes: int, *, path: Path, found: str) -> bytes:
    """Return the next bytes of the stream; InputError if it ends before or is corrupt."""
    with _explained(path, found=found):
        stored = stream.read(n_bytes)
    if len(stored) < n_bytes:
        raise _truncated(path, found=found)
    return stored


def _drain(stream: BinaryIO, path: Path) -> None:
    """Read to the end, where gzip checks size and checksum."""
    with _explained(path, found="all volumes"):
        while stream.read(1 << 20):
            pass


@contextmanager
def _explained(path: Path, *, found: str) -> Iterator[None]:
    """Turn what a damaged stream raises into an InputError."""
    from isal import isal_zlib

    damaged: tuple[type[Exception], ...] = (isal_zlib.IsalError, OSError)  # type: ignore[assignment]
    try:
        yield
    except EOFError as error:
        raise _truncated(path, found=found) from error
    except damaged as error:
        raise InputError(
            f"{path}: the compressed data are corrupt ({error}); copy or download the file again."
        ) from error


def _truncated(path: Path, *, found: str) -> InputError:
    return InputError(f"{path}: the file ends after {found}; it is truncated: copy or download it again.")


def header_t_r(image: nib.Nifti1Image) -> float | None:
    """Return the repetition time of a NIfTI header (s), or None where it has none.

    A header without a unit of time whose value is exactly 1 has none either: that is what software writes that knows of
    no time.
    """
    value = float(image.header["pixdim"][4])
    unit = image.header.get_xyzt_units()[1]
    if unit not in SECONDS or not np.isfinite(value) or value <= 0 or (unit == "unknown" and value == 1):
        return None
    return value * SECONDS[unit]


def repetition_time(path: Path, *, header: float | None) -> float:
    """Return the repetition time of a run (s): that of its JSON sidecar, else that of its header.

    Raises
    ------
    InputError
        If neither has one, if they differ by more than 1 %, or if the volumes are not evenly spaced (`VolumeTiming`).
    """
    metadata = read_metadata(path)
    value = metadata.get("RepetitionTime")
    if value is None and "VolumeTiming" in metadata:
        raise InputError(
            f"{path}: its sidecar has VolumeTiming instead of RepetitionTime; volumes that are not evenly spaced in "
            "time (sparse sampling) cannot be filtered to a frequency band."
        )
    if value is None:
        if header is None:
            raise InputError(
                f"{path}: no RepetitionTime in its JSON sidecar and none in its header; add it to the sidecar."
            )
        return header
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 100:
        raise InputError(f"{path}: RepetitionTime must be a number of seconds above 0 and below 100; found {value!r}.")
    if header is not None and abs(header - value) > SAME_TIME * value:
        raise InputError(
            f"{path}: RepetitionTime is {value:g} s in the JSON sidecar, but {header:g} s in the NIfTI header; "
            "find out which is right (the scan protocol, the time stamps of the events) and correct the other."
        )
    return float(value)


def other_excitation(metadata: Mapping[str, Any], t_r: float) -> float | None:
    """Return the time (s) at which the sidecar of a 2D run says that slices are excited, where it is not the volume's.

    A 2D sequence excites every slice once per volume, so that ``RepetitionTimeExcitation`` must be the repetition time:
    one of the two is wrong then. None where they agree or nothing is known.
    """
    value = metadata.get("RepetitionTimeExcitation")
    if metadata.get("MRAcquisitionType") != "2D" or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value - t_r) > SAME_TIME * t_r else None


def multiband_factor(metadata: Mapping[str, Any]) -> int:
    """Return how many slices a run excites at once: ``MultibandAccelerationFactor`` of its sidecar, 1 without one."""
    value = metadata.get("MultibandAccelerationFactor")
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        return 1
    return max(round(value), 1)


def mean_in_voxels(image: Image, *, affine: NDArray[np.floating[Any]], voxels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the mean of an image inside given voxels of another grid.

    27 points of every voxel are looked up by linear interpolation; outside the image is 0.

    Parameters
    ----------
    image
        For example a tissue probability map in the space of ``affine``.
    affine : (4, 4)
        Of the grid that the voxels belong to.
    voxels : (n_voxel, 3)
        Indices on that grid.

    Returns
    -------
    (n_voxel,) float64
    """
    from scipy.ndimage import map_coordinates

    steps = np.stack(np.meshgrid(*[[-1 / 3, 0, 1 / 3]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    points = voxels[:, None, :] + steps
    to_image = np.linalg.inv(image.affine) @ affine
    found = points @ to_image[:3, :3].T + to_image[:3, 3]
    data = np.nan_to_num(image.data.astype(np.float64))
    values = map_coordinates(data, np.moveaxis(found, -1, 0), order=1, mode="constant")
    return np.asarray(values.mean(axis=1))


def missing_file(path: Path, *, role: str) -> InputError:
    """Return the error for a run that lacks a companion file."""
    return InputError(
        f"{path}: this run has no {role}; run fMRIPrep (or the embedded path) again.", reason=Reason.FILE_MISSING
    )
