"""Regions on the grid of a BOLD run: the share of every voxel in every region, as one sparse matrix."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.images import Grid, Image
from lbpneuro.io.regions import Name, Region, region_bounds, region_weights
from lbpneuro.io.series import Series, mean_in_voxels
from lbpneuro.kernels.voxels import columns_of, places_in_file

if TYPE_CHECKING:
    from scipy import sparse

CSF_MAX = 0.2
Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRegions:
    """Regions on the grid of a run.

    Attributes
    ----------
    names
        (roi, hemi) of every region, in the order of the rows.
    weights : (n_region, n_voxel) sparse CSR float32
        Share of each voxel of the mask (columns as in :mod:`lbpneuro.kernels.voxels`) in each region, 0 to 1.
    whole : (n_region,)
        Sum of the weights of each region on an unbounded grid, in voxels: what the data could have covered.
    csf_excluded : (n_region,) of bool
        Whether voxels with CSF were taken out of the region.
    """

    names: tuple[Name, ...]
    weights: sparse.csr_array
    whole: NDArray[np.float64]
    csf_excluded: NDArray[np.bool_]

    def rows(self, names: Sequence[Name]) -> list[int]:
        """Return the row numbers of regions."""
        return [self.names.index(name) for name in names]


def roi_weights(
    series: Series,
    *,
    regions: Mapping[Name, Region],
    csf: Image | None = None,
    brainstem: Collection[str] = (),
    transform: Path | None = None,
) -> GridRegions:
    """Return the weights of regions on the grid of a series.

    Parameters
    ----------
    series
        Its mask and affine are used; the affine leads to the space of the regions, unless there is a transform.
    regions
        By (roi, hemi): what :func:`lbpneuro.io.regions.read_regions` returned, or any part of it; regions may overlap.
    csf
        CSF probability in the space of the series, if there is one.
    brainstem
        Names of the regions from which voxels with a CSF probability above 0.2 are taken out, unless that would leave
        less than half: on a coarse grid no voxel beside the aqueduct is free of CSF.
    transform
        ITK transform that takes the points of the space of the series to that of the regions; the regions are then
        sampled through it, in template voxels of 1 mm.
    """
    placed = _through(transform, regions, series) if transform else _upright(regions, affine=series.affine)
    boxes, excluded = [], []
    for (roi, *_), (start, box) in zip(regions, placed, strict=True):
        tissue = box
        if roi in brainstem and csf is not None:
            tissue = _without_csf(box, start, csf=csf, affine=series.affine)
        boxes.append((start, tissue))
        excluded.append(tissue is not box)
    return grid_regions(tuple(regions), boxes, mask=series.mask, csf_excluded=excluded)


def grid_regions(
    names: Sequence[Name],
    boxes: Sequence[tuple[Sequence[int], Weights]],
    *,
    mask: NDArray[np.bool_],
    csf_excluded: Sequence[bool],
) -> GridRegions:
    """Return regions given as boxes (first voxel, weights) on the voxels of a mask; a box may leave the image."""
    from scipy import sparse

    column = columns_of(mask)
    found = [_masked(start, box, column=column) for start, box in boxes]
    ends = np.cumsum([0, *(len(columns) for columns, _ in found)])
    columns = np.concatenate([columns for columns, _ in found]) if found else np.empty(0, dtype=np.intp)
    values = np.concatenate([values for _, values in found]) if found else np.empty(0, dtype=np.float32)
    return GridRegions(
        names=tuple(names),
        weights=sparse.csr_array((values, columns, ends), shape=(len(found), int(mask.sum()))),
        whole=np.array([box.sum(dtype=np.float64) for _, box in boxes]),
        csf_excluded=np.array(csf_excluded, dtype=bool),
    )


def volume_weights(found: GridRegions, *, mask: NDArray[np.bool_]) -> Weights:
    """Return the weights as an image (n_x, n_y, n_z, n_region), zero outside the mask, in the order of a file."""
    volumes = np.zeros((len(found.names), mask.size), dtype=np.float32)
    entries = found.weights.tocoo()
    volumes[entries.row, places_in_file(mask)[entries.col]] = entries.data
    return volumes.reshape(-1, *mask.shape[::-1]).T


def _upright(regions: Mapping[Name, Region], *, affine: NDArray[np.float64]) -> list[tuple[Sequence[int], Weights]]:
    return [_boxed_weights(region, affine=affine) for region in regions.values()]


def _through(transform: Path, regions: Mapping[Name, Region], series: Series) -> list[tuple[Sequence[int], Weights]]:
    """Return the boxes of regions that are sampled through a transform."""
    from lbpneuro.io.anatomy import native_regions

    found = native_regions(regions, transform, grid=Grid(affine=series.affine, shape=series.mask.shape))
    return [(region.start, region.weights) for region in found.values()]


def _masked(start: Sequence[int], box: Weights, *, column: NDArray[np.intp]) -> tuple[NDArray[np.intp], Weights]:
    """Return the columns and the weights of the voxels of a box that lie inside the mask, columns ascending."""
    touched = np.argwhere(box > 0)
    voxels = touched + np.asarray(start)
    known = np.all((voxels >= 0) & (voxels < column.shape), axis=1)
    columns = column[tuple(voxels[known].T)]
    inside = columns >= 0
    return columns[inside], box[tuple(touched[known][inside].T)]


def _boxed_weights(region: Region, *, affine: NDArray[np.float64]) -> tuple[list[int], Weights]:
    """Return the first voxel of the box around a region, which may lie outside the image, and the weights in it."""
    low, high = region_bounds(region)
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    to_voxel = np.linalg.inv(affine)
    voxels = corners @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    start = np.floor(voxels.min(axis=0)).astype(int) - 1
    shape = np.ceil(voxels.max(axis=0)).astype(int) + 2 - start
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ start
    return start.tolist(), region_weights(region, affine=moved, shape=tuple(int(n) for n in shape))


def _without_csf(box: Weights, start: Sequence[int], *, csf: Image, affine: NDArray[np.float64]) -> Weights:
    """Return the weights with 0 where CSF is probable, or ``box`` itself if less than half would be left."""
    touched = np.argwhere(box > 0)
    wet = mean_in_voxels(csf, affine=affine, voxels=touched + np.asarray(start)) > CSF_MAX
    tissue = box.copy()
    tissue[tuple(touched[wet].T)] = 0
    return tissue if tissue.sum(dtype=np.float64) >= 0.5 * box.sum(dtype=np.float64) else box
