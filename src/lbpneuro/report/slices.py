"""Slices of images as seen in the world: left on the left, mm on the axes, several grids on one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lbpneuro.errors import InputError
from lbpneuro.report.canvas import IMAGE_WIDTH_IN, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Box = tuple[np.ndarray, np.ndarray]

AXES = {"x": 0, "y": 1, "z": 2}
TITLE_IN = 0.24
MOST_VOXELS = 1_000_000
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
        found = round(float((position_mm - self.affine[at, 3] - self.shear(at)) / step))
        return min(max(found, 0), self.data.shape[at] - 1)

    def shear(self, at: int) -> float:
        """Return what the other two axes add to the coordinate at the middle of the image (0 for a straight image)."""
        middle = (np.array(self.data.shape) - 1) / 2
        return float(sum(self.affine[at, other] * middle[other] for other in range(3) if other != at))

    def extent(self, axis: str) -> tuple[float, float, float, float]:
        """Return left, right, bottom and top of a slice (mm), at the outer edges of its voxels."""
        across = [other for other in range(3) if other != AXES[axis]]
        bounds = []
        for at in across:
            step = float(np.linalg.norm(self.affine[:3, at]))
            start = float(self.affine[at, 3]) + self.shear(at) - step / 2
            bounds += [start, start + step * self.data.shape[at]]
        return tuple(bounds)

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
    data, affine = _read(path)
    if data.ndim != 3:
        raise InputError(f"{path.name}: expected a 3-D image, found {data.ndim} axes.")
    return Volume(data, affine)


def read_volumes(path: Path) -> list[Volume]:
    """Return the volumes of a 4-D image for display; InputError as `read_volume`."""
    data, affine = _read(path)
    if data.ndim != 4:
        raise InputError(f"{path.name}: expected a 4-D image, found {data.ndim} axes.")
    return [Volume(data[..., number], affine) for number in range(data.shape[3])]


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        image = nib.as_closest_canonical(nib.load(path))
        return np.asarray(image.dataobj, dtype=np.float32), image.affine
    except (OSError, EOFError, ValueError, ImageFileError) as error:
        raise InputError(f"{path.name}: the image cannot be read ({error}).") from error


def centre(mask: Volume) -> np.ndarray:
    """Return the weighted centre (mm) of a mask; NaN if it is empty."""
    inside = np.nonzero(mask.data > 0)
    weight = mask.data[inside].astype(np.float64)
    if not weight.size:
        return np.full(3, np.nan)
    return mask.affine[:3, :3] @ (np.stack(inside) @ weight / weight.sum()) + mask.affine[:3, 3]


def peak(volume: Volume) -> np.ndarray:
    """Return the place (mm) of the largest value; NaN counts as nothing."""
    voxel = np.unravel_index(np.argmax(np.nan_to_num(volume.data)), volume.data.shape)
    return volume.affine[:3, :3] @ np.array(voxel) + volume.affine[:3, 3]


def thinned(volume: Volume) -> Volume:
    """Return every k-th voxel along each axis, few enough for quick statistics of the whole image."""
    step = max(1, int(np.ceil((volume.data.size / MOST_VOXELS) ** (1 / 3))))
    affine = volume.affine @ np.diag([step, step, step, 1.0])
    return Volume(volume.data[::step, ::step, ::step], affine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a slice lies, and what of it is shown: the two ranges (mm), to the right and upwards."""

    axis: str
    at_mm: float
    across_mm: tuple[float, float]
    up_mm: tuple[float, float]
    scale: float = 1.0

    @property
    def size(self) -> tuple[float, float]:
        """Width and height on the page, relative to those of other slices."""
        (left, right), (bottom, top) = self.across_mm, self.up_mm
        return self.scale * (right - left), self.scale * (top - bottom)


def place(axis: str, at_mm: float, *, box: Box, scale: float = 1.0) -> Place:
    """Return the place of a slice that shows what of it lies in ``box``."""
    low, high = box
    across, up = (other for other in range(3) if other != AXES[axis])
    return Place(
        axis=axis,
        at_mm=float(at_mm),
        across_mm=(float(low[across]), float(high[across])),
        up_mm=(float(low[up]), float(high[up])),
        scale=scale,
    )


def around(middle: np.ndarray, reach_mm: float) -> Box:
    """Return the box of ``reach_mm`` to all sides of a point."""
    return middle - reach_mm, middle + reach_mm


def head_box(volume: Volume, *, margin_mm: float = 4.0) -> Box:
    """Return the box (mm) around the head: slices of which more than 2 % are brighter than a sixth of the range."""
    volume = thinned(volume)
    bright = np.nan_to_num(volume.data) > window(volume)[1] / 6
    corners = []
    for at in range(3):
        share = bright.mean(axis=tuple(other for other in range(3) if other != at))
        inside = np.flatnonzero(share > 0.02) if (share > 0.02).any() else np.arange(len(share))
        step = np.linalg.norm(volume.affine[:3, at])
        start = volume.affine[at, 3] + volume.shear(at)
        corners.append(start + step * inside[[0, -1]])
    return np.array([low for low, _ in corners]) - margin_mm, np.array([high for _, high in corners]) + margin_mm


def mosaic(rows: Sequence[Sequence[Place]], *, below_in: float = 0.35) -> tuple[Figure, list[tuple[Axes, Place]]]:
    """Return a figure with one panel per place, all at one scale, and room for a legend below."""
    unit = IMAGE_WIDTH_IN / max(sum(spot.size[0] for spot in row) for row in rows)
    heights = [unit * max(spot.size[1] for spot in row) + TITLE_IN for row in rows]
    figure = new_figure(IMAGE_WIDTH_IN, sum(heights) + below_in, layout=None)
    panels, top = [], sum(heights) + below_in
    for row, height in zip(rows, heights, strict=True):
        left = (IMAGE_WIDTH_IN - unit * sum(spot.size[0] for spot in row)) / 2
        for spot in row:
            width, tall = unit * spot.size[0], unit * spot.size[1]
            bottom = top - TITLE_IN - (height - TITLE_IN + tall) / 2
            panels.append((_panel(figure, spot, inches=(left, bottom, width, tall)), spot))
            left += width
        top -= height
    return figure, panels


def _panel(figure: Figure, spot: Place, *, inches: tuple[float, float, float, float]) -> Axes:
    width, height = figure.get_size_inches()
    left, bottom, wide, tall = inches
    gap = 0.02
    axes = figure.add_axes((left / width + gap / width, bottom / height, (wide - 2 * gap) / width, tall / height))
    axes.set_axis_off()
    sign = "−" if round(spot.at_mm) < 0 else ""
    axes.set_title(f"{spot.axis} = {sign}{abs(round(spot.at_mm))} mm", fontsize=8.5, loc="center", pad=3)
    for at, letter in zip((0.02, 0.98), EDGES[spot.axis], strict=True):
        side = "left" if at < 0.5 else "right"
        axes.text(at, 0.02, letter, transform=axes.transAxes, ha=side, va="bottom", fontsize=9, weight="bold")
    return axes


def show(axes: Axes, volume: Volume, *, spot: Place, **options: object) -> None:
    """Draw one slice of ``volume``; ``options`` go to ``imshow``."""
    piece = volume.slice(spot.axis, spot.at_mm)
    axes.imshow(piece, origin="lower", extent=volume.extent(spot.axis), interpolation="nearest", **options)  # type: ignore[arg-type]


def outline(axes: Axes, mask: Volume, *, spot: Place, colour: str, width: float = 1.2) -> None:
    """Draw the line where ``mask`` is half of its largest possible weight (1), with a dark seam to stand out."""
    from matplotlib.patheffects import Normal, Stroke

    piece = mask.slice(spot.axis, spot.at_mm).astype(np.float32)
    if (piece >= 0.5).any():
        left, right, bottom, top = mask.extent(spot.axis)
        columns = np.linspace(left, right, 2 * piece.shape[1] + 1)[1::2]
        rows = np.linspace(bottom, top, 2 * piece.shape[0] + 1)[1::2]
        lines = axes.contour(columns, rows, piece, levels=[0.5], colors=[colour], linewidths=width)
        lines.set_path_effects([Stroke(linewidth=2.2 * width, foreground="black"), Normal()])


def fit(axes: Axes, spot: Place) -> None:
    """Show the ranges of ``spot``; to be called after the last image was drawn."""
    axes.set_xlim(*spot.across_mm)
    axes.set_ylim(*spot.up_mm)
    axes.set_aspect("auto")


def window(volume: Volume) -> tuple[float, float]:
    """Return the grey levels to show: from the 2nd percentile of the bright voxels to the 99.5th of all above zero."""
    data = thinned(volume).data
    inside = data[np.isfinite(data) & (data > 0)]
    if inside.size == 0:
        return 0.0, 1.0
    high = float(np.percentile(inside, 99.5))
    return 0.6 * float(np.percentile(inside[inside > high / 6], 2)), high


def legend(figure: Figure, colours: Mapping[str, str]) -> None:
    """Name the lines of a mosaic below it."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, linewidth=2, label=name) for name, colour in colours.items()]
    figure.legend(handles=handles, loc="lower center", ncols=max(1, len(handles)), fontsize=8.5)
