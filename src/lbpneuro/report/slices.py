"""Slices of images as seen in the world: left on the left, mm on the axes, several grids on one picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES = {"x": 0, "y": 1, "z": 2}
EDGES = {"x": ("P", "A"), "y": ("L", "R"), "z": ("L", "R")}


@dataclass(frozen=True, slots=True)
class Volume:
    """A 3-D image turned to the closest axes of the world (R, A, S); ``affine`` maps its voxels to mm."""

    data: np.ndarray
    affine: np.ndarray

    def index(self, axis: str, position_mm: float) -> int:
        """Return the slice nearest to ``position_mm`` on ``axis``, kept inside the image."""
        at = AXES[axis]
        step = np.linalg.norm(self.affine[:3, at])
        found = round(float((position_mm - self.affine[at, 3] - self._shear(at)) / step))
        return min(max(found, 0), self.data.shape[at] - 1)

    def _shear(self, at: int) -> float:
        """What the other two axes add to the coordinate at the middle of the image (0 for a straight image)."""
        middle = (np.array(self.data.shape) - 1) / 2
        return float(sum(self.affine[at, other] * middle[other] for other in range(3) if other != at))

    def extent(self, axis: str) -> tuple[float, float, float, float]:
        """Return left, right, bottom and top of a slice (mm), at the outer edges of its voxels."""
        across = [other for other in range(3) if other != AXES[axis]]
        bounds = []
        for at in across:
            step = float(np.linalg.norm(self.affine[:3, at]))
            start = float(self.affine[at, 3]) + self._shear(at) - step / 2
            bounds += [start, start + step * self.data.shape[at]]
        return tuple(bounds)  # type: ignore[return-value]

    def slice(self, axis: str, position_mm: float) -> np.ndarray:
        """Return the slice (rows upwards, columns to the right)."""
        return np.take(self.data, self.index(axis, position_mm), axis=AXES[axis]).T


def read_volume(path: Path) -> Volume:
    """Return a 3-D image for display.

    Raises
    ------
    InputError
        If the file cannot be read or is not 3-D.
    """
    import nibabel as nib

    try:
        image = nib.as_closest_canonical(nib.squeeze_image(nib.load(path)))
        data = np.asarray(image.dataobj, dtype=np.float32)
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError) as error:
        raise InputError(f"{path.name}: the image cannot be read ({error}).") from error
    if data.ndim != 3:
        raise InputError(f"{path.name}: expected a 3-D image, found {data.ndim} axes.")
    return Volume(data, image.affine)


def centre(mask: Volume) -> np.ndarray:
    """Return the weighted centre (mm) of a mask; NaN if it is empty."""
    weight = np.nan_to_num(mask.data).clip(0).astype(np.float64)
    if not weight.any():
        return np.full(3, np.nan)
    grids = np.indices(weight.shape).reshape(3, -1)
    return mask.affine[:3, :3] @ (grids @ weight.ravel() / weight.sum()) + mask.affine[:3, 3]


def show(axes: Axes, volume: Volume, *, axis: str, at_mm: float, **options: object) -> None:
    """Draw one slice of ``volume``; ``options`` go to ``imshow``."""
    axes.imshow(
        volume.slice(axis, at_mm), origin="lower", extent=volume.extent(axis), interpolation="nearest", **options
    )


def outline(axes: Axes, mask: Volume, *, axis: str, at_mm: float, colour: str, width: float = 1.2) -> None:
    """Draw the line where ``mask`` is half of its largest possible weight (1)."""
    piece = mask.slice(axis, at_mm)
    if (piece >= 0.5).any():
        left, right, bottom, top = mask.extent(axis)
        columns = np.linspace(left, right, 2 * piece.shape[1] + 1)[1::2]
        rows = np.linspace(bottom, top, 2 * piece.shape[0] + 1)[1::2]
        axes.contour(columns, rows, piece, levels=[0.5], colors=[colour], linewidths=width)


def dress(axes: Axes, *, axis: str, at_mm: float, sides: bool) -> None:
    """Take the frame off a slice and write where it lies; ``sides`` marks left and right (or back and front)."""
    axes.set_axis_off()
    sign = "−" if round(at_mm) < 0 else ""
    axes.set_title(f"{axis} = {sign}{abs(round(at_mm))} mm", fontsize=8.5, loc="center", pad=2)
    if sides:
        for place, letter in zip((0.02, 0.98), EDGES[axis], strict=True):
            side = "left" if place < 0.5 else "right"
            axes.text(place, 0.02, letter, transform=axes.transAxes, ha=side, va="bottom", fontsize=9, weight="bold")


def window(volume: Volume, *, percentiles: Sequence[float] = (2, 99.5)) -> tuple[float, float]:
    """Return the grey levels to show: percentiles of the voxels above zero."""
    inside = volume.data[np.isfinite(volume.data) & (volume.data > 0)]
    if inside.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(inside, percentiles)
    return min(0.0, float(low)), float(high)


def box(masks: Iterable[Volume], *, margin_mm: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the lower and upper corner (mm) of what is not zero in ``masks``, widened; None if all are empty."""
    corners = []
    for mask in masks:
        places = np.argwhere(np.nan_to_num(mask.data) > 0)
        if len(places):
            corners.append(places @ mask.affine[:3, :3].T + mask.affine[:3, 3])
    if not corners:
        return None
    points = np.concatenate(corners)
    return points.min(axis=0) - margin_mm, points.max(axis=0) + margin_mm
