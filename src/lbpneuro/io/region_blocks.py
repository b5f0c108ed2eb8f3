"""Regions of the template on the grid of a person's own image, block by block: only where one of them arrives.

The cortex fills little of the box around it, and neighbouring nuclei share theirs; a block of voxels is moved to the
template once, and for those regions only that lie near where it arrives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.images import Grid
from lbpneuro.io.transforms import PADDING_MM, POINTS_AT_ONCE, Composite, interpolated, refuse_sheared, subsamples

BLOCK_MM = 4.0
CELL_BLOCKS = 4
REACH = 1.5
"""How far from the centre of a block, in edges of it, its points may arrive: 1.7 times as far as without stretching."""

Weights = NDArray[np.float32]
Points = NDArray[np.floating[Any]]
Blocks = NDArray[np.intp]  # (3, n_block)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """A grid in blocks: the block k, a triple, begins at the voxel ``start + k * edge``, which may lie off the grid."""

    grid: Grid
    start: NDArray[np.intp]
    edge: NDArray[np.intp]

    @property
    def reach_mm(self) -> float:
        """How far from the centre of a block its points may arrive."""
        return REACH * float((self.edge * _voxel_mm(self.grid)).max())

    def coarser(self) -> Lattice:
        """Return the lattice whose blocks are cells of 4 x 4 x 4 blocks of this one."""
        return Lattice(grid=self.grid, start=self.start, edge=self.edge * CELL_BLOCKS)

    def centres(self, blocks: Blocks) -> Points:
        """Return the centres (3, n_block) of blocks, in mm."""
        return self._mm(self.start[:, None] + blocks * self.edge[:, None] + (self.edge[:, None] - 1) / 2)

    def points(self, blocks: Blocks, times: Sequence[int]) -> Points:
        """Return points (3, n_block * n_point) of blocks in mm, ``times`` along each axis of every voxel.

        The first axis is the fastest: fields lie in memory in this order.
        """
        axes = [(np.arange(n * size) + 0.5) / n - 0.5 for n, size in zip(times, self.edge.tolist(), strict=True)]
        within = np.stack(np.meshgrid(*axes[::-1], indexing="ij"))[::-1].reshape(3, 1, -1)
        return self._mm((self.start[:, None] + blocks * self.edge[:, None])[:, :, None] + within)

    def _mm(self, voxels: Points) -> Points:
        affine = np.asarray(self.grid.affine, dtype=np.float64)
        return np.asarray(affine[:3, :3] @ voxels.reshape(3, -1) + affine[:3, 3:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A region on a grid of the template: the share of every voxel in it, and the corners of the box around it (mm)."""

    weights: Weights
    grid: Grid
    bounds: tuple[Points, Points]


def placed_regions(
    sources: Sequence[Source], transform: Composite, *, grid: Grid, spacing_mm: float
) -> list[tuple[Weights, tuple[int, int, int]]]:
    """Return regions on the grid of a person's own image, as boxes without empty margins, which may leave the image.

    Parameters
    ----------
    sources
        The regions in template space; the share is interpolated linearly, and 0 beyond their grids.
    transform
        Composite that takes the points of the person's space to the template.
    grid
        Grid of the person's image.
    spacing_mm
        Larger voxels are sampled at evenly spread points, at most this far apart, and take their mean.

    Returns
    -------
    list
        Weights (n_x, n_y, n_z) and first voxel of every region; the shape is (0, 0, 0) if it does not arrive anywhere.

    Raises
    ------
    InputError
        If the axes of the grid are not at right angles.
    """
    refuse_sheared(grid.affine)
    lattice, times = block_lattice(grid), subsamples(grid, spacing_mm)
    blocks, arrivals = _reaching(lattice, transform, sources)
    near = [_near(arrivals, source, reach_mm=lattice.reach_mm) for source in sources]
    wanted = np.any(near, axis=0) if near else np.zeros(blocks.shape[1], dtype=bool)
    moved = _moved(lattice, transform, blocks=blocks[:, wanted], times=times)
    return [
        _trimmed(*_placed(lattice, source, blocks=blocks[:, here], moved=moved[:, here[wanted]], times=times))
        for source, here in zip(sources, near, strict=True)
    ]


def block_lattice(grid: Grid) -> Lattice:
    """Return the blocks of about 4 mm of a grid that is extended by 80 mm on all sides."""
    voxel_mm = _voxel_mm(grid)
    return Lattice(
        grid=grid,
        start=-np.ceil(PADDING_MM / voxel_mm).astype(np.intp),
        edge=np.maximum(1, np.rint(BLOCK_MM / voxel_mm)).astype(np.intp),
    )


def _reaching(lattice: Lattice, transform: Composite, sources: Sequence[Source]) -> tuple[Blocks, Points]:
    """Return the blocks that arrive near the box around all regions, and where (3, n_block) their centres arrive.

    Whole cells of blocks are tried first.
    """
    if not sources:
        return np.empty((3, 0), dtype=np.intp), np.empty((3, 0))
    low = np.min([source.bounds[0] for source in sources], axis=0)
    high = np.max([source.bounds[1] for source in sources], axis=0)
    cells = lattice.coarser()
    shape = -(-(np.array(lattice.grid.shape) - 2 * lattice.start) // cells.edge)
    tried = np.indices(tuple(shape[::-1]))[::-1].reshape(3, -1)
    for one in (cells, lattice):
        if one is lattice:
            within = np.indices((CELL_BLOCKS,) * 3).reshape(3, 1, -1)
            tried = (CELL_BLOCKS * tried[:, :, None] + within).reshape(3, -1)
        arrivals = transform.moved(one.centres(tried))
        hit = _in_box(arrivals, low, high, margin=one.reach_mm)
        tried, arrivals = tried[:, hit], arrivals[:, hit]
    return tried, arrivals


def _near(arrivals: Points, source: Source, *, reach_mm: float) -> NDArray[np.bool_]:
    """Return which points (3, n) are no farther than ``reach_mm``, along any axis, from a voxel that counts."""
    near = _in_box(arrivals, *source.bounds, margin=reach_mm)
    affine = np.linalg.inv(source.grid.affine)
    voxel_mm = float(_voxel_mm(source.grid).min())
    size = int(np.ceil((reach_mm / voxel_mm + 1) / 2))  # interpolation reaches one voxel beyond those that count
    cells = _cells(source.weights > 0, size)
    voxels = affine[:3, :3] @ arrivals[:, near] + affine[:3, 3:]
    at = np.floor((voxels + 0.5) / size).astype(np.intp) + 2
    known = np.all((at >= 0) & (at < np.array(cells.shape)[:, None]), axis=0)
    found = np.zeros(known.shape, dtype=bool)
    found[known] = cells[tuple(at[:, known])]
    near[near] = found
    return near


def _cells(member: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Return which cells of ``size``³ voxels are at most two cells from one that holds any; two more at each end."""
    from scipy import ndimage

    n_cell = [-(-n // size) for n in member.shape]
    held = np.pad(member, [(2 * size, (n + 2) * size - have) for n, have in zip(n_cell, member.shape, strict=True)])
    for axis in range(3):
        parts = (held[(slice(None),) * axis + (slice(first, None, size),)] for first in range(size))
        held = reduce(np.logical_or, parts)
    return np.asarray(ndimage.binary_dilation(held, np.ones((5, 5, 5), dtype=bool)))


def _moved(lattice: Lattice, transform: Composite, *, blocks: Blocks, times: Sequence[int]) -> Points:
    """Return where the points of blocks arrive: (3, n_block, n_point) in mm."""
    n_point = int(np.prod(lattice.edge * times))
    found = np.empty((3, blocks.shape[1], n_point))
    for part in _parts(blocks.shape[1], n_point):
        found[:, part] = transform.moved(lattice.points(blocks[:, part], times)).reshape(3, -1, n_point)
    return found


def _parts(n_block: int, n_point: int) -> Iterator[slice]:
    step = max(1, POINTS_AT_ONCE // n_point)
    return (slice(first, first + step) for first in range(0, n_block, step))


def _placed(
    lattice: Lattice, source: Source, *, blocks: Blocks, moved: Points, times: Sequence[int]
) -> tuple[Weights, NDArray[np.intp]]:
    """Return the box of some blocks with the weights of a region, and its first voxel."""
    if not blocks.size:
        return np.zeros((0, 0, 0), dtype=np.float32), np.zeros(3, dtype=np.intp)
    to_voxel, edge = np.linalg.inv(source.grid.affine), lattice.edge[::-1].tolist()
    at = to_voxel[:3, :3] @ moved.reshape(3, -1) + to_voxel[:3, 3:]
    values = interpolated(np.asfortranarray(source.weights), at)
    split = [number for size, n in zip(edge, times[::-1], strict=True) for number in (size, n)]
    means = values.reshape(-1, *split).mean(axis=(2, 4, 6))
    low = blocks.min(axis=1)
    shape = (blocks.max(axis=1) - low + 1)[::-1].tolist()
    whole = np.zeros((*shape, *edge), dtype=np.float32)
    whole[tuple((blocks - low[:, None])[::-1])] = means
    size = [n * length for n, length in zip(shape, edge, strict=True)]
    return whole.transpose(0, 3, 1, 4, 2, 5).reshape(size).T, lattice.start + low * lattice.edge


def _trimmed(weights: Weights, start: NDArray[np.intp]) -> tuple[Weights, tuple[int, int, int]]:
    """Return a box without its empty margins, and its first voxel."""
    parts, first = [], []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        held = np.flatnonzero((weights != 0).any(axis=others))
        parts.append(slice(int(held[0]), int(held[-1]) + 1) if held.size else slice(0, 0))
        first.append(int(start[axis]) + parts[-1].start)
    return weights[tuple(parts)], (first[0], first[1], first[2])


def _in_box(points: Points, low: Points, high: Points, *, margin: float) -> NDArray[np.bool_]:
    inside = np.ones(points.shape[1], dtype=bool)
    for line, first, last in zip(points, low - margin, high + margin, strict=True):
        inside &= (line >= first) & (line <= last)
    return inside


def _voxel_mm(grid: Grid) -> Points:
    return np.linalg.norm(np.asarray(grid.affine)[:3, :3], axis=0)
