"""Atlases of many nodes: the 300 spheres of Seitzman, the user's label images, and their means in a BOLD run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.errors import InputError
from lbpneuro.io.files import read_json, read_tsv
from lbpneuro.io.images import Grid, open_image
from lbpneuro.io.index import entities
from lbpneuro.io.regions import load_atlas
from lbpneuro.io.resources import package_file
from lbpneuro.io.series import Series
from lbpneuro.io.transforms import box_grid, read_transform, source_coordinates
from lbpneuro.kernels.labels import region_means
from lbpneuro.kernels.voxels import columns_of

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

SEITZMAN = "Seitzman300"
SEITZMAN_FILE = "datasets/data/seitzman_2018_ROIs_300inVol_MNI_allInfo.txt"
SEITZMAN_SOURCE = "10.1016/j.neuroimage.2019.116290"
MNI = "MNI152"
UNASSIGNED = "unassigned"
ALIASES = {"name": ("label", "labels"), "network": ("network_label",)}
ROUNDING_MM = 1e-6
MARGIN_MM = 15.0
log = logging.getLogger("lbpneuro")

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Atlas:
    """Nodes in template space.

    Attributes
    ----------
    name
        What stands in file names after ``atlas-``.
    space
        Template space; ``MNI152`` stands for any of its versions, empty for one that the files do not tell.
    source
        DOI or file name.
    names, networks, hemis
        One entry per node; a node without network is ``unassigned``, one without hemisphere ``n/a``.
    coords_mm : (n_node, 3)
        Centre of each node; NaN for a label that the image does not hold.
    radius_mm : (n_node,)
        Radii of spheres; empty for an image.
    image, labels
        The image and the number of each node in it: its label, or its volume in a four-dimensional image.
    """

    name: str
    space: str
    source: str
    names: tuple[str, ...]
    networks: tuple[str, ...]
    hemis: tuple[str, ...]
    coords_mm: Array
    radius_mm: Array
    image: Path | None = None
    labels: tuple[int, ...] = ()
    probabilistic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSeries:
    """Mean series of the nodes of an atlas in a run, not cleaned.

    ``means`` (n_time, n_node) is NaN for a node whose ``coverage`` (n_node,), the usable share of its voxels, is below
    the least allowed.
    """

    atlas: Atlas
    means: Array
    coverage: Array


def read_atlases(settings: Mapping[str, Any]) -> tuple[Atlas, ...]:
    """Return the nodes of Seitzman and the user's atlases of the section ``functional`` of the settings.

    Raises
    ------
    InputError
        What :func:`read_atlas` refuses, or if an atlas has the name of the built-in one.
    """
    own = settings.get("atlases") or {}
    if SEITZMAN in own:
        raise InputError(f"functional.atlases: the name {SEITZMAN} is that of the built-in nodes; choose another.")
    found = [
        read_atlas(name, Path(entry["image"]), Path(entry["labels"]) if entry.get("labels") else None)
        for name, entry in own.items()
    ]
    return (seitzman_nodes(), *found)


@cache
def seitzman_nodes() -> Atlas:
    """Return the 300 nodes of Seitzman (2020, 10.1016/j.neuroimage.2019.116290), whose table nilearn ships.

    Spheres of 4 or 5 mm in cortex, subcortex and cerebellum, each in one of 13 networks or unassigned; order and number
    in the name are those of the table.
    """
    path = package_file("nilearn", SEITZMAN_FILE)
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:] if line.strip()]
    numbers = np.array([row[:4] for row in rows], dtype=np.float64)
    networks = tuple(row[5] for row in rows)
    return Atlas(
        name=SEITZMAN,
        space=MNI,
        source=SEITZMAN_SOURCE,
        names=tuple(f"{network}_{number:03d}" for number, network in enumerate(networks, start=1)),
        networks=networks,
        hemis=("n/a",) * len(rows),
        coords_mm=numbers[:, :3],
        radius_mm=numbers[:, 3],
    )


def read_atlas(name: str, image: Path, labels: Path | None = None) -> Atlas:
    """Return a user's atlas; it is read once per process.

    Parameters
    ----------
    name
        What it is called in file names.
    image
        Label image (three-dimensional, whole numbers, 0 is background) or probabilities (four-dimensional, one volume
        per node), as in BIDS ``*_dseg.nii.gz`` and ``*_probseg.nii.gz``. The space is that of the entities ``tpl`` or
        ``space`` of its name, or ``SpatialReference`` of its sidecar.
    labels
        Table with the columns ``index`` (label; number of the volume) and ``name``, and optionally ``network`` and
        ``hemi``; by default the table beside the image, and without one all labels of the image by number.

    Raises
    ------
    InputError
        If a file is absent or unreadable, the table repeats a node or lacks a label of the image, or no node has a
        voxel.
    """
    return _read_atlas(name, image, labels, _stamp(image), _stamp(labels))


def _stamp(path: Path | None) -> int:
    return path.stat().st_mtime_ns if path is not None and path.is_file() else 0


@lru_cache(maxsize=16)
def _read_atlas(name: str, image: Path, labels: Path | None, *_stamps: int) -> Atlas:
    dimensions = open_image(image).ndim
    probabilistic = dimensions == 4 and open_image(image).shape[3] > 1
    held, coords = _volumes(image) if probabilistic else _labels(image)
    beside = image.with_name(image.name.split(".")[0] + ".tsv")
    table = _read_table(labels or beside, image) if labels or beside.is_file() else _numbered(held)
    listed = tuple(int(index) for index in table["index"])
    numbers = tuple(range(len(listed))) if probabilistic else listed
    _check_table(listed, held, image=image, table=labels or beside, probabilistic=probabilistic)
    places = dict(zip(held, coords, strict=True))
    return Atlas(
        name=name,
        space=_space_of(image),
        source=image.name,
        names=tuple(table["name"]),
        networks=tuple(table["network"]),
        hemis=tuple(table["hemi"]),
        coords_mm=np.array([places.get(number, np.full(3, np.nan)) for number in numbers]),
        radius_mm=np.empty(0),
        image=image,
        labels=numbers,
        probabilistic=probabilistic,
    )


def _space_of(image: Path) -> str:
    """Return the template space that the name or the sidecar of an atlas tells, empty if none does."""
    named = entities(image)
    sidecar = image.with_name(image.name.split(".")[0] + ".json")
    stated = read_json(sidecar).get("SpatialReference", "") if sidecar.is_file() else ""
    told = stated if isinstance(stated, str) and stated.startswith(MNI) else ""
    return named.get("space") or named.get("tpl") or told


def _labels(image: Path) -> tuple[list[int], Array]:
    """Return the labels of an image, background left out, and the centre of each (mm)."""
    data, affine = load_atlas(image)
    voxels = np.argwhere(data != 0)
    held, place = np.unique(data[data != 0], return_inverse=True)
    if not held.size:
        raise InputError(f"{image}: every voxel is 0 (background); an atlas needs labels above 0.")
    counts = np.bincount(place)
    centres = np.stack([np.bincount(place, weights=voxels[:, axis]) / counts for axis in range(3)], axis=1)
    return [int(label) for label in held], centres @ affine[:3, :3].T + affine[:3, 3]


def _volumes(image: Path) -> tuple[list[int], Array]:
    """Return the numbers of the volumes of a probabilistic image that hold anything, and the centre of each (mm)."""
    data, affine = _probabilities(image)
    total = data.sum(axis=(0, 1, 2), dtype=np.float64)
    held = np.flatnonzero(total > 0)
    if not held.size:
        raise InputError(f"{image}: no volume holds a probability above 0.")
    axes = [np.arange(size, dtype=np.float64) for size in data.shape[:3]]
    sums = [np.einsum("xyzn,xyz->n", data, grid, optimize=True) for grid in np.meshgrid(*axes, indexing="ij")]
    centres = np.stack(sums, axis=1)[held] / total[held, None]
    return held.tolist(), centres @ affine[:3, :3].T + affine[:3, 3]


def _probabilities(image: Path) -> tuple[NDArray[np.float32], Array]:
    opened = open_image(image)
    data = np.nan_to_num(np.asarray(opened.dataobj, dtype=np.float32))
    if data.min() < 0:
        raise InputError(f"{image}: expected probabilities of 0 or more, found {data.min():g}.")
    return data, np.asarray(opened.affine, dtype=np.float64)


def _read_table(path: Path, image: Path) -> pd.DataFrame:
    """Return the table of an atlas as text with the columns index, name, network and hemi, background left out."""
    import pandas as pd

    table = read_tsv(path, dtype=str)
    for name, others in ALIASES.items():
        known = [other for other in others if other in table]
        if name not in table and known:
            table = table.rename(columns={known[0]: name})
    absent = [column for column in ("index", "name") if column not in table]
    if absent:
        raise InputError(
            f"{path}: the labels of {image.name} need the columns index and name; {', '.join(absent)} not found among "
            f"{', '.join(table.columns)}."
        )
    numbers = pd.to_numeric(table["index"], errors="coerce")
    for row in table.index[numbers.isna() | (numbers % 1 != 0) | table["name"].isna()]:
        raise InputError(
            f"{path}, line {row + 2}: expected a whole number as index and a name, found "
            f"{table.loc[row, 'index']!r} and {table.loc[row, 'name']!r}."
        )
    table = table.assign(index=numbers.astype("int64"))
    for column, default in (("network", UNASSIGNED), ("hemi", "n/a")):
        table[column] = table[column].fillna(default) if column in table else default
    table = table[(table["name"].str.lower() != "background") & ~((table["index"] == 0) & _is_dseg(image))]
    for column in ("index", "name"):
        for row in table.index[table[column].duplicated()]:
            raise InputError(f"{path}, line {row + 2}: the {column} {table.loc[row, column]} is listed twice.")
    return table[["index", "name", "network", "hemi"]]


def _is_dseg(image: Path) -> bool:
    return not (open_image(image).ndim == 4 and open_image(image).shape[3] > 1)


def _numbered(held: Sequence[int]) -> pd.DataFrame:
    import pandas as pd

    columns = {"index": list(held), "name": [f"label_{label}" for label in held]}
    return pd.DataFrame(columns).assign(network=UNASSIGNED, hemi="n/a")


def _check_table(listed: Sequence[int], held: Sequence[int], *, image: Path, table: Path, probabilistic: bool) -> None:
    """Raise if the table and the image do not describe the same nodes; a label without voxels is only noted."""
    if probabilistic:
        volumes = open_image(image).shape[3]
        if len(listed) != volumes:
            raise InputError(
                f"{table}: expected one row for each of the {volumes} volumes of {image.name}, found {len(listed)}."
            )
        return
    unknown = sorted(set(held) - set(listed))
    if unknown:
        raise InputError(
            f"{table}: {image.name} holds the labels {_some(unknown)}, which the table does not name; add their rows."
        )
    empty = sorted(set(listed) - set(held))
    if len(empty) == len(set(listed)):
        raise InputError(f"{table}: none of its labels occurs in {image.name}; give the table of this image.")
    if empty:
        log.warning("%s: no voxel has the labels %s, which %s names", image, _some(empty), table.name)


def _some(numbers: Sequence[int], most: int = 10) -> str:
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return ", ".join(str(number) for number in numbers[:most]) + more


def node_series(
    atlas: Atlas, series: Series, *, space: str | None, coverage_min: float, transform: Path | None = None
) -> NodeSeries:
    """Return the mean series of the nodes of an atlas in a run.

    Parameters
    ----------
    atlas
        From :func:`read_atlases`.
    series
        From :func:`lbpneuro.io.series.read_series`; its affine leads to template space, unless there is a transform.
    space
        Template space of the run, or the one that the transform leads to; None if its name does not tell.
    coverage_min
        Nodes with a smaller usable share become NaN.
    transform
        ITK transform that takes the points of the run to template space.

    Raises
    ------
    InputError
        If the atlas lies in another space, or outside the image.
    """
    _check_space(atlas, series.path, space)
    weights, whole = node_weights(atlas, affine=series.affine, mask=series.mask, transform=transform)
    if not weights.nnz:
        raise InputError(
            f"{atlas.image or atlas.name}: no node of the atlas {atlas.name} lies inside the brain mask of "
            f"{series.path.name}; both must be in the same space."
        )
    means, coverage = region_means(series.bold, weights=weights, whole=whole)
    seen = coverage >= coverage_min
    return NodeSeries(atlas=atlas, means=np.where(seen, means, np.nan), coverage=np.nan_to_num(coverage))


def _check_space(atlas: Atlas, bold: Path, space: str | None) -> None:
    fits = not atlas.space or not space or space == atlas.space or (atlas.space == MNI and space.startswith(MNI))
    if not fits:
        raise InputError(
            f"{atlas.image or atlas.name}: the atlas {atlas.name} lies in {atlas.space}, but {bold.name} in {space}; "
            f"give the atlas in {space}, choose dataset.space: {atlas.space}, or name the way between the two "
            "(functional.template_transform)."
        )


def node_weights(
    atlas: Atlas, *, affine: Array, mask: NDArray[np.bool_], transform: Path | None = None
) -> tuple[sparse.csr_array, NDArray[np.float64]]:
    """Return the weight of every voxel of a mask in every node, and the whole weight of each node.

    Spheres hold the voxels whose centre is no farther than the radius, and always the voxel of their own centre. An
    atlas image is looked up at the centre of every voxel, in its nearest voxel.

    Parameters
    ----------
    atlas
        From :func:`read_atlases`.
    affine : (4, 4)
        Voxel indices to mm.
    mask : (n_x, n_y, n_z) of bool
    transform
        ITK transform from the points of the grid to template space; a voxel is then looked up where its centre
        arrives, and the unbounded grid ends 15 mm outside the image.

    Returns
    -------
    weights : (n_node, n_voxel) sparse CSR float32
        Columns as in :mod:`lbpneuro.kernels.voxels`; 1, or the probability.
    whole : (n_node,) float64
        Sum of the weights on an unbounded grid; 0 for a label without voxels.
    """
    from scipy import sparse

    affine = np.ascontiguousarray(affine, dtype=np.float64)
    if transform:
        nodes, voxels, values = _members_through(atlas, affine.tobytes(), mask.shape, transform)
    else:
        nodes, voxels, values = _members(atlas, affine.tobytes())
    n_node = len(atlas.names)
    inside = np.all((voxels >= 0) & (voxels < mask.shape), axis=1)
    column = columns_of(mask)[tuple(voxels[inside].T)]
    kept = column >= 0
    entries = (values[inside][kept], (nodes[inside][kept], column[kept]))
    weights = sparse.csr_array(sparse.coo_array(entries, shape=(n_node, int(mask.sum()))))
    return weights, np.bincount(nodes, weights=values, minlength=n_node).astype(np.float64)


@lru_cache(maxsize=8)
def _members(atlas: Atlas, affine: bytes) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return node, voxel (n, 3) and weight of every member on the unbounded grid of an affine."""
    to_mm = np.frombuffer(affine, dtype=np.float64).reshape(4, 4)
    return _sphere_members(atlas, to_mm) if atlas.image is None else _image_members(atlas, atlas.image, to_mm)


@lru_cache(maxsize=8)
def _members_through(
    atlas: Atlas, affine: bytes, shape: tuple[int, int, int], transform: Path
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return node, voxel (n, 3) and weight of every member on a grid that is led to template space by a transform."""
    to_mm = np.frombuffer(affine, dtype=np.float64).reshape(4, 4)
    margin = np.ceil(MARGIN_MM / np.linalg.norm(to_mm[:3, :3], axis=0)).astype(int)
    size = tuple(int(n) for n in np.array(shape) + 2 * margin)
    grid = box_grid(Grid(affine=to_mm, shape=shape), start=-margin, shape=size)
    points = source_coordinates(read_transform(transform), target=grid).reshape(3, -1).T.astype(np.float64)
    found = _sphere_rows(atlas, points) if atlas.image is None else _image_rows(atlas, atlas.image, points)
    rows, nodes, values = found
    return nodes, np.stack(np.unravel_index(rows, size), axis=1) - margin, values


def _sphere_rows(atlas: Atlas, points: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return (point, node, weight) of the points that lie in spheres, of which at most four overlap."""
    from scipy.spatial import cKDTree

    far = float(atlas.radius_mm.max()) + ROUNDING_MM
    distance, nearest = cKDTree(atlas.coords_mm).query(points, k=min(4, len(atlas.names)), distance_upper_bound=far)
    distance, nearest = distance.reshape(len(points), -1), nearest.reshape(len(points), -1)
    radius = np.append(atlas.radius_mm, -1.0)  # what is too far has the number after the last
    rows, order = np.nonzero(distance <= radius[nearest] + ROUNDING_MM)
    return rows, nearest[rows, order], np.ones(len(rows), dtype=np.float32)


def _image_rows(
    atlas: Atlas, image: Path, points: Array
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return (point, node, weight) of the points whose nearest voxel in the image of an atlas holds something."""
    data, own = _probabilities(image) if atlas.probabilistic else load_atlas(image)
    to_voxel = np.linalg.inv(own)
    voxels = np.floor(points @ to_voxel[:3, :3].T + to_voxel[:3, 3] + 0.5).astype(np.intp)
    rows = np.flatnonzero(np.all((voxels >= 0) & (voxels < data.shape[:3]), axis=1))
    values = data[tuple(voxels[rows].T)]
    if atlas.probabilistic:
        member, nodes = np.nonzero(values)
        return rows[member], nodes, values[member, nodes]
    rows, values = rows[values != 0], values[values != 0]
    return rows, _node_numbers(atlas, values), np.ones(len(rows), dtype=np.float32)


def _node_numbers(atlas: Atlas, labels: NDArray[np.generic]) -> NDArray[np.intp]:
    order = np.argsort(atlas.labels)
    return np.asarray(order[np.searchsorted(np.array(atlas.labels, dtype=np.int64)[order], labels)])


def _sphere_members(atlas: Atlas, affine: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    to_voxel = np.linalg.inv(affine)
    centres = np.rint(atlas.coords_mm @ to_voxel[:3, :3].T + to_voxel[:3, 3]).astype(np.intp)
    # the farthest voxel along each axis: the rows of the inverse give voxels per mm
    reach = np.ceil(atlas.radius_mm.max() * np.linalg.norm(to_voxel[:3, :3], axis=1)).astype(int) + 1
    offsets = np.array(list(product(*(range(-n, n + 1) for n in reach))), dtype=np.intp)
    voxels = centres[:, None, :] + offsets
    distance = np.linalg.norm(voxels @ affine[:3, :3].T + affine[:3, 3] - atlas.coords_mm[:, None, :], axis=-1)
    member = (distance <= atlas.radius_mm[:, None] + ROUNDING_MM) | (offsets == 0).all(axis=1)
    nodes = np.nonzero(member)[0]
    return nodes, voxels[member], np.ones(len(nodes), dtype=np.float32)


def _image_members(
    atlas: Atlas, image: Path, affine: Array
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    if atlas.probabilistic:
        data, own = _probabilities(image)
        voxels, found = _looked_up(np.any(data > 0, axis=3), own, affine)
        values = data[tuple(found.T)]
        member, nodes = np.nonzero(values)
        return nodes, voxels[member], values[member, nodes]
    labels, own = load_atlas(image)
    voxels, found = _looked_up(np.not_equal(labels, 0), own, affine)
    values = labels[tuple(found.T)]
    nodes = _node_numbers(atlas, values)
    return nodes, voxels, np.ones(len(nodes), dtype=np.float32)


def _looked_up(held: NDArray[np.bool_], own: Array, affine: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the voxels (n, 3) of a grid whose centre falls into a true voxel of an image, and these voxels."""
    touched = [np.flatnonzero(held.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    corners = np.array(list(product(*((each[0] - 0.5, each[-1] + 0.5) for each in touched))))
    between = np.linalg.inv(affine) @ own
    there = corners @ between[:3, :3].T + between[:3, 3]
    ranges = [np.arange(np.floor(low), np.ceil(high) + 1) for low, high in zip(there.min(0), there.max(0), strict=True)]
    back = np.linalg.inv(own) @ affine
    # axis by axis, so that no array of all points times three is held
    x, y, z = np.meshgrid(*ranges, indexing="ij", sparse=True)
    nearest = [
        np.floor(back[i, 0] * x + back[i, 1] * y + back[i, 2] * z + back[i, 3] + 0.5).astype(np.intp) for i in range(3)
    ]
    inside = np.logical_and.reduce(
        [(near >= 0) & (near < size) for near, size in zip(nearest, held.shape, strict=True)]
    )
    found = np.stack([near[inside] for near in nearest], axis=1)
    hit = held[tuple(found.T)]
    first = np.array([each[0] for each in ranges], dtype=np.intp)
    return (np.argwhere(inside) + first)[hit], found[hit]
